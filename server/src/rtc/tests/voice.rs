//! Calls from end to end: a client's audio through the real media thread, a real session log, and back.

use super::super::{Begun, Conversation, Frames, Rtc, RtcConfig};
use super::client::Client;
use super::connect::config;
use crate::agent::{AgentFailure, Answer, Runtime, Runtimes, Sink, Turn};
use crate::app::Clock;
use crate::error::Fault;
use crate::session::{Principal, Sessions, Stay};
use crate::store::sqlite::SqliteStore;
use crate::store::{Agent, Caps, Store as _, WidgetKey};
use crate::voice::codec::Decoder;
use crate::voice::engine::{Engine, SoFar, SpeechFailure, SpeechToText, TextToSpeech, local};
use crate::voice::tests::{packets, question};
use crate::voice::{CallSettings, Resampler, SPOKEN_RATE};
use async_trait::async_trait;
use karta_protocol::{Accepted, ClientEvent, EventType, SessionEvent};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Answers with a text of the test's.
struct Says(&'static str);

#[async_trait]
impl Runtime for Says {
    async fn answer(&self, _turn: Turn, sink: &dyn Sink) -> Result<Answer, AgentFailure> {
        sink.text(self.0);
        Ok(Answer::default())
    }
}

/// Understands the same words in every sound, and speaks ten characters a second as a hum.
struct Scripted;

#[async_trait]
impl SpeechToText for Scripted {
    async fn transcribe(
        &self,
        mut speech: mpsc::Receiver<Vec<i16>>,
        so_far: &dyn SoFar,
    ) -> Result<String, SpeechFailure> {
        while speech.recv().await.is_some() {}
        so_far.words("what are");
        Ok("what are your opening hours".into())
    }
}

#[async_trait]
impl TextToSpeech for Scripted {
    async fn speak(
        &self,
        words: &str,
        sound: &mpsc::Sender<Vec<i16>>,
    ) -> Result<(), SpeechFailure> {
        let ms = words.len() as u32 * 100;
        let _ = sound
            .send(crate::voice::tests::tone(SPOKEN_RATE, 440.0, ms))
            .await;
        Ok(())
    }
}

pub fn scripted() -> Engine {
    Engine {
        ears: Arc::new(Scripted),
        mouth: Arc::new(Scripted),
        metered: true,
    }
}

/// A session's log with an engine for calls.
pub struct Voiced {
    pub sessions: Sessions,
    pub store: Arc<SqliteStore>,
    pub session_id: String,
    pub who: Principal,
    engine: Engine,
    settings: CallSettings,
    /// From now on the log panics at what a call wants of it.
    pub breaks: AtomicBool,
    _dir: tempfile::TempDir,
}

impl Voiced {
    pub async fn new(engine: Engine, answer: &'static str) -> Arc<Voiced> {
        let settings = CallSettings::default();
        Voiced::with(engine, answer, settings, Caps::default(), Clock::system()).await
    }

    pub async fn with(
        engine: Engine,
        answer: &'static str,
        settings: CallSettings,
        caps: Caps,
        clock: Clock,
    ) -> Arc<Voiced> {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(dir.path()).await.unwrap());
        let agent = Agent {
            id: "a_1".into(),
            account: "acme".into(),
            ..Agent::default()
        };
        store.put_agent(&agent).await.unwrap();
        let key = WidgetKey {
            id: "k_1".into(),
            account: "acme".into(),
            public_key: "pk_1".into(),
            caps,
            ..WidgetKey::default()
        };
        store.put_key(&key).await.unwrap();
        let runtimes = Runtimes::only(Arc::new(Says(answer)));
        let sessions = Sessions::start_at(store.clone(), runtimes, clock, None)
            .await
            .unwrap();
        let who = super::fake::who("v_owner");
        let session_id = sessions.create(&who, None).await.unwrap().id;
        Arc::new(Voiced {
            sessions,
            store,
            session_id,
            who,
            engine,
            settings,
            breaks: AtomicBool::new(false),
            _dir: dir,
        })
    }

    pub async fn open(self: &Arc<Self>, rtc: &Rtc) -> Client {
        let mut client = self.ask(rtc).await;
        client
            .until("the call", |c| c.has(r#""state":"listening""#))
            .await;
        client
    }

    /// A client that has asked for a call.
    pub async fn ask(self: &Arc<Self>, rtc: &Rtc) -> Client {
        let (mut client, offer) = Client::new().await;
        let answer = rtc
            .connect(self.clone(), &self.who, &self.session_id, &offer)
            .await
            .unwrap();
        client.answer(&answer.sdp);
        client.until("channel opens", |c| c.open).await;
        client.send(r#"{"type":"hello","after":0}"#);
        client.until("synced", |c| c.has("session.synced")).await;
        client.send(r#"{"type":"voice.start"}"#);
        client
    }

    pub async fn log(&self) -> Vec<SessionEvent> {
        self.sessions
            .page(&self.who, &self.session_id, 0)
            .await
            .unwrap()
            .events
    }
}

#[async_trait]
impl Conversation for Voiced {
    async fn check(&self, who: &Principal, session_id: &str) -> Result<(), Fault> {
        Conversation::check(&self.sessions, who, session_id).await
    }

    async fn subscribe(
        &self,
        who: &Principal,
        session_id: &str,
        after: u64,
    ) -> Result<Frames, Fault> {
        Conversation::subscribe(&self.sessions, who, session_id, after).await
    }

    async fn submit(
        &self,
        who: &Principal,
        session_id: &str,
        event: ClientEvent,
    ) -> Result<Accepted, Fault> {
        Conversation::submit(&self.sessions, who, session_id, event).await
    }

    async fn begin_call(&self, who: &Principal, session_id: &str) -> Result<Begun, Fault> {
        Ok(Begun {
            engine: self.engine.clone(),
            settings: self.settings.clone(),
            stay: self
                .sessions
                .begin_stay(who, session_id, self.engine.metered)
                .await?,
            aloud: self.sessions.aloud(who, session_id).await?,
            place: Box::new(()),
        })
    }

    async fn go_on(&self, who: &Principal, session_id: &str, stay: Stay) -> Result<Stay, Fault> {
        assert!(!self.breaks.load(Ordering::Relaxed), "asked for by a test");
        self.sessions.go_on(who, session_id, stay).await
    }

    async fn said(
        &self,
        who: &Principal,
        session_id: &str,
        utterance: &str,
        words: &str,
    ) -> Result<Accepted, Fault> {
        assert!(!self.breaks.load(Ordering::Relaxed), "asked for by a test");
        Conversation::said(&self.sessions, who, session_id, utterance, words).await
    }
}

/// The recorded question, and silence until the turn is over.
pub fn asked() -> Vec<Vec<u8>> {
    let mut spoken = Resampler::new(16_000).push(&question());
    spoken.resize(SPOKEN_RATE as usize * 3, 0);
    packets(&spoken)
}

pub fn energy(heard: &[Vec<u8>]) -> f64 {
    let mut decoder = Decoder::new();
    let pcm = heard
        .iter()
        .filter_map(|packet| decoder.decode(packet))
        .flatten();
    pcm.map(|sample| (f64::from(sample) / 32_768.0).powi(2))
        .sum()
}

#[tokio::test]
async fn what_is_said_is_written_down_and_answered_aloud() {
    let rtc = Rtc::start(config()).await.unwrap();
    let voiced = Voiced::new(scripted(), "At nine.").await;
    let mut client = voiced.open(&rtc).await;
    client.speak(&asked()).await;
    client
        .until("the end of the turn", |c| c.has("session.status_idle"))
        .await;
    let frames = client.frames.concat();
    let order = [
        r#""state":"thinking""#,
        r#""text":"what are","delta":true"#,
        r#""text":"what are your opening hours""#,
        r#""state":"speaking""#,
        "session.status_idle",
    ];
    let mut at = 0;
    for part in order {
        at += frames[at..]
            .find(part)
            .unwrap_or_else(|| panic!("{part} in its place: {frames}"));
    }
    assert!(
        (35..=45).contains(&client.heard.len()),
        "{} packets",
        client.heard.len()
    );
    assert!(energy(&client.heard) > 500.0, "{}", energy(&client.heard));
    let log = voiced.log().await;
    let kinds: Vec<EventType> = log.iter().map(|event| event.kind).collect();
    let expected = [
        EventType::UserTranscript,
        EventType::StatusRunning,
        EventType::AgentMessage,
        EventType::StatusIdle,
    ];
    assert_eq!(kinds, expected);
    assert!(!log[2].interrupted);
    client.send(r#"{"type":"voice.end"}"#);
    client
        .until("the end", |c| c.has(r#""state":"ended""#))
        .await;
    assert_eq!(super::probe(&rtc).await.panics, 0);
}

#[tokio::test]
async fn who_speaks_over_the_agent_silences_it_and_the_log_keeps_what_was_heard() {
    let rtc = Rtc::start(config()).await.unwrap();
    let long = "We open at nine. Then we bake bread until the evening comes and all of it is sold.";
    let voiced = Voiced::new(scripted(), long).await;
    let mut client = voiced.open(&rtc).await;
    client.send(r#"{"type":"user.message","id":"m1","text":"hello"}"#);
    client
        .until("a second of speech", |c| c.heard.len() > 100)
        .await;
    client.speak(&asked()[..60]).await;
    client.until("the cut", |c| c.has("voice.cut")).await;
    client
        .until("the end of the turn", |c| c.has("session.status_idle"))
        .await;
    let log = voiced.log().await;
    let answer = log
        .iter()
        .find(|event| event.kind == EventType::AgentMessage)
        .expect("an answer");
    let text = answer.text.as_deref().expect("a text");
    assert!(answer.interrupted && long.starts_with(text), "{text}");
    assert!(text.starts_with("We open") && text.len() < 60, "{text}");
    let cut = client
        .frames
        .iter()
        .find(|frame| frame.contains("voice.cut"))
        .expect("a cut");
    assert!(
        cut.contains(&format!("\"heard\":{}", text.len())),
        "{cut} {text}"
    );
}

#[tokio::test]
async fn a_call_that_ends_in_mid_answer_leaves_all_of_it_in_the_log() {
    let rtc = Rtc::start(config()).await.unwrap();
    let voiced = Voiced::new(
        scripted(),
        "One two three four five six seven eight nine ten.",
    )
    .await;
    let mut client = voiced.open(&rtc).await;
    client.send(r#"{"type":"user.message","id":"m1","text":"count"}"#);
    client.until("speech", |c| c.heard.len() > 20).await;
    client.send(r#"{"type":"voice.end"}"#);
    client
        .until("the end of the turn", |c| c.has("session.status_idle"))
        .await;
    let log = voiced.log().await;
    assert!(log.iter().any(
        |event| event.text.as_deref().is_some_and(|t| t.ends_with("ten.")) && !event.interrupted
    ));
}

#[tokio::test]
async fn a_call_that_follows_another_at_once_is_heard() {
    let rtc = Rtc::start(config()).await.unwrap();
    let voiced = Voiced::new(scripted(), "At nine.").await;
    let mut client = voiced.open(&rtc).await;
    for _ in 0..3 {
        client.send(r#"{"type":"voice.end"}"#);
        client.send(r#"{"type":"voice.start"}"#);
    }
    client
        .until("the last call", |c| {
            // One that is ended at once may not have come to say that it listens.
            let ended = c.frames.concat().matches(r#""state":"ended""#).count();
            ended == 3 && c.frames.last().is_some_and(|f| f.contains("listening"))
        })
        .await;
    client.speak(&asked()).await;
    client
        .until("the answer", |c| c.has("session.status_idle"))
        .await;
    assert!(!client.has("taken_over"), "{:?}", client.frames);
}

#[tokio::test]
async fn garbage_for_sound_disturbs_neither_its_own_call_nor_another() {
    let rtc = Rtc::start(config()).await.unwrap();
    let voiced = Voiced::new(scripted(), "At nine.").await;
    let well = Voiced::new(scripted(), "At nine.").await;
    let mut client = voiced.open(&rtc).await;
    let mut other = well.open(&rtc).await;
    let mut random = StdRng::seed_from_u64(5);
    let speech = asked();
    for round in 0..1_500 {
        let mut payload: Vec<u8> = (0..random.random_range(0..300))
            .map(|_| random.random())
            .collect();
        if round % 2 == 0 {
            payload.clone_from(&speech[round % speech.len()]);
            let at = random.random_range(0..payload.len());
            payload[at] = random.random();
        }
        client.write_audio(&payload);
        client
            .drive(Instant::now() + Duration::from_millis(1))
            .await;
    }
    other.speak(&speech).await;
    other
        .until("the other's answer", |c| c.has("session.status_idle"))
        .await;
    assert!(other.has("what are your opening hours") && energy(&other.heard) > 500.0);
    client.send(r#"{"type":"ping"}"#);
    client.until("pong", |c| c.has("pong")).await;
    client.send(r#"{"type":"voice.end"}"#);
    client
        .until("the end", |c| c.has(r#""state":"ended""#))
        .await;
    assert_eq!(super::probe(&rtc).await.panics, 0);
}

#[tokio::test]
async fn a_real_voice_is_understood_and_answered_even_on_a_bad_line() {
    // Where flite and pocketsphinx are not installed there is no voice to test.
    let Ok(engine) = local::engine() else { return };
    // A recogniser loads its model in a third of a second, or in twenty where everything is busy; and this client sends no pings while it waits.
    let limit = Duration::from_secs(60);
    let rtc = Rtc::start(RtcConfig {
        peer_timeout: limit,
        ..config()
    })
    .await
    .unwrap();
    let voiced = Voiced::new(engine, "We open at nine.").await;
    let mut client = voiced.open(&rtc).await;
    client.limit = limit;
    client.speak(&asked()).await;
    client
        .until("the answer", |c| c.has("session.status_idle"))
        .await;
    assert!(
        client.has(r#""text":"what are your opening hours""#),
        "{:?}",
        client.frames
    );
    assert!(client.heard.len() > 40 && energy(&client.heard) > 100.0);
    let before = client.frames.len();
    client.bad_line = true;
    client.speak(&asked()).await;
    client
        .until("another answer", |c| {
            c.frames[before..]
                .iter()
                .any(|f| f.contains("session.status_idle"))
        })
        .await;
    // One packet in ten is gone and another late: words may be wrong, the turn and its answer are whole.
    let again = client.frames[before..].concat();
    assert!(
        again.contains(r#""type":"user.transcript","seq":5"#),
        "{again}"
    );
    assert!(again.contains(r#""text":"We open at nine.""#), "{again}");
}
