//! The event stream: server-sent events read from a `fetch` body, because `EventSource` can send no token.

use super::sse::Frames;
use super::{host, http, inbox, wire};
use crate::engine::command::Secret;
use crate::engine::effect::{Failure, Id};
use crate::engine::machine::Msg;
use gloo_net::http::{Request, Response};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;

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

/// The open stream. Dropping it closes it; no message follows.
pub struct Stream {
    pub id: Id,
    controller: AbortController,
}

impl Stream {
    pub fn open(id: Id, url: &str, token: &Secret) -> Option<Stream> {
        let controller = AbortController::new().ok()?;
        let request = Request::get(url)
            .header("authorization", &["Bearer ", &token.0].concat())
            .header("accept", "text/event-stream")
            .abort_signal(Some(&controller.signal()))
            .build();
        let over = controller.clone();
        wasm_bindgen_futures::spawn_local(async move {
            let failure = match request {
                Ok(request) => read(id, request).await,
                Err(_) => Failure::default(),
            };
            // Also where we gave it up: an unread body would keep its connection.
            over.abort();
            inbox::post(Msg::StreamClosed { id, failure });
        });
        Some(Stream { id, controller })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.controller.abort();
    }
}

/// Reads until the end and says why it ended: a status of 200 is an end in order.
async fn read(id: Id, request: Request) -> Failure {
    let Ok(response) = request.send().await else {
        return Failure::default();
    };
    if !response.ok() {
        return http::refused(&response).await;
    }
    inbox::post(Msg::StreamOpened { id });
    pour(id, &response).await;
    Failure {
        status: 200,
        ..Failure::default()
    }
}

/// None: the connection broke. Either way it is over.
async fn pour(id: Id, response: &Response) -> Option<()> {
    let reader = JsValue::from(response.body()?)
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
        let mut last = None;
        let sane = frames.push(&text, &mut |data| {
            // All but the last only queue: one drain, and one picture, a chunk.
            if let Some(object) = wire::object(data)
                && let Some(earlier) = last.replace(Msg::StreamFrame {
                    id,
                    event: Box::new(wire::event(&object)),
                })
            {
                inbox::enqueue(earlier);
            }
        });
        if let Some(msg) = last
            && !inbox::post(msg)
        {
            return None;
        }
        if !sane {
            return None;
        }
    }
}
