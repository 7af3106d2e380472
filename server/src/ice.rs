//! The STUN and TURN servers that browsers are told of, by the `Link` header of RFC 9725 4.6, and coturn's time-limited credentials for
//! them (`use-auth-secret`, draft-uberti-behave-turn-rest). Pure: the clock is an argument.
//!
//! The credential is a secret of its session: the headers are marked sensitive, and nothing here is ever logged.

use crate::secret::Secret;
use aws_lc_rs::hmac;
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::str::FromStr;

/// Longer than any page is looked at without a new connection, shorter than a stolen credential is worth much. Whoever still has an old one
/// gets the next with the answer to its offer.
pub const LIFETIME_S: usize = 12 * 60 * 60;
pub const LIFETIME_MAX_S: usize = 7 * 24 * 60 * 60;

/// A `stun:`, `stuns:`, `turn:` or `turns:` address (RFC 7064, RFC 7065), as it goes into the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceUrl {
    text: String,
    relays: bool,
}

impl FromStr for IceUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<IceUrl, ()> {
        let (scheme, rest) = text.split_once(':').ok_or(())?;
        let relays = match scheme {
            "stun" | "stuns" => false,
            "turn" | "turns" => true,
            _ => return Err(()),
        };
        let authority = match rest.split_once('?') {
            None => rest,
            Some((authority, "transport=udp" | "transport=tcp")) if relays => authority,
            Some(_) => return Err(()),
        };
        let (host, port) = match authority.rsplit_once(':') {
            // The colon of an IPv6 address without a port.
            Some((_, tail)) if tail.ends_with(']') => (authority, None),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let known_port = port.is_none_or(|port| {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !known_port || !is_host(host) {
            return Err(());
        }
        Ok(IceUrl {
            text: text.to_owned(),
            relays,
        })
    }
}

impl IceUrl {
    /// It needs credentials.
    pub fn relays(&self) -> bool {
        self.relays
    }
}

/// Nothing that could end the `<…>` of the header, or that a browser would refuse.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// What `KARTA_ICE_SERVERS`, `KARTA_TURN_SECRET` and `KARTA_TURN_LIFETIME` say. Empty: browsers are told of none.
#[derive(Clone, Debug, Default)]
pub struct IceServers {
    pub urls: Vec<IceUrl>,
    /// coturn's `static-auth-secret`. Without it no `turn:` address is given away.
    pub secret: Option<Secret>,
    pub lifetime_s: u64,
}

/// What a browser shows to a TURN server.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    pub username: String,
    pub password: String,
}

impl IceServers {
    /// For one session, good from now on for the configured time.
    pub fn credential(&self, session_id: &str, now_s: u64) -> Option<Credential> {
        let secret = self.secret.as_ref()?;
        let until_s = now_s.saturating_add(self.lifetime_s);
        // The relay's quotas count by what follows the colon, so it is the same for all of a session; and it travels and is logged in
        // clear, so it is not the session's id.
        let mark = hmac::sign(&key(hmac::HMAC_SHA256, secret), session_id.as_bytes());
        let mark: String = mark.as_ref()[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let username = format!("{until_s}:{mark}");
        // SHA-1 is what coturn computes; in HMAC its collisions do no harm.
        let sha1 = key(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
        let password = STANDARD.encode(hmac::sign(&sha1, username.as_bytes()));
        Some(Credential { username, password })
    }

    /// Adds one `Link` for each server.
    pub fn tell(&self, session_id: &str, now_s: u64, headers: &mut HeaderMap) {
        let credential = self.credential(session_id, now_s);
        for url in &self.urls {
            let mut link = format!("<{}>; rel=\"ice-server\"", url.text);
            if url.relays {
                let Some(Credential { username, password }) = &credential else {
                    continue;
                };
                link.push_str(&format!(
                    "; username=\"{username}\"; credential=\"{password}\"; credential-type=\"password\""
                ));
            }
            // Letters, digits and marks: cannot fail.
            if let Ok(mut value) = HeaderValue::try_from(link) {
                value.set_sensitive(true);
                headers.append(header::LINK, value);
            }
        }
    }
}

fn key(algorithm: hmac::Algorithm, secret: &Secret) -> hmac::Key {
    hmac::Key::new(algorithm, secret.expose().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(urls: &[&str]) -> IceServers {
        IceServers {
            urls: urls
                .iter()
                .map(|url| url.parse().expect("an address"))
                .collect(),
            secret: Some(Secret::new("north")),
            lifetime_s: 3_600,
        }
    }

    fn links(servers: &IceServers) -> Vec<HeaderValue> {
        let mut headers = HeaderMap::new();
        servers.tell("s_1", 1_700_000_000, &mut headers);
        headers.get_all(header::LINK).iter().cloned().collect()
    }

    #[test]
    fn a_credential_is_what_coturn_computes_from_the_same_secret() {
        let Credential { username, password } = servers(&[])
            .credential("s_1", 1_700_000_000)
            .expect("a secret");
        // printf %s "$username" | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(username, "1700003600:e7a8e41c7665213d");
        assert_eq!(password, "W4orMwaWHg7UyAsxMrSPk/gqK4Q=");
        let other = servers(&[]).credential("s_2", 1_700_000_000);
        assert_ne!(other.expect("a secret").username, username);
    }

    #[test]
    fn each_server_is_one_link_and_is_never_printed() {
        let servers = servers(&["stun:stun.example:3478", "turn:t.example?transport=udp"]);
        let links = links(&servers);
        assert_eq!(links[0], "<stun:stun.example:3478>; rel=\"ice-server\"");
        let turn = links[1].to_str().expect("text");
        let rest = turn.strip_prefix(
            "<turn:t.example?transport=udp>; rel=\"ice-server\"; username=\"1700003600:",
        );
        let rest = rest.unwrap_or_else(|| panic!("{turn}"));
        assert!(
            rest.contains("\"; credential=\"")
                && rest.ends_with("\"; credential-type=\"password\"")
        );
        assert!(!format!("{links:?} {servers:?}").contains("1700003600"));
        assert!(!format!("{servers:?}").contains("north"));
    }

    #[test]
    fn without_a_secret_no_relay_is_named() {
        let mut servers = servers(&["turn:t.example", "stun:s.example"]);
        servers.secret = None;
        assert_eq!(links(&servers).len(), 1);
    }

    #[test]
    fn addresses_are_taken_as_the_rfcs_write_them_and_nothing_else() {
        for (text, good) in [
            ("stun:stun.example.com", true),
            ("stuns:stun.example.com:5349", true),
            ("turn:192.0.2.7:3478?transport=udp", true),
            ("turns:turn.example.com:443?transport=tcp", true),
            ("turn:[2001:db8::1]:3478", true),
            ("turn:[2001:db8::1]", true),
            ("stun:stun.example.com?transport=udp", false),
            ("turn:turn.example.com?transport=tls", false),
            ("turn:turn.example.com:0", false),
            ("turn:turn.example.com:+1", false),
            ("turn:turn.example.com:65536", false),
            ("turn:user@turn.example.com", false),
            ("turn://turn.example.com", false),
            ("turn:", false),
            ("turn:2001:db8::1", false),
            ("turn:a>; rel=x", false),
            ("turn:a\r\nx: y", false),
            ("https://turn.example.com", false),
            ("turn.example.com:3478", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<IceUrl>().is_ok(), good, "{text}");
        }
    }
}
