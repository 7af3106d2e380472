//! A turn in which the model is asked more than once, because tools act in between: what it has said and cost in all of it.

use super::chunk::Completion;
use crate::agent::{Sink, tokens_in};
use karta_protocol::Usage;
use std::sync::{Mutex, PoisonError};

/// What has been written in this turn, in all rounds.
#[derive(Default)]
pub struct Said {
    pub text: String,
    /// What comes next is a paragraph of its own.
    paused: bool,
}

impl Said {
    pub fn pause(&mut self) {
        self.paused = !self.text.is_empty();
    }
}

/// Where a round's words go.
pub struct Scribe<'a> {
    sink: &'a dyn Sink,
    said: Mutex<&'a mut Said>,
    /// Where this round's words begin.
    from: usize,
}

impl<'a> Scribe<'a> {
    pub fn new(sink: &'a dyn Sink, said: &'a mut Said) -> Self {
        Scribe {
            sink,
            from: said.text.len(),
            said: Mutex::new(said),
        }
    }

    pub fn sink(&self) -> &dyn Sink {
        self.sink
    }

    pub fn text(&self, piece: &str) {
        // Nothing in here can panic half-way through a change.
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = match std::mem::take(&mut said.paused) {
            true => &format!("\n\n{}", piece.trim_start()),
            false => piece,
        };
        said.text.push_str(piece);
        self.sink.text(piece);
    }

    /// What this round has written, about.
    fn tokens(&self) -> u64 {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        tokens_in(&said.text[self.from..])
    }
}

/// What the rounds of a turn have cost.
#[derive(Default)]
pub struct Spent {
    pub so_far: Usage,
    /// Some round was not counted by the provider.
    guessed: bool,
    rounds: usize,
}

impl Spent {
    pub fn and(&self, input_tokens: u64) -> Usage {
        Usage {
            input_tokens: self.so_far.input_tokens + input_tokens,
            ..self.so_far
        }
    }

    /// `estimate`: of what was sent, for a provider that does not count.
    pub fn add(&mut self, estimate: u64, completion: &Completion, scribe: &Scribe<'_>) {
        self.rounds += 1;
        let usage = completion.usage.map(|usage| Usage {
            input_tokens: usage.prompt_tokens,
            output_tokens: usage.completion_tokens,
        });
        self.guessed |= usage.is_none();
        let usage = usage.unwrap_or(Usage {
            input_tokens: estimate,
            output_tokens: scribe.tokens(),
        });
        self.so_far.input_tokens += usage.input_tokens;
        self.so_far.output_tokens += usage.output_tokens;
    }

    /// None: the provider counts nothing, and what we guess is for the caps alone.
    pub fn counted(&self) -> Option<Usage> {
        (self.rounds > 0 && !self.guessed).then_some(self.so_far)
    }
}
