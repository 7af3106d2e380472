//! Who holds which connection, and how many there may be. No peer lives here, only its name and owner.

use super::PeerKey;
use crate::error::Fault;
use crate::session::Principal;
use karta_protocol::ErrorCode;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// All connections of the process, by connection id.
pub(super) struct Registry {
    connections: Mutex<HashMap<String, Connection>>,
    max: usize,
    max_per_session: usize,
}

#[derive(Clone)]
pub(super) struct Connection {
    account: String,
    subject: String,
    session_id: String,
    pub etag: String,
    /// Of the ICE session that the tag names.
    pub remote_ufrag: String,
    pub thread: usize,
    pub key: PeerKey,
    /// Its data channel has been open.
    opened: bool,
}

/// A place in the registry. Dropping it gives the place back.
pub(super) struct Seat {
    registry: Arc<Registry>,
    connection_id: String,
}

impl Registry {
    pub fn new(max: usize, max_per_session: usize) -> Arc<Self> {
        Arc::new(Registry {
            connections: Mutex::default(),
            max,
            max_per_session,
        })
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// A place for the newest offer of a session. With it comes the connection that had to go for it, for the caller to close.
    ///
    /// A page that is reloaded before its channel opens leaves a connection behind that nobody will ever use, and says no
    /// goodbye, as it does not know its id yet. So where a session has no place left, the oldest of its connections that never
    /// opened goes; one that has opened is somebody's tab, and stays.
    pub fn take(
        self: &Arc<Self>,
        who: &Principal,
        session_id: &str,
        thread: usize,
        key: PeerKey,
    ) -> Result<(Seat, Option<Connection>), Fault> {
        let mut connections = self.lock();
        if connections.len() >= self.max {
            return Err(Fault::Refused {
                code: ErrorCode::Overloaded,
                message: "This server holds as many WebRTC connections as it may. Text goes on over HTTPS."
                    .into(),
                retry_after_seconds: Some(10),
            });
        }
        // A scan: at most `max` short strings, once per offer, against a second index to keep in step.
        let held = || {
            connections
                .iter()
                .filter(|(_, c)| c.session_id == session_id)
        };
        let oldest_unopened = || {
            let unopened = held().filter(|(_, c)| !c.opened);
            unopened
                .min_by_key(|(_, c)| c.key)
                .map(|(id, _)| id.clone())
        };
        let full = held().count() >= self.max_per_session;
        let leaving = full.then(oldest_unopened).flatten();
        if full && leaving.is_none() {
            return Err(Fault::Refused {
                code: ErrorCode::RateLimited,
                message: "This session has too many open connections. Close one with DELETE, or wait until it is given up."
                    .into(),
                retry_after_seconds: Some(20),
            });
        }
        let left = leaving.and_then(|id| connections.remove(&id));
        // 122 bits from the system's random source: the id alone names what DELETE would end (RFC 9725 5).
        let connection_id = format!("c_{}", uuid::Uuid::new_v4().simple());
        connections.insert(
            connection_id.clone(),
            Connection {
                account: who.account.clone(),
                subject: who.subject.clone(),
                session_id: session_id.to_owned(),
                etag: fresh_etag(),
                remote_ufrag: String::new(),
                thread,
                key,
                opened: false,
            },
        );
        let seat = Seat {
            registry: self.clone(),
            connection_id,
        };
        Ok((seat, left))
    }

    /// None as well when it is somebody else's: an outsider learns nothing.
    pub fn find(
        &self,
        who: &Principal,
        session_id: &str,
        connection_id: &str,
    ) -> Option<Connection> {
        let connections = self.lock();
        let found = connections.get(connection_id)?;
        let owner = found.account == who.account && found.subject == who.subject;
        (owner && found.session_id == session_id).then(|| found.clone())
    }

    /// A new tag after an ICE restart.
    pub fn renew(&self, connection_id: &str, remote_ufrag: String) -> Option<String> {
        let mut connections = self.lock();
        let found = connections.get_mut(connection_id)?;
        found.etag = fresh_etag();
        found.remote_ufrag = remote_ufrag;
        Some(found.etag.clone())
    }

    pub fn remove(&self, connection_id: &str) {
        self.lock().remove(connection_id);
    }

    #[cfg(test)]
    pub fn key(&self, connection_id: &str) -> Option<PeerKey> {
        self.lock().get(connection_id).map(|found| found.key)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Connection>> {
        // Nothing that can panic runs under this lock; a poisoned map would be whole all the same.
        self.connections
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Seat {
    pub fn connection_id(&self) -> &str {
        &self.connection_id
    }

    pub fn note_remote(&self, ufrag: &str) {
        if let Some(found) = self.registry.lock().get_mut(&self.connection_id) {
            found.remote_ufrag = ufrag.to_owned();
        }
    }

    /// The data channel is open: no other offer takes this place.
    pub fn opened(&self) {
        if let Some(connection) = self.registry.lock().get_mut(&self.connection_id) {
            connection.opened = true;
        }
    }

    pub fn etag(&self) -> String {
        self.registry
            .lock()
            .get(&self.connection_id)
            .map(|c| c.etag.clone())
            .unwrap_or_default()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.registry.remove(&self.connection_id);
    }
}

fn fresh_etag() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
