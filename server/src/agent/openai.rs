//! The `openai` runtime: streams from any OpenAI-compatible `POST {base}/chat/completions` (OpenAI, Ollama, vLLM, llama.cpp,
//! LM Studio, LiteLLM, OpenRouter). Reads leniently, because "compatible" means something else to each of them.
//! The owner's tools are offered to the model; what it wants done is carried out ([`tools`]), and it is asked again with what came of it.

use super::builtin::{courtesy, rank};
use super::{ANSWER_MAX_BYTES, AgentFailure, Answer, Line, Runtime, Sink, Turn, tokens_in};
use crate::outbound::{self, Trouble, Verdict};
use crate::store::{Found, Store};
use async_trait::async_trait;
use chunk::{Chunk, Completion, Reader};
use futures::StreamExt as _;
use karta_protocol::{Source, Usage};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use rounds::{Said, Scribe, Spent};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tools::Tools;
use url::Url;

mod chunk;
mod config;
mod prompt;
mod rounds;
pub(crate) mod sse;
#[cfg(test)]
mod tests;
mod tools;

pub use config::{OpenAiConfig, Patience, Secret};

/// A model that has said nothing for so long is thinking, as far as the visitor can tell.
const QUIET: Duration = Duration::from_millis(300);
/// Passages of the owner's documents that go with a question.
const PASSAGES: usize = 6;

pub struct OpenAi {
    store: Arc<dyn Store>,
    /// Where its chat is, and the key that it wants. Err: what is wrong with either.
    target: Result<(Url, HeaderMap), String>,
    config: OpenAiConfig,
    patience: Patience,
    client: reqwest::Client,
    tools: Tools,
}

impl OpenAi {
    pub fn new(store: Arc<dyn Store>, config: OpenAiConfig, patience: Patience) -> Self {
        let headers = outbound::bearer(config.api_key.as_ref(), "OPENAI_API_KEY");
        let url = outbound::endpoint(&config.base_url, "/chat/completions");
        // Only a broken TLS set-up of the machine fails here, at start, where it is seen.
        let client = outbound::client(patience.connect).expect("the HTTP client can be built");
        Self {
            tools: Tools::new(client.clone(), config.tool_secret.clone()),
            store,
            target: url.and_then(|url| headers.map(|headers| (url, headers))),
            config,
            patience,
            client,
        }
    }

    /// Asks, round after round, until the model has nothing more to be done.
    async fn converse(
        &self,
        turn: &Turn,
        found: &Found,
        sink: &dyn Sink,
    ) -> Result<Option<Usage>, AgentFailure> {
        let mut body = prompt::body(turn, found, &self.config.model);
        let rounds = prompt::rounds(turn);
        let mut spent = Spent::default();
        let mut said = Said::default();
        let mut added = 0;
        for round in 1..=rounds {
            if round > 1 && round == rounds {
                body["tool_choice"] = json!("none");
            }
            let before = said.text.len();
            let scribe = Scribe::new(sink, &mut said);
            let completion = self.ask(&mut body, &mut spent, &scribe).await?;
            if completion.wishes.is_empty() || round == rounds || said.text.len() > ANSWER_MAX_BYTES
            {
                break;
            }
            let mut wishes = completion.wishes;
            added += tools::tidy(&mut wishes) + said.text.len() - before;
            if added > tools::ADDED_MAX_BYTES {
                tracing::warn!(session = turn.session, "the model asks tools without end");
                break;
            }
            let mut done = Vec::with_capacity(wishes.len());
            for wish in wishes {
                let answer = self.tools.carry_out(turn, &wish, sink).await?;
                let answer = tools::fitted(answer, tools::ADDED_MAX_BYTES - added);
                added += answer.len();
                done.push((wish, answer));
            }
            prompt::add_round(&mut body, &said.text[before..], &done);
            said.pause();
        }
        Ok(spent.counted())
    }

    /// One question to the model.
    async fn ask(
        &self,
        body: &mut Value,
        spent: &mut Spent,
        scribe: &Scribe<'_>,
    ) -> Result<Completion, AgentFailure> {
        // Until the provider counts: from here on it works for us, whatever becomes of the answer.
        let tools = body.get("tools").map(Value::to_string).unwrap_or_default();
        let estimate = tokens_in(&body["messages"].to_string()) + tokens_in(&tools);
        scribe.sink().spent(spent.and(estimate));
        let response = self.request(body).await?;
        if let Err(failure) = refused(&response) {
            // Nothing was done for us, so nothing was spent.
            scribe.sink().spent(spent.so_far);
            return Err(failure);
        }
        let completion = if outbound::kind(&response).starts_with("application/json") {
            whole(response, self.patience.first, scribe).await?
        } else {
            self.stream(response, scribe).await?
        };
        spent.add(estimate, &completion, scribe);
        scribe.sink().spent(spent.so_far);
        Ok(completion)
    }

    async fn request(&self, body: &mut Value) -> Result<Response, AgentFailure> {
        let mut response = self.post(body).await?;
        for shape in prompt::OTHER_SHAPES {
            if !matches!(
                response.status(),
                StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
            ) {
                break;
            }
            shape(body);
            response = self.post(body).await?;
        }
        Ok(response)
    }

    async fn post(&self, body: &Value) -> Result<Response, AgentFailure> {
        let target = self.target.clone();
        let (url, headers) = target.map_err(AgentFailure::Misconfigured)?;
        let sending = self.client.post(url).headers(headers).json(body).send();
        match timeout(self.patience.first, sending).await {
            Ok(sent) => sent.map_err(|error| failure(&error)),
            Err(_) => Err(AgentFailure::Unreachable("no answer in time".into())),
        }
    }

    async fn stream(
        &self,
        response: Response,
        scribe: &Scribe<'_>,
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
                        scribe.text(&text);
                        wait = self.patience.idle;
                    }
                    Chunk::Thought => scribe.sink().thinking(),
                }
            }
            if reader.length() > ANSWER_MAX_BYTES {
                return Ok(reader.completion());
            }
        }
        for chunk in reader.finish()? {
            if let Chunk::Text(text) = chunk {
                scribe.text(&text);
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
            output_tokens: prompt::rounds(turn) as u64 * u64::from(turn.agent.max_tokens()),
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
        let mut asking = std::pin::pin!(self.converse(&turn, &found, sink));
        let usage = match timeout(QUIET, asking.as_mut()).await {
            Ok(usage) => usage?,
            Err(_) => {
                sink.thinking();
                asking.await?
            }
        };
        Ok(Answer {
            sources: sources(&found),
            offer_person: courtesy::of(&question) == Some(courtesy::Courtesy::Person),
            usage,
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

fn refused(response: &Response) -> Result<(), AgentFailure> {
    let number = response.status().as_u16();
    match Verdict::of(number) {
        Verdict::Done => Ok(()),
        Verdict::Key => Err(AgentFailure::Misconfigured(format!(
            "the provider refuses the key (HTTP {number}); check OPENAI_API_KEY"
        ))),
        Verdict::Unknown => Err(AgentFailure::Misconfigured(
            "the provider knows no such address or model (HTTP 404); check OPENAI_BASE_URL and the model".into(),
        )),
        Verdict::Redirected => Err(AgentFailure::Misconfigured(format!(
            "the provider redirects (HTTP {number}); set OPENAI_BASE_URL to its final address"
        ))),
        Verdict::Busy => Err(AgentFailure::Busy {
            retry_after_seconds: outbound::retry_after(response),
        }),
        Verdict::Failed => Err(AgentFailure::Broken(format!("HTTP {number}"))),
    }
}

/// A server that does not stream answers in one piece.
async fn whole(
    response: Response,
    wait: Duration,
    scribe: &Scribe<'_>,
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
    if !text.is_empty() {
        scribe.text(&text);
    }
    Ok(completion)
}

fn failure(error: &reqwest::Error) -> AgentFailure {
    match Trouble::from(error) {
        Trouble::Connection => {
            AgentFailure::Unreachable("no connection; check OPENAI_BASE_URL".into())
        }
        Trouble::Time => AgentFailure::Unreachable("a timeout".into()),
        Trouble::Cut => AgentFailure::Broken("the stream was cut".into()),
        Trouble::Other => AgentFailure::Broken("the request failed".into()),
    }
}
