//! A call, without I/O: what came in and the clock → what to do. One call belongs to one connection of one session.
//!
//! The visitor's side: packets → [`Inbound`] → [`Turns`] → orders to recognise, and words to put into the log. The agent's side: the
//! answer as it is written → sentences → orders to speak → frames, 20 ms apart. Between them the rules of talking: while the visitor
//! speaks the agent is silent; who speaks over the agent cuts it at once; and the answer counts as far as it was heard.

use super::inbound::Inbound;
use super::playout::Playout;
use super::sentences::Sentences;
use super::turns::{TurnSettings, Turning, Turns};
use super::{FRAME_TIME, Frame, Packet};
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct CallSettings {
    pub turns: TurnSettings,
    /// Nobody has said anything for so long: the call ends.
    pub idle_max: Duration,
    /// No call lasts longer.
    pub length_max: Duration,
    /// How often it pays: whole minutes, but in a test.
    pub minute: Duration,
}

impl Default for CallSettings {
    fn default() -> Self {
        CallSettings {
            turns: TurnSettings::default(),
            idle_max: Duration::from_secs(180),
            length_max: Duration::from_secs(30 * 60),
            minute: Duration::from_secs(60),
        }
    }
}

/// What the visitor's screen shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Listening,
    Thinking,
    Speaking,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Out {
    Frame(Frame),
    Phase(Phase),
    /// A turn of the visitor began: recognise what comes under this number.
    Recognise(u64),
    Sound(u64, Vec<i16>),
    /// Nothing more comes under this number.
    Ended(u64),
    /// Into the log.
    Said(u64, String),
    /// Make sound of these words, one after the other.
    Speak(u64, String),
    /// Forget every order to speak.
    Hush,
    /// The agent was cut: of this part only the first `heard` bytes reached the visitor.
    Cut {
        part_id: String,
        heard: usize,
    },
    /// So much of the part was heard by now.
    Heard {
        part_id: String,
        heard: usize,
    },
    /// The part was spoken to its end, or was none to be spoken.
    Spoken {
        part_id: String,
    },
    Over(&'static str),
}

/// The answer that is being spoken.
struct Part {
    id: String,
    sentences: Sentences,
    finished: bool,
}

pub struct Call {
    settings: CallSettings,
    began: Instant,
    last_word: Instant,
    inbound: Inbound,
    turns: Turns,
    playout: Playout,
    muted: bool,
    phase: Phase,
    utterance: u64,
    /// Turns of the visitor whose words are not known yet.
    recognising: usize,
    /// The log says that the agent works.
    running: bool,
    part: Option<Part>,
    /// The last part that is known to be whole, and its length.
    written: Option<(String, usize)>,
    /// Parts that began before the call, or were cut: not to be spoken.
    unspoken: Option<String>,
    /// When the next frame leaves. None: the agent is silent.
    next_frame: Option<Instant>,
    heard_told: Instant,
}

impl Call {
    /// `running`: the part that is being written when the call begins; it is read, not heard.
    pub fn new(settings: CallSettings, running: Option<String>, now: Instant) -> Call {
        Call {
            turns: Turns::new(settings.turns.clone()),
            settings,
            began: now,
            last_word: now,
            inbound: Inbound::new(now),
            playout: Playout::default(),
            muted: false,
            phase: Phase::Listening,
            utterance: 0,
            recognising: 0,
            running: false,
            part: None,
            written: None,
            unspoken: running,
            next_frame: None,
            heard_told: now,
        }
    }

    /// When [`Call::tick`] has something to do at the latest.
    pub fn deadline(&self, now: Instant) -> Instant {
        let listening = match self.turns.speaking() {
            // A turn that ends by packets that no longer come ends in time.
            true => now + FRAME_TIME,
            false => now + Duration::from_millis(500),
        };
        self.next_frame.map_or(listening, |at| at.min(listening))
    }

    pub fn packet(&mut self, packet: &Packet, now: Instant, out: &mut Vec<Out>) {
        if self.muted {
            return;
        }
        let mut heard = Vec::new();
        self.inbound.packet(packet, now, &mut heard);
        self.hear(&heard, now, out);
    }

    pub fn tick(&mut self, now: Instant, out: &mut Vec<Out>) {
        if !self.muted {
            let mut heard = Vec::new();
            self.inbound.tick(now, &mut heard);
            self.hear(&heard, now, out);
        }
        self.play(now, out);
        if now.saturating_duration_since(self.began) > self.settings.length_max {
            out.push(Out::Over("too_long"));
        } else if now.saturating_duration_since(self.last_word) > self.settings.idle_max {
            out.push(Out::Over("idle"));
        }
    }

    /// Muted, the visitor is not listened to; what was said before counts.
    pub fn mute(&mut self, muted: bool, now: Instant, out: &mut Vec<Out>) {
        self.muted = muted;
        let mut turnings = Vec::new();
        self.turns.stop(&mut turnings);
        self.turned(turnings, now, out);
        self.show(out);
    }

    fn hear(&mut self, heard: &[super::Heard], now: Instant, out: &mut Vec<Out>) {
        for heard in heard {
            let mut turnings = Vec::new();
            self.turns
                .hear(heard, self.next_frame.is_some(), &mut turnings);
            self.turned(turnings, now, out);
        }
    }

    fn turned(&mut self, turnings: Vec<Turning>, now: Instant, out: &mut Vec<Out>) {
        for turning in turnings {
            match turning {
                Turning::Began(pcm) => {
                    self.last_word = now;
                    self.utterance += 1;
                    if self.next_frame.is_some() {
                        self.cut(out);
                    }
                    out.push(Out::Recognise(self.utterance));
                    out.push(Out::Sound(self.utterance, pcm));
                }
                Turning::Went(pcm) => {
                    self.last_word = now;
                    out.push(Out::Sound(self.utterance, pcm));
                }
                Turning::Ended => {
                    self.recognising += 1;
                    out.push(Out::Ended(self.utterance));
                }
            }
        }
        self.show(out);
    }

    /// What the visitor said under this number; empty where nothing was understood.
    pub fn recognised(&mut self, utterance: u64, words: &str, out: &mut Vec<Out>) {
        self.recognising = self.recognising.saturating_sub(1);
        let words = words.trim();
        if !words.is_empty() {
            // An answer that was held back while the visitor spoke on: nobody has heard it.
            self.cut(out);
            self.running = true;
            out.push(Out::Said(utterance, words.to_owned()));
        }
        self.show(out);
    }

    /// The visitor typed: whoever types over the agent has heard enough.
    pub fn typed(&mut self, now: Instant, out: &mut Vec<Out>) {
        self.last_word = now;
        if self.next_frame.is_some() {
            self.cut(out);
        }
        self.running = true;
        self.show(out);
    }

    fn show(&mut self, out: &mut Vec<Out>) {
        let phase = if self.turns.speaking() {
            Phase::Listening
        } else if self.next_frame.is_some() {
            Phase::Speaking
        } else if self.recognising > 0 || self.running {
            Phase::Thinking
        } else {
            Phase::Listening
        };
        if phase != self.phase {
            self.phase = phase;
            out.push(Out::Phase(phase));
        }
    }
}

mod answer;
#[cfg(test)]
mod tests;
