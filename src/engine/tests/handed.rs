//! Calls that a realtime engine answers: a connection of their own beside the one that carries the text.

mod reports;

use super::fake::*;
use crate::engine::command::Command;
use crate::engine::effect::{Body, Effect, Id, Method, Reply};
use crate::engine::event::EventName;
use crate::engine::machine::{Boot, MicNews, Msg};
use karta_protocol::{
    DATA_CHANNEL_LABEL, EventType, Features, RealtimeLine, SessionEvent, WidgetConfig,
};
use serde_json::{Value, json};

const CALL: &str = "/sessions/s_1/call";
const EVENTS: &str = "/sessions/s_1/events";

pub fn page(line: RealtimeLine) -> Boot {
    let config = WidgetConfig {
        features: Features {
            voice: true,
            realtime: Some(line),
            widget_enabled: true,
            ..Features::default()
        },
        ..WidgetConfig::default()
    };
    Boot {
        webrtc: true,
        microphone: true,
        prefetched: Some((config_url(), Ok(Box::new(server_layer(&config))))),
        ..boot()
    }
}

/// The visitor has pressed the button and granted the microphone; the second connection is asked for.
fn calling(line: RealtimeLine) -> (World, Id) {
    let mut world = World::chatting_with(page(line));
    world.call(Command::StartVoice);
    let mic = world.effects().iter().find_map(|effect| match effect {
        Effect::OpenMic(id) => Some(*id),
        _ => None,
    });
    let mic = mic.expect("a microphone was asked for");
    world.forget_effects();
    world.send(Msg::Mic {
        id: mic,
        news: MicNews::Granted,
    });
    let id = world.peer();
    (world, id)
}

fn offered(world: &mut World, id: Id) {
    let sdp = "offer".into();
    world.send(Msg::PeerOffered { id, sdp });
}

fn answer_sdp() -> Reply {
    Reply::Answer {
        sdp: "answer".into(),
        location: "/api/v1/widget/sessions/s_1/call/h_1".into(),
        link: Default::default(),
    }
}

fn frame(world: &mut World, id: Id, frame: Value) {
    let frame = Box::new(raw(&frame));
    world.send(Msg::EngineFrame { id, frame });
}

/// A call whose engine listens; its effects are forgotten.
fn talking(line: RealtimeLine) -> (World, Id) {
    let (mut world, id) = calling(line);
    offered(&mut world, id);
    world.reply_ok(CALL, answer_sdp());
    world.send(Msg::ChannelOpened { id });
    frame(&mut world, id, json!({"type": "bot-ready"}));
    frame(&mut world, id, json!({"type": "session.created"}));
    world.forget_effects();
    (world, id)
}

/// What went to the engine.
fn sent(world: &World, id: Id) -> Vec<Value> {
    let frames = world.effects().iter().filter_map(|effect| match effect {
        Effect::SendFrame { id: to, event } if *to == id => serde_json::to_value(event).ok(),
        Effect::SendText { id: to, text } if *to == id => serde_json::from_str(text).ok(),
        _ => None,
    });
    frames.collect()
}

fn is_ping(effect: &Effect, id: Id) -> bool {
    matches!(effect, Effect::SendText { id: to, text } if *to == id && text.starts_with("ping: "))
}

fn reason(world: &World) -> Value {
    let ended = world.heard(EventName::VoiceEnded);
    ended
        .last()
        .map_or(Value::Null, |end| end["reason"].clone())
}

fn ended(id: Option<&str>, code: Option<&str>) -> SessionEvent {
    SessionEvent {
        kind: EventType::VoiceState,
        id: id.map(String::from),
        state: Some("ended".into()),
        code: code.map(String::from),
        ..SessionEvent::default()
    }
}

#[test]
fn a_call_is_a_second_connection_with_the_engines_own_channel() {
    let (mut world, id) = calling(RealtimeLine::Pipecat);
    let chat = |effect: &Effect| {
        matches!(
            effect,
            Effect::OpenPeer {
                channel: "chat",
                ..
            }
        )
    };
    assert_eq!(world.count(chat), 1);
    offered(&mut world, id);
    let request = world.request(CALL);
    assert!(matches!(&request.body, Body::Sdp(sdp) if sdp == "offer"));
    assert!(
        request.url.ends_with("/call?language=en"),
        "{}",
        request.url
    );
    world.reply_ok(CALL, answer_sdp());
    world.send(Msg::ChannelOpened { id });
    assert_eq!(world.count(|effect| *effect == Effect::Talk(id)), 1);
    assert_eq!(sent(&world, id)[0]["type"], "client-ready");
    assert_eq!(world.count(|effect| is_ping(effect, id)), 1);
    assert!(
        world.heard(EventName::VoiceStarted).is_empty(),
        "it listens when it says so"
    );
    frame(&mut world, id, json!({"type": "bot-ready"}));
    assert_eq!(world.heard(EventName::VoiceStarted).len(), 1);
    world.forget_effects();
    world.advance(3_000);
    assert_eq!(world.count(|effect| is_ping(effect, id)), 3);

    let (world, _) = calling(RealtimeLine::OpenAi);
    let events = |effect: &Effect| {
        matches!(
            effect,
            Effect::OpenPeer {
                channel: "oai-events",
                ..
            }
        )
    };
    assert_eq!(world.count(events), 1);
}

#[test]
fn what_is_said_is_on_screen_at_once_and_goes_to_the_log_when_it_is_whole() {
    let (mut world, id) = talking(RealtimeLine::OpenAi);
    let words = json!({"type": "conversation.item.input_audio_transcription.delta", "item_id": "i", "delta": "Opening hours"});
    frame(&mut world, id, words);
    assert_eq!(world.lines(), ["Opening hours"]);
    let whole = json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": "i", "transcript": "Opening hours?"});
    frame(&mut world, id, whole);
    let said = posted(&world.request(EVENTS));
    assert_eq!(
        (said.kind.as_str(), said.role.as_deref()),
        ("call.said", Some("user"))
    );
    assert_eq!(said.text.as_deref(), Some("Opening hours?"));
    world.reply_ok(EVENTS, accepted());
    // The log's own line takes the place of the caption.
    world.frame(SessionEvent {
        kind: EventType::UserTranscript,
        handed: true,
        ..user(1, &client_id(&said), "Opening hours?")
    });
    assert_eq!(world.lines(), ["Opening hours?"]);
    frame(
        &mut world,
        id,
        json!({"type": "response.output_audio_transcript.delta", "delta": "Nine to five."}),
    );
    assert_eq!(world.lines(), ["Opening hours?", "Nine to five."]);
    frame(
        &mut world,
        id,
        json!({"type": "output_audio_buffer.started"}),
    );
    frame(
        &mut world,
        id,
        json!({"type": "response.done", "response": {"status": "completed"}}),
    );
    frame(
        &mut world,
        id,
        json!({"type": "output_audio_buffer.stopped"}),
    );
    let said = posted(&world.request(EVENTS));
    assert_eq!(
        (said.role.as_deref(), said.text.as_deref()),
        (Some("agent"), Some("Nine to five."))
    );
    let mut whole = answer(2, "Nine to five.");
    whole.part_id = said.id;
    whole.handed = true;
    world.frame(whole);
    assert_eq!(world.lines(), ["Opening hours?", "Nine to five."]);
}

#[test]
fn who_speaks_over_the_agent_silences_it_here() {
    let (mut world, id) = talking(RealtimeLine::OpenAi);
    frame(
        &mut world,
        id,
        json!({"type": "response.output_audio_transcript.delta", "delta": "A very long story."}),
    );
    frame(
        &mut world,
        id,
        json!({"type": "output_audio_buffer.started"}),
    );
    world.advance(500);
    world.forget_effects();
    frame(
        &mut world,
        id,
        json!({"type": "input_audio_buffer.speech_started"}),
    );
    assert_eq!(world.count(|effect| *effect == Effect::Hush(true)), 1);
    assert_eq!(world.lines(), ["A very"]);
    assert!(
        world.requests(EVENTS).is_empty(),
        "nobody knows yet how much was heard"
    );
    frame(
        &mut world,
        id,
        json!({"type": "conversation.item.truncated", "audio_end_ms": 900}),
    );
    let said = posted(&world.request(EVENTS));
    assert_eq!(said.text.as_deref(), Some("A very long"));
    assert!(said.interrupted);
}

#[test]
fn what_the_log_says_was_typed_goes_to_the_engine_whichever_tab_it_came_from() {
    let (mut world, id) = talking(RealtimeLine::Pipecat);
    let handed = |seq, client: &str, text: &str| SessionEvent {
        handed: true,
        ..user(seq, client, text)
    };
    world.frame(handed(1, "other-tab", "And on Sunday?"));
    world.frame(user(2, "m2", "This one a turn answers."));
    let frames = sent(&world, id);
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!(frames[0]["data"]["content"], "And on Sunday?");

    // Typed while it connects: it waits until the engine listens.
    let (mut world, id) = calling(RealtimeLine::Pipecat);
    offered(&mut world, id);
    world.reply_ok(CALL, answer_sdp());
    world.frame(handed(1, "m1", "Early."));
    world.send(Msg::ChannelOpened { id });
    assert!(
        sent(&world, id)
            .iter()
            .all(|frame| frame["type"] == "client-ready")
    );
    frame(&mut world, id, json!({"type": "bot-ready"}));
    let frames = sent(&world, id);
    assert_eq!(frames.last().expect("one")["data"]["content"], "Early.");
}

#[test]
fn the_end_is_told_to_the_engine_and_to_the_server() {
    let (mut world, id) = talking(RealtimeLine::Pipecat);
    world.call(Command::EndVoice);
    assert_eq!(
        sent(&world, id).last().expect("one")["type"],
        "disconnect-bot"
    );
    assert_eq!(world.count(|effect| *effect == Effect::ClosePeer(id)), 1);
    let request = world.request(&format!("{CALL}/h_1"));
    assert_eq!((request.method, request.keepalive), (Method::Delete, true));
    assert_eq!(reason(&world), "ended");
    // Late news of a connection that is gone.
    frame(
        &mut world,
        id,
        json!({"type": "user-input", "data": {"text": "x", "input_type": "transcription", "final": true}}),
    );
    world.send(Msg::PeerClosed { id, reason: "late" });
    assert_eq!(world.heard(EventName::VoiceEnded).len(), 1);
    assert!(world.lines().is_empty());
}

#[test]
fn a_refusal_has_its_own_words_and_text_goes_on() {
    for (status, code, told) in [
        (502, "voice_unavailable", "voice_unavailable"),
        (409, "voice_unavailable", "voice_unavailable"),
        (503, "overloaded", "overloaded"),
        (429, "rate_limited", "rate_limited"),
        (400, "sdp_invalid", "failed"),
        (0, "", "failed"),
    ] {
        let (mut world, id) = calling(RealtimeLine::Pipecat);
        offered(&mut world, id);
        world.reply_err(CALL, failure(status, code));
        assert_eq!(reason(&world), told, "{status} {code}");
        assert_eq!(world.count(|effect| *effect == Effect::ClosePeer(id)), 1);
        world.forget_effects();
        world.say("Then in writing");
        assert_eq!(posted(&world.request(EVENTS)).kind, "user.message");
    }
}

#[test]
fn an_engine_that_goes_at_once_is_not_called_again_and_one_that_was_there_is() {
    let (mut world, id) = talking(RealtimeLine::Pipecat);
    world.advance(1_000);
    world.send(Msg::PeerClosed {
        id,
        reason: "channel_closed",
    });
    assert_eq!(reason(&world), "engine");

    let (mut world, id) = talking(RealtimeLine::Pipecat);
    world.advance(20_000);
    world.forget_effects();
    world.send(Msg::PeerClosed {
        id,
        reason: "failed",
    });
    assert_eq!(reason(&world), Value::Null);
    let again = world.peer();
    assert_ne!(again, id);
    offered(&mut world, again);
    world.reply_err(CALL, failure(502, "voice_unavailable"));
    assert_eq!(reason(&world), "voice_unavailable");

    let (mut world, id) = calling(RealtimeLine::Pipecat);
    offered(&mut world, id);
    world.send(Msg::PeerClosed {
        id,
        reason: "failed",
    });
    assert_eq!(reason(&world), "connection");
}

/// A second call of a call that was under way is asked for; its peer.
fn another(world: &mut World, before: Id) -> Id {
    let mut opened = world.effects().iter().rev();
    let again = opened.find_map(|effect| match effect {
        Effect::OpenPeer { id, channel, .. } if *channel != DATA_CHANNEL_LABEL => Some(*id),
        _ => None,
    });
    let again = again.expect("another call");
    assert_ne!(again, before);
    offered(world, again);
    again
}

#[test]
fn a_path_that_breaks_may_heal_by_itself_and_is_replaced_if_it_does_not() {
    // At any age of the call: it is the network that went, and not the engine.
    for age in [1_000, 60_000] {
        let (mut world, id) = talking(RealtimeLine::OpenAi);
        world.advance(age);
        world.forget_effects();
        world.send(Msg::PeerShaken { id });
        world.advance(1_000);
        frame(&mut world, id, json!({"type": "rate_limits.updated"}));
        world.advance(5_000);
        let closed = |world: &World| world.count(|effect| *effect == Effect::ClosePeer(id));
        assert_eq!(closed(&world), 0, "it has healed");
        world.send(Msg::PeerShaken { id });
        world.advance(3_000);
        assert_eq!(closed(&world), 1);
        let again = another(&mut world, id);
        world.reply_ok(CALL, answer_sdp());
        world.send(Msg::ChannelOpened { id: again });
        frame(&mut world, again, json!({"type": "session.created"}));
        assert_eq!(reason(&world), Value::Null);
        assert_eq!(
            world.heard(EventName::VoiceStarted).len(),
            0,
            "the same call"
        );
    }
}

#[test]
fn a_call_waits_for_the_network_and_comes_back_with_it() {
    let (mut world, id) = talking(RealtimeLine::OpenAi);
    world.advance(20_000);
    world.forget_effects();
    world.send(Msg::PeerShaken { id });
    world.advance(3_000);
    let mut last = another(&mut world, id);
    // No request gets through: one attempt a second, not one after the other.
    for _ in 0..5 {
        world.reply_err(CALL, network());
        assert_eq!(reason(&world), Value::Null);
        world.forget_effects();
        world.advance(500);
        assert_eq!(
            world.count(|effect| matches!(effect, Effect::OpenPeer { .. })),
            0
        );
        world.advance(1_500);
        last = another(&mut world, last);
    }
    // The browser knows that the network is back: at once.
    world.reply_err(CALL, network());
    world.forget_effects();
    world.send(Msg::Online);
    let again = another(&mut world, last);
    world.reply_ok(CALL, answer_sdp());
    // A path that never came is tried again, too.
    world.forget_effects();
    world.send(Msg::PeerClosed {
        id: again,
        reason: "failed",
    });
    world.advance(2_000);
    let last = another(&mut world, again);
    world.reply_ok(CALL, answer_sdp());
    world.send(Msg::ChannelOpened { id: last });
    frame(&mut world, last, json!({"type": "session.created"}));
    assert_eq!(reason(&world), Value::Null);

    // And not for ever.
    world.advance(20_000);
    world.forget_effects();
    world.send(Msg::PeerShaken { id: last });
    world.advance(3_000);
    let mut last = last;
    for _ in 0..20 {
        if reason(&world) != Value::Null {
            break;
        }
        last = another(&mut world, last);
        world.reply_err(CALL, network());
        world.advance(2_000);
    }
    assert_eq!(reason(&world), "connection");
}

#[test]
fn the_server_ends_this_call_and_says_so_of_others() {
    let (mut world, _) = talking(RealtimeLine::Pipecat);
    world.frame(ended(Some("h_0"), Some("taken_over")));
    world.frame(ended(Some("h_0"), None));
    assert_eq!(reason(&world), Value::Null);
    world.frame(ended(Some("h_1"), Some("too_long")));
    assert_eq!(reason(&world), "too_long");
}

#[test]
fn a_page_that_goes_takes_the_call_with_it() {
    let (mut world, id) = talking(RealtimeLine::OpenAi);
    world.send(Msg::PageHidden);
    assert_eq!(world.count(|effect| *effect == Effect::ClosePeer(id)), 1);
    assert!(world.request(&format!("{CALL}/h_1")).keepalive);
}
