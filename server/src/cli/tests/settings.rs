//! What an owner can change later: keys, agents, documents, the look, the admin token.

use super::{refused, run, run_json};
use crate::auth::master::MasterKey;
use crate::service::{self, ACCOUNT, admin_token};
use serde_json::{Value, json};
use std::path::Path;

async fn key(dir: &Path) -> String {
    let line = [
        "keys",
        "create",
        "--name",
        "Shop",
        "--origin",
        "https://a.example",
    ];
    let made = run_json(dir, &line).await;
    made["public_key"].as_str().expect("a key").to_owned()
}

#[tokio::test]
async fn a_key_is_changed_pinned_and_deleted() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let key = key(dir).await;
    let line = [
        "keys",
        "update",
        &key,
        "--name",
        "Store",
        "--origin",
        "https://*.b.example",
        "--agent",
        "a_first",
    ];
    let changed = run_json(dir, &line).await;
    assert_eq!(
        (
            &changed["name"],
            &changed["domain_allowlist"],
            &changed["agent_id"]
        ),
        (
            &"Store".into(),
            &json!(["https://*.b.example"]),
            &"a_first".into()
        )
    );
    let unpinned = run_json(dir, &["keys", "update", &key, "--agent", ""]).await;
    assert_eq!(
        (&unpinned["agent_id"], &unpinned["name"]),
        (&Value::Null, &"Store".into()),
        "what is not named stays"
    );
    let shown = run_json(dir, &["keys", "show", &key]).await;
    assert_eq!(shown, unpinned);
    refused(
        dir,
        &["keys", "update", &key, "--agent", "a_no"],
        "agents list",
    )
    .await;
    refused(dir, &["keys", "update", &key, "--origin", "*"], "https://").await;
    run(dir, &["keys", "delete", &key]).await.expect("deleted");
    refused(dir, &["keys", "delete", &key], "keys list").await;
    assert_eq!(run_json(dir, &["keys", "list"]).await, json!([]));
}

#[tokio::test]
async fn an_agent_in_use_is_not_deleted() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    refused(dir, &["agents", "delete", "a_first"], "only agent").await;
    let made = run_json(
        dir,
        &["agents", "create", "--name", "Ada", "--temperature", "0.5"],
    )
    .await;
    let id = made["id"].as_str().expect("an id");
    let line = [
        "agents",
        "settings",
        id,
        "--temperature",
        "",
        "--model",
        "m",
    ];
    let changed = run_json(dir, &line).await;
    assert_eq!(
        (
            &made["temperature"],
            &changed["temperature"],
            &changed["model"]
        ),
        (&json!(0.5), &Value::Null, &"m".into())
    );
    assert_eq!(run_json(dir, &["agents", "show", id]).await, changed);
    let key = key(dir).await;
    run(dir, &["keys", "update", &key, "--agent", id])
        .await
        .expect("pinned");
    refused(dir, &["agents", "delete", id], "\"Shop\"").await;
    run(dir, &["keys", "delete", &key]).await.expect("deleted");
    run(dir, &["agents", "delete", id]).await.expect("deleted");
    refused(dir, &["agents", "show", id], "agents list").await;
    let address = "http://cdn.example/a.png";
    refused(
        dir,
        &["agents", "update", "a_first", "--avatar-url", address],
        "https://",
    )
    .await;
}

#[tokio::test]
async fn documents_are_ticked_for_agents_and_keep_their_title() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.join(name), text).expect("written");
        dir.join(name).to_string_lossy().into_owned()
    };
    let first = file("a.md", "# Shipping\n\nThree days.\n");
    let added = run_json(dir, &["knowledge", "add", &first, "--agent", "a_first"]).await;
    let id = added[0]["id"].as_str().expect("an id");
    assert_eq!(added[0]["agent_ids"], json!(["a_first"]));
    let next = file("b.md", "# Another heading\n\nTwo days.\n");
    let updated = run_json(dir, &["knowledge", "update", id, &next]).await;
    assert_eq!(
        (&updated["title"], &updated["agent_ids"]),
        (&"Shipping".into(), &json!(["a_first"]))
    );
    let shown = run_json(dir, &["knowledge", "show", id]).await;
    assert!(
        shown["text"]
            .as_str()
            .is_some_and(|text| text.contains("Two days"))
    );

    let made = run_json(
        dir,
        &["agents", "create", "--name", "Ada", "--knowledge", id],
    )
    .await;
    let ada = made["id"].as_str().expect("an id");
    assert_eq!(made["knowledge"], json!([id]));
    let store = service::open(dir).await.expect("a store");
    let found = async |agent: &str| {
        let found = crate::store::Store::search(&*store, ACCOUNT, agent, "how many days", 5).await;
        found.expect("searched").passages.len()
    };
    assert_eq!((found("a_first").await, found(ada).await), (1, 1));
    run(dir, &["agents", "update", ada, "--knowledge", ""])
        .await
        .expect("unticked");
    assert_eq!((found("a_first").await, found(ada).await), (1, 0));
    let all = run_json(dir, &["knowledge", "attach", id, "--all"]).await;
    assert_eq!(all["agent_ids"], Value::Null);
    assert_eq!((found("a_first").await, found(ada).await), (1, 1));
    run(dir, &["knowledge", "attach", id, "--none"])
        .await
        .expect("for none");
    assert_eq!((found("a_first").await, found(ada).await), (0, 0));
    refused(
        dir,
        &["knowledge", "attach", id, "--agent", "a_no"],
        "agents list",
    )
    .await;
    refused(
        dir,
        &["knowledge", "attach", "d_no", "--all"],
        "knowledge list",
    )
    .await;
    refused(
        dir,
        &["agents", "update", ada, "--knowledge", "d_no"],
        "knowledge list",
    )
    .await;
    refused(
        dir,
        &["agents", "create", "--name", "x", "--knowledge", "d_no"],
        "knowledge list",
    )
    .await;
    let agents = run_json(dir, &["agents", "list"]).await;
    assert_eq!(
        agents.as_array().map(Vec::len),
        Some(2),
        "nothing half made"
    );
}

#[tokio::test]
async fn the_look_is_changed_field_by_field() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let line = [
        "branding",
        "update",
        "--primary-color",
        "#25E",
        "--launcher-position",
        "tl",
        "--mode",
        "dark",
        "--logo-url",
        "https://cdn.example/logo.svg",
    ];
    run(dir, &line).await.expect("changed");
    let left = run_json(dir, &["branding", "update", "--mode", "", "--footer", "Hi"]).await;
    let expected = json!({
        "primary_color": "#2255ee", "launcher_position": "tl", "logo_url": "https://cdn.example/logo.svg", "footer": "Hi",
    });
    assert_eq!(left, expected);
    assert_eq!(run_json(dir, &["branding", "show"]).await, expected);
    for (option, value, part) in [
        ("--primary-color", "red", "#0a7cff"),
        ("--logo-url", "http://cdn.example/logo.svg", "https://"),
        ("--logo-url", "javascript:alert(1)", "https://"),
        ("--logo-url", "https://user@cdn.example/", "https://"),
        ("--logo-url", "data:image/svg+xml,<svg/>", "https://"),
        ("--accent-foreground", "#2255ff", "cannot be read"),
        ("--launcher-label", &"x".repeat(41), "40"),
        ("--footer", "a\u{7}b", "control"),
    ] {
        refused(dir, &["branding", "update", option, value], part).await;
    }
    let local = [
        "branding",
        "update",
        "--logo-url",
        "http://127.0.0.1:8080/logo.svg",
    ];
    run(dir, &local)
        .await
        .expect("this machine, for trying things out");
}

#[tokio::test]
async fn the_admin_token_is_rotated_and_revoked() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let store = service::open(dir).await.expect("a store");
    let master = MasterKey::load_or_create(dir).expect("a key");
    let check = async |token: &str| {
        admin_token::check(&*store, &master, ACCOUNT, token)
            .await
            .expect("checked")
    };
    use admin_token::Checked::{Off, Right, Wrong};
    assert_eq!(
        check("x").await,
        Off,
        "a server that never started has none"
    );
    let first = admin_token::ensure(&*store, &master, ACCOUNT)
        .await
        .expect("made");
    let first = first.expect("the first start makes one");
    let again = admin_token::ensure(&*store, &master, ACCOUNT)
        .await
        .expect("looked");
    assert_eq!(again, None, "and no other does");
    assert_eq!(check(&first).await, Right);
    for wrong in [
        "",
        "x",
        &first[..first.len() - 1],
        &format!("{first}0"),
        &first.to_uppercase(),
    ] {
        assert_eq!(check(wrong).await, Wrong, "{wrong}");
    }
    let made = run_json(dir, &["admin-token", "rotate"]).await;
    let second = made["admin_token"].as_str().expect("a token");
    assert_eq!((check(&first).await, check(second).await), (Wrong, Right));
    let file = std::fs::read(dir.join("karta.db-wal")).expect("the database");
    assert!(!file.windows(second.len()).any(|w| w == second.as_bytes()));
    run(dir, &["admin-token", "revoke"]).await.expect("off");
    assert_eq!(check(second).await, Off);
    let again = admin_token::ensure(&*store, &master, ACCOUNT)
        .await
        .expect("looked");
    assert_eq!(again, None, "off stays off after a restart");
}
