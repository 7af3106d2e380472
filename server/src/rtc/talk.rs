//! Joins a peer's audio to its conversation: runs one [`Call`] with its speech engine. Decides nothing: the call does. Everything slow
//! (an engine, the log) runs beside it and reports back, so that frames leave in time.

use super::driver::Command;
use super::{Conversation, PeerKey};
use crate::error::Fault;
use crate::session::{Aloud, AloudNews, Principal, Stay};
use crate::voice::engine::{Engine, SpeechFailure};
use crate::voice::{Call, CallSettings, Out, Packet};
use desk::{Desk, name};
use futures::StreamExt;
use karta_protocol::{ErrorCode, EventType, SessionEvent};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

mod desk;

/// Packets that wait for the call: a second and a quarter. What comes beyond is dropped, like on a bad line.
pub(super) const PACKETS: usize = 64;
/// Reports of engines and of the log that wait for the call.
const REPORTS: usize = 256;
/// Pieces on their way to the call. What an engine makes beyond waits on its own side.
const PIECES: usize = 2;

/// What a conversation gives to a call that it lets begin.
pub struct Begun {
    pub engine: Engine,
    pub settings: CallSettings,
    pub aloud: Aloud,
    /// What its minutes are counted by.
    pub stay: Stay,
    /// Given back by drop: a place among the calls of the server.
    pub place: Box<dyn Send + Sync>,
}

/// What the visitor does with a running call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Mute(bool),
}

/// What the call tells its visitor. The end of the queue is the end of the call. Boxed, as a queue has room for 32 from the beginning.
pub(super) type News = Box<SessionEvent>;

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
    WentOn(Result<Stay, Fault>),
}

impl Talk {
    /// Until the visitor or the call itself ends it. Tells which: the last of its news.
    pub async fn run(self) {
        let news = self.news.clone();
        let code = self.talk().await;
        let _ = news.try_send(Box::new(state("ended", code)));
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
        let (sounds, mut sounding) = mpsc::channel(PIECES);
        let mut desk = Desk {
            conversation: self.conversation.clone(),
            who: self.who.clone(),
            session_id: self.session_id.clone(),
            key: self.key,
            commands: self.commands.clone(),
            news: self.news.clone(),
            engine: self.begun.engine.clone(),
            reports,
            sounds,
            listening: HashMap::new(),
            to_speak: VecDeque::new(),
            speaking: None,
            room: watch::Sender::new(true),
            failures: 0,
            over: None,
            minute: self.begun.settings.minute,
            stay: self.begun.stay,
            due: None,
        };
        // The first minute was paid before the call began.
        desk.paid(self.begun.stay);
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
                sound = sounding.recv() => match sound {
                    Some(sound) => Input::Report(sound),
                    None => return desk.over,
                },
                () = until(desk.due) => {
                    desk.pay();
                    continue;
                }
                () = tokio::time::sleep_until(deadline.into()) => Input::Time,
            };
            let now = Instant::now();
            let encodes = matches!(input, Input::Report(Report::Sound(..)));
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
            if encodes {
                // Other calls of this thread have frames that are due.
                tokio::task::yield_now().await;
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
                desk.recognised(utterance);
                let words = desk.judge(result).unwrap_or_default();
                call.recognised(utterance, &words, out);
            }
            Report::Sound(number, pcm) => call.sound(number, &pcm, now, out),
            Report::Sounded(number, result) => {
                desk.made(number);
                desk.judge(result);
                call.sounded(number, now, out);
            }
            Report::Said(Ok(())) => {}
            Report::Said(Err(fault)) => {
                desk.refused(&fault, fault.code() == ErrorCode::RateLimited);
                call.settled(out);
            }
            Report::WentOn(Ok(stay)) => desk.paid(stay),
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

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

pub(super) fn state(state: &str, code: Option<&str>) -> SessionEvent {
    SessionEvent {
        kind: EventType::VoiceState,
        state: Some(state.to_owned()),
        code: code.map(ToOwned::to_owned),
        ..SessionEvent::default()
    }
}
