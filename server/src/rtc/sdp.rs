//! The little that is read from SDP text before str0m parses it: bounds, what an offer must carry, and the fragments of
//! trickle ICE (RFC 8840). Lines only; no state.

use super::peer::Unacceptable;
use str0m::IceCreds;

/// Chromium's offer with audio, video, a shared screen and a data channel is 9 kB; everything beyond is not an offer.
pub(super) const SDP_MAX_BYTES: usize = 64 * 1024;
/// Pipecat's client offers four sections, a meeting page perhaps twenty. str0m's work grows with them.
const SECTIONS_MAX: usize = 32;

/// An offer that may be shown to str0m: sized, with a data channel, without candidates.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    text: String,
    pub credentials: IceCreds,
}

impl Offer {
    pub fn parse(text: &str) -> Result<Offer, Unacceptable> {
        let credentials = check(text)?;
        // See `peer.rs` for why remote candidates are dropped.
        let text = text
            .lines()
            .filter(|line| {
                !line.starts_with("a=candidate:") && !line.starts_with("a=remote-candidates:")
            })
            .flat_map(|line| [line, "\r\n"])
            .collect();
        Ok(Offer { text, credentials })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same offer in a new ICE session.
    pub fn restarted(&self, credentials: IceCreds) -> Offer {
        let text = self
            .text
            .lines()
            .map(|line| match line.split_once(':') {
                Some(("a=ice-ufrag", _)) => format!("a=ice-ufrag:{}\r\n", credentials.ufrag),
                Some(("a=ice-pwd", _)) => format!("a=ice-pwd:{}\r\n", credentials.pass),
                _ => format!("{line}\r\n"),
            })
            .collect();
        Offer { text, credentials }
    }
}

/// Sized, with a data channel, and with the credentials that it gives.
pub(crate) fn check(text: &str) -> Result<IceCreds, Unacceptable> {
    if text.len() > SDP_MAX_BYTES {
        return Err(Unacceptable::new("the offer is too long"));
    }
    let sections = text.lines().filter(|line| line.starts_with("m=")).count();
    if sections > SECTIONS_MAX {
        return Err(Unacceptable::new("the offer has too many sections"));
    }
    if !carries_channel(text) {
        return Err(Unacceptable::new(
            "the offer carries no data channel; call createDataChannel before createOffer",
        ));
    }
    credentials(text)?
        .ok_or_else(|| Unacceptable::new("the offer has no a=ice-ufrag and a=ice-pwd"))
}

/// Port 0 alone would mean a section that is not wanted, but Firefox writes it for every section of a bundle but the first.
fn carries_channel(text: &str) -> bool {
    text.split("\nm=application ")
        .skip(1)
        .filter_map(|rest| rest.split("\nm=").next())
        .any(|section| !section.starts_with("0 ") || section.contains("\na=bundle-only"))
}

/// Body of a PATCH.
#[derive(Debug)]
pub(crate) struct Fragment {
    pub credentials: Option<IceCreds>,
}

impl Fragment {
    pub fn parse(text: &str) -> Result<Fragment, Unacceptable> {
        if text.len() > SDP_MAX_BYTES {
            return Err(Unacceptable::new("the fragment is too long"));
        }
        // Every line is `x=…`. Unknown ones are skipped (RFC 8840 9), other text is not a fragment.
        let well_formed = text
            .lines()
            .filter(|line| !line.is_empty())
            .all(|line| matches!(line.as_bytes(), [b'a'..=b'z', b'=', ..]));
        if !well_formed || text.trim().is_empty() {
            return Err(Unacceptable::new("the body is not an SDP fragment"));
        }
        Ok(Fragment {
            credentials: credentials(text)?,
        })
    }
}

/// The fragment that answers an ICE restart: our credentials and every candidate of the first answer.
pub(super) fn restart_answer(answer: &str, local: &IceCreds) -> String {
    let mut fragment = format!(
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n",
        local.ufrag, local.pass
    );
    let bundled = answer.lines().find(|line| line.starts_with("m="));
    let mid = answer.lines().find(|line| line.starts_with("a=mid:"));
    for line in bundled.into_iter().chain(mid) {
        fragment.push_str(line);
        fragment.push_str("\r\n");
    }
    let mut seen = Vec::new();
    for line in answer.lines().filter(|l| l.starts_with("a=candidate:")) {
        // A candidate may carry `ufrag x`, which would name the session that has just ended.
        let line = line.split(" ufrag ").next().unwrap_or(line);
        if !seen.contains(&line) {
            seen.push(line);
            fragment.push_str(line);
            fragment.push_str("\r\n");
        }
    }
    fragment.push_str("a=end-of-candidates\r\n");
    fragment
}

/// The first pair of ICE credentials; under BUNDLE all sections have the same.
fn credentials(text: &str) -> Result<Option<IceCreds>, Unacceptable> {
    let first = |prefix: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(prefix))
            .map(str::trim_end)
    };
    match (first("a=ice-ufrag:"), first("a=ice-pwd:")) {
        (None, None) => Ok(None),
        (Some(ufrag), Some(pass)) if ice_chars(ufrag, 4) && ice_chars(pass, 22) => {
            Ok(Some(IceCreds {
                ufrag: ufrag.to_owned(),
                pass: pass.to_owned(),
            }))
        }
        _ => Err(Unacceptable::new(
            "a=ice-ufrag or a=ice-pwd is missing or malformed (RFC 8839 5.4)",
        )),
    }
}

fn ice_chars(value: &str, min: usize) -> bool {
    (min..=256).contains(&value.len())
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}
