//! The phases of the widget on a page, and the way between them: asleep → waiting → launcher → panel; hidden; stopped.
//! Commands are taken here; what happens inside a mounted panel is in [`super::panel`].

use super::core::{Cx, Unsettled};
use super::fetch::ask_config;
use super::panel::{By, Panel, escalation};
use super::voice::ENDED;
use super::{Boot, Msg, Ui};
#[cfg(feature = "headless")]
use crate::engine::command::Intent;
use crate::engine::command::{Command, Identity};
use crate::engine::config::{Layer, Source};
use crate::engine::effect::{Effect, Stored, Timer};
use crate::engine::error::{ALREADY_MOUNTED, QUEUE_FULL};
use crate::engine::event::EventName;
use crate::engine::limits::QUEUE_CALLS;
use crate::engine::random::Random;
use karta_protocol::ErrorCode;

pub(super) enum Stage {
    /// Before [`Msg::Booted`]. Nothing is known, so everything waits.
    Asleep(Vec<Msg>),
    /// No key yet, or its config is on the way. Nothing is drawn, calls wait.
    Waiting(Vec<Command>),
    /// The button, and no session.
    Launcher,
    Panel(Box<Panel>),
    /// The owner has switched the widget off, or the page holds a secret key.
    Hidden,
    /// After `shutdown` or `reset`.
    Stopped,
}

impl Default for Stage {
    fn default() -> Self {
        Stage::Asleep(Vec::new())
    }
}

impl Stage {
    pub fn handle(&mut self, msg: Msg, cx: &mut Cx<'_>) {
        if let Stage::Asleep(early) = self {
            match msg {
                Msg::Booted(boot) => {
                    let early = std::mem::take(early);
                    self.boot(*boot, cx);
                    for msg in early {
                        self.handle(msg, cx);
                    }
                }
                other if early.len() < QUEUE_CALLS => early.push(other),
                _ => queue_full(cx),
            }
            return;
        }
        match msg {
            Msg::Booted(_) => {}
            Msg::Rejected(rejection) => cx.reject(vec![rejection]),
            Msg::Command(command) => self.command(command, By::Page, cx),
            Msg::Ui(Ui::LauncherPressed) => self.command(Command::Toggle, By::Visitor, cx),
            Msg::HttpReplied { id, result } if cx.core.fetch.asked == Some(id) => {
                self.config_replied(result, cx)
            }
            Msg::TimerFired(Timer::ConfigDeadline) => {
                self.settle(cx);
                self.config_is_late(cx);
            }
            Msg::TimerFired(Timer::Config) => ask_config(cx),
            Msg::StoredElsewhere { key, record } => {
                if cx.core.config.key() == Some(&key) {
                    self.stored_elsewhere(record, cx);
                }
            }
            Msg::Online | Msg::Offline => {
                cx.core.online = msg == Msg::Online;
                if cx.core.online && cx.core.fetch.backoff.failures() > 0 && !cx.core.fetch.settled
                {
                    ask_config(cx);
                }
                if let Stage::Panel(panel) = self {
                    panel.handle(msg, cx);
                }
            }
            other => {
                if let Stage::Panel(panel) = self {
                    panel.handle(other, cx);
                }
            }
        }
    }

    fn boot(&mut self, boot: Boot, cx: &mut Cx<'_>) {
        let core = &mut *cx.core;
        core.script_origin = boot.script_origin;
        core.languages = boot.languages;
        core.online = boot.online;
        core.webrtc = boot.webrtc;
        core.microphone = boot.microphone;
        core.random = Random::new(boot.entropy);
        core.records = boot.stored;
        core.login = boot.handed_on;
        #[cfg(feature = "headless")]
        {
            core.headless = boot.headless;
        }
        let mut rejections = boot.rejections;
        let mut attributes = boot.attributes;
        core.identity = attributes.identity.take();
        rejections.append(&mut attributes.rejected);
        core.layers.set(Source::Attributes, attributes);
        core.resolve();
        core.dirty = false;
        cx.reject(rejections);
        *self = Stage::Waiting(Vec::new());
        // The page's waiting calls follow this message at once. What boot finds out is told after them, so that a page that
        // subscribed before the bundle arrived misses nothing.
        cx.core.unsettled = Some(Unsettled {
            booting: true,
            ..Unsettled::default()
        });
        cx.timer(Timer::ConfigDeadline, 0);
        self.start(boot.prefetched, cx);
        if let Some(unsettled) = &mut cx.core.unsettled {
            unsettled.booting = false;
        }
    }

    fn settle(&mut self, cx: &mut Cx<'_>) {
        let Some(unsettled) = cx.core.unsettled.take() else {
            return;
        };
        for event in unsettled.events {
            cx.emit(event.name, event.payload);
        }
        if unsettled.resume {
            self.resume(cx);
        }
    }

    /// Goes on where the visitor was before the page changed.
    fn resume(&mut self, cx: &mut Cx<'_>) {
        cx.core.unresumed = !cx.core.may_resume();
        if cx.core.unresumed {
        } else if cx.core.record.open && !cx.core.is_headless() {
            self.open(By::Reload, cx);
        } else if !cx.core.record.outbox.is_empty() {
            self.mount(cx);
        }
    }

    /// From waiting to the button; then what waited happens in order.
    pub fn show_launcher(&mut self, cx: &mut Cx<'_>) {
        let Stage::Waiting(calls) = self else { return };
        let calls = std::mem::take(calls);
        *self = Stage::Launcher;
        cx.core.deadline = None;
        cx.render();
        match &mut cx.core.unsettled {
            Some(unsettled) => unsettled.resume = true,
            None => {
                cx.clear(Timer::ConfigDeadline);
                self.resume(cx);
            }
        }
        for command in calls {
            self.command(command, By::Page, cx);
        }
    }

    pub fn hide(&mut self, cx: &mut Cx<'_>) {
        let before = std::mem::replace(self, Stage::Hidden);
        cx.core.deadline = None;
        cx.render();
        if let Stage::Waiting(calls) = before {
            for command in calls {
                self.command(command, By::Page, cx);
            }
        }
    }

    fn command(&mut self, command: Command, by: By, cx: &mut Cx<'_>) {
        // The order is the page's: what comes after a call that waits waits as well. A subscription does not, because what goes wrong
        // meanwhile is told to it; unless the end of one is on its way, which would take this one with it.
        if let Stage::Waiting(calls) = self
            && !calls.is_empty()
            && at_once(&command)
            && (!matches!(command, Command::On { .. })
                || calls.iter().any(|call| matches!(call, Command::Off { .. })))
        {
            return self.call(command, by, cx);
        }
        match command {
            Command::On {
                event,
                callback,
                once,
            } => {
                if !cx.core.bus.on(event, callback, once) {
                    cx.warn_once(QUEUE_FULL, "too many subscriptions; this one is ignored");
                }
                cx.subscribed();
            }
            Command::Off { event, callback } => {
                cx.core.bus.off(event, callback);
                cx.subscribed();
            }
            Command::Init(layer) => self.init(*layer, cx),
            Command::Identify(identity) => self.identify(*identity, cx),
            Command::Escalate { reason, context } => {
                let panel = match self {
                    Stage::Panel(panel) => Some(&**panel),
                    _ => None,
                };
                let payload = escalation(reason.as_deref(), &context, panel);
                cx.emit(EventName::Escalate, payload);
            }
            Command::Shutdown => self.stop(false, cx),
            Command::Reset => self.stop(true, cx),
            other => self.call(other, by, cx),
        }
    }

    /// Commands that wait for a key and its config.
    fn call(&mut self, command: Command, by: By, cx: &mut Cx<'_>) {
        match self {
            Stage::Waiting(calls) if calls.len() >= QUEUE_CALLS => return queue_full(cx),
            Stage::Waiting(calls) => {
                calls.push(command);
                // A key that is missing is worth a word, but not before the page had time to give it.
                if calls.len() == 1 && cx.core.config.key().is_none() {
                    self.expect_config(cx);
                }
                return;
            }
            // The page has been told about its secret key, or ends the widget itself.
            Stage::Hidden if !cx.core.fetch.switched_off => return,
            Stage::Hidden => {
                return cx.warn_once(ErrorCode::WidgetDisabledForAgent.as_str(), SWITCHED_OFF);
            }
            // There is no call to end or mute.
            Stage::Stopped if matches!(command, Command::EndVoice | Command::Mute(_)) => return,
            #[cfg(feature = "headless")]
            Stage::Stopped if matches!(&command, Command::Headless(intent) if *intent != Intent::Connect) =>
            {
                return;
            }
            Stage::Stopped => {
                self.start_again(cx);
                return self.call(command, by, cx);
            }
            Stage::Asleep(_) | Stage::Launcher | Stage::Panel(_) => {}
        }
        match command {
            Command::Open => self.open(by, cx),
            Command::Close => self.close(by, cx),
            Command::Toggle if self.is_open() => self.close(by, cx),
            Command::Toggle => self.open(by, cx),
            Command::SendMessage(text) => {
                self.mount(cx);
                if let Stage::Panel(panel) = self {
                    panel.say(&text, by, cx);
                }
            }
            Command::StartVoice => {
                self.mount(cx);
                if let Stage::Panel(panel) = self {
                    panel.start_call(by, cx);
                }
            }
            Command::EndVoice => {
                if let Stage::Panel(panel) = self {
                    panel.end_call(ENDED, cx);
                }
            }
            Command::Mute(muted) => {
                if let Stage::Panel(panel) = self {
                    panel.mute(muted, cx);
                }
            }
            Command::Update(layer) => self.update(*layer, cx),
            #[cfg(feature = "headless")]
            Command::Headless(intent) => self.intent(intent, cx),
            // Taken by the caller.
            Command::Init(_)
            | Command::Identify(_)
            | Command::Escalate { .. }
            | Command::On { .. }
            | Command::Off { .. }
            | Command::Shutdown
            | Command::Reset => {}
        }
    }

    fn init(&mut self, mut layer: Layer, cx: &mut Cx<'_>) {
        if let Stage::Panel(_) = self {
            cx.warn_once(
                ALREADY_MOUNTED,
                "karta(\"init\") after the widget has mounted is ignored: use karta(\"update\"), or shutdown first",
            );
            return;
        }
        let rejections = std::mem::take(&mut layer.rejected);
        if let Some(identity) = layer.identity.take() {
            cx.core.identify(identity);
        }
        let was_secret = cx.core.layers.has_secret_key();
        cx.core.layers.merge(Source::Init, &layer);
        let drawn = matches!(self, Stage::Launcher);
        cx.core.resolve();
        cx.core.dirty = drawn;
        cx.reject(rejections);
        if was_secret {
            return;
        }
        if cx.core.config.config_url().as_deref() != Some(&cx.core.fetch.url) {
            // Another key, server or agent: its config decides anew.
            if let Some(id) = cx.core.fetch.asked.take() {
                cx.run(Effect::CancelHttp(id));
            }
            if !matches!(self, Stage::Waiting(_) | Stage::Launcher) {
                *self = Stage::Waiting(Vec::new());
            }
        } else if matches!(self, Stage::Stopped) {
            *self = Stage::Waiting(Vec::new());
        }
        if !matches!(self, Stage::Hidden) {
            self.start(None, cx);
        }
    }

    fn identify(&mut self, identity: Identity, cx: &mut Cx<'_>) {
        let news = cx.core.identify(identity);
        match self {
            Stage::Panel(panel) if news => panel.identified(cx),
            Stage::Launcher if cx.core.unresumed => self.resume(cx),
            _ => {}
        }
    }

    fn update(&mut self, mut layer: Layer, cx: &mut Cx<'_>) {
        let rejections = std::mem::take(&mut layer.rejected);
        cx.core.layers.merge(Source::Update, &layer);
        cx.core.resolve();
        cx.reject(rejections);
        if let Stage::Panel(panel) = self {
            panel.config_changed(cx);
        }
    }

    fn open(&mut self, by: By, cx: &mut Cx<'_>) {
        self.mount(cx);
        if let Stage::Panel(panel) = self {
            panel.open(by, cx);
        }
    }

    fn close(&mut self, by: By, cx: &mut Cx<'_>) {
        if let Some(unsettled) = &mut cx.core.unsettled {
            unsettled.resume = false;
        }
        if let Stage::Panel(panel) = self {
            panel.close(by, cx);
        }
    }

    fn is_open(&self) -> bool {
        matches!(self, Stage::Panel(panel) if panel.is_open())
    }

    /// The panel's DOM and the session, at the first need.
    pub fn mount(&mut self, cx: &mut Cx<'_>) {
        if let Stage::Launcher = self {
            *self = Stage::Panel(Box::new(Panel::mount(cx)));
        }
    }

    /// `shutdown` keeps the visitor, `reset` forgets. Subscriptions stay: a page subscribes once and may start again.
    /// A reset also ends the login on the server.
    fn stop(&mut self, forget: bool, cx: &mut Cx<'_>) {
        // What waits is over; what needs no config is done.
        if let Stage::Waiting(_) = self {
            self.hide(cx);
        }
        if let Stage::Panel(panel) = self {
            if forget {
                panel.revoke(cx);
            }
            panel.stop(cx);
        }
        for timer in [Timer::ConfigDeadline, Timer::Config] {
            cx.clear(timer);
        }
        if let Some(id) = cx.core.fetch.asked.take() {
            cx.run(Effect::CancelHttp(id));
        }
        if cx.core.halt.take().is_some() || !cx.core.fetch.settled {
            // So that a start asks again.
            cx.core.fetch.url.clear();
        }
        cx.core.unsettled = None;
        cx.core.deadline = None;
        let mounted = matches!(self, Stage::Panel(_));
        *self = Stage::Stopped;
        if forget {
            cx.forget();
        } else if mounted && !cx.core.is_headless() {
            cx.core.record.open = false;
            cx.store();
        }
        cx.run(Effect::Unmount);
    }

    fn start_again(&mut self, cx: &mut Cx<'_>) {
        *self = Stage::Waiting(Vec::new());
        cx.core.fetch.backoff.succeed();
        self.start(None, cx);
        // A call that starts the widget again has waited long enough: the look may follow.
        if cx.core.config.key().is_some() {
            self.show_launcher(cx);
        }
    }

    fn stored_elsewhere(&mut self, record: Option<String>, cx: &mut Cx<'_>) {
        match (record.map(|record| Stored::read(&record)), &mut *self) {
            (Some(stored), Stage::Panel(panel)) => panel.stored_elsewhere(stored, cx),
            (Some(stored), Stage::Launcher | Stage::Waiting(_)) => cx.core.record = stored,
            // Another tab has reset: this one forgets too. Its page has not asked for the button to go, so that stays.
            (None, Stage::Panel(panel)) => {
                panel.revoke(cx);
                panel.stop(cx);
                cx.forget();
                cx.run(Effect::Unmount);
                *self = Stage::Launcher;
                cx.render();
            }
            (None, Stage::Launcher | Stage::Waiting(_)) => cx.forget(),
            (_, Stage::Asleep(_) | Stage::Hidden | Stage::Stopped) => {}
        }
    }
}

/// Needs no config, and is done at once where nothing waits before it.
fn at_once(command: &Command) -> bool {
    use Command::{Escalate, Identify, Off, On};
    matches!(
        command,
        On { .. } | Off { .. } | Identify(_) | Escalate { .. }
    )
}

/// Why nothing is drawn, and a call does nothing.
pub(super) const SWITCHED_OFF: &str =
    "the widget is switched off for this agent: its owner can switch it on";

fn queue_full(cx: &mut Cx<'_>) {
    cx.warn_once(
        QUEUE_FULL,
        "more than 1,000 calls wait for init; later ones are dropped",
    );
}
