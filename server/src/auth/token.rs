//! The session token: a JWT that only this server makes and reads ([`super::signing`]). Pure; the clock is an argument.

use crate::auth::master::MasterKey;
use crate::auth::signing::{Generation, ISSUER, Kind, Signer};
use crate::auth::user_token::UserTokens;
use crate::session::Principal;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
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

const AUDIENCE: &str = "karta-widget";

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
    /// Of a v2 identity token: when the user last proved more than a password, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stepped_up_at: Option<u64>,
    /// Of a v2 identity token: authentication assurance level, like `aal2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aal: Option<String>,
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

/// Everything that this server signs.
pub struct Tokens {
    session: Signer,
    /// What a backend mints for its user, to be exchanged once.
    pub user: UserTokens,
}

impl Tokens {
    /// With the first generation of the signing key; [`Tokens::set_generations`] tells of later ones.
    pub fn new(master: &MasterKey) -> Tokens {
        Tokens {
            session: Signer::new(
                master,
                Kind {
                    typ: "karta-session+jwt",
                    audience: AUDIENCE,
                    purpose: "session token",
                    max_bytes: TOKEN_MAX_BYTES,
                },
            ),
            user: UserTokens::new(master),
        }
    }

    /// The generations after the first, oldest first.
    pub fn set_generations(&self, later: &[Generation]) {
        self.session.set(later);
        self.user.set_generations(later);
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
            stepped_up_at: None,
            aal: None,
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
        self.session.sign(claims, claims.iat)
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

    /// For the end of a login: any token that was ever ours, so that ending one that is dead already is no error.
    pub fn recognise(&self, token: &str) -> Option<Claims> {
        self.session.recognise(token)
    }

    fn check_until(
        &self,
        token: &str,
        now_s: u64,
        until: impl Fn(&Claims) -> u64,
    ) -> Result<Claims, Refusal> {
        let claims: Claims = self.session.read(token, now_s).ok_or(Refusal::Invalid)?;
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
