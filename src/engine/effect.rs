//! Everything the engine may ask of the world. The browser layer (or a test's fake edge) carries it out and
//! answers, if at all, with a [`super::machine::Msg`] that bears the same id.

use super::command::{CallbackId, Secret};
use super::config::Layer;
use super::event::HostEvent;
use super::json::Json;
use karta_protocol::{SessionInfo, TokenReply};

/// Milliseconds by a monotonic clock of unknown origin.
pub type Millis = u64;

/// Names one request, stream, peer or timer arming. Never reused, so a late answer is recognised and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub u32);

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Call page functions, each with a fresh object made from the event. What one throws is logged, never passed on.
    Call {
        callbacks: Vec<CallbackId>,
        event: HostEvent,
    },
    /// `console.warn("[karta] code: message")`.
    Warn {
        code: &'static str,
        message: String,
    },
    /// `console.error("[karta] code: message")`: mistakes with consequences, such as a secret key in the page.
    Complain {
        code: &'static str,
        message: String,
    },
    /// Answered by `Msg::HttpReplied`.
    Http(Box<HttpRequest>),
    /// Give up a request; no answer follows.
    CancelHttp(Id),
    /// Server-sent events by `fetch`. Answered by `Msg::StreamOpened`, `StreamFrame`…, `StreamClosed`.
    OpenStream {
        id: Id,
        url: String,
        token: Secret,
    },
    CloseStream(Id),
    /// New peer connection with a data channel of this label and a `sendrecv` audio section without a track.
    /// Answered by `Msg::PeerOffered`, or `PeerClosed` where WebRTC is missing or forbidden.
    OpenPeer {
        id: Id,
        ice_servers: Vec<IceServer>,
        channel: &'static str,
    },
    /// The server's answer, or the fragment that answers a restart. Then `Msg::ChannelOpened`, `ChannelFrame`… (an engine's: `EngineFrame`…), `PeerClosed`.
    AnswerPeer {
        id: Id,
        sdp: String,
    },
    SendFrame {
        id: Id,
        event: Json,
    },
    /// A frame as it is.
    SendText {
        id: Id,
        text: &'static str,
    },
    ClosePeer(Id),
    /// New ICE credentials on a connection whose path broke. Answered by `Msg::PeerOffered`.
    RestartPeer(Id),
    /// Ask the browser, and by it the visitor, for a microphone. Answered by `Msg::MicGranted` or `MicRefused`; then perhaps `MicHeld`, `MicEnded`.
    /// Which one it is, where there are several, is between browser and visitor: another that they choose takes its place under the same id, with the
    /// same answers.
    OpenMic(Id),
    /// Off at once, and so is the agent's voice: the browser's sign that something records goes out.
    CloseMic(Id),
    /// What the microphone hears goes to this peer, and what comes from there is played. Perhaps answered by `Msg::SoundBlocked`.
    Talk(Id),
    /// The microphone gives silence.
    MuteMic(bool),
    /// Nothing of the agent is heard, from this moment on.
    Hush(bool),
    /// Play what the browser did not let us play: the visitor has pressed something.
    Hear,
    /// Answered by `Msg::TimerFired`, once. Arming a timer that runs replaces it.
    SetTimer {
        timer: Timer,
        delay_ms: u64,
    },
    ClearTimer(Timer),
    /// Keep what must survive a reload. Fails silently into memory where storage is denied.
    Store {
        /// Public key: one record each.
        key: String,
        /// A [`Stored`] as text. None: removed.
        record: Option<String>,
    },
    /// Keep, where the page cannot read it, for the instance that follows should this one crash: it finds it in its `Boot`.
    HandOn(String),
    /// Bring the screen in line with the view model.
    Render,
    Focus(Focus),
    /// Spoken by screen readers without moving focus. Complete answers come this way too (as markdown text), so the message list itself
    /// need not be a live region that reads every streamed word.
    Announce(String),
    /// Remove the host element and every listener.
    Unmount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Send-again of the outbox and reconnect of streams.
    Reconnect,
    /// New attempt at WebRTC.
    Peer,
    /// The peer's attempt has taken too long.
    PeerDeadline,
    Ping,
    /// No pong came.
    PongDeadline,
    TokenRefresh,
    /// One second of a visible countdown.
    Countdown,
    /// Draw the launcher although no config came yet. Armed with no delay at boot: the calls that waited in the page have been made.
    ConfigDeadline,
    /// Config again after a failure.
    Config,
    /// Requests and streams that nobody answers.
    RequestDeadline,
    /// A second of a call.
    Call,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    Composer,
    Launcher,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceServer {
    pub url: String,
    pub username: String,
    pub credential: Secret,
}

/// What survives a reload: one small record per public key, kept as text ([`super::session::record`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Whose it is ([`super::session::owner`]).
    pub owner: String,
    pub visitor_id: Option<String>,
    pub session_id: Option<String>,
    /// Panel was open: it opens again after a navigation on the same site.
    pub open: bool,
    /// Highest seq that the visitor has seen, for the unread count.
    pub seen_seq: u64,
    /// Written but not yet acknowledged by the server: (client id, text).
    pub outbox: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct HttpRequest {
    pub id: Id,
    pub method: Method,
    /// Absolute, built by the engine from the configured base URL.
    pub url: String,
    pub token: Option<Secret>,
    pub body: Body,
    /// What a 2xx answer holds.
    pub expect: Expect,
    /// Must outlive the page (`fetch` keepalive).
    pub keepalive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    None,
    Json(Json),
    /// `application/sdp`.
    Sdp(String),
    /// `application/trickle-ice-sdpfrag`, whatever the connection's `ETag` is by now.
    Fragment(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Config,
    Token,
    Session,
    /// SDP text, perhaps with a `Location` header.
    Answer,
    /// Nothing that matters.
    Nothing,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Config(Box<Layer>),
    Token(TokenReply),
    /// With the `Link` header, which names STUN and TURN servers ([`super::session::ice`]).
    Session(SessionInfo, Secret),
    Answer {
        sdp: String,
        location: String,
        link: Secret,
    },
    Nothing,
}

/// A request that did not give a 2xx.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// 0: no answer at all (network, CORS, aborted), or one that could not be read.
    pub status: u16,
    /// The server's error code, or empty.
    pub code: String,
    pub message: String,
    pub retry_after_seconds: Option<u32>,
}
