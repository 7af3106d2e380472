//! The response delay: several quick messages are answered together, whatever happens between them.

use super::stage::*;
use crate::session::*;
use karta_protocol::{EventType, client};

/// Long enough that no test machine is ever that slow.
const LONG_MS: u32 = 30_000;

#[tokio::test]
async fn quick_messages_are_answered_together_after_the_last() {
    let stage = Stage::new().await;
    stage.delay(400).await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    for (id, text) in [("m1", "Hi"), ("m2", "it's me"), ("m3", "Ada")] {
        stage.send(&session, id, text).await;
    }
    // Sent again by a widget that lost the reply: neither a second message nor a longer wait.
    assert_eq!(stage.send(&session, "m2", "it's me").await, 2);
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["Hi", "it's me", "Ada"]);
    call.reply("Hello Ada");
    reader.until(EventType::StatusIdle).await;
    assert_eq!(
        script(&stage.log(&session).await),
        [
            "user.message \"Hi\"",
            "user.message \"it's me\"",
            "user.message \"Ada\"",
            "session.status_running",
            "agent.message \"Hello Ada\"",
            "session.status_idle Complete",
        ],
        "the visitor sees typing once, when the turn begins"
    );
}

#[tokio::test]
async fn the_delay_counts_from_the_last_message() {
    let stage = Stage::new().await;
    stage.delay(LONG_MS).await;
    let session = stage.session().await;
    stage.send(&session, "m1", "One").await;
    stage.advance(Duration::from_millis(u64::from(LONG_MS) - 1_000));
    stage.send(&session, "m2", "Two").await;
    let hub = stage.sessions.hub(&who(), &session).await.expect("a hub");
    let gate = hub.gate.lock().await;
    let waiting = gate.waiting.expect("both wait");
    let between = waiting.last_ms - waiting.first_ms;
    assert!((29_000..30_000).contains(&between), "{between}");
    assert!(gate.running.is_none() && gate.timer);
}

#[tokio::test]
async fn what_comes_during_a_turn_waits_for_its_own_delay() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    stage.send(&session, "m1", "One").await;
    let call = stage.call().await;
    stage.delay(400).await;
    stage.send(&session, "m2", "Two").await;
    call.reply("1");
    let mut reader = stage.read(&session, 0).await;
    reader.until(EventType::StatusIdle).await;
    stage.send(&session, "m3", "Three").await;
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["Two", "Three"]);
}

#[tokio::test]
async fn a_crash_during_the_delay_loses_nothing() {
    let stage = Stage::new().await;
    stage.delay(1_500).await;
    let session = stage.session().await;
    stage.send(&session, "m1", "One").await;
    let stage = stage.crash().await;
    stage.send(&session, "m2", "Two").await;
    let call = stage.call().await;
    assert_eq!(
        call.turn.questions,
        ["One", "Two"],
        "and it goes on waiting"
    );
}

#[tokio::test]
async fn a_delay_that_passed_while_the_server_was_away_is_over() {
    let stage = Stage::new().await;
    stage.delay(LONG_MS).await;
    let session = stage.session().await;
    stage.send(&session, "m1", "One").await;
    stage.delay(0).await;
    let stage = stage.crash().await;
    assert_eq!(stage.call().await.turn.questions, ["One"]);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_delay_and_the_next_start_answers() {
    let stage = Stage::new().await;
    stage.delay(LONG_MS).await;
    let session = stage.session().await;
    stage.send(&session, "m1", "One").await;
    let began = std::time::Instant::now();
    soon(stage.sessions.stop(Duration::from_secs(20))).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(script(&stage.log(&session).await), ["user.message \"One\""]);
    stage.delay(0).await;
    let stage = stage.crash().await;
    assert_eq!(stage.call().await.turn.questions, ["One"]);
}

#[tokio::test]
async fn an_interruption_during_the_delay_takes_the_question_back() {
    let stage = Stage::new().await;
    stage.delay(LONG_MS).await;
    let session = stage.session().await;
    stage.send(&session, "m1", "One").await;
    stage
        .submit(&session, order(client::INTERRUPT))
        .await
        .expect("accepted");
    assert_eq!(
        script(&stage.log(&session).await),
        [
            "user.message \"One\"",
            "session.status_running",
            "session.status_idle Interrupted"
        ]
    );
    stage.delay(0).await;
    stage.send(&session, "m2", "Two").await;
    assert_eq!(stage.call().await.turn.questions, ["Two"]);
}

#[tokio::test]
async fn a_wish_to_try_again_ends_the_delay() {
    let stage = Stage::new().await;
    stage.delay(LONG_MS).await;
    let session = stage.session().await;
    stage.send(&session, "m1", "One").await;
    stage
        .submit(&session, order(client::RETRY))
        .await
        .expect("accepted");
    assert_eq!(stage.call().await.turn.questions, ["One"]);
}
