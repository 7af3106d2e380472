//! Whose address a request counts against. Pure.
//!
//! `X-Forwarded-For` is written by whoever sends the request, so it is read from the right and only past proxies that the operator
//! named. IPv6 counts by its /64: one household has 2^64 addresses there.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A range of addresses, `10.0.0.0/8` or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    bits: u8,
}

impl Cidr {
    pub fn contains(&self, address: IpAddr) -> bool {
        let mask = |bytes: u128, width: u32| match u32::from(self.bits) {
            0 => 0,
            bits => bytes >> (width - bits),
        };
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                mask(u32::from(base).into(), 32) == mask(u32::from(address).into(), 32)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                mask(base.into(), 128) == mask(address.into(), 128)
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Cidr, String> {
        let wrong = || format!("`{text}` is not an address or a range like 10.0.0.0/8");
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = base.trim().parse().map_err(|_| wrong())?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(bits) => bits.trim().parse().map_err(|_| wrong())?,
        };
        if bits > width {
            return Err(wrong());
        }
        Ok(Cidr { base, bits })
    }
}

/// The address behind the trusted proxies. `forwarded` holds the values of all `X-Forwarded-For` headers in order.
pub fn client_address(peer: IpAddr, forwarded: &[&[u8]], trusted: &[Cidr]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut address = peer.to_canonical();
    let hops = forwarded
        .iter()
        .rev()
        .flat_map(|value| value.rsplit(|byte| *byte == b','));
    for hop in hops {
        if !is_trusted(address) {
            break;
        }
        // A proxy that writes something else than an address is not understood: the proxy itself counts then.
        match parse_hop(hop) {
            Some(hop) => address = hop.to_canonical(),
            None => break,
        }
    }
    address
}

/// What limits count by: IPv4 as it is, IPv6 by its first 64 bits.
pub fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(socket.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: &[&str], trusted: &[&str], expected: &str) {
        let forwarded: Vec<&[u8]> = forwarded.iter().map(|value| value.as_bytes()).collect();
        let trusted: Vec<Cidr> = trusted
            .iter()
            .map(|range| range.parse().expect("a range"))
            .collect();
        let peer: IpAddr = peer.parse().expect("an address");
        let address = client_address(peer, &forwarded, &trusted);
        assert_eq!(address.to_string(), expected, "{peer} {forwarded:?}");
    }

    #[test]
    fn forwarded_for_is_believed_from_trusted_proxies_only() {
        check("203.0.113.9", &["1.2.3.4"], &[], "203.0.113.9");
        check("203.0.113.9", &["1.2.3.4"], &["10.0.0.0/8"], "203.0.113.9");
        check("10.0.0.1", &["1.2.3.4"], &["10.0.0.0/8"], "1.2.3.4");
        check("::ffff:10.0.0.1", &["1.2.3.4"], &["10.0.0.0/8"], "1.2.3.4");
        check("10.0.0.1", &[], &["10.0.0.0/8"], "10.0.0.1");
        check(
            "10.0.0.1",
            &["6.6.6.6, 1.2.3.4"],
            &["10.0.0.0/8"],
            "1.2.3.4",
        );
        check(
            "10.0.0.1",
            &["6.6.6.6, 1.2.3.4, 10.9.9.9"],
            &["10.0.0.0/8"],
            "1.2.3.4",
        );
        check(
            "10.0.0.1",
            &["6.6.6.6", "1.2.3.4"],
            &["10.0.0.0/8"],
            "1.2.3.4",
        );
        check(
            "10.0.0.1",
            &["10.1.1.1, 10.2.2.2"],
            &["10.0.0.0/8"],
            "10.1.1.1",
        );
        check(
            "10.0.0.1",
            &["1.2.3.4, rubbish"],
            &["10.0.0.0/8"],
            "10.0.0.1",
        );
        check("10.0.0.1", &["1.2.3.4:5555"], &["10.0.0.0/8"], "1.2.3.4");
        check("::1", &["[2001:db8::1]:443"], &["::1"], "2001:db8::1");
        check("::1", &["[2001:db8::1]"], &["::1/128"], "2001:db8::1");
        check("10.0.0.1", &[""], &["0.0.0.0/0"], "10.0.0.1");
    }

    #[test]
    fn ipv6_counts_by_its_network() {
        let of = |text: &str| counted(text.parse().expect("an address")).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2:ffff::1"), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn bad_ranges_are_refused() {
        for text in [
            "",
            "x",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/8/8",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}
