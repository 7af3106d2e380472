//! `/agents`: who answers, and how.

use super::{Asked, Listed};
use crate::app::App;
use crate::error::ApiError;
use crate::money::Money;
use crate::routes::request::{Id, Json, Params};
use crate::service::agents::{self, AgentChange};
use crate::service::patch::{Patch, present};
use crate::service::{ACCOUNT, knowledge};
use crate::store::{Agent, Tool};
use crate::view::{AgentView, PolicyView};
use axum::extract::State;
use axum::http::StatusCode;
use karta_protocol::{AuthMode, ErrorBody};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Absent: unchanged, or for a new agent as it comes. Null: cleared. A new agent needs a name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSettings {
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    /// `https://…`; `http://` on this machine only.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    avatar_url: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    greeting: Patch<String>,
    #[serde(default, deserialize_with = "present")]
    suggested_prompts: Option<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    instruction: Patch<String>,
    /// `auto`, `builtin` or `openai`.
    #[serde(default, deserialize_with = "present")]
    runtime: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    model: Patch<String>,
    /// 0 (exact) to 2 (loose).
    #[serde(default)]
    #[schema(value_type = Option<f32>)]
    temperature: Patch<f32>,
    /// Longest answer: 16 to 65536. Null: 4096.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    max_tokens: Patch<u32>,
    /// What a million tokens cost that the model reads: a decimal like `"0.15"`, in the currency of the caps.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    input_price: Patch<Money>,
    /// What a million tokens cost that the model writes.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    output_price: Patch<Money>,
    /// 0 to 30000: how long a turn waits for more messages.
    #[serde(default, deserialize_with = "present")]
    response_delay_ms: Option<u32>,
    /// Null or 0: conversations are kept.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    retention_days: Patch<u32>,
    /// `off`, `auto`, `local`, `openai`, `pipecat` or `openai-realtime`.
    #[serde(default, deserialize_with = "present")]
    voice: Option<String>,
    /// What a minute of talk costs, whatever engine of the voice it pays for; `local` costs nothing.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    voice_minute_price: Patch<Money>,
    /// All of them, in the place of all that were.
    #[serde(default, deserialize_with = "present")]
    tools: Option<Vec<Tool>>,
    #[serde(default, deserialize_with = "present")]
    upload_enabled: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    widget_enabled: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    auth_mode: Option<AuthMode>,
    /// Ids of the documents to tick, in the place of all that were. Those for every agent need no tick.
    #[serde(default, deserialize_with = "present")]
    knowledge: Option<Vec<String>>,
}

/// Who may talk to an agent. Absent: unchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePolicy {
    #[serde(default, deserialize_with = "present")]
    widget_enabled: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    auth_mode: Option<AuthMode>,
}

#[derive(Serialize, ToSchema)]
pub struct AgentList {
    /// Oldest first: the first one answers where neither key nor page names another.
    pub agents: Vec<AgentView>,
    /// `after` of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Listed for Agent {
    fn created_ms(&self) -> u64 {
        self.created_ms
    }
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<AgentSettings> for AgentChange {
    fn from(body: AgentSettings) -> AgentChange {
        AgentChange {
            name: body.name,
            avatar_url: text(body.avatar_url),
            greeting: text(body.greeting),
            suggested_prompts: body.suggested_prompts,
            instruction: text(body.instruction),
            runtime: body.runtime,
            model: text(body.model),
            temperature: body.temperature,
            max_tokens: body.max_tokens,
            input_price: body.input_price,
            output_price: body.output_price,
            response_delay_ms: body.response_delay_ms,
            retention_days: match body.retention_days {
                Patch::Keep => None,
                Patch::Clear => Some(0),
                Patch::Set(days) => Some(days),
            },
            voice: body.voice,
            voice_minute_price: body.voice_minute_price,
            tools: body.tools,
            upload_enabled: body.upload_enabled,
            widget_enabled: body.widget_enabled,
            auth_mode: body.auth_mode,
            knowledge: body.knowledge,
        }
    }
}

/// The service takes a text away where it is empty.
fn text(field: Patch<String>) -> Option<String> {
    match field {
        Patch::Keep => None,
        Patch::Clear => Some(String::new()),
        Patch::Set(text) => Some(text),
    }
}

/// All agents, page by page.
#[utoipa::path(
    get, path = "/api/v1/agents", params(Asked), tag = "agents", security(("admin" = [])),
    responses((status = 200, body = AgentList), (status = 400, body = ErrorBody, description = "request_invalid"))
)]
pub async fn list(
    State(app): State<App>,
    Params(asked): Params<Asked>,
) -> Result<axum::Json<AgentList>, ApiError> {
    let (page, next) = asked.page(agents::list(app.store.as_ref(), ACCOUNT).await?)?;
    let mut agents = Vec::with_capacity(page.len());
    for agent in page {
        agents.push(view(&app, agent).await?);
    }
    Ok(axum::Json(AgentList { agents, next }))
}

/// Makes an agent.
#[utoipa::path(
    post, path = "/api/v1/agents", request_body = AgentSettings, tag = "agents", security(("admin" = [])),
    responses(
        (status = 201, body = AgentView),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such document"),
    )
)]
pub async fn create(
    State(app): State<App>,
    Json(body): Json<AgentSettings>,
) -> Result<(StatusCode, axum::Json<AgentView>), ApiError> {
    let agent = agents::create(app.store.as_ref(), ACCOUNT, body.into()).await?;
    Ok((StatusCode::CREATED, axum::Json(view(&app, agent).await?)))
}

/// One agent with all its settings.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}", params(("id" = String, Path)), tag = "agents", security(("admin" = [])),
    responses((status = 200, body = AgentView), (status = 404, body = ErrorBody, description = "not_found"))
)]
pub async fn show(State(app): State<App>, Id(id): Id) -> Result<axum::Json<AgentView>, ApiError> {
    let agent = agents::get(app.store.as_ref(), ACCOUNT, &id).await?;
    Ok(axum::Json(view(&app, agent).await?))
}

/// Changes an agent's settings.
#[utoipa::path(
    patch, path = "/api/v1/agents/{id}", params(("id" = String, Path)), request_body = AgentSettings, tag = "agents",
    security(("admin" = [])),
    responses(
        (status = 200, body = AgentView),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 404, body = ErrorBody, description = "not_found: there is no such agent or document"),
    )
)]
pub async fn update(
    State(app): State<App>,
    Id(id): Id,
    Json(body): Json<AgentSettings>,
) -> Result<axum::Json<AgentView>, ApiError> {
    let agent = agents::update(app.store.as_ref(), ACCOUNT, &id, body.into()).await?;
    Ok(axum::Json(view(&app, agent).await?))
}

/// Deletes an agent. Its conversations stay until their time is over.
#[utoipa::path(
    delete, path = "/api/v1/agents/{id}", params(("id" = String, Path)), tag = "agents", security(("admin" = [])),
    responses(
        (status = 204, description = "deleted"),
        (status = 404, body = ErrorBody, description = "not_found"),
        (status = 409, body = ErrorBody, description = "agent_in_use"),
    )
)]
pub async fn remove(State(app): State<App>, Id(id): Id) -> Result<StatusCode, ApiError> {
    agents::remove(app.store.as_ref(), ACCOUNT, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who may talk to an agent.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/widget-settings", params(("id" = String, Path)), tag = "agents", security(("admin" = [])),
    responses((status = 200, body = PolicyView), (status = 404, body = ErrorBody, description = "not_found"))
)]
pub async fn policy(
    State(app): State<App>,
    Id(id): Id,
) -> Result<axum::Json<PolicyView>, ApiError> {
    let agent = agents::get(app.store.as_ref(), ACCOUNT, &id).await?;
    Ok(axum::Json(PolicyView::from(&agent)))
}

/// Says who may talk to an agent.
#[utoipa::path(
    patch, path = "/api/v1/agents/{id}/widget-settings", params(("id" = String, Path)), request_body = ChangePolicy, tag = "agents",
    security(("admin" = [])),
    responses(
        (status = 200, body = PolicyView),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 404, body = ErrorBody, description = "not_found"),
    )
)]
pub async fn update_policy(
    State(app): State<App>,
    Id(id): Id,
    Json(body): Json<ChangePolicy>,
) -> Result<axum::Json<PolicyView>, ApiError> {
    let change = AgentChange {
        widget_enabled: body.widget_enabled,
        auth_mode: body.auth_mode,
        ..AgentChange::default()
    };
    let agent = agents::update(app.store.as_ref(), ACCOUNT, &id, change).await?;
    Ok(axum::Json(PolicyView::from(&agent)))
}

async fn view(app: &App, agent: Agent) -> Result<AgentView, ApiError> {
    let ticked = knowledge::ticked(app.store.as_ref(), &agent.id).await?;
    Ok(AgentView::new(agent, ticked))
}
