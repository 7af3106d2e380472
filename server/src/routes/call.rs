//! Calls that a realtime engine answers, in the shape of `connect`: POST an offer, PATCH candidates, DELETE. The answer is the engine's,
//! and so is the other end of the connection.

use super::signal::{SDP, SDP_FRAGMENT, created, if_match, require_type, text};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::auth::guarded::Guarded;
use crate::auth::limit::Action;
use crate::calls::{Calls, NewCall};
use crate::error::ApiError;
use crate::routes::request::{Id, Params};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use karta_protocol::ErrorBody;
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Spoken {
    /// What the page speaks, as BCP 47 has it: `de`, `pt-BR`. The engine is told.
    language: Option<String>,
}

/// Hands an offer to the agent's realtime engine. It carries a `sendrecv` audio section and a data channel with the label that the engine
/// wants (`chat` for `pipecat`, `oai-events` for `openai`; `features.realtime` of `/config` says which).
#[utoipa::path(
    post, path = "/api/v1/widget/sessions/{id}/call", params(("id" = String, Path), Spoken), tag = "sessions", security(("session" = [])),
    request_body(content = String, content_type = "application/sdp"),
    responses(
        (status = 201, content_type = "application/sdp", body = String, description = "the engine's answer",
         headers(("location" = String, description = "path of the call"), ("etag" = String, description = "names its ICE session"))),
        (status = 400, body = ErrorBody, description = "sdp_invalid"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed, widget_disabled_for_agent, guest_not_allowed, user_not_allowed"),
        (status = 404, body = ErrorBody, description = "session_not_found"),
        (status = 409, body = ErrorBody, description = "voice_unavailable: this agent's calls are not handed over, or its engine is not configured"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "request_invalid"),
        (status = 429, body = ErrorBody, description = "rate_limited, limit_reached"),
        (status = 502, body = ErrorBody, description = "voice_unavailable: the engine failed"),
        (status = 503, body = ErrorBody, description = "overloaded: as many calls as this server or the engine can take"),
    )
)]
pub async fn open(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Params(spoken): Params<Spoken>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    require_type(&headers, SDP)?;
    let language = language(spoken.language);
    let offer = text(&body)?.to_owned();
    let who = caller.who.clone();
    let address = caller.address_mark(&app);
    let permit = Guarded::new(app.clone(), caller).permit_call().await?;
    let call_id = Calls::new_id();
    let handover = app.sessions.hand_over(&who, &id, &call_id, Some(&address));
    let handover = handover.await?;
    let agent = app.store.agent(&who.agent_id).await?.unwrap_or_default();
    let (line, place) = app.voices.admit_handed(&agent.voice)?;
    let new = NewCall {
        who,
        permit,
        handover,
        line,
        place,
        agent,
        language,
        offer,
    };
    let answer = app.calls.begin(new).await?;
    let path = format!("/sessions/{id}/call/{}", answer.call_id);
    Ok(created(&path, &answer.etag, answer.sdp))
}

/// Takes trickled candidates. A restart of ICE there is none: a new call takes the place of the old.
#[utoipa::path(
    patch, path = "/api/v1/widget/sessions/{id}/call/{call_id}", tag = "sessions", security(("session" = [])),
    params(("id" = String, Path), ("call_id" = String, Path), ("if-match" = String, Header, description = "the ETag")),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"),
    responses(
        (status = 204, description = "taken"),
        (status = 400, body = ErrorBody, description = "sdp_invalid"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed"),
        (status = 404, body = ErrorBody, description = "connection_not_found"),
        (status = 412, body = ErrorBody, description = "precondition_failed"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "request_invalid"),
        (status = 422, body = ErrorBody, description = "request_invalid: ICE is not restarted"),
        (status = 428, body = ErrorBody, description = "precondition_required"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
        (status = 502, body = ErrorBody, description = "voice_unavailable: the engine failed"),
        (status = 503, body = ErrorBody, description = "overloaded"),
    )
)]
pub async fn patch(
    State(app): State<App>,
    caller: Caller,
    Id((id, call_id)): Id<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    require_type(&headers, SDP_FRAGMENT)?;
    let wanted = if_match(&headers)?;
    // Each costs a request to the engine.
    caller.limit(&app, Action::Connect)?;
    let (calls, who) = (&app.calls, &caller.who);
    calls
        .trickle(who, &id, &call_id, &wanted, text(&body)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a call; the session stays. A page sends this when it is left, with `keepalive`.
#[utoipa::path(
    delete, path = "/api/v1/widget/sessions/{id}/call/{call_id}", tag = "sessions", security(("session" = [])),
    params(("id" = String, Path), ("call_id" = String, Path)),
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
    Id((id, call_id)): Id<(String, String)>,
) -> StatusCode {
    app.calls.end(&caller.who, &id, &call_id);
    StatusCode::OK
}

/// It goes to an engine, so it is a language and nothing else. One that is none is not worth a call.
fn language(asked: Option<String>) -> Option<String> {
    asked.filter(|tag| {
        let mut parts = tag.split('-');
        let first = parts.next().unwrap_or_default();
        tag.len() <= 35
            && (2..=3).contains(&first.len())
            && first.bytes().all(|b| b.is_ascii_alphabetic())
            && parts.all(|part| {
                (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
            })
    })
}
