//! Time: the monotonic clock and the engine's timers. One page timer each; arming again replaces.

use super::inbox;
use crate::engine::effect::{Millis, Timer};
use crate::engine::machine::Msg;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &JsValue, delay_ms: f64, timer: usize) -> i32;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(handle: i32);
}

/// In the order of their discriminants.
const TIMERS: [Timer; 11] = [
    Timer::Reconnect,
    Timer::Peer,
    Timer::PeerDeadline,
    Timer::Ping,
    Timer::PongDeadline,
    Timer::TokenRefresh,
    Timer::Countdown,
    Timer::ConfigDeadline,
    Timer::Config,
    Timer::RequestDeadline,
    Timer::Call,
];

pub fn now() -> Millis {
    performance_now() as Millis
}

pub struct Clock {
    handles: [Option<i32>; TIMERS.len()],
    /// One function for all timers: the page passes back which one it was.
    fire: Closure<dyn FnMut(usize)>,
}

impl Clock {
    pub fn new() -> Clock {
        Clock {
            handles: [None; TIMERS.len()],
            fire: Closure::new(|index: usize| {
                if let Some(timer) = TIMERS.get(index) {
                    inbox::post(Msg::TimerFired(*timer));
                }
            }),
        }
    }

    pub fn set(&mut self, timer: Timer, delay_ms: u64) {
        self.clear(timer);
        // Longer delays would wrap to "at once" in the page.
        let delay_ms = delay_ms.min(i32::MAX as u64) as f64;
        let handle = set_timeout(self.fire.as_ref(), delay_ms, timer as usize);
        if let Some(slot) = self.handles.get_mut(timer as usize) {
            *slot = Some(handle);
        }
    }

    pub fn clear(&mut self, timer: Timer) {
        if let Some(handle) = self.handles.get_mut(timer as usize).and_then(Option::take) {
            clear_timeout(handle);
        }
    }

    pub fn clear_all(&mut self) {
        for timer in TIMERS {
            self.clear(timer);
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.clear_all();
    }
}
