//! The server binary under fire while a call goes on in another session: malformed SDP, fragments, STUN, DTLS, RTP and frames, over its real
//! ports. No panic, no 5xx, and the call hears nothing of it: its pongs and its audio keep coming.
//!
//! Each run sends the same. `KARTA_TEST_LONG=1` (`./build.sh test --long`) sends forty times as much; `KARTA_FUZZ_SEED` something else.

#[path = "../../examples/load/client.rs"]
#[expect(dead_code, reason = "the load client uses more of it")]
mod client;
#[path = "../../examples/load/process.rs"]
mod process;
#[path = "../../examples/load/provider.rs"]
mod provider;

use client::{Api, Failure, Link, Pace, Seen, Visitor};
use process::Process;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

const ORIGIN: &str = "https://fuzz.example";
/// Ten seconds a sentence: the agent speaks all the while.
const ANSWER: &str = "One two three. Two three four. Three four five. Four five six. Five six seven. Six seven eight. Seven eight nine. Eight nine ten. Nine ten one. Ten one two.";
const OFFERS: [&str; 6] = [
    include_str!("../../../fixtures/sdp/chromium-audio-channel.sdp"),
    include_str!("../../../fixtures/sdp/chromium-audio-channel-gathered.sdp"),
    include_str!("../../../fixtures/sdp/chromium-simulcast-camera-channel.sdp"),
    include_str!("../../../fixtures/sdp/chromium-channel-only.sdp"),
    include_str!("../../../fixtures/sdp/firefox-audio-channel-gathered.sdp"),
    include_str!("../../../fixtures/sdp/firefox-audio-video-channel.sdp"),
];
const FRAGMENT: &str = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\na=end-of-candidates\r\n";
const FRAMES: [&str; 8] = [
    r#"{"type":"hello","after":0}"#,
    r#"{"type":"hello","after":18446744073709551615}"#,
    r#"{"type":"user.message","id":"m1","text":"hi"}"#,
    r#"{"type":"user.feedback","part_id":"p_1","rating":"up"}"#,
    r#"{"type":"voice.start"}"#,
    r#"{"type":"voice.mute"}"#,
    r#"{"type":"voice.end"}"#,
    r#"{"type":"user.interrupt"}"#,
];

fn volume(short: usize) -> usize {
    match std::env::var_os("KARTA_TEST_LONG") {
        Some(_) => short * 40,
        None => short,
    }
}

fn random(salt: u64) -> StdRng {
    let seed = std::env::var("KARTA_FUZZ_SEED").ok();
    let seed: u64 = seed.and_then(|seed| seed.parse().ok()).unwrap_or(1);
    StdRng::seed_from_u64(seed.wrapping_add(salt << 32))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_malformed_input_disturbs_a_call_in_another_session() {
    let data = tempfile::tempdir().expect("a folder");
    let provider = provider::start(ANSWER).await.expect("a provider");
    let variables = [
        ("KARTA_LOG", "warn"),
        ("KARTA_LIMITS", "off"),
        ("OPENAI_BASE_URL", provider.as_str()),
        ("OPENAI_API_KEY", "sk-fuzz"),
        ("OPENAI_STT_MODEL", "stand-in"),
        ("OPENAI_TTS_MODEL", "stand-in"),
    ];
    let binary = Path::new(env!("CARGO_BIN_EXE_karta-server"));
    let server = Process::start(binary, data.path(), &variables)
        .await
        .expect("started");
    let api = Api {
        http: reqwest::Client::new(),
        base: format!("{}/api/v1/widget", server.http),
        origin: ORIGIN.into(),
        key: server.seed(ORIGIN).await.expect("a key"),
    };
    let over = CancellationToken::new();
    let (call, sample) = call(&api).await.expect("a call");
    let call = tokio::spawn(live(call, over.clone()));

    let (offers, patches, packets, (own, links), frames) = tokio::join!(
        malformed_offers(&api, volume(250)),
        malformed_patches(&api, volume(250)),
        malformed_packets(&server.udp, &sample, volume(10_000)),
        malformed_packets_of_a_caller(&api, &server.udp, volume(5_000)),
        malformed_frames(&api, volume(150)),
    );
    over.cancel();
    let seen = call.await.expect("no panic").expect("the call went on");
    eprintln!(
        "offers {offers:?}\npatches {patches:?}\n{packets} packets of strangers, {own} of {links} callers, {frames} frames; the call: {} of {} pongs, {} packets of audio, {} lost, longest gap {:.0} ms",
        seen.pongs_ms.len(),
        seen.pings,
        seen.transits_ms.len(),
        seen.lost(),
        seen.gap_ms
    );
    let metrics = api.http.get(&server.metrics).send().await;
    let metrics = metrics.expect("alive").text().await.expect("text");
    let log = server.stop().await.expect("it stops in order");

    // Fuzzing that is all refused at the door, or never, would prove nothing.
    for (name, statuses) in [("offers", &offers), ("patches", &patches)] {
        assert!(
            statuses.keys().all(|status| *status < 500),
            "{name}: {statuses:?}"
        );
        assert!(
            statuses.contains_key(&400) && statuses.len() > 2,
            "{name}: {statuses:?}"
        );
    }
    assert!(
        offers.contains_key(&201) && patches.contains_key(&204),
        "{offers:?} {patches:?}"
    );
    for line in [
        "karta_panics_total 0",
        "karta_peer_panics_total 0",
        "karta_answers_5xx_total 0",
    ] {
        assert!(
            metrics.lines().any(|have| have == line),
            "{line} in {metrics}"
        );
    }
    assert!(!log.contains("panicked"), "{log}");
    assert!(
        seen.pings >= 10 && seen.pings - seen.pongs_ms.len() as u64 <= 1,
        "{} of {}",
        seen.pongs_ms.len(),
        seen.pings
    );
    let (came, lost) = (seen.transits_ms.len() as u64, seen.lost());
    assert!(
        came >= seen.packets_sent * 8 / 10,
        "{came} packets of audio in the time of {}",
        seen.packets_sent
    );
    assert!(lost * 50 <= came, "{lost} lost of {came}");
}

/// A call in which the agent speaks, and packets of it as an eavesdropper has them.
async fn call(api: &Api) -> Result<(Link, Vec<Vec<u8>>), Failure> {
    let visitor = api.visitor().await?;
    let mut link = api.connect(&visitor).await?;
    link.send(r#"{"type":"voice.start"}"#)?;
    link.until_frame("listening").await?;
    link.send(r#"{"type":"user.message","id":"m1","text":"count"}"#)?;
    link.until("speech", |link| link.heard_at.is_some()).await?;
    link.seen = Seen::default();
    let sample = link.sample.clone();
    Ok((link, sample))
}

/// Goes on with it until told, with a ping every fifth of a second and Opus silence.
async fn live(mut link: Link, over: CancellationToken) -> Result<Seen, Failure> {
    let pace = Pace {
        ping_every: Some(Duration::from_millis(200)),
        audio: vec![vec![0xf8, 0xff, 0xfe]],
    };
    let began = Instant::now();
    let mut answers = 0;
    // At least three seconds, so that there is something to judge.
    while !over.is_cancelled() || began.elapsed() < Duration::from_secs(3) {
        let soon = Instant::now() + Duration::from_millis(100);
        link.run(soon, &pace).await?;
        if link.ended {
            return Err("the call ended".into());
        }
        // An answer is over: another one, so that there is always audio.
        let mut frames = link.frames.iter();
        if frames.any(|(_, frame)| frame.contains("session.status_idle")) {
            link.frames.clear();
            answers += 1;
            link.send(&format!(
                r#"{{"type":"user.message","id":"n{answers}","text":"count"}}"#
            ))?;
        }
    }
    link.run(Instant::now() + Duration::from_secs(1), &Pace::default())
        .await?;
    Ok(link.seen)
}

type Statuses = BTreeMap<u16, usize>;

async fn send(
    api: &Api,
    visitor: &Visitor,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> reqwest::Response {
    let method = method.parse().expect("a method");
    let mut request = api.http.request(method, format!("{}{path}", api.base));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("origin", ORIGIN).bearer_auth(&visitor.token);
    request.body(body).send().await.expect("an answer")
}

async fn malformed_offers(api: &Api, count: usize) -> Statuses {
    let mut random = random(1);
    let mut statuses = Statuses::new();
    let visitor = api.visitor().await.expect("a visitor");
    let path = format!("/sessions/{}/connect", visitor.session);
    for _ in 0..count {
        let body = damaged_text(OFFERS.choose(&mut random).expect("some"), &mut random);
        let kind = match random.random_range(0..20) {
            0 => "application/json",
            1 => "application/sdp; charset=\"",
            _ => "application/sdp",
        };
        let headers = [("content-type", kind)];
        let answer = send(api, &visitor, "POST", &path, &headers, body).await;
        *statuses.entry(answer.status().as_u16()).or_default() += 1;
        if let Some(location) = answer.headers().get("location") {
            // A few of those that were taken are left to themselves, as by a page that is gone.
            let location = location.to_str().expect("text").to_owned();
            let (_, end) = location.split_once("/api/v1/widget").expect("ours");
            if random.random_range(0..100) > 0 {
                send(api, &visitor, "DELETE", end, &[], Vec::new()).await;
            }
        }
    }
    statuses
}

async fn malformed_patches(api: &Api, count: usize) -> Statuses {
    let mut random = random(2);
    let mut statuses = Statuses::new();
    let visitor = api.visitor().await.expect("a visitor");
    let path = format!("/sessions/{}/connect", visitor.session);
    let mut connection: Option<(String, String)> = None;
    for round in 0..count {
        // An offer that is never taken up is forgotten after twenty seconds.
        if connection.is_none() || round % 100 == 0 {
            let headers = [("content-type", "application/sdp")];
            let answer = send(api, &visitor, "POST", &path, &headers, OFFERS[0].into()).await;
            let header = |name: &str| {
                let value = answer.headers().get(name).and_then(|v| v.to_str().ok());
                value.unwrap_or_default().to_owned()
            };
            let location = header("location");
            connection = location
                .split_once("/api/v1/widget")
                .map(|(_, path)| (path.to_owned(), header("etag")));
        }
        let Some((path, tag)) = &connection else {
            continue;
        };
        let tag = match random.random_range(0..6) {
            0 => "\"*\"".to_owned(),
            1 => damaged_ascii(tag, &mut random),
            2 => format!("W/{tag}, \"x\", {tag}"),
            _ => tag.clone(),
        };
        let body = match random.random_range(0..4) {
            0 => FRAGMENT.into(),
            1 => "a=end-of-candidates\r\n".into(),
            _ => damaged_text(FRAGMENT, &mut random),
        };
        let headers = [
            ("content-type", "application/trickle-ice-sdpfrag"),
            ("if-match", tag.as_str()),
        ];
        let answer = send(api, &visitor, "PATCH", path, &headers, body).await;
        *statuses.entry(answer.status().as_u16()).or_default() += 1;
        if matches!(answer.status().as_u16(), 200 | 404) {
            let _ = send(api, &visitor, "DELETE", path, &[], Vec::new()).await;
            connection = None;
        }
    }
    statuses
}

/// From strangers' ports, some of it in bursts.
async fn malformed_packets(server: &str, sample: &[Vec<u8>], count: usize) -> usize {
    let mut random = random(3);
    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(UdpSocket::bind("127.0.0.1:0").await.expect("a socket"));
    }
    for index in 0..count {
        let packet = match random.random_range(0..3) {
            0 => damaged(sample.choose(&mut random).expect("some"), &mut random),
            _ => shaped(&mut random),
        };
        let socket = &sockets[index % sockets.len()];
        let _ = socket.send_to(&packet, server).await;
        if index % 64 == 63 {
            // Full speed would only fill the kernel's queue, where nobody's code sees it.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    count
}

/// From the socket of somebody who is in a call, which the server takes for that caller: what strangers send is dropped before it. Where it
/// costs the caller's own connection, the next one goes on. Also how many there were.
async fn malformed_packets_of_a_caller(api: &Api, server: &str, count: usize) -> (usize, usize) {
    let mut random = random(5);
    let (mut sent, mut links) = (0, 0);
    let pace = Pace {
        audio: vec![vec![0xf8, 0xff, 0xfe]],
        ..Pace::default()
    };
    while sent < count {
        let visitor = api.visitor().await.expect("a visitor");
        let mut link = api.connect(&visitor).await.expect("a connection");
        links += 1;
        // Of the handshake, and then of the call: SRTP, and the channel's DTLS.
        let mut genuine = std::mem::take(&mut link.sample);
        let begun = link.send(r#"{"type":"voice.start"}"#);
        begun.expect("an open channel");
        let soon = Instant::now() + Duration::from_millis(300);
        let mut lives = link.run(soon, &pace).await.is_ok();
        genuine.append(&mut link.sample);
        while sent < count && lives && !link.ended {
            for _ in 0..16 {
                let packet = match random.random_range(0..3) {
                    0 => shaped(&mut random),
                    _ => damaged(genuine.choose(&mut random).expect("some"), &mut random),
                };
                let _ = link.socket.send_to(&packet, server).await;
                sent += 1;
            }
            let soon = Instant::now() + Duration::from_millis(2);
            lives = link.run(soon, &pace).await.is_ok();
        }
    }
    (sent, links)
}

/// Visitors whose handshake was in order and whose frames are not.
async fn malformed_frames(api: &Api, count: usize) -> usize {
    let mut random = random(4);
    let mut sent = 0;
    while sent < count {
        let visitor = api.visitor().await.expect("a visitor");
        let mut link = api.connect(&visitor).await.expect("a connection");
        while sent < count && !link.ended {
            let frame = FRAMES.choose(&mut random).expect("some");
            let bytes = match random.random_range(0..8) {
                0 => frame.as_bytes().to_vec(),
                1 => "[".repeat(random.random_range(1..2_000)).into_bytes(),
                2 => shaped(&mut random),
                3 => format!(
                    r#"{{"type":"user.message","id":"{}","text":"{}"}}"#,
                    "m".repeat(random.random_range(0..100)),
                    "é".repeat(random.random_range(0..20_000))
                )
                .into_bytes(),
                _ => damaged_text(frame, &mut random),
            };
            let binary = random.random_range(0..4) == 0;
            sent += 1;
            if link.write(binary, &bytes).is_err() {
                break;
            }
            let pace = Pace {
                // Garbage for sound, too.
                audio: vec![
                    shaped(&mut random)
                        .into_iter()
                        .take(200)
                        .chain([0])
                        .collect(),
                ],
                ..Pace::default()
            };
            if link
                .run(Instant::now() + Duration::from_millis(10), &pace)
                .await
                .is_err()
            {
                break;
            }
        }
    }
    sent
}

fn damaged(genuine: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = genuine.to_vec();
    for _ in 0..random.random_range(0..6) {
        if bytes.is_empty() {
            break;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.random()),
            2 => bytes[at] ^= 1 << random.random_range(0..8),
            _ => bytes[at] = random.random(),
        }
    }
    bytes
}

/// Lines lost, doubled, moved, cut and stretched; numbers made large; bytes changed.
fn damaged_text(text: &str, random: &mut StdRng) -> Vec<u8> {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(ToOwned::to_owned).collect();
    for _ in 0..random.random_range(0..5) {
        if lines.is_empty() {
            break;
        }
        let at = random.random_range(0..lines.len());
        let other = random.random_range(0..lines.len());
        match random.random_range(0..7) {
            0 => drop(lines.remove(at)),
            1 => {
                let line = lines[at].clone();
                lines.insert(other, line);
            }
            2 => lines.swap(at, other),
            3 => lines[at] = lines[at].replace(|c: char| c.is_ascii_digit(), "9"),
            4 => lines[at] = lines[at].replace(|c: char| c.is_ascii_digit(), ""),
            5 => {
                let line = lines[at].trim_end().to_owned();
                let longer = line.repeat(random.random_range(1..40));
                lines[at] = longer + "\r\n";
            }
            _ => lines[at] = lines[at].replacen([' ', ':', '='], "", random.random_range(1..3)),
        }
    }
    let whole = lines.concat();
    match random.random_range(0..3) {
        0 => damaged(whole.as_bytes(), random),
        _ => whole.into_bytes(),
    }
}

/// Still fit for a header.
fn damaged_ascii(text: &str, random: &mut StdRng) -> String {
    let bytes = damaged(text.as_bytes(), random);
    let fit = bytes.into_iter().filter(|byte| (0x20..0x7f).contains(byte));
    fit.map(char::from).collect()
}

/// Random bytes with a head that looks like STUN, DTLS, RTP or RTCP.
fn shaped(random: &mut StdRng) -> Vec<u8> {
    let length = random.random_range(0..1_300);
    let mut packet: Vec<u8> = (0..length).map(|_| random.random()).collect();
    let head: &[u8] = match random.random_range(0..8) {
        0 => &[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42],
        1 => &[1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42],
        2 => &[0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42],
        3 => &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0],
        4 => &[22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0],
        5 => &[0x2f, 0, 1],
        6 => &[0x80, 111],
        _ => &[0x81, 201, 0, 7],
    };
    let n = head.len().min(packet.len());
    packet[..n].copy_from_slice(&head[..n]);
    packet
}
