//! The browser's side, by str0m: offers one data channel and a `sendrecv` audio section without a track.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcError};
use tokio::net::UdpSocket;

/// Longest wait for anything. Far above what a busy machine needs; reached only when a test fails.
pub const LIMIT: Duration = Duration::from_secs(20);

pub struct Client {
    pub rtc: Rtc,
    pub socket: UdpSocket,
    pub address: SocketAddr,
    pending: Option<SdpPendingOffer>,
    channel: ChannelId,
    pub open: bool,
    pub ended: bool,
    pub frames: Vec<String>,
    /// Everything sent so far, for replays.
    pub sent: Vec<Vec<u8>>,
    audio: Mid,
    audio_time: u64,
    /// Audio that came: payloads.
    pub heard: Vec<Vec<u8>>,
    /// Loses one audio packet in ten and lets another overtake its successor.
    pub bad_line: bool,
    rtp_count: u64,
    held: Option<(Vec<u8>, SocketAddr)>,
    pub limit: Duration,
}

impl Client {
    pub async fn new() -> (Client, String) {
        Client::on(UdpSocket::bind("127.0.0.1:0").await.unwrap())
    }

    pub fn on(socket: UdpSocket) -> (Client, String) {
        let address = socket.local_addr().unwrap();
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .build(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp).unwrap());
        let mut change = rtc.sdp_api();
        let audio = change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let channel = change.add_channel(karta_protocol::DATA_CHANNEL_LABEL.into());
        let (offer, pending) = change.apply().unwrap();
        let client = Client {
            rtc,
            socket,
            address,
            pending: Some(pending),
            channel,
            open: false,
            ended: false,
            frames: Vec::new(),
            sent: Vec::new(),
            audio,
            audio_time: 0,
            heard: Vec::new(),
            bad_line: false,
            rtp_count: 0,
            held: None,
            limit: LIMIT,
        };
        (client, offer.to_sdp_string())
    }

    pub fn answer(&mut self, sdp: &str) {
        let answer = SdpAnswer::from_sdp_string(sdp).unwrap();
        let pending = self.pending.take().unwrap();
        self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    }

    /// A new ICE session; gives the fragment for PATCH.
    pub fn restart(&mut self) -> String {
        let mut change = self.rtc.sdp_api();
        let credentials = change.ice_restart(true);
        let (_, pending): (SdpOffer, _) = change.apply().unwrap();
        self.pending = Some(pending);
        format!(
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n",
            credentials.ufrag, credentials.pass
        )
    }

    pub fn send(&mut self, text: &str) {
        let mut channel = self.rtc.channel(self.channel).expect("an open channel");
        assert!(channel.write(false, text.as_bytes()).unwrap());
    }

    pub fn send_binary(&mut self, bytes: &[u8]) {
        let mut channel = self.rtc.channel(self.channel).expect("an open channel");
        assert!(channel.write(true, bytes).unwrap());
    }

    pub fn has(&self, part: &str) -> bool {
        self.frames.iter().any(|frame| frame.contains(part))
    }

    /// Drives the client until the condition holds.
    pub async fn until(&mut self, what: &str, done: impl Fn(&Client) -> bool) {
        let give_up = Instant::now() + self.limit;
        let mut seen = None;
        loop {
            let deadline = self.drain().await;
            // Conditions read all frames; asking only after a change keeps long replays linear.
            let state = (
                self.frames.len(),
                self.open,
                self.ended,
                self.sent.len(),
                self.heard.len(),
            );
            if seen.replace(state) != Some(state) && done(self) {
                return;
            }
            assert!(
                Instant::now() < give_up,
                "{what}: not within {:?}; ended: {}; {} frames, last {:.200?}",
                self.limit,
                self.ended,
                self.frames.len(),
                self.frames.last()
            );
            self.turn(deadline.min(give_up)).await;
        }
    }

    /// Takes one packet or lets time pass up to the deadline.
    pub async fn turn(&mut self, deadline: Instant) {
        let mut buffer = [0; 2000];
        let wait = deadline.max(Instant::now() + Duration::from_millis(1));
        match tokio::time::timeout_at(wait.into(), self.socket.recv_from(&mut buffer)).await {
            Ok(Ok((length, source))) => {
                let contents = &buffer[..length];
                if let Ok(received) = Receive::new(Protocol::Udp, source, self.address, contents) {
                    let _ = self
                        .rtc
                        .handle_input(Input::Receive(Instant::now(), received));
                }
            }
            Ok(Err(error)) => panic!("client socket: {error}"),
            Err(_) => {
                if let Err(error) = self.rtc.handle_input(Input::Timeout(Instant::now())) {
                    self.closed(&error);
                }
            }
        }
    }

    /// The other side has closed DTLS while something of ours still waited to go: str0m tells that by an error, not by an event.
    fn closed(&mut self, error: &RtcError) {
        assert!(error.to_string().contains("connection closed"), "{error}");
        self.ended = true;
    }

    async fn post(&mut self, packet: Vec<u8>, to: SocketAddr) {
        let is_rtp = (128..192).contains(&packet[0]);
        let mut packets = vec![(packet, to)];
        if self.bad_line && is_rtp {
            self.rtp_count += 1;
            match self.rtp_count % 10 {
                3 => return,
                6 => {
                    self.held = packets.pop();
                    return;
                }
                _ => packets.extend(self.held.take()),
            }
        }
        for (packet, to) in packets {
            self.socket.send_to(&packet, to).await.unwrap();
        }
    }

    /// Sends audio packets as a browser does, 20 ms apart.
    pub async fn speak(&mut self, payloads: &[Vec<u8>]) {
        for payload in payloads {
            let next = Instant::now() + Duration::from_millis(20);
            self.write_audio(payload);
            self.drive(next).await;
        }
    }

    pub fn write_audio(&mut self, payload: &[u8]) {
        self.audio_time += 960;
        let time = MediaTime::new(self.audio_time, Frequency::FORTY_EIGHT_KHZ);
        let writer = self.rtc.writer(self.audio).expect("an audio section");
        let pt = writer.payload_params().next().expect("Opus").pt();
        writer.write(pt, Instant::now(), time, payload).unwrap();
    }

    /// Drives the client until then.
    pub async fn drive(&mut self, until: Instant) {
        loop {
            let deadline = self.drain().await;
            if Instant::now() >= until {
                return;
            }
            self.turn(deadline.min(until)).await;
        }
    }

    pub async fn drain(&mut self) -> Instant {
        loop {
            let output = match self.rtc.poll_output() {
                Ok(output) => output,
                Err(error) => {
                    self.closed(&error);
                    return Instant::now() + Duration::from_millis(10);
                }
            };
            match output {
                Output::Transmit(packet) => {
                    if self.sent.len() < 32 {
                        self.sent.push(packet.contents.to_vec());
                    }
                    self.post(packet.contents.to_vec(), packet.destination)
                        .await;
                }
                Output::Timeout(at) => return at,
                Output::Event(Event::ChannelOpen(id, _)) if id == self.channel => self.open = true,
                Output::Event(Event::ChannelData(data)) => {
                    self.frames.push(String::from_utf8(data.data).unwrap());
                }
                Output::Event(Event::MediaData(data)) => self.heard.push(data.data.to_vec()),
                Output::Event(Event::ChannelClose(_) | Event::Closed) => self.ended = true,
                Output::Event(_) => {}
            }
        }
    }
}
