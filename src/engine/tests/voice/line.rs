//! The line of a call breaks, and comes back.

use super::*;
use crate::engine::effect::{Body, Method};
use crate::engine::limits::{CALL_CONNECT_MS, CALL_LOST_MS, RESTART_DEADLINE_MS};

fn opened(world: &World) -> usize {
    world.count(|effect| matches!(effect, Effect::OpenPeer { .. }))
}

fn pong() -> SessionEvent {
    bare(EventType::Pong, 0)
}

#[test]
fn call_takes_the_next_connection_with_the_same_microphone() {
    let (mut world, id) = talking();
    world.call(Command::Mute(true));
    world.channel(state("speaking", None));
    let lost = world.peer();
    world.send(Msg::PeerClosed {
        id: lost,
        reason: "failed",
    });
    assert_eq!(shown(&world), Some("reconnecting"));
    assert!(
        world.timer(Timer::Peer).is_some_and(|delay| delay <= 1_500),
        "a call does not wait long"
    );
    world.advance(1_500);
    let peer = connect(&mut world);
    assert_eq!(world.count(|effect| *effect == Effect::Talk(peer)), 1);
    assert_eq!(kinds(&world), ["voice.mute", "voice.start", "voice.mute"]);
    world.channel(state("listening", None));
    assert_eq!(shown(&world), Some("muted"));
    assert_eq!(
        (asked(&world), closed(&world, id)),
        (0, 0),
        "the microphone is kept"
    );
    assert_eq!(
        world.heard(EventName::VoiceStarted).len(),
        0,
        "it is the same call"
    );
    assert_eq!(reasons(&world), Vec::<serde_json::Value>::new());
}

#[test]
fn frames_of_the_old_connection_say_nothing_about_the_call() {
    let (mut world, _) = talking();
    let lost = world.peer();
    world.send(Msg::PeerClosed {
        id: lost,
        reason: "failed",
    });
    world.send(Msg::ChannelFrame {
        id: lost,
        event: Box::new(state("ended", Some("taken_over"))),
    });
    assert_eq!(shown(&world), Some("reconnecting"));
}

#[test]
fn network_that_stays_away_ends_the_call_in_bounded_time() {
    let (mut world, id) = talking();
    for _ in 0..CALL_LOST_MS / 1_000 - 1 {
        let peer = world.peer();
        world.send(Msg::PeerClosed {
            id: peer,
            reason: "failed",
        });
        world.advance(1_000);
        assert_eq!(shown(&world), Some("reconnecting"));
    }
    assert!(opened(&world) > 10, "it is tried again and again");
    world.advance(3_000);
    assert_eq!(
        (reasons(&world), closed(&world, id)),
        (vec![json!("connection")], 1)
    );
    assert!(world.banner().is_some());
}

#[test]
fn attempts_of_a_call_do_not_outlive_it() {
    let (mut world, _) = talking();
    for _ in 0..40 {
        let peer = world.peer();
        world.send(Msg::PeerClosed {
            id: peer,
            reason: "failed",
        });
        world.advance(1_500);
    }
    world.forget_effects();
    world.advance(600_000);
    assert_eq!(opened(&world), 0);
}

#[test]
fn network_that_lets_no_call_through_is_told_from_one_that_broke() {
    let mut world = World::new(talkable());
    world.open();
    world.begin_session("s_1", 0);
    world.stream_in_step(0);
    world.send(Msg::Ui(Ui::VoicePressed));
    grant(&mut world);
    world.advance(CALL_CONNECT_MS + 1_000);
    assert_eq!(reasons(&world), ["webrtc_unavailable"]);
    // Nor does an offer that the server cannot use come to anything.
    let mut world = World::new(talkable());
    world.open();
    world.begin_session("s_1", 0);
    world.stream_in_step(0);
    world.send(Msg::Ui(Ui::VoicePressed));
    grant(&mut world);
    let id = world.peer();
    world.send(Msg::PeerOffered {
        id,
        sdp: "x".into(),
    });
    world.reply_err(CONNECT, failure(400, "sdp_invalid"));
    assert_eq!(reasons(&world), ["webrtc_unavailable"]);
}

#[test]
fn server_that_never_answers_the_start_is_given_up() {
    let mut world = ready();
    world.send(Msg::Ui(Ui::VoicePressed));
    grant(&mut world);
    for _ in 0..CALL_CONNECT_MS / 1_000 + 2 {
        world.channel(pong());
        world.advance(1_000);
    }
    assert_eq!(reasons(&world).len(), 1);
}

#[test]
fn text_that_is_held_back_is_tried_sooner_in_a_call() {
    let (mut world, _) = talking();
    let lost = world.peer();
    world.send(Msg::PeerClosed {
        id: lost,
        reason: "failed",
    });
    for _ in 0..6 {
        let (id, _) = world.stream_url();
        world.send(Msg::StreamClosed {
            id,
            failure: network(),
        });
        assert!(
            world
                .timer(Timer::Reconnect)
                .is_some_and(|delay| delay <= 1_000)
        );
        world.advance(1_000);
    }
}

// ── ICE restart ──────────────────────────────────────────────────────────────────────────────────────────────────────────

fn shaken() -> (World, Id) {
    let (mut world, _) = talking();
    let id = world.peer();
    world.send(Msg::PeerShaken { id });
    assert_eq!(world.count(|effect| *effect == Effect::RestartPeer(id)), 1);
    world.send(Msg::PeerOffered {
        id,
        sdp: "v=0\r\na=ice-ufrag:new\r\na=ice-pwd:secret\r\na=mid:0\r\n".into(),
    });
    (world, id)
}

#[test]
fn broken_path_is_restarted_under_the_same_connection() {
    let (mut world, id) = shaken();
    let patch = world.request("/sessions/s_1/connect/c_1");
    assert_eq!(patch.method, Method::Patch);
    assert_eq!(
        patch.body,
        Body::Fragment("a=ice-ufrag:new\r\na=ice-pwd:secret\r\n".into())
    );
    let fragment = String::from("a=ice-ufrag:theirs\r\na=ice-pwd:x\r\n");
    world.reply(
        patch.id,
        Ok(Reply::Answer {
            sdp: fragment.clone(),
            link: Secret::default(),
            location: String::new(),
        }),
    );
    assert_eq!(
        world.count(|effect| *effect
            == Effect::AnswerPeer {
                id,
                sdp: fragment.clone()
            }),
        1
    );
    world.channel(pong());
    world.advance(4_000);
    world.channel(pong());
    assert_eq!(opened(&world), 0);
    assert_eq!(shown(&world), Some("listening"));
    assert_eq!(kinds(&world), [""; 0], "the call has noticed nothing");

    // The answer to a restart names no servers: those that are known stay.
    world.send(Msg::PeerClosed {
        id,
        reason: "failed",
    });
    world.advance(1_500);
    assert_eq!(
        world.count(
            |effect| matches!(effect, Effect::OpenPeer { ice_servers, .. } if ice_servers.len() == 1)
        ),
        1
    );
}

#[test]
fn restart_that_brings_nothing_gives_way_to_a_new_connection() {
    let (mut world, id) = shaken();
    world.advance(RESTART_DEADLINE_MS);
    assert_eq!(world.count(|effect| *effect == Effect::ClosePeer(id)), 1);
    assert_eq!(shown(&world), Some("reconnecting"));
    world.advance(1_500);
    connect(&mut world);
    assert_eq!(kinds(&world), ["voice.start"]);
}

#[test]
fn restart_that_is_refused_gives_way_to_a_new_connection() {
    let (mut world, id) = shaken();
    let patch = world.request("/sessions/s_1/connect/c_1");
    world.reply(patch.id, Err(failure(404, "connection_not_found")));
    assert_eq!(world.count(|effect| *effect == Effect::ClosePeer(id)), 1);
    assert_eq!(shown(&world), Some("reconnecting"));
}

#[test]
fn network_that_comes_back_restarts_what_is_there() {
    let (mut world, _) = talking();
    let id = world.peer();
    world.send(Msg::Online);
    assert_eq!(world.count(|effect| *effect == Effect::RestartPeer(id)), 1);
    world.channel(pong());
    world.forget_effects();
    world.send(Msg::NetworkChanged);
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::RestartPeer(_))),
        0,
        "a path that answers is left alone"
    );
    assert_eq!(world.frames().len(), 1, "it is asked");
    world.advance(RESTART_DEADLINE_MS);
    assert_eq!(shown(&world), Some("reconnecting"));
    let mut quiet = ready();
    quiet.send(Msg::NetworkChanged);
    assert_eq!(quiet.frames().len(), 0, "text has time");
}

#[test]
fn attempt_from_before_the_network_came_back_is_not_waited_for() {
    let (mut world, _) = talking();
    let lost = world.peer();
    world.send(Msg::PeerClosed {
        id: lost,
        reason: "failed",
    });
    world.advance(1_500);
    let stuck = world.peer();
    world.send(Msg::PeerOffered {
        id: stuck,
        sdp: "x".into(),
    });
    world.send(Msg::Online);
    assert_ne!(world.peer(), stuck);
    connect(&mut world);
    assert_eq!(kinds(&world), ["voice.start"]);
}
