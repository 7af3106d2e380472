//! The page goes and comes back; the network does.

use super::core::Cx;
use super::link::Purpose;
use super::panel::Panel;
use super::report::{is_report, wait_again};
use super::stream::Stream;
use super::voice::PAGE;
use crate::engine::effect::{Body, Effect, Expect, Method, Timer};
use crate::engine::limits::STREAM_QUIET_MS;
use crate::engine::realtime::BUILT;

impl Panel {
    pub fn network_is_back(&mut self, cx: &mut Cx<'_>) {
        self.link.backoff.succeed();
        self.release(cx);
        match self.peer.synced_id() {
            Some(id) => self.peer_shaken(id, cx),
            None => {
                // Likely dead without knowing.
                self.close_stream(cx);
                self.lose_peer(true, cx);
            }
        }
        self.wake_peer(cx);
        if BUILT {
            self.voice.pause(0);
        }
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
        self.end_call(PAGE, cx);
        self.hang_up(true, cx);
        self.link.suspended = true;
        self.send_reports(cx);
        if let (Some(session), Some(token), Some(message)) = (
            &self.link.session,
            self.link.token.any(),
            self.outbox.messages().first(),
        ) && self.limit.is_none()
        {
            let url = cx.url(&["/sessions/", session, "/events"].concat());
            let (token, body) = (Some(token.clone()), Body::Json(message.event()));
            cx.http(Method::Post, url, token, body, Expect::Nothing, true);
        }
        // Requests under way are left alone: some may still arrive. Nobody waits for them any more.
        self.link.pending.clear();
        self.close_stream(cx);
        self.quiet(cx);
    }

    pub fn page_restored(&mut self, cx: &mut Cx<'_>) {
        if !std::mem::take(&mut self.link.suspended) {
            return;
        }
        self.outbox.all_wait();
        wait_again(&mut self.reports, false);
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
            if pending.purpose != Purpose::Goodbye && !is_report(&pending.purpose) {
                cx.run(Effect::CancelHttp(pending.id));
            }
        }
        self.outbox.all_wait();
        wait_again(&mut self.reports, false);
        self.close_stream(cx);
        self.quiet(cx);
    }

    fn quiet(&mut self, cx: &mut Cx<'_>) {
        self.link.held = false;
        self.link.muted = false;
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
