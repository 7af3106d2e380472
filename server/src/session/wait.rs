//! The response delay: how long a turn waits for more of the visitor's words, so that several quick messages are answered together.
//! The policy is pure; the timer asks it again whenever it wakes, and the log alone says what waits, so that a crash loses nothing.

use super::hub::{Gate, Hub};
use super::{Inner, turn, words};
use crate::store::{SessionRecord, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// However many messages follow each other, the first is answered after this many delays at the latest.
const DELAYS_MAX: u64 = 4;
/// And after this long.
const TOTAL_MAX_MS: u64 = 60_000;
/// Until the beginning of a turn is tried again that could not be stored.
const RETRY: Duration = Duration::from_secs(1);

/// What the visitor said since the last turn began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub first_ms: u64,
    pub last_ms: u64,
}

impl Waiting {
    /// One more message, at `now_ms`.
    pub fn and(before: Option<Waiting>, now_ms: u64) -> Waiting {
        Waiting {
            first_ms: before.map_or(now_ms, |waiting| waiting.first_ms),
            last_ms: now_ms,
        }
    }

    /// How long the turn still waits.
    pub fn left_ms(self, delay_ms: u32, now_ms: u64) -> u64 {
        let delay_ms = u64::from(delay_ms);
        let total_ms = (DELAYS_MAX * delay_ms).min(TOTAL_MAX_MS).max(delay_ms);
        let due_ms = (self.last_ms + delay_ms).min(self.first_ms + total_ms);
        // A clock that was set back must not make anybody wait for hours.
        due_ms.saturating_sub(now_ms).min(delay_ms)
    }
}

/// How long the session's next turn still waits. A delay that cannot be read is none: an answer matters more.
pub async fn left_ms(inner: &Inner, record: &SessionRecord, gate: &Gate) -> u64 {
    let Some(waiting) = gate.waiting else {
        return 0;
    };
    let delay_ms = match inner.store.agent(&record.agent_id).await {
        Ok(agent) => agent.map_or(0, |agent| agent.response_delay_ms),
        Err(_) => 0,
    };
    waiting.left_ms(delay_ms, inner.clock.now_ms())
}

/// Lets the turn begin once nothing more was said for long enough. One timer a session; whoever begins the turn earlier (another
/// try, a turn's end) makes it go away by itself.
pub fn start(inner: &Arc<Inner>, hub: &Arc<Hub>, record: &SessionRecord, gate: &mut Gate) {
    if gate.timer || inner.closing.is_cancelled() {
        return;
    }
    gate.timer = true;
    let (inner, hub, record) = (inner.clone(), hub.clone(), record.clone());
    let tasks = inner.tasks.clone();
    tasks.spawn(async move { run(&inner, &hub, &record).await });
}

async fn run(inner: &Arc<Inner>, hub: &Arc<Hub>, record: &SessionRecord) {
    let id = &record.info.id;
    loop {
        let mut gate = hub.gate.lock().await;
        if gate.running.is_some() || gate.waiting.is_none() || inner.closing.is_cancelled() {
            gate.timer = false;
            return;
        }
        let mut pause = Duration::from_millis(left_ms(inner, record, &gate).await);
        if pause.is_zero() {
            let events = [words::running()];
            match hub.commit(&*inner.store, id, &mut gate, &events).await {
                Ok(_) => {
                    gate.timer = false;
                    turn::start(inner, hub, record, &mut gate);
                    return;
                }
                // Forgotten meanwhile: nothing waits any more.
                Err(StoreError::NoSession) => {
                    gate.timer = false;
                    return;
                }
                Err(error) => {
                    tracing::error!(session = id, %error, "cannot store the beginning of a turn");
                    pause = RETRY;
                }
            }
        }
        drop(gate);
        tokio::select! {
            () = inner.closing.cancelled() => {}
            () = inner.halted.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages at these times, a delay, and now → what is left.
    fn check(said: &[u64], delay_ms: u32, now_ms: u64, left_ms: u64) {
        let waiting = said
            .iter()
            .fold(None, |before, at| Some(Waiting::and(before, *at)));
        let waiting = waiting.expect("something was said");
        assert_eq!(
            waiting.left_ms(delay_ms, now_ms),
            left_ms,
            "{said:?} at {now_ms}"
        );
    }

    #[test]
    fn the_turn_waits_for_the_last_message() {
        check(&[10_000], 0, 10_000, 0);
        check(&[10_000], 2_000, 10_000, 2_000);
        check(&[10_000], 2_000, 11_500, 500);
        check(&[10_000], 2_000, 12_000, 0);
        check(&[10_000, 11_500], 2_000, 12_000, 1_500);
        check(&[10_000], 2_000, 99_000, 0);
    }

    #[test]
    fn somebody_who_never_stops_is_answered_all_the_same() {
        let said: Vec<u64> = (0..20).map(|n| 10_000 + n * 1_000).collect();
        check(&said, 2_000, 17_999, 1);
        check(&said, 2_000, 18_000, 0);
        let said: Vec<u64> = (0..20).map(|n| 10_000 + n * 10_000).collect();
        check(&said, 30_000, 69_000, 1_000);
        check(&said, 30_000, 70_000, 0);
    }

    #[test]
    fn a_clock_that_was_set_back_delays_by_one_delay_at_most() {
        check(&[9_000_000], 2_000, 10_000, 2_000);
    }
}
