//! What is read of SDP before it is handed to an engine, whose own reader may be less careful. Lines only; no state.

use crate::rtc::{Unacceptable, sdp};
use crate::voice::realtime::Candidate;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use str0m::change::SdpOffer;

/// Candidates in one fragment: a browser has one for each of its addresses.
const CANDIDATES_MAX: usize = 64;

/// An offer that an engine may see: sized, well formed, with audio and a data channel.
///
/// Candidates that are not public addresses are taken out: an engine tries to reach each of them, and a stranger must not point it at the
/// network that it lives in. The browser's own check finds the engine without them. So is the mark that no more will come, because then an
/// engine that was left without any would give up before that check.
pub fn offer(text: &str) -> Result<String, Unacceptable> {
    sdp::check(text)?;
    SdpOffer::from_sdp_string(text).map_err(|error| Unacceptable::new(error.to_string()))?;
    if !text.lines().any(|line| line.starts_with("m=audio ")) {
        return Err(Unacceptable::new("the offer has no audio section"));
    }
    if !has_plain_lines(text) {
        return Err(Unacceptable::new("the offer holds control characters"));
    }
    Ok(text
        .lines()
        .filter(|line| match line.strip_prefix("a=candidate:") {
            Some(rest) => is_public(rest),
            None => {
                !line.starts_with("a=remote-candidates:")
                    && !line.starts_with("a=end-of-candidates")
            }
        })
        .flat_map(|line| [line.trim_end(), "\r\n"])
        .collect())
}

/// Its lines are the same for every reader: Python's `splitlines` ends one at a lone CR, U+2028 and more, and would see a candidate where we see
/// the rest of another line.
fn has_plain_lines(text: &str) -> bool {
    let strange = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{2028}' | '\u{2029}');
    !text.replace("\r\n", "\n").contains(strange)
}

/// The same offer, with nothing of where its maker is: enough to end its call with.
pub fn without_addresses(offer: &str) -> String {
    offer
        .lines()
        .filter(|line| !line.starts_with("a=candidate:") && !line.starts_with("a=rtcp:"))
        .flat_map(|line| match line.starts_with("c=") {
            true => ["c=IN IP4 0.0.0.0", "\r\n"],
            false => [line.trim_end(), "\r\n"],
        })
        .collect()
}

/// The candidates of a fragment (RFC 8840) that an engine may see.
pub fn candidates(text: &str) -> Result<Vec<Candidate>, Unacceptable> {
    sdp::Fragment::parse(text)?;
    if !has_plain_lines(text) {
        return Err(Unacceptable::new("the fragment holds control characters"));
    }
    let (mut mid, mut section, mut found) = (String::new(), None, Vec::new());
    for line in text.lines() {
        let line = line.trim_end();
        if line.starts_with("m=") {
            section = Some(section.map_or(0, |n: u32| n + 1));
        } else if let Some(name) = line.strip_prefix("a=mid:") {
            mid = name.chars().take(64).collect();
        } else if let Some(rest) = line.strip_prefix("a=candidate:")
            && is_public(rest)
        {
            if found.len() == CANDIDATES_MAX {
                return Err(Unacceptable::new("the fragment has too many candidates"));
            }
            found.push(Candidate {
                line: format!("candidate:{rest}"),
                mid: mid.clone(),
                section: section.unwrap_or(0),
            });
        }
    }
    Ok(found)
}

/// The rest of a candidate's line names an address that any host may be asked to reach (RFC 8839 5.1: the fifth word).
fn is_public(rest: &str) -> bool {
    // Other readers know more white space than we do, and would count other words.
    if !rest.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return false;
    }
    let address = rest.split_ascii_whitespace().nth(4);
    // A name would be looked up, here or by multicast.
    match address.and_then(|text| text.parse().ok()) {
        Some(IpAddr::V4(ip)) => is_public_v4(ip),
        Some(IpAddr::V6(ip)) => is_public_v6(ip),
        None => false,
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18))
}

/// Of what is given out (2000::/3), without the ranges that hold an IPv4 address or are for documentation.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    a & 0xe000 == 0x2000 && a != 0x2002 && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OFFER: &str = include_str!("../../../fixtures/sdp/chromium-audio-channel-gathered.sdp");

    #[test]
    fn what_is_kept_of_an_offer_says_nothing_of_where_its_maker_is() {
        let public = "candidate:1 1 udp 1 93.184.216.34 5 typ srflx raddr 10.0.0.1 rport 5";
        let given = OFFER.replace("a=mid:0", &format!("a={public}\r\na=mid:0"));
        let given = given.replace("c=IN IP4 0.0.0.0", "c=IN IP4 93.184.216.34");
        let given = offer(&given).expect("an offer");
        assert!(
            given.contains(public) && given.contains("c=IN IP4 93"),
            "{given}"
        );
        let kept = without_addresses(&given);
        for line in kept.lines() {
            assert!(
                !line.contains("93.184.") && !line.contains("candidate:"),
                "{line}"
            );
            assert!(
                !line.starts_with("c=") || line == "c=IN IP4 0.0.0.0",
                "{line}"
            );
        }
        // Still an offer.
        offer(&kept).expect("an offer");
    }

    #[test]
    fn only_public_addresses_are_for_an_engine() {
        for (address, public) in [
            ("93.184.216.34", true),
            ("100.128.0.1", true),
            ("172.32.0.1", true),
            ("2a00:1450:4001:82a::200e", true),
            ("10.0.0.1", false),
            ("172.16.3.4", false),
            ("192.168.1.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("198.18.0.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
            ("64:ff9b::a00:1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("2002:a00:1::1", false),
            ("2001:0:1::1", false),
            ("2001:db8::1", false),
            ("ff02::1", false),
            ("5f5a.local", false),
            ("metadata.internal", false),
            ("", false),
        ] {
            let rest = format!("1 1 udp 2122260223 {address} 50000 typ host");
            assert_eq!(is_public(&rest), public, "{address}");
        }
        assert!(!is_public("1 1 udp"));
    }

    #[test]
    fn an_offer_keeps_everything_but_where_it_must_not_point() {
        let given = OFFER.lines().filter(|l| l.starts_with("a=candidate:"));
        assert!(given.count() > 0, "the fixture has candidates");
        let public =
            "a=candidate:9 1 udp 1685987071 93.184.216.34 50000 typ srflx raddr 0.0.0.0 rport 0";
        let text = format!("{OFFER}{public}\r\na=end-of-candidates\r\n");
        let handed = offer(&text).expect("good");
        let candidates: Vec<&str> = handed.lines().filter(|l| l.contains("candidate")).collect();
        assert_eq!(candidates, [public]);
        let rest = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.contains("candidate"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(rest(&handed), rest(&text));
    }

    #[test]
    fn what_is_no_offer_of_a_call_is_refused() {
        for text in [
            "",
            "v=0",
            "hello",
            &OFFER.replace("m=application", "m=video"),
            &OFFER.replace("m=audio", "m=video"),
            &OFFER.replace("a=ice-pwd", "a=nothing"),
            &OFFER.replacen("a=mid:0", "a=mid:0\u{1}", 1),
            &"a".repeat(70_000),
            &OFFER[..200],
        ] {
            assert!(offer(text).is_err(), "{text:.60}");
        }
    }

    #[test]
    fn a_fragment_names_candidates_by_their_section() {
        let text = "a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:x\r\n\
            a=candidate:1 1 udp 1 192.168.0.1 5 typ host\r\na=candidate:2 1 udp 1 93.184.216.34 5 typ srflx\r\n\
            m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:y\r\na=candidate:3 1 udp 1 93.184.216.34 6 typ srflx\r\na=end-of-candidates\r\n";
        let found = candidates(text).expect("good");
        let told: Vec<(&str, u32, bool)> = found
            .iter()
            .map(|c| (c.mid.as_str(), c.section, c.line.starts_with("candidate:")))
            .collect();
        assert_eq!(told, [("x", 0, true), ("y", 1, true)]);
        assert!(candidates("hello").is_err());
        let many = "a=candidate:2 1 udp 1 93.184.216.34 5 typ srflx\r\n".repeat(65);
        assert!(candidates(&many).is_err());
    }

    /// Lines as an engine in another language may see them (Python's `splitlines`, for one).
    fn lines(text: &str) -> impl Iterator<Item = &str> {
        text.split(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    }

    /// The address of a candidate, as somebody reads it who knows more kinds of white space.
    fn points_inside(candidate: &str) -> bool {
        let address = candidate.split_whitespace().nth(4);
        !address
            .is_some_and(|_| is_public(&candidate.split_whitespace().collect::<Vec<_>>().join(" ")))
    }

    const INSIDE: &str = "a=candidate:7 1 udp 7 10.0.0.1 5 typ host";

    #[test]
    fn no_candidate_is_hidden_from_this_reader_and_seen_by_another() {
        for end in ["\r", "\u{2028}", "\u{2029}", "\u{85}", "\u{b}", "\u{1e}"] {
            let given = OFFER.replacen("a=mid:0", &format!("a=mid:0{end}{INSIDE}"), 1);
            let handed = offer(&given).unwrap_or_default();
            assert!(!handed.contains("10.0.0.1"), "{end:?}");
            let given = format!("a=mid:0{end}{INSIDE}\r\n");
            let told = candidates(&given).unwrap_or_default();
            assert!(told.is_empty(), "{end:?} {told:?}");
        }
        for gap in ['\u{a0}', '\u{2003}', '\u{3000}', '\u{1c}'] {
            // For Python the fifth word is the private address.
            let line = format!("1 1 udp{gap}7 10.0.0.1{gap}x 93.184.216.34 5 typ host");
            let given = OFFER.replacen("a=mid:0", &format!("a=mid:0\r\na=candidate:{line}"), 1);
            let handed = offer(&given).unwrap_or_default();
            assert!(!handed.contains("10.0.0.1"), "{gap:?}");
            let told = candidates(&format!("a=candidate:{line}\r\n")).unwrap_or_default();
            assert!(told.is_empty(), "{gap:?} {told:?}");
        }
    }

    /// What is done to an offer: a line of it is lost, doubled, cut, or gets a piece of another or something strange into it.
    fn damage() -> impl Strategy<Value = Vec<(usize, u8, usize, String)>> {
        let piece = prop_oneof![
            "\\PC{0,40}",
            any::<String>(),
            Just(INSIDE.to_owned()),
            Just(format!("\r\n{INSIDE}\r\n")),
            Just("\r\nc=IN IP4 10.0.0.1\r\n".to_owned()),
            prop::sample::select(vec!["\r", "\n", "\u{2028}", "\u{2029}", "\u{a0}", " ", ":"])
                .prop_map(|end| format!("{end}{INSIDE}")),
        ];
        let change = (any::<usize>(), 0_u8..5, any::<usize>(), piece);
        prop::collection::vec(change, 0..5)
    }

    fn damaged(text: &str, damage: &[(usize, u8, usize, String)]) -> String {
        let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\r\n")).collect();
        for (line, kind, at, piece) in damage {
            let line = line % lines.len();
            let at = lines[line].floor_char_boundary(at % (lines[line].len() + 1));
            match kind {
                0 => lines[line].clear(),
                1 => lines[line] = lines[line].repeat(2),
                2 => lines[line].truncate(at),
                _ => lines[line].insert_str(at, piece),
            }
        }
        lines.concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(match std::env::var_os("KARTA_TEST_LONG") {
            Some(_) => 20_000,
            None => 500,
        }))]

        #[test]
        fn whatever_is_handed_over_points_nowhere_inside(damage in damage(), text: String) {
            for given in [damaged(OFFER, &damage), text] {
                if let Ok(handed) = offer(&given) {
                    for line in lines(&handed) {
                        if let Some(rest) = line.strip_prefix("a=candidate:") {
                            prop_assert!(!points_inside(rest), "{line:?}");
                        }
                    }
                    // Nothing is left to take out.
                    if let Ok(again) = offer(&handed) {
                        prop_assert_eq!(again, handed);
                    }
                }
                let kept = without_addresses(&given);
                for line in kept.lines() {
                    prop_assert!(!line.starts_with("a=candidate:") && !line.starts_with("a=rtcp:"), "{line:?}");
                    prop_assert!(!line.starts_with("c=") || line == "c=IN IP4 0.0.0.0", "{line:?}");
                }
                prop_assert_eq!(&without_addresses(&kept), &kept);
                for candidate in candidates(&given).unwrap_or_default() {
                    let rest = candidate.line.strip_prefix("candidate:");
                    prop_assert!(rest.is_some_and(|rest| !points_inside(rest)), "{:?}", candidate.line);
                }
            }
        }
    }
}
