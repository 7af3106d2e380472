//! Errors on the wire: `{"error": {"code", "message", "request_id"}}`.

use serde::{Deserialize, Serialize};

/// Body of every answer that is not 2xx.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

/// What went wrong, for a program (`code`) and for a developer (`message`, which names the fix).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ErrorDetail {
    /// One of [`ErrorCode`]'s strings. A string here, so that an older widget accepts a newer server.
    pub code: String,
    pub message: String,
    pub request_id: String,
    /// With `rate_limited` and `limit_reached`: seconds until it is worth trying again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// Error codes are public API: documented in docs/ERRORS.md, never renamed, never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode { $($(#[$doc])* $name),+ }

        impl ErrorCode {
            /// Every code, in the order of docs/ERRORS.md.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name),+];

            /// The string on the wire and in the `error` event.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $text),+ }
            }
        }
    };
}

codes! {
    ClientKeyMissing = "client_key_missing",
    ClientKeyUnknown = "client_key_unknown",
    ClientKeyDisabled = "client_key_disabled",
    OriginNotAllowed = "origin_not_allowed",
    WidgetDisabledForAgent = "widget_disabled_for_agent",
    GuestNotAllowed = "guest_not_allowed",
    UserNotAllowed = "user_not_allowed",
    IdentityInvalid = "identity_invalid",
    IdentityMismatch = "identity_mismatch",
    TokenMissing = "token_missing",
    TokenExpired = "token_expired",
    TokenInvalid = "token_invalid",
    TokenUsed = "token_used",
    SecretKeyInBrowser = "secret_key_in_browser",
    AdminTokenMissing = "admin_token_missing",
    AdminTokenInvalid = "admin_token_invalid",
    AdminInBrowser = "admin_in_browser",
    AgentInUse = "agent_in_use",
    RateLimited = "rate_limited",
    LimitReached = "limit_reached",
    PayloadTooLarge = "payload_too_large",
    RequestInvalid = "request_invalid",
    UploadsDisabled = "uploads_disabled",
    FileTypeNotAllowed = "file_type_not_allowed",
    SdpInvalid = "sdp_invalid",
    SessionNotFound = "session_not_found",
    ConnectionNotFound = "connection_not_found",
    PreconditionRequired = "precondition_required",
    PreconditionFailed = "precondition_failed",
    NotFound = "not_found",
    MethodNotAllowed = "method_not_allowed",
    Overloaded = "overloaded",
    VoiceUnavailable = "voice_unavailable",
    AgentFailed = "agent_failed",
    Internal = "internal",
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
