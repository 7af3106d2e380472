//! Turns: what a client event does to a session, and the answer that follows. One turn at a time; what is asked meanwhile waits
//! for the next, which takes all of it. A turn's end is one commit: the complete answer and `session.status_idle` together.

use super::check::Order;
use super::hub::{Gate, Hub};
use super::{Inner, history};
use crate::agent::{AgentFailure, Answer, Sink, Turn};
use crate::error::Fault;
use crate::store::{Appended, SessionRecord, StoreError, new_id};
use futures::FutureExt as _;
use karta_protocol::{Accepted, ErrorCode, EventType, SessionEvent, StopReason};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Waits between tries to commit a turn's end, doubling from the first to the last.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

pub async fn carry_out(
    inner: &Arc<Inner>,
    hub: &Arc<Hub>,
    order: Order,
) -> Result<Accepted, Fault> {
    let Some(record) = hub.record() else {
        return Err(Fault::Internal("a hub that is not loaded".into()));
    };
    let id = &record.info.id;
    let mut gate = hub.gate.lock().await;
    match order {
        Order::Message {
            id: client_id,
            text,
        } => {
            let idle = gate.running.is_none();
            let mut events = vec![SessionEvent {
                kind: EventType::UserMessage,
                id: Some(client_id),
                text: Some(text),
                ..SessionEvent::default()
            }];
            if idle {
                events.push(running());
            }
            match hub.commit(&*inner.store, id, &mut gate, &events).await? {
                Appended::New(events) => {
                    if idle {
                        start(inner, hub, record, &mut gate);
                    }
                    Ok(Accepted {
                        seq: events.first().and_then(|event| event.seq),
                    })
                }
                Appended::Repeat(seq) => Ok(Accepted { seq: Some(seq) }),
            }
        }
        Order::Interrupt => {
            if let Some(turn) = &gate.running {
                turn.cancel();
            }
            Ok(Accepted::default())
        }
        Order::Retry => {
            // While a turn runs, or when nothing is left to answer, there is nothing to do: pressing twice is harmless.
            if gate.running.is_none() && unanswered(inner, id, &gate).await? {
                let events = [running()];
                hub.commit(&*inner.store, id, &mut gate, &events).await?;
                start(inner, hub, record, &mut gate);
            }
            Ok(Accepted::default())
        }
        Order::Feedback { part_id, rating } => {
            drop(gate);
            match inner.store.put_feedback(id, &part_id, rating).await? {
                true => Ok(Accepted::default()),
                false => Err(Fault::refused(
                    ErrorCode::RequestInvalid,
                    "This session has no complete answer with that `part_id`.",
                )),
            }
        }
    }
}

pub fn running() -> SessionEvent {
    SessionEvent {
        kind: EventType::StatusRunning,
        ..SessionEvent::default()
    }
}

/// Lets the turn run whose `session.status_running` is the gate's last.
pub fn start(inner: &Arc<Inner>, hub: &Arc<Hub>, record: &SessionRecord, gate: &mut Gate) {
    if inner.closing.is_cancelled() {
        // The log says that a turn runs, so the next start of the server runs it.
        return;
    }
    let interrupted = CancellationToken::new();
    gate.running = Some(interrupted.clone());
    // The record goes along: a hub that is being loaded does not show its own yet.
    let (inner, hub, record) = (inner.clone(), hub.clone(), record.clone());
    let (turn_seq, tasks) = (gate.turn_seq, inner.tasks.clone());
    tasks.spawn(async move { run(&inner, &hub, &record, turn_seq, interrupted).await });
}

async fn unanswered(inner: &Inner, id: &str, gate: &Gate) -> Result<bool, Fault> {
    let last_seq = gate.asked_seq.max(gate.turn_seq);
    let events = inner
        .store
        .events(id, last_seq.saturating_sub(history::WINDOW), usize::MAX)
        .await?;
    let conversation = history::read(&events);
    Ok(!conversation.questions.is_empty() || !conversation.waiting.is_empty())
}

enum End {
    Complete(Answer),
    Interrupted,
    Failed(AgentFailure),
}

async fn run(
    inner: &Arc<Inner>,
    hub: &Arc<Hub>,
    record: &SessionRecord,
    mut turn_seq: u64,
    mut interrupted: CancellationToken,
) {
    loop {
        let part_id = new_id("p");
        let answer =
            AssertUnwindSafe(answer(inner, hub, record, turn_seq, &part_id)).catch_unwind();
        let end = tokio::select! {
            biased;
            () = inner.halted.cancelled() => return,
            () = interrupted.cancelled() => End::Interrupted,
            result = answer => match result {
                Ok(Ok(_)) if hub.written().trim().is_empty() => {
                    End::Failed(AgentFailure::Broken("an empty answer".into()))
                }
                Ok(Ok(answer)) => End::Complete(answer),
                Ok(Err(failure)) => End::Failed(failure),
                // The panic hook has logged where.
                Err(_) => End::Failed(AgentFailure::Broken("the runtime panicked".into())),
            },
        };
        match finish(inner, hub, &record.info.id, &part_id, end).await {
            Some(next) => (turn_seq, interrupted) = next,
            None => return,
        }
    }
}

async fn answer(
    inner: &Inner,
    hub: &Hub,
    record: &SessionRecord,
    turn_seq: u64,
    part_id: &str,
) -> Result<Answer, AgentFailure> {
    // Never closed, so a permit always comes.
    let _permit = inner.turns.acquire().await;
    let broken = |error: crate::store::StoreError| AgentFailure::Broken(error.to_string());
    let after = turn_seq.saturating_sub(history::WINDOW);
    let count = usize::try_from(turn_seq - after).unwrap_or(usize::MAX);
    let agent_id = &record.agent_id;
    let (events, agent) = tokio::try_join!(
        inner.store.events(&record.info.id, after, count),
        inner.store.agent(agent_id)
    )
    .map_err(broken)?;
    let conversation = history::read(&events);
    let agent = agent.ok_or_else(|| {
        AgentFailure::Misconfigured(format!("the session's agent {agent_id} is gone"))
    })?;
    let runtime = inner.runtimes.of(&agent)?;
    let turn = Turn {
        agent,
        history: conversation.lines,
        questions: conversation.questions,
    };
    runtime.answer(turn, &PartSink { hub, part_id }).await
}

struct PartSink<'a> {
    hub: &'a Hub,
    part_id: &'a str,
}

impl Sink for PartSink<'_> {
    fn text(&self, piece: &str) {
        self.hub.write(self.part_id, piece);
    }

    fn thinking(&self) {
        self.hub.think(self.part_id);
    }
}

/// Commits the turn's end, trying until it is written or the server stops. Some: questions waited, and their turn has begun.
async fn finish(
    inner: &Inner,
    hub: &Hub,
    id: &str,
    part_id: &str,
    end: End,
) -> Option<(u64, CancellationToken)> {
    let text = hub.written();
    let failed = matches!(end, End::Failed(_));
    let last_words = last_words(id, part_id, &text, end);
    let mut wait = FIRST_RETRY;
    loop {
        let mut gate = hub.gate.lock().await;
        let mut events = last_words.clone();
        // While stopping, what waits is left to the next start.
        let next = gate.asked_seq > gate.turn_seq && !inner.closing.is_cancelled();
        if next {
            events.push(running());
        }
        match hub.commit(&*inner.store, id, &mut gate, &events).await {
            Ok(_) => {
                if failed && !text.is_empty() {
                    hub.drop_part();
                }
                gate.running = next.then(CancellationToken::new);
                return gate.running.clone().map(|token| (gate.turn_seq, token));
            }
            // The visitor was forgotten meanwhile; there is no log to end the turn in.
            Err(StoreError::NoSession) => {
                gate.running = None;
                return None;
            }
            Err(error) => tracing::error!(session = id, %error, "cannot store the end of a turn"),
        }
        drop(gate);
        tokio::select! {
            () = inner.halted.cancelled() => return None,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(LAST_RETRY),
        }
    }
}

fn last_words(id: &str, part_id: &str, text: &str, end: End) -> Vec<SessionEvent> {
    let message = SessionEvent {
        kind: EventType::AgentMessage,
        part_id: Some(part_id.to_owned()),
        text: Some(text.to_owned()),
        ..SessionEvent::default()
    };
    let idle = |stop_reason| SessionEvent {
        kind: EventType::StatusIdle,
        stop_reason: Some(stop_reason),
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
