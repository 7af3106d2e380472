//! What a visitor can ask about themselves.

use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;
use axum::extract::State;
use axum::http::StatusCode;
use karta_protocol::ErrorBody;

/// Forgets the caller: sessions, messages, feedback and who they are. May be repeated. The login goes on, with nothing behind it;
/// `POST /auth/revoke` ends that too.
#[utoipa::path(
    delete, path = "/api/v1/widget/me", tag = "me", security(("session" = [])),
    responses(
        (status = 204, description = "forgotten, or there was nothing"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn forget(State(app): State<App>, caller: Caller) -> Result<StatusCode, ApiError> {
    app.sessions.forget(&caller.who).await?;
    Ok(StatusCode::NO_CONTENT)
}
