//! Engines that are faster than speech, slower, or never end: what a call takes from them, and that all of it is heard.

use super::super::Rtc;
use super::connect::config;
use super::voice::Voiced;
use crate::voice::engine::{Engine, SoFar, SpeechFailure, SpeechToText, TextToSpeech};
use crate::voice::{FRAME, SPOKEN_RATE};
use async_trait::async_trait;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Speaks every sentence in pieces of so many frames.
struct Mouth {
    piece: usize,
    pause: Duration,
    /// Frames of a sentence.
    length: usize,
    taken: AtomicUsize,
    /// Frames that were taken when each sentence began.
    begun: Mutex<Vec<usize>>,
    /// Sentences that are being made.
    speaking: AtomicUsize,
}

impl Mouth {
    fn new(piece: usize, pause: Duration, length: usize) -> Arc<Mouth> {
        Arc::new(Mouth {
            piece,
            pause,
            length,
            taken: AtomicUsize::new(0),
            begun: Mutex::default(),
            speaking: AtomicUsize::new(0),
        })
    }

    fn engine(self: &Arc<Self>) -> Engine {
        Engine {
            ears: Arc::new(Deaf),
            mouth: self.clone(),
            metered: false,
        }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

struct Deaf;

#[async_trait]
impl SpeechToText for Deaf {
    async fn transcribe(
        &self,
        mut speech: mpsc::Receiver<Vec<i16>>,
        _: &dyn SoFar,
    ) -> Result<String, SpeechFailure> {
        while speech.recv().await.is_some() {}
        Ok(String::new())
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl TextToSpeech for Mouth {
    async fn speak(&self, _: &str, sound: &mpsc::Sender<Vec<i16>>) -> Result<(), SpeechFailure> {
        let _counted = Counted::new(&self.speaking);
        self.begun.lock().unwrap().push(self.taken());
        let mut left = self.length;
        while left > 0 {
            let frames = self.piece.min(left);
            left -= frames;
            if sound.send(vec![4_000; frames * FRAME]).await.is_err() {
                break;
            }
            self.taken.fetch_add(frames, Ordering::Relaxed);
            if !self.pause.is_zero() {
                sleep(self.pause).await;
            }
        }
        Ok(())
    }
}

const MESSAGE: &str = r#"{"type":"user.message","id":"m1","text":"hello"}"#;
/// Frames of a second.
const SECOND: usize = SPOKEN_RATE as usize / FRAME;

/// Three sentences of so many frames, spoken whole.
async fn check(mouth: Arc<Mouth>) {
    let rtc = Rtc::start(config()).await.unwrap();
    let voiced = Voiced::new(mouth.engine(), "We open at nine. We close at six. Bye.").await;
    let mut client = voiced.open(&rtc).await;
    client.send(MESSAGE);
    client
        .until("the end of the turn", |c| c.has("session.status_idle"))
        .await;
    // The last packets and the word of the end come by different ways.
    client
        .drive(Instant::now() + Duration::from_millis(200))
        .await;
    assert_eq!(client.heard.len(), 3 * mouth.length, "every frame is heard");
    assert!(!client.has("voice.cut"), "{:?}", client.frames);
    assert_eq!(mouth.speaking.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_engine_that_is_done_at_once_is_heard_whole() {
    check(Mouth::new(1_000, Duration::ZERO, 25)).await;
}

#[tokio::test]
async fn an_engine_that_is_slower_than_speech_is_heard_whole() {
    check(Mouth::new(1, Duration::from_millis(30), 12)).await;
}

#[tokio::test]
async fn pieces_that_are_no_frames_are_heard_whole() {
    check(Mouth::new(7, Duration::from_millis(1), 24)).await;
}

#[tokio::test]
async fn of_an_engine_that_never_ends_no_more_is_taken_than_some_seconds_and_a_cut_ends_it() {
    let mouth = Mouth::new(SECOND / 2, Duration::ZERO, usize::MAX);
    let rtc = Rtc::start(config()).await.unwrap();
    let voiced = Voiced::new(mouth.engine(), "We never close.").await;
    let mut client = voiced.open(&rtc).await;
    client.send(MESSAGE);
    client
        .until("as much as it takes ahead", |_| mouth.taken() > 6 * SECOND)
        .await;
    client
        .until("two seconds of speech", |c| c.heard.len() > 2 * SECOND)
        .await;
    // A bound of six seconds, what is on its way, and a busy machine's late client.
    let ahead = mouth.taken() - client.heard.len();
    assert!(ahead < 9 * SECOND, "{ahead} frames ahead");
    client.send(r#"{"type":"user.message","id":"m2","text":"stop"}"#);
    client.until("the cut", |c| c.has("voice.cut")).await;
    let speaking = || mouth.speaking.load(Ordering::Relaxed);
    super::until("the next answer, alone", || {
        mouth.begun.lock().unwrap().len() == 2 && speaking() == 1
    })
    .await;
    client.send(r#"{"type":"voice.end"}"#);
    client
        .until("the end", |c| c.has(r#""state":"ended""#))
        .await;
    super::until("the engine's end", || speaking() == 0).await;
}

#[tokio::test]
async fn a_sentence_is_begun_only_when_little_of_the_last_is_left_to_play() {
    let mouth = Mouth::new(SECOND, Duration::ZERO, 5 * SECOND);
    let rtc = Rtc::start(config()).await.unwrap();
    let voiced = Voiced::new(mouth.engine(), "We open at nine. We close at six.").await;
    let mut client = voiced.open(&rtc).await;
    client.send(MESSAGE);
    client
        .until("the first sentence", |c| {
            mouth.taken() >= 5 * SECOND && !c.heard.is_empty()
        })
        .await;
    assert_eq!(mouth.begun.lock().unwrap().len(), 1, "the second waits");
    client
        .until("the second sentence", |_| {
            mouth.begun.lock().unwrap().len() == 2
        })
        .await;
    // A second of it was played, and packets on the way are few.
    let heard = client.heard.len();
    assert!(heard > SECOND / 2, "{heard} frames were played");
}
