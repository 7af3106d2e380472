//! A visitor's side by str0m, over the real HTTP and UDP ports of a server: sends audio and pings by the clock, and notes when everything came.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::change::SdpAnswer;
use str0m::channel::ChannelId;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::net::UdpSocket;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// RTP's clock for Opus, ticks a millisecond.
const TICKS_A_MS: f64 = 48.0;
const FRAME: Duration = Duration::from_millis(20);

/// Where the server is, and whose page this pretends to be.
#[derive(Clone)]
pub struct Api {
    pub http: reqwest::Client,
    /// With the path of the API.
    pub base: String,
    pub origin: String,
    pub key: String,
}

#[derive(Clone)]
pub struct Visitor {
    pub token: String,
    pub session: String,
}

impl Api {
    pub async fn visitor(&self) -> Result<Visitor, Failure> {
        let body = json!({"client_key": self.key});
        let token = self.post("/auth/guest", None, body).await?["token"].clone();
        let token = token.as_str().ok_or("no token")?.to_owned();
        let session = self.post("/sessions", Some(&token), json!({})).await?["id"].clone();
        let session = session.as_str().ok_or("no session")?.to_owned();
        Ok(Visitor { token, session })
    }

    async fn post(&self, path: &str, token: Option<&str>, body: Value) -> Result<Value, Failure> {
        let request = self.http.post(format!("{}{path}", self.base));
        let request = request.header("origin", &self.origin).json(&body);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Offers, and drives the connection until its channel is open.
    pub async fn connect(&self, visitor: &Visitor) -> Result<Link, Failure> {
        let mut link = Link::new(UdpSocket::bind("127.0.0.1:0").await?)?;
        let began = Instant::now();
        let mut change = link.rtc.sdp_api();
        link.audio =
            Some(change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None));
        link.channel = Some(change.add_channel("karta".into()));
        let (offer, pending) = change.apply().ok_or("no offer")?;
        let path = format!("{}/sessions/{}/connect", self.base, visitor.session);
        let request = self
            .http
            .post(path)
            .header("origin", &self.origin)
            .header("content-type", "application/sdp")
            .bearer_auth(&visitor.token)
            .body(offer.to_sdp_string());
        let answer = request.send().await?.error_for_status()?;
        let answer = SdpAnswer::from_sdp_string(&answer.text().await?)?;
        link.rtc.sdp_api().accept_answer(pending, answer)?;
        link.until("an open channel", |link| link.open).await?;
        link.connect_ms = began.elapsed().as_secs_f64() * 1_000.0;
        link.send(r#"{"type":"hello","after":0}"#)?;
        let opened = Instant::now();
        link.until_frame("session.synced").await?;
        link.synced_ms = opened.elapsed().as_secs_f64() * 1_000.0;
        Ok(link)
    }
}

/// What a connection is to do while it runs.
#[derive(Clone, Default)]
pub struct Pace {
    pub ping_every: Option<Duration>,
    /// Sent over and over, 20 ms apart.
    pub audio: Vec<Vec<u8>>,
}

/// What came, and when.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub pings: u64,
    pub pongs_ms: Vec<f64>,
    pub packets_sent: u64,
    /// When each audio packet came, against its own time: the smallest is the path without any delay.
    pub transits_ms: Vec<f64>,
    /// Longest time between two audio packets.
    pub gap_ms: f64,
    first_seq: Option<u64>,
    last_seq: u64,
}

impl Seen {
    /// Packets of the stretch that came out of those that were sent.
    pub fn lost(&self) -> u64 {
        let sent = self.first_seq.map_or(0, |first| self.last_seq + 1 - first);
        sent.saturating_sub(self.transits_ms.len() as u64)
    }

    /// How much later than the fastest each packet was.
    pub fn delays_ms(&self) -> Vec<f64> {
        let fastest = self.transits_ms.iter().copied().fold(f64::MAX, f64::min);
        self.transits_ms.iter().map(|at| at - fastest).collect()
    }
}

pub struct Link {
    pub rtc: Rtc,
    pub socket: UdpSocket,
    address: SocketAddr,
    audio: Option<Mid>,
    channel: Option<ChannelId>,
    pub open: bool,
    pub ended: bool,
    pub connect_ms: f64,
    /// From the open channel to the end of the log.
    pub synced_ms: f64,
    pub frames: VecDeque<(Instant, String)>,
    pub seen: Seen,
    /// Some packets as they left, for whoever wants to send them again.
    pub sample: Vec<Vec<u8>>,
    /// When the last audio packet came.
    pub heard_at: Option<Instant>,
    pings: VecDeque<Instant>,
    began: Instant,
    next_audio: Instant,
    audio_index: usize,
    audio_time: u64,
    next_ping: Instant,
}

impl Link {
    fn new(socket: UdpSocket) -> Result<Link, Failure> {
        let address = socket.local_addr()?;
        let now = Instant::now();
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .set_stats_interval(None)
            .build(now);
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp)?);
        Ok(Link {
            rtc,
            socket,
            address,
            audio: None,
            channel: None,
            open: false,
            ended: false,
            connect_ms: 0.0,
            synced_ms: 0.0,
            frames: VecDeque::new(),
            seen: Seen::default(),
            sample: Vec::new(),
            heard_at: None,
            pings: VecDeque::new(),
            began: now,
            next_audio: now,
            audio_index: 0,
            audio_time: 0,
            next_ping: now,
        })
    }

    pub fn send(&mut self, text: &str) -> Result<(), Failure> {
        self.write(false, text.as_bytes())
    }

    pub fn write(&mut self, binary: bool, bytes: &[u8]) -> Result<(), Failure> {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        channel.ok_or("no channel")?.write(binary, bytes)?;
        Ok(())
    }

    pub async fn until_frame(&mut self, part: &str) -> Result<Instant, Failure> {
        self.until(part, |link| {
            link.frames.iter().any(|(_, frame)| frame.contains(part))
        })
        .await?;
        let found = self.frames.iter().find(|(_, frame)| frame.contains(part));
        Ok(found.map_or_else(Instant::now, |(at, _)| *at))
    }

    pub async fn until(&mut self, what: &str, done: impl Fn(&Link) -> bool) -> Result<(), Failure> {
        let give_up = Instant::now() + Duration::from_secs(20);
        while !done(self) {
            if Instant::now() > give_up || self.ended {
                return Err(format!("{what}: not in time; {:?}", self.frames.back()).into());
            }
            self.run(Instant::now() + Duration::from_millis(20), &Pace::default())
                .await?;
        }
        Ok(())
    }

    /// Drives the connection at this pace until then.
    pub async fn run(&mut self, until: Instant, pace: &Pace) -> Result<(), Failure> {
        let mut buffer = [0; 2_000];
        loop {
            let now = Instant::now();
            self.keep_pace(now, pace)?;
            let mut deadline = self.drain().await?.min(until);
            if pace.ping_every.is_some() {
                deadline = deadline.min(self.next_ping);
            }
            if !pace.audio.is_empty() {
                deadline = deadline.min(self.next_audio);
            }
            if now >= until || self.ended {
                return Ok(());
            }
            let wait = deadline.max(now + Duration::from_micros(200));
            match tokio::time::timeout_at(wait.into(), self.socket.recv_from(&mut buffer)).await {
                Ok(received) => {
                    let (length, source) = received?;
                    self.receive(&buffer[..length], source);
                    // All that is there, before looking at the clock again.
                    while let Ok((length, source)) = self.socket.try_recv_from(&mut buffer) {
                        self.receive(&buffer[..length], source);
                    }
                }
                Err(_) => self.rtc.handle_input(Input::Timeout(Instant::now()))?,
            }
        }
    }

    fn receive(&mut self, packet: &[u8], source: SocketAddr) {
        if let Ok(received) = Receive::new(Protocol::Udp, source, self.address, packet) {
            let _ = self
                .rtc
                .handle_input(Input::Receive(Instant::now(), received));
        }
    }

    fn keep_pace(&mut self, now: Instant, pace: &Pace) -> Result<(), Failure> {
        if let Some(every) = pace.ping_every
            && now >= self.next_ping
        {
            self.next_ping = now + every;
            self.pings.push_back(now);
            self.seen.pings += 1;
            self.send(r#"{"type":"ping"}"#)?;
        }
        if !pace.audio.is_empty() && now >= self.next_audio {
            // Behind by much: the machine stood still, and nobody speaks faster afterwards.
            if now > self.next_audio + FRAME * 5 {
                self.next_audio = now;
            }
            self.next_audio += FRAME;
            let payload = pace.audio[self.audio_index % pace.audio.len()].clone();
            self.audio_index += 1;
            self.audio_time += 960;
            if !payload.is_empty() {
                self.write_audio(now, payload)?;
            }
        }
        Ok(())
    }

    fn write_audio(&mut self, now: Instant, payload: Vec<u8>) -> Result<(), Failure> {
        let time = MediaTime::new(self.audio_time, Frequency::FORTY_EIGHT_KHZ);
        let writer = self.audio.and_then(|mid| self.rtc.writer(mid));
        let writer = writer.ok_or("no audio section")?;
        let pt = writer.payload_params().next().ok_or("no Opus")?.pt();
        writer.write(pt, now, time, payload)?;
        self.seen.packets_sent += 1;
        Ok(())
    }

    /// Says goodbye, so that the server need not find out by silence.
    pub async fn close(mut self) {
        if self.rtc.close().is_ok() {
            let _ = self.drain().await;
        }
    }

    async fn drain(&mut self) -> Result<Instant, Failure> {
        loop {
            match self.rtc.poll_output()? {
                Output::Transmit(packet) => {
                    if self.sample.len() < 64 {
                        self.sample.push(packet.contents.to_vec());
                    }
                    let _ = self
                        .socket
                        .send_to(&packet.contents, packet.destination)
                        .await;
                }
                Output::Event(event) => self.event(event),
                Output::Timeout(at) => return Ok(at),
            }
        }
    }

    fn event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::ChannelOpen(..) => self.open = true,
            Event::ChannelClose(_) | Event::Closed => self.ended = true,
            Event::ChannelData(data) => {
                let text = String::from_utf8_lossy(&data.data).into_owned();
                if text.contains(r#""type":"pong""#) {
                    if let Some(sent) = self.pings.pop_front() {
                        self.seen
                            .pongs_ms
                            .push((now - sent).as_secs_f64() * 1_000.0);
                    }
                } else {
                    self.frames.push_back((now, text));
                    if self.frames.len() > 64 {
                        self.frames.pop_front();
                    }
                }
            }
            Event::MediaData(data) => {
                let seq = **data.seq_range.end();
                self.seen.first_seq.get_or_insert(seq);
                self.seen.last_seq = self.seen.last_seq.max(seq);
                let came = (data.network_time - self.began).as_secs_f64() * 1_000.0;
                let own = data.time.numer() as f64 / TICKS_A_MS;
                self.seen.transits_ms.push(came - own);
                if let Some(before) = self.heard_at {
                    let gap = (now - before).as_secs_f64() * 1_000.0;
                    self.seen.gap_ms = self.seen.gap_ms.max(gap);
                }
                self.heard_at = Some(now);
            }
            _ => {}
        }
    }
}
