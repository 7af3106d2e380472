//! GET /config.

use crate::server::{Server, get};
use crate::voice::mute;
use axum::http::StatusCode;
use karta_protocol::{AuthMode, LauncherPosition};
use karta_server::app::App;
use karta_server::router;
use karta_server::service::agents::AgentChange;
use karta_server::service::branding::BrandingChange;
use karta_server::service::caps::CapsChange;
use karta_server::service::patch::Patch;
use karta_server::service::{ACCOUNT, branding, keys};
use karta_server::store::Tool;
use karta_server::voice::engine::Engines;
use karta_server::voice::{CallSettings, Voices};
use serde_json::json;

/// A server whose owner has set everything that can be set.
async fn full() -> Server {
    let server = Server::start().await;
    let text = |text: &str| Some(text.to_owned());
    server
        .change_agent(AgentChange {
            name: text("Ada"),
            avatar_url: text("https://cdn.example/ada.png"),
            greeting: text("Hello!"),
            suggested_prompts: Some(vec!["Where is my parcel?".into()]),
            instruction: text("CANARY-INSTRUCTION"),
            runtime: text("builtin"),
            model: text("CANARY-MODEL"),
            temperature: Patch::Set(0.25),
            max_tokens: Patch::Set(1_333),
            input_price: Patch::Set("98.765".parse().expect("a price")),
            output_price: Patch::Set("98.765".parse().expect("a price")),
            response_delay_ms: Some(7_777),
            retention_days: Some(333),
            voice: text("auto"),
            voice_minute_price: Patch::Set("98.765".parse().expect("a price")),
            tools: Some(vec![Tool {
                name: "canary_tool".into(),
                title: "CANARY-TITLE".into(),
                description: "CANARY-DESCRIPTION".into(),
                parameters: json!({"type": "object"}),
                url: "https://canary.example".into(),
                confirm: true,
            }]),
            upload_enabled: Some(false),
            widget_enabled: Some(true),
            auth_mode: Some(AuthMode::Guest),
            knowledge: Some(Vec::new()),
        })
        .await;
    let set = |text: &str| Patch::Set(text.to_owned());
    let look = BrandingChange {
        primary_color: set("#2563eb"),
        accent_color: set("#7c3aed"),
        accent_foreground: set("#ffffff"),
        logo_url: set("https://cdn.example/logo.svg"),
        launcher_position: Patch::Set(LauncherPosition::Tl),
        launcher_label: set("Talk to us"),
        privacy_notice: set("Calls may be recorded."),
        footer: set("Acme Ltd."),
        mode: set("dark"),
    };
    branding::replace(server.store.as_ref(), ACCOUNT, look)
        .await
        .expect("saved");
    let change = keys::KeyChange {
        name: text("CANARY-NAME"),
        caps: CapsChange {
            anonymous_turns: Patch::Set(4_444),
            ..CapsChange::default()
        },
        ..keys::KeyChange::default()
    };
    keys::update(server.store.as_ref(), ACCOUNT, &server.key.id, change)
        .await
        .expect("saved");
    server
}

/// Frozen: whatever is added to `/config` is seen by everyone who reads a page's source.
#[tokio::test]
async fn config_says_these_things_and_nothing_else() {
    let server = full().await;
    let reply = server
        .call(get(&format!(
            "/config?client_key={}",
            server.key.public_key
        )))
        .await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        reply.json(),
        json!({
            "agent": {"name": "Ada", "avatar_url": "https://cdn.example/ada.png", "greeting": "Hello!", "suggested_prompts": ["Where is my parcel?"]},
            "branding": {
                "primary_color": "#2563eb", "accent_color": "#7c3aed", "accent_foreground": "#ffffff",
                "logo_url": "https://cdn.example/logo.svg", "launcher_position": "tl", "launcher_label": "Talk to us",
                "privacy_notice": "Calls may be recorded.", "footer": "Acme Ltd.", "mode": "dark",
            },
            "features": {"voice": false, "upload": false, "widget_enabled": true},
            "auth_mode": "guest",
        })
    );
    let text = String::from_utf8(reply.body).expect("text");
    for secret in [
        "CANARY",
        "shop.example",
        &server.key.id,
        &server.key.secret_hash,
        &server.secret_key,
        "0.25",
        "7777",
        "333",
        "4444",
        "builtin",
        "a_first",
    ] {
        assert!(!text.contains(secret), "{secret} leaks");
    }
}

#[tokio::test]
async fn a_change_of_the_owner_shows_at_once() {
    let server = full().await;
    let path = format!("/config?client_key={}", server.key.public_key);
    server
        .change_agent(AgentChange {
            widget_enabled: Some(false),
            ..AgentChange::default()
        })
        .await;
    let reply = server.call(get(&path)).await;
    assert_eq!(reply.json()["features"]["widget_enabled"], json!(false));
    server.enable_key(false).await;
    server
        .call(get(&path))
        .await
        .refused(403, "client_key_disabled");
    server.enable_key(true).await;
    assert_eq!(server.call(get(&path)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_pinned_agent_wins_over_the_page_and_anothers_agent_is_refused() {
    let server = full().await;
    let change = AgentChange {
        name: Some("Bob".into()),
        ..AgentChange::default()
    };
    let bob = karta_server::service::agents::create(server.store.as_ref(), ACCOUNT, change)
        .await
        .expect("made");
    let new = keys::NewKey {
        name: "Pinned".into(),
        origins: vec![crate::server::PAGE.into()],
        agent_id: Some(bob.id.clone()),
        ..keys::NewKey::default()
    };
    let pinned = keys::create(server.store.as_ref(), &server.master, ACCOUNT, new)
        .await
        .expect("made")
        .key
        .public_key;
    let free = &server.key.public_key;
    for (key, asked, name) in [
        (&pinned, "".to_owned(), "Bob"),
        (&pinned, "&agent_id=a_first".to_owned(), "Bob"),
        (&pinned, "&agent_id=nobody".to_owned(), "Bob"),
        (free, "".to_owned(), "Ada"),
        (free, "&agent_id=".to_owned(), "Ada"),
        (free, format!("&agent_id={}", bob.id), "Bob"),
    ] {
        let reply = server
            .call(get(&format!("/config?client_key={key}{asked}")))
            .await;
        assert_eq!(reply.json()["agent"]["name"], json!(name), "{asked}");
    }
    let reply = server
        .call(get(&format!("/config?client_key={free}&agent_id=nobody")))
        .await;
    reply.refused(400, "request_invalid");
}

#[tokio::test]
async fn bad_keys_have_their_own_errors() {
    let server = Server::start().await;
    let long = "x".repeat(5_000);
    for (query, status, code) in [
        ("", 400, "client_key_missing"),
        ("?", 400, "client_key_missing"),
        ("?client_key=", 400, "client_key_missing"),
        ("?client_key=%20", 400, "client_key_missing"),
        ("?CLIENT_KEY=pk_live_main_x", 400, "client_key_missing"),
        (
            "?client_key=pk_live_main_unknown",
            401,
            "client_key_unknown",
        ),
        ("?client_key=pk_", 401, "client_key_unknown"),
        ("?client_key=%00", 401, "client_key_unknown"),
        ("?client_key=null", 401, "client_key_unknown"),
        ("?client_key='%20OR%201=1--", 401, "client_key_unknown"),
        ("?client_key=pk_live_main_%25", 401, "client_key_unknown"),
        (&format!("?client_key={long}"), 401, "client_key_unknown"),
        (&format!("?client_key=pk_{long}"), 401, "client_key_unknown"),
        ("?client_key=%FF%FE", 401, "client_key_unknown"),
        ("?client_key=a&client_key=b", 400, "request_invalid"),
        ("?client_key=sk_live_main_x", 403, "secret_key_in_browser"),
        ("?client_key=sk_", 403, "secret_key_in_browser"),
        ("?client_key=%20sk_live", 403, "secret_key_in_browser"),
        (
            &format!("?client_key={}", server.key.public_key.to_uppercase()),
            401,
            "client_key_unknown",
        ),
        (
            &format!("?client_key={}x", server.key.public_key),
            401,
            "client_key_unknown",
        ),
        (
            &format!(
                "?client_key={}",
                &server.key.public_key[..server.key.public_key.len() - 1]
            ),
            401,
            "client_key_unknown",
        ),
        (
            &format!("?client_key={}", server.key.id),
            401,
            "client_key_unknown",
        ),
    ] {
        server
            .call(get(&format!("/config{query}")))
            .await
            .refused(status, code);
    }
}

#[tokio::test]
async fn voice_is_offered_where_the_agent_may_talk_and_an_engine_is_there() {
    for (choice, engine, over_rtc, offered) in [
        ("auto", true, true, true),
        ("local", true, true, true),
        ("off", true, true, false),
        ("auto", false, true, false),
        ("auto", true, false, false),
    ] {
        let mut server = match over_rtc {
            true => crate::channel::server(karta_server::auth::limit::Rates::off()).await,
            false => Server::start().await,
        };
        let engines = match engine {
            true => Engines::only(mute(true)),
            false => Engines::none(),
        };
        server.router = router::build(App {
            voices: Voices::new(engines, 1, CallSettings::default()),
            ..server.app.clone()
        });
        let change = AgentChange {
            voice: Some(choice.into()),
            ..AgentChange::default()
        };
        server.change_agent(change).await;
        let path = format!("/config?client_key={}", server.key.public_key);
        let reply = server.call(get(&path)).await;
        assert_eq!(
            reply.json()["features"]["voice"],
            json!(offered),
            "{choice} {engine} {over_rtc}"
        );
    }
}
