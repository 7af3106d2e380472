//! `/widget-keys`: which pages may use this server.

use super::{Asked, Listed};
use crate::app::App;
use crate::error::ApiError;
use crate::routes::request::{Id, Json, Params};
use crate::service::ACCOUNT;
use crate::service::caps::CapsChange;
use crate::service::keys::{self, KeyChange, NewKey};
use crate::service::patch::{Patch, present};
use crate::service::secrets::{self, Which};
use crate::store::{Caps, WidgetKey};
use crate::view::{KeyView, NewKeyView, RotatedView};
use axum::extract::State;
use axum::http::StatusCode;
use karta_protocol::ErrorBody;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// What you call it, like "Main website".
    name: String,
    /// Origins like `https://www.example.com` or `https://*.example.com`; at least one.
    domain_allowlist: Vec<String>,
    /// Pins it to one agent.
    #[serde(default)]
    agent_id: Option<String>,
    /// True: only identified users may come by it.
    #[serde(default)]
    identification_required: bool,
    /// What it may use up; without them no bounds.
    #[serde(default)]
    caps: Caps,
}

/// Absent: unchanged. Null: cleared.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeKey {
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    /// In the place of all that are listed.
    #[serde(default, deserialize_with = "present")]
    domain_allowlist: Option<Vec<String>>,
    /// Null: the page chooses the agent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    agent_id: Patch<String>,
    /// False: refused at once, and what it holds open ends within seconds.
    #[serde(default, deserialize_with = "present")]
    enabled: Option<bool>,
    /// True: only identified users may come by it.
    #[serde(default, deserialize_with = "present")]
    identification_required: Option<bool>,
    /// Only those named change; null takes a cap away.
    #[serde(default)]
    caps: CapsChange,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecret {
    which: WhichSecret,
    /// True: the old one ends at once, because it has leaked. Else it works for another day.
    #[serde(default)]
    now: bool,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhichSecret {
    SecretKey,
    IdentitySecret,
}

#[derive(Serialize, ToSchema)]
pub struct KeyList {
    /// Oldest first.
    pub widget_keys: Vec<KeyView>,
    /// `after` of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Listed for WidgetKey {
    fn created_ms(&self) -> u64 {
        self.created_ms
    }
    fn id(&self) -> &str {
        &self.id
    }
}

/// All widget keys, page by page.
#[utoipa::path(
    get, path = "/api/v1/widget-keys", params(Asked), tag = "widget-keys", security(("admin" = [])),
    responses((status = 200, body = KeyList), (status = 400, body = ErrorBody, description = "request_invalid"))
)]
pub async fn list(
    State(app): State<App>,
    Params(asked): Params<Asked>,
) -> Result<axum::Json<KeyList>, ApiError> {
    let (keys, next) = asked.page(keys::list(app.store.as_ref(), ACCOUNT).await?)?;
    Ok(axum::Json(KeyList {
        widget_keys: keys.iter().map(KeyView::from).collect(),
        next,
    }))
}

/// Makes a key. Its secrets are in this answer only.
#[utoipa::path(
    post, path = "/api/v1/widget-keys", request_body = CreateKey, tag = "widget-keys", security(("admin" = [])),
    responses(
        (status = 201, body = NewKeyView),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such agent"),
    )
)]
pub async fn create(
    State(app): State<App>,
    Json(body): Json<CreateKey>,
) -> Result<(StatusCode, axum::Json<NewKeyView>), ApiError> {
    let new = NewKey {
        name: body.name,
        origins: body.domain_allowlist,
        agent_id: body.agent_id,
        identification_required: body.identification_required,
        caps: body.caps,
    };
    let created = keys::create(app.store.as_ref(), &app.master, ACCOUNT, new).await?;
    Ok((StatusCode::CREATED, axum::Json(created.into())))
}

/// One key.
#[utoipa::path(
    get, path = "/api/v1/widget-keys/{id}", params(("id" = String, Path, description = "Id or public key")), tag = "widget-keys",
    security(("admin" = [])),
    responses((status = 200, body = KeyView), (status = 404, body = ErrorBody, description = "not_found"))
)]
pub async fn show(State(app): State<App>, Id(id): Id) -> Result<axum::Json<KeyView>, ApiError> {
    let key = keys::get(app.store.as_ref(), ACCOUNT, &id).await?;
    Ok(axum::Json(KeyView::from(&key)))
}

/// Changes a key.
#[utoipa::path(
    patch, path = "/api/v1/widget-keys/{id}", params(("id" = String, Path, description = "Id or public key")), request_body = ChangeKey,
    tag = "widget-keys", security(("admin" = [])),
    responses(
        (status = 200, body = KeyView),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such key or agent"),
    )
)]
pub async fn update(
    State(app): State<App>,
    Id(id): Id,
    Json(body): Json<ChangeKey>,
) -> Result<axum::Json<KeyView>, ApiError> {
    let change = KeyChange {
        name: body.name,
        origins: body.domain_allowlist,
        agent_id: body.agent_id,
        enabled: body.enabled,
        identification_required: body.identification_required,
        caps: body.caps,
    };
    let key = keys::update(app.store.as_ref(), ACCOUNT, &id, change).await?;
    Ok(axum::Json(KeyView::from(&key)))
}

/// Replaces one of a key's secrets. The new one is in this answer only.
#[utoipa::path(
    post, path = "/api/v1/widget-keys/{id}/rotate", params(("id" = String, Path, description = "Id or public key")),
    request_body = RotateSecret, tag = "widget-keys", security(("admin" = [])),
    responses(
        (status = 200, body = RotatedView),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 404, body = ErrorBody, description = "not_found"),
    )
)]
pub async fn rotate(
    State(app): State<App>,
    Id(id): Id,
    Json(body): Json<RotateSecret>,
) -> Result<axum::Json<RotatedView>, ApiError> {
    let which = match body.which {
        WhichSecret::SecretKey => Which::SecretKey,
        WhichSecret::IdentitySecret => Which::IdentitySecret,
    };
    let (store, master) = (app.store.as_ref(), &app.master);
    let rotated = secrets::rotate(store, master, ACCOUNT, &id, which, body.now).await?;
    Ok(axum::Json(RotatedView::new(which, rotated)))
}

/// Deletes a key for good: open widgets are refused.
#[utoipa::path(
    delete, path = "/api/v1/widget-keys/{id}", params(("id" = String, Path, description = "Id or public key")), tag = "widget-keys",
    security(("admin" = [])),
    responses((status = 204, description = "deleted"), (status = 404, body = ErrorBody, description = "not_found"))
)]
pub async fn remove(State(app): State<App>, Id(id): Id) -> Result<StatusCode, ApiError> {
    keys::remove(app.store.as_ref(), ACCOUNT, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
