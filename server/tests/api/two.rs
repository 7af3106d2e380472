//! Two servers on one database: what works once works once in both together, and what is capped is capped in both together.

use crate::process::{Running, karta, make_key};
use crate::server::PAGE;
use futures::StreamExt as _;
use karta_server::auth::limit::RULES;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

const AT_ONCE: usize = 16;

/// As many in the full run (`build.sh test --long`) as the issue names.
fn of_many(few: usize, many: usize) -> usize {
    match std::env::var_os("KARTA_TEST_LONG") {
        Some(_) => many,
        None => few,
    }
}

/// Both without rate limits: those are each server's own, and not what this is about. Quiet, since nobody reads their logs here.
async fn two(data: &Path) -> [Running; 2] {
    let names: Vec<String> = RULES
        .iter()
        .map(|rule| format!("KARTA_LIMIT_{}", rule.2))
        .collect();
    let mut variables: Vec<_> = names.iter().map(|name| (name.as_str(), "off")).collect();
    variables.push(("KARTA_LOG", "error"));
    // One after the other: the first makes the database.
    let first = Running::start_with(data, &variables).await;
    [first, Running::start_with(data, &variables).await]
}

async fn limit(data: &Path, key: &Value, caps: &[&str]) {
    let key = key["public_key"].as_str().expect("a key");
    let arguments = [&["keys", "limit", key], caps].concat();
    let output = karta(data, &arguments).output().await.expect("ran");
    assert!(output.status.success(), "{output:?}");
}

/// One call: a success, or the code of the refusal.
async fn outcome(
    client: &reqwest::Client,
    url: String,
    token: Option<&str>,
    body: &Value,
) -> Result<Value, String> {
    let request = client.post(url).header("origin", PAGE).json(body);
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let response = request.send().await.expect("answered");
    let status = response.status();
    assert!(!status.is_server_error(), "{status}");
    let body: Value = response.json().await.expect("JSON");
    match status.is_success() {
        true => Ok(body),
        false => Err(body["error"]["code"].as_str().expect("a code").to_owned()),
    }
}

fn counted(outcomes: impl IntoIterator<Item = Result<Value, String>>) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for outcome in outcomes {
        let name = outcome.map_or_else(|code| code, |_| "ok".to_owned());
        *counts.entry(name).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_user_token_works_once_in_both_together() {
    let tokens = of_many(50, 1_000);
    let data = tempfile::tempdir().expect("a folder");
    let servers = two(data.path()).await;
    let key = make_key(data.path()).await;
    let client = reqwest::Client::new();
    let (public, secret) = (&key["public_key"], key["secret_key"].as_str());
    let mut counts = HashMap::new();
    for n in 0..tokens {
        let minted = client
            .post(format!("{}/auth/user-token", servers[n % 2].http))
            .bearer_auth(secret.expect("a secret"))
            .json(&json!({"external_user_id": format!("user {n}")}));
        let minted: Value = minted
            .send()
            .await
            .expect("sent")
            .json()
            .await
            .expect("JSON");
        let body = json!({"client_key": public, "user_token": minted["user_token"]});
        let asking = (0..AT_ONCE).map(|turn| {
            let url = format!("{}/auth/exchange", servers[turn % 2].http);
            outcome(&client, url, None, &body)
        });
        let outcomes = futures::future::join_all(asking).await;
        assert_eq!(
            outcomes.iter().filter(|o| o.is_ok()).count(),
            1,
            "token {n}"
        );
        for (code, n) in counted(outcomes) {
            *counts.entry(code).or_insert(0) += n;
        }
    }
    let expected = [
        ("ok".to_owned(), tokens),
        ("token_used".to_owned(), tokens * (AT_ONCE - 1)),
    ];
    assert_eq!(counts, HashMap::from(expected));
    for server in servers {
        server.stop_quietly().await;
    }
}

#[tokio::test]
async fn caps_hold_in_both_together() {
    const SESSIONS: usize = 11;
    const TURNS: usize = 7;
    let visitors = of_many(40, 400);
    let data = tempfile::tempdir().expect("a folder");
    let servers = two(data.path()).await;
    let key = make_key(data.path()).await;
    let client = reqwest::Client::new();
    let guest = json!({"client_key": key["public_key"]});
    let guests = futures::stream::iter(0..visitors).map(|n| {
        let url = format!("{}/auth/guest", servers[n % 2].http);
        outcome(&client, url, None, &guest)
    });
    let guests: Vec<String> = guests
        .buffered(AT_ONCE)
        .map(|guest| {
            guest.expect("a guest")["token"]
                .as_str()
                .expect("a token")
                .to_owned()
        })
        .collect()
        .await;

    // Everybody has a session first, so that it is the turns that are bounded.
    let nothing = json!({});
    let create = |n: usize| {
        let url = format!("{}/sessions", servers[n % 2].http);
        outcome(&client, url, Some(&guests[n]), &nothing)
    };
    let sessions = futures::stream::iter(0..visitors).map(create);
    let sessions: Vec<String> = sessions
        .buffered(AT_ONCE)
        .map(|session| {
            session.expect("a session")["id"]
                .as_str()
                .expect("an id")
                .to_owned()
        })
        .collect()
        .await;
    let turns = TURNS.to_string();
    limit(
        data.path(),
        &key,
        &["--anonymous-turns-per-address-per-day", &turns],
    )
    .await;
    let said = futures::stream::iter(0..visitors).map(|n| {
        let url = format!("{}/sessions/{}/events", servers[n % 2].http, sessions[n]);
        let body = json!({"type": "user.message", "id": "m1", "text": "Hello"});
        let (client, token) = (&client, guests[n].as_str());
        async move { outcome(client, url, Some(token), &body).await }
    });
    let said: Vec<_> = said.buffer_unordered(AT_ONCE).collect().await;
    let expected = [
        ("ok".to_owned(), TURNS),
        ("limit_reached".to_owned(), visitors - TURNS),
    ];
    assert_eq!(counted(said), HashMap::from(expected));

    // Those of the day so far count.
    let cap = (visitors + SESSIONS).to_string();
    limit(data.path(), &key, &["--sessions-per-day", &cap]).await;
    let more = futures::stream::iter(0..visitors).map(create);
    let more: Vec<_> = more.buffer_unordered(AT_ONCE).collect().await;
    let expected = [
        ("ok".to_owned(), SESSIONS),
        ("limit_reached".to_owned(), visitors - SESSIONS),
    ];
    assert_eq!(counted(more), HashMap::from(expected));
    for server in servers {
        server.stop_quietly().await;
    }
}
