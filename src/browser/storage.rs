//! `localStorage`, one JSON record per public key. Where the page's browser denies it, a record lives in memory as long as the page.
//! A record is read field by field, because anything on the page may have written it.

use super::host::{get, get_text, put};
use crate::engine::effect::Stored;
use js_sys::{Array, JSON, Object};
use std::cell::RefCell;
use wasm_bindgen::prelude::*;
use web_sys::{Event, Storage};

const PREFIX: &str = "karta:";

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_name = window)]
    static WINDOW: JsValue;
}

thread_local! {
    static MEMORY: RefCell<Vec<(String, Stored)>> = const { RefCell::new(Vec::new()) };
}

/// Every record of ours.
pub fn all() -> Vec<(String, Stored)> {
    let mut found = Vec::new();
    if let Some(storage) = storage() {
        for index in 0..storage.length().unwrap_or(0) {
            if let Ok(Some(name)) = storage.key(index)
                && let Some(key) = name.strip_prefix(PREFIX)
                && let Ok(Some(text)) = storage.get_item(&name)
                && let Some(record) = parse(&text)
            {
                found.push((String::from(key), record));
            }
        }
    }
    found
}

pub fn store(key: &str, record: &Stored) {
    let kept =
        storage().is_some_and(|storage| storage.set_item(&name(key), &write(record)).is_ok());
    if !kept {
        MEMORY.with_borrow_mut(|memory| {
            memory.retain(|(have, _)| have != key);
            memory.push((String::from(key), record.clone()));
        });
    }
}

pub fn forget(key: &str) {
    if let Some(storage) = storage() {
        let _ = storage.remove_item(&name(key));
    }
    MEMORY.with_borrow_mut(|memory| memory.retain(|(have, _)| have != key));
}

/// What a `storage` event says about us: the key, and the record or None where it was removed.
pub fn changed(event: &Event) -> Option<(String, Option<Box<Stored>>)> {
    let name = get_text(event, "key")?;
    let key = name.strip_prefix(PREFIX)?;
    let record = get_text(event, "newValue").and_then(|text| parse(&text));
    Some((String::from(key), record.map(Box::new)))
}

fn name(key: &str) -> String {
    [PREFIX, key].concat()
}

/// Reading the property throws in sandboxed frames.
fn storage() -> Option<Storage> {
    get(&WINDOW.with(JsValue::clone), "localStorage")
        .filter(|storage| !storage.is_falsy())
        .map(JsCast::unchecked_into)
}

fn write(record: &Stored) -> String {
    let object = Object::new();
    let text = |key: &str, value: &Option<String>| {
        if let Some(value) = value {
            put(&object, key, &JsValue::from_str(value));
        }
    };
    text("visitor", &record.visitor_id);
    text("session", &record.session_id);
    put(&object, "open", &JsValue::from_bool(record.open));
    put(&object, "seen", &JsValue::from_f64(record.seen_seq as f64));
    let outbox = Array::new();
    for (id, text) in &record.outbox {
        outbox.push(&Array::of2(
            &JsValue::from_str(id),
            &JsValue::from_str(text),
        ));
    }
    put(&object, "outbox", &outbox);
    JSON::stringify(&object)
        .map(String::from)
        .unwrap_or_default()
}

fn parse(text: &str) -> Option<Stored> {
    let object = JSON::parse(text).ok().filter(JsValue::is_object)?;
    let outbox = get(&object, "outbox").filter(|list| list.is_object());
    let outbox = outbox.map(|list| Array::from(&list)).unwrap_or_default();
    Some(Stored {
        visitor_id: get_text(&object, "visitor"),
        session_id: get_text(&object, "session"),
        open: get(&object, "open").is_some_and(|open| open.is_truthy()),
        seen_seq: get(&object, "seen")
            .and_then(|seen| seen.as_f64())
            .unwrap_or(0.0) as u64,
        outbox: outbox
            .iter()
            .filter_map(|entry| Some((get_text(&entry, "0")?, get_text(&entry, "1")?)))
            .collect(),
    })
}
