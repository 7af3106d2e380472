//! What is no HTTP, or too much of it: an error body like any other, or a closed connection; never a 5xx, never a hang.

use crate::server::{API, PAGE, Server};
use crate::socket::{listening, read_until, send};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One answer as it came over the wire.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// The code of the documented body.
    #[track_caller]
    fn code(&self) -> String {
        let json: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        let id = json["error"]["request_id"].as_str().expect("a request id");
        assert!(
            self.head.contains(&format!("x-request-id: {id}")),
            "{self:?}"
        );
        assert!(
            self.head.contains("content-type: application/json"),
            "{self:?}"
        );
        assert_ne!(json["error"]["message"].as_str(), None, "{self:?}");
        json["error"]["code"].as_str().expect("a code").to_owned()
    }
}

/// Takes apart everything that came on one connection. An answer that is cut is a fault; an event stream has no end and is one
/// answer with what there is.
fn answers(got: &str) -> Vec<Answer> {
    let (whole, mut got) = (got, got);
    let mut all = Vec::new();
    while !got.is_empty() {
        let (head, rest) = got.split_once("\r\n\r\n").expect("a whole head");
        let status = head
            .get(9..12)
            .and_then(|digits| digits.parse().ok())
            .unwrap_or_else(|| panic!("no status in {head:?} of {whole:?}"));
        let length = match head.split_once("\r\ncontent-length: ") {
            Some((_, after)) => after.split("\r\n").next().expect("a line").parse(),
            None if status == 100 => Ok(0),
            None => Ok(rest.len()),
        }
        .expect("a length");
        all.push(Answer {
            status,
            head: head.to_owned(),
            body: rest.get(..length).expect("a whole body").to_owned(),
        });
        got = &rest[length..];
    }
    all
}

#[tokio::test]
async fn what_is_no_http_gets_the_documented_error() {
    let server = Server::start().await;
    let (address, _serving) = listening(&server, 100).await;
    let many = "x-a: b\r\n".repeat(101);
    let long = format!("x-a: {}\r\n", "b".repeat(200_000));
    let path = format!("GET /{} HTTP/1.1\r\n\r\n", "p".repeat(200_000));
    for (text, status, code) in [
        ("GET\r\n\r\n", 400, "request_invalid"),
        ("\0\0\0\0\r\n\r\n", 400, "request_invalid"),
        ("\x16\x03\x01\x02\0\x01\0", 400, "request_invalid"),
        ("GET / HTTP/9.9\r\n\r\n", 400, "request_invalid"),
        ("GET  /  HTTP/1.1\r\n\r\n", 400, "request_invalid"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "request_invalid"),
        ("GET / HTTP/1.1\r\nx: \0\r\n\r\n", 400, "request_invalid"),
        ("GET / HTTP/1.1\r\n: x\r\n\r\n", 400, "request_invalid"),
        (
            "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
            400,
            "request_invalid",
        ),
        (
            "GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            400,
            "request_invalid",
        ),
        (
            &format!("GET / HTTP/1.1\r\n{many}\r\n"),
            431,
            "payload_too_large",
        ),
        (
            &format!("GET / HTTP/1.1\r\n{long}\r\n"),
            431,
            "payload_too_large",
        ),
        (&path, 431, "payload_too_large"),
    ] {
        let mut stream = send(address, text).await;
        let got = answers(&read_until(&mut stream, "\u{0}").await);
        let [answer] = &got[..] else {
            panic!("{text:.80?}: {got:?}")
        };
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{text:.80?}"
        );
        assert!(answer.head.contains("connection: close"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_request_before_the_rubbish_is_still_answered() {
    let server = Server::start().await;
    let (address, _serving) = listening(&server, 100).await;
    for pipelined in [true, false] {
        let good = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
        let mut stream = send(address, good).await;
        let mut got = String::new();
        if !pipelined {
            got = read_until(&mut stream, "\"ok\"}").await;
        }
        stream.write_all(b"nonsense\r\n\r\n").await.expect("sent");
        got.push_str(&read_until(&mut stream, "\u{0}").await);
        let got = answers(&got);
        let codes: Vec<u16> = got.iter().map(|answer| answer.status).collect();
        assert_eq!(codes, [200, 400]);
        assert_eq!(got[1].code(), "request_invalid");
    }
}

#[tokio::test]
async fn who_never_stops_sending_headers_reads_why_it_was_refused() {
    let server = Server::start().await;
    let (address, _serving) = listening(&server, 100).await;
    let mut stream = send(address, "GET / HTTP/1.1\r\nhost: x\r\n").await;
    for n in 0..5_000 {
        let line = format!("x-{n}: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
        if stream.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let got = answers(&read_until(&mut stream, "\u{0}").await);
    assert_eq!(
        (got[0].status, got[0].code().as_str()),
        (431, "payload_too_large")
    );
    let mut stream = send(address, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(read_until(&mut stream, "\"ok\"").await.contains("200"));
}

/// Requests as they should be, for the fuzzer to spoil.
fn good_requests(server: &Server, token: &str, session: &str) -> Vec<Vec<u8>> {
    let key = &server.key.public_key;
    let head = format!(
        "host: x\r\norigin: {PAGE}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json"
    );
    let guest = format!("{{\"client_key\":\"{key}\"}}");
    let said = "{\"type\":\"user.message\",\"id\":\"m1\",\"text\":\"wait\"}";
    [
        format!("GET {API}/config?client_key={key} HTTP/1.1\r\n{head}\r\n\r\n"),
        format!(
            "POST {API}/auth/guest HTTP/1.1\r\n{head}\r\ncontent-length: {}\r\n\r\n{guest}",
            guest.len()
        ),
        format!(
            "POST {API}/auth/guest HTTP/1.1\r\n{head}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{guest}\r\n0\r\n\r\n",
            guest.len()
        ),
        format!(
            "POST {API}/sessions/{session}/events HTTP/1.1\r\n{head}\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n{said}",
            said.len()
        ),
        "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\n\r\nGET /nothing HTTP/1.0\r\n\r\n".to_owned(),
        format!("OPTIONS {API}/sessions HTTP/1.1\r\nhost: x\r\norigin: {PAGE}\r\naccess-control-request-method: POST\r\n\r\n"),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn spoil(request: &mut Vec<u8>, rng: &mut StdRng) {
    const PIECES: [&[u8]; 18] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\0",
        b" ",
        b":",
        b"\t",
        b"\xff\xfe",
        b"HTTP/2.0",
        b"HTTP/1.",
        b"content-length: 18446744073709551616\r\n",
        b"transfer-encoding: gzip, chunked\r\n",
        b"transfer-encoding: chunked\r\n",
        b"content-length: 5\r\n",
        b"\r\n folded",
        b"upgrade: websocket\r\nconnection: upgrade\r\n",
        b"FFFFFFFFFFFFFFFF\r\n",
    ];
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=request.len());
        match rng.random_range(0..7) {
            0 => request.truncate(at),
            1 => {
                let piece = PIECES.choose(rng).expect("pieces");
                request.splice(at..at, piece.iter().copied());
            }
            2 if at < request.len() => request[at] = rng.random(),
            3 if at < request.len() => request[at] ^= 1 << rng.random_range(0..8),
            4 => {
                let end = rng.random_range(at..=request.len());
                request.drain(at..end);
            }
            5 => {
                let again = request[..at].to_vec();
                request.extend(again);
            }
            _ => {
                let many = rng.random_range(1..3_000);
                request.splice(at..at, std::iter::repeat_n(b'a', many));
            }
        }
    }
}

async fn tell(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    // A server that has closed already has said why, or has nothing to say.
    let _ = stream.write_all(request).await;
    // Else half a request would be waited for. The server may take it for a hang-up and say nothing.
    let _ = stream.shutdown().await;
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got).await;
    String::from_utf8_lossy(&got).into_owned()
}

/// `KARTA_TEST_LONG` makes it 200,000.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_spoiled_requests_never_fail_the_server() {
    let server = Server::start().await;
    let (address, _serving) = listening(&server, 1_000).await;
    let (token, session) = server.session().await;
    let good = good_requests(&server, &token, &session);
    let count = match std::env::var_os("KARTA_TEST_LONG") {
        Some(_) => 200_000,
        None => 4_000,
    };
    let started = std::time::Instant::now();
    let workers: Vec<_> = (0..16u64)
        .map(|seed| {
            let good = good.clone();
            tokio::spawn(async move {
                let mut rng = StdRng::seed_from_u64(seed);
                let (mut refused, mut silent) = (0, 0);
                for _ in 0..count / 16 {
                    let mut request = good.choose(&mut rng).expect("requests").clone();
                    spoil(&mut request, &mut rng);
                    let shown = String::from_utf8_lossy(&request).into_owned();
                    let got =
                        tokio::time::timeout(Duration::from_secs(15), tell(address, &request));
                    let got = got
                        .await
                        .unwrap_or_else(|_| panic!("a hang over {shown:?}"));
                    silent += usize::from(got.is_empty());
                    for answer in answers(&got) {
                        assert!(answer.status < 500, "{shown:?}: {answer:?}");
                        if answer.status >= 400 && !shown.contains("HEAD ") {
                            answer.code();
                            refused += 1;
                        }
                    }
                }
                (refused, silent)
            })
        })
        .collect();
    let (mut refused, mut silent) = (0, 0);
    for worker in workers {
        let counted = worker.await.expect("no worker failed");
        (refused, silent) = (refused + counted.0, silent + counted.1);
    }
    println!(
        "{count} spoiled requests, {refused} refused, {silent} closed without a word, {:?}",
        started.elapsed()
    );
    assert!(refused > count / 4, "the requests are spoiled at all");
    // Not by `tell`: who closes his side right behind the request may be taken for gone.
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let mut got = String::new();
    stream.read_to_string(&mut got).await.expect("read");
    assert!(got.contains("200"), "{got}");
}
