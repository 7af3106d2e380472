//! A conversation that keeps its log in memory: `user.message` becomes a durable event that every reader sees.

use super::super::{Begun, Conversation, Frames};
use crate::error::Fault;
use crate::session::{Frame, Principal, Stay};
use async_trait::async_trait;
use futures::StreamExt;
use karta_protocol::{Accepted, ClientEvent, ErrorCode, client};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

pub const SESSION: &str = "s_test";
pub const OWNER: &str = "v_owner";

pub struct FakeConversation {
    log: Arc<Mutex<Vec<Frame>>>,
    /// Length of the log; `ENDED` closes every subscription.
    length: watch::Sender<usize>,
    /// Subscriptions are refused: the key was disabled.
    pub shut: AtomicBool,
    /// Frames of replays that readers have taken.
    given: Arc<AtomicUsize>,
    panics: AtomicUsize,
}

const ENDED: usize = usize::MAX;

pub fn who(subject: &str) -> Principal {
    Principal {
        account: "acme".into(),
        key_id: "k_1".into(),
        agent_id: "a_1".into(),
        subject: subject.into(),
    }
}

impl FakeConversation {
    pub fn new() -> Arc<Self> {
        Arc::new(FakeConversation {
            log: Arc::default(),
            length: watch::Sender::new(0),
            shut: AtomicBool::new(false),
            given: Arc::default(),
            panics: AtomicUsize::new(0),
        })
    }

    pub fn say(&self, text: &str) -> u64 {
        let mut log = self.log.lock().unwrap();
        let seq = log.len() as u64 + 1;
        let json = serde_json::json!({"type": "user.message", "seq": seq, "text": text});
        log.push(Frame {
            seq: Some(seq),
            json: json.to_string().into(),
        });
        self.length.send_replace(log.len());
        seq
    }

    pub fn end(&self) {
        self.length.send_replace(ENDED);
    }

    pub fn given(&self) -> usize {
        self.given.load(Ordering::Relaxed)
    }

    pub fn panics(&self) -> usize {
        self.panics.load(Ordering::Relaxed)
    }

    pub fn readers(&self) -> usize {
        self.length.receiver_count()
    }
}

#[async_trait]
impl Conversation for FakeConversation {
    async fn check(&self, who: &Principal, session_id: &str) -> Result<(), Fault> {
        if who.subject == OWNER && session_id == SESSION {
            return Ok(());
        }
        Err(Fault::refused(
            ErrorCode::SessionNotFound,
            "no such session",
        ))
    }

    async fn subscribe(
        &self,
        who: &Principal,
        session_id: &str,
        after: u64,
    ) -> Result<Frames, Fault> {
        self.check(who, session_id).await?;
        if self.shut.load(Ordering::Relaxed) {
            return Err(Fault::refused(ErrorCode::ClientKeyDisabled, "disabled"));
        }
        let length = self.length.subscribe();
        let replay: Vec<Frame> = self.log.lock().unwrap()[after as usize..].to_vec();
        let position = after as usize + replay.len();
        let synced = Frame {
            seq: None,
            json: serde_json::json!({"type": "session.synced", "seq": position})
                .to_string()
                .into(),
        };
        let live = futures::stream::unfold(
            (self.log.clone(), length, position),
            |(log, mut length, position)| async move {
                let now = *length.wait_for(|length| *length > position).await.ok()?;
                if now == ENDED {
                    return None;
                }
                let frame = log.lock().unwrap()[position].clone();
                Some((frame, (log, length, position + 1)))
            },
        );
        let given = self.given.clone();
        let count = move |_: &Frame| {
            given.fetch_add(1, Ordering::Relaxed);
        };
        Ok(futures::stream::iter(replay.into_iter().chain([synced]))
            .inspect(count)
            .chain(live)
            .boxed())
    }

    async fn submit(
        &self,
        who: &Principal,
        session_id: &str,
        event: ClientEvent,
    ) -> Result<Accepted, Fault> {
        self.check(who, session_id).await?;
        if event.kind != client::MESSAGE {
            return Err(Fault::refused(ErrorCode::RequestInvalid, "unknown event"));
        }
        let text = event.text.unwrap_or_default();
        if text == "panic" {
            self.panics.fetch_add(1, Ordering::Relaxed);
            panic!("asked for by a test");
        }
        let seq = self.say(&text);
        Ok(Accepted { seq: Some(seq) })
    }

    async fn begin_call(&self, _who: &Principal, _session_id: &str) -> Result<Begun, Fault> {
        Err(Fault::refused(ErrorCode::VoiceUnavailable, "no voice"))
    }

    async fn go_on(&self, _who: &Principal, _session: &str, stay: Stay) -> Result<Stay, Fault> {
        Ok(stay)
    }

    async fn said(
        &self,
        _who: &Principal,
        _session_id: &str,
        _utterance: &str,
        words: &str,
    ) -> Result<Accepted, Fault> {
        let seq = self.say(words);
        Ok(Accepted { seq: Some(seq) })
    }
}
