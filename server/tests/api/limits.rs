//! Rate limits at the calls that have them.

use crate::server::{Call, Server, get, post};
use axum::http::StatusCode;
use karta_server::auth::limit::{Rate, Rates};
use serde_json::json;

async fn server(name: &str, n: u32) -> Server {
    let mut rates = Rates::off();
    rates.set(name, Rate::parse(&format!("{n}/1h")).expect("a rate"));
    Server::with_rates(rates).await
}

fn mint(server: &Server) -> Call {
    post("/auth/guest").json(&json!({"client_key": server.key.public_key}))
}

#[tokio::test]
async fn a_refusal_says_when_to_come_back() {
    let server = server("MINTS_PER_ADDRESS", 2).await;
    for _ in 0..2 {
        assert_eq!(server.call(mint(&server)).await.status, StatusCode::OK);
    }
    let reply = server.call(mint(&server)).await;
    reply.refused(429, "rate_limited");
    let seconds: u32 = reply.header("retry-after").parse().expect("seconds");
    assert_eq!(reply.json()["error"]["retry_after_seconds"], json!(seconds));
    assert!((1_700..=1_800).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn nothing_that_the_client_chooses_makes_a_new_bucket() {
    let server = server("MINTS_PER_ADDRESS", 3).await;
    let mut accepted = 0;
    for n in 0..30 {
        let call = mint(&server)
            .header("x-forwarded-for", format!("203.0.113.{n}"))
            .header("user-agent", format!("browser {n}"))
            .header("forwarded", format!("for=203.0.113.{n}"))
            .header("x-real-ip", format!("203.0.113.{n}"));
        accepted += u32::from(server.call(call).await.status == StatusCode::OK);
    }
    assert_eq!(accepted, 3);
    for n in 0..30 {
        let call = mint(&server).from(&format!("2001:db8:0:1::{n:x}"));
        accepted += u32::from(server.call(call).await.status == StatusCode::OK);
    }
    assert_eq!(accepted, 6, "one IPv6 network is one client");
    let proxied = mint(&server)
        .from("10.0.0.1")
        .header("x-forwarded-for", "198.51.100.1");
    assert_eq!(
        server.call(proxied).await.status,
        StatusCode::OK,
        "behind the trusted proxy somebody else"
    );
}

#[tokio::test]
async fn a_key_is_limited_over_all_addresses() {
    let server = server("MINTS_PER_KEY", 3).await;
    let mut accepted = 0;
    for n in 0..10 {
        let call = mint(&server).from(&format!("198.51.100.{n}"));
        accepted += u32::from(server.call(call).await.status == StatusCode::OK);
    }
    assert_eq!(accepted, 3);
}

#[tokio::test]
async fn a_page_that_is_not_allowed_uses_up_nothing_of_the_key() {
    let server = server("MINTS_PER_KEY", 1).await;
    for _ in 0..5 {
        server
            .call(mint(&server).page("https://evil.example"))
            .await
            .refused(403, "origin_not_allowed");
    }
    assert_eq!(server.call(mint(&server)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_action_has_its_own_limit() {
    for (name, n) in [("SESSIONS_PER_ADDRESS", 2), ("SESSIONS_PER_KEY", 2)] {
        let server = server(name, n).await;
        let token = server.guest().await.token;
        for _ in 0..n {
            server.new_session(&token).await;
        }
        server
            .call(post("/sessions").bearer(&token))
            .await
            .refused(429, "rate_limited");
    }
    for (name, n) in [
        ("MESSAGES_PER_ADDRESS", 2),
        ("MESSAGES_PER_KEY", 2),
        ("MESSAGES_PER_VISITOR", 2),
    ] {
        let server = server(name, n).await;
        let (token, session) = server.session().await;
        for m in 0..n {
            assert_eq!(
                server
                    .say(&token, &session, &format!("m{m}"), "x")
                    .await
                    .status,
                StatusCode::ACCEPTED
            );
        }
        server
            .say(&token, &session, "last", "x")
            .await
            .refused(429, "rate_limited");
    }
    for name in ["CONNECTS_PER_ADDRESS", "CONNECTS_PER_KEY"] {
        let server = server(name, 1).await;
        let (token, session) = server.session().await;
        let connect = || {
            post(&format!("/sessions/{session}/connect"))
                .bearer(&token)
                .body("application/sdp", "v=0")
        };
        server.call(connect()).await;
        server.call(connect()).await.refused(429, "rate_limited");
    }
    let server = server("REFRESHES_PER_ADDRESS", 1).await;
    let token = server.guest().await.token;
    let refresh = || post("/auth/refresh").json(&json!({"refresh_token": token}));
    assert_eq!(server.call(refresh()).await.status, StatusCode::OK);
    server.call(refresh()).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn the_general_limit_counts_every_call() {
    let server = server("REQUESTS_PER_ADDRESS", 3).await;
    for _ in 0..3 {
        server
            .call(get("/config"))
            .await
            .refused(400, "client_key_missing");
    }
    server
        .call(get("/config"))
        .await
        .refused(429, "rate_limited");
    assert_eq!(
        server.call(Call::new("GET", "/healthz")).await.status,
        StatusCode::OK,
        "health is not counted"
    );
}

#[tokio::test]
async fn the_defaults_let_an_office_through() {
    let server = Server::with_rates(Rates::default()).await;
    for _ in 0..100 {
        assert_eq!(server.call(mint(&server)).await.status, StatusCode::OK);
    }
}
