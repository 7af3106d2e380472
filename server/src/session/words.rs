//! What a turn writes into the log: its beginning, and its end with everything that belongs to it. Pure.

use crate::agent::{AgentFailure, Answer};
use karta_protocol::{ErrorCode, EventType, SessionEvent, StopReason};

pub enum End {
    Complete(Answer),
    Interrupted,
    Failed(AgentFailure),
}

pub fn running() -> SessionEvent {
    SessionEvent {
        kind: EventType::StatusRunning,
        ..SessionEvent::default()
    }
}

pub fn idle(stop_reason: StopReason) -> SessionEvent {
    SessionEvent {
        kind: EventType::StatusIdle,
        stop_reason: Some(stop_reason),
        ..SessionEvent::default()
    }
}

pub fn last_words(id: &str, part_id: &str, text: &str, end: End) -> Vec<SessionEvent> {
    let message = SessionEvent {
        kind: EventType::AgentMessage,
        part_id: Some(part_id.to_owned()),
        text: Some(text.to_owned()),
        ..SessionEvent::default()
    };
    match end {
        End::Complete(answer) => vec![
            SessionEvent {
                sources: answer.sources,
                offer_person: answer.offer_person,
                ..message
            },
            SessionEvent {
                usage: answer.usage,
                ..idle(StopReason::Complete)
            },
        ],
        End::Interrupted if text.is_empty() => vec![idle(StopReason::Interrupted)],
        End::Interrupted => vec![
            SessionEvent {
                interrupted: true,
                ..message
            },
            idle(StopReason::Interrupted),
        ],
        End::Failed(failure) => {
            tracing::warn!(session = id, %failure, "the agent could not answer");
            vec![sorry(&failure), idle(StopReason::Error)]
        }
    }
}

/// What the visitor hears: what happened and what to do, nothing about providers.
fn sorry(failure: &AgentFailure) -> SessionEvent {
    let (message, retry_after_seconds) = match failure {
        AgentFailure::Busy {
            retry_after_seconds,
        } => (
            "Sorry, a lot of people are asking at once. Please try again in a moment.",
            *retry_after_seconds,
        ),
        AgentFailure::Unreachable(_) | AgentFailure::Broken(_) => (
            "Sorry, something went wrong while I was answering. Your message is safe; please try again.",
            None,
        ),
        AgentFailure::Misconfigured(_) => (
            "Sorry, I can't answer at the moment because of a problem on our side. Your message is safe; please try again later.",
            None,
        ),
    };
    SessionEvent {
        kind: EventType::SessionError,
        code: Some(ErrorCode::AgentFailed.as_str().into()),
        message: Some(message.into()),
        retry_after_seconds,
        ..SessionEvent::default()
    }
}
