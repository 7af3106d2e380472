//! Documents.

use super::*;

#[tokio::test]
async fn a_document_goes_to_several_agents_and_keeps_its_title() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let ada = run_json(dir, &["agents", "create", "--name", "Ada"]).await;
    let ada = ada["id"].as_str().expect("an id");
    let file = dir.join("prices.md").to_string_lossy().into_owned();
    std::fs::write(&file, "# Prices\n\nFive euros.").expect("written");
    let add = [
        "knowledge",
        "add",
        &file,
        "--agent",
        "a_first",
        "--agent",
        ada,
    ];
    let added = run_json(dir, &add).await;
    let id = added[0]["id"].as_str().expect("an id");
    assert_eq!(added[0]["agent_ids"].as_array().map(Vec::len), Some(2));
    let none = run_json(dir, &["knowledge", "attach", id, "--none"]).await;
    assert_eq!(none["agent_ids"], serde_json::json!([]));
    let one = run_json(dir, &["knowledge", "attach", id, "--agent", ada]).await;
    assert_eq!(one["agent_ids"], serde_json::json!([ada]));
    let renewed = run_json(dir, &["knowledge", "add", &file]).await;
    assert_eq!(
        (&renewed[0]["id"], &renewed[0]["agent_ids"]),
        (&added[0]["id"], &one["agent_ids"]),
        "a renewed document keeps its agents"
    );
    let all = run_json(dir, &["knowledge", "attach", id, "--all"]).await;
    assert_eq!(all["agent_ids"], Value::Null);
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
    let store = service::open(dir).await.expect("a store");
    let replaced = service::knowledge::replace(
        &*store,
        &Extractor::default(),
        service::ACCOUNT,
        id,
        "new.txt",
        b"# Other heading\n\nSix euros.",
    )
    .await
    .expect("replaced");
    assert_eq!(replaced.document.title, "Prices", "a title is permanent");
}

#[tokio::test]
async fn documents_are_titled_sourced_and_renewed() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let path = dir.join("shipping-costs.md");
    let file = path.to_string_lossy().into_owned();
    std::fs::write(
        &path,
        "\u{feff}# Shipping\r\nSource: https://shop.example/shipping\r\n\r\nThree days.\r\n",
    )
    .expect("written");
    let added = run_json(dir, &["knowledge", "add", &file]).await;
    assert_eq!(
        (&added[0]["title"], &added[0]["url"]),
        (&"Shipping".into(), &"https://shop.example/shipping".into())
    );
    std::fs::write(&path, "# Shipping\n\nTwo days now.\n").expect("written");
    let renewed = run_json(dir, &["knowledge", "add", &file]).await;
    assert_eq!(
        (&renewed[0]["id"], &renewed[0]["replaced"]),
        (&added[0]["id"], &true.into())
    );
    std::fs::write(dir.join("opening-hours.txt"), "Monday to Friday").expect("written");
    let plain = run_json(
        dir,
        &[
            "knowledge",
            "add",
            &dir.join("opening-hours.txt").to_string_lossy(),
        ],
    )
    .await;
    assert_eq!(plain[0]["title"], "Opening hours");
    assert_eq!(
        run_json(dir, &["knowledge", "list"])
            .await
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    let store = service::open(dir).await.expect("a store");
    let found = crate::store::Store::search(&*store, service::ACCOUNT, "a_first", "three days", 5)
        .await
        .expect("found");
    assert!(
        found.passages.iter().all(|p| !p.text.contains("Three")),
        "the old text is gone from the index"
    );
    run(
        dir,
        &[
            "knowledge",
            "remove",
            plain[0]["id"].as_str().expect("an id"),
        ],
    )
    .await
    .expect("removed");
    let found = crate::store::Store::search(&*store, service::ACCOUNT, "a_first", "Monday", 5)
        .await
        .expect("found");
    assert!(found.passages.is_empty());
}
