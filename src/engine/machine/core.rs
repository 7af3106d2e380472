//! What is true in every phase, and the context that one message is handled in.

use super::bus::Bus;
use crate::engine::command::Identity;
use crate::engine::command::Secret;
use crate::engine::config::{Config, Layers};
use crate::engine::effect::{Body, Effect, Expect, HttpRequest, Id, Method, Millis, Stored, Timer};
use crate::engine::error::Rejection;
use crate::engine::event::{EventName, HostEvent};
use crate::engine::json::Json;
use crate::engine::random::Random;
use crate::engine::session::backoff::Backoff;
use crate::engine::session::owner::UNKNOWN;
use crate::engine::text::{self, Words};
use karta_protocol::API_BASE;

pub(super) struct Core {
    pub script_origin: String,
    pub languages: Vec<String>,
    pub online: bool,
    pub webrtc: bool,
    pub microphone: bool,
    pub random: Random,
    last_id: u32,
    pub layers: Layers,
    pub config: Config,
    /// Of the configuration, as the view wants them.
    pub words: &'static Words,
    pub bus: Bus,
    /// Who the page says the visitor is, for the next session.
    pub identity: Option<Identity>,
    /// Its user token, which works once, has been exchanged.
    pub spent: bool,
    /// A login that an instance before this one got for a user token: the one and then the other. Empty: none.
    pub login: String,
    /// The panel was open for somebody who the page has not named yet.
    pub unresumed: bool,
    /// Every record that storage held, by key, and the one in force.
    pub records: Vec<(String, String)>,
    pub record: Stored,
    pub fetch: Fetch,
    /// The server refuses this page for good: its code.
    pub halt: Option<&'static str>,
    /// From boot until the calls that were already waiting in the page have been made: nobody listens yet.
    pub unsettled: Option<Unsettled>,
    /// When the launcher is drawn without config.
    pub deadline: Option<Millis>,
    /// Warnings that are given once.
    said: Vec<&'static str>,
    /// The screen has to follow.
    pub dirty: bool,
    #[cfg(feature = "headless")]
    pub headless: bool,
}

/// What boot found and the page hears as soon as its waiting calls are made.
#[derive(Default)]
pub(super) struct Unsettled {
    /// Boot itself runs.
    pub booting: bool,
    pub events: Vec<HostEvent>,
    /// The panel was open, or something unsent waits.
    pub resume: bool,
}

/// `GET /config`.
#[derive(Default)]
pub(super) struct Fetch {
    pub url: String,
    pub asked: Option<Id>,
    /// An answer is here: config, or a refusal.
    pub settled: bool,
    /// The answer was that the owner has switched the widget off.
    pub switched_off: bool,
    pub backoff: Backoff,
}

impl Default for Core {
    fn default() -> Self {
        let config = Config::default();
        Core {
            script_origin: String::new(),
            languages: Vec::new(),
            online: true,
            webrtc: false,
            microphone: false,
            random: Random::default(),
            last_id: 0,
            layers: Layers::default(),
            words: text::words(config.locale()),
            config,
            bus: Bus::default(),
            identity: None,
            spent: false,
            login: String::new(),
            unresumed: false,
            records: Vec::new(),
            record: Stored::default(),
            fetch: Fetch::default(),
            halt: None,
            unsettled: None,
            deadline: None,
            said: Vec::new(),
            dirty: false,
            #[cfg(feature = "headless")]
            headless: false,
        }
    }
}

impl Core {
    /// After a change of any layer.
    pub fn resolve(&mut self) {
        self.config = self.layers.resolve(&self.script_origin, &self.languages);
        self.words = text::words(self.config.locale());
        self.dirty = true;
    }

    /// The page draws the conversation by itself. The record's `open` is then the prebuilt panel's, which may be on the same site: neither read nor written.
    #[inline(always)]
    pub fn is_headless(&self) -> bool {
        #[cfg(feature = "headless")]
        return self.headless;
        #[cfg(not(feature = "headless"))]
        false
    }

    /// Takes the record of the key in force.
    pub fn choose_record(&mut self) {
        let key = self.config.key();
        let found = self
            .records
            .iter()
            .find(|(have, _)| Some(have.as_str()) == key);
        self.record = found.map_or_else(Stored::default, |(_, record)| Stored::read(record));
    }
}

/// One message's context: state that is always there, the time, and where effects go.
pub(super) struct Cx<'a> {
    pub core: &'a mut Core,
    pub now: Millis,
    pub out: &'a mut Vec<Effect>,
}

impl Cx<'_> {
    pub fn id(&mut self) -> Id {
        self.core.last_id = self.core.last_id.wrapping_add(1);
        Id(self.core.last_id)
    }

    /// What [`Cx::id`] gives next.
    pub fn next_id(&self) -> Id {
        Id(self.core.last_id.wrapping_add(1))
    }

    // Called from everywhere: one copy each keeps the bundle small.
    #[inline(never)]
    pub fn run(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    /// Address of a call of the server's.
    pub fn url(&self, path: &str) -> String {
        [self.core.config.base_url(), API_BASE, path].concat()
    }

    #[inline(never)]
    pub fn http(
        &mut self,
        method: Method,
        url: String,
        token: Option<Secret>,
        body: Body,
        expect: Expect,
        keepalive: bool,
    ) -> Id {
        let id = self.id();
        self.run(Effect::Http(Box::new(HttpRequest {
            id,
            method,
            url,
            token,
            body,
            expect,
            keepalive,
        })));
        id
    }

    #[inline(never)]
    pub fn emit(&mut self, name: EventName, payload: Json) {
        let event = HostEvent { name, payload };
        if let Some(unsettled) = &mut self.core.unsettled
            && unsettled.booting
        {
            unsettled.events.push(event);
            return;
        }
        let callbacks = self.core.bus.callbacks(name);
        if !callbacks.is_empty() {
            self.run(Effect::Call { callbacks, event });
        }
    }

    /// The `error` event.
    pub fn fail(&mut self, code: &str, message: &str, own: &str) {
        self.emit(EventName::Error, complaint(code, message, own));
    }

    #[inline(never)]
    pub fn timer(&mut self, timer: Timer, delay_ms: u64) {
        self.run(Effect::SetTimer { timer, delay_ms });
    }

    #[inline(never)]
    pub fn clear(&mut self, timer: Timer) {
        self.run(Effect::ClearTimer(timer));
    }

    /// Said by screen readers.
    #[inline(never)]
    pub fn announce(&mut self, words: &str) {
        self.run(Effect::Announce(String::from(words)));
    }

    pub fn render(&mut self) {
        self.core.dirty = true;
    }

    /// Whether somebody listens to `escalate` is part of the state that a page draws.
    #[inline(always)]
    pub fn subscribed(&mut self) {
        if self.core.is_headless() {
            self.render();
        }
    }

    pub fn warn(&mut self, code: &'static str, message: &str) {
        self.out.push(Effect::Warn {
            code,
            message: String::from(message),
        });
    }

    pub fn warn_once(&mut self, code: &'static str, message: &str) {
        if !self.core.said.contains(&code) {
            self.core.said.push(code);
            self.warn(code, message);
        }
    }

    pub fn reject(&mut self, rejections: Vec<Rejection>) {
        for rejection in rejections {
            let Rejection { code, message } = rejection;
            self.out.push(if code == crate::engine::error::SECRET_KEY {
                Effect::Complain { code, message }
            } else {
                Effect::Warn { code, message }
            });
        }
    }

    /// Keeps the record, if it says anything new.
    pub fn store(&mut self) {
        // Before the server has said whose it is, storage keeps what it has.
        if self.core.record.owner != UNKNOWN {
            let record = self.core.record.write();
            self.keep(Some(record));
        }
    }

    /// Forgets visitor, session, identity and what was not sent.
    pub fn forget(&mut self) {
        self.core.record = Stored::default();
        self.core.identity = None;
        self.keep(None);
    }

    pub fn keep(&mut self, record: Option<String>) {
        let Some(key) = self.core.config.key().map(String::from) else {
            return;
        };
        let records = &mut self.core.records;
        let at = records.iter().position(|(have, _)| *have == key);
        let known = at.map(|at| records.swap_remove(at).1);
        let news = known != record;
        if let Some(record) = &record {
            records.push((key.clone(), record.clone()));
        }
        if news {
            self.run(Effect::Store { key, record });
        }
    }
}

/// `{message, code?}`. Empty words and codes are none; `own`: what to say where the server said nothing.
pub(super) fn complaint(code: &str, message: &str, own: &str) -> Json {
    Json::default()
        .text("message", if message.is_empty() { own } else { message })
        .maybe("code", Some(code).filter(|code| !code.is_empty()))
}
