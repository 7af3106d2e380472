//! The panel bundle: starts the engine, takes calls, drains.

use super::app::{self, App, Prefetched, Started};
use crate::browser::edge::BrowserEdge;
use crate::browser::host::{get, get_text};
use crate::browser::screen::Screen;
use crate::browser::{http, inbox, raw};
use crate::engine::dialect::karta;
use crate::engine::effect::Failure;
use crate::engine::machine::{Machine, Msg};
use js_sys::Function;
use std::cell::RefCell;
use wasm_bindgen::prelude::*;

thread_local! {
    static APP: Started<Screen> = const { RefCell::new(None) };
}

/// `options`: `{tag, origin, reply, host, make, taken, signal, pump, login}`. Once an instance; `login` is what one before it has handed on.
#[wasm_bindgen]
pub fn karta_start(options: &JsValue) {
    #[cfg(feature = "panic-hook")]
    console_error_panic_hook::set_once();
    let option = |key: &str| get(options, key).unwrap_or_default();
    let signal: web_sys::AbortSignal = option("signal").unchecked_into();
    inbox::set_pump(option("pump").unchecked_into::<Function>());
    let (attributes, reply) = (raw::tag(&option("tag")), option("reply"));
    let boot = app::world(options, attributes, prefetched(&reply), false);
    let edge = BrowserEdge::new(
        Screen::new(
            option("host").is_truthy(),
            option("make"),
            option("taken"),
            signal.clone().into(),
        ),
        signal,
        options.clone().unchecked_into(),
    );
    APP.set(Some(App {
        machine: Machine::new(),
        edge,
    }));
    inbox::enqueue(Msg::Booted(Box::new(boot)));
}

/// One call of the page: an array of its arguments.
#[wasm_bindgen]
pub fn karta_call(args: &js_sys::Array) {
    app::take(args, karta::read);
}

/// Works the inbox off.
#[wasm_bindgen]
pub fn karta_drain() {
    APP.with(app::drain);
}

/// The loader's early answer to `GET /config`.
fn prefetched(reply: &JsValue) -> Prefetched {
    let url = get_text(reply, "url")?;
    let status = get(reply, "status")
        .and_then(|status| status.as_f64())
        .unwrap_or(0.0) as u16;
    let body = get(reply, "body").unwrap_or_default();
    let result = if status == 200 {
        raw::config(&body)
            .map(Box::new)
            .ok_or_else(Failure::default)
    } else {
        Err(http::failure(status, &body))
    };
    Some((url, result))
}
