//! A question and its answer: what the log holds, and what interrupts, failures and haste do to it.

use super::stage::*;
use crate::agent::{AgentFailure, Answer, Line};
use karta_protocol::{EventType, StopReason, client};

#[tokio::test]
async fn a_message_is_answered_and_the_log_says_so() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    assert_eq!(reader.event().await.kind, EventType::Synced);
    assert_eq!(stage.send(&session, "m1", "Hi").await, 1);
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["Hi"]);
    call.say("Hel").reply("lo");
    let seen = reader.until(EventType::StatusIdle).await;
    assert_eq!(
        script(&seen),
        [
            "user.message \"Hi\"",
            "session.status_running",
            "agent.message + \"Hel\"",
            "agent.message + \"lo\"",
            "agent.message \"Hello\"",
            "session.status_idle Complete",
        ]
    );
    assert_eq!(seen[3].offset, Some(3));
    assert_eq!(seen[2].part_id, seen[4].part_id);
    let log = stage.log(&session).await;
    assert_eq!(
        log.iter().filter_map(|e| e.seq).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(
        log,
        seen.into_iter().filter(|e| !e.delta).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn message_and_turn_start_are_one_commit_and_so_are_answer_and_end() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    let before = stage.store.commits();
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.reply("Hello");
    reader.until(EventType::StatusIdle).await;
    assert_eq!(stage.store.commits() - before, 2);
}

#[tokio::test]
async fn sending_again_is_harmless() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    let seq = stage.send(&session, "m1", "Hi").await;
    assert_eq!(stage.send(&session, "m1", "Hi").await, seq);
    stage.call().await.reply("Hello");
    reader.until(EventType::StatusIdle).await;
    assert_eq!(stage.send(&session, "m1", "Hi").await, seq);
    assert_eq!(stage.log(&session).await.len(), 4);
    assert!(
        stage.calls.lock().await.try_recv().is_err(),
        "no second turn"
    );
}

#[tokio::test]
async fn messages_during_a_turn_are_answered_together_by_the_next() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "One").await;
    let first = stage.call().await;
    stage.send(&session, "m2", "Two").await;
    stage.send(&session, "m3", "Three").await;
    first.reply("Answer one");
    let second = stage.call().await;
    assert_eq!(second.turn.questions, ["Two", "Three"]);
    assert_eq!(
        second.turn.history,
        [
            Line::Visitor("One".into()),
            Line::Agent("Answer one".into())
        ]
    );
    second.reply("Answer two");
    reader.until(EventType::StatusIdle).await;
    reader.until(EventType::StatusIdle).await;
    assert_eq!(
        script(&stage.log(&session).await),
        [
            "user.message \"One\"",
            "session.status_running",
            "user.message \"Two\"",
            "user.message \"Three\"",
            "agent.message \"Answer one\"",
            "session.status_idle Complete",
            "session.status_running",
            "agent.message \"Answer two\"",
            "session.status_idle Complete",
        ]
    );
}

#[tokio::test]
async fn interrupting_keeps_what_was_streamed_and_stops_the_runtime() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    let call = stage.call().await;
    call.say("Half an ans");
    reader.until(EventType::AgentMessage).await;
    stage
        .submit(&session, order(client::INTERRUPT))
        .await
        .expect("accepted");
    let seen = reader.until(EventType::StatusIdle).await;
    assert_eq!(
        script(&seen),
        [
            "agent.message \"Half an ans\" interrupted",
            "session.status_idle Interrupted"
        ]
    );
    assert!(call.gone.await.is_err(), "the runtime's future was dropped");
    // With nothing running it does nothing.
    assert_eq!(
        stage
            .submit(&session, order(client::INTERRUPT))
            .await
            .expect("accepted")
            .seq,
        None
    );
    stage.send(&session, "m2", "Go on").await;
    assert_eq!(stage.call().await.turn.questions, ["Go on"]);
}

#[tokio::test]
async fn a_failure_is_told_kindly_and_retry_asks_again() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    let call = stage.call().await;
    call.say("Half")
        .cue(Cue::Fail(AgentFailure::Broken("SECRET-DETAIL".into())));
    let seen = reader.until(EventType::StatusIdle).await;
    let error = &seen[seen.len() - 2];
    assert_eq!(error.kind, EventType::SessionError);
    assert_eq!(error.code.as_deref(), Some("agent_failed"));
    assert!(!format!("{:?}", stage.log(&session).await).contains("SECRET-DETAIL"));
    // The half answer is withdrawn from whoever saw it begin.
    let synced = reader.event().await;
    assert_eq!(
        (synced.kind, synced.part_id, synced.seq),
        (EventType::Synced, None, Some(4))
    );
    stage
        .submit(&session, order(client::RETRY))
        .await
        .expect("accepted");
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["Hi"]);
    // Pressing twice is harmless.
    stage
        .submit(&session, order(client::RETRY))
        .await
        .expect("accepted");
    call.reply("Hello");
    reader.until(EventType::StatusIdle).await;
    stage
        .submit(&session, order(client::RETRY))
        .await
        .expect("accepted");
    assert!(
        stage.calls.lock().await.try_recv().is_err(),
        "nothing left to answer"
    );
}

#[tokio::test]
async fn a_panicking_runtime_fails_its_turn_only() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.cue(Cue::Panic);
    let seen = reader.until(EventType::StatusIdle).await;
    assert_eq!(
        seen.last().and_then(|e| e.stop_reason),
        Some(StopReason::Error)
    );
    stage.send(&session, "m2", "Still there?").await;
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["Hi", "Still there?"]);
    call.reply("Yes");
    reader.until(EventType::StatusIdle).await;
}

#[tokio::test]
async fn an_empty_answer_is_a_failure() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.cue(Cue::Done(Answer::default()));
    let seen = reader.until(EventType::StatusIdle).await;
    assert_eq!(
        seen.last().and_then(|e| e.stop_reason),
        Some(StopReason::Error)
    );
}

#[tokio::test]
async fn thinking_is_shown_once_a_turn_and_before_its_first_word_only() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    for n in ["m1", "m2"] {
        stage.send(&session, n, "Hi").await;
        let call = stage.call().await;
        call.cue(Cue::Think).cue(Cue::Think).say("Hel");
        call.cue(Cue::Think).reply("lo");
        let seen = reader.until(EventType::StatusIdle).await;
        let kinds: Vec<_> = script(&seen)
            .into_iter()
            .skip_while(|line| line != "agent.thinking")
            .collect();
        assert_eq!(
            kinds,
            [
                "agent.thinking",
                "agent.message + \"Hel\"",
                "agent.message + \"lo\"",
                "agent.message \"Hello\"",
                "session.status_idle Complete"
            ]
        );
    }
    let log = stage.log(&session).await;
    assert!(
        log.iter()
            .all(|event| event.kind != EventType::AgentThinking)
    );
}
