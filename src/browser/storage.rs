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

/// What a `storage` event says about us: the key, and the record or None where it was removed.
pub fn changed(event: &Event) -> Option<(String, Option<String>)> {
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
