//! Sessions: begin, resume, list, read, send.

use crate::server::{API, Model, Server, get, post};
use axum::http::StatusCode;
use karta_server::service::agents::AgentChange;
use karta_server::service::{ACCOUNT, conversations};
use karta_server::store::Store;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn a_message_is_committed_answered_and_read_back() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let reply = server.say(&token, &session, "m1", "good morning").await;
    assert_eq!(
        (reply.status, reply.json()),
        (StatusCode::ACCEPTED, json!({"seq": 1}))
    );
    let log = server.log(&token, &session, 4).await;
    let kinds: Vec<&str> = log
        .iter()
        .map(|event| event["type"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(
        kinds,
        [
            "user.message",
            "session.status_running",
            "agent.message",
            "session.status_idle"
        ]
    );
    assert_eq!(log[2]["text"], json!("good morning"));
    let seqs: Vec<u64> = log
        .iter()
        .filter_map(|event| event["seq"].as_u64())
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    let rest = server
        .call(get(&format!("/sessions/{session}?after=2")).bearer(&token))
        .await
        .json();
    assert_eq!(rest["events"].as_array().map(Vec::len), Some(2));
    assert_eq!(rest["more"], json!(false));
}

#[tokio::test]
async fn sending_again_changes_nothing() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    for _ in 0..5 {
        let reply = server.say(&token, &session, "m1", "once").await;
        assert_eq!(
            (reply.status, reply.json()),
            (StatusCode::ACCEPTED, json!({"seq": 1}))
        );
    }
    assert_eq!(server.log(&token, &session, 4).await.len(), 4);
}

#[tokio::test]
async fn a_session_is_resumed_by_its_visitor_only() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let resume =
        |token: &str, id: &str| post("/sessions").bearer(token).json(&json!({"resume": id}));
    let reply = server.call(resume(&token, &session)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        (reply.json()["id"].as_str(), &reply.json()["resumed"]),
        (Some(session.as_str()), &json!(true))
    );
    let stranger = server.guest().await.token;
    for (token, id) in [
        (&stranger, session.as_str()),
        (&token, "s_unknown"),
        (&token, ""),
        (&token, "'--"),
        (&token, "\u{0}"),
    ] {
        let reply = server.call(resume(token, id)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        let made = reply.json()["id"].as_str().expect("an id").to_owned();
        assert_ne!(made, id);
        assert_eq!(reply.header("location"), format!("{API}/sessions/{made}"));
    }
}

#[tokio::test]
async fn anothers_session_looks_like_none() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "private").await;
    let stranger = server.guest().await.token;
    for id in [session.as_str(), "s_00000000000000000000000000000000"] {
        let event = json!({"type": "user.message", "id": "m2", "text": "x"});
        for call in [
            get(&format!("/sessions/{id}")),
            get(&format!("/sessions/{id}/events/stream")),
            post(&format!("/sessions/{id}/events")).json(&event),
        ] {
            let reply = server.call(call.bearer(&stranger)).await;
            reply.refused(404, "session_not_found");
            assert!(!String::from_utf8_lossy(&reply.body).contains(&session));
        }
    }
    assert_eq!(
        server.call(get("/sessions").bearer(&stranger)).await.json(),
        json!({"sessions": []})
    );
    let own = server.call(get("/sessions").bearer(&token)).await.json();
    assert_eq!(own["sessions"][0]["id"], json!(session));
}

#[tokio::test]
async fn an_agent_that_is_switched_off_takes_no_messages_but_can_be_read() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "before").await;
    server
        .change_agent(AgentChange {
            widget_enabled: Some(false),
            ..AgentChange::default()
        })
        .await;
    server
        .say(&token, &session, "m2", "after")
        .await
        .refused(403, "widget_disabled_for_agent");
    server
        .call(post("/sessions").bearer(&token))
        .await
        .refused(403, "widget_disabled_for_agent");
    assert_eq!(
        server
            .call(get(&format!("/sessions/{session}")).bearer(&token))
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_disabled_key_closes_every_call_at_once() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    server.enable_key(false).await;
    for call in [
        get("/sessions"),
        post("/sessions"),
        get(&format!("/sessions/{session}")),
        get(&format!("/sessions/{session}/events/stream")),
    ] {
        server
            .call(call.bearer(&token))
            .await
            .refused(403, "client_key_disabled");
    }
    server
        .say(&token, &session, "m1", "x")
        .await
        .refused(403, "client_key_disabled");
}

#[tokio::test]
async fn wrong_events_are_refused_and_leave_no_line() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let long = "x".repeat(karta_protocol::MESSAGE_MAX_BYTES + 1);
    for (event, status, code) in [
        (json!({}), 400, "request_invalid"),
        (json!({"type": "user.shout"}), 400, "request_invalid"),
        (json!({"type": 1}), 400, "request_invalid"),
        (json!({"type": "user.message"}), 400, "request_invalid"),
        (
            json!({"type": "user.message", "text": "no id"}),
            400,
            "request_invalid",
        ),
        (
            json!({"type": "user.message", "id": "a b", "text": "x"}),
            400,
            "request_invalid",
        ),
        (
            json!({"type": "user.message", "id": "x".repeat(65), "text": "x"}),
            400,
            "request_invalid",
        ),
        (
            json!({"type": "user.message", "id": "m", "text": ""}),
            400,
            "request_invalid",
        ),
        (
            json!({"type": "user.message", "id": "m", "text": ["x"]}),
            400,
            "request_invalid",
        ),
        (
            json!({"type": "user.message", "id": "m", "text": long}),
            413,
            "payload_too_large",
        ),
        (
            json!({"type": "user.feedback", "part_id": "p", "rating": "meh"}),
            400,
            "request_invalid",
        ),
        (
            json!({"type": "session.error", "message": "x"}),
            400,
            "request_invalid",
        ),
    ] {
        let call = post(&format!("/sessions/{session}/events"))
            .bearer(&token)
            .json(&event);
        server.call(call).await.refused(status, code);
    }
    assert!(server.log(&token, &session, 0).await.is_empty());
}

#[tokio::test]
async fn cursors_that_are_no_numbers_are_refused() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    for after in [
        "x",
        "-1",
        "1.5",
        "",
        "99999999999999999999",
        "9007199254740992",
        "18446744073709551615",
        "%00",
        "1&after=2",
        "null",
        "0x1",
    ] {
        for path in ["", "/events/stream"] {
            let call = get(&format!("/sessions/{session}{path}?after={after}")).bearer(&token);
            server.call(call).await.refused(400, "request_invalid");
        }
    }
    let page = server
        .call(get(&format!("/sessions/{session}?after=9007199254740991")).bearer(&token))
        .await;
    assert_eq!(page.json()["events"], json!([]));
}

#[tokio::test]
async fn what_the_page_says_about_its_visitor_is_kept_for_the_owner_and_refuses_nobody() {
    let server = Server::start().await;
    let token = server.guest().await.token;
    let begin = async |body: serde_json::Value| {
        let reply = server
            .call(post("/sessions").bearer(&token).json(&body))
            .await;
        assert!(reply.status.is_success(), "{reply:?}");
        reply.json()["id"].as_str().expect("an id").to_owned()
    };
    let kept = async |id: &str| {
        let record = server.store.session(id).await.expect("read");
        serde_json::Value::Object(record.expect("there").attributes)
    };
    let said = json!({"plan": "pro", "seats": 3, "nested": {"x": 1}, "none": null});
    let id = begin(json!({"metadata": {"attributes": said}})).await;
    assert_eq!(kept(&id).await, json!({"plan": "pro", "seats": 3}));
    assert_eq!(begin(json!({"resume": id})).await, id);
    assert_eq!(kept(&id).await["plan"], json!("pro"), "nothing said");
    begin(json!({"resume": id, "metadata": {"attributes": {"plan": "free"}}})).await;
    assert_eq!(kept(&id).await, json!({"plan": "free"}), "the latest");
    for harmless in [
        json!({"metadata": null}),
        json!({"metadata": {}}),
        json!({"metadata": {"attributes": null, "future": 1}}),
        json!({"metadata": {"attributes": {"__proto__": "x", "account": "other"}}}),
    ] {
        begin(harmless).await;
    }
    for wrong in [
        json!({"metadata": "x"}),
        json!({"metadata": {"attributes": [1]}}),
    ] {
        let call = post("/sessions").bearer(&token).json(&wrong);
        server.call(call).await.refused(400, "request_invalid");
    }
    let user = server.user("john@example.com").await.token;
    let theirs = server.new_session(&user).await;
    let listed = conversations::list(server.store.as_ref(), ACCOUNT, None, 10).await;
    let listed = listed.expect("listed");
    let of = |id: &str| listed.iter().find(|one| one.record.info.id == id);
    assert_eq!(of(&theirs).expect("listed").who(), "john@example.com");
    let guest = of(&id).expect("listed too");
    assert!(guest.user.is_none() && guest.who().starts_with("v_"));
}

#[tokio::test]
async fn the_end_of_a_turn_says_why_and_what_it_used() {
    let mut server = Server::start().await;
    server.answered_by(Arc::new(Model)).await;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "Hi").await;
    let end = server.log(&token, &session, 4).await[3].clone();
    assert_eq!(
        (&end["type"], &end["stop_reason"], &end["usage"]),
        (
            &json!("session.status_idle"),
            &json!("complete"),
            &json!({"input_tokens": 3_000, "output_tokens": 1_000})
        )
    );
}

#[tokio::test]
async fn a_turn_is_interrupted_and_rated_by_its_visitor() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let events = format!("/sessions/{session}/events");
    let send = async |token: &str, event: serde_json::Value| {
        server.call(post(&events).bearer(token).json(&event)).await
    };
    let mut reader = crate::stream::open(&server, &token, &session, 0).await;
    server.say(&token, &session, "m1", "wait for it").await;
    reader.until("agent.message").await;
    let interrupt = json!({"type": "user.interrupt"});
    let reply = send(&token, interrupt.clone()).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
    let log = server.log(&token, &session, 4).await;
    assert_eq!(log[2]["interrupted"], json!(true), "{log:?}");
    assert_eq!(log[3]["stop_reason"], json!("interrupted"), "{log:?}");
    // Once more is harmless.
    let reply = send(&token, interrupt).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
    let part = &log[2]["part_id"];
    let rated = json!({"type": "user.feedback", "part_id": part, "rating": "down"});
    let reply = send(&token, rated.clone()).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
    let stranger = server.guest().await.token;
    send(&stranger, rated)
        .await
        .refused(404, "session_not_found");
    let none = json!({"type": "user.feedback", "part_id": "p_none", "rating": "up"});
    send(&token, none).await.refused(400, "request_invalid");
    assert_eq!(server.log(&token, &session, 4).await.len(), 4);
}

#[tokio::test]
async fn a_tool_that_waits_for_nobody_is_not_confirmed() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    let events = format!("/sessions/{session}/events");
    for decision in ["allow", "deny", "", "CANARY"] {
        let event =
            json!({"type": "user.tool_confirmation", "request_id": "r_1", "decision": decision});
        let reply = server.call(post(&events).bearer(&token).json(&event)).await;
        reply.refused(400, "request_invalid");
        assert!(!format!("{reply:?}").contains("CANARY"));
    }
}
