//! Conversations as their owner sees them: when, with which agent, and who: the owner's own id of a verified user, the label that a
//! page gave a guest, else the visitor id. The list says nothing of what was said; one of them says it all.

use super::ServiceError;
use crate::store::{SessionRecord, Store, User};
use karta_protocol::SessionEvent;

/// The newest ones.
pub const LIST_MAX: usize = 1_000;
/// Events of one answer.
pub const EVENTS_MAX: usize = 500;

pub struct Conversation {
    pub record: SessionRecord,
    /// Some for verified users.
    pub user: Option<User>,
}

/// What was said, page by page.
pub struct Said {
    pub events: Vec<SessionEvent>,
    /// `seq` to go on after, where there is more.
    pub next: Option<u64>,
}

/// `before`: a place in the list, as time and id.
pub async fn list(
    store: &dyn Store,
    account: &str,
    before: Option<(u64, &str)>,
    limit: usize,
) -> Result<Vec<Conversation>, ServiceError> {
    let limit = limit.min(LIST_MAX);
    let found = store.conversations(account, before, limit).await?;
    let shown = found.into_iter();
    Ok(shown
        .map(|(record, user)| Conversation { record, user })
        .collect())
}

pub async fn get(store: &dyn Store, account: &str, id: &str) -> Result<Conversation, ServiceError> {
    let found = store.conversation(account, id).await?;
    found
        .map(|(record, user)| Conversation { record, user })
        .ok_or_else(|| {
            ServiceError::NotFound(
                "there is no such conversation; `conversations list` shows the newest".into(),
            )
        })
}

/// Events after this `seq`, oldest first.
pub async fn said(
    store: &dyn Store,
    conversation: &Conversation,
    after: u64,
    limit: usize,
) -> Result<Said, ServiceError> {
    let limit = limit.clamp(1, EVENTS_MAX);
    let id = &conversation.record.info.id;
    let mut events = store.events(id, after, limit + 1).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().and_then(|event| event.seq).filter(|_| more);
    Ok(Said { events, next })
}

/// The visitor's files, oldest first.
pub async fn files(
    store: &dyn Store,
    conversation: &Conversation,
) -> Result<Vec<SessionEvent>, ServiceError> {
    Ok(store.files(&conversation.record.info.id).await?)
}

impl Conversation {
    /// Whom the owner knows them as.
    pub fn who(&self) -> &str {
        let name = self.user.as_ref().map(|user| user.user_id.as_str());
        let name = name.or(self.record.label.as_deref());
        name.unwrap_or(&self.record.subject)
    }
}
