//! The page's functions: interned to ids on the way in, called with a fresh plain object on the way out. What one throws, or the
//! promise it returns rejects with, is logged; the others are called all the same.

use super::wire;
use crate::engine::command::CallbackId;
use crate::engine::event::HostEvent;
use js_sys::Function;
use std::cell::RefCell;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(words: &str, what: &JsValue);
    #[wasm_bindgen(js_namespace = console, js_name = warn)]
    fn console_warn(words: &str);
    type Thenable;
    #[wasm_bindgen(method, catch)]
    fn then(this: &Thenable, done: &JsValue, failed: &JsValue) -> Result<JsValue, JsValue>;
}

thread_local! {
    /// Position is id. A page has a handful of subscribers, and the engine bounds them.
    static KNOWN: RefCell<Vec<JsValue>> = const { RefCell::new(Vec::new()) };
    /// Takes what a page's promise rejects with.
    static REJECTED: Closure<dyn FnMut(JsValue)> = Closure::new(|error: JsValue| complain(&error));
}

/// The same function object has the same id.
pub fn intern(function: &JsValue) -> CallbackId {
    KNOWN.with_borrow_mut(|known| {
        let at = known.iter().position(|have| have == function);
        CallbackId(at.unwrap_or_else(|| {
            known.push(function.clone());
            known.len() - 1
        }) as u32)
    })
}

pub fn call(callback: CallbackId, event: &HostEvent) {
    let Some(function) = KNOWN.with_borrow(|known| known.get(callback.0 as usize).cloned()) else {
        return;
    };
    match function
        .unchecked_into::<Function>()
        .call1(&JsValue::UNDEFINED, &wire::value(&event.payload))
    {
        Err(error) => complain(&error),
        // An async subscriber: its rejection is ours to catch, or the page's error tracker would blame us.
        Ok(promise) if promise.has_type::<js_sys::Promise>() => {
            let watched = REJECTED.with(|rejected| {
                promise
                    .unchecked_ref::<Thenable>()
                    .then(&JsValue::UNDEFINED, rejected.as_ref())
            });
            if let Err(error) = watched {
                complain(&error);
            }
        }
        Ok(_) => {}
    }
}

pub fn warn(code: &str, message: &str) {
    console_warn(&["[karta] ", code, ": ", message].concat());
}

pub fn error(code: &str, message: &str) {
    console_error(
        &["[karta] ", code, ": ", message].concat(),
        &JsValue::from_str(""),
    );
}

fn complain(what: &JsValue) {
    console_error("[karta] a subscriber of this page failed:", what);
}
