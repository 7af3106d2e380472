//! Peers that end: by silence, by a panic, with their conversation.

use super::super::{Rtc, RtcConfig};
use super::client::Client;
use super::connect::{config, connect, open};
use super::fake::FakeConversation;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test]
async fn an_offer_that_never_connects_is_reaped() {
    let rtc = Rtc::start(RtcConfig {
        connect_timeout: Duration::from_millis(100),
        ..config()
    })
    .await
    .unwrap();
    let conversation = FakeConversation::new();
    for _ in 0..5 {
        let (_, offer) = Client::new().await;
        connect(&rtc, &conversation, &offer).await.unwrap();
    }
    assert_eq!(rtc.connections(), 5);
    super::until("all are reaped", || rtc.connections() == 0).await;
    super::assert_empty(&rtc).await;
}

#[tokio::test]
async fn a_silent_peer_is_dropped_and_a_pinging_one_is_kept() {
    let rtc = Rtc::start(RtcConfig {
        peer_timeout: Duration::from_secs(2),
        ..config()
    })
    .await
    .unwrap();
    let conversation = FakeConversation::new();
    let (mut silent, _) = open(&rtc, &conversation).await;
    let (mut pinging, _) = open(&rtc, &conversation).await;
    let mut pings = 0;
    while rtc.connections() == 2 {
        pings += 1;
        pinging.send(r#"{"type":"ping"}"#);
        pinging.until("pong", |c| c.frames.len() == pings).await;
        assert!(pings < 1_000_000, "the silent peer was never dropped");
    }
    pinging.send(r#"{"type":"ping"}"#);
    pinging.until("pong", |c| c.frames.len() > pings).await;
    // It was told, so that it need not find out by itself.
    silent.until("close", |c| c.ended).await;
}

#[tokio::test]
async fn a_conversation_that_panics_ends_its_own_peer_only() {
    // No peer is dropped for its silence here, so it is the panic that ends one.
    let rtc = Rtc::start(RtcConfig {
        peer_timeout: Duration::from_secs(600),
        ..config()
    })
    .await
    .unwrap();
    let conversation = FakeConversation::new();
    let (mut doomed, _) = open(&rtc, &conversation).await;
    let (mut well, _) = open(&rtc, &conversation).await;
    doomed.send(r#"{"type":"user.message","id":"m1","text":"panic"}"#);
    // Half of what ICE takes to find out that nobody answers.
    doomed.limit = Duration::from_secs(10);
    doomed.until("close", |c| c.ended).await;
    super::until("its place is free", || rtc.connections() == 1).await;
    // The media thread itself has seen no panic.
    let counts = super::probe(&rtc).await;
    assert_eq!((counts.peers, counts.panics), (1, 0));
    assert_eq!(conversation.panics(), 1);
    well.send(r#"{"type":"user.message","id":"m2","text":"still here"}"#);
    well.send(r#"{"type":"hello","after":0}"#);
    well.until("its message", |c| c.has("still here")).await;
}

#[tokio::test]
async fn a_panic_in_one_peer_leaves_the_others_alive() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (mut well, _) = open(&rtc, &conversation).await;
    let (_doomed, answer) = open(&rtc, &conversation).await;
    super::inject_panic(&rtc, &answer.connection_id);
    super::until("its end", || rtc.connections() == 1).await;
    well.send(r#"{"type":"hello","after":0}"#);
    well.until("synced", |c| c.has("session.synced")).await;
    let counts = super::probe(&rtc).await;
    assert_eq!((counts.peers, counts.panics), (1, 1));
}

#[tokio::test]
async fn the_peer_ends_with_its_conversation() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (mut client, _) = open(&rtc, &conversation).await;
    client.send(r#"{"type":"hello","after":0}"#);
    client.until("synced", |c| c.has("session.synced")).await;
    conversation.end();
    client.until("close", |c| c.ended).await;
    super::until("its place is free", || rtc.connections() == 0).await;
    assert_eq!(conversation.readers(), 0);
    super::assert_empty(&rtc).await;
}

#[tokio::test]
async fn a_refused_subscription_says_why_and_ends_the_peer() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (mut client, _) = open(&rtc, &conversation).await;
    conversation.shut.store(true, Ordering::Relaxed);
    client.send(r#"{"type":"hello","after":0}"#);
    client.until("close", |c| c.ended).await;
    assert!(client.has(r#""code":"client_key_disabled""#));
}

#[tokio::test]
async fn a_visitor_who_reads_nothing_holds_a_bounded_amount() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    for _ in 0..100 {
        conversation.say(&"x".repeat(16 * 1024));
    }
    let (mut client, _) = open(&rtc, &conversation).await;
    client.send(r#"{"type":"hello","after":0}"#);
    client.drain().await;
    // It takes no packet from here on: the bridge stops when its allowance is used up, and goes on afterwards.
    super::until("the replay begins", || conversation.given() > 0).await;
    let mut given = conversation.given();
    loop {
        let _ = super::probe(&rtc).await;
        tokio::task::yield_now().await;
        let now = conversation.given();
        if now == given {
            break;
        }
        given = now;
    }
    assert!(
        conversation.given() < 100,
        "{} frames",
        conversation.given()
    );
    client.until("synced", |c| c.has("session.synced")).await;
    assert_eq!(client.frames.len(), 101);
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed_at_once() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (mut client, _) = open(&rtc, &conversation).await;
    client.rtc.close().unwrap();
    client.drain().await;
    super::until("its place is free", || rtc.connections() == 0).await;
    super::assert_empty(&rtc).await;
}
