//! Everything a request needs, made once at start.

use crate::auth::address::Cidr;
use crate::auth::limit::Limits;
use crate::auth::master::MasterKey;
use crate::auth::revocation::Watch;
use crate::auth::token::Tokens;
use crate::calls::Calls;
use crate::extract::Extractor;
use crate::ice::IceServers;
use crate::rtc::Rtc;
use crate::session::Sessions;
use crate::store::Store;
use crate::voice::Voices;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct App {
    pub store: Arc<dyn Store>,
    pub sessions: Sessions,
    pub rtc: Option<Rtc>,
    /// STUN and TURN servers for browsers.
    pub ice: Arc<IceServers>,
    pub voices: Voices,
    /// What runs of the calls that are handed to an engine.
    pub calls: Calls,
    pub tokens: Arc<Tokens>,
    /// Opens identity secrets, recognises secret keys, names verified users.
    pub master: MasterKey,
    pub limits: Arc<Limits>,
    /// Reads documents and files.
    pub extractor: Extractor,
    /// Ends what is open but no longer allowed.
    pub watch: Watch,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Arc<[Cidr]>,
    pub clock: Clock,
    /// Cancelled when the server stops; open streams end then.
    pub stopping: CancellationToken,
}

/// Milliseconds since 1970. A field of the app, so that a test moves it by hand.
#[derive(Clone)]
pub struct Clock(pub Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    pub fn system() -> Clock {
        Clock(Arc::new(|| {
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64)
        }))
    }

    pub fn now_ms(&self) -> u64 {
        (self.0)()
    }

    pub fn now_s(&self) -> u64 {
        self.now_ms() / 1000
    }
}
