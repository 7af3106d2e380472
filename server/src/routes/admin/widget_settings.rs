//! `/widget-settings`: how the widget looks on every page.

use crate::app::App;
use crate::error::ApiError;
use crate::routes::request::Json;
use crate::service::ACCOUNT;
use crate::service::branding::{self, BrandingChange};
use crate::service::patch::Patch;
use axum::extract::State;
use karta_protocol::{Branding, ErrorBody, LauncherPosition};
use serde::Deserialize;
use utoipa::ToSchema;

/// Null: cleared. Absent: unchanged (PATCH), cleared (PUT).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeBranding {
    /// `#rrggbb` or `#rgb`: launcher and buttons.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    primary_color: Patch<String>,
    /// Stands in for the primary colour where there is none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    accent_color: Patch<String>,
    /// Text on that colour; without it black or white, whichever reads better.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    accent_foreground: Patch<String>,
    /// `https://…`; `http://` on this machine only.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    logo_url: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<LauncherPosition>)]
    launcher_position: Patch<LauncherPosition>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    launcher_label: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    privacy_notice: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    footer: Patch<String>,
    /// `auto`, `light`, `dark`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    mode: Patch<String>,
}

impl From<ChangeBranding> for BrandingChange {
    fn from(body: ChangeBranding) -> BrandingChange {
        BrandingChange {
            primary_color: body.primary_color,
            accent_color: body.accent_color,
            accent_foreground: body.accent_foreground,
            logo_url: body.logo_url,
            launcher_position: body.launcher_position,
            launcher_label: body.launcher_label,
            privacy_notice: body.privacy_notice,
            footer: body.footer,
            mode: body.mode,
        }
    }
}

/// The account's branding.
#[utoipa::path(
    get, path = "/api/v1/widget-settings", tag = "widget-settings", security(("admin" = [])),
    responses((status = 200, body = Branding))
)]
pub async fn show(State(app): State<App>) -> Result<axum::Json<Branding>, ApiError> {
    Ok(axum::Json(
        branding::get(app.store.as_ref(), ACCOUNT).await?,
    ))
}

/// Replaces the branding.
#[utoipa::path(
    put, path = "/api/v1/widget-settings", request_body = ChangeBranding, tag = "widget-settings", security(("admin" = [])),
    responses((status = 200, body = Branding), (status = 400, body = ErrorBody, description = "request_invalid"))
)]
pub async fn replace(
    State(app): State<App>,
    Json(body): Json<ChangeBranding>,
) -> Result<axum::Json<Branding>, ApiError> {
    let branding = branding::replace(app.store.as_ref(), ACCOUNT, body.into()).await?;
    Ok(axum::Json(branding))
}

/// Changes some fields of the branding.
#[utoipa::path(
    patch, path = "/api/v1/widget-settings", request_body = ChangeBranding, tag = "widget-settings", security(("admin" = [])),
    responses((status = 200, body = Branding), (status = 400, body = ErrorBody, description = "request_invalid"))
)]
pub async fn update(
    State(app): State<App>,
    Json(body): Json<ChangeBranding>,
) -> Result<axum::Json<Branding>, ApiError> {
    let branding = branding::update(app.store.as_ref(), ACCOUNT, body.into()).await?;
    Ok(axum::Json(branding))
}
