//! Speech engines: two small traits, and which of the engines an agent talks with.

pub mod local;
pub mod openai;

use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Longest text that is spoken in one piece. Sentences are far shorter.
pub const WORDS_MAX_BYTES: usize = 1_000;
/// Values of an agent's `voice`. The last two are realtime engines (`realtime.rs`), which a call is handed to.
pub const CHOICES: [&str; 6] = [
    "off",
    "auto",
    "local",
    "openai",
    "pipecat",
    "openai-realtime",
];

/// Hears. Dropping the future stops the work at once.
#[async_trait]
pub trait SpeechToText: Send + Sync {
    /// Samples at [`super::HEARD_RATE`] come while they are spoken, and the queue ends with the turn. `so_far` gets all words known
    /// by then, as often as the engine likes. Empty: nothing was understood.
    async fn transcribe(
        &self,
        speech: mpsc::Receiver<Vec<i16>>,
        so_far: &dyn SoFar,
    ) -> Result<String, SpeechFailure>;
}

/// Where the words go that are known before a turn is over.
pub trait SoFar: Send + Sync {
    fn words(&self, words: &str);
}

impl<F: Fn(&str) + Send + Sync> SoFar for F {
    fn words(&self, words: &str) {
        self(words);
    }
}

/// Speaks. Dropping the future stops the work at once.
#[async_trait]
pub trait TextToSpeech: Send + Sync {
    /// Gives samples at [`super::SPOKEN_RATE`] as they are made.
    async fn speak(&self, words: &str, sound: &mpsc::Sender<Vec<i16>>)
    -> Result<(), SpeechFailure>;
}

/// Why there are no words, or no sound. For the log; never a key, nor what was said, nor what a provider wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpeechFailure(pub String);

impl SpeechFailure {
    pub fn new(why: impl Into<String>) -> Self {
        SpeechFailure(why.into())
    }
}

#[derive(Clone)]
pub struct Engine {
    pub ears: Arc<dyn SpeechToText>,
    pub mouth: Arc<dyn TextToSpeech>,
    /// Somebody may have to be paid for its minutes.
    pub metered: bool,
}

/// The engines of this server. What is missing is known in words.
#[derive(Clone)]
pub struct Engines {
    local: Result<Engine, String>,
    openai: Result<Engine, String>,
}

impl Engines {
    pub fn new(local: Result<Engine, String>, openai: Result<Engine, String>) -> Engines {
        Engines { local, openai }
    }

    /// No voice at all.
    pub fn none() -> Engines {
        let none = || Err("this server has no speech engine".to_owned());
        Engines::new(none(), none())
    }

    /// One engine for every agent that talks: for tests.
    pub fn only(engine: Engine) -> Engines {
        Engines::new(Ok(engine.clone()), Ok(engine))
    }

    /// The agent's choice; `auto` is the provider where one is configured, else the machine's own. Err: why there is no voice.
    pub fn of(&self, choice: &str) -> Result<&Engine, &str> {
        match choice {
            "local" => self.local.as_ref().map_err(String::as_str),
            "openai" => self.openai.as_ref().map_err(String::as_str),
            "auto" => self
                .openai
                .as_ref()
                .or(self.local.as_ref())
                .map_err(String::as_str),
            "pipecat" | "openai-realtime" => {
                Err("this agent's calls go to a realtime engine, by a call of their own")
            }
            _ => Err("voice is switched off for this agent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mute;
    use super::*;

    fn check(choice: &str, local: bool, openai: bool, works: bool) {
        let engine = |there: bool, why: &str| match there {
            true => Ok(mute()),
            false => Err(why.to_owned()),
        };
        let engines = Engines::new(engine(local, "no flite"), engine(openai, "no provider"));
        assert_eq!(
            engines.of(choice).is_ok(),
            works,
            "{choice} {local} {openai}"
        );
    }

    #[test]
    fn an_agent_talks_with_the_engine_of_its_choice_or_not_at_all() {
        for (local, openai) in [(false, false), (false, true), (true, false), (true, true)] {
            check("off", local, openai, false);
            check("", local, openai, false);
            check("auto", local, openai, local || openai);
            check("local", local, openai, local);
            check("openai", local, openai, openai);
            check("pipecat", local, openai, false);
            check("openai-realtime", local, openai, false);
        }
    }
}
