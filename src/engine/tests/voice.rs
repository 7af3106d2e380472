//! Calls: from the button to the end, whatever is refused, late, lost or pressed twice on the way.

mod devices;
mod heard;
mod line;
mod refusals;

use super::fake::*;
use crate::engine::command::{Command, Identity, Secret};
use crate::engine::effect::{Effect, Id, Reply, Timer};
use crate::engine::event::EventName;
use crate::engine::machine::{Boot, MicNews, Msg, Ui};
use crate::engine::text::CallEnd;
use karta_protocol::{EventType, SessionEvent};
use serde_json::json;

const CONNECT: &str = "/sessions/s_1/connect";

/// An open panel on a synced channel.
fn ready() -> World {
    let mut world = World::new(talkable());
    world.open();
    world.begin_session("s_1", 0);
    world.stream_in_step(0);
    connect(&mut world);
    world.forget_effects();
    world
}

/// The newest peer comes up and is in step.
fn connect(world: &mut World) -> Id {
    let id = world.peer();
    world.send(Msg::PeerOffered {
        id,
        sdp: "v=0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n".into(),
    });
    world.reply_ok(
        CONNECT,
        Reply::Answer {
            sdp: "v=0".into(),
            link: Secret("<stun:new.test>; rel=\"ice-server\"".into()),
            location: "/api/v1/widget/sessions/s_1/connect/c_1".into(),
        },
    );
    world.send(Msg::ChannelOpened { id });
    world.channel(synced(world.machine().cursor_for_tests()));
    id
}

/// The newest microphone that was asked for.
fn mic(world: &World) -> Id {
    let asked = world
        .effects()
        .iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::OpenMic(id) => Some(*id),
            _ => None,
        });
    asked.expect("a microphone was asked for")
}

fn grant(world: &mut World) -> Id {
    let id = mic(world);
    world.send(Msg::Mic {
        id,
        news: MicNews::Granted,
    });
    id
}

fn state(state: &str, code: Option<&str>) -> SessionEvent {
    SessionEvent {
        kind: EventType::VoiceState,
        state: Some(state.into()),
        code: code.map(String::from),
        ..SessionEvent::default()
    }
}

/// A call that is up; its effects are forgotten.
fn talking() -> (World, Id) {
    let mut world = ready();
    world.send(Msg::Ui(Ui::VoicePressed));
    let mic = grant(&mut world);
    world.channel(state("listening", None));
    world.forget_effects();
    (world, mic)
}

/// Time passes on a channel that answers.
fn live(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.advance(1_000);
        world.channel(bare(EventType::Pong, 0));
    }
}

fn kinds(world: &World) -> Vec<String> {
    let frames = world.frames().into_iter().map(|frame| frame.kind);
    frames.filter(|kind| kind.starts_with("voice.")).collect()
}

fn reasons(world: &World) -> Vec<serde_json::Value> {
    let ended = world.heard(EventName::VoiceEnded).into_iter();
    ended.map(|payload| payload["reason"].clone()).collect()
}

fn shown(world: &World) -> Option<&'static str> {
    world.panel().call.map(|call| call.state.0)
}

fn asked(world: &World) -> usize {
    world.count(|effect| matches!(effect, Effect::OpenMic(_)))
}

fn closed(world: &World, id: Id) -> usize {
    world.count(|effect| *effect == Effect::CloseMic(id))
}

// ── beginning ────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn nobody_is_asked_for_a_microphone_before_the_button() {
    let mut world = ready();
    world.say("hi");
    world.advance(5_000);
    assert_eq!((asked(&world), shown(&world)), (0, None));
    assert!(world.panel().composer.can_talk);
}

#[test]
fn call_begins_with_microphone_and_line_and_counts_from_the_first_listening() {
    let mut world = ready();
    world.send(Msg::Ui(Ui::VoicePressed));
    assert_eq!((asked(&world), shown(&world)), (1, Some("connecting")));
    assert_eq!(kinds(&world), [""; 0], "not before the microphone is there");
    live(&mut world, 60);
    grant(&mut world);
    let peer = world.peer();
    let talk = world
        .effects()
        .iter()
        .rposition(|e| *e == Effect::Talk(peer));
    let start = world.effects().iter().rposition(|e| matches!(e, Effect::SendFrame { event, .. } if client_event(event).kind == "voice.start"));
    assert!(
        talk.is_some() && talk < start,
        "the track is there before it is listened to"
    );
    assert_eq!(
        world.heard(EventName::VoiceStarted),
        Vec::<serde_json::Value>::new()
    );
    world.channel(state("listening", None));
    assert_eq!(world.heard(EventName::VoiceStarted), [json!({})]);
    assert_eq!(shown(&world), Some("listening"));
    live(&mut world, 65);
    assert_eq!(
        world.panel().call.map(|call| call.time).as_deref(),
        Some("1:05")
    );
    for (turn, on_screen) in [
        ("thinking", "thinking"),
        ("speaking", "speaking"),
        ("listening", "listening"),
        ("nonsense", "listening"),
    ] {
        world.channel(state(turn, None));
        assert_eq!(shown(&world), Some(on_screen));
    }
    assert_eq!(world.heard(EventName::VoiceStarted).len(), 1);
}

#[test]
fn microphone_may_be_there_before_the_line() {
    let mut world = World::new(talkable());
    world.call(Command::StartVoice);
    assert_eq!(
        world.event_names(),
        ["ready", "open"],
        "it mounts and opens what it needs"
    );
    grant(&mut world);
    assert_eq!(kinds(&world), [""; 0]);
    world.begin_session("s_1", 0);
    world.stream_in_step(0);
    connect(&mut world);
    assert_eq!(kinds(&world), ["voice.start"]);
}

#[test]
fn page_may_order_a_call_before_the_config_is_here() {
    let mut world = World::new(Boot {
        prefetched: None,
        ..talkable()
    });
    world.call(Command::StartVoice);
    world.call(Command::Mute(true));
    assert_eq!(asked(&world), 0);
    let Some((_, Ok(config))) = talkable().prefetched else {
        panic!("the fake has a config");
    };
    world.reply_ok("/config", Reply::Config(config));
    assert_eq!(asked(&world), 1);
    assert!(
        world.panel().call.is_some_and(|call| call.muted),
        "in call order"
    );
}

#[test]
fn second_start_changes_nothing() {
    let (mut world, _) = talking();
    world.call(Command::StartVoice);
    world.send(Msg::Ui(Ui::VoicePressed));
    assert_eq!((asked(&world), kinds(&world)), (0, Vec::new()));
    assert_eq!(shown(&world), Some("listening"));
}

#[test]
fn privacy_notice_is_open_to_the_eye_before_the_browser_asks() {
    let mut world = World::new(talkable());
    world.call(Command::StartVoice);
    let ask = world
        .effects()
        .iter()
        .position(|effect| matches!(effect, Effect::OpenMic(_)));
    let drawn = world
        .effects()
        .iter()
        .position(|effect| *effect == Effect::Render);
    assert!(world.panel().open && drawn < ask);
}

#[test]
fn resting_peer_is_woken_by_a_call() {
    let mut world = ready();
    for _ in 0..20 {
        let id = world.peer();
        world.send(Msg::PeerClosed {
            id,
            reason: "failed",
        });
        world.advance(120_000);
    }
    world.forget_effects();
    world.send(Msg::Ui(Ui::VoicePressed));
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::OpenPeer { .. })),
        1
    );
}

// ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// One event, words on screen with a way to try again, and text goes on.
fn over(world: &mut World, reason: &str) {
    assert_eq!(reasons(world), [reason]);
    assert_eq!(shown(world), None);
    let error = world.heard(EventName::Error).pop().expect("an error event");
    assert_eq!(error["code"], reason);
    let words = world.banner().expect("words on screen");
    assert_eq!(error["message"], words.as_str());
    assert_eq!(
        world.panel().banner.and_then(|banner| banner.retry),
        Some("Try again")
    );
    assert_eq!(world.timer(Timer::Call), None);
    world.say("typed");
    assert_eq!(world.lines(), ["typed"]);
    assert_eq!(world.banner(), None, "who types has read it");
}

#[test]
fn end_is_local_at_once_and_told_to_the_server() {
    let ends: [Msg; 2] = [Msg::Ui(Ui::EndPressed), Msg::Command(Command::EndVoice)];
    for end in ends {
        let (mut world, id) = talking();
        world.send(end);
        assert_eq!(
            world
                .effects()
                .iter()
                .find(|effect| **effect != Effect::Render),
            Some(&Effect::CloseMic(id)),
            "before anything else"
        );
        assert_eq!(kinds(&world), ["voice.end"]);
        assert_eq!(
            (reasons(&world), shown(&world)),
            (vec![json!("ended")], None)
        );
        assert_eq!((world.banner(), world.timer(Timer::Call)), (None, None));
        world.channel(state("ended", None));
        world.call(Command::EndVoice);
        world.call(Command::Mute(true));
        assert_eq!(reasons(&world).len(), 1, "once");
        assert_eq!(world.heard(EventName::VoiceMuted).len(), 0);
    }
}

#[test]
fn end_while_the_visitor_is_asked_lets_nothing_open_later() {
    let mut world = ready();
    world.send(Msg::Ui(Ui::VoicePressed));
    let id = mic(&world);
    world.send(Msg::Ui(Ui::EndPressed));
    assert_eq!(closed(&world, id), 1);
    world.send(Msg::Mic {
        id,
        news: MicNews::Granted,
    });
    assert_eq!(closed(&world, id), 2, "what comes late is closed again");
    world.send(Msg::Mic {
        id,
        news: MicNews::Refused(CallEnd::Denied),
    });
    world.send(Msg::Mic {
        id,
        news: MicNews::Ended,
    });
    assert_eq!(
        (kinds(&world), reasons(&world)),
        (Vec::new(), vec![json!("ended")])
    );
    assert_eq!(world.banner(), None);
}

#[test]
fn end_and_start_again_are_not_confused_by_the_late_end() {
    let (mut world, _) = talking();
    world.send(Msg::Ui(Ui::EndPressed));
    world.send(Msg::Ui(Ui::VoicePressed));
    grant(&mut world);
    world.channel(state("ended", None));
    assert_eq!(shown(&world), Some("connecting"));
    world.channel(state("listening", None));
    assert_eq!(shown(&world), Some("listening"));
    assert_eq!(kinds(&world), ["voice.end", "voice.start"]);
}

#[test]
fn whatever_ends_the_conversation_ends_the_call_first() {
    let identify = |user: &str| {
        Msg::Command(Command::Identify(Box::new(Identity {
            user_id: Some(user.into()),
            identity_token: Some(crate::engine::command::Secret("proof".into())),
            ..Identity::default()
        })))
    };
    for (msg, reason) in [
        (Msg::Command(Command::Shutdown), "shutdown"),
        (Msg::Command(Command::Reset), "shutdown"),
        (identify("u_2"), "shutdown"),
        (Msg::PageHidden, "page"),
    ] {
        let (mut world, id) = talking();
        world.send(msg);
        assert_eq!(
            (reasons(&world), closed(&world, id)),
            (vec![json!(reason)], 1)
        );
        let at = |wanted: &dyn Fn(&Effect) -> bool| world.effects().iter().position(wanted);
        let closes = at(&|effect| *effect == Effect::CloseMic(id));
        assert!(
            closes < at(&|effect| matches!(effect, Effect::ClosePeer(_))),
            "the recording indicator goes first"
        );
        assert_eq!(world.timer(Timer::Call), None);
    }
}

#[test]
fn key_disabled_in_a_call_ends_it() {
    let (mut world, id) = talking();
    world.channel(SessionEvent {
        kind: EventType::Error,
        code: Some("client_key_disabled".into()),
        ..SessionEvent::default()
    });
    assert_eq!(
        (reasons(&world), closed(&world, id)),
        (vec![json!("shutdown")], 1)
    );
    assert_eq!(
        world.heard(EventName::Error)[0]["code"],
        "client_key_disabled"
    );
    world.call(Command::StartVoice);
    assert_eq!(asked(&world), 0);
}

#[test]
fn page_that_comes_back_is_clean_and_asks_nobody() {
    let (mut world, _) = talking();
    world.send(Msg::PageHidden);
    assert_eq!(world.timers(), 0, "nothing runs behind a hidden page");
    world.forget_effects();
    world.send(Msg::PageRestored);
    assert_eq!(
        (shown(&world), asked(&world), world.banner()),
        (None, 0, None)
    );
    assert!(world.panel().composer.can_talk);
}

// ── mute, devices, sound ─────────────────────────────────────────────────────────────────────────────────────────────────
