//! Bad tokens at every call that takes one: none is accepted, and none makes the server fail.

use crate::server::{API, Call, PAGE, Server, hmac_hex, post};
use axum::http::HeaderValue;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use karta_server::auth::master::MasterKey;
use serde_json::{Value, json};

fn b64(text: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Signed with the server's own key, whatever it says.
fn signed(master: &MasterKey, purpose: &str, header: &str, claims: &str) -> String {
    let text = format!("{}.{}", b64(header), b64(claims));
    let key = master.derive(&format!("{purpose} v2/1/"));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("a key");
    mac.update(text.as_bytes());
    format!("{text}.{}", b64(mac.finalize().into_bytes()))
}

fn part(token: &str, n: usize) -> String {
    let part = token.split('.').nth(n).expect("three parts");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64");
    String::from_utf8(bytes).expect("text")
}

/// Everything that is almost this token.
fn bad(master: &MasterKey, purpose: &str, good: &str, other_kind: &str) -> Vec<String> {
    let (header, claims) = (part(good, 0), part(good, 1));
    let parts: Vec<&str> = good.split('.').collect();
    let (h, c, s) = (parts[0], parts[1], parts[2]);
    assert_eq!(
        signed(master, purpose, &header, &claims),
        good,
        "the forging can succeed"
    );
    let mut bad: Vec<String> = Vec::new();
    // Headers, signed with the right key.
    let typ = serde_json::from_str::<Value>(&header).expect("JSON")["typ"].clone();
    for alg in [
        "none", "None", "nOnE", "NONE", "", "hs256", "HS384", "HS512", "RS256", "PS256", "ES256",
        "EdDSA", "null",
    ] {
        let other = json!({"typ": typ, "alg": alg, "kid": "1"}).to_string();
        bad.push(signed(master, purpose, &other, &claims));
        bad.push(format!("{}.{c}.", b64(&other)));
        bad.push(format!("{}.{c}.{s}", b64(other)));
    }
    for typ in [
        "JWT",
        "at+jwt",
        "karta-session+jwt",
        "karta-exchange+jwt",
        "karta-identity+jwt",
        "KARTA-SESSION+JWT",
        "",
    ] {
        let other = format!(r#"{{"typ":"{typ}","alg":"HS256","kid":"1"}}"#);
        if other != header {
            bad.push(signed(master, purpose, &other, &claims));
        }
    }
    for kid in [
        "",
        "0",
        "2",
        "01",
        "1 ",
        "../../dev/null",
        "' OR 1=1 --",
        "k_1",
        "null",
        "\u{0}",
        "💥",
    ] {
        let other = json!({"typ": typ, "alg": "HS256", "kid": kid}).to_string();
        bad.push(signed(master, purpose, &other, &claims));
    }
    for extra in [
        r#""jku":"https://evil.example/k""#,
        r#""x5u":"https://evil.example/k""#,
        r#""jwk":{"kty":"oct","k":"AA"}"#,
        r#""crit":["exp"]"#,
        r#""b64":false"#,
        r#""zip":"DEF""#,
        r#""alg":"none""#,
    ] {
        let other = format!("{},{extra}}}", &header[..header.len() - 1]);
        bad.push(signed(master, purpose, &other, &claims));
    }
    // Claims, signed with the right key.
    let says: Value = serde_json::from_str(&claims).expect("JSON");
    let changed = |name: &str, value: Value| {
        let mut other = says.clone();
        other[name] = value;
        signed(master, purpose, &header, &other.to_string())
    };
    for name in says.as_object().expect("an object").keys() {
        let mut other = says.clone();
        other.as_object_mut().expect("an object").remove(name);
        bad.push(signed(master, purpose, &header, &other.to_string()));
        bad.push(changed(name, Value::Null));
        bad.push(changed(name, json!([says[name]])));
        bad.push(changed(name, json!({"$ne": says[name]})));
        bad.push(changed(name, json!(-1)));
        let twice = format!(
            "{},\"{name}\":{}}}",
            &claims[..claims.len() - 1],
            says[name]
        );
        bad.push(signed(master, purpose, &header, &twice));
    }
    for (name, value) in [
        ("iss", json!("evil")),
        ("iss", json!("Karta")),
        ("aud", json!("karta")),
        ("aud", json!("karta-admin")),
        ("aud", json!(["karta-widget", "karta-exchange"])),
        ("sub", json!("")),
        ("sub", json!("admin")),
        ("sub", json!("V_1")),
        ("exp", json!(1)),
        ("exp", json!("9999999999")),
        ("exp", json!(u64::MAX)),
        ("exp", json!(9e20)),
        ("iat", json!(u32::MAX)),
        ("iat", json!(0)),
        ("nbf", json!(u32::MAX)),
        ("admin", json!(true)),
        ("scope", json!("*")),
        ("__proto__", json!({})),
    ] {
        bad.push(changed(name, value));
    }
    for claims in ["", "{}", "[]", "null", "\"x\"", "{", "\u{0}", "\u{feff}{}"] {
        bad.push(signed(master, purpose, &header, claims));
    }
    bad.push(signed(master, purpose, &header, &"[".repeat(1_000)));
    // Texts.
    let stranger = MasterKey::random();
    bad.push(signed(&stranger, purpose, &header, &claims));
    bad.push(signed(master, "another purpose", &header, &claims));
    bad.push(other_kind.to_owned());
    bad.extend([
        "x".into(),
        ".".into(),
        "..".into(),
        "...".into(),
        "null".into(),
        "undefined".into(),
        "[object Object]".into(),
        "Bearer".into(),
        "v_1".into(),
        "u_1".into(),
        "pk_live_main_x".into(),
        "é".repeat(300),
        "\u{202e}".to_owned() + good,
        "%00".into(),
        format!("{good}x"),
        format!("{good}."),
        format!("{good}.{s}"),
        format!("{good}="),
        format!("{good},{good}"),
        format!("{good}\u{a0}"),
        format!("x{good}"),
        format!("{h}.{c}"),
        format!("{h}.{c}."),
        format!("{h}..{s}"),
        format!(".{c}.{s}"),
        format!("{c}.{h}.{s}"),
        format!("{h}.{s}.{c}"),
        format!("{h}={}", &good[h.len()..]),
        format!("{h}.{c}==.{s}"),
        good.to_uppercase(),
        good.to_lowercase(),
        good.repeat(2),
        good.replace('.', ""),
        good.replace('.', "\u{ff0e}"),
        good[1..].to_owned(),
        good[..good.len() - 1].to_owned(),
        "a".repeat(4_000),
        "a".repeat(40_000),
        format!("{good}{}", "A".repeat(4_000)),
    ]);
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bent = good.as_bytes().to_vec();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        bad.push(String::from_utf8(bent).expect("text"));
    }
    bad.retain(|token| token != good);
    bad
}

/// Refused as a bad token, and nothing else.
async fn refuse(server: &Server, call: Call, token: &str) {
    let what = format!("{} {}", call.0.method(), call.0.uri().path());
    let reply = server.call(call).await;
    let status = reply.status.as_u16();
    assert!(
        [400, 401, 403, 413, 431].contains(&status),
        "{status} {what}: {token:.300}"
    );
    let code = reply.code();
    assert!(
        [
            "token_invalid",
            "token_expired",
            "token_missing",
            "client_key_unknown",
            "payload_too_large",
            "request_invalid",
            "secret_key_in_browser",
        ]
        .contains(&code.as_str()),
        "{code} {what}: {token:.300}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bad_session_token_is_accepted_anywhere() {
    let server = Server::start().await;
    let (good, session) = server.session().await;
    let other = server.user_token("u_1").await;
    let bad = bad(&server.master, "session token", &good, &other);
    assert!(bad.len() >= 200, "{}", bad.len());
    let session = format!("{API}/sessions/{session}");
    let mut refused = 0;
    for token in &bad {
        if let Ok(value) = HeaderValue::from_bytes(format!("Bearer {token}").as_bytes()) {
            for (method, path) in [
                ("GET", format!("{API}/sessions")),
                ("POST", format!("{API}/sessions")),
                ("GET", session.clone()),
                ("POST", format!("{session}/events")),
                ("GET", format!("{session}/events/stream")),
                ("POST", format!("{session}/connect")),
                ("PATCH", format!("{session}/connect/c_x")),
                ("DELETE", format!("{session}/connect/c_x")),
                ("DELETE", format!("{API}/me")),
            ] {
                let call = Call::new(method, &path)
                    .page(PAGE)
                    .header("authorization", value.as_bytes());
                refuse(&server, call, token).await;
                refused += 1;
            }
        }
        let refresh = post("/auth/refresh").json(&json!({"refresh_token": token}));
        refuse(&server, refresh, token).await;
        refused += 1;
    }
    println!(
        "{} bad session tokens, {refused} calls, 0 accepted",
        bad.len()
    );
    let list = Call::new("GET", &session).page(PAGE).bearer(&good);
    assert_eq!(
        server.call(list).await.status.as_u16(),
        200,
        "the good one still is"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bad_user_token_is_accepted_and_none_spends_the_good_one() {
    let server = Server::start().await;
    let good = server.user_token("u_1").await;
    let session = server.user("u_1").await.token;
    let bad = bad(&server.master, "user token", &good, &session);
    assert!(bad.len() >= 200, "{}", bad.len());
    let exchange = |token: &str| {
        post("/auth/exchange")
            .json(&json!({"client_key": server.key.public_key, "user_token": token}))
    };
    for token in &bad {
        refuse(&server, exchange(token), token).await;
    }
    println!("{} bad user tokens, 0 accepted", bad.len());
    assert_eq!(server.call(exchange(&good)).await.status.as_u16(), 200);
}

/// A login cannot be ended by who does not hold it.
#[tokio::test]
async fn no_forged_token_revokes() {
    let server = Server::start().await;
    let (good, session) = server.session().await;
    let (h, c, s) = {
        let parts: Vec<&str> = good.split('.').collect();
        (
            parts[0].to_owned(),
            parts[1].to_owned(),
            parts[2].to_owned(),
        )
    };
    for token in [
        format!("{h}.{c}."),
        format!("{h}.{c}.{}", b64([0; 32])),
        format!("{c}.{h}.{s}"),
        format!("{good}x"),
    ] {
        let reply = server.call(post("/auth/revoke").bearer(&token)).await;
        reply.refused(401, "token_invalid");
    }
    let log = Call::new("GET", &format!("{API}/sessions/{session}"))
        .page(PAGE)
        .bearer(&good);
    assert_eq!(server.call(log).await.status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bad_identity_token_is_accepted_or_makes_a_guest() {
    let server = Server::start().await;
    let good = server.hash_of("u_1");
    let encoded = b64(r#"{"user_id":"u_1"}"#);
    let v2 = format!(
        "v2.{encoded}.{}",
        hmac_hex(&server.identity_secret, &encoded)
    );
    let mut bad: Vec<String> = vec![
        String::new(),
        good.to_uppercase(),
        format!("0x{good}"),
        format!("sha256={good}"),
        format!("{good} "),
        format!("{good}{good}"),
        format!("v2.{good}"),
        format!("v2.{encoded}.{good}"),
        format!("v2.{encoded}"),
        format!("v1.{encoded}.{good}"),
        v2.replace("v2", "V2"),
        format!("{v2}."),
        format!("{v2}="),
        v2.to_uppercase(),
        "null".into(),
        "undefined".into(),
        "💥".repeat(16),
        "computed_hash".into(),
        "a".repeat(64),
        "0".repeat(64),
        "f".repeat(10_000),
        hmac_hex(&server.secret_key, "u_1"),
        hmac_hex("", "u_1"),
        hmac_hex(&server.identity_secret, "U_1"),
        hmac_hex(&server.identity_secret, "u_1\n"),
        hmac_hex(&server.identity_secret.to_uppercase(), "u_1"),
        hmac_hex(&format!("{} ", server.identity_secret), "u_1"),
        hmac_hex(&server.key.public_key, "u_1"),
    ];
    for at in 0..good.len() {
        let mut bent = good.clone().into_bytes();
        bent[at] = if bent[at] == b'0' { b'1' } else { b'0' };
        bad.push(String::from_utf8(bent).expect("text"));
    }
    for at in 3..v2.len() {
        let mut bent = v2.clone().into_bytes();
        bent[at] = if bent[at] == b'a' { b'b' } else { b'a' };
        bad.push(String::from_utf8(bent).expect("text"));
    }
    assert!(bad.len() >= 150, "{}", bad.len());
    for token in &bad {
        let body =
            json!({"client_key": server.key.public_key, "user_id": "u_1", "identity_token": token});
        let reply = server.call(post("/auth/exchange").json(&body)).await;
        reply.refused(401, "identity_invalid");
        assert_eq!(reply.json().get("token"), None);
    }
    println!("{} bad identity tokens, 0 accepted", bad.len());
    for id in [json!(1), json!(["u_1"]), json!({"$ne": ""}), json!(true)] {
        let body =
            json!({"client_key": server.key.public_key, "user_id": id, "identity_token": good});
        let reply = server.call(post("/auth/exchange").json(&body)).await;
        reply.refused(400, "request_invalid");
    }
}
