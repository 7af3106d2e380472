//! OpenAI's Realtime API: its events on the channel `oai-events`. The session was told everything when the offer was handed over.
//!
//! Over WebRTC the sound that was not played yet is on the vendor's side. Who speaks over the agent is noticed there; the answer is cancelled, its
//! sound dropped and the conversation truncated there, and a client sends nothing (`conversation.item.truncate` is for WebSockets). What a client
//! wants to stop, it stops by `response.cancel`, where a response is under way, and `output_audio_buffer.clear`, which truncates as well. Either
//! way `conversation.item.truncated` says how much was played, in milliseconds; which words that were, the vendor cannot tell.

use super::{Engine, LISTENING, Order, Out, Response, SPEAKING, Talk, Tree, hash, is, kinds};
use crate::engine::json::Json;

pub(super) const ENGINE: Engine = Engine {
    name: "openai",
    channel: "oai-events",
    frame,
    order,
};

/// Text comes at once and its sound takes time: so many milliseconds are a byte of speech, at 160 English words a minute. Another language or voice
/// is known by its pace after the first answer that was heard to its end and was not too short for it.
const MS_PER_BYTE: u64 = 66;
const TELLING_BYTES: u64 = 40;
/// No word is longer than this, and a line that has none so short is of a language that does not part them.
const WORD_BYTES: usize = 48;
/// How long what was heard may be told late.
const TRUNCATED_MS: u64 = 1_000;

const CANCEL: &str = r#"{"type":"response.cancel"}"#;
const CLEAR: &str = r#"{"type":"output_audio_buffer.clear"}"#;
/// An error that answers it names it.
const CREATE: &str = r#"{"type":"response.create","event_id":"k"}"#;

kinds! {
    SESSION_CREATED = "session.created",
    INPUT_AUDIO_BUFFER_SPEECH_STARTED = "input_audio_buffer.speech_started",
    OUTPUT_AUDIO_BUFFER_CLEARED = "output_audio_buffer.cleared",
    CONVERSATION_ITEM_TRUNCATED = "conversation.item.truncated",
    INPUT_AUDIO_BUFFER_SPEECH_STOPPED = "input_audio_buffer.speech_stopped",
    CONVERSATION_ITEM_INPUT_AUDIO_TRANSCRIPTION_DELTA = "conversation.item.input_audio_transcription.delta",
    CONVERSATION_ITEM_INPUT_AUDIO_TRANSCRIPTION_COMPLETED = "conversation.item.input_audio_transcription.completed",
    RESPONSE_CREATED = "response.created",
    RESPONSE_OUTPUT_AUDIO_TRANSCRIPT_DELTA = "response.output_audio_transcript.delta",
    RESPONSE_OUTPUT_TEXT_DELTA = "response.output_text.delta",
    OUTPUT_AUDIO_BUFFER_STARTED = "output_audio_buffer.started",
    OUTPUT_AUDIO_BUFFER_STOPPED = "output_audio_buffer.stopped",
    RESPONSE_DONE = "response.done",
    ERROR = "error",
}

fn frame(talk: &mut Talk, kind: &str, frame: &dyn Tree) {
    let (delta, item) = (frame.text("delta"), frame.text("item_id"));
    match hash(kind) {
        SESSION_CREATED => talk.go(LISTENING),
        INPUT_AUDIO_BUFFER_SPEECH_STARTED | OUTPUT_AUDIO_BUFFER_CLEARED => {
            cut(talk);
            talk.go(LISTENING);
        }
        CONVERSATION_ITEM_TRUNCATED if talk.cut && talk.item == item => {
            talk.heard = talk.segment;
            hear(talk, frame.number("audio_end_ms"));
            settle(talk);
        }
        INPUT_AUDIO_BUFFER_SPEECH_STOPPED => {
            settle(talk);
            talk.think();
        }
        CONVERSATION_ITEM_INPUT_AUDIO_TRANSCRIPTION_DELTA => {
            if talk.heard_item != item {
                talk.heard_item = item;
                talk.words.clear();
            }
            talk.words.push_str(&delta);
            let words = talk.words.clone();
            talk.hears(&words);
        }
        CONVERSATION_ITEM_INPUT_AUDIO_TRANSCRIPTION_COMPLETED => {
            talk.heard_all(&frame.text("transcript"));
        }
        RESPONSE_CREATED => created(talk),
        RESPONSE_OUTPUT_AUDIO_TRANSCRIPT_DELTA => spoken(talk, item, &delta),
        // Read rather than heard.
        RESPONSE_OUTPUT_TEXT_DELTA => {
            talk.writes(&delta);
            talk.hear_all();
        }
        OUTPUT_AUDIO_BUFFER_STARTED => talk.go(SPEAKING),
        OUTPUT_AUDIO_BUFFER_STOPPED => {
            learn(talk);
            talk.go(LISTENING);
            talk.hear_all();
            end_line(talk);
        }
        RESPONSE_DONE => {
            talk.response = Response::None;
            if !is(frame, "response.status", "completed") && !talk.speaks() && !talk.cut {
                talk.finish();
                talk.go(LISTENING);
            }
            end_line(talk);
            if talk.again {
                ask(talk);
            }
        }
        ERROR if is(frame, "error.event_id", "k") => {
            if talk.response == Response::Runs {
                // Somebody spoke just then, and is being answered: that may have begun before what was typed.
                talk.again = true;
            } else {
                talk.response = Response::None;
                talk.go(LISTENING);
            }
        }
        // Most errors are of one frame. A session that is over is not.
        ERROR if is(frame, "error.code", "session_expired") => talk.over("too_long"),
        _ => {}
    }
}

fn created(talk: &mut Talk) {
    // Of an answer that was cut, or never got its end: what was heard of it.
    talk.finish();
    let unwanted = talk.response == Response::Unwanted;
    talk.response = Response::Runs;
    // Nobody wants it any more, or it does not know yet what was typed meanwhile.
    if talk.again || unwanted {
        cancel(talk);
    }
    if talk.again || !unwanted {
        talk.think();
    }
}

/// More of what the agent says. What still comes of an item whose line is closed was not heard.
fn spoken(talk: &mut Talk, item: String, delta: &str) {
    let closed = talk.text.is_empty() && talk.item == item && !item.is_empty();
    if talk.cut || closed {
        return;
    }
    if talk.item != item {
        talk.item = item;
        talk.segment = talk.text.len();
    }
    talk.writes(delta);
}

/// The answer is complete, and all of it was heard: one without sound at once.
fn end_line(talk: &mut Talk) {
    let writes = matches!(talk.response, Response::Runs | Response::Cancelled);
    if !writes && !talk.speaks() && !talk.cut && talk.is_heard() {
        talk.close(false);
        talk.go(LISTENING);
    }
}

/// The pace of this voice.
fn learn(talk: &mut Talk) {
    let bytes = talk.text.len() as u64;
    if bytes >= TELLING_BYTES {
        talk.pace = talk.now.saturating_sub(talk.since) / bytes;
    }
}

/// So many milliseconds more of the line were heard. It does not end in the middle of a word.
fn hear(talk: &mut Talk, ms: u64) {
    let pace = if talk.pace == 0 {
        MS_PER_BYTE
    } else {
        talk.pace
    };
    let heard = talk.heard.saturating_add((ms / pace) as usize);
    talk.heard = heard.min(talk.text.len());
    if let Some(spoken) = talk
        .text
        .as_bytes()
        .get(..talk.heard)
        .filter(|_| !talk.is_heard())
    {
        let space = spoken.iter().rposition(|byte| *byte == b' ').unwrap_or(0);
        let words = space > 0 || spoken.last().is_none_or(u8::is_ascii);
        if words && talk.heard - space <= WORD_BYTES {
            talk.heard = space;
        }
    }
}

/// Nothing more is heard of what the agent says. How much was, is guessed for the screen; the line waits for the word on it.
fn cut(talk: &mut Talk) {
    if talk.speaks() && !talk.cut {
        hear(talk, talk.now.saturating_sub(talk.since));
        talk.cut = !talk.text.is_empty();
        talk.show_cut();
    }
}

/// The line that was cut is as long as is known by now.
fn settle(talk: &mut Talk) {
    if talk.cut {
        talk.finish();
    }
}

fn cancel(talk: &mut Talk) {
    talk.response = Response::Cancelled;
    talk.send(CANCEL);
}

fn stop(talk: &mut Talk) {
    let runs = talk.response == Response::Runs;
    if runs {
        cancel(talk);
    }
    if runs || talk.speaks() {
        talk.send(CLEAR);
        cut(talk);
        talk.go(LISTENING);
    }
}

/// One response at a time: the vendor refuses another.
fn ask(talk: &mut Talk) {
    talk.again = talk.response != Response::None;
    if !talk.again {
        talk.response = Response::Asked;
        talk.send(CREATE);
    }
}

fn order(talk: &mut Talk, order: Order<'_>) {
    match order {
        Order::Type(text) => {
            stop(talk);
            let content = Json::default()
                .text("type", "input_text")
                .text("text", text);
            let item = Json::default()
                .text("type", "message")
                .text("role", "user")
                .list("content", vec![content]);
            let create = Json::default().text("type", "conversation.item.create");
            talk.out.push(Out::Send(create.object("item", item)));
            ask(talk);
        }
        Order::Interrupt => {
            if talk.response == Response::Asked {
                talk.response = Response::Unwanted;
                talk.go(LISTENING);
            }
            stop(talk);
        }
        Order::End => {
            cut(talk);
            talk.finish();
        }
        Order::Tick => {
            if talk.now.saturating_sub(talk.since) >= TRUNCATED_MS {
                settle(talk);
            }
        }
        // The session begins by itself, and a muted track is silence.
        Order::Begin | Order::Mute(_) => {}
    }
}
