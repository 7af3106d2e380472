//! Real offers, and what becomes of them when bytes and lines are changed.

use super::super::peer::{Identity, Outbox, Peer, Settings};
use super::super::sdp::{Fragment, SDP_MAX_BYTES};
use crate::error::Fault;
use karta_protocol::ErrorCode;
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

macro_rules! offers {
    ($($name:literal),+ $(,)?) => {
        const OFFERS: &[(&str, &str)] = &[$((
            $name,
            include_str!(concat!("../../../../fixtures/sdp/", $name, ".sdp")),
        )),+];
    };
}

offers![
    "chromium-audio-channel",
    "chromium-audio-channel-gathered",
    "chromium-channel-only",
    "chromium-microphone-channel",
    "chromium-audio-video-channel",
    "chromium-audio-video-screen-channel",
    "chromium-simulcast-camera-channel",
    "firefox-audio-channel-gathered",
    "firefox-audio-video-channel",
    "firefox-channel-only",
];

static SETTINGS: LazyLock<Arc<Settings>> = LazyLock::new(|| {
    Arc::new(Settings {
        identity: Identity::generate().unwrap(),
        candidates: vec!["127.0.0.1:4000".parse().unwrap()],
        connect_timeout: Duration::from_secs(20),
        peer_timeout: Duration::from_secs(20),
    })
});

fn accept(offer: &str) -> Result<(Peer, String), Fault> {
    Ok(Peer::accept(offer, SETTINGS.clone(), Instant::now())?)
}

#[test]
fn every_real_offer_is_answered_with_opus_and_a_channel_and_no_video() {
    for (name, offer) in OFFERS {
        let (_, answer) = accept(offer).unwrap_or_else(|e| panic!("{name}: {e}"));
        let kinds = |text: &str| -> Vec<String> {
            let word = |line: &str| line.split(' ').next().map(str::to_owned);
            text.lines()
                .filter(|l| l.starts_with("m="))
                .filter_map(word)
                .collect()
        };
        assert_eq!(kinds(&answer), kinds(offer), "{name}: one section for each");
        for section in answer.split("\r\nm=").skip(1) {
            let is = |prefix: &str| section.starts_with(prefix);
            if is("video") {
                assert!(is("video 0 "), "{name}: {section}");
            } else if is("audio") {
                assert!(
                    !is("audio 0 ") && section.contains("opus/48000/2"),
                    "{name}"
                );
                assert!(section.contains("a=sendrecv"), "{name}: {section}");
                let format = section.lines().find(|line| line.starts_with("a=fmtp:"));
                let format = format.unwrap_or_default();
                assert!(
                    format.contains("useinbandfec=1") && format.contains("usedtx=1"),
                    "{name}: {format}"
                );
                let extensions: Vec<&str> = section
                    .lines()
                    .filter(|line| line.starts_with("a=extmap:"))
                    .collect();
                assert!(
                    matches!(extensions[..], [] | [_])
                        && extensions.iter().all(|line| line.ends_with(":sdes:mid")),
                    "{name}: {extensions:?}"
                );
                assert!(!section.contains("PCMU"), "{name}: {section}");
            } else {
                assert!(is("application") && !is("application 0 "), "{name}");
            }
        }
        assert!(answer.contains("a=setup:passive"), "{name}");
        assert!(answer.contains(" 127.0.0.1 4000 typ host"), "{name}");
    }
}

#[test]
fn what_is_no_offer_is_refused_with_words() {
    let check = |offer: &str, word: &str| {
        let fault = accept(offer).map(drop).unwrap_err();
        assert_eq!(fault.code(), ErrorCode::SdpInvalid, "{offer:.60}");
        assert!(fault.to_string().contains(word), "{fault}");
    };
    let good = OFFERS[0].1;
    check("", "data channel");
    check("v=0\r\n", "data channel");
    let last = good.find("m=application").unwrap();
    check(&good[..last], "data channel");
    check(
        &good.replace("m=application 9", "m=application 0"),
        "data channel",
    );
    check(&good.replace("a=ice-ufrag", "a=nothing"), "ice-ufrag");
    check(&good.replace("a=ice-pwd:", "a=ice-pwd:short "), "ice-pwd");
    check(&good.replace("a=fingerprint", "a=nothing"), "fingerprint");
    check(&"x".repeat(SDP_MAX_BYTES + 1), "too long");
    check(
        &format!("{good}{}", "m=video 9 X 1\r\n".repeat(40)),
        "sections",
    );
}

#[test]
fn credentials_of_ice_are_never_the_same_twice() {
    let (one, _) = accept(OFFERS[0].1).unwrap();
    let (two, _) = accept(OFFERS[0].1).unwrap();
    assert_ne!(one.ufrag(), two.ufrag());
}

#[test]
fn time_alone_ends_a_peer_that_nobody_checks() {
    let (mut peer, _) = accept(OFFERS[0].1).unwrap();
    let mut out = Outbox::default();
    let begin = Instant::now();
    let mut now = begin;
    let mut ticks = 0;
    while out.events.is_empty() {
        now = peer.deadline().max(now + Duration::from_millis(1));
        peer.tick(now, &mut out);
        ticks += 1;
        assert!(ticks < 10_000, "deadlines lead nowhere");
    }
    assert!(
        out.packets.is_empty(),
        "nothing is sent to anybody before a check"
    );
    assert!((19..=30).contains(&(now - begin).as_secs()));
}

#[test]
fn fragments_are_read_line_by_line() {
    let check = |text: &str, expected: Result<bool, ()>| {
        let found = Fragment::parse(text).map(|f| f.credentials.is_some());
        assert_eq!(found.map_err(drop), expected, "{text}");
    };
    check("a=end-of-candidates\r\n", Ok(false));
    check("a=candidate:1 1 udp 1 x.local 9 typ host", Ok(false));
    check(
        "a=group:BUNDLE 0\r\nm=audio 9 X 0\r\na=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n",
        Ok(true),
    );
    check("a=ice-ufrag:abcd\r\n", Err(()));
    check(
        "a=ice-ufrag:ab:d\r\na=ice-pwd:0123456789012345678901",
        Err(()),
    );
    check("", Err(()));
    check("{\"candidate\":\"\"}", Err(()));
}

/// One change to an offer.
#[derive(Clone, Debug)]
enum Change {
    Byte { at: usize, value: u8 },
    Cut { at: usize },
    DropLine { at: usize },
    RepeatLine { at: usize, times: usize },
    SwapLines { a: usize, b: usize },
    Number { at: usize, value: u64 },
    Insert { at: usize, text: String },
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0..20_000usize;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, value)| Change::Byte { at, value }),
        at.clone().prop_map(|at| Change::Cut { at }),
        at.clone().prop_map(|at| Change::DropLine { at }),
        (at.clone(), 1..50usize).prop_map(|(at, times)| Change::RepeatLine { at, times }),
        (at.clone(), at.clone()).prop_map(|(a, b)| Change::SwapLines { a, b }),
        (
            at.clone(),
            prop_oneof![Just(0), Just(65_536), Just(u64::MAX), any::<u64>()]
        )
            .prop_map(|(at, value)| Change::Number { at, value }),
        (at, "\\PC{0,40}").prop_map(|(at, text)| Change::Insert { at, text }),
    ]
}

fn changed(offer: &str, changes: &[Change]) -> String {
    let mut bytes = offer.as_bytes().to_vec();
    for change in changes {
        bytes = apply(bytes, change);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn apply(mut bytes: Vec<u8>, change: &Change) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let length = bytes.len();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let count = lines.len();
    match change {
        Change::Byte { at, value } => {
            bytes[at % length] = *value;
            return bytes;
        }
        Change::Cut { at } => {
            bytes.truncate(at % length);
            return bytes;
        }
        Change::DropLine { at } => drop(lines.remove(at % count)),
        Change::RepeatLine { at, times } => {
            let line = lines[at % count];
            lines.splice(at % count..at % count, std::iter::repeat_n(line, *times));
        }
        Change::SwapLines { a, b } => lines.swap(a % count, b % count),
        Change::Number { at, value } => {
            let start = at % length;
            let first = (start..length).find(|i| bytes[*i].is_ascii_digit());
            if let Some(first) = first {
                let last = (first..length).find(|i| !bytes[*i].is_ascii_digit());
                bytes.splice(
                    first..last.unwrap_or(length),
                    value.to_string().into_bytes(),
                );
            }
            return bytes;
        }
        Change::Insert { at, text } => {
            let at = at % length;
            bytes.splice(at..at, text.bytes());
            return bytes;
        }
    }
    lines.concat().into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn a_changed_offer_is_answered_or_refused(
        index in 0..OFFERS.len(),
        changes in proptest::collection::vec(change(), 1..4),
    ) {
        if let Err(fault) = accept(&changed(OFFERS[index].1, &changes)) {
            prop_assert_eq!(fault.code(), ErrorCode::SdpInvalid);
            prop_assert!(!fault.to_string().contains("made the parser fail"), "{}", fault);
        }
    }

    #[test]
    fn no_fragment_panics(text in "\\PC{0,200}", changes in proptest::collection::vec(change(), 0..3)) {
        let _ = Fragment::parse(&text);
        let _ = Fragment::parse(&changed(OFFERS[0].1, &changes));
    }
}

/// `PROPTEST_CASES` makes the nightly run longer.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(512)
}
