//! What the server refuses: for a while (limits), or for good.

use super::fake::*;
use crate::engine::command::Command;
use crate::engine::event::EventName;
use crate::engine::machine::{Boot, Msg};
use karta_protocol::{ErrorCode, EventType, SessionEvent};
use serde_json::json;

const EVENTS: &str = "/sessions/s_1/events";

#[test]
fn rate_limit_waits_as_long_as_the_server_says() {
    let mut world = World::chatting();
    world.say("hi");
    world.reply_err(EVENTS, retry_after(429, "rate_limited", 7));
    world.advance(6_900);
    assert_eq!(world.requests(EVENTS).len(), 1);
    world.advance(1_200);
    assert_eq!(world.requests(EVENTS).len(), 2);
    assert!(world.panel().composer.enabled);
}

#[test]
fn limit_locks_the_composer_with_a_countdown_and_then_goes_on() {
    let mut world = World::chatting();
    world.say("hi");
    world.reply_err(EVENTS, retry_after(429, "limit_reached", 65));
    assert!(!world.panel().composer.enabled);
    assert!(world.banner().is_some_and(|text| text.ends_with("1:05")));
    assert_eq!(
        world.heard(EventName::LimitReached),
        [json!({
            "message": "The chat has reached its limit for now.",
            "code": "limit_reached",
            "retryAfterSeconds": 65,
        })]
    );
    world.say("not taken");
    world.call(Command::SendMessage("nor this".into()));
    assert_eq!(world.lines(), ["hi"]);
    assert_eq!(world.warnings(), ["limit_reached"]);
    world.advance(5_000);
    assert!(world.banner().is_some_and(|text| text.ends_with("1:00")));
    assert_eq!(world.requests(EVENTS).len(), 1);
    world.advance(60_000);
    assert!(world.panel().composer.enabled);
    assert_eq!(
        world.requests(EVENTS).len(),
        2,
        "what was refused is sent now"
    );
}

#[test]
fn refusal_of_the_page_is_final_and_kind() {
    for code in [
        ErrorCode::OriginNotAllowed,
        ErrorCode::ClientKeyUnknown,
        ErrorCode::ClientKeyDisabled,
        ErrorCode::GuestNotAllowed,
        ErrorCode::IdentityInvalid,
    ] {
        let code = code.as_str();
        let mut world = World::new(boot());
        world.open();
        world.say("hi");
        world.reply_err("/auth/guest", failure(403, code));
        assert_eq!(world.warnings(), [code], "one warning");
        let told = world.heard(EventName::Error);
        assert!(told.len() == 1 && told[0]["code"] == code, "{told:?}");
        assert!(world.banner().is_some());
        assert!(!world.panel().composer.enabled);
        world.forget_effects();
        world.advance(1_000_000);
        world.send(Msg::Online);
        world.send(Msg::Visible);
        assert_eq!(
            world.requests("").len(),
            0,
            "{code}: no use in asking again"
        );
        assert_eq!(world.timers(), 0);
    }
}

#[test]
fn refusal_heard_twice_is_told_once() {
    let mut world = World::new(Boot {
        prefetched: None,
        ..boot()
    });
    world.advance(600);
    world.open();
    world.reply_err("/auth/guest", failure(403, "origin_not_allowed"));
    world.reply_err("/config", failure(403, "origin_not_allowed"));
    assert_eq!(world.warnings(), ["origin_not_allowed"]);
    let errors = world
        .event_names()
        .iter()
        .filter(|name| **name == "error")
        .count();
    assert_eq!(errors, 1);
}

#[test]
fn origin_refused_by_config_shows_in_the_panel() {
    let mut boot = boot();
    boot.prefetched = Some((config_url(), Err(failure(403, "origin_not_allowed"))));
    let mut world = World::new(boot);
    assert!(world.has_launcher());
    assert_eq!(world.warnings(), ["origin_not_allowed"]);
    world.open();
    assert_eq!(
        world.banner().as_deref(),
        Some("Sorry, this chat is not available here at the moment.")
    );
    assert_eq!(world.requests("").len(), 0);
    world.call(Command::SendMessage("hi".into()));
    assert_eq!(
        world.warnings(),
        ["origin_not_allowed", "origin_not_allowed"]
    );
}

#[test]
fn key_disabled_in_the_middle_ends_the_conversation() {
    let mut world = World::chatting();
    let id = world.stream();
    world.send(Msg::StreamClosed {
        id,
        failure: failure(403, "client_key_disabled"),
    });
    assert!(!world.panel().composer.enabled);
    assert_eq!(world.timers(), 0);
}

#[test]
fn key_disabled_is_told_by_the_stream_itself() {
    let mut world = World::chatting();
    world.frame(SessionEvent {
        kind: EventType::Error,
        code: Some("client_key_disabled".into()),
        ..SessionEvent::default()
    });
    assert!(!world.panel().composer.enabled);
    assert_eq!(world.timers(), 0);
}

#[test]
fn remark_without_consequences_has_none() {
    let mut world = World::chatting();
    for code in ["rate_limited", "internal", "nonsense", ""] {
        world.frame(SessionEvent {
            kind: EventType::Error,
            code: Some(code.into()),
            ..SessionEvent::default()
        });
    }
    assert!(world.panel().composer.enabled);
    assert_eq!(world.banner(), None);
}
