//! The command line over a real data directory.

use super::*;
use crate::service::ACCOUNT;
use crate::store::sqlite::SqliteStore;
use crate::store::{SessionRecord, Store as _};
use clap::CommandFactory as _;
use karta_protocol::{EventType, SessionEvent, SessionInfo};
use serde_json::Value;

mod agents;
mod keys;
mod knowledge;
mod settings;

async fn run(dir: &Path, line: &[&str]) -> Result<String, ServiceError> {
    let words = ["karta-server"].iter().chain(line);
    let cli = Cli::try_parse_from(words).expect("a command line");
    match cli.command {
        Command::Admin(command) => carry_out(command, dir).await,
        Command::Serve(_) | Command::Extract { .. } => panic!("not run here"),
    }
}

async fn run_json(dir: &Path, line: &[&str]) -> Value {
    let text = run(dir, &[line, &["--json"]].concat()).await.expect("done");
    serde_json::from_str(&text).expect("JSON")
}

async fn refused(dir: &Path, line: &[&str], part: &str) {
    let error = run(dir, line).await.expect_err("refused");
    let words = words(&error, dir);
    assert!(words.contains(part), "{words}");
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_takes_the_data_directory() {
    for line in [
        "karta-server serve --listen 127.0.0.1:0 --data-dir /tmp/x",
        "karta-server --data-dir /tmp/x keys list",
        "karta-server knowledge add a.md --data-dir /tmp/x",
    ] {
        let cli = Cli::try_parse_from(line.split(' ')).expect("a command line");
        assert_eq!(cli.data_dir, Path::new("/tmp/x"));
    }
}

#[tokio::test]
async fn wrong_orders_say_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    std::fs::write(dir.join("a.pdf"), "x").expect("written");
    std::fs::write(dir.join("b.md"), [0xff, 0xfe]).expect("written");
    std::fs::write(dir.join("c.md"), "# Only a title\n").expect("written");
    std::fs::write(dir.join("d.md"), "Source: javascript:alert(1)\n\nText").expect("written");
    let file = |name: &str| dir.join(name).to_string_lossy().into_owned();
    refused(
        dir,
        &["keys", "create", "--name", "x", "--origin", "*"],
        "https://",
    )
    .await;
    refused(
        dir,
        &[
            "keys",
            "create",
            "--name",
            " ",
            "--origin",
            "https://a.example",
        ],
        "name",
    )
    .await;
    refused(
        dir,
        &[
            "keys",
            "create",
            "--name",
            "x",
            "--origin",
            "https://a.example",
            "--agent",
            "a_no",
        ],
        "agents list",
    )
    .await;
    refused(dir, &["keys", "disable", "pk_no"], "keys list").await;
    refused(
        dir,
        &["agents", "update", "a_no", "--name", "x"],
        "agents list",
    )
    .await;
    refused(
        dir,
        &["agents", "create", "--name", "x", "--temperature", "7"],
        "between 0 and 2",
    )
    .await;
    refused(dir, &["knowledge", "remove", "d_no"], "knowledge list").await;
    refused(dir, &["knowledge", "add", &file("none.md")], "cannot read").await;
    refused(
        dir,
        &["knowledge", "add", &file("a.pdf")],
        "what the end of its name says",
    )
    .await;
    refused(dir, &["knowledge", "add", &file("b.md")], "holds no text").await;
    refused(dir, &["knowledge", "add", &file("c.md")], "no text").await;
    refused(dir, &["knowledge", "add", &file("d.md")], "https://").await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "x").expect("written");
    refused(&file, &["keys", "list"], "--data-dir").await;
}
