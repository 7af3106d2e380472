//! Every event name and payload promised to host pages (seed 003, `contract.md` 4). Frozen by a test.

/// Names a page can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventName {
    Ready,
    Open,
    Close,
    SessionStarted,
    MessageSent,
    MessageReceived,
    Unread,
    Escalate,
    Error,
    LimitReached,
    VoiceStarted,
    VoiceEnded,
    VoiceMuted,
    Transcript,
    Connection,
}

impl EventName {
    pub const ALL: [(EventName, &'static str); 15] = [
        (EventName::Ready, "ready"),
        (EventName::Open, "open"),
        (EventName::Close, "close"),
        (EventName::SessionStarted, "session:started"),
        (EventName::MessageSent, "message:sent"),
        (EventName::MessageReceived, "message:received"),
        (EventName::Unread, "unread"),
        (EventName::Escalate, "escalate"),
        (EventName::Error, "error"),
        (EventName::LimitReached, "limit_reached"),
        (EventName::VoiceStarted, "voice:started"),
        (EventName::VoiceEnded, "voice:ended"),
        (EventName::VoiceMuted, "voice:muted"),
        (EventName::Transcript, "transcript"),
        (EventName::Connection, "connection"),
    ];

    pub fn parse(name: &str) -> Option<EventName> {
        Self::ALL
            .iter()
            .find(|(_, text)| *text == name)
            .map(|(event, _)| *event)
    }
}

/// One event with its payload. The browser layer makes a fresh plain object of it for every subscriber.
#[derive(Clone, Debug, PartialEq)]
pub enum HostEvent {
    Ready,
    Open,
    Close,
    SessionStarted {
        session_id: String,
    },
    MessageSent {
        text: String,
    },
    MessageReceived {
        text: String,
    },
    Unread {
        count: u32,
    },
    Escalate {
        reason: Option<String>,
        /// The page's own entries.
        context: Vec<(String, String)>,
        session_id: Option<String>,
        transcript: Vec<TranscriptLine>,
    },
    Error {
        message: String,
        code: Option<String>,
    },
    LimitReached {
        message: String,
        code: Option<String>,
        retry_after_seconds: Option<u32>,
    },
    /// `connecting`, `connected` (HTTPS), `realtime` (data channel), `reconnecting`, `offline`.
    Connection {
        state: &'static str,
    },
}

/// One line of the recent conversation, given with `escalate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptLine {
    /// `user` or `agent`.
    pub role: &'static str,
    pub text: String,
}

impl HostEvent {
    pub fn name(&self) -> EventName {
        match self {
            HostEvent::Ready => EventName::Ready,
            HostEvent::Open => EventName::Open,
            HostEvent::Close => EventName::Close,
            HostEvent::SessionStarted { .. } => EventName::SessionStarted,
            HostEvent::MessageSent { .. } => EventName::MessageSent,
            HostEvent::MessageReceived { .. } => EventName::MessageReceived,
            HostEvent::Unread { .. } => EventName::Unread,
            HostEvent::Escalate { .. } => EventName::Escalate,
            HostEvent::Error { .. } => EventName::Error,
            HostEvent::LimitReached { .. } => EventName::LimitReached,
            HostEvent::Connection { .. } => EventName::Connection,
        }
    }
}
