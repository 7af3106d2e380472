//! One session while somebody uses it: the order of its commits (the gate) and the readers who see them live (the fan).
//! A hub lives as long as a subscription, a turn or a request holds it; the log is the truth, so losing a hub loses nothing.

use super::wait::{self, Waiting};
use super::{Frame, Inner, Presence, aloud, asking, handed, turn, words};
use crate::error::Fault;
use crate::store::{Appended, Charge, SessionRecord, Store, StoreError};
use karta_protocol::{EventType, SessionEvent, SessionStatus};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

/// Frames that a reader may fall behind. One who is slower is ended and comes back with its cursor.
const READER_QUEUE: usize = 1_024;
/// Messages that are looked at for how long they have waited.
const WAITING_MAX: usize = 500;

pub struct Hub {
    record: OnceCell<SessionRecord>,
    /// Held from before a commit until it is announced: readers see the log's order, and there is one turn at a time.
    pub gate: tokio::sync::Mutex<Gate>,
    fan: Mutex<Fan>,
    /// Of the call that speaks the answers, if there is one.
    pub voice: aloud::Voice,
    /// Of the call that a realtime engine answers, if there is one.
    pub handing: handed::Handing,
    /// Of the tool that waits for the visitor's word, if one does.
    pub asking: asking::Asking,
}

#[derive(Default)]
pub struct Gate {
    /// As in [`SessionRecord`].
    pub asked_seq: u64,
    pub turn_seq: u64,
    /// Interrupts the running turn.
    pub running: Option<CancellationToken>,
    /// Said since the last turn began.
    pub waiting: Option<Waiting>,
    /// Somebody waits to begin the next turn.
    pub timer: bool,
}

#[derive(Default)]
struct Fan {
    readers: Vec<mpsc::Sender<Frame>>,
    part: Option<Part>,
    /// The last part of which `agent.thinking` was told.
    thought_of: Option<String>,
    last_seq: u64,
    ended: bool,
}

/// The answer that is being written.
#[derive(Default)]
struct Part {
    id: String,
    text: String,
}

/// A reader's start: a cut through the session at one moment. Whatever happens after it comes through `live`.
pub struct Joined {
    pub last_seq: u64,
    /// The running part so far, if any, and `session.synced`.
    pub now: Vec<Frame>,
    pub live: mpsc::Receiver<Frame>,
}

/// The hubs in use.
#[derive(Default)]
pub struct Hubs {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    hubs: HashMap<String, Weak<Hub>>,
    /// Dead entries are swept when the map has doubled since the last time.
    sweep_at: usize,
}

/// The session's hub, loaded from the log at first use. Loading runs a turn again that a crash had cut. None: no such session.
pub async fn load(inner: &Arc<Inner>, id: &str) -> Result<Option<Arc<Hub>>, Fault> {
    let hub = inner.hubs.get(id);
    let loaded = hub
        .record
        .get_or_try_init(|| async {
            let record = match inner.store.session(id).await {
                Ok(record) => record.ok_or(None)?,
                Err(error) => return Err(Some(error)),
            };
            let mut gate = hub.gate.lock().await;
            gate.asked_seq = record.asked_seq;
            gate.turn_seq = record.turn_seq;
            hub.fan().last_seq = record.info.last_seq;
            let mut cut = record.info.status == SessionStatus::Running;
            if !cut && record.asked_seq > record.turn_seq {
                gate.waiting = waiting(&*inner.store, &record).await.map_err(Some)?;
                if wait::left_ms(inner, &record, &gate).await > 0 {
                    wait::start(inner, &hub, &record, &mut gate);
                    return Ok(record);
                }
                let running = [words::running()];
                hub.commit(&*inner.store, id, &mut gate, &running)
                    .await
                    .map_err(Some)?;
                cut = true;
            }
            // Nothing is awaited from here on: a caller who goes away leaves either no trace or a loaded hub.
            if cut {
                turn::start(inner, &hub, &record, &mut gate);
            }
            Ok::<_, Option<StoreError>>(record)
        })
        .await;
    match loaded {
        Ok(_) => Ok(Some(hub)),
        Err(None) => Ok(None),
        Err(Some(error)) => Err(error.into()),
    }
}

/// What a crash left waiting, by the log's times.
async fn waiting(store: &dyn Store, record: &SessionRecord) -> Result<Option<Waiting>, StoreError> {
    let id = &record.info.id;
    let events = store.events(id, record.turn_seq, WAITING_MAX).await?;
    let said = events.iter().filter(|e| {
        matches!(e.kind, EventType::UserMessage | EventType::UserTranscript) && !e.handed
    });
    Ok(said.fold(None, |before, event| {
        Some(Waiting::and(before, event.at_ms.unwrap_or_default()))
    }))
}

impl Hub {
    /// None before [`load`] is through.
    pub fn record(&self) -> Option<&SessionRecord> {
        self.record.get()
    }

    /// Appends to the log, then shows what was appended to every reader.
    pub async fn commit(
        &self,
        store: &dyn Store,
        id: &str,
        gate: &mut Gate,
        events: &[SessionEvent],
    ) -> Result<Appended, StoreError> {
        let appended = store.append(id, events.to_vec()).await?;
        self.announce(gate, &appended);
        Ok(appended)
    }

    /// The same for what the session's key pays for.
    pub async fn commit_charged(
        &self,
        store: &dyn Store,
        id: &str,
        gate: &mut Gate,
        events: &[SessionEvent],
        charge: Charge,
    ) -> Result<Appended, StoreError> {
        let appended = store.append_charged(id, events.to_vec(), charge).await?;
        self.announce(gate, &appended);
        Ok(appended)
    }

    fn announce(&self, gate: &mut Gate, appended: &Appended) {
        if let Appended::New(events) = appended {
            let mut fan = self.fan();
            for event in events {
                let seq = event.seq.unwrap_or_default();
                match event.kind {
                    // A realtime engine's to answer; what a turn is writing meanwhile goes on.
                    EventType::UserMessage
                    | EventType::UserTranscript
                    | EventType::AgentMessage
                        if event.handed => {}
                    EventType::UserMessage | EventType::UserTranscript => gate.asked_seq = seq,
                    EventType::StatusRunning => {
                        gate.turn_seq = seq;
                        gate.waiting = None;
                    }
                    EventType::AgentMessage | EventType::StatusIdle => fan.part = None,
                    EventType::UserFile
                    | EventType::AgentThinking
                    | EventType::AgentToolUse
                    | EventType::AgentToolResult
                    | EventType::SessionError
                    | EventType::LimitReached
                    | EventType::Synced
                    | EventType::VoiceState
                    | EventType::VoiceCut
                    | EventType::Pong
                    | EventType::Error
                    | EventType::Unknown => {}
                }
                fan.last_seq = seq;
                fan.send(&frame(event));
            }
        }
    }

    /// Highest `seq` of the log.
    pub fn last_seq(&self) -> u64 {
        self.fan().last_seq
    }

    /// Adds to the part that is being written and shows the piece to every reader.
    pub fn write(&self, part_id: &str, piece: &str) {
        if piece.is_empty() {
            return;
        }
        let mut fan = self.fan();
        let part = fan.part.get_or_insert_with(|| Part {
            id: part_id.to_owned(),
            text: String::new(),
        });
        let offset = part.text.len() as u64;
        part.text.push_str(piece);
        fan.send(&frame(&delta(part_id, offset, piece)));
    }

    /// Shows every reader that the part is being worked on: once, and not after its first word.
    pub fn think(&self, part_id: &str) {
        let mut fan = self.fan();
        if fan.part.is_some() || fan.thought_of.as_deref() == Some(part_id) {
            return;
        }
        fan.thought_of = Some(part_id.to_owned());
        fan.send(&frame(&SessionEvent {
            kind: EventType::AgentThinking,
            ..SessionEvent::default()
        }));
    }

    /// What the running part holds so far.
    pub fn written(&self) -> String {
        self.fan()
            .part
            .as_ref()
            .map(|part| part.text.clone())
            .unwrap_or_default()
    }

    /// Ends the running part after so many bytes: the rest was never heard.
    pub fn keep(&self, part_id: &str, bytes: usize) {
        let mut fan = self.fan();
        if let Some(part) = fan.part.as_mut().filter(|part| part.id == part_id) {
            let end = part.text.floor_char_boundary(bytes);
            part.text.truncate(end);
        }
    }

    /// Tells every reader to forget the part that it has seen begin: no end of it will come.
    pub fn drop_part(&self) {
        let mut fan = self.fan();
        fan.part = None;
        let synced = fan.synced();
        fan.send(&synced);
    }

    /// Shows every reader something that is not kept.
    pub fn tell(&self, event: &SessionEvent) {
        self.fan().send(&frame(event));
    }

    pub fn presence(&self) -> Presence {
        let fan = self.fan();
        if fan.ended {
            Presence::Gone
        } else if fan.readers.iter().all(mpsc::Sender::is_closed) {
            Presence::Deserted
        } else {
            Presence::Present
        }
    }

    pub fn join(&self) -> Joined {
        let (sender, live) = mpsc::channel(READER_QUEUE);
        let mut fan = self.fan();
        fan.readers.retain(|reader| !reader.is_closed());
        if !fan.ended {
            fan.readers.push(sender);
        }
        let part = fan.part.as_ref();
        let so_far = part.map(|part| frame(&delta(&part.id, 0, &part.text)));
        let mut now: Vec<Frame> = so_far.into_iter().collect();
        now.push(fan.synced());
        Joined {
            last_seq: fan.last_seq,
            now,
            live,
        }
    }

    fn fan(&self) -> MutexGuard<'_, Fan> {
        // Nothing in here can panic half-way through a change.
        self.fan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fan {
    fn send(&mut self, frame: &Frame) {
        self.readers
            .retain(|reader| reader.try_send(frame.clone()).is_ok());
    }

    fn synced(&self) -> Frame {
        let mut synced = frame(&SessionEvent {
            kind: EventType::Synced,
            seq: Some(self.last_seq),
            part_id: self.part.as_ref().map(|part| part.id.clone()),
            ..SessionEvent::default()
        });
        // Its `seq` is a cursor, not its own place in the log.
        synced.seq = None;
        synced
    }
}

impl Hubs {
    fn get(&self, id: &str) -> Arc<Hub> {
        let mut known = self.known();
        if let Some(hub) = known.hubs.get(id).and_then(Weak::upgrade) {
            return hub;
        }
        if known.hubs.len() >= known.sweep_at {
            known.hubs.retain(|_, hub| hub.strong_count() > 0);
            known.sweep_at = known.hubs.len() * 2 + 64;
        }
        let hub = Arc::new(Hub {
            record: OnceCell::new(),
            gate: tokio::sync::Mutex::new(Gate::default()),
            fan: Mutex::new(Fan::default()),
            voice: aloud::Voice::default(),
            handing: handed::Handing::default(),
            asking: asking::Asking::default(),
        });
        known.hubs.insert(id.to_owned(), Arc::downgrade(&hub));
        hub
    }

    /// The session is gone: its readers are told, its turn is interrupted, and nothing can join any more.
    pub async fn end(&self, id: &str) {
        let hub = self.known().hubs.remove(id).and_then(|hub| hub.upgrade());
        let Some(hub) = hub else {
            return;
        };
        {
            let mut fan = hub.fan();
            fan.send(&gone());
            fan.part = None;
            fan.ended = true;
            fan.readers.clear();
        }
        if let Some(turn) = hub.gate.lock().await.running.take() {
            turn.cancel();
        }
    }

    /// Those in use.
    pub fn count(&self) -> usize {
        let known = self.known();
        let used = known.hubs.values().filter(|hub| hub.strong_count() > 0);
        used.count()
    }

    pub fn end_subscriptions(&self) {
        for hub in self.known().hubs.values().filter_map(Weak::upgrade) {
            let mut fan = hub.fan();
            fan.ended = true;
            fan.readers.clear();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn frame(event: &SessionEvent) -> Frame {
    Frame {
        seq: event.seq,
        // Strings, numbers and booleans only: serialising them cannot fail.
        json: serde_json::to_string(event).unwrap_or_default().into(),
    }
}

/// Last words to the readers of a session that was removed.
fn gone() -> Frame {
    let fault = super::not_found();
    frame(&SessionEvent {
        kind: EventType::Error,
        code: Some(fault.code().as_str().to_owned()),
        message: Some("This conversation was deleted.".to_owned()),
        ..SessionEvent::default()
    })
}

fn delta(part_id: &str, offset: u64, text: &str) -> SessionEvent {
    SessionEvent {
        kind: EventType::AgentMessage,
        part_id: Some(part_id.to_owned()),
        offset: Some(offset),
        text: Some(text.to_owned()),
        delta: true,
        ..SessionEvent::default()
    }
}
