//! WebRTC: str0m peers (`rtc/peer.rs`, sans-I/O) on a socket driver (`rtc/driver.rs`), one UDP port per media thread, and one
//! task per peer (`rtc/bridge.rs`) that joins the data channel to a conversation.
//!
//! The HTTP shape is that of RFC 9725 (`routes/connect.rs`). This module knows neither HTTP nor how a conversation works: it
//! sees one through [`Conversation`].

mod addresses;
mod bridge;
mod demux;
mod driver;
mod peer;
mod ports;
mod registry;
pub(crate) mod sdp;
mod talk;
#[cfg(test)]
mod tests;

use crate::error::Fault;
use crate::session::{Frame, Principal, Sessions, Stay};
use async_trait::async_trait;
use driver::{Command, Counts, Driver};
use futures::StreamExt;
use futures::stream::BoxStream;
use karta_protocol::{Accepted, ClientEvent, ErrorCode};
use peer::{Peer, Settings};
use registry::{Connection, Registry};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// What a data channel is joined to. [`Sessions`] is one; a wrapper may add rate limits, a test may fake it.
#[async_trait]
pub trait Conversation: Send + Sync + 'static {
    /// Refuses unless the session exists and is the caller's.
    async fn check(&self, who: &Principal, session_id: &str) -> Result<(), Fault>;
    /// Everything after the cursor, then the running part, then `session.synced`, then live. The stream ends when the
    /// session or the server does, or when this reader fell too far behind.
    async fn subscribe(
        &self,
        who: &Principal,
        session_id: &str,
        after: u64,
    ) -> Result<Frames, Fault>;
    /// Carries out a client event; returns after the commit.
    async fn submit(
        &self,
        who: &Principal,
        session_id: &str,
        event: ClientEvent,
    ) -> Result<Accepted, Fault>;
    /// Lets a call begin, or refuses: no voice for this agent, no engine, no place, a limit.
    async fn begin_call(&self, who: &Principal, session_id: &str) -> Result<Begun, Fault>;
    /// A call goes on: pays the minute that begins, or refuses.
    async fn go_on(&self, who: &Principal, session_id: &str, stay: Stay) -> Result<Stay, Fault>;
    /// Puts what the visitor said aloud into the log.
    async fn said(
        &self,
        who: &Principal,
        session_id: &str,
        utterance: &str,
        words: &str,
    ) -> Result<Accepted, Fault>;
}

pub(crate) use peer::Unacceptable;
pub use talk::Begun;

pub type Frames = BoxStream<'static, Frame>;

#[async_trait]
impl Conversation for Sessions {
    async fn check(&self, who: &Principal, session_id: &str) -> Result<(), Fault> {
        // The end of the log: an empty page for the owner, `session_not_found` for anybody else.
        self.page(who, session_id, i64::MAX as u64)
            .await
            .map(|_| ())
    }

    async fn subscribe(
        &self,
        who: &Principal,
        session_id: &str,
        after: u64,
    ) -> Result<Frames, Fault> {
        let subscription = Sessions::subscribe(self, who, session_id, after).await?;
        // `unfold` keeps a half-done `next()` between polls, so the bridge may select over it without losing a frame.
        Ok(
            futures::stream::unfold(subscription, |mut subscription| async move {
                let frame = subscription.next().await?;
                Some((frame, subscription))
            })
            .boxed(),
        )
    }

    async fn submit(
        &self,
        who: &Principal,
        session_id: &str,
        event: ClientEvent,
    ) -> Result<Accepted, Fault> {
        Sessions::submit(self, who, session_id, event, None).await
    }

    /// What a server has for calls is not the sessions' business: a wrapper says it.
    async fn begin_call(&self, _who: &Principal, _session_id: &str) -> Result<Begun, Fault> {
        Err(Fault::refused(
            ErrorCode::VoiceUnavailable,
            "This agent cannot be talked to. Text works.",
        ))
    }

    async fn go_on(&self, who: &Principal, session_id: &str, stay: Stay) -> Result<Stay, Fault> {
        Sessions::go_on(self, who, session_id, stay).await
    }

    async fn said(
        &self,
        who: &Principal,
        session_id: &str,
        utterance: &str,
        words: &str,
    ) -> Result<Accepted, Fault> {
        Sessions::said(self, who, session_id, utterance, words, None).await
    }
}

/// Longest wait for a media thread that is asked how it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How the media threads run.
#[derive(Clone, Debug)]
pub struct RtcConfig {
    /// Address of the first media thread; thread n takes port + n (or any, with port 0).
    pub listen: SocketAddr,
    /// Addresses to offer instead of the bound ones: for a server behind 1:1 NAT or in a container (`KARTA_RTC_PUBLIC_IP`).
    pub public_ips: Vec<IpAddr>,
    pub threads: usize,
    /// Open and half-open connections in this process. Beyond: `overloaded`.
    pub max_connections: usize,
    /// Of one session: tabs and the remains of reloads. Beyond: `rate_limited`.
    pub max_connections_per_session: usize,
    /// An offer whose data channel is not open by then is forgotten.
    pub connect_timeout: Duration,
    /// A peer without a frame for so long is dropped.
    pub peer_timeout: Duration,
}

impl RtcConfig {
    pub fn new(listen: SocketAddr) -> Self {
        RtcConfig {
            listen,
            public_ips: Vec::new(),
            threads: 1,
            max_connections: 4_000,
            max_connections_per_session: 6,
            connect_timeout: Duration::from_secs(20),
            peer_timeout: Duration::from_millis(karta_protocol::PEER_TIMEOUT_MS),
        }
    }
}

impl From<SocketAddr> for RtcConfig {
    fn from(listen: SocketAddr) -> Self {
        RtcConfig::new(listen)
    }
}

/// Handle to the media threads. Cheap to clone.
#[derive(Clone)]
pub struct Rtc {
    shared: Arc<Shared>,
}

struct Shared {
    threads: Vec<Thread>,
    registry: Arc<Registry>,
    next_key: AtomicU64,
    next_thread: AtomicUsize,
}

/// One media thread as the rest of the process sees it.
struct Thread {
    commands: mpsc::UnboundedSender<Command>,
    settings: Arc<Settings>,
    local_addr: SocketAddr,
    handle: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// Names a peer inside its media thread. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerKey(u64);

/// The answer to an offer, in the shape of RFC 9725.
#[derive(Clone, Debug)]
pub struct Answer {
    pub sdp: String,
    /// Unguessable id of this connection; last part of `Location`.
    pub connection_id: String,
    /// Strong tag that names the ICE session, without quotes.
    pub etag: String,
}

/// Which ICE session a PATCH is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Whichever runs: a restart.
    Any,
    /// One of these strong tags, without quotes.
    Tags(Vec<String>),
}

/// What became of a PATCH that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patched {
    Taken,
    /// ICE restarted: the fragment with our side of it.
    Restarted {
        fragment: String,
        etag: String,
    },
    /// Not to be done this way, and how to. Nothing has changed.
    Unsupported(&'static str),
}

impl Rtc {
    /// Binds the sockets (port 0 allowed) and starts the media threads.
    pub async fn start(config: impl Into<RtcConfig>) -> std::io::Result<Rtc> {
        let config = config.into();
        let identity = peer::Identity::generate()?;
        let mut threads = Vec::new();
        for index in 0..config.threads.max(1) {
            let mut listen = config.listen;
            if listen.port() != 0 {
                listen.set_port(listen.port().saturating_add(index as u16));
            }
            let sockets = addresses::bind(listen, &config.public_ips)?;
            let settings = Arc::new(Settings {
                identity: identity.clone(),
                candidates: sockets
                    .iter()
                    .flat_map(|s| s.advertised.iter().copied())
                    .collect(),
                connect_timeout: config.connect_timeout,
                peer_timeout: config.peer_timeout,
            });
            let local_addr = sockets[0].local;
            let (commands, queue) = mpsc::unbounded_channel();
            let handle = Driver::spawn(index, sockets, queue)?;
            threads.push(Thread {
                commands,
                settings,
                local_addr,
                handle: Mutex::new(Some(handle)),
            });
        }
        Ok(Rtc {
            shared: Arc::new(Shared {
                threads,
                registry: Registry::new(config.max_connections, config.max_connections_per_session),
                next_key: AtomicU64::new(1),
                next_thread: AtomicUsize::new(0),
            }),
        })
    }

    /// Address of the first media thread's first socket.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.threads[0].local_addr
    }

    /// Connections held now, half-open ones included.
    pub fn connections(&self) -> usize {
        self.shared.registry.len()
    }

    /// What all media threads hold and have seen. None: one of them is too busy to say.
    pub async fn load(&self) -> Option<Counts> {
        let mut sum = Counts::default();
        for thread in &self.shared.threads {
            let (reply, counts) = oneshot::channel();
            thread.commands.send(Command::Probe(reply)).ok()?;
            let counts = tokio::time::timeout(PROBE_TIMEOUT, counts).await;
            sum += counts.ok()?.ok()?;
        }
        Some(sum)
    }

    /// Takes an offer for a session that `who` owns. The peer is in the driver's hands before the answer is returned.
    pub async fn connect(
        &self,
        conversation: Arc<dyn Conversation>,
        who: &Principal,
        session_id: &str,
        offer: &str,
    ) -> Result<Answer, Fault> {
        conversation.check(who, session_id).await?;
        let index =
            self.shared.next_thread.fetch_add(1, Ordering::Relaxed) % self.shared.threads.len();
        let thread = &self.shared.threads[index];
        let key = PeerKey(self.shared.next_key.fetch_add(1, Ordering::Relaxed));
        // The seat is taken before the costly part, and given back by drop wherever this fails.
        let (seat, left) = self.shared.registry.take(who, session_id, index, key)?;
        if let Some(Connection { thread, key, .. }) = left {
            let _ = self.shared.threads[thread]
                .commands
                .send(Command::Close { key });
        }
        let (peer, sdp) = Peer::accept(offer, thread.settings.clone(), Instant::now())?;
        seat.note_remote(peer.remote_ufrag());
        let answer = Answer {
            sdp,
            connection_id: seat.connection_id().to_owned(),
            etag: seat.etag(),
        };
        let (inbound, frames) = mpsc::channel(bridge::INBOUND_FRAMES);
        thread
            .commands
            .send(Command::Add {
                key,
                peer: Box::new(peer),
                inbound,
            })
            .map_err(|_| stopped())?;
        tokio::spawn(bridge::run(bridge::Bridge {
            conversation,
            who: who.clone(),
            session_id: session_id.to_owned(),
            key,
            commands: thread.commands.clone(),
            inbound: frames,
            seat,
        }));
        Ok(answer)
    }

    /// Whether `who` has this connection.
    pub fn holds(&self, who: &Principal, session_id: &str, connection_id: &str) -> bool {
        let found = self.shared.registry.find(who, session_id, connection_id);
        found.is_some()
    }

    /// Trickled candidates or an ICE restart: RFC 9725 4.3.
    pub async fn patch(
        &self,
        who: &Principal,
        session_id: &str,
        connection_id: &str,
        if_match: &IfMatch,
        fragment: &str,
    ) -> Result<Patched, Fault> {
        let connection = self
            .shared
            .registry
            .find(who, session_id, connection_id)
            .ok_or_else(not_found)?;
        let fragment = sdp::Fragment::parse(fragment)?;
        let known = match if_match {
            IfMatch::Any => None,
            IfMatch::Tags(tags) => Some(tags.contains(&connection.etag)),
        };
        let remote = match (known, fragment.credentials) {
            (None, Some(remote)) => remote,
            (None, None) => {
                return Ok(Patched::Unsupported(
                    "An ICE restart needs a=ice-ufrag and a=ice-pwd.",
                ));
            }
            (Some(false), _) => {
                return Err(Fault::refused(
                    ErrorCode::PreconditionFailed,
                    "If-Match names an ICE session that is over. Send the ETag of the last answer as it came, with its quotes.",
                ));
            }
            (Some(true), Some(remote)) if remote.ufrag != connection.remote_ufrag => {
                return Ok(Patched::Unsupported(
                    "New ICE credentials begin a new ICE session: send them with `If-Match: \"*\"`.",
                ));
            }
            // Remote candidates are not needed, and not followed: see `peer.rs`.
            (Some(true), _) => return Ok(Patched::Taken),
        };
        let ufrag = remote.ufrag.clone();
        let (reply, outcome) = oneshot::channel();
        self.shared.threads[connection.thread]
            .commands
            .send(Command::Restart {
                key: connection.key,
                remote,
                reply,
            })
            .map_err(|_| stopped())?;
        let sdp = outcome.await.map_err(|_| not_found())??;
        let etag = self
            .shared
            .registry
            .renew(connection_id, ufrag)
            .ok_or_else(not_found)?;
        Ok(Patched::Restarted {
            fragment: sdp,
            etag,
        })
    }

    pub async fn close(
        &self,
        who: &Principal,
        session_id: &str,
        connection_id: &str,
    ) -> Result<(), Fault> {
        let connection = self
            .shared
            .registry
            .find(who, session_id, connection_id)
            .ok_or_else(not_found)?;
        self.shared.registry.remove(connection_id);
        let _ = self.shared.threads[connection.thread]
            .commands
            .send(Command::Close {
                key: connection.key,
            });
        Ok(())
    }

    /// Closes every peer and stops the threads.
    pub async fn stop(&self) {
        for thread in &self.shared.threads {
            let _ = thread.commands.send(Command::Stop);
        }
        for thread in &self.shared.threads {
            let handle = thread.handle.lock().ok().and_then(|mut slot| slot.take());
            if let Some(handle) = handle {
                let _ = tokio::task::spawn_blocking(move || handle.join()).await;
            }
        }
    }
}

fn not_found() -> Fault {
    Fault::refused(
        ErrorCode::ConnectionNotFound,
        "There is no such connection, or it has ended. Send a new offer.",
    )
}

fn stopped() -> Fault {
    Fault::Refused {
        code: ErrorCode::Overloaded,
        message: "The server is shutting down.".into(),
        retry_after_seconds: Some(5),
    }
}
