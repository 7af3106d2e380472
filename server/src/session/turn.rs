//! Turns: what a client event does to a session, and the answer that follows. One turn at a time; what is asked meanwhile waits
//! for the next, which takes all of it. A turn's end is one commit: the complete answer and `session.status_idle` together.

use super::caps::{Most, Spent};
use super::check::Order;
use super::hub::{Gate, Hub};
use super::wait::{self, Waiting};
use super::words::{End, idle, last_words, running};
use super::{Inner, Sender, caps, files, handed, history};
use crate::agent::{ANSWER_MAX_BYTES, AgentFailure, Answer, Attachment, Sink, Turn, tokens_in};
use crate::error::Fault;
use crate::money::Prices;
use crate::store::{Agent, Appended, Caps, Over, SessionRecord, StoreError, WidgetKey, new_id};
use futures::FutureExt as _;
use karta_protocol::{Accepted, ErrorCode, EventType, SessionEvent, StopReason, Usage};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Waits between tries to commit a turn's end, doubling from the first to the last.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

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
            handed::report(inner, hub, record, &mut gate, *event, sender).await
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
    tasks.spawn(async move { run(&inner, &hub, &record, turn_seq, interrupted).await });
}

/// What is about to cost something.
enum Next<'a> {
    /// A whole turn, with what is said now.
    Turn(Option<&'a str>),
    /// More words for the one that waits.
    More(&'a str),
}

/// The most that it may cost. Looked at only where a cap asks.
async fn at_most(
    inner: &Inner,
    hub: &Hub,
    record: &SessionRecord,
    gate: &Gate,
    caps: &Caps,
    next: Next<'_>,
) -> Result<Most, Fault> {
    if !caps.bounds_cost() {
        return Ok(Most {
            micros: Some(0),
            ..Most::default()
        });
    }
    let agent = inner.store.agent(&record.agent_id).await?;
    let agent = agent.unwrap_or_default();
    let prices = agent.prices();
    let Ok(runtime) = inner.runtimes.of(&agent) else {
        // The turn will fail before it costs anything.
        return Ok(Most {
            micros: Some(0),
            ..Most::default()
        });
    };
    let free = runtime.at_most(&Turn::default(), 0) == Usage::default();
    if caps.bounds_spend() && prices.is_none() && !free {
        let agent = &agent.id;
        tracing::error!(
            agent,
            "a key has a cap in money, but nobody has said what this agent's model costs: set its input and output price"
        );
    }
    let usage = match next {
        Next::More(text) if !free => Usage {
            input_tokens: text.len() as u64,
            output_tokens: 0,
        },
        Next::More(_) => Usage::default(),
        Next::Turn(said) => {
            let turn = turn_ahead(inner, hub, record, agent, said).await?;
            let unwritten = gate.running.as_ref().map_or(0, |_| ANSWER_MAX_BYTES);
            runtime.at_most(&turn, unwritten)
        }
    };
    let cost = |p: Prices| p.cost_micros(usage.input_tokens, usage.output_tokens);
    Ok(Most {
        tokens: usage.input_tokens.saturating_add(usage.output_tokens),
        micros: match free {
            true => Some(0),
            false => prices.map(cost),
        },
    })
}

/// The next turn, as far as the log tells. What files say is not read for this.
async fn turn_ahead(
    inner: &Inner,
    hub: &Hub,
    record: &SessionRecord,
    agent: Agent,
    said: Option<&str>,
) -> Result<Turn, Fault> {
    let after = hub.last_seq().saturating_sub(history::WINDOW);
    let id = &record.info.id;
    let conversation = history::read(&inner.store.events(id, after, usize::MAX).await?);
    let mut questions = conversation.questions;
    questions.extend(conversation.waiting);
    questions.extend(said.map(str::to_owned));
    let attachment = |file: history::Sent| Attachment {
        name: file.name,
        media_type: file.media_type,
        ..Attachment::default()
    };
    Ok(Turn {
        agent,
        history: conversation.lines,
        questions,
        files: conversation.files.into_iter().map(attachment).collect(),
    })
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

async fn run(
    inner: &Arc<Inner>,
    hub: &Arc<Hub>,
    record: &SessionRecord,
    mut turn_seq: u64,
    mut interrupted: CancellationToken,
) {
    loop {
        let from_ms = inner.clock.now_ms();
        let sink = PartSink {
            hub,
            part_id: new_id("p"),
            spent: Mutex::default(),
            prices: OnceLock::new(),
        };
        let answer = async {
            let answer = AssertUnwindSafe(answer(inner, record, turn_seq, &sink));
            let answer = answer.catch_unwind().await;
            if matches!(answer, Ok(Ok(_))) {
                // A server that stops keeps the answer as it was written.
                tokio::select! {
                    () = hub.voice.heard_out(&sink.part_id, hub.written().len()) => {}
                    () = inner.closing.cancelled() => {}
                }
            }
            answer
        };
        let end = tokio::select! {
            biased;
            () = inner.halted.cancelled() => return,
            () = interrupted.cancelled() => {
                if let Some(heard) = hub.voice.heard_of(&sink.part_id) {
                    hub.keep(&sink.part_id, heard);
                }
                End::Interrupted
            }
            () = hub.voice.cut(&sink.part_id) => {
                hub.keep(&sink.part_id, hub.voice.heard_of(&sink.part_id).unwrap_or(usize::MAX));
                End::Interrupted
            }
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
        match finish(inner, hub, record, &sink, from_ms, end).await {
            Some(next) => (turn_seq, interrupted) = next,
            None => return,
        }
    }
}

async fn answer(
    inner: &Inner,
    record: &SessionRecord,
    turn_seq: u64,
    sink: &PartSink<'_>,
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
    // As they are when the turn begins: first come, first kept.
    let _ = sink.prices.set(agent.prices());
    let turn = Turn {
        agent,
        history: conversation.lines,
        questions: conversation.questions,
        files: files::attachments(inner, &record.info.id, conversation.files).await,
    };
    runtime.answer(turn, sink).await
}

struct PartSink<'a> {
    hub: &'a Hub,
    part_id: String,
    spent: Mutex<Usage>,
    prices: OnceLock<Option<Prices>>,
}

impl Sink for PartSink<'_> {
    fn text(&self, piece: &str) {
        self.hub.write(&self.part_id, piece);
    }

    fn thinking(&self) {
        self.hub.think(&self.part_id);
    }

    fn spent(&self, usage: Usage) {
        // Copied whole: nothing can panic half-way.
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner) = usage;
    }
}

impl PartSink<'_> {
    /// What the turn cost. A provider that did not come to say so (an interruption, a failure) is paid by what was sent and written.
    fn usage(&self, end: &End, text: &str) -> Usage {
        if let End::Complete(Answer {
            usage: Some(usage), ..
        }) = end
        {
            return *usage;
        }
        let spent = *self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent == Usage::default() {
            return spent;
        }
        Usage {
            output_tokens: spent.output_tokens.max(tokens_in(text)),
            ..spent
        }
    }
}

/// What stays held back at a turn's end for the one that waits. Where nobody can tell, nothing: the message that waits was let in.
async fn ahead(inner: &Inner, hub: &Hub, record: &SessionRecord, gate: &Gate) -> Most {
    let key = inner.store.key_by_id(&record.key_id).await;
    let Ok(Some(key)) = key else {
        return Most::default();
    };
    let next = at_most(inner, hub, record, gate, &key.caps, Next::Turn(None)).await;
    next.unwrap_or_default()
}

/// Commits the turn's end, trying until it is written or the server stops. Some: questions waited, and their turn has begun.
async fn finish(
    inner: &Arc<Inner>,
    hub: &Arc<Hub>,
    record: &SessionRecord,
    sink: &PartSink<'_>,
    from_ms: u64,
    end: End,
) -> Option<(u64, CancellationToken)> {
    let id = &record.info.id;
    let text = hub.written();
    let failed = matches!(end, End::Failed(_));
    let spent = Spent {
        usage: sink.usage(&end, &text),
        prices: sink.prices.get().copied().flatten(),
    };
    let lasted_ms = inner.clock.now_ms().saturating_sub(from_ms);
    inner.turn_seconds.observe(lasted_ms as f64 / 1_000.0);
    let last_words = last_words(id, &sink.part_id, &text, end);
    let mut wait = FIRST_RETRY;
    loop {
        let mut gate = hub.gate.lock().await;
        let mut events = last_words.clone();
        // While stopping, what waits is left to the next start.
        let waits = gate.asked_seq > gate.turn_seq && !inner.closing.is_cancelled();
        let next = waits && wait::left_ms(inner, record, &gate).await == 0;
        if next {
            events.push(running());
        }
        let ahead = match waits {
            true => ahead(inner, hub, record, &gate).await,
            false => Most::default(),
        };
        let now_ms = inner.clock.now_ms();
        let charge = caps::turn_end(&record.key_id, spent, ahead, from_ms, now_ms);
        let appended = hub.commit_charged(&*inner.store, id, &mut gate, &events, charge);
        match appended.await {
            Ok(_) => {
                if failed && !text.is_empty() {
                    hub.drop_part();
                }
                gate.running = next.then(CancellationToken::new);
                if waits && !next {
                    wait::start(inner, hub, record, &mut gate);
                }
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
