//! What a handed call leaves in the log, and what the text runtime makes of it.

use super::stand_in::StandIn;
use super::{at, begun, server};
use crate::server::{Reply, Server, get, post};
use crate::stream;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

async fn send(server: &Server, token: &str, session: &str, event: &Value) -> Reply {
    let path = format!("/sessions/{session}/events");
    server.call(post(&path).bearer(token).json(event)).await
}

fn said(id: &str, role: &str, text: &str) -> Value {
    json!({"type": "call.said", "id": id, "role": role, "text": text})
}

async fn log(server: &Server, token: &str, session: &str) -> Vec<Value> {
    let reply = server
        .call(get(&format!("/sessions/{session}")).bearer(token))
        .await;
    let mut events = reply.json()["events"].as_array().expect("events").clone();
    for event in &mut events {
        event.as_object_mut().expect("an object").remove("at_ms");
    }
    events
}

#[tokio::test]
async fn what_a_browser_reports_is_in_the_log_once_and_marked() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let first = said("c-u1", "user", "What are your opening hours?");
    send(&server, &token, &session, &first)
        .await
        .refused(404, "connection_not_found");
    let _reader = stream::open(&server, &token, &session, 0).await;
    let location = begun(&server, &token, &session).await;
    let answer = json!({"type": "call.said", "id": "c-a1", "role": "agent", "text": "Nine to", "interrupted": true});
    for (event, seq) in [(&first, 1), (&answer, 2), (&first, 1), (&answer, 2)] {
        let reply = send(&server, &token, &session, event).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
        assert_eq!(reply.json(), json!({"seq": seq}), "{event}");
    }
    assert_eq!(
        log(&server, &token, &session).await,
        [
            json!({"seq": 1, "type": "user.transcript", "id": "c-u1", "text": "What are your opening hours?", "handed": true}),
            json!({"seq": 2, "type": "agent.message", "part_id": "c-a1", "text": "Nine to", "interrupted": true, "handed": true}),
        ]
    );
    // The last words come a moment after the end; later, nothing does. A stranger's never do.
    server.call(at("DELETE", &location, &token)).await;
    bot.nth(4).await;
    let last = said("c-a2", "agent", "Goodbye.");
    let stranger = server.guest().await.token;
    send(&server, &stranger, &session, &last)
        .await
        .refused(404, "session_not_found");
    let reply = send(&server, &token, &session, &last).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
}

#[tokio::test]
async fn reports_are_checked_and_bounded() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    begun(&server, &token, &session).await;
    for (event, status, code) in [
        (said("", "user", "x"), 400, "request_invalid"),
        (said("a b", "user", "x"), 400, "request_invalid"),
        (said("a", "system", "x"), 400, "request_invalid"),
        (said("a", "user", " "), 400, "request_invalid"),
        (
            said("a", "user", &"x".repeat(16 * 1024 + 1)),
            413,
            "payload_too_large",
        ),
        (
            json!({"type": "call.said", "id": "a", "text": "x"}),
            400,
            "request_invalid",
        ),
        (
            json!({"type": "call.said", "id": "a", "role": 7, "text": "x"}),
            400,
            "request_invalid",
        ),
    ] {
        send(&server, &token, &session, &event)
            .await
            .refused(status, code);
    }
    let long = "x".repeat(16 * 1024);
    for n in 0..16 {
        let reply = send(
            &server,
            &token,
            &session,
            &said(&format!("a{n}"), "agent", &long),
        )
        .await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{n}");
    }
    send(&server, &token, &session, &said("more", "agent", "x"))
        .await
        .refused(413, "payload_too_large");
    assert_eq!(log(&server, &token, &session).await.len(), 16);
}

#[tokio::test]
async fn what_is_typed_in_a_call_is_its_engines_to_answer() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let mut reader = stream::open(&server, &token, &session, 0).await;
    let location = begun(&server, &token, &session).await;
    assert_eq!(
        server
            .say(&token, &session, "m1", "And on Sunday?")
            .await
            .json()["seq"],
        1
    );
    assert_eq!(
        server
            .say(&token, &session, "m1", "And on Sunday?")
            .await
            .json()["seq"],
        1
    );
    send(&server, &token, &session, &json!({"type": "user.retry"})).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        log(&server, &token, &session).await,
        [
            json!({"seq": 1, "type": "user.message", "id": "m1", "text": "And on Sunday?", "handed": true})
        ],
        "no turn of ours began"
    );
    send(&server, &token, &session, &said("a1", "agent", "Closed.")).await;
    server.call(at("DELETE", &location, &token)).await;
    reader.until("voice.state").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        log(&server, &token, &session).await.len(),
        2,
        "it was answered"
    );
    // After the call, text is text again.
    server.say(&token, &session, "m2", "Thanks").await;
    let events = server.log(&token, &session, 6).await;
    assert_eq!(events[4]["text"], json!("Thanks"), "{events:?}");
}

#[tokio::test]
async fn what_was_typed_and_not_answered_is_answered_after_the_call() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let location = begun(&server, &token, &session).await;
    send(&server, &token, &session, &said("u1", "user", "Hello?")).await;
    server
        .say(&token, &session, "m1", "Is anybody there?")
        .await;
    server.call(at("DELETE", &location, &token)).await;
    let events = server.log(&token, &session, 5).await;
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "user.transcript",
            "user.message",
            "session.status_running",
            "agent.message",
            "session.status_idle"
        ]
    );
    assert_eq!(
        events[3]["text"],
        json!("Is anybody there?"),
        "what was said aloud was not for us"
    );
}

#[tokio::test]
async fn a_turn_that_runs_when_a_call_begins_goes_on() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let mut reader = stream::open(&server, &token, &session, 0).await;
    server.say(&token, &session, "m1", "wait for it").await;
    reader.until("agent.message").await;
    begun(&server, &token, &session).await;
    send(&server, &token, &session, &said("u1", "user", "Hello?")).await;
    send(&server, &token, &session, &said("a1", "agent", "Hi!")).await;
    let mut late = stream::open(&server, &token, &session, 0).await;
    let synced = late.until("session.synced").await;
    assert!(
        synced.last().expect("one").1["part_id"].is_string(),
        "{synced:?}"
    );
    send(
        &server,
        &token,
        &session,
        &json!({"type": "user.interrupt"}),
    )
    .await;
    let events = server.log(&token, &session, 6).await;
    assert_eq!(events[4]["interrupted"], json!(true), "{events:?}");
    assert_eq!(events[4]["text"], json!("wait for it"), "{events:?}");
}
