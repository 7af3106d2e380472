//! WebRTC: str0m peers (`rtc/peer.rs`, sans-I/O) on a socket driver (`rtc/driver.rs`), one UDP port per media thread.

use crate::error::Fault;
use crate::session::{Principal, Sessions};
use std::net::SocketAddr;

/// Handle to the media threads. Cheap to clone.
#[derive(Clone)]
pub struct Rtc {}

/// The answer to an offer, in the shape of RFC 9725.
#[derive(Clone, Debug)]
pub struct Answer {
    pub sdp: String,
    /// Unguessable id of this connection; last part of `Location`.
    pub connection_id: String,
    /// Strong tag that names the ICE session, without quotes.
    pub etag: String,
}

impl Rtc {
    /// Binds `udp` (port 0 allowed) and starts the media thread.
    pub async fn start(_udp: SocketAddr) -> std::io::Result<Rtc> {
        unimplemented!("owned by the rtc branch")
    }
    pub fn local_addr(&self) -> SocketAddr {
        unimplemented!("owned by the rtc branch")
    }
    /// Takes an offer for a session that `who` owns. The peer is in the driver's hands before the answer is returned.
    pub async fn connect(
        &self,
        _sessions: &Sessions,
        _who: &Principal,
        _session_id: &str,
        _offer: &str,
    ) -> Result<Answer, Fault> {
        unimplemented!("owned by the rtc branch")
    }
    /// Trickle candidates or ICE restart: RFC 9725 4.3. `etag` is the `If-Match` value. Some(sdpfrag, etag) for a restart.
    pub async fn patch(
        &self,
        _who: &Principal,
        _connection_id: &str,
        _etag: &str,
        _fragment: &str,
    ) -> Result<Option<(String, String)>, Fault> {
        unimplemented!("owned by the rtc branch")
    }
    pub async fn close(&self, _who: &Principal, _connection_id: &str) -> Result<(), Fault> {
        unimplemented!("owned by the rtc branch")
    }
    /// Closes every peer and stops the threads.
    pub async fn stop(&self) {}
}
