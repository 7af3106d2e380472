//! `pipecat`: a bot of the operator's behind Pipecat's SmallWebRTC transport (`POST /api/offer`), RTVI on the data channel.
//!
//! Its HTTP has no order to hang up. What it has is a peer connection that is started anew: the bot is told that its client has gone and
//! the old connection, with the visitor at its other end, is closed. The new one answers an offer that nobody waits for.

use super::http::{self, Http, PATIENCE};
use super::{CallName, CallRequest, Candidate, Handed, Realtime, Refusal};
use crate::secret::Secret;
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

#[derive(Clone, Debug)]
pub struct PipecatConfig {
    /// `KARTA_PIPECAT_URL`: where the bot's runner is.
    pub url: Url,
    /// `KARTA_PIPECAT_KEY`: for a proxy in front of it.
    pub key: Option<Secret>,
}

pub struct Pipecat {
    http: Http,
    offers: Url,
    /// A bot notices by itself that its client has closed the connection. So much time it gets for that.
    farewell: Duration,
}

/// Of the answer to an offer.
#[derive(Deserialize)]
struct Answered {
    sdp: String,
    #[serde(rename = "type")]
    kind: String,
    pc_id: String,
}

impl Pipecat {
    pub fn new(config: &PipecatConfig) -> Result<Pipecat, String> {
        Pipecat::patient(config, PATIENCE)
    }

    pub fn patient(config: &PipecatConfig, patience: Duration) -> Result<Pipecat, String> {
        let direct = config.url.path().trim_end_matches('/').ends_with("/offer");
        let offers = match direct {
            true => config.url.clone(),
            false => http::below(&config.url, &["api", "offer"]),
        };
        Ok(Pipecat {
            http: Http::new(config.key.as_ref(), "KARTA_PIPECAT_KEY", patience)?,
            offers,
            farewell: patience / 8,
        })
    }

    async fn post(&self, body: &Value) -> Result<Handed, Refusal> {
        let request = self.http.post(self.offers.clone()).json(body);
        let answer = self.http.send(request).await?;
        let answer = answer
            .ok_or_else(|| Refusal::failed("there is no bot at KARTA_PIPECAT_URL (HTTP 404)"))?;
        let answered: Answered = serde_json::from_slice(&answer.body)
            .map_err(|_| Refusal::failed("the engine's answer is not Pipecat's"))?;
        if answered.kind != "answer" {
            return Err(Refusal::failed("the engine's answer is not Pipecat's"));
        }
        super::answer(&answered.sdp)?;
        Ok(Handed {
            call: super::name(&answered.pc_id)?,
            sdp: answered.sdp,
        })
    }

    /// Err(None): the bot does not know the call any more.
    async fn patch(&self, call: &str, candidates: Vec<Value>) -> Result<(), Option<Refusal>> {
        let body = json!({"pc_id": call, "candidates": candidates});
        let request = self.http.patch(self.offers.clone()).json(&body);
        match self.http.send(request).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(None),
            Err(refusal) => Err(Some(refusal)),
        }
    }
}

#[async_trait]
impl Realtime for Pipecat {
    async fn offer(&self, call: &CallRequest) -> Result<Handed, Refusal> {
        // What the bot finds in `runner_args.body`. `messages` is what a context of Pipecat's begins with.
        let messages: Vec<Value> = call
            .told
            .iter()
            .map(|told| match told.by_visitor {
                true => json!({"role": "user", "content": told.text}),
                false => json!({"role": "assistant", "content": told.text}),
            })
            .collect();
        let data = json!({
            "agent_id": call.agent_id,
            "agent_name": call.agent_name,
            "instruction": call.instruction,
            "language": call.language,
            "messages": messages,
        });
        self.post(&json!({
            "sdp": call.sdp, "type": "offer", "pc_id": null, "restart_pc": false, "request_data": data,
        }))
        .await
    }

    async fn trickle(&self, call: &str, candidates: &[Candidate]) -> Result<(), Refusal> {
        if candidates.is_empty() {
            return Ok(());
        }
        let candidates = candidates
            .iter()
            .map(|c| json!({"candidate": c.line, "sdp_mid": c.mid, "sdp_mline_index": c.section}))
            .collect();
        match self.patch(call, candidates).await {
            // Too late to help anybody.
            Ok(()) | Err(None) => Ok(()),
            Err(Some(refusal)) => Err(refusal),
        }
    }

    async fn hang_up(&self, name: &CallName) -> Result<(), Refusal> {
        // Asked first, and once more: an offer for a connection that has just gone would begin another bot.
        for wait in [Duration::ZERO, self.farewell] {
            tokio::time::sleep(wait).await;
            match self.patch(&name.call, Vec::new()).await {
                Ok(()) => {}
                Err(None) => return Ok(()),
                Err(Some(refusal)) => return Err(refusal),
            }
        }
        self.post(&json!({
            "sdp": name.offer, "type": "offer", "pc_id": name.call, "restart_pc": true,
        }))
        .await
        .map(|_| ())
    }
}
