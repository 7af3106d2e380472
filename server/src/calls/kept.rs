//! What is kept of a running call, so that a crash of the server is no end of it: the next process takes it up. A process is known to be dead by
//! its lock, which the system takes from it whatever it died of; so no call is taken from one that lives.

use crate::auth::token::Claims;
use crate::store::{HandedCall, Store, StoreError, new_id};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Below the data directory.
const LOCKS: &str = "calls";

#[derive(Clone)]
pub struct Keeper {
    store: Arc<dyn Store>,
    lock: Arc<Lock>,
}

/// As long as it is held, its owner lives.
struct Lock {
    folder: PathBuf,
    owner: String,
    _file: File,
}

/// No address of the visitor's: neither its own, nor one of its network.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub etag: String,
    /// What the call was allowed by.
    pub claims: Claims,
    /// Stands for where the caller is: a keyed hash.
    pub address: Option<String>,
    /// The agent's choice of an engine.
    pub engine: String,
    /// The engine's name of the call.
    pub name: String,
    /// To end it with.
    pub offer: String,
}

/// A call that another process has left behind.
#[derive(Debug)]
pub struct Left {
    pub id: String,
    pub session_id: String,
    pub began_ms: u64,
    pub kept: Kept,
}

impl Keeper {
    /// `data_dir`: that of the store.
    pub fn open(store: Arc<dyn Store>, data_dir: &Path) -> io::Result<Keeper> {
        let folder = data_dir.join(LOCKS);
        std::fs::create_dir_all(&folder)?;
        let lock = Lock::take(folder)?;
        Ok(Keeper {
            store,
            lock: Arc::new(lock),
        })
    }

    pub async fn keep(
        &self,
        id: &str,
        session_id: &str,
        began_ms: u64,
        kept: &Kept,
    ) -> Result<(), StoreError> {
        let kept = serde_json::to_string(kept);
        let call = HandedCall {
            id: id.to_owned(),
            owner: self.lock.owner.clone(),
            session_id: session_id.to_owned(),
            began_ms,
            kept: kept.map_err(|error| StoreError::Corrupt(error.to_string()))?,
        };
        self.store.put_call(&call).await
    }

    /// It is over, and its engine knows.
    pub async fn forget(&self, id: &str) {
        if let Err(error) = self.store.remove_call(id).await {
            // Looked at once more by the next process, and told to its engine again.
            tracing::warn!(%error, "a call that is over is still kept");
        }
    }

    /// Takes the calls of processes that are dead.
    pub async fn take_left(&self) -> Result<Vec<Left>, StoreError> {
        let mut left = Vec::new();
        for call in self.store.calls().await? {
            if !self.lock.is_left_by(&call.owner)
                || !self
                    .store
                    .take_call(&call.id, &call.owner, &self.lock.owner)
                    .await?
            {
                continue;
            }
            match serde_json::from_str(&call.kept) {
                Ok(kept) => left.push(Left {
                    id: call.id,
                    session_id: call.session_id,
                    began_ms: call.began_ms,
                    kept,
                }),
                Err(error) => {
                    tracing::error!(%error, "a call of another version cannot be taken up");
                    self.forget(&call.id).await;
                }
            }
        }
        self.lock.sweep();
        Ok(left)
    }
}

impl Lock {
    fn take(folder: PathBuf) -> io::Result<Lock> {
        loop {
            let owner = new_id("p");
            let path = folder.join(&owner);
            let file = File::create(&path)?;
            file.lock()?;
            // One that another process has swept before it was locked is no lock.
            if path.exists() {
                return Ok(Lock {
                    folder,
                    owner,
                    _file: file,
                });
            }
        }
    }

    fn is_left_by(&self, owner: &str) -> bool {
        // A name of ours, and no path.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let named = !owner.is_empty() && owner.bytes().all(plain);
        named && owner != self.owner && free(&self.folder.join(owner)).is_ok()
    }

    /// Removes the locks of the dead.
    fn sweep(&self) {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten();
        for file in files.flatten() {
            // Held while it is removed, so that nobody takes it just then.
            if let Ok(Some(_held)) = free(&file.path()) {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.folder.join(&self.owner));
    }
}

/// The lock, where nobody alive has it. None: it was swept, or removed by one that stopped.
fn free(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "the lock of another process cannot be tried");
                Err(error)
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::SqliteStore;

    async fn keeper(data: &Path) -> Keeper {
        let store = SqliteStore::open(data).await.expect("a store");
        Keeper::open(Arc::new(store), data).expect("a keeper")
    }

    fn kept() -> Kept {
        let claims = serde_json::json!({
            "iss": "i", "aud": "a", "sub": "v_1", "jti": "j", "iat": 1, "exp": 2, "account": "main", "key_id": "k_1",
            "agent_id": "a_1", "family": "f_1", "family_exp": 3,
        });
        Kept {
            etag: "e".into(),
            claims: serde_json::from_value(claims).expect("claims"),
            address: None,
            engine: "pipecat".into(),
            name: "pc-1".into(),
            offer: "v=0\r\n".into(),
        }
    }

    #[tokio::test]
    async fn a_call_is_taken_from_a_process_that_is_dead_once_and_never_from_one_that_lives() {
        let data = tempfile::tempdir().expect("a folder");
        let first = keeper(data.path()).await;
        first.keep("h_1", "s_1", 7, &kept()).await.expect("kept");
        first.keep("h_2", "s_2", 8, &kept()).await.expect("kept");
        first.forget("h_2").await;
        let (second, third) = (keeper(data.path()).await, keeper(data.path()).await);
        assert!(
            first.take_left().await.expect("looked").is_empty(),
            "its own"
        );
        assert!(
            second.take_left().await.expect("looked").is_empty(),
            "it lives"
        );
        drop(first);
        let (two, three) = tokio::join!(second.take_left(), third.take_left());
        let mut left = two.expect("looked");
        left.extend(three.expect("looked"));
        assert_eq!(left.len(), 1);
        let left = left.pop().expect("one");
        assert_eq!(
            (left.id.as_str(), left.session_id.as_str(), left.began_ms),
            ("h_1", "s_1", 7)
        );
        assert_eq!(left.kept, kept());
        assert_eq!(
            std::fs::read_dir(data.path().join(LOCKS))
                .expect("there")
                .count(),
            2
        );
    }

    #[tokio::test]
    async fn what_another_version_has_kept_and_what_names_no_lock_are_no_calls() {
        let data = tempfile::tempdir().expect("a folder");
        let keeper = keeper(data.path()).await;
        for (id, owner, kept) in [
            ("h_1", "p_gone", "{}"),
            ("h_2", "../x", "{}"),
            ("h_3", "", "["),
        ] {
            let call = HandedCall {
                id: id.into(),
                owner: owner.into(),
                session_id: "s_1".into(),
                began_ms: 1,
                kept: kept.into(),
            };
            keeper.store.put_call(&call).await.expect("kept");
        }
        assert!(keeper.take_left().await.expect("looked").is_empty());
        let rest = keeper.store.calls().await.expect("calls");
        let rest: Vec<_> = rest.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(rest, ["h_2", "h_3"]);
    }
}
