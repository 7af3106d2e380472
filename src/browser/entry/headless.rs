//! The headless bundle: the same engine, for a page that draws the conversation by itself (www/headless.js).

use super::app::{self, App, Started};
use crate::browser::edge::BrowserEdge;
use crate::browser::headless::Headless;
use crate::browser::host::get;
use crate::browser::inbox;
use crate::engine::config::Layer;
use crate::engine::dialect::headless;
use crate::engine::machine::{Machine, Msg};
use js_sys::Function;
use std::cell::RefCell;
use wasm_bindgen::prelude::*;

thread_local! {
    static APP: Started<Headless> = const { RefCell::new(None) };
}

/// `options`: `{origin, signal, pump, show, tell, meter, devices, login}`. Once an instance; `login` is what one before it has handed on.
#[wasm_bindgen]
pub fn karta_begin(options: &JsValue) {
    #[cfg(feature = "panic-hook")]
    console_error_panic_hook::set_once();
    let option = |key: &str| get(options, key).unwrap_or_default();
    let signal: web_sys::AbortSignal = option("signal").unchecked_into();
    inbox::set_pump(option("pump").unchecked_into::<Function>());
    let boot = app::world(options, Layer::default(), None, true);
    APP.set(Some(App {
        machine: Machine::new(),
        edge: BrowserEdge::new(
            Headless::new(options),
            signal,
            options.clone().unchecked_into(),
        ),
    }));
    inbox::enqueue(Msg::Booted(Box::new(boot)));
}

/// One call: an array of its arguments.
#[wasm_bindgen]
pub fn karta_order(args: &js_sys::Array) {
    app::take(args, headless::read);
}

/// Works the inbox off, after a look at what others of this page have kept.
#[wasm_bindgen]
pub fn karta_turn() {
    APP.with(|app| {
        if let Ok(mut app) = app.try_borrow_mut()
            && let Some(App { machine, edge }) = &mut *app
            && let Some(key) = machine.key()
            && let Some(record) = edge.screen().overwritten(key)
        {
            let key = String::from(key);
            inbox::enqueue(Msg::StoredElsewhere { key, record });
        }
        app::drain(app);
    });
}
