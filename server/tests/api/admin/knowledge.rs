//! `/knowledge`.

use super::Owner;
use axum::http::StatusCode;
use karta_server::service::ACCOUNT;
use karta_server::store::Store;
use serde_json::{Value, json};

async fn found(owner: &Owner, agent: &str, query: &str) -> usize {
    let found = owner.server.store.search(ACCOUNT, agent, query, 10).await;
    found.expect("searched").passages.len()
}

#[tokio::test]
async fn a_document_is_added_renewed_and_deleted() {
    let owner = Owner::start().await;
    let parts: [(&str, Option<&str>, &[u8]); 2] = [
        ("title", None, b"Delivery, shipping, costs"),
        (
            "file",
            Some("shipping.md"),
            b"# Shipping\n\nThree days by parcel.\n",
        ),
    ];
    let reply = owner.form("POST", "/knowledge", &parts).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    let added = reply.json();
    assert_eq!(
        (&added["title"], &added["agent_ids"], &added["replaced"]),
        (
            &json!("Delivery, shipping, costs"),
            &Value::Null,
            &json!(false)
        )
    );
    let path = format!("/knowledge/{}", added["id"].as_str().expect("an id"));
    assert_eq!(found(&owner, "a_first", "parcel").await, 1);

    let parts: [(&str, Option<&str>, &[u8]); 1] =
        [("file", Some("new.txt"), b"Two days by bicycle.")];
    let renewed = owner.form("PUT", &path, &parts).await.json();
    assert_eq!(
        (&renewed["id"], &renewed["title"]),
        (&added["id"], &added["title"]),
        "the title is permanent"
    );
    assert_eq!(
        (
            found(&owner, "a_first", "parcel").await,
            found(&owner, "a_first", "bicycle").await
        ),
        (0, 1)
    );
    let shown = owner.get(&path).await.json();
    assert_eq!(
        (&shown["text"], &shown["bytes"]),
        (&json!("Two days by bicycle."), &json!(20))
    );

    let parts: [(&str, Option<&str>, &[u8]); 2] = [
        ("file", Some("again.md"), b"Four days."),
        ("title", None, b"Delivery, shipping, costs"),
    ];
    let again = owner.form("POST", "/knowledge", &parts).await;
    assert_eq!(
        (again.status, &again.json()["id"]),
        (StatusCode::OK, &added["id"]),
        "the same title renews"
    );
    let list = owner.get("/knowledge").await.json();
    assert_eq!(list["documents"].as_array().map(Vec::len), Some(1));
    assert!(
        !list.to_string().contains("Four days"),
        "a list has no texts"
    );
    assert_eq!(owner.delete(&path).await.status, StatusCode::NO_CONTENT);
    owner.delete(&path).await.refused(404, "not_found");
    owner.get(&path).await.refused(404, "not_found");
    assert_eq!(found(&owner, "a_first", "days").await, 0);
}

#[tokio::test]
async fn word_documents_and_pdfs_are_read() {
    let owner = Owner::start().await;
    for (name, title, word) in [
        ("shipping.docx", "Shipping", "shipping"),
        ("returns.pdf", "Returns", "returns"),
    ] {
        let path = format!(
            "{}/../fixtures/documents/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        let file = std::fs::read(path).expect("a fixture");
        let reply = owner
            .form("POST", "/knowledge", &[("file", Some(name), &file)])
            .await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        assert_eq!(reply.json()["title"], json!(title));
        assert!(found(&owner, "a_first", word).await > 0, "{name}");
    }
}

#[tokio::test]
async fn documents_are_ticked_from_both_sides() {
    let owner = Owner::start().await;
    let ada = owner.made("/agents", json!({"name": "Ada"})).await;
    let ada = ada["id"].as_str().expect("an id");
    let parts: [(&str, Option<&str>, &[u8]); 2] = [
        ("file", Some("a.md"), b"Parcels by bicycle."),
        ("agent_id", None, b"a_first"),
    ];
    let added = owner.form("POST", "/knowledge", &parts).await.json();
    let id = added["id"].as_str().expect("an id");
    let path = format!("/knowledge/{id}");
    assert_eq!(added["agent_ids"], json!(["a_first"]));
    assert_eq!(
        owner.get("/agents/a_first").await.json()["knowledge"],
        json!([id])
    );
    assert_eq!(
        (
            found(&owner, "a_first", "parcels").await,
            found(&owner, ada, "parcels").await
        ),
        (1, 0)
    );

    let ticked = owner
        .send(
            "PATCH",
            &format!("/agents/{ada}"),
            json!({"knowledge": [id]}),
        )
        .await
        .json();
    assert_eq!(ticked["knowledge"], json!([id]));
    let mut both = vec!["a_first", ada];
    both.sort_unstable();
    assert_eq!(owner.get(&path).await.json()["agent_ids"], json!(both));
    owner
        .send("PATCH", "/agents/a_first", json!({"knowledge": []}))
        .await;
    assert_eq!(
        (
            found(&owner, "a_first", "parcels").await,
            found(&owner, ada, "parcels").await
        ),
        (0, 1)
    );

    let all = owner
        .send("PATCH", &path, json!({"agent_ids": null}))
        .await
        .json();
    assert_eq!(all["agent_ids"], Value::Null);
    assert_eq!(found(&owner, "a_first", "parcels").await, 1);
    owner.send("PATCH", &path, json!({"agent_ids": []})).await;
    assert_eq!(
        (
            found(&owner, "a_first", "parcels").await,
            found(&owner, ada, "parcels").await
        ),
        (0, 0)
    );
    owner
        .send("PATCH", &path, json!({"agent_ids": [ada]}))
        .await;
    assert_eq!(
        owner.delete(&format!("/agents/{ada}")).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        owner.get(&path).await.json()["agent_ids"],
        json!([]),
        "a tick goes with its agent, and not to all"
    );
}

#[tokio::test]
async fn bad_documents_are_refused_and_change_nothing() {
    let owner = Owner::start().await;
    let added = owner.add_document("a.md", "# Title\n\nText.\n").await;
    let path = format!("/knowledge/{}", added["id"].as_str().expect("an id"));
    let text: &[u8] = b"Some text.";
    type Parts<'a> = Vec<(&'a str, Option<&'a str>, &'a [u8])>;
    let table: Vec<(Parts<'_>, &str)> = vec![
        (vec![], "no part named file"),
        (vec![("title", None, b"x")], "no part named file"),
        (vec![("file", None, text)], "file name"),
        (vec![("file", Some(""), text)], "file name"),
        (vec![("file", Some("a.exe"), text)], ".txt"),
        (vec![("file", Some("a"), text)], ".txt"),
        (vec![("file", Some("a.txt"), b"")], "empty"),
        (vec![("file", Some("a.md"), b"# Only a title\n")], "no text"),
        (vec![("file", Some("a.pdf"), text)], "a.pdf"),
        (vec![("file", Some("a.docx"), text)], "a.docx"),
        (vec![("file", Some("a.txt"), b"a\0b\0c\0")], "a.txt"),
        (
            vec![("file", Some("a.txt"), b"Source: javascript:alert(1)\n\nx")],
            "https://",
        ),
        (
            vec![("file", Some("a.txt"), text), ("file", Some("b.txt"), text)],
            "two parts",
        ),
        (
            vec![("file", Some("a.txt"), text), ("titel", None, b"x")],
            "titel",
        ),
        (
            vec![
                ("file", Some("a.txt"), text),
                ("title", None, b"\xff\xfe\xff"),
            ],
            "form",
        ),
    ];
    for (parts, part) in table {
        for (method, path) in [("POST", "/knowledge"), ("PUT", path.as_str())] {
            let reply = owner.form(method, path, &parts).await;
            reply.refused(400, "request_invalid");
            let message = reply.json()["error"]["message"].to_string();
            assert!(message.contains(part), "{method} {parts:?}: {message}");
        }
    }
    let unknown = [("file", Some("a.txt"), text), ("agent_id", None, b"a_no")];
    owner
        .form("POST", "/knowledge", &unknown)
        .await
        .refused(404, "not_found");
    let title = [("file", Some("a.txt"), text), ("title", None, b"Other")];
    let reply = owner.form("PUT", &path, &title).await;
    reply.refused(400, "request_invalid");
    assert!(
        reply.json()["error"]["message"]
            .to_string()
            .contains("permanent")
    );
    owner
        .form("PUT", "/knowledge/d_no", &title[..1])
        .await
        .refused(404, "not_found");
    for (body, code) in [
        (json!({"title": "Other"}), 400),
        (json!({"agent_ids": "a_first"}), 400),
        (json!({"agent_ids": [null]}), 400),
        (json!({"agent_ids": ["a_no"]}), 404),
    ] {
        assert_eq!(
            owner.send("PATCH", &path, body.clone()).await.status,
            code,
            "{body}"
        );
    }
    let list = owner.get("/knowledge").await.json();
    assert_eq!(list["documents"].as_array().map(Vec::len), Some(1));
    assert_eq!(owner.get(&path).await.json()["text"], "# Title\n\nText.\n");
}

#[tokio::test]
async fn files_are_bounded_before_they_are_read() {
    let owner = Owner::start().await;
    let large = vec![b'x'; 21 * 1024 * 1024];
    let parts = [("file", Some("a.txt"), large.as_slice())];
    owner
        .form("POST", "/knowledge", &parts)
        .await
        .refused(413, "payload_too_large");
    let fits = vec![b'x'; 5 * 1024 * 1024];
    let parts = [("file", Some("a.txt"), fits.as_slice())];
    owner
        .form("POST", "/knowledge", &parts)
        .await
        .refused(413, "payload_too_large");
    let call = owner
        .request("POST", "/knowledge")
        .json(&json!({"file": "x"}));
    owner.call(call).await.refused(415, "request_invalid");
}
