//! The mounted panel: open or closed, what the visitor writes, unread count, locks. The transport behind it is in
//! [`super::link`] (requests, stream) and [`super::peer`] (data channel); what arrives is taken in [`super::receive`].

use super::core::{Cx, complaint};
use super::handed::Handed;
use super::link::{Link, signal};
use super::peer::Peer;
use super::report::Report;
use super::voice::{ENDED, SHUTDOWN, Voice};
use super::{Msg, Ui};
use crate::engine::config::Field;
use crate::engine::effect::{Effect, Failure, Focus, Millis, Stored, Timer};
use crate::engine::error::{QUEUE_FULL, clip};
use crate::engine::event::EventName;
use crate::engine::json::Json;
use crate::engine::limits::{
    LOCK_SECONDS, OUTBOX_MESSAGES, TRANSCRIPT_LINE_BYTES, TRANSCRIPT_LINES,
};
use crate::engine::realtime::Only;
use crate::engine::session::log::Log;
use crate::engine::session::outbox::Outbox;
use crate::engine::text::cut::cut;
use crate::engine::view_model::{ItemState, Role};
use karta_protocol::{ErrorCode, MESSAGE_MAX_BYTES, client};

/// On whose behalf: decides where the focus goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Visitor,
    Page,
    /// It was open before the page changed.
    Reload,
}

#[derive(Default)]
pub(super) struct Panel {
    pub open: bool,
    pub unread: u32,
    /// Last count of the `unread` event.
    pub unread_told: u32,
    pub log: Log,
    pub outbox: Outbox,
    pub link: Link,
    pub peer: Peer,
    pub voice: Voice,
    pub handed: Only<Handed>,
    pub reports: Only<Vec<Report>>,
    /// The last turn failed and may be tried again.
    pub failed_turn: bool,
    pub limit: Option<Limit>,
    /// Lines up to this seq were there before this page: they are history, not news.
    pub history_end: u64,
}

/// The composer is locked.
#[derive(Debug, PartialEq)]
pub(super) struct Limit {
    /// None: until the page names another visitor or starts the widget anew.
    pub until: Option<Millis>,
    pub left_seconds: u64,
}

impl Panel {
    pub fn mount(cx: &mut Cx<'_>) -> Panel {
        let mut panel = Panel::default();
        cx.core.claim(cx.core.expected_owner());
        panel.log.greet(cx.core.config.get(Field::Greeting));
        panel.restore(cx);
        cx.render();
        cx.emit(EventName::Ready, Json::default());
        panel.drive(cx);
        panel.tell_connection(cx);
        panel
    }

    /// What the record says was not sent.
    pub fn restore(&mut self, cx: &mut Cx<'_>) {
        for (client_id, text) in cx.core.record.outbox.iter().take(OUTBOX_MESSAGES) {
            if !self.outbox.has(client_id) {
                self.log.push_own(client_id, text);
                self.outbox.push(client_id.clone(), text.clone());
            }
        }
    }

    pub fn handle(&mut self, msg: Msg, cx: &mut Cx<'_>) {
        match msg {
            Msg::Ui(ui) => self.ui(ui, cx),
            Msg::HttpReplied { id, result } => self.replied(id, result, cx),
            Msg::StreamOpened { id } => self.stream_opened(id, cx),
            Msg::StreamFrame { id, event } => self.stream_frame(id, event, cx),
            Msg::StreamClosed { id, failure } => self.stream_closed(id, failure, cx),
            Msg::PeerOffered { id, sdp } => self.peer_offered(id, sdp, cx),
            Msg::ChannelOpened { id } => {
                self.handed_opened(id, cx);
                self.channel_opened(id, cx);
            }
            Msg::EngineFrame { id, frame } => self.engine_frame(id, &frame, cx),
            Msg::ChannelFrame { id, event } => self.channel_frame(id, event, cx),
            Msg::PeerClosed { id, reason: _ } => {
                self.handed_closed(id, cx);
                self.peer_closed(id, cx);
            }
            Msg::PeerShaken { id } => {
                self.handed_shaken(id, cx);
                self.peer_shaken(id, cx);
            }
            Msg::Mic { id, news } => self.mic_news(id, news, cx),
            // For text there is time; browsers also say so when only the speed is another.
            Msg::NetworkChanged if self.voice.is_on() => self.probe_peer(cx),
            Msg::NetworkChanged => {}
            Msg::TimerFired(timer) => self.timer_fired(timer, cx),
            Msg::Online => self.network_is_back(cx),
            Msg::Offline => cx.render(),
            Msg::PageHidden => self.page_hidden(cx),
            Msg::PageRestored => self.page_restored(cx),
            Msg::Visible => self.came_to_the_front(cx),
            // Taken by the stage.
            Msg::Booted(_) | Msg::Command(_) | Msg::Rejected(_) | Msg::StoredElsewhere { .. } => {}
        }
        self.follow_line(cx);
        self.tell_connection(cx);
    }

    pub fn ui(&mut self, ui: Ui, cx: &mut Cx<'_>) {
        match ui {
            Ui::ClosePressed | Ui::EscapePressed => self.close(By::Visitor, cx),
            Ui::Submitted(text) => self.say(&text, By::Visitor, cx),
            Ui::StopPressed => {
                if self.log.running() {
                    self.hush(cx);
                    self.send_signal(client::INTERRUPT, cx);
                }
            }
            Ui::PromptPressed(index) => {
                if let Some(asking) = self.log.asking() {
                    let decision = if index == 0 { "allow" } else { "deny" };
                    let event = signal(client::TOOL_CONFIRMATION)
                        // So that a refusal says what it refuses.
                        .text("id", &asking.id)
                        .text("request_id", &asking.id)
                        .text("decision", decision);
                    self.send_event(client::TOOL_CONFIRMATION, event, cx);
                } else {
                    let mut prompts = cx.core.config.prompts();
                    for _ in 0..index {
                        prompts = cut(prompts, b'\n').1;
                    }
                    let pressed = String::from(cut(prompts, b'\n').0);
                    self.say(&pressed, By::Visitor, cx);
                    cx.run(Effect::Focus(Focus::Composer));
                }
            }
            Ui::RetryPressed => self.retry(cx),
            Ui::ResendPressed(key) => self.resend(key, cx),
            Ui::EscalatePressed => {
                let payload = escalation(None, &[], Some(self));
                cx.emit(EventName::Escalate, payload);
            }
            Ui::VoicePressed => self.start_call(By::Visitor, cx),
            Ui::EndPressed => self.end_call(ENDED, cx),
            Ui::MutePressed => {
                let muted = self.voice.call().is_some_and(|call| call.muted);
                self.mute(!muted, cx);
            }
            // Taken by the stage.
            Ui::LauncherPressed => {}
        }
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn open(&mut self, by: By, cx: &mut Cx<'_>) {
        if !self.open {
            self.open = true;
            cx.render();
            cx.emit(EventName::Open, Json::default());
            if self.unread > 0 {
                self.unread = 0;
                self.unread_told = 0;
                cx.emit(EventName::Unread, Json::default().number("count", 0));
            }
            cx.core.record.seen_seq = cx.core.record.seen_seq.max(self.log.cursor());
            self.keep(cx);
        }
        match by {
            By::Visitor | By::Page => cx.run(Effect::Focus(Focus::Composer)),
            // A page that has just loaded has its own idea of where the focus belongs.
            By::Reload => {}
        }
    }

    pub fn close(&mut self, by: By, cx: &mut Cx<'_>) {
        if !self.open {
            return;
        }
        self.open = false;
        self.forget_call(cx);
        cx.render();
        cx.emit(EventName::Close, Json::default());
        self.keep(cx);
        match by {
            By::Visitor => cx.run(Effect::Focus(Focus::Launcher)),
            By::Page | By::Reload => {}
        }
    }

    /// The visitor's words, from the composer or from the page. Not taken: the composer keeps them.
    pub fn say(&mut self, text: &str, by: By, cx: &mut Cx<'_>) {
        let text = clean(text);
        if text.is_empty() || text.len() > MESSAGE_MAX_BYTES {
            return;
        }
        let refusal = if let Some(code) = cx.core.halt {
            Some((
                code,
                "the message is not sent: the server refuses this page",
            ))
        } else if self.limit.is_some() {
            Some((
                ErrorCode::LimitReached.as_str(),
                "the message is not sent: the limit is reached for now",
            ))
        } else if self.outbox.messages().len() >= OUTBOX_MESSAGES {
            Some((
                QUEUE_FULL,
                "the message is not sent: 50 others are still waiting for the server",
            ))
        } else {
            None
        };
        if let Some((code, words)) = refusal {
            if by == By::Page {
                cx.warn(code, words);
            }
            return;
        }
        let client_id = cx.core.random.message_id();
        self.log.push_own(&client_id, &text);
        self.outbox.push(client_id, text.clone());
        self.failed_turn = false;
        self.forget_call(cx);
        cx.render();
        self.keep(cx);
        cx.emit(EventName::MessageSent, Json::default().text("text", &text));
        self.drive(cx);
    }

    fn resend(&mut self, key: u32, cx: &mut Cx<'_>) {
        if self.limit.is_some()
            || cx.core.halt.is_some()
            || self.outbox.messages().len() >= OUTBOX_MESSAGES
        {
            return;
        }
        if let Some((client_id, text)) = self.log.revive(key) {
            self.outbox.push(client_id, text);
            cx.render();
            self.keep(cx);
            self.drive(cx);
        }
    }

    /// The button of the banner: a failed turn again, or the connection now instead of later.
    fn retry(&mut self, cx: &mut Cx<'_>) {
        match &self.voice {
            Voice::Over(_) => return self.start_call(By::Visitor, cx),
            Voice::On(call) if call.blocked => return self.hear(cx),
            Voice::On(_) | Voice::Off => {}
        }
        self.try_again(cx);
    }

    pub fn try_again(&mut self, cx: &mut Cx<'_>) {
        if self.failed_turn {
            self.failed_turn = false;
            self.send_signal(client::RETRY, cx);
        }
        cx.render();
        self.release(cx);
        self.drive(cx);
    }

    /// The limit is reached: the composer locks, with a countdown where the server says for how long.
    pub fn lock(&mut self, code: &str, message: &str, seconds: Option<u32>, cx: &mut Cx<'_>) {
        let seconds = seconds.map(|seconds| seconds.clamp(1, LOCK_SECONDS));
        let left_seconds = seconds.map_or(0, u64::from);
        self.limit = Some(Limit {
            until: seconds.map(|_| cx.now + left_seconds * 1_000),
            left_seconds,
        });
        if seconds.is_some() {
            cx.timer(Timer::Countdown, 1_000);
        }
        let mut payload = complaint(code, message, cx.core.words.limit);
        if let Some(seconds) = seconds {
            payload = payload.number("retryAfterSeconds", seconds);
        }
        cx.emit(EventName::LimitReached, payload);
        cx.render();
    }

    pub fn count_down(&mut self, cx: &mut Cx<'_>) {
        let Some(Limit {
            until: Some(until),
            left_seconds,
        }) = &mut self.limit
        else {
            return;
        };
        let left_ms = until.saturating_sub(cx.now);
        if left_ms == 0 {
            self.unlock(cx);
            self.drive(cx);
            return;
        }
        *left_seconds = left_ms.div_ceil(1_000);
        cx.timer(Timer::Countdown, 1_000);
        cx.render();
    }

    pub fn unlock(&mut self, cx: &mut Cx<'_>) {
        self.limit = None;
        self.forget_call(cx);
        cx.clear(Timer::Countdown);
        cx.render();
        self.release(cx);
    }

    pub fn config_changed(&mut self, cx: &mut Cx<'_>) {
        self.log.greet(cx.core.config.get(Field::Greeting));
        cx.render();
        self.tell_connection(cx);
    }

    /// The recent conversation, for `escalate`.
    fn transcript(&self) -> Vec<Json> {
        let items = self.log.items();
        let recent = items
            .iter()
            .skip(items.len().saturating_sub(TRANSCRIPT_LINES));
        let mut lines = Vec::new();
        for item in recent {
            let role = match item.role {
                Role::User => "user",
                Role::Agent => "agent",
                Role::System => continue,
            };
            let text = clip(&item.text, TRANSCRIPT_LINE_BYTES);
            lines.push(Json::default().text("role", role).text("text", text));
        }
        lines
    }

    pub fn session_id(&self) -> Option<&str> {
        self.link.session_id()
    }

    /// Brings the stored record up to date.
    pub fn keep(&mut self, cx: &mut Cx<'_>) {
        let headless = cx.core.is_headless();
        let record = &mut cx.core.record;
        if !headless {
            record.open = self.open;
        }
        record.outbox = self
            .outbox
            .messages()
            .iter()
            .map(|message| (message.client_id.clone(), message.text.clone()))
            .collect();
        cx.store();
    }

    /// The message is with the server.
    pub fn acknowledged(&mut self, client_id: &str, cx: &mut Cx<'_>) {
        if self.outbox.remove(client_id) {
            self.log.mark_own(client_id, ItemState::Sent);
            self.keep(cx);
            cx.render();
        }
    }

    /// The server will never take this message.
    pub fn refused(&mut self, client_id: &str, failure: &Failure, cx: &mut Cx<'_>) {
        if self.outbox.remove(client_id) {
            self.log.mark_own(client_id, ItemState::Failed);
            self.keep(cx);
            cx.fail(&failure.code, &failure.message, "");
            cx.announce(cx.core.words.not_sent);
            cx.render();
        }
    }

    /// Another tab of the same visitor wrote its record.
    pub fn stored_elsewhere(&mut self, stored: Stored, cx: &mut Cx<'_>) {
        let record = &mut cx.core.record;
        if record.owner != stored.owner {
            return;
        }
        if record.visitor_id.is_none() {
            record.visitor_id = stored.visitor_id;
        }
        if record.session_id.is_none() {
            record.session_id = stored.session_id;
        }
        record.seen_seq = record.seen_seq.max(stored.seen_seq);
    }

    /// `shutdown`, `reset` or switched off: nothing stays behind in the world.
    pub fn stop(&mut self, cx: &mut Cx<'_>) {
        self.end_call(SHUTDOWN, cx);
        self.hang_up(false, cx);
        self.link.suspended = true;
        self.send_reports(cx);
        self.cut(cx);
        cx.clear(Timer::Countdown);
    }

    /// Whether the page can do anything about a visitor who wants a person.
    pub fn offers_person(&self, cx: &super::core::Core) -> bool {
        self.log.offer_person() && cx.bus.hears(EventName::Escalate)
    }
}

/// Payload of the `escalate` event: what the page wants to hand on, and the conversation.
pub(super) fn escalation(
    reason: Option<&str>,
    context: &[(String, String)],
    panel: Option<&Panel>,
) -> Json {
    let session = panel.and_then(Panel::session_id);
    let transcript = panel.map(Panel::transcript).unwrap_or_default();
    let context = Json::entries(context)
        .maybe("sessionId", session)
        .list("transcript", transcript);
    Json::default()
        .maybe("reason", reason)
        .object("context", context)
}

/// One kind of line break, no other control characters, no space around.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut before = '\0';
    for c in text.chars() {
        match c {
            '\n' if before == '\r' => {}
            '\r' | '\n' => clean.push('\n'),
            '\t' => clean.push('\t'),
            c if c.is_control() => {}
            c => clean.push(c),
        }
        before = c;
    }
    String::from(clean.trim())
}
