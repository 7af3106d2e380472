//! Sessions: the event log, its fan-out to any number of readers, and the turn that answers.

use crate::error::Fault;
use karta_protocol::{Accepted, ClientEvent, EventsPage, SessionInfo};
use std::sync::Arc;

/// Who calls, as a checked session token says. Made by `auth` only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub account: String,
    pub key_id: String,
    pub agent_id: String,
    /// `v_…` or `u_…`.
    pub subject: String,
}

/// One event as it travels: serialised once, shared by every reader.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Some on durable events.
    pub seq: Option<u64>,
    pub json: Arc<str>,
}

/// All sessions of this process. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {}

impl Sessions {
    pub async fn create(
        &self,
        _who: &Principal,
        _resume: Option<&str>,
    ) -> Result<SessionInfo, Fault> {
        unimplemented!("owned by the core branch")
    }
    /// The caller's own, newest first.
    pub async fn list(&self, _who: &Principal) -> Result<Vec<SessionInfo>, Fault> {
        unimplemented!("owned by the core branch")
    }
    pub async fn page(
        &self,
        _who: &Principal,
        _id: &str,
        _after: u64,
    ) -> Result<EventsPage, Fault> {
        unimplemented!("owned by the core branch")
    }
    /// Checks and carries out a client event (message, interrupt, retry, feedback…). Returns after the commit.
    pub async fn submit(
        &self,
        _who: &Principal,
        _id: &str,
        _event: ClientEvent,
    ) -> Result<Accepted, Fault> {
        unimplemented!("owned by the core branch")
    }
    /// Everything after the cursor, then the running part, then `session.synced`, then live.
    pub async fn subscribe(
        &self,
        _who: &Principal,
        _id: &str,
        _after: u64,
    ) -> Result<Subscription, Fault> {
        unimplemented!("owned by the core branch")
    }
}

/// A reader of one session. Dropping it unsubscribes.
pub struct Subscription {}

impl Subscription {
    /// The next frame; None when the session or the server ends, or when this reader fell so far behind that it must resubscribe.
    pub async fn next(&mut self) -> Option<Frame> {
        unimplemented!("owned by the core branch")
    }
}
