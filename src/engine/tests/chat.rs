//! A conversation over HTTPS: session, streaming, history, unread, turns.

use super::fake::*;
use crate::engine::command::Command;
use crate::engine::effect::{Effect, Id, Stored};
use crate::engine::event::EventName;
use crate::engine::machine::{Boot, Msg, Ui};
use crate::engine::view_model::{ItemState, Tone};
use karta_protocol::{CreateSession, EventType, SessionEvent};
use serde_json::json;

fn returning(open: bool, seen_seq: u64) -> Boot {
    Boot {
        stored: vec![(
            KEY.into(),
            Stored {
                owner: String::new(),
                visitor_id: Some("v_1".into()),
                session_id: Some("s_1".into()),
                open,
                seen_seq,
                outbox: vec![],
            }
            .write(),
        )],
        ..boot()
    }
}

#[test]
fn open_leads_to_token_session_and_stream() {
    let mut world = World::new(boot());
    world.open();
    assert_eq!(world.panel().status, "Connecting…");
    assert_eq!(world.requests("").len(), 1, "only the token is asked");
    world.reply_ok("/auth/guest", token("t_1"));
    let request = world.request("/sessions");
    assert_eq!(
        request.token.as_ref().map(|token| token.0.as_str()),
        Some("t_1")
    );
    world.reply_ok("/sessions", session_info("s_1", 0));
    let (_, url) = world.stream_url();
    assert_eq!(
        url,
        format!("{ORIGIN}/api/v1/widget/sessions/s_1/events/stream?after=0")
    );
    world.stream_in_step(0);
    assert_eq!(world.panel().status, "Online");
    assert_eq!(world.panel().status_tone, Tone::Good);
    assert_eq!(world.event_names(), ["ready", "open", "session:started"]);
    assert_eq!(
        world.heard(EventName::Connection),
        ["connecting", "connected"].map(|state| json!({"state": state}))
    );
}

#[test]
fn first_message_goes_by_post_without_waiting_for_the_stream() {
    let mut world = World::new(boot());
    world.open();
    world.say("hello");
    assert_eq!(
        world.items().last().map(|item| item.state),
        Some(ItemState::Sending)
    );
    world.begin_session("s_1", 0);
    let event = posted(&world.request("/sessions/s_1/events"));
    assert_eq!(
        (event.kind.as_str(), event.text.as_deref()),
        ("user.message", Some("hello"))
    );
    world.reply_ok("/sessions/s_1/events", accepted());
    assert_eq!(
        world.items().last().map(|item| item.state),
        Some(ItemState::Sent)
    );
    world.stream_in_step(0);
    world.frame(user(1, &client_id(&event), "hello"));
    assert_eq!(world.lines(), ["hello"], "the echo doubles nothing");
}

#[test]
fn echo_alone_acknowledges() {
    let mut world = World::chatting();
    world.say("hello");
    let request = world.request("/sessions/s_1/events");
    world.frame(user(1, &client_id(&posted(&request)), "hello"));
    assert_eq!(
        world.items().last().map(|item| item.state),
        Some(ItemState::Sent)
    );
    world.reply(request.id, Err(network()));
    world.advance(100_000);
    assert_eq!(
        world.requests("/sessions/s_1/events").len(),
        1,
        "nothing is sent again"
    );
    assert_eq!(world.lines(), ["hello"]);
}

#[test]
fn messages_go_one_after_the_other() {
    let mut world = World::chatting();
    world.say("one");
    world.say("two");
    assert_eq!(world.requests("/sessions/s_1/events").len(), 1);
    world.reply_ok("/sessions/s_1/events", accepted());
    let second = posted(&world.request("/sessions/s_1/events"));
    assert_eq!(second.text.as_deref(), Some("two"));
    assert_eq!(world.requests("/sessions/s_1/events").len(), 2);
}

#[test]
fn answer_streams_and_is_received_once() {
    let mut world = World::chatting();
    world.say("hello");
    let id = client_id(&posted(&world.request("/sessions/s_1/events")));
    world.reply_ok("/sessions/s_1/events", accepted());
    world.frame(user(1, &id, "hello"));
    world.frame(bare(EventType::StatusRunning, 2));
    assert!(world.panel().typing && world.panel().composer.can_stop);
    world.frame(delta("p4", 0, "Hi "));
    world.frame(delta("p4", 3, "there"));
    assert!(!world.panel().typing);
    assert_eq!(world.lines(), ["hello", "Hi there"]);
    world.frame(SessionEvent {
        part_id: Some("p4".into()),
        ..answer(3, "Hi there!")
    });
    world.frame(bare(EventType::StatusIdle, 4));
    assert!(!world.panel().composer.can_stop);
    assert_eq!(world.event_names(), ["message:sent", "message:received"]);
    assert_eq!(
        world.count(|effect| *effect == Effect::Announce("Hi there!".into())),
        1
    );
    // The same again changes nothing.
    world.frame(answer(3, "Hi there!"));
    assert_eq!(world.event_names(), ["message:sent", "message:received"]);
    assert_eq!(world.lines(), ["hello", "Hi there!"]);
}

#[test]
fn greeting_and_prompts_show_until_something_is_said() {
    let mut world = World::chatting();
    assert_eq!(world.items()[0].text, "Hello!");
    assert_eq!(world.panel().prompts, "Opening hours?\n");
    world.send(Msg::Ui(Ui::PromptPressed(7)));
    world.send(Msg::Ui(Ui::PromptPressed(0)));
    assert_eq!(world.lines(), ["Opening hours?"]);
    assert!(world.panel().prompts.is_empty());
}

#[test]
fn empty_and_oversized_texts_are_not_taken() {
    let mut world = World::chatting();
    world.say("");
    world.say(" \n\t ");
    world.say(&"x".repeat(16 * 1024 + 1));
    assert_eq!(world.lines(), Vec::<&str>::new());
    world.say("  a\r\nb\u{0}c\rd ");
    assert_eq!(world.lines(), ["a\nbc\nd"]);
}

#[test]
fn message_from_another_tab_appears_without_an_event() {
    let mut world = World::chatting();
    world.frame(user(1, "m_other", "from the other tab"));
    assert_eq!(world.lines(), ["from the other tab"]);
    assert_eq!(world.event_names(), Vec::<&str>::new());
}

#[test]
fn hole_in_the_log_is_mended_from_the_cursor() {
    let mut world = World::chatting();
    world.frame(user(1, "m", "hi"));
    world.frame(answer(3, "late"));
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::CloseStream(_))),
        1
    );
    world.advance(2_000);
    assert!(world.stream_url().1.ends_with("?after=1"));
    world.frame(answer(2, "early"));
    world.frame(answer(3, "late"));
    assert_eq!(world.lines(), ["hi", "early", "late"]);
}

#[test]
fn frames_of_an_old_stream_are_dropped() {
    let mut world = World::chatting();
    let old = world.stream();
    world.frame(answer(5, "hole"));
    world.send(Msg::StreamFrame {
        id: old,
        event: Box::new(user(1, "m", "stale")),
    });
    assert_eq!(world.lines(), Vec::<&str>::new());
    // Nor does the end of an old one touch the new.
    world.advance(2_000);
    world.stream_in_step(0);
    let failure = network();
    world.send(Msg::StreamClosed { id: old, failure });
    assert_eq!(world.panel().status, "Online");
}

#[test]
fn reload_shows_the_history_in_silence() {
    let mut world = World::new(returning(true, 2));
    assert!(world.panel().open, "it was open before");
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::Focus(_))),
        0,
        "and takes no focus"
    );
    world.reply_ok("/auth/guest", token("t_1"));
    let create: CreateSession = read(body(&world.request("/sessions")));
    assert_eq!(create.resume.as_deref(), Some("s_1"));
    world.reply_ok("/sessions", session_info("s_1", 3));
    let id = world.stream();
    world.send(Msg::StreamOpened { id });
    world.frame(user(1, "m", "hi"));
    world.frame(answer(2, "hello"));
    world.frame(answer(3, "are you there?"));
    world.frame(synced(3));
    assert_eq!(world.lines(), ["hi", "hello", "are you there?"]);
    assert_eq!(world.event_names(), ["ready", "open", "session:started"]);
    world.frame(answer(4, "news"));
    assert_eq!(world.event_names().last(), Some(&"message:received"));
}

#[test]
fn history_not_seen_counts_as_unread_once() {
    let mut world = World::new(returning(false, 2));
    assert_eq!(
        world.machine().view().panel,
        None,
        "nothing is mounted by a reload alone"
    );
    world.call(Command::SendMessage("again".into()));
    world.begin_session("s_1", 4);
    let id = world.stream();
    world.send(Msg::StreamOpened { id });
    for event in [
        user(1, "m", "hi"),
        answer(2, "seen"),
        answer(3, "missed"),
        answer(4, "missed too"),
        synced(4),
    ] {
        world.frame(event);
    }
    assert_eq!(world.heard(EventName::Unread), [json!({"count": 2})]);
    assert_eq!(world.lines().last(), Some(&"again"));
}

#[test]
fn unread_counts_while_closed_and_falls_to_zero_on_open() {
    let mut world = World::chatting();
    world.call(Command::Close);
    world.forget_effects();
    world.frame(answer(1, "one"));
    world.frame(answer(2, "two"));
    assert_eq!(
        world
            .machine()
            .view()
            .launcher
            .map(|launcher| launcher.unread),
        Some(2)
    );
    world.open();
    assert_eq!(
        world.heard(EventName::Unread),
        [1, 2, 0].map(|count| json!({"count": count}))
    );
    world.call(Command::Close);
    world.forget_effects();
    world.open();
    assert_eq!(
        world.event_names(),
        ["open"],
        "no zero without a count before"
    );
    assert_eq!(world.stored().map(|record| record.seen_seq), Some(2));
}

#[test]
fn failed_turn_offers_a_retry() {
    let mut world = World::chatting();
    world.frame(user(1, "m", "hi"));
    world.frame(bare(EventType::StatusRunning, 2));
    world.frame(SessionEvent {
        code: Some("agent_failed".into()),
        message: Some("The model is down.".into()),
        ..bare(EventType::SessionError, 3)
    });
    assert_eq!(
        world.banner().as_deref(),
        Some("Something went wrong with this answer.")
    );
    assert_eq!(
        world.heard(EventName::Error),
        [json!({"message": "The model is down.", "code": "agent_failed"})]
    );
    world.send(Msg::Ui(Ui::RetryPressed));
    assert_eq!(
        posted(&world.request("/sessions/s_1/events")).kind,
        "user.retry"
    );
    assert_eq!(world.banner(), None);
    world.reply_err("/sessions/s_1/events", network());
    assert!(world.banner().is_some(), "the retry did not arrive");
    world.frame(bare(EventType::StatusRunning, 4));
    assert_eq!(world.banner(), None);
}

#[test]
fn stop_interrupts_a_running_turn_only() {
    let mut world = World::chatting();
    world.send(Msg::Ui(Ui::StopPressed));
    assert_eq!(world.requests("/sessions/s_1/events").len(), 0);
    world.frame(bare(EventType::StatusRunning, 1));
    world.send(Msg::Ui(Ui::StopPressed));
    assert_eq!(
        posted(&world.request("/sessions/s_1/events")).kind,
        "user.interrupt"
    );
    world.frame(SessionEvent {
        interrupted: true,
        ..answer(2, "half an")
    });
    world.frame(bare(EventType::StatusIdle, 3));
    assert_eq!(
        world.items().last().map(|item| item.state),
        Some(ItemState::Interrupted)
    );
}

#[test]
fn person_is_offered_when_the_page_listens() {
    let mut world = World::chatting();
    world.frame(SessionEvent {
        offer_person: true,
        ..answer(1, "I do not know")
    });
    assert!(world.panel().offer_person);
    world.send(Msg::Ui(Ui::EscalatePressed));
    assert_eq!(world.event_names(), ["message:received", "escalate"]);
    world.call(Command::Off {
        event: EventName::Escalate,
        callback: None,
    });
    assert!(
        !world.panel().offer_person,
        "a button that does nothing is worse than none"
    );
}

#[test]
fn session_of_another_id_starts_a_new_conversation() {
    let mut world = World::new(returning(true, 9));
    world.begin_session("s_2", 0);
    assert_eq!(
        world
            .stored()
            .and_then(|record| record.session_id.as_deref()),
        Some("s_2")
    );
    assert_eq!(world.stored().map(|record| record.seen_seq), Some(0));
    assert!(world.stream_url().1.contains("/s_2/events/stream?after=0"));
}

#[test]
fn garbage_is_survived() {
    let mut world = World::chatting();
    for kind in [
        EventType::Unknown,
        EventType::Pong,
        EventType::Error,
        EventType::AgentMessage,
        EventType::Synced,
    ] {
        for extreme in [None, Some(0), Some(u64::MAX)] {
            world.frame(SessionEvent {
                kind,
                delta: extreme == Some(u64::MAX),
                seq: extreme,
                offset: extreme,
                part_id: Some(String::new()),
                text: Some(String::new()),
                ..SessionEvent::default()
            });
            world.advance(40_000);
        }
    }
    for id in [0, 1, 77, u32::MAX].map(Id) {
        world.send(Msg::ChannelOpened { id });
        world.send(Msg::PeerOffered {
            id,
            sdp: String::new(),
        });
        world.send(Msg::PeerClosed { id, reason: "" });
        world.reply(id, Ok(accepted()));
        world.reply(id, Err(network()));
    }
    world.send(Msg::Booted(Box::new(boot())));
    world.send(Msg::Ui(Ui::ResendPressed(99)));
    world.say("still there");
    assert_eq!(world.lines(), ["still there"]);
}
