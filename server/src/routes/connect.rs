//! WebRTC signalling in the shape of RFC 9725 (WHIP): POST an offer, PATCH candidates or an ICE restart, DELETE. Not WHIP itself,
//! which is one-way and takes no data channel.

use crate::app::App;
use crate::auth::caller::Caller;
use crate::auth::guarded::Guarded;
use crate::auth::limit::Action;
use crate::error::ApiError;
use crate::routes::request::Id;
use crate::routes::signal::{
    ACCEPT_PATCH, SDP, SDP_FRAGMENT, created, if_match, require_type, text,
};
use crate::rtc::{IfMatch, Patched, Rtc};
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use karta_protocol::{ErrorBody, ErrorCode};
use std::sync::Arc;

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// Answers an offer. The offer carries a data channel labelled `karta` and may carry a `sendrecv` audio section.
#[utoipa::path(
    post, path = "/api/v1/widget/sessions/{id}/connect", params(("id" = String, Path)), tag = "sessions", security(("session" = [])),
    request_body(content = String, content_type = "application/sdp"),
    responses(
        (status = 201, content_type = "application/sdp", body = String, description = "the answer",
         headers(("location" = String, description = "path of the connection"), ("etag" = String, description = "names the ICE session"),
                 ("link" = String, description = "STUN and TURN servers for the next connection, rel=\"ice-server\""))),
        (status = 400, body = ErrorBody, description = "sdp_invalid"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed, widget_disabled_for_agent, guest_not_allowed, user_not_allowed"),
        (status = 404, body = ErrorBody, description = "session_not_found"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "request_invalid"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
        (status = 503, body = ErrorBody, description = "overloaded: text goes on over HTTPS"),
    )
)]
pub async fn open(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    caller.limit(&app, Action::Connect)?;
    caller.require_admitted(&app).await?;
    require_type(&headers, SDP)?;
    let who = caller.who.clone();
    let rtc = rtc(&app)?.clone();
    let guarded = Guarded::new(app.clone(), caller);
    let answer = rtc
        .connect(Arc::new(guarded), &who, &id, text(&body)?)
        .await?;
    let path = format!("/sessions/{id}/connect/{}", answer.connection_id);
    let mut response = created(&path, &answer.etag, answer.sdp);
    // For the next connection: this one has been offered already.
    app.ice.tell(&id, app.clock.now_s(), response.headers_mut());
    Ok(response)
}

/// Takes trickled candidates (204), or restarts ICE (`If-Match: *` and new credentials: 200 and a fragment).
#[utoipa::path(
    patch, path = "/api/v1/widget/sessions/{id}/connect/{connection_id}", tag = "sessions", security(("session" = [])),
    params(("id" = String, Path), ("connection_id" = String, Path), ("if-match" = String, Header, description = "the ETag, or `*` to restart ICE")),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"),
    responses(
        (status = 200, content_type = "application/trickle-ice-sdpfrag", body = String, description = "ICE restarted; a new ETag"),
        (status = 204, description = "taken"),
        (status = 400, body = ErrorBody, description = "sdp_invalid"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed"),
        (status = 404, body = ErrorBody, description = "connection_not_found"),
        (status = 412, body = ErrorBody, description = "precondition_failed: an ICE session that is over"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "request_invalid"),
        (status = 422, body = ErrorBody, description = "sdp_invalid: a restart without new credentials, or new credentials without `If-Match: \"*\"`"),
        (status = 428, body = ErrorBody, description = "precondition_required"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn patch(
    State(app): State<App>,
    caller: Caller,
    Id((id, connection_id)): Id<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    require_type(&headers, SDP_FRAGMENT)?;
    let wanted = if_match(&headers)?;
    if wanted == IfMatch::Any {
        // Costs as much as an offer.
        caller.limit(&app, Action::Connect)?;
    }
    let patched = rtc(&app)?
        .patch(&caller.who, &id, &connection_id, &wanted, text(&body)?)
        .await?;
    let (fragment, etag) = match patched {
        // Without an ETag: the ICE session is the same.
        Patched::Taken => return Ok(StatusCode::NO_CONTENT.into_response()),
        Patched::Restarted { fragment, etag } => (fragment, etag),
        Patched::Unsupported(why) => {
            return Err(ApiError::new(ErrorCode::SdpInvalid, why)
                .with_status(StatusCode::UNPROCESSABLE_ENTITY));
        }
    };
    let headers = [
        (header::CONTENT_TYPE, SDP_FRAGMENT.to_owned()),
        (header::ETAG, format!("\"{etag}\"")),
    ];
    Ok((StatusCode::OK, headers, fragment).into_response())
}

/// Ends a connection; the session stays. A page sends this when it is left, with `keepalive`.
#[utoipa::path(
    delete, path = "/api/v1/widget/sessions/{id}/connect/{connection_id}", tag = "sessions", security(("session" = [])),
    params(("id" = String, Path), ("connection_id" = String, Path)),
    responses(
        (status = 200, description = "ended, or was not there"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn close(
    State(app): State<App>,
    caller: Caller,
    Id((id, connection_id)): Id<(String, String)>,
) -> Result<StatusCode, ApiError> {
    match rtc(&app)?.close(&caller.who, &id, &connection_id).await {
        // The peer's own farewell often overtakes the DELETE. What was asked for is done either way, and a 404 would be a red
        // line in the console of the owner's page.
        Err(fault) if fault.code() == ErrorCode::ConnectionNotFound => Ok(StatusCode::OK),
        done => Ok(done.map(|()| StatusCode::OK)?),
    }
}

fn rtc(app: &App) -> Result<&Rtc, ApiError> {
    app.rtc.as_ref().ok_or_else(|| {
        ApiError::new(
            ErrorCode::Overloaded,
            "This server takes no WebRTC connections. Text goes over HTTPS.",
        )
        .retry_after(600)
    })
}

/// A client may look before it posts: what `OPTIONS` says of an endpoint (RFC 9725 4.2).
pub async fn announce(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let told = match request.method() == Method::OPTIONS && path.starts_with("/sessions/") {
        true if path.ends_with("/connect") => Some((ACCEPT_POST, SDP)),
        true if path.contains("/connect/") => Some((ACCEPT_PATCH, SDP_FRAGMENT)),
        _ => None,
    };
    let mut response = next.run(request).await;
    if let Some((name, value)) = told {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A connection's address can be looked at (RFC 9725 4.2): it is there, and there is nothing to read.
#[utoipa::path(
    get, path = "/api/v1/widget/sessions/{id}/connect/{connection_id}", tag = "sessions", security(("session" = [])),
    params(("id" = String, Path), ("connection_id" = String, Path)),
    responses(
        (status = 204, description = "it is there"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed"),
        (status = 404, body = ErrorBody, description = "connection_not_found"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id((id, connection_id)): Id<(String, String)>,
) -> Result<StatusCode, ApiError> {
    if rtc(&app)?.holds(&caller.who, &id, &connection_id) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::new(
        ErrorCode::ConnectionNotFound,
        "There is no such connection, or it has ended. Send a new offer.",
    ))
}
