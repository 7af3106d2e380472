//! STUN and TURN servers in the answers that a browser makes its offers from (RFC 9725 4.6).

use crate::server::{Call, Reply, Server, post};
use axum::http::StatusCode;
use karta_server::auth::limit::Rates;
use karta_server::ice::IceServers;
use karta_server::router;
use karta_server::rtc::Rtc;
use karta_server::secret::Secret;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const OFFER: &str = include_str!("../../../fixtures/sdp/chromium-audio-channel.sdp");
const HOUR: u64 = 3_600;

async fn server(with_rtc: bool) -> Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let rtc = match with_rtc {
        true => Some(Rtc::start(listen).await.expect("a socket")),
        false => None,
    };
    let mut server = Server::with(Rates::off(), rtc).await;
    server.app.ice = Arc::new(IceServers {
        urls: ["stun:s.example", "turn:t.example?transport=tcp"]
            .map(|url| url.parse().expect("an address"))
            .to_vec(),
        secret: Some(Secret::new("north")),
        lifetime_s: HOUR,
    });
    server.router = router::build(server.app.clone());
    server
}

fn links(reply: &Reply) -> Vec<String> {
    let links = reply.headers.get_all("link").iter();
    links
        .map(|link| link.to_str().expect("text").to_owned())
        .collect()
}

fn username(link: &str) -> &str {
    let (_, value) = link.split_once("username=\"").expect("a username");
    value.split_once('"').expect("closed").0
}

fn sessions(token: &str, resume: Option<&str>) -> Call {
    let body = serde_json::json!({"resume": resume});
    post("/sessions").bearer(token).json(&body)
}

#[tokio::test]
async fn a_session_and_a_connection_come_with_servers_and_fresh_credentials() {
    let server = server(true).await;
    let token = server.guest().await.token;
    let made = server.call(sessions(&token, None)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let first = links(&made);
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first[0].starts_with("<stun:s.example>"), "{first:?}");
    assert!(first[1].starts_with("<turn:t.example?transport=tcp>"));
    let (until, mark) = username(&first[1]).split_once(':').expect("two parts");
    let until: u64 = until.parse().expect("seconds");
    assert!((HOUR - 5..=HOUR).contains(&(until - server.app.clock.now_s())));
    assert!(!first[1].contains(&id), "the session stays between us");

    server.advance(Duration::from_secs(90));
    let resumed = server.call(sessions(&token, Some(&id))).await;
    assert_eq!(resumed.status, StatusCode::OK, "{resumed:?}");
    let connect = post(&format!("/sessions/{id}/connect"))
        .bearer(&token)
        .body("application/sdp", OFFER);
    let connected = server.call(connect).await;
    assert_eq!(connected.status, StatusCode::CREATED, "{connected:?}");
    for reply in [resumed, connected] {
        let links = links(&reply);
        let (later, same) = username(&links[1]).split_once(':').expect("two parts");
        let later: u64 = later.parse().expect("seconds");
        assert!(later >= until + 90, "{later} {until}");
        assert_eq!(same, mark, "the relay counts by it");
    }
}

#[tokio::test]
async fn refusals_and_servers_without_webrtc_name_none() {
    let named = server(true).await;
    let refused = named.call(sessions("no token", None)).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(links(&refused).is_empty());
    let without = server(false).await;
    let token = without.guest().await.token;
    let made = without.call(sessions(&token, None)).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert!(links(&made).is_empty());
}
