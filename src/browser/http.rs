//! Requests: `fetch` by gloo-net. One [`HttpRequest`] in, one `Msg::HttpReplied` out, unless it is cancelled. The event stream is a request
//! whose body is read as it comes ([`super::stream`]), because `EventSource` can send no token.

use super::host::{get, put};
use super::stream::pour;
use super::{inbox, wire};
use crate::engine::command::Secret;
use crate::engine::effect::{Body, Expect, Failure, HttpRequest, Id, Method, Reply};
use crate::engine::machine::Msg;
use crate::engine::text::cut::digits;
use gloo_net::http::Response;
use js_sys::{Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Request};

#[wasm_bindgen]
extern "C" {
    /// Pages replace it, by functions that may throw, return nothing, or settle with anything: gloo-net's `send` traps where that is neither an
    /// answer nor an error.
    #[wasm_bindgen(catch)]
    fn fetch(request: &Request) -> Result<JsValue, JsValue>;
}

/// Requests and streams under way. Letting go of one ends it: an unread body would keep its connection.
#[derive(Default)]
pub struct Http {
    running: Vec<(Id, AbortController)>,
}

impl Http {
    pub fn send(&mut self, request: &HttpRequest) {
        let (kind, body) = match &request.body {
            Body::None => ("", None),
            Body::Json(json) => ("application/json", Some(wire::write(json))),
            Body::Sdp(sdp) => ("application/sdp", Some(sdp.clone())),
            Body::Fragment(sdp) => (FRAGMENT, Some(sdp.clone())),
        };
        let options = Object::new();
        text(
            &options,
            "method",
            match request.method {
                Method::Get => "GET",
                Method::Post => "POST",
                Method::Patch => "PATCH",
                Method::Delete => "DELETE",
            },
        );
        put(
            &options,
            "keepalive",
            &JsValue::from_bool(request.keepalive),
        );
        if let Some(body) = body {
            text(&options, "body", &body);
        }
        let expect = Some(request.expect);
        self.start(
            request.id,
            &request.url,
            request.token.as_ref(),
            kind,
            options,
            expect,
        );
    }

    pub fn open_stream(&mut self, id: Id, url: &str, token: &Secret) {
        self.start(id, url, Some(token), "", Object::new(), None);
    }

    /// `expect`: what a 2xx answer holds, or None for a stream.
    fn start(
        &mut self,
        id: Id,
        url: &str,
        token: Option<&Secret>,
        kind: &str,
        options: Object,
        expect: Option<Expect>,
    ) {
        let headers = Object::new();
        if !kind.is_empty() {
            text(&headers, "content-type", kind);
        }
        if kind == FRAGMENT {
            text(&headers, "if-match", "*");
        }
        if let Some(token) = token {
            text(&headers, "authorization", &["Bearer ", &token.0].concat());
        }
        put(&options, "headers", &headers);
        // No cookie of the server's origin has any meaning here.
        text(&options, "credentials", "omit");
        text(&options, "cache", "no-store");
        let Ok(controller) = AbortController::new() else {
            return;
        };
        put(&options, "signal", &controller.signal());
        let request = Request::new_with_str_and_init(url, options.unchecked_ref());
        self.running.push((id, controller.clone()));
        wasm_bindgen_futures::spawn_local(async move {
            let result = match request {
                Ok(request) => answer(id, &request, expect).await,
                Err(_) => None,
            };
            let result = result.unwrap_or_else(|| Err(Failure::default()));
            controller.abort();
            inbox::post(match (expect, result) {
                (None, Err(failure)) => Msg::StreamClosed { id, failure },
                (_, result) => Msg::HttpReplied { id, result },
            });
        });
    }

    /// Ends a request or stream; no message follows.
    pub fn end(&mut self, id: Id) {
        if let Some(at) = self.running.iter().position(|(have, _)| *have == id) {
            self.running.swap_remove(at).1.abort();
        }
    }
}

/// Of an ICE restart.
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

fn text(object: &Object, key: &str, value: &str) {
    put(object, key, &JsValue::from_str(value));
}

/// None: no answer at all, or one that cannot be read: a proxy's login page, or a connection that broke in the body. A stream always ends
/// as a failure; a status of 200 is an end in order.
async fn answer(
    id: Id,
    request: &Request,
    expect: Option<Expect>,
) -> Option<Result<Reply, Failure>> {
    let raw: web_sys::Response = settled(fetch(request)).await?.dyn_into().ok()?;
    let response = Response::from(Clone::clone(&raw));
    let ok = response.ok();
    if ok && expect.is_none() {
        inbox::post(Msg::StreamOpened { id });
        pour(id, response.body()?).await;
        return Some(Err(Failure {
            status: 200,
            ..Failure::default()
        }));
    }
    let body = settled(raw.text().map(JsValue::from))
        .await
        .and_then(|text| text.as_string());
    if !ok {
        return Some(Err(refused(&response, &body.unwrap_or_default())));
    }
    let body = body?;
    let mut reply = match expect? {
        Expect::Nothing => Reply::Nothing,
        Expect::Answer => Reply::Answer {
            location: header(&response, "location"),
            link: Secret(header(&response, "link")),
            sdp: body,
        },
        expect => wire::reply(&wire::object(&body)?, expect)?,
    };
    if let Reply::Session(_, link) = &mut reply {
        link.0 = header(&response, "link");
    }
    Some(Ok(reply))
}

async fn settled(promise: Result<JsValue, JsValue>) -> Option<JsValue> {
    JsFuture::from(Promise::resolve(&promise.ok()?)).await.ok()
}

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).unwrap_or_default()
}

/// What an answer other than 2xx says.
fn refused(response: &Response, body: &str) -> Failure {
    let mut failure = failure(response.status(), &wire::object(body).unwrap_or_default());
    if failure.retry_after_seconds.is_none() {
        let wait = digits(&header(response, "retry-after"));
        failure.retry_after_seconds = u32::try_from(wait).ok().filter(|wait| *wait > 0);
    }
    failure
}

/// The same from a parsed body. Anything that is not our error body leaves code and message empty.
pub fn failure(status: u16, body: &JsValue) -> Failure {
    let error = get(body, "error").unwrap_or_default();
    Failure {
        status,
        ..wire::failure(&error)
    }
}
