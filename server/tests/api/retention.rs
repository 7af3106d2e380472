//! Retention with a clock that is moved by hand: what is past its days goes, whole or by its content, and nothing else.

use crate::server::{Server, get};
use axum::http::StatusCode;
use karta_server::retention::{Swept, sweep};
use karta_server::service::ACCOUNT;
use karta_server::service::agents::{self, AgentChange};
use karta_server::store::Store as _;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn keeping(days: u32) -> Server {
    let server = Server::start().await;
    server
        .change_agent(AgentChange {
            retention_days: Some(days),
            ..AgentChange::default()
        })
        .await;
    server
}

async fn after(server: &Server, time: Duration) -> Swept {
    let now_ms = server.app.clock.now_ms() + time.as_millis() as u64;
    sweep(server.store.as_ref(), &server.app.sessions, now_ms)
        .await
        .expect("swept")
}

async fn read(server: &Server, token: &str, session: &str) -> StatusCode {
    let call = get(&format!("/sessions/{session}")).bearer(token);
    server.call(call).await.status
}

#[tokio::test]
async fn a_conversation_goes_when_its_days_are_over_and_not_before() {
    let server = keeping(30).await;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "Hi").await;
    server.log(&token, &session, 4).await;
    assert_eq!(after(&server, 29 * DAY).await, Swept::default());
    assert_eq!(read(&server, &token, &session).await, StatusCode::OK);
    let swept = after(&server, 31 * DAY).await;
    assert_eq!((swept.sessions, swept.events), (1, 0));
    assert_eq!(read(&server, &token, &session).await, StatusCode::NOT_FOUND);
    server
        .say(&token, &session, "m2", "Still there?")
        .await
        .refused(404, "session_not_found");
    assert_eq!(after(&server, 31 * DAY).await, Swept::default());
}

#[tokio::test]
async fn without_retention_everything_is_kept() {
    let server = keeping(0).await;
    let (token, session) = server.session().await;
    assert_eq!(after(&server, 5_000 * DAY).await, Swept::default());
    assert_eq!(read(&server, &token, &session).await, StatusCode::OK);
}

#[tokio::test]
async fn a_removed_agents_retention_goes_on() {
    for (days, swept) in [(30, 1), (0, 0)] {
        let server = keeping(days).await;
        let (_, session) = server.session().await;
        let agent = server.store.session(&session).await.expect("read");
        let agent = agent.expect("there").agent_id;
        let other = AgentChange {
            name: Some("Bo".into()),
            ..AgentChange::default()
        };
        let store = server.store.as_ref();
        agents::create(store, ACCOUNT, other).await.expect("made");
        agents::remove(store, ACCOUNT, &agent).await.expect("gone");
        assert_eq!(after(&server, 29 * DAY).await.sessions, 0);
        assert_eq!(after(&server, 31 * DAY).await.sessions, swept, "{days}");
        assert_eq!(after(&server, 5_000 * DAY).await, Swept::default());
    }
}

#[tokio::test]
async fn a_running_turn_is_never_swept() {
    let server = keeping(1).await;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "wait for ever").await;
    server.log(&token, &session, 2).await;
    assert_eq!(after(&server, 10 * DAY).await, Swept::default());
    assert_eq!(read(&server, &token, &session).await, StatusCode::OK);
}

#[tokio::test]
async fn more_than_one_batch_goes_in_one_sweep() {
    let server = keeping(1).await;
    let token = server.guest().await.token;
    for _ in 0..120 {
        server.new_session(&token).await;
    }
    assert_eq!(after(&server, 2 * DAY).await.sessions, 120);
}

#[tokio::test]
async fn old_words_of_a_conversation_that_goes_on_are_forgotten_and_the_numbers_stay() {
    let server = keeping(30).await;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "CANARY").await;
    server.log(&token, &session, 4).await;
    // The session is used again after a long time: seen from the database, all of it is old but the last line.
    let path = server.data.path().join("karta.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::sqlite::SqlitePool::connect_with(options)
        .await
        .expect("open");
    for sql in [
        "UPDATE events SET at_ms = at_ms - 4000000000",
        "UPDATE sessions SET created_ms = created_ms - 4000000000",
    ] {
        sqlx::query(sql).execute(&pool).await.expect("aged");
    }
    pool.close().await;
    server.say(&token, &session, "m2", "New").await;
    server.log(&token, &session, 8).await;
    let swept = after(&server, Duration::ZERO).await;
    assert_eq!((swept.sessions, swept.events), (0, 4));
    let log = server.log(&token, &session, 8).await;
    let seqs: Vec<_> = log.iter().filter_map(|e| e["seq"].as_u64()).collect();
    assert_eq!(
        seqs,
        [1, 2, 3, 4, 5, 6, 7, 8],
        "dense, for a widget that reads on"
    );
    assert!(
        log[..4]
            .iter()
            .all(|e| e["type"] == "unknown" && e.get("text").is_none())
    );
    assert_eq!(log[4]["text"], "New");
    assert_eq!(after(&server, Duration::ZERO).await, Swept::default());
}
