//! The origin rule at every endpoint: raw header values of the published table, through the router, each with its verdict.

use crate::server::{API, Call, Server, hmac_hex};
use axum::http::HeaderValue;
use karta_server::auth::limit::Rates;
use karta_server::rtc::Rtc;
use karta_server::service::{ACCOUNT, keys};
use serde_json::json;
use std::net::SocketAddr;
use table::{ALLOWED, ENTRIES, REFUSED, WITHOUT_ORIGIN};

#[path = "../../src/auth/origin/table.rs"]
mod table;

/// A server whose key allows what the table says.
async fn server() -> Server {
    let rtc = Rtc::start(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .expect("a socket");
    let mut server = Server::with(Rates::off(), Some(rtc)).await;
    let new = keys::NewKey {
        name: "Table".into(),
        origins: ENTRIES.iter().map(|entry| entry.to_string()).collect(),
        agent_id: None,
        ..keys::NewKey::default()
    };
    let made = keys::create(server.store.as_ref(), &server.master, ACCOUNT, new)
        .await
        .expect("a key");
    server.key = made.key;
    server.secret_key = made.secret_key;
    server.identity_secret = made.identity_secret;
    server
}

async fn guest(server: &Server) -> String {
    let body = json!({"client_key": server.key.public_key});
    let call = Call::new("POST", &format!("{API}/auth/guest")).json(&body);
    let reply = server.call(call.page(ALLOWED[0])).await;
    reply.json()["token"].as_str().expect("a token").to_owned()
}

/// Tokens for the calls, so that one which ends its login does not stand in the way of another.
struct Tokens {
    main: String,
    refreshed: String,
    revoked: String,
    forgotten: String,
    session: String,
}

async fn tokens(server: &Server) -> Tokens {
    let main = guest(server).await;
    let call = Call::new("POST", &format!("{API}/sessions")).bearer(&main);
    let reply = server.call(call.page(ALLOWED[0])).await;
    Tokens {
        session: reply.json()["id"].as_str().expect("an id").to_owned(),
        main,
        refreshed: guest(server).await,
        revoked: guest(server).await,
        forgotten: guest(server).await,
    }
}

/// All public calls of browsers, made with what they need except the page, and the path that the router has for each.
fn calls(server: &Server, tokens: &Tokens) -> Vec<(&'static str, Call)> {
    let key = &server.key.public_key;
    let token = tokens.main.as_str();
    let session = format!("{API}/sessions/{}", tokens.session);
    let call = |method, path: &str| Call::new(method, &format!("{API}{path}"));
    let proof = hmac_hex(&server.identity_secret, "u_1");
    vec![
        ("/config", call("GET", &format!("/config?client_key={key}"))),
        (
            "/auth/guest",
            call("POST", "/auth/guest").json(&json!({"client_key": key})),
        ),
        (
            "/auth/exchange",
            call("POST", "/auth/exchange")
                .json(&json!({"client_key": key, "user_id": "u_1", "identity_token": proof})),
        ),
        (
            "/auth/refresh",
            call("POST", "/auth/refresh").json(&json!({"refresh_token": tokens.refreshed})),
        ),
        (
            "/auth/revoke",
            call("POST", "/auth/revoke").bearer(&tokens.revoked),
        ),
        ("/sessions", call("GET", "/sessions").bearer(token)),
        ("/sessions", call("POST", "/sessions").bearer(token)),
        ("/sessions/{id}", Call::new("GET", &session).bearer(token)),
        (
            "/sessions/{id}/events",
            Call::new("POST", &format!("{session}/events"))
                .bearer(token)
                .json(&json!({"type": "user.interrupt"})),
        ),
        (
            "/sessions/{id}/events/stream",
            Call::new("GET", &format!("{session}/events/stream")).bearer(token),
        ),
        (
            "/sessions/{id}/files",
            Call::new("POST", &format!("{session}/files"))
                .bearer(token)
                .body("multipart/form-data; boundary=B", "--B--"),
        ),
        (
            "/sessions/{id}/files/{file_id}",
            Call::new("GET", &format!("{session}/files/f_x")).bearer(token),
        ),
        (
            "/sessions/{id}/connect",
            Call::new("POST", &format!("{session}/connect"))
                .bearer(token)
                .body("application/sdp", "v=0"),
        ),
        (
            "/sessions/{id}/connect/{connection_id}",
            Call::new("PATCH", &format!("{session}/connect/c_x"))
                .bearer(token)
                .header("if-match", "*")
                .body("application/trickle-ice-sdpfrag", "a=x"),
        ),
        (
            "/sessions/{id}/connect/{connection_id}",
            Call::new("DELETE", &format!("{session}/connect/c_x")).bearer(token),
        ),
        (
            "/sessions/{id}/call",
            Call::new("POST", &format!("{session}/call"))
                .bearer(token)
                .body("application/sdp", "v=0"),
        ),
        (
            "/sessions/{id}/call/{call_id}",
            Call::new("PATCH", &format!("{session}/call/h_x"))
                .bearer(token)
                .header("if-match", "\"x\"")
                .body("application/trickle-ice-sdpfrag", "a=x"),
        ),
        (
            "/sessions/{id}/call/{call_id}",
            Call::new("DELETE", &format!("{session}/call/h_x")).bearer(token),
        ),
        ("/me", call("DELETE", "/me").bearer(&tokens.forgotten)),
    ]
}

/// Makes every call with this page. None: the page may; else the refusal that all must give.
async fn check(
    server: &Server,
    tokens: &Tokens,
    page: impl Fn(Call) -> Call,
    refusal: Option<(u16, &str)>,
) -> usize {
    let mut checked = 0;
    for (_, call) in calls(server, tokens) {
        let call = page(call);
        let what = format!(
            "{} {} {:?}",
            call.0.method(),
            call.0.uri().path(),
            call.0.headers()
        );
        let response = server.open(call).await;
        let status = response.status().as_u16();
        // A stream that is open has no end to wait for.
        let code = if status == 200 {
            String::new()
        } else {
            let body = http_body_util::BodyExt::collect(response.into_body());
            let body = body.await.expect("whole").to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            body["error"]["code"].as_str().unwrap_or("").to_owned()
        };
        match refusal {
            Some(refusal) => assert_eq!((status, code.as_str()), refusal, "{what}"),
            None => assert!(
                status < 500 && !["origin_not_allowed", "request_invalid"].contains(&code.as_str()),
                "{status} {code}: {what}"
            ),
        }
        checked += 1;
    }
    checked
}

const REFUSAL: Option<(u16, &str)> = Some((403, "origin_not_allowed"));

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_gives_every_value_its_verdict() {
    let server = server().await;
    let tokens = tokens(&server).await;
    let (mut values, mut checked) = (0, 0);
    let origins = ALLOWED
        .iter()
        .map(|raw| (*raw, None))
        .chain(REFUSED.iter().map(|raw| (*raw, REFUSAL)));
    for (raw, refusal) in origins {
        // Control characters do not pass as a header; the rule's own test has them.
        let Ok(value) = HeaderValue::from_bytes(raw.as_bytes()) else {
            continue;
        };
        let page = |call: Call| call.header("origin", value.as_bytes());
        checked += check(&server, &tokens, page, refusal).await;
        // A Referer or Sec-Fetch-Site that says otherwise changes nothing while Origin is there.
        let page = |call: Call| {
            call.header("origin", value.as_bytes())
                .header("referer", "https://acme.com/")
                .header("sec-fetch-site", "same-origin")
        };
        checked += check(&server, &tokens, page, refusal).await;
        values += 1;
    }
    for (referer, site, allowed) in WITHOUT_ORIGIN {
        if referer
            .iter()
            .any(|raw| HeaderValue::from_bytes(raw.as_bytes()).is_err())
        {
            continue;
        }
        let page = |call: Call| {
            let call = referer
                .iter()
                .fold(call, |call, raw| call.append("referer", raw));
            site.iter()
                .fold(call, |call, raw| call.append("sec-fetch-site", raw))
        };
        let refusal = if *allowed { None } else { REFUSAL };
        checked += check(&server, &tokens, page, refusal).await;
        values += 1;
    }
    println!("{values} values, {checked} calls, each with its verdict");
    assert!(values >= 250, "{values}");
}

#[tokio::test]
async fn what_is_not_in_the_table_decides_nothing() {
    let server = server().await;
    let tokens = tokens(&server).await;
    let hosts = |call: Call| {
        call.header("host", "acme.com")
            .header("x-forwarded-host", "acme.com")
            .header("x-origin", "https://acme.com")
    };
    check(&server, &tokens, hosts, REFUSAL).await;
    let bytes = |call: Call| call.header("origin", b"https://acme.com\xff");
    check(&server, &tokens, bytes, REFUSAL).await;
    let long = format!("https://{}.wild.com", "a".repeat(20_000));
    let long = |call: Call| call.header("origin", &long);
    check(&server, &tokens, long, REFUSAL).await;
    for second in ["https://acme.com", "https://evil.com", "null", ""] {
        let twice = |call: Call| {
            call.header("origin", "https://acme.com")
                .append("origin", second)
        };
        check(&server, &tokens, twice, Some((400, "request_invalid"))).await;
    }
}

/// For servers: what a browser sends is refused whatever it says, and a page's address decides nothing.
#[tokio::test]
async fn the_call_for_servers_takes_no_page_at_all() {
    let server = server().await;
    let call = || {
        Call::new("POST", &format!("{API}/auth/user-token"))
            .bearer(&server.secret_key)
            .json(&json!({"external_user_id": "u_1"}))
    };
    assert_eq!(server.call(call()).await.status.as_u16(), 200);
    let mut refused = 0;
    for raw in ALLOWED.iter().chain(REFUSED) {
        let Ok(value) = HeaderValue::from_bytes(raw.as_bytes()) else {
            continue;
        };
        let reply = server.call(call().header("origin", value.as_bytes())).await;
        reply.refused(403, "secret_key_in_browser");
        refused += 1;
    }
    assert!(refused >= 200, "{refused}");
    for (name, value) in [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
        ("sec-fetch-dest", "empty"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-user", "?1"),
        ("sec-fetch-storage-access", "active"),
    ] {
        let reply = server.call(call().header(name, value)).await;
        reply.refused(403, "secret_key_in_browser");
    }
    // Node's own fetch sends this one header, and no other.
    let node = call().header("sec-fetch-mode", "cors");
    assert_eq!(server.call(node).await.status.as_u16(), 200);
}

/// Reads the one screen: a call that is routed is tried here.
#[tokio::test]
async fn no_endpoint_is_left_out() {
    let server = server().await;
    let tokens = tokens(&server).await;
    let tried: Vec<&str> = calls(&server, &tokens)
        .iter()
        .map(|(path, _)| *path)
        .collect();
    let source = include_str!("../../src/router.rs");
    let public = source
        .split("let public = Router::new()")
        .nth(1)
        .and_then(|rest| rest.split(".fallback(").next())
        .expect("the public calls");
    let routed: Vec<&str> = public
        .lines()
        .filter_map(|line| line.trim().strip_prefix(".route(\"")?.split('"').next())
        .collect();
    assert!(routed.len() > 10);
    for path in routed {
        assert!(
            tried.contains(&path) || path == "/auth/user-token",
            "{path}"
        );
    }
}
