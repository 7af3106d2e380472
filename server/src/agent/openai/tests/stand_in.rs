//! A provider that speaks OpenAI's published `chat.completion.chunk` shape and does as the test says, and who hears what comes of it.

use super::*;
use reqwest::header::AUTHORIZATION;

pub const KEY: &str = "sk-very-secret";
pub const TOOL_SECRET: &str = "a long random text";

/// What the stand-in does with the next request.
pub enum Act {
    /// Streams these pieces, then ends.
    Stream(Vec<String>),
    /// Streams these pieces, then keeps the line open; the sender is gone once the caller has hung up.
    Hang(Vec<String>, mpsc::Sender<()>),
    /// Streams these pieces, then breaks the connection.
    Break(Vec<String>),
    Status(u16, &'static [(&'static str, &'static str)]),
    Json(Value),
}

/// The key and the body of each request.
pub type Seen = Arc<Mutex<Vec<(Option<String>, Value)>>>;

pub struct Provider {
    pub base_url: String,
    pub seen: Seen,
}

impl Provider {
    pub async fn start(acts: Vec<Act>) -> Self {
        let acts = Arc::new(Mutex::new(acts.into_iter()));
        let seen = Seen::default();
        let saw = seen.clone();
        let handler = move |headers: HeaderMap, Json(body): Json<Value>| async move {
            let key = headers
                .get(AUTHORIZATION)
                .map(|v| v.to_str().expect("text").to_owned());
            saw.lock().expect("not poisoned").push((key, body));
            let act = acts
                .lock()
                .expect("not poisoned")
                .next()
                .expect("no more requests");
            perform(act)
        };
        let router = Router::new().route("/v1/chat/completions", post(handler));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base_url, seen }
    }

    pub fn seen(&self) -> Vec<(Option<String>, Value)> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

fn perform(act: Act) -> Reply<Body> {
    let stream = Reply::builder().header("content-type", "text/event-stream; charset=utf-8");
    let ok = |pieces: Vec<String>| {
        futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>))
    };
    match act {
        Act::Stream(pieces) => stream.body(Body::from_stream(ok(pieces))),
        Act::Break(pieces) => {
            let cut = futures::stream::once(async {
                // What came before is sent while this waits.
                tokio::task::yield_now().await;
                Err(std::io::Error::other("cut"))
            });
            stream.body(Body::from_stream(ok(pieces).chain(cut)))
        }
        Act::Hang(pieces, open) => {
            let forever = futures::stream::once(async move {
                let _open = open;
                std::future::pending::<Result<String, Infallible>>().await
            });
            let pieces = futures::stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
            stream.body(Body::from_stream(pieces.chain(forever)))
        }
        Act::Status(status, headers) => {
            let mut reply = Reply::builder().status(status);
            for (name, value) in headers {
                reply = reply.header(*name, *value);
            }
            reply.body(Body::from(format!(
                "{{\"error\":{{\"message\":\"bad key {KEY}\"}}}}"
            )))
        }
        Act::Json(value) => Reply::builder()
            .header("content-type", "application/json")
            .body(Body::from(value.to_string())),
    }
    .expect("a reply")
}

/// One chunk as OpenAI sends it.
pub fn chunk(delta: Value, finish: Option<&str>) -> String {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m", "system_fingerprint": null,
        "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
        "usage": null,
    });
    format!("data: {body}\n\n")
}

pub fn text(text: &str) -> String {
    chunk(json!({ "content": text }), None)
}

pub fn stop() -> String {
    chunk(json!({}), Some("stop"))
}

pub fn usage() -> String {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m", "choices": [],
        "usage": { "prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15 },
    });
    format!("data: {body}\n\n")
}

pub fn done() -> String {
    "data: [DONE]\n\n".into()
}

/// What was said, and whether a sign of thinking came.
#[derive(Default)]
pub struct Heard(Mutex<String>, std::sync::atomic::AtomicBool);

impl Sink for Heard {
    fn text(&self, piece: &str) {
        self.0.lock().expect("not poisoned").push_str(piece);
    }

    fn thinking(&self) {
        self.1.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Heard {
    pub fn thinking_seen(&self) -> bool {
        self.1.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub fn all(&self) -> String {
        self.0.lock().expect("not poisoned").clone()
    }
}

pub struct Scene {
    _dir: tempfile::TempDir,
    pub store: Arc<SqliteStore>,
    pub openai: OpenAi,
}

impl Scene {
    pub async fn new(base_url: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(SqliteStore::open(dir.path()).await.expect("a store"));
        let config = OpenAiConfig {
            base_url: base_url.into(),
            api_key: Some(Secret::new(KEY)),
            model: "m".into(),
            tool_secret: Some(Secret::new(TOOL_SECRET)),
        };
        let patience = Patience {
            connect: Duration::from_secs(5),
            first: Duration::from_secs(5),
            idle: Duration::from_millis(150),
        };
        let openai = OpenAi::new(store.clone(), config, patience);
        Self {
            _dir: dir,
            store,
            openai,
        }
    }

    pub async fn ask(&self, turn: Turn) -> (String, Result<Answer, AgentFailure>) {
        let heard = Heard::default();
        let result = self.openai.answer(turn, &heard).await;
        (heard.all(), result)
    }
}

pub fn turn(question: &str) -> Turn {
    let agent = Agent {
        id: "a_1".into(),
        account: "main".into(),
        name: "June".into(),
        ..Agent::default()
    };
    Turn {
        agent,
        session: "s_1".into(),
        user_id: None,
        history: Vec::new(),
        questions: vec![question.into()],
        files: Vec::new(),
    }
}
