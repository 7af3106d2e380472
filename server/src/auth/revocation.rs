//! Ends what is open but no longer allowed: the key was disabled or deleted, the widget switched off, the auth mode changed, the
//! login ended. Every [`LOOK_EVERY`] each key and agent in use is looked up, once for all its streams; the command line writes the
//! database from another process, so there is nothing to be notified by. What this process ends itself, it ends at once.

use crate::auth::policy::{Standing, admit, key_disabled};
use crate::auth::refresh::family_ended;
use crate::auth::token::Claims;
use crate::error::Fault;
use crate::store::{Agent, Store, StoreError, WidgetKey, now_ms};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Streams must end within 5 s; two looks fit into that.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Each look asks for what was ended a little before the last one, so that a slow commit is not missed.
const OVERLAP_MS: u64 = 10_000;

/// Watches over every open stream and channel.
#[derive(Clone, Default)]
pub struct Watch {
    held: Arc<Mutex<HashMap<Login, Watched>>>,
}

/// What streams have in common that end together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Login {
    key_id: String,
    agent_id: String,
    standing: Standing,
    family: String,
}

struct Watched {
    end: Arc<End>,
    holders: usize,
}

#[derive(Default)]
struct End {
    over: CancellationToken,
    why: OnceLock<Fault>,
}

/// Keeps a login watched while it lives.
pub struct Guard {
    watch: Watch,
    login: Login,
    end: Arc<End>,
}

impl Guard {
    /// Returns once the login is no longer allowed, with the reason.
    pub async fn ended(&self) -> Fault {
        self.end.over.cancelled().await;
        // The reason is set before the token is cancelled.
        self.end.why.get().cloned().unwrap_or_else(key_disabled)
    }
}

impl Watch {
    /// Starts the look-out, which ends with `stopping`.
    pub fn start(store: Arc<dyn Store>, stopping: CancellationToken) -> Watch {
        let watch = Watch::default();
        let looking = watch.clone();
        tokio::spawn(stopping.run_until_cancelled_owned(async move {
            let mut since_ms = now_ms();
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let now = now_ms();
                match looking.look(store.as_ref(), since_ms).await {
                    Ok(()) => since_ms = now.saturating_sub(OVERLAP_MS),
                    // A database that fails for a moment must not throw everyone out.
                    Err(error) => {
                        tracing::warn!(%error, "cannot look whether open streams are still allowed");
                    }
                }
            }
        }));
        watch
    }

    pub fn hold(&self, claims: &Claims) -> Guard {
        let login = Login {
            key_id: claims.key_id.clone(),
            agent_id: claims.agent_id.clone(),
            standing: Standing::of(&claims.sub),
            family: claims.family.clone(),
        };
        let mut held = self.lock();
        let watched = held.entry(login.clone()).or_insert_with(|| Watched {
            end: Arc::default(),
            holders: 0,
        });
        watched.holders += 1;
        Guard {
            watch: self.clone(),
            end: watched.end.clone(),
            login,
        }
    }

    /// Ends a login that this process was told to end, without waiting for the next look.
    pub fn end_family(&self, family: &str) {
        self.end_where(|login| (login.family == family).then(family_ended));
    }

    async fn look(&self, store: &dyn Store, since_ms: u64) -> Result<(), StoreError> {
        let (keys, agents): (HashSet<String>, HashSet<String>) = self
            .lock()
            .keys()
            .map(|login| (login.key_id.clone(), login.agent_id.clone()))
            .unzip();
        if keys.is_empty() {
            return Ok(());
        }
        let ended: HashSet<String> = store.ended_families(since_ms).await?.into_iter().collect();
        let mut known = Known::default();
        for id in keys {
            let key = store.key_by_id(&id).await?;
            known.keys.insert(id, key);
        }
        for id in agents {
            let agent = store.agent(&id).await?;
            known.agents.insert(id, agent);
        }
        self.end_where(|login| {
            if ended.contains(&login.family) {
                return Some(family_ended());
            }
            known.verdict(login)
        });
        Ok(())
    }

    /// Taken out at once: a key that is enabled again begins afresh.
    fn end_where(&self, why: impl Fn(&Login) -> Option<Fault>) {
        self.lock().retain(|login, watched| match why(login) {
            Some(fault) => {
                let _ = watched.end.why.set(fault);
                watched.end.over.cancel();
                false
            }
            None => true,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Login, Watched>> {
        // No code that can panic runs under this lock, so it is never poisoned; going on is right either way.
        self.held
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// What one look has read. Logins that were added meanwhile have no entry here; the next look has them.
#[derive(Default)]
struct Known {
    keys: HashMap<String, Option<WidgetKey>>,
    agents: HashMap<String, Option<Agent>>,
}

impl Known {
    fn verdict(&self, login: &Login) -> Option<Fault> {
        let key = self.keys.get(&login.key_id)?;
        let agent = self.agents.get(&login.agent_id)?;
        let Some(key) = key else {
            // For those inside, a deleted key is a disabled one.
            return Some(key_disabled());
        };
        admit(key, agent.as_ref(), login.standing).err()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut held = self.watch.lock();
        if self.end.over.is_cancelled() {
            return;
        }
        if let Some(watched) = held.get_mut(&self.login) {
            watched.holders -= 1;
            if watched.holders == 0 {
                held.remove(&self.login);
            }
        }
    }
}
