//! The agent's side of a call: the answer as it is written, spoken frame by frame, cut, and heard.

use super::{Call, Out, Part};
use crate::voice::playout::{Next, word_end};
use crate::voice::sentences::Sentences;
use crate::voice::{FRAME_TIME, Frame};
use std::time::{Duration, Instant};

/// Ticks of the RTP clock in a frame.
const FRAME_TICKS: u64 = 960;
/// A clock that stood still (a busy machine, a suspended one) is not caught up with beyond this.
const BEHIND_MAX: Duration = Duration::from_millis(100);

impl Call {
    /// A piece of the answer.
    pub fn wrote(
        &mut self,
        part_id: &str,
        offset: usize,
        text: &str,
        now: Instant,
        out: &mut Vec<Out>,
    ) {
        if self.unspoken.as_deref() == Some(part_id) {
            return;
        }
        if self.part.as_ref().is_none_or(|part| part.id != part_id) {
            self.silence(out);
            self.part = Some(Part {
                id: part_id.to_owned(),
                sentences: Sentences::default(),
                finished: false,
            });
        }
        let Some(part) = &mut self.part else { return };
        // A repeat was spoken already. A gap cannot be: this reader sees every piece or its end.
        let known = part.sentences.text().len();
        let Some(new) = known.checked_sub(offset).and_then(|skip| text.get(skip..)) else {
            return;
        };
        for sentence in part.sentences.push(new) {
            let words = sentence.words.clone();
            out.push(Out::Speak(self.playout.add(sentence), words));
        }
        self.running = true;
        self.finish_part(now, out);
        self.show(out);
    }

    /// The part is written, and has this many bytes. Its end in the log waits until it was heard.
    pub fn written(&mut self, part_id: &str, bytes: usize, now: Instant, out: &mut Vec<Out>) {
        if self.unspoken.as_deref() == Some(part_id) {
            out.push(Out::Spoken {
                part_id: part_id.to_owned(),
            });
            return;
        }
        self.written = Some((part_id.to_owned(), bytes));
        self.finish_part(now, out);
    }

    fn finish_part(&mut self, now: Instant, out: &mut Vec<Out>) {
        let Some(part) = &mut self.part else { return };
        // The two come by different ways: the end may be known before the last of the text.
        let written = self.written.as_ref().filter(|(id, _)| *id == part.id);
        let whole = written.is_some_and(|(_, bytes)| part.sentences.text().len() >= *bytes);
        if part.finished || !whole {
            return;
        }
        part.finished = true;
        if let Some(sentence) = part.sentences.finish() {
            let words = sentence.words.clone();
            out.push(Out::Speak(self.playout.add(sentence), words));
        }
        self.play(now, out);
    }

    /// A turn began in the log.
    pub fn works(&mut self, out: &mut Vec<Out>) {
        self.running = true;
        self.show(out);
    }

    /// The turn is over in the log: whatever is left of its part is not spoken.
    pub fn settled(&mut self, out: &mut Vec<Out>) {
        self.running = false;
        if self.part.is_some() {
            self.silence(out);
        }
        self.show(out);
    }

    pub fn sound(&mut self, number: u64, pcm: &[i16], now: Instant, out: &mut Vec<Out>) {
        self.playout.sound(number, pcm);
        self.play(now, out);
    }

    /// The sentence's sound is complete, or cannot be made.
    pub fn sounded(&mut self, number: u64, now: Instant, out: &mut Vec<Out>) {
        self.playout.whole(number);
        self.play(now, out);
    }

    /// How long the agent can speak on without another sound.
    pub fn stored(&self) -> Duration {
        self.playout.stored()
    }

    pub(super) fn play(&mut self, now: Instant, out: &mut Vec<Out>) {
        // The agent does not begin while the visitor speaks, or before it is known what was said.
        if self.turns.speaking() || self.recognising > 0 {
            return;
        }
        loop {
            let first = self.next_frame.is_none();
            let due = match self.next_frame {
                Some(due) if now.saturating_duration_since(due) > BEHIND_MAX => now,
                Some(due) => due,
                None => now,
            };
            if due > now {
                break;
            }
            match self.playout.next() {
                Next::Frame(payload) => {
                    self.next_frame = Some(due + FRAME_TIME);
                    self.last_word = now;
                    if !payload.is_empty() {
                        // In step with the wall clock, so that the other side knows how long the silence before was.
                        let since = due.saturating_duration_since(self.began).as_millis() as u64;
                        let time = since / 20 * FRAME_TICKS;
                        out.push(Out::Frame(Frame {
                            time,
                            first,
                            payload,
                        }));
                    }
                }
                Next::Wait => {
                    // Sound that comes late goes on where it stopped.
                    self.next_frame = None;
                    break;
                }
                Next::Done => {
                    self.next_frame = None;
                    if self.part.as_ref().is_some_and(|part| part.finished)
                        && let Some(part) = self.part.take()
                    {
                        self.unspoken = Some(part.id.clone());
                        self.playout.clear();
                        out.push(Out::Spoken { part_id: part.id });
                    }
                    break;
                }
            }
        }
        self.tell_heard(now, out);
        self.show(out);
    }

    /// Now and then, so that a turn that is stopped by a button knows what was heard.
    fn tell_heard(&mut self, now: Instant, out: &mut Vec<Out>) {
        if self.next_frame.is_some()
            && now.saturating_duration_since(self.heard_told) >= Duration::from_millis(200)
        {
            self.heard_told = now;
            if let Some(part) = &self.part {
                let heard = word_end(part.sentences.text(), self.playout.heard());
                out.push(Out::Heard {
                    part_id: part.id.clone(),
                    heard,
                });
            }
        }
    }

    /// The agent falls silent, and its answer ends where the visitor stopped hearing it.
    pub(super) fn cut(&mut self, out: &mut Vec<Out>) {
        let Some(part) = &self.part else { return };
        let heard = word_end(part.sentences.text(), self.playout.heard());
        let part_id = part.id.clone();
        self.silence(out);
        out.push(Out::Cut { part_id, heard });
    }

    fn silence(&mut self, out: &mut Vec<Out>) {
        if let Some(part) = self.part.take() {
            self.unspoken = Some(part.id);
        }
        self.playout.clear();
        self.next_frame = None;
        out.push(Out::Hush);
    }
}
