//! What only a socket shows: connections that say nothing or little, and a stop with open streams.

use crate::server::{API, PAGE, Server};
use karta_server::listen;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub async fn listening(server: &Server, max_connections: usize) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = listen::serve(
        listener,
        server.router.clone(),
        max_connections,
        server.app.stopping.clone(),
    );
    (address, tokio::spawn(serving))
}

pub async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(text.as_bytes()).await.expect("sent");
    stream
}

/// Reads until `text` has come or the other end closes.
pub async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut got = String::new();
    let mut buffer = [0; 4096];
    let reading = async {
        while !got.contains(text) {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n) => got.push_str(&String::from_utf8_lossy(&buffer[..n])),
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(40), reading).await;
    got
}

#[tokio::test]
async fn requests_are_served_and_the_connection_is_kept() {
    let server = Server::start().await;
    let (address, _serving) = listening(&server, 10).await;
    let mut stream = send(address, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(
        read_until(&mut stream, "\"ok\"")
            .await
            .starts_with("HTTP/1.1 200")
    );
    stream
        .write_all(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    assert!(
        read_until(&mut stream, "not_found")
            .await
            .starts_with("HTTP/1.1 404")
    );
}

#[tokio::test]
async fn slow_connections_are_closed() {
    let server = Server::start().await;
    let (address, _serving) = listening(&server, 100).await;
    let started = Instant::now();
    let drip = tokio::spawn(async move {
        let mut stream = send(address, "GET /healthz HTTP/1.1\r\n").await;
        // One byte a second: activity must not prolong the time for the headers.
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if stream.write_all(b"x").await.is_err() {
                break;
            }
        }
    });
    let mut silent = send(address, "").await;
    let mut half = send(address, "GET /healthz HTT").await;
    let mut idle = send(address, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (silent, half, idle, _) = tokio::join!(
        read_until(&mut silent, "?"),
        read_until(&mut half, "?"),
        read_until(&mut idle, "?"),
        drip
    );
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(silent, "");
    assert!(!half.contains("200") && idle.contains("200"));
}

#[tokio::test]
async fn a_full_server_goes_on_when_a_place_is_free() {
    let server = Server::start().await;
    let (address, _serving) = listening(&server, 1).await;
    let first = send(address, "GET /he").await;
    let mut second = send(address, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut buffer = [0; 1];
    let early = tokio::time::timeout(Duration::from_millis(300), second.read(&mut buffer)).await;
    assert!(early.is_err(), "no place yet");
    drop(first);
    assert!(read_until(&mut second, "\"ok\"").await.contains("200"));
}

#[tokio::test]
async fn a_stop_ends_streams_and_lets_requests_end() {
    let server = Server::start().await;
    let (address, serving) = listening(&server, 100).await;
    let (token, session) = server.session().await;
    let mut stream = send(address, &format!("GET {API}/sessions/{session}/events/stream HTTP/1.1\r\nhost: x\r\norigin: {PAGE}\r\nauthorization: Bearer {token}\r\n\r\n")).await;
    assert!(
        read_until(&mut stream, "session.synced")
            .await
            .contains("text/event-stream")
    );
    let mut idle = send(address, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut idle, "\"ok\"").await;
    let silent = send(address, "").await;
    let started = Instant::now();
    server.app.stopping.cancel();
    serving.await.expect("ended");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    read_until(&mut stream, "?").await;
    drop(silent);
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn half_a_request_does_not_delay_a_stop() {
    let server = Server::start().await;
    let (address, serving) = listening(&server, 100).await;
    let mut begun = send(address, "GET /healthz HTTP/1.1\r\nhost: x\r\nx-part").await;
    let mut second = send(address, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut second, "\"ok\"").await;
    second.write_all(b"GET /he").await.expect("sent");
    // Only a head that has been read in part is the case in question.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = Instant::now();
    server.app.stopping.cancel();
    serving.await.expect("ended");
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(read_until(&mut begun, "?").await, "");
}

#[tokio::test]
async fn a_stop_lets_an_answer_end_that_is_read_slowly() {
    // More than the socket's buffers hold, so most of it still waits to be read when the stop comes.
    const SIZE: usize = 20_000_000;
    let big = axum::routing::get(|| async { vec![b'x'; SIZE] });
    let router = axum::Router::new().route("/big", big);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stopping = tokio_util::sync::CancellationToken::new();
    let serving = tokio::spawn(listen::serve(listener, router, 10, stopping.clone()));
    let mut stream = send(address, "GET /big HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut start = [0; 1];
    stream.read_exact(&mut start).await.expect("an answer");
    stopping.cancel();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.expect("readable");
    assert!(got.len() > SIZE, "{} bytes", got.len());
    serving.await.expect("ended");
}
