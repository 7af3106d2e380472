//! What talking costs: a price for each minute that begins, within the key's caps in money.

use super::*;
use std::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

fn a_day(cap: &str) -> Caps {
    Caps {
        spend_per_day: money(cap),
        ..Caps::default()
    }
}

impl Stage {
    async fn minute_costs(&self, price: Option<&str>) {
        let agent = self.store.agent("a_1").await.expect("read");
        let agent = Agent {
            voice_minute_price: price.and_then(money),
            ..agent.expect("there")
        };
        self.store.put_agent(&agent).await.expect("put");
    }

    async fn talk(&self, who: &Principal, session: &str) -> Result<Stay, Fault> {
        self.sessions.begin_stay(who, session, true).await
    }

    async fn hand(&self, who: &Principal, session: &str, call: &str) -> Result<Handover, Fault> {
        let sessions = &self.sessions;
        let mut handover = sessions.hand_over(who, session, call, Some("x")).await?;
        handover.pay_start().await.map(|()| handover)
    }
}

#[tokio::test]
async fn each_minute_costs_the_price_of_the_moment_when_it_begins() {
    let stage = Stage::new().await;
    stage.minute_costs(Some("0.06")).await;
    let session = stage.session().await;
    let stay = stage.talk(&who(), &session).await.expect("begins");
    assert_eq!(stage.used("spend/day").await, 60_000);
    assert_eq!(stage.used("spend/month").await, 60_000);
    stage.advance(MINUTE / 2);
    let sessions = &stage.sessions;
    let stay = sessions.go_on(&who(), &session, stay).await.expect("paid");
    assert_eq!(stage.used("spend/day").await, 60_000, "the same minute");
    stage.minute_costs(Some("0.000001")).await;
    stage.advance(MINUTE / 2);
    let stay = sessions.go_on(&who(), &session, stay).await.expect("paid");
    assert_eq!(stage.used("spend/day").await, 60_001);
    stage.advance(MINUTE * 2);
    sessions.go_on(&who(), &session, stay).await.expect("late");
    assert_eq!(stage.used("spend/day").await, 60_003);
    assert_eq!(stage.used("minutes/day").await, 4);
}

#[tokio::test]
async fn the_machines_own_voice_and_a_price_of_nothing_cost_nothing() {
    let stage = Stage::new().await;
    stage.cap(a_day("0")).await;
    let session = stage.session().await;
    let own = stage.sessions.begin_stay(&who(), &session, false).await;
    own.expect("no engine is paid");
    stage.minute_costs(Some("0")).await;
    stage.talk(&who(), &session).await.expect("free");
    stage.minute_costs(Some("0.01")).await;
    limited(stage.talk(&who(), &session).await.map(drop));
    assert_eq!(stage.used("spend/day").await, 0);
}

#[tokio::test]
async fn a_cap_in_money_lets_no_voice_in_that_nobody_can_price() {
    let stage = Stage::new().await;
    stage.priced().await;
    stage.cap(a_day("1000000")).await;
    let session = stage.session().await;
    stage
        .say(&who(), &session, "m1", "x")
        .await
        .expect("text has its prices");
    limited(stage.talk(&who(), &session).await.map(drop));
    limited(stage.hand(&who(), &session, "h_1").await.map(drop));
    stage.minute_costs(Some("0.06")).await;
    let stay = stage.talk(&who(), &session).await.expect("priced");
    stage.hand(&who(), &session, "h_2").await.expect("priced");
    // Where it gets lost in the middle, the next minute is one too many.
    stage.minute_costs(None).await;
    stage.advance(MINUTE);
    let went_on = stage.sessions.go_on(&who(), &session, stay).await;
    limited(went_on.map(drop));
    stage.cap(Caps::default()).await;
    stage.talk(&who(), &session).await.expect("no cap asks");
}

#[tokio::test]
async fn a_minute_of_text_has_not_paid_for_the_voice() {
    let stage = Stage::new().await;
    stage.minute_costs(Some("0.06")).await;
    let session = stage.session().await;
    stage.send(&session, "m1", "Hi").await;
    stage.answer(Answer::default()).await;
    stage.idle(&session, 1).await;
    stage.talk(&who(), &session).await.expect("begins");
    assert_eq!(stage.used("minutes/day").await, 1);
    assert_eq!(stage.used("spend/day").await, 60_000);
}

#[tokio::test]
async fn who_hangs_up_and_calls_again_pays_for_all_the_time_together() {
    let stage = Stage::new().await;
    stage.minute_costs(Some("0.06")).await;
    let session = stage.session().await;
    let calls = 10;
    for _ in 0..calls {
        let began = Instant::now();
        let stay = stage.talk(&who(), &session).await.expect("begins");
        let ahead = stay.due().saturating_duration_since(began);
        // As the call does, which pays when that is due and is hung up just before it would be again.
        stage.advance(ahead);
        let sessions = &stage.sessions;
        sessions.go_on(&who(), &session, stay).await.expect("pays");
        stage.advance(MINUTE - Duration::from_secs(1));
    }
    let lasted = stage.ahead();
    let paid = Duration::from_secs(stage.used("minutes/day").await * 60);
    assert!(paid >= lasted, "{paid:?} of {lasted:?}");
    assert_eq!(
        stage.used("spend/day").await,
        stage.used("minutes/day").await * 60_000
    );
}

#[tokio::test]
async fn calls_at_once_never_go_beyond_the_cap() {
    let stage = Arc::new(Stage::new().await);
    stage.minute_costs(Some("0.06")).await;
    stage.cap(a_day("0.50")).await;
    let mut asking = Vec::new();
    for n in 0..16 {
        let stage = stage.clone();
        asking.push(tokio::spawn(async move {
            let session = stage.of(&visitor(n)).await;
            // Both kinds of calls, of one key.
            let begun = match n % 2 {
                0 => stage.talk(&visitor(n), &session).await.map(Some),
                _ => stage.hand(&visitor(n), &session, "h").await.map(|_| None),
            };
            (n, session, begun)
        }));
    }
    let (mut taken, mut own) = (0, Vec::new());
    for asked in asking {
        match asked.await.expect("answered") {
            (n, session, Ok(stay)) => {
                taken += 1;
                own.extend(stay.map(|stay| (n, session, stay)));
            }
            (_, _, Err(fault)) => {
                let wait = limited(Err(fault));
                assert!(
                    wait.is_some_and(|s| s <= 86_400),
                    "until tomorrow: {wait:?}"
                );
            }
        }
    }
    assert_eq!(taken, 8, "eight times 0.06");
    assert_eq!(stage.used("spend/day").await, 480_000);
    stage.advance(MINUTE);
    for (n, session, stay) in own {
        let went_on = stage.sessions.go_on(&visitor(n), &session, stay).await;
        limited(went_on.map(drop));
    }
    assert_eq!(stage.used("spend/day").await, 480_000);
}

#[tokio::test]
async fn money_that_turns_hold_back_is_not_there_for_talk() {
    let stage = Stage::new().await;
    stage.priced().await;
    stage.minute_costs(Some("0.20")).await;
    stage.cap(a_day("5.10")).await;
    let session = stage.session().await;
    stage.send(&session, "m1", "Hi").await;
    let other = stage.of(&visitor(2)).await;
    let refused = stage.talk(&visitor(2), &other).await.map(drop);
    assert_eq!(limited(refused), Some(10), "when the turn is over");
    stage.answer(Answer::default()).await;
    stage.idle(&session, 1).await;
    stage.talk(&visitor(2), &other).await.expect("there it is");
    // And what talk has taken is not there for turns.
    stage.cap(a_day("0.20")).await;
    let refused = stage.say(&who(), &session, "m2", "x").await;
    assert!(limited(refused).is_some_and(|s| s > 10));
}
