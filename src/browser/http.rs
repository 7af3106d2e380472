//! Requests: `fetch` by gloo-net. One [`HttpRequest`] in, one `Msg::HttpReplied` out, unless it is cancelled.

use super::host::put;
use super::{inbox, wire};
use crate::engine::effect::{Body, Expect, Failure, HttpRequest, Id, Method, Reply};
use crate::engine::machine::Msg;
use gloo_net::http::{Headers, Request, Response};
use js_sys::Object;
use wasm_bindgen::prelude::*;
use web_sys::AbortController;

/// Requests under way.
#[derive(Default)]
pub struct Http {
    running: Vec<(Id, AbortController)>,
}

impl Http {
    pub fn send(&mut self, request: HttpRequest) {
        let Ok(controller) = AbortController::new() else {
            return;
        };
        let id = request.id;
        let fetch = build(&request, &controller);
        self.running.push((id, controller));
        let expect = request.expect;
        wasm_bindgen_futures::spawn_local(async move {
            let result = match fetch {
                Some(fetch) => answer(fetch, expect).await,
                None => Err(Failure::default()),
            };
            inbox::post(Msg::HttpReplied { id, result });
        });
    }

    pub fn done(&mut self, id: Id) {
        self.running.retain(|(have, _)| *have != id);
    }

    pub fn cancel(&mut self, id: Id) {
        self.running.retain(|(have, controller)| {
            if *have == id {
                controller.abort();
            }
            *have != id
        });
    }
}

fn build(request: &HttpRequest, controller: &AbortController) -> Option<Request> {
    let options = Object::new();
    let text = |key: &str, value: &str| put(&options, key, &JsValue::from_str(value));
    text(
        "method",
        match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        },
    );
    // No cookie of the server's origin has any meaning here.
    text("credentials", "omit");
    text("cache", "no-store");
    put(&options, "signal", &controller.signal());
    if request.keepalive {
        put(&options, "keepalive", &JsValue::TRUE);
    }
    let body = match &request.body {
        Body::None => None,
        Body::Guest(body) => Some(wire::write(body)),
        Body::Exchange(body) => Some(wire::write(body)),
        Body::Refresh(body) => Some(wire::write(body)),
        Body::Session(body) => Some(wire::write(body)),
        Body::Event(body) => Some(wire::write(body)),
        Body::Sdp(sdp) => Some(sdp.clone()),
    };
    let headers = Headers::new();
    if let Some(body) = &body {
        text("body", body);
        headers.set(
            "content-type",
            match request.body {
                Body::Sdp(_) => "application/sdp",
                _ => "application/json",
            },
        );
    }
    if let Some(token) = &request.token {
        headers.set("authorization", &["Bearer ", &token.0].concat());
    }
    put(&options, "headers", &headers.into_raw());
    web_sys::Request::new_with_str_and_init(&request.url, options.unchecked_ref())
        .ok()
        .map(Request::from)
}

async fn answer(request: Request, expect: Expect) -> Result<Reply, Failure> {
    let response = request.send().await.map_err(|_| Failure::default())?;
    if !response.ok() {
        return Err(refused(&response).await);
    }
    // A 2xx that cannot be read is no answer: a proxy's login page, or a connection that broke in the body.
    let unreadable = |_| Failure::default();
    let reply = match expect {
        Expect::Nothing => return Ok(Reply::Nothing),
        Expect::Answer => {
            let header = |name: &str| response.headers().get(name).unwrap_or_default();
            Some(Reply::Answer {
                location: header("location"),
                etag: header("etag"),
                sdp: response.text().await.map_err(unreadable)?,
            })
        }
        expect => {
            let text = response.text().await.map_err(unreadable)?;
            wire::object(&text).and_then(|object| wire::reply(&object, expect))
        }
    };
    reply.ok_or_else(Failure::default)
}

/// What an answer other than 2xx says.
pub async fn refused(response: &Response) -> Failure {
    let wait = response.headers().get("retry-after");
    let body = response
        .text()
        .await
        .ok()
        .and_then(|text| wire::object(&text));
    let mut failure = failure(response.status(), &body.unwrap_or_default());
    if failure.retry_after_seconds.is_none() {
        failure.retry_after_seconds = wait.and_then(|seconds| seconds.parse().ok());
    }
    failure
}

/// The same from a parsed body. Anything that is not our error body leaves code and message empty.
pub fn failure(status: u16, body: &JsValue) -> Failure {
    let error = wire::error(body);
    Failure {
        status,
        code: error.code,
        message: error.message,
        retry_after_seconds: error.retry_after_seconds,
    }
}
