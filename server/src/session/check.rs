//! Client events, checked: raw [`ClientEvent`] → [`Order`], or a refusal that names the fix. Pure.

use crate::error::Fault;
use karta_protocol::{ClientEvent, ErrorCode, EventType, MESSAGE_MAX_BYTES, SessionEvent, client};

/// What a client event asks for, valid by construction.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    Message {
        id: String,
        text: String,
    },
    /// Said aloud, and recognised on the server.
    Said {
        id: String,
        text: String,
    },
    /// Said in a handed call, as the visitor's browser reports it: the event that goes into the log.
    Reported(Box<SessionEvent>),
    Interrupt,
    Retry,
    Feedback {
        part_id: String,
        rating: &'static str,
    },
    /// Of the tool's use with this id.
    Decide {
        id: String,
        granted: bool,
    },
}

const ID_MAX: usize = 64;

pub fn order(event: ClientEvent) -> Result<Order, Fault> {
    match event.kind.as_str() {
        client::MESSAGE => Ok(Order::Message {
            id: id("id", event.id)?,
            text: text(event.text)?,
        }),
        client::CALL_SAID => reported(event).map(|event| Order::Reported(Box::new(event))),
        client::INTERRUPT => Ok(Order::Interrupt),
        client::RETRY => Ok(Order::Retry),
        client::FEEDBACK => Ok(Order::Feedback {
            part_id: id("part_id", event.part_id)?,
            rating: match event.rating.as_deref() {
                Some("up") => "up",
                Some("down") => "down",
                Some(_) | None => return Err(invalid("`rating` must be \"up\" or \"down\".")),
            },
        }),
        client::TOOL_CONFIRMATION => Ok(Order::Decide {
            id: id("request_id", event.request_id)?,
            granted: match event.decision.as_deref() {
                Some("allow") => true,
                Some("deny") => false,
                Some(_) | None => return Err(invalid("`decision` must be \"allow\" or \"deny\".")),
            },
        }),
        client::VOICE_START | client::VOICE_END | client::VOICE_MUTE | client::VOICE_UNMUTE => {
            Err(invalid(
                "A call belongs to its connection: send voice events through its data channel.",
            ))
        }
        "" => Err(invalid(
            "`type` is missing; for a message it is \"user.message\".",
        )),
        _ => Err(invalid(
            "Unknown `type`. Use user.message, user.interrupt, user.retry, user.tool_confirmation or user.feedback.",
        )),
    }
}

fn reported(event: ClientEvent) -> Result<SessionEvent, Fault> {
    let id = Some(id("id", event.id)?);
    let text = Some(text(event.text)?);
    match event.role.as_deref() {
        Some("user") => Ok(SessionEvent {
            kind: EventType::UserTranscript,
            id,
            text,
            ..SessionEvent::default()
        }),
        Some("agent") => Ok(SessionEvent {
            kind: EventType::AgentMessage,
            part_id: id,
            text,
            interrupted: event.interrupted,
            ..SessionEvent::default()
        }),
        Some(_) | None => Err(invalid("`role` must be \"user\" or \"agent\".")),
    }
}

/// What was recognised of what the visitor said.
pub fn said(utterance: &str, words: &str) -> Result<Order, Fault> {
    Ok(Order::Said {
        id: id("id", Some(utterance.to_owned()))?,
        text: text(Some(words.to_owned()))?,
    })
}

fn id(field: &str, id: Option<String>) -> Result<String, Fault> {
    let id = id.unwrap_or_default();
    let fits = (1..=ID_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if fits {
        Ok(id)
    } else {
        Err(invalid(format!(
            "`{field}` must be 1 to {ID_MAX} characters of A-Z, a-z, 0-9, _ and -."
        )))
    }
}

fn text(text: Option<String>) -> Result<String, Fault> {
    let text = text.unwrap_or_default();
    if text.len() > MESSAGE_MAX_BYTES {
        return Err(Fault::refused(
            ErrorCode::PayloadTooLarge,
            format!("`text` is longer than {MESSAGE_MAX_BYTES} bytes. Send it in parts."),
        ));
    }
    // NUL ends strings in too many of the systems that a message may travel to.
    let text = text.replace('\0', "");
    let text = text.trim();
    if text.is_empty() {
        return Err(invalid("`text` is empty."));
    }
    Ok(text.to_owned())
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::refused(ErrorCode::RequestInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, text: &str) -> ClientEvent {
        ClientEvent {
            kind: client::MESSAGE.into(),
            id: Some(id.into()),
            text: Some(text.into()),
            ..ClientEvent::default()
        }
    }

    fn check(event: ClientEvent, expected: Result<Order, ErrorCode>) {
        assert_eq!(
            order(event.clone()).map_err(|f| f.code()),
            expected,
            "{event:?}"
        );
    }

    #[test]
    fn messages_need_an_id_and_some_text() {
        let ok = |text: &str| {
            Ok(Order::Message {
                id: "m-1_A".into(),
                text: text.into(),
            })
        };
        check(message("m-1_A", "Hello"), ok("Hello"));
        check(message("m-1_A", " \u{0}Hello\u{0}\n"), ok("Hello"));
        check(
            message("m-1_A", &"x".repeat(MESSAGE_MAX_BYTES)),
            ok(&"x".repeat(MESSAGE_MAX_BYTES)),
        );
        check(
            message("m-1_A", &"x".repeat(MESSAGE_MAX_BYTES + 1)),
            Err(ErrorCode::PayloadTooLarge),
        );
        for (id, text) in [
            ("", "Hello"),
            ("a b", "Hello"),
            ("ä", "Hello"),
            (&"x".repeat(65), "Hello"),
            ("m", " \n\0 "),
        ] {
            check(message(id, text), Err(ErrorCode::RequestInvalid));
        }
        check(
            ClientEvent {
                id: None,
                ..message("m", "Hello")
            },
            Err(ErrorCode::RequestInvalid),
        );
        check(
            ClientEvent {
                text: None,
                ..message("m", "Hello")
            },
            Err(ErrorCode::RequestInvalid),
        );
    }

    #[test]
    fn unknown_types_are_refused() {
        for kind in ["", "user.shout", "hello", "ping", "session.error", "\u{0}"] {
            check(
                ClientEvent {
                    kind: kind.into(),
                    ..message("m", "Hello")
                },
                Err(ErrorCode::RequestInvalid),
            );
        }
    }

    #[test]
    fn what_was_said_in_a_call_names_who_said_it() {
        let said = |role: Option<&str>| ClientEvent {
            kind: client::CALL_SAID.into(),
            role: role.map(str::to_owned),
            interrupted: true,
            ..message("a-1", "Hello")
        };
        check(
            said(Some("user")),
            Ok(Order::Reported(Box::new(SessionEvent {
                kind: EventType::UserTranscript,
                id: Some("a-1".into()),
                text: Some("Hello".into()),
                ..SessionEvent::default()
            }))),
        );
        check(
            said(Some("agent")),
            Ok(Order::Reported(Box::new(SessionEvent {
                kind: EventType::AgentMessage,
                part_id: Some("a-1".into()),
                text: Some("Hello".into()),
                interrupted: true,
                ..SessionEvent::default()
            }))),
        );
        for role in [None, Some("system"), Some("")] {
            check(said(role), Err(ErrorCode::RequestInvalid));
        }
        let empty = ClientEvent {
            text: Some(" ".into()),
            ..said(Some("user"))
        };
        check(empty, Err(ErrorCode::RequestInvalid));
    }

    #[test]
    fn feedback_is_up_or_down() {
        let feedback = |rating: &str| ClientEvent {
            kind: client::FEEDBACK.into(),
            part_id: Some("p_1".into()),
            rating: Some(rating.into()),
            ..ClientEvent::default()
        };
        check(
            feedback("up"),
            Ok(Order::Feedback {
                part_id: "p_1".into(),
                rating: "up",
            }),
        );
        check(feedback("sideways"), Err(ErrorCode::RequestInvalid));
    }
}
