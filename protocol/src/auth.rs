//! Token calls: guest, user token, exchange, refresh.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// `POST /auth/guest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuestRequest {
    /// Public key, `pk_live_<account>_<random>`.
    #[serde(default)]
    pub client_key: String,
    /// Agent the page asks for; a key pinned to an agent wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Visitor id that the server gave this browser before, `v_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitor_id: Option<String>,
    /// What the page calls its visitor, without proof: shown to the owner, never a credential. At most 128 characters are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_label: Option<String>,
}

/// `POST /auth/exchange`: either a server-minted `user_token`, or an `identity_token` with the `user_id` that it proves.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExchangeRequest {
    /// Public key, `pk_live_<account>_<random>`.
    #[serde(default)]
    pub client_key: String,
    /// Agent the page asks for; a key pinned to an agent wins, and so does an agent named in the user token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// What `POST /auth/user-token` gave to your backend. Works once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_token: Option<String>,
    /// With `identity_token`; may be left out beside a `v2.` token, which carries its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Lowercase hex HMAC-SHA256 of the user id under the key's identity secret, or `v2.<payload>.<hex>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_token: Option<String>,
}

/// `POST /auth/user-token`: your backend says who its user is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserTokenRequest {
    /// Your own id of the user; a whole number is taken as its digits. At most 256 bytes.
    #[serde(default, deserialize_with = "text_or_whole_number")]
    pub external_user_id: String,
    /// Shown to the owner. At most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Shown to the owner. At most 254 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Binds the token to one agent of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
}

/// Answer of `POST /auth/user-token`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserTokenReply {
    /// For the page: `Kataven.init({userToken})` or `karta("identify", …)`. Works once.
    pub user_token: String,
    /// Seconds.
    pub expires_in: u32,
}

/// `POST /auth/refresh`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefreshRequest {
    /// The current session JWT, also shortly after its expiry.
    #[serde(default)]
    pub refresh_token: String,
}

/// Answer of every call that gives a session token.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenReply {
    /// Session JWT for `Authorization: Bearer`.
    pub token: String,
    /// Lifetime in seconds from the moment of the answer. The widget follows this, never its own wall clock.
    pub expires_in: u32,
    /// Of a guest: keep it, and send it with the next `/auth/guest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitor_id: Option<String>,
    /// Of a verified user: the id that was proven, as the page or its backend gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// `user.id` is a number in many databases, and JSON keeps it one.
fn text_or_whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Id;
    impl serde::de::Visitor<'_> for Id {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a whole number")
        }
        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
        fn visit_u64<E>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }
        fn visit_i64<E>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }
    deserializer.deserialize_any(Id)
}

/// Tokens never show themselves in a log or a failed assertion.
fn hidden(token: &Option<String>) -> Option<&'static str> {
    token.as_ref().map(|_| "***")
}

impl fmt::Debug for ExchangeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeRequest")
            .field("client_key", &self.client_key)
            .field("agent_id", &self.agent_id)
            .field("user_token", &hidden(&self.user_token))
            .field("user_id", &self.user_id)
            .field("identity_token", &hidden(&self.identity_token))
            .finish()
    }
}

impl fmt::Debug for UserTokenReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserTokenReply(***)")
    }
}

impl fmt::Debug for RefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshRequest(***)")
    }
}

impl fmt::Debug for TokenReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenReply")
            .field("token", &"***")
            .field("expires_in", &self.expires_in)
            .field("visitor_id", &self.visitor_id)
            .field("user_id", &self.user_id)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_show_themselves_nowhere() {
        const TOKEN: &str = "CANARY";
        let token = || Some(TOKEN.to_owned());
        let shown = [
            format!(
                "{:?}",
                ExchangeRequest {
                    user_token: token(),
                    identity_token: token(),
                    ..ExchangeRequest::default()
                }
            ),
            format!(
                "{:?}",
                RefreshRequest {
                    refresh_token: TOKEN.into()
                }
            ),
            format!(
                "{:?}",
                UserTokenReply {
                    user_token: TOKEN.into(),
                    expires_in: 1
                }
            ),
            format!(
                "{:?}",
                TokenReply {
                    token: TOKEN.into(),
                    ..TokenReply::default()
                }
            ),
        ];
        for shown in shown {
            assert!(!shown.contains(TOKEN) && shown.contains("***"), "{shown}");
        }
    }

    #[test]
    fn a_users_id_may_be_a_whole_number() {
        let read =
            |json: &str| serde_json::from_str::<UserTokenRequest>(json).map(|r| r.external_user_id);
        assert_eq!(
            read(r#"{"external_user_id": 42}"#).ok().as_deref(),
            Some("42")
        );
        assert_eq!(
            read(r#"{"external_user_id": "42"}"#).ok().as_deref(),
            Some("42")
        );
        assert_eq!(read("{}").ok().as_deref(), Some(""));
        for json in ["null", "1.5", "true", "[]", "{}"] {
            assert!(
                read(&format!(r#"{{"external_user_id": {json}}}"#)).is_err(),
                "{json}"
            );
        }
    }
}
