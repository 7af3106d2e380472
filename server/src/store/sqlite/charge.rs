//! Counters, inside the writer's transaction: checked before anything is written, so that a refusal leaves no trace.

use super::row::{integer, unsigned};
use crate::store::{Aside, Charge, Count, Measure, Minutes, Over, StoreError};
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteConnection;

const MINUTE_MS: u64 = 60_000;
/// Two of them together are still an integer to SQLite.
const MOST: i64 = i64::MAX / 2;
/// A million units of money for one session; a million such sessions together are still an integer to SQLite.
const ASIDE_MOST: u64 = 1_000_000_000_000;

/// What will be added, once it is certain.
#[derive(Debug, Default)]
pub struct Due<'a> {
    counts: Vec<(&'a Count, u64)>,
    pub paid: Paid,
}

/// Until when a session has paid; 0: for nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paid {
    pub until_ms: u64,
    pub talk_until_ms: u64,
}

pub async fn check<'a>(
    tx: &mut SqliteConnection,
    charge: &'a Charge,
    mut paid: Paid,
) -> Result<Result<Due<'a>, Over>, StoreError> {
    let mut counts: Vec<_> = charge.counts.iter().map(|c| (c, c.add, c.need)).collect();
    for (minutes, until_ms) in [
        (&charge.minutes, &mut paid.until_ms),
        (&charge.talk, &mut paid.talk_until_ms),
    ] {
        let Some(minutes) = minutes else { continue };
        let (n, paid_ms) = unpaid(minutes, *until_ms, charge.now_ms);
        *until_ms = paid_ms;
        let each = |c: &'a Count| (c, n.saturating_mul(c.add), n.saturating_mul(c.need));
        counts.extend(minutes.counts.iter().map(each));
    }
    for (count, _, need) in &counts {
        if let Some(cap) = count.cap {
            let left = cap.saturating_sub(used(tx, &charge.key_id, count).await?);
            let aside = match count.aside {
                Some(measure) if *need > 0 => aside(tx, &charge.key_id, measure).await?,
                Some(_) | None => 0,
            };
            if need.saturating_add(aside) > left && *need > 0 {
                return Ok(Err(Over {
                    name: count.name.clone(),
                    set_aside: *need <= left,
                }));
            }
        }
    }
    let counts = counts.into_iter().map(|(count, add, _)| (count, add));
    Ok(Ok(Due {
        counts: counts.filter(|(_, add)| *add > 0).collect(),
        paid,
    }))
}

pub async fn pay(
    tx: &mut SqliteConnection,
    charge: &Charge,
    due: &Due<'_>,
) -> Result<(), StoreError> {
    if due.counts.is_empty() {
        return Ok(());
    }
    // One statement: each is a round trip to the connection's thread.
    QueryBuilder::new("INSERT INTO counters (key_id, name, period_ms, used, expires_ms) ")
        .push_values(&due.counts, |mut row, (count, add)| {
            row.push_bind(&charge.key_id)
                .push_bind(&count.name)
                .push_bind(integer(count.period_ms))
                .push_bind(integer(*add).min(MOST))
                .push_bind(count.expires_ms.map(integer));
        })
        .push(" ON CONFLICT DO UPDATE SET used = min(used + excluded.used, ")
        .push_bind(MOST)
        .push(")")
        .build()
        .execute(tx)
        .await?;
    Ok(())
}

/// One turn more. Sums over many sessions stay within an integer of SQLite.
pub fn hold_back(aside: Aside, more: Aside) -> Aside {
    let both = |a: u64, b: u64| a.saturating_add(b).min(ASIDE_MOST);
    Aside {
        tokens: both(aside.tokens, more.tokens),
        micros: both(aside.micros, more.micros),
    }
}

/// Forgets counters of periods that are long over.
pub async fn purge(tx: &mut SqliteConnection, now_ms: u64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM counters WHERE expires_ms < ?")
        .bind(integer(now_ms))
        .execute(tx)
        .await?;
    Ok(())
}

/// How many minutes begin that are not paid yet, and until when the session is paid then.
fn unpaid(minutes: &Minutes, paid_until_ms: u64, now_ms: u64) -> (u64, u64) {
    let from_ms = paid_until_ms.max(minutes.from_ms);
    // Paid further ahead than a minute: the clock was set back. What was paid then says nothing about now.
    let from_ms = if paid_until_ms > now_ms + MINUTE_MS {
        minutes.from_ms.min(now_ms)
    } else {
        from_ms
    };
    if now_ms < from_ms {
        return (0, paid_until_ms);
    }
    let n = (now_ms - from_ms) / MINUTE_MS + 1;
    (n, from_ms + n * MINUTE_MS)
}

async fn used(tx: &mut SqliteConnection, key_id: &str, count: &Count) -> Result<u64, StoreError> {
    let sql = "SELECT used FROM counters WHERE key_id = ? AND name = ? AND period_ms = ?";
    let query = sqlx::query(sql).bind(key_id).bind(&count.name);
    let row = query
        .bind(integer(count.period_ms))
        .fetch_optional(tx)
        .await?;
    row.map_or(Ok(0), |row| unsigned(&row, "used"))
}

/// Held back for all turns of the key that are not over.
async fn aside(
    tx: &mut SqliteConnection,
    key_id: &str,
    measure: Measure,
) -> Result<u64, StoreError> {
    let sql = match measure {
        Measure::Tokens => {
            "SELECT coalesce(sum(aside_tokens), 0) AS n FROM sessions WHERE key_id = ? AND aside_tokens > 0"
        }
        Measure::Micros => {
            "SELECT coalesce(sum(aside_micros), 0) AS n FROM sessions WHERE key_id = ? AND aside_tokens > 0"
        }
    };
    unsigned(&sqlx::query(sql).bind(key_id).fetch_one(tx).await?, "n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from_ms: u64, paid_until_ms: u64, now_ms: u64, expected: (u64, u64)) {
        let minutes = Minutes {
            from_ms,
            counts: Vec::new(),
        };
        assert_eq!(
            unpaid(&minutes, paid_until_ms, now_ms),
            expected,
            "in use from {from_ms} to {now_ms}, paid until {paid_until_ms}"
        );
    }

    #[test]
    fn a_session_pays_each_minute_of_its_use_once() {
        let at = 1_000_000;
        check(at, 0, at, (1, at + 60_000));
        check(at + 59_999, at + 60_000, at + 59_999, (0, at + 60_000));
        check(at + 60_000, at + 60_000, at + 60_000, (1, at + 120_000));
        // A pause of an hour costs nothing.
        check(
            at + 3_600_000,
            at + 60_000,
            at + 3_600_000,
            (1, at + 3_660_000),
        );
        // A turn that ran for two minutes and a half, the first of which was paid with its question.
        check(at, at + 60_000, at + 150_000, (2, at + 180_000));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_give_time_away() {
        let at = 100_000_000;
        check(at, at + 50_000_000, at, (1, at + 60_000));
    }
}
