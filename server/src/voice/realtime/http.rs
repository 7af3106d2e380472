//! Calls to an engine: one host, no redirects, bounded in time and size. What the engine writes beside its answer stays unread.

use super::Refusal;
use crate::secret::Secret;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Response};
use std::time::Duration;
use url::Url;

const CONNECT: Duration = Duration::from_secs(5);
/// For a whole answer. A bot that gathers candidates needs some of it; a visitor who waits has none of it to give.
pub const PATIENCE: Duration = Duration::from_secs(12);
/// An SDP answer is some kB; more is none.
const ANSWER_MAX_BYTES: usize = 96 * 1024;
/// What `Retry-After` of an engine may ask for.
const RETRY_MAX_SECONDS: u32 = 120;
const RETRY_SECONDS: u32 = 15;

pub struct Http {
    client: reqwest::Client,
    headers: HeaderMap,
    patience: Duration,
}

/// A success.
pub struct Answer {
    pub kind: String,
    pub location: Option<String>,
    pub body: Vec<u8>,
}

impl Http {
    /// `key_name`: how the operator knows the key.
    pub fn new(key: Option<&Secret>, key_name: &str, patience: Duration) -> Result<Http, String> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            // A redirect would carry the key to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("karta-server/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| "the HTTP client cannot be built".to_owned())?;
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
            let mut value = value.map_err(|_| format!("{key_name} is not a header value"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Http {
            client,
            headers,
            patience,
        })
    }

    pub fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    pub fn patch(&self, url: Url) -> RequestBuilder {
        self.client.patch(url)
    }

    /// None: 404, where a call that is over is looked for.
    pub async fn send(&self, request: RequestBuilder) -> Result<Option<Answer>, Refusal> {
        let whole = self.exchange(request);
        match tokio::time::timeout(self.patience, whole).await {
            Ok(answer) => answer,
            Err(_) => Err(Refusal::failed("the engine gave no answer in time")),
        }
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Option<Answer>, Refusal> {
        let sending = request.headers(self.headers.clone()).send();
        let mut response = sending.await.map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        match status {
            200..=299 => {}
            404 => return Ok(None),
            429 | 503 | 529 => {
                return Err(Refusal::Busy {
                    retry_after_seconds: retry_after(&response),
                });
            }
            401 | 403 => {
                return Err(Refusal::Failed(format!(
                    "the engine refuses the key (HTTP {status})"
                )));
            }
            _ => {
                return Err(Refusal::Failed(format!(
                    "the engine failed (HTTP {status})"
                )));
            }
        }
        let kind = header(&response, CONTENT_TYPE).unwrap_or_default();
        let location = header(&response, reqwest::header::LOCATION);
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| failure(&error))? {
            if body.len() + piece.len() > ANSWER_MAX_BYTES {
                return Err(Refusal::failed("the engine's answer is too long"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Some(Answer {
            kind: kind.trim_start().to_ascii_lowercase(),
            location,
            body,
        }))
    }
}

fn header(response: &Response, name: HeaderName) -> Option<String> {
    let value = response.headers().get(name)?;
    value.to_str().ok().map(ToOwned::to_owned)
}

fn retry_after(response: &Response) -> u32 {
    header(response, reqwest::header::RETRY_AFTER)
        .and_then(|text| text.trim().parse::<u32>().ok())
        .unwrap_or(RETRY_SECONDS)
        .clamp(1, RETRY_MAX_SECONDS)
}

/// Categories only: reqwest's own words can hold the address, and an address can hold a password.
fn failure(error: &reqwest::Error) -> Refusal {
    Refusal::failed(if error.is_connect() {
        "no connection to the engine"
    } else if error.is_body() || error.is_decode() {
        "the engine's answer was cut"
    } else {
        "the request to the engine failed"
    })
}

/// `base` and what stands behind its path.
pub fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}
