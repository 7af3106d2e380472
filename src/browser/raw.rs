//! Arguments of a page's call → [`Raw`]. Everything a page hands over is hostile until read: getters throw, Proxies lie, objects are
//! cyclic, texts have megabytes. Reads own enumerable string keys only, of the engine's list and within its bounds; never throws, never
//! keeps a page object other than a function.

use super::host::get;
use crate::engine::command::CallbackId;
use crate::engine::dialect::Raw;
use crate::engine::dialect::karta::{FORBIDDEN, FREE_FORM, READABLE};
use crate::engine::limits::{RAW_DEPTH, RAW_ENTRIES, RAW_TEXT_BYTES};
use js_sys::{JsString, Reflect};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    // js_sys has it without `catch`, and it throws on a revoked Proxy.
    #[wasm_bindgen(catch, js_namespace = Array, js_name = isArray)]
    fn is_array(value: &JsValue) -> Result<bool, JsValue>;
    #[wasm_bindgen(catch, js_namespace = Object, js_name = getOwnPropertyDescriptor)]
    fn own_property(object: &JsValue, key: &JsValue) -> Result<JsValue, JsValue>;
}

/// Turns a function of the page into its id.
pub type Intern<'a> = &'a mut dyn FnMut(&JsValue) -> CallbackId;

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
    } else if value.is_symbol() {
        Raw::Unreadable("a symbol")
    } else if value.is_bigint() {
        Raw::Unreadable("a BigInt")
    } else if depth == 0 {
        Raw::Unreadable("an object that is nested too deeply")
    } else {
        read_object(value, depth - 1, free, intern)
            .unwrap_or(Raw::Unreadable("an object that throws when it is read"))
    }
}

/// None: something threw, or the object is no object.
fn read_object(object: &JsValue, depth: usize, free: bool, intern: Intern<'_>) -> Option<Raw> {
    if is_array(object).ok()? {
        let length = get(object, "length")?.as_f64()? as usize;
        let list = (0..length.min(RAW_ENTRIES)).map(|index| {
            match Reflect::get_u32(object, index as u32) {
                Ok(item) => read_at(&item, depth, free, intern),
                Err(_) => Raw::Unreadable("a value that throws when it is read"),
            }
        });
        return Some(Raw::List(list.collect()));
    }
    let mut entries = Vec::new();
    if free {
        for key in Reflect::own_keys(object).ok()?.iter().take(RAW_ENTRIES) {
            if let Some(name) = key.as_string()
                && !FORBIDDEN.contains(&name.as_str())
            {
                read_entry(object, name, &key, depth, true, intern, &mut entries)?;
            }
        }
    } else {
        for name in READABLE {
            let free = FREE_FORM.contains(&name);
            read_entry(
                object,
                String::from(name),
                &JsValue::from_str(name),
                depth,
                free,
                intern,
                &mut entries,
            )?;
        }
    }
    Some(Raw::Object(entries))
}

fn read_entry(
    object: &JsValue,
    name: String,
    key: &JsValue,
    depth: usize,
    free: bool,
    intern: Intern<'_>,
    entries: &mut Vec<(String, Raw)>,
) -> Option<()> {
    let property = own_property(object, key).ok()?;
    if !property.is_undefined() && get(&property, "enumerable")?.is_truthy() {
        let raw = match Reflect::get(object, key) {
            Ok(value) => read_at(&value, depth, free, intern),
            Err(_) => Raw::Unreadable("a value that throws when it is read"),
        };
        entries.push((name, raw));
    }
    Some(())
}
