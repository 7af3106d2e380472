//! The fake edge: journals every effect, keeps timers by hand, and answers only when a test says so.

mod answers;

pub use answers::*;

use crate::engine::command::{CallbackId, Command};
use crate::engine::config::{Layer, Source};
use crate::engine::effect::{
    Effect, Failure, HttpRequest, IceServer, Id, Millis, Reply, Stored, Timer,
};
use crate::engine::event::{EventName, HostEvent};
use crate::engine::machine::{Boot, Machine, Msg, Ui};
use crate::engine::raw::Raw;
use crate::engine::shell::{self, Edge};
use crate::engine::view_model::{Item, PanelView};
use karta_protocol::{AgentProfile, ClientEvent, Features, SessionEvent, WidgetConfig};

pub const KEY: &str = "pk_live_test";
pub const ORIGIN: &str = "https://chat.test";

/// Carries effects out by writing them down.
#[derive(Default)]
struct Journal {
    now: Millis,
    effects: Vec<Effect>,
    timers: Vec<(Timer, Millis)>,
    stored: Vec<(String, Stored)>,
}

impl Edge for Journal {
    fn now(&self) -> Millis {
        self.now
    }

    fn run(&mut self, effect: &Effect, machine: &Machine) {
        match effect {
            Effect::SetTimer { timer, delay_ms } => {
                self.timers.retain(|(have, _)| have != timer);
                self.timers.push((*timer, self.now + delay_ms));
            }
            Effect::ClearTimer(timer) => self.timers.retain(|(have, _)| have != timer),
            Effect::Store { key, record } => {
                self.stored.retain(|(have, _)| have != key);
                let record = record.as_ref().map(|record| Stored::read(record));
                self.stored
                    .extend(record.map(|record| (key.clone(), record)));
            }
            Effect::Render => drop(machine.view()),
            _ => {}
        }
        self.effects.push(effect.clone());
    }
}

pub struct World {
    machine: Machine,
    edge: Journal,
}

/// A page with a tag, WebRTC off, config already there. Tests change what they are about.
pub fn boot() -> Boot {
    Boot {
        attributes: tag(&[("data-embed-key", KEY)]),
        script_origin: ORIGIN.into(),
        prefetched: Some((config_url(), Ok(Box::new(config())))),
        languages: vec!["en".into()],
        entropy: 42,
        online: true,
        ..Boot::default()
    }
}

pub fn config_url() -> String {
    format!("{ORIGIN}/api/v1/widget/config?client_key={KEY}")
}

pub fn config() -> Layer {
    server_layer(&server(true))
}

/// A page and an agent that can be talked to.
pub fn talkable() -> Boot {
    let mut config = server(true);
    config.features.voice = true;
    Boot {
        webrtc: true,
        microphone: true,
        prefetched: Some((config_url(), Ok(Box::new(server_layer(&config))))),
        ..boot()
    }
}

/// The owner has switched the widget off.
pub fn switched_off() -> Layer {
    server_layer(&server(false))
}

fn server(widget_enabled: bool) -> WidgetConfig {
    WidgetConfig {
        agent: AgentProfile {
            name: "Beans".into(),
            greeting: Some("Hello!".into()),
            suggested_prompts: vec!["Opening hours?".into()],
            ..AgentProfile::default()
        },
        features: Features {
            widget_enabled,
            ..Features::default()
        },
        ..WidgetConfig::default()
    }
}

/// As the browser layer reads what the server sends.
pub fn server_layer(config: &WidgetConfig) -> Layer {
    let config = serde_json::to_value(config).expect("the server can write it");
    Layer::read(Source::Server, &raw(&config))
}

/// A script tag's settings.
pub fn tag(pairs: &[(&str, &str)]) -> Layer {
    layer(Source::Attributes, pairs)
}

/// `theme.accent` stands in `theme`.
pub fn init(pairs: &[(&str, &str)]) -> Command {
    Command::Init(Box::new(layer(Source::Init, pairs)))
}

pub fn update(pairs: &[(&str, &str)]) -> Command {
    Command::Update(Box::new(layer(Source::Update, pairs)))
}

fn layer(source: Source, pairs: &[(&str, &str)]) -> Layer {
    let mut all = serde_json::json!({});
    for (name, value) in pairs {
        match name.strip_prefix("theme.") {
            Some(name) => all["theme"][name] = (*value).into(),
            None => all[*name] = (*value).into(),
        }
    }
    Layer::read(source, &raw(&all))
}

pub fn raw(value: &serde_json::Value) -> Raw {
    use serde_json::Value;
    match value {
        Value::Null => Raw::Null,
        Value::Bool(truth) => Raw::Bool(*truth),
        Value::Number(number) => Raw::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Raw::Text(text.clone()),
        Value::Array(list) => Raw::List(list.iter().map(raw).collect()),
        Value::Object(entries) => Raw::Object(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), raw(value)))
                .collect(),
        ),
    }
}

impl World {
    /// Boots and subscribes to every event.
    pub fn new(boot: Boot) -> World {
        let mut world = World {
            machine: Machine::new(),
            edge: Journal {
                stored: boot
                    .stored
                    .iter()
                    .map(|(key, record)| (key.clone(), Stored::read(record)))
                    .collect(),
                ..Journal::default()
            },
        };
        world.send(Msg::Booted(Box::new(boot)));
        for (event, _) in EventName::ALL {
            world.call(Command::On {
                event,
                callback: CallbackId(0),
                once: false,
            });
        }
        // The page's waiting calls are made.
        world.advance(0);
        world
    }

    /// A panel that is open and has its token and session, the stream live and in step.
    pub fn chatting() -> World {
        Self::chatting_with(boot())
    }

    pub fn chatting_with(boot: Boot) -> World {
        let mut world = World::new(boot);
        world.open();
        world.begin_session("s_1", 0);
        world.stream_in_step(0);
        world.forget_effects();
        world
    }

    /// Answers guest and session.
    pub fn begin_session(&mut self, session: &str, last_seq: u64) {
        self.reply_ok("/auth/guest", token("t_1"));
        self.reply_ok("/sessions", session_info(session, last_seq));
    }

    pub fn stream_in_step(&mut self, seq: u64) {
        let id = self.stream();
        self.send(Msg::StreamOpened { id });
        self.frame(synced(seq));
    }

    // ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    pub fn send(&mut self, msg: Msg) {
        shell::step(&mut self.machine, msg, &mut self.edge);
    }

    pub fn call(&mut self, command: Command) {
        self.send(Msg::Command(command));
    }

    pub fn open(&mut self) {
        self.call(Command::Open);
    }

    pub fn say(&mut self, text: &str) {
        self.send(Msg::Ui(Ui::Submitted(text.into())));
    }

    pub fn reply(&mut self, id: Id, result: Result<Reply, Failure>) {
        self.send(Msg::HttpReplied { id, result });
    }

    /// Answers the newest request to this path.
    pub fn reply_ok(&mut self, path: &str, reply: Reply) {
        let id = self.request(path).id;
        self.reply(id, Ok(reply));
    }

    pub fn reply_err(&mut self, path: &str, failure: Failure) {
        let id = self.request(path).id;
        self.reply(id, Err(failure));
    }

    /// A frame on the newest stream.
    pub fn frame(&mut self, event: SessionEvent) {
        let id = self.stream();
        let event = Box::new(event);
        self.send(Msg::StreamFrame { id, event });
    }

    /// A frame on the newest peer's channel.
    pub fn channel(&mut self, event: SessionEvent) {
        let id = self.peer();
        let event = Box::new(event);
        self.send(Msg::ChannelFrame { id, event });
    }

    pub fn now(&self) -> Millis {
        self.edge.now
    }

    /// Moves the clock, firing timers on the way.
    pub fn advance(&mut self, ms: Millis) {
        let end = self.edge.now + ms;
        while let Some((timer, at)) = self.next_timer().filter(|(_, at)| *at <= end) {
            self.edge.now = at.max(self.edge.now);
            self.edge.timers.retain(|(have, _)| *have != timer);
            self.send(Msg::TimerFired(timer));
        }
        self.edge.now = end;
    }

    fn next_timer(&self) -> Option<(Timer, Millis)> {
        self.edge.timers.iter().copied().min_by_key(|(_, at)| *at)
    }

    pub fn timer(&self, timer: Timer) -> Option<Millis> {
        let found = self.edge.timers.iter().find(|(have, _)| *have == timer);
        found.map(|(_, at)| at - self.edge.now)
    }

    pub fn timers(&self) -> usize {
        self.edge.timers.len()
    }

    // ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    pub fn effects(&self) -> &[Effect] {
        &self.edge.effects
    }

    /// What happened from here on is what the next assertion is about.
    pub fn forget_effects(&mut self) {
        self.edge.effects.clear();
    }

    pub fn requests(&self, path: &str) -> Vec<HttpRequest> {
        let path = format!("/api/v1/widget{path}");
        self.edge
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Http(request)
                    if request
                        .url
                        .strip_prefix(ORIGIN)
                        .is_some_and(|url| url.starts_with(&path)) =>
                {
                    Some((**request).clone())
                }
                _ => None,
            })
            .filter(|request| {
                path != "/api/v1/widget/sessions" || request.url.ends_with("/sessions")
            })
            .collect()
    }

    pub fn request(&self, path: &str) -> HttpRequest {
        match self.requests(path).pop() {
            Some(request) => request,
            None => panic!("no request to {path} in {:#?}", self.edge.effects),
        }
    }

    pub fn stream(&self) -> Id {
        self.stream_url().0
    }

    /// Id and URL of the newest stream.
    pub fn stream_url(&self) -> (Id, String) {
        let streams = self.edge.effects.iter().rev();
        let found = streams.filter_map(|effect| match effect {
            Effect::OpenStream { id, url, .. } => Some((*id, url.clone())),
            _ => None,
        });
        found
            .into_iter()
            .next()
            .or_else(|| self.kept())
            .expect("a stream was opened")
    }

    /// The stream of [`World::chatting`], after its effects were forgotten.
    fn kept(&self) -> Option<(Id, String)> {
        self.machine
            .stream_for_tests()
            .map(|id| (id, String::new()))
    }

    pub fn peer(&self) -> Id {
        let found = self
            .edge
            .effects
            .iter()
            .rev()
            .find_map(|effect| match effect {
                Effect::OpenPeer { id, .. } => Some(*id),
                _ => None,
            });
        found
            .or_else(|| self.machine.peer_for_tests())
            .expect("a peer was opened")
    }

    /// What the last peer was opened with.
    pub fn ice_servers(&self) -> &[IceServer] {
        let opened = self.edge.effects.iter().rev();
        let mut opened = opened.filter_map(|effect| match effect {
            Effect::OpenPeer { ice_servers, .. } => Some(ice_servers.as_slice()),
            _ => None,
        });
        opened.next().expect("a peer was opened")
    }

    /// Payloads of the events of this name, as the page gets them.
    pub fn heard(&self, name: EventName) -> Vec<serde_json::Value> {
        let events = self.events();
        let named = events.iter().filter(|event| event.name == name);
        named
            .map(|event| serde_json::to_value(&event.payload).expect("a payload is JSON"))
            .collect()
    }

    /// What went to the page, in order.
    pub fn events(&self) -> Vec<HostEvent> {
        self.edge
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Call { event, .. } => Some(event.clone()),
                _ => None,
            })
            .collect()
    }

    pub fn event_names(&self) -> Vec<&'static str> {
        let name = |event: &HostEvent| {
            let all = EventName::ALL.iter();
            all.clone()
                .find(|(have, _)| *have == event.name)
                .map_or("", |(_, name)| *name)
        };
        self.events()
            .iter()
            .map(name)
            .filter(|name| *name != "connection")
            .collect()
    }

    pub fn warnings(&self) -> Vec<&'static str> {
        self.edge
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Warn { code, .. } | Effect::Complain { code, .. } => Some(*code),
                _ => None,
            })
            .collect()
    }

    /// Client events that went by the data channel.
    pub fn frames(&self) -> Vec<ClientEvent> {
        self.edge
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::SendFrame { event, .. } => Some(client_event(event)),
                _ => None,
            })
            .collect()
    }

    pub fn count(&self, wanted: impl Fn(&Effect) -> bool) -> usize {
        self.edge
            .effects
            .iter()
            .filter(|effect| wanted(effect))
            .count()
    }

    pub fn stored(&self) -> Option<&Stored> {
        self.edge.stored.first().map(|(_, record)| record)
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    pub fn panel(&self) -> PanelView<'_> {
        self.machine.view().panel.expect("the panel is mounted")
    }

    pub fn has_launcher(&self) -> bool {
        self.machine.view().launcher.is_some()
    }

    pub fn items(&self) -> &[Item] {
        self.panel().items
    }

    /// The conversation without the greeting.
    pub fn lines(&self) -> Vec<&str> {
        let texts = self.items().iter().map(|item| item.text.as_str());
        texts.filter(|text| *text != "Hello!").collect()
    }

    pub fn banner(&self) -> Option<String> {
        self.panel().banner.map(|banner| banner.text.into_owned())
    }
}
