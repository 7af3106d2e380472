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
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Buckets kept per rule, about 60 bytes each. Past that, those that are full again are dropped; should an attack keep more than that
/// busy, newcomers share [`SHARED_BUCKETS`].
const ENTRIES_MAX: usize = 100_000;
const SHARED_BUCKETS: u64 = 4_096;
/// How many checks pass between two looks at the number of buckets.
const TIDY_EVERY: u32 = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Any call of the public API.
    Request,
    /// A session token, for a guest or in exchange for a proof.
    Mint,
    /// A proof of identity, or a secret key, that could have been a guess. Counted when it fails.
    FailedProof,
    /// A user token for an owner's backend.
    UserToken,
    Refresh,
    /// A session made or resumed.
    Session,
    /// A client event, by HTTPS or data channel.
    Message,
    /// A WebRTC offer.
    Connect,
    /// A call that begins.
    Call,
    /// A minute of a call that begins.
    CallMinute,
    /// What was said in a call that an engine answers.
    Report,
    /// A file of a visitor's.
    Upload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Address,
    Key,
    Visitor,
}

/// Every rule: what, for whom, its name in the environment, how many per minute.
///
/// An address may be an office, a school or a whole mobile carrier behind one NAT, so its limits are wide; the narrow one is the
/// visitor's. A key's limits stop a flood from very many addresses before it reaches the model's bill.
pub const RULES: &[(Action, Scope, &str, u32)] = &[
    (
        Action::Request,
        Scope::Address,
        "REQUESTS_PER_ADDRESS",
        1_200,
    ),
    (Action::Mint, Scope::Address, "MINTS_PER_ADDRESS", 120),
    (Action::Mint, Scope::Key, "MINTS_PER_KEY", 3_000),
    (
        Action::FailedProof,
        Scope::Address,
        "FAILED_PROOFS_PER_ADDRESS",
        20,
    ),
    // Wide, because it can lock a key's users out: it takes the address limit of 50 addresses to get there.
    (
        Action::FailedProof,
        Scope::Key,
        "FAILED_PROOFS_PER_KEY",
        1_000,
    ),
    (Action::UserToken, Scope::Key, "USER_TOKENS_PER_KEY", 3_000),
    (
        Action::Refresh,
        Scope::Address,
        "REFRESHES_PER_ADDRESS",
        300,
    ),
    (Action::Session, Scope::Address, "SESSIONS_PER_ADDRESS", 120),
    (Action::Session, Scope::Key, "SESSIONS_PER_KEY", 3_000),
    (Action::Message, Scope::Address, "MESSAGES_PER_ADDRESS", 300),
    (Action::Message, Scope::Key, "MESSAGES_PER_KEY", 6_000),
    (Action::Message, Scope::Visitor, "MESSAGES_PER_VISITOR", 40),
    (Action::Connect, Scope::Address, "CONNECTS_PER_ADDRESS", 120),
    (Action::Connect, Scope::Key, "CONNECTS_PER_KEY", 3_000),
    (Action::Call, Scope::Address, "CALLS_PER_ADDRESS", 30),
    (Action::Call, Scope::Key, "CALLS_PER_KEY", 600),
    (Action::Call, Scope::Visitor, "CALLS_PER_VISITOR", 10),
    // A call takes one each minute, so these bound how many go on at once as well.
    (
        Action::CallMinute,
        Scope::Address,
        "CALL_MINUTES_PER_ADDRESS",
        30,
    ),
    (Action::CallMinute, Scope::Key, "CALL_MINUTES_PER_KEY", 600),
    (
        Action::CallMinute,
        Scope::Visitor,
        "CALL_MINUTES_PER_VISITOR",
        10,
    ),
    (Action::Report, Scope::Address, "REPORTS_PER_ADDRESS", 600),
    (Action::Report, Scope::Key, "REPORTS_PER_KEY", 12_000),
    (Action::Report, Scope::Visitor, "REPORTS_PER_VISITOR", 120),
    (Action::Upload, Scope::Address, "UPLOADS_PER_ADDRESS", 60),
    (Action::Upload, Scope::Key, "UPLOADS_PER_KEY", 600),
    (Action::Upload, Scope::Visitor, "UPLOADS_PER_VISITOR", 20),
];

/// `n` in any `per`, all at once if need be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub n: NonZeroU32,
    pub per: Duration,
}

impl Rate {
    pub fn per_minute(n: u32) -> Option<Rate> {
        Some(Rate {
            n: NonZeroU32::new(n)?,
            per: Duration::from_secs(60),
        })
    }

    /// `off`, or a number and a time: `120/1m`, `5/10s`, `1000/1h`.
    pub fn parse(text: &str) -> Result<Option<Rate>, String> {
        let wrong = || format!("`{text}` is not a rate like 120/1m, 5/10s, 1000/1h or off");
        if text.trim().eq_ignore_ascii_case("off") {
            return Ok(None);
        }
        let (n, per) = text.trim().split_once('/').ok_or_else(wrong)?;
        let n: NonZeroU32 = n.trim().parse().map_err(|_| wrong())?;
        let per = per.trim();
        let (count, unit) = per
            .split_at_checked(per.len().saturating_sub(1))
            .ok_or_else(wrong)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return Err(wrong()),
        };
        let count: u64 = if count.is_empty() {
            1
        } else {
            count.parse().map_err(|_| wrong())?
        };
        if count == 0 || count > 1_000_000 {
            return Err(wrong());
        }
        Ok(Some(Rate {
            n,
            per: Duration::from_secs(count * unit),
        }))
    }
}

/// One rate, or none, for each of [`RULES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates(pub Vec<Option<Rate>>);

impl Default for Rates {
    fn default() -> Self {
        Rates(RULES.iter().map(|rule| Rate::per_minute(rule.3)).collect())
    }
}

impl Rates {
    /// No limits at all.
    pub fn off() -> Rates {
        Rates(vec![None; RULES.len()])
    }

    /// Sets one rule by its name in the environment.
    pub fn set(&mut self, name: &str, rate: Option<Rate>) {
        for (slot, rule) in self.0.iter_mut().zip(RULES) {
            if rule.2 == name {
                *slot = rate;
            }
        }
    }
}

/// Whom a request counts against. What is not known yet is None.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted<'a> {
    pub address: Option<IpAddr>,
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
                    Scope::Address => self.bucket(super::address::counted(who.address?)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(name: &str, rate: &str) -> Limits {
        let mut rates = Rates::off();
        rates.set(name, Rate::parse(rate).expect("a rate"));
        Limits::new(&rates)
    }

    fn from(address: &str) -> Counted<'static> {
        Counted {
            address: Some(address.parse().expect("an address")),
            ..Counted::default()
        }
    }

    #[test]
    fn the_bucket_empties_and_says_how_long_to_wait() {
        let limits = limits("MINTS_PER_ADDRESS", "3/1h");
        for _ in 0..3 {
            limits
                .check(Action::Mint, from("192.0.2.1"))
                .expect("within the limit");
        }
        let refused = limits
            .check(Action::Mint, from("192.0.2.1"))
            .expect_err("over the limit");
        let Fault::Refused {
            code: ErrorCode::RateLimited,
            retry_after_seconds: Some(wait),
            ..
        } = refused
        else {
            panic!("{refused}");
        };
        assert!((1_100..=1_200).contains(&wait));
        limits
            .check(Action::Mint, from("192.0.2.2"))
            .expect("another address");
        limits
            .check(Action::Session, from("192.0.2.1"))
            .expect("another action");
    }

    #[test]
    fn failures_are_counted_and_then_everything_is_refused_for_a_while() {
        let limits = limits("FAILED_PROOFS_PER_ADDRESS", "2/1h");
        let (guesser, other) = (from("192.0.2.1"), from("192.0.2.2"));
        for _ in 0..3 {
            let allowed = limits.refuse_blocked(Action::FailedProof, guesser);
            allowed.expect("asking takes nothing");
            limits.count(Action::FailedProof, guesser);
        }
        let refused = limits.refuse_blocked(Action::FailedProof, guesser);
        let Err(Fault::Refused {
            code: ErrorCode::RateLimited,
            retry_after_seconds: Some(wait),
            ..
        }) = refused
        else {
            panic!("{refused:?}");
        };
        assert!((1_700..=1_800).contains(&wait), "{wait}");
        let elsewhere = limits.refuse_blocked(Action::FailedProof, other);
        elsewhere.expect("another address");
    }

    #[test]
    fn a_block_ends_by_itself() {
        let limits = limits("FAILED_PROOFS_PER_ADDRESS", "10/1s");
        let guesser = from("192.0.2.1");
        for _ in 0..12 {
            limits.count(Action::FailedProof, guesser);
        }
        let blocked = limits.refuse_blocked(Action::FailedProof, guesser);
        assert!(blocked.is_err());
        std::thread::sleep(Duration::from_millis(250));
        let over = limits.refuse_blocked(Action::FailedProof, guesser);
        over.expect("a tenth of a second later one may try again");
    }

    #[test]
    fn addresses_of_one_network_share_a_bucket() {
        let limits = limits("MINTS_PER_ADDRESS", "2/1h");
        limits
            .check(Action::Mint, from("2001:db8::1"))
            .expect("first");
        limits
            .check(Action::Mint, from("2001:db8::ffff:2"))
            .expect("second");
        assert!(
            limits
                .check(Action::Mint, from("2001:db8::3:3:3:3"))
                .is_err()
        );
        limits
            .check(Action::Mint, from("2001:db8:0:1::1"))
            .expect("another network");
    }

    #[test]
    fn memory_stays_bounded_under_many_addresses() {
        let limits = limits("MINTS_PER_ADDRESS", "1/1h");
        for n in 0..ENTRIES_MAX as u32 * 2 {
            let address = IpAddr::V4(n.into());
            let _ = limits.check(
                Action::Mint,
                Counted {
                    address: Some(address),
                    ..Counted::default()
                },
            );
        }
        let entries = limits.gates[0].2.limiter.len();
        assert!(
            entries <= ENTRIES_MAX + (TIDY_EVERY as u64 + SHARED_BUCKETS) as usize + 1,
            "{entries}"
        );
    }

    #[test]
    fn rates_are_read_as_written() {
        assert_eq!(Rate::parse("off"), Ok(None));
        assert_eq!(Rate::parse("120/1m"), Ok(Rate::per_minute(120)));
        assert_eq!(Rate::parse(" 120 / m "), Ok(Rate::per_minute(120)));
        assert_eq!(
            Rate::parse("5/10s").unwrap().unwrap().per,
            Duration::from_secs(10)
        );
        for text in [
            "",
            "0/1m",
            "5",
            "5/",
            "/1m",
            "-1/1m",
            "5/0s",
            "5/1d",
            "5/1é",
            "x/1m",
            "5/99999999999h",
        ] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}
