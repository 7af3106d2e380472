//! The provider of a load test: an OpenAI-compatible server that takes no time at all. Its voice hums; it understands the same words in
//! every sound.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::post;
use serde_json::json;

/// One sentence, so that it is spoken without a seam.
const SENTENCE_S: usize = 10;
const RATE: usize = 24_000;

/// Answers this text to everything, and hums for ten seconds a sentence. Gives the base URL.
pub async fn start(answer: &str) -> std::io::Result<String> {
    let hum: Vec<u8> = (0..RATE * SENTENCE_S)
        .flat_map(|n| {
            let angle = n as f64 * 440.0 * std::f64::consts::TAU / RATE as f64;
            ((angle.sin() * 8_000.0) as i16).to_le_bytes()
        })
        .collect();
    let words: Vec<String> = answer
        .split_inclusive(' ')
        .map(|word| {
            let choice = json!({"choices": [{"index": 0, "delta": {"content": word}}]});
            format!("data: {choice}\n\n")
        })
        .collect();
    let stream = Bytes::from(words.concat() + "data: [DONE]\n\n");
    let hum = Bytes::from(hum);
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
            post(async |State((_, hum)): State<(Bytes, Bytes)>| {
                ([(header::CONTENT_TYPE, "application/octet-stream")], hum)
            }),
        )
        .with_state((stream, hum));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/v1"))
}
