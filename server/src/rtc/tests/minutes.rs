//! A call pays by the minute, also for silence: who has nothing left is not let in, or not any further.

use super::super::Rtc;
use super::connect::config;
use super::voice::{Voiced, scripted};
use crate::agent::Runtimes;
use crate::app::Clock;
use crate::session::{Principal, Sessions};
use crate::store::{Agent, Caps, Store as _};
use crate::voice::CallSettings;
use karta_protocol::{ErrorCode, EventType};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A minute of the counters' clock, for the test.
const MINUTE: Duration = Duration::from_millis(200);

/// Runs so much faster that [`MINUTE`] is one. Begins in the middle of a day, so that no test sees two.
fn fast() -> Clock {
    let began = Instant::now();
    Clock(Arc::new(move || {
        1_800_000_000_000 + began.elapsed().as_micros() as u64 * 60 / MINUTE.as_millis() as u64
    }))
}

async fn voiced(minutes_per_day: u32, clock: Clock) -> Arc<Voiced> {
    let caps = Caps {
        minutes_per_day: Some(minutes_per_day),
        ..Caps::default()
    };
    capped(caps, clock).await
}

async fn capped(caps: Caps, clock: Clock) -> Arc<Voiced> {
    let settings = CallSettings {
        minute: MINUTE,
        ..CallSettings::default()
    };
    Voiced::with(scripted(), "At nine.", settings, caps, clock).await
}

impl Voiced {
    async fn minutes(&self) -> u64 {
        self.used("minutes/day").await
    }

    async fn used(&self, counter: &str) -> u64 {
        let counters = self.store.counters("k_1").await.unwrap();
        let today = counters.iter().filter(|(name, ..)| name == counter);
        today.map(|(.., used)| used).sum()
    }
}

#[tokio::test]
async fn a_visitor_who_only_listens_uses_minutes_until_there_are_none() {
    let rtc = Rtc::start(config()).await.unwrap();
    let voiced = voiced(3, fast()).await;
    let began = Instant::now();
    let mut client = voiced.open(&rtc).await;
    assert_eq!(voiced.minutes().await, 1, "the first, when it begins");
    client
        .until("the end", |c| c.has(r#""state":"ended""#))
        .await;
    assert!(began.elapsed() >= MINUTE * 3 - MINUTE / 10, "not before");
    let frames = client.frames.concat();
    assert!(
        frames.contains(r#""type":"error","code":"limit_reached""#),
        "{frames}"
    );
    assert!(
        frames.contains(r#""state":"ended","code":"refused""#),
        "{frames}"
    );
    assert_eq!(voiced.minutes().await, 3);
    let log = voiced.log().await;
    assert_eq!(log.last().map(|e| e.kind), Some(EventType::LimitReached));

    // Neither another call, nor another visitor, nor a restart of the server gives any back.
    let again = voiced.ask(&rtc).await;
    let mut again = again;
    again
        .until("the refusal", |c| {
            c.has(r#""state":"ended","code":"refused""#)
        })
        .await;
    assert!(again.has(r#""code":"limit_reached""#) && !again.has("listening"));
    let runtimes = Runtimes::new(voiced.store.clone(), None);
    let after = Sessions::start_at(voiced.store.clone(), runtimes, fast(), None);
    let after = after.await.unwrap();
    let other = Principal {
        subject: "v_other".into(),
        ..voiced.who.clone()
    };
    let theirs = after.create(&other, None).await.unwrap().id;
    for (who, id) in [(&voiced.who, &voiced.session_id), (&other, &theirs)] {
        let refused = after.begin_stay(who, id, true).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::LimitReached, "{id}");
    }
    assert_eq!(voiced.minutes().await, 3, "a refusal takes nothing");
}

#[tokio::test]
async fn a_minute_that_a_turn_has_paid_is_not_paid_again() {
    let still = Clock(Arc::new(|| 1_800_000_000_000));
    let voiced = voiced(100, still).await;
    let (sessions, who, id) = (&voiced.sessions, &voiced.who, &voiced.session_id);
    let stay = sessions.begin_stay(who, id, true).await.unwrap();
    for _ in 0..3 {
        sessions.go_on(who, id, stay).await.unwrap();
    }
    assert_eq!(voiced.minutes().await, 1);
}

#[tokio::test]
async fn a_call_whose_minutes_cannot_be_counted_ends() {
    let rtc = Rtc::start(config()).await.unwrap();
    let voiced = voiced(1_000, fast()).await;
    let mut client = voiced.open(&rtc).await;
    voiced.store.close().await;
    client
        .until("the end", |c| c.has(r#""state":"ended","code":"refused""#))
        .await;
    assert!(client.has(r#""type":"error""#), "{:?}", client.frames);
}

#[tokio::test]
async fn a_call_ends_when_the_money_for_its_minutes_is_used_up() {
    let rtc = Rtc::start(config()).await.unwrap();
    let caps = Caps {
        spend_per_month: Some("0.25".parse().unwrap()),
        ..Caps::default()
    };
    let voiced = capped(caps, fast()).await;
    let unpriced = voiced.ask(&rtc).await;
    let mut unpriced = unpriced;
    let refused = r#""state":"ended","code":"refused""#;
    unpriced.until("the refusal", |c| c.has(refused)).await;
    assert!(unpriced.has(r#""code":"limit_reached""#) && !unpriced.has("listening"));
    let agent = voiced.store.agent("a_1").await.unwrap().unwrap();
    let agent = Agent {
        voice_minute_price: Some("0.10".parse().unwrap()),
        ..agent
    };
    voiced.store.put_agent(&agent).await.unwrap();
    let began = Instant::now();
    let mut client = voiced.open(&rtc).await;
    assert_eq!(voiced.used("spend/month").await, 100_000);
    client.until("the end", |c| c.has(refused)).await;
    assert!(began.elapsed() >= MINUTE * 2 - MINUTE / 10, "not before");
    assert!(
        client.has(r#""type":"error","code":"limit_reached""#),
        "{:?}",
        client.frames
    );
    assert_eq!(voiced.used("spend/month").await, 200_000);
}

#[tokio::test]
async fn a_call_that_begins_in_a_paid_minute_pays_the_next_when_that_ends() {
    let rtc = Rtc::start(config()).await.unwrap();
    // Counts to the last second of the minute that the first call has paid, and stands still until it is told to go on.
    let at = Arc::new(std::sync::atomic::AtomicU64::new(1_800_000_000_000));
    let time = at.clone();
    let clock = Clock(Arc::new(move || {
        time.load(std::sync::atomic::Ordering::SeqCst)
    }));
    let settings = CallSettings::default();
    let voiced = Voiced::with(scripted(), "At nine.", settings, Caps::default(), clock).await;
    let (who, id) = (&voiced.who, &voiced.session_id);
    voiced.sessions.begin_stay(who, id, true).await.unwrap();
    at.fetch_add(59_500, std::sync::atomic::Ordering::SeqCst);
    let _client = voiced.open(&rtc).await;
    assert_eq!(voiced.minutes().await, 1, "a minute is paid once");
    at.fetch_add(1_000, std::sync::atomic::Ordering::SeqCst);
    let asked = Instant::now();
    while voiced.minutes().await < 2 {
        assert!(asked.elapsed() < Duration::from_secs(10), "not paid");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
