//! A question to the visitor in the middle of a turn: may this tool act? Whoever asks or decides holds the session's gate, so the log and
//! this agree at every moment.

use super::Inner;
use super::hub::{Gate, Hub};
use super::words;
use crate::agent::{Outcome, ToolUse};
use crate::error::Fault;
use crate::store::StoreError;
use karta_protocol::{Accepted, ErrorCode};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A visitor who has not decided by then is not looking; nothing happens without them.
pub const PATIENCE_MS: u64 = 300_000;

/// Of one session; at most one waits, because there is one turn at a time.
#[derive(Default)]
pub struct Asking {
    last: Mutex<Option<Question>>,
}

struct Question {
    what: ToolUse,
    decided: Option<bool>,
    tell: Option<oneshot::Sender<bool>>,
}

impl Asking {
    /// Resolves with the decision.
    pub fn ask(&self, what: ToolUse) -> oneshot::Receiver<bool> {
        let (tell, told) = oneshot::channel();
        *self.last() = Some(Question {
            what,
            decided: None,
            tell: Some(tell),
        });
        told
    }

    /// What waits for a decision.
    pub fn open(&self) -> Option<ToolUse> {
        let last = self.last();
        let open = last.as_ref().filter(|last| last.decided.is_none());
        open.map(|open| open.what.clone())
    }

    /// The turn is over: nothing waits any more.
    pub fn close(&self) {
        let mut last = self.last();
        if last.as_ref().is_some_and(|last| last.decided.is_none()) {
            *last = None;
        }
    }

    fn decided(&self, id: &str) -> Option<bool> {
        let last = self.last();
        let last = last.as_ref().filter(|last| last.what.id == id);
        last.and_then(|last| last.decided)
    }

    fn settle(&self, granted: bool) {
        if let Some(last) = self.last().as_mut() {
            last.decided = Some(granted);
            if let Some(tell) = last.tell.take() {
                // A turn that was stopped meanwhile does not listen any more.
                let _ = tell.send(granted);
            }
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Question>> {
        // Nothing in here can panic half-way through a change.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The visitor's decision. Saying the same again is harmless.
pub async fn decide(
    inner: &Inner,
    hub: &Hub,
    id: &str,
    gate: &mut Gate,
    use_id: &str,
    granted: bool,
) -> Result<Accepted, Fault> {
    match hub.asking.open().filter(|open| open.id == use_id) {
        Some(open) => {
            settle(inner, hub, id, gate, &open, granted).await?;
            Ok(Accepted::default())
        }
        None if hub.asking.decided(use_id) == Some(granted) => Ok(Accepted::default()),
        None => Err(Fault::refused(
            ErrorCode::RequestInvalid,
            "No tool of this session waits for that confirmation: it was decided, or its time is over.",
        )),
    }
}

/// Whatever waits is declined: the visitor went on without it.
pub async fn decline(
    inner: &Inner,
    hub: &Hub,
    id: &str,
    gate: &mut Gate,
) -> Result<(), StoreError> {
    match hub.asking.open() {
        Some(open) => settle(inner, hub, id, gate, &open, false).await,
        None => Ok(()),
    }
}

/// In the log first: from there on it is so, whatever becomes of this process.
async fn settle(
    inner: &Inner,
    hub: &Hub,
    id: &str,
    gate: &mut Gate,
    open: &ToolUse,
    granted: bool,
) -> Result<(), StoreError> {
    let event = match granted {
        true => words::tool_use(open, words::RUNNING),
        false => words::tool_result(open, Outcome::Declined),
    };
    hub.commit(&*inner.store, id, gate, &[event]).await?;
    hub.asking.settle(granted);
    Ok(())
}
