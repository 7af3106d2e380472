//! Who the visitor is: `identify` before, during and after a session, what a token says about it, and the change of user.
//!
//! A failed proof never becomes a guest; a proof that works once is sent once. Whose a conversation is decides whether it goes on
//! ([`owner`]): the same user's does, with refreshed claims; another's ends, and none of its lines stays on screen or in storage.

use super::core::{Core, Cx};
use super::link::{Link, Purpose};
use super::panel::Panel;
use crate::engine::command::{Identity, Secret};
use crate::engine::config::Field;
use crate::engine::effect::{Body, Effect, Expect, Method, Stored};
use crate::engine::json::Json;
use crate::engine::session::owner::{self, GUEST, UNKNOWN};
use crate::engine::text::cut::cut;
use crate::engine::view_model::ItemState;
use karta_protocol::ErrorCode;

/// Codes that another identity may heal.
const ABOUT_IDENTITY: [&str; 7] = [
    ErrorCode::GuestNotAllowed.as_str(),
    ErrorCode::UserNotAllowed.as_str(),
    ErrorCode::IdentityInvalid.as_str(),
    ErrorCode::IdentityMismatch.as_str(),
    ErrorCode::TokenExpired.as_str(),
    ErrorCode::TokenInvalid.as_str(),
    ErrorCode::TokenUsed.as_str(),
];

fn heals(code: &str) -> bool {
    ABOUT_IDENTITY.contains(&code)
}

impl Core {
    /// The page says who its visitor is. False: it says the same as before, as some pages do at every step.
    pub fn identify(&mut self, identity: Identity) -> bool {
        let said = |before: &Identity| {
            before.user_id == identity.user_id
                && before.identity_token == identity.identity_token
                && before.user_token == identity.user_token
        };
        let news = !self.identity.as_ref().is_some_and(said);
        let locked = self.halt.is_some_and(heals);
        self.identity = Some(identity);
        self.spent &= !news && !locked;
        news || locked
    }

    pub fn has_proof(&self) -> bool {
        self.identity.as_ref().is_some_and(Identity::has_proof)
    }

    pub fn expected_owner(&self) -> String {
        owner::expected(self.identity.as_ref())
    }

    /// What [`Effect::HandOn`] keeps of a login: the user token that it was got for, which works once, and the session token.
    pub fn hand_on(&self, session_token: &str) -> Option<Effect> {
        let user_token = self.identity.as_ref()?.user_token.as_ref()?;
        Some(Effect::HandOn(
            [&user_token.0, "\n", session_token].concat(),
        ))
    }

    /// The login that an instance before this one, which crashed, had got for the same user token.
    fn inherit(&mut self) -> Option<Secret> {
        let user_token = self.identity.as_ref()?.user_token.as_ref()?;
        let (known, login) = cut(&self.login, b'\n');
        if known != user_token.0 {
            return None;
        }
        let login = Secret(String::from(login));
        self.login.clear();
        self.spent = true;
        Some(login)
    }

    /// Whether the panel may come back by itself after a reload. Not a user's for a guest: the page may be about to identify.
    pub fn may_resume(&self) -> bool {
        let expected = self.expected_owner();
        [GUEST, &expected].contains(&self.record.owner.as_str()) || expected == UNKNOWN
    }

    /// From here on the record is this owner's: what storage holds for them, or nothing.
    pub fn claim(&mut self, owner: String) {
        if self.record.owner == owner {
            return;
        }
        if self.record.owner == GUEST && owner::is_named_guest(&owner) {
            self.record.owner = owner;
            return;
        }
        let open = self.record.open;
        self.choose_record();
        if self.record.owner != owner {
            self.record = Stored {
                owner,
                ..Stored::default()
            };
        }
        self.record.open = open;
    }
}

impl Panel {
    /// The page has called `identify` while the panel is there.
    pub fn identified(&mut self, cx: &mut Cx<'_>) {
        let (was, now) = (cx.core.record.owner.clone(), cx.core.expected_owner());
        // Nothing was ever said to the server: what is on screen is what the visitor is about to say.
        let unheard = was == GUEST && !self.link.token.was_granted() && !self.link.resumes(cx.core);
        let named = was == GUEST && owner::is_named_guest(&now);
        // The server's answer tells which user it is.
        let told_later = now == UNKNOWN && owner::is_confirmed(&was);
        let same = was == now || was == UNKNOWN || unheard || named || told_later;
        if same && !told_later {
            cx.core.claim(now);
            self.restore(cx);
        } else if !same {
            self.start_afresh(now, cx);
        }
        self.renew(cx);
        self.tell_connection(cx);
    }

    /// A token for what the page says now. The session goes on with the old one until it is there.
    fn renew(&mut self, cx: &mut Cx<'_>) {
        if cx.core.halt.is_some_and(heals) {
            cx.core.halt = None;
            for message in self.outbox.messages() {
                self.log.mark_own(&message.client_id, ItemState::Sending);
            }
        }
        if self.limit.is_some() {
            self.unlock(cx);
        }
        self.cancel(&Purpose::Mint, cx);
        self.cancel(&Purpose::Refresh, cx);
        self.link.token.renew();
        self.release(cx);
        cx.render();
        self.drive(cx);
    }

    /// Another user: the session ends, and nothing of it stays.
    fn start_afresh(&mut self, owner: String, cx: &mut Cx<'_>) {
        self.revoke(cx);
        self.stop(cx);
        let link = Link {
            told: self.link.told,
            ..Link::default()
        };
        *self = Panel {
            open: self.open,
            unread_told: self.unread_told,
            link,
            ..Panel::default()
        };
        cx.core.record = Stored {
            owner: String::from(UNKNOWN),
            open: self.open && !cx.core.is_headless(),
            ..Stored::default()
        };
        cx.keep(None);
        cx.core.claim(owner);
        self.log.greet(cx.core.config.get(Field::Greeting));
        self.tell_unread(cx);
        cx.render();
    }

    /// Asks for a token: with the proof, or as a guest where the page gave none.
    pub fn mint(&mut self, cx: &mut Cx<'_>) {
        if let Some(login) = cx.core.inherit() {
            self.link.token.inherited(login.clone());
            return self.refresh(login, cx);
        }
        let Some(client_key) = cx.core.config.key() else {
            return;
        };
        let body = Json::default()
            .text("client_key", client_key)
            .maybe("agent_id", cx.core.config.agent());
        let identity = cx.core.identity.as_ref();
        let user_id = identity.and_then(|identity| identity.user_id.as_deref());
        let (path, body) = match identity.filter(|identity| identity.has_proof()) {
            None => {
                let visitor_id = cx.core.record.visitor_id.as_deref();
                let body = body.maybe("visitor_id", visitor_id);
                ("/auth/guest", body.maybe("user_label", user_id))
            }
            Some(identity) => match (&identity.user_token, &identity.identity_token) {
                // It works once, and this one has.
                (Some(_), _) if cx.core.spent => {
                    return self.halted(ErrorCode::TokenExpired.as_str(), "", cx);
                }
                (Some(token), _) => ("/auth/exchange", body.text("user_token", &token.0)),
                (None, token) => {
                    let token = token.as_ref().map(|token| token.0.as_str());
                    let body = body.maybe("user_id", user_id);
                    ("/auth/exchange", body.maybe("identity_token", token))
                }
            },
        };
        self.ask(Purpose::Mint, path, Body::Json(body), cx);
    }

    /// The server has confirmed who it is.
    pub fn confirmed(&mut self, user_id: &str, cx: &mut Cx<'_>) {
        let owner = owner::confirmed(user_id);
        let was = &cx.core.record.owner;
        if *was == UNKNOWN {
            cx.core.claim(owner);
            self.restore(cx);
        } else if *was != owner {
            self.start_afresh(owner, cx);
        }
    }

    /// Ends the login on the server, as far as it can still be reached, and with it whatever the login has open there. Before [`Panel::stop`]: a peer's
    /// goodbye would be refused if the two overtook each other, and the browser would complain about it in the page's console.
    pub fn revoke(&mut self, cx: &mut Cx<'_>) {
        if let Some(token) = std::mem::take(&mut self.link.token).any() {
            let (url, token) = (cx.url("/auth/revoke"), Some(token.clone()));
            cx.http(Method::Post, url, token, Body::None, Expect::Nothing, true);
        }
    }
}
