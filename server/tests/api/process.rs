//! The binary itself: its ready line, its refusal to start with bad configuration, its stop, and what it leaves in its log.

use crate::server::{API, PAGE};
use futures::StreamExt;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

pub fn karta(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_karta-server"));
    command.args(arguments).arg("--data-dir").arg(data);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub struct Running {
    child: Child,
    pub http: String,
    /// The fifth word of the ready line, if there is one.
    metrics: Option<String>,
}

impl Running {
    async fn start(data: &Path) -> Running {
        Running::start_with(data, &[]).await
    }

    pub async fn start_with(data: &Path, variables: &[(&str, &str)]) -> Running {
        let mut command = karta(data, &["serve", "--listen", "127.0.0.1:0"]);
        command
            .env("KARTA_LOG", "trace")
            .envs(variables.iter().copied());
        let mut child = command.spawn().expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line())
            .await
            .expect("in time")
            .expect("read")
            .expect("a line");
        let words: Vec<&str> = line.split(' ').collect();
        let [name, ready, http, udp, ref more @ ..] = words[..] else {
            panic!("{line}")
        };
        let metrics = more.first().map(|word| (*word).to_owned());
        assert_eq!((name, ready), ("karta-server", "ready"));
        let http = http.strip_prefix("http=http://").expect(http);
        let udp = udp.strip_prefix("udp=").expect(udp);
        for address in [http, udp] {
            let address: std::net::SocketAddr = address.parse().expect(address);
            assert_ne!(address.port(), 0, "the real port");
        }
        Running {
            child,
            http: format!("http://{http}{API}"),
            metrics,
        }
    }

    /// Stops it as a service manager would; gives the log and how long it took.
    async fn stop(mut self) -> (String, Duration) {
        let started = Instant::now();
        let id = self.child.id().expect("running").to_string();
        Command::new("kill").arg(id).status().await.expect("killed");
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().expect("piped");
        let (status, _) = tokio::join!(self.child.wait(), stderr.read_to_string(&mut log));
        assert!(status.expect("ended").success());
        (log, started.elapsed())
    }

    /// For a test that reads the log itself.
    pub async fn stop_quietly(mut self) {
        let id = self.child.id().expect("running").to_string();
        Command::new("kill").arg(id).status().await.expect("killed");
        assert!(self.child.wait().await.expect("ended").success());
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Value {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.http))
            .header("origin", PAGE)
            .json(&body);
        let request = if token.is_empty() {
            request
        } else {
            request.bearer_auth(token)
        };
        request
            .send()
            .await
            .expect("answered")
            .json()
            .await
            .expect("JSON")
    }

    async fn get(&self, path: &str, token: &str) -> reqwest::Response {
        let request = reqwest::Client::new()
            .get(format!("{}{path}", self.http))
            .header("origin", PAGE);
        request.bearer_auth(token).send().await.expect("answered")
    }
}

pub async fn make_key(data: &Path) -> Value {
    let output = karta(
        data,
        &[
            "keys", "create", "--name", "Shop", "--origin", PAGE, "--json",
        ],
    )
    .output()
    .await
    .expect("ran");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn it_serves_stops_with_open_streams_and_goes_on_after_a_restart() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Running::start(data.path()).await;
    let key = make_key(data.path()).await;
    let guest = server
        .post("/auth/guest", "", json!({"client_key": key["public_key"]}))
        .await;
    let token = guest["token"].as_str().expect("a token").to_owned();
    let session = server.post("/sessions", &token, json!({})).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let message = json!({"type": "user.message", "id": "m1", "text": "CANARY-MESSAGE please"});
    assert_eq!(
        server
            .post(&format!("/sessions/{session}/events"), &token, message)
            .await["seq"],
        json!(1)
    );
    let mut stream = server
        .get(&format!("/sessions/{session}/events/stream"), &token)
        .await
        .bytes_stream();
    let first = stream.next().await.expect("something").expect("readable");
    assert!(first.starts_with(b"data: "), "{first:?}");
    server
        .get(
            &format!(
                "/config?client_key={}",
                key["secret_key"].as_str().expect("a secret")
            ),
            &token,
        )
        .await;

    let (log, took) = server.stop().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    while let Some(chunk) = stream.next().await {
        chunk.expect("the stream ends in order");
    }
    for secret in [
        "CANARY",
        "eyJ",
        "sk_live",
        "pk_live",
        "Bearer",
        "shop.example",
        guest["visitor_id"].as_str().expect("an id"),
        "127.0.0.1",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }

    let server = Running::start(data.path()).await;
    let page: Value = server
        .get(&format!("/sessions/{session}"), &token)
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(
        page["events"][0]["text"],
        json!("CANARY-MESSAGE please"),
        "the token and the log outlive the process"
    );
    server.stop().await;
}

#[tokio::test]
async fn it_reports_all_that_is_wrong_and_does_not_start() {
    let data = tempfile::tempdir().expect("a folder");
    let mut command = karta(data.path(), &["serve", "--listen", "nowhere"]);
    command
        .env("KARTA_TRUSTED_PROXIES", "x")
        .env("KARTA_LIMIT_MINTS_PER_ADDRESS", "lots");
    let output = command.output().await.expect("ran");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8_lossy(&output.stderr);
    for name in [
        "--listen",
        "KARTA_TRUSTED_PROXIES",
        "KARTA_LIMIT_MINTS_PER_ADDRESS",
    ] {
        assert!(text.contains(name), "{text}");
    }
    assert_eq!(
        std::fs::read_dir(data.path()).expect("listed").count(),
        0,
        "nothing is created"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let data = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = karta(data.path(), &["serve", "--listen", &address])
        .output()
        .await
        .expect("ran");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains(&address),
        "{output:?}"
    );
}

/// The admin token that a log shows, if it does.
fn admin_token(log: &str) -> Option<&str> {
    let at = log.find("adm_live_main_")?;
    log[at..].split_whitespace().next()
}

#[tokio::test]
async fn the_first_start_prints_an_admin_token_that_works_and_no_other_does() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Running::start(data.path()).await;
    let admin = server.http.replace("/widget", "/agents");
    let (log, _) = server.stop().await;
    let token = admin_token(&log).expect("a token").to_owned();
    assert_eq!(token.len(), "adm_live_main_".len() + 64, "{log}");
    assert_eq!(log.matches(&token).count(), 1, "shown once");
    assert!(admin.ends_with("/api/v1/agents"), "{admin}");

    let server = Running::start(data.path()).await;
    let admin = server.http.replace("/widget", "/agents");
    let ask = async |token: &str| {
        let request = reqwest::Client::new().get(&admin).bearer_auth(token);
        request.send().await.expect("answered").status().as_u16()
    };
    assert_eq!(ask(&token).await, 200);
    let rotated = karta(data.path(), &["admin-token", "rotate", "--json"])
        .output()
        .await
        .expect("ran");
    let rotated: Value = serde_json::from_slice(&rotated.stdout).expect("JSON");
    let new = rotated["admin_token"].as_str().expect("a token");
    assert_eq!(
        (ask(&token).await, ask(new).await),
        (401, 200),
        "beside a running server"
    );
    let (log, _) = server.stop().await;
    assert_eq!(
        admin_token(&log),
        None,
        "neither the old nor the new one is shown again"
    );
    for entry in std::fs::read_dir(data.path()).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            continue;
        }
        let file = std::fs::read(path).expect("read");
        for token in [token.as_str(), new] {
            let found = file.windows(token.len()).any(|w| w == token.as_bytes());
            assert!(!found, "the token is stored nowhere");
        }
    }
}

/// Every kind of secret goes through the server, wrong ones too; its log says everything it ever would.
#[tokio::test]
async fn no_secret_and_no_name_of_a_user_stands_in_the_log_at_trace() {
    let data = tempfile::tempdir().expect("a folder");
    let key = make_key(data.path()).await;
    let text = |name: &str| key[name].as_str().expect("a text").to_owned();
    let (public, secret, identity) = (
        text("public_key"),
        text("secret_key"),
        text("identity_secret"),
    );
    let mut running = Running::start(data.path()).await;
    // Read as it comes: at this level a full pipe would stop the server.
    let mut stderr = running.child.stderr.take().expect("piped");
    let log = tokio::spawn(async move {
        let mut log = String::new();
        let read = stderr.read_to_string(&mut log).await;
        read.map(|_| log).expect("a log")
    });

    let mut tokens = vec![secret.clone(), identity.clone()];
    let user = "CANARY-user@example.com";
    let mint = |key: &str| {
        reqwest::Client::new()
            .post(format!("{}/auth/user-token", running.http))
            .bearer_auth(key)
            .json(&json!({"external_user_id": user, "display_name": "CANARY-name", "email": user}))
            .send()
    };
    let minted: Value = mint(&secret)
        .await
        .expect("answered")
        .json()
        .await
        .expect("JSON");
    let user_token = minted["user_token"].as_str().expect("a token").to_owned();
    let wrong = format!("{}0", &secret[..secret.len() - 1]);
    mint(&wrong).await.expect("answered");
    tokens.extend([wrong, user_token.clone()]);
    let exchange = json!({"client_key": public, "user_token": user_token});
    let reply = running.post("/auth/exchange", "", exchange.clone()).await;
    let session_token = reply["token"].as_str().expect("a token").to_owned();
    running.post("/auth/exchange", "", exchange).await;
    let proof = crate::server::hmac_hex(&identity, user);
    for proof in [proof.clone(), proof.replace('a', "b")] {
        let body = json!({"client_key": public, "user_id": user, "identity_token": proof});
        let reply = running.post("/auth/exchange", "", body).await;
        tokens.extend(reply["token"].as_str().map(str::to_owned));
        tokens.push(proof);
    }
    let refresh = json!({"refresh_token": session_token});
    let next = running.post("/auth/refresh", "", refresh).await;
    let next = next["token"].as_str().expect("a token").to_owned();
    running.post("/sessions", &next, json!({})).await;
    // What a careless page might do.
    running
        .post("/auth/guest", &secret, json!({"client_key": secret}))
        .await;
    running
        .post(
            "/auth/guest",
            "",
            json!({"client_key": public, "x": identity, "user_label": "CANARY-label"}),
        )
        .await;
    running
        .get(&format!("/config?client_key={secret}"), &identity)
        .await;
    running
        .get(&format!("/sessions/{session_token}"), &format!("{next}x"))
        .await;
    let rotated = karta(
        data.path(),
        &["keys", "rotate", &public, "--identity", "--now", "--json"],
    );
    let rotated = { rotated }.output().await.expect("ran");
    let rotated: Value = serde_json::from_slice(&rotated.stdout).expect("JSON");
    tokens.push(
        rotated["identity_secret"]
            .as_str()
            .expect("a secret")
            .to_owned(),
    );
    let revoke = reqwest::Client::new().post(format!("{}/auth/revoke", running.http));
    revoke
        .header("origin", PAGE)
        .bearer_auth(&next)
        .send()
        .await
        .expect("answered");
    tokens.extend([session_token, next]);
    running.stop_quietly().await;

    let log = log.await.expect("read");
    assert!(log.contains("auth/exchange"), "{log:.600}");
    assert!(!log.contains("CANARY"), "{log}");
    for token in tokens {
        // The last part of a token is its signature; the rest alone opens nothing, but has no business there either.
        for part in token.split('.').filter(|part| part.len() > 20) {
            assert!(!log.contains(part), "{part} stands in the log");
        }
    }
    for prefix in ["sk_live_", "is_live_", "eyJ"] {
        assert!(!log.contains(prefix), "{prefix}");
    }
}

#[tokio::test]
async fn credentials_of_a_relay_are_given_away_and_never_logged() {
    let data = tempfile::tempdir().expect("a folder");
    let variables = [
        ("KARTA_ICE_SERVERS", "turn:turn.example:3478?transport=udp"),
        ("KARTA_TURN_SECRET", "CANARY-SECRET"),
    ];
    let server = Running::start_with(data.path(), &variables).await;
    let key = make_key(data.path()).await;
    let guest = server
        .post("/auth/guest", "", json!({"client_key": key["public_key"]}))
        .await;
    let answer = reqwest::Client::new()
        .post(format!("{}/sessions", server.http))
        .header("origin", PAGE)
        .bearer_auth(guest["token"].as_str().expect("a token"))
        .json(&json!({}))
        .send()
        .await
        .expect("answered");
    let link = answer.headers()["link"].to_str().expect("text").to_owned();
    let part = |name: &str| {
        let (_, value) = link.split_once(&format!("{name}=\"")).expect(name);
        value.split_once('"').expect("closed").0.to_owned()
    };
    let (username, credential) = (part("username"), part("credential"));
    let exposed = answer.headers()["access-control-expose-headers"]
        .to_str()
        .expect("text");
    assert!(exposed.split(',').any(|name| name == "link"), "{exposed}");
    let (log, _) = server.stop().await;
    assert!(log.contains("/sessions"), "the call is logged");
    for secret in ["CANARY-SECRET", &username, &credential] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn metrics_are_off_unless_configured_and_name_nobody() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Running::start(data.path()).await;
    assert_eq!(server.metrics, None);
    let root = server.http.trim_end_matches(API).to_owned();
    let status = reqwest::get(format!("{root}/metrics")).await;
    assert_eq!(status.expect("answered").status(), 404);
    server.stop_quietly().await;

    let variables = [("KARTA_METRICS_LISTEN", "127.0.0.1:0")];
    let server = Running::start_with(data.path(), &variables).await;
    let key = make_key(data.path()).await;
    let body = json!({"client_key": key["public_key"], "user_label": "CANARY-LABEL"});
    let guest = server.post("/auth/guest", "", body).await;
    let token = guest["token"].as_str().expect("a token").to_owned();
    let session = server.post("/sessions", &token, json!({})).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let message = json!({"type": "user.message", "id": "m1", "text": "Hi"});
    server
        .post(&format!("/sessions/{session}/events"), &token, message)
        .await;
    let address = server.metrics.clone().expect("a fifth word");
    let address = address
        .strip_prefix("metrics=")
        .expect("its name")
        .to_owned();
    let read = async || {
        let answer = reqwest::get(format!("{address}/metrics")).await;
        answer.expect("answered").text().await.expect("text")
    };
    // The turn's end is counted when it is over.
    let mut text = read().await;
    for _ in 0..200 {
        if text.contains("karta_turn_seconds_count 1") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        text = read().await;
    }
    for line in [
        "karta_turn_seconds_count 1",
        "karta_panics_total 0",
        "karta_peer_panics_total 0",
        "karta_answers_5xx_total 0",
        "karta_answers_2xx_total 3",
        "karta_calls 0",
        "karta_calls_max 50",
        "karta_peers 0",
        "karta_packets_dropped_total 0",
        "karta_store_waiting 0",
        "karta_media_commands_waiting 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|have| have == line), "{line} in {text}");
    }
    for canary in [
        "CANARY",
        session.as_str(),
        key["public_key"].as_str().expect("a key"),
    ] {
        assert!(!text.contains(canary), "{canary}");
    }
    server.stop_quietly().await;
}
