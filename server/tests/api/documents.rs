//! docs/ERRORS.md and docs/PROTOCOL.md keep up with the code.

use karta_protocol::ErrorCode;
use karta_server::auth::limit::RULES;
use karta_server::error::status_of;

const ERRORS: &str = include_str!("../../../docs/ERRORS.md");
const PROTOCOL: &str = include_str!("../../../docs/PROTOCOL.md");
const OPERATING: &str = include_str!("../../../docs/OPERATING.md");

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
