//! A cap in money from end to end: the owner sets prices and the cap over HTTP, a visitor meets the documented refusal.

use super::Owner;
use crate::call::{OFFER, stand_in::StandIn};
use crate::server::{Model, post};
use crate::stream;
use axum::http::StatusCode;
use karta_server::voice::engine::Engines;
use karta_server::voice::{CallSettings, Voices};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The owner of a server with a model and a realtime engine.
async fn owner(bot: &StandIn) -> Owner {
    let mut owner = Owner::start().await;
    let server = &mut owner.server;
    server.app.voices =
        Voices::new(Engines::none(), 9, CallSettings::default()).with_realtimes(bot.engines());
    server.answered_by(Arc::new(Model)).await;
    owner
}

impl Owner {
    async fn set_agent(&self, settings: Value) {
        let reply = self.send("PATCH", "/agents/a_first", settings).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    }

    async fn cap(&self, caps: Value) {
        let path = format!("/widget-keys/{}", self.server.key.id);
        let reply = self.send("PATCH", &path, json!({"caps": caps})).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    }
}

#[tokio::test]
async fn a_visitor_meets_the_cap_and_hears_when_to_come_back() {
    let bot = StandIn::pipecat().await;
    let owner = owner(&bot).await;
    // 3,000 tokens in and 1,000 out: 0.003 + 0.002 for a turn, 0.004 for a minute.
    owner
        .set_agent(json!({"input_price": "1", "output_price": 2, "voice": "pipecat", "voice_minute_price": "0.004"}))
        .await;
    owner.cap(json!({"spend_per_day": "0.01"})).await;
    let server = &owner.server;
    let (token, session) = server.session().await;
    let mut reader = stream::open(server, &token, &session, 0).await;
    let said = server.say(&token, &session, "m1", "Hi").await;
    assert_eq!(said.status, StatusCode::ACCEPTED, "{said:?}");
    server.log(&token, &session, 4).await;
    let offer = async || {
        let path = format!("/sessions/{session}/call");
        let offer = post(&path).bearer(&token).body("application/sdp", OFFER);
        server.call(offer).await
    };
    let begun = offer().await;
    assert_eq!(begun.status, StatusCode::CREATED, "{begun:?}");
    let location = begun.header("location").to_owned();
    server
        .call(crate::call::at("DELETE", &location, &token))
        .await;
    // 0.009 is gone: one more turn may begin, and no other minute.
    server.advance(Duration::from_secs(61));
    let refused = offer().await;
    refused.refused(429, "limit_reached");
    for _ in 0..200 {
        if server.app.calls.running() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let said = server.say(&token, &session, "m2", "Hi").await;
    assert_eq!(said.status, StatusCode::ACCEPTED, "{said:?}");
    server.log(&token, &session, 9).await;
    let refused = server.say(&token, &session, "m3", "Hi").await;
    refused.refused(429, "limit_reached");
    let error = refused.json()["error"].clone();
    let wait = error["retry_after_seconds"].as_u64().expect("a time");
    assert!((1..=86_400).contains(&wait), "until midnight: {wait}");
    assert_eq!(refused.header("retry-after"), wait.to_string());
    // Every other page that shows this conversation hears it too.
    let mut limits = Vec::new();
    while limits.len() < 2 {
        let events = reader.until("session.limit_reached").await;
        limits.extend(events.last().map(|(_, event)| event.clone()));
    }
    for limit in &limits {
        assert_eq!(limit["code"], "limit_reached");
        assert!(!limit["message"].as_str().unwrap_or("").is_empty());
        assert!(
            limit["retry_after_seconds"]
                .as_u64()
                .is_some_and(|s| s >= wait)
        );
    }
    // Neither another visitor nor another token opens it again; the next day does.
    let (other, theirs) = server.session().await;
    server
        .say(&other, &theirs, "m1", "Hi")
        .await
        .refused(429, "limit_reached");
    server.advance(Duration::from_secs(wait));
    let (token, session) = server.session().await;
    let said = server.say(&token, &session, "m1", "Hi").await;
    assert_eq!(said.status, StatusCode::ACCEPTED, "{said:?}");
}

#[tokio::test]
async fn a_cap_in_money_wants_the_price_of_the_voice_too() {
    let owner = Owner::start().await;
    let path = format!("/widget-keys/{}", owner.server.key.id);
    let cap = json!({"caps": {"spend_per_month": "25"}});
    let set = async |settings: Value| owner.send("PATCH", "/agents/a_first", settings).await;
    let said = |reply: &crate::server::Reply| reply.json()["error"]["message"].to_string();
    for voice in ["auto", "openai", "pipecat", "openai-realtime"] {
        set(json!({"runtime": "builtin", "voice": voice, "voice_minute_price": null})).await;
        let refused = owner.send("PATCH", &path, cap.clone()).await;
        refused.refused(400, "request_invalid");
        assert!(said(&refused).contains("--voice-minute-price"), "{voice}");
        let priced = set(json!({"voice_minute_price": "0.060"})).await;
        assert_eq!(priced.json()["voice_minute_price"], "0.06");
        let reply = owner.send("PATCH", &path, cap.clone()).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        // From now on none may lose it.
        let refused = set(json!({"voice_minute_price": null})).await;
        refused.refused(400, "request_invalid");
        assert!(said(&refused).contains("voice_minute_price"), "{voice}");
        let other = json!({"name": "Bo", "runtime": "builtin", "voice": voice});
        let refused = owner.send("POST", "/agents", other).await;
        refused.refused(400, "request_invalid");
        let none = json!({"caps": {"spend_per_month": null}});
        owner.send("PATCH", &path, none).await;
    }
    for free in ["local", "off"] {
        set(json!({"voice": free, "voice_minute_price": null})).await;
        let reply = owner.send("PATCH", &path, cap.clone()).await;
        assert_eq!(reply.status, StatusCode::OK, "{free}: {reply:?}");
    }
    for bad in [
        json!("-1"),
        json!("1,5"),
        json!("0.0000001"),
        json!([]),
        json!(true),
    ] {
        let refused = set(json!({"voice_minute_price": bad})).await;
        refused.refused(400, "request_invalid");
        assert!(said(&refused).contains("voice_minute_price"), "{bad}");
    }
}
