//! A page that draws the conversation by itself: after each change it is handed the whole state as one plain object (`engine::state`). A line that has
//! not changed is the same object as before, and so is the list: a page compares by identity, and one more token costs one line and not the history.

use super::host::{get, put};
use super::storage;
use super::surface::Surface;
use crate::engine::machine::Machine;
use crate::engine::state::Message;
use crate::engine::view_model::{Item, ViewModel};
use js_sys::{Array, Function};
use serde::Serialize;
use wasm_bindgen::prelude::*;

struct Line {
    key: u32,
    rev: u32,
    message: JsValue,
}

pub struct Headless {
    /// Takes the state.
    show: Function,
    /// Tells the page's other engines of a record.
    tell: Function,
    meter: JsValue,
    devices: JsValue,
    lines: Vec<Line>,
    list: Array,
    /// The record as it is known here: key, and what is kept. None: no key yet.
    record: Option<(String, Option<String>)>,
}

impl Headless {
    /// `options`: `{show, tell, meter, devices}` of www/headless.js.
    pub fn new(options: &JsValue) -> Headless {
        let option = |key: &str| get(options, key).unwrap_or_default();
        storage::own(options.clone());
        Headless {
            show: option("show").unchecked_into(),
            tell: option("tell").unchecked_into(),
            meter: option("meter"),
            devices: option("devices"),
            lines: Vec::new(),
            list: Array::new(),
            record: None,
        }
    }

    /// Another engine of this very page has written the record of this key since. Browsers tell only other pages, and the prebuilt widget nobody.
    pub fn overwritten(&mut self, key: &str) -> Option<Option<String>> {
        let now = storage::kept(key);
        match &mut self.record {
            Some((known, record)) if known == key => {
                if *record == now {
                    return None;
                }
                record.clone_from(&now);
                Some(now)
            }
            other => {
                *other = Some((String::from(key), now));
                None
            }
        }
    }

    fn follow(&mut self, items: &[Item]) {
        let same = |line: &Line, item: &Item| line.key == item.key && line.rev == item.rev;
        if self.lines.len() == items.len()
            && self
                .lines
                .iter()
                .zip(items)
                .all(|(line, item)| same(line, item))
        {
            return;
        }
        let before = std::mem::take(&mut self.lines);
        self.list = Array::new();
        for (index, item) in items.iter().enumerate() {
            // Most stand where they stood.
            let found = match before.get(index).filter(|line| line.key == item.key) {
                Some(line) => Some(line),
                None => before.iter().find(|line| line.key == item.key),
            };
            let message = match found.filter(|line| same(line, item)) {
                Some(line) => line.message.clone(),
                None => object(&Message::of(item)),
            };
            self.list.push(&message);
            self.lines.push(Line {
                key: item.key,
                rev: item.rev,
                message,
            });
        }
    }
}

impl Surface for Headless {
    fn render(&mut self, _: &ViewModel<'_>, machine: &Machine) {
        let state = machine.state();
        self.follow(state.items);
        let state = object(&state);
        put(state.unchecked_ref(), "messages", &self.list);
        let _ = self.show.call1(&JsValue::UNDEFINED, &state);
    }

    fn unmount(&mut self) -> bool {
        true
    }

    fn meter(&self) -> JsValue {
        self.meter.clone()
    }

    fn devices(&self) -> JsValue {
        self.devices.clone()
    }

    fn stored(&mut self, key: &str) {
        // What is really there: a browser that denies storage keeps nothing.
        self.record = Some((String::from(key), storage::kept(key)));
        storage::tell_page(&self.tell, key);
    }
}

/// A fresh plain object.
fn object(value: &impl Serialize) -> JsValue {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .unwrap_or_default()
}
