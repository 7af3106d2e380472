use super::*;
use crate::engine::limits::ITEMS;

fn user(seq: u64, id: &str, text: &str) -> SessionEvent {
    SessionEvent {
        kind: EventType::UserMessage,
        seq: Some(seq),
        id: Some(id.into()),
        text: Some(text.into()),
        ..SessionEvent::default()
    }
}

fn answer(seq: u64, part: &str, text: &str) -> SessionEvent {
    SessionEvent {
        kind: EventType::AgentMessage,
        seq: Some(seq),
        part_id: Some(part.into()),
        text: Some(text.into()),
        ..SessionEvent::default()
    }
}

fn delta(part: &str, offset: u64, text: &str) -> SessionEvent {
    SessionEvent {
        kind: EventType::AgentMessage,
        delta: true,
        part_id: Some(part.into()),
        offset: Some(offset),
        text: Some(text.into()),
        ..SessionEvent::default()
    }
}

fn bare(kind: EventType, seq: u64) -> SessionEvent {
    SessionEvent {
        kind,
        seq: Some(seq),
        ..SessionEvent::default()
    }
}

fn synced(seq: u64, part: Option<&str>) -> SessionEvent {
    SessionEvent {
        kind: EventType::Synced,
        seq: Some(seq),
        part_id: part.map(String::from),
        ..SessionEvent::default()
    }
}

fn texts(log: &Log) -> Vec<&str> {
    log.items().iter().map(|item| item.text.as_str()).collect()
}

fn states(log: &Log) -> Vec<ItemState> {
    log.items().iter().map(|item| item.state).collect()
}

/// Applies all, as the only transport.
fn fed(events: impl IntoIterator<Item = SessionEvent>) -> Log {
    let mut log = Log::default();
    for mut event in events {
        log.apply(&mut event, true);
    }
    log
}

#[test]
fn durable_events_are_applied_once_and_in_order() {
    let mut log = fed([user(1, "m", "hi"), answer(2, "p", "hello")]);
    assert_eq!(log.apply(&mut user(1, "m", "hi"), true), Applied::Nothing);
    assert_eq!(
        log.apply(&mut answer(2, "p", "hello"), true),
        Applied::Nothing
    );
    assert_eq!(log.apply(&mut answer(4, "q", "later"), true), Applied::Gap);
    assert_eq!(log.cursor(), 2);
    assert_eq!(texts(&log), ["hi", "hello"]);
}

#[test]
fn unknown_durable_event_moves_the_cursor_only() {
    let mut log = fed([
        bare(EventType::Unknown, 1),
        bare(EventType::AgentThinking, 2),
        bare(EventType::Unknown, 2),
    ]);
    assert_eq!(log.cursor(), 2);
    assert!(log.is_empty());
    assert!(matches!(
        log.apply(&mut user(3, "m", "hi"), true),
        Applied::Echo
    ));
}

/// `confirm`, `running`; or how it ended.
fn tool(seq: u64, id: &str, state: &str) -> SessionEvent {
    let kind = match state {
        "confirm" | "running" => EventType::AgentToolUse,
        _ => EventType::AgentToolResult,
    };
    SessionEvent {
        id: Some(id.into()),
        message: Some("Cancel an order".into()),
        text: Some("order: K-1".into()),
        state: Some(state.into()),
        ..bare(kind, seq)
    }
}

#[test]
fn a_tool_is_one_line_from_its_question_to_its_end() {
    let mut log = fed([bare(EventType::StatusRunning, 1)]);
    assert!(log.typing());
    for (at, (state, text, asks)) in [
        ("confirm", "Cancel an order?\norder: K-1", true),
        ("running", "Cancel an order…", false),
        ("done", "Cancel an order ✓", false),
        ("failed", "Cancel an order ✗", false),
        ("declined", "Cancel an order ✗", false),
    ]
    .into_iter()
    .enumerate()
    {
        log.apply(&mut tool(at as u64 + 2, "t", state), true);
        assert_eq!(texts(&log), [text], "{state}");
        assert_eq!(log.asking().is_some(), asks, "{state}");
        assert_eq!(
            log.typing(),
            !asks,
            "who asks waits for the visitor: {state}"
        );
    }
    log.apply(&mut tool(7, "u", "running"), true);
    assert_eq!(texts(&log).len(), 2, "another use is another line");
}

#[test]
fn nothing_asks_once_the_turn_is_over() {
    for kind in [EventType::StatusIdle, EventType::SessionError] {
        let log = fed([
            bare(EventType::StatusRunning, 1),
            tool(2, "t", "confirm"),
            bare(kind, 3),
        ]);
        assert!(log.asking().is_none(), "{kind:?}");
    }
    let mut log = fed([bare(EventType::StatusRunning, 1), tool(2, "t", "confirm")]);
    log.restart();
    assert!(log.asking().is_none());
}

#[test]
fn an_interruption_after_a_tool_had_begun_is_a_line_of_its_own() {
    let failed = SessionEvent {
        message: Some("It may be done already.".into()),
        interrupted: true,
        ..bare(EventType::SessionError, 3)
    };
    let log = fed([
        bare(EventType::StatusRunning, 1),
        tool(2, "t", "running"),
        failed,
    ]);
    assert_eq!(texts(&log), ["Cancel an order…", "It may be done already."]);
}

#[test]
fn durable_kind_without_seq_is_ignored() {
    let mut event = user(1, "m", "hi");
    event.seq = None;
    assert!(fed([event]).is_empty());
}

#[test]
fn deltas_grow_one_part_and_the_complete_message_replaces_it() {
    let mut log = fed([
        delta("p", 0, "Hel"),
        delta("p", 3, "lo "),
        delta("p", 6, "wörld"),
        delta("p", 12, "!"),
    ]);
    assert_eq!(texts(&log), ["Hello wörld!"]);
    assert_eq!(states(&log), [ItemState::Streaming]);
    let key = log.items()[0].key;
    log.apply(&mut answer(1, "p", "Hello world."), true);
    assert_eq!(texts(&log), ["Hello world."]);
    assert_eq!(states(&log), [ItemState::Done]);
    assert_eq!(
        log.items()[0].key,
        key,
        "the line keeps its place on screen"
    );
    assert_eq!(
        log.apply(&mut delta("p", 12, " again"), true),
        Applied::Nothing,
        "a late delta of a complete part"
    );
    assert_eq!(texts(&log), ["Hello world."]);
}

#[test]
fn delta_from_further_back_overwrites() {
    assert_eq!(
        texts(&fed([
            delta("p", 0, "Hello old"),
            delta("p", 6, "new text")
        ])),
        ["Hello new text"]
    );
    // A turn that ran again after a crash.
    assert_eq!(
        texts(&fed([delta("p", 0, "Hello old"), delta("p", 0, "Hi")])),
        ["Hi"]
    );
}

#[test]
fn delta_beyond_the_end_or_inside_a_character_is_a_gap() {
    let mut log = fed([delta("p", 0, "wör")]);
    assert_eq!(log.apply(&mut delta("p", 9, "x"), true), Applied::Gap);
    assert_eq!(log.apply(&mut delta("p", 2, "x"), true), Applied::Gap);
    assert_eq!(log.apply(&mut delta("q", 1, "x"), true), Applied::Gap);
    assert_eq!(
        log.apply(&mut delta("q", u64::MAX, "x"), true),
        Applied::Gap
    );
    assert_eq!(texts(&log), ["wör"]);
}

#[test]
fn two_transports_do_not_shrink_or_double_a_part() {
    let mut log = fed([delta("p", 0, "Hello wor")]);
    assert_eq!(
        log.apply(&mut delta("p", 0, "Hello"), false),
        Applied::Nothing
    );
    assert_eq!(
        log.apply(&mut delta("p", 5, " world"), false),
        Applied::Changed
    );
    assert_eq!(log.apply(&mut delta("p", 9, "ld"), false), Applied::Nothing);
    assert_eq!(log.apply(&mut delta("p", 11, "!"), false), Applied::Changed);
    assert_eq!(texts(&log), ["Hello world!"]);
}

#[test]
fn synced_drops_parts_that_it_does_not_name() {
    let mut log = fed([delta("old", 0, "stale"), delta("new", 0, "fresh")]);
    log.apply(&mut synced(0, Some("new")), true);
    assert_eq!(texts(&log), ["fresh"]);
    log.apply(&mut synced(0, None), true);
    assert!(log.is_empty());
}

#[test]
fn part_of_a_try_that_a_crash_cut_off_goes_when_the_turn_ends() {
    let log = fed([
        bare(EventType::StatusRunning, 1),
        delta("cut", 0, "half"),
        answer(2, "again", "whole"),
        bare(EventType::StatusIdle, 3),
    ]);
    assert_eq!(texts(&log), ["whole"]);
}

#[test]
fn synced_beyond_the_cursor_is_a_gap() {
    let mut log = fed([user(1, "m", "hi")]);
    assert_eq!(log.apply(&mut synced(2, None), true), Applied::Gap);
    assert_eq!(log.apply(&mut synced(1, None), true), Applied::Changed);
}

#[test]
fn own_message_is_shown_once_and_gets_its_place_from_the_echo() {
    let mut log = Log::default();
    log.push_own("m1", "first");
    log.push_own("m2", "second");
    // Written in another tab before ours arrived.
    log.apply(&mut user(1, "other", "from the other tab"), true);
    log.apply(&mut answer(2, "p", "answer"), true);
    assert_eq!(
        texts(&log),
        ["from the other tab", "answer", "first", "second"]
    );
    log.apply(&mut user(3, "m1", "first"), true);
    log.apply(&mut user(4, "m2", "second"), true);
    assert_eq!(
        texts(&log),
        ["from the other tab", "answer", "first", "second"]
    );
    assert!(
        states(&log)
            .iter()
            .all(|state| *state != ItemState::Sending)
    );
}

#[test]
fn echo_out_of_the_order_of_writing_moves_the_line() {
    let mut log = Log::default();
    log.push_own("m1", "first");
    log.push_own("m2", "second");
    log.apply(&mut user(1, "m2", "second"), true);
    assert_eq!(texts(&log), ["second", "first"]);
}

#[test]
fn failed_message_keeps_its_place_until_sent_again() {
    let mut log = Log::default();
    log.push_own("m1", "bad");
    log.mark_own("m1", ItemState::Failed);
    log.push_own("m2", "good");
    log.apply(&mut user(1, "m2", "good"), true);
    log.apply(&mut answer(2, "p", "yes"), true);
    assert_eq!(texts(&log), ["bad", "good", "yes"]);
    let key = log.items()[0].key;
    assert_eq!(log.revive(key), Some(("m1".into(), "bad".into())));
    assert_eq!(texts(&log), ["good", "yes", "bad"]);
    assert_eq!(log.revive(key), None, "once");
}

#[test]
fn answer_streams_above_what_is_not_yet_in_the_log() {
    let mut log = fed([user(1, "m1", "q1")]);
    log.push_own("m2", "q2");
    log.apply(&mut delta("p", 0, "a1…"), true);
    assert_eq!(texts(&log), ["q1", "a1…", "q2"]);
}

#[test]
fn typing_shows_until_the_first_word() {
    let mut log = fed([user(1, "m", "hi"), bare(EventType::StatusRunning, 2)]);
    assert!(log.typing() && log.running());
    log.apply(&mut delta("p", 0, "H"), true);
    assert!(!log.typing() && log.running());
    log.apply(&mut answer(3, "p", "Hi"), true);
    assert!(log.typing(), "a tool may run between two parts");
    log.apply(&mut bare(EventType::StatusIdle, 4), true);
    assert!(!log.typing() && !log.running());
}

#[test]
fn failed_turn_marks_its_part_and_the_next_try_drops_it() {
    let mut log = fed([
        bare(EventType::StatusRunning, 1),
        delta("p", 0, "half an ans"),
    ]);
    let failed = log.apply(&mut bare(EventType::SessionError, 2), true);
    assert!(matches!(failed, Applied::TurnFailed));
    assert_eq!(states(&log), [ItemState::Failed]);
    assert!(!log.running());
    log.apply(&mut bare(EventType::StatusRunning, 3), true);
    assert!(log.is_empty());
}

#[test]
fn interrupted_answer_says_so_and_an_empty_one_leaves_nothing() {
    let mut event = answer(1, "p", "half");
    event.interrupted = true;
    let mut log = fed([delta("p", 0, "half an"), event]);
    assert_eq!(states(&log), [ItemState::Interrupted]);
    assert_eq!(texts(&log), ["half"]);
    let mut empty = answer(2, "q", "");
    empty.interrupted = true;
    log.apply(&mut empty, true);
    assert_eq!(texts(&log), ["half"]);
}

#[test]
fn greeting_stands_first_and_does_not_count() {
    let mut log = Log::default();
    log.greet(Some("Hello"));
    assert!(log.is_empty());
    log.apply(&mut user(1, "m", "hi"), true);
    assert!(!log.is_empty());
    log.greet(Some("Welcome"));
    assert_eq!(texts(&log), ["Welcome", "hi"]);
    log.restart();
    assert_eq!(texts(&log), ["Welcome"]);
    log.greet(None);
    assert!(log.items().is_empty());
}

#[test]
fn restart_keeps_what_was_not_sent() {
    let mut log = fed([
        user(1, "m1", "old"),
        answer(2, "p", "old answer"),
        bare(EventType::StatusRunning, 3),
    ]);
    log.push_own("m2", "new");
    log.restart();
    assert_eq!(texts(&log), ["new"]);
    assert_eq!((log.cursor(), log.running()), (0, false));
}

#[test]
fn offer_of_a_person_ends_with_the_next_question() {
    let mut event = answer(1, "p", "I do not know");
    event.offer_person = true;
    let mut log = fed([event]);
    assert!(log.offer_person());
    log.apply(&mut user(2, "m", "thanks"), true);
    assert!(!log.offer_person());
}

#[test]
fn oldest_lines_go_when_there_are_too_many() {
    let mut log = Log::default();
    log.greet(Some("Hello"));
    for seq in 1..=(ITEMS as u64 + 10) {
        log.apply(&mut user(seq, &seq.to_string(), "x"), true);
    }
    assert_eq!(log.items().len(), ITEMS);
    assert_eq!(log.items()[0].text, "Hello");
}
