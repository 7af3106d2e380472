//! The engine against a model server on a bad network: requests fail before or after they took effect, answers come late, twice or
//! never, streams and channels break anywhere, the page is hidden and restored. Whatever happened: when the network is good
//! again, both sides have the same conversation, each message once and in the order of writing.

use super::fake::*;
use crate::engine::command::{Command, Secret};
use crate::engine::effect::{Effect, Expect, HttpRequest, Id, Reply};
use crate::engine::event::EventName;
use crate::engine::machine::{Boot, Msg, Ui};
use crate::engine::view_model::{ItemState, Role};
use karta_protocol::{ClientEvent, EventType, SessionEvent};
use proptest::prelude::*;
use std::collections::{HashSet, VecDeque};

#[derive(Clone, Debug)]
enum Step {
    Say,
    /// The request under way at this index, modulo how many there are.
    Answer(usize, Fate),
    /// Frames to the newest stream or channel.
    Stream(usize),
    Channel(usize),
    StreamBreaks,
    PeerProceeds,
    PeerBreaks,
    AgentProceeds,
    AgentRestarts,
    Advance(u64),
    Send(u8),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    ArrivesTwice,
    /// The server does it, but its answer is lost.
    AnswerLost,
    /// It never gets there.
    Lost,
    Unauthorised,
    TooMany,
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        6 => Just(Fate::Arrives),
        1 => Just(Fate::ArrivesTwice),
        2 => Just(Fate::AnswerLost),
        2 => Just(Fate::Lost),
        1 => Just(Fate::Unauthorised),
        1 => Just(Fate::TooMany),
    ];
    prop_oneof![
        4 => Just(Step::Say),
        8 => (0..4_usize, fate).prop_map(|(at, fate)| Step::Answer(at, fate)),
        5 => (1..6_usize).prop_map(Step::Stream),
        5 => (1..6_usize).prop_map(Step::Channel),
        1 => Just(Step::StreamBreaks),
        4 => Just(Step::PeerProceeds),
        1 => Just(Step::PeerBreaks),
        4 => Just(Step::AgentProceeds),
        1 => Just(Step::AgentRestarts),
        4 => (0..20_000_u64).prop_map(Step::Advance),
        2 => (0..8_u8).prop_map(Step::Send),
    ]
}

/// What the server of the model holds: one session.
#[derive(Default)]
struct Server {
    log: Vec<SessionEvent>,
    part: Option<(String, String)>,
    parts: u32,
}

impl Server {
    fn commit(&mut self, mut event: SessionEvent) -> SessionEvent {
        event.seq = Some(self.log.len() as u64 + 1);
        self.log.push(event.clone());
        event
    }

    /// None: known already.
    fn take(&mut self, event: &ClientEvent) -> Option<SessionEvent> {
        let known = self
            .log
            .iter()
            .any(|have| have.id.is_some() && have.id == event.id);
        if event.kind != "user.message" || known {
            return None;
        }
        Some(self.commit(SessionEvent {
            kind: EventType::UserMessage,
            id: event.id.clone(),
            text: event.text.clone(),
            ..SessionEvent::default()
        }))
    }

    fn subscribe(&self, after: u64) -> VecDeque<SessionEvent> {
        let mut frames: VecDeque<SessionEvent> =
            self.log.iter().skip(after as usize).cloned().collect();
        if let Some((part, text)) = &self.part {
            frames.push_back(delta(part, 0, text));
        }
        frames.push_back(SessionEvent {
            part_id: self.part.as_ref().map(|(part, _)| part.clone()),
            ..synced(self.log.len() as u64)
        });
        frames
    }
}

struct Sim {
    world: World,
    server: Server,
    read: usize,
    said: Vec<String>,
    requests: Vec<HttpRequest>,
    stream: Option<(Id, VecDeque<SessionEvent>)>,
    peer: Option<(Id, PeerAt)>,
    channel: VecDeque<SessionEvent>,
}

#[derive(Clone, Copy, PartialEq)]
enum PeerAt {
    Opened,
    Offered,
    Answered,
    Channel,
}

impl Sim {
    fn new(webrtc: bool) -> Sim {
        let boot = Boot { webrtc, ..boot() };
        let mut sim = Sim {
            world: World::new(boot),
            server: Server::default(),
            read: 0,
            said: Vec::new(),
            requests: Vec::new(),
            stream: None,
            peer: None,
            channel: VecDeque::new(),
        };
        sim.send(Msg::Command(Command::Open));
        sim
    }

    fn send(&mut self, msg: Msg) {
        self.world.send(msg);
        self.carry_out();
    }

    /// Takes the new effects over into the model of the network.
    fn carry_out(&mut self) {
        let fresh = self
            .world
            .effects()
            .get(self.read..)
            .unwrap_or_default()
            .to_vec();
        self.read = self.world.effects().len();
        for effect in fresh {
            match effect {
                Effect::Http(request) => self.requests.push(*request),
                Effect::CancelHttp(id) => self.requests.retain(|request| request.id != id),
                Effect::OpenStream { id, url, .. } => {
                    let after = url.rsplit('=').next().and_then(|after| after.parse().ok());
                    let frames = self
                        .server
                        .subscribe(after.expect("the url ends with the cursor"));
                    assert!(self.stream.is_none(), "one stream at a time");
                    self.stream = Some((id, frames));
                }
                Effect::CloseStream(id) => {
                    assert_eq!(self.stream.as_ref().map(|(have, _)| *have), Some(id));
                    self.stream = None;
                }
                Effect::OpenPeer { id, .. } => {
                    assert!(self.peer.is_none(), "one peer at a time");
                    self.peer = Some((id, PeerAt::Opened));
                    self.channel.clear();
                }
                Effect::AnswerPeer { id, .. } => {
                    assert_eq!(self.peer.map(|(have, _)| have), Some(id));
                    self.peer = Some((id, PeerAt::Answered));
                }
                Effect::ClosePeer(_) => self.peer = None,
                Effect::SendFrame { event, .. } => self.framed(&client_event(&event)),
                _ => {}
            }
        }
        let mut keys = HashSet::new();
        for item in self.world.items() {
            assert!(keys.insert(item.key), "keys are unique");
        }
    }

    fn framed(&mut self, event: &ClientEvent) {
        match event.kind.as_str() {
            "hello" => self.channel = self.server.subscribe(event.after.unwrap_or(0)),
            "ping" => self.channel.push_back(bare(EventType::Pong, 0)),
            _ => {
                let committed = self.server.take(event);
                self.publish(committed);
            }
        }
    }

    fn publish(&mut self, event: impl IntoIterator<Item = SessionEvent>) {
        for event in event {
            if let Some((_, frames)) = &mut self.stream {
                frames.push_back(event.clone());
            }
            if self.peer.is_some_and(|(_, at)| at == PeerAt::Channel) {
                self.channel.push_back(event);
            }
        }
    }

    fn answer(&mut self, request: &HttpRequest, fate: Fate) {
        if matches!(fate, Fate::Arrives | Fate::ArrivesTwice | Fate::AnswerLost)
            && request.url.ends_with("/events")
        {
            let committed = self.server.take(&posted(request));
            self.publish(committed);
        }
        let reply = match request.expect {
            Expect::Token => token("t"),
            Expect::Session => session_info("s_1", self.server.log.len() as u64),
            Expect::Answer => Reply::Answer {
                sdp: String::new(),
                location: "/x".into(),
                link: Secret::default(),
            },
            _ => Reply::Nothing,
        };
        let result = match fate {
            Fate::Arrives | Fate::ArrivesTwice => Ok(reply),
            Fate::AnswerLost | Fate::Lost => Err(network()),
            Fate::Unauthorised if request.token.is_some() => Err(failure(401, "token_expired")),
            Fate::Unauthorised => Err(network()),
            Fate::TooMany => Err(retry_after(429, "rate_limited", 2)),
        };
        let id = request.id;
        if let Fate::ArrivesTwice = fate {
            self.send(Msg::HttpReplied {
                id,
                result: result.clone(),
            });
        }
        self.send(Msg::HttpReplied { id, result });
    }

    fn answer_at(&mut self, at: usize, fate: Fate) {
        if !self.requests.is_empty() {
            let request = self.requests.remove(at % self.requests.len());
            self.answer(&request, fate);
        }
    }

    fn stream_gives(&mut self, count: usize) {
        for _ in 0..count {
            let Some((id, frames)) = &mut self.stream else {
                return;
            };
            let (id, event) = (*id, frames.pop_front());
            match event {
                Some(event) => self.send(Msg::StreamFrame {
                    id,
                    event: Box::new(event),
                }),
                None => self.send(Msg::StreamOpened { id }),
            }
        }
    }

    fn channel_gives(&mut self, count: usize) {
        for _ in 0..count {
            let (Some((id, PeerAt::Channel)), Some(event)) = (self.peer, self.channel.pop_front())
            else {
                return;
            };
            self.send(Msg::ChannelFrame {
                id,
                event: Box::new(event),
            });
        }
    }

    fn peer_proceeds(&mut self) {
        match self.peer {
            Some((id, PeerAt::Opened)) => {
                self.peer = Some((id, PeerAt::Offered));
                self.send(Msg::PeerOffered {
                    id,
                    sdp: String::new(),
                });
            }
            Some((id, PeerAt::Answered)) => {
                self.peer = Some((id, PeerAt::Channel));
                self.send(Msg::ChannelOpened { id });
            }
            Some((_, PeerAt::Offered | PeerAt::Channel)) | None => {}
        }
    }

    /// One more piece of an answer, or its end.
    fn agent_proceeds(&mut self) {
        match self.server.part.take() {
            None => {
                self.server.parts += 1;
                let part = format!("part_{}", self.server.parts);
                let running = self.server.commit(bare(EventType::StatusRunning, 0));
                self.publish([running, delta(&part, 0, "wört")]);
                self.server.part = Some((part, "wört".into()));
            }
            Some((part, text)) if text.len() < 15 => {
                self.publish([delta(&part, text.len() as u64, " more")]);
                self.server.part = Some((part, text + " more"));
            }
            Some((part, text)) => {
                let complete = self.server.commit(SessionEvent {
                    part_id: Some(part),
                    text: Some(text),
                    ..bare(EventType::AgentMessage, 0)
                });
                let idle = self.server.commit(bare(EventType::StatusIdle, 0));
                self.publish([complete, idle]);
            }
        }
    }

    /// The server crashes: connections break, and the turn runs again as another part.
    fn agent_restarts(&mut self) {
        if self.server.part.is_some() {
            self.server.parts += 1;
            self.server.part = Some((format!("part_{}", self.server.parts), String::from("Neu")));
        }
        self.stream_breaks();
        self.peer_breaks();
    }

    fn stream_breaks(&mut self) {
        if let Some((id, _)) = self.stream.take() {
            self.send(Msg::StreamClosed {
                id,
                failure: network(),
            });
        }
    }

    fn peer_breaks(&mut self) {
        if let Some((id, _)) = self.peer.take() {
            self.send(Msg::PeerClosed {
                id,
                reason: "failed",
            });
        }
    }

    fn advance(&mut self, ms: u64) {
        // In slices, as effects of timers have to reach the network model in time.
        for _ in 0..ms.div_ceil(1_000) {
            self.world.advance(1_000);
            self.carry_out();
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Say => {
                let text = format!("message {}", self.said.len());
                let before = self.world.items().len();
                self.send(Msg::Ui(Ui::Submitted(text.clone())));
                if self.world.items().len() > before {
                    self.said.push(text);
                }
            }
            Step::Answer(at, fate) => self.answer_at(at, fate),
            Step::Stream(count) => self.stream_gives(count),
            Step::Channel(count) => self.channel_gives(count),
            Step::StreamBreaks => self.stream_breaks(),
            Step::PeerProceeds => self.peer_proceeds(),
            Step::PeerBreaks => self.peer_breaks(),
            Step::AgentProceeds => self.agent_proceeds(),
            Step::AgentRestarts => self.agent_restarts(),
            Step::Advance(ms) => self.advance(ms),
            Step::Send(which) => self.send(match which {
                0 => Msg::Online,
                1 => Msg::Offline,
                2 => Msg::Visible,
                3 => Msg::PageHidden,
                4 => Msg::PageRestored,
                5 => Msg::Ui(Ui::RetryPressed),
                6 => Msg::Command(Command::Toggle),
                _ => Msg::Ui(Ui::StopPressed),
            }),
        }
    }

    /// The network is good from here on.
    fn heal(&mut self) {
        self.send(Msg::PageRestored);
        self.send(Msg::Online);
        for _ in 0..120 {
            while !self.requests.is_empty() {
                self.answer_at(0, Fate::Arrives);
            }
            self.peer_proceeds();
            self.stream_gives(50);
            self.channel_gives(50);
            self.advance(1_000);
        }
    }

    fn check(&self) {
        let log: Vec<&str> = texts(&self.server.log, EventType::UserMessage);
        assert_eq!(log, self.said, "the server has each message once, in order");
        let both =
            self.server.log.iter().filter(|event| {
                matches!(event.kind, EventType::UserMessage | EventType::AgentMessage)
            });
        let mut expected: Vec<&str> = both.filter_map(|event| event.text.as_deref()).collect();
        let open = self.server.part.as_ref().map(|(_, text)| text.as_str());
        let mut shown: Vec<&str> = self.world.lines();
        if let Some(open) = open {
            let at = self
                .world
                .items()
                .iter()
                .position(|item| item.state == ItemState::Streaming);
            let at = at.expect("the running part is shown");
            assert_eq!(self.world.items()[at].text, open);
            shown.remove(at - 1);
        }
        // A part stays where it first appeared, so its place among the messages may be earlier than its seq says; the
        // visitor's lines and the agent's are each in the order of the log.
        let own = |role: Role| {
            let items = self
                .world
                .items()
                .iter()
                .filter(move |item| item.role == role);
            items
                .filter(|item| item.state != ItemState::Streaming && item.text != "Hello!")
                .map(|item| item.text.as_str())
        };
        assert_eq!(own(Role::User).collect::<Vec<_>>(), self.said);
        assert_eq!(
            own(Role::Agent).collect::<Vec<_>>(),
            texts(&self.server.log, EventType::AgentMessage),
            "{:#?}",
            self.world.items()
        );
        expected.sort_unstable();
        shown.sort_unstable();
        assert_eq!(shown, expected);
        assert!(
            self.world
                .items()
                .iter()
                .all(|item| !matches!(item.state, ItemState::Sending | ItemState::Failed))
        );
        let ready = self
            .world
            .events()
            .iter()
            .filter(|event| event.name == EventName::Ready)
            .count();
        assert_eq!(ready, 1);
        let received = self
            .world
            .event_names()
            .iter()
            .filter(|name| **name == "message:received")
            .count();
        assert!(received <= texts(&self.server.log, EventType::AgentMessage).len());
        assert_eq!(
            self.world.stored().map(|record| record.outbox.len()),
            Some(0)
        );
    }
}

fn texts(log: &[SessionEvent], kind: EventType) -> Vec<&str> {
    let of_kind = log.iter().filter(|event| event.kind == kind);
    of_kind.filter_map(|event| event.text.as_deref()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conversation_survives_a_bad_network(webrtc: bool, steps in prop::collection::vec(step(), 1..120)) {
        let mut sim = Sim::new(webrtc);
        for step in steps {
            sim.run(step);
        }
        sim.heal();
        sim.check();
    }
}

// ── anything at all ──────────────────────────────────────────────────────────────────────────────────────────────────────
