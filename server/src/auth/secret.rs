//! Finds secret keys where they must never be: in requests of browsers. Pure.

/// What every secret key begins with, live or test, every identity secret, and the admin token.
const PREFIXES: [&str; 4] = ["sk_live_", "sk_test_", "is_live_", "adm_live_"];

/// A whole secret of ours (`sk_live_<account>_<random>`, `is_live_<account>_<random>`) somewhere in the bytes. Stricter than the prefix, so that a visitor who
/// quotes another product's key, or writes `task_live_`, is not refused.
pub fn contains_secret_key(bytes: &[u8]) -> bool {
    PREFIXES.iter().any(|prefix| {
        let mut rest = bytes;
        let mut before = None;
        while let Some(at) = find(rest, prefix.as_bytes()) {
            let previous = if at == 0 { before } else { Some(rest[at - 1]) };
            let after = &rest[at + prefix.len()..];
            if !previous.is_some_and(|b: u8| b.is_ascii_alphanumeric()) && is_key_body(after) {
                return true;
            }
            before = Some(b'_');
            rest = after;
        }
        false
    })
}

/// A value that stands where a key or token belongs and begins like a secret key.
pub fn looks_like_secret_key(value: &str) -> bool {
    let value = value.trim_start();
    ["sk_", "is_live_", "adm_live_"]
        .iter()
        .any(|prefix| value.starts_with(prefix))
}

/// `<account>_<random>`, the random part at least 128 bits in base64url or hex.
fn is_key_body(bytes: &[u8]) -> bool {
    let account = bytes
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric())
        .count();
    if account == 0 || bytes.get(account) != Some(&b'_') {
        return false;
    }
    let random = bytes[account + 1..]
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        .count();
    random >= 20
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_secret_keys_are_found_and_nothing_else() {
        let key = "sk_live_acme_0123456789abcdefghijABCDEFGHIJ-_x";
        for text in [
            key.to_owned(),
            format!("?client_key={key}"),
            format!("{{\"a\":\"{key}\"}}"),
            format!("sk_live_ {key}"),
            key.replace("live", "test"),
            key.replace("sk", "is"),
            key.replace("sk", "adm"),
        ] {
            assert!(contains_secret_key(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "sk_",
            "sk_live_",
            "sk_live_acme",
            "sk_live_acme_short",
            "sk_live_51HxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "task_live_acme_0123456789abcdefghijABCDEFGHIJ",
            "pk_live_acme_0123456789abcdefghijABCDEFGHIJ",
        ] {
            assert!(!contains_secret_key(text.as_bytes()), "{text}");
        }
    }
}
