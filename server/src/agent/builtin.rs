//! The `builtin` runtime: answers from the owner's documents, in their words, without a model.
//!
//! A message is read sentence by sentence. Courtesies get a courtesy back ([`courtesy`]); a question goes to the full-text search,
//! the passages found are weighed against it ([`rank`]), and the sentences that answer it are quoted ([`quote`]). Below a threshold
//! it says that it does not know and offers a person: a wrong answer costs a shop more than none.

use super::{AgentFailure, Answer, Attachment, Line, Runtime, Sink, Turn};
use crate::store::{Found, Store};
use async_trait::async_trait;
use courtesy::Courtesy;
use karta_protocol::Source;
use rank::Confidence;
use std::sync::Arc;
use std::time::Duration;
use wording::Wording;

pub mod courtesy;
mod quote;
pub mod rank;
#[cfg(test)]
mod tests;
mod wording;

/// Between two words: quick, but visibly written rather than thrown.
const PACE: Duration = Duration::from_millis(4);
/// Passages weighed for one question.
const CANDIDATES: usize = 16;
/// Questions answered in one turn; who asks more gets the first ones.
const QUESTIONS_MAX: usize = 3;
/// Topics named when a visitor asks what can be asked.
const TOPICS_MAX: usize = 12;

pub struct Builtin {
    store: Arc<dyn Store>,
}

/// An answer before it is written out.
#[derive(Debug, Default)]
struct Draft {
    paragraphs: Vec<String>,
    sources: Vec<Source>,
    offer_person: bool,
    unknown: bool,
}

impl Builtin {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    async fn draft(&self, turn: &Turn) -> Result<Draft, AgentFailure> {
        let message = turn.questions.join("\n");
        if let Some(courtesy) = courtesy::of(&message) {
            return self.courteous(turn, courtesy).await;
        }
        let mut draft = Draft::default();
        let questions = courtesy::questions(&message);
        let mut missed = false;
        for question in questions.iter().take(QUESTIONS_MAX) {
            missed |= !self.answer_one(turn, question, &mut draft).await?;
        }
        // Sentences alone may say too little; the message as a whole can still find its passage.
        if draft.paragraphs.is_empty() && questions.len() > 1 {
            missed = !self.answer_one(turn, &message, &mut draft).await?;
        }
        if draft.paragraphs.is_empty() {
            draft.unknown = true;
            draft.offer_person = true;
            let words = wording(turn);
            let words = match missed && !questions.is_empty() {
                true => words.unknown,
                false => words.unclear,
            };
            draft.paragraphs.push(words.into());
        }
        Ok(draft)
    }

    /// False: nothing found that is good enough.
    async fn answer_one(
        &self,
        turn: &Turn,
        question: &str,
        draft: &mut Draft,
    ) -> Result<bool, AgentFailure> {
        let before = turn.history.iter().rev().find_map(|line| match line {
            Line::Visitor(text) => Some(text.as_str()),
            Line::Agent(_) | Line::Reported(_) => None,
        });
        let follows = courtesy::follows_up(question);
        let mut found = self.search(turn, question).await?;
        let mut matched = rank::best(&found, None, courtesy::several(question));
        // "And to France?" means the last question with another place.
        if let Some(before) = before
            && (follows || found.terms.iter().all(|term| term.hint))
        {
            let own: Vec<String> = found.terms.iter().map(|t| t.stem.clone()).collect();
            let together = self.search(turn, &format!("{before}\n{question}")).await?;
            let joint = rank::best(&together, Some(&own), false);
            let answers_own = joint.iter().any(|m| m.speaks_of(&together, &own));
            if answers_own || matched.is_empty() {
                (found, matched) = (together, joint);
            }
        }
        if matched.is_empty() {
            return Ok(false);
        }
        for hit in &matched {
            let passage = &found.passages[hit.passage];
            let words = quote::from(passage, &found.terms, &hit.weights);
            if draft.paragraphs.iter().any(|p| p.contains(&words)) {
                continue;
            }
            draft.paragraphs.push(match hit.confidence {
                Confidence::Sure => words,
                Confidence::Unsure => {
                    draft.offer_person = true;
                    format!("{}\n\n{words}", wording(turn).unsure)
                }
            });
            let source = Source {
                title: passage.title.clone(),
                url: passage.url.clone(),
            };
            if !draft.sources.contains(&source) {
                draft.sources.push(source);
            }
        }
        Ok(true)
    }

    async fn courteous(&self, turn: &Turn, courtesy: Courtesy) -> Result<Draft, AgentFailure> {
        let mut draft = Draft::default();
        let words = wording(turn);
        draft.offer_person = courtesy == Courtesy::Person;
        let text = match words.courtesy(courtesy) {
            Some(text) => text.to_owned(),
            None if courtesy == Courtesy::WhoAreYou => words.who(turn.agent.name.trim()),
            None => self.topics(turn, words).await?,
        };
        draft.paragraphs.push(text);
        Ok(draft)
    }

    async fn topics(&self, turn: &Turn, words: &Wording) -> Result<String, AgentFailure> {
        let documents = self
            .store
            .documents(&turn.agent.account)
            .await
            .map_err(|e| AgentFailure::Broken(e.to_string()))?;
        let mine = documents.iter().filter(|d| {
            d.agent_ids
                .as_ref()
                .is_none_or(|ids| ids.contains(&turn.agent.id))
        });
        let topics: Vec<String> = mine
            .take(TOPICS_MAX)
            .map(|d| format!("- {}", d.title))
            .collect();
        Ok(if topics.is_empty() {
            words.no_topics.into()
        } else {
            format!("{}\n\n{}", words.topics, topics.join("\n"))
        })
    }

    async fn search(&self, turn: &Turn, question: &str) -> Result<Found, AgentFailure> {
        self.store
            .search(&turn.agent.account, &turn.agent.id, question, CANDIDATES)
            .await
            .map_err(|e| AgentFailure::Broken(e.to_string()))
    }
}

#[async_trait]
impl Runtime for Builtin {
    async fn answer(&self, turn: Turn, sink: &dyn Sink) -> Result<Answer, AgentFailure> {
        let mut draft = self.draft(&turn).await?;
        if let Some(words) = acknowledged(&turn.files) {
            draft.paragraphs.insert(0, words);
        }
        write(&draft.paragraphs.join("\n\n"), sink).await;
        Ok(Answer {
            sources: draft.sources,
            offer_person: draft.offer_person,
            usage: None,
        })
    }
}

/// Says what becomes of files, honestly: this runtime reads none.
fn acknowledged(files: &[Attachment]) -> Option<String> {
    let names: Vec<&str> = files
        .iter()
        .filter(|f| f.fresh)
        .map(|f| f.name.as_str())
        .collect();
    if names.is_empty() {
        return None;
    }
    Some(format!(
        "Thank you, I have kept {}. I cannot read files or look at pictures myself, but a person who reads this conversation can.",
        names.join(", ")
    ))
}

fn wording(turn: &Turn) -> &'static Wording {
    let asked = turn.questions.iter().rev().map(String::as_str);
    let before = turn.history.iter().rev().filter_map(|line| match line {
        Line::Visitor(text) => Some(text.as_str()),
        Line::Agent(_) | Line::Reported(_) => None,
    });
    Wording::of(asked.chain(before))
}

async fn write(text: &str, sink: &dyn Sink) {
    for (at, word) in text.split_inclusive(char::is_whitespace).enumerate() {
        if at > 0 {
            tokio::time::sleep(PACE).await;
        }
        sink.text(word);
    }
}
