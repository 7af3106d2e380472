//! A call pays by the minute, also for silence: who has nothing left is not let in, or not any further.

use super::super::Rtc;
use super::connect::config;
use super::voice::{Voiced, scripted};
use crate::agent::Runtimes;
use crate::app::Clock;
use crate::session::{Principal, Sessions};
use crate::store::{Caps, Store as _};
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
    let settings = CallSettings {
        minute: MINUTE,
        ..CallSettings::default()
    };
    Voiced::with(scripted(), "At nine.", settings, caps, clock).await
}

impl Voiced {
    async fn minutes(&self) -> u64 {
        let counters = self.store.counters("k_1").await.unwrap();
        let today = counters.iter().filter(|(name, ..)| name == "minutes/day");
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
        let refused = after.stay(who, id, None).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::LimitReached, "{id}");
    }
    assert_eq!(voiced.minutes().await, 3, "a refusal takes nothing");
}

#[tokio::test]
async fn a_minute_that_a_turn_has_paid_is_not_paid_again() {
    let still = Clock(Arc::new(|| 1_800_000_000_000));
    let voiced = voiced(100, still).await;
    let since = voiced.sessions.stay(&voiced.who, &voiced.session_id, None);
    let since = since.await.unwrap();
    for _ in 0..3 {
        let stayed = voiced
            .sessions
            .stay(&voiced.who, &voiced.session_id, Some(since))
            .await;
        assert_eq!(stayed.unwrap(), since);
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
