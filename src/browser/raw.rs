//! Arguments of a page's call → [`Raw`]. Everything a page hands over is hostile until read: getters throw, Proxies lie, objects are
//! cyclic, texts have megabytes. Reads own enumerable string keys only, of the engine's list and within its bounds; never throws, never
//! keeps a page object other than a function.

use super::host::{get, own_property};
use crate::engine::command::CallbackId;
use crate::engine::config::{Layer, Settings, Source};
use crate::engine::dialect::Raw;
use crate::engine::dialect::karta::{FORBIDDEN, FREE_FORM, is_readable};
use crate::engine::limits::{RAW_DEPTH, RAW_ENTRIES, RAW_KEYS, RAW_TEXT_BYTES};
use js_sys::{JsString, Reflect};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    // js_sys has it without `catch`, and it throws on a revoked Proxy.
    #[wasm_bindgen(catch, js_namespace = Array, js_name = isArray)]
    fn is_array(value: &JsValue) -> Result<bool, JsValue>;
}

/// Turns a function of the page into its id.
pub type Intern<'a> = &'a mut dyn FnMut(&JsValue) -> CallbackId;

/// The settings of the script tag, given as its attributes by name.
pub fn tag(object: &JsValue) -> Layer {
    Layer::read(Source::Attributes, &Ours(object))
}

/// The settings of the server's answer to `GET /config`. None: it is no such answer.
pub fn config(object: &JsValue) -> Option<Layer> {
    get(object, "agent").filter(JsValue::is_object)?;
    Some(Layer::read(Source::Server, &Ours(object)))
}

/// An object of our own: attributes by their full name, or an answer in parts.
struct Ours<'a>(&'a JsValue);

impl Settings for Ours<'_> {
    fn get(&self, part: &str, name: &str, take: &mut dyn FnMut(&Raw)) {
        let place = match part {
            "" => Some(self.0.clone()),
            part => get(self.0, part),
        };
        let value = place.and_then(|place| get(&place, name));
        take(&read(&value.unwrap_or_default(), &mut |_| CallbackId(0)));
    }
}

/// What an engine sent: all of it, within the same bounds.
pub fn tree(object: &JsValue) -> Raw {
    read_at(object, RAW_DEPTH, true, &mut |_| CallbackId(0))
}

/// Reads one value.
pub fn read(value: &JsValue, intern: Intern<'_>) -> Raw {
    read_at(value, RAW_DEPTH, false, intern)
}

fn read_at(value: &JsValue, depth: usize, free: bool, intern: Intern<'_>) -> Raw {
    if value.is_undefined() {
        Raw::Undefined
    } else if value.is_null() {
        Raw::Null
    } else if let Some(truth) = value.as_bool() {
        Raw::Bool(truth)
    } else if value.is_string() {
        // Measured before it is copied: a text of many megabytes stays where it is.
        if value.unchecked_ref::<JsString>().length() as usize > RAW_TEXT_BYTES {
            return Raw::Unreadable("a text that is too long");
        }
        value
            .as_string()
            .map_or(Raw::Unreadable("a text"), Raw::Text)
    } else if value.is_function() {
        Raw::Function(intern(value))
    } else if let Some(number) = value.as_f64() {
        Raw::Number(number)
    } else if !value.is_object() {
        Raw::Unreadable("a symbol or a BigInt")
    } else if depth == 0 {
        Raw::Unreadable("an object that is nested too deeply")
    } else {
        read_object(value, depth - 1, free, intern)
            .unwrap_or(Raw::Unreadable("an object that throws when it is read"))
    }
}

/// None: something threw.
fn read_object(object: &JsValue, depth: usize, free: bool, intern: Intern<'_>) -> Option<Raw> {
    let list = is_array(object).ok()?;
    let keys = Reflect::own_keys(object).ok()?;
    let all = free || list;
    let mut entries = Vec::new();
    for index in 0..keys.length().min(if all { RAW_ENTRIES } else { RAW_KEYS }) {
        let Some(name) = keys.get(index).as_string() else {
            continue;
        };
        let free_form = FREE_FORM.contains(&name.as_str());
        if FORBIDDEN.contains(&name.as_str()) || !all && !free_form && !is_readable(&name) {
            continue;
        }
        let property = own_property(object, &name).ok()?;
        if get(&property, "enumerable").is_some_and(|value| value.is_truthy()) {
            let raw = match get(object, &name) {
                Some(value) => read_at(&value, depth, free || free_form, intern),
                None => Raw::Unreadable("a value that throws when it is read"),
            };
            entries.push((name, raw));
        }
    }
    Some(if list {
        Raw::List(entries.into_iter().map(|(_, item)| item).collect())
    } else {
        Raw::Object(entries)
    })
}
