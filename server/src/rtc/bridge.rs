//! Joins one peer's data channel to its conversation: `hello` subscribes, frames go out with backpressure, client events go
//! in one after another, refusals come back as `error` frames. Knows no socket and no WebRTC.

use super::driver::{Command, Inbound};
use super::peer::{FRAME_MAX_BYTES, Parcel};
use super::registry::Seat;
use super::talk::{self, News, Order, Talk};
use super::{Conversation, Frames, PeerKey};
use crate::error::Fault;
use crate::session::{Frame, Principal};
use futures::StreamExt;
use futures::future::BoxFuture;
use karta_protocol::{Accepted, ClientEvent, ErrorCode, EventType, SessionEvent, client};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Client frames waiting to be carried out. A widget has one or two; who fills this floods.
pub(super) const INBOUND_FRAMES: usize = 64;
/// Frames on their way to a slow visitor, in units of 1 kB: what one peer may hold in memory beyond SCTP's own buffer.
const CREDIT_KB: usize = FRAME_MAX_BYTES / 1024;
/// Replies (`pong`, `error`) that wait for credit. While so many wait, nothing more is taken in.
const REPLIES_MAX: usize = 16;
/// A widget never sends one; a few are forgiven so that a developer sees the answer.
const GARBAGE_MAX: u32 = 10;

/// `voice.mute` and its like, waiting for a call that is busy for a moment.
const ORDERS: usize = 16;
/// What a call tells, waiting for a visitor who reads slowly.
const NEWS: usize = 256;

/// A subscription that ends sooner is not taken up again here: the widget comes back with its own backoff.
const RESUBSCRIBE_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Bridge {
    pub conversation: Arc<dyn Conversation>,
    pub who: Principal,
    pub session_id: String,
    pub key: PeerKey,
    pub commands: mpsc::UnboundedSender<Command>,
    pub inbound: mpsc::Receiver<Inbound>,
    /// Held for as long as the peer lives.
    pub seat: Seat,
}

pub(super) async fn run(bridge: Bridge) {
    let Bridge {
        conversation,
        who,
        session_id,
        key,
        commands,
        mut inbound,
        seat,
    } = bridge;
    let mut joint = Joint {
        conversation,
        who,
        session_id,
        key,
        commands,
        credit: Arc::new(Semaphore::new(CREDIT_KB)),
        frames: None,
        cursor: 0,
        subscribed_at: Instant::now(),
        waiting: VecDeque::new(),
        submitting: None,
        garbage: 0,
        call: None,
        seat,
    };
    while let Step::GoOn = joint.step(&mut inbound).await {}
}

/// The id of a message, and what became of it.
type Submitted = (Option<String>, Result<Accepted, Fault>);

enum Step {
    GoOn,
    End,
}

/// The running state of a bridge.
struct Joint {
    conversation: Arc<dyn Conversation>,
    who: Principal,
    session_id: String,
    key: PeerKey,
    commands: mpsc::UnboundedSender<Command>,
    credit: Arc<Semaphore>,
    frames: Option<Frames>,
    /// Highest durable `seq` given to the peer.
    cursor: u64,
    /// When the subscription was made: one that ends at once has ended for good.
    subscribed_at: Instant,
    waiting: VecDeque<Arc<str>>,
    /// The event being carried out, with the message id that its refusal must name.
    submitting: Option<BoxFuture<'static, Submitted>>,
    garbage: u32,
    call: Option<RunningCall>,
    seat: Seat,
}

/// Dropped when the bridge returns and when the conversation panics: either way the peer is closed, so that the other side knows at
/// once and does not find out by ICE. Its place is given back after that.
impl Drop for Joint {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let session_id = &self.session_id;
            tracing::error!(session_id, "a conversation panicked; its peer is closed");
        }
        let _ = self.commands.send(Command::Close { key: self.key });
    }
}

/// The visitor's hold on a call. Dropping it ends the call.
struct RunningCall {
    orders: mpsc::Sender<Order>,
    news: mpsc::Receiver<News>,
}

impl Joint {
    async fn step(&mut self, inbound: &mut mpsc::Receiver<Inbound>) -> Step {
        let takes_in = self.submitting.is_none() && self.waiting.len() < REPLIES_MAX;
        let takes_frames = self.waiting.is_empty();
        let cost = self.waiting.front().map_or(0, |text| cost_kb(text));
        tokio::select! {
            message = inbound.recv(), if takes_in => match message {
                Some(Inbound::Open) => {
                    self.seat.opened();
                    Step::GoOn
                }
                Some(Inbound::Frame(text)) => self.frame(&text).await,
                Some(Inbound::Garbage) => self.garbage("send text frames on the `karta` channel only"),
                None => Step::End,
            },
            frame = next(&mut self.frames), if takes_frames => self.forward(frame).await,
            permit = self.credit.clone().acquire_many_owned(cost), if cost > 0 => match permit {
                Ok(permit) => self.send(permit),
                Err(_) => Step::End,
            },
            (id, outcome) = submitted(&mut self.submitting) => {
                self.submitting = None;
                if let Err(fault) = outcome {
                    self.refuse(id, &fault);
                }
                Step::GoOn
            }
            news = news(&mut self.call) => {
                match news {
                    Some(event) => self.reply(&event),
                    None => self.hang_up(),
                }
                Step::GoOn
            }
            // While frames are carried out or wait for credit, `inbound` is not read; its end must be seen all the same.
            () = self.commands.closed() => Step::End,
        }
    }

    async fn frame(&mut self, text: &str) -> Step {
        let event: ClientEvent = match serde_json::from_str::<ClientEvent>(text) {
            // serde takes an array for a struct with defaults; here a frame is an object.
            Ok(_) if !text.trim_start().starts_with('{') => {
                return self.garbage("a frame is a JSON object");
            }
            Ok(event) => event,
            Err(error) => return self.garbage(&format!("a frame is not a client event: {error}")),
        };
        match event.kind.as_str() {
            client::PING => {
                self.reply(&SessionEvent {
                    kind: EventType::Pong,
                    ..Default::default()
                });
                Step::GoOn
            }
            client::VOICE_START => self.begin_call().await,
            client::VOICE_END => {
                self.order_call(None);
                Step::GoOn
            }
            client::VOICE_MUTE | client::VOICE_UNMUTE => {
                self.order_call(Some(Order::Mute(event.kind == client::VOICE_MUTE)));
                Step::GoOn
            }
            client::HELLO => self.subscribe(event.after.unwrap_or(0)).await,
            _ => {
                let (conversation, who, session_id) = (
                    self.conversation.clone(),
                    self.who.clone(),
                    self.session_id.clone(),
                );
                self.submitting = Some(Box::pin(async move {
                    let id = event.id.clone();
                    (id, conversation.submit(&who, &session_id, event).await)
                }));
                Step::GoOn
            }
        }
    }

    /// Asking twice is harmless: the call that runs goes on.
    async fn begin_call(&mut self) -> Step {
        if self.call.is_some() {
            return Step::GoOn;
        }
        let begun = self.conversation.begin_call(&self.who, &self.session_id);
        match begun.await {
            Ok(begun) => {
                let (sender, packets) = mpsc::channel(talk::PACKETS);
                let (orders, ordered) = mpsc::channel(ORDERS);
                let (news, told) = mpsc::channel(NEWS);
                let talk = Talk {
                    conversation: self.conversation.clone(),
                    who: self.who.clone(),
                    session_id: self.session_id.clone(),
                    key: self.key,
                    commands: self.commands.clone(),
                    packets,
                    orders: ordered,
                    news,
                    begun,
                };
                let packets = Some(sender);
                let key = self.key;
                let _ = self.commands.send(Command::Listen { key, packets });
                tokio::spawn(talk.run());
                self.call = Some(RunningCall { orders, news: told });
            }
            Err(fault) => {
                self.refuse(None, &fault);
                self.reply(&talk::state("ended", Some("refused")));
            }
        }
        Step::GoOn
    }

    /// Said here and not by the call, which ends a little later: the next one may listen by then.
    fn hang_up(&mut self) {
        self.call = None;
        let (key, packets) = (self.key, None);
        let _ = self.commands.send(Command::Listen { key, packets });
    }

    /// None: it ends. Without a call there is nothing to do.
    fn order_call(&mut self, order: Option<Order>) {
        match (&self.call, order) {
            (Some(call), Some(order)) => {
                let _ = call.orders.try_send(order);
            }
            (Some(_), None) => {
                self.hang_up();
                self.reply(&talk::state("ended", None));
            }
            (None, _) => {}
        }
    }

    async fn subscribe(&mut self, after: u64) -> Step {
        // The old one ends first, so that no frame of it can follow the new replay.
        self.frames = None;
        self.cursor = after;
        self.subscribed_at = Instant::now();
        match self
            .conversation
            .subscribe(&self.who, &self.session_id, after)
            .await
        {
            Ok(frames) => {
                self.frames = Some(frames);
                Step::GoOn
            }
            Err(fault) => {
                self.refuse(None, &fault);
                self.say_last_words().await
            }
        }
    }

    async fn forward(&mut self, frame: Option<Frame>) -> Step {
        match frame {
            Some(frame) => {
                self.cursor = frame.seq.unwrap_or(0).max(self.cursor);
                self.waiting.push_back(frame.json);
                Step::GoOn
            }
            // It fell behind: take up again from the last durable event, as the widget would.
            None if self.subscribed_at.elapsed() > RESUBSCRIBE_AFTER => {
                self.subscribe(self.cursor).await
            }
            None => Step::End,
        }
    }

    fn send(&mut self, permit: OwnedSemaphorePermit) -> Step {
        let Some(text) = self.waiting.pop_front() else {
            return Step::GoOn;
        };
        let parcel = Parcel {
            text,
            _credit: Some(permit),
        };
        let command = Command::Send {
            key: self.key,
            parcel,
        };
        match self.commands.send(command) {
            Ok(()) => Step::GoOn,
            Err(_) => Step::End,
        }
    }

    /// Sends what waits before the end, without waiting for a peer that takes nothing.
    async fn say_last_words(&mut self) -> Step {
        while let Some(text) = self.waiting.front() {
            match self.credit.clone().try_acquire_many_owned(cost_kb(text)) {
                Ok(permit) => {
                    self.send(permit);
                }
                Err(_) => break,
            }
        }
        Step::End
    }

    fn garbage(&mut self, why: &str) -> Step {
        self.garbage += 1;
        if self.garbage > GARBAGE_MAX {
            return Step::End;
        }
        self.refuse(None, &Fault::refused(ErrorCode::RequestInvalid, why));
        Step::GoOn
    }

    fn refuse(&mut self, id: Option<String>, fault: &Fault) {
        self.reply(&refusal(id, fault, &self.session_id));
    }

    fn reply(&mut self, event: &SessionEvent) {
        // Plain structs of strings and numbers: serialising them cannot fail.
        if let Ok(json) = serde_json::to_string(event) {
            self.waiting.push_back(json.into());
        }
    }
}

/// What the visitor is told of a refusal: nothing of what went wrong inside.
pub(super) fn refusal(id: Option<String>, fault: &Fault, session_id: &str) -> SessionEvent {
    let (message, retry_after_seconds) = match fault {
        Fault::Refused {
            message,
            retry_after_seconds,
            ..
        } => (message.clone(), *retry_after_seconds),
        Fault::Internal(detail) => {
            tracing::error!(session_id, %detail, "client event failed");
            ("The server failed to carry this out.".to_owned(), None)
        }
    };
    SessionEvent {
        kind: EventType::Error,
        id,
        code: Some(fault.code().as_str().to_owned()),
        message: Some(message),
        retry_after_seconds,
        ..Default::default()
    }
}

/// A frame's share of the allowance. Never more than the whole, else it would wait for ever; the peer refuses longer ones.
fn cost_kb(text: &str) -> u32 {
    text.len().div_ceil(1024).clamp(1, CREDIT_KB) as u32
}

async fn next(frames: &mut Option<Frames>) -> Option<Frame> {
    match frames {
        Some(frames) => frames.next().await,
        None => std::future::pending().await,
    }
}

async fn news(call: &mut Option<RunningCall>) -> Option<News> {
    match call {
        Some(call) => call.news.recv().await,
        None => std::future::pending().await,
    }
}

async fn submitted(submitting: &mut Option<BoxFuture<'static, Submitted>>) -> Submitted {
    match submitting {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
