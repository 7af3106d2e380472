//! Tools in a turn: what the log says before anything acts, who is asked, and what a crash in the middle leaves.

use super::super::asking::PATIENCE_MS;
use super::stage::*;
use crate::agent::{AgentFailure, Outcome, ToolUse};
use crate::error::Fault;
use karta_protocol::{Accepted, ClientEvent, ErrorCode, EventType, client};
use std::time::Duration;

fn cancel(confirm: bool) -> ToolUse {
    ToolUse {
        id: "t_1".into(),
        name: "cancel_order".into(),
        title: "Cancel an order".into(),
        shown: "order: K-1".into(),
        confirm,
    }
}

async fn decide(stage: &Stage, session: &str, id: &str, decision: &str) -> Result<Accepted, Fault> {
    let event = ClientEvent {
        request_id: Some(id.into()),
        decision: Some(decision.into()),
        ..order(client::TOOL_CONFIRMATION)
    };
    stage.submit(session, event).await
}

fn refused(result: Result<Accepted, Fault>) {
    assert_eq!(result.map_err(|f| f.code()), Err(ErrorCode::RequestInvalid));
}

/// A turn that has come to the point where a tool asks.
struct Asked {
    stage: Stage,
    session: String,
    reader: Reader,
    call: Call,
    told: tokio::sync::oneshot::Receiver<bool>,
}

async fn asked() -> Asked {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Cancel it").await;
    let call = stage.call().await;
    let told = call.ask(&cancel(true));
    reader.until(EventType::AgentToolUse).await;
    Asked {
        stage,
        session,
        reader,
        call,
        told,
    }
}

/// What the log says from the question on.
async fn since_asked(stage: &Stage, session: &str) -> Vec<String> {
    script(&stage.log(session).await[2..])
}

const ASKS: &str = "agent.tool_use \"order: K-1\" confirm";
const ACTS: &str = "agent.tool_use \"order: K-1\" running";
const DONE: &str = "agent.tool_result done";
const DECLINED: &str = "agent.tool_result declined";

#[tokio::test]
async fn what_acts_says_so_before_and_after() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Where is it?").await;
    let call = stage.call().await;
    let told = call.ask(&cancel(false));
    let seen = reader.until(EventType::AgentToolUse).await;
    let using = seen.last().expect("an event");
    assert_eq!(using.message.as_deref(), Some("Cancel an order"));
    assert_eq!(using.name.as_deref(), Some("cancel_order"));
    assert_eq!(using.id.as_deref(), Some("t_1"));
    assert!(soon(told).await.expect("told"), "nobody need be asked");
    call.cue(Cue::Acted(cancel(false), Outcome::Done))
        .reply("Gone");
    reader.until(EventType::StatusIdle).await;
    assert_eq!(
        since_asked(&stage, &session).await,
        [
            ACTS,
            DONE,
            "agent.message \"Gone\"",
            "session.status_idle Complete"
        ]
    );
}

#[tokio::test]
async fn nothing_acts_before_the_visitor_allows_it() {
    let mut asked = asked().await;
    let (stage, session) = (&asked.stage, &asked.session);
    assert!(asked.told.try_recv().is_err(), "it waits");
    refused(decide(stage, session, "t_2", "allow").await);
    refused(decide(stage, session, "t_1", "yes").await);
    assert!(asked.told.try_recv().is_err(), "it still waits");
    assert!(decide(stage, session, "t_1", "allow").await.is_ok());
    assert!(soon(asked.told).await.expect("told"));
    assert!(
        decide(stage, session, "t_1", "allow").await.is_ok(),
        "the answer may have been lost"
    );
    refused(decide(stage, session, "t_1", "deny").await);
    asked.call.cue(Cue::Acted(cancel(true), Outcome::Failed));
    asked.call.reply("Hm");
    asked.reader.until(EventType::StatusIdle).await;
    assert_eq!(
        since_asked(stage, session).await[..3],
        [ASKS, ACTS, "agent.tool_result failed"]
    );
}

#[tokio::test]
async fn a_visitor_who_denies_is_obeyed() {
    let asked = asked().await;
    let (stage, session) = (&asked.stage, &asked.session);
    assert!(decide(stage, session, "t_1", "deny").await.is_ok());
    assert!(!soon(asked.told).await.expect("told"));
    assert_eq!(since_asked(stage, session).await, [ASKS, DECLINED]);
}

#[tokio::test]
async fn whoever_writes_on_has_not_allowed_it() {
    let mut asked = asked().await;
    let (stage, session) = (&asked.stage, &asked.session);
    stage.send(session, "m2", "Yes, do").await;
    assert!(!soon(asked.told).await.expect("told"));
    refused(decide(stage, session, "t_1", "allow").await);
    asked.call.reply("Not done");
    asked.reader.until(EventType::StatusIdle).await;
    assert_eq!(stage.call().await.turn.questions, ["Yes, do"]);
    assert_eq!(
        since_asked(stage, session).await[..3],
        [ASKS, "user.message \"Yes, do\"", DECLINED]
    );
}

#[tokio::test]
async fn whoever_says_nothing_has_not_allowed_it() {
    let mut asked = asked().await;
    asked.stage.advance(Duration::from_millis(PATIENCE_MS));
    assert!(!soon(asked.told).await.expect("told"));
    refused(decide(&asked.stage, &asked.session, "t_1", "allow").await);
    asked.call.reply("Not done");
    asked.reader.until(EventType::StatusIdle).await;
    let log = since_asked(&asked.stage, &asked.session).await;
    assert_eq!(log[..2], [ASKS, DECLINED]);
}

#[tokio::test]
async fn a_stop_while_it_asks_is_a_no() {
    let mut asked = asked().await;
    let (stage, session) = (&asked.stage, &asked.session);
    stage
        .submit(session, order(client::INTERRUPT))
        .await
        .expect("stopped");
    asked.reader.until(EventType::StatusIdle).await;
    refused(decide(stage, session, "t_1", "allow").await);
    assert_eq!(
        since_asked(stage, session).await,
        [ASKS, DECLINED, "session.status_idle Interrupted"]
    );
}

#[tokio::test]
async fn a_turn_that_asks_keeps_no_other_from_being_answered() {
    let asked = asked().await;
    assert_eq!(asked.stage.sessions.load().turns, 0);
    assert!(
        decide(&asked.stage, &asked.session, "t_1", "allow")
            .await
            .is_ok()
    );
    assert!(soon(asked.told).await.expect("told"));
    assert_eq!(asked.stage.sessions.load().turns, 1);
}

#[tokio::test]
async fn a_crash_after_a_tool_has_acted_runs_nothing_again_until_the_visitor_wants_it() {
    for (confirm, finished) in [(false, false), (false, true), (true, false)] {
        let stage = Stage::new().await;
        let session = stage.session().await;
        let mut reader = stage.read(&session, 0).await;
        stage.send(&session, "m1", "Cancel it").await;
        let call = stage.call().await;
        let told = call.ask(&cancel(confirm));
        reader.until(EventType::AgentToolUse).await;
        if confirm {
            decide(&stage, &session, "t_1", "allow")
                .await
                .expect("allowed");
        }
        assert!(soon(told).await.expect("told"));
        if finished {
            call.cue(Cue::Acted(cancel(confirm), Outcome::Done));
            reader.until(EventType::AgentToolResult).await;
        }
        call.say("It is");
        let mut stage = stage.crash().await;
        let mut reader = stage.read(&session, 0).await;
        reader.until(EventType::StatusIdle).await;
        let log = stage.log(&session).await;
        let sorry = log.iter().find(|e| e.kind == EventType::SessionError);
        let sorry = sorry.expect("the visitor is told");
        assert!(sorry.interrupted);
        let words = sorry.message.as_deref().unwrap_or_default();
        assert!(words.contains("Cancel an order"), "{words}");
        assert_eq!(
            script(&log).last().expect("an end"),
            "session.status_idle Error"
        );
        assert!(
            stage.calls.get_mut().try_recv().is_err(),
            "nothing runs by itself"
        );
        stage
            .submit(&session, order(client::RETRY))
            .await
            .expect("again");
        assert_eq!(stage.call().await.turn.questions, ["Cancel it"]);
    }
}

#[tokio::test]
async fn a_crash_while_it_asks_asks_again() {
    let asked = asked().await;
    let session = asked.session.clone();
    let stage = asked.stage.crash().await;
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["Cancel it"]);
    refused(decide(&stage, &session, "t_1", "allow").await);
    let again = ToolUse {
        id: "t_2".into(),
        ..cancel(true)
    };
    let told = call.ask(&again);
    let mut reader = stage.read(&session, 4).await;
    reader.until(EventType::AgentToolUse).await;
    decide(&stage, &session, "t_2", "allow")
        .await
        .expect("allowed");
    assert!(soon(told).await.expect("told"));
    assert_eq!(
        since_asked(&stage, &session).await,
        [ASKS, DECLINED, ASKS, ACTS]
    );
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_the_visitor() {
    let asked = asked().await;
    soon(asked.stage.sessions.stop(Duration::from_secs(3_600))).await;
    assert_eq!(since_asked(&asked.stage, &asked.session).await, [ASKS]);
    let stage = asked.stage.crash().await;
    assert_eq!(stage.call().await.turn.questions, ["Cancel it"]);
}

#[tokio::test]
async fn an_agent_that_fails_after_a_tool_has_acted_says_what_was_begun() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Cancel it").await;
    let call = stage.call().await;
    assert!(soon(call.ask(&cancel(false))).await.expect("told"));
    call.cue(Cue::Fail(AgentFailure::Broken("x".into())));
    let seen = reader.until(EventType::SessionError).await;
    let sorry = seen.last().expect("an event");
    assert!(
        sorry.interrupted
            && sorry
                .message
                .as_deref()
                .is_some_and(|m| m.contains("Cancel an order"))
    );
}
