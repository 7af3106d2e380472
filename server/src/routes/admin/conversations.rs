//! `/conversations`: whom the agents talked with, what was said, and the visitors' files. Nothing here changes anything.

use super::Asked;
use crate::app::App;
use crate::error::ApiError;
use crate::routes::files::download;
use crate::routes::request::{Id, Params};
use crate::service::ACCOUNT;
use crate::service::conversations::{self, EVENTS_MAX};
use crate::view::{ConversationView, TranscriptView};
use axum::extract::State;
use axum::response::Response;
use karta_protocol::{ErrorBody, ErrorCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Serialize, ToSchema)]
pub struct ConversationList {
    /// Newest first.
    pub conversations: Vec<ConversationView>,
    /// `after` of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which part of what was said.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AskedEvents {
    /// Behind this event's number; from the beginning where it is not given.
    after: Option<u64>,
    /// At most so many, 1 to 500; 500 where it is not given.
    limit: Option<usize>,
}

/// Conversations, page by page: whom with, not what was said.
#[utoipa::path(
    get, path = "/api/v1/conversations", params(Asked), tag = "conversations", security(("admin" = [])),
    responses((status = 200, body = ConversationList), (status = 400, body = ErrorBody, description = "request_invalid"))
)]
pub async fn list(
    State(app): State<App>,
    Params(asked): Params<Asked>,
) -> Result<axum::Json<ConversationList>, ApiError> {
    let (before, limit) = asked.checked()?;
    // One more shows whether there is another page.
    let mut found = conversations::list(app.store.as_ref(), ACCOUNT, before, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| format!("{}.{}", last.record.created_ms, last.record.info.id));
    Ok(axum::Json(ConversationList {
        conversations: found.iter().map(ConversationView::from).collect(),
        next,
    }))
}

/// One conversation: who, what was said, which files.
#[utoipa::path(
    get, path = "/api/v1/conversations/{id}", params(("id" = String, Path), AskedEvents), tag = "conversations", security(("admin" = [])),
    responses(
        (status = 200, body = TranscriptView),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 404, body = ErrorBody, description = "not_found"),
    )
)]
pub async fn show(
    State(app): State<App>,
    Id(id): Id,
    Params(asked): Params<AskedEvents>,
) -> Result<axum::Json<TranscriptView>, ApiError> {
    let limit = asked.limit.unwrap_or(EVENTS_MAX);
    if !(1..=EVENTS_MAX).contains(&limit) {
        let words = format!("limit must lie between 1 and {EVENTS_MAX}.");
        return Err(ApiError::new(ErrorCode::RequestInvalid, words));
    }
    let store = app.store.as_ref();
    let conversation = conversations::get(store, ACCOUNT, &id).await?;
    let files = conversations::files(store, &conversation).await?;
    let after = asked.after.unwrap_or(0);
    let said = conversations::said(store, &conversation, after, limit).await?;
    Ok(axum::Json(TranscriptView::new(&conversation, files, said)))
}

/// A visitor's file, always as a download.
#[utoipa::path(
    get, path = "/api/v1/conversations/{id}/files/{file_id}", tag = "conversations", security(("admin" = [])),
    params(("id" = String, Path), ("file_id" = String, Path)),
    responses(
        (status = 200, description = "the bytes, with the media type that was found", content_type = "application/octet-stream"),
        (status = 404, body = ErrorBody, description = "not_found"),
    )
)]
pub async fn file(
    State(app): State<App>,
    Id((id, file_id)): Id<(String, String)>,
) -> Result<Response, ApiError> {
    let (files, event) = app.sessions.file_of(ACCOUNT, &id, &file_id).await?;
    download(&files, event, &id, &file_id).await
}
