//! A turn that a crash or a stop has cut.

use super::stage::*;
use crate::session::*;
use crate::store::Appended;
use karta_protocol::{EventType, SessionEvent};

#[tokio::test]
async fn a_turn_that_a_crash_cut_is_run_again_once() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.say("Half");
    stage.send(&session, "m2", "And you?").await;
    let stage = stage.crash().await;
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["Hi"]);
    // Asking for the session meanwhile does not start it twice.
    let mut reader = stage.read(&session, 3).await;
    assert_eq!(stage.send(&session, "m1", "Hi").await, 1);
    call.reply("Hello");
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["And you?"]);
    call.reply("Fine");
    reader.until(EventType::StatusIdle).await;
    reader.until(EventType::StatusIdle).await;
    assert_eq!(
        script(&stage.log(&session).await),
        [
            "user.message \"Hi\"",
            "session.status_running",
            "user.message \"And you?\"",
            "agent.message \"Hello\"",
            "session.status_idle Complete",
            "session.status_running",
            "agent.message \"Fine\"",
            "session.status_idle Complete",
        ]
    );
    let stage = stage.crash().await;
    stage.sessions.inner.tasks.close();
    stage.sessions.inner.tasks.wait().await;
    assert!(
        stage.calls.lock().await.try_recv().is_err(),
        "nothing was cut"
    );
}

#[tokio::test]
async fn a_question_that_no_turn_took_is_answered_after_a_restart() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let event = SessionEvent {
        kind: EventType::UserMessage,
        id: Some("m1".into()),
        text: Some("Hi".into()),
        ..SessionEvent::default()
    };
    assert!(matches!(
        stage.store.append(&session, vec![event]).await,
        Ok(Appended::New(_))
    ));
    let stage = stage.crash().await;
    assert_eq!(stage.call().await.turn.questions, ["Hi"]);
}

#[tokio::test]
async fn stopping_lets_turns_finish_and_ends_readers() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    let call = stage.call().await;
    let sessions = stage.sessions.clone();
    let stopping = tokio::spawn(async move { sessions.stop(Duration::from_secs(60)).await });
    stage.sessions.inner.closing.cancelled().await;
    let refused = stage.submit(&session, message("m2", "Late")).await;
    assert_eq!(refused.map_err(|f| f.code()), Err(ErrorCode::Overloaded));
    call.reply("Hello");
    reader.until(EventType::StatusIdle).await;
    stopping.await.expect("stopped");
    assert!(reader.subscription.next().await.is_none());
}

#[tokio::test]
async fn stopping_leaves_a_long_turn_to_the_next_start() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.say("Half");
    stage.sessions.stop(Duration::ZERO).await;
    let stage = stage.crash().await;
    assert_eq!(stage.call().await.turn.questions, ["Hi"]);
    assert_eq!(stage.log(&session).await.len(), 2);
}
