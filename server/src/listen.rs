//! The accept loop. `axum::serve` has no bound on how long a client may take, so this one serves hyper connections itself: a
//! connection must send its first byte, its headers and read its answer in time, and there are only so many.
//!
//! HTTP/1.1 only: TLS and HTTP/2 are the reverse proxy's business, and every proxy speaks HTTP/1.1 to its upstream.

use crate::auth::caller::Peer;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// From accept to the first byte, and from the first byte (or the last answer) to the end of the headers.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may leave an answer unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open requests may take to end once the server stops. Streams end by themselves at once.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// Longest head of a request. The largest of ours, with token and cookies of a careless host page, is far below.
const HEAD_MAX_BYTES: usize = 64 * 1024;

/// Serves until `stopping` is cancelled, then lets open requests end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    stopping: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
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
        let router = router.clone();
        let watcher = graceful.watcher();
        let stopping = stopping.clone();
        tokio::spawn(async move {
            let _slot = slot;
            let first_byte = tokio::time::timeout(HEADERS_TIMEOUT, stream.readable());
            let sent = tokio::select! {
                sent = first_byte => matches!(sent, Ok(Ok(()))),
                () = stopping.cancelled() => false,
            };
            if !sent {
                return;
            }
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(Peer(peer));
                router.clone().oneshot(request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS_TIMEOUT)
                .max_buf_size(HEAD_MAX_BYTES)
                .serve_connection(TokioIo::new(Timed::new(stream, WRITE_TIMEOUT)), service);
            // What goes wrong here (a reset, a timeout, rubbish instead of HTTP) is the client's; requests log themselves.
            let _ = watcher.watch(connection).await;
        });
    }
    drop(listener);
    if tokio::time::timeout(STOP_GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end in time and are cut");
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

/// A stream whose writes fail once the other end has not read for so long. hyper has no such timeout.
struct Timed<S> {
    stream: S,
    patience: Duration,
    /// Some while a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    fn new(stream: S, patience: Duration) -> Timed<S> {
        Timed {
            stream,
            patience,
            deadline: None,
        }
    }

    fn timed<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let patience = self.patience;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + patience)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.timed(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.timed(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.timed(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const PATIENCE: Duration = Duration::from_millis(400);

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_given_up() {
        let (near, _far) = duplex(16);
        let started = Instant::now();
        let written = Timed::new(near, PATIENCE).write_all(&[0; 64]).await;
        assert_eq!(
            written.expect_err("refused").kind(),
            io::ErrorKind::TimedOut
        );
        assert!(started.elapsed() >= PATIENCE);
    }

    #[tokio::test]
    async fn a_reader_that_takes_a_little_now_and_then_is_not() {
        let (near, mut far) = duplex(16);
        let reader = tokio::spawn(async move {
            let mut buffer = [0; 16];
            while far.read(&mut buffer).await.expect("readable") > 0 {
                tokio::time::sleep(PATIENCE / 4).await;
            }
        });
        let mut near = Timed::new(near, PATIENCE);
        near.write_all(&[0; 160]).await.expect("written");
        drop(near);
        reader.await.expect("read to the end");
    }
}
