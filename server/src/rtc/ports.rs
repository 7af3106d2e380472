//! The sockets of a media thread: which one a packet leaves by, and what waits while one is full.

use super::addresses::BoundSocket;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use str0m::net::Transmit;
use tokio::net::UdpSocket;

/// Packets kept while a socket is full. Beyond, they are lost as on any full link; SCTP repeats what matters.
const BACKLOG_PACKETS_MAX: usize = 1_024;

pub(super) struct Ports {
    ports: Vec<Port>,
    backlog: VecDeque<(usize, SocketAddr, Vec<u8>)>,
}

struct Port {
    socket: UdpSocket,
    /// What peers are told a packet was sent to, for each family.
    advertised: Vec<SocketAddr>,
}

impl Ports {
    pub fn new(sockets: Vec<BoundSocket>) -> io::Result<Ports> {
        let ports = sockets.into_iter().map(|bound| {
            Ok(Port {
                socket: UdpSocket::from_std(bound.socket)?,
                advertised: bound.advertised,
            })
        });
        Ok(Ports {
            ports: ports.collect::<io::Result<_>>()?,
            backlog: VecDeque::new(),
        })
    }

    /// Returns the number of a port that has something to read.
    pub async fn readable(&self) -> usize {
        poll_fn(|context| {
            for (index, port) in self.ports.iter().enumerate() {
                if port.socket.poll_recv_ready(context).is_ready() {
                    return Poll::Ready(index);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// None: nothing more for now. An error is an ICMP answer to something sent earlier; the next packet is readable all the same.
    pub fn read(
        &self,
        index: usize,
        buffer: &mut [u8],
    ) -> Option<Result<(usize, SocketAddr), io::Error>> {
        match self.ports[index].socket.try_recv_from(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            read => Some(read),
        }
    }

    /// The candidate that a packet from this source was sent to.
    pub fn destination(&self, index: usize, source: SocketAddr) -> Option<SocketAddr> {
        self.ports[index]
            .advertised
            .iter()
            .find(|address| address.is_ipv4() == source.is_ipv4())
            .copied()
    }

    /// Sends, or keeps for later. False: lost.
    pub fn send(&mut self, packet: Transmit) -> bool {
        let index = self
            .ports
            .iter()
            .position(|port| port.advertised.contains(&packet.source))
            .unwrap_or(0);
        if self.backlog.is_empty() && self.transmit(index, packet.destination, &packet.contents) {
            return true;
        }
        let room = self.backlog.len() < BACKLOG_PACKETS_MAX;
        if room {
            self.backlog
                .push_back((index, packet.destination, packet.contents.to_vec()));
        }
        room
    }

    /// Packets that wait.
    pub fn backlog(&self) -> usize {
        self.backlog.len()
    }

    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Returns when the socket that the oldest waiting packet needs has room.
    pub async fn writable(&self) {
        if let Some((index, _, _)) = self.backlog.front() {
            let _ = self.ports[*index].socket.writable().await;
        }
    }

    pub fn send_backlog(&mut self) {
        while let Some((index, destination, contents)) = self.backlog.pop_front() {
            if !self.transmit(index, destination, &contents) {
                self.backlog.push_front((index, destination, contents));
                return;
            }
        }
    }

    /// False: the socket is full, try again later. An unreachable address is the packet's own fault.
    fn transmit(&self, index: usize, destination: SocketAddr, contents: &[u8]) -> bool {
        match self.ports[index].socket.try_send_to(contents, destination) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                tracing::trace!(%error, "packet not sent");
                true
            }
        }
    }
}
