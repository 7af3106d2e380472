//! WebRTC signalling in the shape of RFC 9725 (WHIP): POST an offer, PATCH candidates or an ICE restart, DELETE. Not WHIP itself,
//! which is one-way and takes no data channel.

use crate::app::App;
use crate::auth::caller::Caller;
use crate::auth::guarded::Guarded;
use crate::auth::limit::Action;
use crate::error::ApiError;
use crate::routes::request::Id;
use crate::rtc::Rtc;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use karta_protocol::{API_BASE, ErrorBody, ErrorCode};
use std::sync::Arc;

const SDP: &str = "application/sdp";
const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Answers an offer. The offer carries a data channel labelled `karta` and may carry a `sendrecv` audio section.
#[utoipa::path(
    post, path = "/api/v1/widget/sessions/{id}/connect", params(("id" = String, Path)), tag = "sessions", security(("session" = [])),
    request_body(content = String, content_type = "application/sdp"),
    responses(
        (status = 201, content_type = "application/sdp", body = String, description = "the answer",
         headers(("location" = String, description = "path of the connection"), ("etag" = String, description = "names the ICE session"))),
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
    let answer = rtc
        .connect(Arc::new(Guarded::new(app, caller)), &who, &id, text(&body)?)
        .await?;
    let location = format!("{API_BASE}/sessions/{id}/connect/{}", answer.connection_id);
    let headers = [
        (header::CONTENT_TYPE, SDP.to_owned()),
        (header::LOCATION, location),
        (header::ETAG, format!("\"{}\"", answer.etag)),
        (ACCEPT_PATCH, SDP_FRAGMENT.to_owned()),
    ];
    Ok((StatusCode::CREATED, headers, answer.sdp).into_response())
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
    let tag = if_match(&headers)?;
    if tag == "*" {
        // Costs as much as an offer.
        caller.limit(&app, Action::Connect)?;
    }
    let restarted = rtc(&app)?
        .patch(&caller.who, &id, &connection_id, tag, text(&body)?)
        .await?;
    let Some((fragment, etag)) = restarted else {
        return Ok(StatusCode::NO_CONTENT.into_response());
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

fn text(body: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(body)
        .map_err(|_| ApiError::new(ErrorCode::SdpInvalid, "The SDP is not UTF-8."))
}

fn require_type(headers: &HeaderMap, wanted: &str) -> Result<(), ApiError> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or("");
    if given.trim().eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::RequestInvalid,
        format!("Send the body with `Content-Type: {wanted}`."),
    )
    .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
}

/// `*`, or what stands between the quotes of one strong tag. A weak tag never matches (RFC 9110 13.1.1).
fn if_match(headers: &HeaderMap) -> Result<&str, ApiError> {
    let value = headers.get(header::IF_MATCH).ok_or_else(|| {
        ApiError::new(
            ErrorCode::PreconditionRequired,
            "Send `If-Match` with the ETag of the last answer, or `*` to restart ICE.",
        )
    })?;
    let value = value.to_str().unwrap_or("").trim();
    Ok(value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value))
}
