//! POST /auth/user-token and /auth/exchange: who somebody is, and who nobody becomes by trying.

use crate::server::{API, Call, Reply, Server, get, hmac_hex, post};
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use karta_protocol::AuthMode;
use karta_server::auth::token::LIFETIME_S;
use karta_server::service::ACCOUNT;
use karta_server::service::agents::AgentChange;
use karta_server::store::Store;
use serde_json::{Value, json};

fn mint(body: &Value) -> Call {
    Call::new("POST", &format!("{API}/auth/user-token")).json(body)
}

async fn exchange(server: &Server, mut body: Value) -> Reply {
    body["client_key"] = json!(server.key.public_key);
    server.call(post("/auth/exchange").json(&body)).await
}

async fn by_token(server: &Server, token: &str) -> Reply {
    exchange(server, json!({"user_token": token})).await
}

fn v2(server: &Server, payload: &Value) -> String {
    let encoded = BASE64_URL_SAFE_NO_PAD.encode(payload.to_string());
    let mac = hmac_hex(&server.identity_secret, &encoded);
    format!("v2.{encoded}.{mac}")
}

fn mode(mode: AuthMode) -> AgentChange {
    AgentChange {
        auth_mode: Some(mode),
        ..AgentChange::default()
    }
}

/// Nobody got in: no user, no session, no visitor.
async fn nobody(server: &Server) {
    let subject =
        karta_server::auth::identity::subject(&server.master, ACCOUNT, "john@example.com");
    let user = server.store.user(ACCOUNT, &subject).await.expect("read");
    assert_eq!(user, None);
}

#[tokio::test]
async fn a_backend_mints_a_token_and_the_page_exchanges_it_once() {
    let server = Server::start().await;
    let user =
        json!({"external_user_id": "u_123", "display_name": "Ada", "email": "ada@example.com"});
    let reply = server.call(mint(&user).bearer(&server.secret_key)).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.json()["expires_in"], json!(300));
    let token = reply.json()["user_token"]
        .as_str()
        .expect("a token")
        .to_owned();

    let reply = by_token(&server, &token).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let json = reply.json();
    assert_eq!(json["user_id"], json!("u_123"));
    assert_eq!(json["expires_in"], json!(LIFETIME_S));
    assert_eq!(json.get("visitor_id"), None);
    let session_token = json["token"].as_str().expect("a token");
    let list = server.call(get("/sessions").bearer(session_token)).await;
    assert_eq!(list.status, StatusCode::OK);

    by_token(&server, &token).await.refused(401, "token_used");
    let subject = karta_server::auth::identity::subject(&server.master, ACCOUNT, "u_123");
    let kept = server.store.user(ACCOUNT, &subject).await.expect("read");
    let kept = kept.expect("the user");
    assert_eq!(
        (kept.user_id.as_str(), kept.display_name.as_deref()),
        ("u_123", Some("Ada"))
    );
}

#[tokio::test]
async fn agents_for_guests_only_refuse_users() {
    let server = Server::start().await;
    let proof = json!({"user_id": "u_1", "identity_token": server.hash_of("u_1")});
    server.change_agent(mode(AuthMode::Guest)).await;
    exchange(&server, proof.clone())
        .await
        .refused(403, "user_not_allowed");
    let token = server.user_token("u_1").await;
    by_token(&server, &token)
        .await
        .refused(403, "user_not_allowed");
    server.change_agent(mode(AuthMode::User)).await;
    assert_eq!(
        by_token(&server, &token).await.status,
        StatusCode::OK,
        "not used up"
    );
    assert_eq!(exchange(&server, proof).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_failed_proof_is_refused_and_makes_nobody() {
    let server = Server::start().await;
    let john = "john@example.com";
    let wrong = hmac_hex("another secret", john);
    for (body, status, code) in [
        (
            json!({"user_id": john, "identity_token": wrong}),
            401,
            "identity_invalid",
        ),
        (
            json!({"user_id": john, "identity_token": ""}),
            401,
            "identity_invalid",
        ),
        (json!({"user_id": john}), 401, "identity_invalid"),
        (json!({"user_token": ""}), 401, "token_invalid"),
        (
            json!({"identity_token": server.hash_of(john)}),
            400,
            "request_invalid",
        ),
        (json!({}), 400, "request_invalid"),
    ] {
        let reply = exchange(&server, body.clone()).await;
        reply.refused(status, code);
        nobody(&server).await;
    }
    let johns = v2(&server, &json!({"user_id": john}));
    exchange(&server, json!({"user_id": "jane", "identity_token": johns}))
        .await
        .refused(403, "identity_mismatch");
    nobody(&server).await;
}

#[tokio::test]
async fn a_user_has_one_conversation_on_every_browser() {
    let server = Server::start().await;
    let (laptop, phone) = (server.user("u_1").await, server.user("u_1").await);
    assert_ne!(laptop.token, phone.token);
    let start = |token: &str| server.call(post("/sessions").bearer(token));
    let (a, b) = tokio::join!(start(&laptop.token), start(&phone.token));
    assert_eq!(a.json()["id"], b.json()["id"], "both at the same moment");
    let session = a.json()["id"].as_str().expect("an id").to_owned();
    let mut made = [a.status.as_u16(), b.status.as_u16()];
    made.sort_unstable();
    assert_eq!(made, [200, 201]);
    server
        .say(&laptop.token, &session, "m1", "from the laptop")
        .await;
    server.log(&phone.token, &session, 4).await;
    server
        .say(&phone.token, &session, "m2", "from the phone")
        .await;
    let log = server.log(&laptop.token, &session, 8).await;
    assert_eq!(log, server.log(&phone.token, &session, 8).await);

    let stranger = server.user("u_2").await;
    let other = server.new_session(&stranger.token).await;
    assert_ne!(other, session);
    server
        .call(get(&format!("/sessions/{session}")).bearer(&stranger.token))
        .await
        .refused(404, "session_not_found");
    let token = server.user_token("u_1").await;
    let by_token = by_token(&server, &token).await.json();
    let token = by_token["token"].as_str().expect("a token");
    let again = server.call(post("/sessions").bearer(token)).await;
    assert_eq!(again.json()["id"], json!(session), "whoever vouches");
}
