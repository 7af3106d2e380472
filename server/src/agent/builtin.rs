//! The `builtin` runtime: answers from the owner's documents, in their words, without a model.

use super::{AgentFailure, Answer, Runtime, Sink, Turn};
use crate::store::Store;
use async_trait::async_trait;
use karta_protocol::Source;
use std::sync::Arc;
use std::time::Duration;

/// Between two words: quick, but visibly written rather than thrown.
const PACE: Duration = Duration::from_millis(4);

pub struct Builtin {
    store: Arc<dyn Store>,
}

impl Builtin {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Runtime for Builtin {
    async fn answer(&self, turn: Turn, sink: &dyn Sink) -> Result<Answer, AgentFailure> {
        let question = turn.questions.join("\n");
        let found = self
            .store
            .search(&turn.agent.account, &turn.agent.id, &question, 8)
            .await
            .map_err(|e| AgentFailure::Broken(e.to_string()))?;
        match found.passages.first() {
            Some(best) => {
                write(&best.text, sink).await;
                Ok(Answer {
                    sources: vec![Source {
                        title: best.title.clone(),
                        url: best.url.clone(),
                    }],
                    ..Answer::default()
                })
            }
            None => {
                write(
                    "I don't know that. Would you like to talk to a person?",
                    sink,
                )
                .await;
                Ok(Answer {
                    offer_person: true,
                    ..Answer::default()
                })
            }
        }
    }
}

async fn write(text: &str, sink: &dyn Sink) {
    for (at, word) in text.split_inclusive(char::is_whitespace).enumerate() {
        if at > 0 {
            tokio::time::sleep(PACE).await;
        }
        sink.text(word);
    }
}
