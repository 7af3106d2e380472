//! `GET /sessions/{id}/events/stream`: the log as server-sent events, from the cursor on and then live.
//!
//! The stream ends when the reader falls behind, when the token's family is over, and when the server stops; the widget then opens it
//! again from its cursor. It also ends, with an `error` event that says why, when it is no longer allowed or the session is gone.

use crate::app::App;
use crate::auth::caller::Caller;
use crate::auth::guarded::Guarded;
use crate::error::ApiError;
use crate::routes::request::{Id, Params};
use crate::routes::sessions::After;
use crate::rtc::Conversation;
use crate::session::Frame;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use karta_protocol::{ErrorBody, SessionEvent};
use std::convert::Infallible;
use std::time::Duration;

/// Below the shortest idle timeout of common proxies (30 s), twice over.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Events of the session as they happen, after those that the caller has missed.
#[utoipa::path(
    get, path = "/api/v1/widget/sessions/{id}/events/stream",
    params(("id" = String, Path), After, ("last-event-id" = Option<u64>, Header, description = "The cursor, from a client that reconnects; wins over `after`.")),
    tag = "sessions", security(("session" = [])),
    responses(
        (status = 200, content_type = "text/event-stream", body = SessionEvent, description = "`id:` is the seq of a durable event"),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed, widget_disabled_for_agent, guest_not_allowed, user_not_allowed"),
        (status = 404, body = ErrorBody, description = "session_not_found"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn open(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Params(after): Params<After>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = match last_event_id(&headers) {
        Some(after) => After { after },
        None => after,
    };
    let who = caller.who.clone();
    let frames = Guarded::new(app, caller)
        .subscribe(&who, &id, after.cursor()?)
        .await?
        .map(|frame| Ok::<_, Infallible>(event(&frame)));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = Sse::new(frames).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-transform"),
    );
    // nginx would collect the stream in a buffer.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn event(frame: &Frame) -> Event {
    // JSON has no line breaks of its own, which `data` would panic on only for carriage returns; serde escapes both.
    let event = Event::default().data(&frame.json);
    match frame.seq {
        Some(seq) => event.id(seq.to_string()),
        None => event,
    }
}

fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers
        .get("last-event-id")?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}
