//! For whoever watches the server: is the process alive, and can it serve.

use crate::app::App;
use crate::error::ApiError;
use axum::Json;
use axum::extract::State;
use karta_protocol::ErrorCode;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Health {
    pub status: &'static str,
}

/// The process runs.
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = Health)))]
pub async fn alive() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The database answers and the server is not stopping.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = Health), (status = 503, body = karta_protocol::ErrorBody)))]
pub async fn ready(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    let not_ready = |detail: String| {
        let error = ApiError::new(ErrorCode::Overloaded, "The server is not ready.");
        ApiError {
            detail: Some(detail),
            ..error
        }
        .retry_after(5)
    };
    if app.stopping.is_cancelled() {
        return Err(not_ready("stopping".to_owned()));
    }
    match app.store.key_by_id("readiness").await {
        Ok(_) => Ok(Json(Health { status: "ready" })),
        Err(error) => Err(not_ready(error.to_string())),
    }
}
