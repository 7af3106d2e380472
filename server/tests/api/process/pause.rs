//! `KARTA_VOICE_PAUSE_MS`, from the environment of the process to the end of a visitor's turn.

use super::{Running, karta, make_key};
use crate::channel::client::Client;
use crate::server::PAGE;
use karta_server::voice::codec::Encoder;
use karta_server::voice::{FRAME, Resampler, wav};
use serde_json::json;

#[path = "../../../examples/load/provider.rs"]
mod provider;

const QUESTION: &[u8] = include_bytes!("../../../../fixtures/voice/opening-hours.wav");

fn packets(pcm: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new();
    let frames = pcm.as_chunks::<FRAME>().0.iter();
    frames
        .map(|frame| encoder.encode(frame).expect("a packet"))
        .collect()
}

/// Milliseconds of silence, by the packets that carry it, after which the question is taken for ended.
async fn silence_ms(pause_ms: &str) -> usize {
    let data = tempfile::tempdir().expect("a folder");
    let provider = provider::start("At nine.").await.expect("a provider");
    let key = make_key(data.path()).await;
    let talks = ["agents", "update", "a_first", "--voice", "openai"];
    let talks = karta(data.path(), &talks).output().await.expect("ran");
    assert!(talks.status.success(), "{talks:?}");
    let variables = [
        // Nobody reads the log while it runs.
        ("KARTA_LOG", "warn"),
        ("KARTA_VOICE_PAUSE_MS", pause_ms),
        ("OPENAI_BASE_URL", provider.as_str()),
        ("OPENAI_STT_MODEL", "stand-in"),
        ("OPENAI_TTS_MODEL", "stand-in"),
    ];
    let server = Running::start_with(data.path(), &variables).await;
    let guest = json!({"client_key": key["public_key"]});
    let guest = server.post("/auth/guest", "", guest).await;
    let token = guest["token"].as_str().expect("a token");
    let session = server.post("/sessions", token, json!({})).await;
    let session = session["id"].as_str().expect("an id");

    let (mut client, offer) = Client::new().await;
    let answer = reqwest::Client::new()
        .post(format!("{}/sessions/{session}/connect", server.http))
        .header("origin", PAGE)
        .header("content-type", "application/sdp")
        .bearer_auth(token)
        .body(offer);
    let answer = answer.send().await.expect("answered").text().await;
    client.answer(&answer.expect("text"));
    client.until("channel opens", |c| c.open).await;
    client.send(r#"{"type":"hello","after":0}"#);
    client.send(r#"{"type":"voice.start"}"#);
    client
        .until("the call", |c| c.has(r#""state":"listening""#))
        .await;
    let (rate, pcm) = wav::read(QUESTION).expect("a WAV file");
    let mut spoken = Resampler::new(rate).push(&pcm);
    let question = spoken.len().div_ceil(FRAME);
    spoken.resize((question + 500) * FRAME, 0);
    // One stream: a first packet of silence, over and over, is a noise.
    let stream = packets(&spoken);
    client.speak(&stream[..question]).await;
    let mut silence = stream[question..].chunks(1);
    let mut ms = 0;
    while !client.has(r#""state":"thinking""#) {
        let packet = silence.next().expect("the turn ends");
        client.speak(packet).await;
        ms += 20;
    }
    server.stop_quietly().await;
    ms
}

#[tokio::test]
async fn the_end_of_a_turn_is_found_after_the_pause_that_the_operator_chose() {
    let (short, long) = tokio::join!(silence_ms("200"), silence_ms("1500"));
    // The recording ends with an eighth of a second of silence.
    assert!(
        short < 1_300 && (1_300..5_000).contains(&long),
        "{short} {long}"
    );
}
