//! A call: the visitor talks and the agent answers aloud, in the session that is there anyway. It needs two things, which come in any
//! order and may be lost again: a microphone, and a line to the server. [`Panel::follow_line`] looks at what is there after every
//! message and does what follows; so a connection that breaks and comes back takes the call with it.
//!
//! What is said and answered arrives as events of the session, like what is typed, and is taken in [`super::receive`].

use super::core::Cx;
use super::panel::{By, Panel};
use crate::engine::config::Field;
use crate::engine::effect::{Effect, Id, Millis, Timer};
use crate::engine::event::EventName;
use crate::engine::json::Json;
use crate::engine::limits::{CALL_CONNECT_MS, CALL_LOST_MS};
use crate::engine::text::{CallEnd, Words};
use karta_protocol::{ErrorCode, EventType, SessionEvent, client};

#[derive(Default)]
pub(super) enum Voice {
    #[default]
    Off,
    /// There is no call, and the screen says why.
    Over(&'static End),
    On(Call),
}

pub(super) struct Call {
    pub phase: Phase,
    /// Of the microphone.
    mic: Id,
    line: Line,
    pub muted: bool,
    /// Something else on the device has the microphone.
    pub held: bool,
    /// The browser plays nothing yet.
    pub blocked: bool,
    /// The microphones, one name a line, and which of them it is.
    pub devices: String,
    pub device: u32,
    /// When the agent first listened.
    pub since: Option<Millis>,
    pub seconds: u64,
    /// Until when the line may be missing.
    deadline: Millis,
    /// What an `error` frame has said about the end that follows it.
    refusal: String,
}

/// Which connection carries the sound.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line {
    /// The one that carries the text: its audio section.
    Own,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// The visitor is asked for the microphone.
    Asking,
    /// The microphone is there, the line is not.
    Waiting,
    /// `voice.start` is out on this peer.
    Calling(Id),
    Talking(Id, Turn),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Turn {
    Listening,
    Thinking,
    Speaking,
}

/// Why a call ended: what pages hear, and what the visitor reads.
#[derive(Debug, PartialEq)]
pub(super) struct End {
    pub code: &'static str,
    /// None: nothing needs to be said.
    pub words: Option<CallEnd>,
    /// Something went wrong: pages hear of it as an error, too.
    trouble: bool,
}

/// As the visitor or the page wanted.
pub(super) const ENDED: &str = "ended";
/// The page went.
pub(super) const PAGE: &str = "page";
/// The conversation is over, and with it the call.
pub(super) const SHUTDOWN: &str = "shutdown";
const CONNECTION: &str = "connection";
const FAILED: &str = "failed";
const LOST: &str = "microphone_lost";
const INSECURE: &str = "page_insecure";
pub(super) const NO_WEBRTC: &str = "webrtc_unavailable";

/// Every reason of `voice:ended`. Public API: docs/EMBEDDING.md.
#[rustfmt::skip]
static ENDS: [End; 21] = [
    quiet(ENDED), quiet(PAGE), quiet(SHUTDOWN),
    // The composer says so, with the time that is left.
    quiet(ErrorCode::LimitReached.as_str()),
    told("idle", CallEnd::Idle), told("too_long", CallEnd::TooLong), told("taken_over", CallEnd::TakenOver),
    trouble("microphone_denied", CallEnd::Denied), trouble("microphone_forbidden", CallEnd::Forbidden),
    trouble("microphone_missing", CallEnd::Missing), trouble("microphone_busy", CallEnd::Busy), trouble(LOST, CallEnd::Lost),
    trouble(INSECURE, CallEnd::Insecure), trouble(NO_WEBRTC, CallEnd::NoWebrtc), trouble(CONNECTION, CallEnd::Connection),
    trouble(ErrorCode::VoiceUnavailable.as_str(), CallEnd::Unavailable),
    trouble(ErrorCode::Overloaded.as_str(), CallEnd::Crowded), trouble(ErrorCode::RateLimited.as_str(), CallEnd::Crowded),
    trouble("engine", CallEnd::Failed), trouble("session", CallEnd::Failed), trouble(FAILED, CallEnd::Failed),
];

/// The browser's exceptions; any other is a microphone that is there and cannot be had.
const REFUSALS: [(&str, &str); 6] = [
    ("NotAllowedError", "microphone_denied"),
    ("policy", "microphone_forbidden"),
    ("SecurityError", "microphone_forbidden"),
    ("NotFoundError", "microphone_missing"),
    ("OverconstrainedError", "microphone_missing"),
    ("TypeError", INSECURE),
];

const fn quiet(code: &'static str) -> End {
    End {
        code,
        words: None,
        trouble: false,
    }
}

const fn told(code: &'static str, words: CallEnd) -> End {
    End {
        code,
        words: Some(words),
        trouble: false,
    }
}

const fn trouble(code: &'static str, words: CallEnd) -> End {
    End {
        code,
        words: Some(words),
        trouble: true,
    }
}

impl Voice {
    pub fn call(&self) -> Option<&Call> {
        match self {
            Voice::On(call) => Some(call),
            Voice::Off | Voice::Over(_) => None,
        }
    }

    pub fn is_on(&self) -> bool {
        self.call().is_some()
    }

    /// Where the agent is heard: what it writes needs no other voice.
    pub fn is_talking(&self) -> bool {
        self.call()
            .is_some_and(|call| matches!(call.phase, Phase::Talking(..)))
    }
}

impl Panel {
    /// By the button, or by the page. Where a call cannot be, that is said; text goes on.
    pub fn start_call(&mut self, by: By, cx: &mut Cx<'_>) {
        if self.voice.is_on() {
            return;
        }
        // What the owner says about privacy stands in the panel, so it is seen before the browser asks.
        if !self.open {
            self.open(by, cx);
        }
        let mic = cx.id();
        self.voice = Voice::On(Call {
            phase: Phase::Asking,
            mic,
            line: Line::Own,
            muted: false,
            held: false,
            blocked: false,
            devices: String::new(),
            device: 0,
            since: None,
            seconds: 0,
            deadline: Millis::MAX,
            refusal: String::new(),
        });
        if let Some(code) = self.no_call(cx) {
            return self.end_call(code, cx);
        }
        cx.run(Effect::OpenMic {
            id: mic,
            device: None,
        });
        cx.timer(Timer::Call, 1_000);
        cx.render();
        self.wake_peer(cx);
        self.release(cx);
        self.drive(cx);
    }

    fn no_call(&self, cx: &Cx<'_>) -> Option<&'static str> {
        if cx.core.halt.is_some() {
            Some(SHUTDOWN)
        } else if self.limit.is_some() {
            Some(ErrorCode::LimitReached.as_str())
        } else if cx.core.config.get(Field::Voice).is_none() {
            Some(ErrorCode::VoiceUnavailable.as_str())
        } else if !cx.core.webrtc {
            Some(NO_WEBRTC)
        } else if !cx.core.microphone {
            Some(INSECURE)
        } else {
            None
        }
    }

    /// The one way out of a call, whatever its phase. The microphone goes first.
    pub fn end_call(&mut self, code: &str, cx: &mut Cx<'_>) {
        let Voice::On(call) = std::mem::take(&mut self.voice) else {
            return;
        };
        cx.run(Effect::CloseMic(call.mic));
        cx.clear(Timer::Call);
        if let Phase::Calling(peer) | Phase::Talking(peer, _) = call.phase {
            self.tell_line(call.line, peer, client::VOICE_END, cx);
        }
        self.log.aloud = false;
        self.log.drop_captions();
        let end = find(code).or_else(|| find(FAILED));
        if let Some(end) = end {
            let words = end
                .words
                .map(|words| cx.core.words.call_ends[words as usize]);
            let payload = Json::default().text("reason", end.code);
            cx.emit(EventName::VoiceEnded, payload);
            if end.trouble {
                cx.fail(end.code, "", words.unwrap_or_default());
            }
            match words {
                // The banner says it, aloud as well.
                Some(_) => self.voice = Voice::Over(end),
                None => cx.run(Effect::Announce(String::from(cx.core.words.call_ended))),
            }
        }
        cx.render();
    }

    /// What the screen said about the last call has been read.
    pub fn forget_call(&mut self, cx: &mut Cx<'_>) {
        if let Voice::Over(_) = self.voice {
            self.voice = Voice::Off;
            cx.render();
        }
    }

    pub fn mute(&mut self, muted: bool, cx: &mut Cx<'_>) {
        let Voice::On(call) = &mut self.voice else {
            return;
        };
        if call.muted == muted {
            return;
        }
        call.muted = muted;
        let (phase, line) = (call.phase, call.line);
        cx.run(Effect::MuteMic(muted));
        if let Phase::Calling(peer) | Phase::Talking(peer, _) = phase {
            let kind = if muted {
                client::VOICE_MUTE
            } else {
                client::VOICE_UNMUTE
            };
            self.tell_line(line, peer, kind, cx);
        }
        let payload = Json::default().truth("muted", muted);
        cx.emit(EventName::VoiceMuted, payload);
        cx.render();
    }

    // ── the microphone ───────────────────────────────────────────────────────────────────────────────────────────────

    /// The call that this microphone is of.
    fn call_of(&mut self, mic: Id) -> Option<&mut Call> {
        match &mut self.voice {
            Voice::On(call) if call.mic == mic => Some(call),
            Voice::On(_) | Voice::Off | Voice::Over(_) => None,
        }
    }

    pub fn mic_granted(&mut self, id: Id, cx: &mut Cx<'_>) {
        match self.call_of(id) {
            Some(call) => {
                if call.phase == Phase::Asking {
                    call.phase = Phase::Waiting;
                    call.deadline = cx.now + CALL_CONNECT_MS;
                }
            }
            // Nobody waits for it any more.
            None => cx.run(Effect::CloseMic(id)),
        }
    }

    pub fn mic_refused(&mut self, id: Id, name: &str, cx: &mut Cx<'_>) {
        let Some(call) = self.call_of(id) else { return };
        let refusal = REFUSALS.iter().find(|(known, _)| *known == name);
        let code = refusal.map_or("microphone_busy", |(_, code)| *code);
        if call.phase == Phase::Asking {
            self.end_call(code, cx);
        } else {
            // Another microphone was wanted: the one before goes on.
            let words = find(code).and_then(|end| end.words);
            let words = words.map(|words| cx.core.words.call_ends[words as usize]);
            cx.run(Effect::Announce(String::from(words.unwrap_or_default())));
            cx.render();
        }
    }

    pub fn mic_ended(&mut self, id: Id, cx: &mut Cx<'_>) {
        if self.call_of(id).is_some() {
            self.end_call(LOST, cx);
        }
    }

    pub fn mic_held(&mut self, id: Id, held: bool, cx: &mut Cx<'_>) {
        if let Some(call) = self.call_of(id) {
            call.held = held;
            cx.render();
        }
    }

    pub fn devices(&mut self, names: String, at: u32, cx: &mut Cx<'_>) {
        if let Voice::On(call) = &mut self.voice {
            call.devices = names;
            call.device = at;
            cx.render();
        }
    }

    pub fn pick_device(&mut self, at: u32, cx: &mut Cx<'_>) {
        if let Voice::On(call) = &mut self.voice {
            call.device = at;
            let (id, device) = (call.mic, Some(at));
            cx.run(Effect::OpenMic { id, device });
            cx.render();
        }
    }

    pub fn sound_blocked(&mut self, blocked: bool, cx: &mut Cx<'_>) {
        if let Voice::On(call) = &mut self.voice {
            call.blocked = blocked;
            if !blocked {
                cx.run(Effect::Hear);
            }
            cx.render();
        }
    }

    // ── the line ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// The peer that can carry a call now.
    fn line(&self, line: Line) -> Option<Id> {
        match line {
            Line::Own => self.peer.synced_id(),
        }
    }

    fn tell_line(&mut self, line: Line, id: Id, kind: &'static str, cx: &mut Cx<'_>) {
        if self.line(line) == Some(id) {
            let event = Json::default().text("type", kind);
            cx.run(Effect::SendFrame { id, event });
            match line {
                Line::Own => self.expect_frame(cx),
            }
        }
    }

    /// Brings the call in line with what is there: a line that came is called on, one that went is waited for.
    pub fn follow_line(&mut self, cx: &mut Cx<'_>) {
        let Voice::On(call) = &self.voice else { return };
        let line = self.line(call.line);
        let Voice::On(call) = &mut self.voice else {
            return;
        };
        if let Phase::Calling(peer) | Phase::Talking(peer, _) = call.phase
            && line != Some(peer)
        {
            call.phase = Phase::Waiting;
            // Before the agent has ever listened, the deadline that runs is the one that counts.
            if call.since.is_some() {
                call.deadline = cx.now + CALL_LOST_MS;
                cx.run(Effect::Announce(String::from(cx.core.words.reconnecting)));
            }
            self.log.drop_captions();
            cx.render();
        }
        if let (Phase::Waiting, Some(peer)) = (call.phase, line) {
            call.phase = Phase::Calling(peer);
            let (line, muted) = (call.line, call.muted);
            cx.run(Effect::Talk(peer));
            self.tell_line(line, peer, client::VOICE_START, cx);
            if muted {
                self.tell_line(line, peer, client::VOICE_MUTE, cx);
            }
        }
    }

    /// What the server says about the call.
    pub fn call_event(&mut self, event: &SessionEvent, cx: &mut Cx<'_>) {
        let Voice::On(call) = &mut self.voice else {
            return;
        };
        let (Phase::Calling(peer) | Phase::Talking(peer, _)) = call.phase else {
            return;
        };
        let turn = match event.kind {
            // Silent before anything is drawn.
            EventType::VoiceCut => return cx.run(Effect::Hush(true)),
            EventType::Error if event.id.is_none() => {
                call.refusal = event.code.clone().unwrap_or_default();
                return;
            }
            EventType::VoiceState => event.state.as_deref().unwrap_or(""),
            _ => return,
        };
        let turn = match (turn, event.code.as_deref()) {
            ("listening", _) => Turn::Listening,
            ("thinking", _) => Turn::Thinking,
            ("speaking", _) => Turn::Speaking,
            ("ended", Some(code)) => {
                let refusal = std::mem::take(&mut call.refusal);
                let code = if code == "refused" { &refusal } else { code };
                return self.end_call(code, cx);
            }
            // `ended` without a code answers the end of a call before this one.
            _ => return,
        };
        call.phase = Phase::Talking(peer, turn);
        if call.since.is_none() {
            call.since = Some(cx.now);
            cx.emit(EventName::VoiceStarted, Json::default());
            cx.run(Effect::Announce(String::from(cx.core.words.listening)));
        }
        match turn {
            Turn::Speaking => cx.run(Effect::Hush(false)),
            Turn::Listening => self.log.drop_captions(),
            Turn::Thinking => {}
        }
        self.log.aloud = true;
        cx.render();
    }

    /// Who presses stop does not want to hear the rest.
    pub fn hush(&mut self, cx: &mut Cx<'_>) {
        if self.voice.is_talking() {
            cx.run(Effect::Hush(true));
        }
    }

    pub fn call_ticks(&mut self, cx: &mut Cx<'_>) {
        let Voice::On(call) = &mut self.voice else {
            return;
        };
        cx.timer(Timer::Call, 1_000);
        if let Some(since) = call.since {
            call.seconds = cx.now.saturating_sub(since) / 1_000;
            cx.render();
        }
        if call.phase != Phase::Asking
            && !matches!(call.phase, Phase::Talking(..))
            && cx.now >= call.deadline
        {
            // Text goes and comes, and this never did: something between here and there lets no call through.
            let never = call.since.is_none() && self.link.is_live();
            self.end_call(if never { NO_WEBRTC } else { CONNECTION }, cx);
        }
    }

    /// What `transcript` says of an event of this call.
    pub fn tell_transcript(&self, event: &SessionEvent, cx: &mut Cx<'_>) {
        let (role, text) = match event.kind {
            EventType::UserTranscript => ("user", event.text.as_deref()),
            EventType::AgentMessage if self.voice.is_talking() => {
                let part = self.log.part(event.part_id.as_deref().unwrap_or(""));
                ("agent", part.map(|item| item.text.as_str()))
            }
            _ => return,
        };
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let payload = Json::default().text("role", role).text("text", text);
            cx.emit(EventName::Transcript, payload.truth("final", !event.delta));
        }
    }
}

impl Call {
    /// The state on screen, for the style sheet and in words.
    pub fn state(&self, words: &Words) -> (&'static str, &'static str) {
        match self.phase {
            Phase::Talking(_, Turn::Listening) if self.held => ("muted", words.mic_held),
            Phase::Talking(_, Turn::Listening) if self.muted => ("muted", words.muted),
            Phase::Talking(_, Turn::Listening) => ("listening", words.listening),
            Phase::Talking(_, Turn::Thinking) => ("thinking", words.thinking),
            Phase::Talking(_, Turn::Speaking) => ("speaking", words.speaking),
            Phase::Asking | Phase::Waiting | Phase::Calling(_) if self.since.is_some() => {
                ("reconnecting", words.reconnecting)
            }
            Phase::Asking | Phase::Waiting | Phase::Calling(_) => ("connecting", words.connecting),
        }
    }
}

fn find(code: &str) -> Option<&'static End> {
    ENDS.iter().find(|end| end.code == code)
}
