//! What a running turn writes to: the part's text live, the log before and after a tool acts, and what all of it costs.

use super::super::hub::Hub;
use super::super::words::{self, End};
use super::super::{Inner, asking};
use crate::agent::{AgentFailure, Answer, Outcome, Sink, ToolUse, tokens_in};
use crate::money::Prices;
use crate::store::{SessionRecord, StoreError, new_id};
use async_trait::async_trait;
use karta_protocol::{EventType, SessionEvent, Usage};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;

/// How often a turn that asks looks at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub struct PartSink<'a> {
    inner: &'a Arc<Inner>,
    hub: &'a Hub,
    session: &'a str,
    pub part_id: String,
    spent: Mutex<Usage>,
    /// Of the agent, when the turn began.
    pub prices: OnceLock<Option<Prices>>,
    /// What a tool has begun to do, in its owner's words.
    acted: Mutex<Option<String>>,
    /// One of those who work. A turn that waits for a person lets another one in.
    permit: Mutex<Option<SemaphorePermit<'a>>>,
    /// The server stops while the visitor is being asked: the next start asks again.
    pub left: CancellationToken,
}

impl<'a> PartSink<'a> {
    pub fn new(inner: &'a Arc<Inner>, hub: &'a Hub, record: &'a SessionRecord) -> Self {
        PartSink {
            inner,
            hub,
            session: &record.info.id,
            part_id: new_id("p"),
            spent: Mutex::default(),
            prices: OnceLock::new(),
            acted: Mutex::default(),
            permit: Mutex::default(),
            left: CancellationToken::new(),
        }
    }

    /// Waits for a place among those who work.
    pub async fn work(&self) {
        // Never closed, so a permit always comes.
        let permit = self.inner.turns.acquire().await.ok();
        *lock(&self.permit) = permit;
    }

    pub fn acted(&self) -> Option<String> {
        lock(&self.acted).clone()
    }

    /// What a crash left of this turn. Err: a tool had begun to act, so it must not run again by itself. What only waited to be allowed has
    /// done nothing: it is declined, and the turn will ask again.
    /// `since`: what the log has after the turn's beginning.
    pub async fn take_up(&self, since: &[SessionEvent]) -> Result<(), AgentFailure> {
        let (acted, open) = tools_of(since);
        if let Some(title) = acted {
            *lock(&self.acted) = Some(title);
            return Err(AgentFailure::Broken(
                "the server ended after a tool had begun to act".into(),
            ));
        }
        if open.is_empty() {
            return Ok(());
        }
        let declined = |what: &ToolUse| words::tool_result(what, Outcome::Declined);
        let declined: Vec<_> = open.iter().map(declined).collect();
        self.log(&declined).await
    }

    /// What the turn cost. A provider that did not come to say so (an interruption, a failure) is paid by what was sent and written.
    pub fn usage(&self, end: &End, text: &str) -> Usage {
        if let End::Complete(Answer {
            usage: Some(usage), ..
        }) = end
        {
            return *usage;
        }
        let spent = *lock(&self.spent);
        if spent == Usage::default() {
            return spent;
        }
        Usage {
            output_tokens: spent.output_tokens.max(tokens_in(text)),
            ..spent
        }
    }

    async fn log(&self, events: &[SessionEvent]) -> Result<(), AgentFailure> {
        let mut gate = self.hub.gate.lock().await;
        let store = &*self.inner.store;
        let logged = self.hub.commit(store, self.session, &mut gate, events);
        logged.await.map(drop).map_err(broken)
    }

    /// The visitor's word. Silence is no.
    async fn confirmed(&self, what: &ToolUse) -> Result<bool, AgentFailure> {
        let mut decision = {
            let mut gate = self.hub.gate.lock().await;
            let store = &*self.inner.store;
            let asks = [words::tool_use(what, words::CONFIRM)];
            let logged = self.hub.commit(store, self.session, &mut gate, &asks);
            logged.await.map_err(broken)?;
            // Before the gate opens: from here on somebody may decide.
            self.hub.asking.ask(what.clone())
        };
        *lock(&self.permit) = None;
        let until_ms = self.inner.clock.now_ms() + asking::PATIENCE_MS;
        let granted = loop {
            tokio::select! {
                decision = &mut decision => break decision.unwrap_or(false),
                () = self.inner.closing.cancelled() => {
                    self.left.cancel();
                    std::future::pending().await
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if self.inner.clock.now_ms() >= until_ms {
                let mut gate = self.hub.gate.lock().await;
                let declined = asking::decline(self.inner, self.hub, self.session, &mut gate);
                declined.await.map_err(broken)?;
            }
        };
        self.work().await;
        Ok(granted)
    }
}

#[async_trait]
impl Sink for PartSink<'_> {
    fn text(&self, piece: &str) {
        self.hub.write(&self.part_id, piece);
    }

    fn thinking(&self) {
        self.hub.think(&self.part_id);
    }

    fn spent(&self, usage: Usage) {
        // Copied whole: nothing can panic half-way.
        *lock(&self.spent) = usage;
    }

    async fn may_act(&self, what: &ToolUse) -> Result<bool, AgentFailure> {
        if what.confirm {
            if !self.confirmed(what).await? {
                return Ok(false);
            }
        } else {
            self.log(&[words::tool_use(what, words::RUNNING)]).await?;
        }
        *lock(&self.acted) = Some(what.title.clone());
        Ok(true)
    }

    async fn acted(&self, what: &ToolUse, outcome: Outcome) -> Result<(), AgentFailure> {
        self.log(&[words::tool_result(what, outcome)]).await
    }
}

/// Of a turn's events: what has begun to act, and what still waits to be allowed.
fn tools_of(events: &[SessionEvent]) -> (Option<String>, Vec<ToolUse>) {
    let mut acted = None;
    let mut open: Vec<ToolUse> = Vec::new();
    for event in events {
        let id = event.id.as_deref().unwrap_or_default();
        match event.kind {
            EventType::AgentToolUse if event.state.as_deref() == Some(words::CONFIRM) => {
                open.push(ToolUse {
                    id: id.to_owned(),
                    name: event.name.clone().unwrap_or_default(),
                    title: event.message.clone().unwrap_or_default(),
                    ..ToolUse::default()
                });
            }
            EventType::AgentToolUse => acted = event.message.clone(),
            EventType::AgentToolResult => open.retain(|what| what.id != id),
            _ => {}
        }
    }
    (acted, open)
}

fn broken(error: StoreError) -> AgentFailure {
    AgentFailure::Broken(error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
