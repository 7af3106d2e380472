//! The browser's side, by str0m: offers one data channel and a `sendrecv` audio section without a track.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};
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
        change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
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
        let give_up = Instant::now() + LIMIT;
        let mut seen = None;
        loop {
            let deadline = self.drain().await;
            // Conditions read all frames; asking only after a change keeps long replays linear.
            let state = (self.frames.len(), self.open, self.ended, self.sent.len());
            if seen.replace(state) != Some(state) && done(self) {
                return;
            }
            assert!(
                Instant::now() < give_up,
                "{what}: not within {LIMIT:?}; {} frames, last {:.200?}",
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
            Err(_) => self
                .rtc
                .handle_input(Input::Timeout(Instant::now()))
                .unwrap(),
        }
    }

    pub async fn drain(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Transmit(packet) => {
                    if self.sent.len() < 32 {
                        self.sent.push(packet.contents.to_vec());
                    }
                    self.socket
                        .send_to(&packet.contents, packet.destination)
                        .await
                        .unwrap();
                }
                Output::Timeout(at) => return at,
                Output::Event(Event::ChannelOpen(id, _)) if id == self.channel => self.open = true,
                Output::Event(Event::ChannelData(data)) => {
                    self.frames.push(String::from_utf8(data.data).unwrap());
                }
                Output::Event(Event::ChannelClose(_) | Event::Closed) => self.ended = true,
                Output::Event(_) => {}
            }
        }
    }
}
