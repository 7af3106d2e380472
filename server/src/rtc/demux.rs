//! Which peer a datagram is for. STUN requests name it themselves (`USERNAME` = our ufrag, colon, theirs); everything else is
//! known by where it comes from. Reads headers only; whether a packet is genuine is the peer's business.

/// What the first bytes say (RFC 7983), no more than needed to route it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datagram<'a> {
    /// A STUN binding request for the peer with this local ufrag.
    StunRequest { ufrag: &'a str },
    /// A STUN answer, DTLS, RTP or RTCP.
    ByAddress,
    /// Nothing a peer could use.
    Junk,
}

const STUN_HEADER_BYTES: usize = 20;
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const STUN_BINDING_REQUEST: u16 = 0x0001;
const STUN_BINDING_SUCCESS: u16 = 0x0101;
const STUN_BINDING_ERROR: u16 = 0x0111;
const ATTRIBUTE_USERNAME: u16 = 0x0006;

pub(super) fn classify(packet: &[u8]) -> Datagram<'_> {
    match packet.first() {
        Some(0..=3) => stun(packet).unwrap_or(Datagram::Junk),
        // DTLS; RTP and RTCP.
        Some(20..=63 | 128..=191) => Datagram::ByAddress,
        _ => Datagram::Junk,
    }
}

pub(super) fn is_stun(packet: &[u8]) -> bool {
    matches!(packet.first(), Some(0..=3))
}

fn stun(packet: &[u8]) -> Option<Datagram<'_>> {
    let (header, mut attributes) = packet.split_at_checked(STUN_HEADER_BYTES)?;
    if header[4..8] != STUN_COOKIE {
        return None;
    }
    match be16(header, 0)? {
        STUN_BINDING_REQUEST => {}
        STUN_BINDING_SUCCESS | STUN_BINDING_ERROR => return Some(Datagram::ByAddress),
        // Indications need no answer; all else is TURN, which we are not.
        _ => return None,
    }
    while !attributes.is_empty() {
        let kind = be16(attributes, 0)?;
        let length = usize::from(be16(attributes, 2)?);
        let value = attributes.get(4..4 + length)?;
        if kind == ATTRIBUTE_USERNAME {
            let (ufrag, _) = std::str::from_utf8(value).ok()?.split_once(':')?;
            return Some(Datagram::StunRequest { ufrag });
        }
        attributes = attributes.get(4 + length.next_multiple_of(4)..)?;
    }
    None
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(kind: u16, username: &str) -> Vec<u8> {
        let mut packet = kind.to_be_bytes().to_vec();
        packet.extend([0, 0]);
        packet.extend(STUN_COOKIE);
        packet.extend([7; 12]);
        // An attribute before it, with padding: PRIORITY-like with 3 bytes.
        packet.extend([0x80, 0x22, 0, 3, 1, 2, 3, 0]);
        packet.extend(ATTRIBUTE_USERNAME.to_be_bytes());
        packet.extend((username.len() as u16).to_be_bytes());
        packet.extend(username.as_bytes());
        while !packet.len().is_multiple_of(4) {
            packet.push(0);
        }
        packet
    }

    #[test]
    fn a_request_names_its_peer() {
        let packet = request(STUN_BINDING_REQUEST, "server:client");
        assert_eq!(classify(&packet), Datagram::StunRequest { ufrag: "server" });
    }

    #[test]
    fn kinds_are_told_apart_by_their_first_bytes() {
        let check = |packet: &[u8], expected: Datagram<'_>| assert_eq!(classify(packet), expected);
        check(&[], Datagram::Junk);
        check(&[0; 19], Datagram::Junk);
        check(&request(STUN_BINDING_REQUEST, "no-colon"), Datagram::Junk);
        check(&request(STUN_BINDING_SUCCESS, "a:b"), Datagram::ByAddress);
        check(&request(0x0011, "a:b"), Datagram::Junk);
        check(&request(0x0003, "a:b"), Datagram::Junk);
        check(&[22, 254, 253], Datagram::ByAddress);
        check(&[128, 111, 0], Datagram::ByAddress);
        check(&[64, 0, 0], Datagram::Junk);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = classify(&packet);
        }

        #[test]
        fn a_mutated_request_never_panics(at in 0usize..48, byte: u8, cut in 0usize..48) {
            let mut packet = request(STUN_BINDING_REQUEST, "server:client");
            let last = packet.len() - 1;
            packet[at.min(last)] = byte;
            packet.truncate(packet.len() - cut.min(last));
            let _ = classify(&packet);
        }
    }
}
