//! Realtime engines: the visitor's offer is handed to one, and the audio goes between it and the browser. One trait; one file for each
//! engine. What stays here is the control: which engine, what it is told at the start, and the order to hang up (`calls.rs`).
//!
//! Where an engine lives is the operator's word alone. Nothing of an offer, an answer or a redirect makes this server call another host.

mod http;
pub mod openai;
pub mod pipecat;

use async_trait::async_trait;
use karta_protocol::RealtimeLine;
use std::sync::Arc;

/// Lines of the conversation that an engine is told of at the start, and their bytes in all.
pub const TOLD_LINES: usize = 40;
pub const TOLD_BYTES: usize = 8_000;

/// Dropping a future stops the work at once.
#[async_trait]
pub trait Realtime: Send + Sync {
    /// Hands an offer over.
    async fn offer(&self, call: &CallRequest) -> Result<Handed, Refusal>;
    /// Candidates that came after the offer, of the call that the engine named.
    async fn trickle(&self, call: &str, candidates: &[Candidate]) -> Result<(), Refusal>;
    /// Ends a call. One that is over already is no failure.
    async fn hang_up(&self, call: &CallName) -> Result<(), Refusal>;
}

/// What an engine gets to know of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// Without candidates that point into a network of this side.
    pub sdp: String,
    pub agent_id: String,
    pub agent_name: String,
    pub instruction: Option<String>,
    /// What the page speaks, like `de` or `pt-BR`.
    pub language: Option<String>,
    /// The last lines of the conversation, oldest first.
    pub told: Vec<Told>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub by_visitor: bool,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// The answer, as the engine wrote it.
    pub sdp: String,
    /// The engine's own name of the call.
    pub call: String,
}

/// A call as the engine knows it, and the offer that it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallName {
    pub call: String,
    pub offer: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `candidate:…`, without `a=`.
    pub line: String,
    pub mid: String,
    pub section: u32,
}

/// Why an engine does not take a call. For the log; never a key, nor what the engine wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the engine refuses because of load")]
    Busy { retry_after_seconds: u32 },
    #[error("{0}")]
    Failed(String),
}

impl Refusal {
    pub fn failed(why: impl Into<String>) -> Refusal {
        Refusal::Failed(why.into())
    }
}

/// An engine that is there, and how its data channel speaks.
#[derive(Clone)]
pub struct Line {
    pub kind: RealtimeLine,
    pub engine: Arc<dyn Realtime>,
}

/// The realtime engines of this server. What is missing is known in words.
#[derive(Clone)]
pub struct Realtimes {
    pipecat: Result<Arc<dyn Realtime>, String>,
    openai: Result<Arc<dyn Realtime>, String>,
}

impl Realtimes {
    pub fn new(
        pipecat: Result<Arc<dyn Realtime>, String>,
        openai: Result<Arc<dyn Realtime>, String>,
    ) -> Realtimes {
        Realtimes { pipecat, openai }
    }

    pub fn none() -> Realtimes {
        let none = || Err("this server has no realtime engine".to_owned());
        Realtimes::new(none(), none())
    }

    /// The agent's choice. None: it is none of a realtime engine. Err: why that engine is not there.
    pub fn of(&self, choice: &str) -> Option<Result<Line, &str>> {
        let (kind, engine) = match choice {
            "pipecat" => (RealtimeLine::Pipecat, &self.pipecat),
            "openai-realtime" => (RealtimeLine::OpenAi, &self.openai),
            _ => return None,
        };
        Some(match engine {
            Ok(engine) => Ok(Line {
                kind,
                engine: engine.clone(),
            }),
            Err(why) => Err(why),
        })
    }
}

/// What an answer must be before a browser gets it. The browser checks the rest.
fn answer(sdp: &str) -> Result<(), Refusal> {
    let has = |start: &str| sdp.lines().any(|line| line.starts_with(start));
    let whole = sdp.starts_with("v=0")
        && has("m=audio ")
        && has("a=ice-ufrag:")
        && has("a=ice-pwd:")
        && has("a=fingerprint:");
    let plain = !sdp.contains(|c: char| c.is_control() && !matches!(c, '\r' | '\n' | '\t'));
    match whole && plain {
        true => Ok(()),
        false => Err(Refusal::failed("the engine's answer is no SDP answer")),
    }
}

/// The engine's own name of a call. It becomes a part of addresses, so it is plain.
fn name(text: &str) -> Result<String, Refusal> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'#');
    match (1..=200).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('.') {
        true => Ok(text.to_owned()),
        false => Err(Refusal::failed(
            "the engine names no call that could be ended",
        )),
    }
}
