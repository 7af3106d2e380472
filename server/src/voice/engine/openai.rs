//! `openai`: `/audio/transcriptions` and `/audio/speech` of any compatible server. Words come while they are recognised where the server
//! streams them, sound is played while it is made. The key stays here.

use super::{Engine, SoFar, SpeechFailure, SpeechToText, TextToSpeech, WORDS_MAX_BYTES};
use crate::agent::openai::sse::Parser;
use crate::secret::Secret;
use crate::voice::{HEARD_RATE, Resampler, SPOKEN_RATE, wav};
use async_trait::async_trait;
use futures::StreamExt as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use url::Url;

const CONNECT: Duration = Duration::from_secs(10);
/// To the first byte of an answer, and between two.
const PATIENCE: Duration = Duration::from_secs(30);
/// A turn is 30 seconds at most; its words fit into this many times over.
const ANSWER_MAX_BYTES: usize = 256 * 1024;
/// Sound of one sentence: two minutes.
const SOUND_MAX_BYTES: usize = SPOKEN_RATE as usize * 2 * 120;

#[derive(Clone, Debug)]
pub struct VoiceConfig {
    pub base_url: String,
    pub api_key: Option<Secret>,
    /// `OPENAI_STT_MODEL`.
    pub stt_model: String,
    /// `OPENAI_TTS_MODEL`.
    pub tts_model: String,
    /// `OPENAI_TTS_VOICE`.
    pub voice: String,
}

pub fn engine(config: VoiceConfig) -> Result<Engine, String> {
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        // A redirect would carry the key to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("karta-server/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| "the HTTP client cannot be built".to_owned())?;
    let mut headers = HeaderMap::new();
    if let Some(key) = &config.api_key {
        let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
        let mut value = value.map_err(|_| "OPENAI_API_KEY is not a header value".to_owned())?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let provider = Arc::new(Provider {
        transcriptions: endpoint(&config.base_url, "/audio/transcriptions")?,
        speech: endpoint(&config.base_url, "/audio/speech")?,
        client,
        headers,
        config,
    });
    Ok(Engine {
        ears: provider.clone(),
        mouth: provider,
    })
}

fn endpoint(base: &str, path: &str) -> Result<Url, String> {
    let mut url =
        Url::parse(base).map_err(|_| "OPENAI_BASE_URL is not a web address".to_owned())?;
    let before = url.path().trim_end_matches('/');
    let before = before.strip_suffix("/chat/completions").unwrap_or(before);
    let path = format!("{before}{path}");
    url.set_path(&path);
    url.set_fragment(None);
    Ok(url)
}

struct Provider {
    config: VoiceConfig,
    transcriptions: Url,
    speech: Url,
    headers: HeaderMap,
    client: reqwest::Client,
}

impl Provider {
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, SpeechFailure> {
        let sending = request.headers(self.headers.clone()).send();
        match timeout(PATIENCE, sending).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(SpeechFailure::new("the provider gave no answer in time")),
        }
    }

    async fn recognise(&self, speech: &[u8], stream: bool) -> Result<Response, SpeechFailure> {
        let boundary = format!("karta-{:032x}", rand::random::<u128>());
        let mut body = Vec::with_capacity(speech.len() + 1_024);
        let mut field = |name: &str, value: &str| {
            let part = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
            body.extend(part.into_bytes());
        };
        field("model", &self.config.stt_model);
        field("response_format", "json");
        if stream {
            field("stream", "true");
        }
        let file = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"speech.wav\"\r\nContent-Type: audio/wav\r\n\r\n"
        );
        body.extend(file.into_bytes());
        body.extend(speech);
        body.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
        let kind = format!("multipart/form-data; boundary={boundary}");
        let request = self.client.post(self.transcriptions.clone());
        self.send(request.header(CONTENT_TYPE, kind).body(body))
            .await
    }
}

#[async_trait]
impl SpeechToText for Provider {
    async fn transcribe(
        &self,
        mut speech: mpsc::Receiver<Vec<i16>>,
        so_far: &dyn SoFar,
    ) -> Result<String, SpeechFailure> {
        let mut pcm = Vec::new();
        while let Some(piece) = speech.recv().await {
            pcm.extend(piece);
        }
        let file = wav::write(HEARD_RATE, &pcm);
        let mut response = self.recognise(&file, true).await?;
        // Some servers refuse what they do not know.
        if matches!(
            response.status(),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
        ) {
            response = self.recognise(&file, false).await?;
        }
        refused(&response)?;
        let streams = kind(&response).starts_with("text/event-stream");
        let mut words = Words::default();
        let mut whole = Vec::new();
        let mut parser = Parser::default();
        let mut length = 0;
        let mut bytes = response.bytes_stream();
        while let Some(piece) = next(&mut bytes).await? {
            length += piece.len();
            if length > ANSWER_MAX_BYTES {
                return Err(SpeechFailure::new("the provider's answer has no end"));
            }
            if !streams {
                whole.extend_from_slice(&piece);
                continue;
            }
            let events = parser.read(&piece);
            for event in
                events.map_err(|_| SpeechFailure::new("the provider's stream cannot be read"))?
            {
                words.event(&event, so_far)?;
            }
        }
        if streams {
            if let Some(event) = parser.finish() {
                words.event(&event, so_far)?;
            }
            return Ok(words.text);
        }
        let answer: Value = serde_json::from_slice(&whole).map_err(|_| no_transcript())?;
        let text = answer.get("text").and_then(Value::as_str);
        text.map(ToOwned::to_owned).ok_or_else(no_transcript)
    }
}

fn no_transcript() -> SpeechFailure {
    SpeechFailure::new("the provider's answer is no transcript")
}

/// Streamed words: `transcript.text.delta` until `transcript.text.done` has all of them.
#[derive(Default)]
struct Words {
    text: String,
}

impl Words {
    fn event(&mut self, data: &str, so_far: &dyn SoFar) -> Result<(), SpeechFailure> {
        if data.trim() == "[DONE]" {
            return Ok(());
        }
        let event: Value = serde_json::from_str(data).map_err(|_| no_transcript())?;
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "transcript.text.delta" => {
                self.text.push_str(text("delta"));
                so_far.words(&self.text);
            }
            "transcript.text.done" => self.text = text("text").to_owned(),
            "error" => {
                return Err(SpeechFailure::new(
                    "the provider failed while it recognised",
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

#[async_trait]
impl TextToSpeech for Provider {
    async fn speak(
        &self,
        words: &str,
        sound: &mpsc::Sender<Vec<i16>>,
    ) -> Result<(), SpeechFailure> {
        let body = json!({
            "model": self.config.tts_model,
            "voice": self.config.voice,
            "input": &words[..words.floor_char_boundary(WORDS_MAX_BYTES)],
            "response_format": "pcm",
        });
        let response = self
            .send(self.client.post(self.speech.clone()).json(&body))
            .await?;
        refused(&response)?;
        let kind = kind(&response);
        if kind.starts_with("application/json") || kind.contains("mpeg") || kind.contains("ogg") {
            return Err(SpeechFailure::new("the provider does not speak `pcm`"));
        }
        let mut samples = Samples::default();
        let mut length = 0;
        let mut bytes = response.bytes_stream();
        while let Some(piece) = next(&mut bytes).await? {
            length += piece.len();
            if length > SOUND_MAX_BYTES {
                break;
            }
            let pcm = samples.read(&piece);
            if !pcm.is_empty() && sound.send(pcm).await.is_err() {
                return Ok(());
            }
        }
        let _ = sound.send(samples.finish()).await;
        Ok(())
    }
}

/// Bytes as they come → samples: bare ones at 24 kHz, as published, or those of a WAV file, as some servers answer all the same.
#[derive(Default)]
struct Samples {
    bytes: Vec<u8>,
    form: Option<(usize, Resampler)>,
}

/// A WAV header is found within this, or there is none.
const HEADER_MAX: usize = 4_096;

impl Samples {
    fn read(&mut self, piece: &[u8]) -> Vec<i16> {
        self.bytes.extend_from_slice(piece);
        if self.form.is_none() {
            let could_be = self.bytes.starts_with(&b"RIFF"[..self.bytes.len().min(4)]);
            self.form = match wav::header(&self.bytes) {
                Some((rate, channels, data)) => {
                    self.bytes.drain(..data);
                    Some((channels, Resampler::new(rate)))
                }
                None if could_be && self.bytes.len() < HEADER_MAX => return Vec::new(),
                None => Some((1, Resampler::new(SPOKEN_RATE))),
            };
        }
        let Some((channels, resampler)) = &mut self.form else {
            return Vec::new();
        };
        let size = 2 * *channels;
        let whole = self.bytes.len() / size * size;
        let pcm: Vec<i16> = self.bytes[..whole]
            .chunks_exact(size)
            .map(|sample| i16::from_le_bytes([sample[0], sample[1]]))
            .collect();
        self.bytes.drain(..whole);
        resampler.push(&pcm)
    }

    fn finish(&mut self) -> Vec<i16> {
        match &mut self.form {
            Some((_, resampler)) => resampler.finish(),
            None => Vec::new(),
        }
    }
}

async fn next<B: AsRef<[u8]>>(
    bytes: &mut (impl futures::Stream<Item = reqwest::Result<B>> + Unpin),
) -> Result<Option<B>, SpeechFailure> {
    match timeout(PATIENCE, bytes.next()).await {
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(error))) => Err(failure(&error)),
        Ok(None) => Ok(None),
        Err(_) => Err(SpeechFailure::new("the provider's stream went silent")),
    }
}

fn kind(response: &Response) -> String {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .trim_start()
        .to_ascii_lowercase()
}

/// What the provider wrote stays unread: it may quote the key or what was said.
fn refused(response: &Response) -> Result<(), SpeechFailure> {
    let number = response.status().as_u16();
    let why = match number {
        200..=299 => return Ok(()),
        401 | 403 => "refuses the key; check OPENAI_API_KEY",
        404 => {
            "knows no such address or model; check OPENAI_BASE_URL, OPENAI_STT_MODEL and OPENAI_TTS_MODEL"
        }
        429 | 503 | 529 => "refuses because of load",
        _ => "failed",
    };
    Err(SpeechFailure(format!("the provider {why} (HTTP {number})")))
}

/// Categories only: reqwest's own words can hold the address, and an address can hold a password.
fn failure(error: &reqwest::Error) -> SpeechFailure {
    SpeechFailure::new(if error.is_connect() {
        "no connection to the provider; check OPENAI_BASE_URL"
    } else if error.is_body() || error.is_decode() {
        "the provider's stream was cut"
    } else {
        "the request to the provider failed"
    })
}

#[cfg(test)]
mod tests;
