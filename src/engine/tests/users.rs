//! Several users of one browser, at random: they sign in and out, pages reload, answers come late or fail. Whatever happens, nobody sees a
//! line of another, on screen or from storage.

use super::fake::*;
use crate::engine::command::{Command, Identity, Secret};
use crate::engine::effect::{Effect, HttpRequest, Id, Reply};
use crate::engine::machine::{Boot, Msg};
use karta_protocol::TokenReply;
use proptest::prelude::*;
use std::collections::HashMap;

/// Guests, labels and proofs of two users; a user token says only to the server whose it is.
pub fn any_identity() -> impl Strategy<Value = Identity> {
    let users = prop::sample::select(vec!["a", "b"]);
    (users, 0..4_u8, any::<u8>()).prop_map(|(user, kind, number)| match kind {
        0 => Identity {
            user_id: Some(user.into()),
            ..Identity::default()
        },
        1 | 2 => Identity {
            user_id: Some(user.into()),
            identity_token: Some(Secret(format!("proof {number}"))),
            ..Identity::default()
        },
        _ => Identity {
            user_token: Some(Secret(format!("{user} {number}"))),
            ..Identity::default()
        },
    })
}

pub fn user_reply(user_id: &str) -> Reply {
    Reply::Token(TokenReply {
        token: format!("token of {user_id}"),
        expires_in: 600,
        visitor_id: None,
        user_id: Some(user_id.into()),
    })
}

#[derive(Clone, Debug)]
enum Step {
    Identify(Identity),
    Open,
    Say,
    Reset,
    Shutdown,
    /// Another page of the same site; perhaps it identifies at once.
    Reload(Option<Identity>),
    /// The server answers one of the requests: as it should, or not.
    Answer(usize, bool),
    Advance(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any_identity().prop_map(Step::Identify),
        2 => Just(Step::Open),
        3 => Just(Step::Say),
        1 => Just(Step::Reset),
        1 => Just(Step::Shutdown),
        1 => prop::option::of(any_identity()).prop_map(Step::Reload),
        9 => (any::<usize>(), prop::bool::weighted(0.85)).prop_map(|(at, well)| Step::Answer(at, well)),
        1 => (0..90_000_u64).prop_map(Step::Advance),
    ]
}

/// A browser, and a server that has a conversation for each who talks to it.
struct Sim {
    world: World,
    read: usize,
    requests: Vec<HttpRequest>,
    streams: Vec<(Id, String)>,
    /// Token → who holds it.
    holders: HashMap<String, String>,
    guests: u32,
    /// Who the page says it is now; None where only the server can tell.
    page: Option<String>,
}

/// What the page says, in the server's words. A guest with a name may be the same guest as before.
fn named(identity: &Identity) -> Option<String> {
    match (&identity.user_id, identity.has_proof()) {
        (Some(user), true) => Some(format!("user {user}")),
        (Some(user), false) => Some(format!("label {user}")),
        (None, true) => None,
        (None, false) => Some(String::from("guest")),
    }
}

impl Sim {
    fn new() -> Sim {
        Sim {
            world: World::new(boot()),
            read: 0,
            requests: Vec::new(),
            streams: Vec::new(),
            holders: HashMap::new(),
            guests: 0,
            page: Some(String::from("guest")),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Identify(identity) => {
                self.page = named(&identity);
                self.world.call(Command::Identify(Box::new(identity)));
            }
            Step::Open => self.world.open(),
            Step::Say => {
                // Who says it is who the page says it is; a line of nobody in particular proves nothing.
                let who = self.page.clone().unwrap_or_default();
                self.world
                    .call(Command::SendMessage(format!("{who} said it")));
            }
            Step::Reset => {
                self.page = Some(String::from("guest"));
                self.world.call(Command::Reset);
            }
            Step::Shutdown => self.world.call(Command::Shutdown),
            Step::Reload(identity) => self.reload(identity),
            Step::Answer(at, well) => self.answer(at, well),
            Step::Advance(ms) => self.world.advance(ms),
        }
        self.carry_out();
        self.check();
    }

    fn reload(&mut self, identity: Option<Identity>) {
        let stored = self
            .world
            .stored()
            .map(|record| (KEY.into(), record.write()));
        self.world = World::new(Boot {
            stored: stored.into_iter().collect(),
            ..boot()
        });
        (self.read, self.requests, self.streams) = (0, Vec::new(), Vec::new());
        self.page = Some(String::from("guest"));
        if let Some(identity) = identity {
            self.carry_out();
            self.step(Step::Identify(identity));
        }
    }

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
                Effect::OpenStream { id, token, .. } => {
                    let holder = self.holders.get(&token.0).cloned().unwrap_or_default();
                    self.streams.push((id, holder));
                }
                _ => {}
            }
        }
    }

    fn answer(&mut self, at: usize, well: bool) {
        if self.requests.is_empty() {
            return self.stream();
        }
        let request = self.requests.remove(at % self.requests.len());
        if !well {
            return self
                .world
                .reply(request.id, Err(failure(401, "token_used")));
        }
        let path = request.url.rsplit("/widget").next().unwrap_or_default();
        let bearer = request.token.as_ref().map(|token| token.0.clone());
        let holder = bearer.and_then(|token| self.holders.get(&token).cloned());
        let reply = match path {
            "/auth/guest" => {
                self.guests += 1;
                self.grant(format!("guest {}", self.guests), None)
            }
            "/auth/exchange" => {
                let body: karta_protocol::ExchangeRequest = read(body(&request));
                let by_token = body
                    .user_token
                    .as_deref()
                    .and_then(|token| token.split(' ').next());
                let user = body.user_id.as_deref().or(by_token).unwrap_or("a");
                self.grant(format!("user {user}"), Some(user))
            }
            "/auth/refresh" => {
                let body: karta_protocol::RefreshRequest = read(body(&request));
                let holder = self
                    .holders
                    .get(&body.refresh_token)
                    .cloned()
                    .unwrap_or_default();
                let user = holder.strip_prefix("user ").map(String::from);
                self.grant(holder, user.as_deref())
            }
            "/sessions" => session_info(&holder.unwrap_or_default().replace(' ', "_"), 1),
            _ => Reply::Nothing,
        };
        self.world.reply(request.id, Ok(reply));
    }

    fn grant(&mut self, holder: String, user_id: Option<&str>) -> Reply {
        let token = format!("t_{}", self.holders.len());
        self.holders.insert(token.clone(), holder);
        Reply::Token(TokenReply {
            token,
            expires_in: 600,
            visitor_id: user_id.is_none().then(|| String::from("v_1")),
            user_id: user_id.map(String::from),
        })
    }

    /// The history of whoever opened the stream.
    fn stream(&mut self) {
        if let Some((id, holder)) = self.streams.pop() {
            self.world.send(Msg::StreamOpened { id });
            let event = Box::new(user(1, "m_0", &format!("history of {holder}")));
            self.world.send(Msg::StreamFrame { id, event });
        }
    }

    fn check(&self) {
        let Some(page) = &self.page else { return };
        let Some(panel) = self.world.machine().view().panel else {
            return;
        };
        for item in panel.items {
            let foreign = ["user a", "user b", "label a", "label b"]
                .into_iter()
                .filter(|who| who != page)
                .find(|who| item.text.contains(who));
            // Before anything was heard of a server, a name may be added to what is being typed.
            assert_eq!(foreign, None, "{page} sees {:?}", item.text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_sees_a_line_of_another_user(steps in prop::collection::vec(any_step(), 0..60)) {
        let mut sim = Sim::new();
        for step in steps {
            sim.step(step);
        }
    }
}
