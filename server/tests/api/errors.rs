//! One shape for all errors, and a request that produces each code.

use crate::server::{Call, Server, get, post};
use axum::http::StatusCode;
use axum::routing::get as route;
use karta_protocol::ErrorCode;
use karta_server::border;
use tower::ServiceExt;

#[tokio::test]
async fn a_panic_is_an_internal_error_with_a_request_id_and_no_detail() {
    async fn panics() -> StatusCode {
        panic!("CANARY-DETAIL")
    }
    let router = axum::Router::new()
        .route("/", route(panics))
        .layer(axum::middleware::from_fn(border::finish));
    let response = router
        .oneshot(Call::new("GET", "/").0)
        .await
        .expect("infallible");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let id = response.headers()["x-request-id"]
        .to_str()
        .expect("text")
        .to_owned();
    let body = http_body_util::BodyExt::collect(response.into_body())
        .await
        .expect("whole")
        .to_bytes();
    let text = String::from_utf8_lossy(&body);
    assert!(
        text.contains("\"internal\"") && text.contains(&id) && !text.contains("CANARY"),
        "{text}"
    );
}

#[tokio::test]
async fn a_database_that_is_gone_is_no_detail_for_the_caller() {
    let server = Server::start().await;
    let token = server.guest().await.token;
    server.store.close().await;
    for call in [
        get("/sessions").bearer(&token),
        get(&format!("/config?client_key={}", server.key.public_key)),
    ] {
        let reply = server.call(call).await;
        assert!(reply.status.is_server_error(), "{reply:?}");
        assert!(["internal", "overloaded"].contains(&reply.code().as_str()));
        let text = String::from_utf8_lossy(&reply.body).to_lowercase();
        assert!(!text.contains("sql") && !text.contains("pool"), "{text}");
    }
    server
        .call(Call::new("GET", "/readyz"))
        .await
        .refused(503, "overloaded");
    assert_eq!(
        server.call(Call::new("GET", "/healthz")).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn request_ids_are_ours_and_differ() {
    let server = Server::start().await;
    let first = server
        .call(Call::new("GET", "/healthz").header("x-request-id", "evil"))
        .await;
    let second = server.call(Call::new("GET", "/healthz")).await;
    assert!(first.header("x-request-id").starts_with("r_"));
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
}

#[tokio::test]
async fn a_server_that_stops_is_not_ready() {
    let server = Server::start().await;
    assert_eq!(
        server.call(Call::new("GET", "/readyz")).await.status,
        StatusCode::OK
    );
    server.app.stopping.cancel();
    server
        .call(Call::new("GET", "/readyz"))
        .await
        .refused(503, "overloaded");
}

/// Every code is produced by some test of this binary, or is listed here with where it comes from.
#[test]
fn every_code_has_a_test_that_produces_it() {
    const ELSEWHERE: &[(ErrorCode, &str)] = &[
        (
            ErrorCode::AgentFailed,
            "an event, never an answer: src/session/tests.rs",
        ),
        (
            ErrorCode::VoiceUnavailable,
            "on the data channel only: channel.rs",
        ),
        (
            ErrorCode::Internal,
            "a_panic_is_an_internal_error_with_a_request_id_and_no_detail",
        ),
    ];
    let sources = [
        include_str!("admin/access.rs"),
        include_str!("admin/agents.rs"),
        include_str!("auth.rs"),
        include_str!("config.rs"),
        include_str!("connect.rs"),
        include_str!("errors.rs"),
        include_str!("files.rs"),
        include_str!("identity/proofs.rs"),
        include_str!("identity/rotation.rs"),
        include_str!("identity/user_tokens.rs"),
        include_str!("limits.rs"),
        include_str!("malformed.rs"),
        include_str!("origin.rs"),
        include_str!("sessions.rs"),
        include_str!("widget.rs"),
    ]
    .concat();
    for code in ErrorCode::ALL {
        let here = sources.contains(&format!(", \"{code}\")"));
        let elsewhere = ELSEWHERE.iter().any(|(known, _)| known == code);
        assert!(
            here != elsewhere,
            "{code}: produced here {here}, excused {elsewhere}"
        );
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored_so_that_a_newer_widget_works() {
    let server = Server::start().await;
    let body = serde_json::json!({"client_key": server.key.public_key, "future": {"x": [1]}, "__proto__": {}});
    assert_eq!(
        server.call(post("/auth/guest").json(&body)).await.status,
        StatusCode::OK
    );
}
