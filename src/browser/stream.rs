//! The event stream: server-sent events read from a `fetch` body, piece by piece.

use super::sse::Frames;
use super::{host, inbox, wire};
use crate::engine::effect::Id;
use crate::engine::machine::Msg;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    type Reader;
    #[wasm_bindgen(method, catch)]
    fn read(this: &Reader) -> Result<js_sys::Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = getReader)]
    fn get_reader(this: &Reader) -> Result<Reader, JsValue>;

    /// Keeps the bytes of a character that two chunks share.
    type TextDecoder;
    #[wasm_bindgen(constructor)]
    fn new() -> TextDecoder;
    #[wasm_bindgen(method, catch)]
    fn decode(this: &TextDecoder, bytes: &JsValue, options: &JsValue) -> Result<String, JsValue>;
}

/// Reads a body to its end. None: the connection broke, or nobody takes messages any more. Either way it is over.
pub async fn pour(id: Id, body: web_sys::ReadableStream) -> Option<()> {
    let reader = JsValue::from(body)
        .unchecked_into::<Reader>()
        .get_reader()
        .ok()?;
    let decoder = TextDecoder::new();
    let streaming = js_sys::Object::new();
    host::put(&streaming, "stream", &JsValue::TRUE);
    let mut frames = Frames::default();
    loop {
        let chunk = JsFuture::from(reader.read().ok()?).await.ok()?;
        if host::get(&chunk, "done")?.is_truthy() {
            return Some(());
        }
        let text = decoder
            .decode(&host::get(&chunk, "value")?, &streaming)
            .ok()?;
        take(id, &mut frames, &text)?;
    }
}

/// One piece. All but its last event only queue: one drain, and one picture, a piece.
fn take(id: Id, frames: &mut Frames, piece: &str) -> Option<()> {
    let mut last = None;
    let sane = frames.push(piece, &mut |data| {
        if let Some(object) = wire::object(data) {
            let event = Box::new(wire::event(&object));
            if let Some(earlier) = last.replace(Msg::StreamFrame { id, event }) {
                inbox::enqueue(earlier);
            }
        }
    });
    let alive = last.is_none_or(inbox::post);
    (sane && alive).then_some(())
}
