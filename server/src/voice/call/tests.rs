//! Calls with a clock that is moved by hand.

use super::*;
use crate::voice::tests::{packets, question};
use crate::voice::{FRAME, Resampler, SPOKEN_RATE};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

struct Stage {
    call: Call,
    start: Instant,
    ms: u64,
    seq: u64,
    out: Vec<Out>,
}

impl Stage {
    fn new() -> Stage {
        let start = Instant::now();
        Stage {
            call: Call::new(CallSettings::default(), None, start),
            start,
            ms: 0,
            seq: 0,
            out: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ms)
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            self.ms += 20;
            let now = self.now();
            self.call.tick(now, &mut self.out);
        }
    }

    /// Speaks the packets as a browser sends them.
    fn say(&mut self, payloads: &[Vec<u8>]) {
        for payload in payloads {
            self.seq += 1;
            let packet = Packet {
                seq: self.seq,
                time: self.ms * 48,
                payload: payload.clone(),
            };
            let now = self.now();
            self.call.packet(&packet, now, &mut self.out);
            self.pass(20);
        }
    }

    /// The same over a network that holds back `held` packets from the `from`th on, and gives them all at once then.
    fn say_held(&mut self, payloads: &[Vec<u8>], from: usize, held: usize) {
        for (index, payload) in payloads.iter().enumerate() {
            let packet = Packet {
                seq: index as u64,
                time: index as u64 * 960,
                payload: payload.clone(),
            };
            if !(from..from + held).contains(&index) {
                self.pass(20);
            } else if index == from {
                self.pass(20 * held as u64);
            }
            let now = self.now();
            self.call.packet(&packet, now, &mut self.out);
        }
    }

    /// What is recognised of the visitor, turn by turn.
    fn turns(&self) -> Vec<Vec<i16>> {
        let mut turns = Vec::new();
        for out in &self.out {
            match out {
                Out::Recognise(_) => turns.push(Vec::new()),
                Out::Sound(_, pcm) => turns.last_mut().expect("a turn").extend(pcm),
                _ => {}
            }
        }
        turns
    }

    fn ask(&mut self) {
        self.say(&asked());
        self.pass(1_000);
    }

    /// The agent writes a part, and each sentence sounds for so long.
    fn answer(&mut self, part_id: &str, text: &str, frames: usize) {
        let now = self.now();
        self.call.wrote(part_id, 0, text, now, &mut self.out);
        self.call.written(part_id, text.len(), now, &mut self.out);
        let numbers: Vec<u64> = self
            .out
            .iter()
            .filter_map(|out| match out {
                Out::Speak(number, _) => Some(*number),
                _ => None,
            })
            .collect();
        for number in numbers {
            self.call
                .sound(number, &vec![3_000; FRAME * frames], now, &mut self.out);
            self.call.sounded(number, now, &mut self.out);
        }
    }

    fn frames(&self) -> usize {
        self.out
            .iter()
            .filter(|out| matches!(out, Out::Frame(_)))
            .count()
    }

    fn phases(&self) -> Vec<Phase> {
        let phases = self.out.iter().filter_map(|out| match out {
            Out::Phase(phase) => Some(*phase),
            _ => None,
        });
        phases.collect()
    }

    fn recognised(&mut self, words: &str) {
        let utterance = self.out.iter().rev().find_map(|out| match out {
            Out::Ended(utterance) => Some(*utterance),
            _ => None,
        });
        self.call
            .recognised(utterance.expect("a turn ended"), words, &mut self.out);
    }
}

fn asked() -> Vec<Vec<u8>> {
    let mut spoken = Resampler::new(16_000).push(&question());
    spoken.resize(SPOKEN_RATE as usize * 2, 0);
    packets(&spoken)
}

#[test]
fn a_question_is_recognised_answered_and_heard() {
    let mut stage = Stage::new();
    stage.ask();
    let turn = |out: &Out| matches!(out, Out::Recognise(1) | Out::Ended(1));
    assert_eq!(stage.out.iter().filter(|out| turn(out)).count(), 2);
    stage.recognised(" what are your opening hours ");
    assert!(
        stage
            .out
            .contains(&Out::Said(1, "what are your opening hours".into()))
    );
    stage.answer("p_1", "We open at nine. Bye!", 25);
    stage.pass(1_200);
    assert_eq!(stage.frames(), 50);
    assert!(stage.out.contains(&Out::Spoken {
        part_id: "p_1".into()
    }));
    stage.call.settled(&mut stage.out);
    assert_eq!(
        stage.phases(),
        [
            Phase::Thinking,
            Phase::Speaking,
            Phase::Thinking,
            Phase::Listening
        ]
    );
}

#[test]
fn a_sentence_is_spoken_while_the_model_still_writes() {
    let mut stage = Stage::new();
    let now = stage.now();
    let mut at = 0;
    for (piece, spoken) in [
        ("We open", 0),
        (" at nine.", 0),
        (" Then we", 1),
        (" bake! And", 2),
    ] {
        let out = &mut stage.out;
        stage.call.wrote("p_1", at, piece, now, out);
        at += piece.len();
        let words: Vec<&str> = stage
            .out
            .iter()
            .filter_map(|out| match out {
                Out::Speak(_, words) => Some(words.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(
            words,
            ["We open at nine.", "Then we bake!"][..spoken],
            "after {piece}"
        );
    }
    // And played, though nobody knows yet how the answer ends.
    let number = stage.out.iter().find_map(|out| match out {
        Out::Speak(number, _) => Some(*number),
        _ => None,
    });
    let (number, out) = (number.expect("an order"), &mut stage.out);
    stage.call.sound(number, &[3_000; FRAME * 5], now, out);
    stage.pass(60);
    assert!(stage.frames() > 2, "{:?}", stage.out);
}

#[test]
fn frames_are_twenty_milliseconds_apart_on_the_rtp_clock() {
    let mut stage = Stage::new();
    stage.answer("p_1", "Hi.", 10);
    stage.pass(400);
    let frames: Vec<(u64, bool)> = stage
        .out
        .iter()
        .filter_map(|out| match out {
            Out::Frame(frame) => Some((frame.time, frame.first)),
            _ => None,
        })
        .collect();
    assert_eq!(frames.len(), 10);
    assert!(frames[0].1 && !frames[1].1);
    assert!(
        frames.windows(2).all(|pair| pair[1].0 - pair[0].0 == 960),
        "{frames:?}"
    );
}

#[test]
fn who_speaks_over_the_agent_silences_it_and_only_what_was_heard_counts() {
    let mut stage = Stage::new();
    stage.answer(
        "p_1",
        "We open at nine. Then we bake bread until the evening comes.",
        100,
    );
    stage.pass(3_000);
    let before = stage.frames();
    assert!(before >= 150);
    stage.say(&asked()[..40]);
    let cut = stage.out.iter().find_map(|out| match out {
        Out::Cut { part_id, heard } => Some((part_id.clone(), *heard)),
        _ => None,
    });
    let (part_id, heard) = cut.expect("the agent is cut");
    let text = "We open at nine. Then we bake bread until the evening comes.";
    assert_eq!(part_id, "p_1");
    assert!(
        text[..heard].starts_with("We open at nine. Then we"),
        "{}",
        &text[..heard]
    );
    assert!(heard < text.len() && text[heard..].starts_with(' '));
    let silent = stage.frames();
    stage
        .call
        .written("p_1", text.len(), stage.now(), &mut stage.out);
    stage
        .call
        .wrote("p_1", text.len(), " More.", stage.now(), &mut stage.out);
    stage.pass(1_000);
    assert_eq!(stage.frames(), silent, "nothing more of it is played");
}

#[test]
fn an_answer_waits_until_the_visitor_has_ended() {
    let mut stage = Stage::new();
    stage.say(&asked()[..50]);
    stage.answer("p_1", "Hello.", 10);
    stage.pass(200);
    assert_eq!(stage.frames(), 0);
    stage.pass(2_200);
    assert_eq!(stage.frames(), 0, "it is not known yet what was said");
    stage.recognised("");
    stage.pass(400);
    assert_eq!(stage.frames(), 10, "nothing was said: the answer stands");
}

#[test]
fn typing_over_the_agent_cuts_it_and_typing_before_it_speaks_does_not() {
    let mut stage = Stage::new();
    stage.call.typed(stage.now(), &mut stage.out);
    stage.answer("p_1", "One two three four five.", 100);
    stage.pass(1_000);
    assert!(!stage.out.iter().any(|out| matches!(out, Out::Cut { .. })));
    stage.call.typed(stage.now(), &mut stage.out);
    assert!(stage.out.iter().any(|out| matches!(out, Out::Cut { .. })));
}

#[test]
fn a_part_that_began_before_the_call_is_not_spoken_and_holds_nothing_up() {
    let start = Instant::now();
    let mut call = Call::new(CallSettings::default(), Some("p_0".into()), start);
    let mut out = Vec::new();
    call.wrote("p_0", 0, "Long ago. And so on.", start, &mut out);
    assert_eq!(out, []);
    call.written("p_0", 20, start, &mut out);
    assert_eq!(
        out,
        [Out::Spoken {
            part_id: "p_0".into()
        }]
    );
}

#[test]
fn an_answer_with_nothing_to_say_is_spoken_at_once() {
    let mut stage = Stage::new();
    stage.answer("p_1", "---", 0);
    assert!(stage.out.contains(&Out::Spoken {
        part_id: "p_1".into()
    }));
}

#[test]
fn the_end_of_an_answer_may_be_known_before_its_text() {
    let mut stage = Stage::new();
    let now = stage.now();
    stage.call.written("p_1", 6, now, &mut stage.out);
    stage.call.wrote("p_1", 0, "Hel", now, &mut stage.out);
    assert!(!stage.out.iter().any(|out| matches!(out, Out::Speak(..))));
    stage.call.wrote("p_1", 3, "lo.", now, &mut stage.out);
    assert!(stage.out.contains(&Out::Speak(0, "Hello.".into())));
}

#[test]
fn muted_nothing_is_heard() {
    let mut stage = Stage::new();
    stage.call.mute(true, stage.now(), &mut stage.out);
    stage.ask();
    assert_eq!(stage.out, []);
    stage.call.mute(false, stage.now(), &mut stage.out);
    stage.ask();
    assert!(stage.out.contains(&Out::Recognise(1)));
}

#[test]
fn what_the_network_holds_back_is_heard_as_it_was_said() {
    let heard = |from, held| {
        let mut stage = Stage::new();
        stage.say_held(&asked(), from, held);
        stage.pass(3_000);
        stage.turns()
    };
    let plain = heard(0, 0);
    assert_eq!(plain.len(), 1);
    for from in [3, 20, 40, 55, 70] {
        for held in [5, 9, 20, 45] {
            let turns = heard(from, held);
            assert_eq!(turns.len(), 1, "{held} held back from {from} on");
            assert!(turns[0] == plain[0], "{held} held back from {from} on");
        }
    }
}

#[test]
fn a_visitor_whose_network_is_gone_in_mid_word_has_the_turn_ended() {
    let mut stage = Stage::new();
    stage.say(&asked()[..40]);
    stage.pass(1_500);
    assert!(!stage.out.contains(&Out::Ended(1)));
    stage.pass(1_000);
    assert!(stage.out.contains(&Out::Ended(1)));
}

#[test]
fn a_call_that_nobody_speaks_in_ends() {
    let mut stage = Stage::new();
    stage.pass(179_000);
    assert!(stage.out.is_empty());
    stage.pass(2_000);
    assert_eq!(stage.out.first(), Some(&Out::Over("idle")));
}

#[test]
fn garbage_is_silence() {
    let mut random = StdRng::seed_from_u64(3);
    let mut stage = Stage::new();
    for _ in 0..2_000 {
        let packet = Packet {
            seq: random.random_range(0..1_000_000),
            time: random.random_range(0..100_000_000),
            payload: (0..random.random_range(0..100))
                .map(|_| random.random())
                .collect(),
        };
        let now = stage.now();
        stage.call.packet(&packet, now, &mut stage.out);
    }
    stage.pass(2_000);
    stage.out.clear();
    stage.seq = 1_000_000;
    stage.ms += 5_000_000;
    stage.ask();
    assert!(
        stage.out.iter().any(|out| matches!(out, Out::Ended(_))),
        "a real question is heard"
    );
}
