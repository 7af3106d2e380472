//! Token calls: guest and refresh. Exchange of verified identities comes with them in the next release.

use crate::app::App;
use crate::auth::caller::{
    Counting, agent_for, agent_off, check_key_of, check_public_key, secret_key_in_browser,
};
use crate::auth::limit::Action;
use crate::auth::{refresh, secret, token};
use crate::error::ApiError;
use crate::routes::request::Json;
use crate::session::Principal;
use axum::extract::State;
use axum::http::HeaderMap;
use karta_protocol::{AuthMode, ErrorBody, ErrorCode, GuestRequest, RefreshRequest, TokenReply};

/// A session token for an anonymous visitor.
#[utoipa::path(
    post, path = "/api/v1/widget/auth/guest", request_body = GuestRequest, tag = "auth",
    responses(
        (status = 200, body = TokenReply),
        (status = 400, body = ErrorBody, description = "client_key_missing, request_invalid"),
        (status = 401, body = ErrorBody, description = "client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed, widget_disabled_for_agent, guest_not_allowed, secret_key_in_browser"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn guest(
    State(app): State<App>,
    counting: Counting,
    headers: HeaderMap,
    Json(body): Json<GuestRequest>,
) -> Result<axum::Json<TokenReply>, ApiError> {
    let key = check_public_key(&app, &body.client_key, &headers).await?;
    counting.limit(&app, Action::Mint, &key.id)?;
    let agent = agent_for(&app, &key, body.agent_id.as_deref()).await?;
    if !agent.widget_enabled {
        return Err(agent_off().into());
    }
    if agent.auth_mode == AuthMode::User {
        return Err(ApiError::new(
            ErrorCode::GuestNotAllowed,
            "This agent talks to signed-in users only. Call karta(\"identify\") with an identity token, or set the agent's auth mode to guest or both.",
        ));
    }
    let visitor_id = visitor(&app, &key.account, body.visitor_id.as_deref()).await?;
    let who = Principal {
        account: key.account,
        key_id: key.id,
        agent_id: agent.id,
        subject: visitor_id.clone(),
    };
    let now_s = app.clock.now_s();
    let claims = app.tokens.first(&who, now_s);
    Ok(axum::Json(TokenReply {
        token: app.tokens.sign(&claims),
        expires_in: claims.expires_in(now_s),
        visitor_id: Some(visitor_id),
        user_id: None,
    }))
}

/// The next session token, for the current one.
#[utoipa::path(
    post, path = "/api/v1/widget/auth/refresh", request_body = RefreshRequest, tag = "auth",
    responses(
        (status = 200, body = TokenReply),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed, secret_key_in_browser"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn refresh(
    State(app): State<App>,
    counting: Counting,
    headers: HeaderMap,
    Json(body): Json<RefreshRequest>,
) -> Result<axum::Json<TokenReply>, ApiError> {
    if body.refresh_token.is_empty() {
        return Err(ApiError::new(
            ErrorCode::TokenMissing,
            "Give the current session token as refresh_token.",
        ));
    }
    if secret::looks_like_secret_key(&body.refresh_token) {
        return Err(secret_key_in_browser().into());
    }
    let now_ms = app.clock.now_ms();
    let parent = app
        .tokens
        .check_for_refresh(&body.refresh_token, now_ms / 1000)
        .map_err(|refusal| ApiError::new(refusal.code(), refusal.message()))?;
    counting.limit(&app, Action::Refresh, &parent.key_id)?;
    check_key_of(&app, &parent, &headers).await?;
    let claims = refresh::rotate(app.store.as_ref(), &app.tokens, &parent, now_ms).await?;
    let (visitor_id, user_id) = match claims.sub.strip_prefix("u_") {
        Some(user) => (None, Some(user.to_owned())),
        None => (Some(claims.sub.clone()), None),
    };
    Ok(axum::Json(TokenReply {
        token: app.tokens.sign(&claims),
        expires_in: claims.expires_in(now_ms / 1000),
        visitor_id,
        user_id,
    }))
}

/// The browser's visitor id where this server made it, else a fresh one: an id that somebody else made up opens nothing.
async fn visitor(app: &App, account: &str, known: Option<&str>) -> Result<String, ApiError> {
    if let Some(id) = known
        && id.starts_with("v_")
        && id.len() <= 64
        && app.store.visitor_exists(account, id).await?
    {
        return Ok(id.to_owned());
    }
    let id = token::random_id("v_");
    app.store.put_visitor(account, &id).await?;
    Ok(id)
}
