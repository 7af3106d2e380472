//! Errors: [`Fault`] inside, one `ApiError` at the border (same file). A 5xx hides its detail and logs it with the request id.

use karta_protocol::ErrorCode;

/// A refusal or failure on its way to the border.
#[derive(Debug, thiserror::Error)]
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
        Fault::Internal(error.to_string())
    }
}
