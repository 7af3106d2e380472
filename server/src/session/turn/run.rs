//! A turn that runs: the answer, and its end, which is one commit: the complete answer and `session.status_idle` together.

use super::super::caps::{Most, Spent};
use super::super::hub::Hub;
use super::super::words::{End, last_words, running, tool_result};
use super::super::{Inner, caps, files, history, wait};
use super::cost;
use super::part::PartSink;
use crate::agent::{AgentFailure, Answer, Outcome, Turn};
use crate::auth::policy::Standing;
use crate::store::{SessionRecord, StoreError};
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Waits between tries to commit a turn's end, doubling from the first to the last.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

pub async fn run(
    inner: &Arc<Inner>,
    hub: &Arc<Hub>,
    record: &SessionRecord,
    mut turn_seq: u64,
    mut interrupted: CancellationToken,
) {
    loop {
        let from_ms = inner.clock.now_ms();
        let sink = PartSink::new(inner, hub, record);
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
            () = sink.left.cancelled() => return,
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
    sink.work().await;
    let broken = |error: crate::store::StoreError| AgentFailure::Broken(error.to_string());
    let after = turn_seq.saturating_sub(history::WINDOW);
    let agent_id = &record.agent_id;
    let (events, agent) = tokio::try_join!(
        inner.store.events(&record.info.id, after, usize::MAX),
        inner.store.agent(agent_id)
    )
    .map_err(broken)?;
    let (before, since) = events.split_at(events.partition_point(|e| e.seq <= Some(turn_seq)));
    sink.take_up(since).await?;
    let conversation = history::read(before);
    let agent = agent.ok_or_else(|| {
        AgentFailure::Misconfigured(format!("the session's agent {agent_id} is gone"))
    })?;
    let runtime = inner.runtimes.of(&agent)?;
    // As they are when the turn begins: first come, first kept.
    let _ = sink.prices.set(agent.prices());
    let user_id = match agent.tools.is_empty() {
        true => None,
        false => user_id(inner, record).await?,
    };
    let turn = Turn {
        agent,
        session: record.info.id.clone(),
        user_id,
        history: conversation.lines,
        questions: conversation.questions,
        files: files::attachments(inner, &record.info.id, conversation.files).await,
    };
    runtime.answer(turn, sink).await
}

/// Of a visitor who has proved who they are.
async fn user_id(inner: &Inner, record: &SessionRecord) -> Result<Option<String>, AgentFailure> {
    if Standing::of(&record.subject) != Standing::User {
        return Ok(None);
    }
    let user = inner.store.user(&record.account, &record.subject).await;
    let user = user.map_err(|error| AgentFailure::Broken(error.to_string()))?;
    Ok(user.map(|user| user.user_id))
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
    let acted = sink.acted();
    let last_words = last_words(id, &sink.part_id, &text, end, acted.as_deref());
    let mut wait = FIRST_RETRY;
    loop {
        let mut gate = hub.gate.lock().await;
        // A turn that was stopped while it asked has its answer.
        let asked = hub.asking.open();
        let declined = asked.map(|what| tool_result(&what, Outcome::Declined));
        let mut events: Vec<_> = declined.into_iter().collect();
        events.extend_from_slice(&last_words);
        // While stopping, what waits is left to the next start.
        let waits = gate.asked_seq > gate.turn_seq && !inner.closing.is_cancelled();
        let next = waits && wait::left_ms(inner, record, &gate).await == 0;
        if next {
            events.push(running());
        }
        let ahead = match waits {
            true => cost::ahead(inner, hub, record, &gate).await,
            false => Most::default(),
        };
        let now_ms = inner.clock.now_ms();
        let charge = caps::turn_end(&record.key_id, spent, ahead, from_ms, now_ms);
        let appended = hub.commit_charged(&*inner.store, id, &mut gate, &events, charge);
        match appended.await {
            Ok(_) => {
                hub.asking.close();
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
