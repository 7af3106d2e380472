//! Keys: made, capped, rotated.

use super::*;

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
    // The voice's as well.
    let voice = ["agents", "update", bo, "--voice", "openai"];
    refused(dir, &voice, "--voice-minute-price").await;
    let priced = [&voice[..], &["--voice-minute-price", "0.0600"]].concat();
    let talking = run_json(dir, &priced).await;
    assert_eq!(talking["voice_minute_price"], "0.06");
    let unpriced = ["agents", "update", bo, "--voice-minute-price", ""];
    refused(dir, &unpriced, "cap in money").await;
    run_json(dir, &["keys", "limit", key, "--spend-per-day", "off"]).await;
    let without = run_json(dir, &unpriced).await;
    assert_eq!(without["voice_minute_price"], serde_json::Value::Null);
    run_json(dir, &auto).await;
    run_json(dir, &gone).await;
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
