//! Turns: what a client event does to a session, and the answer that follows ([`run`]). One turn at a time; what is asked meanwhile waits
//! for the next, which takes all of it. What it may cost is [`cost`]'s.

use super::check::Order;
use super::hub::{Gate, Hub};
use super::wait::{self, Waiting};
use super::words::{idle, running};
use super::{Inner, Sender, asking, caps, handed, history};
use crate::error::Fault;
use crate::store::{Appended, Over, SessionRecord, StoreError, WidgetKey};
use cost::{Next, at_most};
use karta_protocol::{Accepted, ErrorCode, EventType, SessionEvent, StopReason};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

mod cost;
mod part;
mod run;

pub async fn carry_out(
    inner: &Arc<Inner>,
    hub: &Arc<Hub>,
    order: Order,
    sender: &Sender,
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
            let message = SessionEvent {
                kind: EventType::UserMessage,
                id: Some(client_id),
                text: Some(text),
                ..SessionEvent::default()
            };
            if hub.handing.runs() {
                return handed::note(inner, hub, record, &mut gate, message, sender).await;
            }
            say(inner, hub, record, &mut gate, message, sender).await
        }
        Order::Reported(event) => {
            hub.handing.admit(&event)?;
            handed::note(inner, hub, record, &mut gate, *event, sender).await
        }
        Order::Said { id, text } => {
            let transcript = SessionEvent {
                kind: EventType::UserTranscript,
                id: Some(id),
                text: Some(text),
                ..SessionEvent::default()
            };
            say(inner, hub, record, &mut gate, transcript, sender).await
        }
        Order::Interrupt => {
            if let Some(turn) = &gate.running {
                turn.cancel();
            } else if gate.waiting.is_some() {
                // The visitor thought better of it: like a turn that was stopped before its first word.
                let events = [running(), idle(StopReason::Interrupted)];
                hub.commit(&*inner.store, id, &mut gate, &events).await?;
            }
            Ok(Accepted::default())
        }
        Order::Retry => {
            // While a turn runs, or when nothing is left to answer, there is nothing to do: pressing twice is harmless.
            // What was typed in a call is its engine's to answer, as long as there is one.
            let free = gate.running.is_none() && !hub.handing.runs();
            if free && unanswered(inner, id, hub).await? {
                let now_ms = inner.clock.now_ms();
                let key = key_of(inner, record, sender).await?;
                let most = at_most(inner, hub, record, &gate, &key.caps, Next::Turn(None)).await?;
                let charge = caps::retry(&key, most, now_ms);
                let events = [running()];
                let appended = hub.commit_charged(&*inner.store, id, &mut gate, &events, charge);
                if let Appended::Over(over) = appended.await? {
                    return Err(refuse(inner, hub, record, &mut gate, &over, now_ms).await);
                }
                start(inner, hub, record, &mut gate);
            }
            Ok(Accepted::default())
        }
        Order::Decide { id: of, granted } => {
            asking::decide(inner, hub, id, &mut gate, &of, granted).await
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

/// Commits what the visitor says, and lets the turn begin that answers it: at once, or after the agent's response delay.
async fn say(
    inner: &Arc<Inner>,
    hub: &Arc<Hub>,
    record: &SessionRecord,
    gate: &mut Gate,
    said: SessionEvent,
    sender: &Sender,
) -> Result<Accepted, Fault> {
    let now_ms = inner.clock.now_ms();
    let key = key_of(inner, record, sender).await?;
    let opens_turn = gate.asked_seq <= gate.turn_seq;
    let address = sender.address.as_deref();
    let text = said.text.as_deref().unwrap_or_default();
    let next = match opens_turn {
        true => Next::Turn(Some(text)),
        false => Next::More(text),
    };
    let most = at_most(inner, hub, record, gate, &key.caps, next).await?;
    let charge = caps::message(&key, &sender.who, address, opens_turn, most, now_ms);
    let before = gate.waiting;
    gate.waiting = Some(Waiting::and(before, now_ms));
    let now = gate.running.is_none() && wait::left_ms(inner, record, gate).await == 0;
    let mut events = vec![said];
    if now {
        events.push(running());
    }
    let id = &record.info.id;
    let appended = hub.commit_charged(&*inner.store, id, gate, &events, charge);
    match appended.await {
        Ok(Appended::New(events)) => {
            // Whoever writes instead of deciding has gone on. Should this not be stored, the question just stays open.
            if let Err(error) = asking::decline(inner, hub, id, gate).await {
                tracing::error!(session = id, %error, "cannot store that a tool is declined");
            }
            if now {
                start(inner, hub, record, gate);
            } else if gate.running.is_none() {
                wait::start(inner, hub, record, gate);
            }
            Ok(Accepted {
                seq: events.first().and_then(|event| event.seq),
            })
        }
        Ok(Appended::Repeat(seq)) => {
            gate.waiting = before;
            Ok(Accepted { seq: Some(seq) })
        }
        Ok(Appended::Over(over)) => {
            gate.waiting = before;
            Err(refuse(inner, hub, record, gate, &over, now_ms).await)
        }
        Err(error) => {
            gate.waiting = before;
            Err(error.into())
        }
    }
}

/// The key that pays: the one that the session was begun with, or, once that is gone, the caller's.
pub async fn key_of(
    inner: &Inner,
    record: &SessionRecord,
    sender: &Sender,
) -> Result<WidgetKey, Fault> {
    let store = &inner.store;
    let key = match store.key_by_id(&record.key_id).await? {
        None => store.key_by_id(&sender.who.key_id).await?,
        key => key,
    };
    key.ok_or_else(super::key_gone)
}

/// Says in the log, too, that a limit is reached, but not twice in a row: somebody who keeps trying must not fill it.
pub async fn refuse(
    inner: &Inner,
    hub: &Hub,
    record: &SessionRecord,
    gate: &mut Gate,
    over: &Over,
    now_ms: u64,
) -> Fault {
    let refusal = caps::refusal(over, now_ms);
    let id = &record.info.id;
    let said = async {
        let last_seq = hub.last_seq();
        let last = inner
            .store
            .events(id, last_seq.saturating_sub(1), 1)
            .await?;
        if last
            .last()
            .is_none_or(|e| e.kind != EventType::LimitReached)
        {
            let event = caps::event(&refusal);
            hub.commit(&*inner.store, id, gate, &[event]).await?;
        }
        Ok::<_, StoreError>(())
    };
    if let Err(error) = said.await {
        tracing::error!(session = id, %error, "cannot store that a limit is reached");
    }
    refusal
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
    tasks.spawn(async move { run::run(&inner, &hub, &record, turn_seq, interrupted).await });
}

async fn unanswered(inner: &Inner, id: &str, hub: &Hub) -> Result<bool, Fault> {
    let last_seq = hub.last_seq();
    let events = inner
        .store
        .events(id, last_seq.saturating_sub(history::WINDOW), usize::MAX)
        .await?;
    let conversation = history::read(&events);
    Ok(!conversation.questions.is_empty() || !conversation.waiting.is_empty())
}
