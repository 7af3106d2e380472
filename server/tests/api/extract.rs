//! Documents read by the process that the server starts for it: what a hostile file can do there is end that process.

use karta_server::extract::{Extractor, Unreadable};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::process::Command;

fn extractor() -> Extractor {
    Extractor::by(env!("CARGO_BIN_EXE_karta-server").into())
}

fn path(name: &str) -> String {
    format!(
        "{}/../fixtures/documents/{name}",
        env!("CARGO_MANIFEST_DIR")
    )
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("a fixture")
}

/// A program that stands in for the reader.
fn stand_in(folder: &Path, script: &str) -> Extractor {
    let program = folder.join("reader");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("set");
    Extractor::by(program)
}

#[tokio::test]
async fn documents_are_read_by_a_process_of_their_own() {
    let extractor = extractor();
    for (name, expected) in [
        ("shipping.docx", Ok("# Shipping")),
        ("returns.pdf", Ok("Returns")),
        ("laughs.docx", Err(Unreadable::Broken)),
        ("bomb.docx", Err(Unreadable::TooComplex)),
        ("bomb.pdf", Err(Unreadable::TooComplex)),
        ("encrypted.pdf", Err(Unreadable::Encrypted)),
        ("picture.pdf", Err(Unreadable::NoText)),
        ("spreadsheet.docx", Err(Unreadable::WrongType)),
    ] {
        let read = extractor.text(name, &fixture(name)).await;
        let first = read
            .as_deref()
            .map(|text| text.lines().next().unwrap_or(""));
        assert_eq!(first.map_err(|why| *why), expected, "{name}");
    }
}

#[tokio::test]
async fn however_a_reader_ends_there_is_a_reason() {
    let pdf = fixture("returns.pdf");
    for (script, expected) in [
        ("kill -9 $$", Unreadable::TooSlow),
        ("kill -6 $$", Unreadable::TooComplex),
        ("kill -11 $$", Unreadable::TooComplex),
        ("exit 101", Unreadable::Broken),
        ("exit 1", Unreadable::Broken),
        ("cat > /dev/null; printf '\\377'", Unreadable::Broken),
        ("exec yes", Unreadable::TooLarge),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let read = stand_in(folder.path(), script).text("a.pdf", &pdf).await;
        assert_eq!(read, Err(expected), "{script}");
    }
    let nobody = Extractor::by("/nowhere/karta-server".into());
    assert_eq!(
        nobody.text("a.pdf", &pdf).await,
        Err(Unreadable::Unavailable)
    );
}

#[tokio::test]
async fn a_reader_that_hangs_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("done");
    let script = format!("sleep 2; touch {}", mark.display());
    let extractor = stand_in(folder.path(), &script).with_patience(Duration::from_millis(300));
    let began = Instant::now();
    let read = extractor.text("a.pdf", &fixture("returns.pdf")).await;
    assert_eq!(read, Err(Unreadable::TooSlow));
    assert!(began.elapsed() < Duration::from_secs(2));
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    assert!(!mark.exists(), "it did not live on");
}

#[tokio::test]
async fn cut_and_bent_files_end_in_time_with_text_or_a_reason() {
    let extractor = extractor();
    let mut runner = TestRunner::deterministic();
    for name in ["shipping.docx", "returns.pdf"] {
        let whole = fixture(name);
        let cases = (0..whole.len(), 0..whole.len(), proptest::num::u8::ANY);
        for _ in 0..40 {
            let (cut, at, byte) = cases.new_tree(&mut runner).expect("a case").current();
            let mut bytes = whole.clone();
            bytes[at] = byte;
            if cut % 2 == 0 {
                bytes.truncate(cut.max(8));
            }
            let began = Instant::now();
            let read = extractor.text(name, &bytes).await;
            assert_ne!(read, Err(Unreadable::Unavailable));
            assert!(began.elapsed() < Duration::from_secs(20), "{bytes:?}");
        }
    }
}

#[tokio::test]
async fn the_command_line_adds_word_documents_and_pdfs() {
    let data = tempfile::tempdir().expect("a folder");
    let add = async |name: &str| {
        Command::new(env!("CARGO_BIN_EXE_karta-server"))
            .args(["knowledge", "add", &path(name), "--json", "--data-dir"])
            .arg(data.path())
            .output()
            .await
            .expect("ran")
    };
    for (name, title) in [("shipping.docx", "Shipping"), ("returns.pdf", "Returns")] {
        let output = add(name).await;
        assert!(output.status.success(), "{output:?}");
        let added: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(added[0]["title"], title);
    }
    let output = add("encrypted.pdf").await;
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        words.contains("encrypted.pdf is protected by a password"),
        "{words}"
    );
}
