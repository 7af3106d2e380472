//! Proofs of identity that a page carries: who the user is, signed by the owner's backend with the key's identity secret. Pure; the
//! clock is an argument.
//!
//! Two forms. The plain one is the HMAC of the user id; it never expires. `v2.<payload>.<hex>` signs a payload that may expire and may
//! say when the user last proved more than a password. Nothing is trimmed, folded or normalised: an id is its bytes.

use crate::auth::master::MasterKey;
use crate::secret::Secret;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use karta_protocol::ErrorCode;
use serde::Deserialize;
use sha2::Sha256;

/// Longest user id, in bytes: an e-mail address has at most 254.
pub const USER_ID_MAX_BYTES: usize = 256;
/// Longest identity token that is looked at: the longest id, escaped as JSON can, in base64.
const TOKEN_MAX_BYTES: usize = 4_096;
/// How far the backend's clock may be ahead where it says when something happened.
const AHEAD_S: u64 = 60;
/// Characters of an assurance level like `aal2`.
const AAL_MAX: usize = 32;

/// What a good proof says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    pub user_id: String,
    pub stepped_up_at: Option<u64>,
    pub aal: Option<String>,
}

/// Why a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No proof of the forms that there are.
    Malformed,
    /// The plain form needs the user id beside it.
    NoUserId,
    BadUserId,
    Wrong,
    Expired,
    /// A good v2 token, but for another user than the one named beside it.
    Mismatch,
}

impl Refusal {
    pub fn code(self) -> ErrorCode {
        match self {
            Refusal::Mismatch => ErrorCode::IdentityMismatch,
            Refusal::NoUserId | Refusal::BadUserId => ErrorCode::RequestInvalid,
            Refusal::Malformed | Refusal::Wrong | Refusal::Expired => ErrorCode::IdentityInvalid,
        }
    }

    /// What the developer reads.
    pub fn message(self) -> &'static str {
        match self {
            Refusal::Malformed => {
                "The identity token is neither 64 lowercase hex digits nor `v2.<payload>.<hex>`. Compute HMAC-SHA256 of the user id with the key's identity secret on your server, as lowercase hex."
            }
            Refusal::NoUserId => {
                "An identity token needs the user_id that it proves (data-user-id beside data-user-hash)."
            }
            Refusal::BadUserId => {
                "A user id is a text of 1 to 256 bytes without control characters."
            }
            Refusal::Wrong => {
                "The identity token does not fit this user id. Compute it on your server with this key's identity secret, over exactly the bytes of the user_id that the page gives."
            }
            Refusal::Expired => {
                "The identity token has expired. Let your server make a new one and call karta(\"identify\") with it."
            }
            Refusal::Mismatch => {
                "The identity token is good, but for another user than the user_id beside it. Give both for the same user."
            }
        }
    }

    /// Whether it could have been a guess.
    pub fn is_guess(self) -> bool {
        matches!(self, Refusal::Malformed | Refusal::Wrong)
    }
}

/// Checks a proof against the secrets that the key has at the moment: the current one and, after a rotation, the one before.
pub fn verify(
    secrets: &[Secret],
    user_id: Option<&str>,
    token: &str,
    now_s: u64,
) -> Result<Proven, Refusal> {
    if let Some(id) = user_id
        && !good_user_id(id)
    {
        return Err(Refusal::BadUserId);
    }
    if token.len() > TOKEN_MAX_BYTES {
        return Err(Refusal::Malformed);
    }
    match token.strip_prefix("v2.") {
        Some(rest) => verify_v2(secrets, user_id, rest, now_s),
        None => {
            let mac = hex_mac(token).ok_or(Refusal::Malformed)?;
            let user_id = user_id.ok_or(Refusal::NoUserId)?;
            signed(secrets, user_id, &mac)?;
            Ok(Proven {
                user_id: user_id.to_owned(),
                stepped_up_at: None,
                aal: None,
            })
        }
    }
}

/// 1 to 256 bytes, nothing that a log or terminal could stumble over.
pub fn good_user_id(id: &str) -> bool {
    (1..=USER_ID_MAX_BYTES).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// The subject of a user's sessions: the same for the same user, whoever vouches for them and whichever key they come by; another one
/// in another account. Keyed, so that nobody finds the id behind it by trying, or makes one up.
pub fn subject(master: &MasterKey, account: &str, user_id: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&master.derive("user subject v1"))
        .expect("any length is a key");
    // The length keeps account and id apart.
    mac.update(&(account.len() as u64).to_be_bytes());
    mac.update(account.as_bytes());
    mac.update(user_id.as_bytes());
    let bytes = mac.finalize().into_bytes();
    "u_".to_owned() + &BASE64_URL_SAFE_NO_PAD.encode(&bytes[..24])
}

#[derive(Deserialize)]
struct Payload {
    user_id: String,
    #[serde(default)]
    exp: Option<u64>,
    #[serde(default)]
    stepped_up_at: Option<u64>,
    #[serde(default)]
    aal: Option<String>,
}

fn verify_v2(
    secrets: &[Secret],
    user_id: Option<&str>,
    rest: &str,
    now_s: u64,
) -> Result<Proven, Refusal> {
    let (encoded, mac) = rest.split_once('.').ok_or(Refusal::Malformed)?;
    let mac = hex_mac(mac).ok_or(Refusal::Malformed)?;
    // Nothing inside is looked at before the signature holds.
    signed(secrets, encoded, &mac)?;
    let json = BASE64_URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| Refusal::Malformed)?;
    // serde would also read a struct from an array.
    if json.first() != Some(&b'{') {
        return Err(Refusal::Malformed);
    }
    let payload: Payload = serde_json::from_slice(&json).map_err(|_| Refusal::Malformed)?;
    if !good_user_id(&payload.user_id) {
        return Err(Refusal::BadUserId);
    }
    let odd_aal = |aal: &String| {
        aal.is_empty() || aal.len() > AAL_MAX || !aal.bytes().all(|b| b.is_ascii_graphic())
    };
    if payload.aal.as_ref().is_some_and(odd_aal) {
        return Err(Refusal::Malformed);
    }
    if payload.stepped_up_at.is_some_and(|at| at > now_s + AHEAD_S) {
        return Err(Refusal::Malformed);
    }
    if payload.exp.is_some_and(|exp| now_s >= exp) {
        return Err(Refusal::Expired);
    }
    if user_id.is_some_and(|id| id != payload.user_id) {
        return Err(Refusal::Mismatch);
    }
    Ok(Proven {
        user_id: payload.user_id,
        stepped_up_at: payload.stepped_up_at,
        aal: payload.aal,
    })
}

/// All secrets are tried, each in constant time.
fn signed(secrets: &[Secret], text: &str, mac: &[u8; 32]) -> Result<(), Refusal> {
    let mut good = false;
    for secret in secrets {
        let mut hmac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
            .expect("any length is a key");
        hmac.update(text.as_bytes());
        good |= hmac.verify_slice(mac).is_ok();
    }
    if good { Ok(()) } else { Err(Refusal::Wrong) }
}

/// Exactly 64 lowercase hex digits.
fn hex_mac(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut mac = [0; 32];
    for (byte, pair) in mac.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? * 16 + digit(pair[1])?;
    }
    Some(mac)
}

#[cfg(test)]
#[path = "identity/tests.rs"]
mod tests;
