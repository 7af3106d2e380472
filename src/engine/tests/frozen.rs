//! Names that pages depend on. A change here is a change of the public API: CHANGELOG.md, EMBEDDING.md, npm types.

use crate::engine::dialect::{attributes, karta};
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
    assert_eq!(
        karta::COMMANDS.join(" "),
        "init identify open close toggle sendMessage escalate on off once update shutdown reset"
    );
}

#[test]
fn readable_keys() {
    assert_eq!(
        karta::READABLE.join(" "),
        "baseUrl projectRef agentRef embedKey locale theme accent accentForeground agentName agentAvatar greeting \
         suggestedPrompts footer position mode launcherLabel userId identityToken userToken attributes reason context"
    );
}

#[test]
fn attributes() {
    assert_eq!(
        attributes::NAMES.join(" "),
        "embed-key client-key token base-url project agent agent-ref locale user-id identity-token user-hash user-token \
         theme-accent theme-accent-foreground theme-agent-name theme-agent-avatar theme-greeting \
         theme-suggested-prompts theme-footer theme-position theme-mode theme-launcher-label theme-locale"
    );
}
