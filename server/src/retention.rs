//! Retention: deletes what an agent's owner wants kept so many days only. Runs in the background for as long as the server does, in
//! small batches; the database alone says what is old, so a restart in the middle only begins again.

use crate::app::Clock;
use crate::service::ACCOUNT;
use crate::session::Sessions;
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(60 * 60);
/// Small enough to be over in some milliseconds.
const SESSIONS: u32 = 50;
const EVENTS: u32 = 500;
/// Between two batches: everybody else comes first.
const BREATH: Duration = Duration::from_millis(50);
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// What one sweep has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub sessions: u64,
    pub events: u64,
    /// That no log names any more, or ever did.
    pub files: u64,
}

/// Sweeps now and every hour, until `stopping`.
pub fn start(store: Arc<dyn Store>, sessions: Sessions, clock: Clock, stopping: CancellationToken) {
    tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                swept = sweep(&*store, &sessions, clock.now_ms()) => match swept {
                    Ok(swept) if swept != Swept::default() => {
                        tracing::info!(sessions = swept.sessions, events = swept.events, files = swept.files, "deleted what was kept long enough");
                    }
                    Ok(_) => {}
                    Err(error) => tracing::error!(%error, "retention could not be enforced; it is tried again"),
                },
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    });
}

/// Deletes everything that is past its agent's retention at `now_ms`.
pub async fn sweep(
    store: &dyn Store,
    sessions: &Sessions,
    now_ms: u64,
) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    let agents = store.agents(ACCOUNT).await?.into_iter();
    let kept = agents.filter_map(|agent| Some((agent.id, agent.retention_days?)));
    for (agent_id, days) in kept.chain(store.removed_agents(ACCOUNT).await?) {
        let before_ms = now_ms.saturating_sub(u64::from(days) * DAY_MS);
        loop {
            let ids = store
                .expire_sessions(&agent_id, before_ms, SESSIONS)
                .await?;
            swept.sessions += ids.len() as u64;
            sessions.end(&ids).await;
            if (ids.len() as u64) < u64::from(SESSIONS) {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
        loop {
            let events = store.expire_events(&agent_id, before_ms, EVENTS).await?;
            swept.events += events;
            if events < u64::from(EVENTS) {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
    }
    swept.files = sessions.sweep_files(now_ms).await?;
    Ok(swept)
}
