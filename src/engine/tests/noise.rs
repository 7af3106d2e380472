//! Messages without any sense, in any order: the machine survives them all, never uses an id twice, and says `ready` once for each mount.

use super::fake::*;
use crate::engine::command::{Command, Secret};
use crate::engine::effect::{Effect, Id, Reply};
use crate::engine::event::EventName;
use crate::engine::machine::{Boot, MicNews, Msg, Ui};
use crate::engine::raw::Raw;
use karta_protocol::{EventType, RealtimeLine, SessionEvent};
use proptest::prelude::*;
use std::collections::HashSet;

fn any_event() -> impl Strategy<Value = SessionEvent> {
    let kinds = prop::sample::select(vec![
        EventType::UserMessage,
        EventType::UserTranscript,
        EventType::AgentMessage,
        EventType::AgentThinking,
        EventType::AgentToolUse,
        EventType::StatusRunning,
        EventType::StatusIdle,
        EventType::SessionError,
        EventType::LimitReached,
        EventType::Synced,
        EventType::VoiceState,
        EventType::VoiceCut,
        EventType::Pong,
        EventType::Error,
        EventType::Unknown,
    ]);
    let number = || {
        prop_oneof![
            Just(None),
            (0..6_u64).prop_map(Some),
            any::<u64>().prop_map(Some)
        ]
    };
    let word = || prop::option::of(prop::sample::select(vec!["", "a", "p", "wörter 🙂", "m_1"]));
    (
        kinds,
        number(),
        number(),
        word(),
        word(),
        word(),
        any::<bool>(),
        any::<Option<u32>>(),
        prop::sample::select(vec!["listening", "thinking", "speaking", "ended", "x"]),
    )
        .prop_map(
            |(kind, seq, offset, id, part, text, delta, seconds, state)| SessionEvent {
                state: Some(state.into()),
                heard: offset,
                code: text.map(String::from),
                kind,
                seq,
                offset,
                id: id.map(String::from),
                part_id: part.map(String::from),
                text: text.map(String::from),
                delta,
                retry_after_seconds: seconds,
                ..SessionEvent::default()
            },
        )
}

fn any_msg() -> impl Strategy<Value = Msg> {
    use crate::engine::effect::{Failure, Stored, Timer};
    let id = || (0..24_u32).prop_map(Id);
    let failure = || {
        let codes = vec![
            "",
            "token_expired",
            "session_not_found",
            "limit_reached",
            "internal",
            "rate_limited",
            "nonsense",
            "identity_invalid",
            "guest_not_allowed",
            "token_used",
        ];
        (
            prop::sample::select(vec![0_u16, 200, 400, 401, 403, 404, 429, 500]),
            prop::sample::select(codes),
            any::<Option<u32>>(),
        )
            .prop_map(|(status, code, seconds)| Failure {
                status,
                code: code.into(),
                message: "x".into(),
                retry_after_seconds: seconds,
            })
    };
    let reply = prop_oneof![
        Just(token("t")),
        prop::sample::select(vec!["a", "b"]).prop_map(super::users::user_reply),
        any::<u64>().prop_map(|seq| session_info("s_1", seq)),
        Just(accepted()),
        Just(Reply::Nothing),
        Just(Reply::Config(Box::new(config()))),
        Just(Reply::Answer {
            sdp: "s".into(),
            location: "//".into(),
            link: Secret("<x>;rel=".into()),
        }),
    ];
    let timers = vec![
        Timer::Reconnect,
        Timer::Peer,
        Timer::PeerDeadline,
        Timer::Ping,
        Timer::PongDeadline,
        Timer::TokenRefresh,
        Timer::Countdown,
        Timer::ConfigDeadline,
        Timer::Config,
        Timer::RequestDeadline,
        Timer::Call,
    ];
    let command = prop_oneof![
        Just(Command::Open),
        Just(Command::Close),
        Just(Command::Toggle),
        Just(Command::SendMessage("hi".into())),
        Just(Command::Init(Box::default())),
        Just(Command::Update(Box::default())),
        Just(Command::StartVoice),
        Just(Command::EndVoice),
        any::<bool>().prop_map(Command::Mute),
        Just(Command::Shutdown),
        Just(Command::Reset),
        super::users::any_identity().prop_map(|who| Command::Identify(Box::new(who))),
        Just(Command::Escalate {
            reason: None,
            context: vec![]
        }),
    ];
    prop_oneof![
        3 => command.prop_map(Msg::Command),
        6 => (id(), prop::result::maybe_ok(reply, failure())).prop_map(|(id, result)| Msg::HttpReplied { id, result }),
        2 => id().prop_map(|id| Msg::StreamOpened { id }),
        6 => (id(), any_event()).prop_map(|(id, event)| Msg::StreamFrame { id, event: Box::new(event) }),
        1 => (id(), failure()).prop_map(|(id, failure)| Msg::StreamClosed { id, failure }),
        2 => id().prop_map(|id| Msg::PeerOffered { id, sdp: String::new() }),
        2 => id().prop_map(|id| Msg::ChannelOpened { id }),
        6 => (id(), any_event()).prop_map(|(id, event)| Msg::ChannelFrame { id, event: Box::new(event) }),
        6 => (id(), any_frame()).prop_map(|(id, frame)| Msg::EngineFrame { id, frame: Box::new(frame) }),
        1 => id().prop_map(|id| Msg::PeerClosed { id, reason: "x" }),
        1 => id().prop_map(|id| Msg::PeerShaken { id }),
        1 => id().prop_map(|id| Msg::Mic { id, news: MicNews::SoundBlocked }),
        4 => id().prop_map(|id| Msg::Mic { id, news: MicNews::Granted }),
        1 => id().prop_map(|id| Msg::Mic { id, news: MicNews::Refused(crate::engine::text::CallEnd::Missing) }),
        1 => id().prop_map(|id| Msg::Mic { id, news: MicNews::Ended }),
        1 => (id(), any::<bool>()).prop_map(|(id, held)| Msg::Mic { id, news: MicNews::Held(held) }),
        3 => prop::sample::select(timers).prop_map(Msg::TimerFired),
        1 => prop::sample::select(vec![Msg::Online, Msg::Offline, Msg::PageHidden, Msg::PageRestored, Msg::Visible, Msg::NetworkChanged] ),
        1 => any::<bool>().prop_map(|some| Msg::StoredElsewhere {
            key: KEY.into(),
            record: some.then(|| Stored::default().write()),
        }),
        2 => (0..12_u8, 0..9_u32).prop_map(|(which, key)| Msg::Ui(match which {
            0 => Ui::LauncherPressed,
            1 => Ui::ClosePressed,
            2 => Ui::EscapePressed,
            3 => Ui::Submitted("typed".into()),
            4 => Ui::StopPressed,
            5 => Ui::PromptPressed(key as usize),
            6 => Ui::RetryPressed,
            7 => Ui::ResendPressed(key),
            8 => Ui::VoicePressed,
            9 => Ui::EndPressed,
            10 => Ui::MutePressed,
            _ => Ui::EscalatePressed,
        })),
    ]
}

fn any_frame() -> impl Strategy<Value = Raw> {
    let kinds = prop::sample::select(vec![
        "bot-ready",
        "user-input",
        "bot-llm-started",
        "bot-output",
        "bot-started-speaking",
        "bot-stopped-speaking",
        "bot-interrupted",
        "error",
        "session.created",
        "response.output_audio_transcript.delta",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "input_audio_buffer.speech_started",
        "nonsense",
    ]);
    let words = prop::sample::select(vec!["", "a", "wörter 🙂", "transcription", "new"]);
    (kinds, words, any::<bool>()).prop_map(|(kind, text, truth)| {
        raw(&serde_json::json!({"type": kind, "delta": text, "data": {
            "text": text, "final": truth, "fatal": truth, "input_type": "transcription", "spoken_status": text, "spoken": truth,
        }}))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_messages_in_any_order_are_survived(webrtc: bool, engine in 0..3_usize, messages in prop::collection::vec(any_msg(), 0..200)) {
        let page = match [None, Some(RealtimeLine::Pipecat), Some(RealtimeLine::OpenAi)][engine] {
            Some(line) => super::handed::page(line),
            None => talkable(),
        };
        let mut world = World::new(Boot { webrtc, ..page });
        let mut mounts = 0;
        // Microphones that were asked for and not closed: of a call at most, never of none.
        let mut mics = Vec::new();
        for msg in messages {
            let effects = world.effects().len();
            world.send(msg);
            world.advance(100);
            // Ids are never used twice, and `ready` comes once for each mount.
            let fresh = world.effects().get(effects..).unwrap_or_default().to_vec();
            for effect in fresh {
                match effect {
                    Effect::Call { event, .. } if event.name == EventName::Ready => {
                        mounts += 1;
                        prop_assert!(mounts <= 1, "ready twice in one mount");
                    }
                    Effect::Unmount => mounts = 0,
                    Effect::OpenMic(id) => mics.push(id),
                    Effect::CloseMic(closed) => mics.retain(|id| *id != closed),
                    _ => {}
                }
            }
            mics.dedup();
            let call = world.machine().view().panel.is_some_and(|panel| panel.call.is_some());
            prop_assert_eq!(mics.len(), usize::from(call));
        }
        let mut ids = HashSet::new();
        for effect in world.effects() {
            let id = match effect {
                Effect::Http(request) => request.id,
                Effect::OpenStream { id, .. } | Effect::OpenPeer { id, .. } => *id,
                _ => continue,
            };
            prop_assert!(ids.insert(id.0), "{id:?} names two things");
        }
    }
}
