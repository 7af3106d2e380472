//! What survives a reload, and what other tabs write.

use super::fake::*;
use crate::engine::command::Command;
use crate::engine::effect::{Effect, Stored};
use crate::engine::machine::{Boot, Msg};

fn record(outbox: &[(&str, &str)]) -> Stored {
    Stored {
        visitor_id: Some("v_1".into()),
        session_id: Some("s_1".into()),
        outbox: outbox
            .iter()
            .map(|(id, text)| (String::from(*id), String::from(*text)))
            .collect(),
        ..Stored::default()
    }
}

fn with(record: Stored) -> Boot {
    Boot {
        stored: vec![
            ("pk_live_other".into(), Stored::default().write()),
            (KEY.into(), record.write()),
        ],
        ..boot()
    }
}

fn elsewhere(record: Option<Stored>) -> Msg {
    Msg::StoredElsewhere {
        key: KEY.into(),
        record: record.map(|record| record.write()),
    }
}

#[test]
fn message_typed_before_a_reload_is_sent_after_it() {
    let mut world = World::new(with(record(&[("m_1", "unsent")])));
    assert!(
        !world.panel().open,
        "mounted, but not in the visitor's face"
    );
    assert_eq!(world.lines(), ["unsent"]);
    world.begin_session("s_1", 0);
    let event = posted(&world.request("/sessions/s_1/events"));
    assert_eq!(event.id.as_deref(), Some("m_1"));
    world.reply_ok("/sessions/s_1/events", accepted());
    assert_eq!(world.stored().map(|record| record.outbox.len()), Some(0));
}

#[test]
fn message_that_arrived_just_before_the_reload_is_not_doubled() {
    let mut world = World::new(with(record(&[("m_1", "hi")])));
    world.begin_session("s_1", 2);
    let id = world.stream();
    world.send(Msg::StreamOpened { id });
    world.frame(user(1, "m_1", "hi"));
    world.frame(answer(2, "hello"));
    world.frame(synced(2));
    world.reply_ok("/sessions/s_1/events", accepted());
    assert_eq!(world.lines(), ["hi", "hello"]);
}

#[test]
fn unsent_message_is_kept_from_the_first_moment() {
    let mut world = World::new(boot());
    world.call(Command::SendMessage("hi".into()));
    let outbox = world.stored().map(|record| record.outbox.clone());
    assert!(matches!(&outbox.as_deref(), Some([(_, text)]) if text == "hi"));
}

#[test]
fn open_state_is_kept() {
    let mut world = World::new(boot());
    world.open();
    assert_eq!(world.stored().map(|record| record.open), Some(true));
    world.call(Command::Close);
    assert_eq!(world.stored().map(|record| record.open), Some(false));
}

#[test]
fn same_record_is_not_written_twice() {
    let mut world = World::chatting();
    world.open();
    world.open();
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::Store { .. })),
        0
    );
}

#[test]
fn session_of_another_tab_is_adopted_before_ours_begins() {
    let mut world = World::new(boot());
    world.send(elsewhere(Some(record(&[]))));
    world.open();
    let guest = format!("{:?}", world.request("/auth/guest").body);
    assert!(guest.contains("v_1"));
    world.reply_ok("/auth/guest", token("t_1"));
    assert!(format!("{:?}", world.request("/sessions").body).contains("s_1"));
}

#[test]
fn session_of_another_tab_does_not_disturb_ours() {
    let mut world = World::chatting();
    let mut other = record(&[]);
    other.session_id = Some("s_9".into());
    world.send(elsewhere(Some(other)));
    world.say("hi");
    assert_eq!(world.requests("/sessions/s_1/events").len(), 1);
}

#[test]
fn reset_in_another_tab_forgets_here_too_but_leaves_the_button() {
    let mut world = World::chatting();
    world.frame(user(1, "m", "private"));
    world.forget_effects();
    world.send(elsewhere(None));
    assert!(world.has_launcher());
    assert_eq!(world.machine().view().panel, None);
    let unmount = world
        .effects()
        .iter()
        .position(|effect| *effect == Effect::Unmount);
    let render = world
        .effects()
        .iter()
        .position(|effect| *effect == Effect::Render);
    assert!(
        unmount.is_some() && unmount < render,
        "the button is drawn after the teardown"
    );
    world.open();
    assert_eq!(world.lines(), Vec::<&str>::new());
    assert!(!format!("{:?}", world.request("/auth/guest").body).contains("v_1"));
}

#[test]
fn record_of_another_key_is_none_of_our_business() {
    let mut world = World::chatting();
    world.send(Msg::StoredElsewhere {
        key: "pk_live_other".into(),
        record: None,
    });
    assert!(world.panel().open);
}
