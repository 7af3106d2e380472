//! The state machine: the only place where state changes. One message at a time, effects after state.
//! One file per phase under `machine/`.

mod answer;
mod away;
mod bus;
mod core;
mod fetch;
mod handed;
#[cfg(feature = "headless")]
mod headless;
mod identity;
mod link;
mod panel;
mod peer;
mod receive;
mod report;
mod stage;
mod stream;
mod verdict;
mod view;
mod voice;

use self::core::{Core, Cx};
use self::stage::Stage;
use super::command::Command;
use super::config::Layer;
use super::dialect::Rejection;
use super::effect::{Effect, Failure, Id, Millis, Reply, Timer};
use super::raw::Raw;
use super::text::CallEnd;
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
    /// Of a connection to a realtime engine.
    EngineFrame {
        id: Id,
        frame: Box<Raw>,
    },
    /// Failed, closed or impossible.
    PeerClosed {
        id: Id,
        reason: &'static str,
    },
    /// The path to the server has broken; it may come back by itself.
    PeerShaken {
        id: Id,
    },
    /// Of the microphone with this id.
    Mic {
        id: Id,
        news: MicNews,
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
    /// The device may have changed its network.
    NetworkChanged,
    /// Another tab of the same visitor wrote the stored record (`storage` event), or removed it.
    StoredElsewhere {
        key: String,
        record: Option<String>,
    },
}

/// What happens to a call's media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MicNews {
    Granted,
    Refused(CallEnd),
    /// It was unplugged, or its permission taken back.
    Ended,
    /// Something else on the device has taken it (a phone call), or given it back.
    Held(bool),
    /// The browser plays nothing before the visitor has pressed something.
    SoundBlocked,
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
    VoicePressed,
    EndPressed,
    MutePressed,
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
    pub prefetched: Option<(String, Result<Box<Layer>, Failure>)>,
    /// `navigator.languages`, best first.
    pub languages: Vec<String>,
    /// 64 random bits from the platform: seeds message ids and backoff jitter.
    pub entropy: u64,
    pub online: bool,
    /// A peer connection can be constructed.
    pub webrtc: bool,
    /// A microphone can be asked for: on an insecure page it cannot.
    pub microphone: bool,
    /// Each record that storage held, by public key.
    pub stored: Vec<(String, String)>,
    /// What an instance that crashed had handed on, or nothing.
    pub handed_on: String,
    /// The page draws the conversation by itself.
    #[cfg(feature = "headless")]
    pub headless: bool,
}

/// The widget's whole state: what is true in every phase, and the phase.
#[derive(Default)]
pub struct Machine {
    core: Core,
    stage: Stage,
}

impl Machine {
    pub fn new() -> Self {
        Self::default()
    }

    /// Total: never fails, never blocks, never panics on input.
    pub fn update(&mut self, msg: Msg, now: Millis, out: &mut Vec<Effect>) {
        let start = out.len();
        let core = &mut self.core;
        let mut cx = Cx { core, now, out };
        self.stage.handle(msg, &mut cx);
        if let Stage::Panel(panel) = &mut self.stage {
            panel.tell_state(&mut cx);
        }
        if std::mem::take(&mut self.core.dirty) {
            // The screen comes before events, focus and requests: it shows the state that they follow from. After a teardown
            // in the same step it comes behind it.
            let unmount = out.iter().rposition(|effect| *effect == Effect::Unmount);
            let at = unmount.map_or(start, |at| at + 1).max(start);
            out.insert(at, Effect::Render);
        }
    }

    /// Public key in force: under it, the browser layer keeps its record.
    pub fn key(&self) -> Option<&str> {
        self.core.config.key()
    }
}

/// For the fake edge, which forgets old effects and still has to name what is open.
#[cfg(all(test, not(target_arch = "wasm32")))]
impl Machine {
    pub(in crate::engine) fn stream_for_tests(&self) -> Option<Id> {
        match &self.stage {
            Stage::Panel(panel) => panel.link.stream_id(),
            _ => None,
        }
    }

    pub(in crate::engine) fn cursor_for_tests(&self) -> u64 {
        match &self.stage {
            Stage::Panel(panel) => panel.log.cursor(),
            _ => 0,
        }
    }

    pub(in crate::engine) fn peer_for_tests(&self) -> Option<Id> {
        match &self.stage {
            Stage::Panel(panel) => panel.peer.id(),
            _ => None,
        }
    }
}
