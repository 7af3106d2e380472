//! The launcher bundle: resolves the look by the engine's configuration code and draws the button. Holds no state and listens to nothing.

use crate::browser::dom::{self, launcher};
use crate::browser::host::{get, get_text, languages, own_text};
use crate::engine::config::look::{Setting, look};
use wasm_bindgen::prelude::*;

/// `tag`: attributes by name. `inits`: arguments of the waiting `init` calls, the last first. `reply`: `{url, status, body}` of `GET /config`, if it
/// came in time. Answers the host element, or undefined where nothing is to be drawn.
#[wasm_bindgen]
pub fn karta_draw(tag: &JsValue, inits: &js_sys::Array, reply: &JsValue) -> JsValue {
    draw(tag, inits, reply).unwrap_or_default()
}

fn draw(tag: &JsValue, inits: &js_sys::Array, reply: &JsValue) -> Option<JsValue> {
    let status = get(reply, "status").and_then(|status| status.as_f64());
    let status = status.unwrap_or(0.0) as u32;
    let mut branding = JsValue::UNDEFINED;
    if status == 200 {
        let body = get(reply, "body")?;
        if !get(&get(&body, "features")?, "widget_enabled")?.is_truthy() {
            return None;
        }
        branding = get(&body, "branding")?;
    } else if (400..429).contains(&status) {
        // Refused for good (key, origin): no button that leads nowhere. The engine reports it.
        return None;
    }
    let values = |setting: Setting| {
        let mut all = Vec::new();
        for index in 0..inits.length() {
            let init = inits.get(index);
            let place = if setting.in_theme {
                get(&init, "theme")
            } else {
                Some(init)
            };
            all.extend(place.and_then(|place| own_text(&place, setting.init)));
        }
        let named = |object: &JsValue, before: &str, names: &[&str]| {
            names
                .iter()
                .find_map(|name| get_text(object, &[before, name].concat()))
        };
        all.extend(named(tag, "data-", setting.attributes));
        all.extend(named(&branding, "", setting.branding));
        all
    };
    let look = look(&values, &languages())?;
    let host = dom::mount();
    if host.is_falsy() {
        return None;
    }
    dom::theme(&look.theme());
    launcher::render(&look.launcher(), "");
    Some(host)
}
