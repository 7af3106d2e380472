//! Session calls: create or resume, list, read the log.

use crate::SessionEvent;
use serde::{Deserialize, Serialize};

/// `POST /sessions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct CreateSession {
    /// A session of the same visitor to go on with. Another's, or one that is gone, gives a new session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
}

/// A session as its visitor sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionInfo {
    /// `s_…`, 128 random bits.
    pub id: String,
    pub status: SessionStatus,
    /// Highest durable `seq` so far; 0 for a new session.
    #[serde(default)]
    pub last_seq: u64,
    /// True when `resume` was honoured.
    #[serde(default)]
    pub resumed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum SessionStatus {
    #[default]
    Idle,
    /// A turn of the agent is under way.
    Running,
}

/// `GET /sessions`: the caller's own, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionList {
    pub sessions: Vec<SessionInfo>,
}

/// `GET /sessions/{id}?after=seq`: durable events in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventsPage {
    pub session: SessionInfo,
    pub events: Vec<SessionEvent>,
    /// True when more events follow the last one given: ask again with its `seq`.
    #[serde(default)]
    pub more: bool,
}

/// `202` of `POST /sessions/{id}/events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Accepted {
    /// `seq` of the committed event. The same for a repeated message id. Absent for events that leave no line in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}
