//! The binary itself: its ready line, its refusal to start with bad configuration, its stop, and what it leaves in its log.

use crate::server::{API, PAGE};
use futures::StreamExt;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

mod metrics;
mod pause;
mod secrets;

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
        Running::spawn(command).await
    }

    /// Any command that ends in a server.
    pub async fn spawn(mut command: Command) -> Running {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
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
    async fn stop(self) -> (String, Duration) {
        let id = self.child.id().expect("running").to_string();
        self.stop_process(&id).await
    }

    /// The same where the server is a child of what was started.
    pub async fn stop_process(mut self, id: &str) -> (String, Duration) {
        let started = Instant::now();
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

    /// kill -9.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("killed");
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Value {
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

    pub async fn get(&self, path: &str, token: &str) -> reqwest::Response {
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
