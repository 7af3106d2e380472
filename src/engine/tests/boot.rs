//! Boot, config, phases, subscriptions.

use super::fake::*;
use crate::engine::command::{CallbackId, Command};
use crate::engine::config::Layer;
use crate::engine::effect::{Effect, Focus, Reply, Timer};
use crate::engine::event::EventName;
use crate::engine::machine::{Boot, Msg, Ui};
use serde_json::json;

pub fn without_config() -> Boot {
    Boot {
        prefetched: None,
        ..boot()
    }
}

pub fn without_key() -> Boot {
    Boot {
        attributes: Layer::default(),
        ..without_config()
    }
}

#[test]
fn launcher_shows_at_once_with_the_prefetched_config() {
    let world = World::new(boot());
    assert!(world.has_launcher());
    assert_eq!(world.requests("").len(), 0, "nothing is asked again");
    assert_eq!(world.machine().view().panel, None);
}

#[test]
fn prefetched_config_of_another_url_is_not_used() {
    let mut boot = boot();
    boot.prefetched = Some((
        "https://elsewhere.test/config".into(),
        Ok(Box::new(config())),
    ));
    let world = World::new(boot);
    assert!(!world.has_launcher());
    assert_eq!(world.request("/config").url, config_url());
}

#[test]
fn launcher_waits_for_config_but_not_for_ever() {
    let mut world = World::new(without_config());
    assert!(!world.has_launcher());
    world.advance(599);
    assert!(!world.has_launcher());
    world.advance(1);
    assert!(world.has_launcher());
    // A late answer still changes the look.
    world.reply_ok("/config", Reply::Config(Box::new(config())));
    world.open();
    assert_eq!(world.panel().title, "Beans");
}

#[test]
fn unreachable_server_does_not_keep_the_launcher_away_and_config_is_retried() {
    let mut world = World::new(without_config());
    world.reply_err("/config", network());
    assert!(world.has_launcher());
    for attempt in 2..6 {
        world.advance(300_000);
        assert_eq!(world.requests("/config").len(), attempt);
        world.reply_err("/config", failure(500, ""));
    }
    world.advance(600_000);
    world.reply_ok("/config", Reply::Config(Box::new(config())));
    world.advance(10_000_000);
    assert_eq!(world.requests("/config").len(), 6, "an answer ends it");
}

#[test]
fn widget_that_is_switched_off_shows_nothing_and_does_nothing() {
    let mut boot = boot();
    boot.prefetched = Some((config_url(), Ok(Box::new(switched_off()))));
    let mut world = World::new(boot);
    assert!(!world.has_launcher());
    world.open();
    world.call(Command::SendMessage("hi".into()));
    assert!(!world.has_launcher());
    assert_eq!(world.requests("").len(), 0);
    assert_eq!(world.warnings(), ["widget_disabled_for_agent"], "said once");
}

#[test]
fn switched_off_by_error_code_hides_too() {
    let mut world = World::new(without_config());
    world.reply_err("/config", failure(403, "widget_disabled_for_agent"));
    assert!(!world.has_launcher());
}

#[test]
fn secret_key_is_complained_about_and_nothing_is_sent() {
    for by_tag in [true, false] {
        let mut world = World::new(Boot {
            attributes: if by_tag {
                tag(&[("data-embed-key", "sk_live_x_secret")])
            } else {
                Layer::default()
            },
            ..without_config()
        });
        if !by_tag {
            world.call(init(&[("embedKey", "sk_live_x_secret")]));
        }
        world.open();
        world.call(Command::SendMessage("hi".into()));
        world.advance(100_000);
        assert_eq!(world.requests("").len(), 0);
        assert!(!world.has_launcher());
        let complaints = world.count(|effect| matches!(effect, Effect::Complain { code, .. } if *code == "secret_key_in_browser"));
        assert_eq!(complaints, 1);
        assert_eq!(world.warnings().len(), 1, "said once is enough");
        let told = world.heard(EventName::Error);
        assert_eq!(told[0]["code"], "secret_key_in_browser", "{by_tag}");
        assert!(
            !format!("{:?}", world.effects()).contains("secret\""),
            "the key is never repeated"
        );
    }
}

/// What needs no config waits too, once something waits before it: a slow network must not change what a page has said.
#[test]
fn ready_fires_once_when_the_panel_is_mounted() {
    let mut world = World::new(boot());
    assert_eq!(world.event_names(), Vec::<&str>::new());
    world.open();
    world.call(Command::Close);
    world.call(Command::Toggle);
    world.call(Command::Toggle);
    assert_eq!(
        world.event_names(),
        ["ready", "open", "close", "open", "close"]
    );
}

#[test]
fn screen_comes_before_events_and_focus() {
    let mut world = World::new(boot());
    world.forget_effects();
    world.open();
    assert_eq!(world.effects().first(), Some(&Effect::Render));
    assert_eq!(
        world.count(|effect| *effect == Effect::Focus(Focus::Composer)),
        1
    );
    world.forget_effects();
    world.send(Msg::Ui(Ui::EscapePressed));
    assert_eq!(
        world.count(|effect| *effect == Effect::Focus(Focus::Launcher)),
        1
    );
}

#[test]
fn send_message_mounts_without_opening() {
    let mut world = World::new(boot());
    world.call(Command::SendMessage("hi".into()));
    assert!(!world.panel().open);
    assert_eq!(world.event_names(), ["ready", "message:sent"]);
    assert_eq!(world.lines(), ["hi"]);
}

#[test]
fn second_init_keeps_first_config() {
    let mut world = World::new(boot());
    world.call(init(&[("theme.accent", "#111111")]));
    world.open();
    world.call(init(&[("theme.accent", "#222222")]));
    world.call(init(&[("theme.accent", "#333333")]));
    assert_eq!(world.machine().view().theme.accent, "#111111");
    assert_eq!(world.warnings(), ["already_mounted"]);
}

#[test]
fn update_changes_the_look_after_mount() {
    let mut world = World::new(boot());
    world.open();
    world.call(update(&[
        ("theme.accent", "#123456"),
        ("theme.greeting", "Hallo!"),
        ("locale", "de"),
    ]));
    assert_eq!(world.machine().view().theme.accent, "#123456");
    assert_eq!(world.panel().words.send, "Nachricht senden");
    assert_eq!(world.items()[0].text, "Hallo!");
}

#[test]
fn init_with_another_key_asks_its_config() {
    let mut world = World::new(boot());
    world.call(init(&[("embedKey", "pk_other")]));
    assert!(
        world
            .request("/config")
            .url
            .ends_with("client_key=pk_other")
    );
    world.open();
    let body = format!("{:?}", world.request("/auth/guest").body);
    assert!(body.contains("pk_other"));
}

#[test]
fn config_of_a_key_that_was_replaced_is_not_waited_for() {
    let mut world = World::new(without_config());
    let first = world.request("/config").id;
    world.call(init(&[("embedKey", "pk_other")]));
    assert_eq!(
        world.count(|effect| *effect == Effect::CancelHttp(first)),
        1
    );
    world.reply(first, Ok(Reply::Config(Box::new(switched_off()))));
    world.reply_ok("/config", Reply::Config(Box::new(config())));
    assert!(world.has_launcher());
}

#[test]
fn another_key_brings_back_a_widget_that_was_switched_off() {
    let mut world = World::new(without_config());
    world.reply_ok("/config", Reply::Config(Box::new(switched_off())));
    world.call(init(&[("embedKey", "pk_other")]));
    world.reply_ok("/config", Reply::Config(Box::new(config())));
    assert!(world.has_launcher());
}

#[test]
fn bad_values_are_warned_about_with_their_source() {
    let mut boot = boot();
    boot.attributes = tag(&[("data-embed-key", KEY), ("data-theme-accent", "red")]);
    let mut world = World::new(boot);
    world.call(init(&[("theme.accent", "nope")]));
    let messages: Vec<String> = world
        .effects()
        .iter()
        .filter_map(|effect| match effect {
            Effect::Warn { message, .. } => Some(message.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(messages.len(), 2);
    assert!(messages[0].starts_with("data-theme-accent"));
    assert!(messages[1].starts_with("karta(\"init\")"));
}

#[test]
fn shutdown_removes_everything_and_open_starts_again() {
    let mut world = World::chatting();
    world.call(Command::Shutdown);
    assert!(!world.has_launcher());
    assert_eq!(world.machine().view().panel, None);
    assert_eq!(world.count(|effect| *effect == Effect::Unmount), 1);
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::CloseStream(_))),
        1
    );
    assert_eq!(world.timers(), 0, "no timer stays behind");
    assert_eq!(
        world
            .stored()
            .and_then(|record| record.visitor_id.as_deref()),
        Some("v_1")
    );
    world.forget_effects();
    world.open();
    assert_eq!(world.event_names(), ["ready", "open"]);
    let body = format!("{:?}", world.request("/auth/guest").body);
    assert!(body.contains("v_1"), "the visitor is the same");
}

#[test]
fn reset_forgets_visitor_and_session() {
    let mut world = World::chatting();
    world.call(Command::Reset);
    assert_eq!(world.stored(), None);
    assert_eq!(world.timers(), 0);
    world.forget_effects();
    world.open();
    let body = format!("{:?}", world.request("/auth/guest").body);
    assert!(!body.contains("v_1"));
    world.reply_ok("/auth/guest", token("t_2"));
    assert!(!format!("{:?}", world.request("/sessions").body).contains("resume"));
    assert_eq!(world.lines(), Vec::<&str>::new());
}

#[test]
fn init_after_shutdown_draws_the_launcher_again() {
    let mut world = World::chatting();
    world.call(Command::Shutdown);
    world.call(init(&[]));
    assert!(world.has_launcher());
    assert_eq!(world.machine().view().panel, None);
    world.open();
    assert!(world.panel().open);
}

#[test]
fn shutdown_before_anything_is_harmless() {
    let mut world = World::new(without_key());
    world.call(Command::Shutdown);
    world.call(Command::Reset);
    world.open();
    world.call(init(&[("embedKey", KEY)]));
    world.reply_ok("/config", Reply::Config(Box::new(config())));
    assert!(world.panel().open, "the call waited for the key");
}

#[test]
fn escalate_carries_the_recent_transcript() {
    let mut world = World::chatting();
    world.frame(user(1, "m", "help"));
    world.frame(answer(2, "I do not know"));
    world.forget_effects();
    world.call(Command::Escalate {
        reason: Some("stuck".into()),
        context: vec![("order".into(), "17".into())],
    });
    assert_eq!(
        world.heard(EventName::Escalate),
        [json!({
            "reason": "stuck",
            "context": {
                "order": "17",
                "sessionId": "s_1",
                "transcript": [
                    {"role": "agent", "text": "Hello!"},
                    {"role": "user", "text": "help"},
                    {"role": "agent", "text": "I do not know"},
                ],
            },
        })]
    );
}

#[test]
fn escalate_works_before_anything_is_mounted() {
    let mut world = World::new(boot());
    world.call(Command::Escalate {
        reason: None,
        context: vec![],
    });
    assert_eq!(world.event_names(), ["escalate"]);
    assert!(world.machine().view().panel.is_none());
}

#[test]
fn once_and_off_and_double_subscription() {
    let mut world = World::new(boot());
    let subscribe = |callback, once| Command::On {
        event: EventName::Open,
        callback: CallbackId(callback),
        once,
    };
    world.call(Command::Off {
        event: EventName::Open,
        callback: None,
    });
    world.call(subscribe(1, true));
    world.call(subscribe(2, false));
    world.call(subscribe(2, false));
    world.call(subscribe(3, false));
    world.call(Command::Off {
        event: EventName::Open,
        callback: Some(CallbackId(3)),
    });
    for _ in 0..4 {
        world.call(Command::Toggle);
    }
    let called: Vec<u32> = world
        .effects()
        .iter()
        .filter_map(|effect| match effect {
            Effect::Call { callbacks, event } if event.name == EventName::Open => {
                Some(callbacks.iter().map(|callback| callback.0))
            }
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(called, [1, 2, 2]);
}

#[test]
fn messages_before_boot_wait() {
    let mut machine = crate::engine::machine::Machine::new();
    let mut out = Vec::new();
    machine.update(Msg::Command(Command::Open), 0, &mut out);
    machine.update(Msg::TimerFired(Timer::Ping), 0, &mut out);
    assert_eq!(out, Vec::new());
    machine.update(Msg::Booted(Box::new(boot())), 0, &mut out);
    assert!(machine.view().panel.is_some_and(|panel| panel.open));
}

#[test]
fn nothing_is_stored_before_the_first_open() {
    let mut world = World::new(boot());
    world.call(Command::Close);
    world.call(Command::Identify(Box::default()));
    world.advance(100_000);
    assert_eq!(world.stored(), None);
    world.open();
    assert!(world.stored().is_some());
}

#[test]
fn unsent_message_survives_shutdown_and_goes_after_the_next_start() {
    let mut world = World::new(boot());
    world.call(Command::SendMessage("hi".into()));
    world.call(Command::Shutdown);
    world.forget_effects();
    world.call(Command::Toggle);
    assert_eq!(world.event_names(), ["ready", "open"]);
    assert_eq!(world.lines(), ["hi"]);
}
