//! Conversations as their owner sees them: when, with which agent, and who: the owner's own id of a verified user, the label that a
//! page gave a guest, else the visitor id. Not what was said.

use super::ServiceError;
use crate::store::{SessionRecord, Store, User};

/// The newest ones.
pub const LIST_MAX: usize = 1_000;

pub struct Conversation {
    pub record: SessionRecord,
    /// Some for verified users.
    pub user: Option<User>,
}

pub async fn list(
    store: &dyn Store,
    account: &str,
    limit: usize,
) -> Result<Vec<Conversation>, ServiceError> {
    let found = store.conversations(account, limit.min(LIST_MAX)).await?;
    let shown = found.into_iter();
    Ok(shown
        .map(|(record, user)| Conversation { record, user })
        .collect())
}

impl Conversation {
    /// Whom the owner knows them as.
    pub fn who(&self) -> &str {
        let name = self.user.as_ref().map(|user| user.user_id.as_str());
        let name = name.or(self.record.label.as_deref());
        name.unwrap_or(&self.record.subject)
    }
}
