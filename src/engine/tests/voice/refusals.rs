//! Each refusal of a call, and each end that somebody else brings: its code, and what the screen says.

use super::*;

#[test]
fn each_no_of_the_browser_has_its_code() {
    for (why, reason) in [
        (CallEnd::Denied, "microphone_denied"),
        (CallEnd::Forbidden, "microphone_forbidden"),
        (CallEnd::Missing, "microphone_missing"),
        (CallEnd::Busy, "microphone_busy"),
    ] {
        let mut world = ready();
        world.send(Msg::Ui(Ui::VoicePressed));
        let id = mic(&world);
        world.send(Msg::Mic {
            id,
            news: MicNews::Refused(why),
        });
        assert_eq!(kinds(&world), [""; 0]);
        over(&mut world, reason);
    }
}

#[test]
fn what_cannot_be_is_said_without_asking() {
    let no_voice = Boot {
        prefetched: boot().prefetched,
        ..talkable()
    };
    let no_webrtc = Boot {
        webrtc: false,
        ..talkable()
    };
    let insecure = Boot {
        microphone: false,
        ..talkable()
    };
    for (boot, reason) in [
        (no_voice, "voice_unavailable"),
        (no_webrtc, "webrtc_unavailable"),
        (insecure, "page_insecure"),
    ] {
        let mut world = World::new(boot);
        world.call(Command::StartVoice);
        assert_eq!(asked(&world), 0);
        assert!(!world.panel().composer.can_talk, "no button for it");
        over(&mut world, reason);
    }
}

#[test]
fn another_try_is_one_press() {
    let mut world = ready();
    world.send(Msg::Ui(Ui::VoicePressed));
    let id = mic(&world);
    world.send(Msg::Mic {
        id,
        news: MicNews::Refused(CallEnd::Denied),
    });
    world.send(Msg::Ui(Ui::RetryPressed));
    assert_eq!((asked(&world), shown(&world)), (2, Some("connecting")));
    assert_ne!(mic(&world), id);
    assert_eq!(world.banner(), None);
}

#[test]
fn refusal_of_the_server_says_why() {
    for code in ["voice_unavailable", "overloaded", "rate_limited"] {
        let mut world = ready();
        world.send(Msg::Ui(Ui::VoicePressed));
        let id = grant(&mut world);
        world.channel(SessionEvent {
            kind: EventType::Error,
            code: Some(code.into()),
            retry_after_seconds: Some(7),
            ..SessionEvent::default()
        });
        world.channel(state("ended", Some("refused")));
        assert_eq!(closed(&world, id), 1);
        over(&mut world, code);
        assert_eq!(
            world
                .frames()
                .iter()
                .filter(|frame| frame.kind == "user.message")
                .count(),
            1,
            "typing is not held back by it"
        );
    }
}

#[test]
fn limit_reached_in_a_call_locks_with_its_seconds() {
    let (mut world, id) = talking();
    world.channel(SessionEvent {
        kind: EventType::Error,
        code: Some("limit_reached".into()),
        retry_after_seconds: Some(65),
        ..SessionEvent::default()
    });
    world.channel(state("ended", Some("refused")));
    assert_eq!(reasons(&world), ["limit_reached"]);
    assert_eq!(
        world.heard(EventName::LimitReached)[0]["retryAfterSeconds"],
        65
    );
    assert!(world.banner().is_some_and(|words| words.ends_with("1:05")));
    assert_eq!(closed(&world, id), 1);
    assert!(!world.panel().composer.can_talk, "nor can the visitor talk");
    world.call(Command::StartVoice);
    assert_eq!(asked(&world), 0);
    assert_eq!(reasons(&world), ["limit_reached", "limit_reached"]);
    live(&mut world, 66);
    assert_eq!(
        (world.banner(), world.panel().composer.can_talk),
        (None, true)
    );
}

#[test]
fn codes_of_the_end_reach_page_and_screen() {
    for (code, reason, told) in [
        ("idle", "idle", true),
        ("too_long", "too_long", true),
        ("taken_over", "taken_over", true),
        ("engine", "engine", true),
        ("session", "session", true),
        ("failed", "failed", true),
        ("something_newer", "failed", true),
        ("refused", "failed", true),
    ] {
        let (mut world, id) = talking();
        world.channel(state("ended", Some(code)));
        assert_eq!(
            (reasons(&world), closed(&world, id)),
            (vec![json!(reason)], 1)
        );
        assert_eq!(world.banner().is_some(), told, "{code}");
    }
}

// ── ending ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
