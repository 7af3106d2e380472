//! What the server has to know of a handed call reaches it, whatever is lost on the way: each line once, in order, and the end.

use super::*;
use crate::engine::effect::Failure;
use crate::engine::limits::ITEMS;
use karta_protocol::ClientEvent;

/// Text goes by a channel of its own, in step with the log; a call beside it, whose engine listens. Ids of both.
fn talking_beside_a_channel() -> (World, Id, Id) {
    let mut world = World::chatting_with(page(RealtimeLine::OpenAi));
    let own = world.peer();
    open_channel(&mut world, own, 0);
    world.forget_effects();
    world.call(Command::StartVoice);
    let mic = world.effects().iter().find_map(|effect| match effect {
        Effect::OpenMic(id) => Some(*id),
        _ => None,
    });
    let (id, news) = (mic.expect("a microphone"), MicNews::Granted);
    world.send(Msg::Mic { id, news });
    let call = world.peer();
    assert_ne!(call, own);
    offered(&mut world, call);
    world.reply_ok(CALL, answer_sdp());
    world.send(Msg::ChannelOpened { id: call });
    frame(&mut world, call, json!({"type": "session.created"}));
    world.forget_effects();
    (world, own, call)
}

fn open_channel(world: &mut World, own: Id, seq: u64) {
    let sdp = "v=0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n".into();
    world.send(Msg::PeerOffered { id: own, sdp });
    let location = "/api/v1/widget/sessions/s_1/connect/c_1".into();
    let (sdp, link) = ("v=0".into(), Default::default());
    world.reply_ok(
        "/sessions/s_1/connect",
        Reply::Answer {
            sdp,
            location,
            link,
        },
    );
    world.send(Msg::ChannelOpened { id: own });
    on_channel(world, own, synced(seq));
}

fn on_channel(world: &mut World, id: Id, event: SessionEvent) {
    let event = Box::new(event);
    world.send(Msg::ChannelFrame { id, event });
}

/// The visitor has said this.
fn say(world: &mut World, call: Id, words: &str) {
    for (kind, field) in [("delta", "delta"), ("completed", "transcript")] {
        let kind = format!("conversation.item.input_audio_transcription.{kind}");
        let event = json!({"type": kind, "item_id": words, field: words});
        frame(world, call, event);
    }
}

fn framed(world: &World) -> Vec<ClientEvent> {
    let frames = world.frames().into_iter();
    frames.filter(|event| event.kind == "call.said").collect()
}

fn texts(events: &[ClientEvent]) -> Vec<&str> {
    events.iter().filter_map(|e| e.text.as_deref()).collect()
}

fn posts(world: &World) -> Vec<ClientEvent> {
    world.requests(EVENTS).iter().map(posted).collect()
}

/// In the log, as its readers hear of it.
fn logged(seq: u64, said: &ClientEvent) -> SessionEvent {
    SessionEvent {
        kind: EventType::UserTranscript,
        handed: true,
        ..user(seq, &client_id(said), said.text.as_deref().unwrap_or(""))
    }
}

#[test]
fn a_line_that_is_lost_with_its_channel_goes_out_again_under_its_id() {
    let (mut world, own, call) = talking_beside_a_channel();
    say(&mut world, call, "One");
    say(&mut world, call, "Two");
    let sent = framed(&world);
    assert_eq!(texts(&sent), ["One", "Two"]);
    // The log has the first. The other was on its way.
    on_channel(&mut world, own, logged(1, &sent[0]));
    world.forget_effects();
    let (id, reason) = (own, "failed");
    world.send(Msg::PeerClosed { id, reason });
    assert_eq!(posts(&world), sent[1..]);
    world.reply_ok(EVENTS, accepted());
    world.forget_effects();
    world.advance(60_000);
    assert_eq!(posts(&world), []);
    assert_eq!(framed(&world), []);
}

#[test]
fn by_the_next_channel_as_well_unless_the_log_has_it_by_then() {
    let (mut world, own, call) = talking_beside_a_channel();
    say(&mut world, call, "One");
    say(&mut world, call, "Two");
    let sent = framed(&world);
    let (id, reason) = (own, "failed");
    world.send(Msg::PeerClosed { id, reason });
    world.reply_err(EVENTS, network());
    world.forget_effects();
    // One and a half seconds at most until the next attempt at a channel; the stream is not there either.
    while world.count(|effect| matches!(effect, Effect::OpenPeer { .. })) == 0 {
        world.advance(100);
        for request in world.requests(EVENTS) {
            world.reply(request.id, Err(network()));
        }
    }
    let own = world.peer();
    world.forget_effects();
    world.send(Msg::PeerOffered {
        id: own,
        sdp: "v=0".into(),
    });
    let (location, link) = (
        "/api/v1/widget/sessions/s_1/connect/c_2".into(),
        Default::default(),
    );
    let sdp = "v=0".into();
    world.reply_ok(
        "/sessions/s_1/connect",
        Reply::Answer {
            sdp,
            location,
            link,
        },
    );
    world.send(Msg::ChannelOpened { id: own });
    // The replay.
    on_channel(&mut world, own, logged(1, &sent[0]));
    on_channel(&mut world, own, synced(1));
    // The POST that failed has its pause.
    world.advance(2_000);
    assert_eq!(framed(&world), sent[1..]);
    on_channel(&mut world, own, logged(2, &sent[1]));
    assert_eq!(world.lines(), ["One", "Two"]);
}

#[test]
fn without_a_channel_lines_go_one_after_the_other() {
    let (mut world, call) = talking(RealtimeLine::OpenAi);
    say(&mut world, call, "One");
    say(&mut world, call, "Two");
    say(&mut world, call, "Three");
    assert_eq!(texts(&posts(&world)), ["One"]);
    world.reply_ok(EVENTS, accepted());
    assert_eq!(texts(&posts(&world)), ["One", "Two"]);
    // The log is faster than the answer.
    let two = world.request(EVENTS);
    world.frame(logged(1, &posted(&two)));
    assert_eq!(texts(&posts(&world)), ["One", "Two"]);
    world.reply(two.id, Ok(accepted()));
    assert_eq!(texts(&posts(&world)), ["One", "Two", "Three"]);
    let three = world.request(EVENTS);
    world.reply(three.id, Err(failure(503, "overloaded")));
    world.forget_effects();
    world.advance(10_000);
    assert_eq!(posts(&world)[0], posted(&three));
}

#[test]
fn hours_of_talk_that_nobody_takes_are_bounded() {
    let (mut world, call) = talking(RealtimeLine::OpenAi);
    for n in 0..ITEMS + 10 {
        say(&mut world, call, &n.to_string());
    }
    let mut taken = Vec::new();
    while let [line] = &posts(&world)[..] {
        taken.extend(line.text.clone());
        let id = world.request(EVENTS).id;
        world.forget_effects();
        world.reply(id, Ok(accepted()));
    }
    let kept: Vec<String> = (0..ITEMS).map(|n| n.to_string()).collect();
    assert_eq!(taken, kept, "the first ones, in their order");
}

#[test]
fn a_server_that_dies_in_a_call_hears_all_of_it_when_it_is_back() {
    let (mut world, own, call) = talking_beside_a_channel();
    let (id, reason) = (own, "failed");
    world.send(Msg::PeerClosed { id, reason });
    let down = |world: &mut World| {
        let stream = world.stream();
        let failure = network();
        world.send(Msg::StreamClosed {
            id: stream,
            failure,
        });
        for request in world.requests("") {
            world.reply(request.id, Err(network()));
        }
    };
    for words in ["One", "Two", "Three"] {
        say(&mut world, call, words);
        down(&mut world);
        world.advance(5_000);
    }
    frame(
        &mut world,
        call,
        json!({"type": "response.output_audio_transcript.delta", "item_id": "a", "delta": "Once upon"}),
    );
    down(&mut world);
    assert_eq!(reason_of(&world), Value::Null, "the call goes on");
    assert_eq!(world.heard(EventName::VoiceStarted).len(), 0);
    // It is back.
    let mut said = Vec::new();
    world.forget_effects();
    world.advance(2_000);
    while let Some(request) = world.requests(EVENTS).get(said.len()) {
        said.push(posted(request));
        world.reply(request.id, Ok(accepted()));
    }
    assert_eq!(
        texts(&said),
        ["One", "Two", "Three"],
        "in order, and each once"
    );
    let stream = world.stream();
    world.send(Msg::StreamOpened { id: stream });
    for (n, said) in said.iter().enumerate() {
        world.frame(logged(n as u64 + 1, said));
    }
    world.frame(synced(3));
    assert_eq!(world.lines(), ["One", "Two", "Three"]);
    assert_eq!(reason_of(&world), Value::Null);
}

fn reason_of(world: &World) -> Value {
    reason(world)
}

#[test]
fn the_end_is_told_until_it_is_heard_and_after_what_was_said() {
    let (mut world, call) = talking(RealtimeLine::OpenAi);
    let end = format!("{CALL}/h_1");
    say(&mut world, call, "Goodbye");
    world.call(Command::EndVoice);
    assert_eq!(reason(&world), "ended");
    assert!(world.requests(&end).is_empty(), "the line is on its way");
    world.reply_ok(EVENTS, accepted());
    assert_eq!(world.request(&end).method, Method::Delete);
    for n in 1..4 {
        let failure = if n == 2 {
            failure(503, "overloaded")
        } else {
            network()
        };
        world.reply_err(&end, failure);
        world.forget_effects();
        world.advance(70_000);
        assert!(!world.requests(&end).is_empty(), "{n}");
    }
    world.reply_ok(&end, accepted());
    world.forget_effects();
    world.advance(70_000);
    assert!(world.requests(&end).is_empty());
}

#[test]
fn the_end_waits_for_what_a_channel_has_and_nobody_has_acknowledged() {
    let (mut world, own, call) = talking_beside_a_channel();
    let end = format!("{CALL}/h_1");
    say(&mut world, call, "Goodbye");
    let sent = framed(&world);
    world.call(Command::EndVoice);
    assert!(world.requests(&end).is_empty());
    on_channel(&mut world, own, logged(1, &sent[0]));
    assert_eq!(world.requests(&end).len(), 1);

    // The channel is dead, and nobody knows yet.
    let (mut world, own, call) = talking_beside_a_channel();
    say(&mut world, call, "Goodbye");
    world.call(Command::EndVoice);
    let (id, reason) = (own, "failed");
    world.send(Msg::PeerClosed { id, reason });
    assert_eq!(texts(&posts(&world)), ["Goodbye"]);
    assert!(world.requests(&end).is_empty());
    world.reply_ok(EVENTS, accepted());
    assert_eq!(world.requests(&end).len(), 1);
}

#[test]
fn a_page_that_goes_sends_all_of_it_at_once() {
    let (mut world, own, call) = talking_beside_a_channel();
    say(&mut world, call, "One");
    say(&mut world, call, "Two");
    let sent = framed(&world);
    world.forget_effects();
    world.send(Msg::PageHidden);
    let requests = world.requests("/sessions/s_1/");
    assert!(
        requests.iter().all(|request| request.keepalive),
        "{requests:?}"
    );
    assert_eq!(posts(&world), sent);
    assert_eq!(world.requests(&format!("{CALL}/h_1")).len(), 1);
    let _ = own;
    // It was only in the back-forward cache: nobody knows what arrived.
    world.forget_effects();
    world.send(Msg::PageRestored);
    world.reply_ok("/auth/refresh", token("t_2"));
    assert_eq!(posts(&world), sent[..1]);
}

/// What becomes of a line that the server refuses: how often it was sent in all, and why the call ended.
#[track_caller]
fn refused(failure: impl Fn() -> Failure, sent: usize, ended: Value) {
    let (mut world, call) = talking(RealtimeLine::OpenAi);
    say(&mut world, call, "One");
    let mut requests = 0;
    for _ in 0..200 {
        if let Some(request) = world.requests(EVENTS).pop() {
            requests += 1;
            world.forget_effects();
            world.reply(request.id, Err(failure()));
        }
        assert_eq!(reason(&world), ended);
        if ended != Value::Null {
            break;
        }
        world.advance(500);
    }
    assert_eq!(requests, sent, "{:?}", failure());
    if ended == Value::Null {
        say(&mut world, call, "Two");
        assert_eq!(texts(&posts(&world)), ["Two"], "the next has its turn");
    }
}

#[test]
fn a_line_that_is_refused_for_good_does_not_hold_up_the_next() {
    refused(|| failure(400, "request_invalid"), 1, Value::Null);
    refused(|| failure(413, "payload_too_large"), 1, Value::Null);
    refused(|| failure(500, "internal"), 6, Value::Null);
}

#[test]
fn a_server_that_knows_no_call_ends_it() {
    refused(
        || failure(404, "connection_not_found"),
        1,
        Value::from("connection"),
    );
    let (mut world, own, call) = talking_beside_a_channel();
    say(&mut world, call, "One");
    let sent = framed(&world);
    let error = |code: &str, seconds| SessionEvent {
        kind: EventType::Error,
        id: Some(client_id(&sent[0])),
        code: Some(code.into()),
        retry_after_seconds: seconds,
        ..SessionEvent::default()
    };
    world.forget_effects();
    // Too much at once: later.
    on_channel(&mut world, own, error("rate_limited", Some(7)));
    assert_eq!(framed(&world), []);
    world.advance(6_900);
    assert_eq!(framed(&world), []);
    world.advance(1_200);
    assert_eq!(framed(&world), sent);
    on_channel(&mut world, own, error("connection_not_found", None));
    assert_eq!(reason(&world), "connection");
    assert_eq!(world.count(|effect| *effect == Effect::ClosePeer(call)), 1);
}
