//! Golden wire JSON (fixtures/wire): what a server sends, as the engine reads it.

use crate::engine::config::{Layers, Source, check};
use crate::engine::session::log::Log;
use crate::engine::view_model::{ColorMode, ItemState, Role};
use karta_protocol::{LauncherPosition, SessionEvent, WidgetConfig};

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
    assert!(config.features.widget_enabled);
    let mut rejections = Vec::new();
    let layers = Layers {
        server: check::check(
            check::server_layer(&config),
            Source::Server,
            &mut rejections,
        ),
        ..Layers::default()
    };
    assert_eq!(rejections, Vec::new());
    let config = layers.resolve("https://chat.test", &[]);
    assert_eq!(config.accent, "#d4ff4f");
    assert_eq!(config.accent_foreground, "#102030");
    assert_eq!(config.mode, ColorMode::Dark);
    assert_eq!(config.position, LauncherPosition::Bl);
    assert_eq!(config.launcher_label.as_deref(), Some("Talk to us"));
    assert_eq!(config.agent_name.as_deref(), Some("Beans"));
    assert_eq!(
        config.privacy_notice.as_deref(),
        Some("Calls may be recorded for quality.")
    );
}
