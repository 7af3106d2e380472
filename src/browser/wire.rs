//! JSON to wire types and back: the page's own parser, then serde-wasm-bindgen. A text parser in wasm would be 20 kB more.

use js_sys::JSON;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;

/// None: not JSON, or not of this shape.
pub fn parse<T: DeserializeOwned>(text: &str) -> Option<T> {
    read(JSON::parse(text).ok()?)
}

pub fn read<T: DeserializeOwned>(value: JsValue) -> Option<T> {
    serde_wasm_bindgen::from_value(value).ok()
}

pub fn write<T: Serialize>(value: &T) -> String {
    value
        .serialize(&serde_wasm_bindgen::Serializer::new())
        .ok()
        .and_then(|object| JSON::stringify(&object).ok())
        .map(String::from)
        .unwrap_or_default()
}
