//! Bad input of every kind at every admin call: a clear 4xx, never a 5xx.

use super::{Owner, form};
use crate::server::{Call, Reply};
use axum::body::Body;
use proptest::prelude::*;

/// Every call that is not a deletion, at something that is there.
fn calls(owner: &Owner) -> Vec<(String, String)> {
    let keys = owner.calls(&owner.server.key.id);
    let others = owner.calls("a_first");
    let all = keys.into_iter().zip(others).map(|(key, other)| {
        if key.1.contains("/widget-keys") {
            key
        } else {
            other
        }
    });
    all.filter(|(method, _)| method != "DELETE").collect()
}

fn client_error(reply: &Reply, what: &str) {
    assert!(reply.status.is_client_error(), "{what}: {reply:?}");
    reply.code();
}

fn is_form(method: &str, path: &str) -> bool {
    path.contains("/knowledge") && method != "PATCH"
}

#[tokio::test]
async fn malformed_bodies_are_refused_with_a_reason() {
    let owner = Owner::start().await;
    let deep = format!("{{\"caps\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let table: Vec<Vec<u8>> = vec![
        b"{".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"\"x\"".to_vec(),
        b"\0".to_vec(),
        b"{\"name\":}".to_vec(),
        b"{'name':'x'}".to_vec(),
        b"{} {}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"name\":\"\xff\"}".to_vec(),
        b"{\"name\":\"\\ud800\"}".to_vec(),
        b"{\"name\":\"a\",\"name\":\"b\",\"mode\":\"a\",\"mode\":\"b\"}".to_vec(),
        deep.into_bytes(),
        b"<xml/>".to_vec(),
        b"a=b".to_vec(),
        b"{\"\":1}".to_vec(),
        b"{\"__proto__\":{}}".to_vec(),
        b"{\"constructor\":1}".to_vec(),
        b"{\"unheard_of\":null}".to_vec(),
        format!("{{\"{}\":1}}", "x".repeat(100_000)).into_bytes(),
    ];
    for (method, path) in calls(&owner)
        .iter()
        .filter(|(method, path)| method != "GET" && !is_form(method, path))
    {
        for body in &table {
            let call = Call::new(method, path)
                .bearer(&owner.token)
                .body("application/json", body.clone());
            let reply = owner.call(call).await;
            let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            assert_eq!(
                (reply.status.as_u16(), reply.code().as_str()),
                (400, "request_invalid"),
                "{method} {path} {start}"
            );
        }
        for kind in [
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
            "",
        ] {
            let call = Call::new(method, path)
                .bearer(&owner.token)
                .body(kind, "{}");
            owner.call(call).await.refused(415, "request_invalid");
        }
        let call = Call::new(method, path)
            .bearer(&owner.token)
            .body("application/json", vec![b' '; 300_000]);
        owner.call(call).await.refused(413, "payload_too_large");
        let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 10_000]));
        let call = Call::new(method, path)
            .bearer(&owner.token)
            .body("application/json", Body::from_stream(endless));
        owner.call(call).await.refused(413, "payload_too_large");
    }
}

#[tokio::test]
async fn malformed_forms_are_refused_with_a_reason() {
    let owner = Owner::start().await;
    let part = "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\ntext";
    for (kind, body) in [
        ("multipart/form-data", String::new()),
        ("multipart/form-data; boundary=", String::new()),
        ("multipart/form-data; boundary=x", String::new()),
        ("multipart/form-data; boundary=x", "x".repeat(1_000)),
        ("multipart/form-data; boundary=x", format!("--x\r\n{part}")),
        (
            "multipart/form-data; boundary=y",
            format!("--x\r\n{part}\r\n--x--\r\n"),
        ),
        (
            "multipart/form-data; boundary=x",
            "--x\r\n\r\ntext\r\n--x--\r\n".to_owned(),
        ),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data\r\n\r\ntext\r\n--x--\r\n".to_owned(),
        ),
        (
            "multipart/form-data; boundary=x",
            format!("--x\r\n{}: y\r\n\r\ntext\r\n--x--\r\n", "h".repeat(100_000)),
        ),
        (
            "multipart/mixed; boundary=x",
            format!("--x\r\n{part}\r\n--x--\r\n"),
        ),
        (
            "multipart/form-data; boundary=\"\u{e9}\"",
            format!("--x\r\n{part}\r\n--x--\r\n"),
        ),
    ] {
        for (method, path) in [("POST", "/knowledge"), ("PUT", "/knowledge/d_x")] {
            let reply = owner
                .call(owner.request(method, path).body(kind, body.clone()))
                .await;
            assert!(
                [400, 415].contains(&reply.status.as_u16()),
                "{kind} {body:.80}: {reply:?}"
            );
            assert_eq!(reply.code(), "request_invalid");
        }
    }
    let many: Vec<(&str, Option<&str>, &[u8])> = vec![("agent_id", None, b"a_first"); 20_000];
    let reply = owner
        .call(form(owner.request("POST", "/knowledge"), &many))
        .await;
    client_error(&reply, "many parts");
    for name in [
        "../../etc/passwd.txt",
        "a\u{202e}txt.md",
        "💥.txt",
        "a b.txt",
        ".txt",
        "x".repeat(3_000).as_str(),
    ] {
        let parts: [(&str, Option<&str>, &[u8]); 1] = [("file", Some(name), b"Some text.")];
        let reply = owner
            .call(form(owner.request("POST", "/knowledge"), &parts))
            .await;
        assert!(!reply.status.is_server_error(), "{name}: {reply:?}");
    }
}

#[tokio::test]
async fn odd_ids_are_not_found_and_wrong_methods_are_named() {
    let owner = Owner::start().await;
    for id in [
        "%00",
        "%ff",
        "a%2fb",
        "%2e%2e",
        "'--",
        "%F0%9F%92%A5",
        &"x".repeat(4_000),
        " ".replace(' ', "%20").as_str(),
    ] {
        for path in ["/widget-keys/", "/agents/", "/knowledge/"] {
            for method in ["GET", "PATCH", "DELETE"] {
                let call = owner.request(method, &format!("{path}{id}"));
                client_error(&owner.server.call(call).await, id);
            }
        }
    }
    for (method, path) in [
        ("DELETE", "/widget-settings"),
        ("PUT", "/agents"),
        ("POST", "/agents/a_first"),
        ("PUT", "/widget-keys/x"),
        ("TRACE", "/knowledge"),
        ("BREW", "/knowledge"),
    ] {
        let reply = owner.server.call(owner.request(method, path)).await;
        reply.refused(405, "method_not_allowed");
        assert!(!reply.header("allow").is_empty(), "{method} {path}");
    }
    for path in [
        "",
        "/",
        "/widget-keys/",
        "/agents/a_first/",
        "/agents/a_first/settings",
        "/admin",
        "/knowledge/x/y",
    ] {
        owner
            .server
            .call(owner.request("GET", path))
            .await
            .refused(404, "not_found");
    }
}

#[test]
fn random_bodies_never_fail_the_server() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let owner = runtime.block_on(Owner::start());
    let calls = calls(&owner);
    let words = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\u0000",
        "null",
        "true",
        "-1",
        "1e9",
        "0.5",
        "\"name\"",
        "\"caps\"",
        "\"agent_id\"",
        "\"agent_ids\"",
        "\"domain_allowlist\"",
        "\"https://a.example\"",
        "\"temperature\"",
        "\"knowledge\"",
        "\"primary_color\"",
        "\"#fff\"",
        "\"mode\"",
        "\"x\"",
        "\"auth_mode\"",
        "\"both\"",
        "\"anonymous_turns\"",
        "--x\r\n",
        "--x--",
        "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n",
    ]);
    let body = prop_oneof![
        prop::collection::vec(words, 0..16).prop_map(|parts| parts.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    proptest!(ProptestConfig::with_cases(500), |(body in body, at in 0..calls.len())| {
        let (method, path) = &calls[at];
        let kind = if is_form(method, path) { "multipart/form-data; boundary=x" } else { "application/json" };
        let call = Call::new(method, path).bearer(&owner.token).body(kind, body);
        let reply = runtime.block_on(owner.server.call(call));
        prop_assert!(!reply.status.is_server_error(), "{:?}", reply);
    });
}
