//! Seals what must be read again but never lie readable in the database: AES-256-GCM under a key derived from the master key, bound
//! to the place where it belongs. A copy of `karta.db` without `secret.key` holds no identity secret.

use crate::auth::master::MasterKey;
use crate::secret::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

const PURPOSE: &str = "seal v1";

/// `place` names the row: what is sealed for one key cannot be moved to another.
pub fn seal(master: &MasterKey, place: &str, secret: &Secret) -> String {
    let mut bytes = secret.expose().as_bytes().to_vec();
    // Random nonces are safe for 2^32 seals under one key; there is one per rotation.
    let nonce = key(master)
        .seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut bytes)
        .expect("a few bytes can be sealed");
    let mut sealed = nonce.as_ref().to_vec();
    sealed.extend(bytes);
    BASE64_STANDARD.encode(sealed)
}

/// None: sealed under another master key, for another place, or changed.
pub fn open(master: &MasterKey, place: &str, sealed: &str) -> Option<Secret> {
    let mut bytes = BASE64_STANDARD.decode(sealed).ok()?;
    let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let text = key(master)
        .open_in_place(nonce, Aad::from(place.as_bytes()), text)
        .ok()?;
    Some(Secret::new(std::str::from_utf8(text).ok()?))
}

fn key(master: &MasterKey) -> RandomizedNonceKey {
    // The derived key has the length that AES-256 takes.
    RandomizedNonceKey::new(&AES_256_GCM, &master.derive(PURPOSE)).expect("32 bytes are a key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let (master, secret) = (MasterKey::random(), Secret::new("is_live_main_x"));
        let sealed = seal(&master, "k_1", &secret);
        assert_eq!(open(&master, "k_1", &sealed), Some(secret.clone()));
        assert_eq!(open(&master, "k_2", &sealed), None, "another row");
        assert_eq!(open(&MasterKey::random(), "k_1", &sealed), None);
        assert_ne!(seal(&master, "k_1", &secret), sealed, "a nonce of its own");
        let raw = BASE64_STANDARD.decode(&sealed).expect("base64");
        assert!(!raw.windows(7).any(|w| w == b"is_live"), "not readable");
        for at in 0..raw.len() {
            let mut bent = raw.clone();
            bent[at] ^= 1;
            let bent = BASE64_STANDARD.encode(bent);
            assert_eq!(open(&master, "k_1", &bent), None, "byte {at}");
        }
        for text in ["", "x", "é", "AAAA", &sealed[..sealed.len() - 4]] {
            assert_eq!(open(&master, "k_1", text), None, "{text}");
        }
    }
}
