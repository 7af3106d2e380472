//! HTTPS side of a mounted panel: token, session, event stream, messages.
//!
//! [`Panel::drive`] looks at what is there and starts what is missing; every message that changes something ends in it. So a reply that
//! comes late, twice or never can at most delay the next step: there is no script to fall out of.

use super::core::Cx;
use super::panel::Panel;
use super::verdict::{Verdict, judge};
use crate::engine::command::Secret;
use crate::engine::effect::{
    Body, Effect, Expect, Failure, HttpRequest, Id, Method, Millis, Reply, Timer,
};
use crate::engine::event::HostEvent;
use crate::engine::limits::{
    LOCK_SECONDS, MESSAGE_STRIKES, REQUEST_DEADLINE_MS, STREAM_GOOD_MS, STREAM_QUIET_MS,
    TOKEN_REFRESH_PERCENT,
};
use crate::engine::session::backoff::Backoff;
use crate::engine::session::outbox::Way;
use crate::engine::session::token::{Need, Repair, Token};
use crate::engine::text::number;
use crate::engine::view_model::ItemState;
use karta_protocol::{
    API_BASE, ClientEvent, CreateSession, GuestRequest, RefreshRequest, SessionInfo, TokenReply,
    client,
};

#[derive(Default)]
pub(super) struct Link {
    pub token: Token,
    session: Option<String>,
    pub stream: Stream,
    /// Requests that are awaited. A reply to any other is dropped.
    pending: Vec<Pending>,
    pub backoff: Backoff,
    /// [`Timer::Reconnect`] runs: nothing is asked until it fires.
    held: bool,
    /// [`Timer::RequestDeadline`] runs.
    watched: bool,
    /// The page is hidden for good, or in the back-forward cache.
    suspended: bool,
    /// The page has been told of the present outage.
    complained: bool,
    /// Last state of the `connection` event.
    told: &'static str,
    /// It has been connected before, so that getting there is a return.
    pub was_connected: bool,
}

/// The receiving side over HTTPS.
#[derive(Default, PartialEq)]
pub(super) enum Stream {
    #[default]
    Closed,
    Opening {
        id: Id,
        since: Millis,
        generation: u32,
        after: u64,
    },
    Live {
        id: Id,
        since: Millis,
        last_frame: Millis,
        generation: u32,
        after: u64,
    },
}

struct Pending {
    id: Id,
    since: Millis,
    /// Of the token that the request carried.
    generation: u32,
    purpose: Purpose,
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

    fn awaits(&self, wanted: &[Purpose]) -> bool {
        self.pending
            .iter()
            .any(|pending| wanted.contains(&pending.purpose))
    }
}

impl Panel {
    /// Starts what is missing, as far as anything may be asked now.
    pub fn drive(&mut self, cx: &mut Cx<'_>) {
        if cx.core.halt.is_some() || self.link.suspended || self.link.held {
            return;
        }
        match self.link.token.need() {
            Some(Need::Mint) => self.mint(cx),
            Some(Need::Refresh(token)) => self.refresh(token, cx),
            None if self.link.session.is_none() => self.ask_session(cx),
            None => {
                self.open_stream(cx);
                self.send_messages(cx);
                self.open_peer(cx);
            }
        }
        self.watch(cx);
    }

    fn mint(&mut self, cx: &mut Cx<'_>) {
        let Some(client_key) = cx.core.config.key.clone() else {
            return;
        };
        if self.link.awaits(&[Purpose::Mint, Purpose::Refresh]) {
            return;
        }
        // An identity with a proof goes to `/auth/exchange` instead; the server has that from the next issue on.
        let body = Body::Guest(GuestRequest {
            client_key,
            agent_id: cx.core.config.agent.clone(),
            visitor_id: cx.core.record.visitor_id.clone(),
        });
        self.post(Purpose::Mint, "/auth/guest", body, Expect::Token, cx);
    }

    fn refresh(&mut self, token: Secret, cx: &mut Cx<'_>) {
        if self.link.awaits(&[Purpose::Mint, Purpose::Refresh]) {
            return;
        }
        let Secret(refresh_token) = token;
        let body = Body::Refresh(RefreshRequest { refresh_token });
        self.post(Purpose::Refresh, "/auth/refresh", body, Expect::Token, cx);
    }

    fn ask_session(&mut self, cx: &mut Cx<'_>) {
        if self.link.awaits(&[Purpose::Session]) {
            return;
        }
        let resume = cx.core.record.session_id.clone();
        let body = Body::Session(CreateSession { resume });
        self.post(Purpose::Session, "/sessions", body, Expect::Session, cx);
    }

    fn open_stream(&mut self, cx: &mut Cx<'_>) {
        let (Some(session), Some(token)) = (&self.link.session, self.link.token.usable()) else {
            return;
        };
        if self.link.stream != Stream::Closed || self.peer.is_synced() {
            return;
        }
        let after = self.log.cursor();
        let mut url = [
            &cx.core.config.base_url,
            API_BASE,
            "/sessions/",
            session,
            "/events/stream?after=",
        ]
        .concat();
        number::push(&mut url, after);
        let token = token.clone();
        let id = cx.id();
        self.link.stream = Stream::Opening {
            id,
            since: cx.now,
            generation: self.link.token.generation(),
            after,
        };
        cx.run(Effect::OpenStream { id, url, token });
    }

    /// What waits in the outbox: by the data channel if it is there, else by POST, one after the other.
    fn send_messages(&mut self, cx: &mut Cx<'_>) {
        if self.limit.is_some() {
            return;
        }
        if let Some(channel) = self.peer.synced_id() {
            while let Some(message) = self.outbox.next_frame() {
                message.way = Way::Framed(cx.now);
                let event = message.event();
                cx.run(Effect::SendFrame { id: channel, event });
            }
        } else if let Some(message) = self.outbox.next_post() {
            let id = cx.id();
            message.way = Way::Posted(id);
            let purpose = Purpose::Message(message.client_id.clone());
            let event = message.event();
            self.post_event(id, purpose, event, cx);
        }
    }

    /// A client event that leaves no line in the outbox: it matters now or not at all.
    pub fn send_signal(&mut self, kind: &'static str, cx: &mut Cx<'_>) {
        let event = ClientEvent {
            kind: String::from(kind),
            ..ClientEvent::default()
        };
        if let Some(id) = self.peer.synced_id() {
            cx.run(Effect::SendFrame { id, event });
        } else if self.link.session.is_some() {
            let id = cx.id();
            self.post_event(id, Purpose::Signal(kind), event, cx);
            self.watch(cx);
        }
    }

    fn post_event(&mut self, id: Id, purpose: Purpose, event: ClientEvent, cx: &mut Cx<'_>) {
        let path = [
            "/sessions/",
            self.link.session_id().unwrap_or(""),
            "/events",
        ]
        .concat();
        self.ask(id, purpose, &path, Body::Event(event), Expect::Accepted, cx);
    }

    fn post(&mut self, purpose: Purpose, path: &str, body: Body, expect: Expect, cx: &mut Cx<'_>) {
        let id = cx.id();
        self.ask(id, purpose, path, body, expect, cx);
    }

    pub fn ask(
        &mut self,
        id: Id,
        purpose: Purpose,
        path: &str,
        body: Body,
        expect: Expect,
        cx: &mut Cx<'_>,
    ) {
        let with_token = !matches!(purpose, Purpose::Mint | Purpose::Refresh);
        self.link.pending.push(Pending {
            id,
            since: cx.now,
            generation: self.link.token.generation(),
            purpose,
        });
        cx.http(HttpRequest {
            id,
            method: Method::Post,
            url: [&cx.core.config.base_url, API_BASE, path].concat(),
            token: self.link.token.any().filter(|_| with_token).cloned(),
            body,
            expect,
            keepalive: false,
        });
    }

    // ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    /// The one place where a reply meets the request that it answers, or is dropped.
    pub fn replied(&mut self, id: Id, result: Result<Reply, Failure>, cx: &mut Cx<'_>) {
        let Some(at) = self
            .link
            .pending
            .iter()
            .position(|pending| pending.id == id)
        else {
            return;
        };
        let Pending {
            generation,
            purpose,
            ..
        } = self.link.pending.remove(at);
        if let Purpose::Message(_) = purpose {
            self.outbox.post_ended(id);
        }
        match result {
            Ok(reply) => self.succeeded(purpose, generation, reply, cx),
            Err(failure) => self.failed(purpose, generation, &failure, cx),
        }
        self.drive(cx);
    }

    fn succeeded(&mut self, purpose: Purpose, generation: u32, reply: Reply, cx: &mut Cx<'_>) {
        match (purpose, reply) {
            (Purpose::Mint | Purpose::Refresh, Reply::Token(token)) => {
                self.token_granted(token, cx)
            }
            (Purpose::Session, Reply::Session(info)) => self.session_ready(info, cx),
            (Purpose::Message(client_id), Reply::Accepted(_)) => {
                self.link.token.accepted();
                self.recovered();
                self.acknowledged(&client_id, cx);
            }
            (Purpose::Connect(peer), Reply::Answer { sdp, location, .. }) => {
                self.link.token.accepted();
                self.peer_answered(peer, sdp, &location, cx);
            }
            (Purpose::Signal(_) | Purpose::Goodbye, _) => {}
            // An answer of the wrong kind is as good as none.
            (purpose, _) => self.failed(purpose, generation, &Failure::default(), cx),
        }
    }

    fn token_granted(&mut self, token: TokenReply, cx: &mut Cx<'_>) {
        self.link.token.granted(token.token);
        let life_ms = u64::from(token.expires_in.clamp(10, LOCK_SECONDS)) * 1_000;
        cx.timer(Timer::TokenRefresh, life_ms * TOKEN_REFRESH_PERCENT / 100);
        if token.visitor_id.is_some() {
            cx.core.record.visitor_id = token.visitor_id;
            self.keep(cx);
        }
    }

    fn session_ready(&mut self, info: SessionInfo, cx: &mut Cx<'_>) {
        self.link.token.accepted();
        if cx.core.record.session_id.as_ref() != Some(&info.id) {
            self.log.restart();
            cx.core.record.seen_seq = 0;
        }
        self.history_end = info.last_seq;
        cx.core.record.session_id = Some(info.id.clone());
        self.link.session = Some(info.id.clone());
        self.keep(cx);
        cx.render();
        cx.emit(HostEvent::SessionStarted {
            session_id: info.id,
        });
    }

    pub fn failed(
        &mut self,
        purpose: Purpose,
        generation: u32,
        failure: &Failure,
        cx: &mut Cx<'_>,
    ) {
        if purpose == Purpose::Goodbye {
            return;
        }
        let verdict = judge(failure);
        if let Verdict::Halt(code) = verdict {
            return self.halted(code, &failure.message, cx);
        }
        match (verdict, purpose) {
            // Whatever a server says about a refresh, short of trouble, means that this token has no future.
            (Verdict::Token | Verdict::Refused | Verdict::Gone, Purpose::Refresh) => {
                self.link.token.refresh_refused()
            }
            (Verdict::Token, Purpose::Mint) => self.hold(None, failure, cx),
            (Verdict::Token, purpose) => {
                if let Purpose::Connect(peer) = purpose {
                    self.peer_failed(peer, cx);
                }
                if self.link.token.refused(generation) == Repair::Later {
                    self.hold(None, failure, cx);
                }
            }
            (Verdict::Gone, _) => {
                self.session_gone(cx);
                self.hold(None, failure, cx);
            }
            (Verdict::Refused, Purpose::Connect(_)) => self.peer_refused(cx),
            (_, Purpose::Connect(peer)) => self.peer_failed(peer, cx),
            (Verdict::Limit, Purpose::Message(client_id)) => {
                let (code, message) = (failure.code.clone(), failure.message.clone());
                self.lock(Some(code), Some(message), failure.retry_after_seconds, cx);
                if failure.retry_after_seconds.is_none() {
                    self.refused(&client_id, &failure.code, &failure.message, cx);
                }
            }
            (Verdict::Limit, _) => {
                let (code, message) = (failure.code.clone(), failure.message.clone());
                self.lock(Some(code), Some(message), failure.retry_after_seconds, cx);
                self.hold(failure.retry_after_seconds, failure, cx);
            }
            (Verdict::Refused, Purpose::Message(client_id)) => {
                self.refused(&client_id, &failure.code, &failure.message, cx);
            }
            (Verdict::Refused, Purpose::Session) => {
                cx.core.record.session_id = None;
                self.hold(None, failure, cx);
            }
            (Verdict::Refused, Purpose::Mint) => {
                cx.core.record.visitor_id = None;
                self.hold(None, failure, cx);
            }
            (_, Purpose::Signal(kind)) => self.signal_failed(kind, cx),
            (Verdict::Later, Purpose::Message(client_id)) if failure.status >= 500 => {
                self.strike(&client_id, failure, cx);
                self.hold(None, failure, cx);
            }
            (_, _) => self.hold(failure.retry_after_seconds, failure, cx),
        }
    }

    fn signal_failed(&mut self, kind: &'static str, cx: &mut Cx<'_>) {
        if kind == client::RETRY {
            self.failed_turn = true;
            cx.render();
        }
    }

    /// A message that breaks the server again and again must not hold up the others for ever.
    fn strike(&mut self, client_id: &str, failure: &Failure, cx: &mut Cx<'_>) {
        let Some(message) = self.outbox.find(client_id) else {
            return;
        };
        message.strikes += 1;
        if message.strikes >= MESSAGE_STRIKES {
            self.refused(client_id, &failure.code, &failure.message, cx);
        }
    }

    /// The server refuses for good.
    fn halted(&mut self, code: &'static str, message: &str, cx: &mut Cx<'_>) {
        cx.halt(code, message);
        self.hang_up(false, cx);
        self.cut(cx);
        // Kept in storage: should the owner mend it, a reload sends them.
        for message in self.outbox.messages() {
            self.log.mark_own(&message.client_id, ItemState::Failed);
        }
    }

    fn session_gone(&mut self, cx: &mut Cx<'_>) {
        self.hang_up(false, cx);
        self.close_stream(cx);
        self.link.session = None;
        cx.core.record.session_id = None;
        cx.core.record.seen_seq = 0;
        self.log.restart();
        self.outbox.all_wait();
        self.keep(cx);
        cx.render();
    }

    // ── the stream ───────────────────────────────────────────────────────────────────────────────────────────────────────

    pub fn stream_opened(&mut self, id: Id, cx: &mut Cx<'_>) {
        if let Stream::Opening {
            id: own,
            generation,
            after,
            ..
        } = self.link.stream
            && own == id
        {
            self.link.stream = Stream::Live {
                id,
                since: cx.now,
                last_frame: cx.now,
                generation,
                after,
            };
            self.link.token.accepted();
            cx.render();
        }
    }

    /// Whether a frame of this stream counts, and from where the stream was asked for.
    pub fn stream_frame_arrived(&mut self, id: Id, cx: &mut Cx<'_>) -> Option<u64> {
        self.stream_opened(id, cx);
        match &mut self.link.stream {
            Stream::Live {
                id: own,
                last_frame,
                after,
                ..
            } if *own == id => {
                *last_frame = cx.now;
                Some(*after)
            }
            _ => None,
        }
    }

    pub fn stream_closed(&mut self, id: Id, failure: &Failure, cx: &mut Cx<'_>) {
        if self.link.stream_id() != Some(id) {
            return;
        }
        let generation = match std::mem::take(&mut self.link.stream) {
            Stream::Live {
                since, generation, ..
            } => {
                if cx.now.saturating_sub(since) >= STREAM_GOOD_MS {
                    self.link.backoff.succeed();
                }
                generation
            }
            Stream::Opening { generation, .. } => generation,
            Stream::Closed => 0,
        };
        cx.render();
        self.failed(Purpose::Stream, generation, failure, cx);
        self.drive(cx);
    }

    pub fn close_stream(&mut self, cx: &mut Cx<'_>) {
        if let Some(id) = self.link.stream_id() {
            self.link.stream = Stream::Closed;
            cx.run(Effect::CloseStream(id));
        }
    }

    /// Something is missing in what came: ask again from the cursor, calmly.
    pub fn resubscribe(&mut self, cx: &mut Cx<'_>) {
        self.close_stream(cx);
        self.hold(None, &Failure::default(), cx);
    }

    /// The `connection` event, when the state has changed.
    pub fn tell_connection(&mut self, cx: &mut Cx<'_>) {
        let state = self.connection(cx.core);
        self.link.was_connected |= matches!(state, "connected" | "realtime");
        if self.link.told != state {
            self.link.told = state;
            cx.emit(HostEvent::Connection { state });
            cx.render();
        }
    }

    // ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    pub fn timer_fired(&mut self, timer: Timer, cx: &mut Cx<'_>) {
        match timer {
            Timer::Reconnect => {
                self.link.held = false;
                self.drive(cx);
            }
            Timer::RequestDeadline => {
                self.link.watched = false;
                self.give_up_overdue(cx);
                self.drive(cx);
            }
            Timer::TokenRefresh => {
                let token = self.link.token.any().cloned();
                if let Some(token) =
                    token.filter(|_| !self.link.suspended && cx.core.halt.is_none())
                {
                    self.refresh(token, cx);
                    self.watch(cx);
                }
            }
            Timer::Peer => self.peer_rested(cx),
            Timer::PeerDeadline | Timer::PongDeadline => self.peer_is_late(timer, cx),
            Timer::Ping => self.ping(cx),
            Timer::Countdown => self.count_down(cx),
            // Taken by the stage.
            Timer::ConfigDeadline | Timer::Config => {}
        }
    }

    /// Asks nothing for a while: as long as the server says, or by the backoff.
    fn hold(&mut self, retry_after_seconds: Option<u32>, failure: &Failure, cx: &mut Cx<'_>) {
        let mut delay = self.link.backoff.fail(&mut cx.core.random);
        if let Some(seconds) = retry_after_seconds {
            let asked = u64::from(seconds.min(LOCK_SECONDS)) * 1_000;
            delay = delay.max(asked + cx.core.random.below(1_000));
        }
        self.link.held = true;
        cx.timer(Timer::Reconnect, delay);
        cx.render();
        if self.link.backoff.failures() == 2 && !self.link.complained {
            self.link.complained = true;
            let own = if failure.message.is_empty() {
                cx.core.words.unreachable
            } else {
                &failure.message
            };
            cx.emit(HostEvent::Error {
                message: String::from(own),
                code: (!failure.code.is_empty()).then(|| failure.code.clone()),
            });
        }
    }

    /// Does not wait any longer.
    pub fn release(&mut self, cx: &mut Cx<'_>) {
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

    fn watch(&mut self, cx: &mut Cx<'_>) {
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
            self.failed(pending.purpose, pending.generation, &Failure::default(), cx);
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

    // ── the page and the network ─────────────────────────────────────────────────────────────────────────────────────────

    pub fn network_is_back(&mut self, cx: &mut Cx<'_>) {
        self.link.backoff.succeed();
        self.release(cx);
        if !self.peer.is_synced() {
            // Likely dead without knowing.
            self.close_stream(cx);
        }
        self.wake_peer(cx);
        cx.render();
        self.drive(cx);
    }

    pub fn came_to_the_front(&mut self, cx: &mut Cx<'_>) {
        if self.link.suspended {
            return self.page_restored(cx);
        }
        if let Stream::Live { last_frame, .. } = self.link.stream
            && cx.now.saturating_sub(last_frame) >= STREAM_QUIET_MS
        {
            self.close_stream(cx);
        }
        self.release(cx);
        self.drive(cx);
    }

    /// The page goes. The oldest message that the server does not have yet is sent so that it outlives the page; an answer may
    /// never come, and the stored outbox covers that case. Only the oldest: two at once could arrive in the wrong order.
    pub fn page_hidden(&mut self, cx: &mut Cx<'_>) {
        if self.link.suspended {
            return;
        }
        self.hang_up(true, cx);
        if let (Some(session), Some(token), Some(message)) = (
            &self.link.session,
            self.link.token.any(),
            self.outbox.messages().first(),
        ) && self.limit.is_none()
        {
            let request = HttpRequest {
                id: cx.id(),
                method: Method::Post,
                url: [
                    &cx.core.config.base_url,
                    API_BASE,
                    "/sessions/",
                    session,
                    "/events",
                ]
                .concat(),
                token: Some(token.clone()),
                body: Body::Event(message.event()),
                expect: Expect::Accepted,
                keepalive: true,
            };
            cx.http(request);
        }
        // Requests under way are left alone: some may still arrive. Nobody waits for them any more.
        self.link.pending.clear();
        self.close_stream(cx);
        self.quiet(cx);
        self.link.suspended = true;
    }

    pub fn page_restored(&mut self, cx: &mut Cx<'_>) {
        if !std::mem::take(&mut self.link.suspended) {
            return;
        }
        self.outbox.all_wait();
        self.link.backoff.succeed();
        self.wake_peer(cx);
        if self.link.token.any().is_some() {
            // Its timer was stopped, and time has passed.
            self.timer_fired(Timer::TokenRefresh, cx);
        }
        cx.render();
        self.drive(cx);
    }

    /// Ends everything that runs, for good.
    pub fn cut(&mut self, cx: &mut Cx<'_>) {
        for pending in std::mem::take(&mut self.link.pending) {
            if pending.purpose != Purpose::Goodbye {
                cx.run(Effect::CancelHttp(pending.id));
            }
        }
        self.outbox.all_wait();
        self.close_stream(cx);
        self.quiet(cx);
    }

    fn quiet(&mut self, cx: &mut Cx<'_>) {
        self.link.held = false;
        self.link.watched = false;
        for timer in [
            Timer::Reconnect,
            Timer::RequestDeadline,
            Timer::TokenRefresh,
        ] {
            cx.clear(timer);
        }
    }

    /// No answer to this request matters any more.
    pub fn cancel(&mut self, purpose: &Purpose, cx: &mut Cx<'_>) {
        if let Some(at) = self
            .link
            .pending
            .iter()
            .position(|pending| pending.purpose == *purpose)
        {
            let pending = self.link.pending.remove(at);
            cx.run(Effect::CancelHttp(pending.id));
        }
    }
}
