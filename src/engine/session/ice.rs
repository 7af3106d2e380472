//! STUN and TURN servers from the `Link` header of the server's answers (RFC 9725 4.6). What is odd in it at worst names a server that the
//! browser refuses or cannot reach, and then the connection is tried without.

use crate::engine::command::Secret;
use crate::engine::effect::IceServer;
use crate::engine::limits::ICE_SERVERS;
use crate::engine::text::cut::cut;

/// `<turn:host>; rel="ice-server"; username="…"; credential="…", <stun:…>; …`
pub fn servers(link: &str) -> Vec<IceServer> {
    let mut servers: Vec<IceServer> = Vec::new();
    let mut rest = link;
    while !rest.is_empty() && servers.len() < ICE_SERVERS {
        // A quoted value, and all that stands before it since the last one.
        let (before, quoted) = cut(rest, b'"');
        let (value, more) = cut(quoted, b'"');
        rest = more;
        let (url, _) = cut(cut(before, b'<').1, b'>');
        if !url.is_empty() {
            servers.push(IceServer {
                url: String::from(url),
                username: String::new(),
                credential: Secret::default(),
            });
        }
        let Some(server) = servers.last_mut() else {
            break;
        };
        if before.ends_with("username=") {
            server.username = String::from(value);
        } else if before.ends_with("credential=") {
            server.credential.0 = String::from(value);
        } else if before.ends_with("rel=") && value != "ice-server" {
            servers.pop();
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(link: &str, expected: &[(&str, &str, &str)]) {
        let servers = servers(link);
        let read: Vec<_> = servers
            .iter()
            .map(|s| (s.url.as_str(), s.username.as_str(), s.credential.0.as_str()))
            .collect();
        assert_eq!(read, expected, "{link}");
    }

    #[test]
    fn servers_are_read_as_the_server_writes_them() {
        check("", &[]);
        check(
            "<stun:s.test:3478>; rel=\"ice-server\"",
            &[("stun:s.test:3478", "", "")],
        );
        check(
            "<stun:s.test>; rel=\"next\", <stun:a.test>; title=\"<stun:b.test>;\"; rel=\"ice-server\"",
            &[("stun:a.test", "", "")],
        );
        check(
            "<turn:t.test?transport=udp>; rel=\"ice-server\"; username=\"17:ab\"; credential=\"x+/=\"; credential-type=\"password\", \
             <turn:t.test?transport=tcp>;rel=\"ice-server\";credential=\"y\";username=\"18:ab\"",
            &[
                ("turn:t.test?transport=udp", "17:ab", "x+/="),
                ("turn:t.test?transport=tcp", "18:ab", "y"),
            ],
        );
    }

    #[test]
    fn other_links_name_no_server_and_many_only_a_few() {
        for link in [
            "</api>; rel=\"next\"",
            "<>; rel=\"ice-server\"",
            "turn:t.test; rel=\"ice-server\"",
        ] {
            check(link, &[]);
        }
        let many = "<stun:s.test>; rel=\"ice-server\", ".repeat(1_000);
        assert_eq!(servers(&many).len(), ICE_SERVERS);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_fail(link in "[<>\"=;, a-zé]{0,80}|.{0,80}") {
            let _ = servers(&link);
        }
    }
}
