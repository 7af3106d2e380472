//! The `openai` runtime: any OpenAI-compatible `/chat/completions`.

use super::{AgentFailure, Answer, Runtime, Sink, Turn};
use crate::store::Store;
use async_trait::async_trait;
use std::sync::Arc;

/// How to reach the model.
#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    pub base_url: String,
    pub api_key: Option<Secret>,
    pub model: String,
}

/// A key that never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    fn expose(&self) -> &str {
        &self.0
    }
}

pub struct OpenAi {
    _store: Arc<dyn Store>,
    config: OpenAiConfig,
}

impl OpenAi {
    pub fn new(store: Arc<dyn Store>, config: OpenAiConfig) -> Self {
        Self {
            _store: store,
            config,
        }
    }
}

#[async_trait]
impl Runtime for OpenAi {
    async fn answer(&self, _turn: Turn, _sink: &dyn Sink) -> Result<Answer, AgentFailure> {
        let _ = self.config.api_key.as_ref().map(Secret::expose);
        Err(AgentFailure::Misconfigured("not built yet".into()))
    }
}
