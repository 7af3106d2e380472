//! Messages on their way to the engine. Facilities put them in from their callbacks, which do nothing else: whatever may go wrong goes
//! wrong inside the drain, which the loader has wrapped in a `try`.

use crate::engine::machine::Msg;
use js_sys::Function;
use std::cell::RefCell;
use wasm_bindgen::JsValue;

thread_local! {
    static INBOX: RefCell<Vec<Msg>> = const { RefCell::new(Vec::new()) };
    static PUMP: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// The loader's function that calls `karta_drain` inside a `try`.
pub fn set_pump(pump: Function) {
    PUMP.set(Some(pump));
}

/// Puts a message in; somebody drains soon.
pub fn enqueue(msg: Msg) {
    INBOX.with_borrow_mut(|inbox| inbox.push(msg));
}

/// Puts a message in and drains, unless a drain is under way. False: this instance has crashed, and nobody takes messages any more.
pub fn post(msg: Msg) -> bool {
    enqueue(msg);
    let pump = PUMP.with_borrow(Clone::clone);
    let answer = pump.and_then(|pump| pump.call0(&JsValue::UNDEFINED).ok());
    let alive = answer.is_none_or(|answer| answer.as_bool() != Some(false));
    if !alive {
        take();
    }
    alive
}

/// All that waits, in order.
pub fn take() -> Vec<Msg> {
    INBOX.take()
}
