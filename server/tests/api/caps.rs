//! Caps as a browser meets them: one documented refusal, which no fresh visitor id, token or address of the same network resets.

use crate::server::{Server, get, post};
use axum::http::StatusCode;
use karta_server::service::{ACCOUNT, keys};
use karta_server::store::Caps;
use std::time::Duration;

async fn server(caps: Caps) -> Server {
    let server = Server::start().await;
    keys::set_caps(server.store.as_ref(), ACCOUNT, &server.key.id, caps)
        .await
        .expect("set");
    server
}

#[tokio::test]
async fn the_refusal_names_the_code_and_the_log_keeps_it() {
    let server = server(Caps {
        anonymous_turns: Some(1),
        ..Caps::default()
    })
    .await;
    let (token, session) = server.session().await;
    assert_eq!(
        server.say(&token, &session, "m1", "Hi").await.status,
        StatusCode::ACCEPTED
    );
    server.log(&token, &session, 4).await;
    let refused = server.say(&token, &session, "m2", "Hi").await;
    refused.refused(429, "limit_reached");
    assert_eq!(refused.header("retry-after"), "", "time does not heal it");
    assert!(refused.json()["error"].get("retry_after_seconds").is_none());
    let log = server.log(&token, &session, 5).await;
    assert_eq!(log.len(), 5, "the refused message is not in the log");
    assert_eq!(log[4]["type"], "session.limit_reached");
    assert_eq!(log[4]["code"], "limit_reached");
    assert!(!log[4]["message"].as_str().unwrap_or("").is_empty());
    // A message that was taken is answered like the first time.
    assert_eq!(
        server.say(&token, &session, "m1", "Hi").await.status,
        StatusCode::ACCEPTED
    );
}

#[tokio::test]
async fn neither_a_new_visitor_nor_a_new_token_nor_a_neighbouring_address_resets_a_cap() {
    let server = server(Caps {
        anonymous_turns_per_address_per_day: Some(5),
        ..Caps::default()
    })
    .await;
    let mut taken = 0;
    for n in 0..20 {
        let (token, session) = server.session().await;
        let event = serde_json::json!({"type": "user.message", "id": "m1", "text": "Hi"});
        let call = post(&format!("/sessions/{session}/events"))
            .bearer(&token)
            .from(&format!("2001:db8:0:1::{n:x}"))
            .header("x-forwarded-for", format!("198.51.100.{n}"))
            .header("user-agent", format!("agent {n}"))
            .json(&event);
        taken += u32::from(server.call(call).await.status == StatusCode::ACCEPTED);
    }
    assert_eq!(taken, 5);
    let counters = server
        .app
        .store
        .counters(&server.key.id)
        .await
        .expect("read");
    assert!(
        counters.iter().all(|(name, ..)| !name.contains("2001")),
        "no address is stored: {counters:?}"
    );
}

#[tokio::test]
async fn a_session_too_many_says_when_there_are_more() {
    let server = server(Caps {
        sessions_per_day: Some(1),
        ..Caps::default()
    })
    .await;
    let (token, session) = server.session().await;
    let refused = server.call(post("/sessions").bearer(&token)).await;
    refused.refused(429, "limit_reached");
    let wait = refused.json()["error"]["retry_after_seconds"].as_u64();
    assert!(
        wait.is_some_and(|s| (1..=86_400).contains(&s)),
        "{refused:?}"
    );
    assert_eq!(
        refused.header("retry-after"),
        wait.unwrap_or_default().to_string()
    );
    // What is there stays usable.
    let reading = get(&format!("/sessions/{session}")).bearer(&token);
    assert_eq!(server.call(reading).await.status, StatusCode::OK);
    assert_eq!(
        server.say(&token, &session, "m1", "Hi").await.status,
        StatusCode::ACCEPTED
    );
    server.advance(Duration::from_secs(24 * 60 * 60));
    server.session().await;
}

#[tokio::test]
async fn several_quick_messages_are_answered_together() {
    let server = Server::start().await;
    server
        .change_agent(karta_server::service::agents::AgentChange {
            response_delay_ms: Some(300),
            ..Default::default()
        })
        .await;
    let (token, session) = server.session().await;
    for (id, text) in [("m1", "one"), ("m2", "two")] {
        let said = server.say(&token, &session, id, text).await;
        assert_eq!(said.status, StatusCode::ACCEPTED);
    }
    let log = server.log(&token, &session, 5).await;
    let kinds: Vec<_> = log.iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "user.message",
            "user.message",
            "session.status_running",
            "agent.message",
            "session.status_idle"
        ]
    );
    assert_eq!(log[3]["text"], "one two");
}
