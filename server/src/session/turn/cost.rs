//! The most that a turn may cost, before it begins: held back until its end. Looked at only where a cap asks.

use super::super::caps::Most;
use super::super::hub::{Gate, Hub};
use super::super::{Inner, history};
use crate::agent::{ANSWER_MAX_BYTES, Attachment, Turn};
use crate::error::Fault;
use crate::money::Prices;
use crate::store::{Agent, Caps, SessionRecord};
use karta_protocol::Usage;

/// What is about to cost something.
pub enum Next<'a> {
    /// A whole turn, with what is said now.
    Turn(Option<&'a str>),
    /// More words for the one that waits.
    More(&'a str),
}

/// The most that it may cost. Looked at only where a cap asks.
pub async fn at_most(
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
        session: id.clone(),
        user_id: None,
        history: conversation.lines,
        questions,
        files: conversation.files.into_iter().map(attachment).collect(),
    })
}

/// What stays held back at a turn's end for the one that waits. Where nobody can tell, nothing: the message that waits was let in.
pub async fn ahead(inner: &Inner, hub: &Hub, record: &SessionRecord, gate: &Gate) -> Most {
    let key = inner.store.key_by_id(&record.key_id).await;
    let Ok(Some(key)) = key else {
        return Most::default();
    };
    let next = at_most(inner, hub, record, gate, &key.caps, Next::Turn(None)).await;
    next.unwrap_or_default()
}
