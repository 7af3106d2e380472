//! Tools: what the model is offered, what its calls look like, and what goes to the owner's address and back.

use super::*;
use crate::agent::openai::tools::ROUNDS;
use crate::agent::{Outcome, ToolUse};
use crate::store::Tool;
use reqwest::header::AUTHORIZATION;

/// The owner's side: notes what comes, and answers.
struct Shop {
    url: String,
    seen: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

impl Shop {
    async fn start(status: u16, answer: &'static str) -> Shop {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let saw = seen.clone();
        let handler = move |headers: HeaderMap, body: String| async move {
            saw.lock().expect("not poisoned").push((headers, body));
            Reply::builder()
                .status(status)
                .body(Body::from(answer))
                .expect("a reply")
        };
        let router = Router::new().route("/cancel", post(handler));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!(
            "http://{}/cancel",
            listener.local_addr().expect("an address")
        );
        tokio::spawn(async move { axum::serve(listener, router).await });
        Shop { url, seen }
    }

    fn seen(&self) -> Vec<(HeaderMap, String)> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

/// Allows or not, and notes what it was told.
struct Visitor {
    allows: bool,
    said: Mutex<String>,
    told: Mutex<Vec<String>>,
    spent: Mutex<Usage>,
}

impl Visitor {
    fn new(allows: bool) -> Visitor {
        Visitor {
            allows,
            said: Mutex::default(),
            told: Mutex::default(),
            spent: Mutex::default(),
        }
    }
}

#[async_trait]
impl Sink for Visitor {
    fn text(&self, piece: &str) {
        self.said.lock().expect("not poisoned").push_str(piece);
    }
    fn spent(&self, usage: Usage) {
        *self.spent.lock().expect("not poisoned") = usage;
    }
    async fn may_act(&self, what: &ToolUse) -> Result<bool, AgentFailure> {
        let line = format!("{} ({}): {}", what.title, what.confirm, what.shown);
        self.told.lock().expect("not poisoned").push(line);
        Ok(self.allows)
    }
    async fn acted(&self, _what: &ToolUse, outcome: Outcome) -> Result<(), AgentFailure> {
        self.told
            .lock()
            .expect("not poisoned")
            .push(format!("{outcome:?}"));
        Ok(())
    }
}

fn asked(url: &str) -> Turn {
    let mut turn = turn("Cancel K-1 please");
    turn.user_id = Some("u-7".into());
    turn.agent.tools = vec![Tool {
        name: "cancel_order".into(),
        title: "Cancel an order".into(),
        description: "Cancels it.".into(),
        parameters: json!({"type": "object", "properties": {"order": {"type": "string"}}}),
        url: url.into(),
        confirm: true,
    }];
    turn
}

/// As OpenAI streams a call: the name first, then the arguments in pieces.
fn calling(pieces: &[&str]) -> Vec<String> {
    let call = |value: Value| chunk(json!({ "tool_calls": [value] }), None);
    let mut all = vec![chunk(json!({ "role": "assistant", "content": null }), None)];
    all.push(call(json!({"index": 0, "id": "call_a", "type": "function", "function": {"name": "cancel_order", "arguments": ""}})));
    for piece in pieces {
        all.push(call(json!({"index": 0, "function": {"arguments": piece}})));
    }
    all.extend([chunk(json!({}), Some("tool_calls")), usage(), done()]);
    all
}

fn answering(words: &str) -> Vec<String> {
    vec![text(words), stop(), usage(), done()]
}

#[tokio::test]
async fn a_call_goes_to_the_owner_and_its_answer_to_the_model() {
    let shop = Shop::start(200, "{\"cancelled\":true}").await;
    let first = calling(&["{\"ord", "er\":\"K-1\"}"]);
    let provider = Provider::start(vec![Act::Stream(first), Act::Stream(answering("Done."))]).await;
    let scene = Scene::new(&provider.base_url).await;
    let visitor = Visitor::new(true);
    let answer = scene
        .openai
        .answer(asked(&shop.url), &visitor)
        .await
        .expect("an answer");
    assert_eq!(*visitor.said.lock().expect("said"), "Done.");
    assert_eq!(
        *visitor.told.lock().expect("told"),
        ["Cancel an order (true): order: K-1", "Done"]
    );
    let usage = answer.usage.expect("counted");
    assert_eq!(
        (usage.input_tokens, usage.output_tokens),
        (24, 6),
        "both rounds"
    );
    assert_eq!(*visitor.spent.lock().expect("spent"), usage);

    let asked = provider.seen();
    assert_eq!(asked[0].1["tools"][0]["function"]["name"], "cancel_order");
    assert_eq!(asked[0].1["tools"][0]["type"], "function");
    assert_eq!(
        asked[0].1["tools"][0]["function"]["parameters"]["type"],
        "object"
    );
    assert!(
        !asked[0].1.to_string().contains(&shop.url),
        "the model need not know where"
    );
    let again = asked[1].1["messages"].as_array().expect("messages");
    let (call, result) = (&again[again.len() - 2], &again[again.len() - 1]);
    assert_eq!(call["tool_calls"][0]["id"], "call_a");
    assert_eq!(
        call["tool_calls"][0]["function"]["arguments"],
        "{\"order\":\"K-1\"}"
    );
    assert_eq!(call["content"], Value::Null);
    assert_eq!(
        *result,
        json!({"role": "tool", "tool_call_id": "call_a", "content": "{\"cancelled\":true}"})
    );

    let (headers, body) = shop.seen().remove(0);
    let sent: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(sent["tool"], "cancel_order");
    assert_eq!(sent["arguments"], json!({"order": "K-1"}));
    assert_eq!(
        (&sent["session_id"], &sent["user_id"]),
        (&json!("s_1"), &json!("u-7"))
    );
    assert_eq!(
        headers["idempotency-key"],
        sent["id"].as_str().expect("an id")
    );
    assert_eq!(headers["content-type"], "application/json");
    let signature = headers["karta-signature"].to_str().expect("text");
    let (time, code) = signature.split_once(",v1=").expect("two parts");
    let time = time.strip_prefix("t=").expect("a time");
    // The owner's side of docs/OPERATING.md.
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, TOOL_SECRET.as_bytes());
    let code: Vec<u8> = (0..code.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&code[at..at + 2], 16).expect("hex"))
        .collect();
    aws_lc_rs::hmac::verify(&key, format!("{time}.{body}").as_bytes(), &code).expect("signed");
    assert!(
        headers.get(AUTHORIZATION).is_none(),
        "the provider's key stays with the provider"
    );
}

#[tokio::test]
async fn what_the_visitor_does_not_allow_is_not_asked_of_the_owner() {
    let shop = Shop::start(200, "{}").await;
    let provider = Provider::start(vec![
        Act::Stream(calling(&["{}"])),
        Act::Stream(answering("All right.")),
    ])
    .await;
    let scene = Scene::new(&provider.base_url).await;
    scene
        .openai
        .answer(asked(&shop.url), &Visitor::new(false))
        .await
        .expect("an answer");
    assert!(shop.seen().is_empty());
    let told = provider.seen()[1].1["messages"].to_string();
    assert!(
        told.contains("did not allow it. Nothing was done."),
        "{told}"
    );
}

/// What the model is told where the call cannot be carried out as it is.
async fn check(url: &str, call: Vec<String>, told: &str) {
    let provider = Provider::start(vec![Act::Stream(call), Act::Stream(answering("Sorry."))]).await;
    let scene = Scene::new(&provider.base_url).await;
    let visitor = Visitor::new(true);
    scene
        .openai
        .answer(asked(url), &visitor)
        .await
        .expect("an answer");
    let messages = provider.seen()[1].1["messages"].clone();
    let messages = messages.as_array().expect("messages");
    let (call, last) = (&messages[messages.len() - 2], &messages[messages.len() - 1]);
    let last = last["content"].to_string();
    assert!(last.contains(told), "{told}: {last}");
    assert!(
        !last.contains("hunter2"),
        "what a failure says stays unread"
    );
    let again = call["tool_calls"][0]["function"]["arguments"].as_str();
    let again = serde_json::from_str::<Value>(again.expect("text"));
    assert!(again.is_ok(), "providers read nothing else again");
    assert_eq!(*visitor.said.lock().expect("said"), "Sorry.");
}

#[tokio::test]
async fn what_cannot_be_carried_out_is_told_to_the_model() {
    let shop = Shop::start(200, "fine").await;
    check(
        &shop.url,
        calling(&["{\"order\":"]),
        "not a JSON object. Nothing was done",
    )
    .await;
    check(&shop.url, calling(&["[1]"]), "not a JSON object").await;
    let other = chunk(
        json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "drop_database", "arguments": "{}"}}]}),
        Some("tool_calls"),
    );
    check(&shop.url, vec![other, done()], "no such tool").await;
    assert!(shop.seen().is_empty());
    let broken = Shop::start(500, "password=hunter2").await;
    check(&broken.url, calling(&["{}"]), "failed (HTTP 500)").await;
    let moved = Shop::start(302, "").await;
    check(&moved.url, calling(&["{}"]), "failed (HTTP 302)").await;
    check(
        "http://127.0.0.1:9/cancel",
        calling(&["{}"]),
        "failed (no connection)",
    )
    .await;
    let long: &'static str = "é".repeat(10_000).leak();
    let endless = Shop::start(200, long).await;
    check(&endless.url, calling(&["{}"]), "éé").await;
}

#[tokio::test]
async fn other_servers_ways_to_call_are_read() {
    // Ollama: whole, no number, arguments as an object. Others: no id. Not streamed at all.
    let whole = |function: Value| json!({"tool_calls": [{"function": function}]});
    let named = |arguments: Value| json!({"name": "cancel_order", "arguments": arguments});
    let calls = vec![
        Act::Stream(vec![
            chunk(whole(named(json!({"order": "K-1"}))), Some("stop")),
            done(),
        ]),
        Act::Stream(vec![chunk(
            json!({"content": "", "tool_calls": [{"index": null, "id": "", "function": named(json!("{\"order\":\"K-1\"}"))}]}),
            Some("tool_calls"),
        )]),
        Act::Json(
            json!({"choices": [{"message": {"content": null, "tool_calls": [{"id": "x", "type": "function", "function": named(json!("{\"order\":\"K-1\"}"))}]}}]}),
        ),
    ];
    for call in calls {
        let shop = Shop::start(200, "ok").await;
        let provider = Provider::start(vec![call, Act::Stream(answering("Done."))]).await;
        let scene = Scene::new(&provider.base_url).await;
        scene
            .openai
            .answer(asked(&shop.url), &Visitor::new(true))
            .await
            .expect("an answer");
        let sent: Value = serde_json::from_str(&shop.seen()[0].1).expect("JSON");
        assert_eq!(sent["arguments"]["order"], "K-1");
        let messages = provider.seen()[1].1["messages"].clone();
        let messages = messages.as_array().expect("messages");
        let (call, result) = (&messages[messages.len() - 2], &messages[messages.len() - 1]);
        assert_eq!(call["tool_calls"][0]["id"], result["tool_call_id"]);
        assert_ne!(result["tool_call_id"], "");
    }
}

#[tokio::test]
async fn a_model_that_never_stops_calling_must_answer_in_the_end() {
    let shop = Shop::start(200, "ok").await;
    let mut acts: Vec<Act> = (1..ROUNDS).map(|_| Act::Stream(calling(&["{}"]))).collect();
    acts.push(Act::Stream(answering("Enough.")));
    let provider = Provider::start(acts).await;
    let scene = Scene::new(&provider.base_url).await;
    let visitor = Visitor::new(true);
    let turn = asked(&shop.url);
    let most = scene.openai.at_most(&turn, 0);
    scene
        .openai
        .answer(turn, &visitor)
        .await
        .expect("an answer");
    assert_eq!(*visitor.said.lock().expect("said"), "Enough.");
    let seen = provider.seen();
    assert_eq!(seen.len(), ROUNDS);
    assert_eq!(seen[ROUNDS - 1].1["tool_choice"], "none");
    let bytes: usize = seen
        .iter()
        .map(|(_, body)| body["messages"].to_string().len() + body["tools"].to_string().len())
        .sum();
    assert!(
        most.input_tokens as usize >= bytes,
        "{} held back, {bytes} sent",
        most.input_tokens
    );
    assert_eq!(most.output_tokens, 5 * 4_096);
}

#[tokio::test]
async fn a_provider_that_counts_nothing_is_paid_once_for_what_it_said() {
    let shop = Shop::start(200, "ok").await;
    let mut first = vec![
        text(&"a".repeat(400)),
        chunk(
            json!({ "tool_calls": [{"index": 0, "id": "c", "function": {"name": "cancel_order", "arguments": "{}"}}] }),
            Some("tool_calls"),
        ),
    ];
    first.push(done());
    let second = vec![text(&"b".repeat(40)), stop(), done()];
    let provider = Provider::start(vec![Act::Stream(first), Act::Stream(second)]).await;
    let scene = Scene::new(&provider.base_url).await;
    let visitor = Visitor::new(true);
    let answer = scene.openai.answer(asked(&shop.url), &visitor).await;
    assert_eq!(answer.expect("an answer").usage, None);
    let spent = *visitor.spent.lock().expect("spent");
    assert_eq!(
        spent.output_tokens,
        100 + 11,
        "40 letters and a break before them"
    );
    let sent = provider.seen();
    let bytes = |body: &Value| body["messages"].to_string().len() + body["tools"].to_string().len();
    let least = sent.iter().map(|(_, body)| bytes(body) as u64).sum::<u64>() / 4;
    assert!(
        (least..least + 5).contains(&spent.input_tokens),
        "{least}: {spent:?}"
    );
}

#[tokio::test]
async fn what_is_said_before_a_call_is_a_paragraph_of_its_own() {
    let shop = Shop::start(200, "ok").await;
    let mut first = vec![text("Let me see.")];
    first.extend(calling(&["{}"]));
    let provider = Provider::start(vec![
        Act::Stream(first),
        Act::Stream(answering("It is gone.")),
    ])
    .await;
    let scene = Scene::new(&provider.base_url).await;
    let visitor = Visitor::new(true);
    scene
        .openai
        .answer(asked(&shop.url), &visitor)
        .await
        .expect("an answer");
    assert_eq!(
        *visitor.said.lock().expect("said"),
        "Let me see.\n\nIt is gone."
    );
    let messages = provider.seen()[1].1["messages"].clone();
    let messages = messages.as_array().expect("messages");
    assert_eq!(messages[messages.len() - 2]["content"], "Let me see.");
}

#[tokio::test]
async fn calls_without_end_are_cut_off() {
    let many: Vec<Value> = (0..9).map(|n| json!({"index": n, "id": format!("c{n}"), "function": {"name": "cancel_order", "arguments": "{}"}})).collect();
    let long = calling(&["x".repeat(20_000).as_str()]);
    for pieces in [
        vec![chunk(json!({ "tool_calls": many }), None), done()],
        long,
    ] {
        let shop = Shop::start(200, "ok").await;
        let provider = Provider::start(vec![Act::Stream(pieces)]).await;
        let scene = Scene::new(&provider.base_url).await;
        let result = scene
            .openai
            .answer(asked(&shop.url), &Visitor::new(true))
            .await;
        assert!(matches!(result, Err(AgentFailure::Broken(_))), "{result:?}");
        assert!(shop.seen().is_empty());
    }
}
