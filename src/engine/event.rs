//! Every event name and payload promised to host pages (seed 003, `contract.md` 4). Frozen by a test.

use super::json::Json;

/// Names a page can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventName {
    Ready,
    Open,
    Close,
    /// `{sessionId}`
    SessionStarted,
    /// `{text}`
    MessageSent,
    /// `{text}`
    MessageReceived,
    /// `{count}`
    Unread,
    /// `{reason?, context: {…the page's own, sessionId?, transcript: [{role, text}]}}`
    Escalate,
    /// `{message, code?}`
    Error,
    /// `{message, code?, retryAfterSeconds?}`
    LimitReached,
    /// Nothing.
    VoiceStarted,
    /// `{reason}`: once for each call that was asked for, also where it never began.
    VoiceEnded,
    /// `{muted}`
    VoiceMuted,
    /// `{role, text, final}`: all of the line so far.
    Transcript,
    /// `{state}`: `connecting`, `connected` (HTTPS), `realtime` (data channel), `reconnecting`, `offline`.
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
pub struct HostEvent {
    pub name: EventName,
    pub payload: Json,
}
