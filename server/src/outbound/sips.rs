//! Answers that are taken in sips: of ten seconds of sound a few kilobytes are here, and the rest waits in the provider's socket until the call has
//! room. reqwest's connections read ahead, up to 400 kB for each call, and keep buffers of that size while they idle; it has no setting for that.
//! So this is a client of the parts that reqwest is made of, with its way to find a proxy and to trust a certificate.

use super::{Trouble, USER_AGENT_NAME};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use reqwest::{Body, Response};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower::Service;

/// What is read at once, and the most that a head may have: a third of a second of sound.
const BUFFER: usize = 16 * 1_024;

pub struct Sips {
    client: Client<HttpsConnector<Way>, Body>,
    proxies: Arc<Matcher>,
    /// For proxies that are themselves spoken to by TLS or SOCKS.
    other: reqwest::Client,
}

impl Sips {
    /// `connect`: how long a connection may take. `other` is of [`super::client`].
    pub fn new(other: reqwest::Client, connect: Duration) -> Result<Sips, String> {
        Sips::through(Matcher::from_env(), other, connect)
    }

    fn through(
        proxies: Matcher,
        other: reqwest::Client,
        connect: Duration,
    ) -> Result<Sips, String> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(connect));
        tcp.set_nodelay(true);
        // Of TLS connections it makes the first half.
        tcp.enforce_http(false);
        let proxies = Arc::new(proxies);
        let way = Way {
            tcp,
            proxies: proxies.clone(),
        };
        let tls = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(|_| "the HTTP client cannot be built".to_owned())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(way);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(BUFFER)
            .build(tls);
        Ok(Sips {
            client,
            proxies,
            other,
        })
    }

    /// Redirects are not followed: they are answers as any other.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, Trouble> {
        let request = request.build().map_err(|error| Trouble::from(&error))?;
        let mut request: Request<Body> = request.try_into().map_err(|_| Trouble::Other)?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, USER_AGENT_NAME);
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(proxy) = self.proxies.intercept(request.uri()) {
            if proxy.uri().scheme() != Some(&Scheme::HTTP) {
                let request = request.try_into().map_err(|_| Trouble::Other)?;
                let sent = self.other.execute(request).await;
                return sent.map_err(|error| Trouble::from(&error));
            }
            // A proxy that passes plain requests on reads its own header in each; to one that makes a tunnel it was said at the beginning.
            if request.uri().scheme() == Some(&Scheme::HTTP)
                && let Some(auth) = proxy.basic_auth()
            {
                request
                    .headers_mut()
                    .insert(PROXY_AUTHORIZATION, auth.clone());
            }
        }
        match self.client.request(request).await {
            Ok(response) => Ok(response.map(Body::wrap::<Incoming>).into()),
            Err(error) if error.is_connect() => Err(Trouble::Connection),
            Err(_) => Err(Trouble::Other),
        }
    }
}

/// The way to a provider: straight, or by the proxy that the environment names.
#[derive(Clone)]
struct Way {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Way {
    type Response = Wire;
    type Error = Failure;
    type Future = futures::future::BoxFuture<'static, Result<Wire, Failure>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let mut tcp = self.tcp.clone();
        let Some(proxy) = self.proxies.intercept(&to) else {
            return Box::pin(async move { Ok(Wire::new(tcp.call(to).await?, false)) });
        };
        if to.scheme() == Some(&Scheme::HTTP) {
            return Box::pin(
                async move { Ok(Wire::new(tcp.call(proxy.uri().clone()).await?, true)) },
            );
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        Box::pin(async move { Ok(Wire::new(tunnel.call(to).await?, false)) })
    }
}

/// A connection that knows whether it ends at a proxy, which is asked in another form.
struct Wire {
    io: TokioIo<TcpStream>,
    proxied: bool,
}

impl Wire {
    fn new(io: TokioIo<TcpStream>, proxied: bool) -> Wire {
        Wire { io, proxied }
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.proxied)
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, into)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Answers one connection with these bytes. Gives its address, and in the end what it was asked.
    async fn stand_in(answer: Vec<u8>) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut asked = Vec::new();
            let mut piece = [0; 1_024];
            while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                let length = stream.read(&mut piece).await.expect("a request");
                assert!(length > 0, "the connection ended");
                asked.extend_from_slice(&piece[..length]);
            }
            // Whoever hangs up in the middle has heard enough.
            let _ = stream.write_all(&answer).await;
            String::from_utf8_lossy(&asked).into_owned()
        });
        (address, asked)
    }

    async fn post(sips: &Sips, url: &str) -> Result<Response, Trouble> {
        sips.send(sips.other.post(url).json(&1)).await
    }

    fn straight() -> Sips {
        let other = super::super::client(PATIENCE).expect("a client");
        Sips::through(Matcher::builder().build(), other, PATIENCE).expect("a client")
    }

    fn proxied(proxy: &str) -> Sips {
        let proxies = Matcher::builder()
            .all(format!("http://ada:secret@{proxy}"))
            .build();
        Sips::through(proxies, straight().other, PATIENCE).expect("a client")
    }

    #[tokio::test]
    async fn no_piece_is_larger_than_the_buffer_and_the_whole_comes() {
        let size = 2_000_000;
        let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + size, 7);
        let (address, _) = stand_in(answer).await;
        let sips = straight();
        let response = post(&sips, &format!("http://{address}/"))
            .await
            .expect("an answer");
        assert_eq!(response.content_length(), Some(size as u64));
        let mut pieces = response.bytes_stream();
        let (mut sum, mut largest) = (0, 0);
        while let Some(piece) = pieces.next().await {
            let piece = piece.expect("a piece");
            // So long as nobody takes one, the provider fills the socket.
            tokio::task::yield_now().await;
            sum += piece.len();
            largest = largest.max(piece.len());
        }
        assert_eq!(sum, size);
        assert!(largest <= BUFFER, "{largest}");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_nobody_there_is_no_connection() {
        let moved =
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
        let (address, asked) = stand_in(moved.to_vec()).await;
        let sips = straight();
        let response = post(&sips, &format!("http://{address}/v1?x=1")).await;
        assert_eq!(response.expect("an answer").status(), 302);
        let asked = asked.await.expect("a request");
        assert!(asked.starts_with("POST /v1?x=1 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("user-agent: karta-server/"), "{asked}");
        assert!(asked.contains("content-type: application/json"), "{asked}");
        let (address, asked) = stand_in(moved.to_vec()).await;
        let response = post(&sips, &format!("http://ada:secret@{address}/")).await;
        assert_eq!(response.expect("an answer").status(), 302);
        let asked = asked.await.expect("a request").to_ascii_lowercase();
        assert!(
            asked.contains(
                "authorization: basic ywrhonnly3jldA=="
                    .to_ascii_lowercase()
                    .as_str()
            ),
            "{asked}"
        );
        assert!(!asked.contains("ada:"), "{asked}");
        let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = nobody.local_addr().expect("an address");
        drop(nobody);
        let refused = post(&sips, &format!("http://{address}/")).await;
        assert_eq!(refused.expect_err("nobody"), Trouble::Connection);
    }

    #[tokio::test]
    async fn a_proxy_passes_plain_requests_on_and_tunnels_the_others() {
        let fine = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        let (proxy, asked) = stand_in(fine.to_vec()).await;
        let answer = post(&proxied(&proxy), "http://voice.invalid/v1").await;
        assert_eq!(answer.expect("the proxy's answer").status(), 200);
        let asked = asked.await.expect("a request");
        assert!(
            asked.starts_with("POST http://voice.invalid/v1 HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(
            asked.contains("proxy-authorization: Basic YWRhOnNlY3JldA=="),
            "{asked}"
        );

        let (proxy, asked) = stand_in(b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec()).await;
        let refused = post(&proxied(&proxy), "https://voice.invalid/v1").await;
        assert_eq!(refused.expect_err("no tunnel"), Trouble::Connection);
        let asked = asked.await.expect("a request");
        assert!(
            asked.starts_with("CONNECT voice.invalid:443 HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(
            asked.to_ascii_lowercase().contains(
                "proxy-authorization: basic ywrhonnly3jldA=="
                    .to_ascii_lowercase()
                    .as_str()
            ),
            "{asked}"
        );
        assert!(
            !asked.contains("/v1"),
            "what is asked there is not the proxy's business: {asked}"
        );
    }
}
