//! What the agent says, frame by frame, and how much of it was heard: played frames counted against the sentences they belong to.

use super::FRAME;
use super::sentences::Sentence;
use std::collections::VecDeque;

/// Frames that are still on the way or in the visitor's jitter buffer when the agent is cut.
const UNHEARD_FRAMES: usize = 5;

#[derive(Default)]
pub struct Playout {
    lines: VecDeque<Line>,
    /// Up to where in the part everything was played.
    played_to: usize,
    next_number: u64,
}

/// A sentence and its sound so far.
struct Line {
    number: u64,
    sentence: Sentence,
    pcm: VecDeque<i16>,
    given: usize,
    played: usize,
    whole: bool,
}

/// One frame of [`Playout::next`].
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Frame(Box<[i16; FRAME]>),
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
            pcm: VecDeque::new(),
            given: 0,
            played: 0,
            whole: false,
        });
        number
    }

    pub fn sound(&mut self, number: u64, pcm: &[i16]) {
        if let Some(line) = self.line(number) {
            line.given += pcm.len();
            line.pcm.extend(pcm);
        }
    }

    pub fn whole(&mut self, number: u64) {
        if let Some(line) = self.line(number) {
            line.whole = true;
        }
    }

    fn line(&mut self, number: u64) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.number == number)
    }

    pub fn next(&mut self) -> Next {
        loop {
            let Some(line) = self.lines.front_mut() else {
                return Next::Done;
            };
            if line.pcm.is_empty() && line.whole {
                self.played_to = line.sentence.range.end;
                self.lines.pop_front();
                continue;
            }
            if line.pcm.len() < FRAME && !line.whole {
                return Next::Wait;
            }
            let mut frame = Box::new([0; FRAME]);
            for (to, from) in frame
                .iter_mut()
                .zip(line.pcm.drain(..FRAME.min(line.pcm.len())))
            {
                *to = from;
            }
            line.played += FRAME;
            return Next::Frame(frame);
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
        self.played_to = 0;
    }

    /// Samples that were delivered and not played: what an engine need not hurry for.
    pub fn stored(&self) -> usize {
        self.lines.iter().map(|line| line.pcm.len()).sum()
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
        let Next::Frame(frame) = playout.next() else {
            panic!("a frame")
        };
        assert_eq!((frame[2], frame[3]), (9, 0));
        assert_eq!(playout.next(), Next::Done);
    }

    #[test]
    fn sound_that_comes_after_a_cut_is_nobodys() {
        let mut playout = Playout::default();
        let number = playout.add(sentence(0, "Hi."));
        playout.clear();
        playout.sound(number, &[9; 5_000]);
        assert_eq!((playout.next(), playout.stored()), (Next::Done, 0));
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
