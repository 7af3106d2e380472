//! A call that is handed to a realtime engine, as its session sees it. While one runs, what the visitor types is the engine's to answer, and
//! the visitor's browser reports what was said. Neither opens a turn; both are in the log, marked, so that the text runtime knows them later.

use super::check::Order;
use super::hub::{Gate, Hub};
use super::stay::{self, Paid};
use super::{Inner, Principal, Sender, Sessions, caps, history, turn};
use crate::agent::Line;
use crate::error::Fault;
use crate::store::{Appended, SessionRecord};
use karta_protocol::{Accepted, ErrorCode, EventType, SessionEvent};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Reports of one call: half an hour of talk is a tenth of either.
const REPORTS_MAX: u32 = 2_000;
const REPORTED_BYTES_MAX: usize = 256 * 1024;
/// The last words are reported after the call has ended, or once the network is back.
const GRACE: Duration = Duration::from_secs(60);

/// Of the call that a session has handed over, if it has.
#[derive(Default)]
pub struct Handing {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    call: Option<String>,
    ended: Option<Instant>,
    reports: u32,
    bytes: usize,
    over: Option<ErrorCode>,
}

impl Handing {
    pub fn runs(&self) -> bool {
        self.lock().call.is_some()
    }

    /// Takes room for what the visitor's browser reports of a call.
    pub fn admit(&self, report: &SessionEvent) -> Result<(), Fault> {
        let bytes = report.text.as_ref().map_or(0, String::len);
        let mut state = self.lock();
        let late = state.ended.is_some_and(|ended| ended.elapsed() < GRACE);
        if state.call.is_none() && !late {
            return Err(Fault::refused(
                ErrorCode::ConnectionNotFound,
                "No call of this session runs that an engine answers.",
            ));
        }
        if state.reports >= REPORTS_MAX || state.bytes + bytes > REPORTED_BYTES_MAX {
            return Err(Fault::refused(
                ErrorCode::PayloadTooLarge,
                "This call has reported as much as a call may.",
            ));
        }
        state.reports += 1;
        state.bytes += bytes;
        Ok(())
    }

    /// The key or the visitor has nothing left to go on with.
    fn exhaust(&self, code: ErrorCode) {
        self.lock().over = Some(code);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is left of a session whose call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It was deleted.
    Gone,
    /// Nobody reads it.
    Deserted,
    Present,
}

/// The call's hold on its session. Dropping it ends the call for the session.
pub struct Handover {
    inner: Arc<Inner>,
    hub: Arc<Hub>,
    record: SessionRecord,
    sender: Sender,
    call: String,
    paid: Paid,
}

impl Sessions {
    /// Opens a session for a call of this name. `address` as in [`Sessions::submit`].
    pub async fn hand_over(
        &self,
        who: &Principal,
        id: &str,
        call: &str,
        address: Option<&str>,
    ) -> Result<Handover, Fault> {
        let hub = self.hub(who, id).await?;
        if self.inner.closing.is_cancelled() {
            return Err(super::closing());
        }
        let record = hub.record().ok_or_else(super::not_found)?.clone();
        Ok(Handover {
            inner: self.inner.clone(),
            sender: Sender {
                who: who.clone(),
                address: address.map(ToOwned::to_owned),
            },
            call: call.to_owned(),
            paid: Paid::nothing(self.inner.clock.now_ms()),
            record,
            hub,
        })
    }
}

impl Handover {
    pub fn session_id(&self) -> &str {
        &self.record.info.id
    }

    /// A call that began under another process: what it has not paid since then is due at once.
    pub fn paid_since(mut self, at_ms: u64) -> Handover {
        self.paid.at_ms = at_ms;
        self
    }

    pub fn call_id(&self) -> &str {
        &self.call
    }

    /// Stands for where the caller is.
    pub fn address(&self) -> Option<&str> {
        self.sender.address.as_deref()
    }

    /// The last lines of the conversation, oldest first: at most so many, and so many bytes.
    pub async fn told(&self, lines: usize, bytes: usize) -> Result<Vec<Line>, Fault> {
        let last_seq = self.hub.last_seq();
        let after = last_seq.saturating_sub(history::WINDOW);
        let window = usize::try_from(history::WINDOW).unwrap_or(usize::MAX);
        let store = &self.inner.store;
        let events = store.events(self.session_id(), after, window).await?;
        let conversation = history::read(&events);
        let open = conversation.questions.into_iter();
        let open = open.chain(conversation.waiting).map(Line::Visitor);
        let mut told: Vec<Line> = conversation.lines.into_iter().chain(open).collect();
        let mut room = bytes;
        let fits = told.iter().rev().take(lines).take_while(|line| {
            let fits = line.text().len() <= room;
            room = room.saturating_sub(line.text().len());
            fits
        });
        let from = told.len() - fits.count();
        Ok(told.split_off(from))
    }

    /// Whether the visitor may begin, and the first minute.
    pub async fn pay_start(&mut self) -> Result<(), Fault> {
        let now_ms = self.inner.clock.now_ms();
        let key = turn::key_of(&self.inner, &self.record, &self.sender).await?;
        let minute = stay::minute_price(&self.inner, &self.record, &key, true).await?;
        let address = self.sender.address.as_deref();
        let charge = caps::call(&key, &self.sender.who, address, minute, now_ms);
        self.paid = stay::pay(&self.inner, &self.hub, &self.record, charge).await?;
        Ok(())
    }

    /// The time since then, by the minute.
    pub async fn pay_time(&mut self) -> Result<(), Fault> {
        let now_ms = self.inner.clock.now_ms();
        let key = turn::key_of(&self.inner, &self.record, &self.sender).await?;
        let minute = stay::minute_price(&self.inner, &self.record, &key, true).await?;
        let charge = caps::talk(&key, minute, self.paid.at_ms, now_ms);
        self.paid = stay::pay(&self.inner, &self.hub, &self.record, charge).await?;
        Ok(())
    }

    /// When it has to pay again.
    pub fn due(&self) -> Instant {
        self.paid.due
    }

    /// From here on the call runs. One that this server speaks itself for the session is over.
    pub fn begin(&self) {
        self.hub.voice.silence();
        *self.hub.handing.lock() = State {
            call: Some(self.call.clone()),
            ..State::default()
        };
    }

    pub fn presence(&self) -> Presence {
        self.hub.presence()
    }

    /// What was said was one thing too many.
    pub fn over(&self) -> Option<ErrorCode> {
        self.hub.handing.lock().over
    }

    /// Tells everybody who reads the session that the call is over. What was typed in it and not answered is answered now.
    pub async fn end(self, code: Option<&str>) {
        self.mark_ended();
        self.hub.tell(&SessionEvent {
            kind: EventType::VoiceState,
            id: Some(self.call.clone()),
            state: Some("ended".into()),
            code: code.map(ToOwned::to_owned),
            ..SessionEvent::default()
        });
        if self.hub.presence() == Presence::Gone || self.hub.handing.runs() {
            return;
        }
        let answered = turn::carry_out(&self.inner, &self.hub, Order::Retry, &self.sender).await;
        if let Err(fault) = answered {
            tracing::info!(session_id = %self.session_id(), code = %fault.code(), "what was typed in a call stays unanswered");
        }
    }

    fn mark_ended(&self) {
        let mut state = self.hub.handing.lock();
        // A new call may have begun.
        if state.call.as_ref() == Some(&self.call) {
            state.call = None;
            state.ended = Some(Instant::now());
        }
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        self.mark_ended();
    }
}

/// Commits what belongs to a handed call. It opens no turn.
pub(super) async fn note(
    inner: &Arc<Inner>,
    hub: &Arc<Hub>,
    record: &SessionRecord,
    gate: &mut Gate,
    event: SessionEvent,
    sender: &Sender,
) -> Result<Accepted, Fault> {
    let now_ms = inner.clock.now_ms();
    let key = turn::key_of(inner, record, sender).await?;
    let charge = match event.kind {
        EventType::AgentMessage => caps::time(&key, now_ms),
        // It is answered like a message.
        _ => caps::handed(&key, &sender.who, sender.address.as_deref(), now_ms),
    };
    let event = SessionEvent {
        handed: true,
        ..event
    };
    let id = &record.info.id;
    match hub
        .commit_charged(&*inner.store, id, gate, &[event], charge)
        .await?
    {
        Appended::New(events) => Ok(Accepted {
            seq: events.first().and_then(|event| event.seq),
        }),
        Appended::Repeat(seq) => Ok(Accepted { seq: Some(seq) }),
        Appended::Over(over) => {
            let fault = turn::refuse(inner, hub, record, gate, &over, now_ms).await;
            hub.handing.exhaust(fault.code());
            Err(fault)
        }
    }
}
