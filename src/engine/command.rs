//! The one vocabulary that all three embed dialects become.
//! A command is an order of the host page; nothing here decides what it does.

use super::config::Layer;
use super::event::EventName;

/// A page function, interned by the browser layer: the same function object has the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallbackId(pub u32);

/// What a host page may order (seed 003, `contract.md` 3).
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Per-page overrides, merged before mount.
    Init(Box<Layer>),
    Identify(Box<Identity>),
    Open,
    Close,
    Toggle,
    SendMessage(String),
    StartVoice,
    EndVoice,
    Mute(bool),
    Escalate {
        reason: Option<String>,
        /// What the page wants to hand on; the engine adds transcript and session id.
        context: Vec<(String, String)>,
    },
    On {
        event: EventName,
        callback: CallbackId,
        once: bool,
    },
    Off {
        event: EventName,
        /// None: every subscriber of the event.
        callback: Option<CallbackId>,
    },
    /// Theme and locale after mount.
    Update(Box<Layer>),
    Shutdown,
    Reset,
    #[cfg(feature = "headless")]
    Headless(Intent),
}

/// What the prebuilt panel has elements for, and a page that draws the conversation by itself has not.
#[cfg(feature = "headless")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// The conversation begins, or goes on. Nothing opens.
    Connect,
    /// No more of the answer under way.
    Stop,
    /// The failed turn again, or the connection now instead of later.
    Retry,
    /// One failed message again, by its key.
    Resend(u32),
    /// The visitor's word on a tool that asked, by the id of its request.
    Confirm { request: String, allow: bool },
    /// The visitor has pressed something: what the browser did not let us play may be heard.
    Hear,
}

/// Who the visitor is, as the page says. Only a proof that the server accepts makes it more than a label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub user_id: Option<String>,
    /// HMAC proof, v1 (hex) or v2 (`v2.…`).
    pub identity_token: Option<Secret>,
    /// Minted by the owner's backend, single use.
    pub user_token: Option<Secret>,
    /// Advisory only: never authorisation.
    pub attributes: Vec<(String, String)>,
}

/// A token or proof. Prints as `***`, so that no log or panic can carry it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
