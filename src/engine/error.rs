//! Mistakes of the host page ([`Rejection`]) and what the engine knows about error codes: which end the widget, and the
//! advice that goes with them. Words for visitors are in [`super::text`].

use karta_protocol::ErrorCode;

/// Input that was not taken, and why: one `console.warn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// `unknown_command`, `bad_argument`, `bad_value`, `secret_key_in_browser`.
    pub code: &'static str,
    /// Names the source (`data-theme-accent`, `karta("init")`), what was found and what is expected.
    pub message: String,
}

/// Takes rejections. Generic, so that the launcher bundle, which leaves reporting to the engine, carries none of the words.
pub trait Report {
    /// The message in pieces: cheaper in bytes than formatting.
    fn refuse(&mut self, code: &'static str, pieces: &[&str]);
}

impl Report for Vec<Rejection> {
    fn refuse(&mut self, code: &'static str, pieces: &[&str]) {
        self.push(Rejection {
            code,
            message: pieces.concat(),
        });
    }
}

/// Drops every rejection.
pub struct Silent;

impl Report for Silent {
    #[inline(always)]
    fn refuse(&mut self, _code: &'static str, _pieces: &[&str]) {}
}

pub const UNKNOWN_COMMAND: &str = "unknown_command";
pub const BAD_ARGUMENT: &str = "bad_argument";
pub const BAD_VALUE: &str = "bad_value";
pub const SECRET_KEY: &str = ErrorCode::SecretKeyInBrowser.as_str();
/// `init` after the widget has mounted.
pub const ALREADY_MOUNTED: &str = "already_mounted";
/// More calls wait than the queue holds.
pub const QUEUE_FULL: &str = "queue_full";

/// The longest prefix of `text` that is at most `max` bytes and ends between two characters.
pub fn clip(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}
