//! What every admin call passes. It differs from the public border: no browser may call, and documents are larger than messages.

use super::{BODY_TIMEOUT, HANDLER_TIMEOUT, finished, from_browser, read_body};
use crate::app::App;
use crate::auth::admin;
use crate::auth::caller::address;
use crate::auth::limit::{Action, Counted};
use crate::error::ApiError;
use crate::extract::FILE_MAX_BYTES;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use karta_protocol::ErrorCode;
use std::time::Duration;

/// The longest instruction, in the longest script, with every character escaped.
const BODY_MAX_BYTES: usize = 256 * 1024;
/// A file and the parts around it.
const FORM_MAX_BYTES: usize = FILE_MAX_BYTES + 64 * 1024;
/// For a whole form: the largest file at 200 kB/s.
const FORM_TIMEOUT: Duration = Duration::from_secs(120);

/// Before every admin call: the address's limit, no browser, the admin token, and only then a body of bounded size in bounded time.
pub async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let address = address(&app, &parts);
    let who = Counted {
        address: Some(address),
        ..Counted::default()
    };
    if let Err(error) = app.limits.check(Action::Request, who) {
        return error.into_response();
    }
    // A page that holds the admin token has given it away; and a page that has tricked its visitor's browser must get nowhere.
    if from_browser(&parts.headers) {
        return ApiError::new(
            ErrorCode::AdminInBrowser,
            "The admin API is for your own servers; this call came from a browser. Never put the admin token into a page: everyone can read it there.",
        )
        .into_response();
    }
    if let Err(error) = admin::check(&app, address, &parts.headers).await {
        return error.into_response();
    }
    let (max, time) = if is_form(&parts.headers) {
        (FORM_MAX_BYTES, FORM_TIMEOUT)
    } else {
        (BODY_MAX_BYTES, BODY_TIMEOUT)
    };
    let body = match read_body(&parts.headers, body, max, time).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let request = Request::from_parts(parts, Body::from(body));
    finished(request, next, HANDLER_TIMEOUT).await
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"multipart/form-data"))
}
