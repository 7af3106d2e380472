//! The state machine: the only place where state changes. One message at a time, effects after state.
//! One file per phase under `machine/`.

use super::command::Command;
use super::config::Layer;
use super::dialect::Rejection;
use super::effect::{Effect, Failure, Id, Millis, Reply, Stored, Timer};
use super::view_model::ViewModel;
use karta_protocol::SessionEvent;

/// Facts that reach the engine. Ids are those of the effect that asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Msg {
    /// First message, once: what the world looks like.
    Booted(Box<Boot>),
    /// From any dialect, in call order.
    Command(Command),
    /// A call that no dialect could read.
    Rejected(Rejection),
    Ui(Ui),
    HttpReplied {
        id: Id,
        result: Result<Reply, Failure>,
    },
    StreamOpened {
        id: Id,
    },
    StreamFrame {
        id: Id,
        event: Box<SessionEvent>,
    },
    StreamClosed {
        id: Id,
        failure: Failure,
    },
    PeerOffered {
        id: Id,
        sdp: String,
    },
    ChannelOpened {
        id: Id,
    },
    ChannelFrame {
        id: Id,
        event: Box<SessionEvent>,
    },
    /// Failed, closed or impossible.
    PeerClosed {
        id: Id,
        reason: &'static str,
    },
    TimerFired(Timer),
    Online,
    Offline,
    /// `pagehide`: release the peer, flush what is unsent.
    PageHidden,
    /// `pageshow` from the back-forward cache.
    PageRestored,
    /// The tab came to the front (`visibilitychange`).
    Visible,
    /// Another tab of the same visitor wrote the stored record (`storage` event), or removed it.
    StoredElsewhere {
        key: String,
        record: Option<Box<Stored>>,
    },
}

/// What the visitor does on screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ui {
    LauncherPressed,
    ClosePressed,
    EscapePressed,
    /// The composer's text. The browser clears the field when the engine accepts (an item appears).
    Submitted(String),
    StopPressed,
    /// Index into the suggested prompts.
    PromptPressed(usize),
    RetryPressed,
    /// Retry of one failed user item, by key.
    ResendPressed(u32),
    EscalatePressed,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Boot {
    /// From the script tag.
    pub attributes: Layer,
    /// Bad values found while reading the tag.
    pub rejections: Vec<Rejection>,
    /// Origin that the script came from: default of `base_url`.
    pub script_origin: String,
    /// Answer of the loader's early `GET /config`, with the exact URL it asked.
    pub prefetched: Option<(String, Result<Box<karta_protocol::WidgetConfig>, Failure>)>,
    /// `navigator.languages`, best first.
    pub languages: Vec<String>,
    /// 64 random bits from the platform: seeds message ids and backoff jitter.
    pub entropy: u64,
    pub online: bool,
    /// A peer connection can be constructed.
    pub webrtc: bool,
    /// Each record that storage held, by public key.
    pub stored: Vec<(String, Stored)>,
}

/// The widget's whole state.
pub struct Machine {
    _private: (),
}

impl Machine {
    pub fn new() -> Self {
        Machine { _private: () }
    }

    /// Total: never fails, never blocks, never panics on input.
    pub fn update(&mut self, _msg: Msg, _now: Millis, _out: &mut Vec<Effect>) {}

    pub fn view(&self) -> ViewModel<'_> {
        unimplemented!("owned by the engine branch")
    }
}
