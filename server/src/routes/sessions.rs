//! Sessions: begin or go on, list, read the log, send an event.

use crate::app::App;
use crate::auth::caller::Caller;
use crate::auth::guarded::Guarded;
use crate::auth::limit::Action;
use crate::error::ApiError;
use crate::routes::request::{Id, Json, Params};
use crate::rtc::Conversation;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use karta_protocol::{
    API_BASE, Accepted, ClientEvent, ErrorBody, ErrorCode, EventsPage, SessionInfo, SessionList,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

/// Highest cursor that JavaScript can hold exactly.
const CURSOR_MAX: u64 = (1 << 53) - 1;

/// Body of `POST /sessions`.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct NewSession {
    /// A session of the same visitor to go on with. Another's, or one that is gone, gives a new session.
    resume: Option<String>,
    metadata: Option<Metadata>,
}

/// What the page says about its visitor, without proof: for the owner to see.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Metadata {
    /// Texts (500 characters are kept), numbers and booleans; the first 50. Takes the place of what was said before.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct After {
    /// Events with a higher `seq` only.
    #[serde(default)]
    pub after: u64,
}

impl After {
    pub fn cursor(&self) -> Result<u64, ApiError> {
        if self.after > CURSOR_MAX {
            return Err(ApiError::new(
                ErrorCode::RequestInvalid,
                "`after` is the seq of an event; there is none so high.",
            ));
        }
        Ok(self.after)
    }
}

/// A session made (201), or gone on with (200): the one named by `resume`, or a verified user's one conversation.
#[utoipa::path(
    post, path = "/api/v1/widget/sessions", request_body = NewSession, tag = "sessions", security(("session" = [])),
    responses(
        (status = 200, body = SessionInfo, description = "the session named by `resume`, or the verified user's conversation",
         headers(("link" = String, description = "STUN and TURN servers, rel=\"ice-server\" (RFC 9725 4.6)"))),
        (status = 201, body = SessionInfo, description = "a new session",
         headers(("location" = String, description = "path of the session"), ("link" = String, description = "STUN and TURN servers, rel=\"ice-server\" (RFC 9725 4.6)"))),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed, widget_disabled_for_agent, guest_not_allowed, user_not_allowed"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<NewSession>,
) -> Result<Response, ApiError> {
    caller.limit(&app, Action::Session)?;
    caller.require_admitted(&app).await?;
    let info = app
        .sessions
        .create(&caller.who, body.resume.as_deref())
        .await?;
    if let Some(attributes) = body.metadata.and_then(|metadata| metadata.attributes) {
        app.sessions.describe(&info.id, attributes).await?;
    }
    let status = if info.resumed {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let location = HeaderValue::try_from(format!("{API_BASE}/sessions/{}", info.id));
    let mut links = HeaderMap::new();
    if app.rtc.is_some() {
        app.ice.tell(&info.id, app.clock.now_s(), &mut links);
    }
    let mut response = (status, axum::Json(info)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response.headers_mut().extend(links);
    Ok(response)
}

/// The caller's own sessions, newest first.
#[utoipa::path(
    get, path = "/api/v1/widget/sessions", tag = "sessions", security(("session" = [])),
    responses(
        (status = 200, body = SessionList),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<axum::Json<SessionList>, ApiError> {
    let sessions = app.sessions.list(&caller.who).await?;
    Ok(axum::Json(SessionList { sessions }))
}

/// The durable events of a session after the cursor, in order.
#[utoipa::path(
    get, path = "/api/v1/widget/sessions/{id}", params(("id" = String, Path), After), tag = "sessions", security(("session" = [])),
    responses(
        (status = 200, body = EventsPage),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed"),
        (status = 404, body = ErrorBody, description = "session_not_found"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Params(after): Params<After>,
) -> Result<axum::Json<EventsPage>, ApiError> {
    let page = app.sessions.page(&caller.who, &id, after.cursor()?).await?;
    Ok(axum::Json(page))
}

/// Takes a message, an interruption, a wish to try again or feedback. Answers after the commit; a message id that is known already
/// is answered like the first time.
#[utoipa::path(
    post, path = "/api/v1/widget/sessions/{id}/events", params(("id" = String, Path)), request_body = ClientEvent, tag = "sessions",
    security(("session" = [])),
    responses(
        (status = 202, body = Accepted),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed, widget_disabled_for_agent, guest_not_allowed, user_not_allowed"),
        (status = 404, body = ErrorBody, description = "session_not_found"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 429, body = ErrorBody, description = "rate_limited, limit_reached"),
    )
)]
pub async fn submit(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(event): Json<ClientEvent>,
) -> Result<(StatusCode, axum::Json<Accepted>), ApiError> {
    let who = caller.who.clone();
    let accepted = Guarded::new(app, caller).submit(&who, &id, event).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(accepted)))
}
