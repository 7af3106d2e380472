//! The time of a call. A turn pays for its own; a visitor who only listens, or says nothing, uses the key's minutes too, and the engine that
//! hears and speaks costs money by the minute. Each minute is paid when it begins, so that a server that dies owes nothing, and whoever
//! cannot pay is not let in, or not any further.

use super::hub::Hub;
use super::{Inner, Principal, Sender, Sessions, caps, turn};
use crate::error::Fault;
use crate::money::Money;
use crate::store::{Appended, Charge, SessionRecord, WidgetKey};
use std::time::{Duration, Instant};

/// Not sooner than this again, whatever the clocks say.
const SOON: Duration = Duration::from_millis(50);

/// A call of this server's own, as its time is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    paid: Paid,
    /// Its engine may cost money.
    metered: bool,
}

/// A call's last payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    pub at_ms: u64,
    /// Until when it pays. Less than a minute where an earlier call or a turn had begun that minute.
    pub due: Instant,
}

impl Stay {
    /// When it has to pay again.
    pub fn due(&self) -> Instant {
        self.paid.due
    }
}

impl Paid {
    /// Nothing yet.
    pub fn nothing(now_ms: u64) -> Paid {
        Paid {
            at_ms: now_ms,
            due: Instant::now(),
        }
    }
}

impl Sessions {
    /// Pays the first minute of a call in this session. `metered`: its engine may cost money, and the agent's price says how much.
    pub async fn begin_stay(
        &self,
        who: &Principal,
        id: &str,
        metered: bool,
    ) -> Result<Stay, Fault> {
        let paid = Paid::nothing(self.inner.clock.now_ms());
        self.go_on(who, id, Stay { paid, metered }).await
    }

    /// Pays the minute that begins. One that a turn of the session has paid is not paid again, but for its voice.
    pub async fn go_on(&self, who: &Principal, id: &str, stay: Stay) -> Result<Stay, Fault> {
        let hub = self.hub(who, id).await?;
        let Some(record) = hub.record() else {
            return Err(super::not_found());
        };
        let inner = &self.inner;
        let now_ms = inner.clock.now_ms();
        let sender = Sender {
            who: who.clone(),
            address: None,
        };
        let key = turn::key_of(inner, record, &sender).await?;
        let minute = minute_price(inner, record, &key, stay.metered).await?;
        let charge = caps::talk(&key, minute, stay.paid.at_ms, now_ms);
        let paid = pay(inner, &hub, record, charge).await?;
        Ok(Stay { paid, ..stay })
    }
}

pub async fn pay(
    inner: &Inner,
    hub: &Hub,
    record: &SessionRecord,
    charge: Charge,
) -> Result<Paid, Fault> {
    let (id, now_ms, talks) = (&record.info.id, charge.now_ms, charge.talk.is_some());
    let mut gate = hub.gate.lock().await;
    let appended = hub.commit_charged(&*inner.store, id, &mut gate, &[], charge);
    if let Appended::Over(over) = appended.await? {
        return Err(turn::refuse(inner, hub, record, &mut gate, &over, now_ms).await);
    }
    let paid = inner.store.session(id).await?;
    let paid = paid.ok_or_else(super::not_found)?;
    let until_ms = match talks {
        true => paid.paid_until_ms.min(paid.talk_paid_until_ms),
        false => paid.paid_until_ms,
    };
    let left = Duration::from_millis(until_ms.saturating_sub(now_ms));
    Ok(Paid {
        at_ms: now_ms,
        due: Instant::now() + left.max(SOON),
    })
}

/// What the minute costs that begins now. None: nobody has said.
pub async fn minute_price(
    inner: &Inner,
    record: &SessionRecord,
    key: &WidgetKey,
    metered: bool,
) -> Result<Option<Money>, Fault> {
    if !metered {
        return Ok(Some(Money::default()));
    }
    let agent = inner.store.agent(&record.agent_id).await?;
    let price = agent.and_then(|agent| agent.voice_minute_price);
    if price.is_none() && key.caps.bounds_spend() {
        let agent = &record.agent_id;
        tracing::error!(
            agent,
            "a key has a cap in money, but nobody has said what a minute of this agent's voice costs: set its voice_minute_price"
        );
    }
    Ok(price)
}
