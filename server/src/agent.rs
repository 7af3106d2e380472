//! Agents: who answers. A [`Runtime`] turns a conversation and a question into streamed text; [`Runtimes`] chooses one per agent.
//! No session, log or transport here: a runtime only writes to a [`Sink`].

use crate::store::{Agent, Store};
use async_trait::async_trait;
use karta_protocol::{Source, Usage};
use std::sync::Arc;

pub mod builtin;
pub mod openai;

/// Longest answer that is kept. A model that will not stop is cut here.
pub const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// Answers questions. Dropping the future stops the work at once.
#[async_trait]
pub trait Runtime: Send + Sync {
    async fn answer(&self, turn: Turn, sink: &dyn Sink) -> Result<Answer, AgentFailure>;

    /// No less than what this turn may use up, as far as it is known before it begins: excerpts and what files say are counted at
    /// their bounds. `unwritten`: bytes of an answer that is still being written and will stand before this one.
    fn at_most(&self, _turn: &Turn, _unwritten: usize) -> Usage {
        Usage::default()
    }
}

/// Where the answer's text goes, piece by piece as it is made, and who knows whether a tool may act.
#[async_trait]
pub trait Sink: Send + Sync {
    fn text(&self, piece: &str);

    /// The answer is being worked on, and has no text yet. Nothing of the thought itself goes out.
    fn thinking(&self) {}

    /// What the turn has cost so far, as far as the runtime can tell before its end: what a turn that is cut is counted at.
    fn spent(&self, _usage: Usage) {}

    /// Says what is about to happen, and asks the visitor where the owner wants that. Nothing may act before this says yes.
    async fn may_act(&self, _what: &ToolUse) -> Result<bool, AgentFailure> {
        Ok(false)
    }

    /// What became of it.
    async fn acted(&self, _what: &ToolUse, _outcome: Outcome) -> Result<(), AgentFailure> {
        Ok(())
    }
}

/// A tool that is about to act, as the visitor gets to see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolUse {
    /// `t_…`: of this use.
    pub id: String,
    pub name: String,
    pub title: String,
    /// Its arguments, `name: value`, one a line.
    pub shown: String,
    /// The visitor is asked first.
    pub confirm: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed,
    /// By the visitor, who was asked.
    Declined,
}

/// What a runtime gets to see.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    pub agent: Agent,
    /// What tools get to know: the session's id.
    pub session: String,
    /// The same: the owner's own id of a visitor who has proved who they are; nothing of anybody else.
    pub user_id: Option<String>,
    /// Earlier lines, oldest first.
    pub history: Vec<Line>,
    /// What the visitor asked since the last answer; one or more messages, oldest first.
    pub questions: Vec<String>,
    /// Files of the visitor's, oldest first.
    pub files: Vec<Attachment>,
}

/// A file as an agent gets to see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    pub name: String,
    pub media_type: String,
    pub size: u64,
    /// The beginning of what it says, if it can be read. Not to be trusted.
    pub text: Option<String>,
    /// Came after the last answer.
    pub fresh: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Visitor(String),
    Agent(String),
    /// What the agent said in a call that a realtime engine held, as the visitor's browser reported it. It is worth what the visitor's own
    /// words are, and must never pass for the agent's.
    Reported(String),
}

impl Line {
    pub fn text(&self) -> &str {
        match self {
            Line::Visitor(text) | Line::Agent(text) | Line::Reported(text) => text,
        }
    }

    /// For readers that know only two sides: whether it is the visitor's, and words.
    pub fn said(&self) -> (bool, std::borrow::Cow<'_, str>) {
        match self {
            Line::Visitor(text) => (true, text.into()),
            Line::Agent(text) => (false, text.into()),
            Line::Reported(text) => {
                let note = format!("[You said in a call, as my browser reports it: {text}]");
                (true, note.into())
            }
        }
    }
}

/// What goes with the text once it is complete.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub sources: Vec<Source>,
    pub offer_person: bool,
    pub usage: Option<Usage>,
}

/// Why there is no answer. Its text is for the log; it never holds a key or what a provider wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentFailure {
    #[error("misconfigured: {0}")]
    Misconfigured(String),
    #[error("the provider refuses because of load")]
    Busy { retry_after_seconds: Option<u32> },
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    #[error("the provider failed: {0}")]
    Broken(String),
}

/// About four bytes a token: what providers say of English. For what no provider has counted.
pub fn tokens_in(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4)
}

/// The runtimes that this server offers.
#[derive(Clone)]
pub struct Runtimes {
    builtin: Arc<dyn Runtime>,
    openai: Option<Arc<dyn Runtime>>,
}

impl Runtimes {
    /// `openai` where a provider is configured.
    pub fn new(store: Arc<dyn Store>, openai: Option<openai::OpenAiConfig>) -> Self {
        Self {
            openai: openai.map(|config| {
                let patience = openai::Patience::default();
                Arc::new(openai::OpenAi::new(store.clone(), config, patience)) as Arc<dyn Runtime>
            }),
            builtin: Arc::new(builtin::Builtin::new(store)),
        }
    }

    /// One runtime for every agent: for tests, and for servers that bring their own.
    pub fn only(runtime: Arc<dyn Runtime>) -> Self {
        Self {
            builtin: runtime.clone(),
            openai: Some(runtime),
        }
    }

    /// The agent's choice; `auto` is the model where one is configured.
    pub fn of(&self, agent: &Agent) -> Result<Arc<dyn Runtime>, AgentFailure> {
        match (agent.runtime.as_str(), &self.openai) {
            ("builtin", _) | ("auto" | "", None) => Ok(self.builtin.clone()),
            ("openai" | "auto" | "", Some(openai)) => Ok(openai.clone()),
            ("openai", None) => Err(AgentFailure::Misconfigured(format!(
                "agent {} has runtime `openai`, but neither OPENAI_BASE_URL nor OPENAI_API_KEY is set",
                agent.id
            ))),
            (other, _) => Err(AgentFailure::Misconfigured(format!(
                "agent {} has the unknown runtime `{other}`; use auto, builtin or openai",
                agent.id
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with its own name.
    struct Named(&'static str);

    #[async_trait]
    impl Runtime for Named {
        async fn answer(&self, _turn: Turn, sink: &dyn Sink) -> Result<Answer, AgentFailure> {
            sink.text(self.0);
            Ok(Answer::default())
        }
    }

    #[derive(Default)]
    struct Heard(std::sync::Mutex<String>);

    impl Sink for Heard {
        fn text(&self, piece: &str) {
            self.0.lock().expect("not poisoned").push_str(piece);
        }
    }

    async fn check(runtime: &str, with_model: bool, expected: Option<&str>) {
        let runtimes = Runtimes {
            builtin: Arc::new(Named("builtin")),
            openai: with_model.then(|| Arc::new(Named("openai")) as Arc<dyn Runtime>),
        };
        let agent = Agent {
            runtime: runtime.into(),
            ..Agent::default()
        };
        let heard = Heard::default();
        let chosen = match runtimes.of(&agent) {
            Ok(runtime) => {
                let answer = runtime.answer(Turn::default(), &heard).await;
                assert!(answer.is_ok());
                Some(heard.0.into_inner().expect("not poisoned"))
            }
            Err(failure) => {
                assert!(matches!(failure, AgentFailure::Misconfigured(_)));
                None
            }
        };
        assert_eq!(chosen.as_deref(), expected, "{runtime}, {with_model}");
    }

    #[tokio::test]
    async fn auto_takes_the_model_where_one_is_configured() {
        check("auto", true, Some("openai")).await;
        check("auto", false, Some("builtin")).await;
        check("", false, Some("builtin")).await;
        check("builtin", true, Some("builtin")).await;
        check("openai", true, Some("openai")).await;
        check("openai", false, None).await;
        check("llama", true, None).await;
    }
}
