//! Bytes that no well-behaved peer sends, at a socket where a session runs.

use super::super::{Rtc, RtcConfig};
use super::client::Client;
use super::connect::{config, connect, open};
use super::fake::FakeConversation;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::{Event, Output};
use tokio::net::UdpSocket;

/// Packets; each run takes the same ones. `./build.sh test --long` sends ten million.
fn packets() -> usize {
    match std::env::var_os("KARTA_TEST_LONG") {
        Some(_) => 10_000_000,
        None => 10_000,
    }
}

#[tokio::test]
async fn random_packets_do_no_harm_to_a_running_session() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (mut client, _) = open(&rtc, &conversation).await;
    client.send(r#"{"type":"hello","after":0}"#);
    client.until("synced", |c| c.has("session.synced")).await;

    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut random = StdRng::seed_from_u64(1);
    for index in 0..packets() {
        let packet = match index % 3 {
            0 => damaged(&client.sent, &mut random),
            _ => random_packet(&mut random),
        };
        // Half of them come from the visitor's own address: what a spoofed source would look like.
        let socket = if index % 2 == 0 {
            &stranger
        } else {
            &client.socket
        };
        socket.send_to(&packet, rtc.local_addr()).await.unwrap();
        if index % 1_000 == 0 {
            client.send(&format!(
                r#"{{"type":"user.message","id":"m{index}","text":"[{index}]"}}"#
            ));
            client
                .until("message amid noise", |c| c.has(&format!("[{index}]")))
                .await;
        }
    }
    client.send(r#"{"type":"ping"}"#);
    client.until("pong", |c| c.has("pong")).await;
    let counts = super::probe(&rtc).await;
    assert_eq!((counts.peers, counts.panics), (1, 0));
    assert!(counts.dropped as usize > packets() / 10, "{counts:?}");
}

#[tokio::test]
async fn noise_and_replays_during_the_handshake_cost_nobody_a_session() {
    let rtc = Rtc::start(RtcConfig {
        max_connections_per_session: 100,
        ..config()
    })
    .await
    .unwrap();
    let conversation = FakeConversation::new();
    // The first packets of a real visitor: checks and handshake records, as an eavesdropper has them.
    let (first, _) = open(&rtc, &conversation).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut random = StdRng::seed_from_u64(2);
    for round in 0..20 {
        // One who makes the noise itself, between the packets of its handshake: of that socket the server believes that it is this visitor's.
        let (mut noisy, offer) = Client::new().await;
        let answer = connect(&rtc, &conversation, &offer).await.unwrap();
        noisy.answer(&answer.sdp);
        shake_hands_amid_noise(noisy, rtc.local_addr(), &mut random).await;

        let (mut client, offer) = Client::new().await;
        let answer = connect(&rtc, &conversation, &offer).await.unwrap();
        client.answer(&answer.sdp);
        for _ in 0..50 {
            let packet = if random.random() {
                random_packet(&mut random)
            } else {
                damaged(&first.sent, &mut random)
            };
            stranger.send_to(&packet, rtc.local_addr()).await.unwrap();
        }
        let began = Instant::now();
        client.until("channel opens", |c| c.open).await;
        client.send(r#"{"type":"hello","after":0}"#);
        client.until("synced", |c| c.has("session.synced")).await;
        assert!(began.elapsed() < Duration::from_secs(5), "round {round}");
    }
    assert_eq!(super::probe(&rtc).await.panics, 0);
}

/// Whether it comes to a connection is no matter, nor how it fails.
async fn shake_hands_amid_noise(mut client: Client, server: SocketAddr, random: &mut StdRng) {
    let give_up = Instant::now() + Duration::from_millis(500);
    let mut genuine = Vec::new();
    while Instant::now() < give_up && genuine.len() < 60 {
        match client.rtc.poll_output() {
            Ok(Output::Transmit(packet)) => {
                genuine.push(packet.contents.to_vec());
                for noise in [random_packet(random), damaged(&genuine, random)] {
                    client.socket.send_to(&noise, server).await.unwrap();
                }
                let _ = client
                    .socket
                    .send_to(&packet.contents, packet.destination)
                    .await;
            }
            Ok(Output::Timeout(at)) => client.turn(at.min(give_up)).await,
            Ok(Output::Event(Event::ChannelOpen(..))) | Err(_) => break,
            Ok(Output::Event(_)) => {}
        }
    }
    assert!(genuine.len() > 2, "the handshake began: {}", genuine.len());
}

#[tokio::test]
async fn a_forged_check_gives_no_address_to_a_session() {
    let rtc = Rtc::start(config()).await.unwrap();
    let conversation = FakeConversation::new();
    let (mut client, _) = open(&rtc, &conversation).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let check = client.sent.iter().find(|packet| packet[0] == 0);
    let mut check = check.expect("a check").clone();
    // Inside MESSAGE-INTEGRITY, which only FINGERPRINT follows.
    let at = check.len() - 12;
    check[at] ^= 1;
    stranger.send_to(&check, rtc.local_addr()).await.unwrap();
    client.send(r#"{"type":"ping"}"#);
    client.until("pong", |c| c.has("pong")).await;
    let counts = super::probe(&rtc).await;
    assert_eq!((counts.addresses, counts.dropped), (1, 1), "{counts:?}");
}

/// A genuine packet, sent again as it was or with some bytes changed.
fn damaged(packets: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut packet = packets[random.random_range(0..packets.len())].clone();
    for _ in 0..random.random_range(0..4) {
        let at = random.random_range(0..packet.len());
        packet[at] = random.random();
    }
    packet
}

fn random_packet(random: &mut StdRng) -> Vec<u8> {
    let length = random.random_range(0..1_400);
    let mut packet: Vec<u8> = (0..length).map(|_| random.random()).collect();
    match random.random_range(0..6) {
        // A STUN header with an honest length and rubbish attributes.
        0 if packet.len() >= 20 => {
            packet.truncate(packet.len() & !3);
            let length = (packet.len() as u16 - 20).to_be_bytes();
            let kind: [u8; 2] = [[0, 1], [1, 1], [1, 0x11], [0, 0x11]][random.random_range(0..4)];
            packet[..2].copy_from_slice(&kind);
            packet[2..4].copy_from_slice(&length);
            packet[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
        }
        // A DTLS record: alert, handshake, application data, in both versions.
        1 | 2 if packet.len() >= 13 => {
            packet[0] = random.random_range(20..26);
            packet[1] = 254;
            packet[2] = [253, 255, 252][random.random_range(0..3)];
            packet[3..11].fill(0);
            packet[4] = random.random_range(0..2);
            let length = (packet.len() as u16 - 13).to_be_bytes();
            packet[11..13].copy_from_slice(&length);
            if packet.len() > 25 {
                // ClientHello and friends.
                packet[13] = random.random_range(0..21);
            }
        }
        // A DTLS 1.3 unified header.
        3 if !packet.is_empty() => packet[0] = 0x20 | (packet[0] & 0x1f),
        // RTP or RTCP.
        4 if packet.len() >= 12 => {
            packet[0] = 0x80;
            packet[1] = [111, 63, 200, 201, 205][random.random_range(0..5)];
        }
        _ => {}
    }
    packet
}
