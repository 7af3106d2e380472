//! The engine against a stand-in that follows the vendor's published shapes, and against what goes wrong.

use super::*;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Response as Reply;
use axum::routing::post;
use std::sync::Mutex;
use tokio::sync::Notify;

const KEY: &str = "sk-very-secret";

type Answers = Arc<Mutex<std::vec::IntoIter<(u16, &'static str, Vec<Vec<u8>>)>>>;
type Seen = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

struct StandIn {
    engine: Engine,
    seen: Seen,
    /// Lets the answer go on.
    go: Arc<Notify>,
}

/// In the place of a piece: what comes after it is held back until [`StandIn::go`].
const HELD: Vec<u8> = Vec::new();

impl StandIn {
    /// Each request gets the next answer: status, content type, pieces.
    async fn start(answers: Vec<(u16, &'static str, Vec<Vec<u8>>)>) -> StandIn {
        let answers: Answers = Arc::new(Mutex::new(answers.into_iter()));
        let seen = Seen::default();
        let saw = seen.clone();
        let go = Arc::new(Notify::new());
        let gone_on = go.clone();
        let handler = move |headers: axum::http::HeaderMap, body: Bytes| async move {
            let text = |name: &str| {
                headers
                    .get(name)
                    .map_or(String::new(), |v| v.to_str().expect("text").to_owned())
            };
            saw.lock().expect("whole").push((
                text("authorization"),
                text("content-type"),
                body.to_vec(),
            ));
            let (status, kind, pieces) = answers
                .lock()
                .expect("whole")
                .next()
                .expect("no more requests");
            let pieces = futures::stream::iter(pieces).filter_map(move |piece| {
                let go = gone_on.clone();
                async move {
                    if piece == HELD {
                        go.notified().await;
                        return None;
                    }
                    Some(Ok::<_, std::io::Error>(piece))
                }
            });
            let reply = Reply::builder().status(status).header("content-type", kind);
            reply.body(Body::from_stream(pieces)).expect("a reply")
        };
        let router = Router::new()
            .route("/v1/audio/transcriptions", post(handler.clone()))
            .route("/v1/audio/speech", post(handler));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let base_url = format!("http://{}/v1/", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        StandIn {
            engine: engine(config(&base_url)).expect("an engine"),
            seen,
            go,
        }
    }

    async fn transcribe(&self) -> (Result<String, SpeechFailure>, Vec<String>) {
        let (sender, speech) = mpsc::channel(10);
        sender.send(vec![1; 160]).await.expect("room");
        sender.send(vec![2; 160]).await.expect("room");
        drop(sender);
        let partial = Mutex::new(Vec::new());
        let so_far = |words: &str| partial.lock().expect("whole").push(words.to_owned());
        let result = self.engine.ears.transcribe(speech, &so_far).await;
        (result, partial.into_inner().expect("whole"))
    }

    async fn speak(&self, words: &str) -> Result<Vec<i16>, SpeechFailure> {
        let (sender, mut sound) = mpsc::channel(1_000);
        self.engine.mouth.speak(words, &sender).await?;
        drop(sender);
        let mut all = Vec::new();
        while let Some(piece) = sound.recv().await {
            all.extend(piece);
        }
        Ok(all)
    }
}

fn config(base_url: &str) -> VoiceConfig {
    VoiceConfig {
        base_url: base_url.into(),
        api_key: Some(Secret::new(KEY)),
        stt_model: "hears".into(),
        tts_model: "speaks".into(),
        voice: "alloy".into(),
    }
}

fn pieces(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[tokio::test]
async fn a_turn_goes_out_as_a_wav_file_and_comes_back_as_words() {
    let stand_in = StandIn::start(vec![(
        200,
        "application/json",
        pieces(&[r#"{"text":"#, r#""hello there"}"#]),
    )])
    .await;
    let (words, partial) = stand_in.transcribe().await;
    assert_eq!((words, partial), (Ok("hello there".into()), vec![]));
    let (key, kind, body) = stand_in.seen.lock().expect("whole")[0].clone();
    assert_eq!(key, format!("Bearer {KEY}"));
    assert!(kind.starts_with("multipart/form-data; boundary=karta-"));
    let text = String::from_utf8_lossy(&body);
    for part in [
        "name=\"model\"\r\n\r\nhears\r\n",
        "name=\"stream\"\r\n\r\ntrue\r\n",
        "filename=\"speech.wav\"",
    ] {
        assert!(text.contains(part), "{part}");
    }
    let at = body
        .windows(4)
        .position(|bytes| bytes == b"RIFF")
        .expect("a file");
    let (rate, pcm) = wav::read(&body[at..]).expect("a WAV file");
    assert_eq!((rate, &pcm[158..162]), (16_000, &[1, 1, 2, 2][..]));
}

#[tokio::test]
async fn streamed_words_are_shown_as_they_come() {
    let stream = pieces(&[
        "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hel",
        "lo\"}\n\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\" there\"}\n\n",
        "data: {\"type\":\"transcript.text.done\",\"text\":\"Hello there.\"}\n\n",
    ]);
    let stand_in = StandIn::start(vec![(200, "text/event-stream; charset=utf-8", stream)]).await;
    let (words, partial) = stand_in.transcribe().await;
    assert_eq!(words, Ok("Hello there.".into()));
    assert_eq!(partial, ["hello", "hello there"]);
}

#[tokio::test]
async fn a_server_that_cannot_stream_is_asked_again_without() {
    let stand_in = StandIn::start(vec![
        (400, "application/json", pieces(&["{}"])),
        (200, "application/json", pieces(&[r#"{"text":"yes"}"#])),
    ])
    .await;
    assert_eq!(stand_in.transcribe().await.0, Ok("yes".into()));
    let again = stand_in.seen.lock().expect("whole")[1].2.clone();
    assert!(!String::from_utf8_lossy(&again).contains("\"stream\""));
}

#[tokio::test]
async fn speech_is_played_as_it_comes_whatever_its_pieces() {
    let pcm: Vec<i16> = (0..1_000).collect();
    let bytes: Vec<u8> = pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut odd: Vec<Vec<u8>> = bytes.chunks(77).map(<[u8]>::to_vec).collect();
    odd.insert(odd.len() / 2, HELD);
    let stand_in = StandIn::start(vec![(200, "audio/pcm", odd)]).await;
    let (sender, mut sound) = mpsc::channel(1_000);
    let mouth = &stand_in.engine.mouth;
    let speaking = async move { mouth.speak("Hello.", &sender).await };
    let hearing = async {
        // The server has not made the second half before the first of it is played.
        let mut heard = sound.recv().await.unwrap_or_default();
        assert!(!heard.is_empty() && heard.len() <= 600, "{}", heard.len());
        stand_in.go.notify_one();
        while let Some(piece) = sound.recv().await {
            heard.extend(piece);
        }
        heard
    };
    assert_eq!(tokio::join!(speaking, hearing), (Ok(()), pcm));
    let body: Value =
        serde_json::from_slice(&stand_in.seen.lock().expect("whole")[0].2).expect("JSON");
    let expected =
        json!({"model": "speaks", "voice": "alloy", "input": "Hello.", "response_format": "pcm"});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_wav_file_is_played_at_its_own_rate() {
    let file = wav::write(12_000, &[1_000; 6_000]);
    let split = file.chunks(20).map(<[u8]>::to_vec).collect();
    let stand_in = StandIn::start(vec![(200, "audio/wav", split)]).await;
    let sound = stand_in.speak("Hello.").await.expect("sound");
    assert!((11_950..12_050).contains(&sound.len()), "{}", sound.len());
    assert!((980..1_020).contains(&sound[6_000]));
}

#[tokio::test]
async fn failures_say_what_to_check_and_nothing_that_is_secret() {
    for (status, kind, body, words) in [
        (
            401,
            "application/json",
            "bad key sk-very-secret",
            "OPENAI_API_KEY",
        ),
        (404, "application/json", "", "OPENAI_STT_MODEL"),
        (429, "application/json", "", "load"),
        (500, "text/html", "<html>", "HTTP 500"),
        (200, "application/json", "[]", "no transcript"),
        (200, "text/event-stream", "data: {oops\n\n", "no transcript"),
        (
            200,
            "text/event-stream",
            "data: {\"type\":\"error\"}\n\n",
            "failed",
        ),
    ] {
        let stand_in = StandIn::start(vec![(status, kind, pieces(&[body]))]).await;
        let failure = stand_in
            .transcribe()
            .await
            .0
            .expect_err("a failure")
            .to_string();
        assert!(
            failure.contains(words) && !failure.contains(KEY),
            "{status}: {failure}"
        );
    }
    let stand_in = StandIn::start(vec![(200, "audio/mpeg", vec![vec![1; 9]])]).await;
    assert!(stand_in.speak("x").await.is_err());
    assert!(!format!("{:?}", config("http://127.0.0.1:9")).contains(KEY));
    let nowhere = engine(config("http://127.0.0.1:9/v1")).expect("an engine");
    let (sender, _sound) = mpsc::channel(1);
    let failure = nowhere
        .mouth
        .speak("x", &sender)
        .await
        .expect_err("nobody there");
    assert!(failure.to_string().contains("OPENAI_BASE_URL"));
}
