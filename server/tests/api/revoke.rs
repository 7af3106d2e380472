//! POST /auth/revoke, DELETE /me, and what ends while it is open: streams and channels, within seconds, with the right code.

use crate::server::{Call, Server, get, post};
use crate::{channel, stream};
use axum::http::StatusCode;
use karta_protocol::AuthMode;
use karta_server::auth::limit::Rates;
use karta_server::auth::token::{FAMILY_LIFETIME_S, LIFETIME_S};
use karta_server::service::ACCOUNT;
use karta_server::service::agents::AgentChange;
use karta_server::service::keys::{self, KeyChange};
use karta_server::store::Store;
use serde_json::json;
use std::time::{Duration, Instant};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn revoke(server: &Server, token: &str) -> StatusCode {
    server.call(post("/auth/revoke").bearer(token)).await.status
}

fn delete_me(token: &str) -> Call {
    Call::new("DELETE", &format!("{}/me", crate::server::API))
        .page(crate::server::PAGE)
        .bearer(token)
}

#[tokio::test]
async fn a_revoked_login_is_over_and_revoking_again_is_harmless() {
    let server = Server::start().await;
    let stranger = server.guest().await.token;
    for login in [server.guest().await.token, server.user("u_1").await.token] {
        let refresh = post("/auth/refresh").json(&json!({"refresh_token": login}));
        let next = server.call(refresh).await.json();
        let next = next["token"].as_str().expect("a token").to_owned();
        for token in [&next, &next, &login] {
            assert_eq!(revoke(&server, token).await, StatusCode::NO_CONTENT);
        }
        for token in [&next, &login] {
            let list = get("/sessions").bearer(token);
            server.call(list).await.refused(401, "token_invalid");
            let refresh = post("/auth/refresh").json(&json!({"refresh_token": token}));
            server.call(refresh).await.refused(401, "token_invalid");
        }
    }
    let list = get("/sessions").bearer(&stranger);
    assert_eq!(server.call(list).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_dead_token_can_be_revoked_and_what_is_none_cannot() {
    let server = Server::start().await;
    let token = server.guest().await.token;
    server.advance(s(LIFETIME_S));
    assert_eq!(revoke(&server, &token).await, StatusCode::NO_CONTENT);
    let old = server.guest().await.token;
    server.enable_key(false).await;
    assert_eq!(revoke(&server, &old).await, StatusCode::NO_CONTENT);
    server.enable_key(true).await;
    let list = get("/sessions").bearer(&old);
    server.call(list).await.refused(401, "token_invalid");
    let ancient = server.guest().await.token;
    server.advance(s(FAMILY_LIFETIME_S * 30));
    assert_eq!(revoke(&server, &ancient).await, StatusCode::NO_CONTENT);
    server
        .call(post("/auth/revoke"))
        .await
        .refused(401, "token_missing");
    server
        .call(post("/auth/revoke").bearer("x"))
        .await
        .refused(401, "token_invalid");
    let other = Server::start().await.guest().await.token;
    server
        .call(post("/auth/revoke").bearer(&other))
        .await
        .refused(401, "token_invalid");
    let evil = post("/auth/revoke").bearer(&ancient);
    server
        .call(evil.page("https://evil.example"))
        .await
        .refused(403, "origin_not_allowed");
}

/// What an owner or visitor does, and the code with which it ends what is open.
type Ending = (&'static str, &'static str, bool);
const ENDINGS: &[Ending] = &[
    // What happens; the code; whether a verified user sits there, or a guest.
    ("key disabled", "client_key_disabled", false),
    ("key disabled", "client_key_disabled", true),
    ("key deleted", "client_key_disabled", false),
    ("widget off", "widget_disabled_for_agent", false),
    ("widget off", "widget_disabled_for_agent", true),
    ("users only", "guest_not_allowed", false),
    ("guests only", "user_not_allowed", true),
    ("identification required", "guest_not_allowed", false),
    ("revoked", "token_invalid", false),
    ("revoked", "token_invalid", true),
    ("revoked elsewhere", "token_invalid", false),
    ("forgotten", "session_not_found", false),
    ("forgotten", "session_not_found", true),
];

async fn happen(server: &Server, what: &str, token: &str) {
    let store = server.store.as_ref();
    let agent = |change| server.change_agent(change);
    match what {
        "key disabled" => server.enable_key(false).await,
        "key deleted" => {
            let removed = keys::remove(store, ACCOUNT, &server.key.id).await;
            removed.map(drop).expect("removed");
        }
        "widget off" => {
            agent(AgentChange {
                widget_enabled: Some(false),
                ..AgentChange::default()
            })
            .await
        }
        "users only" | "guests only" => {
            let mode = if what == "users only" {
                AuthMode::User
            } else {
                AuthMode::Guest
            };
            agent(AgentChange {
                auth_mode: Some(mode),
                ..AgentChange::default()
            })
            .await
        }
        "identification required" => {
            let change = KeyChange {
                identification_required: Some(true),
                ..KeyChange::default()
            };
            let changed = keys::update(store, ACCOUNT, &server.key.id, change).await;
            changed.map(drop).expect("changed");
        }
        "revoked" => assert_eq!(revoke(server, token).await, StatusCode::NO_CONTENT),
        // By another process: only the database tells of it.
        "revoked elsewhere" => {
            let claims = server.app.tokens.recognise(token).expect("ours");
            let spent = store.spend_token(&claims.family, u64::MAX >> 1, None).await;
            assert!(spent.expect("written"));
        }
        "forgotten" => {
            let reply = server.call(delete_me(token)).await;
            assert_eq!(reply.status, StatusCode::NO_CONTENT);
        }
        other => panic!("{other}"),
    }
}

async fn login(server: &Server, verified: bool) -> (String, String) {
    let token = if verified {
        server.user("u_1").await.token
    } else {
        server.guest().await.token
    };
    let session = server.new_session(&token).await;
    (token, session)
}

async fn a_stream_ends(ending: &Ending) {
    let (what, code, verified) = *ending;
    let server = Server::start().await;
    let (token, session) = login(&server, verified).await;
    let bystander = login(&server, !verified).await;
    let mut reader = stream::open(&server, &token, &session, 0).await;
    reader.until("session.synced").await;
    let mut other = stream::open(&server, &bystander.0, &bystander.1, 0).await;
    other.until("session.synced").await;
    let started = Instant::now();
    happen(&server, what, &token).await;
    let last = reader.next().await.expect("last words").1;
    assert_eq!(
        (&last["type"], &last["code"]),
        (&json!("error"), &json!(code)),
        "{what}"
    );
    assert!(!last["message"].as_str().unwrap_or("").is_empty(), "{what}");
    assert!(reader.next().await.is_none(), "{what}");
    assert!(started.elapsed() < s(5), "{what}: {:?}", started.elapsed());
    // Who it does not concern goes on.
    let concerns_all = ["key disabled", "key deleted", "widget off"].contains(&what);
    if !concerns_all {
        let said = server
            .say(&bystander.0, &bystander.1, "m1", "still here")
            .await;
        assert_eq!(said.status, StatusCode::ACCEPTED, "{what}");
        other.until("session.status_idle").await;
    }
    // And nobody comes back in.
    let again = get(&format!("/sessions/{session}/events/stream")).bearer(&token);
    let again = server.call(again).await;
    let code = if what == "key deleted" {
        "client_key_unknown"
    } else {
        code
    };
    assert_eq!(again.code(), code, "{what}");
}

async fn a_channel_ends(ending: &Ending) {
    let (what, code, verified) = *ending;
    let server = channel::server(Rates::off()).await;
    let (token, session) = login(&server, verified).await;
    let (mut client, _) = channel::open(&server, &token, &session).await;
    channel::hello(&mut client, 0).await;
    let started = Instant::now();
    happen(&server, what, &token).await;
    let code = format!("\"code\":\"{code}\"");
    client.until("close", |c| c.ended && c.has(&code)).await;
    assert!(started.elapsed() < s(5), "{what}: {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_allowed_ends_open_streams_and_says_why() {
    futures::future::join_all(ENDINGS.iter().map(a_stream_ends)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_allowed_ends_open_channels_and_says_why() {
    futures::future::join_all(ENDINGS.iter().map(a_channel_ends)).await;
}

#[tokio::test]
async fn a_revoked_channel_takes_no_message_not_even_at_once() {
    let server = channel::server(Rates::off()).await;
    let (token, session) = server.session().await;
    let (mut client, _) = channel::open(&server, &token, &session).await;
    assert_eq!(revoke(&server, &token).await, StatusCode::NO_CONTENT);
    client.send(r#"{"type":"user.message","id":"m1","text":"hi"}"#);
    client.until("refusal", |c| c.has("token_invalid")).await;
    let record = server.store.session(&session).await.expect("read");
    assert_eq!(record.expect("there").info.last_seq, 0);
}

#[tokio::test]
async fn a_changed_agent_refuses_the_message_at_once_and_lets_the_past_be_read() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    happen(&server, "users only", &token).await;
    let said = server.say(&token, &session, "m1", "hi").await;
    said.refused(403, "guest_not_allowed");
    let log = get(&format!("/sessions/{session}")).bearer(&token);
    assert_eq!(server.call(log).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_forgotten_visitor_leaves_nothing_in_the_files() {
    const CANARY: &str = "CANARY-7f3a";
    let server = Server::start().await;
    let body =
        json!({"client_key": server.key.public_key, "user_label": format!("{CANARY}-label")});
    let guest = server.call(post("/auth/guest").json(&body)).await.json();
    let guest = guest["token"].as_str().expect("a token").to_owned();
    let minted = Call::new("POST", &format!("{}/auth/user-token", crate::server::API))
        .bearer(&server.secret_key)
        .json(&json!({"external_user_id": format!("{CANARY}-id"), "display_name": format!("{CANARY}-name"), "email": format!("{CANARY}@x.example")}));
    let minted = server.call(minted).await.json();
    let body = json!({"client_key": server.key.public_key, "user_token": minted["user_token"]});
    let user = server.call(post("/auth/exchange").json(&body)).await.json();
    let user = user["token"].as_str().expect("a token").to_owned();
    let (stays, kept) = server.session().await;
    server.say(&stays, &kept, "m1", "KEPT-5b1c").await;
    server.log(&stays, &kept, 4).await;
    for token in [&guest, &user] {
        for n in 0..3 {
            let session = server.call(post("/sessions").bearer(token)).await.json();
            let session = session["id"].as_str().expect("an id").to_owned();
            let text = format!("{CANARY}-message {n} ") + &"long ".repeat(2_000);
            server.say(token, &session, &format!("m{n}"), &text).await;
            let log = server.log(token, &session, 4).await;
            let part = log[2]["part_id"].clone();
            let feedback = json!({"type": "user.feedback", "part_id": part, "rating": "up"});
            let path = format!("/sessions/{session}/events");
            server.call(post(&path).bearer(token).json(&feedback)).await;
        }
    }
    assert!(server.files_hold(CANARY), "the test can fail");
    for token in [&guest, &user] {
        for _ in 0..2 {
            let reply = server.call(delete_me(token)).await;
            assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
            let list = server.call(get("/sessions").bearer(token)).await;
            assert_eq!(list.json(), json!({"sessions": []}));
        }
    }
    assert!(!server.files_hold(CANARY), "nothing in database or log");
    assert!(server.files_hold("KEPT-5b1c"), "others stay");
    assert_eq!(server.log(&stays, &kept, 4).await.len(), 4);
}

#[tokio::test]
async fn a_forgotten_visitor_interrupts_the_answer_and_begins_afresh() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "wait for ever").await;
    assert_eq!(
        server.call(delete_me(&token)).await.status,
        StatusCode::NO_CONTENT
    );
    for call in [
        get(&format!("/sessions/{session}")).bearer(&token),
        get(&format!("/sessions/{session}/events/stream")).bearer(&token),
        post(&format!("/sessions/{session}/events"))
            .bearer(&token)
            .json(&json!({"type": "user.message", "id": "m2", "text": "x"})),
    ] {
        server.call(call).await.refused(404, "session_not_found");
    }
    let next = server
        .call(
            post("/sessions")
                .bearer(&token)
                .json(&json!({"resume": session})),
        )
        .await;
    assert_eq!(next.status, StatusCode::CREATED);
    assert_ne!(next.json()["id"], json!(session));
    // The turn that was cut is not tried again and again: a stop need not wait for it.
    let started = Instant::now();
    server.app.sessions.stop(s(2)).await;
    assert!(started.elapsed() < s(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn forgetting_takes_only_the_caller() {
    let server = Server::start().await;
    let (john, jane) = (
        server.user("john").await.token,
        server.user("jane").await.token,
    );
    let (a, b) = (
        server.new_session(&john).await,
        server.new_session(&jane).await,
    );
    server.call(delete_me(&john)).await;
    let jane_log = get(&format!("/sessions/{b}")).bearer(&jane);
    assert_eq!(server.call(jane_log).await.status, StatusCode::OK);
    assert_ne!(server.new_session(&john).await, a);
}
