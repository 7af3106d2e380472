//! Calls that this server answers itself, with all of its guards: who may begin one, how long it goes on, and what a full server says.

use crate::channel::client::Client;
use crate::channel::{self, hello};
use crate::server::{Server, post};
use async_trait::async_trait;
use karta_server::app::App;
use karta_server::auth::limit::{Limits, Rate, Rates};
use karta_server::router;
use karta_server::service::agents::AgentChange;
use karta_server::voice::engine::{
    Engine, Engines, SoFar, SpeechFailure, SpeechToText, TextToSpeech,
};
use karta_server::voice::{CallSettings, Voices};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const LISTENS: &str = r#""state":"listening""#;
const ENDED: &str = r#""state":"ended""#;

/// Hears and says nothing.
struct Mute;

#[async_trait]
impl SpeechToText for Mute {
    async fn transcribe(
        &self,
        _: mpsc::Receiver<Vec<i16>>,
        _: &dyn SoFar,
    ) -> Result<String, SpeechFailure> {
        Ok(String::new())
    }
}

#[async_trait]
impl TextToSpeech for Mute {
    async fn speak(&self, _: &str, _: &mpsc::Sender<Vec<i16>>) -> Result<(), SpeechFailure> {
        Ok(())
    }
}

/// An engine that has nobody to pay but where it is `metered`.
pub fn mute(metered: bool) -> Engine {
    Engine {
        ears: Arc::new(Mute),
        mouth: Arc::new(Mute),
        metered,
    }
}

/// A server with so many places for calls, which pay as often as that.
async fn server(places: usize, minute: Duration) -> Server {
    let mut server = channel::server(Rates::off()).await;
    let settings = CallSettings {
        minute,
        ..CallSettings::default()
    };
    server.app = App {
        voices: Voices::new(Engines::only(mute(false)), places, settings),
        ..server.app
    };
    server.router = router::build(server.app.clone());
    server
        .change_agent(AgentChange {
            voice: Some("auto".into()),
            ..AgentChange::default()
        })
        .await;
    server
}

/// From now on only this is bounded, from nothing used.
fn limit(server: &mut Server, rule: &str, rate: &str) {
    let mut rates = Rates::off();
    rates.set(rule, Rate::parse(rate).expect("a rate"));
    server.app = App {
        limits: Arc::new(Limits::new(&rates)),
        ..server.app.clone()
    };
    server.router = router::build(server.app.clone());
}

/// A visitor who has come from there, with an open channel.
async fn visitor(server: &Server, address: &str) -> Client {
    let (token, session) = server.session().await;
    let (mut client, offer) = Client::new().await;
    let call = post(&format!("/sessions/{session}/connect")).from(address);
    let reply = server
        .call(call.bearer(&token).body("application/sdp", offer))
        .await;
    assert_eq!(reply.status.as_u16(), 201, "{reply:?}");
    client.answer(&String::from_utf8(reply.body).expect("text"));
    client.until("channel opens", |c| c.open).await;
    hello(&mut client, 0).await;
    client
}

/// Asks for a call: None, and it has ended again, or the refusal.
async fn call(client: &mut Client) -> Option<Value> {
    client.frames.clear();
    client.send(r#"{"type":"voice.start"}"#);
    client
        .until("the call or a refusal", |c| c.has(LISTENS) || c.has(ENDED))
        .await;
    if client.has(LISTENS) {
        client.send(r#"{"type":"voice.end"}"#);
        client.until("the end", |c| c.has(ENDED)).await;
        return None;
    }
    Some(refusal(client))
}

fn refusal(client: &Client) -> Value {
    let mut frames = client.frames.iter();
    let told = frames.find(|frame| frame.contains(r#""type":"error""#));
    serde_json::from_str(told.expect("a word")).expect("JSON")
}

#[tokio::test]
async fn calls_and_their_minutes_are_limited_by_address_key_and_visitor() {
    let mut server = server(9, Duration::from_secs(60)).await;
    for rule in ["CALLS", "CALL_MINUTES"] {
        // Whose second call is refused: the same visitor's, another's from the same address, another's from elsewhere.
        for (scope, refused) in [
            ("ADDRESS", [true, true, false]),
            ("KEY", [true, true, true]),
            ("VISITOR", [true, false, false]),
        ] {
            let name = format!("{rule}_PER_{scope}");
            limit(&mut server, &name, "1/1h");
            let mut same = visitor(&server, "192.0.2.1").await;
            assert_eq!(call(&mut same).await, None, "{name}: the first");
            let mut neighbour = visitor(&server, "192.0.2.1").await;
            let mut stranger = visitor(&server, "198.51.100.1").await;
            for (client, refused) in [&mut same, &mut neighbour, &mut stranger]
                .into_iter()
                .zip(refused)
            {
                let told = call(client).await;
                assert_eq!(told.is_some(), refused, "{name}: {told:?}");
                if let Some(told) = told {
                    assert_eq!(told["code"], "rate_limited", "{name}");
                    let wait = told["retry_after_seconds"].as_u64();
                    assert!(wait.is_some_and(|s| s > 3_000), "{name}: {told}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_call_ends_in_the_middle_when_its_minutes_are_over() {
    let mut server = server(9, Duration::from_millis(100)).await;
    for scope in ["ADDRESS", "KEY", "VISITOR"] {
        let name = format!("CALL_MINUTES_PER_{scope}");
        limit(&mut server, &name, "3/1h");
        let mut client = visitor(&server, "192.0.2.1").await;
        client.send(r#"{"type":"voice.start"}"#);
        client.until("the end", |c| c.has(ENDED)).await;
        let frames = client.frames.concat();
        assert!(frames.contains(LISTENS), "{name}: {frames}");
        assert!(
            frames.contains(r#""state":"ended","code":"refused""#),
            "{name}: {frames}"
        );
        assert_eq!(refusal(&client)["code"], "rate_limited", "{name}");
        // Typing goes on.
        client.send(r#"{"type":"user.message","id":"m1","text":"hello"}"#);
        client
            .until("the answer", |c| c.has("session.status_idle"))
            .await;
    }
}

#[tokio::test]
async fn a_full_server_says_so_and_when_to_try_again() {
    let server = server(1, Duration::from_secs(60)).await;
    let mut first = visitor(&server, "192.0.2.1").await;
    first.send(r#"{"type":"voice.start"}"#);
    first.until("the call", |c| c.has(LISTENS)).await;
    let mut second = visitor(&server, "192.0.2.1").await;
    let told = call(&mut second).await.expect("a refusal");
    assert_eq!(told["code"], "overloaded", "{told}");
    assert_eq!(told["retry_after_seconds"], 30, "{told}");
    second.send(r#"{"type":"user.message","id":"m1","text":"typed then"}"#);
    second
        .until("the answer", |c| c.has("session.status_idle"))
        .await;
    first.send(r#"{"type":"voice.end"}"#);
    first.until("the end", |c| c.has(ENDED)).await;
    assert_eq!(call(&mut second).await, None, "the place is free");
}
