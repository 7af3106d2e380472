//! OpenAI's Realtime API: its events on the channel `oai-events`. The session was told everything when the offer was handed over. Who speaks
//! over the agent is noticed there, and the sound that was not played is dropped there; this side only has to know how much was heard.

use super::{Engine, LISTENING, Order, Out, SPEAKING, Talk, Tree, hash, is, kinds};
use crate::engine::json::Json;

pub(super) const ENGINE: Engine = Engine {
    name: "openai",
    channel: "oai-events",
    frame,
    order,
};

/// Its text comes at once and its sound takes time: so many milliseconds are a byte of speech. An estimate, at 160 words a minute.
const MS_PER_BYTE: u64 = 66;

kinds! {
    SESSION_CREATED = "session.created",
    INPUT_AUDIO_BUFFER_SPEECH_STARTED = "input_audio_buffer.speech_started",
    OUTPUT_AUDIO_BUFFER_CLEARED = "output_audio_buffer.cleared",
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
    let delta = frame.text("delta");
    match hash(kind) {
        SESSION_CREATED => talk.go(LISTENING),
        INPUT_AUDIO_BUFFER_SPEECH_STARTED | OUTPUT_AUDIO_BUFFER_CLEARED => {
            cut(talk);
            talk.go(LISTENING);
        }
        INPUT_AUDIO_BUFFER_SPEECH_STOPPED => talk.think(),
        CONVERSATION_ITEM_INPUT_AUDIO_TRANSCRIPTION_DELTA => {
            let item = frame.text("item_id");
            if talk.item != item {
                talk.item = item;
                talk.words.clear();
            }
            talk.words.push_str(&delta);
            let words = talk.words.clone();
            talk.hears(&words);
        }
        CONVERSATION_ITEM_INPUT_AUDIO_TRANSCRIPTION_COMPLETED => {
            talk.heard_all(&frame.text("transcript"));
        }
        RESPONSE_CREATED => {
            talk.writes = true;
            talk.think();
        }
        RESPONSE_OUTPUT_AUDIO_TRANSCRIPT_DELTA => talk.writes(&delta),
        // Read rather than heard.
        RESPONSE_OUTPUT_TEXT_DELTA => {
            talk.writes(&delta);
            talk.hear_all();
        }
        OUTPUT_AUDIO_BUFFER_STARTED => talk.go(SPEAKING),
        OUTPUT_AUDIO_BUFFER_STOPPED => {
            talk.go(LISTENING);
            talk.hear_all();
            end_line(talk);
        }
        RESPONSE_DONE => {
            talk.writes = false;
            if !is(frame, "response.status", "completed") && !talk.speaks() {
                talk.finish();
                talk.go(LISTENING);
            }
            end_line(talk);
        }
        // Most errors are of one frame. A session that is over is not.
        ERROR if is(frame, "error.code", "session_expired") => talk.over("too_long"),
        _ => {}
    }
}

/// The answer is complete, and all of it was heard: one without sound at once.
fn end_line(talk: &mut Talk) {
    if !talk.writes && !talk.speaks() && talk.is_heard() {
        talk.close(false);
        talk.go(LISTENING);
    }
}

/// Nothing more is heard of what the agent says.
fn cut(talk: &mut Talk) {
    if talk.speaks() {
        let heard = talk.now.saturating_sub(talk.since) / MS_PER_BYTE;
        talk.heard = usize::try_from(heard).unwrap_or(usize::MAX);
        if !talk.is_heard() {
            // Not in the middle of a word.
            let spoken = talk.text.as_bytes().get(..talk.heard).unwrap_or_default();
            talk.heard = spoken.iter().rposition(|byte| *byte == b' ').unwrap_or(0);
        }
        talk.close(true);
    }
}

fn stop(talk: &mut Talk) {
    if std::mem::take(&mut talk.writes) {
        talk.send(r#"{"type":"response.cancel"}"#);
    }
    if talk.speaks() {
        talk.send(r#"{"type":"output_audio_buffer.clear"}"#);
        cut(talk);
        talk.go(LISTENING);
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
            talk.send(r#"{"type":"response.create"}"#);
        }
        Order::Interrupt => stop(talk),
        Order::End => {
            cut(talk);
            talk.finish();
        }
        // The session begins by itself, and a muted track is silence.
        Order::Begin | Order::Mute(_) | Order::Tick => {}
    }
}
