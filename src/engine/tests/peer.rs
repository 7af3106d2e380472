//! WebRTC beside HTTPS: change-over, death, goodbye.

use super::fake::*;
use crate::engine::command::{Command, Identity, Secret};
use crate::engine::effect::{Body, Effect, IceServer, Method, Reply, Timer};
use crate::engine::limits::PEER_ATTEMPTS;
use crate::engine::machine::{Boot, Msg, Ui};
use crate::engine::view_model::ItemState;
use karta_protocol::{EventType, SessionEvent};

const EVENTS: &str = "/sessions/s_1/events";
const CONNECT: &str = "/sessions/s_1/connect";

fn webrtc() -> Boot {
    Boot {
        webrtc: true,
        ..boot()
    }
}

fn answer_sdp() -> Reply {
    Reply::Answer {
        sdp: "answer".into(),
        location: "/api/v1/widget/sessions/s_1/connect/c_1".into(),
        link: link("turn:new.test"),
    }
}

fn link(url: &str) -> Secret {
    let named = "; rel=\"ice-server\"; username=\"1:a\"; credential=\"c\"";
    Secret(["<", url, ">", named].concat())
}

/// Session, stream and a peer whose channel is open but has replayed nothing.
fn channel_open() -> World {
    let mut world = World::new(webrtc());
    world.open();
    world.begin_session("s_1", 0);
    world.stream_in_step(0);
    let id = world.peer();
    world.send(Msg::PeerOffered {
        id,
        sdp: "offer".into(),
    });
    world.reply_ok(CONNECT, answer_sdp());
    world.send(Msg::ChannelOpened { id });
    world
}

fn on_channel() -> World {
    let mut world = channel_open();
    world.channel(synced(0));
    world.forget_effects();
    world
}

#[test]
fn channel_takes_over_when_it_is_in_step() {
    let mut world = channel_open();
    assert!(matches!(world.request(CONNECT).body, Body::Sdp(sdp) if sdp == "offer"));
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::AnswerPeer { sdp, .. } if sdp == "answer")),
        1
    );
    let hello = &world.frames()[0];
    assert_eq!((hello.kind.as_str(), hello.after), ("hello", Some(0)));
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::CloseStream(_))),
        0,
        "the stream goes on meanwhile"
    );
    world.say("by post");
    assert_eq!(world.requests(EVENTS).len(), 1);
    world.reply_ok(EVENTS, accepted());
    world.channel(user(1, "m", "by post"));
    world.channel(synced(1));
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::CloseStream(_))),
        1
    );
    assert_eq!(world.timer(Timer::PeerDeadline), None);
    world.say("by channel");
    assert_eq!(world.requests(EVENTS).len(), 1);
    let frame = world.frames().pop().expect("a frame was sent");
    assert_eq!(frame.text.as_deref(), Some("by channel"));
    assert_eq!(
        world.items().last().map(|item| item.state),
        Some(ItemState::Sending)
    );
    world.channel(user(2, &client_id(&frame), "by channel"));
    assert_eq!(
        world.items().last().map(|item| item.state),
        Some(ItemState::Sent)
    );
    assert_eq!(world.panel().status, "Online");
}

#[test]
fn nothing_is_tried_without_webrtc() {
    let world = World::chatting();
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::OpenPeer { .. })),
        0
    );
}

#[test]
fn both_transports_at_once_double_nothing() {
    let mut world = channel_open();
    world.frame(user(1, "m", "hi"));
    world.channel(user(1, "m", "hi"));
    world.frame(delta("p", 0, "Hello wor"));
    world.channel(delta("p", 0, "Hello"));
    world.channel(SessionEvent {
        part_id: Some("p".into()),
        ..synced(1)
    });
    world.channel(delta("p", 5, " world"));
    assert_eq!(world.lines(), ["hi", "Hello world"]);
}

#[test]
fn servers_of_the_session_are_offered_with_and_those_of_the_answer_with_the_next_offer() {
    let mut world = World::new(webrtc());
    world.open();
    world.reply_ok("/auth/guest", token("t"));
    let Reply::Session(info, _) = session_info("s_1", 0) else {
        panic!("a session")
    };
    world.reply_ok("/sessions", Reply::Session(info, link("turn:old.test")));
    let known = |url: &str| IceServer {
        url: url.into(),
        username: "1:a".into(),
        credential: Secret("c".into()),
    };
    assert_eq!(world.ice_servers(), [known("turn:old.test")]);
    let id = world.peer();
    world.send(Msg::PeerOffered {
        id,
        sdp: "offer".into(),
    });
    world.reply_ok(CONNECT, answer_sdp());
    // The credentials were too old: no channel in time, and the next attempt has those of the answer.
    let delay = world.timer(Timer::PeerDeadline).expect("a deadline");
    world.advance(delay);
    let delay = world.timer(Timer::Peer).expect("another attempt");
    world.advance(delay);
    assert_eq!(world.ice_servers(), [known("turn:new.test")]);
}

#[test]
fn dead_channel_falls_back_and_sends_again() {
    let mut world = on_channel();
    world.say("hi");
    let framed = world.frames().pop().expect("a frame was sent");
    let id = world.peer();
    world.send(Msg::PeerClosed {
        id,
        reason: "failed",
    });
    let posted = posted(&world.request(EVENTS));
    assert_eq!(posted.id, framed.id, "the same message");
    assert!(world.stream_url().1.ends_with("?after=0"));
    world.reply_ok(EVENTS, accepted());
    world.stream_in_step(0);
    world.frame(user(1, &client_id(&posted), "hi"));
    assert_eq!(world.lines(), ["hi"]);
    // Another attempt, calmly.
    let delay = world
        .timer(Timer::Peer)
        .expect("another attempt is planned");
    world.advance(delay);
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::OpenPeer { .. })),
        1
    );
}

#[test]
fn attempts_are_bounded() {
    let mut world = World::new(webrtc());
    world.open();
    world.begin_session("s_1", 0);
    world.stream_in_step(0);
    for _ in 0..20 {
        let id = world.peer();
        world.send(Msg::PeerClosed {
            id,
            reason: "impossible",
        });
        world.advance(120_000);
    }
    let attempts = || |effect: &Effect| matches!(effect, Effect::OpenPeer { .. });
    assert_eq!(world.count(attempts()), PEER_ATTEMPTS as usize);
    world.send(Msg::Online);
    assert_eq!(
        world.count(attempts()),
        PEER_ATTEMPTS as usize + 1,
        "another network, another chance"
    );
}

#[test]
fn offer_that_the_server_cannot_use_is_not_repeated() {
    let mut world = World::new(webrtc());
    world.open();
    world.begin_session("s_1", 0);
    world.stream_in_step(0);
    let id = world.peer();
    world.send(Msg::PeerOffered {
        id,
        sdp: "bad".into(),
    });
    world.reply_err(CONNECT, failure(400, "sdp_invalid"));
    world.advance(1_000_000);
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::OpenPeer { .. })),
        1
    );
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::ClosePeer(_))),
        1
    );
    world.say("text goes on");
    assert_eq!(world.requests(EVENTS).len(), 1);
}

#[test]
fn peer_that_takes_too_long_is_given_up_and_said_goodbye() {
    let mut world = channel_open();
    world.advance(4_000);
    world.channel(SessionEvent {
        kind: EventType::Pong,
        ..SessionEvent::default()
    });
    world.advance(11_000);
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::ClosePeer(_))),
        1
    );
    let goodbye = world.request("/sessions/s_1/connect/c_1");
    assert_eq!(goodbye.method, Method::Delete);
    world.reply(goodbye.id, Err(failure(404, "connection_not_found")));
    assert_eq!(world.banner(), None);
}

#[test]
fn pings_go_out_and_silence_is_death() {
    let mut world = on_channel();
    for _ in 0..3 {
        world.advance(5_000);
        world.channel(SessionEvent {
            kind: EventType::Pong,
            ..SessionEvent::default()
        });
    }
    assert_eq!(
        world
            .frames()
            .iter()
            .filter(|frame| frame.kind == "ping")
            .count(),
        3
    );
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::ClosePeer(_))),
        0
    );
    world.advance(13_000);
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::ClosePeer(_))),
        1
    );
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::OpenStream { .. })),
        1
    );
}

#[test]
fn server_that_dies_in_the_middle_of_an_answer_is_noticed_soon() {
    let mut world = on_channel();
    world.say("hi");
    let frame = world.frames().pop().expect("a frame was sent");
    world.channel(user(1, &client_id(&frame), "hi"));
    world.channel(bare(EventType::StatusRunning, 2));
    world.channel(delta("p", 0, "half an"));
    world.advance(6_000);
    assert!(world.stream_url().1.ends_with("?after=2"));
}

#[test]
fn server_that_does_not_echo_a_message_is_noticed_soon() {
    let mut world = on_channel();
    world.say("hi");
    world.advance(4_000);
    assert_eq!(world.requests(EVENTS).len(), 1);
}

#[test]
fn message_without_an_echo_falls_back_to_post() {
    let mut world = on_channel();
    world.say("hi");
    let id = world.peer();
    while world.requests(EVENTS).is_empty() && world.now() < 60_000 {
        world.advance(5_000);
        let pong = SessionEvent {
            kind: EventType::Pong,
            ..SessionEvent::default()
        };
        world.send(Msg::ChannelFrame {
            id,
            event: Box::new(pong),
        });
    }
    let framed = world
        .frames()
        .into_iter()
        .find(|frame| frame.kind == "user.message");
    assert_eq!(framed, Some(posted(&world.request(EVENTS))));
}

#[test]
fn frame_that_is_refused_means_what_a_refused_post_means() {
    let refuse = |code: &str, seconds: Option<u32>| {
        let mut world = on_channel();
        world.say("hi");
        let id = world.frames().pop().and_then(|frame| frame.id);
        world.channel(SessionEvent {
            kind: EventType::Error,
            id,
            code: Some(code.into()),
            retry_after_seconds: seconds,
            ..SessionEvent::default()
        });
        world
    };
    let world = refuse("payload_too_large", None);
    assert_eq!(
        world.items().last().map(|item| item.state),
        Some(ItemState::Failed)
    );
    let mut world = refuse("rate_limited", Some(3));
    let sent = |world: &World| {
        world
            .frames()
            .iter()
            .filter(|frame| frame.kind == "user.message")
            .count()
    };
    assert_eq!(sent(&world), 1);
    world.advance(4_500);
    assert_eq!(sent(&world), 2);
    let world = refuse("limit_reached", Some(30));
    assert!(!world.panel().composer.enabled);
    let world = refuse("", None);
    assert_eq!(
        world.items().last().map(|item| item.state),
        Some(ItemState::Failed)
    );
}

#[test]
fn trouble_over_https_does_not_silence_the_channel() {
    let mut world = on_channel();
    world.advance(1_000);
    world.send(Msg::TimerFired(Timer::TokenRefresh));
    world.reply_err("/auth/refresh", failure(500, "internal"));
    assert!(world.timer(Timer::Reconnect).is_some());
    world.say("hi");
    assert!(
        world
            .frames()
            .iter()
            .any(|frame| frame.kind == "user.message")
    );
}

#[test]
fn hole_on_the_channel_is_mended_over_https() {
    let mut world = on_channel();
    world.channel(user(1, "m", "hi"));
    world.channel(answer(3, "hole"));
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::ClosePeer(_))),
        1
    );
    assert!(world.stream_url().1.ends_with("?after=1"));
}

#[test]
fn stop_and_retry_go_by_the_channel() {
    let mut world = on_channel();
    world.channel(bare(EventType::StatusRunning, 1));
    world.send(Msg::Ui(Ui::StopPressed));
    world.channel(bare(EventType::SessionError, 2));
    world.send(Msg::Ui(Ui::RetryPressed));
    let kinds: Vec<String> = world.frames().into_iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, ["user.interrupt", "user.retry"]);
}

#[test]
fn hidden_page_says_goodbye_and_flushes_and_comes_back() {
    let mut world = on_channel();
    world.say("last words");
    world.forget_effects();
    world.send(Msg::PageHidden);
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::ClosePeer(_))),
        1
    );
    let goodbye = world.request("/sessions/s_1/connect/c_1");
    assert!(goodbye.keepalive && goodbye.method == Method::Delete);
    let flush = world.request(EVENTS);
    assert!(flush.keepalive);
    assert_eq!(posted(&flush).text.as_deref(), Some("last words"));
    assert_eq!(world.timers(), 0, "nothing runs behind a hidden page");
    world.forget_effects();
    world.send(Msg::PageRestored);
    assert!(world.stream_url().1.ends_with("?after=0"));
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::OpenPeer { .. })),
        1
    );
    assert_eq!(world.requests("/auth/refresh").len(), 1, "time has passed");
    let again = posted(&world.request(EVENTS));
    world.stream_in_step(0);
    world.frame(user(1, &client_id(&again), "last words"));
    assert_eq!(world.lines(), ["last words"]);
}

#[test]
fn message_under_way_when_the_page_was_hidden_is_sent_again() {
    let mut world = World::chatting();
    world.say("hi");
    let before = world.request(EVENTS);
    world.send(Msg::PageHidden);
    world.send(Msg::PageRestored);
    world.reply(before.id, Ok(accepted()));
    let after = world.request(EVENTS);
    assert!(!after.keepalive);
    assert_eq!(posted(&after).id, posted(&before).id);
    assert_eq!(
        world.items().last().map(|item| item.state),
        Some(ItemState::Sending)
    );
}

#[test]
fn quiet_stream_is_opened_anew_when_the_tab_comes_to_the_front() {
    let mut world = World::chatting();
    world.advance(10_000);
    world.send(Msg::Visible);
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::OpenStream { .. })),
        0
    );
    world.advance(30_000);
    world.send(Msg::Visible);
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::OpenStream { .. })),
        1
    );
}

#[test]
fn server_that_refuses_for_good_is_not_said_goodbye() {
    for code in ["client_key_disabled", "widget_disabled_for_agent"] {
        let mut world = on_channel();
        world.channel(SessionEvent {
            kind: EventType::Error,
            code: Some(code.into()),
            ..SessionEvent::default()
        });
        assert!(!world.panel().composer.enabled);
        let closed = world.count(|effect| matches!(effect, Effect::ClosePeer(_)));
        assert_eq!(closed, 1);
        assert_eq!(world.requests("").len(), 0, "{code}: not even a goodbye");
        assert_eq!(world.timers(), 0);
    }
}

#[test]
fn login_that_is_revoked_takes_the_connection_along_and_one_that_stays_says_goodbye() {
    let other_user = Identity {
        user_id: Some("u_2".into()),
        identity_token: Some(Secret("h".into())),
        ..Identity::default()
    };
    let key = String::from(KEY);
    for (msg, revoked) in [
        (Msg::Command(Command::Reset), 1),
        (Msg::Command(Command::Identify(Box::new(other_user))), 1),
        (Msg::StoredElsewhere { key, record: None }, 1),
        (Msg::Command(Command::Shutdown), 0),
    ] {
        let mut world = on_channel();
        world.send(msg.clone());
        let closed = world.count(|effect| matches!(effect, Effect::ClosePeer(_)));
        assert_eq!(closed, 1, "{msg:?}");
        assert_eq!(world.requests("/auth/revoke").len(), revoked, "{msg:?}");
        let goodbyes = world.requests("/sessions/s_1/connect/c_1");
        assert_eq!(goodbyes.len(), 1 - revoked, "{msg:?}");
    }
}
