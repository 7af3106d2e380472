//! Requests to providers: models, speech engines, realtime engines. One way to make a client, to send a key and to tell what went wrong, so
//! that none of them follows a redirect, logs a key or repeats what a provider wrote. What is asked and how its answer is read is each one's own.

mod form;
mod sips;

pub use form::Form;
pub use sips::Sips;

use crate::secret::Secret;
use reqwest::Response;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use std::time::Duration;
use url::Url;

const USER_AGENT_NAME: HeaderValue =
    HeaderValue::from_static(concat!("karta-server/", env!("CARGO_PKG_VERSION")));

/// `connect`: how long a connection may take.
pub fn client(connect: Duration) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .connect_timeout(connect)
        // A redirect would carry the key to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(USER_AGENT_NAME)
        .build()
        .map_err(|_| "the HTTP client cannot be built".to_owned())
}

/// The header that shows the key, where there is one. `name`: how the operator knows it.
pub fn bearer(key: Option<&Secret>, name: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
        let mut value = value.map_err(|_| format!("{name} is not a header value"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// An address of an OpenAI-compatible server: its base as people write it, with or without a slash or the whole path of the chat, and `path`
/// behind that. A query (`?api-version=…`) stays.
pub fn endpoint(base: &str, path: &str) -> Result<Url, String> {
    let wrong = "OPENAI_BASE_URL must be an address like https://api.openai.com/v1 or http://127.0.0.1:11434/v1";
    let mut url = Url::parse(base).map_err(|_| wrong)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong.into());
    }
    let before = url.path().trim_end_matches('/');
    let before = before.strip_suffix("/chat/completions").unwrap_or(before);
    let path = format!("{before}{path}");
    url.set_path(&path);
    url.set_fragment(None);
    Ok(url)
}

/// Why there is no answer. Categories only: reqwest's own words can hold the address, and an address can hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Connection,
    Time,
    /// In the middle of the answer.
    Cut,
    Other,
}

impl From<&reqwest::Error> for Trouble {
    fn from(error: &reqwest::Error) -> Trouble {
        if error.is_connect() {
            Trouble::Connection
        } else if error.is_timeout() {
            Trouble::Time
        } else if error.is_body() || error.is_decode() {
            Trouble::Cut
        } else {
            Trouble::Other
        }
    }
}

/// What a status says. What the provider wrote beside it stays unread: it may quote the key or the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// The key is refused.
    Key,
    /// No such address, model or call.
    Unknown,
    Redirected,
    /// Too much at the moment.
    Busy,
    Failed,
}

impl Verdict {
    pub fn of(status: u16) -> Verdict {
        match status {
            200..=299 => Verdict::Done,
            300..=399 => Verdict::Redirected,
            401 | 403 => Verdict::Key,
            404 => Verdict::Unknown,
            429 | 503 | 529 => Verdict::Busy,
            _ => Verdict::Failed,
        }
    }
}

pub fn header(response: &Response, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// `Content-Type` in small letters; empty where there is none.
pub fn kind(response: &Response) -> String {
    let kind = header(response, CONTENT_TYPE).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase()
}

/// In seconds, where it says so in seconds.
pub fn retry_after(response: &Response) -> Option<u32> {
    header(response, RETRY_AFTER)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_read_as_people_write_it() {
        for (base, expected) in [
            ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1/x"),
            ("http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434/v1/x"),
            (
                "https://x.example/v1/chat/completions",
                "https://x.example/v1/x",
            ),
            ("https://x.example", "https://x.example/x"),
            (
                "https://x.example/d?api-version=1#top",
                "https://x.example/d/x?api-version=1",
            ),
        ] {
            let url = endpoint(base, "/x").map(String::from);
            assert_eq!(url.as_deref(), Ok(expected));
        }
        for base in ["", "localhost:8080", "ftp://x.example", "nonsense"] {
            let refused = endpoint(base, "/x");
            assert!(
                refused.is_err_and(|words| words.contains("OPENAI_BASE_URL")),
                "{base}"
            );
        }
    }

    #[test]
    fn a_key_that_is_no_header_is_named_and_a_good_one_is_not_shown() {
        let bad = bearer(Some(&Secret::new("sk\n1")), "A_KEY").expect_err("no header value");
        assert!(bad.contains("A_KEY") && !bad.contains("sk"), "{bad}");
        let headers = bearer(Some(&Secret::new("sk-1")), "A_KEY").expect("a header");
        assert_eq!(headers[AUTHORIZATION], "Bearer sk-1");
        assert!(!format!("{headers:?}").contains("sk-1"), "{headers:?}");
        assert!(bearer(None, "A_KEY").expect("no key").is_empty());
    }
}
