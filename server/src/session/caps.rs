//! Caps: what a message, a session and a turn use up of a key, and what a visitor hears when nothing is left. Pure: the clock is an
//! argument. The counting itself happens inside the store's transaction ([`Charge`]), so that no two messages, sessions or processes
//! can both take the last of something.

use super::Principal;
use crate::error::Fault;
use crate::money::{Money, Prices};
use crate::store::{Aside, Caps, Charge, Count, Measure, Minutes, Over, WidgetKey};
use karta_protocol::{ErrorCode, EventType, SessionEvent, Usage};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Where only the cap per visitor is set: an address may be a whole office, but not a whole town.
const VISITORS_PER_ADDRESS: u32 = 10;
/// When turns that are not over hold back the last tokens, or the last money.
const RUNNING_TURN_SECONDS: u32 = 10;
/// A clock that is set back a little must not forget the day.
const KEPT_MS: u64 = 2 * DAY_MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Period {
    Ever,
    Day,
    Month,
}

impl Period {
    fn start_ms(self, now_ms: u64) -> u64 {
        match self {
            Period::Ever => 0,
            Period::Day => now_ms - now_ms % DAY_MS,
            Period::Month => month(now_ms).0,
        }
    }

    /// None: it never ends.
    fn end_ms(self, now_ms: u64) -> Option<u64> {
        match self {
            Period::Ever => None,
            Period::Day => Some(self.start_ms(now_ms) + DAY_MS),
            Period::Month => Some(month(now_ms).1),
        }
    }
}

/// A new session.
pub fn session(key: &WidgetKey, now_ms: u64) -> Charge {
    let sessions = count(
        "sessions/day",
        Period::Day,
        key.caps.sessions_per_day,
        now_ms,
    );
    Charge {
        counts: vec![taking(sessions, 1)],
        ..blank(&key.id, now_ms)
    }
}

/// The most that a turn may cost: it is held back until its end, when what it did cost is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    pub tokens: u64,
    /// Millionths of a unit of money. None: nobody has said what the agent's model costs.
    pub micros: Option<u64>,
}

/// Something that the visitor says. `opens_turn`: nothing of theirs waits for an answer yet, so this will cost one more turn.
/// `most`: of that turn, or of what this adds to the one that waits.
pub fn message(
    key: &WidgetKey,
    who: &Principal,
    address: Option<&str>,
    opens_turn: bool,
    most: Most,
    now_ms: u64,
) -> Charge {
    let mut charge = retry(key, most, now_ms);
    if !opens_turn {
        // The turn that it joins has been let in.
        charge.counts.clear();
    } else if who.subject.starts_with("v_") {
        charge
            .counts
            .extend(anonymous(&key.caps, who, address, now_ms));
    }
    charge
}

/// Another try at a turn that failed: it costs tokens and time, but no turn of the visitor's.
pub fn retry(key: &WidgetKey, most: Most, now_ms: u64) -> Charge {
    let mut counts = tokens(&key.caps, now_ms);
    counts.extend(spend(&key.caps, most.micros, now_ms));
    Charge {
        counts,
        minutes: Some(minutes(&key.caps, now_ms, now_ms)),
        aside: aside(most),
        ..blank(&key.id, now_ms)
    }
}

/// What is held back for it.
pub fn aside(most: Most) -> Aside {
    Aside {
        tokens: most.tokens,
        micros: most.micros.unwrap_or(0),
    }
}

/// A call that is handed over begins: its first minute, and something must be left of all that it will use. `minute`: as in [`talk`].
pub fn call(
    key: &WidgetKey,
    who: &Principal,
    address: Option<&str>,
    minute: Option<Money>,
    now_ms: u64,
) -> Charge {
    let mut charge = handed(key, who, address, now_ms);
    let turns = charge.counts.iter_mut();
    for count in turns.filter(|count| count.name.starts_with("turns/")) {
        count.add = 0;
    }
    Charge {
        talk: voice(&key.caps, minute, now_ms, now_ms),
        ..charge
    }
}

/// Something that the visitor says in such a call: a turn of theirs, which costs no tokens here.
pub fn handed(key: &WidgetKey, who: &Principal, address: Option<&str>, now_ms: u64) -> Charge {
    let mut charge = file(key, now_ms);
    if who.subject.starts_with("v_") {
        let turns = anonymous(&key.caps, who, address, now_ms);
        charge.counts.extend(turns);
    }
    charge
}

/// Time only.
pub fn time(key: &WidgetKey, now_ms: u64) -> Charge {
    Charge {
        minutes: Some(minutes(&key.caps, now_ms, now_ms)),
        ..blank(&key.id, now_ms)
    }
}

/// A call that goes on since `from_ms`: its time, and what its engine costs. `minute`: for each that begins; None: nobody has said.
pub fn talk(key: &WidgetKey, minute: Option<Money>, from_ms: u64, now_ms: u64) -> Charge {
    Charge {
        minutes: Some(minutes(&key.caps, from_ms, now_ms)),
        talk: voice(&key.caps, minute, from_ms, now_ms),
        ..blank(&key.id, now_ms)
    }
}

/// A file: it costs time only, but nothing is taken from who has used up the key.
pub fn file(key: &WidgetKey, now_ms: u64) -> Charge {
    // Not where the money is used up, but none is held back.
    let most = Most {
        tokens: 0,
        micros: Some(1),
    };
    Charge {
        aside: Aside::default(),
        ..retry(key, most, now_ms)
    }
}

/// The end of a turn that began at `from_ms`, and what is held back for the next, if one waits. Nothing is refused any more: what was used was used.
pub fn turn_end(key_id: &str, spent: Spent, next: Most, from_ms: u64, now_ms: u64) -> Charge {
    let caps = Caps::default();
    let used = (spent.usage.input_tokens).saturating_add(spent.usage.output_tokens);
    let add = |counts: Vec<Count>, add: u64| {
        counts.into_iter().map(move |count| Count {
            add,
            need: 0,
            ..count
        })
    };
    let tokens = add(tokens(&caps, now_ms), used);
    let spend = add(spend(&caps, Some(0), now_ms), spent.micros());
    Charge {
        counts: tokens.chain(spend).collect(),
        minutes: Some(minutes(&caps, from_ms, now_ms)),
        aside: aside(next),
        ..blank(key_id, now_ms)
    }
}

/// What a turn cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub usage: Usage,
    pub prices: Option<Prices>,
}

impl Spent {
    fn micros(&self) -> u64 {
        let Usage {
            input_tokens,
            output_tokens,
        } = self.usage;
        self.prices
            .map_or(0, |prices| prices.cost_micros(input_tokens, output_tokens))
    }
}

fn anonymous(
    caps: &Caps,
    who: &Principal,
    address: Option<&str>,
    now_ms: u64,
) -> impl Iterator<Item = Count> {
    let per_address = caps.anonymous_turns_per_address_per_day.or(caps
        .anonymous_turns
        .map(|turns| turns.saturating_mul(VISITORS_PER_ADDRESS)));
    let visitor = format!("turns/visitor/{}", who.subject);
    // An address that nobody could tell counts as one: unknown must not mean unbounded.
    let address = format!("turns/address/{}", address.unwrap_or("unknown"));
    let counts = [
        (visitor, Period::Ever, caps.anonymous_turns),
        (address, Period::Day, per_address),
    ];
    // Not counted where it is not bounded: a row for every visitor would be kept for nothing.
    counts
        .into_iter()
        .filter(|(.., cap)| cap.is_some())
        .map(move |(name, period, cap)| taking(count(&name, period, cap, now_ms), 1))
}

/// Not above the cap yet. What the turn costs is added at its end.
fn tokens(caps: &Caps, now_ms: u64) -> Vec<Count> {
    [
        count("tokens/day", Period::Day, caps.tokens_per_day, now_ms),
        count("tokens/month", Period::Month, caps.tokens_per_month, now_ms),
    ]
    .into_iter()
    .map(|count| Count {
        need: 1,
        aside: Some(Measure::Tokens),
        ..count
    })
    .collect()
}

/// As for tokens. A turn that costs nothing is not refused; one whose cost nobody can tell always is.
fn spend(caps: &Caps, most_micros: Option<u64>, now_ms: u64) -> Vec<Count> {
    let cap = |cap: Option<Money>| cap.map(Money::micros);
    [
        count("spend/day", Period::Day, cap(caps.spend_per_day), now_ms),
        count(
            "spend/month",
            Period::Month,
            cap(caps.spend_per_month),
            now_ms,
        ),
    ]
    .into_iter()
    .map(|count| Count {
        need: most_micros.map_or(u64::MAX, |micros| micros.min(1)),
        aside: Some(Measure::Micros),
        ..count
    })
    .collect()
}

fn minutes(caps: &Caps, from_ms: u64, now_ms: u64) -> Minutes {
    let counts = [
        count("minutes/day", Period::Day, caps.minutes_per_day, now_ms),
        count(
            "minutes/month",
            Period::Month,
            caps.minutes_per_month,
            now_ms,
        ),
    ];
    Minutes {
        from_ms,
        counts: counts.into_iter().map(|count| taking(count, 1)).collect(),
    }
}

/// Unlike a turn's, this cost is known before: it is taken when the minute begins, so that calls never go beyond a cap. None: there is
/// nothing to pay. Where nobody has said the price, a cap in money has nothing left for it.
fn voice(caps: &Caps, minute: Option<Money>, from_ms: u64, now_ms: u64) -> Option<Minutes> {
    let micros = minute.map(Money::micros);
    if micros == Some(0) || (micros.is_none() && !caps.bounds_spend()) {
        return None;
    }
    let each = |count| Count {
        add: micros.unwrap_or(0),
        need: micros.unwrap_or(u64::MAX),
        ..count
    };
    Some(Minutes {
        from_ms,
        counts: spend(caps, Some(0), now_ms).into_iter().map(each).collect(),
    })
}

fn blank(key_id: &str, now_ms: u64) -> Charge {
    Charge {
        key_id: key_id.to_owned(),
        now_ms,
        counts: Vec::new(),
        minutes: None,
        talk: None,
        aside: Aside::default(),
    }
}

fn taking(count: Count, n: u64) -> Count {
    Count {
        add: n,
        need: n,
        ..count
    }
}

fn count<N: Into<u64>>(name: &str, period: Period, cap: Option<N>, now_ms: u64) -> Count {
    Count {
        name: name.to_owned(),
        period_ms: period.start_ms(now_ms),
        expires_ms: period.end_ms(now_ms).map(|end| end + KEPT_MS),
        cap: cap.map(Into::into),
        ..Count::default()
    }
}

/// What the caller hears, and when it is worth trying again: absent where time does not heal it.
pub fn refusal(over: &Over, now_ms: u64) -> Fault {
    let (period, message) = match over.name.split_once('/') {
        Some(("turns", rest)) if rest.starts_with("visitor/") => (
            Period::Ever,
            "You have used up the answers for visitors who are not signed in.",
        ),
        Some(("turns", _)) => (
            Period::Day,
            "Too many answers were given to visitors of your network today.",
        ),
        Some((_, "month")) => (
            Period::Month,
            "The assistant has used up its allowance for this month.",
        ),
        Some(_) | None => (
            Period::Day,
            "The assistant has used up its allowance for today.",
        ),
    };
    let until_s = |end_ms: u64| {
        let seconds = end_ms.saturating_sub(now_ms).div_ceil(1_000).max(1);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    };
    let retry_after_seconds = if over.set_aside {
        Some(RUNNING_TURN_SECONDS)
    } else {
        period.end_ms(now_ms).map(until_s)
    };
    Fault::Refused {
        code: ErrorCode::LimitReached,
        message: message.into(),
        retry_after_seconds,
    }
}

/// The refusal as a line of the log.
pub fn event(refusal: &Fault) -> SessionEvent {
    let (message, retry_after_seconds) = match refusal {
        Fault::Refused {
            message,
            retry_after_seconds,
            ..
        } => (Some(message.clone()), *retry_after_seconds),
        Fault::Internal(_) => (None, None),
    };
    SessionEvent {
        kind: EventType::LimitReached,
        code: Some(refusal.code().as_str().into()),
        message,
        retry_after_seconds,
        ..SessionEvent::default()
    }
}

/// Begin and end of the month, UTC. Days and months from a day number: Howard Hinnant's `civil_from_days`.
fn month(now_ms: u64) -> (u64, u64) {
    // Days since 1 March of the year 0, so that a leap day is the last of its year.
    let days = now_ms / DAY_MS + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // 0 is March.
    let month = (5 * day_of_year + 2) / 153;
    let first_of = |month: u64| (153 * month + 2) / 5;
    let day = day_of_year - first_of(month);
    let length = match month {
        // February takes what the year leaves.
        11 => {
            let year = year_of_era + 1 + era * 400;
            let leap =
                year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
            if leap { 29 } else { 28 }
        }
        _ => first_of(month + 1) - first_of(month),
    };
    let start = (now_ms / DAY_MS - day) * DAY_MS;
    (start, start + length * DAY_MS)
}

#[cfg(test)]
mod tests;
