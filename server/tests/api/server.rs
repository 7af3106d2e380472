//! A server of one test: app, router, a clock that is moved by hand, an agent that answers what the test says.

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use karta_protocol::{TokenReply, Usage};
use karta_server::agent::{AgentFailure, Answer, Runtime, Runtimes, Sink, Turn};
use karta_server::app::{App, Clock};
use karta_server::auth::caller::Peer;
use karta_server::auth::limit::{Limits, Rates};
use karta_server::auth::master::MasterKey;
use karta_server::auth::revocation::Watch;
use karta_server::auth::token::Tokens;
use karta_server::calls::{CallRules, Calls};
use karta_server::extract::Extractor;
use karta_server::files::Files;
use karta_server::router;
use karta_server::service::{self, ACCOUNT, agents, keys};
use karta_server::session::Sessions;
use karta_server::store::WidgetKey;
use karta_server::store::sqlite::SqliteStore;
use karta_server::voice::engine::Engines;
use karta_server::voice::{CallSettings, Voices};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const PAGE: &str = "https://shop.example";
pub const API: &str = karta_protocol::API_BASE;

pub struct Server {
    pub app: App,
    pub router: Router,
    pub store: Arc<SqliteStore>,
    pub master: MasterKey,
    /// Opens [`PAGE`].
    pub key: WidgetKey,
    pub secret_key: String,
    pub identity_secret: String,
    ahead_ms: Arc<AtomicU64>,
    pub data: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Server {
        Server::with_rates(Rates::off()).await
    }

    pub async fn with_rates(rates: Rates) -> Server {
        Server::with(rates, None).await
    }

    pub async fn with(rates: Rates, rtc: Option<karta_server::rtc::Rtc>) -> Server {
        let data = tempfile::tempdir().expect("a temporary folder");
        let store = service::open(data.path()).await.expect("a database");
        let master = MasterKey::load_or_create(data.path()).expect("a key");
        let new = keys::NewKey {
            name: "Shop".into(),
            origins: vec![PAGE.into()],
            agent_id: None,
            ..keys::NewKey::default()
        };
        let created = keys::create(store.as_ref(), &master, ACCOUNT, new)
            .await
            .expect("a key");
        let ahead_ms = Arc::new(AtomicU64::new(0));
        let ahead = ahead_ms.clone();
        let clock = Clock(Arc::new(move || {
            Clock::system().now_ms() + ahead.load(Ordering::SeqCst)
        }));
        let runtimes = Runtimes::only(Arc::new(Parrot));
        let extractor = Extractor::by(env!("CARGO_BIN_EXE_karta-server").into());
        let files = Files::open(data.path(), extractor.clone()).expect("a folder");
        let sessions = Sessions::start_at(store.clone(), runtimes, clock.clone(), Some(files))
            .await
            .expect("sessions");
        let stopping = CancellationToken::new();
        let tokens = Arc::new(Tokens::new(&master));
        service::signing::follow(store.clone(), tokens.clone(), stopping.clone())
            .await
            .expect("signing keys");
        let app = App {
            store: store.clone(),
            sessions,
            rtc,
            ice: Arc::default(),
            voices: Voices::new(Engines::none(), 1, CallSettings::default()),
            calls: Calls::new(CallRules::default(), clock.clone()),
            tokens,
            master: master.clone(),
            limits: Arc::new(Limits::new(&rates)),
            extractor,
            watch: Watch::start(store.clone(), stopping.clone()),
            trusted_proxies: Arc::new(["10.0.0.0/8".parse().expect("a range")]),
            clock,
            stopping,
        };
        Server {
            router: router::build(app.clone()),
            app,
            store,
            master,
            key: created.key,
            secret_key: created.secret_key,
            identity_secret: created.identity_secret,
            ahead_ms,
            data,
        }
    }

    /// From now on this runtime answers.
    pub async fn answered_by(&mut self, runtime: Arc<dyn Runtime>) {
        let (store, clock) = (self.store.clone(), self.app.clock.clone());
        let runtimes = Runtimes::only(runtime);
        let sessions = Sessions::start_at(store, runtimes, clock, None).await;
        self.app.sessions = sessions.expect("sessions");
        self.router = router::build(self.app.clone());
    }

    pub fn advance(&self, time: Duration) {
        self.ahead_ms
            .fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }

    pub async fn call(&self, call: Call) -> Reply {
        let response = self.open(call).await;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response
            .into_body()
            .collect()
            .await
            .expect("a whole body")
            .to_bytes();
        Reply {
            status,
            headers,
            body: body.to_vec(),
        }
    }

    /// For streams: the body is read by the test.
    pub async fn open(&self, call: Call) -> axum::http::Response<Body> {
        self.router
            .clone()
            .oneshot(call.0)
            .await
            .expect("infallible")
    }

    pub async fn guest(&self) -> TokenReply {
        self.guest_again(None).await
    }

    pub async fn guest_again(&self, visitor_id: Option<&str>) -> TokenReply {
        let body = serde_json::json!({"client_key": self.key.public_key, "visitor_id": visitor_id});
        let reply = self.call(post("/auth/guest").json(&body)).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        serde_json::from_slice(&reply.body).expect("a token")
    }

    /// What the owner's backend computes for its user.
    pub fn hash_of(&self, user_id: &str) -> String {
        hmac_hex(&self.identity_secret, user_id)
    }

    /// A session token for a verified user.
    pub async fn user(&self, user_id: &str) -> TokenReply {
        let body = serde_json::json!({
            "client_key": self.key.public_key, "user_id": user_id, "identity_token": self.hash_of(user_id),
        });
        let reply = self.call(post("/auth/exchange").json(&body)).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        serde_json::from_slice(&reply.body).expect("a token")
    }

    /// What the owner's backend gets for its user.
    pub async fn user_token(&self, user_id: &str) -> String {
        let call = Call::new("POST", &format!("{API}/auth/user-token"))
            .bearer(&self.secret_key)
            .json(&serde_json::json!({"external_user_id": user_id}));
        let reply = self.call(call).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        reply.json()["user_token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// A guest with a session: token and session id.
    pub async fn session(&self) -> (String, String) {
        let token = self.guest().await.token;
        let id = self.new_session(&token).await;
        (token, id)
    }

    pub async fn new_session(&self, token: &str) -> String {
        let reply = self.call(post("/sessions").bearer(token)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        reply.json()["id"].as_str().expect("an id").to_owned()
    }

    pub async fn say(&self, token: &str, session: &str, id: &str, text: &str) -> Reply {
        let event = serde_json::json!({"type": "user.message", "id": id, "text": text});
        self.call(
            post(&format!("/sessions/{session}/events"))
                .bearer(token)
                .json(&event),
        )
        .await
    }

    /// The log, once it holds `n` events.
    pub async fn log(&self, token: &str, session: &str, n: usize) -> Vec<Value> {
        for _ in 0..200 {
            let reply = self
                .call(get(&format!("/sessions/{session}")).bearer(token))
                .await;
            let events = reply.json()["events"].as_array().expect("events").clone();
            if events.len() >= n {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the log never held {n} events");
    }

    /// Whether a text stands anywhere in the data directory: database, log beside it, keys.
    pub fn files_hold(&self, text: &str) -> bool {
        let files = std::fs::read_dir(self.data.path()).expect("a folder");
        let paths = files.map(|file| file.expect("a file").path());
        paths.filter(|path| path.is_file()).any(|path| {
            let bytes = std::fs::read(path).expect("read");
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        })
    }

    pub async fn enable_key(&self, enabled: bool) {
        keys::set_enabled(self.store.as_ref(), ACCOUNT, &self.key.id, enabled)
            .await
            .expect("changed");
    }

    pub async fn change_agent(&self, change: agents::AgentChange) {
        let agent = agents::first(self.store.as_ref(), ACCOUNT)
            .await
            .expect("read")
            .expect("the first agent");
        agents::update(self.store.as_ref(), ACCOUNT, &agent.id, change)
            .await
            .expect("changed");
    }
}

/// Lowercase hex HMAC-SHA256, as backends in every language make it.
pub fn hmac_hex(secret: &str, text: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(text.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request of the page.
pub struct Call(pub Request<Body>);

pub fn get(path: &str) -> Call {
    Call::new("GET", &format!("{API}{path}")).page(PAGE)
}

pub fn post(path: &str) -> Call {
    Call::new("POST", &format!("{API}{path}")).page(PAGE)
}

impl Call {
    pub fn new(method: &str, path: &str) -> Call {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .expect("a request");
        request
            .extensions_mut()
            .insert(Peer(SocketAddr::from(([192, 0, 2, 1], 50_000))));
        Call(request)
    }

    /// Sets a header, in the place of all that were there.
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Call {
        let value = axum::http::HeaderValue::from_bytes(value.as_ref()).expect("a header");
        self.0.headers_mut().insert(name, value);
        self
    }

    pub fn also(mut self, name: &'static str, value: &str) -> Call {
        self.0
            .headers_mut()
            .append(name, value.parse().expect("a header"));
        self
    }

    /// Adds a header, beside those that are there; bytes as a browser may send them.
    pub fn append(mut self, name: &'static str, value: &str) -> Call {
        let value = axum::http::HeaderValue::from_bytes(value.as_bytes()).expect("a header");
        self.0.headers_mut().append(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Call {
        self.0.headers_mut().remove(name);
        self
    }

    pub fn page(self, origin: &str) -> Call {
        self.header("origin", origin)
    }

    pub fn bearer(self, token: &str) -> Call {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub fn from(mut self, peer: &str) -> Call {
        let peer: std::net::IpAddr = peer.parse().expect("an address");
        self.0
            .extensions_mut()
            .insert(Peer(SocketAddr::from((peer, 50_000))));
        self
    }

    pub fn json(self, body: &Value) -> Call {
        self.body("application/json", body.to_string())
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Body>) -> Call {
        *self.0.body_mut() = body.into();
        self.header("content-type", content_type)
    }
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// Refused with exactly this code, in the documented shape.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &Reply {
        assert_eq!(
            (self.status.as_u16(), self.code().as_str()),
            (status, code),
            "{self:?}"
        );
        self
    }

    /// The code of the error body, which must have the documented shape.
    #[track_caller]
    pub fn code(&self) -> String {
        let json = self.json();
        let error = &json["error"];
        assert_eq!(
            json.as_object().map(|fields| fields.len()),
            Some(1),
            "{self:?}"
        );
        assert!(
            !error["message"].as_str().unwrap_or("").is_empty(),
            "{self:?}"
        );
        assert_eq!(
            error["request_id"].as_str(),
            Some(self.header("x-request-id")),
            "{self:?}"
        );
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        error["code"].as_str().expect("a code").to_owned()
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.body);
        write!(f, "{} {:?} {:.600}", self.status, self.headers, text)
    }
}

/// Costs what a model might.
pub struct Model;

impl Model {
    pub const USAGE: Usage = Usage {
        input_tokens: 3_000,
        output_tokens: 1_000,
    };
}

#[async_trait]
impl Runtime for Model {
    fn at_most(&self, _turn: &Turn, _unwritten: usize) -> Usage {
        Model::USAGE
    }

    async fn answer(&self, _turn: Turn, sink: &dyn Sink) -> Result<Answer, AgentFailure> {
        sink.text("Certainly.");
        Ok(Answer {
            usage: Some(Model::USAGE),
            ..Answer::default()
        })
    }
}

/// Says what it was asked, word by word; never ends when asked to `wait`, and panics when asked to.
struct Parrot;

#[async_trait]
impl Runtime for Parrot {
    async fn answer(&self, turn: Turn, sink: &dyn Sink) -> Result<Answer, AgentFailure> {
        for word in turn.questions.join(" ").split_inclusive(' ') {
            sink.text(word);
            tokio::task::yield_now().await;
        }
        if turn
            .questions
            .iter()
            .any(|question| question.starts_with("wait"))
        {
            std::future::pending::<()>().await;
        }
        Ok(Answer::default())
    }
}
