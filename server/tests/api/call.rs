//! Calls that are handed to a realtime engine: the offer's way there, what an engine may do wrong, and how such a call ends.

mod again;
mod control;
mod money;
mod said;
pub mod stand_in;

use crate::server::{API, Call, PAGE, Reply, Server, post};
use axum::http::StatusCode;
use karta_server::app::App;
use karta_server::auth::limit::{Limits, Rate, Rates};
use karta_server::calls::{CallRules, Calls};
use karta_server::router;
use karta_server::service::agents::AgentChange;
use karta_server::voice::engine::Engines;
use karta_server::voice::realtime::Realtimes;
use karta_server::voice::{CallSettings, Voices};
use serde_json::{Value, json};
use stand_in::{ANSWER, PATIENCE, StandIn, json_reply, reply};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const OFFER: &str = include_str!("../../../fixtures/sdp/chromium-audio-channel-gathered.sdp");

/// A server whose agent talks through this stand-in.
async fn server(stand_in: &StandIn, voice: &str) -> Server {
    server_with(stand_in.engines(), voice, quick(), 3).await
}

/// As a server has them, but for the times.
fn quick() -> CallRules {
    CallRules {
        look_every: Duration::from_millis(20),
        deserted_max: Duration::from_secs(30),
        ..CallRules::default()
    }
}

async fn server_with(engines: Realtimes, voice: &str, rules: CallRules, places: usize) -> Server {
    let mut server = Server::start().await;
    server.app = App {
        voices: Voices::new(Engines::none(), places, CallSettings::default())
            .with_realtimes(engines),
        calls: Calls::new(rules, server.app.clock.clone()),
        ..server.app
    };
    server.router = router::build(server.app.clone());
    let change = AgentChange {
        name: Some("Ada".into()),
        instruction: Some("Be brief.".into()),
        voice: Some(voice.into()),
        ..AgentChange::default()
    };
    server.change_agent(change).await;
    server
}

async fn call(server: &Server, token: &str, session: &str) -> Reply {
    let call = post(&format!("/sessions/{session}/call?language=de-AT"))
        .bearer(token)
        .body("application/sdp", OFFER);
    server.call(call).await
}

/// Begun, with the path of the call.
async fn begun(server: &Server, token: &str, session: &str) -> String {
    let reply = call(server, token, session).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    reply.header("location").to_owned()
}

pub fn at(method: &str, location: &str, token: &str) -> Call {
    Call::new(method, location).page(PAGE).bearer(token)
}

#[tokio::test]
async fn an_offer_goes_to_the_bot_with_what_it_has_to_know() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "Do you deliver?").await;
    server.log(&token, &session, 4).await;
    let reply = call(&server, &token, &session).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/sdp");
    assert_eq!(reply.body, ANSWER.as_bytes());
    assert!(reply.header("etag").starts_with('"'));
    let location = reply.header("location");
    assert!(location.starts_with(&format!("{API}/sessions/{session}/call/h_")));
    let seen = bot.nth(1).await;
    assert_eq!(seen.line(), "POST /api/offer");
    assert_eq!(seen.headers["authorization"], "Bearer CANARY-BOT-KEY");
    let body = seen.json();
    assert_eq!(
        body["request_data"],
        json!({
            "agent_id": "a_first", "agent_name": "Ada", "instruction": "Be brief.", "language": "de-AT",
            "messages": [
                {"role": "user", "content": "Do you deliver?"},
                {"role": "assistant", "content": "Do you deliver?"},
            ],
        })
    );
    assert_eq!(
        (&body["type"], &body["pc_id"]),
        (&json!("offer"), &Value::Null)
    );
    let sdp = body["sdp"].as_str().expect("text");
    assert!(
        sdp.contains("a=ice-ufrag:") && !sdp.contains("a=candidate:"),
        "{sdp}"
    );
    let seen = format!("{:?}{}", reply, server.files_hold("CANARY"));
    assert!(
        !seen.contains("CANARY") && seen.ends_with("false"),
        "{seen}"
    );
}

#[tokio::test]
async fn an_offer_goes_to_openai_with_a_session_and_the_key_stays_here() {
    let openai = StandIn::openai().await;
    let server = server(&openai, "openai-realtime").await;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "Do you\ndeliver?").await;
    server.log(&token, &session, 4).await;
    let reply = call(&server, &token, &session).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    assert_eq!(reply.body, ANSWER.as_bytes());
    assert!(!format!("{reply:?}").contains("CANARY"));
    let seen = openai.nth(1).await;
    assert_eq!(seen.line(), "POST /v1/realtime/calls");
    assert_eq!(seen.headers["authorization"], "Bearer CANARY-OPENAI-KEY");
    assert!(seen.part("sdp").starts_with("v=0\r\n"));
    let told: Value = serde_json::from_str(&seen.part("session")).expect("JSON");
    assert_eq!(
        told,
        json!({
            "type": "realtime", "model": "gpt-realtime", "output_modalities": ["audio"],
            "instructions": "Be brief.\n\nYour name is Ada.\n\nThe conversation so far, in writing:\nVisitor: Do you deliver?\nYou: Do you deliver?",
            "audio": {
                "input": {
                    "transcription": {"model": "whisper-1", "language": "de"},
                    "turn_detection": {"type": "server_vad", "create_response": true, "interrupt_response": true},
                },
                "output": {"voice": "marin"},
            },
        })
    );
    let location = reply.header("location").to_owned();
    assert_eq!(
        server.call(at("DELETE", &location, &token)).await.status,
        StatusCode::OK
    );
    let end = openai.nth(2).await;
    assert_eq!(end.line(), "POST /v1/realtime/calls/rtc_u1-9_X/hangup");
    assert_eq!(end.headers["authorization"], "Bearer CANARY-OPENAI-KEY");
}

#[tokio::test]
async fn a_language_that_is_none_is_not_passed_on() {
    let bot = StandIn::pipecat().await;
    let server = server_with(bot.engines(), "pipecat", quick(), 20).await;
    let (token, session) = server.session().await;
    let bad = [
        "",
        "x",
        "de_DE",
        "de-",
        "12",
        "a%22b",
        "de-verylongsubtag",
        "%00",
        "en-US@posix",
    ];
    for (n, language) in bad.into_iter().enumerate() {
        let path = format!("/sessions/{session}/call?language={language}");
        let call = post(&path).bearer(&token).body("application/sdp", OFFER);
        assert_eq!(
            server.call(call).await.status,
            StatusCode::CREATED,
            "{language}"
        );
        let seen = bot.seen();
        let offers: Vec<_> = seen
            .iter()
            .filter(|s| s.body.contains("request_data"))
            .collect();
        assert_eq!(offers.len(), n + 1);
        assert_eq!(
            offers[n].json()["request_data"]["language"],
            Value::Null,
            "{language}"
        );
    }
}

#[tokio::test]
async fn config_says_how_the_agent_is_talked_to() {
    let bot = StandIn::pipecat().await;
    for (voice, engines, voiced, realtime) in [
        ("pipecat", bot.engines(), true, json!("pipecat")),
        ("openai-realtime", bot.engines(), true, json!("openai")),
        ("pipecat", Realtimes::none(), false, Value::Null),
        ("openai-realtime", Realtimes::none(), false, Value::Null),
        ("auto", bot.engines(), false, Value::Null),
        ("off", bot.engines(), false, Value::Null),
    ] {
        let server = server_with(engines, voice, quick(), 1).await;
        let path = format!("/config?client_key={}", server.key.public_key);
        let features = server.call(crate::server::get(&path)).await.json()["features"].clone();
        assert_eq!(features["voice"], json!(voiced), "{voice}");
        assert_eq!(features["realtime"], realtime, "{voice}");
    }
}

#[tokio::test]
async fn only_an_agent_with_an_engine_can_be_called() {
    let bot = StandIn::pipecat().await;
    for (voice, engines) in [
        ("pipecat", Realtimes::none()),
        ("openai-realtime", Realtimes::none()),
        ("auto", bot.engines()),
        ("off", bot.engines()),
    ] {
        let server = server_with(engines, voice, quick(), 1).await;
        let (token, session) = server.session().await;
        let reply = call(&server, &token, &session).await;
        reply.refused(409, "voice_unavailable");
    }
    assert!(bot.seen().is_empty());
}

#[tokio::test]
async fn what_is_wrong_is_refused_before_the_engine_hears_of_it() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let path = format!("/sessions/{session}/call");
    let no_audio = OFFER.replace("m=audio", "m=video");
    let no_channel = OFFER.replace("m=application", "m=video");
    for (body, status, code) in [
        (Vec::new(), 400, "sdp_invalid"),
        (b"hello".to_vec(), 400, "sdp_invalid"),
        (b"\xff\xfe".to_vec(), 400, "sdp_invalid"),
        (OFFER.as_bytes()[..200].to_vec(), 400, "sdp_invalid"),
        (no_audio.into_bytes(), 400, "sdp_invalid"),
        (no_channel.into_bytes(), 400, "sdp_invalid"),
        (vec![b'a'; 70_000], 413, "payload_too_large"),
    ] {
        let call = post(&path).bearer(&token).body("application/sdp", body);
        server.call(call).await.refused(status, code);
    }
    let call = post(&path).bearer(&token).body("application/json", OFFER);
    server.call(call).await.refused(415, "request_invalid");
    let call = post(&path).body("application/sdp", OFFER);
    server.call(call).await.refused(401, "token_missing");
    let call = post(&path).bearer(&token).page("https://evil.example");
    let call = call.body("application/sdp", OFFER);
    server.call(call).await.refused(403, "origin_not_allowed");
    let stranger = server.guest().await.token;
    let call = post(&path).bearer(&stranger).body("application/sdp", OFFER);
    server.call(call).await.refused(404, "session_not_found");
    assert!(bot.seen().is_empty(), "{:?}", bot.lines());
    assert_eq!(server.app.calls.running(), 0);
}

#[tokio::test]
async fn an_engine_that_fails_is_told_of_in_our_words() {
    let pipecat = |sdp: &str, kind: &str, id: &str| json!({"sdp": sdp, "type": kind, "pc_id": id});
    let sdp = ("content-type", "application/sdp");
    let named = ("location", "/v1/realtime/calls/rtc_1");
    let strange = format!("{ANSWER}a=x:\u{7}\r\n");
    type Case = (
        &'static str,
        u16,
        Vec<(&'static str, &'static str)>,
        Vec<u8>,
    );
    let both = |status: u16, headers: Vec<(&'static str, &'static str)>, body: &str| {
        ["pipecat", "openai-realtime"]
            .map(|e| (e, status, headers.clone(), body.as_bytes().to_vec()))
    };
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(both(500, vec![], "CANARY-TRACE"));
    cases.extend(both(400, vec![], "{\"error\":{\"message\":\"CANARY\"}}"));
    cases.extend(both(401, vec![], "bad key CANARY"));
    cases.extend(both(404, vec![], ""));
    cases.extend(both(204, vec![], ""));
    cases.extend(both(302, vec![("location", "http://127.0.0.1:1/evil")], ""));
    cases.extend(both(
        307,
        vec![("location", "http://169.254.169.254/latest")],
        "",
    ));
    cases.extend(both(
        200,
        vec![("content-type", "text/html")],
        "<html>CANARY</html>",
    ));
    cases.extend(both(
        200,
        vec![("content-type", "application/json")],
        "[[[[[[",
    ));
    cases.extend(both(200, vec![sdp, named], &"v=0\r\n".repeat(100_000)));
    cases.extend(both(201, vec![sdp, named], "\0\0\0"));
    for body in [
        json!(null),
        json!([]),
        json!({"sdp": ANSWER, "type": "answer"}),
        json!({"sdp": ANSWER, "type": "answer", "pc_id": 7}),
        json!({"sdp": 7, "type": "answer", "pc_id": "a"}),
        pipecat(ANSWER, "offer", "a"),
        pipecat("v=0\r\n", "answer", "a"),
        pipecat(&strange, "answer", "a"),
        pipecat(ANSWER, "answer", ""),
        pipecat(ANSWER, "answer", "a/../b"),
        pipecat(ANSWER, "answer", &"a".repeat(300)),
    ] {
        cases.push(("pipecat", 200, vec![], body.to_string().into_bytes()));
    }
    for (headers, body) in [
        (vec![sdp], ANSWER),
        (vec![sdp, ("location", "")], ANSWER),
        (vec![sdp, ("location", "/v1/realtime/calls/..")], ANSWER),
        (vec![sdp, ("location", "/v1/realtime/calls/a%2Fb")], ANSWER),
        (vec![named], ANSWER),
        (vec![("content-type", "application/json"), named], ANSWER),
        (vec![sdp, named], &strange),
    ] {
        cases.push(("openai-realtime", 201, headers, body.as_bytes().to_vec()));
    }
    let engine = StandIn::pipecat().await;
    let server = server(&engine, "pipecat").await;
    let (token, session) = server.session().await;
    for (voice, status, headers, body) in cases {
        server
            .change_agent(AgentChange {
                voice: Some(voice.into()),
                ..AgentChange::default()
            })
            .await;
        let shown = format!(
            "{voice} {status} {headers:?} {:.60}",
            String::from_utf8_lossy(&body)
        );
        engine.answer(move |_| reply(status, &headers, body.clone()));
        let reply = call(&server, &token, &session).await;
        assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{shown}: {reply:?}");
        assert_eq!(reply.code(), "voice_unavailable", "{shown}");
        assert!(!format!("{reply:?}").contains("CANARY"), "{shown}");
    }
    assert_eq!(server.app.calls.running(), 0);
    // Nothing of this keeps a place or the session.
    engine.answer(stand_in::openai_answers);
    begun(&server, &token, &session).await;
}

#[tokio::test]
async fn an_engine_that_is_busy_slow_or_gone_says_when_to_come_back() {
    let engine = StandIn::pipecat().await;
    let server = server(&engine, "pipecat").await;
    let (token, session) = server.session().await;
    for (status, asked, told) in [
        (429, "7", "7"),
        (503, "", "15"),
        (503, "99999", "120"),
        (529, "soon", "15"),
        (429, "0", "1"),
    ] {
        engine.answer(move |_| match asked {
            "" => reply(status, &[], "CANARY"),
            _ => reply(status, &[("retry-after", asked)], "CANARY"),
        });
        let reply = call(&server, &token, &session).await;
        reply.refused(503, "overloaded");
        assert_eq!(reply.header("retry-after"), told, "{status} {asked}");
    }
    engine.answer(stand_in::pipecat_answers);
    engine.delay(PATIENCE * 3);
    let began = Instant::now();
    let reply = call(&server, &token, &session).await;
    reply.refused(502, "voice_unavailable");
    assert!(began.elapsed() < PATIENCE * 2);
    // An answer that never ends is slow, too.
    engine.delay(Duration::ZERO);
    engine.answer(|_| {
        let drip = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, std::io::Error>(" "), ()))
        });
        stand_in::reply(200, &[], axum::body::Body::from_stream(drip))
    });
    let reply = call(&server, &token, &session).await;
    reply.refused(502, "voice_unavailable");
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let gone = engine.moved(format!("http://{nobody}"));
    let server = server_with(gone.engines(), "pipecat", quick(), 1).await;
    let (token, session) = server.session().await;
    let reply = call(&server, &token, &session).await;
    reply.refused(502, "voice_unavailable");
}

#[tokio::test]
async fn calls_take_places_and_are_limited_like_others() {
    let bot = StandIn::pipecat().await;
    let mut server = server_with(bot.engines(), "pipecat", quick(), 1).await;
    let (first, second) = (server.session().await, server.session().await);
    let location = begun(&server, &first.0, &first.1).await;
    let full = call(&server, &second.0, &second.1).await;
    full.refused(503, "overloaded");
    assert_eq!(full.header("retry-after"), "30");
    server.call(at("DELETE", &location, &first.0)).await;
    bot.nth(4).await; // asked twice whether it knows the call, then told
    let mut rates = Rates::off();
    rates.set("CALLS_PER_VISITOR", Rate::per_minute(1));
    server.app = App {
        limits: Arc::new(Limits::new(&rates)),
        ..server.app
    };
    server.router = router::build(server.app.clone());
    for _ in 0..100 {
        if server.app.calls.running() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    begun(&server, &second.0, &second.1).await;
    let again = call(&server, &second.0, &second.1).await;
    again.refused(429, "rate_limited");
}

#[tokio::test]
async fn candidates_are_passed_on_as_far_as_an_engine_may_see_them() {
    let bot = StandIn::pipecat().await;
    let server = server(&bot, "pipecat").await;
    let (token, session) = server.session().await;
    let reply = call(&server, &token, &session).await;
    let (location, etag) = (
        reply.header("location").to_owned(),
        reply.header("etag").to_owned(),
    );
    let fragment = "a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
        a=candidate:1 1 udp 1 10.0.0.1 5 typ host\r\na=candidate:2 1 udp 1 93.184.216.34 5 typ srflx\r\na=end-of-candidates\r\n";
    let patch = |token: &str, fragment: &str| {
        at("PATCH", &location, token).body("application/trickle-ice-sdpfrag", fragment.to_owned())
    };
    server
        .call(patch(&token, fragment))
        .await
        .refused(428, "precondition_required");
    let stale = patch(&token, fragment).header("if-match", "\"stale\"");
    server.call(stale).await.refused(412, "precondition_failed");
    let restart = patch(&token, fragment).header("if-match", "*");
    server.call(restart).await.refused(422, "request_invalid");
    let broken = patch(&token, "hello").header("if-match", &etag);
    server.call(broken).await.refused(400, "sdp_invalid");
    let stranger = patch(&server.guest().await.token, fragment).header("if-match", &etag);
    server
        .call(stranger)
        .await
        .refused(404, "connection_not_found");
    assert_eq!(bot.seen().len(), 1);
    let good = patch(&token, fragment).header("if-match", &etag);
    assert_eq!(server.call(good).await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        bot.nth(2).await.json(),
        json!({"pc_id": "SmallWebRTCConnection#0-5f", "candidates": [
            {"candidate": "candidate:2 1 udp 1 93.184.216.34 5 typ srflx", "sdp_mid": "0", "sdp_mline_index": 0},
        ]})
    );
    bot.answer(|_| json_reply(500, &json!({})));
    let good = patch(&token, fragment).header("if-match", &etag);
    server.call(good).await.refused(502, "voice_unavailable");
}
