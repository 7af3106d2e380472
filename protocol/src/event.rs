//! Events of a session. One JSON object per event, the same on server-sent events, the data channel
//! and in `GET /sessions/{id}`, so a session can move between transports by its cursor alone.

use serde::{Deserialize, Serialize};

/// What a [`SessionEvent`] says. Unknown strings become [`EventType::Unknown`], so that an older widget
/// skips what a newer server adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventType {
    /// Durable: `id`, `text`.
    #[serde(rename = "user.message")]
    UserMessage,
    /// Durable: `id`, `text` of what the visitor said aloud. Streaming: `delta: true`, `id`, `offset: 0`, `text` as far as it is recognised.
    #[serde(rename = "user.transcript")]
    UserTranscript,
    /// Durable: a file that the visitor sent; `id` (the server's), `name`, `size`, `media_type`.
    #[serde(rename = "user.file")]
    UserFile,
    /// Durable and complete: `part_id`, `text`, perhaps `interrupted`, `sources`. Streaming: `delta: true`, `part_id`, `offset`, `text`.
    #[serde(rename = "agent.message")]
    AgentMessage,
    /// Streaming: the agent works, nothing to show yet.
    #[serde(rename = "agent.thinking")]
    AgentThinking,
    /// Durable: the agent uses a tool of its owner's; `id` (of this use), `name`, `message` (what it does, in the owner's words), `text` (its
    /// arguments, `name: value`, one a line) and `state`: `confirm`, it waits for `user.tool_confirmation`; `running`, it acts.
    #[serde(rename = "agent.tool_use")]
    AgentToolUse,
    /// Durable: the end of that use; `id`, `name`, `message`, and `state`: `done`, `failed` or `declined`. What the tool answered is not in the log.
    #[serde(rename = "agent.tool_result")]
    AgentToolResult,
    /// Durable: a turn began.
    #[serde(rename = "session.status_running")]
    StatusRunning,
    /// Durable: a turn ended; `stop_reason`, `usage`.
    #[serde(rename = "session.status_idle")]
    StatusIdle,
    /// Durable: a turn failed; `code`, `message`. The visitor may retry.
    #[serde(rename = "session.error")]
    SessionError,
    /// Durable: `code`, `message`, `retry_after_seconds`.
    #[serde(rename = "session.limit_reached")]
    LimitReached,
    /// Streaming: the replay is over, live from here; `seq` is the highest given and `part_id` the part that is being written, if one is.
    #[serde(rename = "session.synced")]
    Synced,
    /// Streaming: a call's `state`; with `ended` perhaps a `code` that says why. Of the server's own voice on its data channel only; of a
    /// handed call to every reader, `ended` only, with the call's `id`.
    #[serde(rename = "voice.state")]
    VoiceState,
    /// Streaming, data channel only: stop playing. The visitor spoke over `part_id` and heard its first `heard` bytes.
    #[serde(rename = "voice.cut")]
    VoiceCut,
    /// Streaming, data channel only: answer to `ping`.
    #[serde(rename = "pong")]
    Pong,
    /// Streaming, data channel only: a client event was refused; `id` (of the message), `code`, `message`, `retry_after_seconds`.
    #[serde(rename = "error")]
    Error,
    #[default]
    #[serde(other, rename = "unknown")]
    Unknown,
}

/// One event from server to widget. Flat: each type uses some of the fields (see [`EventType`]).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct SessionEvent {
    #[serde(rename = "type")]
    pub kind: EventType,
    /// Dense per session, from 1, on durable events. On `session.synced` the cursor reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When the server committed it, milliseconds since 1970 by the server's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    /// The client's own id of a user message, the server's id of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_id: Option<String>,
    /// Where `text` begins in the part, in UTF-8 bytes. With `delta`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub delta: bool,
    /// The answer was cut short by the visitor or by a crash.
    #[serde(skip_serializing_if = "is_false")]
    pub interrupted: bool,
    /// Where the answer comes from, to show under it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Belongs to a call that a realtime engine answers (`POST /sessions/{id}/call`), so no turn answers it. What was spoken in such a
    /// call is as the visitor's browser reported it.
    #[serde(skip_serializing_if = "is_false")]
    pub handed: bool,
    /// The agent does not know or was asked for a person: the widget offers `escalate`.
    #[serde(skip_serializing_if = "is_false")]
    pub offer_person: bool,
    /// `voice.state`: `listening`, `thinking`, `speaking`, `ended`. Of a tool: see its events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// `voice.cut`: how much of the part was heard, in UTF-8 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
    /// Of a file: as the visitor called it, cleaned. Of a tool: its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of a file, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Of a file, by its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// A document that an answer quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Source {
    pub title: String,
    /// http(s) only; the widget checks again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Why a turn ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    #[default]
    Complete,
    Interrupted,
    Error,
    Limit,
}

/// What a turn cost, as the model's provider counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// One event from widget to server: body of `POST /sessions/{id}/events`, and every frame on the data channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ClientEvent {
    /// One of the strings in [`client`]. A string, because refusing an unknown one with a clear error is the server's business.
    #[serde(rename = "type")]
    pub kind: String,
    /// `user.message`: chosen by the widget, 1–64 characters of `[A-Za-z0-9_-]`; makes sending again harmless.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `hello`: the cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// `user.feedback`: the part it is about, and `up` or `down`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<String>,
    /// `call.said`: `user` or `agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// `call.said`: the visitor spoke over it, and this much was heard.
    #[serde(skip_serializing_if = "is_false")]
    pub interrupted: bool,
    /// `user.tool_confirmation`: the `id` of the use, and `allow` or `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
}

/// The strings of [`ClientEvent::kind`].
pub mod client {
    pub const MESSAGE: &str = "user.message";
    pub const INTERRUPT: &str = "user.interrupt";
    /// Asks for another try after `session.error`.
    pub const RETRY: &str = "user.retry";
    pub const TOOL_CONFIRMATION: &str = "user.tool_confirmation";
    pub const FEEDBACK: &str = "user.feedback";
    /// Data channel only: the call begins; the agent hears the audio section and answers aloud.
    pub const VOICE_START: &str = "voice.start";
    /// Data channel only: the call ends; the session goes on as text.
    pub const VOICE_END: &str = "voice.end";
    /// Data channel only: nothing that comes is heard until `voice.unmute`.
    pub const VOICE_MUTE: &str = "voice.mute";
    pub const VOICE_UNMUTE: &str = "voice.unmute";
    /// What was finally said in a handed call: `id`, `role`, `text`, perhaps `interrupted`. Only while one of this session runs.
    pub const CALL_SAID: &str = "call.said";
    /// Data channel only: first frame, with `after`.
    pub const HELLO: &str = "hello";
    /// Data channel only.
    pub const PING: &str = "ping";
}
