//! What goes wrong at a provider, and what is bounded.

use super::*;

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
