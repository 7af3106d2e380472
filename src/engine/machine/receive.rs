//! What arrives from the session, by either transport: into the log, and from there to the screen and the page.

use super::core::Cx;
use super::link::Purpose;
use super::panel::Panel;
use super::report::REPORT;
use crate::engine::effect::{Effect, Failure, Id};
use crate::engine::event::EventName;
use crate::engine::json::Json;
use crate::engine::markdown;
use crate::engine::session::log::Applied;
use crate::engine::session::outbox::Way;
use karta_protocol::{EventType, SessionEvent};

impl Panel {
    pub fn stream_frame(&mut self, id: Id, mut event: Box<SessionEvent>, cx: &mut Cx<'_>) {
        let Some(after) = self.stream_frame_arrived(id, cx) else {
            return;
        };
        let synced = event.kind == EventType::Synced;
        if synced && event.seq.is_some_and(|seq| seq < after) {
            // The server's log is shorter than what it once gave (restored from a backup): read it anew.
            self.log.restart();
            cx.core.record.seen_seq = 0;
            self.resubscribe(cx);
        } else {
            // While a channel replays, both write; else this one is the only one.
            let alone = !self.peer.is_replaying();
            if !self.take(&mut event, alone, cx) {
                self.resubscribe(cx);
            } else if synced {
                self.caught_up(cx);
            }
        }
        self.drive(cx);
    }

    /// Takes one event. False: something is missing before it.
    pub fn take(&mut self, event: &mut SessionEvent, alone: bool, cx: &mut Cx<'_>) -> bool {
        self.call_event(event, cx);
        if event.kind == EventType::Error {
            self.told_off(event, cx);
            return true;
        }
        self.report_logged(event);
        let applied = self.log.apply(event, alone);
        let code = event.code.as_deref().unwrap_or("");
        let message = event.message.as_deref().unwrap_or("");
        let live = self.log.cursor() > self.history_end;
        match applied {
            Applied::Nothing => {}
            Applied::Gap => return false,
            _ => cx.render(),
        }
        match applied {
            Applied::Nothing | Applied::Gap | Applied::Changed | Applied::TurnEnded => {}
            Applied::TurnBegan => self.failed_turn = false,
            Applied::Echo => {
                self.failed_turn = false;
                if event.handed && live && event.kind == EventType::UserMessage {
                    self.typed(event, cx);
                }
                if self.outbox.remove(event.id.as_deref().unwrap_or("")) {
                    self.keep(cx);
                }
            }
            Applied::Answer => self.answered(event, live, cx),
            Applied::TurnFailed => {
                self.failed_turn = true;
                if live {
                    let own = cx.core.words.turn_failed;
                    cx.fail(code, message, own);
                    cx.announce(own);
                }
            }
            Applied::Limit => {
                if live {
                    self.lock(code, message, event.retry_after_seconds, cx);
                }
            }
        }
        if live && event.kind == EventType::AgentToolUse {
            cx.announce(message);
            if !self.open && self.log.asking().is_some() {
                self.unread += 1;
                self.tell_unread(cx);
            }
        }
        if applied != Applied::Nothing && (live || event.delta) {
            self.tell_transcript(event, cx);
        }
        if event.kind == EventType::Synced {
            self.tell_unread(cx);
            self.keep(cx);
        }
        true
    }

    /// The server does not take a message that came by the channel, which means what a failed POST means; or, without an id, it
    /// ends the conversation (the key was disabled).
    fn told_off(&mut self, event: &mut SessionEvent, cx: &mut Cx<'_>) {
        let code = event.code.take().unwrap_or_default();
        let failure = Failure {
            status: if code.is_empty() { 400 } else { 500 },
            code,
            message: event.message.take().unwrap_or_default(),
            retry_after_seconds: event.retry_after_seconds,
        };
        let purpose = match event.id.take() {
            Some(line) if self.report_told_off(&line) => REPORT,
            Some(client_id) => {
                match self.outbox.find(&client_id) {
                    Some(message) => message.way = Way::Waiting,
                    None => return,
                }
                Purpose::Message(client_id)
            }
            None => Purpose::Channel,
        };
        self.failed(purpose, self.link.token.generation(), failure, cx);
    }

    fn answered(&mut self, event: &SessionEvent, live: bool, cx: &mut Cx<'_>) {
        let (seq, text) = (self.log.cursor(), event.text.as_deref().unwrap_or(""));
        if live {
            if self.open && !self.voice.is_talking() {
                cx.run(Effect::Announce(markdown::plain(text)));
            }
            let payload = Json::default().text("text", text);
            cx.emit(EventName::MessageReceived, payload);
        }
        if self.open {
            cx.core.record.seen_seq = cx.core.record.seen_seq.max(seq);
            // History is kept once, when all of it is here.
            if live {
                self.keep(cx);
            }
        } else if live || seq > cx.core.record.seen_seq {
            self.unread += 1;
            if live {
                self.tell_unread(cx);
            }
        }
    }

    /// `unread` once for each change, and once for all of the history.
    pub fn tell_unread(&mut self, cx: &mut Cx<'_>) {
        if self.unread != self.unread_told {
            self.unread_told = self.unread;
            let payload = Json::default().number("count", self.unread);
            cx.emit(EventName::Unread, payload);
            cx.render();
        }
    }
}
