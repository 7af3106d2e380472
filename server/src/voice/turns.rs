//! Who speaks when: voice detection, and from it the visitor's turns. A turn begins a little before it is noticed (pre-roll: no first
//! syllable is lost) and ends with a pause.

use super::level;
use super::{HEARD_RATE, Heard};
use earshot::Detector;
use std::collections::VecDeque;
use std::time::Duration;

/// The detector's frame: 16 ms.
const STEP: usize = 256;
const STEP_MS: u32 = 16;
/// Below this the neural network is not asked: a muted or silent line costs nothing.
const QUIET_DBFS: f32 = -58.0;
const VOICE: f32 = 0.5;
/// In a pause this short no browser has ceased to send (Opus does after 200 ms, RFC 7587, 3.1.3): no packets means a network that stalls.
const SENDS_MS: u32 = 200;
/// So long a network that stalls in mid-word is waited for.
const STALL_MAX_MS: u32 = 2_000;
/// Frames that the beginning of a turn is judged by.
const WINDOW: u32 = 16;

#[derive(Clone, Debug)]
pub struct TurnSettings {
    /// Of silence: the visitor has ended. Shorter is quicker and cuts people off.
    pub pause_ms: u32,
    /// Of voice: the visitor has begun.
    pub start_ms: u32,
    /// The same while the agent speaks: its echo and a cough must not silence it.
    pub barge_in_ms: u32,
    /// Kept from before a turn is noticed.
    pub pre_roll_ms: u32,
    /// Somebody who never pauses is answered all the same.
    pub turn_max_ms: u32,
}

impl Default for TurnSettings {
    fn default() -> Self {
        TurnSettings {
            pause_ms: 700,
            start_ms: 96,
            barge_in_ms: 160,
            pre_roll_ms: 400,
            turn_max_ms: 30_000,
        }
    }
}

/// What the visitor does, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Turning {
    /// With what was said before it was noticed.
    Began(Vec<i16>),
    Went(Vec<i16>),
    Ended,
}

pub struct Turns {
    settings: TurnSettings,
    detector: Box<Detector>,
    pending: Vec<i16>,
    before: VecDeque<i16>,
    /// The last frames, one bit each: 1 is voice.
    window: u32,
    speaking: Option<Speaking>,
}

#[derive(Default)]
struct Speaking {
    quiet_ms: u32,
    lasted_ms: u32,
    /// Without a word from the network.
    waited_ms: u32,
}

impl Turns {
    pub fn new(settings: TurnSettings) -> Turns {
        Turns {
            settings,
            detector: Detector::default_boxed(),
            pending: Vec::new(),
            before: VecDeque::new(),
            window: 0,
            speaking: None,
        }
    }

    pub fn speaking(&self) -> bool {
        self.speaking.is_some()
    }

    /// `over_agent`: the agent speaks at the moment.
    pub fn hear(&mut self, heard: &Heard, over_agent: bool, out: &mut Vec<Turning>) {
        if !matches!(heard, Heard::Nothing(_))
            && let Some(speaking) = &mut self.speaking
        {
            speaking.waited_ms = 0;
        }
        match heard {
            Heard::Sound(pcm) => {
                self.pending.extend_from_slice(pcm);
                let whole = self.pending.len() / STEP * STEP;
                let pending = std::mem::take(&mut self.pending);
                for frame in pending[..whole].chunks_exact(STEP) {
                    let voice = self.is_voice(frame);
                    self.frame(frame, voice, over_agent, out);
                }
                self.pending = pending[whole..].to_vec();
            }
            Heard::Silence(time) => self.silence(*time, out),
            Heard::Nothing(time) => self.wait(*time, out),
        }
    }

    /// Time in which nothing came is silence only if a turn ends by it: what is late belongs where it was said.
    fn wait(&mut self, time: Duration, out: &mut Vec<Turning>) {
        let Some(speaking) = &mut self.speaking else {
            return;
        };
        speaking.waited_ms += millis(time);
        let ends_at = if speaking.quiet_ms < SENDS_MS {
            STALL_MAX_MS.max(self.settings.pause_ms)
        } else {
            self.settings.pause_ms.saturating_sub(speaking.quiet_ms)
        };
        if speaking.waited_ms >= ends_at {
            // A turn takes no more of it than ends it.
            self.silence(
                Duration::from_millis((self.settings.pause_ms + STEP_MS).into()),
                out,
            );
        }
    }

    /// Ends the turn, if one runs: the microphone was muted.
    pub fn stop(&mut self, out: &mut Vec<Turning>) {
        self.pending.clear();
        self.before.clear();
        self.window = 0;
        if self.speaking.take().is_some() {
            out.push(Turning::Ended);
        }
    }

    fn silence(&mut self, time: Duration, out: &mut Vec<Turning>) {
        let mut left_ms = millis(time);
        // Nothing to compute while nobody speaks; and a turn takes no more silence than ends it.
        while left_ms >= STEP_MS && self.speaking.is_some() {
            self.frame(&[0; STEP], false, false, out);
            left_ms -= STEP_MS;
        }
        if self.speaking.is_none() {
            self.window = 0;
        }
    }

    fn is_voice(&mut self, frame: &[i16]) -> bool {
        level::dbfs(frame) > QUIET_DBFS && self.detector.predict_i16(frame) >= VOICE
    }

    fn frame(&mut self, frame: &[i16], voice: bool, over_agent: bool, out: &mut Vec<Turning>) {
        self.window = ((self.window << 1) | u32::from(voice)) & ((1 << WINDOW) - 1);
        match &mut self.speaking {
            None => {
                self.before.extend(frame);
                let keep = (self.settings.pre_roll_ms * HEARD_RATE / 1_000) as usize;
                let surplus = self.before.len().saturating_sub(keep.max(STEP));
                self.before.drain(..surplus);
                let needed_ms = match over_agent {
                    true => self.settings.barge_in_ms,
                    false => self.settings.start_ms,
                };
                if self.window.count_ones() >= (needed_ms / STEP_MS).clamp(1, WINDOW) {
                    self.speaking = Some(Speaking::default());
                    out.push(Turning::Began(self.before.drain(..).collect()));
                }
            }
            Some(speaking) => {
                out.push(Turning::Went(frame.to_vec()));
                speaking.lasted_ms += STEP_MS;
                speaking.quiet_ms = if voice {
                    0
                } else {
                    speaking.quiet_ms + STEP_MS
                };
                if speaking.quiet_ms >= self.settings.pause_ms
                    || speaking.lasted_ms >= self.settings.turn_max_ms
                {
                    self.speaking = None;
                    self.window = 0;
                    out.push(Turning::Ended);
                }
            }
        }
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{question, tone};
    use super::*;

    fn silence(ms: u64) -> Heard {
        Heard::Silence(Duration::from_millis(ms))
    }

    fn run(settings: TurnSettings, heard: &[Heard], over_agent: bool) -> Vec<Turning> {
        let mut turns = Turns::new(settings);
        let mut out = Vec::new();
        for heard in heard {
            turns.hear(heard, over_agent, &mut out);
        }
        out
    }

    fn began(out: &[Turning]) -> usize {
        out.iter()
            .filter(|t| matches!(t, Turning::Began(_)))
            .count()
    }

    fn ended(out: &[Turning]) -> usize {
        out.iter().filter(|t| **t == Turning::Ended).count()
    }

    fn sound(out: &[Turning]) -> Vec<i16> {
        let mut pcm = Vec::new();
        for turning in out {
            match turning {
                Turning::Began(piece) | Turning::Went(piece) => pcm.extend(piece),
                Turning::Ended => {}
            }
        }
        pcm
    }

    #[test]
    fn a_question_is_one_turn_and_none_of_it_is_lost() {
        let pcm = question();
        let mut heard: Vec<Heard> = vec![Heard::Sound(vec![0; 8_000])];
        heard.extend(pcm.chunks(320).map(|piece| Heard::Sound(piece.to_vec())));
        heard.push(silence(1_000));
        let out = run(TurnSettings::default(), &heard, false);
        assert_eq!((began(&out), ended(&out)), (1, 1));
        let kept = sound(&out);
        // All that was said is in it: the loudest of what was left out is as good as silent.
        let energy = |pcm: &[i16]| pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
        assert!(
            energy(&kept) > 0.999 * energy(&pcm),
            "{}",
            energy(&kept) / energy(&pcm)
        );
    }

    #[test]
    fn the_pause_that_ends_a_turn_is_a_setting() {
        let pcm = question();
        let halves = [
            Heard::Sound(pcm.clone()),
            silence(300),
            Heard::Sound(pcm),
            silence(2_000),
        ];
        for (pause_ms, turns) in [(300, 2), (1_000, 1)] {
            let settings = TurnSettings {
                pause_ms,
                ..TurnSettings::default()
            };
            let out = run(settings, &halves, false);
            assert_eq!((began(&out), ended(&out)), (turns, turns), "{pause_ms} ms");
        }
    }

    #[test]
    fn hum_clicks_and_silence_are_no_turn() {
        let click: Vec<i16> = (0..320).map(|i| if i < 40 { 20_000 } else { 0 }).collect();
        let soft: Vec<i16> = question().iter().map(|s| s / 400).collect();
        for pcm in [vec![0; 32_000], tone(HEARD_RATE, 100.0, 2_000), click, soft] {
            let out = run(
                TurnSettings::default(),
                &[Heard::Sound(pcm), silence(1_000)],
                false,
            );
            assert_eq!(out, []);
        }
    }

    #[test]
    fn somebody_who_never_pauses_has_his_turn_ended() {
        let settings = TurnSettings {
            turn_max_ms: 1_000,
            ..TurnSettings::default()
        };
        let out = run(settings, &[Heard::Sound(question())], false);
        assert_eq!(began(&out), ended(&out) + usize::from(began(&out) > 1));
        assert!(ended(&out) >= 1);
    }

    #[test]
    fn over_the_agent_it_takes_longer_to_begin() {
        let pcm = question();
        let at = |over_agent| {
            let mut turns = Turns::new(TurnSettings::default());
            let mut out = Vec::new();
            pcm.chunks(320).position(|piece| {
                turns.hear(&Heard::Sound(piece.to_vec()), over_agent, &mut out);
                !out.is_empty()
            })
        };
        let (alone, over) = (at(false).expect("begins"), at(true).expect("begins"));
        assert!(alone < over && over < alone + 10, "{alone} {over}");
    }

    #[test]
    fn a_line_that_is_muted_in_mid_turn_ends_it() {
        let mut turns = Turns::new(TurnSettings::default());
        let mut out = Vec::new();
        turns.hear(
            &Heard::Sound(question()[..12_000].to_vec()),
            false,
            &mut out,
        );
        assert!(turns.speaking());
        turns.stop(&mut out);
        turns.stop(&mut out);
        assert_eq!(ended(&out), 1);
    }
}
