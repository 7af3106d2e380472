//! A conversation over a real data channel: the same log, the same checks as over HTTPS, asked again as long as the channel lives.

use crate::server::{Call, PAGE, Server, post};
use client::Client;
use karta_server::auth::limit::{Rate, Rates};
use karta_server::rtc::Rtc;
use karta_server::service::agents;
use std::net::SocketAddr;
use std::time::Duration;

/// The browser's side; it is tested with the media threads.
#[path = "../../src/rtc/tests/client.rs"]
#[expect(dead_code, reason = "the media tests use more of it")]
pub mod client;

pub async fn server(rates: Rates) -> Server {
    let rtc = Rtc::start(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .expect("a socket");
    Server::with(rates, Some(rtc)).await
}

/// An open channel and the path of its connection.
pub async fn open(server: &Server, token: &str, session: &str) -> (Client, String) {
    let (mut client, offer) = Client::new().await;
    let call = post(&format!("/sessions/{session}/connect"))
        .bearer(token)
        .body("application/sdp", offer);
    let reply = server.call(call).await;
    assert_eq!(reply.status.as_u16(), 201, "{reply:?}");
    client.answer(&String::from_utf8(reply.body.clone()).expect("text"));
    client.until("channel opens", |c| c.open).await;
    (client, reply.header("location").to_owned())
}

pub async fn hello(client: &mut Client, after: u64) {
    client.send(&format!(r#"{{"type":"hello","after":{after}}}"#));
    client.until("synced", |c| c.has("session.synced")).await;
}

#[tokio::test]
async fn a_question_is_answered_over_the_channel_and_stands_in_the_log() {
    let server = server(Rates::off()).await;
    let (token, session) = server.session().await;
    let (mut client, location) = open(&server, &token, &session).await;
    hello(&mut client, 0).await;
    client.send(r#"{"type":"user.message","id":"m1","text":"over the channel"}"#);
    client
        .until("the end of the turn", |c| c.has("session.status_idle"))
        .await;
    assert!(client.has(r#""delta":true"#), "{:?}", client.frames);
    let log = server.log(&token, &session, 4).await;
    for event in &log {
        let seq = format!("\"seq\":{}", event["seq"]);
        assert!(client.has(&seq), "{seq} is missing");
    }

    // The next channel goes on from the cursor, with what came over HTTPS in between.
    let end = Call::new("DELETE", &location).page(PAGE).bearer(&token);
    assert_eq!(server.call(end).await.status.as_u16(), 200);
    client.until("close", |c| c.ended).await;
    server.say(&token, &session, "m2", "over https").await;
    server.log(&token, &session, 8).await;
    let (mut client, _) = open(&server, &token, &session).await;
    hello(&mut client, 4).await;
    assert!(client.has("over https") && !client.has("over the channel"));
}

#[tokio::test]
async fn the_channel_and_the_stream_carry_the_same_events() {
    let server = server(Rates::off()).await;
    let (token, session) = server.session().await;
    server
        .say(&token, &session, "m1", "one \"two\" \u{1f600}")
        .await;
    server.log(&token, &session, 4).await;
    let (mut client, _) = open(&server, &token, &session).await;
    let mut reader = crate::stream::open(&server, &token, &session, 0).await;
    hello(&mut client, 0).await;
    reader.until("session.synced").await;
    // What was, and what comes, pieces of the answer included.
    server.say(&token, &session, "m2", "three four").await;
    server.log(&token, &session, 8).await;
    let live = reader.until("session.status_idle").await;
    client
        .until("the second turn", |c| c.has(r#""seq":8"#))
        .await;
    let mut again = crate::stream::open(&server, &token, &session, 0).await;
    let mut streamed = again.until("session.synced").await;
    // The first four from the log, the rest as both readers saw it live.
    streamed.retain(|(_, event)| event["seq"].as_u64().is_some_and(|seq| seq <= 4));
    streamed.extend(live);
    let streamed: Vec<_> = streamed.into_iter().map(|(_, event)| event).collect();
    let channel = client
        .frames
        .iter()
        .map(|frame| serde_json::from_str::<serde_json::Value>(frame).expect("a frame is JSON"));
    let channel: Vec<_> = channel
        .filter(|event| event["type"] != "session.synced")
        .collect();
    assert_eq!(channel, streamed);
    assert!(channel.iter().any(|event| event["delta"] == true));
}

#[tokio::test]
async fn messages_are_counted_like_those_over_https() {
    let mut rates = Rates::off();
    rates.set("MESSAGES_PER_VISITOR", Rate::parse("2/1h").expect("a rate"));
    let server = server(rates).await;
    let (token, session) = server.session().await;
    let (mut client, _) = open(&server, &token, &session).await;
    for n in 1..=3 {
        client.send(&format!(
            r#"{{"type":"user.message","id":"m{n}","text":"hi"}}"#
        ));
    }
    client
        .until("refusal", |c| {
            c.has(r#""id":"m3""#)
                && c.has(r#""code":"rate_limited""#)
                && c.has("retry_after_seconds")
        })
        .await;
    assert_eq!(client.frames.len(), 1, "{:?}", client.frames);
}

#[tokio::test]
async fn an_agent_that_is_switched_off_takes_no_message() {
    let server = server(Rates::off()).await;
    let (token, session) = server.session().await;
    let (mut client, _) = open(&server, &token, &session).await;
    server
        .change_agent(agents::AgentChange {
            widget_enabled: Some(false),
            ..Default::default()
        })
        .await;
    client.send(r#"{"type":"user.message","id":"m1","text":"hi"}"#);
    client
        .until("refusal", |c| c.has("widget_disabled_for_agent"))
        .await;
}

#[tokio::test]
async fn a_disabled_key_ends_the_channel_and_says_why() {
    let server = server(Rates::off()).await;
    let (token, session) = server.session().await;
    let (mut client, _) = open(&server, &token, &session).await;
    hello(&mut client, 0).await;
    server.enable_key(false).await;
    client.send(r#"{"type":"user.message","id":"m1","text":"hi"}"#);
    client
        .until("close", |c| {
            c.ended && c.has(r#""code":"client_key_disabled""#)
        })
        .await;
}

#[tokio::test]
async fn a_session_that_is_too_old_takes_no_message() {
    let server = server(Rates::off()).await;
    let (token, session) = server.session().await;
    let (mut client, _) = open(&server, &token, &session).await;
    server.advance(Duration::from_secs(400 * 24 * 60 * 60));
    client.send(r#"{"type":"user.message","id":"m1","text":"hi"}"#);
    client.until("refusal", |c| c.has("token_expired")).await;
}

#[tokio::test]
async fn a_restart_of_the_server_is_said_on_the_channel() {
    let server = server(Rates::off()).await;
    let (token, session) = server.session().await;
    let (mut client, _) = open(&server, &token, &session).await;
    hello(&mut client, 0).await;
    server.app.stopping.cancel();
    client.until("close", |c| c.ended).await;
}

#[tokio::test]
async fn without_a_speech_engine_there_is_no_voice_and_text_goes_on() {
    let server = server(Rates::off()).await;
    let (token, session) = server.session().await;
    let (mut client, _) = open(&server, &token, &session).await;
    hello(&mut client, 0).await;
    client.send(r#"{"type":"voice.start"}"#);
    client
        .until("the refusal", |c| c.has(r#""state":"ended""#))
        .await;
    assert!(
        client.has(r#""code":"voice_unavailable""#),
        "{:?}",
        client.frames
    );
    // Without a call these mean nothing, and do no harm.
    for kind in ["voice.mute", "voice.unmute", "voice.end"] {
        client.send(&format!(r#"{{"type":"{kind}"}}"#));
    }
    client.send(r#"{"type":"user.message","id":"m1","text":"typed then"}"#);
    client
        .until("the answer", |c| c.has("session.status_idle"))
        .await;
}

#[tokio::test]
async fn a_call_cannot_begin_over_https() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    for kind in ["voice.start", "voice.end", "voice.mute", "voice.unmute"] {
        let event = serde_json::json!({"type": kind});
        let call = post(&format!("/sessions/{session}/events"))
            .bearer(&token)
            .json(&event);
        server.call(call).await.refused(400, "request_invalid");
    }
}
