//! Answers to requests: where each meets what it was asked for, and what a failure of each leads to.

use super::core::Cx;
use super::link::{Pending, Purpose};
use super::panel::Panel;
use super::report::is_report;
use super::verdict::{Verdict, judge, known};
use super::voice::SHUTDOWN;
use crate::engine::effect::{Failure, Id, Reply, Timer};
use crate::engine::event::EventName;
use crate::engine::json::Json;
use crate::engine::limits::{LOCK_SECONDS, MESSAGE_STRIKES, TOKEN_REFRESH_PERCENT};
use crate::engine::session::token::Repair;
use crate::engine::view_model::ItemState;
use karta_protocol::{ErrorCode, SessionInfo, TokenReply, client};

impl Panel {
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
            Err(failure) => self.failed(purpose, generation, failure, cx),
        }
        self.drive(cx);
    }

    fn succeeded(&mut self, purpose: Purpose, generation: u32, reply: Reply, cx: &mut Cx<'_>) {
        match (purpose, reply) {
            (purpose @ (Purpose::Mint | Purpose::Refresh), Reply::Token(token)) => {
                cx.core.spent |= purpose == Purpose::Mint;
                self.token_granted(token, cx)
            }
            (Purpose::Session, Reply::Session(info, link)) => {
                self.link.ice = link;
                self.session_ready(info, cx)
            }
            (Purpose::Message(client_id), Reply::Nothing) => {
                self.link.token.accepted();
                self.recovered();
                self.acknowledged(&client_id, cx);
            }
            (
                Purpose::Connect(peer),
                Reply::Answer {
                    sdp,
                    location,
                    link,
                },
            ) => {
                self.link.token.accepted();
                // For the next attempt: credentials live for some hours. The answer to a restart has none.
                if !link.0.is_empty() {
                    self.link.ice = link;
                }
                self.peer_answered(peer, sdp, &location, cx);
            }
            (Purpose::Call(peer), Reply::Answer { sdp, location, .. }) => {
                self.handed_answered(peer, sdp, &location, cx);
            }
            (purpose, _) if is_report(&purpose) => self.report_done(),
            (Purpose::Signal(_) | Purpose::Goodbye, _) => {}
            // An answer of the wrong kind is as good as none.
            (purpose, _) => self.failed(purpose, generation, Failure::default(), cx),
        }
    }

    fn token_granted(&mut self, token: TokenReply, cx: &mut Cx<'_>) {
        if let Some(user_id) = &token.user_id {
            self.confirmed(user_id, cx);
        }
        if let Some(effect) = cx.core.hand_on(&token.token) {
            cx.run(effect);
        }
        self.link.token.granted(token.token);
        let life_ms = u64::from(token.expires_in.clamp(10, LOCK_SECONDS)) * 1_000;
        cx.timer(Timer::TokenRefresh, life_ms * TOKEN_REFRESH_PERCENT / 100);
        if token.visitor_id.is_some() {
            cx.core.record.visitor_id = token.visitor_id;
        }
        self.keep(cx);
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
        let payload = Json::default().text("sessionId", &info.id);
        cx.emit(EventName::SessionStarted, payload);
    }

    /// What a failure of each request leads to.
    pub fn failed(&mut self, purpose: Purpose, generation: u32, failure: Failure, cx: &mut Cx<'_>) {
        if purpose == Purpose::Goodbye {
            return;
        }
        let verdict = judge(&failure);
        if let Verdict::Halt(code) = verdict {
            return self.halted(code, &failure.message, cx);
        }
        let reports = is_report(&purpose);
        if reports && self.report_failed(verdict, &failure, cx) {
            return;
        }
        let retry_after_seconds = failure.retry_after_seconds;
        self.link.muted |= matches!(purpose, Purpose::Message(_)) && verdict != Verdict::Refused;
        // Whether to wait before anything else is asked, and how long at least.
        let mut pause = None;
        match (verdict, purpose) {
            // Whatever a server says about a refresh, short of trouble, means that this token has no future.
            (Verdict::Token | Verdict::Refused | Verdict::Gone, Purpose::Refresh) => {
                self.link.token.refresh_refused();
                return;
            }
            // A proof that is refused never becomes a guest, and one that works once is not tried twice.
            (Verdict::Token | Verdict::Refused, Purpose::Mint) if cx.core.has_proof() => {
                let code =
                    known(&failure).map_or(ErrorCode::IdentityInvalid.as_str(), |(code, _)| *code);
                return self.halted(code, &failure.message, cx);
            }
            (Verdict::Token, Purpose::Mint) => {}
            (Verdict::Token, purpose) => {
                match purpose {
                    Purpose::Connect(peer) => self.peer_failed(peer, cx),
                    // Another, with the next token.
                    Purpose::Call(_) => self.close_handed(cx),
                    _ => {}
                }
                if self.link.token.refused(generation) == Repair::Now {
                    return;
                }
            }
            (Verdict::Gone, _) => self.session_gone(cx),
            (_, Purpose::Call(peer)) => return self.call_refused(peer, &failure, cx),
            (Verdict::Refused, Purpose::Connect(_)) => return self.peer_refused(cx),
            (_, Purpose::Connect(peer)) => return self.peer_failed(peer, cx),
            (Verdict::Limit, purpose) => {
                self.lock(&failure.code, &failure.message, retry_after_seconds, cx);
                match purpose {
                    Purpose::Message(client_id) if retry_after_seconds.is_none() => {
                        return self.refused(&client_id, &failure, cx);
                    }
                    Purpose::Message(_) => return,
                    _ => pause = retry_after_seconds,
                }
            }
            (Verdict::Refused, Purpose::Message(client_id)) => {
                return self.refused(&client_id, &failure, cx);
            }
            (Verdict::Refused, Purpose::Session) => cx.core.record.session_id = None,
            (Verdict::Refused, Purpose::Mint) => cx.core.record.visitor_id = None,
            // A remark; if it matters, the connection ends, and the next request says why.
            (Verdict::Wait | Verdict::Refused | Verdict::Later, Purpose::Channel) => return,
            (_, Purpose::Signal(kind)) if !reports => return self.signal_failed(kind, cx),
            (Verdict::Later, Purpose::Message(client_id)) if failure.status >= 500 => {
                self.strike(&client_id, &failure, cx);
            }
            (_, _) => pause = retry_after_seconds,
        }
        self.hold(pause, &failure, cx);
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
            self.refused(client_id, failure, cx);
        }
    }

    /// The server refuses for good.
    pub fn halted(&mut self, code: &'static str, message: &str, cx: &mut Cx<'_>) {
        cx.halt(code, message);
        self.end_call(SHUTDOWN, cx);
        // It has ended the connection, and would refuse the goodbye; the browser would tell the page's console so.
        self.peer.location = None;
        self.hang_up(false, cx);
        self.cut(cx);
        // Kept in storage: should the owner mend it, a reload sends them.
        for message in self.outbox.messages() {
            self.log.mark_own(&message.client_id, ItemState::Failed);
        }
    }

    fn session_gone(&mut self, cx: &mut Cx<'_>) {
        self.end_call(SHUTDOWN, cx);
        self.hang_up(false, cx);
        self.close_stream(cx);
        self.link.session = None;
        cx.core.record.session_id = None;
        cx.core.record.seen_seq = 0;
        self.log.restart();
        self.reports.take();
        self.outbox.all_wait();
        self.keep(cx);
        cx.render();
    }
}
