//! A call: the visitor talks and the agent answers aloud, in the session that is there anyway. It needs two things, which come in any
//! order and may be lost again: a microphone, and a line to the server. [`Panel::follow_line`] looks at what is there after every
//! message and does what follows; so a connection that breaks and comes back takes the call with it.
//!
//! What is said and answered arrives as events of the session, like what is typed, and is taken in [`super::receive`].

use super::MicNews;
use super::core::Cx;
use super::handed::Handed;
use super::panel::{By, Panel};
use super::peer::Peer;
use crate::engine::config::{Config, Field};
use crate::engine::effect::{Effect, Id, Millis, Timer};
use crate::engine::event::EventName;
use crate::engine::json::Json;
use crate::engine::limits::{CALL_CONNECT_MS, CALL_LOST_MS};
use crate::engine::realtime::{BUILT, Order};
use crate::engine::text::{CallEnd, Words};
use karta_protocol::{ErrorCode, EventType, SessionEvent, client};

#[derive(Default)]
pub(super) enum Voice {
    #[default]
    Off,
    /// There is no call, and the screen says why.
    Over(CallEnd),
    On(Call),
}

pub(super) struct Call {
    phase: Phase,
    /// Of the microphone.
    mic: Id,
    line: Line,
    pub muted: bool,
    /// Something else on the device has the microphone.
    held: bool,
    /// The browser plays nothing yet.
    pub blocked: bool,
    /// When the agent first listened.
    pub since: Option<Millis>,
    pub seconds: u64,
    /// Until when the line may be missing.
    deadline: Millis,
    /// Not before then is another engine's line made.
    again: Millis,
    /// What an `error` frame has said about the end that follows it.
    refusal: &'static str,
    /// The state that was told last.
    told: &'static str,
}

/// Which connection carries the sound.
#[derive(Clone, Copy, PartialEq)]
enum Line {
    /// The one that carries the text: its audio section.
    Own,
    /// One to the agent's realtime engine, for this call only ([`super::handed`]).
    Handed,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// The visitor is asked for the microphone.
    Asking,
    /// The microphone is there, the line is not.
    Waiting,
    /// `voice.start` is out on this peer.
    Calling(Id),
    Talking(Id, Turn),
}

#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Listening,
    Thinking,
    Speaking,
}

/// As the visitor or the page wanted.
pub(super) const ENDED: &str = "ended";
/// The page went.
pub(super) const PAGE: &str = "page";
/// The conversation is over, and with it the call.
pub(super) const SHUTDOWN: &str = "shutdown";

/// The other reasons of `voice:ended`, and what the visitor reads. Public API: docs/EMBEDDING.md. First one for each [`CallEnd`], in its order.
static REASONS: [(&str, CallEnd); 18] = [
    ("microphone_denied", CallEnd::Denied),
    ("microphone_forbidden", CallEnd::Forbidden),
    ("microphone_missing", CallEnd::Missing),
    ("microphone_busy", CallEnd::Busy),
    ("microphone_lost", CallEnd::Lost),
    ("page_insecure", CallEnd::Insecure),
    ("webrtc_unavailable", CallEnd::NoWebrtc),
    ("connection", CallEnd::Connection),
    (ErrorCode::VoiceUnavailable.as_str(), CallEnd::Unavailable),
    (ErrorCode::Overloaded.as_str(), CallEnd::Crowded),
    ("failed", CallEnd::Failed),
    ("idle", CallEnd::Idle),
    ("too_long", CallEnd::TooLong),
    ("taken_over", CallEnd::TakenOver),
    (ErrorCode::LimitReached.as_str(), CallEnd::Limit),
    (ErrorCode::RateLimited.as_str(), CallEnd::Crowded),
    ("engine", CallEnd::Failed),
    ("session", CallEnd::Failed),
];

/// The code of an end of our own.
pub(super) fn code(end: CallEnd) -> &'static str {
    REASONS.get(end as usize).map_or("", |(code, _)| *code)
}

fn known(code: &str) -> Option<&'static (&'static str, CallEnd)> {
    REASONS.iter().find(|(known, _)| *known == code)
}

/// What a code of the server's or an engine's is called.
pub(super) fn reason(code: &str) -> &'static str {
    known(code).map_or(self::code(CallEnd::Failed), |(code, _)| *code)
}

impl Line {
    /// The peer that can carry a call now.
    fn peer(self, own: &Peer, handed: Option<&Handed>) -> Option<Id> {
        match self {
            Line::Own => own.synced_id(),
            Line::Handed => handed.and_then(Handed::line),
        }
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

    /// No other line before then. False: the agent has never listened.
    pub fn pause(&mut self, until: Millis) -> bool {
        let Voice::On(call) = self else { return false };
        call.again = until;
        call.since.is_some()
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
            line: match cx.core.config.get(Field::Realtime) {
                Some(_) if BUILT => Line::Handed,
                _ => Line::Own,
            },
            muted: false,
            held: false,
            blocked: false,
            since: None,
            seconds: 0,
            deadline: Millis::MAX,
            again: 0,
            refusal: code(CallEnd::Failed),
            told: "",
        });
        if let Some(code) = self.no_call(cx) {
            return self.end_call(code, cx);
        }
        cx.run(Effect::OpenMic(mic));
        cx.timer(Timer::Call, 1_000);
        cx.render();
        self.wake_peer(cx);
        self.release(cx);
        self.drive(cx);
    }

    fn no_call(&self, cx: &Cx<'_>) -> Option<&'static str> {
        Some(if cx.core.halt.is_some() {
            SHUTDOWN
        } else if self.limit.is_some() {
            code(CallEnd::Limit)
        } else if !may_talk(&cx.core.config) {
            code(CallEnd::Unavailable)
        } else if !cx.core.webrtc {
            code(CallEnd::NoWebrtc)
        } else if !cx.core.microphone {
            code(CallEnd::Insecure)
        } else {
            return None;
        })
    }

    /// The one way out of a call, whatever its phase. The microphone goes first.
    pub fn end_call(&mut self, reason: &'static str, cx: &mut Cx<'_>) {
        let Voice::On(call) = &self.voice else { return };
        cx.run(Effect::CloseMic(call.mic));
        cx.clear(Timer::Call);
        self.tell_call(client::VOICE_END, cx);
        self.voice = Voice::Off;
        self.close_handed(cx);
        self.log.aloud = false;
        self.log.drop_captions();
        cx.emit(
            EventName::VoiceEnded,
            Json::default().text("reason", reason),
        );
        let mut words = None;
        if let Some((_, end)) = known(reason) {
            words = cx.core.words.why(*end);
            if words.is_some() {
                // The banner says it, aloud as well.
                self.voice = Voice::Over(*end);
            }
            if *end <= CallEnd::Failed {
                cx.fail(reason, "", words.unwrap_or_default());
            }
        }
        if words.is_none() {
            cx.announce(cx.core.words.call_ended);
        }
        cx.render();
    }

    /// The server can do nothing with our offers.
    pub fn call_impossible(&mut self, cx: &mut Cx<'_>) {
        self.end_call(code(CallEnd::NoWebrtc), cx);
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
        cx.run(Effect::MuteMic(muted));
        let kind = if muted {
            client::VOICE_MUTE
        } else {
            client::VOICE_UNMUTE
        };
        self.tell_call(kind, cx);
        let payload = Json::default().truth("muted", muted);
        cx.emit(EventName::VoiceMuted, payload);
        cx.render();
    }

    // ── the microphone ───────────────────────────────────────────────────────────────────────────────────────────────

    pub fn mic_news(&mut self, id: Id, news: MicNews, cx: &mut Cx<'_>) {
        let call = match &mut self.voice {
            Voice::On(call) if call.mic == id => call,
            // Nobody waits for it any more.
            Voice::On(_) | Voice::Off | Voice::Over(_) => {
                if news == MicNews::Granted {
                    cx.run(Effect::CloseMic(id));
                }
                return;
            }
        };
        let asking = call.phase == Phase::Asking;
        match news {
            MicNews::Granted if asking => {
                call.phase = Phase::Waiting;
                call.deadline = cx.now + CALL_CONNECT_MS;
            }
            MicNews::Granted => {}
            MicNews::Refused(why) if asking => self.end_call(code(why), cx),
            // Another microphone was wanted: the one before goes on.
            MicNews::Refused(why) => cx.announce(cx.core.words.why(why).unwrap_or_default()),
            MicNews::Ended => self.end_call(code(CallEnd::Lost), cx),
            // What took the microphone has stopped the sound as well.
            MicNews::Held(held) => {
                if std::mem::replace(&mut call.held, held) {
                    cx.run(Effect::Hear);
                }
            }
            MicNews::SoundBlocked => call.blocked = true,
        }
        cx.render();
    }

    /// The visitor has pressed: now it may be heard.
    pub fn hear(&mut self, cx: &mut Cx<'_>) {
        if let Voice::On(call) = &mut self.voice {
            call.blocked = false;
            cx.run(Effect::Hear);
            cx.render();
        }
    }

    // ── the line ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// A frame about the call, where it has a line.
    fn tell_call(&mut self, kind: &'static str, cx: &mut Cx<'_>) {
        if let Voice::On(call) = &self.voice
            && let Phase::Calling(id) | Phase::Talking(id, _) = call.phase
            && call.line.peer(&self.peer, self.handed.get()) == Some(id)
        {
            match call.line {
                Line::Own => {
                    let event = Json::default().text("type", kind);
                    cx.run(Effect::SendFrame { id, event });
                    self.expect_frame(cx);
                }
                Line::Handed => {
                    let order = match kind {
                        client::VOICE_START => Order::Begin,
                        client::VOICE_END => Order::End,
                        _ => Order::Mute(call.muted),
                    };
                    self.order(order, cx);
                }
            }
        }
    }

    /// Brings the call in line with what is there: a line that came is called on, one that went is waited for.
    pub fn follow_line(&mut self, cx: &mut Cx<'_>) {
        let Voice::On(call) = &mut self.voice else {
            return;
        };
        let line = call.line.peer(&self.peer, self.handed.get());
        if let Phase::Calling(peer) | Phase::Talking(peer, _) = call.phase
            && line != Some(peer)
        {
            call.phase = Phase::Waiting;
            // Before the agent has ever listened, the deadline that runs is the one that counts.
            if call.since.is_some() {
                call.deadline = cx.now + CALL_LOST_MS;
            }
            self.log.drop_captions();
            cx.render();
        }
        if let (true, Phase::Waiting, None, Line::Handed) = (BUILT, call.phase, line, call.line) {
            if cx.now >= call.again {
                self.open_handed(cx);
            }
        } else if let (Phase::Waiting, Some(peer)) = (call.phase, line) {
            call.phase = Phase::Calling(peer);
            let muted = call.muted;
            cx.run(Effect::Talk(peer));
            self.tell_call(client::VOICE_START, cx);
            if muted {
                self.tell_call(client::VOICE_MUTE, cx);
            }
        }
    }

    /// What the server says about the call, or the engine.
    pub fn call_event(&mut self, event: &SessionEvent, cx: &mut Cx<'_>) {
        let another = self.is_of_another_call(event);
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
                let code = event.code.as_deref().unwrap_or("");
                call.refusal = known(code).map_or(call.refusal, |(code, _)| *code);
                return;
            }
            EventType::VoiceState if another => return,
            EventType::VoiceState => event.state.as_deref().unwrap_or(""),
            _ => return,
        };
        let turn = match (turn, event.code.as_deref()) {
            ("listening", _) => Turn::Listening,
            ("thinking", _) => Turn::Thinking,
            ("speaking", _) => Turn::Speaking,
            ("ended", Some(end)) => {
                let reason = match end {
                    "refused" => call.refusal,
                    ENDED => ENDED,
                    end => reason(end),
                };
                return self.end_call(reason, cx);
            }
            // `ended` without a code answers the end of a call before this one.
            _ => return,
        };
        call.phase = Phase::Talking(peer, turn);
        if call.since.is_none() {
            call.since = Some(cx.now);
            cx.emit(EventName::VoiceStarted, Json::default());
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
            self.order(Order::Interrupt, cx);
        }
    }

    pub fn call_ticks(&mut self, cx: &mut Cx<'_>) {
        self.order(Order::Tick, cx);
        if BUILT {
            self.mend_handed(cx);
        }
        let Voice::On(call) = &mut self.voice else {
            return;
        };
        cx.timer(Timer::Call, 1_000);
        if let Some(since) = call.since {
            call.seconds = cx.now.saturating_sub(since) / 1_000;
            cx.render();
        }
        if matches!(call.phase, Phase::Waiting | Phase::Calling(_)) && cx.now >= call.deadline {
            // Text goes and comes, and this never did: something between here and there lets no call through.
            let never = call.since.is_none() && self.link.is_live();
            let end = if never {
                CallEnd::NoWebrtc
            } else {
                CallEnd::Connection
            };
            self.end_call(code(end), cx);
        }
    }

    /// Who does not see the state of the call hears of it, but for one: that the agent speaks is heard anyway.
    pub fn tell_state(&mut self, cx: &mut Cx<'_>) {
        if let Voice::On(call) = &mut self.voice {
            let (_, words) = call.state(cx.core.words);
            let before = std::mem::replace(&mut call.told, words);
            // One table of words, so the same words are the same place in it.
            if !std::ptr::eq(before, words)
                && !matches!(call.phase, Phase::Talking(_, Turn::Speaking))
            {
                cx.announce(words);
            }
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

/// The agent talks, and this panel is the one that its calls need.
pub(super) fn may_talk(config: &Config) -> bool {
    config.get(Field::Voice).is_some() && (BUILT || config.get(Field::Realtime).is_none())
}
