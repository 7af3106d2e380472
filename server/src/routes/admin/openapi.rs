//! The admin calls of the OpenAPI document.

use super::{agents, conversations, knowledge, widget_keys, widget_settings};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

#[derive(OpenApi)]
#[openapi(
    paths(
        widget_keys::list,
        widget_keys::create,
        widget_keys::show,
        widget_keys::update,
        widget_keys::rotate,
        widget_keys::remove,
        widget_settings::show,
        widget_settings::replace,
        widget_settings::update,
        agents::list,
        agents::create,
        agents::show,
        agents::update,
        agents::remove,
        agents::policy,
        agents::update_policy,
        knowledge::list,
        knowledge::add,
        knowledge::show,
        knowledge::replace,
        knowledge::update,
        knowledge::remove,
        conversations::list,
        conversations::show,
        conversations::file,
    ),
    modifiers(&AdminToken),
)]
pub struct Document;

struct AdminToken;

impl utoipa::Modify for AdminToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The admin token, from servers only. Every admin call may answer 401 (admin_token_missing, admin_token_invalid), \
                 403 (admin_in_browser) and 429 (rate_limited) with an ErrorBody.",
            ));
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("admin", SecurityScheme::Http(token.build()));
    }
}
