//! Sessions: the event log, its fan-out to any number of readers, and the turn that answers.
//!
//! A message's way: [`Sessions::submit`] checks it ([`check`]), the session's [`hub`] commits it together with
//! `session.status_running` and shows it to every reader, [`turn`] lets the agent's runtime answer and commits the end.
//! No HTTP and no WebRTC here; who may call was decided by `auth`, whose [`Principal`] says whose sessions these are.

use crate::agent::Runtimes;
use crate::app::Clock;
use crate::auth::policy::Standing;
use crate::error::Fault;
use crate::files::Files;
use crate::store::{Began, SessionRecord, Store, new_id, now_ms};
use hub::{Hub, Hubs};
use karta_protocol::{Accepted, ClientEvent, ErrorCode, EventsPage, SessionInfo};
use prometheus_client::metrics::histogram::Histogram;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod aloud;
mod asking;
mod attributes;
mod caps;
mod check;
pub mod files;
mod handed;
mod history;
mod hub;
mod stay;
mod subscription;
#[cfg(test)]
mod tests;
mod turn;
mod wait;
mod words;

pub use aloud::{Aloud, AloudNews};
pub use handed::{Handover, Presence};
pub use stay::Stay;
pub use subscription::Subscription;

/// Turns that run at once in this process; more wait their turn. Bounds memory and connections to the provider.
const TURNS: usize = 512;
/// Events in one page of `GET /sessions/{id}`.
const PAGE: usize = 500;

/// Bounds of the classes in which turns are counted by their length.
const TURN_SECONDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

/// For operators.
pub struct Load {
    /// In memory: somebody reads it, or it has a turn.
    pub sessions: usize,
    pub turns: usize,
    pub turn_seconds: Histogram,
}

/// Who calls, as a checked session token says. Made by `auth` only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub account: String,
    pub key_id: String,
    pub agent_id: String,
    /// `v_…` or `u_…`.
    pub subject: String,
}

/// Who sent an event, and from where.
struct Sender {
    who: Principal,
    address: Option<String>,
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
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    runtimes: Runtimes,
    hubs: Hubs,
    clock: Clock,
    /// None: visitors can send no files.
    files: Option<Files>,
    turns: Semaphore,
    turn_seconds: Histogram,
    /// Work that must not be cut by a caller who goes away: commits, and turns.
    tasks: TaskTracker,
    /// No new work.
    closing: CancellationToken,
    /// Running turns stop without a word in the log: the next start runs them again.
    halted: CancellationToken,
}

impl Sessions {
    /// Starts, and runs again every turn that a crash cut.
    pub async fn start(
        store: Arc<dyn Store>,
        runtimes: Runtimes,
        files: Option<Files>,
    ) -> Result<Sessions, Fault> {
        Sessions::start_at(store, runtimes, Clock::system(), files).await
    }

    /// With a clock that a test may move.
    pub async fn start_at(
        store: Arc<dyn Store>,
        runtimes: Runtimes,
        clock: Clock,
        files: Option<Files>,
    ) -> Result<Sessions, Fault> {
        let unfinished = store.unfinished_sessions().await?;
        let sessions = Sessions {
            inner: Arc::new(Inner {
                store,
                runtimes,
                hubs: Hubs::default(),
                clock,
                files,
                turns: Semaphore::new(TURNS),
                turn_seconds: Histogram::new(TURN_SECONDS),
                tasks: TaskTracker::new(),
                closing: CancellationToken::new(),
                halted: CancellationToken::new(),
            }),
        };
        if !unfinished.is_empty() {
            tracing::info!(
                count = unfinished.len(),
                "running turns again that were cut"
            );
        }
        let inner = sessions.inner.clone();
        sessions.inner.tasks.spawn(async move {
            for record in unfinished {
                // Loading a hub is what runs its turn again; whoever comes first does it.
                if let Err(fault) = hub::load(&inner, &record.info.id).await {
                    tracing::error!(session = record.info.id, %fault, "cannot run a cut turn again");
                }
            }
        });
        Ok(sessions)
    }

    pub fn load(&self) -> Load {
        let inner = &self.inner;
        Load {
            sessions: inner.hubs.count(),
            turns: TURNS - inner.turns.available_permits(),
            turn_seconds: inner.turn_seconds.clone(),
        }
    }

    /// Takes no more events, lets running turns finish for `grace`, then ends every subscription. What is cut here is answered
    /// after the next start.
    pub async fn stop(&self, grace: Duration) {
        let inner = &self.inner;
        inner.closing.cancel();
        inner.tasks.close();
        if tokio::time::timeout(grace, inner.tasks.wait())
            .await
            .is_err()
        {
            inner.halted.cancel();
            inner.tasks.wait().await;
        }
        inner.hubs.end_subscriptions();
    }

    /// Goes on with `resume` where it is the caller's, or with a verified user's conversation, else begins a new session.
    pub async fn create(
        &self,
        who: &Principal,
        resume: Option<&str>,
    ) -> Result<SessionInfo, Fault> {
        let inner = &self.inner;
        if let Some(id) = resume
            && let Some(record) = inner.store.session(id).await?
            && owns(who, &record)
        {
            return Ok(SessionInfo {
                resumed: true,
                ..record.info
            });
        }
        let info = SessionInfo {
            id: new_id("s"),
            ..SessionInfo::default()
        };
        let record = SessionRecord {
            info: info.clone(),
            account: who.account.clone(),
            key_id: who.key_id.clone(),
            agent_id: who.agent_id.clone(),
            subject: who.subject.clone(),
            created_ms: now_ms(),
            ..SessionRecord::default()
        };
        let key = inner.store.key_by_id(&who.key_id).await?;
        let key = key.ok_or_else(key_gone)?;
        let now_ms = inner.clock.now_ms();
        let charge = caps::session(&key, now_ms);
        // One conversation, however many browsers.
        let only = Standing::of(&who.subject) == Standing::User;
        match inner.store.begin_session(&record, only, charge).await? {
            Began::New => Ok(info),
            Began::Earlier(id) => {
                let earlier = inner.store.session(&id).await?.ok_or_else(not_found)?;
                Ok(SessionInfo {
                    resumed: true,
                    ..earlier.info
                })
            }
            Began::Over(over) => Err(caps::refusal(&over, now_ms)),
        }
    }

    /// Keeps what the page says about its visitor, as far as it fits.
    pub async fn describe(&self, id: &str, given: Map<String, Value>) -> Result<(), Fault> {
        let kept = attributes::bounded(given);
        Ok(self.inner.store.put_attributes(id, &kept).await?)
    }

    /// Removes everything about the caller. Whoever reads or writes one of the sessions hears that it is gone.
    pub async fn forget(&self, who: &Principal) -> Result<(), Fault> {
        let inner = &self.inner;
        let ids = inner.store.forget(&who.account, &who.subject).await?;
        self.end(&ids).await;
        Ok(())
    }

    /// Sessions that were deleted: whoever reads or writes one of them hears that it is gone, and their files go too.
    pub async fn end(&self, ids: &[String]) {
        for id in ids {
            // Waits for a file that is just being kept.
            self.inner.hubs.end(id).await;
            if let Some(files) = &self.inner.files {
                files.remove_session(id).await;
            }
        }
    }

    /// The caller's own, newest first.
    pub async fn list(&self, who: &Principal) -> Result<Vec<SessionInfo>, Fault> {
        let records = self
            .inner
            .store
            .sessions_of(&who.account, &who.subject)
            .await?;
        Ok(records
            .into_iter()
            .filter(|record| owns(who, record))
            .map(|record| record.info)
            .collect())
    }

    pub async fn page(&self, who: &Principal, id: &str, after: u64) -> Result<EventsPage, Fault> {
        let store = &self.inner.store;
        let session = store
            .session(id)
            .await?
            .filter(|record| owns(who, record))
            .ok_or_else(not_found)?
            .info;
        let mut events = store.events(id, after, PAGE + 1).await?;
        let more = events.len() > PAGE;
        events.truncate(PAGE);
        Ok(EventsPage {
            session,
            events,
            more,
        })
    }

    /// Checks and carries out a client event (message, interrupt, retry, feedback…). Returns after the commit. `address` stands
    /// for where the caller is (a keyed hash): what an anonymous visitor may use up is counted by it too.
    pub async fn submit(
        &self,
        who: &Principal,
        id: &str,
        event: ClientEvent,
        address: Option<&str>,
    ) -> Result<Accepted, Fault> {
        let hub = self.hub(who, id).await?;
        let order = check::order(event)?;
        self.carry_out(hub, order, who, address).await
    }

    async fn carry_out(
        &self,
        hub: Arc<Hub>,
        order: check::Order,
        who: &Principal,
        address: Option<&str>,
    ) -> Result<Accepted, Fault> {
        if self.inner.closing.is_cancelled() {
            return Err(closing());
        }
        // In a task of its own: a caller who hangs up between the commit and its announcement must not keep it from others.
        let inner = self.inner.clone();
        let sender = Sender {
            who: who.clone(),
            address: address.map(ToOwned::to_owned),
        };
        self.inner
            .tasks
            .spawn(async move { turn::carry_out(&inner, &hub, order, &sender).await })
            .await
            .map_err(|e| Fault::Internal(format!("carrying out an event: {e}")))?
    }

    /// Puts what the visitor said aloud into the log, and lets it be answered like a message. `id` is that of the utterance.
    pub async fn said(
        &self,
        who: &Principal,
        id: &str,
        utterance: &str,
        words: &str,
        address: Option<&str>,
    ) -> Result<Accepted, Fault> {
        let hub = self.hub(who, id).await?;
        self.carry_out(hub, check::said(utterance, words)?, who, address)
            .await
    }

    /// For the call that speaks the session's answers from now on.
    pub async fn aloud(&self, who: &Principal, id: &str) -> Result<Aloud, Fault> {
        Ok(Aloud::begin(self.hub(who, id).await?))
    }

    /// Everything after the cursor, then the running part, then `session.synced`, then live.
    pub async fn subscribe(
        &self,
        who: &Principal,
        id: &str,
        after: u64,
    ) -> Result<Subscription, Fault> {
        let hub = self.hub(who, id).await?;
        if self.inner.closing.is_cancelled() {
            return Err(closing());
        }
        Ok(Subscription::new(self.inner.store.clone(), hub, after))
    }

    async fn hub(&self, who: &Principal, id: &str) -> Result<Arc<Hub>, Fault> {
        let hub = hub::load(&self.inner, id).await?.ok_or_else(not_found)?;
        match hub.record() {
            Some(record) if owns(who, record) => Ok(hub),
            Some(_) | None => Err(not_found()),
        }
    }
}

/// Another's session and none at all look the same.
pub fn not_found() -> Fault {
    Fault::refused(
        ErrorCode::SessionNotFound,
        "There is no such session for this token. Create one with POST /sessions.",
    )
}

/// Without its key nobody can tell what a session may use up.
fn key_gone() -> Fault {
    Fault::refused(
        ErrorCode::ClientKeyUnknown,
        "The widget key of this session is gone.",
    )
}

fn closing() -> Fault {
    Fault::Refused {
        code: ErrorCode::Overloaded,
        message: "The server is restarting. Send this again in a moment.".into(),
        retry_after_seconds: Some(1),
    }
}

fn owns(who: &Principal, record: &SessionRecord) -> bool {
    record.account == who.account
        && record.subject == who.subject
        && record.agent_id == who.agent_id
}
