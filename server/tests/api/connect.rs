//! The HTTP side of WebRTC signalling; what the media side does is tested beside it (`src/rtc/tests`).

use crate::server::{API, Call, PAGE, Server, post};
use axum::http::StatusCode;
use karta_server::auth::limit::Rates;
use karta_server::rtc::Rtc;
use std::net::SocketAddr;

const OFFER: &str = include_str!("../../../fixtures/sdp/chromium-audio-channel.sdp");

async fn server() -> Server {
    let rtc = Rtc::start(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .expect("a socket");
    Server::with(Rates::off(), Some(rtc)).await
}

#[tokio::test]
async fn an_offer_is_answered_and_ended() {
    let server = server().await;
    let (token, session) = server.session().await;
    let call = post(&format!("/sessions/{session}/connect"))
        .bearer(&token)
        .body("application/sdp", OFFER);
    let reply = server.call(call).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/sdp");
    assert!(reply.header("etag").starts_with('"'));
    let location = reply.header("location").to_owned();
    assert!(location.starts_with(&format!("{API}/sessions/{session}/connect/")));
    let stranger = server.guest().await.token;
    let end = |token: &str| Call::new("DELETE", &location).page(PAGE).bearer(token);
    let patch = || {
        Call::new("PATCH", &location)
            .page(PAGE)
            .bearer(&token)
            .header("if-match", "\"stale\"")
            .body("application/trickle-ice-sdpfrag", "a=end-of-candidates\r\n")
    };
    assert_eq!(server.call(end(&stranger)).await.status, StatusCode::OK);
    server
        .call(patch())
        .await
        .refused(412, "precondition_failed"); // a stranger's DELETE ended nothing
    assert_eq!(server.call(end(&token)).await.status, StatusCode::OK);
    server
        .call(patch())
        .await
        .refused(404, "connection_not_found");
    let again = server.call(end(&token)).await;
    assert_eq!(again.status, StatusCode::OK, "DELETE may be repeated");
}

#[tokio::test]
async fn patches_need_the_right_precondition() {
    let server = server().await;
    let (token, session) = server.session().await;
    let call = post(&format!("/sessions/{session}/connect"))
        .bearer(&token)
        .body("application/sdp", OFFER);
    let reply = server.call(call).await;
    let (location, etag) = (
        reply.header("location").to_owned(),
        reply.header("etag").to_owned(),
    );
    let patch = || {
        Call::new("PATCH", &location)
            .page(PAGE)
            .bearer(&token)
            .body("application/trickle-ice-sdpfrag", "a=end-of-candidates\r\n")
    };
    server
        .call(patch())
        .await
        .refused(428, "precondition_required");
    server
        .call(patch().header("if-match", "\"stale\""))
        .await
        .refused(412, "precondition_failed");
    server
        .call(patch().header("if-match", "*"))
        .await
        .refused(422, "sdp_invalid");
    assert_eq!(
        server.call(patch().header("if-match", etag)).await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn offers_that_are_none_are_refused() {
    let server = server().await;
    let (token, session) = server.session().await;
    let no_channel = OFFER.replace("m=application", "m=video");
    for (body, status, code) in [
        (Vec::new(), 400, "sdp_invalid"),
        (b"v=0".to_vec(), 400, "sdp_invalid"),
        (b"hello".to_vec(), 400, "sdp_invalid"),
        (b"\xff\xfe".to_vec(), 400, "sdp_invalid"),
        (b"{\"sdp\":\"v=0\"}".to_vec(), 400, "sdp_invalid"),
        (vec![0; 1_000], 400, "sdp_invalid"),
        (OFFER.as_bytes()[..200].to_vec(), 400, "sdp_invalid"),
        (no_channel.into_bytes(), 400, "sdp_invalid"),
        (vec![b'a'; 70_000], 413, "payload_too_large"),
    ] {
        let call = post(&format!("/sessions/{session}/connect"))
            .bearer(&token)
            .body("application/sdp", body);
        server.call(call).await.refused(status, code);
    }
    let call = post("/sessions/s_none/connect")
        .bearer(&token)
        .body("application/sdp", OFFER);
    server.call(call).await.refused(404, "session_not_found");
}

#[tokio::test]
async fn a_server_without_webrtc_says_so() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let call = post(&format!("/sessions/{session}/connect"))
        .bearer(&token)
        .body("application/sdp", OFFER);
    server.call(call).await.refused(503, "overloaded");
}
