//! The page's own life: online, hidden, restored, visible, and other tabs. Listeners hang on the instance's abort signal, so one
//! `abort` undoes them all, also after a crash.

use super::host::{get, navigator, put, window};
use super::{inbox, storage};
use crate::engine::machine::Msg;
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, Event};

#[wasm_bindgen]
extern "C" {
    type Target;
    // What a page or an extension puts in the place of `navigator.connection` may have no such method.
    #[wasm_bindgen(catch, method, js_name = addEventListener)]
    fn add(this: &Target, kind: &str, listener: &JsValue, options: &JsValue)
    -> Result<(), JsValue>;
    #[wasm_bindgen(catch, method, js_name = removeEventListener)]
    fn remove(this: &Target, kind: &str, listener: &JsValue) -> Result<(), JsValue>;
    #[wasm_bindgen(js_namespace = Math, js_name = random)]
    fn random() -> f64;
    #[wasm_bindgen(catch, js_namespace = crypto, js_name = getRandomValues)]
    fn random_values(into: &js_sys::Uint8Array) -> Result<(), JsValue>;
}

pub fn online() -> bool {
    navigator("onLine").is_none_or(|online| online.is_truthy())
}

/// 64 random bits. Message ids need to differ, not to be secret, so where `crypto` is missing `Math.random` does.
pub fn entropy() -> u64 {
    let bytes = js_sys::Uint8Array::new_with_length(8);
    if random_values(&bytes).is_err() {
        return random().to_bits() ^ random().to_bits().rotate_left(29);
    }
    let mut out = [0; 8];
    bytes.copy_to(&mut out);
    u64::from_le_bytes(out)
}

/// What is listened to while the widget lives. Dropping it stops listening.
pub struct Page {
    listener: Closure<dyn FnMut(Event)>,
}

/// Where, and what. Some browsers tell of another network (`navigator.connection`).
const EVENTS: [(&str, &str); 9] = [
    ("window", "online"),
    ("window", "offline"),
    ("window", "pagehide"),
    ("window", "pageshow"),
    ("window", "storage"),
    ("document", "visibilitychange"),
    ("document", "freeze"),
    ("document", "resume"),
    ("connection", "change"),
];

impl Page {
    pub fn new(signal: &AbortSignal) -> Page {
        let listener = Closure::<dyn FnMut(Event)>::new(|event: Event| {
            if let Some(msg) = heard(&event) {
                inbox::post(msg);
            }
        });
        let options = js_sys::Object::new();
        put(&options, "signal", signal);
        let page = Page { listener };
        page.listen(Some(&options));
        page
    }

    /// None: listens no more.
    #[inline(never)]
    fn listen(&self, options: Option<&JsValue>) {
        let listener = self.listener.as_ref();
        for (name, kind) in EVENTS {
            let target = match name {
                "connection" => navigator(name),
                // The window is a property of itself.
                _ => window(name),
            };
            let Some(target) = target.filter(JsValue::is_object) else {
                continue;
            };
            let target: Target = target.unchecked_into();
            let _ = match options {
                Some(options) => target.add(kind, listener, options),
                None => target.remove(kind, listener),
            };
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.listen(None);
    }
}

fn heard(event: &Event) -> Option<Msg> {
    let is = |object: &JsValue, key: &str| get(object, key).is_some_and(|value| value.is_truthy());
    Some(match event.type_().as_str() {
        "online" => Msg::Online,
        "offline" => Msg::Offline,
        "pagehide" | "freeze" => Msg::PageHidden,
        "resume" => Msg::PageRestored,
        "change" => Msg::NetworkChanged,
        "pageshow" if is(event, "persisted") => Msg::PageRestored,
        "visibilitychange" if !is(&window("document")?, "hidden") => Msg::Visible,
        "storage" => {
            let (key, record) = storage::changed(event)?;
            Msg::StoredElsewhere { key, record }
        }
        _ => return None,
    })
}
