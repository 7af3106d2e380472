//! The command line over a real data directory.

use super::*;
use crate::service::ACCOUNT;
use crate::store::sqlite::SqliteStore;
use crate::store::{SessionRecord, Store as _};
use clap::CommandFactory as _;
use karta_protocol::{EventType, SessionEvent, SessionInfo};
use serde_json::Value;

async fn run(dir: &Path, line: &[&str]) -> Result<String, ServiceError> {
    let words = ["karta-server"].iter().chain(line);
    let cli = Cli::try_parse_from(words).expect("a command line");
    match cli.command {
        Command::Admin(command) => carry_out(command, dir).await,
        Command::Serve(_) | Command::Extract { .. } => panic!("not run here"),
    }
}

async fn run_json(dir: &Path, line: &[&str]) -> Value {
    let text = run(dir, &[line, &["--json"]].concat()).await.expect("done");
    serde_json::from_str(&text).expect("JSON")
}

async fn refused(dir: &Path, line: &[&str], part: &str) {
    let error = run(dir, line).await.expect_err("refused");
    let words = words(&error, dir);
    assert!(words.contains(part), "{words}");
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_takes_the_data_directory() {
    for line in [
        "karta-server serve --listen 127.0.0.1:0 --data-dir /tmp/x",
        "karta-server --data-dir /tmp/x keys list",
        "karta-server knowledge add a.md --data-dir /tmp/x",
    ] {
        let cli = Cli::try_parse_from(line.split(' ')).expect("a command line");
        assert_eq!(cli.data_dir, Path::new("/tmp/x"));
    }
}

#[tokio::test]
async fn a_key_is_made_shown_once_and_switched() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let made = run_json(
        dir,
        &[
            "keys",
            "create",
            "--name",
            "Shop",
            "--origin",
            "HTTPS://Shop.Example:443/",
            "--origin",
            "https://shop.example",
        ],
    )
    .await;
    let public = made["public_key"].as_str().expect("a key");
    let secret = made["secret_key"].as_str().expect("a key");
    assert!(public.starts_with("pk_live_main_") && public.len() == 13 + 32);
    assert!(secret.starts_with("sk_live_main_") && secret.len() == 13 + 96);
    assert_eq!(
        made["domain_allowlist"],
        serde_json::json!(["https://shop.example"])
    );
    let identity = made["identity_secret"].as_str().expect("a secret");
    assert!(identity.starts_with("is_live_main_") && identity.len() == 13 + 64);
    assert_eq!(&secret[13..45], &public[13..], "found by its public half");
    let listed = run(dir, &["keys", "list"]).await.expect("a list");
    assert!(listed.contains(public) && !listed.contains(secret) && !listed.contains(identity));
    let file = std::fs::read(dir.join("karta.db")).expect("the database");
    for secret in [secret, identity] {
        assert!(
            !file.windows(secret.len()).any(|w| w == secret.as_bytes()),
            "no secret is stored so that it can be read"
        );
    }
    run(dir, &["keys", "disable", public]).await.expect("off");
    assert_eq!(run_json(dir, &["keys", "list"]).await[0]["enabled"], false);
    run(dir, &["keys", "enable", public]).await.expect("on");
    assert_eq!(run_json(dir, &["keys", "list"]).await[0]["enabled"], true);
}

#[tokio::test]
async fn only_the_right_secret_matches() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = service::open(dir.path()).await.expect("a store");
    let master = MasterKey::random();
    let new = service::keys::NewKey {
        name: "Shop".into(),
        origins: vec!["https://a.example".into()],
        agent_id: None,
        ..service::keys::NewKey::default()
    };
    let made = service::keys::create(&*store, &master, service::ACCOUNT, new)
        .await
        .expect("made");
    let mut key = made.key;
    let matches = |key: &_, master: &_, secret: &str, now| {
        service::secrets::matches(master, key, secret, now)
    };
    assert!(matches(&key, &master, &made.secret_key, 0));
    assert!(!matches(&key, &master, &key.public_key, 0));
    assert!(!matches(&key, &master, &made.identity_secret, 0));
    assert!(!matches(&key, &MasterKey::random(), &made.secret_key, 0));
    assert!(!matches(&key, &master, "", 0));
    key.old_secret = Some(crate::store::Replaced {
        value: std::mem::take(&mut key.secret_hash),
        until_ms: 10,
    });
    assert!(matches(&key, &master, &made.secret_key, 9));
    assert!(!matches(&key, &master, &made.secret_key, 10));
}

#[tokio::test]
async fn wrong_orders_say_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    std::fs::write(dir.join("a.pdf"), "x").expect("written");
    std::fs::write(dir.join("b.md"), [0xff, 0xfe]).expect("written");
    std::fs::write(dir.join("c.md"), "# Only a title\n").expect("written");
    std::fs::write(dir.join("d.md"), "Source: javascript:alert(1)\n\nText").expect("written");
    let file = |name: &str| dir.join(name).to_string_lossy().into_owned();
    refused(
        dir,
        &["keys", "create", "--name", "x", "--origin", "*"],
        "https://",
    )
    .await;
    refused(
        dir,
        &[
            "keys",
            "create",
            "--name",
            " ",
            "--origin",
            "https://a.example",
        ],
        "name",
    )
    .await;
    refused(
        dir,
        &[
            "keys",
            "create",
            "--name",
            "x",
            "--origin",
            "https://a.example",
            "--agent",
            "a_no",
        ],
        "agents list",
    )
    .await;
    refused(dir, &["keys", "disable", "pk_no"], "keys list").await;
    refused(
        dir,
        &["agents", "update", "a_no", "--name", "x"],
        "agents list",
    )
    .await;
    refused(
        dir,
        &["agents", "create", "--name", "x", "--temperature", "7"],
        "between 0 and 2",
    )
    .await;
    refused(dir, &["knowledge", "remove", "d_no"], "knowledge list").await;
    refused(dir, &["knowledge", "add", &file("none.md")], "cannot read").await;
    refused(
        dir,
        &["knowledge", "add", &file("a.pdf")],
        "what the end of its name says",
    )
    .await;
    refused(dir, &["knowledge", "add", &file("b.md")], "holds no text").await;
    refused(dir, &["knowledge", "add", &file("c.md")], "no text").await;
    refused(dir, &["knowledge", "add", &file("d.md")], "https://").await;
}

#[tokio::test]
async fn a_cap_in_money_wants_the_prices_of_every_agent_it_reaches() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let create = "keys create --name Shop --origin https://shop.example";
    let made = run_json(dir, &create.split(' ').collect::<Vec<_>>()).await;
    let key = made["public_key"].as_str().expect("a key");
    let limit = ["keys", "limit", key, "--spend-per-day", "25.50"];
    refused(dir, &limit, "agents update a_first --input-price").await;
    let capped = format!("{create} --spend-per-month 1");
    refused(dir, &capped.split(' ').collect::<Vec<_>>(), "a_first").await;

    let update = |rest: &'static str| {
        ["agents", "update", "a_first"]
            .into_iter()
            .chain(rest.split(' '))
            .collect::<Vec<_>>()
    };
    refused(dir, &update("--input-price 0.15"), "both prices").await;
    let priced = run_json(dir, &update("--input-price 0.15 --output-price 0.600")).await;
    assert_eq!(
        (&priced["input_price"], &priced["output_price"]),
        (&"0.15".into(), &"0.6".into())
    );
    let set = run_json(dir, &limit).await;
    assert_eq!(set["caps"]["spend_per_day"], "25.5");
    // From now on none may come without.
    let gone = [
        "agents",
        "update",
        "a_first",
        "--input-price",
        "",
        "--output-price",
        "",
    ];
    refused(dir, &gone, "cap in money").await;
    refused(dir, &["agents", "create", "--name", "Bo"], "cap in money").await;
    let free = ["agents", "create", "--name", "Bo", "--runtime", "builtin"];
    let bo = run_json(dir, &free).await;
    let bo = bo["id"].as_str().expect("an id");
    let auto = ["agents", "update", bo, "--runtime", "auto"];
    refused(dir, &auto, "cap in money").await;
    run_json(dir, &["keys", "limit", key, "--spend-per-day", "off"]).await;
    run_json(dir, &auto).await;
    run_json(dir, &gone).await;
}

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
    let events = vec![said("Hello"), said("a\u{1b}[2Jb")];
    store.append("s_1", events).await.expect("appended");
    drop(store);
    let shown = run_json(dir, &["conversations", "show", "s_1"]).await;
    assert_eq!(shown["log"][0]["text"], "Hello");
    assert_eq!(shown["events"], 2);
    let after = ["conversations", "show", "s_1", "--after", "1"];
    assert_eq!(run_json(dir, &after).await["log"][0]["seq"], 2);
    let plain = run(dir, &["conversations", "show", "s_1"])
        .await
        .expect("shown");
    assert!(plain.contains("visitor  Hello"), "{plain}");
    assert!(!plain.contains('\u{1b}'), "nothing steers the terminal");
}

#[tokio::test]
async fn caps_are_set_one_by_one_and_taken_off() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let create = "keys create --name Shop --origin https://shop.example";
    let made = run_json(dir, &create.split(' ').collect::<Vec<_>>()).await;
    let key = made["public_key"].as_str().expect("a key");
    assert_eq!(made["caps"]["tokens_per_day"], Value::Null);
    let limit = |rest: &'static str| ["keys", "limit", key].into_iter().chain(rest.split(' '));
    let caps = async |rest| run_json(dir, &limit(rest).collect::<Vec<_>>()).await["caps"].clone();
    caps("--tokens-per-day 5000 --anonymous-turns 3").await;
    let set = caps("--anonymous-turns off --sessions-per-day 0").await;
    assert_eq!(
        (&set["tokens_per_day"], &set["anonymous_turns"]),
        (&5_000.into(), &Value::Null)
    );
    assert_eq!(set["sessions_per_day"], 0);
    let wrong = [
        "karta-server",
        "keys",
        "limit",
        key,
        "--minutes-per-day",
        "-1",
    ];
    assert!(Cli::try_parse_from(wrong).is_err());
    refused(dir, &["keys", "limit", "pk_no"], "keys list").await;
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
async fn a_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "x").expect("written");
    refused(&file, &["keys", "list"], "--data-dir").await;
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

mod settings;

#[tokio::test]
async fn secrets_are_rotated_one_by_one_and_shown_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let create = [
        "keys",
        "create",
        "--name",
        "S",
        "--origin",
        "https://a.example",
    ];
    let made = run_json(dir, &create).await;
    let key = made["public_key"].as_str().expect("a key");
    for (flag, field, other) in [
        ("--secret", "secret_key", "identity_secret"),
        ("--identity", "identity_secret", "secret_key"),
    ] {
        let rotated = run_json(dir, &["keys", "rotate", key, flag]).await;
        assert!(
            rotated[field].is_string() && rotated[field] != made[field],
            "{rotated}"
        );
        assert!(
            rotated[other].is_null() && rotated["old_until_ms"].is_u64(),
            "{rotated}"
        );
        let again = run_json(dir, &["keys", "rotate", key, flag, "--now"]).await;
        assert!(
            again[field].is_string() && again["old_until_ms"].is_null(),
            "{again}"
        );
        let words = run(dir, &["keys", "rotate", key, flag])
            .await
            .expect("done");
        assert!(
            words.contains("not shown again") && words.contains("24 hours"),
            "{words}"
        );
    }
    for line in [
        &["keys", "rotate", key][..],
        &["keys", "rotate", key, "--secret", "--identity"],
    ] {
        assert!(
            Cli::try_parse_from(["karta-server"].iter().chain(line)).is_err(),
            "{line:?}"
        );
    }
    refused(dir, &["keys", "rotate", "pk_x", "--secret"], "no such key").await;
    let shut = run_json(dir, &["keys", "identification", key, "on"]).await;
    assert_eq!(shut["identification_required"], true);
    let words = run(dir, &["keys", "identification", key, "off"])
        .await
        .expect("done");
    assert!(words.contains("guests"), "{words}");
    assert_eq!(run_json(dir, &["signing-key", "rotate"]).await["kid"], "2");
    assert_eq!(
        run_json(dir, &["signing-key", "rotate", "--now"]).await["kid"],
        "3"
    );
}
