//! What hyper refuses by itself (a request line that is none, headers beyond the bound) never reaches the router, and hyper
//! answers it with a bare status. This stream puts the documented error body into that answer on its way out.
//!
//! hyper stays the only parser of requests: nothing is read here that hyper would read in another way. Its own answer is known
//! by its shape, which no answer of the router has: an error without a body and without a request id.

use crate::border;
use axum::http::StatusCode;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long, and how much, is still read from a client that was refused. To close over unread bytes is a reset, and a reset
/// takes the answer away from a client that is still sending.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_MAX_BYTES: usize = 1024 * 1024;

const NO_BODY: &str = "content-length: 0\r\n";

pub struct Refusing<S> {
    stream: S,
    refusal: Option<Refusal>,
}

struct Refusal {
    answer: Vec<u8>,
    written: usize,
    /// Some once the answer is out and the end of it told.
    lingering: Option<Pin<Box<Sleep>>>,
    /// Bytes that may still be read and thrown away.
    budget: usize,
}

impl<S> Refusing<S> {
    pub fn new(stream: S) -> Refusing<S> {
        Refusing {
            stream,
            refusal: None,
        }
    }
}

impl<S: AsyncWrite + Unpin> Refusing<S> {
    /// Some: these bytes are hyper's own answer, and ours is written in their place.
    fn poll_refusal(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Option<Poll<io::Result<usize>>> {
        if self.refusal.is_none() {
            self.refusal = Some(Refusal {
                answer: in_place_of(bytes)?,
                written: 0,
                lingering: None,
                budget: LINGER_MAX_BYTES,
            });
        }
        let refusal = self.refusal.as_mut()?;
        while refusal.written < refusal.answer.len() {
            let left = &refusal.answer[refusal.written..];
            match Pin::new(&mut self.stream).poll_write(cx, left) {
                Poll::Ready(Ok(0)) => {
                    return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(written)) => refusal.written += written,
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        Some(Poll::Ready(Ok(bytes.len())))
    }
}

/// None: no answer of hyper's own.
fn in_place_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = std::str::from_utf8(bytes).ok()?;
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| head.strip_prefix("HTTP/1.0 "))?
        .get(..3)?
        .parse::<StatusCode>()
        .ok()?;
    let alone = head.find("\r\n\r\n") == Some(head.len() - 4);
    if !status.is_client_error() || !alone || head.contains(border::REQUEST_ID) {
        return None;
    }
    let (before, after) = head.split_once(NO_BODY)?;
    let (request_id, body) = border::refuse_unread(status);
    Some(
        format!(
            "{before}content-type: application/json\r\ncontent-length: {}\r\ncache-control: no-store\r\naccess-control-allow-origin: *\r\n{}: {request_id}\r\n{after}{body}",
            body.len(),
            border::REQUEST_ID,
        )
        .into_bytes(),
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Refusing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Refusing<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.poll_refusal(cx, bytes) {
            Some(written) => written,
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // An answer without a body is one slice.
        if let [head] = slices
            && let Some(written) = self.poll_refusal(cx, head)
        {
            return written;
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Refusing { stream, refusal } = &mut *self;
        let Some(refusal) = refusal else {
            return Pin::new(stream).poll_shutdown(cx);
        };
        if refusal.lingering.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        let lingering = refusal
            .lingering
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        let mut bytes = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) => match buffer.filled().len() {
                    read if read > 0 && read < refusal.budget => refusal.budget -= read,
                    _ => return Poll::Ready(Ok(())),
                },
                // It has hung up, which is all that was waited for.
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(())),
                Poll::Pending => return lingering.as_mut().poll(cx).map(Ok),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const BARE: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n";

    #[test]
    fn only_a_bare_refusal_is_replaced() {
        fn check(head: &str, replaced: bool) {
            assert_eq!(in_place_of(head.as_bytes()).is_some(), replaced, "{head}");
        }
        check(BARE, true);
        check(&BARE.replace("1.1 400", "1.0 431"), true);
        check(&BARE.replace("400", "200"), false);
        check("HTTP/1.1 100 Continue\r\n\r\n", false);
        // The router's own 404 to a HEAD, and a bare refusal that follows the rest of another answer.
        check(&BARE.replace("date:", "x-request-id: r_1\r\ndate:"), false);
        check(&format!("rest\r\n\r\n{BARE}"), false);
        check(&format!("{BARE}more"), false);
        check("", false);
    }

    #[tokio::test]
    async fn the_answer_arrives_whole_through_the_narrowest_pipe() {
        let (near, mut far) = duplex(1);
        let reader = tokio::spawn(async move {
            let mut got = String::new();
            far.read_to_string(&mut got).await.expect("readable");
            got
        });
        let mut near = Refusing::new(near);
        near.write_all(BARE.as_bytes()).await.expect("written");
        near.shutdown().await.expect("closed");
        drop(near);
        let got = reader.await.expect("read to the end");
        let (head, body) = got.split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"));
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        assert!(body.contains("request_invalid"), "{body}");
    }

    #[tokio::test]
    async fn a_refused_client_is_read_from_for_a_while_and_not_for_ever() {
        let (near, mut far) = duplex(1 << 16);
        let mut near = Refusing::new(near);
        near.write_all(BARE.as_bytes()).await.expect("written");
        let flood = tokio::spawn(async move {
            let mut sent = 0;
            while far.write_all(&[b'x'; 1024]).await.is_ok() {
                sent += 1024;
            }
            sent
        });
        near.shutdown().await.expect("closed");
        drop(near);
        let sent = flood.await.expect("ended");
        assert!((LINGER_MAX_BYTES..2 * LINGER_MAX_BYTES).contains(&sent));

        let (near, far) = duplex(1 << 16);
        let mut near = Refusing::new(near);
        near.write_all(BARE.as_bytes()).await.expect("written");
        let started = tokio::time::Instant::now();
        near.shutdown().await.expect("closed");
        assert!(started.elapsed() >= LINGER);
        drop(far);
    }
}
