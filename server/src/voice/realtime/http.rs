//! Calls to an engine: one host, no redirects, bounded in time and size. What the engine writes beside its answer stays unread.

use super::Refusal;
use crate::outbound::{self, Trouble, Verdict};
use crate::secret::Secret;
use reqwest::RequestBuilder;
use reqwest::header::{HeaderMap, LOCATION};
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
        Ok(Http {
            client: outbound::client(CONNECT)?,
            headers: outbound::bearer(key, key_name)?,
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
        match Verdict::of(status) {
            Verdict::Done => {}
            Verdict::Unknown => return Ok(None),
            Verdict::Busy => {
                return Err(Refusal::Busy {
                    retry_after_seconds: outbound::retry_after(&response)
                        .unwrap_or(RETRY_SECONDS)
                        .clamp(1, RETRY_MAX_SECONDS),
                });
            }
            Verdict::Key => {
                return Err(Refusal::Failed(format!(
                    "the engine refuses the key (HTTP {status})"
                )));
            }
            Verdict::Redirected | Verdict::Failed => {
                return Err(Refusal::Failed(format!(
                    "the engine failed (HTTP {status})"
                )));
            }
        }
        let kind = outbound::kind(&response);
        let location = outbound::header(&response, LOCATION).map(ToOwned::to_owned);
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| failure(&error))? {
            if body.len() + piece.len() > ANSWER_MAX_BYTES {
                return Err(Refusal::failed("the engine's answer is too long"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Some(Answer {
            kind,
            location,
            body,
        }))
    }
}

fn failure(error: &reqwest::Error) -> Refusal {
    Refusal::failed(match Trouble::from(error) {
        Trouble::Connection => "no connection to the engine",
        Trouble::Cut => "the engine's answer was cut",
        Trouble::Time | Trouble::Other => "the request to the engine failed",
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
