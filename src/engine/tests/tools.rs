//! A tool of the owner's in the conversation: the visitor is asked, and says yes or no.

use super::fake::*;
use crate::engine::effect::Effect;
use crate::engine::event::EventName;
use crate::engine::machine::{Msg, Ui};
use karta_protocol::{EventType, SessionEvent};

fn asks(seq: u64) -> SessionEvent {
    SessionEvent {
        id: Some("t_1".into()),
        message: Some("Cancel an order".into()),
        text: Some("order: K-1".into()),
        state: Some("confirm".into()),
        ..bare(EventType::AgentToolUse, seq)
    }
}

fn ended(seq: u64, state: &str) -> SessionEvent {
    SessionEvent {
        state: Some(state.into()),
        kind: EventType::AgentToolResult,
        ..asks(seq)
    }
}

/// A conversation in which a tool asks.
fn asked() -> World {
    let mut world = World::chatting();
    world.say("Cancel K-1");
    let id = client_id(&posted(&world.request("/sessions/s_1/events")));
    world.reply_ok("/sessions/s_1/events", accepted());
    world.frame(user(1, &id, "Cancel K-1"));
    world.frame(bare(EventType::StatusRunning, 2));
    world.frame(asks(3));
    world
}

#[test]
fn the_visitor_is_asked_and_answers_with_a_button() {
    for (button, decision) in [(0, "allow"), (1, "deny")] {
        let mut world = asked();
        assert_eq!(
            world.lines(),
            ["Cancel K-1", "Cancel an order?\norder: K-1"]
        );
        assert_eq!(world.panel().prompts, "Allow\nDon't allow");
        assert_eq!(world.panel().prompted, "Cancel an order?\norder: K-1");
        assert!(!world.panel().typing);
        let said = |effect: &Effect| *effect == Effect::Announce("Cancel an order".into());
        assert_eq!(world.count(said), 1, "and who cannot see hears of it");
        world.send(Msg::Ui(Ui::PromptPressed(button)));
        let sent = posted(
            world
                .requests("/sessions/s_1/events")
                .last()
                .expect("a request"),
        );
        assert_eq!(sent.kind, "user.tool_confirmation");
        assert_eq!(sent.request_id.as_deref(), Some("t_1"));
        assert_eq!(sent.decision.as_deref(), Some(decision));
        assert_eq!(
            world.panel().prompts,
            "Allow\nDon't allow",
            "until the server says so"
        );
        world.frame(ended(4, "declined"));
        assert_eq!(world.panel().prompts, "");
        assert!(world.panel().typing);
        assert_eq!(world.lines(), ["Cancel K-1", "Cancel an order ✗"]);
    }
}

#[test]
fn a_decision_that_came_too_late_ends_nothing() {
    let mut world = asked();
    world.send(Msg::Ui(Ui::PromptPressed(0)));
    world.reply_err("/sessions/s_1/events", failure(400, "request_invalid"));
    world.frame(ended(4, "declined"));
    assert_eq!(world.lines(), ["Cancel K-1", "Cancel an order ✗"]);
    assert!(world.panel().composer.enabled);
}

#[test]
fn a_question_behind_a_closed_panel_is_unread() {
    let mut world = asked();
    world.frame(ended(4, "declined"));
    world.send(Msg::Ui(Ui::ClosePressed));
    world.frame(asks(5));
    assert_eq!(
        world.heard(EventName::Unread).last().expect("told")["count"],
        1
    );
    world.frame(ended(6, "done"));
    world.frame(SessionEvent {
        state: Some("running".into()),
        ..asks(7)
    });
    assert_eq!(
        world.heard(EventName::Unread).len(),
        1,
        "what needs no answer is not news"
    );
}
