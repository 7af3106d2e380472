//! The user token: a JWT with which an owner's backend vouches for its user, exchanged once by the widget. Pure; the clock is an
//! argument. Its single use is enforced by the store, not here.

use crate::auth::master::MasterKey;
use crate::auth::signing::{Generation, ISSUER, Kind, Signer};
use crate::auth::token::{LEEWAY_S, Refusal, random_id};
use crate::store::User;
use serde::{Deserialize, Serialize};

/// From the backend's page to the exchange, over a slow phone.
pub const USER_TOKEN_LIFETIME_S: u64 = 5 * 60;
/// The longest id, name and address of all, in base64.
const MAX_BYTES: usize = 4_096;
const AUDIENCE: &str = "karta-exchange";

/// What a user token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserClaims {
    pub iss: String,
    pub aud: String,
    /// `u_…`, as the session token will have it.
    pub sub: String,
    /// Random; spent by the exchange.
    pub jti: String,
    pub iat: u64,
    pub exp: u64,
    pub account: String,
    /// The key whose secret minted it: no other key's page may exchange it.
    pub key_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    pub user_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

pub struct UserTokens {
    signer: Signer,
}

impl UserTokens {
    pub fn new(master: &MasterKey) -> UserTokens {
        UserTokens {
            signer: Signer::new(
                master,
                Kind {
                    typ: "karta-exchange+jwt",
                    audience: AUDIENCE,
                    purpose: "user token",
                    max_bytes: MAX_BYTES,
                },
            ),
        }
    }

    pub fn set_generations(&self, later: &[Generation]) {
        self.signer.set(later);
    }

    pub fn mint(
        &self,
        user: &User,
        key_id: &str,
        agent_id: Option<String>,
        now_s: u64,
    ) -> UserClaims {
        UserClaims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.subject.clone(),
            jti: random_id("x_"),
            iat: now_s,
            exp: now_s + USER_TOKEN_LIFETIME_S,
            account: user.account.clone(),
            key_id: key_id.to_owned(),
            agent_id,
            user_id: user.user_id.clone(),
            display_name: user.display_name.clone(),
            email: user.email.clone(),
        }
    }

    pub fn sign(&self, claims: &UserClaims) -> String {
        self.signer.sign(claims, claims.iat)
    }

    pub fn check(&self, token: &str, now_s: u64) -> Result<UserClaims, Refusal> {
        let claims: UserClaims = self.signer.read(token, now_s).ok_or(Refusal::Invalid)?;
        let ours = claims.iat <= now_s + LEEWAY_S
            && claims.iat < claims.exp
            && claims.exp - claims.iat <= USER_TOKEN_LIFETIME_S
            && claims.sub.starts_with("u_");
        if !ours {
            return Err(Refusal::Invalid);
        }
        if now_s >= claims.exp {
            return Err(Refusal::Expired);
        }
        Ok(claims)
    }
}

impl UserClaims {
    pub fn user(&self) -> User {
        User {
            account: self.account.clone(),
            subject: self.sub.clone(),
            user_id: self.user_id.clone(),
            display_name: self.display_name.clone(),
            email: self.email.clone(),
        }
    }
}
