//! How often one address, one key or one visitor may do something. Token buckets (GCRA by `governor`), in memory.
//!
//! Nothing here counts by a value that the client can choose freely: addresses come from [`super::address`], visitors and keys from a
//! checked token. Memory is bounded: see [`ENTRIES_MAX`].

use crate::error::Fault;
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use karta_protocol::ErrorCode;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

mod rules;
#[cfg(test)]
mod tests;

pub use rules::{Action, RULES, Rate, Rates, Scope};

/// Buckets kept per rule, about 60 bytes each. Past that, those that are full again are dropped; should an attack keep more than that
/// busy, newcomers share [`SHARED_BUCKETS`].
const ENTRIES_MAX: usize = 100_000;
const SHARED_BUCKETS: u64 = 4_096;
/// How many checks pass between two looks at the number of buckets.
const TIDY_EVERY: u32 = 4_096;

/// Whom a request counts against. What is not known yet is None.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted<'a> {
    pub address: Option<IpAddr>,
    /// Stands for the address, and counts in its place: for what may have to be counted when nobody knows the address any more.
    pub address_mark: Option<&'a str>,
    pub key_id: Option<&'a str>,
    pub visitor: Option<&'a str>,
}

pub struct Limits {
    gates: Vec<(Action, Scope, Gate)>,
    hasher: RandomState,
}

struct Gate {
    /// Of gates that count failures: buckets that are empty, and until when.
    blocked: Mutex<HashMap<u64, Instant>>,
    limiter: RateLimiter<u64, DefaultKeyedStateStore<u64>, DefaultClock>,
    checks: AtomicU32,
    full: std::sync::atomic::AtomicBool,
}

impl Limits {
    pub fn new(rates: &Rates) -> Limits {
        let gates = RULES.iter().zip(&rates.0).filter_map(|(rule, rate)| {
            let Rate { n, per } = (*rate)?;
            // Below a nanosecond a token there is no limit left to speak of.
            let quota = Quota::with_period(per / n.get())?.allow_burst(n);
            Some((rule.0, rule.1, Gate::new(quota)))
        });
        Limits {
            gates: gates.collect(),
            hasher: RandomState::new(),
        }
    }

    /// Takes one token from each bucket that the action has, or refuses with the time to wait.
    pub fn check(&self, action: Action, who: Counted<'_>) -> Result<(), Fault> {
        for (scope, gate, bucket) in self.buckets(action, who) {
            if let Some(wait) = gate.take(bucket) {
                return Err(too_many(scope, wait));
            }
        }
        Ok(())
    }

    /// Takes one token from each bucket; the bucket that has none left is blocked until it has again.
    pub fn count(&self, action: Action, who: Counted<'_>) {
        for (_, gate, bucket) in self.buckets(action, who) {
            if let Some(wait) = gate.take(bucket) {
                gate.block(bucket, wait);
            }
        }
    }

    /// Refuses while a bucket is blocked. Takes nothing.
    pub fn refuse_blocked(&self, action: Action, who: Counted<'_>) -> Result<(), Fault> {
        for (scope, gate, bucket) in self.buckets(action, who) {
            if let Some(wait) = gate.blocked_for(bucket) {
                return Err(too_many(scope, wait));
            }
        }
        Ok(())
    }

    fn buckets(
        &self,
        action: Action,
        who: Counted<'_>,
    ) -> impl Iterator<Item = (Scope, &Gate, u64)> {
        self.gates
            .iter()
            .filter(move |gate| gate.0 == action)
            .filter_map(move |(_, scope, gate)| {
                let bucket = match scope {
                    Scope::Address => match who.address_mark {
                        Some(mark) => self.bucket(mark),
                        None => self.bucket(super::address::counted(who.address?)),
                    },
                    Scope::Key => self.bucket(who.key_id?),
                    Scope::Visitor => self.bucket(who.visitor?),
                };
                Some((*scope, gate, bucket))
            })
    }

    /// Keyed by a random seed, so nobody can aim at another's bucket.
    fn bucket(&self, value: impl Hash) -> u64 {
        self.hasher.hash_one(value)
    }
}

fn too_many(scope: Scope, wait: Duration) -> Fault {
    let seconds = (wait.as_secs_f64().ceil() as u32).max(1);
    let whom = match scope {
        Scope::Address => "this address",
        Scope::Key => "this key",
        Scope::Visitor => "this visitor",
    };
    Fault::Refused {
        code: ErrorCode::RateLimited,
        message: format!(
            "Too many requests from {whom}. Wait {seconds} s; the operator sets the limits (KARTA_LIMIT_…)."
        ),
        retry_after_seconds: Some(seconds),
    }
}

impl Gate {
    fn new(quota: Quota) -> Gate {
        Gate {
            blocked: Mutex::default(),
            limiter: RateLimiter::keyed(quota),
            checks: AtomicU32::new(0),
            full: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// None: taken. Some: how long until the next token.
    fn take(&self, bucket: u64) -> Option<Duration> {
        if self
            .checks
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(TIDY_EVERY)
        {
            self.tidy();
        }
        let bucket = if self.full.load(Ordering::Relaxed) {
            bucket % SHARED_BUCKETS
        } else {
            bucket
        };
        let refused = self.limiter.check_key(&bucket).err()?;
        Some(refused.wait_time_from(self.limiter.clock().now()))
    }

    fn block(&self, bucket: u64, wait: Duration) {
        let now = Instant::now();
        let mut blocked = self.blocked();
        if blocked.len() >= ENTRIES_MAX {
            blocked.retain(|_, until| *until > now);
        }
        // Should that many be guessing at once, the limiter itself still counts them.
        if blocked.len() < ENTRIES_MAX {
            blocked.insert(bucket, now + wait);
        }
    }

    fn blocked_for(&self, bucket: u64) -> Option<Duration> {
        let now = Instant::now();
        let mut blocked = self.blocked();
        let until = *blocked.get(&bucket)?;
        if until <= now {
            blocked.remove(&bucket);
            return None;
        }
        Some(until - now)
    }

    fn blocked(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        // Nothing that can panic runs under this lock.
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tidy(&self) {
        if self.limiter.len() > ENTRIES_MAX {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.full
            .store(self.limiter.len() > ENTRIES_MAX, Ordering::Relaxed);
    }
}
