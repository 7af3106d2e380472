//! One str0m peer without any I/O: packets, time and frames go in, packets, events and the next deadline come out. The clock
//! is an argument. Every method that changes the peer also drains it, as str0m demands, so it cannot be forgotten.
//!
//! Full ICE, as it measured faster than ICE-lite. Remote candidates are ignored on purpose: our addresses are reachable by
//! definition, so the browser's check always finds us and makes a peer-reflexive candidate, while following an offer's
//! list would let anybody point our packets at third parties or at our own network. Audio is taken apart only while a call listens.

use super::demux;
use super::sdp::{self, Offer};
use crate::error::Fault;
use crate::voice::{Frame, Packet};
use karta_protocol::{DATA_CHANNEL_LABEL, ErrorCode};
use rand::Rng;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::change::SdpOffer;
use str0m::channel::ChannelId;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::{Codec, FormatParams};
use str0m::media::{Frequency, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::Extension;
use str0m::{Candidate, Event, IceCreds, Input, Output, RtcError};
use tokio::sync::OwnedSemaphorePermit;

/// Above this much unacknowledged data in SCTP a frame waits here. A round trip of 200 ms still carries 320 kB/s.
const CHANNEL_HIGH_WATER_BYTES: usize = 64 * 1024;
/// Longest frame a browser takes (Chromium and Firefox say 256 kB in their offers).
pub(super) const FRAME_MAX_BYTES: usize = 256 * 1024;
/// Longest frame taken from a browser: a full message of 16 kB in which every byte is escaped as `\u00xx`, and its envelope.
const INBOUND_MAX_BYTES: u32 = 128 * 1024;
/// Packets that wait for one before them: 100 ms. Then it is lost, and the call makes something up.
const REORDERED_MAX: usize = 5;
/// Packets of the agent between `write` and `poll_output`. One follows the other at once; a few for what nobody thought of.
const SENDING_MAX: usize = 8;
/// Browsers' own number for Opus; the offer's counts.
const OPUS_TYPE: u8 = 111;
/// Chromium's own number for the name of a packet's section; the offer's counts.
const MID_EXTENSION: u8 = 4;
/// Outputs after one input. A handshake flight or a full channel are some hundred; more means str0m turns in a circle.
const OUTPUTS_MAX: usize = 20_000;

/// The DTLS certificate that all peers of this process share: making one costs more than the rest of an answer.
#[derive(Clone)]
pub(super) struct Identity {
    certificate: DtlsCert,
    crypto: Arc<CryptoProvider>,
}

impl Identity {
    pub fn generate() -> std::io::Result<Identity> {
        let crypto = str0m::crypto::from_feature_flags();
        let certificate = crypto
            .dtls_provider
            .generate_certificate()
            .ok_or_else(|| std::io::Error::other("no DTLS certificate could be made"))?;
        Ok(Identity {
            certificate,
            crypto: Arc::new(crypto),
        })
    }
}

/// What peers of one media thread have in common.
pub(super) struct Settings {
    pub identity: Identity,
    pub candidates: Vec<SocketAddr>,
    pub connect_timeout: Duration,
    pub peer_timeout: Duration,
}

/// Why an offer or a fragment is refused. Words for the developer.
#[derive(Debug)]
pub(crate) struct Unacceptable(String);

impl Unacceptable {
    pub fn new(why: impl Into<String>) -> Self {
        Unacceptable(why.into())
    }
}

impl From<RtcError> for Unacceptable {
    fn from(error: RtcError) -> Self {
        Unacceptable(error.to_string())
    }
}

impl From<Unacceptable> for Fault {
    fn from(Unacceptable(why): Unacceptable) -> Self {
        // str0m's parser quotes its input; nobody needs more than the beginning.
        let why: String = why.chars().take(200).collect();
        Fault::refused(
            ErrorCode::SdpInvalid,
            format!("The SDP cannot be used: {why}"),
        )
    }
}

/// A frame on its way out, with the part of the bridge's allowance that it occupies until SCTP has taken it.
pub(super) struct Parcel {
    pub text: Arc<str>,
    /// Given back by drop.
    pub _credit: Option<OwnedSemaphorePermit>,
}

/// What a step of the peer asks of its driver. Reused between steps.
#[derive(Default)]
pub(super) struct Outbox {
    pub packets: Vec<str0m::net::Transmit>,
    pub events: Vec<PeerEvent>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum PeerEvent {
    /// The `karta` channel is open.
    Open,
    Frame(String),
    Audio(Packet),
    /// Binary, or not UTF-8, or on another channel.
    Garbage,
    /// The last one.
    Ended(End),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    NeverConnected,
    Silent,
    ClosedByRemote,
    Failed(String),
}

pub(super) struct Peer {
    rtc: str0m::Rtc,
    offer: Offer,
    answer: String,
    local: IceCreds,
    settings: Arc<Settings>,
    channel: Option<ChannelId>,
    outgoing: VecDeque<Parcel>,
    /// The audio section, and whether somebody listens.
    audio: Option<Mid>,
    listening: bool,
    /// When the driver gives this peer up unless something happens.
    patience_until: Instant,
    rtc_deadline: Instant,
    end: Option<End>,
}

impl Peer {
    /// Answers an offer. Whatever the text is, this returns.
    pub fn accept(
        offer: &str,
        settings: Arc<Settings>,
        now: Instant,
    ) -> Result<(Peer, String), Unacceptable> {
        let offer = Offer::parse(offer)?;
        catch_unwind(AssertUnwindSafe(|| Peer::build(offer, settings, now))).unwrap_or_else(|_| {
            Err(Unacceptable::new(
                "it made the parser fail; please report it",
            ))
        })
    }

    fn build(
        offer: Offer,
        settings: Arc<Settings>,
        now: Instant,
    ) -> Result<(Peer, String), Unacceptable> {
        let local = fresh_credentials();
        let mut config = str0m::Rtc::builder()
            .set_crypto_provider(settings.identity.crypto.clone())
            .set_dtls_cert(settings.identity.certificate.clone())
            .set_local_ice_credentials(local.clone())
            .set_stats_interval(None)
            .clear_codecs()
            // What a packet belongs to, and nothing that is counted per packet: of the numbers for congestion control str0m keeps the last
            // thousand, 88 kB, and a voice has no rate to adapt.
            .clear_extension_map()
            .set_extension(MID_EXTENSION, Extension::RtpMid)
            .set_reordering_size_audio(REORDERED_MAX)
            // A voice is not sent again: what comes too late is of no use.
            .set_send_buffer_audio(SENDING_MAX)
            .set_sctp_max_message_size(INBOUND_MAX_BYTES)
            .set_sctp_max_buffered_amount(FRAME_MAX_BYTES + CHANNEL_HIGH_WATER_BYTES);
        config.codec_config().add_config(
            OPUS_TYPE.into(),
            None,
            Codec::Opus,
            Frequency::FORTY_EIGHT_KHZ,
            Some(2),
            FormatParams {
                min_p_time: Some(10),
                use_inband_fec: Some(true),
                // A visitor who says nothing sends nearly nothing: five packets a second instead of fifty (RFC 7587 3.1.3).
                use_dtx: Some(true),
                ..FormatParams::default()
            },
        );
        let mut rtc = config.build(now);
        for address in &settings.candidates {
            let candidate = Candidate::host(*address, Protocol::Udp)
                .map_err(|e| Unacceptable::new(e.to_string()))?;
            rtc.add_local_candidate(candidate);
        }
        let parsed = SdpOffer::from_sdp_string(offer.text())
            .map_err(|e| Unacceptable::new(e.to_string()))?;
        let answer = rtc.sdp_api().accept_offer(parsed)?.to_sdp_string();
        let mut peer = Peer {
            rtc,
            offer,
            answer: answer.clone(),
            local,
            patience_until: now + settings.connect_timeout,
            settings,
            channel: None,
            outgoing: VecDeque::new(),
            audio: None,
            listening: false,
            rtc_deadline: now,
            end: None,
        };
        // Nothing can leave before a first packet came in: there is no candidate to send to.
        peer.drain(&mut Outbox::default());
        match peer.end {
            Some(End::Failed(why)) => Err(Unacceptable(why)),
            _ => Ok((peer, answer)),
        }
    }

    /// Our ufrag: what STUN requests for this peer begin their USERNAME with.
    pub fn ufrag(&self) -> &str {
        &self.local.ufrag
    }

    /// Theirs, as the offer said.
    pub fn remote_ufrag(&self) -> &str {
        &self.offer.credentials.ufrag
    }

    /// When to call [`Peer::tick`] at the latest.
    pub fn deadline(&self) -> Instant {
        self.rtc_deadline.min(self.patience_until)
    }

    /// Takes a datagram that the demultiplexer gave to this peer. False: it is not genuine and had no effect.
    ///
    /// STUN is checked by its HMAC. Anything else must come from an address from which such a check came before, which the
    /// driver's address map says: a DTLS ClientHello from elsewhere cannot start a handshake (the race of Enable Security, 2023).
    /// `Rtc::accepts` is not asked about those: it waits for *our* check to succeed, and by then the browser's first
    /// ClientHello is lost and repeated a second later.
    pub fn receive(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        packet: &[u8],
        out: &mut Outbox,
    ) -> bool {
        let Ok(received) = Receive::new(Protocol::Udp, source, destination, packet) else {
            return false;
        };
        let input = Input::Receive(now, received);
        if demux::is_stun(packet) && !self.rtc.accepts(&input) {
            return false;
        }
        if let Err(error) = self.rtc.handle_input(input) {
            // A forged packet must not end a session. What is truly fatal closes the `Rtc`, and `drain` sees that.
            tracing::trace!(%error, "packet refused");
        }
        self.drain(out);
        true
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant, out: &mut Outbox) {
        if now >= self.patience_until {
            let end = match self.channel {
                Some(_) => End::Silent,
                None => End::NeverConnected,
            };
            return self.finish(end, out);
        }
        if now >= self.rtc_deadline {
            if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
                return self.finish(End::Failed(error.to_string()), out);
            }
            self.drain(out);
        }
    }

    /// Something came from the visitor: the peer lives.
    pub fn heard(&mut self, now: Instant) {
        self.patience_until = now + self.settings.peer_timeout;
    }

    /// Queues a frame for the channel.
    pub fn send(&mut self, parcel: Parcel, out: &mut Outbox) {
        if parcel.text.len() > FRAME_MAX_BYTES {
            return self.finish(
                End::Failed("a frame is longer than a data channel carries".into()),
                out,
            );
        }
        self.outgoing.push_back(parcel);
        self.drain(out);
    }

    /// Whether audio that comes is wanted.
    pub fn listen(&mut self, listening: bool) {
        self.listening = listening;
    }

    /// Sends 20 ms of speech. Without a path, or without an audio section that takes Opus, it is lost like any packet.
    pub fn speak(&mut self, frame: Frame, now: Instant, out: &mut Outbox) {
        let Some(writer) = self.audio.and_then(|mid| self.rtc.writer(mid)) else {
            return;
        };
        let opus = writer
            .payload_params()
            .find(|p| p.spec().codec == Codec::Opus);
        let Some(pt) = opus.map(|params| params.pt()) else {
            return;
        };
        let time = MediaTime::new(frame.time, Frequency::FORTY_EIGHT_KHZ);
        let writer = writer.start_of_talkspurt(frame.first);
        if let Err(error) = writer.write(pt, now, time, frame.payload) {
            tracing::trace!(%error, "audio not sent");
        }
        // str0m takes one frame between two looks at the clock; a call that catches up sends several.
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            return self.finish(End::Failed(error.to_string()), out);
        }
        self.drain(out);
    }

    /// Starts a new ICE session on the same DTLS and SCTP associations; the old path carries data until the new one stands.
    /// Returns the fragment for the client. A refusal leaves everything as it was.
    pub fn restart(&mut self, remote: IceCreds, out: &mut Outbox) -> Result<String, Unacceptable> {
        if remote.ufrag == self.offer.credentials.ufrag
            || remote.pass == self.offer.credentials.pass
        {
            return Err(Unacceptable::new(
                "an ICE restart needs new a=ice-ufrag and a=ice-pwd",
            ));
        }
        let offer = self.offer.restarted(remote);
        let parsed = SdpOffer::from_sdp_string(offer.text())
            .map_err(|e| Unacceptable::new(e.to_string()))?;
        self.rtc.sdp_api().accept_offer(parsed)?;
        self.offer = offer;
        self.local = fresh_credentials();
        self.rtc
            .direct_api()
            .set_local_ice_credentials(self.local.clone());
        self.drain(out);
        Ok(sdp::restart_answer(&self.answer, &self.local))
    }

    /// Says goodbye, so that the browser knows at once. The peer is dropped after this.
    pub fn close(&mut self, out: &mut Outbox) {
        self.end = None;
        if self.rtc.close().is_ok() {
            self.drain(out);
        }
    }

    /// Takes everything out of str0m, and puts queued frames in, until it only waits for time.
    fn drain(&mut self, out: &mut Outbox) {
        let mut outputs = 0;
        while self.end.is_none() {
            outputs += 1;
            if outputs > OUTPUTS_MAX {
                return self.finish(End::Failed("str0m does not come to rest".into()), out);
            }
            match self.rtc.poll_output() {
                Ok(Output::Transmit(packet)) => out.packets.push(packet),
                Ok(Output::Event(event)) => self.event(event, out),
                Ok(Output::Timeout(at)) => {
                    self.rtc_deadline = at;
                    match self.write_next() {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => return self.finish(End::Failed(error.to_string()), out),
                    }
                }
                Err(error) => return self.finish(End::Failed(error.to_string()), out),
            }
        }
        if self.end.is_none() && !self.rtc.is_alive() {
            self.finish(End::ClosedByRemote, out);
        }
    }

    /// Writes one queued frame if the channel has room. True: drain again.
    fn write_next(&mut self) -> Result<bool, RtcError> {
        let Some(parcel) = self.outgoing.front() else {
            return Ok(false);
        };
        let Some(mut channel) = self.channel.and_then(|id| self.rtc.channel(id)) else {
            return Ok(false);
        };
        let buffered = channel.buffered_amount();
        if buffered > 0 && buffered + parcel.text.len() > CHANNEL_HIGH_WATER_BYTES {
            return Ok(false);
        }
        if !channel.write(false, parcel.text.as_bytes())? {
            return Ok(false);
        }
        // Dropping the parcel gives its credit back to the bridge.
        self.outgoing.pop_front();
        Ok(true)
    }

    fn event(&mut self, event: Event, out: &mut Outbox) {
        match event {
            Event::ChannelOpen(id, label) => {
                if self.channel.is_none() && label == DATA_CHANNEL_LABEL {
                    self.channel = Some(id);
                    if let Some(mut channel) = self.rtc.channel(id) {
                        channel.set_buffered_amount_low_threshold(CHANNEL_HIGH_WATER_BYTES / 2);
                    }
                    out.events.push(PeerEvent::Open);
                } else {
                    self.rtc.direct_api().close_data_channel(id);
                    out.events.push(PeerEvent::Garbage);
                }
            }
            Event::ChannelData(data) => {
                let text = (Some(data.id) == self.channel && !data.binary)
                    .then(|| String::from_utf8(data.data).ok())
                    .flatten();
                out.events
                    .push(text.map_or(PeerEvent::Garbage, PeerEvent::Frame));
            }
            Event::ChannelClose(id) if Some(id) == self.channel => {
                self.finish(End::ClosedByRemote, out);
            }
            Event::Closed => self.finish(End::ClosedByRemote, out),
            Event::MediaAdded(media) if media.kind == MediaKind::Audio => {
                self.audio.get_or_insert(media.mid);
            }
            Event::MediaData(data) if self.listening && Some(data.mid) == self.audio => {
                out.events.push(PeerEvent::Audio(Packet {
                    seq: **data.seq_range.end(),
                    time: data.time.numer(),
                    payload: data.data.to_vec(),
                }));
            }
            // Also `IceConnectionStateChange(Disconnected)`: a path may come back (Wi-Fi to mobile, ICE restart), and the silence
            // rule ends what does not.
            _ => {}
        }
    }

    fn finish(&mut self, end: End, out: &mut Outbox) {
        if self.end.is_none() {
            out.events.push(PeerEvent::Ended(end.clone()));
            self.end = Some(end);
        }
    }
}

/// str0m draws ICE credentials from a generator that is not cryptographic; RFC 8445 5.3 wants them unguessable.
fn fresh_credentials() -> IceCreds {
    let random = |length: usize| -> String {
        rand::rng()
            .sample_iter(rand::distr::Alphanumeric)
            .take(length)
            .map(char::from)
            .collect()
    };
    IceCreds {
        ufrag: random(16),
        pass: random(32),
    }
}
