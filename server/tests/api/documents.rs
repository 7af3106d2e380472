//! docs/ERRORS.md, docs/PROTOCOL.md and docs/COMPATIBILITY.md keep up with the code.

use karta_protocol::ErrorCode;
use karta_server::auth::limit::RULES;
use karta_server::error::status_of;
use std::path::Path;

const ERRORS: &str = include_str!("../../../docs/ERRORS.md");
const PROTOCOL: &str = include_str!("../../../docs/PROTOCOL.md");
const OPERATING: &str = include_str!("../../../docs/OPERATING.md");
const COMPATIBILITY: &str = include_str!("../../../docs/COMPATIBILITY.md");

#[test]
fn every_code_has_a_heading_with_its_status() {
    let headings: Vec<&str> = ERRORS
        .lines()
        .filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'))
        .collect();
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(headings, codes, "one heading per code, in order");
    for (code, section) in ErrorCode::ALL.iter().zip(ERRORS.split("\n## `").skip(1)) {
        let status = status_of(*code).as_u16().to_string();
        assert!(
            *code == ErrorCode::AgentFailed || section.contains(&status),
            "{code} names its status {status}"
        );
        for part in ["**Cause.**", "**Fix.**", "**Seen by.**"] {
            assert!(section.contains(part), "{code} lacks {part}");
        }
    }
}

#[test]
fn every_limit_is_documented_with_its_default() {
    for (_, _, name, per_minute) in RULES {
        let row = ERRORS
            .lines()
            .find(|line| line.contains(&format!("`KARTA_LIMIT_{name}`")));
        assert!(
            row.is_some_and(|row| row.contains(&format!("{per_minute}/1m"))),
            "{name}: {row:?}"
        );
    }
}

#[test]
fn every_call_and_event_is_in_the_protocol() {
    let router = include_str!("../../src/router.rs");
    for path in router
        .lines()
        .filter_map(|line| line.trim().strip_prefix(".route(\""))
    {
        let path = path.split('"').next().expect("a path");
        let documented = [PROTOCOL, OPERATING].iter().any(|text| text.contains(path));
        assert!(documented, "{path}");
    }
    let events = include_str!("../../../protocol/src/event.rs");
    for name in events.split('"').filter(|text| {
        ["user.", "agent.", "session.", "voice."]
            .iter()
            .any(|kind| text.starts_with(kind))
            && !text.contains(' ')
    }) {
        assert!(PROTOCOL.contains(name), "{name}");
    }
}

/// Each row of the tables ends in its proofs, `file: name`, or says plainly that the thing is not there.
#[test]
fn every_row_of_compatibility_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut wrong = Vec::new();
    let mut proofs = 0;
    let rows = COMPATIBILITY.lines().filter(|line| {
        line.starts_with("| ") && !line.starts_with("|---") && !line.ends_with("| proof |")
    });
    for row in rows {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next();
        let named: Vec<_> = cell
            .into_iter()
            .flat_map(|cell| cell.split("<br>"))
            .filter_map(|proof| proof.strip_prefix('`')?.strip_suffix('`')?.split_once(": "))
            .collect();
        if named.is_empty() && !row.contains("**not done**") && !row.contains("**Not done**") {
            wrong.push(format!("no test, and not said to be undone: {row}"));
        }
        for (file, name) in named {
            proofs += 1;
            let source = std::fs::read_to_string(root.join(file)).unwrap_or_default();
            let there = match file.rsplit('.').next() {
                Some("rs") => source.contains(&format!("fn {name}(")),
                // unittest takes for a test what begins so.
                Some("py") => {
                    name.starts_with("test_") && source.contains(&format!("def {name}(self)"))
                }
                _ => {
                    source.contains(&format!("test(\"{name}\""))
                        || source.contains(&format!("test(`{name}`"))
                }
            };
            if !there {
                wrong.push(format!("{file} has no test \"{name}\""));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(proofs > 150, "{proofs} proofs found");
}
