//! Who the visitor is: before, during and after a session; proofs that fail, tokens that work once, and the change of user.

mod change;
mod crash;

use super::fake::*;
use crate::engine::command::{Command, Identity, Secret};
use crate::engine::effect::{Effect, Method, Reply, Stored, Timer};
use crate::engine::event::EventName;
use crate::engine::machine::{Boot, Msg, Ui};
use crate::engine::session::owner;
use crate::engine::view_model::ItemState;
use karta_protocol::{EventType, SessionEvent, TokenReply};
use serde_json::{Value, json};

const EXCHANGE: &str = "/auth/exchange";
const GUEST: &str = "/auth/guest";
const REFRESH: &str = "/auth/refresh";
const EVENTS: &str = "/sessions/s_1/events";

fn label(user_id: &str) -> Identity {
    Identity {
        user_id: Some(user_id.into()),
        ..Identity::default()
    }
}

fn hmac(user_id: &str, proof: &str) -> Identity {
    Identity {
        identity_token: Some(Secret(proof.into())),
        ..label(user_id)
    }
}

fn user_token(token: &str) -> Identity {
    Identity {
        user_token: Some(Secret(token.into())),
        ..Identity::default()
    }
}

fn identify(world: &mut World, identity: Identity) {
    world.call(Command::Identify(Box::new(identity)));
}

fn user(token: &str, user_id: &str) -> Reply {
    Reply::Token(TokenReply {
        token: token.into(),
        expires_in: 600,
        visitor_id: None,
        user_id: Some(user_id.into()),
    })
}

fn sent(world: &World, path: &str) -> Value {
    serde_json::to_value(body(&world.request(path))).expect("a body is JSON")
}

/// Everything that was asked, as `METHOD path`.
fn asked(world: &World) -> Vec<String> {
    let requests = world.requests("");
    let path = |url: &str| url.rsplit("/widget").next().map(String::from);
    requests
        .iter()
        .map(|request| {
            format!(
                "{:?} {}",
                request.method,
                path(&request.url).unwrap_or_default()
            )
        })
        .collect()
}

/// Identified before it opens; the session is there and has one line.
fn chatting_as(identity: Identity, user_id: &str) -> World {
    let mut world = World::new(boot());
    identify(&mut world, identity);
    world.open();
    world.reply_ok(EXCHANGE, user("t_1", user_id));
    world.reply_ok("/sessions", session_info("s_1", 0));
    world.stream_in_step(0);
    world.frame(super::fake::user(1, "m_1", "secret of one"));
    world.forget_effects();
    world
}

/// A guest with one line.
fn chatting_as_guest() -> World {
    let mut world = World::chatting();
    world.frame(super::fake::user(1, "m_1", "secret of one"));
    world.forget_effects();
    world
}

fn nothing_stays(world: &World) {
    assert_eq!(world.lines(), Vec::<&str>::new());
    let stored = format!("{:?}", world.stored());
    assert!(
        !stored.contains("s_1") && !stored.contains("v_1"),
        "{stored}"
    );
}

fn locked_with(world: &World, code: &str) {
    assert!(!world.panel().composer.enabled, "the composer is locked");
    assert!(
        world
            .banner()
            .is_some_and(|words| words.contains("sign in"))
    );
    let told = world.heard(EventName::Error);
    assert!(told.len() == 1 && told[0]["code"] == code, "{told:?}");
    assert_eq!(
        world.warnings(),
        [code_of(code)],
        "the developer is told once"
    );
}

fn code_of(code: &str) -> &'static str {
    let mut codes = karta_protocol::ErrorCode::ALL.iter();
    codes
        .find(|known| known.as_str() == code)
        .expect("a known code")
        .as_str()
}

// ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn each_kind_of_identity_is_asked_for_in_its_way() {
    let v2 = Identity {
        identity_token: Some(Secret("v2.e30.00".into())),
        ..Identity::default()
    };
    let both = Identity {
        user_id: Some("u_1".into()),
        ..user_token("eyJ")
    };
    for (identity, path, expected) in [
        (
            label("u_1"),
            GUEST,
            json!({"client_key": KEY, "user_label": "u_1"}),
        ),
        (
            hmac("u_1", "h"),
            EXCHANGE,
            json!({"client_key": KEY, "user_id": "u_1", "identity_token": "h"}),
        ),
        (
            v2,
            EXCHANGE,
            json!({"client_key": KEY, "identity_token": "v2.e30.00"}),
        ),
        (
            user_token("eyJ"),
            EXCHANGE,
            json!({"client_key": KEY, "user_token": "eyJ"}),
        ),
        (
            both,
            EXCHANGE,
            json!({"client_key": KEY, "user_token": "eyJ"}),
        ),
    ] {
        let mut world = World::new(boot());
        identify(&mut world, identity);
        world.open();
        assert_eq!(sent(&world, path), expected);
    }
}

#[test]
fn too_many_attributes_do_not_cost_the_conversation() {
    let mut world = World::new(boot());
    // All that the browser layer hands over, and what JSON writes longest.
    let much = (0..62).map(|n| (format!("k{n}"), "\u{1}".repeat(64 * 1024)));
    let long = ("n".repeat(64 * 1024), String::new());
    let attributes = [long].into_iter().chain(much);
    let attributes = attributes.chain([("plan".into(), "pro".into())]).collect();
    identify(
        &mut world,
        Identity {
            attributes,
            ..label("u_1")
        },
    );
    world.open();
    world.reply_ok(GUEST, token("t_1"));
    let body = sent(&world, "/sessions");
    assert_eq!(body["metadata"]["attributes"]["plan"], "pro");
    let bytes = body.to_string().len();
    assert!(bytes < 64 * 1024, "{bytes}");
}

#[test]
fn attributes_go_with_the_session() {
    let mut world = World::new(boot());
    let attributes = vec![("plan".into(), "pro".into())];
    identify(
        &mut world,
        Identity {
            attributes,
            ..label("u_1")
        },
    );
    world.open();
    world.reply_ok(GUEST, token("t_1"));
    assert_eq!(
        sent(&world, "/sessions"),
        json!({"metadata": {"attributes": {"plan": "pro"}}})
    );
}

#[test]
fn refresh_follows_the_servers_seconds_and_no_date() {
    let mut world = World::new(boot());
    identify(&mut world, hmac("u_1", "h"));
    world.open();
    world.reply_ok(EXCHANGE, user("t_1", "u_1"));
    assert_eq!(world.timer(Timer::TokenRefresh), Some(480_000));
    world.advance(480_000);
    assert_eq!(
        sent(&world, "/auth/refresh"),
        json!({"refresh_token": "t_1"})
    );
    world.reply_ok("/auth/refresh", user("t_2", "u_1"));
    assert_eq!(world.timer(Timer::TokenRefresh), Some(480_000));
    assert_eq!(world.requests(EXCHANGE).len(), 1, "one proof is enough");
}

// ── proofs that fail ─────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn failed_proof_never_becomes_a_guest() {
    for (status, code) in [
        (401, "identity_invalid"),
        (403, "identity_mismatch"),
        (401, "token_invalid"),
        (401, "token_used"),
        (400, "token_expired"),
    ] {
        let mut world = World::new(boot());
        identify(&mut world, hmac("u_1", "bad"));
        world.open();
        world.say("hi");
        world.reply_err(EXCHANGE, failure(status, code));
        locked_with(&world, code);
        world.advance(10_000_000);
        world.send(Msg::Ui(Ui::RetryPressed));
        world.send(Msg::Online);
        assert_eq!(
            asked(&world),
            ["Post /auth/exchange"],
            "{code}: nothing is tried blindly"
        );
    }
}

#[test]
fn exchange_that_meets_trouble_is_tried_again() {
    let mut world = World::new(boot());
    identify(&mut world, user_token("eyJ"));
    world.open();
    world.reply_err(EXCHANGE, network());
    world.advance(2_000);
    world.reply_err(EXCHANGE, retry_after(429, "rate_limited", 3));
    world.advance(10_000);
    assert_eq!(world.requests(EXCHANGE).len(), 3);
    assert!(world.panel().composer.enabled);
}

#[test]
fn fresh_token_heals_and_what_was_typed_goes_out() {
    for (status, code) in [(401, "token_used"), (400, "token_expired")] {
        let mut world = World::new(boot());
        identify(&mut world, user_token("old"));
        world.open();
        world.say("hi");
        world.reply_err(EXCHANGE, failure(status, code));
        assert_eq!(
            world.items().last().map(|item| item.state),
            Some(ItemState::Failed)
        );
        identify(&mut world, user_token("fresh"));
        assert!(world.panel().composer.enabled);
        assert_eq!(sent(&world, EXCHANGE)["user_token"], "fresh");
        world.reply_ok(EXCHANGE, user("t_1", "u_1"));
        world.reply_ok("/sessions", session_info("s_1", 0));
        assert_eq!(posted(&world.request(EVENTS)).text.as_deref(), Some("hi"));
        assert_eq!(
            world.items().last().map(|item| item.state),
            Some(ItemState::Sending)
        );
    }
}

#[test]
fn guest_that_is_refused_is_healed_by_a_proof() {
    let mut world = World::new(boot());
    world.open();
    world.say("hi");
    world.reply_err(GUEST, failure(403, "guest_not_allowed"));
    locked_with(&world, "guest_not_allowed");
    identify(&mut world, hmac("u_1", "h"));
    world.reply_ok(EXCHANGE, user("t_1", "u_1"));
    world.reply_ok("/sessions", session_info("s_1", 0));
    assert_eq!(posted(&world.request(EVENTS)).text.as_deref(), Some("hi"));
    assert_eq!(world.lines(), ["hi"]);
}

#[test]
fn user_token_is_sent_once_however_its_session_ends() {
    let mut world = chatting_as(user_token("eyJ"), "u_1");
    world.say("hi");
    world.reply_err(EVENTS, failure(401, "token_expired"));
    world.reply_err("/auth/refresh", failure(400, "token_expired"));
    locked_with(&world, "token_expired");
    world.advance(10_000_000);
    assert_eq!(world.requests(EXCHANGE).len(), 0);
    assert_eq!(world.requests(GUEST).len(), 0);
    identify(&mut world, user_token("fresh"));
    world.reply_ok(EXCHANGE, user("t_2", "u_1"));
    assert_eq!(
        world.request(EVENTS).token.map(|token| token.0),
        Some("t_2".into())
    );
    assert_eq!(
        world.lines(),
        ["secret of one", "hi"],
        "the same conversation"
    );
}

#[test]
fn lasting_proof_is_shown_again_when_the_login_is_over() {
    let mut world = chatting_as(hmac("u_1", "h"), "u_1");
    world.say("hi");
    world.reply_err(EVENTS, failure(401, "token_invalid"));
    world.reply_err("/auth/refresh", failure(401, "token_used"));
    assert_eq!(sent(&world, EXCHANGE)["identity_token"], "h");
    world.reply_ok(EXCHANGE, user("t_2", "u_1"));
    assert_eq!(
        world.request(EVENTS).token.map(|token| token.0),
        Some("t_2".into())
    );
}

// ── a login that somebody else ends ──────────────────────────────────────────────────────────────────────────────────────

fn revoked(world: &mut World) {
    world.frame(SessionEvent {
        kind: EventType::Error,
        code: Some("token_invalid".into()),
        ..SessionEvent::default()
    });
    world.reply_err(REFRESH, failure(401, "token_invalid"));
}

#[test]
fn guest_whose_login_is_revoked_stays_the_same_visitor() {
    let mut world = chatting_as_guest();
    revoked(&mut world);
    assert_eq!(sent(&world, GUEST)["visitor_id"], "v_1");
    world.reply_ok(GUEST, token("t_2"));
    assert_eq!(world.lines(), ["secret of one"]);
    assert_eq!(world.requests("/sessions").len(), 0, "the session goes on");
    assert!(world.panel().composer.enabled);
    assert_eq!(world.heard(EventName::Error).len(), 0);
}

#[test]
fn user_whose_login_is_revoked_is_that_user_again_or_nobody() {
    let mut world = chatting_as(hmac("u_1", "h"), "u_1");
    revoked(&mut world);
    assert_eq!(sent(&world, EXCHANGE)["identity_token"], "h");
    world.reply_ok(EXCHANGE, user("t_2", "u_1"));
    assert_eq!(world.lines(), ["secret of one"]);

    let mut world = chatting_as(user_token("once"), "u_1");
    revoked(&mut world);
    locked_with(&world, "token_expired");
    assert_eq!(world.requests(GUEST).len(), 0);
}

#[test]
fn visitor_who_is_forgotten_elsewhere_starts_afresh_and_loses_nothing_unsent() {
    let mut world = chatting_as_guest();
    world.say("not there yet");
    world.reply_err(EVENTS, failure(404, "session_not_found"));
    assert_eq!(world.lines(), ["not there yet"]);
    world.advance(5_000);
    assert_eq!(sent(&world, "/sessions"), json!({}), "nothing is resumed");
    world.reply_ok("/sessions", session_info("s_2", 0));
    assert_eq!(world.lines(), ["not there yet"]);
    assert_eq!(
        world.heard(EventName::SessionStarted),
        [json!({"sessionId": "s_2"})]
    );
    assert_eq!(world.requests("/sessions/s_2/events").len(), 1);
}

// ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn reset_revokes_the_login_and_shutdown_does_not() {
    let mut world = World::chatting();
    world.call(Command::Shutdown);
    assert_eq!(world.requests("/auth/revoke").len(), 0);
    assert_eq!(
        world
            .stored()
            .and_then(|record| record.visitor_id.as_deref()),
        Some("v_1"),
        "the visitor stays the same"
    );
    let mut world = chatting_as(hmac("u_1", "h"), "u_1");
    world.call(Command::Reset);
    let revoke = world.request("/auth/revoke");
    assert_eq!(revoke.method, Method::Post);
    assert_eq!(revoke.token.map(|token| token.0), Some("t_1".into()));
    assert!(revoke.keepalive, "it outlives the page");
    assert_eq!(world.stored(), None);
    world.reply(revoke.id, Err(network()));
    world.forget_effects();
    world.open();
    assert_eq!(
        world.requests(EXCHANGE).len(),
        0,
        "the identity is forgotten"
    );
    assert_eq!(sent(&world, GUEST), json!({"client_key": KEY}));
}

#[test]
fn reset_without_a_login_has_nothing_to_revoke() {
    let mut world = World::new(boot());
    world.call(Command::Reset);
    world.open();
    world.call(Command::Reset);
    assert_eq!(world.requests("/auth/revoke").len(), 0);
}

#[test]
fn what_the_owner_switches_off_ends_calmly() {
    for code in [
        "client_key_disabled",
        "widget_disabled_for_agent",
        "guest_not_allowed",
        "user_not_allowed",
    ] {
        let mut world = World::chatting();
        world.frame(SessionEvent {
            kind: EventType::Error,
            code: Some(code.into()),
            ..SessionEvent::default()
        });
        assert_eq!(world.panel().status, "Unavailable");
        assert!(!world.panel().composer.enabled);
        assert_eq!(world.heard(EventName::Error).len(), 1, "{code}");
        assert_eq!(world.warnings(), [code_of(code)]);
        assert_eq!(
            world.count(|effect| matches!(effect, Effect::CloseStream(_))),
            1
        );
        world.advance(1_000_000);
        assert_eq!(
            asked(&world),
            Vec::<String>::new(),
            "{code}: nothing is tried again"
        );
    }
}

#[test]
fn limit_without_an_end_holds_until_there_is_another_identity() {
    let mut world = chatting_as(hmac("u_1", "h"), "u_1");
    world.frame(SessionEvent {
        code: Some("limit_reached".into()),
        ..bare(EventType::LimitReached, 2)
    });
    world.advance(100_000_000);
    world.send(Msg::Ui(Ui::RetryPressed));
    identify(&mut world, hmac("u_1", "h"));
    assert!(!world.panel().composer.enabled);
    assert_eq!(world.panel().banner.and_then(|banner| banner.retry), None);
    identify(&mut world, hmac("u_2", "i"));
    assert!(world.panel().composer.enabled);
}
