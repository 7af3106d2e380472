//! Everything a request needs, made once at start.

use crate::rtc::Rtc;
use crate::session::Sessions;
use crate::store::Store;
use std::sync::Arc;

#[derive(Clone)]
pub struct App {
    pub store: Arc<dyn Store>,
    pub sessions: Sessions,
    pub rtc: Option<Rtc>,
}
