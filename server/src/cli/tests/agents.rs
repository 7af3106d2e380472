//! Agents and what they said.

use super::*;

#[tokio::test]
async fn a_conversation_is_shown_with_what_was_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let nobody = ["conversations", "show", "s_no"];
    refused(dir, &nobody, "no such conversation").await;
    let store = SqliteStore::open(dir).await.expect("a store");
    let record = SessionRecord {
        info: SessionInfo {
            id: "s_1".into(),
            ..SessionInfo::default()
        },
        account: ACCOUNT.into(),
        agent_id: "a_first".into(),
        subject: "v_1".into(),
        ..SessionRecord::default()
    };
    store.create_session(&record).await.expect("kept");
    let said = |text: &str| SessionEvent {
        kind: EventType::UserMessage,
        text: Some(text.into()),
        ..SessionEvent::default()
    };
    let used = SessionEvent {
        kind: EventType::AgentToolUse,
        name: Some("cancel_order".into()),
        state: Some("confirm".into()),
        ..said("order: K-1\nwhy: late")
    };
    let events = vec![said("Hello"), said("a\u{1b}[2Jb"), used];
    store.append("s_1", events).await.expect("appended");
    drop(store);
    let shown = run_json(dir, &["conversations", "show", "s_1"]).await;
    assert_eq!(shown["log"][0]["text"], "Hello");
    assert_eq!(shown["events"], 3);
    let after = ["conversations", "show", "s_1", "--after", "1"];
    assert_eq!(run_json(dir, &after).await["log"][0]["seq"], 2);
    let plain = run(dir, &["conversations", "show", "s_1"])
        .await
        .expect("shown");
    assert!(plain.contains("visitor  Hello"), "{plain}");
    assert!(
        plain.contains("tool     cancel_order confirm: order: K-1 why: late"),
        "{plain}"
    );
    assert!(!plain.contains('\u{1b}'), "nothing steers the terminal");
}

#[tokio::test]
async fn agent_settings_have_bounds_and_can_be_taken_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let update = ["agents", "update", "a_first"];
    let set = [
        "--response-delay-ms",
        "1500",
        "--retention-days",
        "30",
        "--upload",
        "on",
    ];
    let changed = run_json(dir, &[&update[..], &set].concat()).await;
    assert_eq!(
        (&changed["response_delay_ms"], &changed["retention_days"]),
        (&1_500.into(), &30.into())
    );
    assert_eq!(changed["upload_enabled"], true);
    let unset = [
        "--response-delay-ms",
        "0",
        "--retention-days",
        "0",
        "--upload",
        "off",
    ];
    let changed = run_json(dir, &[&update[..], &unset].concat()).await;
    assert_eq!(
        (&changed["response_delay_ms"], &changed["retention_days"]),
        (&0.into(), &Value::Null)
    );
    refused(
        dir,
        &[&update[..], &["--response-delay-ms", "30001"]].concat(),
        "30000",
    )
    .await;
    refused(
        dir,
        &[&update[..], &["--retention-days", "3651"]].concat(),
        "3650",
    )
    .await;
}

#[tokio::test]
async fn agents_are_made_and_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    assert_eq!(
        run_json(dir, &["agents", "list"])
            .await
            .as_array()
            .map(Vec::len),
        Some(1),
        "a first agent is there"
    );
    let made = run_json(
        dir,
        &[
            "agents",
            "create",
            "--name",
            "Ada",
            "--greeting",
            "Hi",
            "--runtime",
            "builtin",
            "--prompt",
            "One?",
            "--prompt",
            "Two?",
        ],
    )
    .await;
    let id = made["id"].as_str().expect("an id");
    assert_eq!(
        made["suggested_prompts"],
        serde_json::json!(["One?", "Two?"])
    );
    let changed = run_json(
        dir,
        &["agents", "update", id, "--greeting", "", "--widget", "off"],
    )
    .await;
    assert_eq!(
        (
            &changed["greeting"],
            &changed["widget_enabled"],
            &changed["name"]
        ),
        (&Value::Null, &false.into(), &"Ada".into())
    );
}

#[tokio::test]
async fn tools_come_from_a_file_and_go_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let file = dir.join("tools.json");
    let path = file.to_str().expect("text");
    let set = ["agents", "update", "a_first", "--tools", path];
    refused(dir, &set, "cannot be read").await;
    std::fs::write(&file, r#"{"name": "find"}"#).expect("written");
    refused(dir, &set, "not a list of tools").await;
    let tool = r#"[{"name": "find order", "title": "Find an order", "description": "Finds it.", "url": "http://orders.internal/find"}]"#;
    std::fs::write(&file, tool).expect("written");
    refused(dir, &set, "A-Z").await;
    std::fs::write(&file, tool.replace("find order", "find_order")).expect("written");
    let agent = run_json(dir, &set).await;
    assert_eq!(agent["tools"][0]["name"], "find_order");
    assert_eq!(agent["tools"][0]["confirm"], false);
    let other = ["agents", "update", "a_first", "--greeting", "Hi"];
    assert_eq!(run_json(dir, &other).await["tools"], agent["tools"]);
    let without = ["agents", "update", "a_first", "--tools", "-"];
    assert_eq!(
        run_json(dir, &without).await["tools"],
        serde_json::json!([])
    );
}
