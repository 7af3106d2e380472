//! What signalling by HTTP has in common, whoever answers the offer: content types, preconditions, and the answer in the shape of RFC 9725.

use crate::error::ApiError;
use crate::rtc::IfMatch;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use karta_protocol::{API_BASE, ErrorCode};

pub const SDP: &str = "application/sdp";
pub const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";
pub const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// The answer to an offer. `path`: where its connection is from now on, below the API's; `etag`: of its ICE session, without quotes.
pub fn created(path: &str, etag: &str, sdp: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, SDP.to_owned()),
        (header::LOCATION, format!("{API_BASE}{path}")),
        (header::ETAG, format!("\"{etag}\"")),
        (ACCEPT_PATCH, SDP_FRAGMENT.to_owned()),
    ];
    (StatusCode::CREATED, headers, sdp).into_response()
}

pub fn text(body: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(body)
        .map_err(|_| ApiError::new(ErrorCode::SdpInvalid, "The SDP is not UTF-8."))
}

pub fn require_type(headers: &HeaderMap, wanted: &str) -> Result<(), ApiError> {
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

/// `*`, which RFC 9725 writes with and RFC 9110 without quotes; or strong tags. A weak one never matches (RFC 9110 13.1.1).
pub fn if_match(headers: &HeaderMap) -> Result<IfMatch, ApiError> {
    let mut given = headers.get_all(header::IF_MATCH).iter().peekable();
    if given.peek().is_none() {
        return Err(ApiError::new(
            ErrorCode::PreconditionRequired,
            "Send `If-Match` with the ETag of the last answer as it came, with its quotes; or `\"*\"` to restart ICE.",
        ));
    }
    let mut tags = Vec::new();
    for value in given {
        // Our tags are hexadecimal, so no comma is inside of one.
        for tag in value.to_str().unwrap_or("").split(',').map(str::trim) {
            let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            match (tag, inner) {
                ("*", _) | (_, Some("*")) => return Ok(IfMatch::Any),
                (_, Some(inner)) => tags.push(inner.to_owned()),
                (_, None) => {}
            }
        }
    }
    Ok(IfMatch::Tags(tags))
}
