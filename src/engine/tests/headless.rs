//! A page that draws the conversation by itself: what it is shown, what it orders, and what is the prebuilt panel's alone.

use super::fake::*;
use crate::engine::command::{Command, Intent};
use crate::engine::effect::{Effect, Stored};
use crate::engine::event::EventName;
use crate::engine::machine::{Boot, MicNews, Msg};
use crate::engine::state::{Message, State};
use crate::engine::text::CallEnd;
use karta_protocol::{EventType, SessionEvent};
use serde_json::{Value, json};

fn headless() -> Boot {
    Boot {
        headless: true,
        attributes: tag(&[("data-embed-key", KEY)]),
        ..boot()
    }
}

fn intend(world: &mut World, intent: Intent) {
    world.call(Command::Headless(intent));
}

/// A conversation that goes on, and that nobody has opened.
fn connected() -> World {
    let mut world = World::new(headless());
    intend(&mut world, Intent::Connect);
    world.begin_session("s_1", 0);
    world.stream_in_step(0);
    world
}

/// As the page gets it, lines included.
fn shown(state: &State<'_>) -> Value {
    let mut value = serde_json::to_value(state).expect("a state is JSON");
    let messages: Vec<_> = state.items.iter().map(Message::of).collect();
    value["messages"] = serde_json::to_value(messages).expect("lines are JSON");
    value
}

#[test]
fn connect_begins_the_conversation_and_opens_nothing() {
    let mut world = World::new(headless());
    let idle = world.machine().state();
    assert_eq!((idle.connection, idle.can_send), ("idle", false));
    assert!(world.requests("/auth/guest").is_empty());
    intend(&mut world, Intent::Connect);
    assert_eq!(world.machine().state().connection, "connecting");
    world.begin_session("s_1", 0);
    world.stream_in_step(0);
    assert_eq!(world.event_names(), ["ready", "session:started"]);
    let state = world.machine().state();
    assert_eq!(
        (state.connection, state.session_id, state.open),
        ("connected", Some("s_1"), false)
    );
    assert_eq!(state.prompts, ["Opening hours?"]);
    intend(&mut world, Intent::Connect);
    assert_eq!(
        world.requests("/sessions").len(),
        1,
        "once is as good as twice"
    );
}

#[test]
fn connect_waits_for_the_key_and_its_config() {
    let mut world = World::new(Boot {
        headless: true,
        ..Boot::default()
    });
    intend(&mut world, Intent::Connect);
    world.call(init(&[("embedKey", KEY), ("baseUrl", ORIGIN)]));
    assert!(world.requests("/auth/guest").is_empty());
    let id = world.request("/config").id;
    world.reply(
        id,
        Ok(crate::engine::effect::Reply::Config(Box::new(config()))),
    );
    assert_eq!(world.requests("/auth/guest").len(), 1);
}

#[test]
fn what_is_open_is_the_prebuilt_panels_to_remember() {
    let record = Stored {
        session_id: Some("s_1".into()),
        visitor_id: Some("v_1".into()),
        open: true,
        ..Stored::default()
    };
    let stored = vec![(KEY.into(), record.write())];
    let mut world = World::new(Boot {
        stored: stored.clone(),
        ..headless()
    });
    assert_eq!(
        world.machine().state().connection,
        "idle",
        "nothing begins by itself"
    );
    intend(&mut world, Intent::Connect);
    world.begin_session("s_1", 0);
    assert!(!world.machine().state().open);
    world.open();
    world.call(Command::Close);
    world.call(Command::Shutdown);
    assert!(world.stored().is_some_and(|record| record.open));

    let mut other = World::new(headless());
    other.open();
    other.begin_session("s_2", 0);
    assert!(other.machine().state().open);
    assert!(other.stored().is_some_and(|record| !record.open));
    // The same for a page with the panel.
    let world = World::new(Boot { stored, ..boot() });
    assert!(world.panel().open);
}

#[test]
fn after_a_shutdown_only_connect_begins_again() {
    let mut world = connected();
    world.say("Hello");
    world.call(Command::Shutdown);
    let state = world.machine().state();
    assert_eq!((state.connection, state.items.len()), ("idle", 0));
    world.forget_effects();
    for intent in [
        Intent::Stop,
        Intent::Retry,
        Intent::Resend(2),
        Intent::Hear,
        Intent::Confirm {
            request: "t_1".into(),
            allow: true,
        },
    ] {
        intend(&mut world, intent);
    }
    assert_eq!(world.machine().state().connection, "idle");
    intend(&mut world, Intent::Connect);
    assert_eq!(world.machine().state().connection, "connecting");
}

#[test]
fn what_the_server_refuses_is_in_the_state() {
    let check = |boot: Boot, code: &str| {
        let mut world = World::new(boot);
        intend(&mut world, Intent::Connect);
        let state = world.machine().state();
        let error = state.error.expect("an error");
        assert_eq!((error.code, error.fatal), (code, true));
        assert!(!state.can_send && !state.voice.available);
    };
    for code in ["origin_not_allowed", "guest_not_allowed"] {
        let refused = Some((config_url(), Err(failure(403, code))));
        check(
            Boot {
                prefetched: refused,
                ..headless()
            },
            code,
        );
    }
    let off = Some((config_url(), Ok(Box::new(switched_off()))));
    check(
        Boot {
            prefetched: off,
            ..headless()
        },
        "widget_disabled_for_agent",
    );
    check(
        Boot {
            attributes: tag(&[("data-embed-key", "sk_live_x")]),
            ..headless()
        },
        "secret_key_in_browser",
    );
}

#[test]
fn a_failed_turn_and_a_failed_message_are_tried_again() {
    let mut world = connected();
    world.say("Hello");
    let id = client_id(&posted(&world.request("/sessions/s_1/events")));
    world.reply_err("/sessions/s_1/events", failure(400, "request_invalid"));
    let state = world.machine().state();
    let message = Message::of(state.items.last().expect("a line"));
    assert_eq!((message.state, message.text), ("failed", "Hello"));
    let key = message.id.parse().expect("a key");
    world.forget_effects();
    intend(&mut world, Intent::Resend(key + 1));
    assert!(world.requests("/sessions/s_1/events").is_empty());
    intend(&mut world, Intent::Resend(key));
    assert_eq!(
        client_id(&posted(&world.request("/sessions/s_1/events"))),
        id
    );
    world.reply_ok("/sessions/s_1/events", accepted());
    world.frame(user(1, &id, "Hello"));
    world.frame(bare(EventType::StatusRunning, 2));
    assert!(world.machine().state().typing);
    world.frame(bare(EventType::SessionError, 3));
    let error = world.machine().state().error.map(|error| error.code);
    assert_eq!(error, Some("agent_failed"));
    intend(&mut world, Intent::Retry);
    let sent = posted(&world.request("/sessions/s_1/events"));
    assert_eq!(sent.kind, "user.retry");
    assert_eq!(world.machine().state().error, None);
}

#[test]
fn retry_never_begins_a_call() {
    let mut world = World::new(Boot {
        headless: true,
        ..talkable()
    });
    intend(&mut world, Intent::Connect);
    world.begin_session("s_1", 0);
    world.stream_in_step(0);
    world.call(Command::StartVoice);
    let mic = world
        .effects()
        .iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::OpenMic(id) => Some(*id),
            _ => None,
        });
    world.send(Msg::Mic {
        id: mic.expect("a microphone was asked for"),
        news: MicNews::Refused(CallEnd::Denied),
    });
    assert_eq!(
        world.machine().state().voice.ended,
        Some("microphone_denied")
    );
    world.forget_effects();
    intend(&mut world, Intent::Retry);
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::OpenMic(_))),
        0
    );
    assert_eq!(world.machine().state().voice.ended, None);
}

#[test]
fn a_tool_gets_the_answer_to_its_own_question_only() {
    for (allow, decision) in [(true, "allow"), (false, "deny")] {
        let mut world = connected();
        world.frame(bare(EventType::StatusRunning, 1));
        world.frame(SessionEvent {
            id: Some("t_1".into()),
            message: Some("Cancel an order?".into()),
            text: Some("order: K-1\nreason: late".into()),
            state: Some("confirm".into()),
            ..bare(EventType::AgentToolUse, 2)
        });
        let state = world.machine().state();
        let tool = state.tool.expect("it asks");
        assert_eq!(
            (tool.request_id, tool.title, tool.details),
            ("t_1", "Cancel an order?", "order: K-1\nreason: late")
        );
        assert!(!state.typing);
        let confirm = |request: &str| Intent::Confirm {
            request: request.into(),
            allow,
        };
        world.forget_effects();
        intend(&mut world, confirm("t_0"));
        assert!(world.requests("/sessions/s_1/events").is_empty());
        intend(&mut world, confirm("t_1"));
        let sent = posted(&world.request("/sessions/s_1/events"));
        assert_eq!(sent.request_id.as_deref(), Some("t_1"));
        assert_eq!(sent.decision.as_deref(), Some(decision));
    }
}

#[test]
fn sources_are_safe_to_link() {
    let mut world = connected();
    let source = |url: &str| karta_protocol::Source {
        title: "T".into(),
        url: Some(url.into()),
    };
    world.frame(SessionEvent {
        text: Some("Answer".into()),
        part_id: Some("p_1".into()),
        sources: vec![source("https://shop.test/a"), source("javascript:alert(1)")],
        ..bare(EventType::AgentMessage, 1)
    });
    let state = shown(&world.machine().state());
    assert_eq!(
        state["messages"][1]["sources"],
        json!([{"title": "T", "url": "https://shop.test/a"}, {"title": "T", "url": null}])
    );
}

/// Public: a change here is a change of www/npm/types.ts, and of every page that reads it.
#[test]
fn shape_is_frozen() {
    let mut world = connected();
    world.say("Hello");
    let state = world.machine().state();
    let line = |id: &str, role: &str, text: &str, state: &str| json!({"id": id, "role": role, "text": text, "state": state, "spoken": false, "seq": null, "at": null, "sources": []});
    assert_eq!(
        shown(&state),
        json!({
            "connection": "connected", "sessionId": "s_1", "open": false, "locale": "en",
            "agent": {"name": "Beans", "avatarUrl": null, "privacyNotice": null, "footer": null},
            "messages": [line("1", "agent", "Hello!", "done"), line("2", "user", "Hello", "sending")],
            "typing": false, "answering": false, "unread": 0, "prompts": [], "tool": null, "canSend": true, "offersPerson": false, "limit": null, "error": null,
            "voice": {
                "available": false, "phase": "off", "muted": false, "seconds": 0, "blocked": false, "captions": {"user": null, "agent": null}, "ended": null,
            },
        })
    );
    let types = include_str!("../../../www/npm/types.ts");
    let (_, declared) = types
        .split_once("export interface State {")
        .expect("it is declared");
    let names: Vec<&str> = declared
        .lines()
        .skip(1)
        .take_while(|line| *line != "}")
        .filter_map(|line| line.strip_prefix("  readonly ")?.split_once(": "))
        .map(|(name, _)| name)
        .collect();
    let mut own: Vec<String> = shown(&state)
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    own.sort();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, own, "types.ts has the same fields");
    assert_eq!(world.heard(EventName::MessageSent).len(), 1);
}
