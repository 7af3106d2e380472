//! `/conversations`: whom with, what was said, the files; page by page, and nobody else's.

use super::Owner;
use crate::server::{Call, post};
use karta_server::service::agents::AgentChange;
use serde_json::{Value, json};
use std::collections::HashSet;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

fn texts(log: &Value, kind: &str) -> Vec<String> {
    let events = log["log"].as_array().expect("a log").iter();
    events
        .filter(|event| event["type"] == kind)
        .map(|event| event["text"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn an_owner_reads_whom_with_and_what_was_said() {
    let owner = Owner::start().await;
    let server = &owner.server;
    let (token, session) = server.session().await;
    server.say(&token, &session, "m1", "Hi there").await;
    server.log(&token, &session, 4).await;
    let verified = server.user("u_77").await.token;
    let attributes = json!({"metadata": {"attributes": {"plan": "pro"}}});
    let create = post("/sessions").bearer(&verified).json(&attributes);
    let theirs = server.call(create).await.json()["id"].clone();

    let list = owner.get("/conversations").await.json();
    let found = list["conversations"].as_array().expect("a list");
    assert_eq!(found.len(), 2);
    assert!(list.get("next").is_none());
    let of = |id: &Value| found.iter().find(|c| c["id"] == *id).expect("listed");
    let (guest, user) = (of(&json!(session)), of(&theirs));
    assert_eq!(
        (&guest["verified"], &guest["user_id"], &guest["events"]),
        (&json!(false), &Value::Null, &json!(4))
    );
    assert_eq!(
        (&user["verified"], &user["user_id"], &user["attributes"]),
        (&json!(true), &json!("u_77"), &json!({"plan": "pro"}))
    );
    assert!(!list.to_string().contains("Hi there"), "not in the list");

    let one = owner.get(&format!("/conversations/{session}")).await.json();
    assert_eq!(one["subject"], guest["subject"]);
    assert_eq!(texts(&one, "user.message"), ["Hi there"]);
    assert_eq!(texts(&one, "agent.message").len(), 1);
    let seqs: Vec<u64> = one["log"]
        .as_array()
        .expect("a log")
        .iter()
        .filter_map(|e| e["seq"].as_u64())
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4]);

    // In pieces, it is the same.
    let mut pieces = Vec::new();
    let mut after = 0;
    loop {
        let path = format!("/conversations/{session}?limit=3&after={after}");
        let piece = owner.get(&path).await.json();
        pieces.extend(piece["log"].as_array().expect("a log").clone());
        match piece["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(Value::Array(pieces), one["log"]);
}

#[tokio::test]
async fn pages_meet_without_gap_or_repeat_newest_first() {
    let owner = Owner::start().await;
    let token = owner.server.guest().await.token;
    for _ in 0..7 {
        owner.server.new_session(&token).await;
    }
    let whole = owner.get("/conversations").await.json();
    let whole = whole["conversations"].as_array().expect("a list").clone();
    let times: Vec<u64> = whole
        .iter()
        .filter_map(|c| c["created_ms"].as_u64())
        .collect();
    assert!(
        times.len() == 7 && times.is_sorted_by(|a, b| a >= b),
        "{times:?}"
    );
    for limit in 1..=8 {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/conversations?limit={limit}{after}");
            let page = owner.get(&path).await.json();
            seen.extend(page["conversations"].as_array().expect("a list").clone());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(seen, whole, "{limit}");
        let ids: HashSet<String> = seen.iter().map(|c| c["id"].to_string()).collect();
        assert_eq!(ids.len(), 7);
    }
}

#[tokio::test]
async fn an_owner_gets_a_visitors_file_as_a_download() {
    let owner = Owner::start().await;
    let server = &owner.server;
    server
        .change_agent(AgentChange {
            upload_enabled: Some(true),
            ..AgentChange::default()
        })
        .await;
    let (token, session) = server.session().await;
    let upload = post(&format!("/sessions/{session}/files")).bearer(&token);
    let upload = super::form(upload, &[("file", Some("photo.png"), PNG)]);
    let kept = server.call(upload).await;
    assert_eq!(kept.status, 201, "{kept:?}");
    let one = owner.get(&format!("/conversations/{session}")).await.json();
    assert_eq!(one["files"], json!([kept.json()]));
    let id = kept.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/conversations/{session}/files/{id}");
    let file = server.call(owner.request("GET", &path)).await;
    assert_eq!((file.status.as_u16(), &file.body[..]), (200, PNG));
    let header = |name: &str| file.headers[name].to_str().expect("text").to_owned();
    assert!(header("content-disposition").starts_with("attachment"));
    assert_eq!(header("content-type"), "image/png");
    for path in [
        format!("/conversations/{session}/files/f_no"),
        format!("/conversations/s_no/files/{id}"),
        "/conversations/s_no".to_owned(),
    ] {
        owner.get(&path).await.refused(404, "not_found");
    }
    // Who has no admin token gets nothing.
    let stranger = Call::new("GET", &format!("/api/v1{path}")).bearer(&token);
    server
        .call(stranger)
        .await
        .refused(401, "admin_token_invalid");
}

#[tokio::test]
async fn odd_pages_are_refused() {
    let owner = Owner::start().await;
    let (_, session) = owner.server.session().await;
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "after=x",
        "after=-1.s",
        "before=1",
    ] {
        let reply = owner.get(&format!("/conversations?{query}")).await;
        reply.refused(400, "request_invalid");
    }
    for query in ["limit=0", "limit=501", "after=-1", "after=x", "page=1"] {
        let reply = owner
            .get(&format!("/conversations/{session}?{query}"))
            .await;
        reply.refused(400, "request_invalid");
    }
    let far = format!("/conversations/{session}?after=18446744073709551615");
    assert_eq!(owner.get(&far).await.json()["log"], json!([]));
}
