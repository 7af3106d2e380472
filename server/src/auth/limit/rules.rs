//! What is limited, by what, and how often where the operator says nothing else. Counting is above.

use std::num::NonZeroU32;
use std::time::Duration;

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
