//! What the agent says, frame by frame, and how much of it was heard: played frames counted against the sentences they belong to.
//!
//! Sound is encoded as it comes and waits as packets: 5 kB a second instead of 48, so that seconds may be made ahead in every call.

use super::codec::Encoder;
use super::sentences::Sentence;
use super::{FRAME, FRAME_TIME};
use std::collections::VecDeque;
use std::time::Duration;

/// Frames that are still on the way or in the visitor's jitter buffer when the agent is cut.
const UNHEARD_FRAMES: usize = 5;

#[derive(Default)]
pub struct Playout {
    lines: VecDeque<Line>,
    /// Up to where in the part everything was played.
    played_to: usize,
    next_number: u64,
    /// There while sound is still to come: nothing of a silent call is larger.
    encoder: Option<Encoder>,
}

/// A sentence and its sound so far.
struct Line {
    number: u64,
    sentence: Sentence,
    packets: VecDeque<Box<[u8]>>,
    /// Less than a frame: what comes next completes it.
    rest: Vec<i16>,
    /// Samples.
    given: usize,
    played: usize,
    whole: bool,
}

impl Line {
    fn encode(&mut self, frame: &[i16; FRAME], encoder: &mut Encoder) {
        // A frame that the codec fails at lasts as long and is not sent.
        let packet = encoder.encode(frame).unwrap_or_default();
        self.packets.push_back(packet.into());
    }
}

/// One frame of [`Playout::next`].
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Its packet; empty where it could not be encoded.
    Frame(Vec<u8>),
    /// The engine has not delivered it yet.
    Wait,
    Done,
}

impl Playout {
    /// The number that the sentence's sound will come under.
    pub fn add(&mut self, sentence: Sentence) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.lines.push_back(Line {
            number,
            sentence,
            packets: VecDeque::new(),
            rest: Vec::new(),
            given: 0,
            played: 0,
            whole: false,
        });
        number
    }

    pub fn sound(&mut self, number: u64, pcm: &[i16]) {
        let Some(line) = self.lines.iter_mut().find(|line| line.number == number) else {
            return;
        };
        let encoder = self.encoder.get_or_insert_default();
        line.given += pcm.len();
        let mut rest = std::mem::take(&mut line.rest);
        let (completing, pcm) = match rest.len() {
            0 => (&[][..], pcm),
            some => pcm.split_at((FRAME - some).min(pcm.len())),
        };
        rest.extend_from_slice(completing);
        if let Ok(frame) = rest.as_slice().try_into() {
            line.encode(frame, encoder);
            rest.clear();
        }
        let (frames, left) = pcm.as_chunks::<FRAME>();
        for frame in frames {
            line.encode(frame, encoder);
        }
        rest.extend_from_slice(left);
        line.rest = rest;
    }

    pub fn whole(&mut self, number: u64) {
        if let Some(line) = self.lines.iter_mut().find(|line| line.number == number) {
            line.whole = true;
            if !line.rest.is_empty() {
                let mut frame = [0; FRAME];
                frame[..line.rest.len()].copy_from_slice(&line.rest);
                line.rest = Vec::new();
                line.encode(&frame, self.encoder.get_or_insert_default());
            }
        }
        if self.lines.iter().all(|line| line.whole) {
            self.encoder = None;
        }
    }

    pub fn next(&mut self) -> Next {
        loop {
            let Some(line) = self.lines.front_mut() else {
                return Next::Done;
            };
            match line.packets.pop_front() {
                Some(packet) => {
                    line.played += FRAME;
                    return Next::Frame(packet.into());
                }
                None if line.whole => {
                    self.played_to = line.sentence.range.end;
                    self.lines.pop_front();
                }
                None => return Next::Wait,
            }
        }
    }

    /// Up to where in the part the visitor has heard it: whole sentences, and of the running one the words by its played share.
    pub fn heard(&self) -> usize {
        let Some(line) = self.lines.front() else {
            return self.played_to;
        };
        let heard = line.played.saturating_sub(UNHEARD_FRAMES * FRAME);
        let given = line.given.max(1);
        // Of a sentence that is still being made, its length is guessed: 15 characters a second, as people speak.
        let guessed = line.sentence.range.len() * super::SPOKEN_RATE as usize / 15;
        let total = if line.whole {
            given
        } else {
            given.max(guessed)
        };
        let bytes = (line.sentence.range.len() as u64 * heard as u64 / total as u64) as usize;
        line.sentence.range.start + bytes.min(line.sentence.range.len())
    }

    pub fn clear(&mut self) {
        self.lines.clear();
        self.encoder = None;
        self.played_to = 0;
    }

    /// How long what was delivered and not played lasts: what an engine need not hurry for.
    pub fn stored(&self) -> Duration {
        let packets = self.lines.iter().map(|line| line.packets.len());
        FRAME_TIME * packets.sum::<usize>() as u32
    }
}

/// The end of the last whole word at or before this byte: nobody reads half a word.
pub fn word_end(text: &str, byte: usize) -> usize {
    if byte >= text.len() {
        return text.len();
    }
    let at = text.floor_char_boundary(byte);
    let inside = text[at..]
        .chars()
        .next()
        .is_some_and(|c| !c.is_whitespace());
    let kept = match inside {
        true => text[..at].rfind(char::is_whitespace).unwrap_or(0),
        false => at,
    };
    text[..kept].trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::super::codec::Decoder;
    use super::super::tests::{question, tone};
    use super::super::{HEARD_RATE, Resampler, SPOKEN_RATE, level};
    use super::*;

    fn sentence(start: usize, words: &str) -> Sentence {
        Sentence {
            range: start..start + words.len(),
            words: words.into(),
        }
    }

    fn play(playout: &mut Playout, frames: usize) {
        for _ in 0..frames {
            assert!(matches!(playout.next(), Next::Frame(_)));
        }
    }

    #[test]
    fn heard_are_whole_sentences_and_the_played_share_of_the_running_one() {
        let mut playout = Playout::default();
        let first = playout.add(sentence(0, "We open at nine. "));
        let second = playout.add(sentence(17, "And close at eighteen hours."));
        assert_eq!((playout.next(), playout.heard()), (Next::Wait, 0));
        playout.sound(first, &[1; FRAME * 50]);
        playout.whole(first);
        playout.sound(second, &[1; FRAME * 105]);
        playout.whole(second);
        play(&mut playout, 50);
        assert!(playout.heard() < 17, "the last frames are on their way");
        play(&mut playout, 55);
        assert_eq!(playout.heard(), 17 + 28 * 50 / 105);
        play(&mut playout, 50);
        assert_eq!((playout.next(), playout.heard()), (Next::Done, 45));
    }

    #[test]
    fn the_last_frame_of_a_sentence_is_filled_with_silence() {
        let mut playout = Playout::default();
        let number = playout.add(sentence(0, "Hi."));
        playout.sound(number, &[9; FRAME + 3]);
        play(&mut playout, 1);
        assert_eq!(playout.next(), Next::Wait);
        playout.whole(number);
        play(&mut playout, 1);
        assert_eq!(playout.next(), Next::Done);
    }

    /// Plays all of it, as it is heard.
    fn heard_sound(playout: &mut Playout) -> Vec<i16> {
        let mut decoder = Decoder::new();
        let mut pcm = Vec::new();
        while let Next::Frame(packet) = playout.next() {
            pcm.extend(decoder.decode(&packet).expect("our own packet"));
        }
        pcm
    }

    #[test]
    fn in_whatever_pieces_sound_comes_it_is_the_same_sound() {
        let tone = tone(SPOKEN_RATE, 440.0, 1_010);
        let sounds = [1, 7, 479, 480, 481, 1_440, 30_000].map(|size| {
            let mut playout = Playout::default();
            let number = playout.add(sentence(0, "Hi."));
            for piece in tone.chunks(size) {
                playout.sound(number, piece);
                playout.sound(number, &[]);
            }
            playout.whole(number);
            assert_eq!(playout.stored(), FRAME_TIME * 51);
            heard_sound(&mut playout)
        });
        assert!(level::dbfs(&sounds[0][1_600..15_000]) > -12.0);
        assert!(sounds.iter().all(|sound| *sound == sounds[0]));
    }

    #[test]
    fn the_encoder_is_there_only_while_sound_is_to_come() {
        let mut playout = Playout::default();
        let first = playout.add(sentence(0, "We open at nine. "));
        let second = playout.add(sentence(17, "Bye."));
        assert!(playout.encoder.is_none());
        for number in [first, second] {
            playout.sound(number, &[9; FRAME]);
            assert!(playout.encoder.is_some());
            playout.whole(number);
        }
        assert!(playout.encoder.is_none() && playout.stored() == FRAME_TIME * 2);
        let third = playout.add(sentence(21, "Well."));
        playout.sound(third, &[9; FRAME]);
        playout.clear();
        assert!(playout.encoder.is_none());
    }

    #[test]
    fn what_waits_is_far_smaller_than_the_sound_that_it_is() {
        let mut playout = Playout::default();
        let number = playout.add(sentence(0, "Hi."));
        let speech = Resampler::new(HEARD_RATE).push(&question());
        playout.sound(number, &speech);
        let held: usize = playout.lines[0].packets.iter().map(|p| p.len() + 32).sum();
        assert!(
            held * 5 < speech.len() * 2,
            "{held} of {}",
            speech.len() * 2
        );
    }

    #[test]
    fn sound_that_comes_after_a_cut_is_nobodys() {
        let mut playout = Playout::default();
        let number = playout.add(sentence(0, "Hi."));
        playout.clear();
        playout.sound(number, &[9; 5_000]);
        assert_eq!(
            (playout.next(), playout.stored()),
            (Next::Done, Duration::ZERO)
        );
        assert_ne!(playout.add(sentence(0, "Ho.")), number);
    }

    #[test]
    fn words_are_kept_whole() {
        // "ö" has two bytes.
        for (byte, kept) in [
            (0, ""),
            (1, ""),
            (2, "We"),
            (4, "We"),
            (8, "We"),
            (9, "We öpen,"),
            (99, "We öpen, yes"),
        ] {
            let text = "We öpen, yes";
            assert_eq!(&text[..word_end(text, byte)], kept, "{byte}");
        }
        assert_eq!(word_end("one two", 3), 3);
        assert_eq!(word_end("one two", 4), 3);
        assert_eq!(word_end("one two", 7), 7);
    }
}
