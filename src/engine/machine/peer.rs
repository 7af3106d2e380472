//! WebRTC side of a mounted panel: the data channel, beside HTTPS and instead of its stream once it is in step with the log.
//! Text never waits for any of this.

use super::core::Cx;
use super::link::Purpose;
use super::panel::Panel;
use super::report::wait_again;
use crate::engine::effect::{Body, Effect, Expect, Id, Method, Millis, Timer};
use crate::engine::json::Json;
use crate::engine::limits::{
    BUSY_PING_MS, BUSY_PONG_DEADLINE_MS, CALL_RETRY_MS, PEER_ATTEMPTS, PEER_DEADLINE_MS,
    PEER_GOOD_MS, PONG_DEADLINE_MS, RESTART_DEADLINE_MS,
};
use crate::engine::session::ice::servers;
use crate::engine::text::cut::{cut, each};
use karta_protocol::{DATA_CHANNEL_LABEL, EventType, PING_INTERVAL_MS, SessionEvent, client};

#[derive(Default)]
pub(super) struct Peer {
    state: State,
    /// Attempts that failed in a row.
    failures: u32,
    /// Where the server's side is ended.
    pub location: Option<String>,
    /// A ping is out and [`Timer::PongDeadline`] runs.
    pong_due: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum State {
    /// May start.
    #[default]
    Idle,
    /// [`Timer::Peer`] runs.
    Resting,
    /// Failed too often; only a change of network or page wakes it.
    GivenUp,
    Offering(Id),
    Connecting(Id),
    Answered(Id),
    /// The channel is open and the replay runs.
    Open(Id),
    /// The channel is the transport.
    Synced(Id, Millis),
}

impl Peer {
    pub fn synced_id(&self) -> Option<Id> {
        match self.state {
            State::Synced(id, _) => Some(id),
            _ => None,
        }
    }

    pub fn is_synced(&self) -> bool {
        self.synced_id().is_some()
    }

    pub fn id(&self) -> Option<Id> {
        match self.state {
            State::Idle | State::Resting | State::GivenUp => None,
            State::Offering(id)
            | State::Connecting(id)
            | State::Answered(id)
            | State::Open(id)
            | State::Synced(id, _) => Some(id),
        }
    }

    /// The channel gives the log from the cursor on while the stream still does.
    pub fn is_replaying(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    fn has_channel(&self) -> bool {
        matches!(self.state, State::Open(_) | State::Synced(..))
    }
}

impl Panel {
    pub fn open_peer(&mut self, cx: &mut Cx<'_>) {
        if !cx.core.webrtc || self.peer.state != State::Idle {
            return;
        }
        let id = cx.id();
        self.peer.state = State::Offering(id);
        cx.run(Effect::OpenPeer {
            id,
            ice_servers: servers(&self.link.ice.0),
            channel: DATA_CHANNEL_LABEL,
        });
        cx.timer(Timer::PeerDeadline, PEER_DEADLINE_MS);
    }

    pub fn peer_offered(&mut self, id: Id, sdp: String, cx: &mut Cx<'_>) {
        if self.handed_offered(id, &sdp, cx) {
            return;
        }
        if self.peer.synced_id() == Some(id) {
            return self.restart_offered(id, &sdp, cx);
        }
        if self.peer.state != State::Offering(id) {
            return;
        }
        let session = self
            .link
            .session_id()
            .filter(|_| self.link.token.usable().is_some());
        let Some(session) = session else {
            return self.lose_peer(true, cx);
        };
        let path = ["/sessions/", session, "/connect"].concat();
        self.peer.state = State::Connecting(id);
        self.ask(Purpose::Connect(id), &path, Body::Sdp(sdp), cx);
        self.drive(cx);
    }

    pub fn peer_answered(&mut self, id: Id, sdp: String, location: &str, cx: &mut Cx<'_>) {
        if self.peer.synced_id() == Some(id) {
            return cx.run(Effect::AnswerPeer { id, sdp });
        }
        if self.peer.state != State::Connecting(id) {
            return;
        }
        self.peer.location = absolute(cx.core.config.base_url(), location);
        self.peer.state = State::Answered(id);
        cx.run(Effect::AnswerPeer { id, sdp });
    }

    pub fn channel_opened(&mut self, id: Id, cx: &mut Cx<'_>) {
        if self.peer.state != State::Answered(id) {
            return;
        }
        self.peer.state = State::Open(id);
        let event = Json::default().text("type", client::HELLO).number(
            "after",
            u32::try_from(self.log.cursor()).unwrap_or(u32::MAX),
        );
        cx.run(Effect::SendFrame { id, event });
        cx.timer(Timer::Ping, PING_INTERVAL_MS);
    }

    pub fn channel_frame(&mut self, id: Id, mut event: Box<SessionEvent>, cx: &mut Cx<'_>) {
        if self.peer.id() != Some(id) || !self.peer.has_channel() {
            return;
        }
        if std::mem::take(&mut self.peer.pong_due) {
            cx.clear(Timer::PongDeadline);
        }
        let alone = self.peer.is_synced();
        if !self.take(&mut event, alone, cx) {
            // A hole: HTTPS mends it from the cursor.
            return self.lose_peer(true, cx);
        }
        if event.kind == EventType::Synced {
            self.channel_synced(id, cx);
        }
        self.drive(cx);
    }

    fn channel_synced(&mut self, id: Id, cx: &mut Cx<'_>) {
        if self.peer.state == State::Open(id) {
            self.peer.state = State::Synced(id, cx.now);
            cx.clear(Timer::PeerDeadline);
            self.close_stream(cx);
            self.recovered();
            cx.render();
        }
    }

    pub fn peer_closed(&mut self, id: Id, cx: &mut Cx<'_>) {
        if self.peer.id() == Some(id) {
            self.lose_peer(false, cx);
        }
    }

    /// The offer could not be placed.
    pub fn peer_failed(&mut self, id: Id, cx: &mut Cx<'_>) {
        if self.peer.id() == Some(id) {
            self.lose_peer(true, cx);
        }
    }

    /// The server cannot do anything with our offer: another would look the same.
    pub fn peer_refused(&mut self, cx: &mut Cx<'_>) {
        self.call_impossible(cx);
        self.peer.failures = PEER_ATTEMPTS;
        self.lose_peer(true, cx);
    }

    pub fn peer_is_late(&mut self, timer: Timer, cx: &mut Cx<'_>) {
        let late = match timer {
            Timer::PongDeadline => std::mem::take(&mut self.peer.pong_due),
            _ => self.peer.id().is_some() && !self.peer.is_synced(),
        };
        if late {
            self.lose_peer(true, cx);
        }
    }

    pub fn ping(&mut self, cx: &mut Cx<'_>) {
        let Some(id) = self.peer.id().filter(|_| self.peer.has_channel()) else {
            return;
        };
        let event = Json::default().text("type", client::PING);
        cx.run(Effect::SendFrame { id, event });
        self.expect_frame(cx);
    }

    /// The network may be another: a channel that does not answer at once is given up.
    pub fn probe_peer(&mut self, cx: &mut Cx<'_>) {
        if self.peer.is_synced() {
            self.ping(cx);
            cx.timer(Timer::PongDeadline, RESTART_DEADLINE_MS);
        }
    }

    /// The path broke, or the network came back: another path for the same connection.
    pub fn peer_shaken(&mut self, id: Id, cx: &mut Cx<'_>) {
        if self.peer.synced_id() == Some(id) {
            cx.run(Effect::RestartPeer(id));
            self.probe_peer(cx);
        }
    }

    fn restart_offered(&mut self, id: Id, sdp: &str, cx: &mut Cx<'_>) {
        let (Some(url), Some(token)) = (self.peer.location.clone(), self.link.token.usable())
        else {
            return;
        };
        let token = Some(token.clone());
        let mut fragment = String::new();
        each(sdp, b'\n', &mut |line| {
            if line.starts_with("a=ice-") {
                fragment.push_str(line.trim_ascii_end());
                fragment.push_str("\r\n");
            }
        });
        let body = Body::Fragment(fragment);
        let request = cx.http(Method::Patch, url, token, body, Expect::Answer, false);
        self.awaited(request, Purpose::Connect(id), cx);
    }

    /// Something went out that the server answers: the channel lives if any frame comes, and is asked again after a while.
    pub fn expect_frame(&mut self, cx: &mut Cx<'_>) {
        let busy = self.log.running() || self.outbox.any_framed();
        let (pause, deadline) = if busy {
            (BUSY_PING_MS, BUSY_PONG_DEADLINE_MS)
        } else {
            (PING_INTERVAL_MS, PONG_DEADLINE_MS)
        };
        cx.timer(Timer::Ping, pause);
        if !std::mem::replace(&mut self.peer.pong_due, true) {
            cx.timer(Timer::PongDeadline, deadline);
        }
    }

    /// Back to HTTPS; another attempt later. `close`: the world does not know yet.
    pub fn lose_peer(&mut self, close: bool, cx: &mut Cx<'_>) {
        let Some(id) = self.peer.id() else { return };
        if let State::Synced(_, since) = self.peer.state
            && cx.now.saturating_sub(since) >= PEER_GOOD_MS
        {
            self.peer.failures = 0;
        }
        if close {
            cx.run(Effect::ClosePeer(id));
            let location = self.peer.location.take();
            self.say_goodbye(location, false, cx);
        }
        self.end_peer(id, cx);
        self.peer.failures = self.peer.failures.saturating_add(1);
        let calling = self.voice.is_on();
        if self.peer.failures >= PEER_ATTEMPTS && !calling {
            self.peer.state = State::GivenUp;
        } else {
            self.peer.state = State::Resting;
            // About 1 s, 4 s, 16 s, 64 s. A call has no such patience, and an end of its own.
            let step = if calling {
                CALL_RETRY_MS
            } else {
                1_000 << (2 * (self.peer.failures - 1))
            };
            let delay = step / 2 + cx.core.random.below(step);
            cx.timer(Timer::Peer, delay);
        }
        cx.render();
        self.drive(cx);
    }

    pub fn peer_rested(&mut self, cx: &mut Cx<'_>) {
        if self.peer.state == State::Resting {
            self.peer.state = State::Idle;
            self.drive(cx);
        }
    }

    /// Another network, or the page is back: an attempt is worth it again.
    pub fn wake_peer(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.peer.state, State::Resting | State::GivenUp) {
            self.peer.state = State::Idle;
            self.peer.failures = 0;
            cx.clear(Timer::Peer);
        }
    }

    /// Ends the peer without another attempt.
    pub fn hang_up(&mut self, keepalive: bool, cx: &mut Cx<'_>) {
        if let Some(id) = self.peer.id() {
            cx.run(Effect::ClosePeer(id));
            let location = self.peer.location.take();
            self.say_goodbye(location, keepalive, cx);
            self.end_peer(id, cx);
        }
        cx.clear(Timer::Peer);
        self.peer = Peer::default();
    }

    fn end_peer(&mut self, id: Id, cx: &mut Cx<'_>) {
        self.cancel(&Purpose::Connect(id), cx);
        self.outbox.channel_ended();
        wait_again(&mut self.reports, true);
        self.peer.pong_due = false;
        self.peer.location = None;
        self.peer.state = State::Idle;
        for timer in [Timer::PeerDeadline, Timer::Ping, Timer::PongDeadline] {
            cx.clear(timer);
        }
    }

    /// Frees the server's side at once; without it, the server notices after 20 s.
    pub fn say_goodbye(&self, location: Option<String>, keepalive: bool, cx: &mut Cx<'_>) {
        let (Some(url), Some(token)) = (location, self.link.token.any()) else {
            return;
        };
        let token = Some(token.clone());
        let (body, expect) = (Body::None, Expect::Nothing);
        cx.http(Method::Delete, url, token, body, expect, keepalive);
    }
}

/// `Location` as an address on our own server. Anything else is not followed: the token goes there.
pub(super) fn absolute(base_url: &str, location: &str) -> Option<String> {
    let (scheme, rest) = cut(base_url, b':');
    let (host, _) = cut(rest.strip_prefix("//")?, b'/');
    let origin = [scheme, "://", host].concat();
    if location.starts_with('/') && !location.starts_with("//") {
        return Some([&origin, location].concat());
    }
    let rest = location.strip_prefix(&origin)?;
    rest.starts_with('/').then(|| String::from(location))
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn location_stays_on_our_server() {
        for (base, location, expected) in [
            ("https://a.test", "/x/1", Some("https://a.test/x/1")),
            ("https://a.test/chat", "/x/1", Some("https://a.test/x/1")),
            (
                "https://a.test",
                "https://a.test/x",
                Some("https://a.test/x"),
            ),
            ("https://a.test", "https://a.test.evil/x", None),
            ("https://a.test", "//evil/x", None),
            ("https://a.test", "x/1", None),
            ("https://a.test", "", None),
            ("nonsense", "/x", None),
        ] {
            assert_eq!(
                absolute(base, location).as_deref(),
                expected,
                "{base} {location}"
            );
        }
    }
}
