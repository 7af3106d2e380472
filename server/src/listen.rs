//! The accept loop. `axum::serve` has no bound on how long a client may take, so this one serves hyper connections itself: a
//! connection must send its first byte, its headers and read its answer in time, and there are only so many.
//!
//! HTTP/1.1 only: TLS and HTTP/2 are the reverse proxy's business, and every proxy speaks HTTP/1.1 to its upstream.

use crate::auth::caller::Peer;
use activity::Activity;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use refusal::Refusing;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use timed::Timed;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

mod activity;
mod refusal;
mod timed;

/// From accept to the first byte, and from the first byte (or the last answer) to the end of the headers.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may leave an answer unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open requests may take to end once the server stops. Streams end by themselves at once.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// How long the rest of a request's head may take to come once the server stops.
const HALF_HEAD_GRACE: Duration = Duration::from_millis(200);
/// Longest head of a request. The largest of ours, with token and cookies of a careless host page, is far below.
const HEAD_MAX_BYTES: usize = 64 * 1024;

/// Serves until `stopping` is cancelled, then lets open requests end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    stopping: CancellationToken,
) {
    let connections = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(max_connections));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            () = stopping.cancelled() => break,
        };
        let (stream, peer, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: waiting lets some connections end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (router, stopping) = (router.clone(), stopping.clone());
        connections.spawn(async move {
            let _slot = slot;
            connection(stream, peer, router, stopping).await;
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(STOP_GRACE, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end in time and are cut");
    }
}

/// One connection, to its end.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    stopping: CancellationToken,
) {
    let first_byte = tokio::time::timeout(HEADERS_TIMEOUT, stream.readable());
    let sent = tokio::select! {
        sent = first_byte => matches!(sent, Ok(Ok(()))),
        () = stopping.cancelled() => false,
    };
    if !sent {
        return;
    }
    let activity = Activity::default();
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        let (router, call) = (router.clone(), activity.begin());
        async move {
            let answer = router.oneshot(request).await;
            answer.map(|answer| answer.map(|body| call.until_sent(body)))
        }
    });
    let stream = Refusing::new(Timed::new(stream, WRITE_TIMEOUT, activity.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // What goes wrong here (a reset, a timeout, rubbish instead of HTTP) is the client's; requests log themselves.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    // Between two calls hyper has closed already; while a call is answered it closes after the answer; left is half a head.
    let closed = tokio::time::timeout(HALF_HEAD_GRACE, connection.as_mut()).await;
    if closed.is_err() && activity.is_answering() {
        let _ = connection.await;
    }
}

/// A connection and its place. Waits for a place first, so a flood waits in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let slot = slots
        .clone()
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Deltas are small and must not wait for the previous one's acknowledgement.
    stream.set_nodelay(true)?;
    Ok((stream, peer, slot))
}
