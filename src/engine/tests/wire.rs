//! Golden wire JSON (fixtures/wire): what a server sends, as the engine reads it.

use super::fake::server_layer;
use crate::engine::config::{Field, Layers, Source};
use crate::engine::session::log::Log;
use crate::engine::view_model::{ItemState, Role};
use karta_protocol::{SessionEvent, WidgetConfig};

#[test]
fn conversation_is_read_as_it_was_meant() {
    let lines = include_str!("../../../fixtures/wire/conversation.jsonl");
    let mut log = Log::default();
    for line in lines.lines() {
        let mut event: SessionEvent =
            serde_json::from_str(line).expect("the fixture is what a server sends");
        log.apply(&mut event, true);
    }
    let read: Vec<(Role, &str, ItemState)> = log
        .items()
        .iter()
        .map(|item| (item.role, item.text.as_str(), item.state))
        .collect();
    assert_eq!(
        read,
        [
            (Role::User, "Where is my parcel?", ItemState::Sent),
            (Role::Agent, "It left our warehouse.", ItemState::Done),
            (Role::User, "Can I talk to a person?", ItemState::Sent),
            (Role::Agent, "Of cour", ItemState::Interrupted),
        ]
    );
    assert_eq!(log.cursor(), 9);
    assert!(log.offer_person() && !log.running());
    assert_eq!(log.items()[1].sources.len(), 2);
    assert_eq!(log.items()[1].at_ms, Some(1_795_208_124_925));
}

#[test]
fn config_is_read_as_it_was_meant() {
    let config = include_str!("../../../fixtures/wire/config.json");
    let config: WidgetConfig =
        serde_json::from_str(config).expect("the fixture is what a server sends");
    let layer = server_layer(&config);
    assert_eq!(layer.rejected, []);
    assert!(layer.get(Field::WidgetEnabled).is_some());
    let mut layers = Layers::default();
    layers.set(Source::Server, layer);
    let config = layers.resolve("https://chat.test", &[]);
    let theme = config.theme();
    assert_eq!(theme.accent, "#d4ff4f");
    assert_eq!(theme.accent_foreground, "#102030");
    assert_eq!(theme.mode, "dark");
    assert_eq!(theme.position, "bl");
    for (field, value) in [
        (Field::LauncherLabel, "Talk to us"),
        (Field::AgentName, "Beans"),
        (Field::PrivacyNotice, "Calls may be recorded for quality."),
    ] {
        assert_eq!(config.get(field), Some(value));
    }
}
