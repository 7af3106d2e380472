//! POST /auth/user-token and /auth/exchange: who somebody is, and who nobody becomes by trying.

use crate::server::{API, Call, Reply, Server, get, hmac_hex, post};
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use karta_protocol::{AuthMode, TokenReply};
use karta_server::auth::limit::{Rate, Rates};
use karta_server::auth::token::{FAMILY_LIFETIME_S, GRACE_S, LIFETIME_S};
use karta_server::auth::user_token::USER_TOKEN_LIFETIME_S;
use karta_server::service::agents::AgentChange;
use karta_server::service::keys::{self, KeyChange};
use karta_server::service::secrets::{self, OVERLAP_MS, Which};
use karta_server::service::{ACCOUNT, agents, signing};
use karta_server::store::Store;
use serde_json::{Value, json};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

mod proofs;
mod rotation;
mod user_tokens;

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

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn change_key(server: &Server, change: KeyChange) {
    keys::update(server.store.as_ref(), ACCOUNT, &server.key.id, change)
        .await
        .expect("changed");
}

fn claims(token: &str) -> Value {
    let body = token.split('.').nth(1).expect("three parts");
    let body = BASE64_URL_SAFE_NO_PAD.decode(body).expect("base64");
    serde_json::from_slice(&body).expect("JSON")
}

async fn refreshed(server: &Server, token: &str) -> TokenReply {
    let call = post("/auth/refresh").json(&json!({"refresh_token": token}));
    let reply = server.call(call).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    serde_json::from_slice(&reply.body).expect("a token")
}
