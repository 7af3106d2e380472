//! What the server remembers: records and the [`Store`] trait. `store/sqlite.rs` is the embedded default.
//! No policy here: who may do what is decided above.

use crate::auth::signing::Generation;
use crate::money::Money;
use async_trait::async_trait;
use karta_protocol::{SessionEvent, SessionInfo};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod agent;
mod charge;
pub mod passage;
pub mod query;
pub mod sqlite;
pub mod stem;

pub use agent::{Agent, Tool};
pub use charge::{Aside, Charge, Count, Measure, Minutes, Over};

/// The database refused or failed. Carries no user data.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Disk full, file locked or not writable: nothing was written, and trying again later can succeed.
    #[error("the database cannot be used at the moment: {0}")]
    Unavailable(String),
    #[error("database: {0}")]
    Database(sqlx::Error),
    #[error("the database file cannot be opened: {0}")]
    Open(#[from] std::io::Error),
    #[error("database migration: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("{0}")]
    Conflict(&'static str),
    /// The session was removed, perhaps while it was in use.
    #[error("there is no such session")]
    NoSession,
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
    #[error("the writer has stopped")]
    Stopped,
}

/// A pair of keys and what it opens. The secret key itself is never stored, only its keyed hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WidgetKey {
    /// `k_…`.
    pub id: String,
    pub account: String,
    pub name: String,
    /// `pk_live_<account>_<random>`.
    pub public_key: String,
    /// HMAC-SHA256 of the secret key under the server's master key, lowercase hex.
    pub secret_hash: String,
    /// Canonical entries (`contract.md` 7). Empty refuses everyone.
    pub origins: Vec<String>,
    /// Pinned agent.
    pub agent_id: Option<String>,
    pub enabled: bool,
    pub caps: Caps,
    /// Only identified users may come by this key, whatever the agent's auth mode says.
    pub identification_required: bool,
    /// What users are identified with, sealed (`auth::seal`). None: a key from before there was one.
    pub identity_secret: Option<String>,
    /// Hash of the secret key before the last rotation.
    pub old_secret: Option<Replaced>,
    /// Sealed identity secret before the last rotation.
    pub old_identity: Option<Replaced>,
    pub created_ms: u64,
}

/// What a key may use up before it answers `limit_reached`. None: no bound. Days and months are those of UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Caps {
    /// Turns of one anonymous visitor, ever. A verified user is not bound by it.
    pub anonymous_turns: Option<u32>,
    /// Turns of all anonymous visitors of one address a day, so that a fresh visitor id opens nothing. Where only
    /// `anonymous_turns` is set, ten times that.
    pub anonymous_turns_per_address_per_day: Option<u32>,
    pub sessions_per_day: Option<u32>,
    /// A session pays by the minute while it is used.
    pub minutes_per_day: Option<u32>,
    pub minutes_per_month: Option<u32>,
    /// Input and output tokens together, as the model's provider counts them.
    pub tokens_per_day: Option<u64>,
    pub tokens_per_month: Option<u64>,
    /// Money, by the prices of the agents; in whatever currency those are.
    #[schema(value_type = Option<String>)]
    pub spend_per_day: Option<Money>,
    #[schema(value_type = Option<String>)]
    pub spend_per_month: Option<Money>,
}

impl Caps {
    pub fn bounds_spend(&self) -> bool {
        self.spend_per_day.is_some() || self.spend_per_month.is_some()
    }

    /// Whether what a turn costs matters.
    pub fn bounds_cost(&self) -> bool {
        self.bounds_spend() || self.tokens_per_day.is_some() || self.tokens_per_month.is_some()
    }
}

/// What a rotation has replaced, and how long it is still taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    pub value: String,
    pub until_ms: u64,
}

/// Who a verified subject is, as the owner's backend said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub account: String,
    /// `u_…`.
    pub subject: String,
    /// The owner's own id.
    pub user_id: String,
    pub display_name: Option<String>,
    pub email: Option<String>,
}

/// One piece of the owner's documents.
#[derive(Clone, Debug, PartialEq)]
pub struct KnowledgeDocument {
    /// `d_…`.
    pub id: String,
    pub account: String,
    /// The agents that may use it; none of them yet where it is empty. None: every agent of the account, also those to come.
    pub agent_ids: Option<Vec<String>>,
    pub title: String,
    pub url: Option<String>,
    pub text: String,
    pub created_ms: u64,
}

/// A passage that full-text search found, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    pub document_id: String,
    pub title: String,
    pub heading: Option<String>,
    pub url: Option<String>,
    pub text: String,
    /// Higher is better; comparable within one search only.
    pub score: f64,
}

/// What a search found, and what it searched for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Best first.
    pub passages: Vec<Passage>,
    /// The visitor's words that say something, in their order.
    pub terms: Vec<Term>,
    /// How many passages there are in all.
    pub total: u64,
}

/// One word of a query and the word stems that count as a match for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Term {
    /// As the visitor wrote it, in lower case.
    pub word: String,
    /// Its own stem, or the nearest known one where the visitor mistyped.
    pub stem: String,
    /// Stems of words that mean about the same.
    pub related: Vec<String>,
    /// How many passages hold the stem or a related one: rare words say more.
    pub passages: u64,
    /// Stands for a turn of phrase ("how much" → price): what kind of answer is meant, rather than what about.
    pub hint: bool,
}

/// A session's row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionRecord {
    pub info: SessionInfo,
    pub account: String,
    pub key_id: String,
    pub agent_id: String,
    /// Whose it is: `v_…` for guests, `u_…` for verified users.
    pub subject: String,
    /// What the page called a guest when the session began; advisory. Set by the store.
    pub label: Option<String>,
    /// What the page said about its visitor; advisory. Set by [`Store::put_attributes`].
    pub attributes: Map<String, Value>,
    pub created_ms: u64,
    /// `seq` of the last thing the visitor said; 0 for none.
    pub asked_seq: u64,
    /// `seq` of the last `session.status_running`: that turn answers what was asked before it. 0 for none.
    pub turn_seq: u64,
    /// Until when its time is paid, and that in which it is talked to. Set by the store.
    pub paid_until_ms: u64,
    pub talk_paid_until_ms: u64,
}

/// A call that an engine answers, as long as it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandedCall {
    /// `h_…`.
    pub id: String,
    /// The process that holds it.
    pub owner: String,
    pub session_id: String,
    pub began_ms: u64,
    /// What a process needs to go on with it: JSON of `calls::kept`.
    pub kept: String,
}

/// What is kept of the admin token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminToken {
    /// HMAC-SHA256 under the server's master key, lowercase hex. None: the owner has switched the admin API off.
    pub hash: Option<String>,
    pub created_ms: u64,
}

/// What [`Store::begin_session`] did.
#[derive(Clone, Debug, PartialEq)]
pub enum Began {
    New,
    /// Id of the one that was there.
    Earlier(String),
    Over(Over),
}

/// What [`Store::append`] did.
#[derive(Clone, Debug, PartialEq)]
pub enum Appended {
    /// Committed; the events with their `seq` and `at_ms`.
    New(Vec<SessionEvent>),
    /// The first event's client id was in the log already: nothing was written. `seq` of the earlier one.
    Repeat(u64),
    /// The key has too little left: nothing was written.
    Over(Over),
}

/// The database. Every write returns after the commit is durable (WAL, `synchronous=FULL`).
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes that wait for the database.
    fn waiting_writes(&self) -> usize;

    async fn key_by_public(&self, public_key: &str) -> Result<Option<WidgetKey>, StoreError>;
    async fn key_by_id(&self, id: &str) -> Result<Option<WidgetKey>, StoreError>;
    async fn keys(&self, account: &str) -> Result<Vec<WidgetKey>, StoreError>;
    /// Makes the key, or changes it except for its secrets: see [`Store::put_key_secrets`].
    async fn put_key(&self, key: &WidgetKey) -> Result<(), StoreError>;
    async fn remove_key(&self, account: &str, id: &str) -> Result<bool, StoreError>;

    /// None: none was ever made.
    async fn admin_token(&self, account: &str) -> Result<Option<AdminToken>, StoreError>;
    async fn put_admin_token(&self, account: &str, token: &AdminToken) -> Result<(), StoreError>;
    /// False: there was one already, and it stays.
    async fn put_first_admin_token(
        &self,
        account: &str,
        token: &AdminToken,
    ) -> Result<bool, StoreError>;
    /// Writes the key's four secrets and nothing else, so that neither a rotation nor a change undoes the other.
    async fn put_key_secrets(&self, key: &WidgetKey) -> Result<(), StoreError>;

    async fn agent(&self, id: &str) -> Result<Option<Agent>, StoreError>;
    async fn agents(&self, account: &str) -> Result<Vec<Agent>, StoreError>;
    async fn put_agent(&self, agent: &Agent) -> Result<(), StoreError>;
    /// Also unticks its documents. False: there is none, or a key is pinned to it.
    async fn remove_agent(&self, account: &str, id: &str) -> Result<bool, StoreError>;
    /// Removed agents whose conversations were to be kept so many days only, and still are.
    async fn removed_agents(&self, account: &str) -> Result<Vec<(String, u32)>, StoreError>;
    /// Ids of the documents that name this agent.
    async fn ticked_documents(&self, agent_id: &str) -> Result<Vec<String>, StoreError>;
    /// Makes exactly these name the agent. Those for every agent stay so.
    async fn tick_documents(&self, agent_id: &str, ids: &[String]) -> Result<(), StoreError>;

    /// Account branding as JSON of `karta_protocol::Branding`; default where none was saved.
    async fn branding(&self, account: &str) -> Result<karta_protocol::Branding, StoreError>;
    async fn put_branding(
        &self,
        account: &str,
        branding: &karta_protocol::Branding,
    ) -> Result<(), StoreError>;

    async fn documents(&self, account: &str) -> Result<Vec<KnowledgeDocument>, StoreError>;
    async fn document(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<KnowledgeDocument>, StoreError>;
    async fn put_document(&self, document: &KnowledgeDocument) -> Result<(), StoreError>;
    async fn remove_document(&self, account: &str, id: &str) -> Result<bool, StoreError>;
    /// Full-text ranking (FTS5 bm25) over the documents of the account that the agent may use. `query` is raw visitor text.
    async fn search(
        &self,
        account: &str,
        agent_id: &str,
        query: &str,
        limit: usize,
    ) -> Result<Found, StoreError>;

    /// Remembers a visitor id that the server minted, and what the page calls its visitor; None leaves an earlier label.
    async fn put_visitor(
        &self,
        account: &str,
        visitor_id: &str,
        label: Option<&str>,
    ) -> Result<(), StoreError>;
    async fn visitor_exists(&self, account: &str, visitor_id: &str) -> Result<bool, StoreError>;

    /// Remembers a verified user; a name or address that is None leaves the earlier one.
    async fn put_user(&self, user: &User) -> Result<(), StoreError>;
    async fn user(&self, account: &str, subject: &str) -> Result<Option<User>, StoreError>;

    /// Generations of the signing key after the first, oldest first.
    async fn signing_keys(&self) -> Result<Vec<Generation>, StoreError>;
    async fn put_signing_key(&self, generation: &Generation) -> Result<(), StoreError>;

    /// Records a token id as used or rotated away. False: it was there already. `expires_ms` allows purging.
    async fn spend_token(
        &self,
        jti: &str,
        expires_ms: u64,
        replacement: Option<&str>,
    ) -> Result<bool, StoreError>;
    /// When a token id was spent and its replacement (for the idempotent window of refresh). None: not spent.
    async fn spent_token(&self, jti: &str) -> Result<Option<SpentToken>, StoreError>;
    /// Token families (`f_…`) that were ended at or after this moment.
    async fn ended_families(&self, since_ms: u64) -> Result<Vec<String>, StoreError>;

    async fn create_session(&self, record: &SessionRecord) -> Result<(), StoreError>;
    /// Makes the session where the key has enough left for it. `only`: unless its subject has one with this agent already.
    async fn begin_session(
        &self,
        record: &SessionRecord,
        only: bool,
        charge: Charge,
    ) -> Result<Began, StoreError>;
    async fn session(&self, id: &str) -> Result<Option<SessionRecord>, StoreError>;
    /// What the page says about the session's visitor, in the place of what it said before.
    async fn put_attributes(
        &self,
        session_id: &str,
        attributes: &Map<String, Value>,
    ) -> Result<(), StoreError>;
    /// Newest first, each with who its subject is, if that was proved. `before`: only those behind this place, which is the time and the id
    /// of one that may be gone.
    async fn conversations(
        &self,
        account: &str,
        before: Option<(u64, &str)>,
        limit: usize,
    ) -> Result<Vec<(SessionRecord, Option<User>)>, StoreError>;
    async fn conversation(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<(SessionRecord, Option<User>)>, StoreError>;
    async fn sessions_of(
        &self,
        account: &str,
        subject: &str,
    ) -> Result<Vec<SessionRecord>, StoreError>;
    /// Sessions whose last turn was cut by a crash: status running, or a user message without an answer.
    async fn unfinished_sessions(&self) -> Result<Vec<SessionRecord>, StoreError>;

    /// Appends durable events in one transaction, giving each the next dense `seq` and `at_ms`. Appends of many sessions share
    /// one commit (group commit). The `id` of a `user.message` is unique per session.
    async fn append(
        &self,
        session_id: &str,
        events: Vec<SessionEvent>,
    ) -> Result<Appended, StoreError>;
    /// The same, where the key has enough left for it. A repeat costs nothing.
    async fn append_charged(
        &self,
        session_id: &str,
        events: Vec<SessionEvent>,
        charge: Charge,
    ) -> Result<Appended, StoreError>;
    /// What was used up of the key and is still kept: name of the counter, begin of its period, how much.
    async fn counters(&self, key_id: &str) -> Result<Vec<(String, u64, u64)>, StoreError>;
    /// Deletes at most `limit` sessions of the agent that nobody has used since `before_ms`, but none that waits for an answer. Their
    /// ids.
    async fn expire_sessions(
        &self,
        agent_id: &str,
        before_ms: u64,
        limit: u32,
    ) -> Result<Vec<String>, StoreError>;
    /// Forgets the content of at most `limit` older events in sessions that go on; their numbers stay. How many.
    async fn expire_events(
        &self,
        agent_id: &str,
        before_ms: u64,
        limit: u32,
    ) -> Result<u64, StoreError>;
    async fn put_call(&self, call: &HandedCall) -> Result<(), StoreError>;
    async fn remove_call(&self, id: &str) -> Result<(), StoreError>;
    async fn calls(&self) -> Result<Vec<HandedCall>, StoreError>;
    /// Gives the call to another process. False: it is not that owner's any more.
    async fn take_call(&self, id: &str, from: &str, to: &str) -> Result<bool, StoreError>;
    /// Durable events with `seq` > `after`, ascending, at most `limit`.
    async fn events(
        &self,
        session_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<SessionEvent>, StoreError>;
    /// The files of the session, oldest first.
    async fn files(&self, session_id: &str) -> Result<Vec<SessionEvent>, StoreError>;
    /// Keeps what the visitor thought of an answer. False: the session has no such part.
    async fn put_feedback(
        &self,
        session_id: &str,
        part_id: &str,
        rating: &str,
    ) -> Result<bool, StoreError>;

    /// Removes everything about a subject: sessions with their events and feedback, and who they are. What was removed is
    /// overwritten in the file, not only unlinked. Gives the ids of the sessions.
    async fn forget(&self, account: &str, subject: &str) -> Result<Vec<String>, StoreError>;
}

/// An unguessable id: the prefix and 128 random bits.
pub fn new_id(prefix: &str) -> String {
    format!("{prefix}_{:032x}", rand::random::<u128>())
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // Primary result codes of SQLite: busy, locked, read-only, I/O error, full, cannot open.
        let code = error
            .as_database_error()
            .and_then(|e| e.code())
            .and_then(|code| code.parse::<i32>().ok())
            .map(|code| code & 0xff);
        match code {
            Some(5 | 6 | 8 | 10 | 13 | 14) => StoreError::Unavailable(error.to_string()),
            _ => StoreError::Database(error),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentToken {
    pub spent_ms: u64,
    pub replacement: Option<String>,
}
