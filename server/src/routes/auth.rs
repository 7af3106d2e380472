//! Token calls of every visitor: guest, refresh, revoke. Verified users get theirs in [`super::identity`].

use crate::app::App;
use crate::auth::caller::{
    Counting, agent_for, bearer, check_page, check_public_key, require_admitted, require_key,
    secret_key_in_browser,
};
use crate::auth::limit::Action;
use crate::auth::policy::{Standing, admit};
use crate::auth::{refresh, secret, token};
use crate::error::{ApiError, Fault};
use crate::routes::request::Json;
use crate::session::Principal;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use karta_protocol::{ErrorBody, ErrorCode, GuestRequest, RefreshRequest, TokenReply};

/// Of what a page calls its visitor, so much is kept.
const LABEL_MAX_CHARS: usize = 128;

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
    admit(&key, Some(&agent), Standing::Guest)?;
    let label = label(body.user_label.as_deref());
    let visitor_id = visitor(&app, &key.account, body.visitor_id.as_deref(), label).await?;
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
        (status = 400, body = ErrorBody, description = "token_missing, token_expired: the refresh_token is missing or too old; request_invalid"),
        (status = 401, body = ErrorBody, description = "token_invalid, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed, widget_disabled_for_agent, guest_not_allowed, user_not_allowed, secret_key_in_browser"),
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
        )
        .of_body());
    }
    if secret::looks_like_secret_key(&body.refresh_token) {
        return Err(secret_key_in_browser().into());
    }
    let now_ms = app.clock.now_ms();
    let parent = app
        .tokens
        .check_for_refresh(&body.refresh_token, now_ms / 1000)
        .map_err(|refusal| ApiError::new(refusal.code(), refusal.message()).of_body())?;
    counting.limit(&app, Action::Refresh, &parent.key_id)?;
    check_page(&require_key(&app, &parent.key_id).await?, &headers)?;
    require_admitted(&app, &parent.principal()).await?;
    let claims = refresh::rotate(app.store.as_ref(), &app.tokens, &parent, now_ms).await?;
    let (visitor_id, user_id) = match Standing::of(&claims.sub) {
        Standing::Guest => (Some(claims.sub.clone()), None),
        Standing::User => {
            let user = app.store.user(&claims.account, &claims.sub).await?;
            (None, user.map(|user| user.user_id))
        }
    };
    Ok(axum::Json(TokenReply {
        token: app.tokens.sign(&claims),
        expires_in: claims.expires_in(now_ms / 1000),
        visitor_id,
        user_id,
    }))
}

/// Ends the login: all its tokens, streams and channels. May be repeated; a token that is dead already is ended.
#[utoipa::path(
    post, path = "/api/v1/widget/auth/revoke", tag = "auth", security(("session" = [])),
    responses(
        (status = 204, description = "ended, or was already"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid: not a token of this server"),
        (status = 403, body = ErrorBody, description = "origin_not_allowed, secret_key_in_browser"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn revoke(State(app): State<App>, headers: HeaderMap) -> Result<StatusCode, ApiError> {
    let token = bearer(&headers)?;
    let claims = app.tokens.recognise(token).ok_or_else(|| {
        let refusal = token::Refusal::Invalid;
        Fault::refused(refusal.code(), refusal.message())
    })?;
    // Not `require_key`: what a disabled or deleted key has left behind can be ended all the same.
    if let Some(key) = app.store.key_by_id(&claims.key_id).await? {
        check_page(&key, &headers)?;
    }
    if app.clock.now_s() < claims.family_exp {
        refresh::end_family(app.store.as_ref(), &claims).await?;
    }
    app.watch.end_family(&claims.family);
    Ok(StatusCode::NO_CONTENT)
}

/// The browser's visitor id where this server made it, else a fresh one: an id that somebody else made up opens nothing.
async fn visitor(
    app: &App,
    account: &str,
    known: Option<&str>,
    label: Option<String>,
) -> Result<String, ApiError> {
    if let Some(id) = known
        && id.starts_with("v_")
        && id.len() <= 64
        && app.store.visitor_exists(account, id).await?
    {
        if label.is_some() {
            app.store.put_visitor(account, id, label.as_deref()).await?;
        }
        return Ok(id.to_owned());
    }
    let id = token::random_id("v_");
    let label = label.as_deref();
    app.store.put_visitor(account, &id, label).await?;
    Ok(id)
}

/// Advisory: cut rather than refused, since a conversation must not fail over it.
fn label(text: Option<&str>) -> Option<String> {
    let kept: String = text?
        .chars()
        .filter(|c| !c.is_control())
        .take(LABEL_MAX_CHARS)
        .collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}
