//! From an offer to a conversation.

use super::super::{Answer, IfMatch, Patched, Rtc, RtcConfig};
use super::client::{Client, LIMIT};
use super::fake::{FakeConversation, OWNER, SESSION, who};
use crate::error::Fault;
use karta_protocol::ErrorCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::UdpSocket;

pub fn config() -> RtcConfig {
    RtcConfig::new("127.0.0.1:0".parse().unwrap())
}

pub async fn connect(
    rtc: &Rtc,
    conversation: &Arc<FakeConversation>,
    offer: &str,
) -> Result<Answer, Fault> {
    rtc.connect(conversation.clone(), &who(OWNER), SESSION, offer)
        .await
}

pub async fn open(rtc: &Rtc, conversation: &Arc<FakeConversation>) -> (Client, Answer) {
    let (mut client, offer) = Client::new().await;
    let answer = connect(rtc, conversation, &offer).await.unwrap();
    client.answer(&answer.sdp);
    client.until("channel opens", |c| c.open).await;
    (client, answer)
}

#[tokio::test]
async fn hello_brings_replay_then_synced_then_live() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    conversation.say("first");
    conversation.say("second");
    let (mut client, _) = open(&rtc, &conversation).await;
    client.send(r#"{"type":"hello","after":1}"#);
    client.until("synced", |c| c.has("session.synced")).await;
    conversation.say("third");
    client.until("live event", |c| c.has("third")).await;
    let kinds: Vec<bool> = client.frames.iter().map(|f| f.contains("synced")).collect();
    assert!(client.frames[0].contains("second"), "{:?}", client.frames);
    assert_eq!(kinds, [false, true, false]);
    rtc.stop().await;
}

#[tokio::test]
async fn client_events_reach_the_conversation_and_refusals_come_back() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (mut client, _) = open(&rtc, &conversation).await;
    client.send(r#"{"type":"hello","after":0}"#);
    client.send(r#"{"type":"user.message","id":"m1","text":"hi there"}"#);
    client.until("echo", |c| c.has("hi there")).await;
    client.send(r#"{"type":"user.unheard_of","id":"m2"}"#);
    client
        .until("refusal", |c| {
            c.has(r#""code":"request_invalid""#) && c.has(r#""id":"m2""#)
        })
        .await;
    client.send(r#"{"type":"ping"}"#);
    client.until("pong", |c| c.has(r#""type":"pong""#)).await;
}

#[tokio::test]
async fn another_hello_starts_the_replay_again() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    conversation.say("first");
    let (mut client, _) = open(&rtc, &conversation).await;
    let synced = |c: &Client| c.frames.iter().filter(|f| f.contains("synced")).count();
    client.send(r#"{"type":"hello","after":1}"#);
    client.until("synced", |c| synced(c) == 1).await;
    client.send(r#"{"type":"hello"}"#);
    client.until("synced again", |c| synced(c) == 2).await;
    assert!(client.has("first"));
    assert_eq!(conversation.readers(), 1);
}

#[tokio::test]
async fn garbage_is_answered_and_too_much_of_it_closes() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (mut client, _) = open(&rtc, &conversation).await;
    client.send("{not json");
    client.until("refusal", |c| c.has("request_invalid")).await;
    client.send_binary(&[0xff, 0xfe]);
    client
        .until("second refusal", |c| c.frames.len() == 2)
        .await;
    for _ in 0..10 {
        client.send("[]");
    }
    client.until("close", |c| c.ended).await;
}

#[tokio::test]
async fn a_megabyte_of_replay_arrives_whole_and_in_order() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    for index in 0..64 {
        conversation.say(&format!("{index}:{}", "x".repeat(16 * 1024)));
    }
    let (mut client, _) = open(&rtc, &conversation).await;
    client.send(r#"{"type":"hello","after":0}"#);
    client.until("synced", |c| c.has("session.synced")).await;
    let in_order = client
        .frames
        .iter()
        .take(64)
        .enumerate()
        .all(|(index, f)| f.contains(&format!("\"text\":\"{index}:")));
    assert!(in_order);
    assert_eq!(client.frames.len(), 65);
}

#[tokio::test]
async fn fifty_sessions_share_one_port() {
    let rtc = Rtc::start(RtcConfig {
        max_connections_per_session: 50,
        ..config()
    })
    .await
    .unwrap();
    let conversation = FakeConversation::new();
    let tasks: Vec<_> = (0..50)
        .map(|index| {
            let (rtc, conversation) = (rtc.clone(), conversation.clone());
            tokio::spawn(async move {
                let began = Instant::now();
                let (mut client, _) = open(&rtc, &conversation).await;
                let took = began.elapsed();
                client.send(r#"{"type":"hello","after":0}"#);
                client.send(&format!(
                    r#"{{"type":"user.message","id":"m{index}","text":"[{index}]"}}"#
                ));
                client
                    .until("all messages", |c| {
                        (0..50).all(|i| c.has(&format!("[{i}]")))
                    })
                    .await;
                took
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.push(task.await.unwrap());
    }
    times.sort();
    println!("50 at once: p50 {:?}, max {:?}", times[25], times[49]);
    assert_eq!(super::probe(&rtc).await.panics, 0);
}

#[tokio::test]
async fn a_check_sent_at_once_finds_its_session() {
    let rtc = Rtc::start(RtcConfig {
        max_connections_per_session: 100,
        ..config()
    })
    .await
    .unwrap();
    let conversation = FakeConversation::new();
    let mut times = Vec::new();
    for _ in 0..40 {
        let began = Instant::now();
        open(&rtc, &conversation).await;
        times.push(began.elapsed());
    }
    times.sort();
    println!("one by one: p50 {:?}, max {:?}", times[20], times[39]);
    // A lost ClientHello is repeated after a second, a lost check after 250 ms: half of all connects would show it.
    assert!(times[20] < std::time::Duration::from_millis(500));
    assert_eq!(super::probe(&rtc).await.unmatched_stun, 0);
}

#[tokio::test]
async fn a_reused_client_port_belongs_to_the_newer_session() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (first, _) = open(&rtc, &conversation).await;
    // The first client vanishes without a word, its port is taken by another.
    let socket = first.socket;
    let (mut second, offer) = Client::on(socket);
    let answer = connect(&rtc, &conversation, &offer).await.unwrap();
    second.answer(&answer.sdp);
    second.until("channel opens", |c| c.open).await;
    second.send(r#"{"type":"hello","after":0}"#);
    second.until("synced", |c| c.has("session.synced")).await;
    let counts = super::probe(&rtc).await;
    assert_eq!((counts.peers, counts.addresses), (2, 1));
}

#[tokio::test]
async fn an_ice_restart_moves_the_session_to_another_address() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (mut client, answer) = open(&rtc, &conversation).await;
    client.send(r#"{"type":"hello","after":0}"#);
    client.until("synced", |c| c.has("session.synced")).await;

    let fragment = client.restart();
    let patched = rtc
        .patch(
            &who(OWNER),
            SESSION,
            &answer.connection_id,
            &IfMatch::Any,
            &fragment,
        )
        .await
        .unwrap();
    let Patched::Restarted { fragment, etag } = patched else {
        panic!("no restart: {patched:?}")
    };
    assert_ne!(etag, answer.etag);
    // The address changes with it, as from Wi-Fi to mobile.
    client.socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.answer(&merged(&answer.sdp, &fragment));
    conversation.say("after the move");
    client
        .until("frame on the new path", |c| c.has("after the move"))
        .await;

    let stale = rtc
        .patch(
            &who(OWNER),
            SESSION,
            &answer.connection_id,
            &IfMatch::Tags(vec![answer.etag.clone()]),
            "a=end-of-candidates\r\n",
        )
        .await
        .unwrap_err();
    assert_eq!(stale.code(), ErrorCode::PreconditionFailed);
    let trickle = rtc
        .patch(
            &who(OWNER),
            SESSION,
            &answer.connection_id,
            &IfMatch::Tags(vec![etag]),
            "a=candidate:1 1 udp 1 192.0.2.7 9 typ host\r\n",
        )
        .await
        .unwrap();
    assert_eq!(trickle, Patched::Taken);
}

/// The first answer in a new ICE session.
fn merged(answer: &str, fragment: &str) -> String {
    let line = |prefix: &str| fragment.lines().find(|l| l.starts_with(prefix)).unwrap();
    answer
        .lines()
        .filter(|l| !l.starts_with("a=candidate:"))
        .map(|l| match l.split_once(':') {
            Some(("a=ice-ufrag", _)) => line("a=ice-ufrag:").to_owned(),
            Some(("a=ice-pwd", _)) => {
                let candidates = fragment.lines().filter(|l| l.starts_with("a=candidate:"));
                let lines: Vec<&str> = [line("a=ice-pwd:")].into_iter().chain(candidates).collect();
                lines.join("\r\n")
            }
            _ => l.to_owned(),
        })
        .flat_map(|l| [l, "\r\n".to_owned()])
        .collect()
}

#[tokio::test]
async fn nobody_else_may_touch_a_connection() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (mut client, answer) = open(&rtc, &conversation).await;
    let check = |outcome: Result<(), Fault>, code: ErrorCode| {
        assert_eq!(outcome.unwrap_err().code(), code);
    };
    let stranger = who("v_stranger");
    let id = answer.connection_id.as_str();
    check(
        rtc.close(&stranger, SESSION, id).await,
        ErrorCode::ConnectionNotFound,
    );
    check(
        rtc.close(&who(OWNER), "s_other", id).await,
        ErrorCode::ConnectionNotFound,
    );
    check(
        rtc.patch(
            &stranger,
            SESSION,
            id,
            &IfMatch::Any,
            "a=end-of-candidates\r\n",
        )
        .await
        .map(drop),
        ErrorCode::ConnectionNotFound,
    );
    let (_, offer) = Client::new().await;
    check(
        rtc.connect(conversation.clone(), &stranger, SESSION, &offer)
            .await
            .map(drop),
        ErrorCode::SessionNotFound,
    );
    rtc.close(&who(OWNER), SESSION, id).await.unwrap();
    client.until("close", |c| c.ended).await;
    check(
        rtc.close(&who(OWNER), SESSION, id).await,
        ErrorCode::ConnectionNotFound,
    );
}

#[tokio::test]
async fn full_means_refused_and_a_free_place_is_given_again() {
    let rtc = Rtc::start(RtcConfig {
        max_connections: 3,
        max_connections_per_session: 2,
        ..config()
    })
    .await
    .unwrap();
    let conversation = FakeConversation::new();
    let (_one, answer) = in_use(&rtc, &conversation).await;
    let (_two, _) = in_use(&rtc, &conversation).await;
    let (_, offer) = Client::new().await;
    let refused = connect(&rtc, &conversation, &offer).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::RateLimited);
    rtc.close(&who(OWNER), SESSION, &answer.connection_id)
        .await
        .unwrap();
    connect(&rtc, &conversation, &offer).await.unwrap();

    let small = Rtc::start(RtcConfig {
        max_connections: 1,
        ..config()
    })
    .await
    .unwrap();
    connect(&small, &conversation, &offer).await.unwrap();
    let refused = connect(&small, &conversation, &offer).await.unwrap_err();
    let Fault::Refused {
        code: ErrorCode::Overloaded,
        retry_after_seconds: Some(_),
        ..
    } = refused
    else {
        panic!("{refused}");
    };
}

/// A connection that the server, too, has seen open.
async fn in_use(rtc: &Rtc, conversation: &Arc<FakeConversation>) -> (Client, Answer) {
    let (mut client, answer) = open(rtc, conversation).await;
    client.send(r#"{"type":"ping"}"#);
    client.until("pong", |c| c.has("pong")).await;
    (client, answer)
}

#[tokio::test]
async fn the_newest_offer_takes_the_place_of_the_oldest_that_never_opened() {
    let rtc = Rtc::start(RtcConfig {
        max_connections_per_session: 3,
        ..config()
    })
    .await
    .unwrap();
    let conversation = FakeConversation::new();
    let (mut tab, _) = in_use(&rtc, &conversation).await;
    // A page that is reloaded again and again before its channel opens.
    let mut left = Vec::new();
    for _ in 0..10 {
        let (client, offer) = Client::new().await;
        let answer = connect(&rtc, &conversation, &offer).await.unwrap();
        left.push((client, answer));
    }
    assert_eq!(rtc.connections(), 3);
    assert_eq!(
        super::probe(&rtc).await.peers,
        3,
        "those pushed out are closed"
    );
    // The newest two are the ones that are there; either may still open.
    let (mut newest, answer) = left.pop().unwrap();
    newest.answer(&answer.sdp);
    newest.until("channel opens", |c| c.open).await;
    newest.send(r#"{"type":"ping"}"#);
    newest.until("pong", |c| c.has("pong")).await;
    let gone = rtc
        .close(&who(OWNER), SESSION, &left[0].1.connection_id)
        .await;
    assert_eq!(gone.unwrap_err().code(), ErrorCode::ConnectionNotFound);
    // With the last one open, all are, and none of them goes.
    let (mut last, answer) = left.pop().unwrap();
    last.answer(&answer.sdp);
    last.until("channel opens", |c| c.open).await;
    last.send(r#"{"type":"ping"}"#);
    last.until("pong", |c| c.has("pong")).await;
    let (_, offer) = Client::new().await;
    let refused = connect(&rtc, &conversation, &offer).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::RateLimited);
    for client in [&mut tab, &mut newest, &mut last] {
        let pongs = client.frames.len();
        client.send(r#"{"type":"ping"}"#);
        client.until("pong", |c| c.frames.len() > pongs).await;
    }
}

#[tokio::test]
async fn another_session_is_not_pushed_out() {
    let rtc = Rtc::start(RtcConfig {
        max_connections_per_session: 1,
        ..config()
    })
    .await
    .unwrap();
    let conversation = FakeConversation::new();
    let other = rtc
        .shared
        .registry
        .take(&who("v_other"), "s_other", 0, super::super::PeerKey(0));
    let (_seat, left) = other.unwrap();
    assert!(left.is_none());
    for _ in 0..3 {
        let (_, offer) = Client::new().await;
        connect(&rtc, &conversation, &offer).await.unwrap();
    }
    assert_eq!(rtc.connections(), 2);
}

#[tokio::test]
async fn a_wildcard_offers_the_addresses_of_the_machine() {
    let rtc = Rtc::start(RtcConfig {
        threads: 2,
        ..RtcConfig::new("0.0.0.0:0".parse().unwrap())
    })
    .await
    .unwrap();
    let conversation = FakeConversation::new();
    // One on each media thread.
    for _ in 0..2 {
        let (_, offer) = Client::new().await;
        let answer = connect(&rtc, &conversation, &offer).await.unwrap();
        let offered = candidate_ip(&answer.sdp);
        assert!(!offered.is_unspecified());
        // A client on that address of the machine reaches it there.
        let socket = UdpSocket::bind((offered, 0)).await.unwrap();
        let (mut client, offer) = Client::on(socket);
        let answer = connect(&rtc, &conversation, &offer).await.unwrap();
        client.answer(&answer.sdp);
        client.until("channel opens", |c| c.open).await;
    }
    rtc.stop().await;
}

#[tokio::test]
async fn a_public_address_is_offered_in_place_of_the_bound_one() {
    let rtc = Rtc::start(RtcConfig {
        public_ips: vec!["203.0.113.7".parse().unwrap()],
        ..config()
    })
    .await
    .unwrap();
    let conversation = FakeConversation::new();
    let (mut client, offer) = Client::new().await;
    let answer = connect(&rtc, &conversation, &offer).await.unwrap();
    assert_eq!(candidate_ip(&answer.sdp).to_string(), "203.0.113.7");
    // What the NAT in between does.
    client.answer(&answer.sdp.replace("203.0.113.7", "127.0.0.1"));
    client.until("channel opens", |c| c.open).await;
}

fn candidate_ip(answer: &str) -> std::net::IpAddr {
    let line = answer.lines().find(|l| l.starts_with("a=candidate:"));
    let ip = line.and_then(|l| l.split(' ').nth(4)).expect("a candidate");
    ip.parse().expect("an address")
}

#[tokio::test]
async fn stop_says_goodbye_to_every_peer() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (mut client, _) = open(&rtc, &conversation).await;
    let stopped = tokio::time::timeout(LIMIT, rtc.stop());
    let ((), outcome) = tokio::join!(client.until("close", |c| c.ended), stopped);
    outcome.expect("stops in time");
}
