//! The origin rule at every endpoint that has a key: config, guest, refresh and every call with a token.

use crate::server::{API, Call, Server};
use serde_json::json;

/// All public calls, made with what they need except the page.
fn calls(server: &Server, token: &str, session: &str) -> Vec<Call> {
    let session_path = format!("{API}/sessions/{session}");
    vec![
        Call::new(
            "GET",
            &format!("{API}/config?client_key={}", server.key.public_key),
        ),
        Call::new("POST", &format!("{API}/auth/guest"))
            .json(&json!({"client_key": server.key.public_key})),
        Call::new("POST", &format!("{API}/auth/exchange")).json(&json!({
            "client_key": server.key.public_key, "user_id": "u_123", "identity_token": server.hash_of("u_123"),
        })),
        Call::new("POST", &format!("{API}/auth/refresh")).json(&json!({"refresh_token": token})),
        Call::new("GET", &format!("{API}/sessions")).bearer(token),
        Call::new("POST", &format!("{API}/sessions")).bearer(token),
        Call::new("GET", &session_path).bearer(token),
        Call::new("POST", &format!("{session_path}/events"))
            .bearer(token)
            .json(&json!({"type": "user.interrupt"})),
        Call::new("GET", &format!("{session_path}/events/stream")).bearer(token),
        Call::new("POST", &format!("{session_path}/connect"))
            .bearer(token)
            .body("application/sdp", "v=0"),
        Call::new("PATCH", &format!("{session_path}/connect/c_x"))
            .bearer(token)
            .header("if-match", "*")
            .body("application/trickle-ice-sdpfrag", "a=x"),
        Call::new("DELETE", &format!("{session_path}/connect/c_x")).bearer(token),
    ]
}

async fn check(
    server: &Server,
    token: &str,
    session: &str,
    page: impl Fn(Call) -> Call,
    expected: Option<(u16, &str)>,
) {
    for call in calls(server, token, session) {
        let what = format!("{} {}", call.0.method(), call.0.uri());
        let response = server.open(page(call)).await;
        let status = response.status().as_u16();
        if status == 200 && what.ends_with("/events/stream") {
            assert!(expected.is_none(), "{what}");
            continue;
        }
        let body = http_body_util::BodyExt::collect(response.into_body())
            .await
            .expect("whole")
            .to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = body["error"]["code"].as_str().unwrap_or("");
        match expected {
            Some(expected) => assert_eq!((status, code), expected, "{what}"),
            None => assert_ne!(code, "origin_not_allowed", "{what}"),
        }
    }
}

type Headers = &'static [(&'static str, &'static str)];

#[tokio::test]
async fn every_endpoint_gives_the_same_verdict() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let refused = Some((403, "origin_not_allowed"));
    let table: &[(Headers, Option<(u16, &str)>)] = &[
        (&[("origin", "https://shop.example")], None),
        (
            &[
                ("origin", "https://shop.example"),
                ("referer", "https://evil.example/"),
            ],
            None,
        ),
        (&[("sec-fetch-site", "same-origin")], None),
        (&[("referer", "https://shop.example/page")], None),
        (&[], refused),
        (&[("origin", "null")], refused),
        (&[("origin", "")], refused),
        (&[("origin", "https://evil.example")], refused),
        (
            &[
                ("origin", "https://evil.example"),
                ("referer", "https://shop.example/"),
            ],
            refused,
        ),
        (
            &[
                ("origin", "https://evil.example"),
                ("sec-fetch-site", "same-origin"),
            ],
            refused,
        ),
        (&[("origin", "http://shop.example")], refused),
        (&[("origin", "https://shop.example:8443")], refused),
        (&[("origin", "https://shop.example/")], refused),
        (&[("origin", "https://SHOP.example")], refused),
        (&[("origin", "https://shop.example.evil.example")], refused),
        (&[("origin", "https://evil.example@shop.example")], refused),
        (&[("origin", "https://sub.shop.example")], refused),
        (
            &[("referer", "https://evil.example/?https://shop.example/")],
            refused,
        ),
        (&[("sec-fetch-site", "cross-site")], refused),
        (&[("sec-fetch-site", "none")], refused),
        (
            &[
                ("host", "shop.example"),
                ("x-forwarded-host", "shop.example"),
            ],
            refused,
        ),
    ];
    for (headers, expected) in table {
        let page = |call: Call| {
            headers
                .iter()
                .fold(call, |call, (name, value)| call.header(name, value))
        };
        check(&server, &token, &session, page, *expected).await;
    }
    let twice = |call: Call| {
        call.header("origin", "https://shop.example")
            .also("origin", "https://shop.example")
    };
    check(
        &server,
        &token,
        &session,
        twice,
        Some((400, "request_invalid")),
    )
    .await;
}
