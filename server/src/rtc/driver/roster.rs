//! The peers of one media thread and the three ways to find one: by ufrag, by address, by the time of its next timer.

use super::Inbound;
use crate::rtc::PeerKey;
use crate::rtc::peer::Peer;
use crate::voice::Packet;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;
use tokio::sync::mpsc;

/// Addresses remembered for one peer: Wi-Fi, mobile, relay, each in both families, twice.
const ADDRESSES_PER_PEER_MAX: usize = 12;

#[derive(Default)]
pub struct Roster {
    peers: HashMap<PeerKey, Slot>,
    by_ufrag: HashMap<String, PeerKey>,
    by_address: HashMap<SocketAddr, PeerKey>,
    timers: BTreeSet<(Instant, PeerKey)>,
}

pub struct Slot {
    pub peer: Box<Peer>,
    pub inbound: mpsc::Sender<Inbound>,
    /// Of the call, if there is one.
    pub packets: Option<mpsc::Sender<Packet>>,
    ufrag: String,
    addresses: VecDeque<SocketAddr>,
    deadline: Instant,
}

impl Roster {
    pub fn add(&mut self, key: PeerKey, peer: Box<Peer>, inbound: mpsc::Sender<Inbound>) {
        let deadline = peer.deadline();
        let ufrag = peer.ufrag().to_owned();
        self.timers.insert((deadline, key));
        self.by_ufrag.insert(ufrag.clone(), key);
        let slot = Slot {
            peer,
            inbound,
            packets: None,
            ufrag,
            addresses: VecDeque::new(),
            deadline,
        };
        self.peers.insert(key, slot);
    }

    /// Forgets every way to the peer and hands it over.
    pub fn remove(&mut self, key: PeerKey) -> Option<Box<Peer>> {
        let slot = self.peers.remove(&key)?;
        self.timers.remove(&(slot.deadline, key));
        self.by_ufrag.remove(&slot.ufrag);
        for address in &slot.addresses {
            if self.by_address.get(address) == Some(&key) {
                self.by_address.remove(address);
            }
        }
        Some(slot.peer)
    }

    pub fn listen(&mut self, key: PeerKey, packets: Option<mpsc::Sender<Packet>>) {
        if let Some(slot) = self.peers.get_mut(&key) {
            slot.peer.listen(packets.is_some());
            slot.packets = packets;
        }
    }

    pub fn slot(&mut self, key: PeerKey) -> Option<&mut Slot> {
        self.peers.get_mut(&key)
    }

    pub fn keys(&self) -> Vec<PeerKey> {
        self.peers.keys().copied().collect()
    }

    pub fn of_ufrag(&self, ufrag: &str) -> Option<PeerKey> {
        self.by_ufrag.get(ufrag).copied()
    }

    pub fn of_address(&self, address: SocketAddr) -> Option<PeerKey> {
        self.by_address.get(&address).copied()
    }

    /// What comes from `source` belongs to this peer from now on.
    pub fn remember(&mut self, key: PeerKey, source: SocketAddr) {
        if self.by_address.get(&source) == Some(&key) {
            return;
        }
        let Some(slot) = self.peers.get_mut(&key) else {
            return;
        };
        slot.addresses.push_back(source);
        let forgotten = (slot.addresses.len() > ADDRESSES_PER_PEER_MAX)
            .then(|| slot.addresses.pop_front())
            .flatten();
        if let Some(old) = self.by_address.insert(source, key)
            && let Some(other) = self.peers.get_mut(&old)
        {
            other.addresses.retain(|address| *address != source);
        }
        if let Some(address) = forgotten {
            self.by_address.remove(&address);
        }
    }

    /// After an ICE restart the peer answers to another ufrag.
    pub fn follow_ufrag(&mut self, key: PeerKey) {
        let Some(slot) = self.peers.get_mut(&key) else {
            return;
        };
        if slot.ufrag != slot.peer.ufrag() {
            self.by_ufrag.remove(&slot.ufrag);
            slot.ufrag = slot.peer.ufrag().to_owned();
            self.by_ufrag.insert(slot.ufrag.clone(), key);
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    pub fn due(&self, now: Instant) -> Vec<PeerKey> {
        let due = self.timers.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, key)| *key).collect()
    }

    /// Sets the peer's timer to when it wants to be woken, but not before this.
    pub fn schedule(&mut self, key: PeerKey, not_before: Instant) {
        if let Some(slot) = self.peers.get_mut(&key) {
            let deadline = slot.peer.deadline().max(not_before);
            if deadline != slot.deadline {
                self.timers.remove(&(slot.deadline, key));
                self.timers.insert((deadline, key));
                slot.deadline = deadline;
            }
        }
    }

    pub fn size(&self) -> super::Counts {
        super::Counts {
            peers: self.peers.len(),
            timers: self.timers.len(),
            ufrags: self.by_ufrag.len(),
            addresses: self.by_address.len(),
            ..super::Counts::default()
        }
    }
}
