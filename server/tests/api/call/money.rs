//! What handed calls cost: never more than the key's cap in money, and nothing where nobody can tell.

use super::stand_in::StandIn;
use super::{call, quick, server_with};
use crate::server::Server;
use crate::stream;
use axum::http::StatusCode;
use karta_server::calls::CallRules;
use karta_server::service::agents::AgentChange;
use karta_server::service::patch::Patch;
use karta_server::store::{Caps, Store, WidgetKey};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const CALLS: usize = 16;

async fn priced(bot: &StandIn, price: &str) -> Server {
    let rules = CallRules {
        pay_every: Duration::from_millis(50),
        unpaid_max: Duration::from_millis(300),
        ..quick()
    };
    let server = server_with(bot.engines(), "pipecat", rules, CALLS).await;
    let change = AgentChange {
        voice_minute_price: Patch::Set(price.parse().expect("a price")),
        ..AgentChange::default()
    };
    server.change_agent(change).await;
    server
}

async fn cap(server: &Server, spend_per_day: &str) {
    let key = server.store.key_by_id(&server.key.id).await.expect("read");
    let key = WidgetKey {
        caps: Caps {
            spend_per_day: Some(spend_per_day.parse().expect("an amount")),
            ..Caps::default()
        },
        ..key.expect("the key")
    };
    // Past the service, which refuses what has no price: a database may hold it all the same.
    server.store.put_key(&key).await.expect("set");
}

async fn spent(server: &Server) -> u64 {
    let counters = server.store.counters(&server.key.id).await.expect("read");
    let today = counters.iter().find(|(name, ..)| name == "spend/day");
    today.map_or(0, |(.., used)| *used)
}

/// That many calls are left, soon, and no fewer.
async fn left(server: &Server, calls: usize) {
    for _ in 0..400 {
        if server.app.calls.running() <= calls {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.app.calls.running(), calls);
}

#[tokio::test]
async fn many_calls_at_once_never_cost_more_than_the_cap() {
    let bot = StandIn::pipecat().await;
    let server = Arc::new(priced(&bot, "0.06").await);
    cap(&server, "0.75").await;
    let mut readers = Vec::new();
    let mut asking = Vec::new();
    for _ in 0..CALLS {
        let (token, session) = server.session().await;
        readers.push(stream::open(&server, &token, &session, 0).await);
        let server = server.clone();
        asking.push(tokio::spawn(async move {
            let reply = call(&server, &token, &session).await;
            (token, session, reply)
        }));
    }
    let (mut taken, mut refused) = (0, None);
    for asked in asking {
        let (token, session, reply) = asked.await.expect("answered");
        if reply.status == StatusCode::CREATED {
            taken += 1;
            continue;
        }
        reply.refused(429, "limit_reached");
        let wait = reply.json()["error"]["retry_after_seconds"].as_u64();
        assert!(wait.is_some_and(|s| (1..=86_400).contains(&s)), "{reply:?}");
        refused = Some((token, session));
    }
    assert_eq!((taken, spent(&server).await), (12, 720_000));
    assert_eq!(bot.seen().len(), 12, "the engine hears of no other");
    left(&server, 12).await;
    // The next minute of twelve calls, and money for five of them.
    cap(&server, "1.05").await;
    server.advance(Duration::from_secs(60));
    left(&server, 5).await;
    assert_eq!(spent(&server).await, 1_020_000);
    server.advance(Duration::from_secs(60));
    left(&server, 0).await;
    assert_eq!(spent(&server).await, 1_020_000);
    let mut ended = 0;
    for reader in &mut readers[..] {
        let logged = reader.until("session.limit_reached").await;
        let limit = &logged.last().expect("one").1;
        assert!(limit["retry_after_seconds"].is_u64(), "{limit}");
        // Those that ran hear why theirs is over; the others never had one.
        ended += usize::from(limit["seq"] == json!(1));
    }
    assert_eq!(ended, CALLS);
    // Tomorrow there is more.
    let (token, session) = refused.expect("one was refused");
    call(&server, &token, &session)
        .await
        .refused(429, "limit_reached");
    server.advance(Duration::from_secs(86_400));
    let (token, session) = server.session().await;
    let tomorrow = call(&server, &token, &session).await;
    assert_eq!(tomorrow.status, StatusCode::CREATED, "{tomorrow:?}");
}

#[tokio::test]
async fn a_call_is_told_that_its_money_is_used_up() {
    let bot = StandIn::pipecat().await;
    let server = priced(&bot, "0.10").await;
    cap(&server, "0.15").await;
    let (token, session) = server.session().await;
    let mut reader = stream::open(&server, &token, &session, 0).await;
    super::begun(&server, &token, &session).await;
    server.advance(Duration::from_secs(61));
    let events = reader.until("voice.state").await;
    let state = &events.last().expect("one").1;
    assert_eq!(
        (&state["state"], &state["code"]),
        (&json!("ended"), &json!("limit_reached"))
    );
    assert_eq!(spent(&server).await, 100_000);
}

#[tokio::test]
async fn a_voice_that_nobody_has_priced_is_refused_where_money_is_capped() {
    let bot = StandIn::pipecat().await;
    let server = priced(&bot, "0.10").await;
    let change = AgentChange {
        voice_minute_price: Patch::Clear,
        ..AgentChange::default()
    };
    server.change_agent(change).await;
    cap(&server, "1000").await;
    let (token, session) = server.session().await;
    call(&server, &token, &session)
        .await
        .refused(429, "limit_reached");
    assert!(bot.seen().is_empty(), "the engine hears nothing of it");
}

#[tokio::test]
async fn a_call_whose_time_cannot_be_counted_ends() {
    let bot = StandIn::pipecat().await;
    let server = priced(&bot, "0.10").await;
    let (token, session) = server.session().await;
    let mut reader = stream::open(&server, &token, &session, 0).await;
    super::begun(&server, &token, &session).await;
    server.store.close().await;
    let events = reader.until("voice.state").await;
    assert_eq!(events.last().expect("one").1["code"], json!("failed"));
}
