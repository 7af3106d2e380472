//! A media thread: its sockets, its peers, their timers. Decides nothing about conversations.
//!
//! Three bugs of an earlier prototype shape it. An answer can be overtaken by the browser's first STUN check, so the command
//! queue is drained before reading and once more when a check matches nobody. Client ports are reused, so STUN is matched by
//! ufrag first and the address map follows. And each peer runs inside a panic boundary: remote input has made WebRTC stacks
//! panic before, and one visitor must not end another's call.

use super::PeerKey;
use super::addresses::BoundSocket;
use super::demux::{self, Datagram};
use super::peer::{End, Outbox, Parcel, Peer, PeerEvent, Unacceptable};
use super::ports::Ports;
use crate::error::Fault;
use crate::voice::{Frame, Packet};
use roster::Roster;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use str0m::IceCreds;
use tokio::sync::{mpsc, oneshot};

/// Ethernet's 1,500 with room; what is longer is no WebRTC packet.
const DATAGRAM_MAX_BYTES: usize = 2_048;
/// Packets read before timers and commands get their turn.
const READ_BATCH: usize = 64;
const COMMAND_BATCH: usize = 256;
/// tokio's own resolution.
const TIMER_STEP: Duration = Duration::from_millis(1);

mod roster;
#[cfg(test)]
mod tests;

/// What the rest of the process asks of a media thread.
pub(super) enum Command {
    Add {
        key: PeerKey,
        peer: Box<Peer>,
        inbound: mpsc::Sender<Inbound>,
    },
    Send {
        key: PeerKey,
        parcel: Parcel,
    },
    /// The visitor's audio goes there from now on; None: nowhere.
    Listen {
        key: PeerKey,
        packets: Option<mpsc::Sender<Packet>>,
    },
    /// Audio for the visitor.
    Speak {
        key: PeerKey,
        frame: Frame,
    },
    Restart {
        key: PeerKey,
        remote: IceCreds,
        reply: oneshot::Sender<Result<String, Fault>>,
    },
    Close {
        key: PeerKey,
    },
    Stop,
    /// Panics inside the peer's boundary.
    #[cfg(test)]
    Panic {
        key: PeerKey,
    },
    Probe(oneshot::Sender<Counts>),
}

/// What a peer tells its bridge. The end of the queue is the end of the peer.
#[derive(Debug)]
pub(super) enum Inbound {
    Open,
    Frame(String),
    Garbage,
}

/// What a media thread holds and has seen, for operators and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub peers: usize,
    pub timers: usize,
    pub ufrags: usize,
    pub addresses: usize,
    /// STUN checks that named no peer, even after the command queue was drained.
    pub unmatched_stun: u64,
    /// Datagrams for nobody, forged, or lost on a full socket.
    pub dropped: u64,
    pub panics: u64,
    /// Commands that wait.
    pub commands: usize,
    /// Packets that wait for a full socket.
    pub backlog: usize,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.peers += other.peers;
        self.timers += other.timers;
        self.ufrags += other.ufrags;
        self.addresses += other.addresses;
        self.unmatched_stun += other.unmatched_stun;
        self.dropped += other.dropped;
        self.panics += other.panics;
        self.commands += other.commands;
        self.backlog += other.backlog;
    }
}

pub(super) struct Driver {
    ports: Ports,
    commands: mpsc::UnboundedReceiver<Command>,
    roster: Roster,
    outbox: Outbox,
    /// Peers whose bridge is gone.
    orphans: Vec<PeerKey>,
    counts: Counts,
    stopping: bool,
}

impl Driver {
    pub fn spawn(
        index: usize,
        sockets: Vec<BoundSocket>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> io::Result<std::thread::JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name(format!("karta-media-{index}"))
            .spawn(move || {
                runtime.block_on(async move {
                    match Driver::new(sockets, commands) {
                        Ok(driver) => driver.run().await,
                        Err(error) => tracing::error!(%error, "media thread cannot start"),
                    }
                })
            })
    }

    fn new(
        sockets: Vec<BoundSocket>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> io::Result<Driver> {
        Ok(Driver {
            ports: Ports::new(sockets)?,
            commands,
            roster: Roster::default(),
            outbox: Outbox::default(),
            orphans: Vec::new(),
            counts: Counts::default(),
            stopping: false,
        })
    }

    async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_MAX_BYTES];
        while !self.stopping {
            let deadline = self
                .roster
                .next_deadline()
                .unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
            let has_backlog = self.ports.has_backlog();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => {
                        self.command(command);
                        self.drain_commands();
                    }
                    None => self.stopping = true,
                },
                index = self.ports.readable() => self.read(index, &mut buffer),
                () = self.ports.writable(), if has_backlog => self.ports.send_backlog(),
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
            self.fire_timers();
            self.close_orphans();
        }
        for key in self.roster.keys() {
            self.close(key);
        }
    }

    fn drain_commands(&mut self) {
        for _ in 0..COMMAND_BATCH {
            match self.commands.try_recv() {
                Ok(command) => self.command(command),
                Err(_) => return,
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Add { key, peer, inbound } => self.roster.add(key, peer, inbound),
            Command::Send { key, parcel } => self.step(key, |peer, out| peer.send(parcel, out)),
            Command::Listen { key, packets } => self.roster.listen(key, packets),
            Command::Speak { key, frame } => {
                let now = Instant::now();
                self.step(key, |peer, out| peer.speak(frame, now, out));
            }
            Command::Restart { key, remote, reply } => {
                let mut outcome = None;
                self.step(key, |peer, out| outcome = Some(peer.restart(remote, out)));
                self.roster.follow_ufrag(key);
                if let Some(outcome) = outcome {
                    let _ = reply.send(outcome.map_err(Unacceptable::into));
                }
            }
            Command::Close { key } => self.close(key),
            Command::Stop => self.stopping = true,
            #[cfg(test)]
            Command::Panic { key } => self.step(key, |_, _| panic!("injected by a test")),
            Command::Probe(reply) => {
                let _ = reply.send(Counts {
                    unmatched_stun: self.counts.unmatched_stun,
                    dropped: self.counts.dropped,
                    panics: self.counts.panics,
                    commands: self.commands.len(),
                    backlog: self.ports.backlog(),
                    ..self.roster.size()
                });
            }
        }
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) {
        self.drain_commands();
        for _ in 0..READ_BATCH {
            match self.ports.read(index, buffer) {
                Some(Ok((length, source))) => self.packet(index, source, &buffer[..length]),
                Some(Err(error)) => tracing::trace!(%error, "socket error"),
                None => return,
            }
        }
    }

    fn packet(&mut self, index: usize, source: SocketAddr, packet: &[u8]) {
        let (key, is_check) = match demux::classify(packet) {
            Datagram::StunRequest { ufrag } => (self.peer_of_ufrag(ufrag), true),
            Datagram::ByAddress => (self.roster.of_address(source), false),
            Datagram::Junk => (None, false),
        };
        let Some(key) = key else {
            self.counts.dropped += 1;
            self.counts.unmatched_stun += u64::from(is_check);
            return;
        };
        let Some(destination) = self.ports.destination(index, source) else {
            return;
        };
        let now = Instant::now();
        let mut genuine = false;
        self.step(key, |peer, out| {
            genuine = peer.receive(now, source, destination, packet, out);
        });
        match genuine {
            // Only a check that carries the right HMAC may move an address to its peer.
            true if is_check => self.roster.remember(key, source),
            true => {}
            false => self.counts.dropped += 1,
        }
    }

    fn peer_of_ufrag(&mut self, ufrag: &str) -> Option<PeerKey> {
        if let Some(key) = self.roster.of_ufrag(ufrag) {
            return Some(key);
        }
        self.drain_commands();
        self.roster.of_ufrag(ufrag)
    }

    fn fire_timers(&mut self) {
        let now = Instant::now();
        for key in self.roster.due(now) {
            self.step(key, |peer, out| peer.tick(now, out));
            // A peer that asks for the same moment again must not turn this thread in a circle.
            self.roster.schedule(key, now + TIMER_STEP);
        }
    }

    /// Before it drops its queue, a bridge has queued its last words and a `Close`: those come first.
    fn close_orphans(&mut self) {
        if !self.orphans.is_empty() {
            self.drain_commands();
            for key in std::mem::take(&mut self.orphans) {
                self.close(key);
            }
        }
    }

    /// Ends a peer, and tells the other side if there is one to tell.
    fn close(&mut self, key: PeerKey) {
        if let Some(slot) = self.roster.slot(key) {
            let (peer, outbox) = (&mut slot.peer, &mut self.outbox);
            if catch_unwind(AssertUnwindSafe(|| peer.close(outbox))).is_err() {
                self.counts.panics += 1;
                self.outbox.packets.clear();
            }
            self.flush_packets();
        }
        self.remove(key);
    }

    /// Runs one step of a peer inside its panic boundary, then sends what it wants sent, tells what it has to tell, and sets
    /// its timer anew.
    fn step(&mut self, key: PeerKey, run: impl FnOnce(&mut Peer, &mut Outbox)) {
        let Some(slot) = self.roster.slot(key) else {
            return;
        };
        let outbox = &mut self.outbox;
        let peer = &mut slot.peer;
        // The peer is dropped after a panic, and the outbox holds whole packets and events only.
        if catch_unwind(AssertUnwindSafe(|| run(peer, outbox))).is_err() {
            self.counts.panics += 1;
            tracing::error!(?key, "a WebRTC peer panicked and was ended");
            self.outbox.packets.clear();
            self.outbox.events.clear();
            return self.remove(key);
        }
        self.flush_packets();
        let now = Instant::now();
        if let Some(end) = self.tell(key, now) {
            tracing::debug!(?key, ?end, "peer ended");
            return self.close(key);
        }
        self.roster.schedule(key, now);
    }

    fn flush_packets(&mut self) {
        for packet in self.outbox.packets.drain(..) {
            self.counts.dropped += u64::from(!self.ports.send(packet));
        }
    }

    /// Passes the peer's events to its bridge. Some: the peer is over.
    fn tell(&mut self, key: PeerKey, now: Instant) -> Option<End> {
        let slot = self.roster.slot(key)?;
        for event in self.outbox.events.drain(..) {
            let message = match event {
                PeerEvent::Open => Inbound::Open,
                PeerEvent::Frame(text) => Inbound::Frame(text),
                PeerEvent::Garbage => Inbound::Garbage,
                PeerEvent::Ended(end) => return Some(end),
                PeerEvent::Audio(packet) => {
                    // Nobody listens, or not fast enough: dropped, like on a bad line.
                    if let Some(packets) = &slot.packets {
                        let _ = packets.try_send(packet);
                    }
                    continue;
                }
            };
            slot.peer.heard(now);
            match slot.inbound.try_send(message) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    return Some(End::Failed(
                        "frames come faster than they can be carried out".into(),
                    ));
                }
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    self.orphans.push(key);
                    break;
                }
            }
        }
        None
    }

    fn remove(&mut self, key: PeerKey) {
        self.outbox.events.clear();
        let Some(peer) = self.roster.remove(key) else {
            return;
        };
        // After a panic its state may be anything; dropping it is part of the boundary.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(peer)));
    }
}
