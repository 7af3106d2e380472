//! Reading and writing properties of JavaScript objects, where every access may throw.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    // One import for object and key; js_sys wants the key as a value first.
    #[wasm_bindgen(catch, js_namespace = Reflect, js_name = get)]
    fn property(object: &JsValue, key: &str) -> Result<JsValue, JsValue>;
    #[cfg(any(feature = "panel", feature = "headless"))]
    #[wasm_bindgen(catch, js_namespace = Reflect, js_name = set)]
    fn set_property(object: &JsValue, key: &str, value: &JsValue) -> Result<bool, JsValue>;
    #[wasm_bindgen(catch, js_namespace = Object, js_name = getOwnPropertyDescriptor)]
    pub fn own_property(object: &JsValue, key: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(thread_local_v2, js_name = window)]
    static WINDOW: JsValue;
}

/// A property, or None where reading it throws.
pub fn get(object: &JsValue, key: &str) -> Option<JsValue> {
    property(object, key).ok()
}

/// A property that is a string and not empty.
pub fn get_text(object: &JsValue, key: &str) -> Option<String> {
    get(object, key)?
        .as_string()
        .filter(|text| !text.is_empty())
}

/// Sets a property of an object of our own.
#[cfg(any(feature = "panel", feature = "headless"))]
pub fn put(object: &js_sys::Object, key: &str, value: &JsValue) {
    let _ = set_property(object, key, value);
}

/// A property of the window, or None where reading it throws.
pub fn window(key: &str) -> Option<JsValue> {
    WINDOW.with(|window| get(window, key))
}

/// The same of `navigator`.
pub fn navigator(key: &str) -> Option<JsValue> {
    get(&window("navigator")?, key)
}

/// `navigator.languages`, best first; the first few are enough to find one that we speak.
pub fn languages() -> Vec<String> {
    let list = navigator("languages").unwrap_or_default();
    ["0", "1", "2", "3", "4"]
        .iter()
        .map_while(|index| get_text(&list, index))
        .collect()
}
