//! The launcher bundle: resolves the look by the engine's configuration code and draws the button. Listens to nothing; what it holds is
//! forgotten with the next host.

use crate::browser::dom::{self, launcher};
use crate::browser::host::{get, languages, own_property};
use crate::engine::config::{Config, Field, Layer, Settings, Source};
use crate::engine::raw::Raw;
use wasm_bindgen::prelude::*;

/// `tag`: attributes by name. `inits`: arguments of the waiting `init` calls. `reply`: `{url, status, body}` of `GET /config`, if it
/// came in time. Answers the host element, or undefined where nothing is to be drawn.
#[wasm_bindgen]
pub fn karta_draw(tag: &JsValue, inits: &js_sys::Array, reply: &JsValue) -> JsValue {
    draw(tag, inits, reply).unwrap_or_default()
}

/// A host with the button in it, on screen, without a look: for the panel bundle, which has neither the template nor the style of its own.
/// Undefined where the page forbids shadow roots.
#[wasm_bindgen]
pub fn karta_host() -> JsValue {
    dom::mount()
}

/// Settings in an object. What is no text or truth counts as absent: the engine says so when it arrives.
struct Object<'a> {
    object: &'a JsValue,
    /// How an entry is read.
    get: fn(&JsValue, &str) -> Option<JsValue>,
}

impl Settings for Object<'_> {
    fn get(&self, part: &str, name: &str, take: &mut dyn FnMut(&Raw)) {
        let place = match part {
            "" => Some(self.object.clone()),
            part => (self.get)(self.object, part),
        };
        let value = place.and_then(|place| (self.get)(&place, name));
        let value = value.unwrap_or_default();
        take(&match value.as_string() {
            Some(text) => Raw::Text(text),
            None if value.is_truthy() => Raw::Bool(true),
            None => Raw::Undefined,
        });
    }
}

/// Of a page's own object: no getter of it runs for a look.
fn own(object: &JsValue, key: &str) -> Option<JsValue> {
    get(&own_property(object, key).ok()?, "value")
}

fn draw(tag: &JsValue, inits: &js_sys::Array, reply: &JsValue) -> Option<JsValue> {
    let status = get(reply, "status").and_then(|status| status.as_f64());
    let status = status.unwrap_or(0.0) as u32;
    let mut layer = Layer::default();
    if status == 200 {
        let object = &get(reply, "body")?;
        layer.look(Source::Server, &Object { object, get });
        layer.get(Field::WidgetEnabled)?;
    } else if (400..429).contains(&status) {
        // Refused for good (key, origin): no button that leads nowhere. The engine reports it.
        return None;
    }
    layer.look(Source::Attributes, &Object { object: tag, get });
    for index in 0..inits.length() {
        let object = &inits.get(index);
        layer.look(Source::Init, &Object { object, get: own });
    }
    if layer.secret_key {
        return None;
    }
    let config = Config::fold(&[layer], "", &languages());
    config.key()?;
    let host = dom::mount();
    if host.is_falsy() {
        return None;
    }
    dom::theme(&config.theme());
    launcher::render(&config.launcher(0, false), "");
    Some(host)
}
