//! Turns whose answer is spoken: their end waits for the voice, and keeps what was heard.

use super::stage::*;
use crate::session::{Aloud, AloudNews};
use karta_protocol::{ClientEvent, EventType, SessionEvent, StopReason, client};

const TEXT: &str = "We open at nine. Come by!";

/// A turn whose answer is written and not yet heard; its call and its part.
async fn spoken(stage: &Stage, session: &str) -> (Aloud, String) {
    let mut aloud = stage.sessions.aloud(&who(), session).await.expect("a call");
    stage.send(session, "m1", "When?").await;
    stage.call().await.reply(TEXT);
    match soon(aloud.news()).await {
        AloudNews::Written { part_id, bytes } => {
            assert_eq!(bytes, TEXT.len());
            (aloud, part_id)
        }
        AloudNews::TakenOver => panic!("nobody took over"),
    }
}

/// The end of the turn: its message, if any, and why it ended.
async fn ended(stage: &Stage, session: &str) -> (Option<SessionEvent>, Option<StopReason>) {
    let mut reader = stage.read(session, 2).await;
    let seen = soon(reader.until(EventType::StatusIdle)).await;
    let message = seen
        .iter()
        .find(|event| event.kind == EventType::AgentMessage && !event.delta);
    (
        message.cloned(),
        seen.last().and_then(|event| event.stop_reason),
    )
}

#[tokio::test]
async fn a_turn_ends_when_its_answer_was_heard() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let (aloud, part_id) = spoken(&stage, &session).await;
    assert_eq!(stage.log(&session).await.len(), 2, "the turn runs");
    aloud.heard(&part_id, 5);
    aloud.spoken("p_another");
    aloud.spoken(&part_id);
    let (message, reason) = ended(&stage, &session).await;
    let message = message.expect("a message");
    assert_eq!(
        (message.text.as_deref(), message.interrupted),
        (Some(TEXT), false)
    );
    assert_eq!(reason, Some(StopReason::Complete));
}

#[tokio::test]
async fn a_cut_answer_is_kept_as_far_as_it_was_heard() {
    for (heard, text) in [(16, Some("We open at nine.")), (0, None)] {
        let stage = Stage::new().await;
        let session = stage.session().await;
        let (aloud, part_id) = spoken(&stage, &session).await;
        aloud.cut(&part_id, heard);
        let (message, reason) = ended(&stage, &session).await;
        assert!(message.as_ref().is_none_or(|message| message.interrupted));
        assert_eq!(message.and_then(|message| message.text).as_deref(), text);
        assert_eq!(reason, Some(StopReason::Interrupted));
    }
}

#[tokio::test]
async fn a_stopped_answer_is_kept_as_far_as_it_was_heard() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let (aloud, part_id) = spoken(&stage, &session).await;
    aloud.heard(&part_id, 7);
    let stop = ClientEvent {
        kind: client::INTERRUPT.into(),
        ..ClientEvent::default()
    };
    stage.submit(&session, stop).await.expect("accepted");
    let (message, _) = ended(&stage, &session).await;
    assert_eq!(
        message.and_then(|message| message.text).as_deref(),
        Some("We open")
    );
}

#[tokio::test]
async fn a_call_that_is_gone_holds_no_turn_up() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let (aloud, _) = spoken(&stage, &session).await;
    drop(aloud);
    let (message, _) = ended(&stage, &session).await;
    assert_eq!(
        message.and_then(|message| message.text).as_deref(),
        Some(TEXT)
    );
}

#[tokio::test]
async fn a_new_call_takes_over_and_the_old_one_has_no_say_any_more() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let (mut old, part_id) = spoken(&stage, &session).await;
    let new = stage
        .sessions
        .aloud(&who(), &session)
        .await
        .expect("a call");
    assert_eq!(soon(old.news()).await, AloudNews::TakenOver);
    old.cut(&part_id, 0);
    drop(old);
    assert_eq!(
        stage.log(&session).await.len(),
        2,
        "the turn waits for the new call"
    );
    new.spoken(&part_id);
    assert_eq!(ended(&stage, &session).await.1, Some(StopReason::Complete));
}

#[tokio::test]
async fn what_is_said_aloud_is_answered_like_a_message() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let (sessions, who) = (&stage.sessions, who());
    let words = " when do you open ";
    let said = sessions.said(&who, &session, "u1", words, None).await;
    assert_eq!(said.expect("accepted").seq, Some(1));
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["when do you open"]);
    let log = stage.log(&session).await;
    assert_eq!(
        (log[0].kind, log[0].id.as_deref()),
        (EventType::UserTranscript, Some("u1"))
    );
    // Ids of utterances are those of a connection; the next connection begins again.
    assert!(
        sessions
            .said(&who, &session, "u1", "and close", None)
            .await
            .is_ok()
    );
    assert!(
        sessions
            .said(&who, &session, "u2", " ", None)
            .await
            .is_err()
    );
}
