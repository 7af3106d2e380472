//! `openai-realtime`: `POST /realtime/calls` of OpenAI, or of a server that speaks the same, `oai-events` on the data channel. The
//! unified variant: offer and session in one form, so that the key stays here and the browser never gets one.

use super::http::{self, Http, PATIENCE};
use super::{CallName, CallRequest, Candidate, Handed, Realtime, Refusal};
use crate::outbound::Form;
use crate::secret::Secret;
use async_trait::async_trait;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;
use url::Url;

#[derive(Clone, Debug)]
pub struct OpenAiRealtimeConfig {
    /// `OPENAI_REALTIME_BASE_URL`, else `OPENAI_BASE_URL`.
    pub url: Url,
    /// `OPENAI_REALTIME_API_KEY`, else, for the same address, `OPENAI_API_KEY`.
    pub key: Option<Secret>,
    /// `OPENAI_REALTIME_MODEL`.
    pub model: String,
    /// `OPENAI_REALTIME_VOICE`.
    pub voice: String,
    /// `OPENAI_STT_MODEL`: what writes down what the visitor says.
    pub transcriber: String,
}

pub struct OpenAiRealtime {
    http: Http,
    calls: Url,
    config: OpenAiRealtimeConfig,
}

const DEFAULT_INSTRUCTION: &str = "You are a friendly, direct assistant on a company's website, in a spoken conversation. Answer in the \
     visitor's language, briefly and concretely. If you do not know something, say so.";

impl OpenAiRealtime {
    pub fn new(config: OpenAiRealtimeConfig) -> Result<OpenAiRealtime, String> {
        OpenAiRealtime::patient(config, PATIENCE)
    }

    pub fn patient(
        config: OpenAiRealtimeConfig,
        patience: Duration,
    ) -> Result<OpenAiRealtime, String> {
        Ok(OpenAiRealtime {
            http: Http::new(config.key.as_ref(), "OPENAI_REALTIME_API_KEY", patience)?,
            calls: http::below(&config.url, &["realtime", "calls"]),
            config,
        })
    }

    /// `RealtimeSessionCreateRequest` of the vendor's types.
    pub fn session(&self, call: &CallRequest) -> Value {
        let mut transcription = json!({"model": self.config.transcriber});
        // ISO-639-1; a region would be refused.
        if let Some(language) = call.language.as_deref().and_then(|l| l.split('-').next())
            && language.len() == 2
        {
            transcription["language"] = json!(language.to_ascii_lowercase());
        }
        json!({
            "type": "realtime",
            "model": self.config.model,
            "instructions": instructions(call),
            "output_modalities": ["audio"],
            "audio": {
                "input": {
                    "transcription": transcription,
                    "turn_detection": {"type": "server_vad", "create_response": true, "interrupt_response": true},
                },
                "output": {"voice": self.config.voice},
            },
        })
    }
}

/// Instruction, name, and what was said before: the session takes no items of a conversation.
fn instructions(call: &CallRequest) -> String {
    let mut text = call
        .instruction
        .clone()
        .unwrap_or_else(|| DEFAULT_INSTRUCTION.to_owned());
    if !call.agent_name.is_empty() {
        let _ = write!(text, "\n\nYour name is {}.", call.agent_name);
    }
    if !call.told.is_empty() {
        text.push_str("\n\nThe conversation so far, in writing:");
        for told in &call.told {
            let who = if told.by_visitor { "Visitor" } else { "You" };
            let _ = write!(text, "\n{who}: {}", told.text.replace('\n', " "));
        }
    }
    text
}

#[async_trait]
impl Realtime for OpenAiRealtime {
    async fn offer(&self, call: &CallRequest) -> Result<Handed, Refusal> {
        let session = self.session(call).to_string();
        let form = Form::new()
            .typed("sdp", "application/sdp", &call.sdp)
            .typed("session", "application/json", &session);
        let request = self.http.post(self.calls.clone());
        let request = form.send_with(request.header(ACCEPT, "application/sdp"));
        let answer = self.http.send(request).await?;
        let answer = answer.ok_or_else(|| {
            Refusal::failed("the provider knows no realtime calls or no such model (HTTP 404)")
        })?;
        if !(answer.kind.starts_with("application/sdp") || answer.kind.starts_with("text/plain")) {
            return Err(Refusal::failed("the provider's answer is no SDP"));
        }
        let sdp = String::from_utf8(answer.body)
            .map_err(|_| Refusal::failed("the provider's answer is no SDP"))?;
        super::answer(&sdp)?;
        // Only its last part is read: where a call is ended follows from our own configuration.
        let location = answer.location.unwrap_or_default();
        let path = location.split(['?', '#']).next().unwrap_or_default();
        let call = path.trim_end_matches('/').rsplit('/').next();
        Ok(Handed {
            call: super::name(call.unwrap_or_default())?,
            sdp,
        })
    }

    /// The vendor needs none: its own candidates are public.
    async fn trickle(&self, _call: &str, _candidates: &[Candidate]) -> Result<(), Refusal> {
        Ok(())
    }

    async fn hang_up(&self, name: &CallName) -> Result<(), Refusal> {
        let url = http::below(&self.calls, &[&name.call, "hangup"]);
        // None: it is over, and forgotten.
        self.http.send(self.http.post(url)).await.map(|_| ())
    }
}
