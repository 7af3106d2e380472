//! A reader of one session: first the log after its cursor, in pages; then the moment it joined; then live.

use super::Frame;
use super::hub::{Hub, Joined, frame};
use crate::store::Store;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Events read from the log at a time.
const PAGE: usize = 200;

/// A reader of one session. Dropping it unsubscribes.
pub struct Subscription {
    store: Arc<dyn Store>,
    /// Keeps the session's hub, and with it the live side, alive.
    hub: Arc<Hub>,
    replayed: u64,
    until: u64,
    ready: VecDeque<Frame>,
    now: Vec<Frame>,
    live: mpsc::Receiver<Frame>,
}

impl Subscription {
    pub(super) fn new(store: Arc<dyn Store>, hub: Arc<Hub>, after: u64) -> Self {
        // Joined before the log is read, and the log is read up to the moment of joining only: nothing falls between the two,
        // and nothing comes twice.
        let Joined {
            last_seq,
            now,
            live,
        } = hub.join();
        Self {
            store,
            hub,
            replayed: after,
            until: last_seq,
            ready: VecDeque::new(),
            now,
            live,
        }
    }

    /// The next frame; None when the session or the server ends, or when this reader fell so far behind that it must resubscribe.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.replayed < self.until {
                self.replay().await?;
            } else if !self.now.is_empty() {
                self.ready.extend(self.now.drain(..));
            } else {
                return self.live.recv().await;
            }
        }
    }

    async fn replay(&mut self) -> Option<()> {
        let id = &self.hub.record()?.info.id;
        let events = match self.store.events(id, self.replayed, PAGE).await {
            Ok(events) => events,
            Err(error) => {
                tracing::error!(session = id, %error, "cannot read the log for a subscriber");
                return None;
            }
        };
        let events = events.iter().filter(|event| event.seq <= Some(self.until));
        self.ready.extend(events.map(frame));
        // An empty page would mean a hole in the log; the reader must not turn in circles over it.
        self.replayed = match self.ready.back() {
            Some(frame) => frame.seq.unwrap_or(self.until),
            None => self.until,
        };
        Some(())
    }
}
