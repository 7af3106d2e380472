//! The provider of a load test: an OpenAI-compatible server that takes no time at all. Its voice says the same for ten seconds; it
//! understands the same words in every sound.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::post;
use karta_server::voice::{Resampler, wav};
use serde_json::json;

/// One sentence, so that it is spoken without a seam.
const SENTENCE_S: usize = 10;
const RATE: usize = 24_000;
const RECORDING: &[u8] = include_bytes!("../../../fixtures/voice/opening-hours.wav");

/// Answers this text to everything, and speaks for ten seconds a sentence: the recording, again and again. Gives the base URL.
pub async fn start(answer: &str) -> std::io::Result<String> {
    let (rate, recording) = wav::read(RECORDING).expect("the recording is a WAV file");
    let voice = Resampler::new(rate).push(&recording);
    let samples = voice.iter().cycle().take(RATE * SENTENCE_S);
    let sound: Vec<u8> = samples.flat_map(|sample| sample.to_le_bytes()).collect();
    let words: Vec<String> = answer
        .split_inclusive(' ')
        .map(|word| {
            let choice = json!({"choices": [{"index": 0, "delta": {"content": word}}]});
            format!("data: {choice}\n\n")
        })
        .collect();
    let stream = Bytes::from(words.concat() + "data: [DONE]\n\n");
    let sound = Bytes::from(sound);
    let router = Router::new()
        .route(
            "/v1/chat/completions",
            post(async |State((stream, _)): State<(Bytes, Bytes)>| {
                ([(header::CONTENT_TYPE, "text/event-stream")], stream)
            }),
        )
        .route(
            "/v1/audio/transcriptions",
            post(async || axum::Json(json!({"text": "hello"})).into_response()),
        )
        .route(
            "/v1/audio/speech",
            post(async |State((_, sound)): State<(Bytes, Bytes)>| {
                ([(header::CONTENT_TYPE, "application/octet-stream")], sound)
            }),
        )
        .with_state((stream, sound));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/v1"))
}
