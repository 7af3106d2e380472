//! Names that pages depend on. A change here is a change of the public API: CHANGELOG.md, EMBEDDING.md, npm types.

use crate::engine::dialect::{headless, karta};
use crate::engine::event::EventName;

#[test]
fn events() {
    let names: Vec<&str> = EventName::ALL.iter().map(|(_, name)| *name).collect();
    assert_eq!(
        names.join(" "),
        "ready open close session:started message:sent message:received unread escalate error limit_reached \
         voice:started voice:ended voice:muted transcript connection"
    );
}

#[test]
fn commands() {
    let names: Vec<&str> = karta::COMMANDS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names.join(" "),
        "init identify open close toggle sendMessage escalate on off once update \
         startVoice endVoice mute unmute shutdown reset"
    );
}

/// The names of settings are frozen beside the table that they come from (config/layer/tests.rs).
#[test]
fn readable_keys() {
    let read = "baseUrl projectRef agentRef agentId embedKey publicKey locale theme accent accentForeground agentName agentAvatar \
        greeting suggestedPrompts footer position mode launcherLabel userId identityToken userToken reason";
    for key in read.split(' ') {
        assert!(karta::is_readable(key), "{key}");
    }
    let not_read = "__proto__ logoUrl privacyNotice voice widgetEnabled name token toString";
    for key in not_read.split(' ').chain([""]) {
        assert!(!karta::is_readable(key), "{key}");
    }
    assert_eq!(karta::FREE_FORM, ["attributes", "context"]);
}

/// Pages bring an npm package of any age.
#[test]
fn intents() {
    let names: Vec<&str> = headless::INTENTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.join(" "), "connect stop retry confirmTool hear");
}

const TYPES: &str = include_str!("../../../www/npm/types.ts");

/// What stands between the braces after this line of types.ts.
fn declared(opening: &str) -> &'static str {
    let (_, rest) = TYPES.split_once(opening).expect("it is declared");
    rest.split_once("\n}").expect("it ends").0
}

#[test]
fn npm_types_name_every_event() {
    let events = declared("export interface Events {");
    let names: Vec<&str> = events
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .map(|(name, _)| name.trim_matches('"').trim_end_matches("\":"))
        .collect();
    let own: Vec<&str> = EventName::ALL.iter().map(|(_, name)| *name).collect();
    assert_eq!(names, own);
}
