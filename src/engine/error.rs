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

/// Notes a rejection: where, and the words, both in pieces, which is cheaper in bytes than formatting. The launcher bundle leaves reporting to
/// the engine, so nothing is noted there and it carries none of the words.
pub fn refuse(rejected: &mut Vec<Rejection>, code: &'static str, place: &[&str], words: &[&str]) {
    if cfg!(any(feature = "panel", feature = "headless")) {
        let mut message = place.concat();
        message.push_str(&words.concat());
        rejected.push(Rejection { code, message });
    }
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
