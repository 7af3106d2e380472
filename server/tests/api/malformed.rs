//! Bad input of every kind at every call that takes a body: a clear 4xx, never a 5xx.

use crate::server::{API, Call, Reply, Server, get, post};
use axum::body::Body;
use axum::http::StatusCode;
use proptest::prelude::*;
use serde_json::json;

fn client_error(reply: &Reply, what: &str) {
    assert!(reply.status.is_client_error(), "{what}: {reply:?}");
    reply.code();
}

async fn bodies(server: &Server) -> (String, Vec<String>) {
    let (token, session) = server.session().await;
    let paths = vec![
        "/auth/guest".to_owned(),
        "/auth/refresh".to_owned(),
        "/sessions".to_owned(),
        format!("/sessions/{session}/events"),
        format!("/sessions/{session}/connect"),
    ];
    (token, paths)
}

#[tokio::test]
async fn malformed_json_is_refused_with_a_reason() {
    let server = Server::start().await;
    let (token, paths) = bodies(&server).await;
    let deep = "[".repeat(100_000).into_bytes();
    let deep_object = "{\"a\":".repeat(10_000).into_bytes();
    let deep_field = format!("{{\"x\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000)).into_bytes();
    let table: Vec<Vec<u8>> = vec![
        b"{".to_vec(), b"}".to_vec(), b"[]".to_vec(), b"[{}]".to_vec(), b"null".to_vec(), b"true".to_vec(), b"0".to_vec(), b"\"x\"".to_vec(), b" ".to_vec(), b"\0".to_vec(),
        b"{\"client_key\":}".to_vec(), b"{'client_key':'x'}".to_vec(), b"{client_key:1}".to_vec(), b"{\"a\":1,}".to_vec(), b"{\"a\":NaN}".to_vec(), b"{\"a\":Infinity}".to_vec(),
        b"{} {}".to_vec(), b"{}x".to_vec(), b"\xef\xbb\xbf{}".to_vec(), b"{\"type\":\"\xff\"}".to_vec(), br#"{"client_key":"\ud800","type":"\ud800","refresh_token":"\ud800","resume":"\ud800"}"#.to_vec(),
        b"{\"a\":\"\\x\"}".to_vec(), b"{\"a\":\"\n\"}".to_vec(), b"{\"a\":01}".to_vec(), b"// {}".to_vec(), b"<xml/>".to_vec(), b"a=b&c=d".to_vec(),
        b"{\"type\":\"a\",\"type\":\"b\",\"client_key\":\"a\",\"client_key\":\"b\",\"refresh_token\":\"a\",\"refresh_token\":\"b\",\"resume\":\"a\",\"resume\":\"b\"}".to_vec(),
        deep[..60_000].to_vec(), deep_object[..40_000].to_vec(), deep_field,
    ];
    for path in paths.iter().filter(|path| !path.ends_with("/connect")) {
        for body in &table {
            let call = post(path)
                .bearer(&token)
                .body("application/json", body.clone());
            let reply = server.call(call).await;
            let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            assert_eq!(
                (reply.status.as_u16(), reply.code().as_str()),
                (400, "request_invalid"),
                "{path} {start}"
            );
        }
    }
}

#[tokio::test]
async fn other_content_types_are_refused_by_name() {
    let server = Server::start().await;
    let (token, paths) = bodies(&server).await;
    for path in &paths {
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "json",
            "",
            "application/json2",
            "text/json",
            ";application/json",
        ] {
            let call = post(path).bearer(&token).body(kind, "{}");
            server.call(call).await.refused(415, "request_invalid");
        }
        let call = post(path)
            .bearer(&token)
            .body("x", "{}")
            .without("content-type");
        server.call(call).await.refused(415, "request_invalid");
    }
    let call = post("/auth/guest").body(
        "Application/JSON; Charset=utf-8",
        json!({"client_key": server.key.public_key}).to_string(),
    );
    assert_eq!(server.call(call).await.status, StatusCode::OK);
}

#[tokio::test]
async fn bodies_are_bounded_at_every_call() {
    let server = Server::start().await;
    let (token, paths) = bodies(&server).await;
    for path in &paths {
        for size in [65_537, 200_000, 5_000_000] {
            let call = post(path)
                .bearer(&token)
                .body("application/json", vec![b' '; size]);
            server.call(call).await.refused(413, "payload_too_large");
        }
        // Without a length, in pieces, without an end.
        let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 10_000]));
        let call = post(path)
            .bearer(&token)
            .body("application/json", Body::from_stream(endless));
        server.call(call).await.refused(413, "payload_too_large");
        let exact = post(path)
            .bearer(&token)
            .body("application/json", vec![b' '; 65_536]);
        assert_ne!(
            server.call(exact).await.status,
            StatusCode::PAYLOAD_TOO_LARGE,
            "{path}"
        );
        let lying = post(path)
            .bearer(&token)
            .body("application/json", "{}")
            .header("content-length", "99999999999");
        server.call(lying).await.refused(413, "payload_too_large");
    }
    let broken = futures::stream::iter([Ok(vec![b'{']), Err(std::io::Error::other("gone"))]);
    let call = post("/auth/guest").body("application/json", Body::from_stream(broken));
    server.call(call).await.refused(400, "request_invalid");
}

/// Takes the twenty seconds that a body may take, beside the other tests.
#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let stalled = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let server = Server::start().await;
    let call = post("/auth/guest").body("application/json", Body::from_stream(stalled));
    server.call(call).await.refused(408, "request_invalid");
}

#[tokio::test]
async fn odd_paths_are_not_found_and_wrong_methods_are_named() {
    let server = Server::start().await;
    let token = server.guest().await.token;
    for path in [
        "/",
        "//",
        "/favicon.ico",
        "/api",
        "/api/v1",
        API,
        "/api/v1/widget/",
        "/api/v1/widget/config/",
        "/api/v1/widget/auth",
        "/api/v2/widget/config",
        "/widget/v1/",
        "/widget/v1/assets/",
        "/%00",
        "/%ff",
        "/..%2f..%2fetc/passwd",
    ] {
        let reply = server
            .call(Call::new("GET", path).page("https://shop.example"))
            .await;
        reply.refused(404, "not_found");
    }
    for (method, path) in [
        ("POST", "/config"),
        ("GET", "/auth/guest"),
        ("PUT", "/sessions"),
        ("DELETE", "/sessions"),
        ("PATCH", "/sessions/x"),
        ("GET", "/sessions/x/events"),
        ("TRACE", "/config"),
        ("BREW", "/config"),
        ("POST", "/sessions/x/events/stream"),
    ] {
        let reply = server
            .call(
                Call::new(method, &format!("{API}{path}"))
                    .page("https://shop.example")
                    .bearer(&token),
            )
            .await;
        reply.refused(405, "method_not_allowed");
        assert!(!reply.header("allow").is_empty(), "{method} {path}");
    }
    for id in [
        "%00",
        "%ff",
        "a%2fb",
        "..",
        "%2e%2e",
        "'--",
        "💥",
        &"x".repeat(4_000),
    ] {
        let id: String = id
            .bytes()
            .map(|b| {
                if b.is_ascii() {
                    (b as char).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect();
        let reply = server
            .call(get(&format!("/sessions/{id}")).bearer(&token))
            .await;
        client_error(&reply, &id);
    }
}

#[test]
fn random_bodies_and_headers_never_fail_the_server() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (server, token, paths) = runtime.block_on(async {
        let server = Server::start().await;
        let (token, paths) = bodies(&server).await;
        (server, token, paths)
    });
    let json = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\\u0000",
        "null",
        "true",
        "1",
        "-",
        "1e9",
        "\"type\"",
        "\"user.message\"",
        "\"id\"",
        "\"text\"",
        "\"client_key\"",
        "\"refresh_token\"",
        "\"resume\"",
        " ",
        "\n",
        "é",
        "\u{0}",
    ]);
    let body = prop_oneof![
        prop::collection::vec(json, 0..20).prop_map(|parts| parts.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    let header = prop::collection::vec(prop_oneof![0x20u8..0x7f, 0x80u8..=0xff], 0..60);
    proptest!(ProptestConfig::with_cases(400), |(body in body, header in header, path in 0..paths.len(), which in 0usize..6)| {
        let call = post(&paths[path]).bearer(&token);
        let call = match which {
            0 => call.body("application/sdp", body),
            1 => call.body("application/json", body).header("origin", &header),
            2 => call.body("application/json", body).header("authorization", &header),
            3 => call.body("application/json", body).header("content-type", &header),
            4 => call.body("application/json", body).header("x-forwarded-for", &header).from("10.0.0.1"),
            _ => call.body("application/json", body),
        };
        let reply = runtime.block_on(server.call(call));
        prop_assert!(!reply.status.is_server_error() || reply.code() == "overloaded", "{:?}", reply);
    });
}
