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

mod failures;
mod stand_in;
mod tools;

use stand_in::*;

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
