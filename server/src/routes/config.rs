//! `GET /config`: what the page may know before a visitor speaks. Built field by field from what may be public: the record of the
//! key, with its origins and hash, never gets near the answer.

use crate::app::App;
use crate::auth::caller::{agent_for, check_public_key};
use crate::auth::policy::effective_mode;
use crate::error::ApiError;
use crate::routes::request::Params;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use karta_protocol::{AgentProfile, ErrorBody, Features, WidgetConfig};
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Public key, `pk_live_<account>_<random>`.
    #[serde(default)]
    client_key: String,
    /// Agent the page asks for; a key pinned to an agent wins.
    agent_id: Option<String>,
}

/// Branding, copy and features of the widget.
#[utoipa::path(
    get, path = "/api/v1/widget/config", params(Asked), tag = "widget",
    responses(
        (status = 200, body = WidgetConfig),
        (status = 400, body = ErrorBody, description = "client_key_missing, request_invalid"),
        (status = 401, body = ErrorBody, description = "client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed, secret_key_in_browser"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn show(
    State(app): State<App>,
    Params(asked): Params<Asked>,
    headers: HeaderMap,
) -> Result<Json<WidgetConfig>, ApiError> {
    let key = check_public_key(&app, &asked.client_key, &headers).await?;
    let agent = agent_for(&app, &key, asked.agent_id.as_deref()).await?;
    let auth_mode = effective_mode(&key, &agent);
    let branding = app.store.branding(&key.account).await?;
    let realtime = app.voices.handed(&agent.voice);
    Ok(Json(WidgetConfig {
        agent: AgentProfile {
            name: agent.name,
            avatar_url: agent.avatar_url,
            greeting: agent.greeting,
            suggested_prompts: agent.suggested_prompts,
        },
        branding,
        features: Features {
            // A handed call needs none of this server's WebRTC.
            voice: realtime.is_some() || app.rtc.is_some() && app.voices.available(&agent.voice),
            realtime,
            upload: agent.upload_enabled,
            widget_enabled: agent.widget_enabled,
        },
        auth_mode,
    }))
}
