//! Both adapters over frames as real peers send them (`fixtures/realtime` has what pipecat-ai 1.14.0 sent), and over what no peer should send.

mod openai;
mod rtvi;

use super::*;
use karta_protocol::ClientEvent;
use serde_json::Value;

impl Tree for Value {
    fn text(&self, path: &str) -> String {
        let text = at(self, path).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    }

    fn truth(&self, path: &str) -> bool {
        at(self, path).is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
    }

    fn number(&self, path: &str) -> u64 {
        at(self, path).and_then(Value::as_f64).unwrap_or(0.0) as u64
    }
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(value, |value, name| value.get(name))
}

/// A call of one adapter, told line by line.
struct Heard {
    adapter: Adapter,
    now: Millis,
}

impl Heard {
    fn new(line: &str) -> Heard {
        Heard {
            adapter: Adapter::new(engine(line).expect("known"), "c-".into()),
            now: 10_000,
        }
    }

    /// What follows from this frame, in short words.
    #[track_caller]
    fn frame(&mut self, frame: Value) -> Vec<String> {
        let out = self.adapter.frame(&frame, self.now);
        out.iter().map(short).collect()
    }

    fn order(&mut self, order: Order<'_>) -> Vec<String> {
        let out = self.adapter.order(order, self.now);
        out.iter().map(short).collect()
    }
}

fn short(out: &Out) -> String {
    match out {
        Out::Event(event) => {
            let id = event.id.as_ref();
            let id = id.map(|id| format!(" {id}")).unwrap_or_default();
            let at = event.offset.unwrap_or_default();
            let heard = event
                .heard
                .map(|n| format!(" heard {n}"))
                .unwrap_or_default();
            let text = event.text.as_ref().map(|text| format!(" {text:?}"));
            let text = text.unwrap_or_default();
            let code = event.code.as_ref().map(|code| format!(" ({code})"));
            let code = code.unwrap_or_default();
            match event.kind {
                EventType::VoiceState => {
                    format!("{}{code}", event.state.clone().unwrap_or_default())
                }
                EventType::VoiceCut => format!("cut{id}{heard}"),
                EventType::UserTranscript => format!("user{id}{text}"),
                EventType::AgentMessage => format!("agent{id}@{at}{text}"),
                other => format!("{other:?}"),
            }
        }
        Out::Said(said) => {
            let said = said_of(said);
            let cut = if said.interrupted { " cut" } else { "" };
            let (id, role, text) = (said.id, said.role, said.text.unwrap_or_default());
            format!(
                "said {} {} {text:?}{cut}",
                id.unwrap_or_default(),
                role.unwrap_or_default()
            )
        }
        Out::Send(json) => serde_json::to_string(json).expect("JSON"),
        Out::SendText(text) => (*text).into(),
    }
}

/// As the server reads it.
fn said_of(said: &Said) -> ClientEvent {
    let text = serde_json::to_string(&said.event()).expect("JSON");
    let event: ClientEvent = serde_json::from_str(&text).expect("a client event");
    assert_eq!(event.kind, client::CALL_SAID);
    event
}

#[test]
fn an_engine_of_tomorrow_is_none() {
    assert!(engine("pipecat").is_some() && engine("openai").is_some());
    assert!(engine("").is_none() && engine("holodeck").is_none());
}

/// Nothing that an engine or a network sends can make an adapter fail, grow without end or report more than a line may hold.
#[test]
fn no_frame_is_too_strange() {
    let long = "x".repeat(100_000);
    let values = [
        Value::Null,
        Value::Bool(true),
        Value::from(-1),
        Value::from(1e300),
        Value::from(900),
        Value::from(""),
        Value::from("ü".repeat(9_999)),
        Value::from(long),
        serde_json::json!([1, 2]),
        serde_json::json!({"text": {"text": []}}),
    ];
    let kinds = [
        "bot-ready",
        "user-started-speaking",
        "user-input",
        "user-transcription",
        "bot-llm-started",
        "bot-llm-stopped",
        "bot-output",
        "bot-transcription",
        "bot-started-speaking",
        "bot-stopped-speaking",
        "bot-interrupted",
        "error",
        "signalling",
        "nonsense",
        "session.created",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_audio_transcript.delta",
        "response.output_text.delta",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
        "response.done",
    ];
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for line in ["pipecat", "openai"] {
        let mut call = Heard::new(line);
        for _ in 0..6_000 {
            let mut pick = || values[random(values.len())].clone();
            let frame = serde_json::json!({
                "data": {"text": pick(), "final": pick(), "input_type": "transcription", "spoken_status": pick(), "spoken": pick(),
                    "will_be_spoken": pick(), "spoken_progress": {"accumulated_text": pick()}},
                "audio_end_ms": pick(), "delta": pick(), "transcript": pick(), "item_id": pick(), "response": pick(), "message": pick(),
            });
            let mut frame = frame;
            let status = ["new", "in-progress", "completed"][random(3)];
            if random(2) == 0 {
                frame["data"]["spoken_status"] = status.into();
            }
            frame["type"] = kinds[random(kinds.len())].into();
            call.now += random(3_000) as u64;
            let mut out = call.adapter.frame(&frame, call.now);
            out.extend(match random(8) {
                0 => call.adapter.order(Order::Tick, call.now),
                1 => call.adapter.order(Order::Interrupt, call.now),
                2 => call.adapter.order(Order::Type("hi"), call.now),
                _ => Vec::new(),
            });
            assert!(out.len() < 10, "{frame}");
            for said in &out {
                if let Out::Said(said) = said {
                    let said = said_of(said);
                    let (id, text) = (said.id.expect("an id"), said.text.expect("text"));
                    assert!(text.len() <= REPORT_BYTES && !text.is_empty());
                    assert!(id.starts_with("c-") && id.len() < 20);
                }
            }
        }
    }
    for frame in values {
        assert!(Heard::new("openai").frame(frame.clone()).is_empty());
        assert!(Heard::new("pipecat").frame(frame).is_empty());
    }
}
