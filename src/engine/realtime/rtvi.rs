//! RTVI 2.x, as Pipecat speaks it over SmallWebRTC. Of the messages for one and the same text the newest kind is taken (`bot-output` before
//! `bot-transcription`, `user-input` before `user-transcription`), so that 1.x bots are understood, too.

use super::{Engine, LISTENING, Order, Out, SPEAKING, Talk, Tree, hash, is, kinds};
use crate::engine::json::Json;

pub(super) const ENGINE: Engine = Engine {
    name: "pipecat",
    channel: "chat",
    frame,
    order,
};

/// The bot counts them and reads no further.
const PING: &str = "ping: 0";
const READY: &str = r#"{"label":"rtvi-ai","type":"client-ready","id":"r","data":{"version":"2.2.0","about":{"library":"karta"}}}"#;
const END: &str = r#"{"label":"rtvi-ai","type":"disconnect-bot","id":"e","data":{}}"#;
const MUTED: &str =
    r#"{"type":"signalling","message":{"type":"trackStatus","receiver_index":0,"enabled":false}}"#;
const UNMUTED: &str =
    r#"{"type":"signalling","message":{"type":"trackStatus","receiver_index":0,"enabled":true}}"#;

kinds! {
    BOT_READY = "bot-ready",
    USER_STARTED_SPEAKING = "user-started-speaking",
    USER_INPUT = "user-input",
    USER_TRANSCRIPTION = "user-transcription",
    BOT_LLM_STARTED = "bot-llm-started",
    BOT_LLM_STOPPED = "bot-llm-stopped",
    LLM_FUNCTION_CALL_STARTED = "llm-function-call-started",
    LLM_FUNCTION_CALL_IN_PROGRESS = "llm-function-call-in-progress",
    BOT_STARTED_SPEAKING = "bot-started-speaking",
    BOT_STOPPED_SPEAKING = "bot-stopped-speaking",
    BOT_INTERRUPTED = "bot-interrupted",
    BOT_OUTPUT = "bot-output",
    BOT_TRANSCRIPTION = "bot-transcription",
    ERROR = "error",
    SIGNALLING = "signalling",
}

fn frame(talk: &mut Talk, kind: &str, frame: &dyn Tree) {
    let text = frame.text("data.text");
    let text = text.trim_ascii();
    match hash(kind) {
        BOT_READY => {
            // 1.0 has no `bot-output`; later ones say the same by older names first.
            let version = frame.text("data.version");
            talk.output = !version.starts_with("1.0") && !version.starts_with("0");
            talk.go(LISTENING);
        }
        USER_STARTED_SPEAKING => talk.go(LISTENING),
        USER_INPUT => {
            talk.input = true;
            if is(frame, "data.input_type", "transcription") {
                hears(talk, text, frame);
            }
        }
        USER_TRANSCRIPTION if !talk.input => hears(talk, text, frame),
        BOT_LLM_STARTED => {
            // What the visitor said is complete now, and so is the answer before, if it was heard.
            heard_all(talk);
            end_line(talk);
            talk.writes = true;
            talk.think();
        }
        BOT_LLM_STOPPED => talk.writes = false,
        LLM_FUNCTION_CALL_STARTED | LLM_FUNCTION_CALL_IN_PROGRESS => talk.think(),
        BOT_STARTED_SPEAKING => {
            heard_all(talk);
            talk.go(SPEAKING);
        }
        BOT_STOPPED_SPEAKING => {
            if !talk.output {
                talk.hear_all();
            }
            talk.go(LISTENING);
            end_line(talk);
        }
        BOT_INTERRUPTED => {
            talk.writes = false;
            talk.segment = 0;
            talk.close(true);
            talk.go(LISTENING);
        }
        BOT_OUTPUT => output(talk, text, frame),
        BOT_TRANSCRIPTION if !talk.output => append(talk, text),
        ERROR if frame.truth("data.fatal") => talk.over("engine"),
        SIGNALLING if is(frame, "message.type", "peerLeft") => talk.over("ended"),
        // Only for pictures, which there are none of: the connection cannot go on as it is.
        SIGNALLING if is(frame, "message.type", "renegotiate") => talk.over("engine"),
        // Of a newer bot, or for others.
        _ => {}
    }
}

fn output(talk: &mut Talk, text: &str, frame: &dyn Tree) {
    match frame.text("data.spoken_status").as_str() {
        "in-progress" => {
            let spoken = frame.text("data.spoken_progress.accumulated_text");
            talk.heard = talk.segment + spoken.len();
        }
        "completed" => spoken(talk, text),
        // 1.x.
        "" if frame.truth("data.spoken") => spoken(talk, text),
        status => {
            let all = talk.is_heard();
            append(talk, text);
            if status == "new" && all && !frame.truth("data.will_be_spoken") {
                talk.hear_all();
            }
        }
    }
}

/// A sentence that was not told of before is one that is spoken as it comes.
fn spoken(talk: &mut Talk, text: &str) {
    let rest = talk.text.get(talk.segment..).unwrap_or_default();
    let start = rest.trim_ascii_start();
    if start.starts_with(text) {
        talk.segment += rest.len() - start.len() + text.len();
    } else {
        append(talk, text);
        talk.segment = talk.text.len();
    }
    talk.heard = talk.segment;
}

fn append(talk: &mut Talk, text: &str) {
    let gap = if talk.text.is_empty() { "" } else { " " };
    talk.writes(&[gap, text].concat());
}

/// The answer is complete: the model writes no more, and nothing is left to be spoken.
fn end_line(talk: &mut Talk) {
    if !talk.writes && talk.is_heard() {
        talk.segment = 0;
        talk.close(false);
    }
}

/// Of a turn there may be several that are final.
fn hears(talk: &mut Talk, text: &str, frame: &dyn Tree) {
    let gap = if talk.words.is_empty() { "" } else { " " };
    let all = [&talk.words, gap, text].concat();
    talk.hears(&all);
    talk.spoken_ms = talk.now;
    if frame.truth("data.final") {
        talk.words = all;
    }
}

fn heard_all(talk: &mut Talk) {
    let words = std::mem::take(&mut talk.words);
    talk.heard_all(&words);
}

fn order(talk: &mut Talk, order: Order<'_>) {
    match order {
        Order::Begin => {
            talk.send(READY);
            talk.send(PING);
        }
        Order::Type(text) => {
            heard_all(talk);
            // Without options: at once, and aloud.
            let frame = Json::default()
                .text("label", "rtvi-ai")
                .text("type", "send-text")
                .text("id", "t")
                .object("data", Json::default().text("content", text));
            talk.out.push(Out::Send(frame));
        }
        Order::Mute(muted) => talk.send(if muted { MUTED } else { UNMUTED }),
        // The protocol has no word for it; the widget is silent by itself.
        Order::Interrupt => {}
        Order::Tick => {
            talk.send(PING);
            // A recogniser can come after the answer to its words, or without one.
            if talk.now.saturating_sub(talk.spoken_ms) > 2_000 {
                heard_all(talk);
            }
            if !talk.speaks() && talk.now.saturating_sub(talk.since) > 2_000 {
                end_line(talk);
            }
        }
        Order::End => {
            heard_all(talk);
            talk.finish();
            talk.send(END);
        }
    }
}
