//! An engine's HTTP side: it notes what it is asked and answers what the test says. Answers of Pipecat are as its runner gives them, those
//! of OpenAI as its types and its documentation have them.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use karta_server::secret::Secret;
use karta_server::voice::realtime::openai::{OpenAiRealtime, OpenAiRealtimeConfig};
use karta_server::voice::realtime::pipecat::{Pipecat, PipecatConfig};
use karta_server::voice::realtime::{Realtime, Realtimes};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the stand-ins answer an offer with.
pub const ANSWER: &str = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 AA\r\na=setup:active\r\n";
/// How long the clients under test wait.
pub const PATIENCE: Duration = Duration::from_millis(600);

#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The parts of a form, by name.
    pub fn part(&self, name: &str) -> String {
        let kind = self.headers["content-type"].to_str().expect("text");
        let boundary = kind.split("boundary=").nth(1).expect("a boundary");
        let mark = format!("name=\"{name}\"");
        let part = self
            .body
            .split(&format!("--{boundary}"))
            .find(|part| part.contains(&mark))
            .expect("the part");
        let (_, value) = part.split_once("\r\n\r\n").expect("a body");
        value.strip_suffix("\r\n").expect("an end").to_owned()
    }
}

type Answering = Box<dyn Fn(&Seen) -> Response<Body> + Send + Sync>;

struct Inner {
    seen: Mutex<Vec<Seen>>,
    answering: Mutex<Answering>,
    delay: Mutex<Duration>,
}

#[derive(Clone)]
pub struct StandIn {
    inner: Arc<Inner>,
    pub url: String,
}

impl StandIn {
    pub async fn start(
        answering: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static,
    ) -> StandIn {
        let inner = Arc::new(Inner {
            seen: Mutex::default(),
            answering: Mutex::new(Box::new(answering)),
            delay: Mutex::default(),
        });
        let router = Router::new().fallback(serve).with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        StandIn { inner, url }
    }

    /// A runner of Pipecat's.
    pub async fn pipecat() -> StandIn {
        StandIn::start(pipecat_answers).await
    }

    pub async fn openai() -> StandIn {
        StandIn::start(openai_answers).await
    }

    pub fn answer(&self, answering: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static) {
        *self.inner.answering.lock().expect("whole") = Box::new(answering);
    }

    pub fn delay(&self, delay: Duration) {
        *self.inner.delay.lock().expect("whole") = delay;
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().expect("whole").clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    /// The last of them, once there are `n`.
    pub async fn nth(&self, n: usize) -> Seen {
        for _ in 0..400 {
            if let Some(seen) = self.seen().get(n - 1) {
                return seen.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never asked {n} times: {:?}", self.lines());
    }

    /// As if it were somewhere else.
    pub fn moved(&self, url: String) -> StandIn {
        StandIn {
            inner: self.inner.clone(),
            url,
        }
    }

    pub fn engines(&self) -> Realtimes {
        let pipecat = PipecatConfig {
            url: self.url.parse().expect("an address"),
            key: Some(Secret::new("CANARY-BOT-KEY")),
        };
        let openai = OpenAiRealtimeConfig {
            url: format!("{}/v1", self.url).parse().expect("an address"),
            key: Some(Secret::new("CANARY-OPENAI-KEY")),
            model: "gpt-realtime".into(),
            voice: "marin".into(),
            transcriber: "whisper-1".into(),
        };
        let pipecat = Pipecat::patient(&pipecat, PATIENCE).expect("an engine");
        let openai = OpenAiRealtime::patient(openai, PATIENCE).expect("an engine");
        Realtimes::new(
            Ok(Arc::new(pipecat) as Arc<dyn Realtime>),
            Ok(Arc::new(openai) as Arc<dyn Realtime>),
        )
    }
}

async fn serve(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let seen = Seen {
        method,
        path: uri.path().to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    // Before a test can see the request, and have the next one answered otherwise.
    let answer = inner.answering.lock().expect("whole")(&seen);
    inner.seen.lock().expect("whole").push(seen);
    let delay = *inner.delay.lock().expect("whole");
    tokio::time::sleep(delay).await;
    answer
}

pub fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).expect("a response")
}

pub fn json_reply(status: u16, body: &Value) -> Response<Body> {
    reply(
        status,
        &[("content-type", "application/json")],
        body.to_string(),
    )
}

pub fn pipecat_answers(seen: &Seen) -> Response<Body> {
    match (seen.method.as_str(), seen.path.as_str()) {
        ("POST", "/api/offer") => json_reply(
            200,
            &json!({"sdp": ANSWER, "type": "answer", "pc_id": "SmallWebRTCConnection#0-5f"}),
        ),
        ("PATCH", "/api/offer") => json_reply(200, &json!({"status": "success"})),
        _ => json_reply(404, &json!({"detail": "Not Found"})),
    }
}

pub fn openai_answers(seen: &Seen) -> Response<Body> {
    match (seen.method.as_str(), seen.path.as_str()) {
        ("POST", "/v1/realtime/calls") => reply(
            201,
            &[
                ("content-type", "application/sdp"),
                ("location", "/v1/realtime/calls/rtc_u1-9_X"),
            ],
            ANSWER,
        ),
        ("POST", "/v1/realtime/calls/rtc_u1-9_X/hangup") => reply(200, &[], ""),
        _ => json_reply(404, &json!({"error": {"message": "not found"}})),
    }
}
