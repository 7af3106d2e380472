//! Ends what a disabled key holds open. Each key in use is looked up every [`LOOK_EVERY`], once for all its streams; a
//! command-line `keys disable` writes the database from another process, so there is nothing to be notified by.

use crate::store::Store;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Streams must end within 5 s of the key being disabled; two looks fit into that.
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[derive(Clone, Default)]
pub struct KeyWatch {
    keys: Arc<Mutex<HashMap<String, Watched>>>,
}

struct Watched {
    revoked: CancellationToken,
    holders: usize,
}

/// Keeps a key watched while it lives.
pub struct KeyGuard {
    watch: KeyWatch,
    key_id: String,
    revoked: CancellationToken,
}

impl KeyGuard {
    /// Returns once the key is disabled or gone.
    pub async fn revoked(&self) {
        self.revoked.cancelled().await;
    }
}

impl KeyWatch {
    /// Starts the look-out, which ends with `stopping`.
    pub fn start(store: Arc<dyn Store>, stopping: CancellationToken) -> KeyWatch {
        let watch = KeyWatch::default();
        let looking = watch.clone();
        tokio::spawn(stopping.run_until_cancelled_owned(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                looking.look(store.as_ref()).await;
            }
        }));
        watch
    }

    pub fn hold(&self, key_id: &str) -> KeyGuard {
        let mut keys = self.lock();
        let watched = keys.entry(key_id.to_owned()).or_insert_with(|| Watched {
            revoked: CancellationToken::new(),
            holders: 0,
        });
        watched.holders += 1;
        KeyGuard {
            watch: self.clone(),
            key_id: key_id.to_owned(),
            revoked: watched.revoked.clone(),
        }
    }

    async fn look(&self, store: &dyn Store) {
        let ids: Vec<String> = self.lock().keys().cloned().collect();
        for id in ids {
            match store.key_by_id(&id).await {
                Ok(Some(key)) if key.enabled => {}
                Ok(_) => {
                    // Taken out at once: a key that is enabled again gets a fresh token.
                    if let Some(watched) = self.lock().remove(&id) {
                        watched.revoked.cancel();
                    }
                }
                // A database that fails for a moment must not throw everyone out.
                Err(error) => tracing::warn!(%error, "cannot look whether a key is still enabled"),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Watched>> {
        // No code that can panic runs under this lock, so it is never poisoned; going on is right either way.
        self.keys
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        let mut keys = self.watch.lock();
        if self.revoked.is_cancelled() {
            return;
        }
        if let Some(watched) = keys.get_mut(&self.key_id) {
            watched.holders -= 1;
            if watched.holders == 0 {
                keys.remove(&self.key_id);
            }
        }
    }
}
