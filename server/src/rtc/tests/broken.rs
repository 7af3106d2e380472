//! What panics behind a call: its engine, its log, the call itself. It goes on or ends with a clear word, and others hear nothing of it.

use super::super::Rtc;
use super::connect::config;
use super::voice::{Voiced, asked, energy, scripted};
use crate::app::Clock;
use crate::store::Caps;
use crate::voice::engine::{Engine, SoFar, SpeechFailure, SpeechToText, TextToSpeech};
use crate::voice::{CallSettings, TurnSettings};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

const ENDED: &str = r#""state":"ended""#;

struct Breaks;

#[async_trait]
impl SpeechToText for Breaks {
    async fn transcribe(
        &self,
        mut speech: mpsc::Receiver<Vec<i16>>,
        _: &dyn SoFar,
    ) -> Result<String, SpeechFailure> {
        while speech.recv().await.is_some() {}
        panic!("asked for by a test")
    }
}

#[async_trait]
impl TextToSpeech for Breaks {
    async fn speak(&self, _: &str, _: &mpsc::Sender<Vec<i16>>) -> Result<(), SpeechFailure> {
        panic!("asked for by a test")
    }
}

/// Somebody else on the same server asks aloud and is answered aloud.
async fn another_is_answered(rtc: &Rtc) {
    let voiced = Voiced::new(scripted(), "At nine.").await;
    let mut client = voiced.open(rtc).await;
    client.speak(&asked()).await;
    client
        .until("another's answer", |c| c.has("session.status_idle"))
        .await;
    assert!(client.has("what are your opening hours") && energy(&client.heard) > 500.0);
    assert_eq!(super::probe(rtc).await.panics, 0, "of a peer");
}

#[tokio::test]
async fn a_recogniser_that_panics_costs_what_was_said_and_the_call_goes_on() {
    let rtc = Rtc::start(config()).await.unwrap();
    let engine = Engine {
        ears: Arc::new(Breaks),
        ..scripted()
    };
    let voiced = Voiced::new(engine, "At nine.").await;
    let mut client = voiced.open(&rtc).await;
    client.speak(&asked()).await;
    client
        .until("listening again", |c| {
            let frames = c.frames.concat();
            let thought = frames.split_once(r#""state":"thinking""#);
            thought.is_some_and(|(_, after)| after.contains(r#""state":"listening""#))
        })
        .await;
    client.send(r#"{"type":"user.message","id":"m1","text":"hello"}"#);
    client
        .until("the answer", |c| c.has("session.status_idle"))
        .await;
    assert!(energy(&client.heard) > 500.0 && !client.has(ENDED));
    another_is_answered(&rtc).await;
}

#[tokio::test]
async fn a_voice_that_panics_leaves_the_answer_to_be_read_and_ends_its_call_soon() {
    let rtc = Rtc::start(config()).await.unwrap();
    for (answer, over) in [
        ("We open at nine.", false),
        ("We open at nine. Then we bake. All is sold by noon.", true),
    ] {
        let engine = Engine {
            mouth: Arc::new(Breaks),
            ..scripted()
        };
        let voiced = Voiced::new(engine, answer).await;
        let mut client = voiced.open(&rtc).await;
        client.send(r#"{"type":"user.message","id":"m1","text":"hello"}"#);
        client
            .until("the end of the turn", |c| c.has("session.status_idle"))
            .await;
        let log = voiced.log().await;
        assert!(
            log.iter()
                .any(|event| event.text.as_deref() == Some(answer)),
            "{log:?}"
        );
        if over {
            client.until("the end", |c| c.has(ENDED)).await;
            assert!(client.has(r#""code":"engine""#), "{:?}", client.frames);
        }
        assert_eq!(client.has(ENDED), over, "{:?}", client.frames);
    }
    another_is_answered(&rtc).await;
}

#[tokio::test]
async fn a_log_that_panics_refuses_what_was_said_and_pays_for_nothing() {
    let rtc = Rtc::start(config()).await.unwrap();
    let voiced = Voiced::new(scripted(), "At nine.").await;
    let mut client = voiced.open(&rtc).await;
    voiced.breaks.store(true, Ordering::Relaxed);
    client.speak(&asked()).await;
    client.until("the end", |c| c.has(ENDED)).await;
    assert!(client.has(r#""code":"refused""#), "{:?}", client.frames);

    let settings = CallSettings {
        minute: Duration::from_millis(100),
        ..CallSettings::default()
    };
    let (caps, clock) = (Caps::default(), Clock::system());
    let voiced = Voiced::with(scripted(), "At nine.", settings, caps, clock).await;
    let mut client = voiced.ask(&rtc).await;
    voiced.breaks.store(true, Ordering::Relaxed);
    client.until("the end", |c| c.has(ENDED)).await;
    assert!(client.has(r#""code":"refused""#), "{:?}", client.frames);
    another_is_answered(&rtc).await;
}

#[tokio::test]
async fn a_call_that_panics_is_ended_with_a_word() {
    let rtc = Rtc::start(config()).await.unwrap();
    let settings = CallSettings {
        turns: TurnSettings {
            // More samples than there are numbers for, which tests check.
            pre_roll_ms: u32::MAX,
            ..TurnSettings::default()
        },
        ..CallSettings::default()
    };
    let (caps, clock) = (Caps::default(), Clock::system());
    let voiced = Voiced::with(scripted(), "At nine.", settings, caps, clock).await;
    let mut client = voiced.open(&rtc).await;
    client.speak(&asked()[..10]).await;
    client.until("the end", |c| c.has(ENDED)).await;
    assert!(client.has(r#""code":"failed""#), "{:?}", client.frames);
    client.send(r#"{"type":"user.message","id":"m1","text":"typed then"}"#);
    client
        .until("the answer", |c| c.has("session.status_idle"))
        .await;
    another_is_answered(&rtc).await;
}

/// Hears to the end of a turn, asks for its words, and never gets them.
#[derive(Default)]
struct Asks {
    asked: AtomicUsize,
    at_work: watch::Sender<usize>,
}

struct AtWork<'a>(&'a watch::Sender<usize>);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|at_work| *at_work -= 1);
    }
}

#[async_trait]
impl SpeechToText for Asks {
    async fn transcribe(
        &self,
        mut speech: mpsc::Receiver<Vec<i16>>,
        _: &dyn SoFar,
    ) -> Result<String, SpeechFailure> {
        self.at_work.send_modify(|at_work| *at_work += 1);
        let _at_work = AtWork(&self.at_work);
        while speech.recv().await.is_some() {}
        self.asked.fetch_add(1, Ordering::Relaxed);
        std::future::pending().await
    }
}

#[tokio::test]
async fn nothing_is_asked_of_a_recogniser_after_the_call() {
    let rtc = Rtc::start(config()).await.unwrap();
    // In the middle of the question, and while its words are awaited.
    for (packets, asked_before) in [(40, 0), (150, 1)] {
        let ears = Arc::new(Asks::default());
        let mut at_work = ears.at_work.subscribe();
        let engine = Engine {
            ears: ears.clone(),
            ..scripted()
        };
        let voiced = Voiced::new(engine, "At nine.").await;
        let mut client = voiced.open(&rtc).await;
        client.speak(&asked()[..packets]).await;
        assert_eq!(*at_work.borrow_and_update(), 1, "{packets}");
        client.send(r#"{"type":"voice.end"}"#);
        client.until("the end", |c| c.has(ENDED)).await;
        let given_up = at_work.wait_for(|at_work| *at_work == 0);
        let given_up = tokio::time::timeout(super::client::LIMIT, given_up).await;
        assert!(given_up.is_ok(), "given up after {packets}");
        assert_eq!(ears.asked.load(Ordering::Relaxed), asked_before);
    }
}
