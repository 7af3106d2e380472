//! OpenAI Realtime.

use super::*;
use serde_json::json;

const NONE: [&str; 0] = [];

fn call() -> Heard {
    let mut call = Heard::new("openai");
    assert_eq!(call.order(Order::Begin), NONE);
    let created =
        json!({"type": "session.created", "event_id": "e", "session": {"type": "realtime"}});
    assert_eq!(call.frame(created), ["listening"]);
    call
}

fn delta_of(item: &str, text: &str) -> Value {
    json!({"type": "response.output_audio_transcript.delta", "item_id": item, "response_id": "r", "output_index": 0, "content_index": 0, "delta": text})
}

fn delta(text: &str) -> Value {
    delta_of("item_2", text)
}

/// Says how much of it was played.
fn truncated(item: &str, ms: u64) -> Value {
    json!({"type": "conversation.item.truncated", "event_id": "e", "item_id": item, "content_index": 0, "audio_end_ms": ms})
}

fn kind(kind: &str) -> Value {
    json!({"type": kind, "event_id": "e"})
}

fn done(status: &str) -> Value {
    json!({"type": "response.done", "response": {"id": "r", "status": status, "output": []}})
}

fn asked(call: &mut Heard) {
    assert_eq!(call.frame(kind("input_audio_buffer.speech_started")), NONE);
    assert_eq!(
        call.frame(kind("input_audio_buffer.speech_stopped")),
        ["thinking"]
    );
    assert_eq!(call.frame(kind("input_audio_buffer.committed")), NONE);
    assert_eq!(call.frame(kind("response.created")), NONE);
}

#[test]
fn a_question_and_its_answer_become_lines_once_they_are_whole() {
    let mut call = call();
    asked(&mut call);
    let words = |text: &str| json!({"type": "conversation.item.input_audio_transcription.delta", "item_id": "item_1", "content_index": 0, "delta": text});
    assert_eq!(call.frame(words("What are")), [r#"user c-1 "What are""#]);
    assert_eq!(
        call.frame(words(" your hours?")),
        [r#"user c-1 "What are your hours?""#]
    );
    let whole = json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": "item_1", "transcript": "What are your hours?\n"});
    assert_eq!(
        call.frame(whole),
        [r#"said c-1 user "What are your hours?""#]
    );
    assert_eq!(call.frame(delta("Nine")), [r#"agent c-2@0 "Nine""#]);
    assert_eq!(
        call.frame(kind("output_audio_buffer.started")),
        ["speaking"]
    );
    assert_eq!(
        call.frame(delta(" to five.")),
        [r#"agent c-2@4 " to five.""#]
    );
    assert_eq!(call.frame(done("completed")), NONE);
    assert_eq!(
        call.frame(kind("output_audio_buffer.stopped")),
        ["listening", r#"said c-2 agent "Nine to five.""#]
    );
}

const COUNTING: &str = "One two three four five six seven eight nine ten.";
const STOP: [&str; 2] = [
    r#"{"type":"response.cancel"}"#,
    r#"{"type":"output_audio_buffer.clear"}"#,
];
const CREATE: &str = r#"{"type":"response.create","event_id":"k"}"#;

/// The agent counts, and is heard for a second.
fn counting() -> Heard {
    let mut call = call();
    asked(&mut call);
    call.frame(delta(COUNTING));
    call.frame(kind("output_audio_buffer.started"));
    call.now += 1_000;
    call
}

#[test]
fn who_speaks_over_the_agent_keeps_what_the_vendor_says_was_played() {
    let mut call = counting();
    // The screen at once, by a guess; nothing is sent, the vendor truncates by itself.
    assert_eq!(
        call.frame(kind("input_audio_buffer.speech_started")),
        ["cut c-1 heard 13", "listening"]
    );
    assert_eq!(call.frame(kind("output_audio_buffer.cleared")), NONE);
    // Late pieces, and the end of a response that was still being written.
    assert_eq!(call.frame(delta(" Eleven.")), NONE);
    assert_eq!(call.frame(done("cancelled")), NONE);
    assert_eq!(call.frame(truncated("item_of_another", 2_000)), NONE);
    assert_eq!(
        call.frame(truncated("item_2", 1_300)),
        [
            "cut c-1 heard 18",
            r#"said c-1 agent "One two three four" cut"#
        ]
    );
    assert_eq!(call.frame(truncated("item_2", 1_300)), NONE);
    assert_eq!(call.frame(delta(" Twelve.")), NONE);
    assert_eq!(call.order(Order::Tick), NONE);
    // Cut before a word of it was played: no line.
    call.frame(kind("input_audio_buffer.speech_stopped"));
    call.frame(kind("response.created"));
    call.frame(delta_of("item_4", "Never"));
    assert_eq!(
        call.frame(kind("input_audio_buffer.speech_started")),
        ["listening"]
    );
    assert_eq!(call.frame(done("cancelled")), ["cut c-2 heard 0"]);
}

#[test]
fn a_cut_that_is_never_told_of_keeps_the_guess() {
    let said = ["cut c-1 heard 13", r#"said c-1 agent "One two three" cut"#];
    let cut = || {
        let mut call = counting();
        call.frame(kind("input_audio_buffer.speech_started"));
        call
    };
    let mut call = cut();
    assert_eq!(call.order(Order::Tick), NONE);
    call.now += 1_000;
    assert_eq!(call.order(Order::Tick), said);
    // Before the next line, so that they stand in their order.
    let then = [said[0], said[1], "thinking"];
    assert_eq!(cut().frame(kind("input_audio_buffer.speech_stopped")), then);
    assert_eq!(cut().frame(kind("response.created")), then);
    assert_eq!(cut().order(Order::End), said);
}

#[test]
fn a_slow_voice_is_known_by_the_first_answer_that_was_heard_to_its_end() {
    let mut call = counting();
    // 49 bytes in 9.8 seconds.
    call.now += 8_800;
    call.frame(done("completed"));
    call.frame(kind("output_audio_buffer.stopped"));
    asked(&mut call);
    call.frame(delta_of("item_4", COUNTING));
    call.frame(kind("output_audio_buffer.started"));
    call.now += 3_000;
    assert_eq!(
        call.frame(kind("input_audio_buffer.speech_started")),
        ["cut c-2 heard 13", "listening"]
    );
    assert_eq!(
        call.frame(truncated("item_4", 3_800)),
        [
            "cut c-2 heard 18",
            r#"said c-2 agent "One two three four" cut"#
        ]
    );
}

#[test]
fn an_answer_of_two_items_is_truncated_in_the_second() {
    let mut call = counting();
    call.frame(delta_of("item_3", " And so on and so forth."));
    call.now += 3_000;
    call.frame(kind("input_audio_buffer.speech_started"));
    let said = call.frame(truncated("item_3", 700));
    assert_eq!(
        said.last().expect("a line"),
        &format!(r#"said c-1 agent "{COUNTING} And so" cut"#)
    );
}

#[test]
fn a_language_without_spaces_is_cut_between_two_characters() {
    let mut call = call();
    asked(&mut call);
    call.frame(delta("我们九点到五点开门。星期天休息。"));
    call.frame(kind("output_audio_buffer.started"));
    call.now += 1_000;
    call.frame(kind("input_audio_buffer.speech_started"));
    let said = call.frame(truncated("item_2", 1_000));
    assert_eq!(
        said.last().expect("a line"),
        r#"said c-1 agent "我们九点到" cut"#
    );
}

#[test]
fn orders_are_events_of_the_client() {
    let mut call = call();
    let say = Order::Type("And \"you\"?");
    let item = r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"And \"you\"?"}]}}"#;
    assert_eq!(call.order(say), [item, CREATE]);
    call.frame(kind("response.created"));
    call.frame(delta("Fine, thanks."));
    call.frame(kind("output_audio_buffer.started"));
    call.now += 60_000;
    let cut = ["cut c-1 heard 13", "listening"];
    let all: Vec<&str> = STOP.into_iter().chain(cut).collect();
    assert_eq!(call.order(Order::Interrupt), all);
    assert_eq!(call.order(Order::Interrupt), NONE);
    assert_eq!(call.frame(kind("output_audio_buffer.cleared")), NONE);
    assert_eq!(
        call.frame(truncated("item_2", 500)),
        ["cut c-1 heard 5", r#"said c-1 agent "Fine," cut"#]
    );
    assert_eq!(call.frame(done("cancelled")), NONE);
    for order in [Order::Mute(true), Order::Tick, Order::End] {
        assert_eq!(call.order(order), NONE);
    }
}

/// The vendor refuses a second response beside the first.
#[test]
fn a_response_is_asked_for_once_the_one_before_is_over() {
    let item = |text: &str| {
        format!(
            r#"{{"type":"conversation.item.create","item":{{"type":"message","role":"user","content":[{{"type":"input_text","text":"{text}"}}]}}}}"#
        )
    };
    let mut call = counting();
    let out = call.order(Order::Type("stop"));
    let expected = [
        STOP[0],
        STOP[1],
        "cut c-1 heard 13",
        "listening",
        &item("stop"),
    ];
    assert_eq!(out, expected);
    call.frame(truncated("item_2", 1_000));
    assert_eq!(call.frame(done("cancelled")), [CREATE]);
    // Typed again before that one has begun: it does not know this yet.
    assert_eq!(call.order(Order::Type("no, go on")), [item("no, go on")]);
    assert_eq!(
        call.frame(kind("response.created")),
        ["{\"type\":\"response.cancel\"}", "thinking"]
    );
    assert_eq!(call.frame(done("cancelled")), ["listening", CREATE]);
    assert_eq!(call.frame(kind("response.created")), ["thinking"]);
    assert_eq!(call.frame(done("completed")), ["listening"]);

    // All of it was written by then: nothing is left to cancel, and nothing to wait for.
    let mut call = counting();
    call.frame(done("completed"));
    let out = call.order(Order::Type("stop"));
    let expected = [
        STOP[1],
        "cut c-1 heard 13",
        "listening",
        &item("stop"),
        CREATE,
    ];
    assert_eq!(out, expected);
}

#[test]
fn an_answer_that_is_stopped_before_it_begins_is_cancelled_as_it_begins() {
    let stopped = || {
        let mut call = call();
        assert_eq!(call.order(Order::Type("a")).last().expect("one"), CREATE);
        call.order(Order::Interrupt);
        call
    };
    let mut call = stopped();
    let begins = call.frame(kind("response.created"));
    assert_eq!(begins, [r#"{"type":"response.cancel"}"#]);
    assert_eq!(call.frame(done("cancelled")), NONE);
    // What is typed then is answered as ever, once it is over.
    assert_eq!(call.order(Order::Type("b")).last().expect("one"), CREATE);

    let mut call = stopped();
    assert_eq!(call.order(Order::Type("b")).len(), 1, "the words alone");
    let begins = call.frame(kind("response.created"));
    assert_eq!(begins[0], r#"{"type":"response.cancel"}"#);
    assert_eq!(call.frame(done("cancelled")).last().expect("one"), CREATE);
    assert_eq!(call.frame(kind("response.created")), ["thinking"]);
}

#[test]
fn a_response_that_is_refused_is_not_waited_for() {
    let refused = || json!({"type": "error", "event_id": "e", "error": {"type": "invalid_request_error", "code": "conversation_already_has_active_response", "message": "x", "param": null, "event_id": "k"}});
    let mut call = call();
    assert_eq!(call.order(Order::Type("a")).last().expect("one"), CREATE);
    assert_eq!(call.frame(refused()), NONE);
    assert_eq!(call.order(Order::Type("b")).last().expect("one"), CREATE);
    // Somebody spoke just then: the answer to that is let be, and the other asked for after it.
    call.frame(kind("response.created"));
    assert_eq!(call.frame(refused()), NONE);
    call.frame(delta("Yes?"));
    call.frame(kind("output_audio_buffer.started"));
    assert_eq!(call.frame(done("completed")), [CREATE]);
}

#[test]
fn an_answer_in_writing_or_none_at_all_ends_with_its_response() {
    let mut call = call();
    asked(&mut call);
    call.frame(json!({"type": "response.output_text.delta", "delta": "In writing."}));
    assert_eq!(
        call.frame(done("completed")),
        [r#"said c-1 agent "In writing.""#, "listening"]
    );
    asked(&mut call);
    assert_eq!(call.frame(done("failed")), ["listening"]);
}

#[test]
fn an_error_of_one_frame_is_no_end_and_a_session_that_is_over_is() {
    let error = |code: &str| json!({"type": "error", "error": {"type": "invalid_request_error", "code": code, "message": "x"}});
    assert_eq!(call().frame(error("response_cancel_not_active")), NONE);
    assert_eq!(call().frame(error("session_expired")), ["ended (too_long)"]);
    for other in [
        "rate_limits.updated",
        "session.updated",
        "conversation.item.added",
        "response.output_item.done",
        "of.tomorrow",
    ] {
        assert_eq!(call().frame(kind(other)), NONE, "{other}");
    }
}
