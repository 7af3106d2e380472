//! `/agents`, their settings and who may talk to them.

use super::Owner;
use crate::server::{get, post};
use axum::http::StatusCode;
use serde_json::{Value, json};

fn tool(name: &str) -> Value {
    json!({
        "name": name, "title": "CANARY-TITLE", "description": "CANARY-DESCRIPTION", "parameters": {"type": "object"}, "url": "https://canary.example/",
        "confirm": true,
    })
}

#[tokio::test]
async fn an_agent_has_every_setting_and_shows_what_is_public() {
    let owner = Owner::start().await;
    let settings = json!({
        "name": "Ada", "avatar_url": "https://acme.example/ada.png", "greeting": "Hello!", "suggested_prompts": ["One?", "Two?"],
        "instruction": "CANARY-INSTRUCTION\nBe kind.", "runtime": "builtin", "model": "CANARY-MODEL", "temperature": 0.25,
        "response_delay_ms": 1500, "retention_days": 77, "upload_enabled": false, "widget_enabled": true, "auth_mode": "guest",
        "knowledge": [], "tools": [tool("CANARY-TOOL")],
    });
    let made = owner.made("/agents", settings.clone()).await;
    for (name, value) in settings.as_object().expect("fields") {
        assert_eq!(&made[name], value, "{name}");
    }
    let id = made["id"].as_str().expect("an id");
    assert_eq!(owner.get(&format!("/agents/{id}")).await.json(), made);
    let path = format!(
        "/config?client_key={}&agent_id={id}",
        owner.server.key.public_key
    );
    let reply = owner.server.call(get(&path)).await;
    assert_eq!(
        reply.json()["agent"],
        json!({"name": "Ada", "avatar_url": "https://acme.example/ada.png", "greeting": "Hello!", "suggested_prompts": ["One?", "Two?"]})
    );
    let text = String::from_utf8(reply.body).expect("text");
    for secret in ["CANARY", "0.25", "1500", "77", id] {
        assert!(!text.contains(secret), "{secret} leaks: {text}");
    }
}

#[tokio::test]
async fn null_clears_and_absent_stays() {
    let owner = Owner::start().await;
    let made = owner
        .made("/agents", json!({"name": "Ada", "greeting": "Hi", "model": "m", "temperature": 1, "retention_days": 5, "avatar_url": "https://a.example/a.png", "instruction": "x"}))
        .await;
    let path = format!("/agents/{}", made["id"].as_str().expect("an id"));
    assert_eq!(owner.send("PATCH", &path, json!({})).await.json(), made);
    let clear = json!({"greeting": null, "model": null, "temperature": null, "retention_days": null, "avatar_url": null, "instruction": null});
    let cleared = owner.send("PATCH", &path, clear.clone()).await.json();
    for name in clear.as_object().expect("fields").keys() {
        assert_eq!(cleared[name], Value::Null, "{name}");
    }
    assert_eq!(cleared["name"], "Ada");
    for field in [
        "name",
        "suggested_prompts",
        "runtime",
        "response_delay_ms",
        "upload_enabled",
        "widget_enabled",
        "auth_mode",
        "knowledge",
    ] {
        let reply = owner.send("PATCH", &path, json!({field: null})).await;
        reply.refused(400, "request_invalid");
        assert!(
            reply.json()["error"]["message"].to_string().contains(field),
            "{field}"
        );
    }
}

#[tokio::test]
async fn bad_settings_are_refused_by_name_and_change_nothing() {
    let owner = Owner::start().await;
    let before = owner.get("/agents/a_first").await.json();
    for (field, value, part) in [
        ("name", json!(" "), "name"),
        ("name", json!("x".repeat(61)), "60"),
        ("avatar_url", json!("http://a.example/a.png"), "https://"),
        ("avatar_url", json!("javascript:alert(1)"), "avatar"),
        ("greeting", json!("x".repeat(501)), "500"),
        ("suggested_prompts", json!(vec!["x"; 7]), "6"),
        ("suggested_prompts", json!([""]), "prompt"),
        (
            "suggested_prompts",
            json!(["ok", 2]),
            "suggested_prompts[1]",
        ),
        ("instruction", json!("x".repeat(20_001)), "20000"),
        ("runtime", json!("gpt"), "builtin"),
        ("model", json!("x".repeat(201)), "200"),
        ("temperature", json!(2.1), "between 0 and 2"),
        ("temperature", json!(-0.1), "between 0 and 2"),
        ("temperature", json!("warm"), "temperature"),
        ("temperature", json!(1e300), "temperature"),
        ("response_delay_ms", json!(30_001), "30"),
        ("response_delay_ms", json!(-1), "response_delay_ms"),
        ("retention_days", json!(4_000), "3650"),
        ("auth_mode", json!("nobody"), "auth_mode"),
        ("widget_enabled", json!(1), "widget_enabled"),
        ("tools", json!([{"name": "x"}]), "tools[0]"),
        ("tools", json!([tool("x y")]), "A-Z"),
        ("tools", json!([tool("x"), tool("x")]), "two tools"),
        ("tools", json!(vec![tool("x"); 17]), "16"),
        ("tools", json!(null), "tools"),
        ("id", json!("a_mine"), "id"),
        ("created_ms", json!(0), "created_ms"),
        ("systemPrompt", json!("x"), "systemPrompt"),
    ] {
        let reply = owner
            .send(
                "PATCH",
                "/agents/a_first",
                json!({field: value, "greeting_": 0}),
            )
            .await;
        reply.refused(400, "request_invalid");
        let reply = owner
            .send("PATCH", "/agents/a_first", json!({field: value}))
            .await;
        reply.refused(400, "request_invalid");
        let message = reply.json()["error"]["message"].to_string();
        assert!(message.contains(part), "{field}: {message}");
    }
    let reply = owner
        .send(
            "PATCH",
            "/agents/a_first",
            json!({"knowledge": ["d_no"], "name": "Eve"}),
        )
        .await;
    reply.refused(404, "not_found");
    assert_eq!(owner.get("/agents/a_first").await.json(), before);
    owner
        .send("POST", "/agents", json!({"greeting": "Hi"}))
        .await
        .refused(400, "request_invalid");
    owner
        .send("PATCH", "/agents/a_no", json!({}))
        .await
        .refused(404, "not_found");
    owner.get("/agents/a_no").await.refused(404, "not_found");
}

#[tokio::test]
async fn the_policy_decides_who_may_talk() {
    let owner = Owner::start().await;
    let path = "/agents/a_first/widget-settings";
    assert_eq!(
        owner.get(path).await.json(),
        json!({"widget_enabled": true, "auth_mode": "both"})
    );
    let guest = || post("/auth/guest").json(&json!({"client_key": owner.server.key.public_key}));
    let changed = owner
        .send("PATCH", path, json!({"auth_mode": "user"}))
        .await
        .json();
    assert_eq!(
        changed,
        json!({"widget_enabled": true, "auth_mode": "user"})
    );
    owner
        .server
        .call(guest())
        .await
        .refused(403, "guest_not_allowed");
    owner
        .send(
            "PATCH",
            path,
            json!({"auth_mode": "guest", "widget_enabled": false}),
        )
        .await;
    owner
        .server
        .call(guest())
        .await
        .refused(403, "widget_disabled_for_agent");
    owner
        .send("PATCH", path, json!({"widget_enabled": true}))
        .await;
    assert_eq!(owner.server.call(guest()).await.status, StatusCode::OK);
    for body in [
        json!({"auth_mode": null}),
        json!({"widget_enabled": "on"}),
        json!({"name": "x"}),
    ] {
        owner
            .send("PATCH", path, body)
            .await
            .refused(400, "request_invalid");
    }
    owner
        .get("/agents/a_no/widget-settings")
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn an_agent_that_is_needed_is_not_deleted() {
    let owner = Owner::start().await;
    owner
        .delete("/agents/a_first")
        .await
        .refused(409, "agent_in_use");
    let made = owner.made("/agents", json!({"name": "Ada"})).await;
    let id = made["id"].as_str().expect("an id");
    let (agent, key) = (
        format!("/agents/{id}"),
        format!("/widget-keys/{}", owner.server.key.id),
    );
    owner.send("PATCH", &key, json!({"agent_id": id})).await;
    let reply = owner.delete(&agent).await;
    reply.refused(409, "agent_in_use");
    assert!(
        reply.json()["error"]["message"]
            .to_string()
            .contains(&owner.server.key.id)
    );
    owner.send("PATCH", &key, json!({"agent_id": null})).await;
    assert_eq!(owner.delete(&agent).await.status, StatusCode::NO_CONTENT);
    owner.delete(&agent).await.refused(404, "not_found");
    let left = owner.get("/agents").await.json();
    assert_eq!(left["agents"].as_array().map(Vec::len), Some(1));
}
