//! What every request passes: id, log line, panic net, one shape for errors, the secret-key check and the bounds of a body.
//! No product decisions.

use crate::app::App;
use crate::auth::caller::{address, secret_key_in_browser};
use crate::auth::limit::{Action, Counted};
use crate::auth::secret::{contains_secret_key, looks_like_secret_key};
use crate::error::ApiError;
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http_body_util::BodyExt;
use karta_protocol::{ErrorBody, ErrorCode, ErrorDetail};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

pub mod admin;

/// Path of the call for owners' servers, as it is inside the nest.
const FOR_SERVERS: &str = "/auth/user-token";
/// Largest body of any public call: four times the longest message, and ten times the SDP offer of a browser.
pub const BODY_MAX_BYTES: usize = 64 * 1024;
/// How much of a body that is too large is read on, so that the caller gets to see the answer.
const DRAIN_MAX_BYTES: usize = 1024 * 1024;
/// For the whole body: 64 kB at modem speed.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// For a handler until its first byte; none takes a hundredth of it unless the database hangs.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(30);

/// For a handler that reads a file meanwhile; it gives up earlier itself (`routes/files.rs`).
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(150);

/// The header that names a request in every answer.
pub const REQUEST_ID: &str = "x-request-id";

/// Outermost: gives the request its id, catches what panics, writes the log line and the body of every error.
pub async fn finish(request: Request, next: Next) -> Response {
    let request_id = new_request_id();
    let started = Instant::now();
    let method = request.method().clone();
    // The pattern, not the path: paths hold ids, and queries may hold keys.
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("-", MatchedPath::as_str);

    let response = catch_panic(request, next).await;
    let mut response = write_error(response, &request_id, path);
    let status = response.status().as_u16();
    crate::metrics::answered(status);
    let millis = started.elapsed().as_millis() as u64;
    tracing::info!(%method, path, status, millis, request_id, "request");
    // Letters, digits and an underscore.
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The id and the body of the answer to what could not be read as a request (`listen/refusal.rs`), logged like any other.
pub fn refuse_unread(status: StatusCode) -> (String, String) {
    let request_id = new_request_id();
    tracing::info!(
        method = "-",
        path = "-",
        status = status.as_u16(),
        request_id,
        "request"
    );
    let message = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "The request has more than 64 kB of headers, or more than 100 of them. Send fewer."
        }
        StatusCode::URI_TOO_LONG => "The address of the request is too long.",
        _ => "This is not a request that HTTP/1.1 knows. Look at its first line and its headers.",
    };
    let code = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => {
            ErrorCode::PayloadTooLarge
        }
        _ => ErrorCode::RequestInvalid,
    };
    let body = error_body(ApiError::new(code, message), &request_id);
    (request_id, body)
}

fn new_request_id() -> String {
    format!("r_{}", uuid::Uuid::new_v4().simple())
}

/// A bug in one request costs that request only. Also inside CORS, so that the page can read the answer.
pub async fn catch_panic(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("something that is not text");
            ApiError::internal(format!("panic: {text}")).into_response()
        }
    }
}

/// Before every public call: the address's limit, no secret key anywhere, and a whole body of bounded size in bounded time.
pub async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let who = Counted {
        address: Some(address(&app, &parts)),
        ..Counted::default()
    };
    if let Err(error) = app.limits.check(Action::Request, who) {
        return error.into_response();
    }
    // The one call that takes a secret key, and therefore none of a browser's.
    let for_servers = parts.uri.path() == FOR_SERVERS;
    if for_servers && from_browser(&parts.headers) {
        tracing::warn!(
            "a browser asked for a user token; the page's developer should move the call to a server"
        );
        return secret_key_in_browser().into_response();
    }
    if is_upload(&parts) {
        // The handler reads the body as it arrives. What is in a visitor's file is the visitor's.
        if holds_secret_key(&parts.uri, &parts.headers, b"", false) {
            return secret_key_in_browser().into_response();
        }
        return finished(Request::from_parts(parts, body), next, UPLOAD_TIMEOUT).await;
    }
    let body = match read_body(&parts.headers, body, BODY_MAX_BYTES, BODY_TIMEOUT).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    if holds_secret_key(&parts.uri, &parts.headers, &body, for_servers) {
        tracing::warn!("a secret key was sent from a browser; the owner should replace it");
        return secret_key_in_browser().into_response();
    }
    let request = Request::from_parts(parts, Body::from(body));
    finished(request, next, HANDLER_TIMEOUT).await
}

/// The one public call whose body is larger than a message.
fn is_upload(parts: &Parts) -> bool {
    let mut path = parts.uri.path().split('/');
    parts.method == Method::POST
        && path.next() == Some("")
        && path.next() == Some("sessions")
        && path.next().is_some()
        && path.next() == Some("files")
        && path.next().is_none()
}

/// The answer of the handler, in bounded time, for nobody's cache.
async fn finished(request: Request, next: Next, time: Duration) -> Response {
    let mut response = match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError {
            detail: Some("a handler took too long".to_owned()),
            ..ApiError::new(ErrorCode::Overloaded, "The server is too busy. Try again.")
        }
        .retry_after(5)
        .into_response(),
    };
    let headers = response.headers_mut();
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

async fn read_body(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    time: Duration,
) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(time, collect(headers, body, max)).await {
        Ok(read) => read,
        Err(_) => Err(ApiError::new(
            ErrorCode::RequestInvalid,
            "The body did not arrive in time. Send it again.",
        )
        .with_status(StatusCode::REQUEST_TIMEOUT)),
    }
}

async fn collect(headers: &HeaderMap, mut body: Body, max: usize) -> Result<Bytes, ApiError> {
    let drain_max = max.max(DRAIN_MAX_BYTES);
    let too_large = || {
        ApiError::new(
            ErrorCode::PayloadTooLarge,
            format!("The body is larger than {} kB. Send less.", max / 1024),
        )
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > drain_max as u64) {
        return Err(too_large());
    }
    let (mut kept, mut seen) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            ApiError::new(
                ErrorCode::RequestInvalid,
                "The body broke off or is not valid HTTP.",
            )
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen += data.len();
        if seen > drain_max {
            return Err(too_large());
        }
        if seen <= max {
            kept.extend_from_slice(&data);
        }
    }
    if seen > max {
        return Err(too_large());
    }
    Ok(kept.into())
}

/// What browsers send with every call of a script, and no server does. `Sec-Fetch-Mode: cors` alone is Node's `fetch`.
fn from_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN)
        || headers.iter().any(|(name, value)| {
            let name = name.as_str();
            name.starts_with("sec-fetch-") && !(name == "sec-fetch-mode" && value == "cors")
        })
}

/// `authorized`: the header `Authorization` may hold one.
fn holds_secret_key(uri: &Uri, headers: &HeaderMap, body: &[u8], authorized: bool) -> bool {
    let query = uri.query().unwrap_or("");
    let in_query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .any(|(_, value)| looks_like_secret_key(value));
    let in_authorization = headers.get_all(header::AUTHORIZATION).iter().any(|value| {
        let value = value.as_bytes().trim_ascii();
        value
            .split(|b| *b == b' ')
            .any(|word| std::str::from_utf8(word).is_ok_and(looks_like_secret_key))
    });
    in_query
        || (in_authorization && !authorized)
        || contains_secret_key(uri.path().as_bytes())
        || headers
            .iter()
            .filter(|(name, _)| !(authorized && *name == header::AUTHORIZATION))
            .any(|(_, value)| contains_secret_key(value.as_bytes()))
        || contains_secret_key(body)
}

/// Gives every answer that is not a success the one documented body.
fn write_error(mut response: Response, request_id: &str, path: &str) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let error = response
        .extensions_mut()
        .remove::<ApiError>()
        .unwrap_or_else(|| foreign(status));
    if let Some(detail) = &error.detail {
        tracing::error!(request_id, path, detail, "request failed");
    }
    let body = error_body(error, request_id);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = Body::from(body);
    response
}

/// The one documented body.
fn error_body(error: ApiError, request_id: &str) -> String {
    let body = ErrorBody {
        error: ErrorDetail {
            code: error.code.as_str().to_owned(),
            message: error.message,
            request_id: request_id.to_owned(),
            retry_after_seconds: error.retry_after_seconds,
        },
    };
    // Plain strings: cannot fail.
    serde_json::to_string(&body).unwrap_or_default()
}

/// What the framework refused by itself.
fn foreign(status: StatusCode) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::new(
            ErrorCode::NotFound,
            "There is nothing at this path. /openapi.json lists what there is.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::new(
            ErrorCode::MethodNotAllowed,
            "This path does not take this method; see the Allow header.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(
            ErrorCode::PayloadTooLarge,
            "The body is too large. Send less.",
        ),
        status if status.is_client_error() => ApiError::new(
            ErrorCode::RequestInvalid,
            "The request is not what this call takes. /openapi.json describes it.",
        )
        .with_status(status),
        status => ApiError::internal(format!("a response with status {status} and no error")),
    }
}
