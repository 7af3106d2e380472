//! The panel bundle: starts the engine, takes calls, drains. Everything that happens in the page only puts a message into the inbox and
//! then calls the loader's `pump`, which comes back through [`karta_drain`] inside a `try`: so a trap of ours ends here and never in the page,
//! and a page callback that calls `karta(...)` while we run finds a queue and not a half-changed state.

use crate::browser::edge::BrowserEdge;
use crate::browser::host::{self, get, get_text};
use crate::browser::screen::Screen;
use crate::browser::{callbacks, http, inbox, media, page, raw, rtc, storage};
use crate::engine::config::Layer;
use crate::engine::dialect::karta;
use crate::engine::effect::Failure;
use crate::engine::machine::{Boot, Machine, Msg};
use crate::engine::shell;
use js_sys::Function;
use std::cell::RefCell;
use wasm_bindgen::prelude::*;

struct App {
    machine: Machine,
    edge: BrowserEdge,
}

thread_local! {
    static APP: RefCell<Option<App>> = const { RefCell::new(None) };
}

/// `options`: `{tag, origin, reply, host, make, taken, signal, pump, login}`. Once an instance; `login` is what one before it has handed on.
#[wasm_bindgen]
pub fn karta_start(options: &JsValue) {
    #[cfg(feature = "panic-hook")]
    console_error_panic_hook::set_once();
    let option = |key: &str| get(options, key).unwrap_or_default();
    let signal: web_sys::AbortSignal = option("signal").unchecked_into();
    inbox::set_pump(option("pump").unchecked_into::<Function>());
    let boot = Boot {
        attributes: raw::tag(&option("tag")),
        rejections: Vec::new(),
        script_origin: get_text(options, "origin").unwrap_or_default(),
        prefetched: prefetched(&option("reply")),
        languages: host::languages(),
        entropy: page::entropy(),
        online: page::online(),
        webrtc: rtc::possible(),
        microphone: media::possible(),
        stored: storage::all(),
        handed_on: get_text(options, "login").unwrap_or_default(),
    };
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
    let raws: Vec<_> = args
        .iter()
        .map(|arg| raw::read(&arg, &mut callbacks::intern))
        .collect();
    let mut refused = Vec::new();
    let command = karta::read(&raws, &mut refused);
    for rejection in refused {
        inbox::enqueue(Msg::Rejected(rejection));
    }
    if let Some(command) = command {
        inbox::enqueue(Msg::Command(command));
    }
}

/// Works the inbox off. A drain that is under way goes on; this one returns.
#[wasm_bindgen]
pub fn karta_drain() {
    APP.with(|app| {
        let Ok(mut app) = app.try_borrow_mut() else {
            return;
        };
        let Some(App { machine, edge }) = &mut *app else {
            return;
        };
        loop {
            let msgs = inbox::take();
            if msgs.is_empty() {
                return;
            }
            for msg in msgs {
                edge.heard(&msg);
                shell::step(machine, msg, edge);
            }
            edge.flush(machine);
        }
    });
}

/// The loader's early answer to `GET /config`.
fn prefetched(reply: &JsValue) -> Option<(String, Result<Box<Layer>, Failure>)> {
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
