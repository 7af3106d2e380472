//! Wire types shared by the Karta widget and server: what travels as JSON over HTTPS, server-sent
//! events and the data channel. docs/PROTOCOL.md describes the same in prose.
//!
//! Types only: no I/O, no validation, no defaults that decide anything. Every struct is flat with
//! optional fields rather than a tagged enum, because the widget pays for each serde enum in bytes.

mod auth;
mod config;
mod error;
mod event;
mod session;

pub use auth::{
    ExchangeRequest, GuestRequest, RefreshRequest, TokenReply, UserTokenReply, UserTokenRequest,
};
pub use config::{
    AgentProfile, AuthMode, Branding, Features, LauncherPosition, RealtimeLine, WidgetConfig,
};
pub use error::{ErrorBody, ErrorCode, ErrorDetail};
pub use event::{ClientEvent, EventType, SessionEvent, Source, StopReason, Usage, client};
pub use session::{Accepted, CreateSession, EventsPage, SessionInfo, SessionList, SessionStatus};

/// Path under which every public call of the widget lives (seed 002).
pub const API_BASE: &str = "/api/v1/widget";

/// Label of the data channel that the widget creates in its offer.
pub const DATA_CHANNEL_LABEL: &str = "karta";

/// How often the widget sends `ping` on an open data channel, in milliseconds.
pub const PING_INTERVAL_MS: u64 = 5_000;

/// After how long without a frame the server gives a peer up, in milliseconds.
pub const PEER_TIMEOUT_MS: u64 = 20_000;

/// Longest text of one user message, in UTF-8 bytes. 16 kB is four printed pages.
pub const MESSAGE_MAX_BYTES: usize = 16 * 1024;
