//! Whether a connection is in the middle of an answer. hyper does not say, and a stop must know: what has sent half a request
//! may be cut, what is being answered may not.

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

#[derive(Clone, Default)]
pub struct Activity {
    calls: Arc<AtomicUsize>,
    unsent: Arc<AtomicBool>,
}

impl Activity {
    /// A call has come; it lasts as long as what is returned.
    pub fn begin(&self) -> Call {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Call(self.clone())
    }

    /// Bytes wait for the client to read.
    pub fn set_unsent(&self, unsent: bool) {
        self.unsent.store(unsent, Ordering::Relaxed);
    }

    pub fn is_answering(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0 || self.unsent.load(Ordering::Relaxed)
    }
}

/// A call from its arrival until hyper has taken the last of its answer.
pub struct Call(Activity);

impl Call {
    pub fn until_sent(self, body: Body) -> Body {
        Body::new(Held { body, _call: self })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Held {
    body: Body,
    _call: Call,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
