//! How a handed call ends, and that its engine is always told.

use super::stand_in::{StandIn, json_reply, pipecat_answers};
use super::{OFFER, at, begun, call, quick, server, server_with};
use crate::server::{Call, PAGE, Server, get, post};
use crate::stream;
use axum::http::StatusCode;
use karta_server::app::App;
use karta_server::auth::limit::{Limits, Rate, Rates};
use karta_server::calls::CallRules;
use karta_server::router;
use karta_server::service::agents::AgentChange;
use karta_server::service::{ACCOUNT, keys};
use karta_server::store::{Caps, Store};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The bot has heard that this call is over: its client is gone, and nothing is left at its other end.
async fn hung_up(bot: &StandIn, asked_before: usize) {
    let pc_id = "SmallWebRTCConnection#0-5f";
    for n in 1..=2 {
        let probe = bot.nth(asked_before + n).await;
        assert_eq!(probe.line(), "PATCH /api/offer");
        assert_eq!(probe.json(), json!({"pc_id": pc_id, "candidates": []}));
    }
    let order = bot.nth(asked_before + 3).await.json();
    assert_eq!(
        (&order["pc_id"], &order["restart_pc"]),
        (&json!(pc_id), &json!(true))
    );
    assert!(order["sdp"].as_str().expect("text").starts_with("v=0"));
}

async fn last_word(reader: &mut stream::Reader) -> Value {
    let events = reader.until("voice.state").await;
    let state = events.last().expect("one").1.clone();
    assert_eq!(state["state"], json!("ended"));
    state
}

#[tokio::test]
async fn its_visitor_ends_it_and_nobody_else() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let mut reader = stream::open(&server, &token, &session, 0).await;
    let location = begun(&server, &token, &session).await;
    let stranger = server.guest().await.token;
    for (token, location) in [
        (&stranger, location.clone()),
        (&token, format!("{location}x")),
    ] {
        let reply = server.call(at("DELETE", &location, token)).await;
        assert_eq!(reply.status, StatusCode::OK);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((server.app.calls.running(), bot.seen().len()), (1, 1));
    for _ in 0..2 {
        let reply = server.call(at("DELETE", &location, &token)).await;
        assert_eq!(reply.status, StatusCode::OK, "DELETE may be repeated");
    }
    let word = last_word(&mut reader).await;
    assert!(location.ends_with(word["id"].as_str().expect("an id")));
    assert_eq!(word.get("code"), None);
    hung_up(&bot, 1).await;
    assert_eq!(server.app.calls.running(), 0);
}

#[tokio::test]
async fn a_bot_that_knows_the_call_no_more_is_left_alone() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let location = begun(&server, &token, &session).await;
    bot.answer(|seen| match seen.method.as_str() {
        "PATCH" => json_reply(404, &json!({"detail": "Peer connection not found"})),
        _ => pipecat_answers(seen),
    });
    server.call(at("DELETE", &location, &token)).await;
    bot.nth(2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        bot.lines(),
        ["POST /api/offer", "PATCH /api/offer"],
        "an offer would begin another bot"
    );
}

#[tokio::test]
async fn a_bot_that_is_just_noticing_the_end_is_left_alone() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let location = begun(&server, &token, &session).await;
    let probes = std::sync::atomic::AtomicU32::new(0);
    bot.answer(move |seen| match seen.method.as_str() {
        "PATCH" if probes.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0 => {
            json_reply(404, &json!({"detail": "Peer connection not found"}))
        }
        _ => pipecat_answers(seen),
    });
    server.call(at("DELETE", &location, &token)).await;
    bot.nth(3).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bot.lines().len(), 3, "{:?}", bot.lines());
}

#[tokio::test]
async fn an_engine_that_does_not_hear_is_told_again() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let location = begun(&server, &token, &session).await;
    bot.answer(|_| json_reply(500, &json!({})));
    server.call(at("DELETE", &location, &token)).await;
    bot.nth(2).await;
    bot.answer(pipecat_answers);
    hung_up(&bot, 2).await;
}

#[tokio::test]
async fn a_new_call_takes_the_place_of_the_old() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let mut reader = stream::open(&server, &token, &session, 0).await;
    let first = begun(&server, &token, &session).await;
    let second = begun(&server, &token, &session).await;
    assert_ne!(first, second);
    let word = last_word(&mut reader).await;
    assert!(first.ends_with(word["id"].as_str().expect("an id")));
    assert_eq!(word["code"], json!("taken_over"));
    hung_up(&bot, 2).await;
    assert_eq!(server.app.calls.running(), 1);
}

/// Begins a call, changes something, and expects the end with this code.
async fn check<F: AsyncFnOnce(&Server, &str)>(change: F, code: &str) {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let reader = stream::open(&server, &token, &session, 0).await;
    begun(&server, &token, &session).await;
    change(&server, &token).await;
    hung_up(&bot, 1).await;
    assert_eq!(server.app.calls.running(), 0, "{code}");
    let mut reader = reader;
    let mut codes = Vec::new();
    while let Some((_, event)) = reader.next().await {
        codes.extend(event["code"].as_str().map(str::to_owned));
        if event["type"] == json!("error") {
            break;
        }
    }
    assert!(codes.iter().any(|told| told == code), "{code}: {codes:?}");
}

#[tokio::test]
async fn it_ends_when_what_allowed_it_ends() {
    tokio::join!(
        check(
            async |server, _| server.enable_key(false).await,
            "client_key_disabled"
        ),
        check(
            async |server, _| {
                let change = AgentChange {
                    widget_enabled: Some(false),
                    ..AgentChange::default()
                };
                server.change_agent(change).await;
            },
            "widget_disabled_for_agent"
        ),
        check(
            async |server, token| {
                let reply = server.call(post("/auth/revoke").bearer(token)).await;
                assert_eq!(reply.status, StatusCode::NO_CONTENT);
            },
            "token_invalid"
        ),
        check(
            async |server, token| {
                let forget = Call::new("DELETE", &format!("{}/me", crate::server::API));
                let reply = server.call(forget.page(PAGE).bearer(token)).await;
                assert_eq!(reply.status, StatusCode::NO_CONTENT);
            },
            "session_not_found"
        ),
    );
}

#[tokio::test]
async fn a_server_that_stops_ends_it_and_waits_until_the_engine_knows() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    begun(&server, &token, &session).await;
    server.app.stopping.cancel();
    server.app.calls.stop().await;
    assert_eq!(bot.lines().len(), 4);
}

#[tokio::test]
async fn it_ends_when_nobody_is_left_or_it_lasts_too_long() {
    let bot = StandIn::pipecat().await;
    let rules = CallRules {
        deserted_max: Duration::from_millis(300),
        ..quick()
    };
    let server = server_with(bot.engines(), "pipecat", rules, 1).await;
    let (token, session) = server.session().await;
    let reader = stream::open(&server, &token, &session, 0).await;
    begun(&server, &token, &session).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(server.app.calls.running(), 1, "somebody reads");
    drop(reader);
    hung_up(&bot, 1).await;

    let rules = CallRules {
        length_max: Duration::from_millis(300),
        ..quick()
    };
    let server = server_with(bot.engines(), "pipecat", rules, 1).await;
    let (token, session) = server.session().await;
    let mut reader = stream::open(&server, &token, &session, 0).await;
    begun(&server, &token, &session).await;
    assert_eq!(last_word(&mut reader).await["code"], json!("too_long"));
    hung_up(&bot, 5).await;
}

#[tokio::test]
async fn a_visitor_who_goes_away_while_the_engine_answers_leaves_no_call() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    bot.delay(Duration::from_millis(300));
    let open = post(&format!("/sessions/{session}/call"))
        .bearer(&token)
        .body("application/sdp", OFFER);
    tokio::select! {
        reply = server.call(open) => panic!("it was to be given up: {reply:?}"),
        _ = bot.nth(1) => {}
    }
    hung_up(&bot, 1).await;
    assert_eq!(server.app.calls.running(), 0);
}

#[tokio::test]
async fn its_minutes_are_counted_and_end_it() {
    let bot = StandIn::pipecat().await;
    let rules = CallRules {
        pay_every: Duration::from_millis(50),
        ..quick()
    };
    let server = server_with(bot.engines(), "pipecat", rules, 2).await;
    let caps = Caps {
        minutes_per_day: Some(2),
        ..Caps::default()
    };
    keys::set_caps(server.store.as_ref(), ACCOUNT, &server.key.id, caps)
        .await
        .expect("set");
    let used = async || -> u64 {
        let counters = server.store.counters(&server.key.id).await.expect("read");
        let minutes = counters.iter().find(|(name, ..)| name == "minutes/day");
        minutes.map_or(0, |(.., used)| *used)
    };
    let (token, session) = server.session().await;
    let mut reader = stream::open(&server, &token, &session, 0).await;
    begun(&server, &token, &session).await;
    assert_eq!(used().await, 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(used().await, 1, "the same minute is paid once");
    server.advance(Duration::from_secs(100));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(used().await, 2);
    server.advance(Duration::from_secs(100));
    let word = last_word(&mut reader).await;
    assert_eq!(word["code"], json!("limit_reached"));
    hung_up(&bot, 1).await;
    call(&server, &token, &session)
        .await
        .refused(429, "limit_reached");
    let log = server
        .call(get(&format!("/sessions/{session}")).bearer(&token))
        .await
        .json();
    let log = log["events"].as_array().expect("events");
    assert_eq!(
        log.last().expect("one")["type"],
        json!("session.limit_reached")
    );
}

#[tokio::test]
async fn its_minutes_are_among_those_that_a_visitor_may_talk() {
    let bot = StandIn::pipecat().await;
    let rules = CallRules {
        pay_every: Duration::from_millis(50),
        ..quick()
    };
    let mut server = server_with(bot.engines(), "pipecat", rules, 2).await;
    let mut rates = Rates::off();
    let two = Rate::parse("2/1h").expect("a rate");
    rates.set("CALL_MINUTES_PER_VISITOR", two);
    server.app = App {
        limits: Arc::new(Limits::new(&rates)),
        ..server.app
    };
    server.router = router::build(server.app.clone());
    let (token, session) = server.session().await;
    let mut reader = stream::open(&server, &token, &session, 0).await;
    begun(&server, &token, &session).await;
    let word = last_word(&mut reader).await;
    assert_eq!(word["code"], json!("rate_limited"));
    hung_up(&bot, 1).await;
    call(&server, &token, &session)
        .await
        .refused(429, "rate_limited");
}

#[tokio::test]
async fn a_visitor_without_turns_cannot_call() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let caps = Caps {
        anonymous_turns: Some(1),
        ..Caps::default()
    };
    keys::set_caps(server.store.as_ref(), ACCOUNT, &server.key.id, caps)
        .await
        .expect("set");
    let (token, session) = server.session().await;
    begun(&server, &token, &session).await;
    // A call alone takes none; what is said in it does.
    let said = json!({"type": "call.said", "id": "u1", "role": "user", "text": "Hi"});
    let events = format!("/sessions/{session}/events");
    let reply = server.call(post(&events).bearer(&token).json(&said)).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
    let more = json!({"type": "call.said", "id": "u2", "role": "user", "text": "Hi"});
    let reply = server.call(post(&events).bearer(&token).json(&more)).await;
    reply.refused(429, "limit_reached");
    hung_up(&bot, 1).await;
    call(&server, &token, &session)
        .await
        .refused(429, "limit_reached");
}
