//! Caps over the real database: what is counted, who is refused, what the log says of it.

use super::stage::*;
use crate::agent::{AgentFailure, Answer};
use crate::money::Money;
use crate::session::*;
use crate::store::{Agent, Caps};
use karta_protocol::{EventType, StopReason, Usage, client};
use sqlx::Connection as _;

mod cost;
mod talk;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn visitor(n: u32) -> Principal {
    Principal {
        subject: format!("v_{n}"),
        ..who()
    }
}

impl Stage {
    async fn say(&self, who: &Principal, session: &str, id: &str, from: &str) -> Result<(), Fault> {
        let sessions = &self.sessions;
        let said = sessions.submit(who, session, message(id, "Hi"), Some(from));
        said.await.map(drop)
    }

    async fn of(&self, who: &Principal) -> String {
        let created = self.sessions.create(who, None).await;
        created.expect("a session").id
    }

    /// How much of the counter was used, all periods together.
    async fn used(&self, name: &str) -> u64 {
        let counters = self.store.counters("k_1").await.expect("read");
        let of = counters.iter().filter(|(n, ..)| n == name);
        of.map(|(.., used)| used).sum()
    }

    async fn answer(&self, answer: Answer) {
        self.call().await.say("Hello").cue(Cue::Done(answer));
    }

    async fn idle(&self, session: &str, times: usize) {
        let mut reader = self.read(session, 0).await;
        for _ in 0..times {
            reader.until(EventType::StatusIdle).await;
        }
    }
}

#[track_caller]
fn limited(result: Result<(), Fault>) -> Option<u32> {
    match result.expect_err("refused") {
        Fault::Refused {
            code: ErrorCode::LimitReached,
            retry_after_seconds,
            ..
        } => retry_after_seconds,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_anonymous_visitor_has_so_many_turns_ever() {
    let stage = Stage::new().await;
    stage
        .cap(Caps {
            anonymous_turns: Some(2),
            ..Caps::default()
        })
        .await;
    let session = stage.session().await;
    for id in ["m1", "m2"] {
        stage.say(&who(), &session, id, "x").await.expect("a turn");
        stage.answer(Answer::default()).await;
    }
    stage.idle(&session, 2).await;
    let refused = stage.say(&who(), &session, "m3", "x").await;
    assert_eq!(limited(refused), None, "time does not heal it");
    // Sending again what was taken is still harmless.
    stage.say(&who(), &session, "m2", "x").await.expect("known");
    stage.advance(40 * DAY);
    assert_eq!(limited(stage.say(&who(), &session, "m4", "x").await), None);
    let other = stage.of(&who()).await;
    limited(stage.say(&who(), &other, "m1", "x").await);
    let log = stage.log(&session).await;
    let said: Vec<_> = log
        .iter()
        .filter(|e| e.kind == EventType::LimitReached)
        .collect();
    assert_eq!(
        said.len(),
        1,
        "not a line for every try: {:?}",
        script(&log)
    );
    assert_eq!(said[0].code.as_deref(), Some("limit_reached"));
    assert!(said[0].message.is_some() && said[0].retry_after_seconds.is_none());
    assert!(log.iter().all(|e| e.id.as_deref() != Some("m3")));
}

#[tokio::test]
async fn quick_messages_of_one_turn_count_as_one() {
    let stage = Stage::new().await;
    stage.delay(400).await;
    stage
        .cap(Caps {
            anonymous_turns: Some(1),
            ..Caps::default()
        })
        .await;
    let session = stage.session().await;
    for id in ["m1", "m2", "m3"] {
        stage
            .say(&who(), &session, id, "x")
            .await
            .expect("one turn");
    }
    assert_eq!(stage.call().await.turn.questions.len(), 3);
    limited(stage.say(&who(), &session, "m4", "x").await);
}

#[tokio::test]
async fn a_fresh_visitor_id_does_not_reset_the_address() {
    let stage = Stage::new().await;
    stage
        .cap(Caps {
            anonymous_turns: Some(2),
            anonymous_turns_per_address_per_day: Some(3),
            ..Caps::default()
        })
        .await;
    let mut taken = 0;
    for n in 0..10 {
        let session = stage.of(&visitor(n)).await;
        taken += u32::from(stage.say(&visitor(n), &session, "m1", "here").await.is_ok());
    }
    assert_eq!(taken, 3);
    let session = stage.of(&visitor(20)).await;
    let wait = limited(stage.say(&visitor(20), &session, "m1", "here").await);
    assert!(wait.is_some_and(|s| (1..=86_400).contains(&s)), "{wait:?}");
    let elsewhere = stage.say(&visitor(20), &session, "m1", "there").await;
    elsewhere.expect("another address");
    stage.advance(DAY);
    let session = stage.of(&visitor(21)).await;
    let tomorrow = stage.say(&visitor(21), &session, "m1", "here").await;
    tomorrow.expect("another day");
}

#[tokio::test]
async fn the_cap_per_visitor_alone_bounds_the_address_too() {
    let stage = Stage::new().await;
    stage
        .cap(Caps {
            anonymous_turns: Some(1),
            ..Caps::default()
        })
        .await;
    let mut taken = 0;
    for n in 0..15 {
        let session = stage.of(&visitor(n)).await;
        taken += u32::from(stage.say(&visitor(n), &session, "m1", "here").await.is_ok());
    }
    assert_eq!(taken, 10);
}

#[tokio::test]
async fn a_verified_user_is_not_bound_by_the_anonymous_cap() {
    let stage = Stage::new().await;
    stage
        .cap(Caps {
            anonymous_turns: Some(0),
            anonymous_turns_per_address_per_day: Some(0),
            ..Caps::default()
        })
        .await;
    let user = Principal {
        subject: "u_1".into(),
        ..who()
    };
    let session = stage.of(&user).await;
    stage.say(&user, &session, "m1", "x").await.expect("let in");
    let session = stage.session().await;
    limited(stage.say(&who(), &session, "m1", "x").await);
}

#[tokio::test]
async fn a_restart_resets_nothing() {
    let stage = Stage::new().await;
    stage
        .cap(Caps {
            anonymous_turns: Some(1),
            ..Caps::default()
        })
        .await;
    let session = stage.session().await;
    stage
        .say(&who(), &session, "m1", "x")
        .await
        .expect("a turn");
    let stage = stage.crash().await;
    stage.answer(Answer::default()).await;
    limited(stage.say(&who(), &session, "m2", "x").await);
}

#[tokio::test]
async fn the_last_turn_is_given_once_however_many_ask_at_the_same_time() {
    let stage = Arc::new(Stage::new().await);
    stage
        .cap(Caps {
            anonymous_turns_per_address_per_day: Some(7),
            ..Caps::default()
        })
        .await;
    let mut asking = Vec::new();
    for n in 0..200 {
        let stage = stage.clone();
        asking.push(tokio::spawn(async move {
            let session = stage.of(&visitor(n)).await;
            stage.say(&visitor(n), &session, "m1", "here").await
        }));
    }
    let mut taken = 0;
    for asked in asking {
        taken += u32::from(asked.await.expect("answered").is_ok());
    }
    assert_eq!(taken, 7);
}

#[tokio::test]
async fn sessions_are_counted_by_the_day() {
    let stage = Stage::new().await;
    stage
        .cap(Caps {
            sessions_per_day: Some(2),
            ..Caps::default()
        })
        .await;
    let first = stage.session().await;
    stage.session().await;
    let refused = stage.sessions.create(&visitor(9), None).await.map(drop);
    assert!(limited(refused).is_some_and(|s| s <= 86_400));
    let resumed = stage.sessions.create(&who(), Some(&first)).await;
    assert!(resumed.expect("going on costs nothing").resumed);
    stage.advance(DAY);
    stage.session().await;
}

fn money(text: &str) -> Option<Money> {
    Some(text.parse().expect("an amount"))
}

impl Stage {
    /// The puppet's turns take 3,000 tokens in and 1,000 out at most: 5 of money at these prices.
    async fn priced(&self) {
        let agent = self.store.agent("a_1").await.expect("read");
        let agent = Agent {
            input_price: money("1000"),
            output_price: money("2000"),
            ..agent.expect("there")
        };
        self.store.put_agent(&agent).await.expect("put");
    }
}

#[tokio::test]
async fn a_session_pays_by_the_minute_of_its_use() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    stage.send(&session, "m1", "Hi").await;
    assert_eq!(stage.used("minutes/day").await, 1);
    let call = stage.call().await;
    stage.advance(Duration::from_secs(150));
    call.reply("Hello");
    stage.idle(&session, 1).await;
    assert_eq!(
        stage.used("minutes/month").await,
        3,
        "the turn took two and a half"
    );
    stage
        .cap(Caps {
            minutes_per_month: Some(3),
            ..Caps::default()
        })
        .await;
    stage.send(&session, "m2", "Hi").await;
    stage.call().await.reply("still in a minute that is paid");
    stage.idle(&session, 2).await;
    stage.advance(Duration::from_secs(90));
    let wait = limited(stage.say(&who(), &session, "m3", "x").await);
    assert!(wait.is_some_and(|s| s <= 31 * 86_400), "{wait:?}");
}

#[tokio::test]
async fn a_counter_that_cannot_be_read_refuses() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let path = stage.dir.path().join("karta.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut other = sqlx::sqlite::SqliteConnection::connect_with(&options)
        .await
        .expect("open");
    sqlx::query("ALTER TABLE counters RENAME TO gone")
        .execute(&mut other)
        .await
        .expect("renamed");
    let refused = stage.say(&who(), &session, "m1", "x").await;
    assert_eq!(refused.expect_err("refused").code(), ErrorCode::Internal);
    assert!(stage.log(&session).await.is_empty());
    assert!(stage.sessions.create(&who(), None).await.is_err());
}
