//! Chat completion chunks: JSON → text, usage and the end. Lenient about everything that does not change the text. Pure.

use super::sse;
use super::tools::Wish;
use crate::agent::AgentFailure;
use serde::{Deserialize, Deserializer};

/// At once. More is a model that has lost itself.
const WISHES_MAX: usize = 8;
const WISH_MAX_BYTES: usize = 16_000;

#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    /// A piece of the answer.
    Text(String),
    /// A piece of what the model thinks aloud. Its words stay here.
    Thought,
}

/// What is known once the stream is over.
#[derive(Debug, Default)]
pub struct Completion {
    pub usage: Option<TokenUsage>,
    /// What the model wants done before it answers.
    pub wishes: Vec<Wish>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TokenUsage {
    #[serde(deserialize_with = "lenient")]
    pub prompt_tokens: u64,
    #[serde(deserialize_with = "lenient")]
    pub completion_tokens: u64,
}

/// The stream, read piece by piece.
#[derive(Debug, Default)]
pub struct Reader {
    sse: sse::Parser,
    thought: Thought,
    usage: Option<TokenUsage>,
    /// `[DONE]` was seen.
    done: bool,
    /// Some choice said why it ended.
    finished: bool,
    length: usize,
    /// By the provider's numbers.
    wishes: Vec<(u64, Wish)>,
}

impl Reader {
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<Chunk>, AgentFailure> {
        let events = self
            .sse
            .read(bytes)
            .map_err(|_| AgentFailure::Broken("a line without end".into()))?;
        let mut chunks = Vec::new();
        for event in events {
            self.event(&event, &mut chunks)?;
        }
        Ok(chunks)
    }

    /// The rest. A stream that ends without having said so was cut.
    pub fn finish(&mut self) -> Result<Vec<Chunk>, AgentFailure> {
        let mut chunks = Vec::new();
        if let Some(event) = self.sse.finish() {
            self.event(&event, &mut chunks)?;
        }
        if self.done || self.finished {
            Ok(chunks)
        } else {
            Err(AgentFailure::Broken("the stream was cut".into()))
        }
    }

    pub fn ended(&self) -> bool {
        self.done
    }

    pub fn length(&self) -> usize {
        self.length
    }

    pub fn completion(&self) -> Completion {
        let wishes = self.wishes.iter();
        Completion {
            usage: self.usage,
            wishes: wishes.map(|(_, wish)| wish.clone()).collect(),
        }
    }

    fn event(&mut self, data: &str, chunks: &mut Vec<Chunk>) -> Result<(), AgentFailure> {
        let data = data.trim();
        if data == "[DONE]" {
            self.done = true;
        }
        if self.done || data.is_empty() {
            return Ok(());
        }
        let body = parse(data.as_bytes())?;
        self.usage = body.usage.or(self.usage);
        for choice in body.choices.unwrap_or_default() {
            self.finished |= choice.finish_reason.is_some();
            let Some(mut message) = choice.delta.or(choice.message) else {
                continue;
            };
            let calls = message.tool_calls.take().unwrap_or_default();
            // A model that only wants things done says nothing meanwhile.
            let calling = !calls.is_empty();
            for call in calls {
                gather(&mut self.wishes, call)?;
            }
            if calling && message.content.is_none() {
                chunks.push(Chunk::Thought);
                continue;
            }
            let aloud = message.thinks();
            let text = self.thought.without(&message.content.unwrap_or_default());
            if !text.is_empty() {
                self.length += text.len();
                chunks.push(Chunk::Text(text));
            } else if aloud || matches!(self.thought, Thought::Inside(_)) {
                chunks.push(Chunk::Thought);
            }
        }
        Ok(())
    }
}

/// An answer that was not streamed.
pub fn whole(body: &[u8]) -> Result<(String, Completion), AgentFailure> {
    let body = parse(body)?;
    let choice = body.choices.unwrap_or_default().into_iter().next();
    let message = choice.and_then(|choice| choice.message.or(choice.delta));
    let (text, calls) = match message {
        Some(message) => (message.content, message.tool_calls),
        None => (None, None),
    };
    let mut wishes = Vec::new();
    for call in calls.unwrap_or_default() {
        gather(&mut wishes, call)?;
    }
    let completion = Completion {
        usage: body.usage,
        wishes: wishes.into_iter().map(|(_, wish)| wish).collect(),
    };
    Ok((
        Thought::default().without(&text.unwrap_or_default()),
        completion,
    ))
}

/// A wish comes in pieces: the first has its name, those after it more of its arguments. Some send each whole, some without a number.
fn gather(wishes: &mut Vec<(u64, Wish)>, call: Call) -> Result<(), AgentFailure> {
    let function = call.function.unwrap_or_default();
    let name = function.name.unwrap_or_default();
    let next = wishes.len() as u64;
    let number = match call.index.as_ref().and_then(serde_json::Value::as_u64) {
        Some(number) => number,
        None if !name.is_empty() => next,
        None => next.saturating_sub(1),
    };
    let at = match wishes.iter().position(|(known, _)| *known == number) {
        Some(at) => at,
        None => {
            if wishes.len() == WISHES_MAX {
                return Err(AgentFailure::Broken("too many tool calls at once".into()));
            }
            wishes.push((number, Wish::default()));
            wishes.len() - 1
        }
    };
    let wish = &mut wishes[at].1;
    wish.name.push_str(&name);
    if let Some(id) = call.id.filter(|id| wish.id.is_empty() && !id.is_empty()) {
        wish.id = id;
    }
    match function.arguments {
        Some(serde_json::Value::String(piece)) => wish.arguments.push_str(&piece),
        // Ollama's own way: not a text of JSON, but the thing itself.
        Some(whole @ serde_json::Value::Object(_)) => wish.arguments = whole.to_string(),
        Some(_) | None => {}
    }
    let length = wish.name.len() + wish.id.len() + wish.arguments.len();
    if length > WISH_MAX_BYTES {
        return Err(AgentFailure::Broken("a tool call without end".into()));
    }
    Ok(())
}

fn parse(json: &[u8]) -> Result<Body, AgentFailure> {
    let body: Body = serde_json::from_slice(json)
        .map_err(|_| AgentFailure::Broken("not a chat completion".into()))?;
    match body.error {
        Some(error) if !error.is_null() => {
            Err(AgentFailure::Broken("an error inside the stream".into()))
        }
        Some(_) | None => Ok(body),
    }
}

#[derive(Deserialize)]
struct Body {
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<TokenUsage>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Message>,
    message: Option<Message>,
    finish_reason: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    tool_calls: Option<Vec<Call>>,
    /// Where DeepSeek, vLLM and others put the thoughts of a model.
    reasoning_content: Option<serde_json::Value>,
    /// Where OpenRouter, Groq and Ollama put them.
    reasoning: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Call {
    index: Option<serde_json::Value>,
    id: Option<String>,
    function: Option<Function>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function {
    name: Option<String>,
    arguments: Option<serde_json::Value>,
}

impl Message {
    fn thinks(&self) -> bool {
        let field = |field: &Option<serde_json::Value>| match field {
            Some(serde_json::Value::String(text)) => !text.is_empty(),
            _ => false,
        };
        field(&self.reasoning_content) || field(&self.reasoning)
    }
}

fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_u64().unwrap_or_default())
}

/// Models that think aloud begin with `<think>…</think>`. That is not for visitors.
#[derive(Debug, Default)]
enum Thought {
    /// Nothing but perhaps the beginning of the mark so far.
    #[default]
    Unknown,
    Begun(String),
    Inside(String),
    Over,
}

impl Thought {
    fn without(&mut self, text: &str) -> String {
        const OPEN: &str = "<think>";
        const CLOSE: &str = "</think>";
        // NUL cannot be stored or shown.
        let text = text.replace('\0', "");
        match std::mem::take(self) {
            Thought::Unknown => {
                *self = Thought::Begun(String::new());
                self.without(&text)
            }
            Thought::Begun(mut held) => {
                held.push_str(&text);
                let start = held.trim_start();
                if let Some(inside) = start.strip_prefix(OPEN) {
                    *self = Thought::Inside(String::new());
                    let inside = inside.to_owned();
                    self.without(&inside)
                } else if OPEN.starts_with(start) {
                    *self = Thought::Begun(held);
                    String::new()
                } else {
                    *self = Thought::Over;
                    held
                }
            }
            Thought::Inside(mut held) => {
                held.push_str(&text);
                match held.find(CLOSE) {
                    Some(at) => {
                        let rest = held[at + CLOSE.len()..].trim_start().to_owned();
                        // Blank lines may follow in the next chunk: they are held back like before a mark.
                        *self = if rest.is_empty() {
                            Thought::Begun(String::new())
                        } else {
                            Thought::Over
                        };
                        rest
                    }
                    None => {
                        // Only the tail can hold the beginning of the closing mark.
                        let mut keep = held.len().saturating_sub(CLOSE.len());
                        while !held.is_char_boundary(keep) {
                            keep -= 1;
                        }
                        *self = Thought::Inside(held.split_off(keep));
                        String::new()
                    }
                }
            }
            Thought::Over => {
                *self = Thought::Over;
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[&str]) -> String {
        let mut thought = Thought::default();
        pieces.iter().map(|piece| thought.without(piece)).collect()
    }

    #[test]
    fn thoughts_are_left_out_wherever_they_are_cut() {
        assert_eq!(said(&["<think>Hmm, 1 < 2</think>\n\nHello"]), "Hello");
        assert_eq!(
            said(&["\n<thi", "nk>Hm", "m</th", "ink>", "\n\n", "Hel", "lo"]).trim_start(),
            "Hello"
        );
        assert_eq!(
            said(&["<", "b>bold</b> <think> stays"]),
            "<b>bold</b> <think> stays"
        );
        assert_eq!(said(&["Hello", " <think>"]), "Hello <think>");
    }
}
