//! RTVI.

use super::*;
use serde_json::json;

fn call() -> Heard {
    let mut call = Heard::new("pipecat");
    let ready = call.order(Order::Begin);
    let client = r#"{"label":"rtvi-ai","type":"client-ready","id":"r","data":{"version":"2.2.0","about":{"library":"karta"}}}"#;
    assert_eq!(ready, [client, "ping: 0"]);
    assert_eq!(
        call.frame(rtvi("bot-ready", json!({"version": "2.2.0", "about": {}}))),
        ["listening"]
    );
    call
}

fn rtvi(kind: &str, data: Value) -> Value {
    json!({"label": "rtvi-ai", "type": kind, "data": data})
}

fn plain(kind: &str) -> Value {
    json!({"label": "rtvi-ai", "type": kind})
}

fn input(text: &str, last: bool) -> Value {
    rtvi(
        "user-input",
        json!({"text": text, "input_type": "transcription", "final": last, "timestamp": "t"}),
    )
}

fn output(text: &str, status: &str, spoken: &str) -> Value {
    rtvi(
        "bot-output",
        json!({
            "text": text, "output_type": "sentence", "segment_id": 1, "will_be_spoken": true, "spoken_status": status,
            "spoken_progress": {"accumulated_text": spoken, "remaining_text": ""},
        }),
    )
}

const NONE: [&str; 0] = [];

#[test]
fn a_question_and_its_answer_become_lines_once_they_are_whole() {
    let mut call = call();
    assert_eq!(call.frame(plain("user-started-speaking")), NONE);
    assert_eq!(
        call.frame(input("what are", false)),
        [r#"user c-1 "what are""#]
    );
    assert_eq!(
        call.frame(input("what are your", true)),
        [r#"user c-1 "what are your""#]
    );
    // The old name for the same, from the same bot.
    let old = rtvi(
        "user-transcription",
        json!({"text": "what are your", "final": true, "user_id": "", "timestamp": "t"}),
    );
    assert_eq!(call.frame(old), NONE);
    assert_eq!(
        call.frame(input("opening hours", true)),
        [r#"user c-1 "what are your opening hours""#]
    );
    assert_eq!(call.frame(plain("user-stopped-speaking")), NONE);
    assert_eq!(
        call.frame(plain("bot-llm-started")),
        [r#"said c-1 user "what are your opening hours""#, "thinking"]
    );
    // The first that tells of a sentence is an old name of its own.
    let old = rtvi("bot-transcription", json!({"text": "Nine to five."}));
    assert_eq!(call.frame(old), NONE);
    assert_eq!(
        call.frame(output("Nine to five.", "new", "")),
        [r#"agent c-2@0 "Nine to five.""#]
    );
    assert_eq!(
        call.frame(output("Closed on Sunday.", "new", "")),
        [r#"agent c-2@13 " Closed on Sunday.""#]
    );
    // Old names again.
    assert_eq!(
        call.frame(rtvi("bot-transcription", json!({"text": "Nine to five."}))),
        NONE
    );
    assert_eq!(
        call.frame(rtvi("bot-llm-text", json!({"text": "Nine"}))),
        NONE
    );
    assert_eq!(call.frame(plain("bot-llm-stopped")), NONE);
    assert_eq!(call.frame(plain("bot-started-speaking")), ["speaking"]);
    assert_eq!(
        call.frame(output("Nine to five.", "completed", "Nine to five.")),
        NONE
    );
    assert_eq!(
        call.frame(output("Closed on Sunday.", "completed", "")),
        NONE
    );
    assert_eq!(
        call.frame(plain("bot-stopped-speaking")),
        [
            "listening",
            r#"said c-2 agent "Nine to five. Closed on Sunday.""#
        ]
    );
}

#[test]
fn words_that_come_late_or_are_not_answered_are_a_line_all_the_same() {
    let mut call = call();
    call.frame(input("hello", true));
    call.now += 1_000;
    assert_eq!(call.order(Order::Tick), ["ping: 0"]);
    call.now += 1_500;
    assert_eq!(
        call.order(Order::Tick),
        [r#"said c-1 user "hello""#, "ping: 0"]
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
    );
    assert_eq!(call.order(Order::Tick), ["ping: 0"]);
}

#[test]
fn who_speaks_over_the_agent_keeps_what_was_heard() {
    let mut call = call();
    call.frame(plain("bot-llm-started"));
    call.frame(output("Nine to five.", "new", ""));
    call.frame(output("Closed on Sunday.", "new", ""));
    call.frame(plain("bot-started-speaking"));
    call.frame(output("Nine to five.", "completed", ""));
    assert_eq!(
        call.frame(output("Closed on Sunday.", "in-progress", "Closed")),
        NONE
    );
    assert_eq!(call.frame(plain("user-started-speaking")), ["listening"]);
    assert_eq!(
        call.frame(plain("bot-interrupted")),
        [
            "cut c-1 heard 19",
            r#"said c-1 agent "Nine to five. Close" cut"#
        ]
    );
    // Nothing was heard: no line.
    call.frame(plain("bot-llm-started"));
    call.frame(output("Never heard.", "new", ""));
    assert_eq!(
        call.frame(plain("bot-interrupted")),
        ["cut c-2 heard 0", "listening"]
    );
    assert_eq!(call.frame(plain("bot-interrupted")), NONE);
}

#[test]
fn a_bot_of_the_first_protocol_is_understood() {
    let mut call = Heard::new("pipecat");
    call.frame(rtvi("bot-ready", json!({"version": "1.0.0"})));
    let old = rtvi(
        "user-transcription",
        json!({"text": "hello", "final": true}),
    );
    assert_eq!(call.frame(old), [r#"user c-1 "hello""#]);
    assert_eq!(
        call.frame(plain("bot-llm-started")),
        [r#"said c-1 user "hello""#, "thinking"]
    );
    assert_eq!(
        call.frame(rtvi("bot-transcription", json!({"text": "Hi there."}))),
        [r#"agent c-2@0 "Hi there.""#]
    );
    call.frame(plain("bot-llm-stopped"));
    call.frame(plain("bot-started-speaking"));
    assert_eq!(
        call.frame(plain("bot-stopped-speaking")),
        ["listening", r#"said c-2 agent "Hi there.""#]
    );
    let mut call = Heard::new("pipecat");
    call.frame(rtvi("bot-ready", json!({"version": "1.4.0"})));
    // 1.4: `spoken` says the same as the status.
    let output = |text: &str, spoken: bool| {
        rtvi(
            "bot-output",
            json!({"text": text, "spoken": spoken, "aggregated_by": "sentence"}),
        )
    };
    call.frame(plain("bot-llm-started"));
    assert_eq!(
        call.frame(output("One. ", false)),
        [r#"agent c-1@0 "One.""#]
    );
    assert_eq!(call.frame(output("One.", true)), NONE);
    assert_eq!(
        call.frame(output("Only spoken.", true)),
        [r#"agent c-1@4 " Only spoken.""#]
    );
    call.frame(plain("bot-started-speaking"));
    assert_eq!(
        call.frame(plain("bot-interrupted")),
        [
            "cut c-1 heard 17",
            r#"said c-1 agent "One. Only spoken." cut"#,
            "listening"
        ]
    );
}

#[test]
fn what_is_not_spoken_is_complete_when_it_is_written() {
    let mut call = call();
    call.frame(plain("bot-llm-started"));
    let text = rtvi(
        "bot-output",
        json!({"text": "In writing.", "will_be_spoken": false, "spoken_status": "new"}),
    );
    assert_eq!(call.frame(text), [r#"agent c-1@0 "In writing.""#]);
    call.frame(plain("bot-llm-stopped"));
    call.now += 3_000;
    assert_eq!(
        call.order(Order::Tick),
        ["ping: 0", r#"said c-1 agent "In writing.""#]
    );
    assert_eq!(call.order(Order::Tick), ["ping: 0"]);
}

#[test]
fn orders_are_frames_of_the_protocol() {
    let mut call = call();
    assert_eq!(
        call.order(Order::Type("And \"you\"?")),
        [r#"{"label":"rtvi-ai","type":"send-text","id":"t","data":{"content":"And \"you\"?"}}"#]
    );
    // Its echo is a line of the log already.
    let echo = rtvi(
        "user-input",
        json!({"text": "And", "input_type": "chat", "final": true, "msg_id": "m1"}),
    );
    assert_eq!(call.frame(echo), NONE);
    let mhm = rtvi(
        "user-input",
        json!({"text": "mhm", "input_type": "backchannel", "final": true}),
    );
    assert_eq!(call.frame(mhm), NONE);
    assert_eq!(
        call.order(Order::Mute(true)),
        [
            r#"{"type":"signalling","message":{"type":"trackStatus","receiver_index":0,"enabled":false}}"#
        ]
    );
    assert_eq!(call.order(Order::Interrupt), NONE);
    call.frame(input("goodbye", true));
    assert_eq!(
        call.order(Order::End),
        [
            r#"said c-1 user "goodbye""#,
            r#"{"label":"rtvi-ai","type":"disconnect-bot","id":"e","data":{}}"#
        ]
    );
}

#[test]
fn the_end_comes_from_either_side() {
    let left = json!({"type": "signalling", "message": {"type": "peerLeft"}});
    assert_eq!(call().frame(left), ["ended (ended)"]);
    let again = json!({"type": "signalling", "message": {"type": "renegotiate"}});
    assert_eq!(call().frame(again), ["ended (engine)"]);
    assert_eq!(
        call().frame(rtvi("error", json!({"error": "x", "fatal": true}))),
        ["ended (engine)"]
    );
    assert_eq!(
        call().frame(rtvi("error", json!({"error": "x", "fatal": false}))),
        NONE
    );
    assert_eq!(
        call().frame(rtvi("error-response", json!({"error": "version"}))),
        NONE
    );
}

#[test]
fn tools_are_thinking_and_the_rest_is_not_ours() {
    let mut call = call();
    let tool = rtvi(
        "llm-function-call-in-progress",
        json!({"tool_call_id": "1"}),
    );
    assert_eq!(call.frame(tool.clone()), ["thinking"]);
    assert_eq!(call.frame(plain("bot-started-speaking")), ["speaking"]);
    assert_eq!(call.frame(tool), NONE);
    for kind in [
        "metrics",
        "server-message",
        "ui-command",
        "bot-tts-audio",
        "system-log",
        "of-tomorrow",
    ] {
        assert_eq!(call.frame(rtvi(kind, json!({"text": "x"}))), NONE, "{kind}");
    }
}

/// Recorded from pipecat-ai 1.14.0: a long story that was asked for in writing and cut in its second sentence, in writing too.
#[test]
fn what_a_real_bot_sends_becomes_two_lines() {
    let mut call = Heard::new("pipecat");
    let mut told = Vec::new();
    for line in include_str!("../../../../fixtures/realtime/pipecat-1.14.jsonl").lines() {
        call.now += 50;
        told.extend(call.frame(serde_json::from_str(line).expect("JSON")));
    }
    assert_eq!(
        told,
        [
            "listening",
            "thinking",
            "speaking",
            r#"agent c-1@0 "This is sentence number 1 of a long story.""#,
            r#"agent c-1@42 " This is sentence number 2 of a long story.""#,
            "cut c-1 heard 42",
            r#"said c-1 agent "This is sentence number 1 of a long story." cut"#,
            "listening",
            "thinking",
            "speaking",
            r#"agent c-2@0 "You said: stop""#,
            "listening",
            r#"said c-2 agent "You said: stop""#,
        ]
    );
}
