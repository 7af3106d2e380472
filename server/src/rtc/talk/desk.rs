//! A call's hands: carries out what it orders, beside it, so that its frames leave in time. Here are the bounds of what waits.

use super::{News, Report, state};
use crate::error::Fault;
use crate::rtc::driver::Command;
use crate::rtc::{Conversation, PeerKey};
use crate::session::{Aloud, Principal, Stay};
use crate::voice::engine::{Engine, SpeechFailure};
use crate::voice::{Call, FRAME, Out, Phase, SPOKEN_RATE};
use futures::FutureExt;
use karta_protocol::{EventType, SessionEvent};
use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

/// Stretches of 16 ms that wait for a recogniser: a whole turn, as one that is busy reads late.
const SPEECH: usize = 2_048;
/// A sentence is begun when so little waits to be played: more than an engine takes to begin.
const BEGIN_AHEAD: Duration = Duration::from_secs(4);
/// Of a sentence that is being made, so much is taken ahead of what is played. Longer than most sentences, so that a provider is soon done
/// with them; the rest of others waits on its side.
const STORED_MAX: Duration = Duration::from_secs(6);
/// Samples that the call takes at once, 60 ms: encoding them takes a millisecond, and meanwhile no frame of this call leaves.
const PIECE: usize = 3 * FRAME;
/// No sentence sounds longer, whatever its engine says.
const SENTENCE_MAX: usize = 120 * SPOKEN_RATE as usize;
/// One failure may be chance. After so many in a row the call ends, with a word that says so.
const FAILURES_MAX: u32 = 3;

pub struct Desk {
    pub conversation: Arc<dyn Conversation>,
    pub who: Principal,
    pub session_id: String,
    pub key: PeerKey,
    pub commands: mpsc::UnboundedSender<Command>,
    pub news: mpsc::Sender<News>,
    pub engine: Engine,
    pub reports: mpsc::Sender<Report>,
    /// Of the engine that speaks: its sound, and that it is done.
    pub sounds: mpsc::Sender<Report>,
    /// Turns of the visitor whose words are not known yet.
    pub listening: HashMap<u64, Listening>,
    pub to_speak: VecDeque<(u64, String)>,
    /// The sentence that is being made.
    pub speaking: Option<(u64, AbortOnDrop)>,
    /// More sound may be taken from the engine.
    pub room: watch::Sender<bool>,
    pub failures: u32,
    pub over: Option<&'static str>,
    /// How often the call pays at least.
    pub minute: Duration,
    pub stay: Stay,
    /// When it pays. None: it is just doing so.
    pub due: Option<Instant>,
}

/// A turn that is being recognised.
pub struct Listening {
    /// Before the sound, so that it is dropped before: to a recogniser the end of the sound is the end of the turn, and it would ask a provider,
    /// who wants to be paid, for the words of a call that is over.
    _task: AbortOnDrop,
    /// None: the turn has ended.
    speech: Option<mpsc::Sender<Vec<i16>>>,
}

pub struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Desk {
    pub fn carry_out(&mut self, order: Out, aloud: &Aloud) {
        match order {
            Out::Frame(frame) => {
                let _ = self.commands.send(Command::Speak {
                    key: self.key,
                    frame,
                });
            }
            Out::Phase(phase) => self.tell(state(
                match phase {
                    Phase::Listening => "listening",
                    Phase::Thinking => "thinking",
                    Phase::Speaking => "speaking",
                },
                None,
            )),
            Out::Recognise(utterance) => self.recognise(utterance),
            Out::Sound(utterance, pcm) => {
                let listening = self.listening.get(&utterance);
                if let Some(speech) = listening.and_then(|listening| listening.speech.as_ref()) {
                    let _ = speech.try_send(pcm);
                }
            }
            Out::Ended(utterance) => {
                if let Some(listening) = self.listening.get_mut(&utterance) {
                    listening.speech = None;
                }
            }
            Out::Said(utterance, words) => self.say(utterance, words),
            Out::Speak(number, words) => self.to_speak.push_back((number, words)),
            Out::Hush => {
                self.to_speak.clear();
                self.speaking = None;
            }
            Out::Cut { part_id, heard } => {
                aloud.cut(&part_id, heard);
                self.tell(SessionEvent {
                    kind: EventType::VoiceCut,
                    part_id: Some(part_id),
                    heard: Some(heard as u64),
                    ..SessionEvent::default()
                });
            }
            Out::Heard { part_id, heard } => aloud.heard(&part_id, heard),
            Out::Spoken { part_id } => aloud.spoken(&part_id),
            Out::Over(code) => self.over = Some(code),
        }
    }

    fn recognise(&mut self, utterance: u64) {
        let (speech, heard) = mpsc::channel(SPEECH);
        let (ears, reports) = (self.engine.ears.clone(), self.reports.clone());
        let task = tokio::spawn(async move {
            let so_far = |words: &str| {
                // The next ones hold these too.
                let _ = reports.try_send(Report::SoFar(utterance, words.to_owned()));
            };
            let result = whole(ears.transcribe(heard, &so_far)).await;
            let _ = reports.send(Report::Recognised(utterance, result)).await;
        });
        let listening = Listening {
            _task: AbortOnDrop(task.abort_handle()),
            speech: Some(speech),
        };
        self.listening.insert(utterance, listening);
    }

    /// Its words are known, or will never be.
    pub fn recognised(&mut self, utterance: u64) {
        self.listening.remove(&utterance);
    }

    fn say(&self, utterance: u64, words: String) {
        let (conversation, who, session_id) = (
            self.conversation.clone(),
            self.who.clone(),
            self.session_id.clone(),
        );
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let utterance = name(utterance);
            let said = whole(conversation.said(&who, &session_id, &utterance, &words)).await;
            let _ = reports.send(Report::Said(said.map(|_| ()))).await;
        });
    }

    /// One sentence is made at a time, and not far ahead of what is played.
    pub fn speak_next(&mut self, call: &Call) {
        if self.speaking.is_some() || call.stored() > BEGIN_AHEAD {
            return;
        }
        let Some((number, words)) = self.to_speak.pop_front() else {
            return;
        };
        let (mouth, sounds) = (self.engine.mouth.clone(), self.sounds.clone());
        let room = self.room.subscribe();
        let task = tokio::spawn(async move {
            let (sound, made) = mpsc::channel(1);
            let speak = whole(async move { mouth.speak(&words, &sound).await });
            let (result, ()) = tokio::join!(speak, forward(number, made, room, &sounds));
            let _ = sounds.send(Report::Sounded(number, result)).await;
        });
        self.speaking = Some((number, AbortOnDrop(task.abort_handle())));
    }

    pub fn make_room(&self, call: &Call) {
        let room = call.stored() <= STORED_MAX;
        self.room
            .send_if_modified(|had| std::mem::replace(had, room) != room);
    }

    /// The sentence was made. One that was forgotten may say so late: another is being made by then.
    pub fn made(&mut self, number: u64) {
        self.speaking.take_if(|(speaking, _)| *speaking == number);
    }

    pub fn judge<T>(&mut self, result: Result<T, SpeechFailure>) -> Option<T> {
        match result {
            Ok(done) => {
                self.failures = 0;
                Some(done)
            }
            Err(failure) => {
                tracing::warn!(session_id = %self.session_id, %failure, "a speech engine failed");
                self.failures += 1;
                if self.failures >= FAILURES_MAX {
                    self.over = Some("engine");
                }
                None
            }
        }
    }

    pub fn paid(&mut self, stay: Stay) {
        self.stay = stay;
        self.due = Some(stay.due().min(Instant::now() + self.minute));
    }

    /// Pays for the minute that begins, beside the call.
    pub fn pay(&mut self) {
        self.due = None;
        let stay = self.stay;
        let (conversation, who, session_id) = (
            self.conversation.clone(),
            self.who.clone(),
            self.session_id.clone(),
        );
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let went_on = whole(conversation.go_on(&who, &session_id, stay)).await;
            let _ = reports.send(Report::WentOn(went_on)).await;
        });
    }

    /// The visitor is told why the log did not take what was said, or the call may not go on. Where time does not heal it soon, the call
    /// is over.
    pub fn refused(&mut self, fault: &Fault, bearable: bool) {
        self.tell(crate::rtc::bridge::refusal(None, fault, &self.session_id));
        if !bearable {
            self.over = Some("refused");
        }
    }

    pub fn tell(&self, event: SessionEvent) {
        // A visitor who takes nothing any more has other worries than a state.
        let _ = self.news.try_send(Box::new(event));
    }
}

/// What works for a call may panic, and must report all the same: the call waits for its report. The panic itself is logged and counted by the hook.
async fn whole<T, F: Unwell>(work: impl Future<Output = Result<T, F>>) -> Result<T, F> {
    // Dropped after a panic, whatever it has left half done.
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    caught.unwrap_or_else(|_| Err(F::panicked()))
}

/// How a failure says that it was a panic.
trait Unwell {
    fn panicked() -> Self;
}

impl Unwell for SpeechFailure {
    fn panicked() -> Self {
        SpeechFailure::new("a speech engine panicked")
    }
}

impl Unwell for Fault {
    fn panicked() -> Self {
        Fault::Internal("the log panicked".to_owned())
    }
}

/// Takes the sound of a sentence to the call, in small pieces and only while there is room: engines are faster than speech.
async fn forward(
    number: u64,
    mut made: mpsc::Receiver<Vec<i16>>,
    mut room: watch::Receiver<bool>,
    sounds: &mpsc::Sender<Report>,
) {
    let mut left = SENTENCE_MAX;
    while let Some(pcm) = made.recv().await {
        for piece in pcm.chunks(PIECE) {
            if left == 0 {
                return;
            }
            let piece = &piece[..piece.len().min(left)];
            left -= piece.len();
            // An error is the call's end.
            let _ = room.wait_for(|room| *room).await;
            let sound = Report::Sound(number, piece.to_vec());
            if sounds.send(sound).await.is_err() {
                return;
            }
        }
    }
}

/// The id of an utterance in the log. Unique within the connection is enough: the log orders them.
pub fn name(utterance: u64) -> String {
    format!("u{utterance}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// An engine that makes a second at a time until nobody takes it; how much came of it.
    async fn endless(room: watch::Receiver<bool>, given: &Cell<usize>) -> usize {
        let (sound, made) = mpsc::channel(1);
        let (sounds, mut sounding) = mpsc::channel(2);
        let speak = async {
            while sound.send(vec![1; SPOKEN_RATE as usize]).await.is_ok() {
                given.set(given.get() + SPOKEN_RATE as usize);
            }
        };
        let take = async {
            let mut came = 0;
            while let Some(Report::Sound(7, pcm)) = sounding.recv().await {
                assert!(pcm.len() <= PIECE, "{}", pcm.len());
                came += pcm.len();
            }
            came
        };
        let forward = async move { forward(7, made, room, &sounds).await };
        tokio::join!(take, speak, forward).0
    }

    #[tokio::test]
    async fn a_sentence_that_never_ends_is_ended() {
        let room = watch::Sender::new(true);
        let came = endless(room.subscribe(), &Cell::default()).await;
        assert_eq!(came, SENTENCE_MAX);
    }

    #[tokio::test]
    async fn without_room_an_engine_waits_with_what_it_made() {
        let room = watch::Sender::new(false);
        let given = Cell::default();
        let rest = async {
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            came = endless(room.subscribe(), &given) => panic!("{came} came"),
            () = rest => {}
        }
        // One is being taken apart, one waits.
        assert_eq!(given.get(), 2 * SPOKEN_RATE as usize);
    }
}
