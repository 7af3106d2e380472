//! Joins a peer's audio to its conversation: runs one [`Call`] with its speech engine. Decides nothing: the call does. Everything slow
//! (an engine, the log) runs beside it and reports back, so that frames leave in time.

use super::driver::Command;
use super::{Conversation, PeerKey};
use crate::error::Fault;
use crate::session::{Aloud, AloudNews, Principal};
use crate::voice::engine::{Engine, SpeechFailure};
use crate::voice::{Call, CallSettings, Out, Packet, Phase};
use futures::StreamExt;
use karta_protocol::{ErrorCode, EventType, SessionEvent};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

/// Packets that wait for the call: a second and a quarter. What comes beyond is dropped, like on a bad line.
pub(super) const PACKETS: usize = 64;
/// Stretches of 16 ms that wait for a recogniser: a whole turn, as one that is busy reads late.
const SPEECH: usize = 2_048;
/// Reports of engines and of the log that wait for the call.
const REPORTS: usize = 256;
/// So much sound waits to be played before more of it is taken from the engine: four seconds, far more than one takes to go on.
const STORED_MAX: usize = 4 * crate::voice::SPOKEN_RATE as usize;
/// One failure may be chance. After so many in a row the call ends, with a word that says so.
const FAILURES_MAX: u32 = 3;

/// What a conversation gives to a call that it lets begin.
pub struct Begun {
    pub engine: Engine,
    pub settings: CallSettings,
    pub aloud: Aloud,
    /// When it began, by the clock that its minutes are counted with.
    pub since_ms: u64,
    /// Given back by drop: a place among the calls of the server.
    pub place: Box<dyn Send + Sync>,
}

/// What the visitor does with a running call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Mute(bool),
}

/// What the call tells its visitor. The end of the queue is the end of the call.
pub(super) type News = SessionEvent;

pub(super) struct Talk {
    pub conversation: Arc<dyn Conversation>,
    pub who: Principal,
    pub session_id: String,
    pub key: PeerKey,
    pub commands: mpsc::UnboundedSender<Command>,
    pub packets: mpsc::Receiver<Packet>,
    pub orders: mpsc::Receiver<Order>,
    pub news: mpsc::Sender<News>,
    pub begun: Begun,
}

enum Report {
    SoFar(u64, String),
    Recognised(u64, Result<String, SpeechFailure>),
    Sound(u64, Vec<i16>),
    Sounded(u64, Result<(), SpeechFailure>),
    Said(Result<(), Fault>),
    WentOn(Result<(), Fault>),
}

impl Talk {
    /// Until the visitor or the call itself ends it. Tells which: the last of its news.
    pub async fn run(self) {
        let news = self.news.clone();
        let code = self.talk().await;
        let _ = news.try_send(state("ended", code));
    }

    async fn talk(mut self) -> Option<&'static str> {
        let live = u64::try_from(i64::MAX).unwrap_or(u64::MAX);
        let subscribed = self
            .conversation
            .subscribe(&self.who, &self.session_id, live);
        let Ok(mut frames) = subscribed.await else {
            return Some("session");
        };
        let (reports, mut reported) = mpsc::channel(REPORTS);
        let mut desk = Desk {
            conversation: self.conversation.clone(),
            who: self.who.clone(),
            session_id: self.session_id.clone(),
            key: self.key,
            commands: self.commands.clone(),
            news: self.news.clone(),
            engine: self.begun.engine.clone(),
            reports,
            listening: HashMap::new(),
            to_speak: VecDeque::new(),
            speaking: None,
            room: watch::Sender::new(true),
            failures: 0,
            over: None,
        };
        // The news of before the call: what is being written already is read, not heard.
        let mut running = None;
        while let Some(frame) = frames.next().await {
            let event: SessionEvent = serde_json::from_str(&frame.json).unwrap_or_default();
            if event.kind == EventType::Synced {
                running = event.part_id;
                break;
            }
        }
        let mut call = Call::new(self.begun.settings.clone(), running, Instant::now());
        desk.tell(state("listening", None));
        let mut out = Vec::new();
        // The first was paid before the call began.
        let mut minutes = tokio::time::interval(self.begun.settings.minute);
        minutes.reset();
        loop {
            let deadline = call.deadline(Instant::now());
            let input = tokio::select! {
                packet = self.packets.recv() => match packet {
                    Some(packet) => Input::Packet(packet),
                    None => return desk.over,
                },
                order = self.orders.recv() => match order {
                    Some(order) => Input::Order(order),
                    None => return desk.over,
                },
                frame = frames.next() => match frame {
                    Some(frame) => Input::Event(Box::new(serde_json::from_str(&frame.json).unwrap_or_default())),
                    None => return Some("session"),
                },
                news = self.begun.aloud.news() => match news {
                    AloudNews::Written { part_id, bytes } => Input::Written(part_id, bytes),
                    AloudNews::TakenOver => return Some("taken_over"),
                },
                report = reported.recv() => match report {
                    Some(report) => Input::Report(report),
                    None => return desk.over,
                },
                _ = minutes.tick() => {
                    desk.pay(self.begun.since_ms);
                    continue;
                }
                () = tokio::time::sleep_until(deadline.into()) => Input::Time,
            };
            let now = Instant::now();
            // The call works on what strangers send. It is dropped after a panic, and with it this visitor's call only.
            let stepped = catch_unwind(AssertUnwindSafe(|| {
                step(&mut call, &mut desk, input, now, &mut out)
            }));
            if stepped.is_err() {
                tracing::error!(session_id = %self.session_id, "a call panicked and was ended");
                return Some("failed");
            }
            for order in out.drain(..) {
                desk.carry_out(order, &self.begun.aloud);
            }
            desk.speak_next(&call);
            desk.make_room(&call);
            if desk.over.is_some() {
                return desk.over;
            }
        }
    }
}

enum Input {
    Packet(Packet),
    Order(Order),
    Event(Box<SessionEvent>),
    Written(String, usize),
    Report(Report),
    Time,
}

fn step(call: &mut Call, desk: &mut Desk, input: Input, now: Instant, out: &mut Vec<Out>) {
    match input {
        Input::Packet(packet) => call.packet(&packet, now, out),
        Input::Order(Order::Mute(muted)) => call.mute(muted, now, out),
        Input::Event(event) => happened(call, &event, now, out),
        Input::Written(part_id, bytes) => call.written(&part_id, bytes, now, out),
        Input::Report(report) => match report {
            Report::SoFar(utterance, words) => desk.tell(SessionEvent {
                kind: EventType::UserTranscript,
                id: Some(name(utterance)),
                text: Some(words),
                offset: Some(0),
                delta: true,
                ..SessionEvent::default()
            }),
            Report::Recognised(utterance, result) => {
                let words = desk.judge(result).unwrap_or_default();
                call.recognised(utterance, &words, out);
            }
            Report::Sound(number, pcm) => call.sound(number, &pcm, now, out),
            Report::Sounded(number, result) => {
                desk.speaking = None;
                desk.judge(result);
                call.sounded(number, now, out);
            }
            Report::Said(Ok(())) => {}
            Report::Said(Err(fault)) => {
                desk.refused(&fault, fault.code() == ErrorCode::RateLimited);
                call.settled(out);
            }
            Report::WentOn(Ok(())) => {}
            // Also where nothing could be counted: what is not paid for does not go on.
            Report::WentOn(Err(fault)) => desk.refused(&fault, false),
        },
        Input::Time => {}
    }
    call.tick(now, out);
}

/// What the log says, as far as it concerns the call.
fn happened(call: &mut Call, event: &SessionEvent, now: Instant, out: &mut Vec<Out>) {
    match event.kind {
        EventType::UserMessage => call.typed(now, out),
        EventType::AgentMessage if event.delta => {
            let offset = event.offset.unwrap_or(0) as usize;
            let (part_id, text) = (event.part_id.as_deref(), event.text.as_deref());
            call.wrote(
                part_id.unwrap_or_default(),
                offset,
                text.unwrap_or_default(),
                now,
                out,
            );
        }
        EventType::StatusRunning => call.works(out),
        EventType::StatusIdle => call.settled(out),
        // The rest is for the eye, or the call's own.
        _ => {}
    }
}

/// The call's hands: carries out what it orders, beside it.
struct Desk {
    conversation: Arc<dyn Conversation>,
    who: Principal,
    session_id: String,
    key: PeerKey,
    commands: mpsc::UnboundedSender<Command>,
    news: mpsc::Sender<News>,
    engine: Engine,
    reports: mpsc::Sender<Report>,
    listening: HashMap<u64, mpsc::Sender<Vec<i16>>>,
    to_speak: VecDeque<(u64, String)>,
    speaking: Option<AbortOnDrop>,
    /// More sound may be taken from the engine.
    room: watch::Sender<bool>,
    failures: u32,
    over: Option<&'static str>,
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Desk {
    fn carry_out(&mut self, order: Out, aloud: &Aloud) {
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
                if let Some(speech) = self.listening.get(&utterance) {
                    let _ = speech.try_send(pcm);
                }
            }
            Out::Ended(utterance) => {
                self.listening.remove(&utterance);
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
        self.listening.insert(utterance, speech);
        let (ears, reports) = (self.engine.ears.clone(), self.reports.clone());
        tokio::spawn(async move {
            let so_far = |words: &str| {
                // The next ones hold these too.
                let _ = reports.try_send(Report::SoFar(utterance, words.to_owned()));
            };
            let result = ears.transcribe(heard, &so_far).await;
            let _ = reports.send(Report::Recognised(utterance, result)).await;
        });
    }

    fn say(&self, utterance: u64, words: String) {
        let (conversation, who, session_id) = (
            self.conversation.clone(),
            self.who.clone(),
            self.session_id.clone(),
        );
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let said = conversation
                .said(&who, &session_id, &name(utterance), &words)
                .await;
            let _ = reports.send(Report::Said(said.map(|_| ()))).await;
        });
    }

    /// One sentence is made at a time, and not far ahead of what is played.
    fn speak_next(&mut self, call: &Call) {
        if self.speaking.is_some() || call.stored() > STORED_MAX {
            return;
        }
        let Some((number, words)) = self.to_speak.pop_front() else {
            return;
        };
        let (mouth, reports) = (self.engine.mouth.clone(), self.reports.clone());
        let mut room = self.room.subscribe();
        let task = tokio::spawn(async move {
            let (sound, mut made) = mpsc::channel(8);
            let forward = async {
                while let Some(pcm) = made.recv().await {
                    // An engine is faster than speech: what it makes beyond waits on its own side. An error is the call's end.
                    let _ = room.wait_for(|room| *room).await;
                    if reports.send(Report::Sound(number, pcm)).await.is_err() {
                        return;
                    }
                }
            };
            let speak = async move { mouth.speak(&words, &sound).await };
            let (result, ()) = tokio::join!(speak, forward);
            let _ = reports.send(Report::Sounded(number, result)).await;
        });
        self.speaking = Some(AbortOnDrop(task.abort_handle()));
    }

    fn make_room(&self, call: &Call) {
        let room = call.stored() <= STORED_MAX;
        self.room
            .send_if_modified(|had| std::mem::replace(had, room) != room);
    }

    fn judge<T>(&mut self, result: Result<T, SpeechFailure>) -> Option<T> {
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

    /// Pays for the minute that begins, beside the call.
    fn pay(&self, since_ms: u64) {
        let (conversation, who, session_id) = (
            self.conversation.clone(),
            self.who.clone(),
            self.session_id.clone(),
        );
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let went_on = conversation.go_on(&who, &session_id, since_ms).await;
            let _ = reports.send(Report::WentOn(went_on)).await;
        });
    }

    /// The visitor is told why the log did not take what was said, or the call may not go on. Where time does not heal it soon, the call
    /// is over.
    fn refused(&mut self, fault: &Fault, bearable: bool) {
        self.tell(super::bridge::refusal(None, fault, &self.session_id));
        if !bearable {
            self.over = Some("refused");
        }
    }

    fn tell(&self, event: SessionEvent) {
        // A visitor who takes nothing any more has other worries than a state.
        let _ = self.news.try_send(event);
    }
}

/// The id of an utterance in the log. Unique within the connection is enough: the log orders them.
fn name(utterance: u64) -> String {
    format!("u{utterance}")
}

pub(super) fn state(state: &str, code: Option<&str>) -> SessionEvent {
    SessionEvent {
        kind: EventType::VoiceState,
        state: Some(state.to_owned()),
        code: code.map(ToOwned::to_owned),
        ..SessionEvent::default()
    }
}
