//! `/knowledge`: the documents that agents answer from. They come as `multipart/form-data`, one file a call.

use super::{Asked, Listed};
use crate::app::App;
use crate::error::ApiError;
use crate::routes::request::{Id, Json, Params};
use crate::service::ACCOUNT;
use crate::service::knowledge::{self, Agents, NewDocument};
use crate::service::patch::Patch;
use crate::store::KnowledgeDocument;
use crate::view::{AddedDocumentView, DocumentTextView, DocumentView};
use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::StatusCode;
use karta_protocol::{ErrorBody, ErrorCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a document is made of.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the shape for OpenAPI; `Upload` reads the parts")]
pub struct DocumentForm {
    /// .txt, .md, .pdf or .docx, by the name of the file.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
    /// Without it the first heading, else the file's name. Permanent.
    title: Option<String>,
    /// For these agents only; repeat the part for more. Without it for every agent.
    agent_id: Option<Vec<String>>,
}

/// New content for a document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the shape for OpenAPI; `Upload` reads the parts")]
pub struct ContentForm {
    /// .txt, .md, .pdf or .docx, by the name of the file.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
}

/// Whom a document is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeDocument {
    /// These agents; null: every agent, also those to come.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    agent_ids: Patch<Vec<String>>,
}

#[derive(Serialize, ToSchema)]
pub struct DocumentList {
    /// Oldest first.
    pub documents: Vec<DocumentView>,
    /// `after` of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Listed for KnowledgeDocument {
    fn created_ms(&self) -> u64 {
        self.created_ms
    }
    fn id(&self) -> &str {
        &self.id
    }
}

/// All documents, page by page.
#[utoipa::path(
    get, path = "/api/v1/knowledge", params(Asked), tag = "knowledge", security(("admin" = [])),
    responses((status = 200, body = DocumentList), (status = 400, body = ErrorBody, description = "request_invalid"))
)]
pub async fn list(
    State(app): State<App>,
    Params(asked): Params<Asked>,
) -> Result<axum::Json<DocumentList>, ApiError> {
    let (documents, next) = asked.page(knowledge::list(app.store.as_ref(), ACCOUNT).await?)?;
    Ok(axum::Json(DocumentList {
        documents: documents.iter().map(DocumentView::from).collect(),
        next,
    }))
}

/// Adds a document, or renews (200) the one with the same title.
#[utoipa::path(
    post, path = "/api/v1/knowledge", request_body(content = DocumentForm, content_type = "multipart/form-data"), tag = "knowledge",
    security(("admin" = [])),
    responses(
        (status = 201, body = AddedDocumentView),
        (status = 200, body = AddedDocumentView, description = "renewed"),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such agent"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
    )
)]
pub async fn add(
    State(app): State<App>,
    upload: Upload,
) -> Result<(StatusCode, axum::Json<AddedDocumentView>), ApiError> {
    let new = NewDocument {
        file_name: upload.file_name,
        bytes: upload.bytes,
        title: upload.title,
        agents: (!upload.agent_ids.is_empty()).then_some(Agents::Only(upload.agent_ids)),
    };
    let added = knowledge::add(app.store.as_ref(), &app.extractor, ACCOUNT, new).await?;
    let status = if added.replaced {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((status, axum::Json(added.into())))
}

/// One document with its text.
#[utoipa::path(
    get, path = "/api/v1/knowledge/{id}", params(("id" = String, Path)), tag = "knowledge", security(("admin" = [])),
    responses((status = 200, body = DocumentTextView), (status = 404, body = ErrorBody, description = "not_found"))
)]
pub async fn show(
    State(app): State<App>,
    Id(id): Id,
) -> Result<axum::Json<DocumentTextView>, ApiError> {
    let document = knowledge::get(app.store.as_ref(), ACCOUNT, &id).await?;
    Ok(axum::Json(document.into()))
}

/// Gives a document new content. Its title stays.
#[utoipa::path(
    put, path = "/api/v1/knowledge/{id}", params(("id" = String, Path)),
    request_body(content = ContentForm, content_type = "multipart/form-data"), tag = "knowledge", security(("admin" = [])),
    responses(
        (status = 200, body = AddedDocumentView),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 404, body = ErrorBody, description = "not_found"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
    )
)]
pub async fn replace(
    State(app): State<App>,
    Id(id): Id,
    upload: Upload,
) -> Result<axum::Json<AddedDocumentView>, ApiError> {
    if upload.title.is_some() {
        return Err(ApiError::new(
            ErrorCode::RequestInvalid,
            "A document's title is permanent. Leave title out, or add a new document and delete this one.",
        ));
    }
    if !upload.agent_ids.is_empty() {
        return Err(ApiError::new(
            ErrorCode::RequestInvalid,
            "PUT takes new content only. Say with PATCH {\"agent_ids\": […]} whom the document is for.",
        ));
    }
    let (name, bytes) = (&upload.file_name, &upload.bytes);
    let store = app.store.as_ref();
    let added = knowledge::replace(store, &app.extractor, ACCOUNT, &id, name, bytes).await?;
    Ok(axum::Json(added.into()))
}

/// Says whom a document is for.
#[utoipa::path(
    patch, path = "/api/v1/knowledge/{id}", params(("id" = String, Path)), request_body = ChangeDocument, tag = "knowledge",
    security(("admin" = [])),
    responses(
        (status = 200, body = DocumentView),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such document or agent"),
    )
)]
pub async fn update(
    State(app): State<App>,
    Id(id): Id,
    Json(body): Json<ChangeDocument>,
) -> Result<axum::Json<DocumentView>, ApiError> {
    let store = app.store.as_ref();
    let document = match body.agent_ids {
        Patch::Keep => knowledge::get(store, ACCOUNT, &id).await?,
        Patch::Clear => knowledge::attach(store, ACCOUNT, &id, Agents::All).await?,
        Patch::Set(ids) => knowledge::attach(store, ACCOUNT, &id, Agents::Only(ids)).await?,
    };
    Ok(axum::Json(DocumentView::from(&document)))
}

/// Deletes a document.
#[utoipa::path(
    delete, path = "/api/v1/knowledge/{id}", params(("id" = String, Path)), tag = "knowledge", security(("admin" = [])),
    responses((status = 204, description = "deleted"), (status = 404, body = ErrorBody, description = "not_found"))
)]
pub async fn remove(State(app): State<App>, Id(id): Id) -> Result<StatusCode, ApiError> {
    knowledge::remove(app.store.as_ref(), ACCOUNT, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The parts of a form. `border/admin.rs` has read the body whole and bounded it.
pub struct Upload {
    file_name: String,
    bytes: Vec<u8>,
    title: Option<String>,
    agent_ids: Vec<String>,
}

impl FromRequest<App> for Upload {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let mut form = Multipart::from_request(request, app)
            .await
            .map_err(no_form)?;
        let (mut file, mut title, mut agent_ids) = (None, None, Vec::new());
        while let Some(field) = form.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            match name.as_str() {
                "file" if file.is_none() => {
                    let file_name = field.file_name().unwrap_or_default().to_owned();
                    file = Some((file_name, field.bytes().await.map_err(broken)?.to_vec()));
                }
                "title" if title.is_none() => title = Some(text(field).await?),
                "agent_id" => agent_ids.push(text(field).await?),
                "file" | "title" => {
                    return Err(invalid(format!("The form has two parts named {name}.")));
                }
                _ => {
                    let name: String = name.chars().take(60).collect();
                    return Err(invalid(format!(
                        "The form has a part `{name}`; this call takes file, title and agent_id."
                    )));
                }
            }
        }
        match file {
            Some((file_name, bytes)) if !file_name.is_empty() => Ok(Upload {
                file_name,
                bytes,
                title,
                agent_ids,
            }),
            Some(_) => Err(invalid(
                "The part named file has no file name, whose ending says what it is.".to_owned(),
            )),
            None => Err(invalid("The form has no part named file.".to_owned())),
        }
    }
}

async fn text(field: Field<'_>) -> Result<String, ApiError> {
    // Not `text`, which puts something else in the place of what is not UTF-8.
    let bytes = field.bytes().await.map_err(broken)?;
    String::from_utf8(bytes.into())
        .map_err(|_| invalid("The form holds text that is not UTF-8.".to_owned()))
}

fn no_form(rejection: MultipartRejection) -> ApiError {
    invalid(format!(
        "Send the document as multipart/form-data with a part named file. {}",
        rejection.body_text()
    ))
    .with_status(match rejection.status() {
        StatusCode::BAD_REQUEST => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        status => status,
    })
}

fn broken(error: MultipartError) -> ApiError {
    invalid(format!("The form cannot be read: {}.", error.body_text()))
}

fn invalid(words: String) -> ApiError {
    ApiError::new(ErrorCode::RequestInvalid, words)
}
