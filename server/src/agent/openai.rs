//! The `openai` runtime: streams from any OpenAI-compatible `POST {base}/chat/completions` (OpenAI, Ollama, vLLM, llama.cpp,
//! LM Studio, LiteLLM, OpenRouter). Reads leniently, because "compatible" means something else to each of them.
//! Tools are not offered to the model yet.

use super::builtin::{courtesy, rank};
use super::{ANSWER_MAX_BYTES, AgentFailure, Answer, Line, Runtime, Sink, Turn, tokens_in};
use crate::store::{Found, Store};
use async_trait::async_trait;
use chunk::{Chunk, Completion, Reader};
use futures::StreamExt as _;
use karta_protocol::{Source, Usage};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

mod chunk;
mod config;
mod prompt;
pub(crate) mod sse;
#[cfg(test)]
mod tests;

pub use config::{OpenAiConfig, Patience, Secret};

/// A model that has said nothing for so long is thinking, as far as the visitor can tell.
const QUIET: Duration = Duration::from_millis(300);
/// Passages of the owner's documents that go with a question.
const PASSAGES: usize = 6;

pub struct OpenAi {
    store: Arc<dyn Store>,
    url: Result<Url, String>,
    config: OpenAiConfig,
    patience: Patience,
    client: reqwest::Client,
}

impl OpenAi {
    pub fn new(store: Arc<dyn Store>, config: OpenAiConfig, patience: Patience) -> Self {
        let client = reqwest::Client::builder()
            .connect_timeout(patience.connect)
            // A redirect would carry the key to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("karta-server/", env!("CARGO_PKG_VERSION")))
            .build()
            // Only a broken TLS set-up of the machine fails here, at start, where it is seen.
            .expect("the HTTP client can be built");
        Self {
            store,
            url: config::endpoint(&config.base_url),
            config,
            patience,
            client,
        }
    }

    async fn request(
        &self,
        turn: &Turn,
        found: &Found,
        sink: &dyn Sink,
    ) -> Result<Response, AgentFailure> {
        let mut body = prompt::body(turn, found, &self.config.model);
        // Until the provider counts: from here on it works for us, whatever becomes of the answer.
        sink.spent(Usage {
            input_tokens: tokens_in(&body["messages"].to_string()),
            output_tokens: 0,
        });
        let mut response = self.post(&body).await?;
        for shape in prompt::OTHER_SHAPES {
            if !matches!(
                response.status(),
                StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
            ) {
                break;
            }
            shape(&mut body);
            response = self.post(&body).await?;
        }
        Ok(response)
    }

    async fn post(&self, body: &serde_json::Value) -> Result<Response, AgentFailure> {
        let url = self.url.clone().map_err(AgentFailure::Misconfigured)?;
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.config.api_key {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(|_| {
                    AgentFailure::Misconfigured("OPENAI_API_KEY is not a header value".into())
                })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let sending = self.client.post(url).headers(headers).json(body).send();
        match timeout(self.patience.first, sending).await {
            Ok(sent) => sent.map_err(|error| failure(&error)),
            Err(_) => Err(AgentFailure::Unreachable("no answer in time".into())),
        }
    }

    async fn stream(
        &self,
        response: Response,
        sink: &dyn Sink,
    ) -> Result<Completion, AgentFailure> {
        let mut reader = Reader::default();
        let mut bytes = response.bytes_stream();
        let mut wait = self.patience.first;
        while !reader.ended() {
            let next = timeout(wait, bytes.next())
                .await
                .map_err(|_| AgentFailure::Unreachable("the stream went silent".into()))?;
            let Some(piece) = next else { break };
            let piece = piece.map_err(|error| failure(&error))?;
            for chunk in reader.read(&piece)? {
                match chunk {
                    Chunk::Text(text) => {
                        sink.text(&text);
                        wait = self.patience.idle;
                    }
                    Chunk::Thought => sink.thinking(),
                }
            }
            if reader.length() > ANSWER_MAX_BYTES {
                return Ok(reader.completion());
            }
        }
        for chunk in reader.finish()? {
            if let Chunk::Text(text) = chunk {
                sink.text(&text);
            }
        }
        Ok(reader.completion())
    }
}

#[async_trait]
impl Runtime for OpenAi {
    fn at_most(&self, turn: &Turn, unwritten: usize) -> Usage {
        Usage {
            input_tokens: prompt::tokens_at_most(turn, unwritten),
            output_tokens: u64::from(turn.agent.max_tokens()),
        }
    }

    async fn answer(&self, turn: Turn, sink: &dyn Sink) -> Result<Answer, AgentFailure> {
        let question = turn.questions.join("\n");
        let found = self
            .store
            .search(
                &turn.agent.account,
                &turn.agent.id,
                &looked_up(&turn, &question),
                PASSAGES,
            )
            .await
            .map_err(|e| AgentFailure::Broken(e.to_string()))?;
        let asking = async {
            let response = self.request(&turn, &found, sink).await?;
            if let Err(failure) = refused(&response) {
                // Nothing was done for us, so nothing was spent.
                sink.spent(Usage::default());
                return Err(failure);
            }
            if is_json(&response) {
                whole(response, self.patience.first, sink).await
            } else {
                self.stream(response, sink).await
            }
        };
        let mut asking = std::pin::pin!(asking);
        let completion = match timeout(QUIET, asking.as_mut()).await {
            Ok(completion) => completion?,
            Err(_) => {
                sink.thinking();
                asking.await?
            }
        };
        Ok(Answer {
            sources: sources(&found),
            offer_person: courtesy::of(&question) == Some(courtesy::Courtesy::Person),
            usage: completion.usage.map(|usage| Usage {
                input_tokens: usage.prompt_tokens,
                output_tokens: usage.completion_tokens,
            }),
        })
    }
}

/// What to look up: "And to France?" needs the question before it.
fn looked_up(turn: &Turn, question: &str) -> String {
    let before = turn.history.iter().rev().find_map(|line| match line {
        Line::Visitor(text) => Some(text),
        Line::Agent(_) | Line::Reported(_) => None,
    });
    match before {
        Some(before) if courtesy::follows_up(question) => format!("{before}\n{question}"),
        Some(_) | None => question.to_owned(),
    }
}

/// The documents that speak of the question for certain. Which of them the model used, it does not tell.
fn sources(found: &Found) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for hit in rank::best(found, None, true) {
        let passage = &found.passages[hit.passage];
        let source = Source {
            title: passage.title.clone(),
            url: passage.url.clone(),
        };
        if hit.confidence == rank::Confidence::Sure && !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}

/// Refusals by status. What the provider wrote stays unread: it may quote the key or the conversation.
fn refused(response: &Response) -> Result<(), AgentFailure> {
    let status = response.status();
    let number = status.as_u16();
    match number {
        200..=299 => Ok(()),
        401 | 403 => Err(AgentFailure::Misconfigured(format!(
            "the provider refuses the key (HTTP {number}); check OPENAI_API_KEY"
        ))),
        404 => Err(AgentFailure::Misconfigured(
            "the provider knows no such address or model (HTTP 404); check OPENAI_BASE_URL and the model".into(),
        )),
        300..=399 => Err(AgentFailure::Misconfigured(format!(
            "the provider redirects (HTTP {number}); set OPENAI_BASE_URL to its final address"
        ))),
        429 | 503 | 529 => Err(AgentFailure::Busy {
            retry_after_seconds: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| value.trim().parse().ok()),
        }),
        _ => Err(AgentFailure::Broken(format!("HTTP {number}"))),
    }
}

fn is_json(response: &Response) -> bool {
    response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().starts_with("application/json"))
}

/// A server that does not stream answers in one piece.
async fn whole(
    response: Response,
    wait: Duration,
    sink: &dyn Sink,
) -> Result<Completion, AgentFailure> {
    let reading = async {
        let mut body = Vec::new();
        let mut bytes = response.bytes_stream();
        while let Some(piece) = bytes.next().await {
            body.extend_from_slice(&piece.map_err(|error| failure(&error))?);
            if body.len() > 4 * ANSWER_MAX_BYTES {
                return Err(AgentFailure::Broken("a body without end".into()));
            }
        }
        Ok(body)
    };
    let body = timeout(wait, reading)
        .await
        .map_err(|_| AgentFailure::Unreachable("no whole answer in time".into()))??;
    let (text, completion) = chunk::whole(&body)?;
    sink.text(&text);
    Ok(completion)
}

/// Categories only: reqwest's own words can hold the address, and an address can hold a password.
fn failure(error: &reqwest::Error) -> AgentFailure {
    if error.is_connect() {
        AgentFailure::Unreachable("no connection; check OPENAI_BASE_URL".into())
    } else if error.is_timeout() {
        AgentFailure::Unreachable("a timeout".into())
    } else if error.is_body() || error.is_decode() {
        AgentFailure::Broken("the stream was cut".into())
    } else {
        AgentFailure::Broken("the request failed".into())
    }
}
