//! Files of visitors: what is taken, what is refused, who gets it back, and that it goes when it should.

use crate::server::{API, Call, PAGE, Reply, Server, get, post};
use axum::body::Body;
use axum::http::StatusCode;
use karta_server::auth::limit::{Rate, Rates};
use karta_server::retention::sweep;
use karta_server::service::agents::AgentChange;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const FORM: &str = "multipart/form-data; boundary=B";
const MB: usize = 1024 * 1024;

async fn taking() -> Server {
    taking_with(Rates::off()).await
}

async fn taking_with(rates: Rates) -> Server {
    let server = Server::with_rates(rates).await;
    let change = AgentChange {
        upload_enabled: Some(true),
        ..AgentChange::default()
    };
    server.change_agent(change).await;
    server
}

fn form(id: Option<&str>, name: &str, declared: &str, content: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    if let Some(id) = id {
        body.extend(
            format!("--B\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n{id}\r\n").bytes(),
        );
    }
    let head = format!(
        "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {declared}\r\n\r\n"
    );
    body.extend(head.bytes());
    body.extend(content);
    body.extend(b"\r\n--B--\r\n");
    body
}

fn upload(token: &str, session: &str, body: impl Into<Body>) -> Call {
    post(&format!("/sessions/{session}/files"))
        .bearer(token)
        .body(FORM, body)
}

async fn send(server: &Server, token: &str, session: &str, name: &str, content: &[u8]) -> Reply {
    let body = form(None, name, "application/octet-stream", content);
    server.call(upload(token, session, body)).await
}

async fn fetch(server: &Server, token: &str, session: &str, id: &str) -> Reply {
    let path = format!("/sessions/{session}/files/{id}");
    server.call(get(&path).bearer(token)).await
}

fn id_of(reply: &Reply) -> String {
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    reply.json()["id"].as_str().expect("an id").to_owned()
}

/// Every file below `files`, whole or arriving.
fn on_disk(server: &Server) -> Vec<PathBuf> {
    let root = server.data.path().join("files");
    let folders = std::fs::read_dir(root).expect("a folder");
    folders
        .flat_map(|folder| std::fs::read_dir(folder.expect("one").path()).expect("a folder"))
        .map(|file| file.expect("one").path())
        .collect()
}

fn age(path: &PathBuf) {
    let file = std::fs::File::options()
        .write(true)
        .open(path)
        .expect("open");
    let hour = Duration::from_secs(3_600);
    file.set_modified(std::time::SystemTime::now() - hour)
        .expect("aged");
}

#[tokio::test]
async fn a_file_is_kept_told_and_given_back_as_a_download() {
    let server = taking().await;
    let (token, session) = server.session().await;
    let body = form(Some("u-1"), "März.png", "image/png", PNG);
    let reply = server.call(upload(&token, &session, body)).await;
    let id = id_of(&reply);
    let size = PNG.len();
    assert_eq!(
        reply.json(),
        json!({"id": id, "name": "März.png", "size": size, "media_type": "image/png"})
    );
    assert!(id.starts_with("f_") && id.len() == 34, "{id}");
    let place = format!("{API}/sessions/{session}/files/{id}");
    assert_eq!(reply.header("location"), place);
    server.say(&token, &session, "m1", "Look").await;
    let log = server.log(&token, &session, 5).await;
    let mut told = log[0].clone();
    told.as_object_mut().expect("fields").remove("at_ms");
    assert_eq!(
        told,
        json!({"type": "user.file", "seq": 1, "id": id, "name": "März.png", "size": size, "media_type": "image/png"})
    );
    let seqs: Vec<_> = log.iter().filter_map(|e| e["seq"].as_u64()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    let reply = fetch(&server, &token, &session, &id).await;
    assert_eq!((reply.status, reply.body.as_slice()), (StatusCode::OK, PNG));
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-length", &size.to_string()),
        (
            "content-disposition",
            "attachment; filename=\"M_rz.png\"; filename*=UTF-8''M%C3%A4rz.png",
        ),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, no-store"),
    ] {
        assert_eq!(reply.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn what_the_config_says_is_what_the_server_does() {
    let server = Server::start().await;
    let (token, session) = server.session().await;
    send(&server, &token, &session, "a.png", PNG)
        .await
        .refused(403, "uploads_disabled");
    assert_eq!(on_disk(&server), Vec::<PathBuf>::new());
    let path = format!("/config?client_key={}", server.key.public_key);
    let features = async || server.call(get(&path)).await.json()["features"]["upload"].clone();
    assert_eq!(features().await, false);
    let change = AgentChange {
        upload_enabled: Some(true),
        ..AgentChange::default()
    };
    server.change_agent(change).await;
    assert_eq!(features().await, true);
    id_of(&send(&server, &token, &session, "a.png", PNG).await);
}

#[tokio::test]
async fn content_decides_what_is_taken() {
    let server = taking().await;
    let (token, session) = server.session().await;
    let word = b"PK\x03\x04....[Content_Types].xml....word/document.xml";
    for (name, declared, content, media_type) in [
        ("a.png", "image/png", PNG, "image/png"),
        ("a.jpeg", "image/jpeg", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("a.gif", "image/gif", b"GIF89a", "image/gif"),
        ("a.webp", "image/webp", b"RIFF....WEBPVP8 ", "image/webp"),
        ("a.pdf", "application/pdf", b"%PDF-1.7", "application/pdf"),
        (
            "a.docx",
            "",
            word,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        ("a.txt", "text/plain", "Grüße".as_bytes(), "text/plain"),
        ("a.md", "", b"# A", "text/markdown"),
        ("a.csv", "application/vnd.ms-excel", b"a,b", "text/csv"),
    ] {
        let body = form(None, name, declared, content);
        let reply = server.call(upload(&token, &session, body)).await;
        id_of(&reply);
        assert_eq!(reply.json()["media_type"], media_type, "{name}");
    }
    for (name, declared, content) in [
        (
            "a.png",
            "image/png",
            b"<html><script>alert(1)</script>".as_slice(),
        ),
        ("a.png", "image/png", b"\xff\xd8\xff\xe0"),
        ("a.png", "image/jpeg", PNG),
        ("a.png", "text/html", PNG),
        ("a.html", "image/png", PNG),
        ("a.html", "text/html", b"<html>"),
        ("a.svg", "image/svg+xml", b"<svg/>"),
        ("a.txt", "text/plain", b"a\0b"),
        ("a.txt", "text/plain", b"Gr\xfc\xdfe"),
        ("a.exe", "application/octet-stream", b"MZ\x90\0"),
        ("a.zip", "application/zip", b"PK\x03\x04"),
        ("a.docx", "", b"PK\x03\x04...."),
        ("a.pdf", "application/pdf", b"<html>%PDF-"),
    ] {
        let body = form(None, name, declared, content);
        let reply = server.call(upload(&token, &session, body)).await;
        reply.refused(415, "file_type_not_allowed");
    }
    assert_eq!(
        on_disk(&server).len(),
        9,
        "nothing of what was refused stays"
    );
}

#[tokio::test]
async fn a_picture_that_is_a_page_too_is_a_download_that_nothing_runs() {
    let server = taking().await;
    let (token, session) = server.session().await;
    let both = [PNG, b"<html><script>alert(1)</script>"].concat();
    let id = id_of(&send(&server, &token, &session, "a.png", &both).await);
    let reply = fetch(&server, &token, &session, &id).await;
    assert_eq!(reply.header("content-type"), "image/png");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert!(
        reply
            .header("content-disposition")
            .starts_with("attachment;")
    );
    assert!(reply.header("content-security-policy").contains("sandbox"));
}

#[tokio::test]
async fn too_large_and_empty_files_are_refused() {
    let server = taking().await;
    let (token, session) = server.session().await;
    send(&server, &token, &session, "a.txt", b"")
        .await
        .refused(400, "request_invalid");
    let most = vec![b'x'; 10 * MB];
    id_of(&send(&server, &token, &session, "a.txt", &most).await);
    let more = vec![b'x'; 10 * MB + 1];
    let reply = send(&server, &token, &session, "a.txt", &more).await;
    reply.refused(413, "payload_too_large");
    // Without a length, and without an end.
    let head = form(None, "a.txt", "text/plain", b"");
    let head = head[..head.len() - 9].to_vec();
    let endless = futures::stream::iter(
        std::iter::once(head).chain(std::iter::repeat_n(vec![b'x'; MB], 1_000)),
    );
    let endless = Body::from_stream(futures::StreamExt::map(endless, Ok::<_, std::io::Error>));
    let reply = server.call(upload(&token, &session, endless)).await;
    reply.refused(413, "payload_too_large");
    assert_eq!(on_disk(&server).len(), 1);
}

#[tokio::test]
async fn names_are_cleaned_and_never_become_paths() {
    let server = taking().await;
    let (token, session) = server.session().await;
    for (given, expected) in [
        ("../../karta.db.txt", "karta.db.txt"),
        ("/etc/cron.d/x.txt", "x.txt"),
        ("C:\\\\temp\\\\x.txt", "x.txt"),
        ("a\u{202e}txt.b.txt", "atxt.b.txt"),
        (".txt", "file.txt"),
    ] {
        let reply = send(&server, &token, &session, given, b"x").await;
        let id = id_of(&reply);
        assert_eq!(reply.json()["name"], expected, "{given}");
        let place = server.data.path().join("files").join(&session).join(&id);
        assert!(place.is_file(), "{given}");
    }
    let long = format!("{}.txt", "x".repeat(500));
    let reply = send(&server, &token, &session, &long, b"x").await;
    id_of(&reply);
    assert_eq!(reply.json()["name"].as_str().map(str::len), Some(128));
    for id in [
        "..%2f..%2f..%2fsecret.key",
        "..",
        "%2e%2e",
        "f_0",
        "%00",
        "incoming",
    ] {
        let reply = fetch(&server, &token, &session, id).await;
        assert!(
            (400..500).contains(&reply.status.as_u16()),
            "{id} {reply:?}"
        );
    }
}

#[tokio::test]
async fn a_file_belongs_to_its_visitor() {
    let server = taking().await;
    let (token, session) = server.session().await;
    let id = id_of(&send(&server, &token, &session, "a.png", PNG).await);
    let (stranger, own) = server.session().await;
    fetch(&server, &stranger, &session, &id)
        .await
        .refused(404, "session_not_found");
    fetch(&server, &stranger, &own, &id)
        .await
        .refused(404, "not_found");
    send(&server, &stranger, &session, "a.png", PNG)
        .await
        .refused(404, "session_not_found");
    let path = format!("/sessions/{session}/files/{id}");
    server.call(get(&path)).await.refused(401, "token_missing");
    let body = form(None, "a.png", "image/png", PNG);
    for (call, path) in [
        (upload(&token, &session, body), ""),
        (get(&path).bearer(&token), ""),
    ] {
        let reply = server.call(call.page("https://evil.example")).await;
        reply.refused(403, "origin_not_allowed");
        assert_eq!(path, "");
    }
    assert_eq!(fetch(&server, &token, &session, &id).await.body, PNG);
}

#[tokio::test]
async fn sending_again_changes_nothing() {
    let server = taking().await;
    let (token, session) = server.session().await;
    let send = async |id: &str, content: &[u8]| {
        let body = form(Some(id), "a.txt", "text/plain", content);
        server.call(upload(&token, &session, body)).await
    };
    let first = send("u1", b"one").await;
    let id = id_of(&first);
    let again = send("u1", b"two").await;
    assert_eq!((again.status, again.json()), (first.status, first.json()));
    assert_eq!(fetch(&server, &token, &session, &id).await.body, b"one");
    assert_ne!(id_of(&send("u2", b"two").await), id);
    let at_once = futures::future::join_all((0..8).map(|_| send("u3", b"three"))).await;
    let ids: std::collections::HashSet<_> = at_once.iter().map(id_of).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(server.log(&token, &session, 3).await.len(), 3);
    assert_eq!(on_disk(&server).len(), 3);
}

#[tokio::test]
async fn a_session_takes_so_many_files_and_so_much() {
    let server = taking().await;
    let (token, session) = server.session().await;
    for _ in 0..20 {
        id_of(&send(&server, &token, &session, "a.txt", b"x").await);
    }
    let reply = send(&server, &token, &session, "a.txt", b"x").await;
    reply.refused(429, "limit_reached");
    let session = server.new_session(&token).await;
    let large = vec![b'x'; 10 * MB];
    for _ in 0..5 {
        id_of(&send(&server, &token, &session, "a.txt", &large).await);
    }
    let reply = send(&server, &token, &session, "a.txt", b"x").await;
    reply.refused(429, "limit_reached");
    assert_eq!(on_disk(&server).len(), 25);
}

#[tokio::test]
async fn uploads_have_a_rate() {
    let mut rates = Rates::off();
    rates.set("UPLOADS_PER_VISITOR", Rate::per_minute(2));
    let server = taking_with(rates).await;
    let (token, session) = server.session().await;
    for _ in 0..2 {
        id_of(&send(&server, &token, &session, "a.txt", b"x").await);
    }
    let reply = send(&server, &token, &session, "a.txt", b"x").await;
    reply.refused(429, "rate_limited");
}

#[tokio::test]
async fn forgetting_and_retention_remove_the_bytes() {
    let server = taking().await;
    let change = AgentChange {
        retention_days: Some(30),
        ..AgentChange::default()
    };
    server.change_agent(change).await;
    let (token, session) = server.session().await;
    id_of(&send(&server, &token, &session, "a.png", PNG).await);
    let (other, others) = server.session().await;
    let kept = id_of(&send(&server, &other, &others, "b.png", PNG).await);
    assert_eq!(on_disk(&server).len(), 2);
    let forget = Call::new("DELETE", &format!("{API}/me")).page(PAGE);
    let reply = server.call(forget.bearer(&token)).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert_eq!(on_disk(&server).len(), 1);
    assert_eq!(fetch(&server, &other, &others, &kept).await.body, PNG);
    let later = server.app.clock.now_ms() + 31 * 24 * 3_600_000;
    let swept = sweep(server.store.as_ref(), &server.app.sessions, later).await;
    assert_eq!(swept.expect("swept").sessions, 1);
    assert_eq!(on_disk(&server), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_a_crash_left_is_swept_and_what_the_log_names_stays() {
    let server = taking().await;
    let (token, session) = server.session().await;
    let id = id_of(&send(&server, &token, &session, "a.png", PNG).await);
    let files = server.data.path().join("files");
    let crashed = [
        files.join("incoming/i_1"),
        files.join(&session).join("f_1"),
        files.join("s_gone").join("f_2"),
    ];
    std::fs::create_dir(files.join("s_gone")).expect("a folder");
    for path in &crashed {
        std::fs::write(path, b"x").expect("written");
    }
    let now_ms = server.app.clock.now_ms();
    let sessions = &server.app.sessions;
    let sweep = async || sessions.sweep_files(now_ms).await.expect("swept");
    assert_eq!(sweep().await, 0, "an upload may be under way");
    crashed.iter().for_each(age);
    age(&files.join(&session).join(&id));
    assert_eq!(sweep().await, 3);
    assert_eq!(on_disk(&server), [files.join(&session).join(&id)]);
    assert!(!files.join("s_gone").exists());
}

#[tokio::test]
async fn no_malformed_form_is_an_error_of_ours() {
    let server = taking().await;
    let (token, session) = server.session().await;
    let whole = form(Some("u1"), "a.txt", "text/plain", b"x");
    let part = |head: &str, content: &str| {
        format!("--B\r\n{head}\r\n\r\n{content}\r\n--B--\r\n").into_bytes()
    };
    let file = "Content-Disposition: form-data; name=\"file\"";
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        (FORM, Vec::new()),
        (FORM, b"--B--\r\n".to_vec()),
        (FORM, b"not a form".to_vec()),
        (FORM, vec![b'x'; MB]),
        (FORM, [b"--B\r\n".to_vec(), vec![b'h'; MB]].concat()),
        (FORM, part(file, "no name of a file")),
        (FORM, part("Content-Disposition: form-data", "x")),
        (
            FORM,
            part("Content-Disposition: form-data; name=\"other\"", "x"),
        ),
        (
            FORM,
            part("Content-Disposition: form-data; name=\"id\"", "only an id"),
        ),
        (FORM, part("X: y", "x")),
        (FORM, part("", "x")),
        (FORM, part("\u{0}", "x")),
        (FORM, form(Some("a b"), "a.txt", "", b"x")),
        (FORM, form(Some(""), "a.txt", "", b"x")),
        (FORM, form(Some(&"x".repeat(65)), "a.txt", "", b"x")),
        (FORM, form(Some("\u{0}"), "a.txt", "", b"x")),
        ("multipart/form-data", whole.clone()),
        ("multipart/form-data; boundary=", whole.clone()),
        ("multipart/form-data; boundary=other", whole.clone()),
        ("multipart/mixed; boundary=B", whole.clone()),
        ("application/json", b"{}".to_vec()),
        ("text/plain", whole.clone()),
        ("", whole.clone()),
    ];
    let two = String::from_utf8(whole.clone()).expect("text");
    cases.push((FORM, two.replace("--B--\r\n", &two).into_bytes()));
    // Cut anywhere; without its last byte or two the form is still whole.
    for end in 0..whole.len() - 4 {
        cases.push((FORM, whole[..end].to_vec()));
    }
    for (content_type, body) in cases {
        let shown = String::from_utf8_lossy(&body)
            .chars()
            .take(300)
            .collect::<String>();
        let call = upload(&token, &session, body).header("content-type", content_type);
        let reply = server.call(call).await;
        let status = reply.status.as_u16();
        assert!(
            (400..500).contains(&status),
            "{content_type} {shown:?} {reply:?}"
        );
        reply.code();
    }
    // A head without an end, which the form's reader would keep: cut long before the largest form.
    let pieces = (0..160).map(|n| {
        Ok::<_, std::io::Error>(if n == 0 {
            b"--B\r\nX: ".to_vec()
        } else {
            vec![b'h'; 64 * 1024]
        })
    });
    let endless = Body::from_stream(futures::stream::iter(pieces));
    let reply = server.call(upload(&token, &session, endless)).await;
    reply.refused(400, "request_invalid");
    assert_eq!(on_disk(&server), Vec::<PathBuf>::new());
    id_of(&server.call(upload(&token, &session, whole)).await);
}
