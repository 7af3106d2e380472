//! The time of a call. A turn pays for its own; a visitor who only listens, or says nothing, uses the key's minutes too. Each minute is paid
//! when it begins, so that a server that dies owes nothing, and whoever cannot pay is not let in, or not any further.

use super::{Principal, Sender, Sessions, caps, turn};
use crate::error::Fault;
use crate::store::Appended;

impl Sessions {
    /// Pays until a minute from now for a session in use since `since_ms`, or from now on. Returns since when it is. A minute that a turn
    /// of the session has paid is not paid again.
    pub async fn stay(
        &self,
        who: &Principal,
        id: &str,
        since_ms: Option<u64>,
    ) -> Result<u64, Fault> {
        let hub = self.hub(who, id).await?;
        let Some(record) = hub.record() else {
            return Err(super::not_found());
        };
        let inner = &self.inner;
        let now_ms = inner.clock.now_ms();
        let since_ms = since_ms.unwrap_or(now_ms);
        let sender = Sender {
            who: who.clone(),
            address: None,
        };
        let key = turn::key_of(inner, record, &sender).await?;
        let charge = caps::stay(&key, since_ms, now_ms);
        let mut gate = hub.gate.lock().await;
        let appended = hub.commit_charged(&*inner.store, id, &mut gate, &[], charge);
        match appended.await? {
            Appended::Over(over) => {
                Err(turn::refuse(inner, &hub, record, &mut gate, &over, now_ms).await)
            }
            Appended::New(_) | Appended::Repeat(_) => Ok(since_ms),
        }
    }
}
