//! The session token: a JWT that only this server makes and reads. Pure; the clock is an argument.
//!
//! RFC 8725 throughout: one algorithm, fixed here; its own `typ` and its own derived key, so no other token of ours passes for it; all
//! claims required and typed. The header must be ours byte for byte, which settles `alg`, `kid`, `jku`, `x5u`, `jwk` and `crit` at once.

use crate::auth::master::MasterKey;
use crate::session::Principal;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use karta_protocol::ErrorCode;
use rand::RngCore;
use serde::{Deserialize, Serialize};

/// Short, because a stolen token works until it expires; long enough that a chat refreshes rarely.
pub const LIFETIME_S: u64 = 10 * 60;
/// How long after its expiry a token may still be refreshed: a laptop that slept for a moment, a throttled tab.
pub const GRACE_S: u64 = 5 * 60;
/// However often it is refreshed, a family of tokens ends after this; a day covers a working day with one conversation.
pub const FAMILY_LIFETIME_S: u64 = 24 * 60 * 60;
/// How far the clock of another server of the same installation may be ahead of ours.
pub const LEEWAY_S: u64 = 5;
/// Ours have about 450 bytes. Looked at before anything is parsed.
pub const TOKEN_MAX_BYTES: usize = 2_048;

const ISSUER: &str = "karta";
const AUDIENCE: &str = "karta-widget";
const KIND: &str = "karta-session+jwt";

/// What a session token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// `v_…` for a guest, `u_…` for a verified user.
    pub sub: String,
    /// Random; spent when the token is refreshed.
    pub jti: String,
    pub iat: u64,
    pub exp: u64,
    pub account: String,
    pub key_id: String,
    pub agent_id: String,
    /// All tokens that descend from one mint. A replayed one ends the family.
    pub family: String,
    /// When the family ends, in seconds since 1970.
    pub family_exp: u64,
}

impl Claims {
    pub fn principal(&self) -> Principal {
        Principal {
            account: self.account.clone(),
            key_id: self.key_id.clone(),
            agent_id: self.agent_id.clone(),
            subject: self.sub.clone(),
        }
    }

    pub fn expires_in(&self, now_s: u64) -> u32 {
        self.exp.saturating_sub(now_s) as u32
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Invalid,
    Expired,
}

impl Refusal {
    pub fn code(self) -> ErrorCode {
        match self {
            Refusal::Invalid => ErrorCode::TokenInvalid,
            Refusal::Expired => ErrorCode::TokenExpired,
        }
    }

    /// What the developer reads.
    pub fn message(self) -> &'static str {
        match self {
            Refusal::Invalid => {
                "This is not a session token of this server. Ask for a new one at /auth/guest."
            }
            Refusal::Expired => {
                "The session token has expired. Refresh it at /auth/refresh, or ask for a new one at /auth/guest."
            }
        }
    }
}

pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    header: Header,
    /// First part of every token we make, with its dot.
    header_text: String,
}

impl Tokens {
    pub fn new(master: &MasterKey) -> Tokens {
        let key = master.derive("session token v1");
        let header = Header {
            typ: Some(KIND.to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        // Times are judged below, by the clock that is passed in and without the library's 60 s.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.leeway = 0;
        // A struct of strings: cannot fail.
        let header_json = serde_json::to_vec(&header).expect("a header is plain data");
        let header_text = BASE64_URL_SAFE_NO_PAD.encode(header_json) + ".";
        Tokens {
            encoding: EncodingKey::from_secret(&key),
            decoding: DecodingKey::from_secret(&key),
            validation,
            header,
            header_text,
        }
    }

    /// The first token of a new family.
    pub fn first(&self, who: &Principal, now_s: u64) -> Claims {
        Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: who.subject.clone(),
            jti: random_id("t_"),
            iat: now_s,
            exp: now_s + LIFETIME_S,
            account: who.account.clone(),
            key_id: who.key_id.clone(),
            agent_id: who.agent_id.clone(),
            family: random_id("f_"),
            family_exp: now_s + FAMILY_LIFETIME_S,
        }
    }

    /// The next token of the family: same claims, new id, new times.
    pub fn next(&self, parent: &Claims, jti: String, iat: u64) -> Claims {
        Claims {
            jti,
            iat,
            exp: (iat + LIFETIME_S).min(parent.family_exp),
            ..parent.clone()
        }
    }

    /// Deterministic: the same claims give the same token, so a replacement can be made again instead of being stored.
    pub fn sign(&self, claims: &Claims) -> String {
        // HMAC over plain data with a key of our own: cannot fail.
        jsonwebtoken::encode(&self.header, claims, &self.encoding).expect("plain claims are signed")
    }

    /// For ordinary calls.
    pub fn check(&self, token: &str, now_s: u64) -> Result<Claims, Refusal> {
        self.check_until(token, now_s, |claims| claims.exp)
    }

    /// For a refresh: also shortly after the expiry, never past the family's end.
    pub fn check_for_refresh(&self, token: &str, now_s: u64) -> Result<Claims, Refusal> {
        self.check_until(token, now_s, |claims| {
            (claims.exp + GRACE_S).min(claims.family_exp)
        })
    }

    fn check_until(
        &self,
        token: &str,
        now_s: u64,
        until: impl Fn(&Claims) -> u64,
    ) -> Result<Claims, Refusal> {
        if token.len() > TOKEN_MAX_BYTES || !token.starts_with(&self.header_text) {
            return Err(Refusal::Invalid);
        }
        let claims =
            jsonwebtoken::decode::<Claims>(token.as_bytes(), &self.decoding, &self.validation)
                .map_err(|_| Refusal::Invalid)?
                .claims;
        let ours = claims.iat <= now_s + LEEWAY_S
            && claims.iat < claims.exp
            && claims.exp <= claims.family_exp
            && claims.exp - claims.iat <= LIFETIME_S
            && (claims.sub.starts_with("v_") || claims.sub.starts_with("u_"));
        if !ours {
            return Err(Refusal::Invalid);
        }
        if now_s >= until(&claims) {
            return Err(Refusal::Expired);
        }
        Ok(claims)
    }
}

/// `prefix` and 192 random bits in base64url: no one guesses it, and no two are equal.
pub fn random_id(prefix: &str) -> String {
    let mut bytes = [0; 24];
    rand::rng().fill_bytes(&mut bytes);
    prefix.to_owned() + &BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
#[path = "token/tests.rs"]
mod tests;
