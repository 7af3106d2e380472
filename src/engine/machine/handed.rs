//! The line of a call that a realtime engine answers: a connection of its own, which is there for as long as the call. Its channel speaks the
//! engine's protocol ([`crate::engine::realtime`]); what comes of it is taken like what the server says. Text stays where it is.

use super::core::Cx;
use super::link::Purpose;
use super::panel::Panel;
use super::peer::absolute;
use super::voice::reason;
use crate::engine::config::Field;
use crate::engine::effect::{Body, Effect, Failure, Id, Millis};
use crate::engine::limits::{CALL_RETRY_MS, PEER_GOOD_MS, RESTART_DEADLINE_MS};
use crate::engine::raw::Raw;
use crate::engine::realtime::{Adapter, BUILT, Order, Out, Tree, engine};
use crate::engine::session::ice::servers;
use crate::engine::text::cut::cut;
use crate::engine::view_model::ItemState;
use karta_protocol::SessionEvent;

pub(super) struct Handed {
    id: Id,
    /// The channel is open.
    open: bool,
    adapter: Adapter,
    /// Where the server's side is ended.
    location: Option<String>,
    since: Millis,
    /// The path has broken: by when another is made, unless something comes by this one.
    shaken: Option<Millis>,
    /// Typed before the engine could take it.
    typed: String,
}

impl Tree for Raw {
    fn text(&self, path: &str) -> String {
        match at(self, path) {
            Raw::Text(text) => text.clone(),
            _ => String::new(),
        }
    }

    fn truth(&self, path: &str) -> bool {
        matches!(at(self, path), Raw::Bool(true))
    }

    fn number(&self, path: &str) -> u64 {
        match at(self, path) {
            // A float that is too small or too large for it becomes the nearest there is.
            Raw::Number(number) => *number as u64,
            _ => 0,
        }
    }
}

fn at<'a>(mut value: &'a Raw, path: &str) -> &'a Raw {
    let mut rest = path;
    while !rest.is_empty() {
        let (name, more) = cut(rest, b'.');
        value = value.entry(name);
        rest = more;
    }
    value
}

impl Handed {
    /// The connection, where it can carry the call.
    pub fn line(&self) -> Option<Id> {
        self.open.then_some(self.id)
    }
}

impl Panel {
    fn handed(&mut self, id: Id) -> Option<&mut Handed> {
        self.handed.get_mut().filter(|handed| handed.id == id)
    }

    /// What carries the call, if there is one.
    pub fn handed_line(&self) -> Option<Id> {
        self.handed.get().and_then(Handed::line)
    }

    /// Begins to connect, once there is something to ask the server with.
    pub fn open_handed(&mut self, cx: &mut Cx<'_>) {
        let ready = self.link.session.is_some() && self.link.token.usable().is_some();
        let engine = cx.core.config.get(Field::Realtime).and_then(engine);
        let Some(engine) = engine.filter(|_| BUILT && ready && self.handed.get().is_none()) else {
            return;
        };
        let mut name = cx.core.random.message_id();
        name.push('-');
        let id = cx.id();
        self.handed.put(Box::new(Handed {
            id,
            open: false,
            adapter: Adapter::new(engine, name),
            location: None,
            since: cx.now,
            shaken: None,
            typed: String::new(),
        }));
        cx.run(Effect::OpenPeer {
            id,
            ice_servers: servers(&self.link.ice.0),
            channel: engine.channel,
        });
    }

    /// False: it is not this connection's.
    pub fn handed_offered(&mut self, id: Id, sdp: &str, cx: &mut Cx<'_>) -> bool {
        if self.handed(id).is_none() {
            return false;
        }
        let session = self.link.session_id().unwrap_or("");
        let language = cx.core.config.locale();
        let path = ["/sessions/", session, "/call?language=", language].concat();
        self.ask(Purpose::Call(id), &path, Body::Sdp(String::from(sdp)), cx);
        self.watch(cx);
        true
    }

    pub fn handed_answered(&mut self, id: Id, sdp: String, location: &str, cx: &mut Cx<'_>) {
        let location = absolute(cx.core.config.base_url(), location);
        let Some(handed) = self.handed(id) else {
            // The visitor has thought better of it.
            return self.report_end(location, cx);
        };
        handed.location = location;
        cx.run(Effect::AnswerPeer { id, sdp });
    }

    /// The engine does not take the call; or nobody was reached, which a call that was under way waits for.
    pub fn call_refused(&mut self, id: Id, failure: &Failure, cx: &mut Cx<'_>) {
        if self.handed(id).is_some() && !(failure.status == 0 && self.call_again(cx)) {
            self.end_call(reason(&failure.code), cx);
        }
    }

    /// Another connection in a moment, for a call that was under way. False: it never was.
    fn call_again(&mut self, cx: &mut Cx<'_>) -> bool {
        let begun = self.voice.pause(cx.now + CALL_RETRY_MS);
        if begun {
            self.close_handed(cx);
        }
        begun
    }

    pub fn handed_opened(&mut self, id: Id, cx: &mut Cx<'_>) {
        let now = cx.now;
        if let Some(handed) = self.handed(id) {
            handed.open = true;
            handed.since = now;
        }
    }

    /// The path broke. Most heal by themselves, and an engine knows no restart.
    pub fn handed_shaken(&mut self, id: Id, cx: &mut Cx<'_>) {
        let by = cx.now + RESTART_DEADLINE_MS;
        if let Some(handed) = self.handed(id) {
            handed.shaken.get_or_insert(by);
        }
    }

    /// The path has had its time to heal.
    pub fn mend_handed(&mut self, cx: &mut Cx<'_>) {
        let late = |handed: &Handed| handed.shaken.is_some_and(|by| cx.now >= by);
        if self.handed.get().is_some_and(late) {
            self.close_handed(cx);
        }
    }

    /// The engine went, or the path is given up. A call that was under way is tried again; the server knows whether there is still an engine.
    pub fn handed_closed(&mut self, id: Id, cx: &mut Cx<'_>) {
        let now = cx.now;
        let Some(handed) = self.handed(id) else {
            return;
        };
        let open = handed.open;
        if open && now.saturating_sub(handed.since) >= PEER_GOOD_MS / 4 {
            self.close_handed(cx);
        } else if open || !self.call_again(cx) {
            self.end_call(if open { "engine" } else { "connection" }, cx);
        }
    }

    pub fn close_handed(&mut self, cx: &mut Cx<'_>) {
        if let Some(handed) = self.handed.take() {
            self.cancel(&Purpose::Call(handed.id), cx);
            cx.run(Effect::ClosePeer(handed.id));
            self.report_end(handed.location, cx);
        }
    }

    pub fn engine_frame(&mut self, id: Id, frame: &Raw, cx: &mut Cx<'_>) {
        let now = cx.now;
        if let Some(handed) = self.handed(id) {
            handed.shaken = None;
            let out = handed.adapter.frame(frame, now);
            self.carry_out(id, out, cx);
            self.pass_on(cx);
        }
    }

    pub fn order(&mut self, order: Order<'_>, cx: &mut Cx<'_>) {
        if let Some(handed) = self.handed.get_mut()
            && handed.open
        {
            let (id, out) = (handed.id, handed.adapter.order(order, cx.now));
            self.carry_out(id, out, cx);
        }
    }

    fn carry_out(&mut self, id: Id, out: Vec<Out>, cx: &mut Cx<'_>) {
        for out in out {
            match out {
                Out::Event(mut event) => {
                    self.take(&mut event, true, cx);
                }
                Out::Said(said) => {
                    // No caption any more: it stays on screen until the log has it.
                    self.log.mark_own(&said.id, ItemState::Sending);
                    self.report(said, cx);
                }
                Out::Send(event) => cx.run(Effect::SendFrame { id, event }),
                Out::SendText(text) => cx.run(Effect::SendText { id, text }),
            }
        }
    }

    /// A line of the log that the engine has to answer, whichever tab it was typed in.
    pub fn typed(&mut self, event: &SessionEvent, cx: &mut Cx<'_>) {
        if let Some(handed) = self.handed.get_mut() {
            handed.typed.push_str(event.text.as_deref().unwrap_or(""));
            handed.typed.push('\n');
            self.pass_on(cx);
        }
    }

    fn pass_on(&mut self, cx: &mut Cx<'_>) {
        if self.voice.is_talking()
            && let Some(handed) = self.handed.get_mut()
        {
            let typed = std::mem::take(&mut handed.typed);
            if !typed.is_empty() {
                self.order(Order::Type(typed.trim_ascii()), cx);
            }
        }
    }

    /// What the server says is about another call than this.
    pub fn is_of_another_call(&self, event: &SessionEvent) -> bool {
        let location = self
            .handed
            .get()
            .and_then(|handed| handed.location.as_ref());
        event
            .id
            .as_ref()
            .is_some_and(|id| location.is_none_or(|location| !location.ends_with(id.as_str())))
    }
}
