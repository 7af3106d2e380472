//! Whose a conversation is: what a stored record and a running session are bound to, so that nobody sees the lines of another user of
//! the same browser. Storage learns no user id: an owner is a mark and a short fingerprint.

use crate::engine::command::Identity;

/// Somebody without a name.
pub const GUEST: &str = "";
/// The page gave a proof that names its user to the server only: its answer will tell.
pub const UNKNOWN: &str = "?";

/// Who the page's visitor is, as far as can be known before the server has seen the proof.
pub fn expected(identity: Option<&Identity>) -> String {
    let proven = identity.is_some_and(Identity::has_proof);
    match (
        identity.and_then(|identity| identity.user_id.as_deref()),
        proven,
    ) {
        (Some(user_id), true) => confirmed(user_id),
        (Some(user_id), false) => mark("label:", user_id),
        (None, true) => String::from(UNKNOWN),
        (None, false) => String::from(GUEST),
    }
}

/// A user that the server has confirmed.
pub fn confirmed(user_id: &str) -> String {
    mark("user:", user_id)
}

pub fn is_confirmed(owner: &str) -> bool {
    owner.starts_with("user:")
}

/// Whether what a guest said so far may go on under this name: a label is no proof of being somebody else.
pub fn is_named_guest(owner: &str) -> bool {
    owner.starts_with("label:")
}

/// FNV-1a, 64 bits: tells the few users of one browser apart.
fn mark(kind: &str, user_id: &str) -> String {
    let hash = user_id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let mut owner = String::from(kind);
    crate::engine::text::number::push(&mut owner, hash);
    owner
}

impl Identity {
    /// Something for the server to check. Without it, a user id is only a label.
    pub fn has_proof(&self) -> bool {
        self.user_token.is_some() || self.identity_token.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::command::Secret;

    fn identity(user_id: Option<&str>, proven: bool) -> Identity {
        Identity {
            user_id: user_id.map(String::from),
            identity_token: proven.then(|| Secret("h".into())),
            ..Identity::default()
        }
    }

    #[test]
    fn proof_and_name_decide() {
        let of = |user_id, proven| expected(Some(&identity(user_id, proven)));
        assert_eq!(expected(None), GUEST);
        assert_eq!(of(None, false), GUEST);
        assert_eq!(of(None, true), UNKNOWN);
        assert_eq!(of(Some("a"), true), confirmed("a"));
        assert_ne!(
            of(Some("a"), false),
            of(Some("a"), true),
            "a label is no user"
        );
        assert_ne!(confirmed("a"), confirmed("b"));
        assert!(!confirmed("jane@example.com").contains("jane"));
    }
}
