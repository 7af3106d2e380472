//! What the fake server says, and how its test reads what it was told.

use crate::engine::command::Secret;
use crate::engine::effect::{Body, Failure, HttpRequest, Reply};
use crate::engine::json::Json;
use karta_protocol::{ClientEvent, EventType, SessionEvent, SessionInfo, TokenReply};

pub fn token(token: &str) -> Reply {
    Reply::Token(TokenReply {
        token: token.into(),
        expires_in: 600,
        visitor_id: Some("v_1".into()),
        user_id: None,
    })
}

pub fn session_info(id: &str, last_seq: u64) -> Reply {
    let info = SessionInfo {
        id: id.into(),
        last_seq,
        ..SessionInfo::default()
    };
    Reply::Session(info, Secret::default())
}

pub fn accepted() -> Reply {
    Reply::Nothing
}

pub fn failure(status: u16, code: &str) -> Failure {
    Failure {
        status,
        code: code.into(),
        message: String::new(),
        retry_after_seconds: None,
    }
}

pub fn retry_after(status: u16, code: &str, seconds: u32) -> Failure {
    Failure {
        retry_after_seconds: Some(seconds),
        ..failure(status, code)
    }
}

pub fn network() -> Failure {
    Failure::default()
}

pub fn synced(seq: u64) -> SessionEvent {
    bare(EventType::Synced, seq)
}

pub fn bare(kind: EventType, seq: u64) -> SessionEvent {
    SessionEvent {
        kind,
        seq: Some(seq),
        ..SessionEvent::default()
    }
}

pub fn user(seq: u64, id: &str, text: &str) -> SessionEvent {
    SessionEvent {
        id: Some(id.into()),
        text: Some(text.into()),
        ..bare(EventType::UserMessage, seq)
    }
}

pub fn answer(seq: u64, text: &str) -> SessionEvent {
    SessionEvent {
        part_id: Some(format!("p{seq}")),
        text: Some(text.into()),
        ..bare(EventType::AgentMessage, seq)
    }
}

pub fn delta(part: &str, offset: u64, text: &str) -> SessionEvent {
    SessionEvent {
        kind: EventType::AgentMessage,
        delta: true,
        part_id: Some(part.into()),
        offset: Some(offset),
        text: Some(text.into()),
        ..SessionEvent::default()
    }
}

/// The client id of a posted or framed message.
pub fn client_id(event: &ClientEvent) -> String {
    event.id.clone().expect("a message has an id")
}

pub fn posted(request: &HttpRequest) -> ClientEvent {
    client_event(body(request))
}

pub fn body(request: &HttpRequest) -> &Json {
    match &request.body {
        Body::Json(json) => json,
        other => panic!("not JSON: {other:?}"),
    }
}

/// The body as the server reads it.
pub fn read<T: serde::de::DeserializeOwned>(json: &Json) -> T {
    let text = serde_json::to_string(json).expect("JSON can be written");
    serde_json::from_str(&text).expect("the server can read it")
}

pub fn client_event(json: &Json) -> ClientEvent {
    read(json)
}
