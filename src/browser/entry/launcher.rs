//! The launcher bundle: resolves the look by the engine's configuration code and draws the button. Holds no state and listens to nothing.

use crate::browser::dom::{Host, launcher::Launcher};
use crate::browser::host::{self, get, get_text};
use crate::engine::command::CallbackId;
use crate::engine::config::resolve;
use crate::engine::dialect::{attributes, karta};
use crate::engine::error::Silent;
use js_sys::Array;
use karta_protocol::{Branding, Features, LauncherPosition, WidgetConfig};
use wasm_bindgen::prelude::*;

/// `tag`: attributes by name. `inits`: the arguments of waiting `init` calls. `reply`: `{url, status, body}` of `GET /config`, if it came in time.
#[wasm_bindgen]
pub fn karta_draw(tag: &JsValue, inits: &Array, reply: &JsValue, origin: &str) -> JsValue {
    let status = get(reply, "status")
        .and_then(|status| status.as_f64())
        .unwrap_or(0.0);
    // Refused for good (key, origin): no button that leads nowhere. The engine reports it.
    if (400.0..429.0).contains(&status) {
        return JsValue::UNDEFINED;
    }
    let server = (status == 200.0).then(|| get(reply, "body")).flatten();
    let inits = inits
        .iter()
        .filter_map(|init| {
            karta::layer(
                "init",
                &host::read(&init, &mut |_| CallbackId(0)),
                &mut Silent,
            )
        })
        .collect();
    let config = resolve::launcher(
        attributes::read(&|name| get_text(tag, name)),
        inits,
        server.as_ref().map(server_config).as_ref(),
        origin,
        &host::languages(),
    );
    let Some(config) = config else {
        return JsValue::UNDEFINED;
    };
    let Some(host) = Host::create() else {
        return JsValue::UNDEFINED;
    };
    host.theme(&config.theme());
    Launcher::of(&host).render(&config.launcher(0, false), "");
    host.element.into()
}

/// The few fields that the button needs, read by hand: serde would triple this bundle.
fn server_config(body: &JsValue) -> WidgetConfig {
    let branding = get(body, "branding").unwrap_or_default();
    let features = get(body, "features").unwrap_or_default();
    WidgetConfig {
        branding: Branding {
            primary_color: get_text(&branding, "primary_color"),
            accent_color: get_text(&branding, "accent_color"),
            logo_url: get_text(&branding, "logo_url"),
            launcher_position: match get_text(&branding, "launcher_position").as_deref() {
                Some("br") => Some(LauncherPosition::Br),
                Some("bl") => Some(LauncherPosition::Bl),
                Some("tr") => Some(LauncherPosition::Tr),
                Some("tl") => Some(LauncherPosition::Tl),
                _ => None,
            },
            launcher_label: get_text(&branding, "launcher_label"),
            ..Branding::default()
        },
        features: Features {
            widget_enabled: get(&features, "widget_enabled").is_some_and(|on| on.is_truthy()),
            ..Features::default()
        },
        ..WidgetConfig::default()
    }
}
