//! Every path of the HTTP surface, on one screen.

use crate::app::App;
use crate::border;
use crate::error::ApiError;
use crate::routes::{
    admin, auth, call, config, connect, files, health, identity, me, openapi, sessions, stream,
    widget,
};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, patch, post};
use karta_protocol::{API_BASE, ErrorCode};
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Path under which the admin API lives.
const ADMIN_BASE: &str = "/api/v1";

#[rustfmt::skip]
pub fn build(app: App) -> Router {
    let public = Router::new()
        .route("/config",                      get(config::show))
        .route("/auth/guest",                  post(auth::guest))
        .route("/auth/user-token",             post(identity::user_token))
        .route("/auth/exchange",               post(identity::exchange))
        .route("/auth/refresh",                post(auth::refresh))
        .route("/auth/revoke",                 post(auth::revoke))
        .route("/sessions",                    get(sessions::list).post(sessions::create))
        .route("/sessions/{id}",               get(sessions::show))
        .route("/sessions/{id}/events",        post(sessions::submit))
        .route("/sessions/{id}/events/stream", get(stream::open))
        // Read as it arrives, with bounds of its own.
        .route("/sessions/{id}/files",         post(files::add).layer(DefaultBodyLimit::disable()))
        .route("/sessions/{id}/files/{file_id}", get(files::show))
        .route("/sessions/{id}/connect",       post(connect::open))
        .route("/sessions/{id}/connect/{connection_id}", get(connect::show).patch(connect::patch).delete(connect::close))
        .route("/sessions/{id}/call",          post(call::open))
        .route("/sessions/{id}/call/{call_id}", patch(call::patch).delete(call::close))
        .route("/me",                          delete(me::forget))
        .fallback(unknown_path)
        .layer(from_fn_with_state(app.clone(), border::guard))
        .layer(from_fn(border::catch_panic))
        .layer(cors())
        .layer(from_fn(connect::announce));

    Router::new()
        .nest(API_BASE, public)
        .nest(ADMIN_BASE, admin(&app))
        .route("/widget/v1/karta.js",          get(widget::loader))
        .route("/widget/v1/headless.js",       get(widget::headless))
        .route("/v1.js",                       get(widget::loader))
        .route("/embed.js",                    get(widget::loader))
        .route("/widget/v1/assets/{file}",     get(widget::asset))
        .route("/openapi.json",                get(openapi::show))
        .route("/healthz",                     get(health::alive))
        .route("/readyz",                      get(health::ready))
        .fallback(unknown_path)
        .layer(from_fn(border::finish))
        .with_state(app)
}

/// For the owner's own servers: no CORS, so that no browser gets an answer.
#[rustfmt::skip]
fn admin(app: &App) -> Router<App> {
    use admin::{agents, conversations, knowledge, widget_keys, widget_settings};
    Router::new()
        .route("/widget-keys",                 get(widget_keys::list).post(widget_keys::create))
        .route("/widget-keys/{id}",            get(widget_keys::show).patch(widget_keys::update).delete(widget_keys::remove))
        .route("/widget-keys/{id}/rotate",     post(widget_keys::rotate))
        .route("/widget-settings",             get(widget_settings::show).put(widget_settings::replace).patch(widget_settings::update))
        .route("/agents",                      get(agents::list).post(agents::create))
        .route("/agents/{id}",                 get(agents::show).patch(agents::update).delete(agents::remove))
        .route("/agents/{id}/widget-settings", get(agents::policy).patch(agents::update_policy))
        .route("/knowledge",                   get(knowledge::list).post(knowledge::add))
        .route("/knowledge/{id}",              get(knowledge::show).put(knowledge::replace).patch(knowledge::update).delete(knowledge::remove))
        .route("/conversations",               get(conversations::list))
        .route("/conversations/{id}",          get(conversations::show))
        .route("/conversations/{id}/files/{file_id}", get(conversations::file))
        // The border reads the body, whole and bounded.
        .layer(DefaultBodyLimit::disable())
        .route_layer(from_fn_with_state(app.clone(), border::admin::guard))
}

async fn unknown_path() -> ApiError {
    ApiError::new(
        ErrorCode::NotFound,
        "There is nothing at this path. /openapi.json lists what there is.",
    )
}

/// Permissive by design: there are no cookies, so the page's origin carries no authority that CORS could protect. Which pages may
/// use a key is decided by the origin rule (`auth/origin.rs`), on every call.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            header::CACHE_CONTROL,
            header::IF_MATCH,
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([
            header::LOCATION,
            header::ETAG,
            header::LINK,
            header::RETRY_AFTER,
            HeaderName::from_static("x-request-id"),
        ])
        // Browsers cap it themselves (Chromium 2 h, Firefox 24 h).
        .max_age(Duration::from_secs(24 * 60 * 60))
}
