//! Server-sent events: replay, live, resumption, endings.

use crate::server::{Server, get};
use axum::body::{Body, BodyDataStream};
use axum::http::{Response, StatusCode};
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// One reader of a stream.
pub struct Reader {
    body: BodyDataStream,
    text: String,
}

impl Reader {
    fn new(response: Response<Body>) -> Reader {
        assert_eq!(response.status(), StatusCode::OK);
        Reader {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event: its id, if it has one, and its data. None at the end.
    pub async fn next(&mut self) -> Option<(Option<u64>, Value)> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::to_owned)
                };
                let Some(data) = field("data: ") else {
                    continue;
                };
                let id = field("id: ").map(|id| id.parse().expect("a number"));
                return Some((id, serde_json::from_str(&data).expect("JSON")));
            }
            let chunk = tokio::time::timeout(Duration::from_secs(10), self.body.next())
                .await
                .expect("something within ten seconds")?;
            self.text
                .push_str(std::str::from_utf8(&chunk.expect("no error")).expect("text"));
        }
    }

    /// Everything up to and with the first event of this kind.
    pub async fn until(&mut self, kind: &str) -> Vec<(Option<u64>, Value)> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            let found = event.1["type"] == json!(kind);
            events.push(event);
            if found {
                return events;
            }
        }
        panic!("the stream ended before {kind}: {events:?}");
    }
}

pub async fn open(server: &Server, token: &str, session: &str, after: u64) -> Reader {
    Reader::new(
        server
            .open(get(&format!("/sessions/{session}/events/stream?after={after}")).bearer(token))
            .await,
    )
}

fn durable(events: &[(Option<u64>, Value)]) -> Vec<u64> {
    events
        .iter()
        .filter(|(_, event)| event["type"] != json!("session.synced"))
        .filter_map(|(id, _)| *id)
        .collect()
}

#[tokio::test]
async fn headers_keep_proxies_from_holding_the_stream_back() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let response = server
        .open(get(&format!("/sessions/{session}/events/stream")).bearer(&token))
        .await;
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store, no-transform"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
}

#[tokio::test]
async fn a_reader_gets_what_was_then_what_comes() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "first").await;
    server.log(&token, &session, 4).await;
    let mut reader = open(&server, &token, &session, 0).await;
    let replay = reader.until("session.synced").await;
    assert_eq!(durable(&replay), [1, 2, 3, 4]);
    for (id, event) in &replay[..4] {
        assert_eq!(*id, event["seq"].as_u64(), "the id is the seq");
    }
    assert_eq!(
        (replay[4].0, &replay[4].1["seq"]),
        (None, &json!(4)),
        "synced is not durable and names the cursor"
    );
    server.say(&token, &session, "m2", "second one").await;
    let live = reader.until("session.status_idle").await;
    assert_eq!(durable(&live), [5, 6, 7, 8]);
    let streamed: String = live
        .iter()
        .filter(|(_, e)| e["delta"] == json!(true))
        .filter_map(|(_, e)| e["text"].as_str())
        .collect();
    assert_eq!(streamed, "second one");
    assert!(
        live.iter()
            .all(|(id, event)| event["delta"] != json!(true) || id.is_none()),
        "deltas have no id"
    );
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_the_rest_and_last_event_id_wins() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "first").await;
    server.log(&token, &session, 4).await;
    let mut reader = open(&server, &token, &session, 3).await;
    assert_eq!(durable(&reader.until("session.synced").await), [4]);
    let call = get(&format!("/sessions/{session}/events/stream?after=0"))
        .bearer(&token)
        .header("last-event-id", "2");
    let mut reader = Reader::new(server.open(call).await);
    assert_eq!(durable(&reader.until("session.synced").await), [3, 4]);
    let call = get(&format!("/sessions/{session}/events/stream?after=3"))
        .bearer(&token)
        .header("last-event-id", "rubbish");
    let mut reader = Reader::new(server.open(call).await);
    assert_eq!(durable(&reader.until("session.synced").await), [4]);
}

#[tokio::test]
async fn two_readers_see_the_same() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let (mut a, mut b) = (
        open(&server, &token, &session, 0).await,
        open(&server, &token, &session, 0).await,
    );
    server.say(&token, &session, "m1", "hello both").await;
    let (a, b) = (
        a.until("session.status_idle").await,
        b.until("session.status_idle").await,
    );
    assert_eq!(durable(&a), durable(&b));
}

#[tokio::test]
async fn a_late_reader_gets_the_running_part_from_its_beginning() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let mut first = open(&server, &token, &session, 0).await;
    server.say(&token, &session, "m1", "wait for it").await;
    let mut got = String::new();
    while got != "wait for it" {
        let (_, event) = first.next().await.expect("an event");
        if event["delta"] == json!(true) {
            got.push_str(event["text"].as_str().expect("text"));
        }
    }
    let mut late = open(&server, &token, &session, 2).await;
    let replay = late.until("session.synced").await;
    assert_eq!(replay.len(), 2);
    assert_eq!(
        (&replay[0].1["offset"], &replay[0].1["text"]),
        (&json!(0), &json!("wait for it"))
    );
    assert_eq!(replay[0].1["part_id"], replay[1].1["part_id"]);
}

#[tokio::test]
async fn a_disabled_key_ends_its_streams_within_seconds_and_says_why() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let mut reader = open(&server, &token, &session, 0).await;
    reader.until("session.synced").await;
    let started = Instant::now();
    server.enable_key(false).await;
    let last = reader.next().await.expect("last words").1;
    assert_eq!(
        (&last["type"], &last["code"]),
        (&json!("error"), &json!("client_key_disabled"))
    );
    assert!(reader.next().await.is_none());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_stop_of_the_server_ends_all_streams() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let mut reader = open(&server, &token, &session, 0).await;
    reader.until("session.synced").await;
    server.app.stopping.cancel();
    assert!(reader.next().await.is_none());
}
