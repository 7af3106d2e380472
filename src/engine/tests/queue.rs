//! Calls that wait for a key or its config: which wait, in what order they happen, how many there may be.

use super::boot::{without_config, without_key};
use super::fake::*;
use crate::engine::command::{CallbackId, Command};
use crate::engine::effect::{Effect, Reply};
use crate::engine::event::EventName;
use crate::engine::limits::QUEUE_CALLS;

#[test]
fn calls_before_the_key_wait_and_happen_in_order() {
    let mut world = World::new(without_key());
    world.call(Command::SendMessage("one".into()));
    world.call(Command::Open);
    world.call(Command::SendMessage("two".into()));
    assert_eq!(world.event_names(), Vec::<&str>::new());
    world.call(init(&[("embedKey", KEY)]));
    world.reply_ok("/config", Reply::Config(Box::new(config())));
    assert_eq!(
        world.event_names(),
        ["ready", "message:sent", "open", "message:sent"]
    );
    assert_eq!(world.lines(), ["one", "two"]);
    assert_eq!(world.warnings(), Vec::<&str>::new());
}

#[test]
fn what_is_called_after_a_waiting_call_waits_as_well() {
    let (first, second) = (CallbackId(71), CallbackId(72));
    let on = |callback, once| Command::On {
        event: EventName::MessageSent,
        callback,
        once,
    };
    let off = |callback| Command::Off {
        event: EventName::MessageSent,
        callback: Some(callback),
    };
    let page = |world: &mut World| {
        world.call(on(first, false));
        world.call(Command::SendMessage("one".into()));
        world.call(Command::Escalate {
            reason: None,
            context: Vec::new(),
        });
        world.call(off(first));
        world.call(on(second, false));
        world.call(Command::SendMessage("two".into()));
        world.call(off(second));
        world.call(on(second, false));
        world.call(Command::SendMessage("three".into()));
    };
    let told = |world: &World| -> Vec<CallbackId> {
        let effects = world.effects().iter();
        let called = effects.filter_map(|effect| match effect {
            Effect::Call { callbacks, .. } => Some(callbacks.clone()),
            _ => None,
        });
        called
            .flatten()
            .filter(|id| [first, second].contains(id))
            .collect()
    };
    let mut fast = World::new(boot());
    page(&mut fast);
    let mut slow = World::new(without_config());
    page(&mut slow);
    assert_eq!(slow.event_names(), Vec::<&str>::new());
    slow.reply_ok("/config", Reply::Config(Box::new(config())));
    assert_eq!(
        slow.event_names(),
        [
            "ready",
            "message:sent",
            "escalate",
            "message:sent",
            "message:sent"
        ]
    );
    assert_eq!(told(&slow), [first, second, second]);
    assert_eq!(
        (fast.event_names(), told(&fast)),
        (slow.event_names(), told(&slow))
    );
}

#[test]
fn what_waits_and_needs_no_config_is_done_where_there_will_be_no_widget() {
    let callback = CallbackId(71);
    let off = Command::Off {
        event: EventName::Error,
        callback: Some(callback),
    };
    let on = Command::On {
        event: EventName::Error,
        callback,
        once: false,
    };
    let told = |world: &World| {
        world.count(|effect| {
            matches!(effect, Effect::Call { callbacks, .. } if callbacks.contains(&callback))
        })
    };
    // Switched off: what the page has ended is ended, and what it began is told.
    let mut world = World::new(without_config());
    world.call(on.clone());
    world.call(Command::Open);
    world.call(off.clone());
    world.reply_ok("/config", Reply::Config(Box::new(switched_off())));
    assert_eq!(told(&world), 0);
    assert_eq!(world.warnings(), ["widget_disabled_for_agent"]);
    let mut world = World::new(without_config());
    world.call(on.clone());
    world.call(Command::Open);
    world.call(off.clone());
    world.call(on.clone());
    world.reply_ok("/config", Reply::Config(Box::new(switched_off())));
    assert_eq!(told(&world), 1);
    // Shut down before it began: the subscription is over all the same.
    let mut world = World::new(without_config());
    world.call(Command::On {
        event: EventName::Open,
        callback,
        once: false,
    });
    world.call(Command::Open);
    world.call(Command::Off {
        event: EventName::Open,
        callback: Some(callback),
    });
    world.call(Command::Shutdown);
    world.open();
    assert_eq!(told(&world), 0);
    assert_eq!(world.heard(EventName::Open).len(), 1);
}

#[test]
fn missing_key_is_mentioned_once_when_somebody_waits() {
    let mut world = World::new(without_key());
    world.advance(10_000);
    assert_eq!(
        world.warnings(),
        Vec::<&str>::new(),
        "a page may give the key later"
    );
    world.open();
    world.open();
    world.advance(10_000);
    assert_eq!(world.warnings(), ["client_key_missing"]);
}

#[test]
fn queue_is_bounded_and_says_so_once() {
    let mut world = World::new(without_key());
    for n in 0..QUEUE_CALLS + 50 {
        world.call(Command::SendMessage(n.to_string()));
    }
    assert_eq!(world.warnings(), ["queue_full"]);
    world.call(init(&[("embedKey", KEY)]));
    world.reply_ok("/config", Reply::Config(Box::new(config())));
    assert_eq!(
        world.lines().first(),
        Some(&"0"),
        "the newest are dropped, not the oldest"
    );
}
