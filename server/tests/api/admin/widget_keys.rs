//! `/widget-keys`.

use super::Owner;
use crate::server::{PAGE, get};
use axum::http::StatusCode;
use serde_json::{Value, json};

async fn open(owner: &Owner, public_key: &str) -> StatusCode {
    let call = get(&format!("/config?client_key={public_key}"));
    owner.server.call(call).await.status
}

#[tokio::test]
async fn a_key_is_made_used_changed_and_deleted() {
    let owner = Owner::start().await;
    let body = json!({"name": "Acme website", "domain_allowlist": ["HTTPS://Shop.Example:443/", "https://*.shop.example"]});
    let made = owner.made("/widget-keys", body).await;
    assert_eq!(
        made["domain_allowlist"],
        json!([PAGE, "https://*.shop.example"])
    );
    let (id, public) = (
        made["id"].as_str().expect("an id"),
        made["public_key"].as_str().expect("a key"),
    );
    assert!(public.starts_with("pk_live_main_"));
    assert!(
        made["secret_key"]
            .as_str()
            .is_some_and(|key| key.starts_with("sk_live_main_"))
    );
    assert_eq!(open(&owner, public).await, StatusCode::OK);

    let path = format!("/widget-keys/{id}");
    let shown = owner.get(&path).await;
    assert_eq!(shown.json()["name"], "Acme website");
    assert_eq!(
        owner.get(&format!("/widget-keys/{public}")).await.json(),
        shown.json()
    );
    let change = json!({"name": "Acme", "agent_id": "a_first", "caps": {"anonymous_turns": 5, "tokens_per_day": 100}});
    let changed = owner.send("PATCH", &path, change).await.json();
    assert_eq!(
        (
            &changed["name"],
            &changed["agent_id"],
            &changed["caps"]["anonymous_turns"]
        ),
        (&json!("Acme"), &json!("a_first"), &json!(5))
    );
    let change = json!({"agent_id": null, "caps": {"anonymous_turns": null}});
    let changed = owner.send("PATCH", &path, change).await.json();
    assert_eq!(
        (
            &changed["name"],
            &changed["agent_id"],
            &changed["caps"]["anonymous_turns"],
            &changed["caps"]["tokens_per_day"]
        ),
        (&json!("Acme"), &Value::Null, &Value::Null, &json!(100)),
        "null clears, absent stays"
    );
    assert_eq!(owner.send("PATCH", &path, json!({})).await.json(), changed);

    owner
        .send(
            "PATCH",
            &path,
            json!({"domain_allowlist": ["https://other.example"]}),
        )
        .await;
    assert_eq!(open(&owner, public).await, StatusCode::FORBIDDEN);
    owner
        .send(
            "PATCH",
            &path,
            json!({"domain_allowlist": [PAGE], "enabled": false}),
        )
        .await;
    let call = get(&format!("/config?client_key={public}"));
    owner
        .server
        .call(call)
        .await
        .refused(403, "client_key_disabled");
    owner.send("PATCH", &path, json!({"enabled": true})).await;
    assert_eq!(open(&owner, public).await, StatusCode::OK);
    assert_eq!(owner.delete(&path).await.status, StatusCode::NO_CONTENT);
    let call = get(&format!("/config?client_key={public}"));
    owner
        .server
        .call(call)
        .await
        .refused(401, "client_key_unknown");
    owner.delete(&path).await.refused(404, "not_found");
    owner.get(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn secrets_are_shown_in_the_answer_that_makes_them_only() {
    let owner = Owner::start().await;
    let made = owner
        .made(
            "/widget-keys",
            json!({"name": "x", "domain_allowlist": [PAGE]}),
        )
        .await;
    let path = format!("/widget-keys/{}", made["id"].as_str().expect("an id"));
    for reply in [
        owner.get(&path).await,
        owner.get("/widget-keys").await,
        owner.send("PATCH", &path, json!({"name": "y"})).await,
    ] {
        let text = String::from_utf8(reply.body).expect("text");
        let hash = &owner.server.key.secret_hash;
        assert!(
            !text.contains("sk_live") && !text.contains("secret") && !text.contains(hash),
            "{text}"
        );
    }
}

#[tokio::test]
async fn lists_come_in_pages() {
    let owner = Owner::start().await;
    for n in 0..6 {
        owner
            .made(
                "/widget-keys",
                json!({"name": format!("key {n}"), "domain_allowlist": [PAGE]}),
            )
            .await;
    }
    let all = owner.get("/widget-keys").await.json();
    assert!(all.get("next").is_none());
    let mut seen = Vec::new();
    let mut path = "/widget-keys?limit=3".to_owned();
    loop {
        let page = owner.get(&path).await.json();
        seen.extend(page["widget_keys"].as_array().expect("keys").clone());
        match page["next"].as_str() {
            Some(next) => path = format!("/widget-keys?limit=3&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7, "with the server's own");
    assert_eq!(json!(seen), all["widget_keys"]);
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=-1",
        "after=x",
        "offset=3",
        "limit=1&limit=2",
    ] {
        let reply = owner.get(&format!("/widget-keys?{query}")).await;
        reply.refused(400, "request_invalid");
    }
}

#[tokio::test]
async fn wrong_orders_are_refused_by_the_name_of_the_field() {
    let owner = Owner::start().await;
    let path = format!("/widget-keys/{}", owner.server.key.id);
    let good = json!({"name": "x", "domain_allowlist": [PAGE]});
    for (field, value, part) in [
        ("name", json!(""), "name"),
        ("name", json!(null), "name"),
        ("name", json!(7), "name"),
        ("name", json!("x".repeat(101)), "100"),
        ("name", json!("a\u{0}b"), "control"),
        ("domain_allowlist", json!([]), "at least one site"),
        ("domain_allowlist", json!(null), "domain_allowlist"),
        (
            "domain_allowlist",
            json!("https://a.example"),
            "domain_allowlist",
        ),
        ("domain_allowlist", json!([1]), "domain_allowlist[0]"),
        ("domain_allowlist", json!(["*"]), "https://"),
        (
            "domain_allowlist",
            json!(["https://a.example/path"]),
            "path",
        ),
        ("domain_allowlist", json!(["null"]), "https://"),
        ("domain_allowlist", json!(["file:///x"]), "https://"),
        (
            "domain_allowlist",
            json!(vec!["https://a.example"; 101]),
            "100",
        ),
        ("agent_id", json!(5), "agent_id"),
        ("enabled", json!("yes"), "enabled"),
        ("enabled", json!(null), "enabled"),
        ("caps", json!(null), "caps"),
        ("caps", json!({"turns": 1}), "turns"),
        ("caps", json!({"anonymous_turns": -1}), "anonymous_turns"),
        ("secret_hash", json!("x"), "secret_hash"),
        ("public_key", json!("pk_live_main_mine"), "public_key"),
        ("account", json!("other"), "account"),
    ] {
        let mut whole = good.clone();
        whole[field] = value.clone();
        for (method, path, body) in [
            ("PATCH", path.as_str(), json!({field: value})),
            ("POST", "/widget-keys", whole),
        ] {
            if method == "POST" && ["enabled", "caps"].contains(&field) {
                continue;
            }
            let reply = owner.send(method, path, body).await;
            reply.refused(400, "request_invalid");
            let message = reply.json()["error"]["message"].to_string();
            assert!(message.contains(part), "{method} {field}: {message}");
        }
    }
    for body in [
        json!({"name": "x"}),
        json!({"domain_allowlist": [PAGE]}),
        json!({}),
    ] {
        owner
            .send("POST", "/widget-keys", body)
            .await
            .refused(400, "request_invalid");
    }
    for (method, path) in [("PATCH", path.as_str()), ("POST", "/widget-keys")] {
        let mut body = good.clone();
        body["agent_id"] = json!("a_no");
        owner
            .send(method, path, body)
            .await
            .refused(404, "not_found");
    }
    assert_eq!(
        owner.get(&path).await.json()["name"],
        "Shop",
        "nothing of it was taken"
    );
}

#[tokio::test]
async fn a_key_can_be_bounded_and_rotated_from_the_start() {
    let owner = Owner::start().await;
    let body = json!({
        "name": "x", "domain_allowlist": [PAGE], "identification_required": true, "caps": {"sessions_per_day": 3},
    });
    let made = owner.made("/widget-keys", body).await;
    assert_eq!(
        (
            &made["caps"]["sessions_per_day"],
            &made["identification_required"]
        ),
        (&json!(3), &json!(true))
    );
    let guest = crate::server::post("/auth/guest").json(&json!({"client_key": made["public_key"]}));
    let reply = owner.server.call(guest).await;
    reply.refused(403, "guest_not_allowed");

    let path = format!(
        "/widget-keys/{}/rotate",
        made["id"].as_str().expect("an id")
    );
    for which in ["secret_key", "identity_secret"] {
        let reply = owner.send("POST", &path, json!({"which": which})).await;
        assert_eq!(reply.status, StatusCode::OK);
        let rotated = reply.json();
        assert_ne!(rotated[which], made[which]);
        assert!(rotated["old_until_ms"].is_u64(), "{rotated}");
        let now = json!({"which": which, "now": true});
        let at_once = owner.send("POST", &path, now).await.json();
        assert_eq!(at_once["old_until_ms"], Value::Null);
    }
    for body in [
        json!({}),
        json!({"which": null}),
        json!({"which": "public_key"}),
        json!({"which": "secret_key", "now": "yes"}),
        json!({"which": "secret_key", "later": true}),
    ] {
        let reply = owner.send("POST", &path, body).await;
        reply.refused(400, "request_invalid");
    }
    let reply = owner.send(
        "POST",
        "/widget-keys/k_no/rotate",
        json!({"which": "secret_key"}),
    );
    reply.await.refused(404, "not_found");
}

#[tokio::test]
async fn of_changes_at_once_none_is_lost() {
    let owner = Owner::start().await;
    let path = format!("/widget-keys/{}", owner.server.key.id);
    for round in 1..=5 {
        let key = [
            "anonymous_turns",
            "sessions_per_day",
            "minutes_per_day",
            "tokens_per_day",
        ]
        .map(|cap| owner.send("PATCH", &path, json!({"caps": {cap: round}})));
        let agent = ["greeting", "instruction", "model"].map(|field| {
            owner.send(
                "PATCH",
                "/agents/a_first",
                json!({field: format!("{round}")}),
            )
        });
        let look = ["launcher_label", "footer", "privacy_notice"].map(|field| {
            owner.send(
                "PATCH",
                "/widget-settings",
                json!({field: format!("{round}")}),
            )
        });
        let off = owner.send("PATCH", &path, json!({"enabled": round % 2 == 0}));
        let all = futures::future::join_all(key.into_iter().chain([off]));
        tokio::join!(
            all,
            futures::future::join_all(agent),
            futures::future::join_all(look)
        );
        let key = owner.get(&path).await.json();
        for cap in [
            "anonymous_turns",
            "sessions_per_day",
            "minutes_per_day",
            "tokens_per_day",
        ] {
            assert_eq!(key["caps"][cap], round, "{cap}");
        }
        assert_eq!(key["enabled"], round % 2 == 0);
        let agent = owner.get("/agents/a_first").await.json();
        let look = owner.get("/widget-settings").await.json();
        for text in [
            &agent["greeting"],
            &agent["instruction"],
            &agent["model"],
            &look["launcher_label"],
            &look["footer"],
            &look["privacy_notice"],
        ] {
            assert_eq!(text, &json!(format!("{round}")));
        }
    }
}
