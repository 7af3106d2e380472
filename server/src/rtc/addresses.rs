//! Sockets of a media thread and the addresses offered for them.
//!
//! A wildcard is never bound as such: ICE needs to know which address a packet was sent *to*, and an answer must leave from
//! that one. So `0.0.0.0` and `[::]` become one socket per address of the machine, all on one port.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// More would only lengthen every answer.
const ADDRESSES_MAX: usize = 8;

/// A burst of 50 packets a second for thousands of peers fits while the thread is busy for some 100 ms.
const SOCKET_BUFFER_BYTES: usize = 2 * 1024 * 1024;

/// A bound socket.
pub(super) struct BoundSocket {
    pub socket: UdpSocket,
    pub local: SocketAddr,
    /// Host candidates; the first is what peers are told a packet was sent to.
    pub advertised: Vec<SocketAddr>,
}

pub(super) fn bind(listen: SocketAddr, public_ips: &[IpAddr]) -> io::Result<Vec<BoundSocket>> {
    if !public_ips.is_empty() {
        // Behind NAT the packet's true destination is a private address that means nothing to the peer.
        let socket = open(listen)?;
        let local = socket.local_addr()?;
        let advertised = public_ips
            .iter()
            .map(|ip| SocketAddr::new(*ip, local.port()))
            .collect();
        return Ok(vec![BoundSocket {
            socket,
            local,
            advertised,
        }]);
    }
    if !listen.ip().is_unspecified() {
        return Ok(vec![bound(listen)?]);
    }
    let ips = machine_addresses(listen.is_ipv6())?;
    // With port 0 the first socket picks; another address may have that port taken, so try a few.
    let mut last = io::Error::other("this machine has no network address");
    for _ in 0..if listen.port() == 0 { 8 } else { 1 } {
        match bind_all(&ips, listen.port()) {
            Ok(sockets) if !sockets.is_empty() => return Ok(sockets),
            Ok(_) => break,
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_all(ips: &[IpAddr], port: u16) -> io::Result<Vec<BoundSocket>> {
    let mut sockets: Vec<BoundSocket> = Vec::new();
    for ip in ips {
        let port = sockets.first().map_or(port, |first| first.local.port());
        sockets.push(bound(SocketAddr::new(*ip, port))?);
    }
    Ok(sockets)
}

fn bound(address: SocketAddr) -> io::Result<BoundSocket> {
    let socket = open(address)?;
    let local = socket.local_addr()?;
    Ok(BoundSocket {
        socket,
        local,
        advertised: vec![local],
    })
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    // The kernel may grant less; that only costs packets under load.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Addresses that a visitor may reach; loopback only where there is nothing else.
fn machine_addresses(with_v6: bool) -> io::Result<Vec<IpAddr>> {
    let mut all: Vec<IpAddr> = if_addrs::get_if_addrs()?
        .into_iter()
        .map(|interface| interface.ip())
        .filter(|ip| with_v6 || ip.is_ipv4())
        .filter(|ip| !is_link_local(ip))
        .collect();
    all.sort_by_key(|ip| ip.is_ipv6());
    all.dedup();
    let (loopback, mut reachable): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|ip| ip.is_loopback());
    if reachable.is_empty() {
        reachable = loopback;
    }
    reachable.truncate(ADDRESSES_MAX);
    Ok(reachable)
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}
