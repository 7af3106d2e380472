//! POST /auth/guest and /auth/refresh.

use crate::server::{Call, PAGE, Reply, Server, get, post};
use axum::http::StatusCode;
use karta_protocol::AuthMode;
use karta_server::auth::refresh::REPEAT_MS;
use karta_server::auth::token::{FAMILY_LIFETIME_S, GRACE_S, LIFETIME_S, Tokens, random_id};
use karta_server::service::agents::AgentChange;
use serde_json::json;
use std::time::Duration;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn refresh(token: &str) -> Call {
    post("/auth/refresh").json(&json!({"refresh_token": token}))
}

async fn refreshed(server: &Server, token: &str) -> String {
    let reply = server.call(refresh(token)).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.json()["token"].as_str().expect("a token").to_owned()
}

async fn list(server: &Server, token: &str) -> Reply {
    server.call(get("/sessions").bearer(token)).await
}

#[tokio::test]
async fn a_guest_gets_a_token_and_a_visitor_id_of_ours() {
    let server = Server::start().await;
    let first = server.guest().await;
    assert_eq!(u64::from(first.expires_in), LIFETIME_S);
    let visitor = first.visitor_id.expect("a visitor id");
    assert!(
        visitor.starts_with("v_") && visitor.len() >= 24,
        "{visitor}"
    );
    assert_eq!(first.user_id, None);
    assert_eq!(list(&server, &first.token).await.status, StatusCode::OK);
    let again = server.guest_again(Some(&visitor)).await;
    assert_eq!(
        again.visitor_id.as_deref(),
        Some(visitor.as_str()),
        "the browser comes back"
    );
    assert_ne!(
        server.guest().await.visitor_id,
        Some(visitor),
        "another browser"
    );
}

#[tokio::test]
async fn a_visitor_id_that_is_not_ours_is_replaced() {
    let server = Server::start().await;
    for made_up in [
        "v_1",
        "",
        "u_admin",
        "v_",
        "null",
        &random_id("v_"),
        &"v".repeat(10_000),
        "v_\u{0}",
        "v_💥",
    ] {
        let reply = server.guest_again(Some(made_up)).await;
        assert_ne!(reply.visitor_id.as_deref(), Some(made_up));
    }
}

#[tokio::test]
async fn agents_say_whether_guests_may_come() {
    let server = Server::start().await;
    let body = json!({"client_key": server.key.public_key});
    let mode = |mode| AgentChange {
        auth_mode: Some(mode),
        ..AgentChange::default()
    };
    server.change_agent(mode(AuthMode::User)).await;
    server
        .call(post("/auth/guest").json(&body))
        .await
        .refused(403, "guest_not_allowed");
    server.change_agent(mode(AuthMode::Guest)).await;
    server.guest().await;
    server
        .change_agent(AgentChange {
            widget_enabled: Some(false),
            ..AgentChange::default()
        })
        .await;
    server
        .call(post("/auth/guest").json(&body))
        .await
        .refused(403, "widget_disabled_for_agent");
}

#[tokio::test]
async fn bodies_of_the_token_calls_have_their_errors() {
    let server = Server::start().await;
    for (body, status, code) in [
        (json!({}), 400, "client_key_missing"),
        (json!({"client_key": ""}), 400, "client_key_missing"),
        (json!({"client_key": null}), 400, "request_invalid"),
        (json!({"client_key": 1}), 400, "request_invalid"),
        (json!({"client_key": ["pk"]}), 400, "request_invalid"),
        (
            json!({"client_key": "pk_live_main_x"}),
            401,
            "client_key_unknown",
        ),
        (
            json!({"client_key": "sk_live_main_x"}),
            403,
            "secret_key_in_browser",
        ),
        (
            json!({"client_key": server.secret_key}),
            403,
            "secret_key_in_browser",
        ),
        (
            json!({"client_key": server.key.public_key, "agent_id": "a_none"}),
            400,
            "request_invalid",
        ),
        (
            json!({"client_key": server.key.public_key, "visitor_id": 7}),
            400,
            "request_invalid",
        ),
    ] {
        server
            .call(post("/auth/guest").json(&body))
            .await
            .refused(status, code);
    }
    for (body, status, code) in [
        (json!({}), 400, "token_missing"),
        (json!({"refresh_token": ""}), 400, "token_missing"),
        (json!({"refresh_token": null}), 400, "request_invalid"),
        (json!({"refresh_token": {}}), 400, "request_invalid"),
        (json!({"refresh_token": "x"}), 401, "token_invalid"),
        (
            json!({"refresh_token": "sk_live_main_x"}),
            403,
            "secret_key_in_browser",
        ),
    ] {
        server
            .call(post("/auth/refresh").json(&body))
            .await
            .refused(status, code);
    }
}

#[tokio::test]
async fn a_token_works_until_it_expires_and_refreshes_a_little_longer() {
    let server = Server::start().await;
    let first = server.guest().await.token;
    server.advance(s(LIFETIME_S - 2));
    assert_eq!(list(&server, &first).await.status, StatusCode::OK);
    server.advance(s(30));
    list(&server, &first).await.refused(401, "token_expired");
    server.advance(s(GRACE_S / 2));
    let second = refreshed(&server, &first).await;
    assert_eq!(list(&server, &second).await.status, StatusCode::OK);
    server.advance(s(LIFETIME_S + GRACE_S));
    server
        .call(refresh(&second))
        .await
        .refused(400, "token_expired");
}

#[tokio::test]
async fn refresh_keeps_the_visitor_and_the_session() {
    let server = Server::start().await;
    let first = server.guest().await;
    let session = server.new_session(&first.token).await;
    let reply = server.call(refresh(&first.token)).await;
    assert_eq!(
        reply.json()["visitor_id"].as_str(),
        first.visitor_id.as_deref()
    );
    assert_eq!(reply.json()["expires_in"], json!(LIFETIME_S));
    let token = reply.json()["token"].as_str().expect("a token").to_owned();
    assert_eq!(
        server
            .call(get(&format!("/sessions/{session}")).bearer(&token))
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn no_refresh_prolongs_a_family_past_a_day() {
    let server = Server::start().await;
    let mut token = server.guest().await.token;
    let mut passed = 0;
    while passed + LIFETIME_S < FAMILY_LIFETIME_S {
        server.advance(s(LIFETIME_S));
        passed += LIFETIME_S;
        token = refreshed(&server, &token).await;
    }
    server.advance(s(LIFETIME_S));
    server
        .call(refresh(&token))
        .await
        .refused(400, "token_expired");
}

#[tokio::test]
async fn a_lost_reply_or_a_second_tab_gets_the_same_replacement() {
    let server = Server::start().await;
    let first = server.guest().await.token;
    let second = refreshed(&server, &first).await;
    assert_eq!(refreshed(&server, &first).await, second);
    assert_eq!(
        list(&server, &first).await.status,
        StatusCode::OK,
        "a request on its way still passes"
    );
    let (a, b) = tokio::join!(refreshed(&server, &second), refreshed(&server, &second));
    assert_eq!(a, b, "two tabs at the same moment");
}

#[tokio::test]
async fn only_the_immediate_parent_is_forgiven() {
    let server = Server::start().await;
    let first = server.guest().await.token;
    let second = refreshed(&server, &first).await;
    let third = refreshed(&server, &second).await;
    server
        .call(refresh(&first))
        .await
        .refused(401, "token_used");
    assert_eq!(list(&server, &third).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_used_again_later_ends_its_family() {
    let server = Server::start().await;
    let first = server.guest().await.token;
    let second = refreshed(&server, &first).await;
    let stranger = server.guest().await.token;
    server.advance(Duration::from_millis(REPEAT_MS + 1));
    list(&server, &first).await.refused(401, "token_used");
    assert_eq!(
        list(&server, &second).await.status,
        StatusCode::OK,
        "an old token in a late request ends nothing"
    );
    server
        .call(refresh(&first))
        .await
        .refused(401, "token_used");
    list(&server, &second).await.refused(401, "token_invalid");
    server
        .call(refresh(&second))
        .await
        .refused(401, "token_invalid");
    assert_eq!(list(&server, &stranger).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_key_is_checked_again_on_refresh() {
    let server = Server::start().await;
    let token = server.guest().await.token;
    server
        .call(refresh(&token).page("https://evil.example"))
        .await
        .refused(403, "origin_not_allowed");
    server.enable_key(false).await;
    server
        .call(refresh(&token))
        .await
        .refused(403, "client_key_disabled");
    server.enable_key(true).await;
    refreshed(&server, &token).await;
}

#[tokio::test]
async fn a_token_of_another_server_or_for_another_key_is_refused() {
    let server = Server::start().await;
    let other = Server::start().await;
    let token = other.guest().await.token;
    list(&server, &token).await.refused(401, "token_invalid");
    // Right signature, but a key that is not there.
    let tokens = Tokens::new(&server.master);
    let mut who = karta_server::session::Principal {
        account: "main".into(),
        key_id: "k_gone".into(),
        agent_id: "a_first".into(),
        subject: "v_x".into(),
    };
    let claims = tokens.first(&who, server.app.clock.now_s());
    list(&server, &tokens.sign(&claims))
        .await
        .refused(401, "client_key_unknown");
    who.key_id = server.key.id.clone();
    who.subject = "admin".into();
    let claims = tokens.first(&who, server.app.clock.now_s());
    list(&server, &tokens.sign(&claims))
        .await
        .refused(401, "token_invalid");
}

#[tokio::test]
async fn bad_authorization_headers_are_refused_everywhere() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let parts: Vec<&str> = token.split('.').collect();
    let mut bad: Vec<(String, &str)> = [
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Token x",
        "bearer",
        &token,
        "Digest username=x",
    ]
    .map(|value| (value.to_owned(), "token_missing"))
    .to_vec();
    for value in [
        "x",
        "null",
        "undefined",
        "..",
        "a.b.c",
        "%00",
        "Bearer",
        "\t",
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
        "[object Object]",
        "true",
        "0",
        "-1",
        "{}",
        "[]",
        "''",
        "\"\"",
        "../../etc/passwd",
        "' OR '1'='1",
        "pk_live_main_x",
        "v_123",
    ] {
        bad.push((format!("Bearer {value}"), "token_invalid"));
    }
    for value in [
        format!("{token}x"),
        format!("x{token}"),
        format!("{token} {token}"),
        format!("{token},{token}"),
        token.to_uppercase(),
        token[1..].to_owned(),
        token[..token.len() - 1].to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}..{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[1], parts[0], parts[2]),
        format!("{}.{}.{}", parts[0], parts[2], parts[1]),
        token.repeat(2),
        token.replace('.', ""),
        "a".repeat(20_000),
        format!(" {token}"),
        format!("Bearer {token}"),
    ] {
        bad.push((format!("Bearer {value}"), "token_invalid"));
    }
    assert!(bad.len() >= 40, "{}", bad.len());
    for (value, code) in &bad {
        server
            .call(get("/sessions").header("authorization", value))
            .await
            .refused(401, code);
        server
            .call(
                post(&format!("/sessions/{session}/events"))
                    .header("authorization", value)
                    .json(&json!({})),
            )
            .await
            .refused(401, code);
    }
    let twice = get("/sessions")
        .bearer(&token)
        .also("authorization", &format!("Bearer {token}"));
    server.call(twice).await.refused(401, "token_invalid");
    server
        .call(get("/sessions").header("authorization", b"Bearer \xff\xfe"))
        .await
        .refused(401, "token_invalid");
    server
        .call(get(&format!("/sessions?token={token}")))
        .await
        .refused(401, "token_missing");
    let lower = get("/sessions").header("authorization", format!("bearer {token}"));
    assert_eq!(
        server.call(lower).await.status,
        StatusCode::OK,
        "the scheme has no case"
    );
}

#[tokio::test]
async fn secret_keys_are_refused_wherever_they_stand() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let secret = server.secret_key.clone();
    let message =
        json!({"type": "user.message", "id": "m1", "text": format!("my key is {secret}")});
    for call in [
        get(&format!("/config?client_key={secret}")),
        get(&format!(
            "/config?client_key={}&x={secret}",
            server.key.public_key
        )),
        get(&format!("/sessions/{secret}")).bearer(&token),
        get("/sessions").bearer(&secret),
        get("/sessions").bearer("sk_live_short"),
        get("/sessions").bearer(&token).header("x-api-key", &secret),
        get("/sessions")
            .bearer(&token)
            .header("referer", format!("{PAGE}/?k={secret}")),
        post("/auth/guest")
            .json(&json!({"client_key": server.key.public_key, "secret_key": secret})),
        post("/auth/refresh").json(&json!({"refresh_token": secret})),
        post("/sessions")
            .bearer(&token)
            .json(&json!({"resume": secret})),
        post(&format!("/sessions/{session}/events"))
            .bearer(&token)
            .json(&message),
        post(&format!("/sessions/{session}/connect"))
            .bearer(&token)
            .body("application/sdp", secret.clone()),
    ] {
        let path = call.0.uri().to_string();
        let reply = server.call(call).await;
        reply.refused(403, "secret_key_in_browser");
        assert!(
            !String::from_utf8_lossy(&reply.body).contains(&secret),
            "{path} repeats the secret"
        );
    }
    let harmless = server
        .say(
            &token,
            &session,
            "m2",
            "a task_live_x, somebody's sk_live_51H and my disk_space",
        )
        .await;
    assert_eq!(
        harmless.status,
        StatusCode::ACCEPTED,
        "visitors may write what looks a little like a key"
    );
}
