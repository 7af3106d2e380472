//! HTTPS side of a mounted panel: token, session, messages, and the pauses between attempts.
//!
//! [`Panel::drive`] looks at what is there and starts what is missing; every message that changes something ends in it. So a reply that
//! comes late, twice or never can at most delay the next step: there is no script to fall out of.

use super::core::Cx;
use super::panel::Panel;
use super::stream::Stream;
use crate::engine::command::Secret;
use crate::engine::effect::{Body, Effect, Expect, Failure, Id, Method, Millis, Timer};
use crate::engine::error::clip;
use crate::engine::json::Json;
use crate::engine::limits::{
    ATTRIBUTE_BYTES, ATTRIBUTES_BYTES, CALL_RETRY_MS, LOCK_SECONDS, REQUEST_DEADLINE_MS,
};
use crate::engine::session::backoff::Backoff;
use crate::engine::session::outbox::Way;
use crate::engine::session::token::{Need, Token};

#[derive(Default)]
pub(super) struct Link {
    pub token: Token,
    pub session: Option<String>,
    pub stream: Stream,
    /// What the server last said of STUN and TURN servers.
    pub ice: Secret,
    /// Requests that are awaited. A reply to any other is dropped.
    pub pending: Vec<Pending>,
    pub backoff: Backoff,
    /// [`Timer::Reconnect`] runs: nothing is asked until it fires.
    pub held: bool,
    /// It runs because of a message, so the data channel waits as well.
    pub muted: bool,
    /// [`Timer::RequestDeadline`] runs.
    pub watched: bool,
    /// The page is hidden for good, or in the back-forward cache.
    pub suspended: bool,
    /// The page has been told of the present outage.
    pub complained: bool,
    /// Last state of the `connection` event.
    pub told: &'static str,
    /// It has been connected before, so that getting there is a return.
    pub was_connected: bool,
}

pub(super) struct Pending {
    pub id: Id,
    since: Millis,
    /// Of the token that the request carried.
    pub generation: u32,
    pub purpose: Purpose,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Purpose {
    Mint,
    Refresh,
    Session,
    Stream,
    /// By client id.
    Message(String),
    /// `user.interrupt`, `user.retry`.
    Signal(&'static str),
    /// The offer of a peer.
    Connect(Id),
    /// The same, to the agent's realtime engine.
    Call(Id),
    /// Not a request: what the server says by itself about the whole conversation.
    Channel,
    /// Nobody waits for the answer.
    Goodbye,
}

impl Link {
    pub fn session_id(&self) -> Option<&str> {
        self.session.as_deref()
    }

    pub fn is_live(&self) -> bool {
        matches!(self.stream, Stream::Live { .. })
    }

    pub fn stream_id(&self) -> Option<Id> {
        match self.stream {
            Stream::Closed => None,
            Stream::Opening { id, .. } | Stream::Live { id, .. } => Some(id),
        }
    }

    /// A session of before is to go on.
    pub fn resumes(&self, core: &super::core::Core) -> bool {
        self.session.is_some() || core.record.session_id.is_some()
    }

    fn awaits(&self, wanted: &[Purpose]) -> bool {
        self.pending
            .iter()
            .any(|pending| wanted.contains(&pending.purpose))
    }
}

impl Panel {
    /// Starts what is missing, as far as anything may be asked now.
    pub fn drive(&mut self, cx: &mut Cx<'_>) {
        if cx.core.halt.is_some() || self.link.suspended {
            return;
        }
        if self.peer.is_synced() && !self.link.muted {
            self.send_messages(cx);
        }
        if self.link.held {
            return self.watch(cx);
        }
        match self.link.token.need() {
            Some(Need::Mint) if self.link.awaits(&[Purpose::Mint, Purpose::Refresh]) => {}
            Some(Need::Mint) => self.mint(cx),
            Some(Need::Refresh(token)) => self.refresh(token, cx),
            None if self.link.session.is_none() => self.ask_session(cx),
            None => {
                self.open_stream(cx);
                if !self.peer.is_synced() {
                    self.send_messages(cx);
                }
                self.open_peer(cx);
            }
        }
        self.watch(cx);
    }

    pub fn refresh(&mut self, token: Secret, cx: &mut Cx<'_>) {
        if self.link.awaits(&[Purpose::Mint, Purpose::Refresh]) {
            return;
        }
        let body = Json::default().text("refresh_token", &token.0);
        self.ask(Purpose::Refresh, "/auth/refresh", Body::Json(body), cx);
    }

    fn ask_session(&mut self, cx: &mut Cx<'_>) {
        if self.link.awaits(&[Purpose::Session]) {
            return;
        }
        let mut body = Json::default().maybe("resume", cx.core.record.session_id.as_deref());
        let identity = cx.core.identity.as_ref();
        if let Some(identity) = identity.filter(|identity| !identity.attributes.is_empty()) {
            let attributes = advisory(&identity.attributes);
            let metadata = Json::default().object("attributes", attributes);
            body = body.object("metadata", metadata);
        }
        self.ask(Purpose::Session, "/sessions", Body::Json(body), cx);
    }

    /// What waits in the outbox: by the data channel if it is there, else by POST, one after the other.
    fn send_messages(&mut self, cx: &mut Cx<'_>) {
        self.send_reports(cx);
        if self.limit.is_some() {
            return;
        }
        if let Some(channel) = self.peer.synced_id() {
            let mut sent = false;
            while let Some(message) = self.outbox.next_frame() {
                message.way = Way::Framed(cx.now);
                let event = message.event();
                cx.run(Effect::SendFrame { id: channel, event });
                sent = true;
            }
            if sent {
                self.expect_frame(cx);
            }
        } else if let Some(message) = self.outbox.next_post() {
            message.way = Way::Posted(cx.next_id());
            let purpose = Purpose::Message(message.client_id.clone());
            let event = message.event();
            self.post_event(purpose, event, cx);
        }
    }

    /// A client event that leaves no line in the outbox: it matters now or not at all.
    pub fn send_signal(&mut self, kind: &'static str, cx: &mut Cx<'_>) {
        self.send_event(kind, signal(kind), cx);
    }

    pub fn send_event(&mut self, kind: &'static str, event: Json, cx: &mut Cx<'_>) {
        if let Some(id) = self.peer.synced_id() {
            cx.run(Effect::SendFrame { id, event });
        } else if self.link.session.is_some() {
            self.post_event(Purpose::Signal(kind), event, cx);
            self.watch(cx);
        }
    }

    fn post_event(&mut self, purpose: Purpose, event: Json, cx: &mut Cx<'_>) {
        let session = self.link.session_id().unwrap_or("");
        let path = ["/sessions/", session, "/events"].concat();
        self.ask(purpose, &path, Body::Json(event), cx);
    }

    /// Asks with a POST and awaits the answer.
    pub fn ask(&mut self, purpose: Purpose, path: &str, body: Body, cx: &mut Cx<'_>) {
        let (expect, with_token) = match purpose {
            Purpose::Mint | Purpose::Refresh => (Expect::Token, false),
            Purpose::Session => (Expect::Session, true),
            Purpose::Connect(_) | Purpose::Call(_) => (Expect::Answer, true),
            _ => (Expect::Nothing, true),
        };
        let token = self.link.token.any().filter(|_| with_token).cloned();
        let url = cx.url(path);
        let id = cx.http(Method::Post, url, token, body, expect, false);
        self.awaited(id, purpose, cx);
    }

    pub fn awaited(&mut self, id: Id, purpose: Purpose, cx: &Cx<'_>) {
        self.link.pending.push(Pending {
            id,
            since: cx.now,
            generation: self.link.token.generation(),
            purpose,
        });
    }

    pub fn timer_fired(&mut self, timer: Timer, cx: &mut Cx<'_>) {
        match timer {
            Timer::Reconnect => {
                self.link.held = false;
                self.link.muted = false;
                self.drive(cx);
            }
            Timer::RequestDeadline => {
                self.link.watched = false;
                self.give_up_overdue(cx);
                self.drive(cx);
            }
            Timer::TokenRefresh => {
                let token = self.link.token.any().cloned();
                let idle = self.link.token.need().is_none() && !self.link.suspended;
                if let Some(token) = token.filter(|_| idle && cx.core.halt.is_none()) {
                    self.refresh(token, cx);
                    self.watch(cx);
                }
            }
            Timer::Peer => self.peer_rested(cx),
            Timer::PeerDeadline | Timer::PongDeadline => self.peer_is_late(timer, cx),
            Timer::Ping => self.ping(cx),
            Timer::Countdown => self.count_down(cx),
            Timer::Call => self.call_ticks(cx),
            // Taken by the stage.
            Timer::ConfigDeadline | Timer::Config => {}
        }
    }

    /// Asks nothing for a while: as long as the server says, or by the backoff.
    pub fn hold(&mut self, retry_after_seconds: Option<u32>, failure: &Failure, cx: &mut Cx<'_>) {
        let mut delay = self.link.backoff.fail(&mut cx.core.random);
        if self.voice.is_on() {
            delay = delay.min(CALL_RETRY_MS);
        }
        if let Some(seconds) = retry_after_seconds {
            let asked = u64::from(seconds.min(LOCK_SECONDS)) * 1_000;
            delay = delay.max(asked + cx.core.random.below(1_000));
        }
        self.link.held = true;
        cx.timer(Timer::Reconnect, delay);
        cx.render();
        if self.link.backoff.failures() == 2 && !self.link.complained {
            self.link.complained = true;
            let own = cx.core.words.unreachable;
            cx.fail(&failure.code, &failure.message, own);
        }
    }

    /// Does not wait any longer.
    pub fn release(&mut self, cx: &mut Cx<'_>) {
        self.link.muted = false;
        if std::mem::take(&mut self.link.held) {
            cx.clear(Timer::Reconnect);
        }
    }

    /// A message went through, or a channel is in step: the outage is over.
    pub fn recovered(&mut self) {
        self.link.backoff.succeed();
        self.link.complained = false;
    }

    /// The stream has given all there was. Whether it holds shows later ([`STREAM_GOOD_MS`]).
    pub fn caught_up(&mut self, cx: &mut Cx<'_>) {
        self.link.complained = false;
        cx.render();
    }

    pub fn watch(&mut self, cx: &mut Cx<'_>) {
        let opening = matches!(self.link.stream, Stream::Opening { .. });
        let waits = opening || !self.link.pending.is_empty() || self.outbox.any_framed();
        if waits && !self.link.watched {
            self.link.watched = true;
            cx.timer(Timer::RequestDeadline, REQUEST_DEADLINE_MS);
        }
    }

    fn give_up_overdue(&mut self, cx: &mut Cx<'_>) {
        let Some(deadline) = cx.now.checked_sub(REQUEST_DEADLINE_MS) else {
            return;
        };
        while let Some(at) = self
            .link
            .pending
            .iter()
            .position(|pending| pending.since <= deadline)
        {
            let pending = self.link.pending.remove(at);
            cx.run(Effect::CancelHttp(pending.id));
            self.outbox.post_ended(pending.id);
            self.failed(pending.purpose, pending.generation, Failure::default(), cx);
        }
        if let Stream::Opening { since, .. } = self.link.stream
            && since <= deadline
        {
            self.resubscribe(cx);
        }
        if self.outbox.framed_before(deadline) {
            self.lose_peer(true, cx);
        }
    }
}

/// Of what the page says about its visitor as much as a request holds: too much of it must not cost the conversation.
fn advisory(said: &[(String, String)]) -> Json {
    let mut room = ATTRIBUTES_BYTES;
    let mut kept = Vec::new();
    for (name, text) in said {
        let text = clip(text, ATTRIBUTE_BYTES);
        if let Some(left) = room.checked_sub(name.len() + text.len()) {
            room = left;
            kept.push((name.clone(), String::from(text)));
        }
    }
    Json::entries(&kept)
}

/// An event that says no more than its kind, so far.
pub(super) fn signal(kind: &str) -> Json {
    Json::default().text("type", kind)
}
