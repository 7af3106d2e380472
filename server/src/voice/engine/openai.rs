//! `openai`: `/audio/transcriptions` and `/audio/speech` of any compatible server. Words come while they are recognised where the server
//! streams them, sound is played while it is made. The key stays here.

use super::{Engine, SoFar, SpeechFailure, SpeechToText, TextToSpeech, WORDS_MAX_BYTES};
use crate::agent::openai::sse::Parser;
use crate::outbound::{self, Form, Sips, Trouble, Verdict, endpoint};
use crate::secret::Secret;
use crate::voice::samples::{BITE, Samples};
use crate::voice::{HEARD_RATE, SPOKEN_RATE, wav};
use async_trait::async_trait;
use futures::StreamExt as _;
use reqwest::header::HeaderMap;
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
    let client = outbound::client(CONNECT)?;
    let provider = Arc::new(Provider {
        transcriptions: endpoint(&config.base_url, "/audio/transcriptions")?,
        speech: endpoint(&config.base_url, "/audio/speech")?,
        sips: Sips::new(client.clone(), CONNECT)?,
        client,
        headers: outbound::bearer(config.api_key.as_ref(), "OPENAI_API_KEY")?,
        config,
    });
    Ok(Engine {
        ears: provider.clone(),
        mouth: provider,
        metered: true,
    })
}

struct Provider {
    config: VoiceConfig,
    transcriptions: Url,
    speech: Url,
    headers: HeaderMap,
    client: reqwest::Client,
    /// For sound: a second of it has 48 kB.
    sips: Sips,
}

impl Provider {
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, SpeechFailure> {
        let sending = request.headers(self.headers.clone()).send();
        in_time(async { sending.await.map_err(|error| Trouble::from(&error)) }).await
    }

    async fn recognise(&self, speech: &[u8], stream: bool) -> Result<Response, SpeechFailure> {
        let mut form = Form::new()
            .text("model", &self.config.stt_model)
            .text("response_format", "json");
        if stream {
            form = form.text("stream", "true");
        }
        let form = form.file("file", "speech.wav", "audio/wav", speech);
        let request = self.client.post(self.transcriptions.clone());
        self.send(form.send_with(request)).await
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
        drop(pcm);
        let mut response = self.recognise(&file, true).await?;
        // Some servers refuse what they do not know.
        if matches!(
            response.status(),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
        ) {
            response = self.recognise(&file, false).await?;
        }
        refused(&response)?;
        let streams = outbound::kind(&response).starts_with("text/event-stream");
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
        let request = self.client.post(self.speech.clone());
        let request = request.headers(self.headers.clone()).json(&body);
        let response = in_time(self.sips.send(request)).await?;
        refused(&response)?;
        let kind = outbound::kind(&response);
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
            // In bites: this waits where the call has enough, and a server that is near sends half a megabyte at once.
            for bite in piece.chunks(BITE) {
                let pcm = samples.read(bite);
                if !pcm.is_empty() && sound.send(pcm).await.is_err() {
                    return Ok(());
                }
            }
        }
        let _ = sound.send(samples.finish()).await;
        Ok(())
    }
}

async fn in_time(
    sending: impl Future<Output = Result<Response, Trouble>>,
) -> Result<Response, SpeechFailure> {
    match timeout(PATIENCE, sending).await {
        Ok(answer) => answer.map_err(failure),
        Err(_) => Err(SpeechFailure::new("the provider gave no answer in time")),
    }
}

async fn next<B: AsRef<[u8]>>(
    bytes: &mut (impl futures::Stream<Item = reqwest::Result<B>> + Unpin),
) -> Result<Option<B>, SpeechFailure> {
    match timeout(PATIENCE, bytes.next()).await {
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(error))) => Err(failure(Trouble::from(&error))),
        Ok(None) => Ok(None),
        Err(_) => Err(SpeechFailure::new("the provider's stream went silent")),
    }
}

fn refused(response: &Response) -> Result<(), SpeechFailure> {
    let number = response.status().as_u16();
    let why = match Verdict::of(number) {
        Verdict::Done => return Ok(()),
        Verdict::Key => "refuses the key; check OPENAI_API_KEY",
        Verdict::Unknown => {
            "knows no such address or model; check OPENAI_BASE_URL, OPENAI_STT_MODEL and OPENAI_TTS_MODEL"
        }
        Verdict::Busy => "refuses because of load",
        Verdict::Redirected | Verdict::Failed => "failed",
    };
    Err(SpeechFailure(format!("the provider {why} (HTTP {number})")))
}

fn failure(trouble: Trouble) -> SpeechFailure {
    SpeechFailure::new(match trouble {
        Trouble::Connection => "no connection to the provider; check OPENAI_BASE_URL",
        Trouble::Cut => "the provider's stream was cut",
        Trouble::Time | Trouble::Other => "the request to the provider failed",
    })
}

#[cfg(test)]
mod tests;
