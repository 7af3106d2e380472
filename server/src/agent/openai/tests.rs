//! The runtime against a stand-in that speaks OpenAI's published `chat.completion.chunk` shape, and against what goes wrong.

use super::*;
use crate::store::sqlite::SqliteStore;
use crate::store::{Agent, KnowledgeDocument};
use axum::body::Body;
use axum::http::Response as Reply;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Mutex;
use tokio::sync::mpsc;

const KEY: &str = "sk-very-secret";

/// What the stand-in does with the next request.
enum Act {
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
type Seen = Arc<Mutex<Vec<(Option<String>, Value)>>>;

struct Provider {
    base_url: String,
    seen: Seen,
}

impl Provider {
    async fn start(acts: Vec<Act>) -> Self {
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

    fn seen(&self) -> Vec<(Option<String>, Value)> {
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
fn chunk(delta: Value, finish: Option<&str>) -> String {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m", "system_fingerprint": null,
        "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
        "usage": null,
    });
    format!("data: {body}\n\n")
}

fn text(text: &str) -> String {
    chunk(json!({ "content": text }), None)
}

fn stop() -> String {
    chunk(json!({}), Some("stop"))
}

fn usage() -> String {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m", "choices": [],
        "usage": { "prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15 },
    });
    format!("data: {body}\n\n")
}

fn done() -> String {
    "data: [DONE]\n\n".into()
}

/// What was said, and whether a sign of thinking came.
#[derive(Default)]
struct Heard(Mutex<String>, std::sync::atomic::AtomicBool);

impl Sink for Heard {
    fn text(&self, piece: &str) {
        self.0.lock().expect("not poisoned").push_str(piece);
    }

    fn thinking(&self) {
        self.1.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Heard {
    fn thinking_seen(&self) -> bool {
        self.1.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn all(&self) -> String {
        self.0.lock().expect("not poisoned").clone()
    }
}

struct Scene {
    _dir: tempfile::TempDir,
    store: Arc<SqliteStore>,
    openai: OpenAi,
}

impl Scene {
    async fn new(base_url: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(SqliteStore::open(dir.path()).await.expect("a store"));
        let config = OpenAiConfig {
            base_url: base_url.into(),
            api_key: Some(Secret::new(KEY)),
            model: "m".into(),
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

    async fn ask(&self, turn: Turn) -> (String, Result<Answer, AgentFailure>) {
        let heard = Heard::default();
        let result = self.openai.answer(turn, &heard).await;
        (heard.all(), result)
    }
}

fn turn(question: &str) -> Turn {
    let agent = Agent {
        id: "a_1".into(),
        account: "main".into(),
        name: "June".into(),
        ..Agent::default()
    };
    Turn {
        agent,
        history: Vec::new(),
        questions: vec![question.into()],
        files: Vec::new(),
    }
}

async fn check(pieces: Vec<String>, expected: &str) {
    let provider = Provider::start(vec![Act::Stream(pieces)]).await;
    let (heard, result) = Scene::new(&provider.base_url).await.ask(turn("Hi?")).await;
    assert_eq!(heard, expected);
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test]
async fn an_answer_is_streamed_with_key_history_and_usage() {
    let role = chunk(
        json!({ "role": "assistant", "content": "", "refusal": null }),
        None,
    );
    let provider = Provider::start(vec![Act::Stream(vec![
        role,
        text("Hel"),
        text("lo"),
        stop(),
        usage(),
        done(),
    ])])
    .await;
    let scene = Scene::new(&provider.base_url).await;
    let mut asked = turn("And now?");
    asked.history = vec![Line::Visitor("Before".into()), Line::Agent("Then".into())];
    let (heard, result) = scene.ask(asked).await;
    assert_eq!(heard, "Hello");
    let answer = result.expect("an answer");
    assert_eq!(
        answer.usage,
        Some(Usage {
            input_tokens: 12,
            output_tokens: 3
        })
    );
    let (key, body) = provider.seen().remove(0);
    assert_eq!(key.as_deref(), Some("Bearer sk-very-secret"));
    assert_eq!(
        (&body["stream"], &body["stream_options"]["include_usage"]),
        (&true.into(), &true.into())
    );
    assert_eq!(
        body["messages"][2],
        json!({ "role": "assistant", "content": "Then" })
    );
    assert_eq!(
        body["messages"][3],
        json!({ "role": "user", "content": "And now?" })
    );
}

#[tokio::test]
async fn a_follow_up_is_looked_up_with_the_question_before() {
    let mut asked = turn("and what about those?");
    asked.history = vec![
        Line::Visitor("Gift cards?".into()),
        Line::Agent("Yes.".into()),
    ];
    assert_eq!(
        looked_up(&asked, "and what about those?"),
        "Gift cards?\nand what about those?"
    );
    assert_eq!(
        looked_up(&asked, "Do you deliver to Spain?"),
        "Do you deliver to Spain?"
    );
}

#[tokio::test]
async fn documents_go_to_the_model_and_are_named_as_sources() {
    let provider =
        Provider::start(vec![Act::Stream(vec![text("Five years."), stop(), done()])]).await;
    let scene = Scene::new(&provider.base_url).await;
    let document = KnowledgeDocument {
        id: "d_1".into(),
        account: "main".into(),
        agent_ids: None,
        title: "Vouchers".into(),
        url: Some("https://shop.example/vouchers".into()),
        text: "Gift cards are valid for five years.".into(),
        created_ms: 1,
    };
    scene.store.put_document(&document).await.expect("stored");
    let (_, result) = scene.ask(turn("How long are gift cards valid?")).await;
    assert_eq!(
        result.expect("an answer").sources,
        [Source {
            title: "Vouchers".into(),
            url: document.url
        }]
    );
    let (_, body) = provider.seen().remove(0);
    assert!(
        body["messages"][0]["content"]
            .as_str()
            .is_some_and(|s| s.contains("Gift cards are valid for five years."))
    );
}

#[tokio::test]
async fn deviations_of_compatible_servers_are_read() {
    let sloppy = "data:{\"choices\":[{\"delta\":{\"content\":\"ok\"}}]}\r\n\r\n".to_owned();
    check(
        vec![sloppy.clone(), ": keep-alive\r\n\r\n".into(), done()],
        "ok",
    )
    .await;
    // No [DONE], and no empty line at the end.
    check(vec![text("ok"), stop().trim_end().into()], "ok").await;
    // Nothing after [DONE] counts.
    check(vec![text("ok"), done(), text("more")], "ok").await;
    check(
        vec![text("<think>hmm"), text("</think>\n\nok"), stop()],
        "ok",
    )
    .await;
    check(
        vec!["data: {\"choices\":null}\n\n".into(), text("ok"), stop()],
        "ok",
    )
    .await;
    check(vec!["data: {\"choices\":[{\"delta\":{\"content\":null,\"tool_calls\":null}}],\"usage\":{\"prompt_tokens\":null}}\n\n".into(), text("ok"), done()], "ok").await;
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_read_whole() {
    let body = json!({ "choices": [{ "message": { "role": "assistant", "content": "Hello" }, "finish_reason": "stop" }], "usage": { "prompt_tokens": 1, "completion_tokens": 2 } });
    let provider = Provider::start(vec![Act::Json(body)]).await;
    let (heard, result) = Scene::new(&provider.base_url).await.ask(turn("Hi?")).await;
    assert_eq!(heard, "Hello");
    assert_eq!(
        result.expect("an answer").usage,
        Some(Usage {
            input_tokens: 1,
            output_tokens: 2
        })
    );
}

#[tokio::test]
async fn a_server_that_refuses_a_field_is_asked_otherwise_and_the_answer_stays_bounded() {
    for refusals in 0..=2 {
        let mut acts: Vec<Act> = (0..refusals).map(|_| Act::Status(400, &[])).collect();
        acts.push(Act::Stream(vec![text("ok"), stop(), done()]));
        let provider = Provider::start(acts).await;
        let mut asked = turn("Hi?");
        asked.agent.max_tokens = Some(321);
        let (heard, result) = Scene::new(&provider.base_url).await.ask(asked).await;
        assert_eq!((heard.as_str(), result.is_ok()), ("ok", true));
        let fields = |body: &serde_json::Value| {
            ["max_tokens", "max_completion_tokens"].map(|field| body.get(field).cloned())
        };
        let seen = provider.seen();
        let bodies: Vec<_> = seen
            .iter()
            .map(|(_, body)| (fields(body), body.get("stream_options").is_some()))
            .collect();
        let bound = || Some(json!(321));
        let shapes = [
            ([bound(), None], true),
            ([None, bound()], true),
            ([bound(), None], false),
        ];
        assert_eq!(bodies, shapes[..=refusals]);
    }
}

#[tokio::test]
async fn refusals_are_told_apart_and_leak_nothing() {
    let busy = |retry_after_seconds| AgentFailure::Busy {
        retry_after_seconds,
    };
    for (act, expected) in [
        (Act::Status(401, &[]), "misconfigured"),
        (Act::Status(403, &[]), "misconfigured"),
        (Act::Status(404, &[]), "misconfigured"),
        (
            Act::Status(302, &[("location", "http://127.0.0.1:1/")]),
            "misconfigured",
        ),
        (Act::Status(429, &[("retry-after", "7")]), "busy 7"),
        (Act::Status(503, &[]), "busy"),
        (Act::Status(500, &[]), "broken"),
        (
            Act::Stream(vec!["data: {\"error\":{\"message\":\"no\"}}\n\n".into()]),
            "broken",
        ),
        (Act::Stream(vec!["data: <html>\n\n".into()]), "broken"),
        (Act::Stream(vec![]), "broken"),
        (Act::Json(json!({ "error": { "message": KEY } })), "broken"),
        (Act::Json(json!([1, 2])), "broken"),
    ] {
        let provider = Provider::start(vec![act]).await;
        let (heard, result) = Scene::new(&provider.base_url).await.ask(turn("Hi?")).await;
        let failure = result.expect_err(expected);
        let right = match expected {
            "misconfigured" => matches!(failure, AgentFailure::Misconfigured(_)),
            "busy 7" => failure == busy(Some(7)),
            "busy" => failure == busy(None),
            _ => matches!(failure, AgentFailure::Broken(_)),
        };
        assert!(right, "{expected}: {failure:?}");
        let shown = format!("{failure} {failure:?}");
        assert!(
            heard.is_empty() && !shown.contains(KEY) && !shown.contains("127.0.0.1"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_or_silent_is_a_failure() {
    let (open, _closed) = mpsc::channel(1);
    for (act, unreachable) in [
        (Act::Break(vec![text("Half")]), false),
        (Act::Stream(vec![text("Half")]), false),
        (Act::Hang(vec![text("Half")], open), true),
    ] {
        let provider = Provider::start(vec![act]).await;
        let (heard, result) = Scene::new(&provider.base_url).await.ask(turn("Hi?")).await;
        assert_eq!(heard, "Half");
        let failure = result.expect_err("a failure");
        assert_eq!(
            matches!(failure, AgentFailure::Unreachable(_)),
            unreachable,
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn nobody_there_is_a_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    drop(listener);
    let (_, result) = Scene::new(&base_url).await.ask(turn("Hi?")).await;
    assert!(matches!(result, Err(AgentFailure::Unreachable(_))));
}

#[tokio::test]
async fn thoughts_are_shown_as_a_sign_and_never_as_words() {
    let field = |name: &str, text: &str| chunk(json!({ name: text, "content": null }), None);
    for thoughts in [
        vec![field("reasoning_content", "SECRET")],
        vec![field("reasoning", "SECRET")],
        vec![text("<think>SEC"), text("RET</think>")],
    ] {
        let mut pieces = thoughts;
        pieces.extend([text("Hello"), stop(), done()]);
        let provider = Provider::start(vec![Act::Stream(pieces)]).await;
        let scene = Scene::new(&provider.base_url).await;
        let heard = Heard::default();
        let result = scene.openai.answer(turn("Hi?"), &heard).await;
        assert!(result.is_ok());
        assert_eq!(
            (heard.thinking_seen(), heard.all().as_str()),
            (true, "Hello")
        );
    }
}

#[tokio::test]
async fn a_model_that_says_nothing_yet_is_thinking() {
    let (open, _closed) = mpsc::channel(1);
    let provider = Provider::start(vec![Act::Hang(vec![], open)]).await;
    let scene = Scene::new(&provider.base_url).await;
    let heard = Heard::default();
    let asked = timeout(
        QUIET + Duration::from_millis(500),
        scene.openai.answer(turn("Hi?"), &heard),
    );
    assert!(asked.await.is_err(), "it hangs");
    assert_eq!((heard.thinking_seen(), heard.all().as_str()), (true, ""));
}

#[tokio::test]
async fn dropping_the_answer_hangs_up() {
    let (open, mut closed) = mpsc::channel(1);
    let provider = Provider::start(vec![Act::Hang(vec![text("Half")], open)]).await;
    let scene = Scene::new(&provider.base_url).await;
    let (told, mut heard) = mpsc::unbounded_channel();
    struct Tell(mpsc::UnboundedSender<()>);
    impl Sink for Tell {
        fn text(&self, _piece: &str) {
            // The test may be over.
            let _ = self.0.send(());
        }
    }
    let sink = Tell(told);
    {
        let answering = scene.openai.answer(turn("Hi?"), &sink);
        tokio::select! {
            result = answering => panic!("it hangs: {result:?}"),
            _ = heard.recv() => {}
        }
    }
    assert!(
        closed.recv().await.is_none(),
        "the provider saw the caller go"
    );
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let long = "word ".repeat(2_000);
    let pieces = std::iter::repeat_n(text(&long), 40).collect();
    let provider = Provider::start(vec![Act::Stream(pieces)]).await;
    let (heard, result) = Scene::new(&provider.base_url).await.ask(turn("Hi?")).await;
    assert!(result.is_ok());
    assert!(heard.len() > ANSWER_MAX_BYTES && heard.len() < ANSWER_MAX_BYTES + 2 * long.len());
}

#[tokio::test]
async fn what_the_owner_sets_reaches_the_provider() {
    use crate::service::agents::{self, AgentChange};
    let answers = || Act::Stream(vec![text("Hello."), stop(), done()]);
    let provider = Provider::start(vec![answers(), answers()]).await;
    let scene = Scene::new(&provider.base_url).await;
    let set = AgentChange {
        name: Some("June".into()),
        instruction: Some("Be brief.".into()),
        model: Some("own-model".into()),
        temperature: crate::service::patch::Patch::Set(0.3),
        ..AgentChange::default()
    };
    let made = agents::create(&*scene.store, "main", set)
        .await
        .expect("made");
    let ask = async || {
        let agent = scene.store.agent(&made.id).await.expect("read");
        let turn = Turn {
            agent: agent.expect("there"),
            ..turn("Hi?")
        };
        scene.ask(turn).await.1.expect("an answer");
    };
    ask().await;
    let unset = AgentChange {
        instruction: Some(String::new()),
        model: Some(String::new()),
        ..AgentChange::default()
    };
    agents::update(&*scene.store, "main", &made.id, unset)
        .await
        .expect("changed");
    ask().await;
    let seen = provider.seen.lock().expect("not poisoned").clone();
    let (first, second) = (&seen[0].1, &seen[1].1);
    assert_eq!(
        (&first["model"], &first["temperature"]),
        (&json!("own-model"), &json!(0.3))
    );
    let system = first["messages"][0]["content"].as_str().expect("text");
    assert!(system.starts_with("Be brief."), "{system}");
    assert_eq!(second["model"], "m", "the server's own");
    let system = second["messages"][0]["content"].as_str().expect("text");
    assert!(!system.contains("Be brief."), "{system}");
}

/// Hears only what a turn costs.
#[derive(Default)]
struct Bill(Mutex<Usage>);

impl Sink for Bill {
    fn text(&self, _piece: &str) {}

    fn spent(&self, usage: Usage) {
        *self.0.lock().expect("not poisoned") = usage;
    }
}

#[tokio::test]
async fn a_request_is_counted_before_its_answer_and_a_refusal_is_not() {
    let provider =
        Provider::start(vec![Act::Break(vec![text("Hel")]), Act::Status(401, &[])]).await;
    let scene = Scene::new(&provider.base_url).await;
    let bill = Bill::default();
    let question = "x".repeat(4_000);
    assert!(scene.openai.answer(turn(&question), &bill).await.is_err());
    let spent = bill.0.lock().expect("not poisoned").input_tokens;
    assert!((1_000..1_500).contains(&spent), "{spent}");
    assert!(scene.openai.answer(turn(&question), &bill).await.is_err());
    assert_eq!(*bill.0.lock().expect("not poisoned"), Usage::default());
}
