//! Errors: [`Fault`] inside, one [`ApiError`] at the border. A 5xx hides its detail and logs it with the request id.
//!
//! `ApiError` becomes a response without a body; [`crate::border`] writes the body, because only it knows the request id, and
//! because it gives the same shape to what the frameworks refuse by themselves.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use karta_protocol::ErrorCode;

/// A refusal or failure on its way to the border.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// The caller can act on it: code, words that name the fix.
    #[error("{code}: {message}")]
    Refused {
        code: ErrorCode,
        message: String,
        retry_after_seconds: Option<u32>,
    },
    /// Ours. The text goes to the log only.
    #[error("internal: {0}")]
    Internal(String),
}

impl Fault {
    pub fn refused(code: ErrorCode, message: impl Into<String>) -> Self {
        Fault::Refused {
            code,
            message: message.into(),
            retry_after_seconds: None,
        }
    }

    pub fn code(&self) -> ErrorCode {
        match self {
            Fault::Refused { code, .. } => *code,
            Fault::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl From<crate::store::StoreError> for Fault {
    fn from(error: crate::store::StoreError) -> Self {
        use crate::store::StoreError;
        match error {
            StoreError::Unavailable(_) | StoreError::Stopped => {
                tracing::error!(%error, "the database cannot be used");
                Fault::Refused {
                    code: ErrorCode::Overloaded,
                    message: "The server cannot reach its database at the moment. Try again."
                        .into(),
                    retry_after_seconds: Some(2),
                }
            }
            // Removed while it was in use.
            StoreError::NoSession => crate::session::not_found(),
            error => Fault::Internal(error.to_string()),
        }
    }
}

/// What leaves the server when a call is refused or fails.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: ErrorCode,
    /// For the developer of the page; names the fix. Never ours to hide.
    pub message: String,
    pub retry_after_seconds: Option<u32>,
    /// For the log only.
    pub detail: Option<String>,
}

impl ApiError {
    /// With the status that belongs to the code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        ApiError {
            status: status_of(code),
            code,
            message: message.into(),
            retry_after_seconds: None,
            detail: None,
        }
    }

    /// The same code under another status, where HTTP has a better one (415, 422, 408).
    pub fn with_status(self, status: StatusCode) -> Self {
        ApiError { status, ..self }
    }

    /// Of a call that takes its token in the body: there a token that is missing or too old is a bad request (RFC 6749, 5.2), while one
    /// of the `Authorization` header is a 401.
    pub fn of_body(self) -> Self {
        match self.code {
            ErrorCode::TokenMissing | ErrorCode::TokenExpired => {
                self.with_status(StatusCode::BAD_REQUEST)
            }
            _ => self,
        }
    }

    pub fn retry_after(self, seconds: u32) -> Self {
        ApiError {
            retry_after_seconds: Some(seconds),
            ..self
        }
    }

    pub fn internal(detail: impl Into<String>) -> Self {
        ApiError {
            detail: Some(detail.into()),
            ..ApiError::new(
                ErrorCode::Internal,
                "The server failed. Try again; if it stays, give the operator this request id.",
            )
        }
    }
}

/// The HTTP status of each code (docs/ERRORS.md).
pub fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::ClientKeyMissing | ErrorCode::RequestInvalid | ErrorCode::SdpInvalid => {
            StatusCode::BAD_REQUEST
        }
        ErrorCode::ClientKeyUnknown
        | ErrorCode::IdentityInvalid
        | ErrorCode::TokenMissing
        | ErrorCode::TokenExpired
        | ErrorCode::TokenInvalid
        | ErrorCode::TokenUsed
        | ErrorCode::AdminTokenMissing
        | ErrorCode::AdminTokenInvalid => StatusCode::UNAUTHORIZED,
        ErrorCode::ClientKeyDisabled
        | ErrorCode::OriginNotAllowed
        | ErrorCode::WidgetDisabledForAgent
        | ErrorCode::GuestNotAllowed
        | ErrorCode::UserNotAllowed
        | ErrorCode::IdentityMismatch
        | ErrorCode::SecretKeyInBrowser
        | ErrorCode::UploadsDisabled
        | ErrorCode::AdminInBrowser => StatusCode::FORBIDDEN,
        ErrorCode::FileTypeNotAllowed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::SessionNotFound | ErrorCode::ConnectionNotFound | ErrorCode::NotFound => {
            StatusCode::NOT_FOUND
        }
        ErrorCode::AgentInUse => StatusCode::CONFLICT,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        ErrorCode::RateLimited | ErrorCode::LimitReached => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        // On the data channel only, where there is no status; text is served all the while.
        ErrorCode::VoiceUnavailable => StatusCode::CONFLICT,
        ErrorCode::AgentFailed => StatusCode::BAD_GATEWAY,
        ErrorCode::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused {
                code,
                message,
                retry_after_seconds,
            } => ApiError {
                retry_after_seconds,
                ..ApiError::new(code, message)
            },
            Fault::Internal(detail) => ApiError::internal(detail),
        }
    }
}

impl From<crate::store::StoreError> for ApiError {
    fn from(error: crate::store::StoreError) -> Self {
        Fault::from(error).into()
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        ApiError::new(ErrorCode::RequestInvalid, rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        ApiError::new(ErrorCode::RequestInvalid, rejection.body_text())
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return ApiError::new(ErrorCode::PayloadTooLarge, rejection.body_text());
        }
        ApiError::new(ErrorCode::RequestInvalid, rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        ApiError::from(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_failures_are_5xx() {
        for code in ErrorCode::ALL {
            let ours = matches!(
                code,
                ErrorCode::Internal | ErrorCode::AgentFailed | ErrorCode::Overloaded
            );
            assert_eq!(status_of(*code).is_server_error(), ours, "{code}");
            assert!(status_of(*code).as_u16() >= 400, "{code}");
        }
    }
}
