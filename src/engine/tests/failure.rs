//! Tokens that die, servers that are away. What the server refuses is in [`super::refusal`].

use super::fake::*;
use crate::engine::effect::{Effect, Failure, Timer};
use crate::engine::event::EventName;
use crate::engine::machine::{Msg, Ui};
use crate::engine::view_model::ItemState;
use karta_protocol::{GuestRequest, RefreshRequest, SessionEvent};

const EVENTS: &str = "/sessions/s_1/events";

/// The newest request to `path` fails again and again, each time when it comes.
fn keeps_failing(world: &mut World, path: &str, failure: &Failure, rounds: usize) {
    for _ in 0..rounds {
        world.reply_err(path, failure.clone());
        let delay = world
            .timer(Timer::Reconnect)
            .expect("another try is planned");
        world.advance(delay);
    }
}

#[test]
fn expired_token_is_refreshed_once_and_the_message_sent_again() {
    let mut world = World::chatting();
    world.say("hi");
    world.reply_err(EVENTS, failure(401, "token_expired"));
    let request = world.request("/auth/refresh");
    let body: RefreshRequest = read(body(&request));
    assert_eq!(body.refresh_token, "t_1");
    world.say("and again");
    assert_eq!(
        world.requests("/auth/refresh").len(),
        1,
        "one mint at a time"
    );
    assert_eq!(
        world.requests(EVENTS).len(),
        1,
        "nothing goes with the dead token"
    );
    world.reply_ok("/auth/refresh", token("t_2"));
    let retry = world.request(EVENTS);
    assert_eq!(retry.token.map(|token| token.0), Some("t_2".into()));
    assert_eq!(
        world
            .items()
            .iter()
            .filter(|item| item.text == "hi")
            .count(),
        1
    );
}

#[test]
fn refused_refresh_leads_to_a_new_token_of_the_same_visitor() {
    // A token that is too old is a 401 in the header and a 400 in the body of a refresh: the code decides, not the status.
    for (status, code) in [
        (401, "token_invalid"),
        (401, "token_used"),
        (400, "token_expired"),
        (400, "token_missing"),
    ] {
        let mut world = World::chatting();
        world.say("hi");
        world.reply_err(EVENTS, failure(401, "token_expired"));
        world.reply_err("/auth/refresh", failure(status, code));
        let request = world.request("/auth/guest");
        let guest: GuestRequest = read(body(&request));
        assert_eq!(guest.visitor_id.as_deref(), Some("v_1"), "{code}");
        world.reply_ok("/auth/guest", token("t_2"));
        world.reply_ok(EVENTS, accepted());
        assert_eq!(
            world.items().last().map(|item| item.state),
            Some(ItemState::Sent),
            "{code}"
        );
    }
}

#[test]
fn server_that_refuses_every_token_is_asked_calmly() {
    let mut world = World::new(boot());
    world.open();
    world.say("hi");
    for _ in 0..40 {
        if world.timer(Timer::Reconnect).is_some() {
            world.advance(45_000);
        }
        for path in ["/auth/guest", "/auth/refresh"] {
            if let Some(request) = world.requests(path).pop() {
                world.reply(request.id, Ok(token("t")));
            }
        }
        world.reply_err("/sessions", failure(401, "token_invalid"));
    }
    let minutes = world.now() / 60_000 + 1;
    let asked = world.requests("/sessions").len() as u64;
    assert!(
        asked <= 6 * minutes,
        "{asked} requests in {minutes} minutes"
    );
    assert_eq!(world.lines(), ["hi"]);
}

#[test]
fn token_is_refreshed_ahead_of_time() {
    let mut world = World::chatting();
    assert_eq!(
        world.timer(Timer::TokenRefresh),
        Some(480_000),
        "80 % of 600 s"
    );
    world.advance(480_000);
    world.say("meanwhile");
    assert_eq!(
        world.requests(EVENTS).len(),
        1,
        "the old token is still good"
    );
    world.reply_ok("/auth/refresh", token("t_2"));
    assert!(world.timer(Timer::TokenRefresh).is_some());
}

#[test]
fn expiry_of_nonsense_length_does_not_spin() {
    let mut world = World::new(boot());
    world.open();
    let reply = crate::engine::effect::Reply::Token(karta_protocol::TokenReply {
        token: "t".into(),
        expires_in: 0,
        ..Default::default()
    });
    world.reply_ok("/auth/guest", reply);
    assert!(world.timer(Timer::TokenRefresh) >= Some(5_000));
}

#[test]
fn what_is_typed_while_the_server_is_away_goes_once_it_is_back() {
    let mut world = World::new(boot());
    world.open();
    world.say("one");
    keeps_failing(&mut world, "/auth/guest", &network(), 3);
    world.say("two");
    assert_eq!(
        world.banner().as_deref(),
        Some("We can't reach the chat right now and keep trying. What you write will be sent.")
    );
    assert!(world.panel().composer.enabled);
    assert!(
        world
            .items()
            .iter()
            .skip(1)
            .all(|item| item.state == ItemState::Sending)
    );
    let errors = world
        .events()
        .iter()
        .filter(|event| event.name == EventName::Error)
        .count();
    assert_eq!(errors, 1, "the page is told once per outage");
    world.begin_session("s_1", 0);
    world.stream_in_step(0);
    for (text, seq) in [("one", 1), ("two", 2)] {
        let event = posted(&world.request(EVENTS));
        assert_eq!(event.text.as_deref(), Some(text));
        world.reply_ok(EVENTS, accepted());
        world.frame(user(seq, &client_id(&event), text));
    }
    assert_eq!(world.lines(), ["one", "two"]);
    assert_eq!(world.banner(), None);
    assert_eq!(world.requests(EVENTS).len(), 2);
}

#[test]
fn retries_back_off_with_jitter_up_to_half_a_minute() {
    let mut world = World::new(boot());
    world.open();
    let mut delays = Vec::new();
    for _ in 0..10 {
        world.reply_err("/auth/guest", network());
        let delay = world
            .timer(Timer::Reconnect)
            .expect("another try is planned");
        delays.push(delay);
        world.advance(delay);
    }
    assert!(
        delays[0] < 750 && delays[9] >= 15_000 && delays.iter().all(|delay| *delay <= 45_000),
        "{delays:?}"
    );
}

#[test]
fn online_message_tries_at_once() {
    let mut world = World::new(boot());
    world.open();
    keeps_failing(&mut world, "/auth/guest", &network(), 6);
    world.reply_err("/auth/guest", network());
    world.send(Msg::Offline);
    assert!(world.banner().is_some_and(|text| text.contains("offline")));
    let before = world.requests("/auth/guest").len();
    world.send(Msg::Online);
    assert_eq!(world.requests("/auth/guest").len(), before + 1);
    assert_eq!(world.timer(Timer::Reconnect), None);
}

#[test]
fn retry_button_tries_at_once() {
    let mut world = World::new(boot());
    world.open();
    for _ in 0..3 {
        world.reply_err("/auth/guest", network());
        world.send(Msg::Ui(Ui::RetryPressed));
    }
    assert_eq!(world.requests("/auth/guest").len(), 4);
}

#[test]
fn lost_stream_comes_back_from_the_cursor() {
    let mut world = World::chatting();
    world.frame(user(1, "m", "hi"));
    world.frame(delta("p", 0, "half an ans"));
    world.advance(20_000);
    let id = world.stream();
    world.send(Msg::StreamClosed {
        id,
        failure: network(),
    });
    assert_eq!(world.banner(), None, "a blink is no outage");
    assert_eq!(world.panel().status, "Reconnecting…");
    world.advance(750);
    assert!(world.stream_url().1.ends_with("?after=1"));
    let id = world.stream();
    world.send(Msg::StreamOpened { id });
    world.frame(delta("p2", 0, "another try"));
    world.frame(SessionEvent {
        part_id: Some("p2".into()),
        ..synced(1)
    });
    assert_eq!(
        world.lines(),
        ["hi", "another try"],
        "the stale part is gone"
    );
    assert_eq!(world.panel().status, "Online");
}

#[test]
fn request_without_any_answer_is_given_up() {
    let mut world = World::chatting();
    world.say("hi");
    let first = world.request(EVENTS);
    world.advance(45_000);
    assert_eq!(
        world.count(|effect| *effect == Effect::CancelHttp(first.id)),
        1
    );
    let second = world.request(EVENTS);
    assert_ne!(first.id, second.id);
    assert_eq!(
        client_id(&posted(&first)),
        client_id(&posted(&second)),
        "the server can tell that it is the same"
    );
    // The first answer comes after all: nobody waits for it.
    world.reply(first.id, Err(failure(413, "payload_too_large")));
    assert_eq!(
        world.items().last().map(|item| item.state),
        Some(ItemState::Sending)
    );
}

#[test]
fn stream_that_never_opens_is_given_up() {
    let mut world = World::new(boot());
    world.open();
    world.begin_session("s_1", 0);
    let first = world.stream();
    world.advance(45_000);
    assert_ne!(world.stream(), first);
}

#[test]
fn reply_that_comes_twice_counts_once() {
    let mut world = World::new(boot());
    world.open();
    let guest = world.request("/auth/guest").id;
    world.reply(guest, Ok(token("t_1")));
    world.reply(guest, Ok(token("t_2")));
    let session = world.request("/sessions");
    assert_eq!(session.token.map(|token| token.0), Some("t_1".into()));
    world.reply(session.id, Ok(session_info("s_1", 0)));
    world.reply(session.id, Ok(session_info("s_2", 0)));
    let started = world
        .event_names()
        .iter()
        .filter(|name| **name == "session:started")
        .count();
    assert_eq!(started, 1);
}

#[test]
fn answer_of_the_wrong_kind_is_a_failure_not_a_panic() {
    let mut world = World::new(boot());
    world.open();
    world.reply_ok("/auth/guest", accepted());
    assert!(world.timer(Timer::Reconnect).is_some());
}

#[test]
fn message_refused_for_good_fails_and_can_be_sent_again() {
    let mut world = World::chatting();
    world.say("bad");
    world.say("good");
    world.reply_err(EVENTS, failure(413, "payload_too_large"));
    let failed = world
        .items()
        .iter()
        .find(|item| item.text == "bad")
        .map(|item| (item.key, item.state));
    let (key, state) = failed.expect("it stays on screen");
    assert_eq!(state, ItemState::Failed);
    assert_eq!(
        posted(&world.request(EVENTS)).text.as_deref(),
        Some("good"),
        "it holds up nobody"
    );
    world.reply_ok(EVENTS, accepted());
    world.send(Msg::Ui(Ui::ResendPressed(key)));
    world.send(Msg::Ui(Ui::ResendPressed(key)));
    assert_eq!(posted(&world.request(EVENTS)).text.as_deref(), Some("bad"));
    world.reply_ok(EVENTS, accepted());
    assert_eq!(world.requests(EVENTS).len(), 3);
    assert!(
        world
            .items()
            .iter()
            .skip(1)
            .all(|item| item.state == ItemState::Sent)
    );
}

#[test]
fn message_that_breaks_the_server_lets_the_next_one_pass() {
    let mut world = World::chatting();
    world.say("poison");
    world.say("fine");
    keeps_failing(&mut world, EVENTS, &failure(500, "internal"), 6);
    assert_eq!(world.items()[1].state, ItemState::Failed);
    assert_eq!(posted(&world.request(EVENTS)).text.as_deref(), Some("fine"));
}

#[test]
fn session_that_is_gone_is_replaced_and_the_message_kept() {
    let mut world = World::chatting();
    world.frame(user(1, "m", "old"));
    world.say("new");
    world.reply_err(EVENTS, failure(404, "session_not_found"));
    world.advance(2_000);
    world.reply_ok("/sessions", session_info("s_2", 0));
    assert_eq!(world.lines(), ["new"]);
    assert_eq!(
        posted(&world.request("/sessions/s_2/events"))
            .text
            .as_deref(),
        Some("new")
    );
}

#[test]
fn server_that_lost_the_end_of_its_log_is_read_anew() {
    let mut world = World::chatting();
    for seq in 1..=3 {
        world.frame(answer(seq, "x"));
    }
    let id = world.stream();
    world.send(Msg::StreamClosed {
        id,
        failure: network(),
    });
    world.advance(1_000);
    world.frame(synced(1));
    world.advance(2_000);
    assert!(world.stream_url().1.ends_with("?after=0"));
}
