//! Voice: the visitor talks, the agent answers aloud, in the same session as text.
//!
//! `voice/call.rs` decides, without I/O: packets, words and the clock go in; frames, orders to the speech engines and news for the
//! visitor come out. Around it: `inbound` (order, holes, pauses), `turns` (who speaks when), `sentences` and `playout` (what is said,
//! and how much of it was heard). `line` runs a call; `engine` has the two traits of the speech engines, `local` and `openai`.
//! `realtime` has the engines that a call is handed to as a whole. No WebRTC and no HTTP server here.

mod call;
pub mod codec;
pub mod engine;
mod inbound;
mod level;
mod playout;
pub mod realtime;
mod resample;
mod samples;
mod sentences;
#[cfg(test)]
pub(crate) mod tests;
mod turns;
pub mod wav;

pub use call::{Call, CallSettings, Out, Phase};
pub use resample::Resampler;
pub use turns::TurnSettings;

use crate::error::Fault;
use engine::{Engine, Engines};
use karta_protocol::{ErrorCode, RealtimeLine};
use realtime::{Line, Realtimes};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What speech recognition works with, samples a second.
pub const HEARD_RATE: u32 = 16_000;
/// What speech engines deliver and the encoder takes, samples a second.
pub const SPOKEN_RATE: u32 = 24_000;
/// Samples in a frame of 20 ms at [`SPOKEN_RATE`].
pub const FRAME: usize = 480;
pub const FRAME_TIME: Duration = Duration::from_millis(20);

/// Calls at once in this process, unless the operator says otherwise. A recogniser of the machine's own holds 100 MB.
pub const CALLS_MAX: usize = 50;

/// What this server has for calls.
#[derive(Clone)]
pub struct Voices {
    engines: Engines,
    realtimes: Realtimes,
    places: Arc<Semaphore>,
    calls_max: usize,
    settings: CallSettings,
}

impl Voices {
    pub fn new(engines: Engines, calls_max: usize, settings: CallSettings) -> Voices {
        Voices {
            engines,
            realtimes: Realtimes::none(),
            places: Arc::new(Semaphore::new(calls_max)),
            calls_max,
            settings,
        }
    }

    pub fn with_realtimes(self, realtimes: Realtimes) -> Voices {
        Voices { realtimes, ..self }
    }

    /// An agent with this choice can be talked to over the connection that carries the text.
    pub fn available(&self, choice: &str) -> bool {
        self.engines.of(choice).is_ok()
    }

    /// Calls that go on.
    pub fn calls(&self) -> usize {
        self.calls_max
            .saturating_sub(self.places.available_permits())
    }

    pub fn calls_max(&self) -> usize {
        self.calls_max
    }

    /// An agent with this choice can be talked to by handing its calls over, and how they speak then.
    pub fn handed(&self, choice: &str) -> Option<RealtimeLine> {
        let line = self.realtimes.of(choice)?.ok()?;
        Some(line.kind)
    }

    pub fn settings(&self) -> CallSettings {
        self.settings.clone()
    }

    /// The engine for a call, and its place among all.
    pub fn admit(&self, choice: &str) -> Result<(Engine, OwnedSemaphorePermit), Fault> {
        let engine = self.engines.of(choice).map_err(unavailable)?;
        Ok((engine.clone(), self.place()?))
    }

    /// The realtime engine for a call that is handed over, and its place among all.
    pub fn admit_handed(&self, choice: &str) -> Result<(Line, OwnedSemaphorePermit), Fault> {
        Ok((self.line(choice)?, self.place()?))
    }

    /// The same for a call that goes on already. None: it has no place, and takes none from others.
    pub fn admit_again(&self, choice: &str) -> Result<(Line, Option<OwnedSemaphorePermit>), Fault> {
        Ok((self.line(choice)?, self.place().ok()))
    }

    fn line(&self, choice: &str) -> Result<Line, Fault> {
        match self.realtimes.of(choice) {
            Some(line) => line.map_err(unavailable),
            None => Err(unavailable("this agent's calls are not handed over")),
        }
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let place = self.places.clone().try_acquire_owned();
        place.map_err(|_| Fault::Refused {
            code: ErrorCode::Overloaded,
            message: "As many calls as this server can take are going on. Text works; try again in a moment."
                .into(),
            retry_after_seconds: Some(30),
        })
    }
}

/// What the operator has to do is in the log; a visitor can only type.
fn unavailable(why: &str) -> Fault {
    tracing::info!(why, "a call was refused");
    Fault::refused(
        ErrorCode::VoiceUnavailable,
        "This agent cannot be talked to at the moment. Text works.",
    )
}

/// An audio packet as it came from the visitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Of RTP, extended: it never wraps.
    pub seq: u64,
    /// Of RTP's 48 kHz clock, extended.
    pub time: u64,
    pub payload: Vec<u8>,
}

/// A packet on its way to the visitor: 20 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Of RTP's 48 kHz clock.
    pub time: u64,
    /// The first after a silence.
    pub first: bool,
    pub payload: Vec<u8>,
}

/// A stretch of the visitor's line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    /// At [`HEARD_RATE`].
    Sound(Vec<i16>),
    Silence(Duration),
    /// Time without a packet: the visitor's pause, or the network's. What it was is said by what comes next.
    Nothing(Duration),
}
