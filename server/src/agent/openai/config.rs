//! How to reach the model. The variables (OPENAI_BASE_URL and so on) are read and checked by [`crate::config`].

pub use crate::secret::Secret;
use std::time::Duration;
use url::Url;

#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// As people write it: with or without a slash at the end, or the whole path.
    pub base_url: String,
    pub api_key: Option<Secret>,
    /// For agents that name none.
    pub model: String,
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

/// The base as people write it, with or without a slash or the whole path. A query (`?api-version=…`) stays.
pub(super) fn endpoint(base: &str) -> Result<Url, String> {
    let wrong = "OPENAI_BASE_URL must be an address like https://api.openai.com/v1 or http://127.0.0.1:11434/v1";
    let mut url = Url::parse(base).map_err(|_| wrong)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong.into());
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/chat/completions").unwrap_or(path);
    let path = format!("{path}/chat/completions");
    url.set_path(&path);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_read_as_people_write_it() {
        for (base, expected) in [
            (
                "http://127.0.0.1:11434/v1",
                "http://127.0.0.1:11434/v1/chat/completions",
            ),
            (
                "http://127.0.0.1:11434/v1/",
                "http://127.0.0.1:11434/v1/chat/completions",
            ),
            (
                "https://x.example/v1/chat/completions",
                "https://x.example/v1/chat/completions",
            ),
            ("https://x.example", "https://x.example/chat/completions"),
            (
                "https://x.example/d?api-version=1",
                "https://x.example/d/chat/completions?api-version=1",
            ),
        ] {
            assert_eq!(endpoint(base).map(String::from).as_deref(), Ok(expected));
        }
        for base in ["", "localhost:8080", "ftp://x.example", "nonsense"] {
            assert!(
                endpoint(base).is_err_and(|words| words.contains("OPENAI_BASE_URL")),
                "{base}"
            );
        }
    }

    #[test]
    fn a_key_shows_itself_nowhere() {
        let config = OpenAiConfig {
            base_url: "https://x.example/v1".into(),
            api_key: Some(Secret::new("sk-1")),
            model: "m".into(),
        };
        assert!(!format!("{config:?}").contains("sk-1"));
    }
}
