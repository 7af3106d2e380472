//! How to reach the model. The variables (OPENAI_BASE_URL and so on) are read and checked by [`crate::config`].

pub use crate::secret::Secret;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// As people write it: with or without a slash at the end, or the whole path.
    pub base_url: String,
    pub api_key: Option<Secret>,
    /// For agents that name none.
    pub model: String,
    /// Signs what tools are asked.
    pub tool_secret: Option<Secret>,
}

/// How long a provider may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub connect: Duration,
    /// To the first token: a large local model may have to load.
    pub first: Duration,
    /// Between two tokens.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first: Duration::from_secs(60),
            idle: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_itself_nowhere() {
        let config = OpenAiConfig {
            base_url: "https://x.example/v1".into(),
            api_key: Some(Secret::new("sk-1")),
            model: "m".into(),
            tool_secret: Some(Secret::new("sk-1")),
        };
        assert!(!format!("{config:?}").contains("sk-1"));
    }
}
