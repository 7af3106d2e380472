//! `GET /openapi.json`. A test holds it equal to `router.rs`.

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Karta",
        description = "The public calls of the Karta widget, and the admin API for its owner's servers. docs/PROTOCOL.md and docs/OPERATING.md tell the story, docs/ERRORS.md every code.",
    ),
    paths(
        super::config::show,
        super::auth::guest,
        super::auth::refresh,
        super::auth::revoke,
        super::identity::user_token,
        super::identity::exchange,
        super::me::forget,
        super::sessions::list,
        super::sessions::create,
        super::sessions::show,
        super::sessions::submit,
        super::stream::open,
        super::files::add,
        super::files::show,
        super::call::open,
        super::call::patch,
        super::call::close,
        super::connect::open,
        super::connect::show,
        super::connect::patch,
        super::connect::close,
        super::widget::loader,
        super::widget::loader_v1,
        super::widget::loader_embed,
        super::widget::headless,
        super::widget::asset,
        super::health::alive,
        super::health::ready,
        self::show,
    ),
    modifiers(&SessionToken),
)]
pub struct Document;

struct SessionToken;

impl utoipa::Modify for SessionToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The session token of /auth/guest or /auth/exchange."));
        let secret = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The secret key, sk_live_…; from a server only."));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("session", SecurityScheme::Http(token.build()));
        components.add_security_scheme("secret_key", SecurityScheme::Http(secret.build()));
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "OpenAPI 3.1")))]
pub async fn show() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi().merge_from(super::admin::openapi::Document::openapi()))
}
