//! An agent as it is kept: how it presents itself, what answers for it, what it costs.

use crate::money::{Money, Prices};
use karta_protocol::AuthMode;
use serde::{Deserialize, Serialize};

/// An agent and how it presents itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
// A record that was saved before a field existed has the field's default.
#[serde(default)]
pub struct Agent {
    /// `a_…`.
    pub id: String,
    pub account: String,
    pub name: String,
    pub avatar_url: Option<String>,
    pub greeting: Option<String>,
    pub suggested_prompts: Vec<String>,
    pub instruction: Option<String>,
    /// `auto` (openai where configured, else builtin), `builtin`, `openai`.
    pub runtime: String,
    pub model: Option<String>,
    pub temperature: Option<f32>,
    /// Longest answer that is asked for. None: [`Agent::MAX_TOKENS`].
    pub max_tokens: Option<u32>,
    /// For a million tokens.
    pub input_price: Option<Money>,
    pub output_price: Option<Money>,
    /// How long a turn waits after the visitor's last message, so that several quick ones are answered together.
    pub response_delay_ms: u32,
    /// Conversations are deleted this many days after they were last used. None: kept.
    pub retention_days: Option<u32>,
    /// How it is talked to: `off` (also empty), `auto` (the provider where one is configured, else the machine's own), `local`, `openai`, or a
    /// realtime engine: `pipecat`, `openai-realtime`.
    pub voice: String,
    /// For a minute of talk, whatever engine of the voice it pays for; the machine's own costs nothing.
    pub voice_minute_price: Option<Money>,
    /// What its model may do for a visitor.
    pub tools: Vec<Tool>,
    /// Visitors may send files.
    pub upload_enabled: bool,
    pub widget_enabled: bool,
    pub auth_mode: AuthMode,
    pub created_ms: u64,
}

/// Something of the owner's that a model may use: an address that takes a `POST` (docs/OPERATING.md, "Tools").
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// For the model: 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// For the visitor: "Cancel an order".
    pub title: String,
    /// For the model: what it does, and when to use it.
    pub description: String,
    /// JSON Schema of its arguments, an object.
    #[serde(default = "no_arguments")]
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    pub parameters: serde_json::Value,
    /// `https://…`; `http://` on this machine only.
    pub url: String,
    /// The visitor is asked each time, before anything happens.
    #[serde(default)]
    pub confirm: bool,
}

fn no_arguments() -> serde_json::Value {
    serde_json::json!({ "type": "object", "properties": {} })
}

impl Agent {
    /// Three thousand words: longer than anybody reads in a chat.
    pub const MAX_TOKENS: u32 = 4_096;

    pub fn max_tokens(&self) -> u32 {
        self.max_tokens.unwrap_or(Self::MAX_TOKENS)
    }

    /// What its model costs. None: nobody has said.
    pub fn prices(&self) -> Option<Prices> {
        Some(Prices {
            input: self.input_price?,
            output: self.output_price?,
        })
    }

    /// Whether answers of it may cost money that nobody can count.
    pub fn is_unpriced(&self) -> bool {
        self.runtime != "builtin" && self.prices().is_none()
    }

    /// The same of its voice.
    pub fn is_voice_unpriced(&self) -> bool {
        !matches!(self.voice.as_str(), "" | "off" | "local") && self.voice_minute_price.is_none()
    }
}
