//! Files in a conversation: who may send and read them, how many, and what an agent gets to see of them. The bytes are the business of
//! [`crate::files`], the form of `routes/files.rs`.

use super::history::Sent;
use super::{Inner, Principal, Sender, Sessions, caps, closing, not_found, turn};
use crate::agent::Attachment;
use crate::auth::master::MasterKey;
use crate::error::Fault;
use crate::files::sniff::Kind;
use crate::files::{Files, Incoming};
use crate::store::{Appended, StoreError, new_id};
use karta_protocol::{ErrorCode, EventType, SessionEvent};

/// Of one session.
const FILES_MAX: usize = 20;
const TOTAL_MAX_BYTES: u64 = 50 * 1024 * 1024;
/// Of one turn: the latest ones.
const ATTACHMENTS_MAX: usize = 3;

/// A file that is whole and synced, with what was said of it.
pub struct NewFile {
    pub incoming: Incoming,
    pub name: String,
    pub kind: Kind,
    /// The client's own: makes sending again harmless.
    pub client_id: Option<String>,
}

impl Sessions {
    /// The folder for a file to this session, if it is the caller's and its agent takes files.
    pub async fn files_for(&self, who: &Principal, id: &str) -> Result<Files, Fault> {
        let hub = self.hub(who, id).await?;
        let record = hub.record().ok_or_else(not_found)?;
        let agent = self.inner.store.agent(&record.agent_id).await?;
        match &self.inner.files {
            Some(files) if agent.is_some_and(|agent| agent.upload_enabled) => Ok(files.clone()),
            Some(_) | None => Err(Fault::refused(
                ErrorCode::UploadsDisabled,
                "This agent takes no files. Its owner can switch that on: `karta-server agents update … --upload on`.",
            )),
        }
    }

    /// Commits the file; a client id that is known already is answered like the first time.
    pub async fn attach(
        &self,
        who: &Principal,
        session_id: &str,
        new: NewFile,
        master: &MasterKey,
    ) -> Result<SessionEvent, Fault> {
        let files = self.files_for(who, session_id).await?;
        let hub = self.hub(who, session_id).await?;
        if self.inner.closing.is_cancelled() {
            return Err(closing());
        }
        // Unguessable, and the same for the same client id: the log's own rule makes it unique.
        let client_id = new.client_id.clone().unwrap_or_else(|| new_id("u"));
        let hash = master.hash("file-id", &format!("{session_id}/{client_id}"));
        let id = format!("f_{}", &hash[..32]);
        let inner = self.inner.clone();
        let sender = Sender {
            who: who.clone(),
            address: None,
        };
        // In a task of its own, as in `submit`: the file and its event belong together.
        let kept = async move {
            let record = hub.record().ok_or_else(not_found)?;
            let session_id = &record.info.id;
            let store = &*inner.store;
            let mut gate = hub.gate.lock().await;
            let earlier = store.files(session_id).await?;
            if let Some(event) = earlier.iter().find(|e| e.id.as_deref() == Some(&id)) {
                return Ok(event.clone());
            }
            refuse_too_many(&earlier, new.incoming.size())?;
            files
                .keep(&new.incoming, session_id, &id)
                .await
                .map_err(unstorable)?;
            let kept_id = id.clone();
            let event = SessionEvent {
                kind: EventType::UserFile,
                id: Some(id),
                name: Some(new.name),
                size: Some(new.incoming.size()),
                media_type: Some(new.kind.media_type().to_owned()),
                ..SessionEvent::default()
            };
            let now_ms = inner.clock.now_ms();
            let key = turn::key_of(&inner, record, &sender).await?;
            let charge = caps::file(&key, now_ms);
            let events = std::slice::from_ref(&event);
            let appended = hub.commit_charged(store, session_id, &mut gate, events, charge);
            match appended.await {
                Ok(Appended::New(_)) => Ok(event),
                // Looked for under the same gate: a message was given the id that this file would have.
                Ok(Appended::Repeat(_)) => {
                    files.remove(session_id, &kept_id).await;
                    Err(Fault::refused(
                        ErrorCode::RequestInvalid,
                        "Another event of this session has this id. Choose a fresh one.",
                    ))
                }
                Ok(Appended::Over(over)) => {
                    files.remove(session_id, &kept_id).await;
                    Err(turn::refuse(&inner, &hub, record, &mut gate, &over, now_ms).await)
                }
                Err(error) => {
                    // Deleted meanwhile. After any other failure the commit may have happened.
                    if matches!(error, StoreError::NoSession) {
                        files.remove_session(session_id).await;
                    }
                    Err(error.into())
                }
            }
        };
        self.inner
            .tasks
            .spawn(kept)
            .await
            .map_err(|e| Fault::Internal(format!("keeping a file: {e}")))?
    }

    /// A file of any session, for the owner of the account that it belongs to.
    pub async fn file_of(
        &self,
        account: &str,
        session_id: &str,
        id: &str,
    ) -> Result<(Files, SessionEvent), Fault> {
        let record = self.inner.store.session(session_id).await?;
        if record.is_none_or(|record| record.account != account) {
            return Err(no_such_file());
        }
        let events = self.inner.store.files(session_id).await?;
        let event = events.into_iter().find(|e| e.id.as_deref() == Some(id));
        match (&self.inner.files, event) {
            (Some(files), Some(event)) => Ok((files.clone(), event)),
            _ => Err(no_such_file()),
        }
    }

    /// A file of the caller's own session: the folder, and what the log says of it.
    pub async fn file(
        &self,
        who: &Principal,
        session_id: &str,
        id: &str,
    ) -> Result<(Files, SessionEvent), Fault> {
        self.hub(who, session_id).await?;
        let events = self.inner.store.files(session_id).await?;
        let event = events.into_iter().find(|e| e.id.as_deref() == Some(id));
        match (&self.inner.files, event) {
            (Some(files), Some(event)) => Ok((files.clone(), event)),
            _ => Err(no_such_file()),
        }
    }

    /// Removes the files that no log names. How many.
    pub async fn sweep_files(&self, now_ms: u64) -> Result<u64, StoreError> {
        match &self.inner.files {
            Some(files) => files.sweep(&*self.inner.store, now_ms).await,
            None => Ok(0),
        }
    }
}

/// What the agent gets to see: the latest files, with the beginning of their text.
pub(super) async fn attachments(
    inner: &Inner,
    session_id: &str,
    sent: Vec<Sent>,
) -> Vec<Attachment> {
    let latest = sent.len().saturating_sub(ATTACHMENTS_MAX);
    let mut attachments = Vec::new();
    for (at, file) in sent.into_iter().enumerate() {
        let kind = Kind::of_media_type(&file.media_type);
        let text = match (&inner.files, kind) {
            (Some(files), Some(kind)) if at >= latest => {
                files.text(session_id, &file.id, kind).await
            }
            _ => None,
        };
        if at >= latest || file.fresh {
            attachments.push(Attachment {
                name: file.name,
                media_type: file.media_type,
                size: file.size,
                text,
                fresh: file.fresh,
            });
        }
    }
    attachments
}

pub fn no_such_file() -> Fault {
    Fault::refused(
        ErrorCode::NotFound,
        "There is no such file in this session.",
    )
}

/// The disk is full or cannot be written to.
pub fn unstorable(error: std::io::Error) -> Fault {
    tracing::error!(%error, "cannot store a visitor's file");
    Fault::Refused {
        code: ErrorCode::Overloaded,
        message: "The server cannot store files at the moment. Try again.".into(),
        retry_after_seconds: Some(10),
    }
}

fn refuse_too_many(earlier: &[SessionEvent], size: u64) -> Result<(), Fault> {
    let total: u64 = earlier.iter().filter_map(|event| event.size).sum();
    if earlier.len() < FILES_MAX && total.saturating_add(size) <= TOTAL_MAX_BYTES {
        return Ok(());
    }
    Err(Fault::refused(
        ErrorCode::LimitReached,
        format!(
            "A conversation takes {FILES_MAX} files and {} MB in all.",
            TOTAL_MAX_BYTES >> 20
        ),
    ))
}
