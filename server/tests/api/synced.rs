//! Nothing is acknowledged or shown before it is on the disk. A killed process proves nothing about that (the page cache survives
//! it), so the kernel is asked: strace writes down every write and every sync of the running server, in their order.

use crate::process::{Running, karta, make_key};
use futures::StreamExt;
use serde_json::json;
use std::path::Path;
use tokio::process::Command;

const MESSAGES: usize = 20;

/// What a line of the trace means here.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The write-ahead log got bytes that hold the text.
    Written,
    /// A sync of the write-ahead log has come back.
    Synced,
    /// Bytes left by a TCP connection: the acknowledgement, or the text.
    Left,
}

/// The steps of one message, in order. `syncing` are the threads inside a sync that has not come back.
fn steps(trace: &str, text: &str) -> Vec<Step> {
    let mut syncing = std::collections::HashSet::new();
    let mut steps = Vec::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap_or((line, ""));
        let call = call.trim_start();
        let sync = call.starts_with("fdatasync(") || call.starts_with("fsync(");
        if sync && call.contains("karta.db-wal>") {
            if call.ends_with("<unfinished ...>") {
                syncing.insert(thread);
            } else if call.ends_with("= 0") {
                steps.push(Step::Synced);
            }
        } else if call.starts_with("<... f") && call.contains("sync resumed") {
            if syncing.remove(thread) && call.ends_with("= 0") {
                steps.push(Step::Synced);
            }
        } else if call.contains("karta.db-wal>") && call.contains(text) {
            steps.push(Step::Written);
        } else if call.contains("<TCP:") && (call.contains(text) || call.contains("202 Accepted")) {
            steps.push(Step::Left);
        }
    }
    steps
}

async fn strace_works(data: &Path) -> Result<(), String> {
    let tried = Command::new("strace")
        .args(["-f", "-y", "-o"])
        .arg(data.join("try"))
        .arg("true")
        .output()
        .await;
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("strace cannot be run: {error}")),
    }
}

#[tokio::test]
async fn a_message_is_synced_before_it_is_acknowledged_or_shown() {
    let data = tempfile::tempdir().expect("a folder");
    if let Err(why) = strace_works(data.path()).await {
        println!("skipped, nothing proven: {why}");
        return;
    }
    let key = make_key(data.path()).await;
    let trace = data.path().join("trace");
    let server = karta(data.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let mut command = Command::new("strace");
    command
        .args(["-f", "-yy", "-s", "100000", "-o"])
        .arg(&trace)
        .args([
            "-e",
            "trace=fsync,fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg",
        ])
        .arg(server.as_std().get_program())
        .args(server.as_std().get_args());
    let server = Running::spawn(command).await;
    let body = json!({"client_key": key["public_key"]});
    let guest = server.post("/auth/guest", "", body).await;
    let token = guest["token"].as_str().expect("a token");
    let session = server.post("/sessions", token, json!({})).await;
    let session = format!("/sessions/{}", session["id"].as_str().expect("an id"));
    let mut stream = server
        .get(&format!("{session}/events/stream"), token)
        .await
        .bytes_stream();
    let texts: Vec<String> = (0..MESSAGES).map(|n| format!("CANARY-{n}-END")).collect();
    for (n, text) in texts.iter().enumerate() {
        let message = json!({"type": "user.message", "id": format!("m{n}"), "text": text});
        let path = format!("{session}/events");
        let accepted = server.post(&path, token, message).await;
        assert!(accepted["seq"].is_u64(), "{accepted}");
        let mut shown = String::new();
        while !shown.contains(text) {
            let piece = stream.next().await.expect("a frame").expect("readable");
            shown.push_str(&String::from_utf8_lossy(&piece));
        }
    }
    drop(stream);
    let trace = {
        // The traced process is the first in the file; strace ends with it.
        let so_far = std::fs::read_to_string(&trace).expect("a trace");
        let pid = so_far.split(' ').next().expect("a process").to_owned();
        server.stop_process(&pid).await;
        std::fs::read_to_string(&trace).expect("a trace")
    };
    for text in &texts {
        let steps = steps(&trace, text);
        // Earlier messages' acknowledgements lie before the first write of this one.
        let written = steps.iter().position(|step| *step == Step::Written);
        let after = &steps[written.expect("written to the log")..];
        let synced = after.iter().position(|step| *step == Step::Synced);
        let left = after.iter().position(|step| *step == Step::Left);
        let (synced, left) = (synced.expect("synced"), left.expect("acknowledged"));
        assert!(synced < left, "{text} left before its sync: {after:?}");
    }
}

#[test]
fn a_trace_is_read_with_calls_that_overlap() {
    fn check(trace: &str, expected: &[Step]) {
        assert_eq!(steps(trace, "HELLO"), expected, "{trace}");
    }
    let write = r#"11 pwrite64(9</d/karta.db-wal>, "..HELLO..", 4096, 32) = 4096"#;
    let reply =
        r#"12 writev(7<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base="HTTP/1.1 202 Accepted\r\n"#;
    check(
        &format!("{write}\n11 fdatasync(9</d/karta.db-wal>) = 0\n{reply}"),
        &[Step::Written, Step::Synced, Step::Left],
    );
    check(
        &format!(
            "{write}\n11 fdatasync(9</d/karta.db-wal> <unfinished ...>\n{reply}\n11 <... fdatasync resumed>) = 0"
        ),
        &[Step::Written, Step::Left, Step::Synced],
    );
    check("11 fdatasync(9</d/karta.db>) = 0", &[]);
    check("11 fdatasync(9</d/karta.db-wal>) = -1 EIO", &[]);
}
