//! What a turn writes into the log: its beginning, and its end with everything that belongs to it. Pure.

use crate::agent::{AgentFailure, Answer, Outcome, ToolUse};
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

/// [`tool_use`]'s states.
pub const CONFIRM: &str = "confirm";
pub const RUNNING: &str = "running";

pub fn tool_use(what: &ToolUse, state: &str) -> SessionEvent {
    SessionEvent {
        kind: EventType::AgentToolUse,
        id: Some(what.id.clone()),
        name: Some(what.name.clone()),
        message: Some(what.title.clone()),
        text: Some(what.shown.clone()),
        state: Some(state.to_owned()),
        ..SessionEvent::default()
    }
}

pub fn tool_result(what: &ToolUse, outcome: Outcome) -> SessionEvent {
    let state = match outcome {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Declined => "declined",
    };
    SessionEvent {
        kind: EventType::AgentToolResult,
        id: Some(what.id.clone()),
        name: Some(what.name.clone()),
        message: Some(what.title.clone()),
        state: Some(state.to_owned()),
        ..SessionEvent::default()
    }
}

/// `acted`: what a tool has begun to do in this turn, in the owner's words.
pub fn last_words(
    id: &str,
    part_id: &str,
    text: &str,
    end: End,
    acted: Option<&str>,
) -> Vec<SessionEvent> {
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
            let sorry = match acted {
                Some(title) => cut_after(title),
                None => sorry(&failure),
            };
            vec![sorry, idle(StopReason::Error)]
        }
    }
}

/// Trying again might do a second time what was done, so the visitor decides, knowing that.
fn cut_after(title: &str) -> SessionEvent {
    SessionEvent {
        kind: EventType::SessionError,
        code: Some(ErrorCode::AgentFailed.as_str().into()),
        message: Some(format!(
            "I was interrupted in the middle of my answer, after I had begun this for you: {title}. It may be done already. Please check that before you try again."
        )),
        interrupted: true,
        ..SessionEvent::default()
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
