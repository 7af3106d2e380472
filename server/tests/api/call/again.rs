//! A server that dies in the middle of a handed call: the call goes on without it, and the next one takes it up.

use super::stand_in::StandIn;
use super::{OFFER, at, quick, server_with};
use crate::process::{Running, karta, make_key};
use crate::server::{API, PAGE, Server, get, post};
use crate::stream;
use axum::http::StatusCode;
use karta_server::app::App;
use karta_server::auth::limit::{Limits, Rate, Rates};
use karta_server::calls::kept::{Keeper, Kept};
use karta_server::calls::{CallRules, Calls};
use karta_server::router;
use karta_server::service::{ACCOUNT, keys};
use karta_server::store::{Caps, Store};
use karta_server::voice::realtime::Realtimes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const DEAD: &str = "h_dead";
const NAME: &str = "SmallWebRTCConnection#0-5f";

/// A server whose calls are kept, beside one that has died and left this call behind, begun so long ago.
async fn after_a_crash(
    engines: Realtimes,
    rules: CallRules,
    ago: Duration,
) -> (Server, String, String) {
    let mut server = server_with(engines, "pipecat", rules.clone(), 2).await;
    let clock = server.app.clock.clone();
    let open = || Keeper::open(server.store.clone(), server.data.path()).expect("a keeper");
    let dead = open();
    server.app = App {
        calls: Calls::kept_by(open(), rules, clock.clone()),
        ..server.app.clone()
    };
    server.router = router::build(server.app.clone());
    let (token, session) = server.session().await;
    let claims = server.app.tokens.check(&token, clock.now_s());
    // As for a caller of these tests.
    let mark = server.app.master.hash("counted-address", "192.0.2.1");
    let kept = Kept {
        etag: "e-1".into(),
        claims: claims.expect("good"),
        address: Some(mark),
        engine: "pipecat".into(),
        name: NAME.into(),
        offer: "v=0\r\n".into(),
    };
    let began_ms = clock.now_ms() - ago.as_millis() as u64;
    dead.keep(DEAD, &session, began_ms, &kept)
        .await
        .expect("kept");
    (server, token, session)
}

async fn take_up(server: &Server) {
    server
        .app
        .calls
        .take_up(&server.app)
        .await
        .expect("taken up");
}

async fn said(server: &Server, token: &str, session: &str, id: &str) -> u16 {
    let said = json!({"type": "call.said", "id": id, "role": "user", "text": "Hello?"});
    let call = post(&format!("/sessions/{session}/events")).bearer(token);
    server.call(call.json(&said)).await.status.as_u16()
}

/// The bot has heard that the call is over, and nothing is kept of it.
async fn over(server: &Server, bot: &StandIn) {
    let order = bot.nth(3).await.json();
    assert_eq!(
        (&order["pc_id"], &order["restart_pc"], &order["sdp"]),
        (&json!(NAME), &json!(true), &json!("v=0\r\n"))
    );
    for _ in 0..100 {
        if server.store.calls().await.expect("read").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.store.calls().await.expect("read"), []);
    assert_eq!(server.app.calls.running(), 0);
}

#[tokio::test]
async fn its_visitor_finds_it_as_it_was() {
    let bot = StandIn::pipecat().await;
    let (server, token, session) =
        after_a_crash(bot.engines(), quick(), Duration::from_secs(5)).await;
    assert_eq!(said(&server, &token, &session, "u1").await, 404);
    take_up(&server).await;
    take_up(&server).await;
    assert_eq!(server.app.calls.running(), 1);
    let _reader = stream::open(&server, &token, &session, 0).await;
    assert_eq!(said(&server, &token, &session, "u1").await, 202);
    server.say(&token, &session, "m1", "And in writing").await;
    let log = server.log(&token, &session, 2).await;
    assert!(log.iter().all(|e| e["handed"] == json!(true)), "{log:?}");
    let location = format!("{API}/sessions/{session}/call/{DEAD}");
    let fragment = "a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n";
    let patch = at("PATCH", &location, &token).body("application/trickle-ice-sdpfrag", fragment);
    let patched = server.call(patch.header("if-match", "\"e-1\"")).await;
    assert_eq!(patched.status, StatusCode::NO_CONTENT, "{patched:?}");
    let stranger = server.guest().await.token;
    server.call(at("DELETE", &location, &stranger)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.app.calls.running(), 1);
    server.call(at("DELETE", &location, &token)).await;
    over(&server, &bot).await;
}

#[tokio::test]
async fn nobody_comes_back_for_it() {
    let bot = StandIn::pipecat().await;
    let rules = CallRules {
        deserted_max: Duration::from_millis(200),
        ..quick()
    };
    let (server, ..) = after_a_crash(bot.engines(), rules, Duration::from_secs(5)).await;
    take_up(&server).await;
    over(&server, &bot).await;
}

/// What happened while no server was there ends it at once, and the engine is told.
async fn check<F: AsyncFnOnce(&Server, &str)>(ago: Duration, change: F, code: Option<&str>) {
    let bot = StandIn::pipecat().await;
    let (server, token, session) = after_a_crash(bot.engines(), quick(), ago).await;
    let mut reader = stream::open(&server, &token, &session, 0).await;
    change(&server, &token).await;
    take_up(&server).await;
    over(&server, &bot).await;
    let Some(code) = code else { return };
    let word = loop {
        let (_, event) = reader.next().await.expect("a last word");
        if event["type"] == json!("voice.state") {
            break event;
        }
    };
    assert_eq!((&word["id"], &word["code"]), (&json!(DEAD), &json!(code)));
}

#[tokio::test]
async fn what_happened_meanwhile_ends_it() {
    let minute = Duration::from_secs(60);
    check(31 * minute, async |_, _| {}, Some("too_long")).await;
    let few = async |server: &Server, _: &str| {
        let caps = Caps {
            minutes_per_day: Some(3),
            ..Caps::default()
        };
        let set = keys::set_caps(server.store.as_ref(), ACCOUNT, &server.key.id, caps);
        set.await.expect("set");
    };
    check(10 * minute, few, Some("limit_reached")).await;
}

#[tokio::test]
async fn the_time_without_a_server_is_paid() {
    let bot = StandIn::pipecat().await;
    let ago = Duration::from_secs(5 * 60 + 30);
    let (server, token, session) = after_a_crash(bot.engines(), quick(), ago).await;
    let _reader = stream::open(&server, &token, &session, 0).await;
    take_up(&server).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let counters = server.store.counters(&server.key.id).await.expect("read");
    let minutes = counters.iter().find(|(name, ..)| name == "minutes/day");
    assert_eq!(minutes.map(|(.., used)| *used), Some(6), "{counters:?}");
}

#[tokio::test]
async fn an_engine_that_is_not_there_any_more_cannot_be_told() {
    let (server, token, session) =
        after_a_crash(Realtimes::none(), quick(), Duration::from_secs(5)).await;
    take_up(&server).await;
    assert_eq!(server.store.calls().await.expect("read"), []);
    assert_eq!(server.app.calls.running(), 0);
    assert_eq!(said(&server, &token, &session, "u1").await, 404);
}

#[tokio::test]
async fn its_minutes_still_count_by_the_address_that_it_began_from() {
    let bot = StandIn::pipecat().await;
    let rules = CallRules {
        pay_every: Duration::from_millis(50),
        ..quick()
    };
    let (mut server, token, session) =
        after_a_crash(bot.engines(), rules, Duration::from_secs(5)).await;
    let mut rates = Rates::off();
    let two = Rate::parse("2/1h").expect("a rate");
    rates.set("CALL_MINUTES_PER_ADDRESS", two);
    server.app = App {
        limits: Arc::new(Limits::new(&rates)),
        ..server.app
    };
    server.router = router::build(server.app.clone());
    let mut reader = stream::open(&server, &token, &session, 0).await;
    take_up(&server).await;
    let word = reader.until("voice.state").await;
    assert_eq!(word.last().expect("one").1["code"], "rate_limited");
    over(&server, &bot).await;
    // What it has used up is that of everybody there.
    let (token, session) = server.session().await;
    let call = post(&format!("/sessions/{session}/call")).bearer(&token);
    let reply = server.call(call.body("application/sdp", OFFER)).await;
    reply.refused(429, "rate_limited");
}

#[tokio::test]
async fn what_is_kept_of_a_call_ends_with_it_and_holds_no_address() {
    let bot = StandIn::pipecat().await;
    let (server, ..) = after_a_crash(bot.engines(), quick(), Duration::from_secs(5)).await;
    let (token, session) = server.session().await;
    let public =
        "a=candidate:1 1 udp 1 93.184.216.34 5 typ srflx raddr 10.0.0.1 rport 5\r\na=mid:0";
    let open = post(&format!("/sessions/{session}/call")).bearer(&token);
    let reply = server
        .call(open.body("application/sdp", OFFER.replacen("a=mid:0", public, 1)))
        .await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    assert!(bot.nth(1).await.body.contains("93.184.216.34"));
    let calls = server.store.calls().await.expect("read");
    let kept = calls
        .iter()
        .find(|call| call.session_id == session)
        .expect("kept");
    for address in ["93.184.216.34", "192.0.2.1", "10.0.0.1", &token] {
        assert!(!kept.kept.contains(address), "{}", kept.kept);
    }
    server
        .call(at("DELETE", reply.header("location"), &token))
        .await;
    bot.nth(4).await;
    for _ in 0..100 {
        if server.store.calls().await.expect("read").len() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still kept");
}

/// The whole way: the binary, kill -9, and the binary again.
#[tokio::test]
async fn a_process_that_is_killed_leaves_its_call_to_the_next() {
    let bot = StandIn::pipecat().await;
    let data = tempfile::tempdir().expect("a folder");
    let variables = [
        ("KARTA_PIPECAT_URL", bot.url.as_str()),
        ("KARTA_LOG", "error"),
    ];
    let server = Running::start_with(data.path(), &variables).await;
    let agent = [
        "agents", "create", "--name", "Ada", "--voice", "pipecat", "--json",
    ];
    let agent = karta(data.path(), &agent).output().await.expect("ran");
    assert!(agent.status.success(), "{agent:?}");
    let agent: Value = serde_json::from_slice(&agent.stdout).expect("JSON");
    let key = make_key(data.path()).await;
    let guest = server
        .post(
            "/auth/guest",
            "",
            json!({"client_key": key["public_key"], "agent_id": agent["id"]}),
        )
        .await;
    let token = guest["token"].as_str().expect("a token").to_owned();
    let session = server.post("/sessions", &token, json!({})).await;
    let events = format!(
        "/sessions/{}/events",
        session["id"].as_str().expect("an id")
    );
    let said = |id: &str| json!({"type": "call.said", "id": id, "role": "agent", "text": id});
    let offer = reqwest::Client::new()
        .post(format!(
            "{}/sessions/{}/call",
            server.http,
            session["id"].as_str().expect("an id")
        ))
        .header("origin", PAGE)
        .header("content-type", "application/sdp")
        .bearer_auth(&token)
        .body(OFFER)
        .send();
    let answer = offer.await.expect("answered");
    assert_eq!(answer.status().as_u16(), 201, "{answer:?}");
    let location = answer.headers()["location"]
        .to_str()
        .expect("text")
        .to_owned();
    assert_eq!(
        server.post(&events, &token, said("a1")).await["seq"],
        json!(1)
    );
    server.kill().await;

    // Two at once: one of them takes it.
    let server = Running::start_with(data.path(), &variables).await;
    let beside = Running::start_with(data.path(), &variables).await;
    assert_eq!(
        server.post(&events, &token, said("a1")).await["seq"],
        json!(1)
    );
    assert_eq!(
        server.post(&events, &token, said("a2")).await["seq"],
        json!(2)
    );
    let refused: Value = beside.post(&events, &token, said("a3")).await;
    assert_eq!(refused["error"]["code"], json!("connection_not_found"));
    assert_eq!(
        bot.lines(),
        ["POST /api/offer"],
        "nobody has told the bot anything"
    );
    let origin = server.http.strip_suffix(API).expect("an origin").to_owned();
    let end = reqwest::Client::new().delete(format!("{origin}{location}"));
    let ended = end.header("origin", PAGE).bearer_auth(&token).send();
    assert_eq!(ended.await.expect("answered").status().as_u16(), 200);
    let order = bot.nth(4).await.json();
    assert_eq!(
        (&order["pc_id"], &order["restart_pc"]),
        (&json!(NAME), &json!(true))
    );
    server.stop_quietly().await;
    beside.stop_quietly().await;
    let locks = std::fs::read_dir(data.path().join("calls")).expect("there");
    assert_eq!(locks.count(), 0, "no lock is left");
}

#[tokio::test]
async fn a_visitor_who_was_forgotten_or_a_key_that_was_disabled_meanwhile() {
    let second = Duration::from_secs(1);
    check(
        second,
        async |server, _| server.enable_key(false).await,
        None,
    )
    .await;
    check(
        second,
        async |server, token| {
            let forget = crate::server::Call::new("DELETE", &format!("{API}/me"));
            let reply = server.call(forget.page(PAGE).bearer(token)).await;
            assert_eq!(reply.status, StatusCode::NO_CONTENT);
            let gone = server.call(get("/sessions").bearer(token)).await;
            assert_eq!(gone.json()["sessions"], json!([]));
        },
        None,
    )
    .await;
}
