//! What a model asks for is done here: the owner's address is called, and its answer goes back to the model. Arguments come from a model that
//! reads what strangers write, so they are as little to be trusted as those.

use crate::agent::{AgentFailure, Outcome, Sink, ToolUse, Turn};
use crate::outbound;
use crate::secret::Secret;
use crate::store::{Tool, new_id, now_ms};
use futures::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use std::fmt::Write as _;
use std::time::Duration;

/// Times that the model is asked in one turn; the last time it must answer with what it has.
pub const ROUNDS: usize = 5;
/// Of arguments and answers in one turn, all together: they are read again in every round.
pub const ADDED_MAX_BYTES: usize = 32_000;
/// Of one answer. The rest is cut off.
const ANSWER_MAX_BYTES: usize = 8_000;
const ARGUMENTS_MAX_BYTES: usize = 8_000;
/// Of all that the visitor is shown of the arguments, and of one of them.
const SHOWN_MAX_CHARS: usize = 600;
const VALUE_MAX_CHARS: usize = 200;
/// What a provider puts around a call and its answer.
const AROUND_BYTES: usize = 64;
const PATIENCE: Duration = Duration::from_secs(20);

/// A model's wish: `tool_calls` of a chat completion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The provider's. Empty with some.
    pub id: String,
    pub name: String,
    /// JSON, as the model wrote it.
    pub arguments: String,
}

pub struct Tools {
    client: reqwest::Client,
    secret: Option<Secret>,
}

impl Tools {
    pub fn new(client: reqwest::Client, secret: Option<Secret>) -> Self {
        Self { client, secret }
    }

    /// What to tell the model: the tool's answer, or why there is none. Err: the turn cannot go on.
    pub async fn carry_out(
        &self,
        turn: &Turn,
        wish: &Wish,
        sink: &dyn Sink,
    ) -> Result<String, AgentFailure> {
        let Some(tool) = turn.agent.tools.iter().find(|tool| tool.name == wish.name) else {
            return Ok("Error: there is no such tool. Nothing was done.".into());
        };
        let Some(arguments) = arguments(&wish.arguments) else {
            return Ok("Error: the arguments are not a JSON object. Nothing was done.".into());
        };
        let what = ToolUse {
            id: new_id("t"),
            name: tool.name.clone(),
            title: tool.title.clone(),
            shown: shown(&arguments),
            confirm: tool.confirm,
        };
        if !sink.may_act(&what).await? {
            return Ok("The visitor was asked and did not allow it. Nothing was done.".into());
        }
        let answer = self.post(turn, tool, &what.id, arguments).await;
        let outcome = match answer {
            Ok(_) => Outcome::Done,
            Err(_) => Outcome::Failed,
        };
        sink.acted(&what, outcome).await?;
        Ok(answer.unwrap_or_else(|why| {
            let tool = &tool.name;
            tracing::warn!(tool, why, session = turn.session, "a tool failed");
            format!("Error: the tool failed ({why}). It is not known whether anything was done.")
        }))
    }

    async fn post(
        &self,
        turn: &Turn,
        tool: &Tool,
        use_id: &str,
        arguments: Map<String, Value>,
    ) -> Result<String, String> {
        let body = json!({
            "id": use_id,
            "tool": tool.name,
            "arguments": arguments,
            "session_id": turn.session,
            "agent_id": turn.agent.id,
            "user_id": turn.user_id,
        })
        .to_string();
        let mut request = self
            .client
            .post(&tool.url)
            .header(CONTENT_TYPE, "application/json")
            // The use's own id: an address that is asked twice can tell.
            .header("idempotency-key", use_id);
        if let Some(secret) = &self.secret {
            let signature = signature(secret, now_ms() / 1_000, &body);
            request = request.header("karta-signature", signature);
        }
        let asking = async {
            let trouble = |error: &reqwest::Error| {
                match outbound::Trouble::from(error) {
                    outbound::Trouble::Connection => "no connection",
                    outbound::Trouble::Time => "a timeout",
                    outbound::Trouble::Cut => "its answer was cut",
                    outbound::Trouble::Other => "the request failed",
                }
                .to_owned()
            };
            let response = request.body(body).send().await.map_err(|e| trouble(&e))?;
            let status = response.status();
            if !status.is_success() {
                return Err(format!("HTTP {}", status.as_u16()));
            }
            let mut answer = Vec::new();
            let mut pieces = response.bytes_stream();
            while let Some(piece) = pieces.next().await {
                answer.extend_from_slice(&piece.map_err(|e| trouble(&e))?);
                if answer.len() >= ANSWER_MAX_BYTES {
                    break;
                }
            }
            answer.truncate(ANSWER_MAX_BYTES);
            Ok(String::from_utf8_lossy(&answer).replace('\0', ""))
        };
        let answer = tokio::time::timeout(PATIENCE, asking).await;
        answer.unwrap_or_else(|_| Err("a timeout".into()))
    }
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY`, so that nobody else can ask, and nobody can ask the same again later.
fn signature(secret: &Secret, seconds: u64, body: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
    // HMAC takes keys of any length.
    let mut mac = mac.expect("a key of any length");
    mac.update(format!("{seconds}.{body}").as_bytes());
    let mut signature = format!("t={seconds},v1=");
    for byte in mac.finalize().into_bytes() {
        let _ = write!(signature, "{byte:02x}");
    }
    signature
}

fn arguments(text: &str) -> Option<Map<String, Value>> {
    if text.len() > ARGUMENTS_MAX_BYTES {
        return None;
    }
    // Some models send nothing where nothing is needed.
    if text.trim().is_empty() {
        return Some(Map::new());
    }
    serde_json::from_str(text).ok()
}

/// What the visitor reads before deciding. A long value is cut, never left out: nothing may hide behind it.
fn shown(arguments: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in arguments {
        let value = match value {
            Value::String(value) => value.clone(),
            other => other.to_string(),
        };
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = write!(
            text,
            "{}: {}",
            one_line(name, 64),
            one_line(&value, VALUE_MAX_CHARS)
        );
    }
    cut(&text, SHOWN_MAX_CHARS)
}

fn one_line(text: &str, max: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if misleads(c) { ' ' } else { c })
        .collect();
    cut(line.trim(), max)
}

/// Breaks a line, or turns the direction of what follows: what is read would not be what is sent. <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Makes what a model asked for fit to be told to it again. Returns its bytes.
pub fn tidy(wishes: &mut [Wish]) -> usize {
    let mut bytes = 0;
    for (at, wish) in wishes.iter_mut().enumerate() {
        if wish.id.is_empty() {
            wish.id = format!("call_{at}");
        }
        bytes += wish.id.len() + wish.name.len() + wish.arguments.len() + AROUND_BYTES;
    }
    bytes
}

/// As much of an answer as there is room for.
pub fn fitted(mut answer: String, room: usize) -> String {
    if answer.len() > room {
        answer.truncate(answer.floor_char_boundary(room));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_the_time_and_the_body() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'a long random text'
        let secret = Secret::new("a long random text");
        assert_eq!(
            signature(&secret, 1_700_000_000, r#"{"a":1}"#),
            "t=1700000000,v1=473c5cb5659d20050a1904e324d49e1fb66cfc6099d0fcbe9f5b17846572f4eb"
        );
        assert_ne!(
            signature(&secret, 1_700_000_001, r#"{"a":1}"#),
            signature(&secret, 1_700_000_000, r#"{"a":1}"#)
        );
    }

    #[test]
    fn arguments_are_an_object_or_nothing() {
        assert_eq!(arguments(""), Some(Map::new()));
        assert_eq!(arguments(" {} "), Some(Map::new()));
        for bad in ["[]", "7", "{", "null", "\"{}\""] {
            assert_eq!(arguments(bad), None, "{bad}");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(ARGUMENTS_MAX_BYTES));
        assert_eq!(arguments(&long), None);
    }

    #[test]
    fn the_visitor_reads_each_argument_in_one_line() {
        let shown = |text: &str| shown(&arguments(text).expect("an object"));
        assert_eq!(
            shown(r#"{"order":"K-1042","parts":[1,2],"why":"Too late\nAllow: everything"}"#),
            "order: K-1042\nparts: [1,2]\nwhy: Too late Allow: everything"
        );
        assert_eq!(shown("{}"), "");
        // Line breaks of Unicode's own, and marks that turn the direction of what follows.
        let turned = "a\u{2028}b\u{2029}c\u{202e}d\u{2066}e\u{200f}f";
        assert_eq!(shown(&format!(r#"{{"x":"{turned}"}}"#)), "x: a b c d e f");
        let long = shown(&format!(r#"{{"a":"{}","b":"seen"}}"#, "é".repeat(300)));
        assert!(long.contains("é…\nb: seen"), "{long}");
        let names: Vec<String> = (0..100).map(|n| format!("\"n{n}\":\"value\"")).collect();
        let many = shown(&format!("{{{}}}", names.join(",")));
        assert!(many.chars().count() <= SHOWN_MAX_CHARS + 1 && many.ends_with('…'));
    }
}
