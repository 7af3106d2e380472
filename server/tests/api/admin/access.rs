//! Who may call at all: servers with the admin token.

use super::{ADMIN, Owner};
use crate::server::{API, Call, get};
use axum::http::StatusCode;
use karta_server::auth::limit::{Rate, Rates};
use karta_server::service::{ACCOUNT, admin_token};
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn no_call_works_without_the_admin_token() {
    let owner = Owner::start().await;
    let calls = owner.calls("x");
    assert!(calls.len() > 20, "{calls:?}");
    let guest = owner.server.guest().await.token;
    let token = &owner.token;
    for (method, path) in &calls {
        let bare = || Call::new(method, path);
        for call in [
            bare(),
            bare().header("authorization", ""),
            bare().header("authorization", "Bearer"),
            bare().header("authorization", "Bearer "),
            bare().header("authorization", format!("Basic {token}")),
            bare().header("authorization", token),
            bare().header("authorization", b"Bearer \xff\xfe"),
            bare()
                .header("authorization", format!("Bearer {token}"))
                .also("authorization", "Bearer x"),
            bare().header("x-api-key", token),
            bare().header("cookie", format!("token={token}")),
            Call::new(
                method,
                &format!("{path}?token={token}&access_token={token}"),
            ),
        ] {
            let reply = owner.call(call).await;
            reply.refused(401, "admin_token_missing");
        }
        for wrong in [
            "x",
            &token[..token.len() - 1],
            &format!("{token}0"),
            &format!(" {token}"),
            &token.to_uppercase(),
            &token.replace("adm_live", "sk_live"),
            &guest,
            &owner.server.secret_key,
            &owner.server.key.public_key,
        ] {
            let reply = owner.call(bare().bearer(wrong)).await;
            reply.refused(401, "admin_token_invalid");
        }
    }
}

#[tokio::test]
async fn no_browser_gets_through_even_with_the_token() {
    let owner = Owner::start().await;
    for (method, path) in owner.calls("x") {
        let call = || Call::new(&method, &path).bearer(&owner.token);
        for call in [
            call().header("origin", "https://evil.example"),
            call().header("origin", "null"),
            call().header("origin", "http://127.0.0.1:8787"),
            call()
                .header("origin", "https://shop.example")
                .header("sec-fetch-mode", "cors"),
            call().header("sec-fetch-site", "cross-site"),
            call().header("sec-fetch-site", "same-origin"),
            call().header("sec-fetch-mode", "navigate"),
            call().header("sec-fetch-mode", "no-cors"),
            call().header("sec-fetch-dest", "empty"),
        ] {
            let reply = owner.call(call).await;
            reply.refused(403, "admin_in_browser");
            let names = reply.headers.keys().map(|name| name.as_str());
            assert!(
                !names
                    .into_iter()
                    .any(|name| name.starts_with("access-control"))
            );
        }
        let preflight = Call::new("OPTIONS", &path)
            .page("https://evil.example")
            .header("access-control-request-method", &method)
            .header("access-control-request-headers", "authorization");
        let reply = owner.server.call(preflight).await;
        assert!(reply.status.is_client_error(), "{reply:?}");
        let names = reply.headers.keys().map(|name| name.as_str());
        assert!(
            !names
                .into_iter()
                .any(|name| name.starts_with("access-control"))
        );
    }
    // Node's fetch names a mode and nothing else.
    let node = owner
        .request("GET", "/agents")
        .header("sec-fetch-mode", "cors");
    assert_eq!(owner.call(node).await.status, StatusCode::OK);
}

#[tokio::test]
async fn wrong_tokens_run_into_a_limit_that_no_other_address_feels() {
    let mut rates = Rates::off();
    rates.set(
        "FAILED_PROOFS_PER_ADDRESS",
        Rate::parse("3/1h").expect("a rate"),
    );
    let owner = Owner::with_rates(rates).await;
    let try_one = |token: &str| Call::new("GET", &format!("{ADMIN}/agents")).bearer(token);
    for _ in 0..3 {
        let reply = owner.call(try_one("adm_live_main_guess")).await;
        reply.refused(401, "admin_token_invalid");
    }
    // The one that finds the bucket empty closes it.
    let codes: BTreeSet<String> = [
        owner.call(try_one("adm_live_main_guess")).await.code(),
        owner.call(try_one("adm_live_main_guess")).await.code(),
    ]
    .into();
    assert!(codes.contains("rate_limited"), "{codes:?}");
    let reply = owner
        .call(try_one("adm_live_main_guess").header("x-forwarded-for", "1.2.3.4"))
        .await;
    reply.refused(429, "rate_limited");
    assert!(!reply.header("retry-after").is_empty());
    let elsewhere = try_one(&owner.token).from("198.51.100.7");
    assert_eq!(owner.call(elsewhere).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_rotated_or_revoked_token_is_refused_from_the_next_call_on() {
    let owner = Owner::start().await;
    let (store, master) = (owner.server.store.as_ref(), &owner.server.master);
    assert_eq!(owner.get("/agents").await.status, StatusCode::OK);
    let new = admin_token::rotate(store, master, ACCOUNT)
        .await
        .expect("made");
    owner
        .get("/agents")
        .await
        .refused(401, "admin_token_invalid");
    let call = |token: &str| Call::new("GET", &format!("{ADMIN}/agents")).bearer(token);
    assert_eq!(owner.call(call(&new)).await.status, StatusCode::OK);
    admin_token::revoke(store, ACCOUNT).await.expect("off");
    let reply = owner.call(call(&new)).await;
    reply.refused(401, "admin_token_invalid");
    assert!(
        reply.json()["error"]["message"]
            .as_str()
            .is_some_and(|m| m.contains("rotate"))
    );
}

#[tokio::test]
async fn the_admin_token_opens_nothing_of_the_widget() {
    let owner = Owner::start().await;
    let call = get("/sessions").bearer(&owner.token);
    owner
        .server
        .call(call)
        .await
        .refused(403, "secret_key_in_browser");
    let call = get(&format!("/config?client_key={}", owner.token));
    owner
        .server
        .call(call)
        .await
        .refused(403, "secret_key_in_browser");
    let call = Call::new("GET", &format!("{API}/sessions"))
        .page("https://shop.example")
        .bearer("adm_x");
    owner.server.call(call).await.refused(401, "token_invalid");
}

/// One service behind both: what the one has changed the other shows, in the same words.
#[tokio::test]
async fn the_command_line_and_the_api_show_the_same() {
    let owner = Owner::start().await;
    let (key, public) = (&owner.server.key.id, &owner.server.key.public_key);
    let run = async |line: &[&str]| -> serde_json::Value {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_karta-server"))
            .args(line)
            .args(["--json", "--data-dir"])
            .arg(owner.server.data.path())
            .output()
            .await
            .expect("ran");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let settings = json!({"name": "Ada", "greeting": "Hi", "voice": "openai", "voice_minute_price": "0.05", "runtime": "builtin"});
    let reply = owner.send("PATCH", "/agents/a_first", settings).await;
    assert_eq!(reply.json(), run(&["agents", "show", "a_first"]).await);
    let changed = run(&["keys", "limit", public, "--spend-per-day", "2.5"]).await;
    let path = format!("/widget-keys/{key}");
    assert_eq!(owner.get(&path).await.json(), changed);
    assert_eq!(
        owner.get("/widget-keys").await.json()["widget_keys"],
        run(&["keys", "list"]).await
    );
    owner
        .send(
            "PUT",
            "/widget-settings",
            json!({"primary_color": "#123456"}),
        )
        .await;
    let shown = run(&["branding", "show"]).await;
    assert_eq!(owner.get("/widget-settings").await.json(), shown);
    assert_eq!(shown["primary_color"], "#123456");
}
