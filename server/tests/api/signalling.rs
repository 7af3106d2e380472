//! The rules of RFC 9725 that a client of the WebRTC calls may rely on, one by one. Where Karta is no WHIP (two ways, a data channel) the
//! answer is not a WHIP answer; the shape of the HTTP calls is.

use crate::server::{API, Call, PAGE, Reply, Server, post};
use axum::http::StatusCode;
use karta_server::auth::limit::Rates;
use karta_server::rtc::{Rtc, RtcConfig};
use std::net::SocketAddr;

const OFFER: &str = include_str!("../../../fixtures/sdp/chromium-audio-channel.sdp");
const CANDIDATE: &str = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=candidate:1 1 udp 2122260223 192.0.2.9 50000 typ host\r\na=end-of-candidates\r\n";
const RESTART: &str = "a=ice-ufrag:NEWu\r\na=ice-pwd:abcdefghijklmnopqrstuv12\r\n";

struct Signalling {
    server: Server,
    token: String,
    endpoint: String,
}

impl Signalling {
    async fn new() -> Signalling {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Signalling::with(RtcConfig::new(listen)).await
    }

    async fn with(config: RtcConfig) -> Signalling {
        let rtc = Rtc::start(config).await.expect("a socket");
        let server = Server::with(Rates::off(), Some(rtc)).await;
        let (token, session) = server.session().await;
        Signalling {
            server,
            token,
            endpoint: format!("/sessions/{session}/connect"),
        }
    }

    async fn offer(&self, kind: &str, body: impl Into<String>) -> Reply {
        let call = post(&self.endpoint).bearer(&self.token);
        self.server.call(call.body(kind, body.into())).await
    }

    /// `Location` and `ETag` of a new connection.
    async fn connected(&self) -> (String, String) {
        let reply = self.offer("application/sdp", OFFER).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        let header = |name: &str| reply.header(name).to_owned();
        (header("location"), header("etag"))
    }

    async fn call(&self, method: &str, path: &str) -> Reply {
        let call = Call::new(method, path).page(PAGE).bearer(&self.token);
        self.server.call(call).await
    }

    async fn patch(&self, path: &str, if_match: Option<&str>, fragment: &str) -> Reply {
        let kind = "application/trickle-ice-sdpfrag";
        let mut call = Call::new("PATCH", path)
            .page(PAGE)
            .bearer(&self.token)
            .body(kind, fragment.to_owned());
        if let Some(value) = if_match {
            call = call.header("if-match", value);
        }
        self.server.call(call).await
    }
}

/// The ufrag of our side.
fn ufrag(sdp: &[u8]) -> String {
    let text = std::str::from_utf8(sdp).expect("text");
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix("a=ice-ufrag:"));
    found.expect("a ufrag").to_owned()
}

#[tokio::test]
async fn post_answers_with_all_candidates_a_location_and_a_strong_tag() {
    let it = Signalling::new().await;
    let reply = it.offer("application/sdp; charset=utf-8", OFFER).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/sdp");
    let location = reply.header("location");
    let id = location
        .strip_prefix(&format!("{API}{}/c_", it.endpoint))
        .expect("under the endpoint");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let tag = reply.header("etag");
    assert!(
        tag.starts_with('"') && tag.ends_with('"') && tag.len() > 20,
        "{tag}"
    );
    assert_eq!(
        reply.header("accept-patch"),
        "application/trickle-ice-sdpfrag"
    );
    let exposed = reply.header("access-control-expose-headers");
    for name in ["location", "etag", "link", "retry-after"] {
        assert!(
            exposed.split(',').any(|have| have == name),
            "{name}: {exposed}"
        );
    }
    let answer = String::from_utf8(reply.body).expect("text");
    assert!(answer.contains("\r\na=candidate:") && answer.contains("\r\na=setup:passive"));
    assert!(!answer.contains("a=ice-lite"), "{answer}");
    assert!(answer.contains("a=group:BUNDLE") && answer.contains("a=rtcp-mux"));
}

#[tokio::test]
async fn what_is_no_offer_is_refused_and_leaves_nothing_behind() {
    let it = Signalling::new().await;
    for (kind, body, status, code) in [
        ("text/plain", OFFER, 415, "request_invalid"),
        ("application/json", OFFER, 415, "request_invalid"),
        ("application/sdp", "", 400, "sdp_invalid"),
        ("application/sdp", "v=0\r\n", 400, "sdp_invalid"),
        ("application/sdp", "{\"sdp\": \"v=0\"}", 400, "sdp_invalid"),
    ] {
        it.offer(kind, body).await.refused(status, code);
    }
    let rtc = it.server.app.rtc.as_ref().expect("configured");
    assert_eq!(rtc.connections(), 0);
}

#[tokio::test]
async fn candidates_are_taken_without_a_new_tag() {
    let it = Signalling::new().await;
    let (location, tag) = it.connected().await;
    for if_match in [&tag, &format!("\"other\", {tag}"), &format!(" {tag} ")] {
        let reply = it.patch(&location, Some(if_match), CANDIDATE).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{if_match} {reply:?}");
        assert!(reply.body.is_empty() && reply.header("etag").is_empty());
    }
    // The offer's own credentials may be in it: it is the same ICE session.
    let own: String = OFFER
        .lines()
        .filter(|line| line.starts_with("a=ice-ufrag:") || line.starts_with("a=ice-pwd:"))
        .take(2)
        .flat_map(|line| [line, "\r\n"])
        .collect();
    let reply = it.patch(&location, Some(&tag), &(own + CANDIDATE)).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
}

#[tokio::test]
async fn a_precondition_is_required_and_must_hold() {
    let it = Signalling::new().await;
    let (location, tag) = it.connected().await;
    let bare = tag.trim_matches('"').to_owned();
    it.patch(&location, None, CANDIDATE)
        .await
        .refused(428, "precondition_required");
    for wrong in [
        "\"stale\"",
        &format!("W/{tag}"),
        &bare,
        "",
        "\"",
        "\"\"",
        ",",
    ] {
        let reply = it.patch(&location, Some(wrong), CANDIDATE).await;
        reply.refused(412, "precondition_failed");
        assert!(
            reply.json()["error"]["message"]
                .as_str()
                .is_some_and(|m| m.contains("quotes"))
        );
    }
    let reply = it.patch(&location, Some(&tag), CANDIDATE).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "nothing has changed");
}

#[tokio::test]
async fn a_restart_gives_our_new_credentials_and_a_new_tag() {
    let it = Signalling::new().await;
    let first = it.offer("application/sdp", OFFER).await;
    let (location, tag) = (
        first.header("location").to_owned(),
        first.header("etag").to_owned(),
    );
    let mut seen = vec![ufrag(&first.body)];
    let mut tags = vec![tag];
    for (star, fragment) in [
        ("\"*\"", RESTART.to_owned()),
        (
            "*",
            RESTART.replace("NEWu", "NEXT").replace("abcdef", "ghijkl"),
        ),
    ] {
        let reply = it.patch(&location, Some(star), &fragment).await;
        assert_eq!(reply.status, StatusCode::OK, "{star} {reply:?}");
        assert_eq!(
            reply.header("content-type"),
            "application/trickle-ice-sdpfrag"
        );
        let text = String::from_utf8(reply.body.clone()).expect("text");
        for part in ["a=ice-pwd:", "a=candidate:", "a=end-of-candidates"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        seen.push(ufrag(&reply.body));
        tags.push(reply.header("etag").to_owned());
    }
    for list in [&mut seen, &mut tags] {
        list.sort();
        list.dedup();
        assert_eq!(list.len(), 3, "{list:?}");
    }
    let last = it.patch(&location, Some("\"*\""), "a=mid:0\r\n").await;
    last.refused(422, "sdp_invalid");
}

#[tokio::test]
async fn one_kind_of_patch_in_the_clothes_of_the_other_changes_nothing() {
    let it = Signalling::new().await;
    let (location, tag) = it.connected().await;
    // New credentials under the tag of the old session; a restart without any; with the old ones; garbage; another type.
    it.patch(&location, Some(&tag), RESTART)
        .await
        .refused(422, "sdp_invalid");
    it.patch(&location, Some("\"*\""), CANDIDATE)
        .await
        .refused(422, "sdp_invalid");
    let old: String = OFFER
        .lines()
        .filter(|line| line.starts_with("a=ice-"))
        .flat_map(|line| [line, "\r\n"])
        .collect();
    it.patch(&location, Some("\"*\""), &old)
        .await
        .refused(400, "sdp_invalid");
    it.patch(&location, Some(&tag), "not a fragment")
        .await
        .refused(400, "sdp_invalid");
    it.patch(&location, Some(&tag), "a=ice-ufrag:x\r\n")
        .await
        .refused(400, "sdp_invalid");
    let call = Call::new("PATCH", &location)
        .page(PAGE)
        .bearer(&it.token)
        .header("if-match", &tag)
        .body("application/sdp", CANDIDATE);
    it.server.call(call).await.refused(415, "request_invalid");
    // A failed restart must not end what runs (RFC 9725 4.3.2).
    let reply = it.patch(&location, Some(&tag), CANDIDATE).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
}

#[tokio::test]
async fn delete_ends_and_get_says_whether_it_is_there() {
    let it = Signalling::new().await;
    let (location, tag) = it.connected().await;
    for method in ["GET", "HEAD"] {
        let reply = it.call(method, &location).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{method} {reply:?}");
        assert!(reply.body.is_empty());
    }
    let stranger = it.server.guest().await.token;
    let look = Call::new("GET", &location).page(PAGE).bearer(&stranger);
    it.server
        .call(look)
        .await
        .refused(404, "connection_not_found");
    let nobody = Call::new("GET", &location).page(PAGE);
    it.server.call(nobody).await.refused(401, "token_missing");
    // The tag is not asked about.
    let end = Call::new("DELETE", &location)
        .page(PAGE)
        .bearer(&it.token)
        .header("if-match", "\"stale\"");
    assert_eq!(it.server.call(end).await.status, StatusCode::OK);
    it.call("GET", &location)
        .await
        .refused(404, "connection_not_found");
    it.patch(&location, Some(&tag), CANDIDATE)
        .await
        .refused(404, "connection_not_found");
    for (method, path) in [
        ("PUT", &location),
        ("GET", &format!("{API}{}", it.endpoint)),
    ] {
        it.call(method, path)
            .await
            .refused(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn options_tell_what_may_be_sent_without_a_token() {
    let it = Signalling::new().await;
    let (location, _) = it.connected().await;
    let endpoint = format!("{API}{}", it.endpoint);
    for (path, name, value) in [
        (&endpoint, "accept-post", "application/sdp"),
        (&location, "accept-patch", "application/trickle-ice-sdpfrag"),
    ] {
        for preflight in [true, false] {
            let mut call = Call::new("OPTIONS", path).page("https://anyone.example");
            if preflight {
                call = call.header("access-control-request-method", "POST").header(
                    "access-control-request-headers",
                    "authorization,content-type,if-match",
                );
            }
            let reply = it.server.call(call).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}");
            assert_eq!(reply.header(name), value, "{path}");
            assert_eq!(
                reply.header("access-control-allow-origin"),
                "https://anyone.example"
            );
            assert!(
                reply
                    .header("access-control-allow-headers")
                    .contains("if-match")
            );
        }
    }
    let elsewhere = Call::new("OPTIONS", &format!("{API}/sessions")).page(PAGE);
    assert!(
        it.server
            .call(elsewhere)
            .await
            .header("accept-post")
            .is_empty()
    );
}

#[tokio::test]
async fn a_full_server_asks_to_come_back_and_takes_the_next_when_one_has_left() {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let it = Signalling::with(RtcConfig {
        max_connections: 1,
        ..RtcConfig::new(listen)
    })
    .await;
    let (location, _) = it.connected().await;
    let reply = it.offer("application/sdp", OFFER).await;
    reply.refused(503, "overloaded");
    assert_eq!(reply.header("retry-after"), "10");
    assert_eq!(reply.json()["error"]["retry_after_seconds"], 10);
    assert_eq!(it.call("DELETE", &location).await.status, StatusCode::OK);
    it.connected().await;
}
