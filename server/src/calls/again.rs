//! Calls of a process that died. The audio of a handed call goes on without any server, so the next one takes the call up: with its bounds, what
//! it uses up, its place in the log, and its end.

use super::kept::{Keeper, Kept, Left};
use super::{Calls, Inner, Taken, hang_up};
use crate::app::App;
use crate::auth::guarded::Guarded;
use crate::store::StoreError;
use crate::voice::realtime::CallName;

impl Calls {
    /// Goes on with what another process left behind. Before anybody is served: who comes back finds the call as it was.
    pub async fn take_up(&self, app: &App) -> Result<(), StoreError> {
        let Some(keeper) = &self.inner.keeper else {
            return Ok(());
        };
        let left = keeper.take_left().await?;
        if !left.is_empty() {
            tracing::info!(
                count = left.len(),
                "going on with calls of a process that died"
            );
        }
        for call in left {
            self.go_on(app, keeper.clone(), call).await;
        }
        Ok(())
    }

    async fn go_on(&self, app: &App, keeper: Keeper, left: Left) {
        let Left {
            id,
            session_id,
            began_ms,
            kept,
        } = left;
        let (line, place) = match app.voices.admit_again(&kept.engine) {
            Ok(admitted) => admitted,
            Err(_) => {
                tracing::error!(
                    engine = kept.engine,
                    "this engine is not configured any more; it was not told that a call is over"
                );
                return keeper.forget(&id).await;
            }
        };
        let who = kept.claims.principal();
        let name = CallName {
            call: kept.name,
            offer: kept.offer,
        };
        let sessions = &app.sessions;
        let handover = sessions.hand_over(&who, &session_id, &id, kept.address.as_deref());
        let handover = match handover.await {
            Ok(handover) => handover.paid_since(began_ms),
            Err(fault) => {
                tracing::info!(code = %fault.code(), "a call whose conversation is gone ends");
                self.inner.tasks.spawn(async move {
                    hang_up(&*line.engine, &name).await;
                    keeper.forget(&id).await;
                });
                return;
            }
        };
        let mut taken = Taken {
            who,
            permit: Guarded::permit_again(app, kept.claims, kept.address),
            handover,
            engine: line.engine,
            name,
            etag: kept.etag,
            began_ms,
            place,
        };
        let end = self.inner.enter(&taken);
        let inner = self.inner.clone();
        self.inner.tasks.spawn(async move {
            let code = match taken.permit.still_allowed().await {
                Ok(()) => inner.watch(&mut taken, &end).await,
                Err(why) => Some(why.code().as_str()),
            };
            inner.finish(taken, code).await;
        });
    }
}

impl Inner {
    /// `engine`: the agent's choice of one.
    pub(super) async fn keep(&self, taken: &Taken, engine: String) {
        let Some(keeper) = &self.keeper else { return };
        let kept = Kept {
            etag: taken.etag.clone(),
            claims: taken.permit.claims().clone(),
            address: taken.handover.address().map(ToOwned::to_owned),
            engine,
            name: taken.name.call.clone(),
            offer: taken.name.offer.clone(),
        };
        let (id, session) = (taken.handover.call_id(), taken.handover.session_id());
        if let Err(error) = keeper.keep(id, session, taken.began_ms, &kept).await {
            tracing::warn!(%error, "a call is not kept: it ends its control with this process");
        }
    }
}
