//! JSON to wire types and back. Reading is the page's own parser and one line a field: serde's derived readers were 16 kB of the bundle
//! (brotli), for seven flat structs. Writing is serde-wasm-bindgen. A test holds the readers to what serde reads (tests/browser.rs).
//!
//! A reader never fails on a field: what is missing or of another type is absent, as an older widget must bear a newer server.

use super::host::{get, get_text};
use super::raw;
use crate::engine::command::Secret;
use crate::engine::effect::{Expect, Failure, Reply};
use crate::engine::json::Json;
use js_sys::{Array, JSON};
use karta_protocol::{EventType, SessionEvent, SessionInfo, SessionStatus, Source, TokenReply};
use serde::Serialize;
use wasm_bindgen::JsValue;

/// A fresh plain object.
pub fn value(json: &Json) -> JsValue {
    json.serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .unwrap_or_default()
}

pub fn write(json: &Json) -> String {
    JSON::stringify(&value(json))
        .ok()
        .map(String::from)
        .unwrap_or_default()
}

/// An object from JSON text. None: anything else.
pub fn object(text: &str) -> Option<JsValue> {
    JSON::parse(text).ok().filter(JsValue::is_object)
}

/// None: not an answer of the expected kind.
pub fn reply(object: &JsValue, expect: Expect) -> Option<Reply> {
    Some(match expect {
        Expect::Config => Reply::Config(Box::new(raw::config(object)?)),
        Expect::Token => Reply::Token(TokenReply {
            token: get_text(object, "token")?,
            expires_in: whole(object, "expires_in")? as u32,
            visitor_id: get_text(object, "visitor_id"),
            user_id: get_text(object, "user_id"),
        }),
        Expect::Session => Reply::Session(session(object)?, Secret::default()),
        Expect::Answer | Expect::Nothing => Reply::Nothing,
    })
}

pub fn event(object: &JsValue) -> SessionEvent {
    SessionEvent {
        kind: kind(&get_text(object, "type").unwrap_or_default()),
        seq: whole(object, "seq"),
        at_ms: whole(object, "at_ms"),
        id: get_text(object, "id"),
        part_id: get_text(object, "part_id"),
        offset: whole(object, "offset"),
        text: get(object, "text").and_then(|text| text.as_string()),
        delta: truth(object, "delta"),
        interrupted: truth(object, "interrupted"),
        sources: list(object, "sources")
            .iter()
            .map(|source| Source {
                title: get_text(&source, "title").unwrap_or_default(),
                url: get_text(&source, "url"),
            })
            .collect(),
        offer_person: truth(object, "offer_person"),
        handed: truth(object, "handed"),
        state: get_text(object, "state"),
        heard: whole(object, "heard"),
        // The widget shows what was said, and neither why the turn ended nor its bill.
        stop_reason: None,
        usage: None,
        code: get_text(object, "code"),
        message: get_text(object, "message"),
        retry_after_seconds: whole(object, "retry_after_seconds").map(|seconds| seconds as u32),
        // Files are not shown yet: their events pass as unknown ones.
        name: None,
        size: None,
        media_type: None,
    }
}

/// By their names on the wire.
const KINDS: [(&str, EventType); 15] = [
    ("user.message", EventType::UserMessage),
    ("user.transcript", EventType::UserTranscript),
    ("agent.message", EventType::AgentMessage),
    ("agent.thinking", EventType::AgentThinking),
    ("agent.tool_use", EventType::AgentToolUse),
    ("agent.tool_result", EventType::AgentToolResult),
    ("session.status_running", EventType::StatusRunning),
    ("session.status_idle", EventType::StatusIdle),
    ("session.error", EventType::SessionError),
    ("session.limit_reached", EventType::LimitReached),
    ("session.synced", EventType::Synced),
    ("voice.state", EventType::VoiceState),
    ("voice.cut", EventType::VoiceCut),
    ("pong", EventType::Pong),
    ("error", EventType::Error),
];

fn kind(name: &str) -> EventType {
    let known = KINDS.iter().find(|(known, _)| *known == name);
    known.map_or(EventType::Unknown, |(_, kind)| *kind)
}

/// Code, message and pause of an error body. The status is the caller's.
pub fn failure(error: &JsValue) -> Failure {
    Failure {
        status: 0,
        code: get_text(error, "code").unwrap_or_default(),
        message: get_text(error, "message").unwrap_or_default(),
        retry_after_seconds: whole(error, "retry_after_seconds").map(|seconds| seconds as u32),
    }
}

fn session(object: &JsValue) -> Option<SessionInfo> {
    Some(SessionInfo {
        id: get_text(object, "id")?,
        status: SessionStatus::Idle,
        last_seq: whole(object, "last_seq").unwrap_or(0),
        resumed: truth(object, "resumed"),
    })
}

fn whole(object: &JsValue, key: &str) -> Option<u64> {
    // Also turns NaN and negative numbers into 0.
    get(object, key)?.as_f64().map(|number| number as u64)
}

fn truth(object: &JsValue, key: &str) -> bool {
    get(object, key).is_some_and(|value| value.is_truthy())
}

fn list(object: &JsValue, key: &str) -> Array {
    get(object, key)
        .filter(Array::is_array)
        .map(|list| Array::from(&list))
        .unwrap_or_default()
}
