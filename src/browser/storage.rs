//! `localStorage`, one record per public key. Where the page's browser denies it, a record lives in the engine as long as the page. What is in
//! a record is the engine's business.

use super::host::{get_text, window};
use wasm_bindgen::prelude::*;
use web_sys::{Event, Storage};

const PREFIX: &str = "karta:";

/// Every record of ours, by key.
pub fn all() -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Some(storage) = storage() {
        for index in 0..storage.length().unwrap_or(0) {
            if let Ok(Some(name)) = storage.key(index)
                && let Some(key) = name.strip_prefix(PREFIX)
                && let Ok(Some(record)) = storage.get_item(&name)
            {
                found.push((String::from(key), record));
            }
        }
    }
    found
}

/// Keeps a record, or removes it.
pub fn store(key: &str, record: Option<&str>) {
    let name = [PREFIX, key].concat();
    if let Some(storage) = storage() {
        let _ = match record {
            Some(record) => storage.set_item(&name, record),
            None => storage.remove_item(&name),
        };
    }
}

/// What is kept under a key now.
#[cfg(feature = "headless")]
pub fn kept(key: &str) -> Option<String> {
    storage()?.get_item(&[PREFIX, key].concat()).ok()?
}

/// Tells the other engines of this page, as the browser tells those of other pages only. `tell` makes such an event, later: nothing of the page runs in
/// the middle of ours.
#[cfg(feature = "headless")]
pub fn tell_page(tell: &js_sys::Function, key: &str) {
    let name = JsValue::from_str(&[PREFIX, key].concat());
    let record = kept(key).map_or(JsValue::NULL, |record| JsValue::from_str(&record));
    let _ = tell.call2(&JsValue::UNDEFINED, &name, &record);
}

#[cfg(feature = "headless")]
thread_local! {
    /// What the events that this engine has made are `from`.
    static OWN: std::cell::RefCell<JsValue> = const { std::cell::RefCell::new(JsValue::UNDEFINED) };
}

/// Events of this engine's own making are no news to it.
#[cfg(feature = "headless")]
pub fn own(from: JsValue) {
    OWN.set(from);
}

/// What a `storage` event says about us: the key, and the record or None where it was removed.
pub fn changed(event: &Event) -> Option<(String, Option<String>)> {
    #[cfg(feature = "headless")]
    if super::host::get(event, "from")
        .is_some_and(|from| from.is_object() && OWN.with_borrow(|own| *own == from))
    {
        return None;
    }
    let name = get_text(event, "key")?;
    let key = name.strip_prefix(PREFIX)?;
    Some((String::from(key), get_text(event, "newValue")))
}

/// Reading the property throws in sandboxed frames.
fn storage() -> Option<Storage> {
    window("localStorage")
        .filter(|storage| !storage.is_falsy())
        .map(JsCast::unchecked_into)
}
