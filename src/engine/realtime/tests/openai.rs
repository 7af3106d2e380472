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

fn delta(text: &str) -> Value {
    json!({"type": "response.output_audio_transcript.delta", "item_id": "item_2", "response_id": "r", "output_index": 0, "content_index": 0, "delta": text})
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

#[test]
fn who_speaks_over_the_agent_keeps_about_what_was_heard() {
    let mut call = call();
    asked(&mut call);
    call.frame(delta("One two three four five six seven eight nine ten."));
    call.frame(kind("output_audio_buffer.started"));
    call.now += 1_000;
    assert_eq!(
        call.frame(kind("input_audio_buffer.speech_started")),
        [
            "cut c-1 heard 13",
            r#"said c-1 agent "One two three" cut"#,
            "listening"
        ]
    );
    assert_eq!(call.frame(kind("output_audio_buffer.cleared")), NONE);
    assert_eq!(call.frame(done("cancelled")), NONE);
    // Cut before a word of it was played: no line.
    call.frame(kind("input_audio_buffer.speech_stopped"));
    call.frame(kind("response.created"));
    call.frame(delta("Never"));
    assert_eq!(
        call.frame(kind("input_audio_buffer.speech_started")),
        ["listening"]
    );
    assert_eq!(call.frame(done("cancelled")), ["cut c-2 heard 0"]);
}

#[test]
fn orders_are_events_of_the_client() {
    let mut call = call();
    let say = Order::Type("And \"you\"?");
    let item = r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"And \"you\"?"}]}}"#;
    assert_eq!(call.order(say), [item, r#"{"type":"response.create"}"#]);
    call.frame(kind("response.created"));
    call.frame(delta("Fine, thanks."));
    call.frame(kind("output_audio_buffer.started"));
    call.now += 60_000;
    let stop = [
        r#"{"type":"response.cancel"}"#,
        r#"{"type":"output_audio_buffer.clear"}"#,
    ];
    let cut = [
        "cut c-1 heard 13",
        r#"said c-1 agent "Fine, thanks." cut"#,
        "listening",
    ];
    let all: Vec<&str> = stop.into_iter().chain(cut).collect();
    assert_eq!(call.order(Order::Interrupt), all);
    assert_eq!(call.order(Order::Interrupt), NONE);
    for order in [Order::Mute(true), Order::Tick, Order::End] {
        assert_eq!(call.order(order), NONE);
    }
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
