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
        (json!({"user_token": ""}), 400, "token_missing"),
        (
            json!({"identity_token": server.hash_of(john)}),
            400,
            "request_invalid",
        ),
        (json!({}), 400, "token_missing"),
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

#[tokio::test]
async fn what_a_v2_token_says_stands_in_the_session_token_and_stays_there() {
    let server = Server::start().await;
    let now = server.app.clock.now_s();
    let payload =
        json!({"user_id": "u_1", "exp": now + 60, "stepped_up_at": now - 9, "aal": "aal2"});
    let proof = v2(&server, &payload);
    let reply = exchange(&server, json!({"identity_token": proof})).await;
    assert_eq!(reply.json()["user_id"], json!("u_1"));
    let token = reply.json()["token"].as_str().expect("a token").to_owned();
    let next = refreshed(&server, &token).await.token;
    for token in [&token, &next] {
        let says = claims(token);
        assert_eq!(says["stepped_up_at"], json!(now - 9));
        assert_eq!(says["aal"], json!("aal2"));
        let text = says.to_string();
        assert!(!text.contains("u_1\"") && !text.contains("test"), "{text}");
    }
    server.advance(s(60));
    exchange(&server, json!({"identity_token": proof}))
        .await
        .refused(401, "identity_invalid");
    let list = server.call(get("/sessions").bearer(&next)).await;
    assert_eq!(
        list.status,
        StatusCode::OK,
        "the proof's end is not the session's"
    );
}

async fn refreshed(server: &Server, token: &str) -> TokenReply {
    let call = post("/auth/refresh").json(&json!({"refresh_token": token}));
    let reply = server.call(call).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    serde_json::from_slice(&reply.body).expect("a token")
}

#[tokio::test]
async fn a_users_token_refreshes_rotates_and_ages_like_a_guests() {
    let server = Server::start().await;
    let first = server.user("john@example.com").await;
    let session = server.new_session(&first.token).await;
    let second = refreshed(&server, &first.token).await;
    assert_eq!(second.user_id.as_deref(), Some("john@example.com"));
    assert_eq!(second.visitor_id, None);
    let again = refreshed(&server, &first.token).await;
    assert_eq!(again.token, second.token, "a lost reply");
    let log = get(&format!("/sessions/{session}")).bearer(&second.token);
    assert_eq!(server.call(log).await.status, StatusCode::OK);

    // Shortly after its expiry, and no longer.
    server.advance(s(LIFETIME_S + GRACE_S - 1));
    let third = refreshed(&server, &second.token).await;
    server.advance(s(LIFETIME_S + GRACE_S));
    let late = post("/auth/refresh").json(&json!({"refresh_token": third.token}));
    server.call(late).await.refused(400, "token_expired");

    // A replay ends the family.
    let first = server.user("john@example.com").await.token;
    let second = refreshed(&server, &first).await.token;
    server.advance(s(11));
    let replay = post("/auth/refresh").json(&json!({"refresh_token": first}));
    server.call(replay).await.refused(401, "token_used");
    let list = get("/sessions").bearer(&second);
    server.call(list).await.refused(401, "token_invalid");

    // Never past a day.
    let mut token = server.user("john@example.com").await.token;
    for _ in 1..FAMILY_LIFETIME_S / LIFETIME_S {
        server.advance(s(LIFETIME_S));
        token = refreshed(&server, &token).await.token;
    }
    server.advance(s(LIFETIME_S));
    let late = post("/auth/refresh").json(&json!({"refresh_token": token}));
    server.call(late).await.refused(400, "token_expired");
}

#[tokio::test]
async fn a_user_token_is_for_its_own_keys_pages_and_five_minutes() {
    let server = Server::start().await;
    let new = keys::NewKey {
        name: "Other".into(),
        origins: vec!["https://other.example".into()],
        agent_id: None,
        ..keys::NewKey::default()
    };
    let other = keys::create(server.store.as_ref(), &server.master, ACCOUNT, new)
        .await
        .expect("a key");
    let token = server.user_token("u_1").await;
    let call = |key: &str, page: &str| {
        let body = json!({"client_key": key, "user_token": token});
        post("/auth/exchange").json(&body).page(page)
    };
    let key = &server.key.public_key;
    for (key, page, status, code) in [
        (
            key.as_str(),
            "https://evil.example",
            403,
            "origin_not_allowed",
        ),
        (key, "null", 403, "origin_not_allowed"),
        (
            &other.key.public_key,
            "https://other.example",
            401,
            "token_invalid",
        ),
        (
            "pk_live_main_x",
            "https://shop.example",
            401,
            "client_key_unknown",
        ),
        ("", "https://shop.example", 400, "client_key_missing"),
        (
            &server.secret_key,
            "https://shop.example",
            403,
            "secret_key_in_browser",
        ),
    ] {
        server.call(call(key, page)).await.refused(status, code);
    }
    server.enable_key(false).await;
    by_token(&server, &token)
        .await
        .refused(403, "client_key_disabled");
    server.enable_key(true).await;
    server.advance(s(USER_TOKEN_LIFETIME_S - 2));
    assert_eq!(
        by_token(&server, &token).await.status,
        StatusCode::OK,
        "not used up by refusals"
    );
    by_token(&server, &token).await.refused(401, "token_used");
    let token = server.user_token("u_1").await;
    server.advance(s(USER_TOKEN_LIFETIME_S));
    by_token(&server, &token)
        .await
        .refused(400, "token_expired");
}

#[tokio::test]
async fn tokens_of_one_kind_do_not_pass_for_another() {
    let server = Server::start().await;
    let (user_token, session) = (
        server.user_token("u_1").await,
        server.user("u_1").await.token,
    );
    let list = get("/sessions").bearer(&user_token);
    server.call(list).await.refused(401, "token_invalid");
    let refresh = post("/auth/refresh").json(&json!({"refresh_token": user_token}));
    server.call(refresh).await.refused(401, "token_invalid");
    let revoke = post("/auth/revoke").bearer(&user_token);
    server.call(revoke).await.refused(401, "token_invalid");
    by_token(&server, &session)
        .await
        .refused(401, "token_invalid");
    let mint = mint(&json!({"external_user_id": "u_1"}));
    server
        .call(mint.bearer(&session))
        .await
        .refused(401, "client_key_unknown");
    assert_eq!(by_token(&server, &user_token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_user_token_may_be_bound_to_an_agent() {
    let server = Server::start().await;
    let named = AgentChange {
        name: Some("Second".into()),
        ..AgentChange::default()
    };
    let second = agents::create(server.store.as_ref(), ACCOUNT, named)
        .await
        .expect("an agent");
    let body = json!({"external_user_id": "u_1", "agent_id": second.id});
    let reply = server.call(mint(&body).bearer(&server.secret_key)).await;
    let token = reply.json()["user_token"].clone();
    let asked = json!({"user_token": token, "agent_id": "a_first"});
    let reply = exchange(&server, asked).await;
    let token = reply.json()["token"].as_str().expect("a token").to_owned();
    assert_eq!(claims(&token)["agent_id"], json!(second.id));

    let unknown = mint(&json!({"external_user_id": "u_1", "agent_id": "a_none"}));
    server
        .call(unknown.bearer(&server.secret_key))
        .await
        .refused(400, "request_invalid");
    let pin = KeyChange {
        agent_id: karta_server::service::patch::Patch::Set("a_first".into()),
        ..KeyChange::default()
    };
    change_key(&server, pin).await;
    server
        .call(mint(&body).bearer(&server.secret_key))
        .await
        .refused(400, "request_invalid");
}

#[tokio::test]
async fn only_the_secret_key_mints_user_tokens() {
    let server = Server::start().await;
    let body = json!({"external_user_id": "u_1"});
    server.call(mint(&body)).await.refused(401, "token_missing");
    let secret = &server.secret_key;
    let mut bent = secret.clone();
    bent.replace_range(
        secret.len() - 1..,
        if secret.ends_with('0') { "1" } else { "0" },
    );
    let mut wrong = vec![
        bent,
        server.key.public_key.clone(),
        server.identity_secret.clone(),
        secret[..secret.len() - 1].to_owned(),
        format!("{secret}0"),
        secret.to_uppercase(),
        secret.replace("sk_live_main", "sk_live_other"),
        secret.replace("sk_live", "sk_test"),
        format!("sk_live_main_{}", "0".repeat(96)),
        format!("sk_live_{}_{}", "a".repeat(5_000), "0".repeat(96)),
        format!("sk_live_main_{}", "é".repeat(48)),
        "sk_live_".into(),
        "sk_live_main_".into(),
        "sk_".into(),
        "x".into(),
        "null".into(),
    ];
    // All the digits of a secret are looked at, not the first 72 bytes.
    wrong.push(format!("{}{}", &secret[..100], "0".repeat(9)));
    for key in wrong {
        let reply = server
            .call(mint(&body).header("authorization", format!("Bearer {key}")))
            .await;
        reply.refused(401, "client_key_unknown");
    }
    server.enable_key(false).await;
    server
        .call(mint(&body).bearer(secret))
        .await
        .refused(403, "client_key_disabled");
}

#[tokio::test]
async fn what_a_backend_says_about_its_user_is_bounded() {
    let server = Server::start().await;
    let minted = async |body: Value| server.call(mint(&body).bearer(&server.secret_key)).await;
    for body in [
        json!({}),
        json!({"external_user_id": ""}),
        json!({"external_user_id": null}),
        json!({"external_user_id": true}),
        json!({"external_user_id": 1.5}),
        json!({"external_user_id": ["u"]}),
        json!({"external_user_id": {"$ne": 1}}),
        json!({"external_user_id": "a\u{0}b"}),
        json!({"external_user_id": "x".repeat(257)}),
        json!({"external_user_id": "é".repeat(129)}),
        json!({"external_user_id": "u", "display_name": "n".repeat(101)}),
        json!({"external_user_id": "u", "display_name": "a\nb"}),
        json!({"external_user_id": "u", "display_name": 7}),
        json!({"external_user_id": "u", "email": "e".repeat(255)}),
        json!({"external_user_id": "u", "agent_id": 7}),
    ] {
        minted(body).await.refused(400, "request_invalid");
    }
    for (id, user_id) in [
        (json!(42), "42"),
        (json!(-1), "-1"),
        (json!("42"), "42"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!("😀".repeat(64)), &"😀".repeat(64)),
        (json!(" a "), " a "),
    ] {
        let longest = json!({
            "external_user_id": id, "display_name": "😀".repeat(100), "email": "\"".repeat(254),
        });
        let reply = minted(longest).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        let token = reply.json()["user_token"]
            .as_str()
            .expect("a token")
            .to_owned();
        let reply = by_token(&server, &token).await;
        assert_eq!(reply.json()["user_id"], json!(user_id), "{reply:?}");
    }
    let plain =
        json!({"external_user_id": "u", "display_name": null, "email": "", "agent_id": null});
    assert_eq!(minted(plain).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_that_demands_identification_refuses_guests() {
    let server = Server::start().await;
    let guest = server.guest().await.token;
    let demand = KeyChange {
        identification_required: Some(true),
        ..KeyChange::default()
    };
    change_key(&server, demand).await;
    let key = json!({"client_key": server.key.public_key});
    let reply = server.call(post("/auth/guest").json(&key)).await;
    reply.refused(403, "guest_not_allowed");
    let words = reply.json()["error"]["message"].to_string();
    assert!(words.contains("Use the user-token flow"), "{words}");
    for call in [
        post("/sessions").bearer(&guest),
        post("/auth/refresh").json(&json!({"refresh_token": guest})),
    ] {
        server.call(call).await.refused(403, "guest_not_allowed");
    }
    let config = get(&format!("/config?client_key={}", server.key.public_key));
    assert_eq!(server.call(config).await.json()["auth_mode"], json!("user"));
    let user = server.user("u_1").await.token;
    server.new_session(&user).await;
}

#[tokio::test]
async fn nothing_is_kept_of_a_proof_that_failed() {
    let server = Server::start().await;
    let session = server.user("john@example.com").await.token;
    let wrong = json!({"user_id": "john@example.com", "identity_token": server.hash_of("jane")});
    exchange(&server, wrong)
        .await
        .refused(401, "identity_invalid");
    let list = server.call(get("/sessions").bearer(&session)).await;
    assert_eq!(list.status, StatusCode::OK, "the user's own login stands");
}

#[tokio::test]
async fn a_rotated_secret_works_for_a_day_beside_the_new_one_or_no_longer() {
    let server = Server::start().await;
    let store = server.store.as_ref();
    let rotate = async |which, at_once| {
        secrets::rotate(
            store,
            &server.master,
            ACCOUNT,
            &server.key.id,
            which,
            at_once,
        )
        .await
        .expect("rotated")
    };
    let mints = async |key: &str| {
        let call = mint(&json!({"external_user_id": "u"})).bearer(key);
        server.call(call).await.status == StatusCode::OK
    };
    let proves = async |secret: &str| {
        let proof = json!({"user_id": "u", "identity_token": hmac_hex(secret, "u")});
        exchange(&server, proof).await.status == StatusCode::OK
    };
    let key = rotate(Which::SecretKey, false).await;
    assert!(key.old_until_ms.is_some());
    assert!(mints(&server.secret_key).await && mints(&key.secret).await);
    let identity = rotate(Which::IdentitySecret, false).await;
    assert!(proves(&server.identity_secret).await && proves(&identity.secret).await);
    server.advance(Duration::from_millis(OVERLAP_MS));
    assert!(!mints(&server.secret_key).await && mints(&key.secret).await);
    assert!(!proves(&server.identity_secret).await && proves(&identity.secret).await);

    let leaked = rotate(Which::SecretKey, true).await;
    assert_eq!(leaked.old_until_ms, None);
    assert!(!mints(&key.secret).await && mints(&leaked.secret).await);
    let leaked = rotate(Which::IdentitySecret, true).await;
    assert!(!proves(&identity.secret).await && proves(&leaked.secret).await);
    // A change of the key by somebody who read it before does not bring an old secret back.
    server.store.put_key(&server.key).await.expect("put");
    assert!(!mints(&server.secret_key).await && !proves(&server.identity_secret).await);
    assert!(mints(&key.secret).await || mints(&rotate(Which::SecretKey, false).await.secret).await);
}

#[tokio::test]
async fn a_new_signing_key_is_noticed_by_nobody_unless_the_old_one_ends_at_once() {
    let server = Server::start().await;
    let old = server.guest().await.token;
    let old_user_token = server.user_token("u_1").await;
    let made = signing::rotate(server.store.as_ref(), false)
        .await
        .expect("made");
    let reload = async || {
        let generations = server.store.signing_keys().await.expect("read");
        server.app.tokens.set_generations(&generations);
    };
    let kid = |token: &str| {
        let header = token.split('.').next().expect("a header");
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).expect("base64");
        let header: Value = serde_json::from_slice(&header).expect("JSON");
        header["kid"].as_str().expect("a kid").to_owned()
    };
    let lists = async |token: &str| server.call(get("/sessions").bearer(token)).await.status;
    reload().await;
    assert_eq!(
        kid(&server.guest().await.token),
        "1",
        "until every process knows the new one"
    );
    server.advance(s(11));
    let new = server.guest().await.token;
    assert_eq!((kid(&new).as_str(), made.kid.as_str()), ("2", "2"));
    assert_eq!(lists(&old).await, StatusCode::OK);
    assert_eq!(lists(&new).await, StatusCode::OK);
    assert_eq!(
        by_token(&server, &old_user_token).await.status,
        StatusCode::OK
    );
    let again = refreshed(&server, &old).await.token;
    assert_eq!(kid(&again), "2");
    // The last moment of an old token, and the old key's end.
    server.advance(s(LIFETIME_S + GRACE_S - 12));
    refreshed(&server, &old_after(&server, &new).await).await;
    server.advance(s(60));
    let end = post("/auth/revoke").bearer(&old);
    assert_eq!(
        server.call(end).await.status,
        StatusCode::NO_CONTENT,
        "dead, and still known as ours"
    );

    let user_token = server.user_token("u_1").await;
    let token = server.guest().await.token;
    signing::rotate(server.store.as_ref(), true)
        .await
        .expect("made");
    reload().await;
    assert_eq!(lists(&token).await, StatusCode::UNAUTHORIZED);
    by_token(&server, &user_token)
        .await
        .refused(401, "token_invalid");
    assert_eq!(kid(&server.guest().await.token), "3");
}

/// The token itself, once it has been asked whether it still refreshes.
async fn old_after(server: &Server, token: &str) -> String {
    let list = server.call(get("/sessions").bearer(token)).await;
    list.refused(401, "token_expired");
    token.to_owned()
}

#[tokio::test]
async fn a_label_is_kept_with_the_session_and_opens_nothing() {
    let server = Server::start().await;
    for (label, kept) in [
        (
            json!("Ada, from the newsletter"),
            Some("Ada, from the newsletter".to_owned()),
        ),
        (
            json!(format!("{}x", "é".repeat(128))),
            Some("é".repeat(128)),
        ),
        (json!("a\u{0}b\n"), Some("ab".to_owned())),
        (json!("  "), None),
        (Value::Null, None),
    ] {
        let body = json!({"client_key": server.key.public_key, "user_label": label});
        let reply = server.call(post("/auth/guest").json(&body)).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        let token = reply.json()["token"].as_str().expect("a token").to_owned();
        assert!(
            claims(&token)["sub"]
                .as_str()
                .expect("a subject")
                .starts_with("v_")
        );
        let session = server.new_session(&token).await;
        let record = server
            .store
            .session(&session)
            .await
            .expect("read")
            .expect("there");
        assert_eq!(record.label, kept);
    }
    let body = json!({"client_key": server.key.public_key, "user_label": {"x": 1}});
    server
        .call(post("/auth/guest").json(&body))
        .await
        .refused(400, "request_invalid");
}

#[tokio::test]
async fn who_guesses_is_refused_even_when_right() {
    let mut rates = Rates::off();
    rates.set(
        "FAILED_PROOFS_PER_ADDRESS",
        Rate::parse("5/1h").expect("a rate"),
    );
    let server = Server::with_rates(rates).await;
    let wrong = json!({"user_id": "u_1", "identity_token": server.hash_of("u_2")});
    let right = json!({"user_id": "u_1", "identity_token": server.hash_of("u_1")});
    for _ in 0..20 {
        assert_eq!(
            exchange(&server, right.clone()).await.status,
            StatusCode::OK,
            "proofs that hold are not counted"
        );
    }
    let mut refused = 0;
    for _ in 0..50 {
        let reply = exchange(&server, wrong.clone()).await;
        refused += u32::from(reply.code() == "identity_invalid");
    }
    assert_eq!(refused, 6, "five, and the one that found the bucket empty");
    exchange(&server, right.clone())
        .await
        .refused(429, "rate_limited");
    let secret = mint(&json!({"external_user_id": "u_1"})).bearer(&server.secret_key);
    server.call(secret).await.refused(429, "rate_limited");
    let body = json!({"client_key": server.key.public_key, "user_id": "u_1", "identity_token": server.hash_of("u_1")});
    let elsewhere = post("/auth/exchange").json(&body).from("198.51.100.7");
    assert_eq!(server.call(elsewhere).await.status, StatusCode::OK);
    assert_eq!(server.guest().await.user_id, None, "guests are not proofs");
}

/// Over a real SQLite file: sixteen requests at once for each token.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tokens_are_exchanged_exactly_a_thousand_times() {
    const TOKENS: usize = 1_000;
    const AT_ONCE: usize = 16;
    let server = Arc::new(Server::start().await);
    let tasks = (0..TOKENS).map(|n| {
        let server = server.clone();
        async move {
            let token = server.user_token(&format!("u_{n}")).await;
            let calls = (0..AT_ONCE).map(|_| by_token(&server, &token));
            let mut won = 0;
            for reply in futures::future::join_all(calls).await {
                match reply.status {
                    StatusCode::OK => won += 1,
                    _ => {
                        reply.refused(401, "token_used");
                    }
                }
            }
            won
        }
    });
    let mut running = tokio::task::JoinSet::new();
    let mut won = Vec::with_capacity(TOKENS);
    for task in tasks {
        if running.len() >= 32 {
            won.push(running.join_next().await.expect("one").expect("no panic"));
        }
        running.spawn(task);
    }
    won.extend(running.join_all().await);
    assert!(won.iter().all(|won| *won == 1), "each token once");
    assert_eq!(won.iter().sum::<usize>(), TOKENS);
}

/// docs/SECURITY.md offers these files to copy. PHP is not on every machine that builds this; `build.sh test` installs it where it can.
#[tokio::test]
async fn the_snippets_in_three_languages_make_proofs_that_are_accepted() {
    let server = Server::start().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/identity");
    let exp = (server.app.clock.now_s() + 60).to_string();
    for (program, file, needed) in [
        ("node", "identity.cjs", true),
        ("python3", "identity.py", true),
        ("php", "identity.php", false),
    ] {
        let run = |secret: &str, id: &str| {
            std::process::Command::new(program)
                .arg(format!("{folder}/{file}"))
                .args([id, &exp])
                .env("KARTA_IDENTITY_SECRET", secret)
                .output()
        };
        let lines = |secret: &str, id: &str| -> Option<Vec<String>> {
            let output = match run(secret, id) {
                Err(_) if !needed => return None,
                output => output.expect(program),
            };
            assert!(output.status.success(), "{program}: {output:?}");
            let text = String::from_utf8(output.stdout).expect("text");
            Some(text.lines().map(str::to_owned).collect())
        };
        let Some(vector) = lines("test_secret", "john@example.com") else {
            // Past the test's captured output, so that it is seen.
            let said = writeln!(
                std::io::stderr(),
                "SKIPPED: {file} is not run, there is no {program} here"
            );
            said.expect("written");
            continue;
        };
        assert_eq!(
            vector[0], "f85434223d090e0c770f07b0084ce9ae5690e96fa1094a9c87bf8382b517c782",
            "{program}"
        );
        for id in ["u_123", "Ünï 😀@example.com", "a\"b\\c/d"] {
            let made = lines(&server.identity_secret, id).expect("it is there");
            for token in &made {
                let proof = json!({"user_id": id, "identity_token": token});
                let reply = exchange(&server, proof).await;
                assert_eq!(reply.status, StatusCode::OK, "{program} {id}: {reply:?}");
            }
        }
    }
}
