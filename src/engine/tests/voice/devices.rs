//! The microphone and the loudspeaker in a call: muted, changed, lost, held back.

use super::*;

#[test]
fn mute_is_local_and_told() {
    let (mut world, _) = talking();
    world.call(Command::Mute(true));
    world.call(Command::Mute(true));
    assert_eq!(world.count(|effect| *effect == Effect::MuteMic(true)), 1);
    assert_eq!(
        (kinds(&world), shown(&world)),
        (vec![String::from("voice.mute")], Some("muted"))
    );
    world.channel(state("speaking", None));
    assert_eq!(
        shown(&world),
        Some("speaking"),
        "the agent is heard all the same"
    );
    world.send(Msg::Ui(Ui::MutePressed));
    assert_eq!(kinds(&world), ["voice.mute", "voice.unmute"]);
    assert_eq!(
        world.heard(EventName::VoiceMuted),
        [json!({"muted": true}), json!({"muted": false})]
    );
}

#[test]
fn mute_before_the_call_is_up_holds() {
    let mut world = ready();
    world.send(Msg::Ui(Ui::VoicePressed));
    world.send(Msg::Ui(Ui::MutePressed));
    assert_eq!(world.count(|effect| *effect == Effect::MuteMic(true)), 1);
    grant(&mut world);
    assert_eq!(kinds(&world), ["voice.start", "voice.mute"]);
    world.channel(state("listening", None));
    assert_eq!(shown(&world), Some("muted"));
    world.send(Msg::Ui(Ui::EndPressed));
    world.send(Msg::Ui(Ui::VoicePressed));
    assert!(
        world.panel().call.is_some_and(|call| !call.muted),
        "the next call is not"
    );
}

#[test]
fn other_microphone_takes_the_place_of_the_first() {
    let (mut world, id) = talking();
    let why = CallEnd::Busy;
    world.send(Msg::Mic {
        id,
        news: MicNews::Refused(why),
    });
    assert_eq!(
        (shown(&world), closed(&world, id)),
        (Some("listening"), 0),
        "the one before goes on"
    );
    assert!(
        world
            .effects()
            .iter()
            .any(|effect| matches!(effect, Effect::Announce(words) if words.contains("in use")))
    );
    world.send(Msg::Mic {
        id,
        news: MicNews::Granted,
    });
    assert_eq!((shown(&world), kinds(&world).len()), (Some("listening"), 0));
}

#[test]
fn unplugged_microphone_ends_the_call() {
    let (mut world, id) = talking();
    world.send(Msg::Mic {
        id,
        news: MicNews::Ended,
    });
    assert_eq!(kinds(&world), ["voice.end"]);
    over(&mut world, "microphone_lost");
}

#[test]
fn phone_call_holds_the_microphone() {
    let (mut world, id) = talking();
    world.send(Msg::Mic {
        id,
        news: MicNews::Held(true),
    });
    assert_eq!(shown(&world), Some("muted"));
    let heard = |world: &World| world.count(|effect| *effect == Effect::Hear);
    assert_eq!(heard(&world), 0);
    world.send(Msg::Mic {
        id,
        news: MicNews::Held(false),
    });
    assert_eq!(shown(&world), Some("listening"));
    assert_eq!(heard(&world), 1, "it has stopped the sound, too");
}

#[test]
fn sound_that_the_browser_holds_back_is_one_press_away() {
    let (mut world, id) = talking();
    world.send(Msg::Mic {
        id,
        news: MicNews::SoundBlocked,
    });
    assert_eq!(
        world.panel().banner.and_then(|banner| banner.retry),
        Some("Tap to hear")
    );
    world.send(Msg::Ui(Ui::RetryPressed));
    assert_eq!(world.count(|effect| *effect == Effect::Hear), 1);
    assert_eq!((world.banner(), shown(&world)), (None, Some("listening")));
}

#[test]
fn closed_panel_leaves_the_call_and_the_launcher_shows_it() {
    let (mut world, id) = talking();
    world.send(Msg::Ui(Ui::EscapePressed));
    assert_eq!((closed(&world, id), world.panel().open), (0, false));
    assert!(
        world
            .machine()
            .view()
            .launcher
            .is_some_and(|launcher| launcher.call)
    );
    world.send(Msg::Ui(Ui::EndPressed));
    assert!(
        world
            .machine()
            .view()
            .launcher
            .is_some_and(|launcher| !launcher.call)
    );
}
