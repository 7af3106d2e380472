//! What is said and answered in a call: captions, what was heard, and what the page is told of it.

use super::*;
use crate::engine::view_model::{Item, ItemState};

fn caption(id: &str, text: &str) -> SessionEvent {
    SessionEvent {
        kind: EventType::UserTranscript,
        id: Some(id.into()),
        offset: Some(0),
        text: Some(text.into()),
        delta: true,
        ..SessionEvent::default()
    }
}

fn said(seq: u64, id: &str, text: &str) -> SessionEvent {
    SessionEvent {
        id: Some(id.into()),
        text: Some(text.into()),
        ..bare(EventType::UserTranscript, seq)
    }
}

fn cut(part: &str, heard: u64) -> SessionEvent {
    SessionEvent {
        kind: EventType::VoiceCut,
        part_id: Some(part.into()),
        heard: Some(heard),
        ..SessionEvent::default()
    }
}

fn last(world: &World) -> &Item {
    world.items().last().expect("a line")
}

#[test]
fn caption_grows_and_becomes_the_line() {
    let (mut world, _) = talking();
    world.channel(caption("u1", "what"));
    world.channel(caption("u1", "what are your"));
    assert_eq!(world.lines(), ["what are your"]);
    assert_eq!(
        (last(&world).state, last(&world).spoken),
        (ItemState::Streaming, true)
    );
    let key = last(&world).key;
    world.channel(said(1, "u1", "what are your hours"));
    assert_eq!(world.lines(), ["what are your hours"]);
    assert_eq!(
        (last(&world).key, last(&world).state, last(&world).spoken),
        (key, ItemState::Sent, true)
    );
    assert_eq!(
        world.heard(EventName::Transcript),
        [
            json!({"role": "user", "text": "what", "final": false}),
            json!({"role": "user", "text": "what are your", "final": false}),
            json!({"role": "user", "text": "what are your hours", "final": true}),
        ]
    );
}

#[test]
fn name_of_an_utterance_is_used_again_by_the_next_call() {
    let (mut world, _) = talking();
    world.channel(caption("u1", "first"));
    world.channel(said(1, "u1", "first"));
    world.channel(caption("u1", "sec"));
    world.channel(said(2, "u1", "second"));
    world.channel(said(3, "u1", "third"));
    assert_eq!(world.lines(), ["first", "second", "third"]);
}

#[test]
fn what_nobody_understood_leaves_the_screen() {
    let (mut world, _) = talking();
    world.channel(caption("u1", "erm"));
    world.channel(state("thinking", None));
    assert_eq!(world.lines(), ["erm"]);
    world.channel(state("listening", None));
    assert_eq!(world.lines(), [""; 0]);
    world.channel(caption("u2", "half a"));
    world.send(Msg::Ui(Ui::EndPressed));
    assert_eq!(world.lines(), [""; 0]);
}

#[test]
fn typed_and_spoken_lines_keep_their_order() {
    let (mut world, _) = talking();
    world.say("typed");
    let id = world
        .frames()
        .pop()
        .and_then(|frame| frame.id)
        .expect("an id");
    world.channel(caption("u1", "spo"));
    world.channel(user(1, &id, "typed"));
    world.channel(said(2, "u1", "spoken"));
    world.channel(delta("p", 0, "answer"));
    assert_eq!(world.lines(), ["typed", "spoken", "answer"]);
    assert!(
        world
            .items()
            .iter()
            .filter(|item| item.text != "Hello!")
            .map(|item| item.spoken)
            .eq([false, true, true])
    );
}

#[test]
fn cut_silences_before_anything_is_drawn_and_keeps_what_was_heard() {
    let (mut world, _) = talking();
    world.channel(state("speaking", None));
    world.channel(delta("p", 0, "Wir öffnen um acht und schließen um vier."));
    world.forget_effects();
    world.channel(cut("p", 12));
    assert_eq!(
        world
            .effects()
            .iter()
            .find(|effect| **effect != Effect::Render),
        Some(&Effect::Hush(true))
    );
    assert_eq!(
        (last(&world).text.as_str(), last(&world).state),
        ("Wir öffnen ", ItemState::Interrupted)
    );
    // What was on its way is not shown, and is no hole either.
    world.channel(delta("p", 43, " Und mehr."));
    assert_eq!(last(&world).text, "Wir öffnen ");
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::ClosePeer(_))),
        0
    );
    world.channel(SessionEvent {
        part_id: Some("p".into()),
        interrupted: true,
        ..answer(1, "Wir öffnen ")
    });
    world.channel(bare(EventType::StatusIdle, 2));
    assert_eq!(
        (last(&world).text.as_str(), last(&world).state),
        ("Wir öffnen ", ItemState::Interrupted)
    );
    world.channel(state("speaking", None));
    assert_eq!(
        world.count(|effect| *effect == Effect::Hush(false)),
        1,
        "the next answer is heard"
    );
}

#[test]
fn cut_in_the_middle_of_a_character_keeps_whole_ones() {
    let (mut world, _) = talking();
    world.channel(delta("p", 0, "schön"));
    world.channel(cut("p", 4));
    assert_eq!(last(&world).text, "sch");
    world.channel(delta("q", 0, "kurz"));
    world.channel(cut("q", 400));
    assert_eq!(last(&world).text, "kurz");
}

#[test]
fn answer_of_which_nothing_was_heard_leaves() {
    let (mut world, _) = talking();
    world.channel(bare(EventType::StatusRunning, 1));
    world.channel(delta("p", 0, "never heard"));
    world.channel(cut("p", 0));
    assert_eq!(world.lines(), [""; 0]);
    world.channel(delta("p", 11, " of"));
    world.channel(bare(EventType::StatusIdle, 2));
    assert_eq!(world.lines(), [""; 0]);
    assert_eq!(
        world.count(|effect| matches!(effect, Effect::ClosePeer(_))),
        0
    );
}

#[test]
fn cut_part_that_the_log_never_confirms_does_not_stay() {
    let (mut world, _) = talking();
    world.channel(bare(EventType::StatusRunning, 1));
    world.channel(delta("p", 0, "some of it"));
    world.channel(cut("p", 4));
    world.channel(bare(EventType::StatusIdle, 2));
    assert_eq!(world.lines(), [""; 0]);
}

#[test]
fn stop_button_silences_at_once() {
    let (mut world, _) = talking();
    world.channel(bare(EventType::StatusRunning, 1));
    world.channel(state("speaking", None));
    world.send(Msg::Ui(Ui::StopPressed));
    assert_eq!(world.count(|effect| *effect == Effect::Hush(true)), 1);
    assert!(
        world
            .frames()
            .iter()
            .any(|frame| frame.kind == "user.interrupt")
    );
}

#[test]
fn page_hears_both_sides_and_screen_readers_only_what_is_not_spoken() {
    let (mut world, _) = talking();
    world.channel(delta("p1", 0, "Eight "));
    world.channel(delta("p1", 6, "to four."));
    world.channel(answer(1, "Eight to four."));
    assert_eq!(
        world.heard(EventName::Transcript),
        [
            json!({"role": "agent", "text": "Eight ", "final": false}),
            json!({"role": "agent", "text": "Eight to four.", "final": false}),
            json!({"role": "agent", "text": "Eight to four.", "final": true}),
        ]
    );
    let aloud = |world: &World| {
        world.count(|effect| matches!(effect, Effect::Announce(words) if words == "Eight to four."))
    };
    assert_eq!(aloud(&world), 0);
    world.send(Msg::Ui(Ui::EndPressed));
    world.channel(answer(2, "Eight to four."));
    assert_eq!(aloud(&world), 1);
    assert_eq!(
        world.heard(EventName::Transcript).len(),
        3,
        "what is only written is no transcript"
    );
}

#[test]
fn history_of_a_call_is_no_news() {
    let mut world = World::new(talkable());
    world.open();
    world.begin_session("s_1", 2);
    let id = world.stream();
    world.send(Msg::StreamOpened { id });
    world.frame(said(1, "u1", "what are your hours"));
    world.frame(answer(2, "Eight to four."));
    world.frame(synced(2));
    assert_eq!(world.lines(), ["what are your hours", "Eight to four."]);
    assert_eq!(
        world.heard(EventName::Transcript),
        Vec::<serde_json::Value>::new()
    );
    assert!(world.items().iter().any(|item| item.spoken));
}

#[test]
fn each_state_of_a_call_is_told_aloud_once_but_that_the_agent_speaks() {
    let mut world = ready();
    world.forget_effects();
    world.send(Msg::Ui(Ui::VoicePressed));
    let mic = grant(&mut world);
    for turn in [
        "listening",
        "listening",
        "thinking",
        "speaking",
        "listening",
    ] {
        world.channel(state(turn, None));
    }
    live(&mut world, 2);
    world.send(Msg::Ui(Ui::MutePressed));
    world.send(Msg::Ui(Ui::MutePressed));
    world.send(Msg::Mic {
        id: mic,
        news: MicNews::Held(true),
    });
    world.send(Msg::Ui(Ui::EndPressed));
    let told = world.effects().iter().filter_map(|effect| match effect {
        Effect::Announce(words) => Some(words.as_str()),
        _ => None,
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "Connecting…",
            "Listening",
            "Thinking…",
            "Listening",
            "Muted",
            "Listening",
            "Microphone paused",
            "Call ended",
        ]
    );
}
