//! SQLite, embedded: one file, one writer ([`writer`]), a few readers. The command line opens the same file beside a running
//! server; SQLite's own locks and `busy_timeout` keep the two apart.

use super::{
    AdminToken, Agent, Appended, Began, Charge, Found, KnowledgeDocument, SessionRecord,
    SpentToken, Store, StoreError, User, WidgetKey,
};
use crate::auth::signing::Generation;
use async_trait::async_trait;
use karta_protocol::{Branding, EventType, SessionEvent};
use serde_json::{Map, Value};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection as _, Row as _};
use std::path::Path;
use std::time::Duration;
use write::{Write, Wrote};
use writer::Writer;

mod charge;
mod identity;
mod retention;
mod row;
mod search;
#[cfg(test)]
mod tests;
mod write;
mod writer;

/// Readers never wait for the writer (WAL), so a few are enough.
const READERS: u32 = 4;
/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// All documents of an account, or the one with the id.
const DOCUMENTS: &str = "SELECT d.*, (SELECT json_group_array(agent_id) FROM document_agents WHERE document_id = d.id) AS agents
    FROM documents d WHERE account = ?1 AND (?2 IS NULL OR id = ?2) ORDER BY created_ms, id";

pub struct SqliteStore {
    readers: SqlitePool,
    writer: Writer,
}

impl SqliteStore {
    /// Opens or creates `<data_dir>/karta.db` and brings its layout up to date.
    pub async fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(data_dir, BUSY_TIMEOUT).await
    }

    async fn open_with(data_dir: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        std::fs::create_dir_all(data_dir)?;
        // Two processes that start at once must not both create the tables. The lock goes with the file handle.
        let lock = std::fs::File::create(data_dir.join("karta.lock"))?;
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
            .await
            .map_err(std::io::Error::other)??;
        let options = SqliteConnectOptions::new()
            .filename(data_dir.join("karta.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: a commit is on the disk before anyone hears of it. NORMAL may lose the last ones with the power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(busy_timeout)
            .foreign_keys(true)
            // What is deleted is overwritten with zeros: a visitor who is forgotten is not to be found in the file.
            .pragma("secure_delete", "ON");
        let options = sqlx::ConnectOptions::disable_statement_logging(options);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::migrate!("./migrations/sqlite")
            .run(&mut connection)
            .await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            // A file in this process does not hang up; asking first would double the cost of every read.
            .test_before_acquire(false)
            .connect_with(options.pragma("query_only", "1"))
            .await?;
        drop(lock);
        Ok(Self {
            readers,
            writer: Writer::start(connection),
        })
    }

    /// How many transactions the writer has committed: tests prove group commit with it.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    /// Waits until everything handed in is written, then closes the file.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }

    async fn write(&self, write: Write) -> Result<(), StoreError> {
        self.writer.write(write).await.map(|_| ())
    }

    async fn append_maybe_charged(
        &self,
        session_id: &str,
        events: Vec<SessionEvent>,
        charge: Option<Charge>,
    ) -> Result<Appended, StoreError> {
        let write = Write::Append(session_id.into(), events, charge);
        match self.writer.write(write).await? {
            Wrote::Appended(appended) => Ok(appended),
            _ => Err(StoreError::Corrupt("append".into())),
        }
    }

    /// For writes that say whether they changed something.
    async fn write_if(&self, write: Write) -> Result<bool, StoreError> {
        Ok(matches!(
            self.writer.write(write).await?,
            Wrote::Changed(true)
        ))
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn waiting_writes(&self) -> usize {
        self.writer.waiting()
    }

    async fn key_by_public(&self, public_key: &str) -> Result<Option<WidgetKey>, StoreError> {
        sqlx::query("SELECT * FROM widget_keys WHERE public_key = ?")
            .bind(public_key)
            .fetch_optional(&self.readers)
            .await?
            .map(|r| row::key(&r))
            .transpose()
    }

    async fn key_by_id(&self, id: &str) -> Result<Option<WidgetKey>, StoreError> {
        sqlx::query("SELECT * FROM widget_keys WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.readers)
            .await?
            .map(|r| row::key(&r))
            .transpose()
    }

    async fn keys(&self, account: &str) -> Result<Vec<WidgetKey>, StoreError> {
        sqlx::query("SELECT * FROM widget_keys WHERE account = ? ORDER BY created_ms, id")
            .bind(account)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(row::key)
            .collect()
    }

    async fn put_key(&self, key: &WidgetKey) -> Result<(), StoreError> {
        self.write(Write::Key(key.clone())).await
    }

    async fn remove_key(&self, account: &str, id: &str) -> Result<bool, StoreError> {
        self.write_if(Write::RemoveKey(account.into(), id.into()))
            .await
    }

    async fn admin_token(&self, account: &str) -> Result<Option<AdminToken>, StoreError> {
        sqlx::query("SELECT token_hash, created_ms FROM admin_tokens WHERE account = ?")
            .bind(account)
            .fetch_optional(&self.readers)
            .await?
            .map(|r| row::admin_token(&r))
            .transpose()
    }

    async fn put_admin_token(&self, account: &str, token: &AdminToken) -> Result<(), StoreError> {
        self.write(Write::AdminToken(account.into(), token.clone()))
            .await
    }

    async fn put_first_admin_token(
        &self,
        account: &str,
        token: &AdminToken,
    ) -> Result<bool, StoreError> {
        self.write_if(Write::FirstAdminToken(account.into(), token.clone()))
            .await
    }

    async fn put_key_secrets(&self, key: &WidgetKey) -> Result<(), StoreError> {
        self.write(Write::KeySecrets(key.clone())).await
    }

    async fn agent(&self, id: &str) -> Result<Option<Agent>, StoreError> {
        sqlx::query("SELECT settings FROM agents WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.readers)
            .await?
            .map(|r| row::agent(&r))
            .transpose()
    }

    async fn agents(&self, account: &str) -> Result<Vec<Agent>, StoreError> {
        sqlx::query("SELECT settings FROM agents WHERE account = ? ORDER BY created_ms, id")
            .bind(account)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(row::agent)
            .collect()
    }

    async fn put_agent(&self, agent: &Agent) -> Result<(), StoreError> {
        self.write(Write::Agent(agent.clone())).await
    }

    async fn remove_agent(&self, account: &str, id: &str) -> Result<bool, StoreError> {
        self.write_if(Write::RemoveAgent(account.into(), id.into()))
            .await
    }

    async fn removed_agents(&self, account: &str) -> Result<Vec<(String, u32)>, StoreError> {
        let sql = "SELECT id, retention_days FROM removed_agents r WHERE account = ?
                   AND EXISTS (SELECT 1 FROM sessions s WHERE s.agent_id = r.id)";
        let found: Vec<(String, u32)> = sqlx::query_as(sql)
            .bind(account)
            .fetch_all(&self.readers)
            .await?;
        Ok(found)
    }

    async fn ticked_documents(&self, agent_id: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query(
            "SELECT document_id FROM document_agents WHERE agent_id = ? ORDER BY document_id",
        )
        .bind(agent_id)
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(|row| Ok(row.try_get("document_id")?))
        .collect()
    }

    async fn tick_documents(&self, agent_id: &str, ids: &[String]) -> Result<(), StoreError> {
        self.write(Write::TickDocuments(agent_id.into(), ids.to_vec()))
            .await
    }

    async fn branding(&self, account: &str) -> Result<Branding, StoreError> {
        sqlx::query("SELECT settings FROM branding WHERE account = ?")
            .bind(account)
            .fetch_optional(&self.readers)
            .await?
            .map_or(Ok(Branding::default()), |r| row::branding(&r))
    }

    async fn put_branding(&self, account: &str, branding: &Branding) -> Result<(), StoreError> {
        self.write(Write::Branding(account.into(), branding.clone()))
            .await
    }

    async fn documents(&self, account: &str) -> Result<Vec<KnowledgeDocument>, StoreError> {
        sqlx::query(DOCUMENTS)
            .bind(account)
            .bind(None::<&str>)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(row::document)
            .collect()
    }

    async fn document(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<KnowledgeDocument>, StoreError> {
        sqlx::query(DOCUMENTS)
            .bind(account)
            .bind(id)
            .fetch_optional(&self.readers)
            .await?
            .map(|r| row::document(&r))
            .transpose()
    }

    async fn put_document(&self, document: &KnowledgeDocument) -> Result<(), StoreError> {
        let passages = super::passage::split(&document.text);
        self.write(Write::Document(document.clone(), passages))
            .await
    }

    async fn remove_document(&self, account: &str, id: &str) -> Result<bool, StoreError> {
        self.write_if(Write::RemoveDocument(account.into(), id.into()))
            .await
    }

    async fn search(
        &self,
        account: &str,
        agent_id: &str,
        query: &str,
        limit: usize,
    ) -> Result<Found, StoreError> {
        search::search(&self.readers, account, agent_id, query, limit).await
    }

    async fn put_visitor(
        &self,
        account: &str,
        visitor_id: &str,
        label: Option<&str>,
    ) -> Result<(), StoreError> {
        let label = label.map(Into::into);
        self.write(Write::Visitor(account.into(), visitor_id.into(), label))
            .await
    }

    async fn visitor_exists(&self, account: &str, visitor_id: &str) -> Result<bool, StoreError> {
        Ok(
            sqlx::query("SELECT 1 FROM visitors WHERE account = ? AND id = ?")
                .bind(account)
                .bind(visitor_id)
                .fetch_optional(&self.readers)
                .await?
                .is_some(),
        )
    }

    async fn put_user(&self, user: &User) -> Result<(), StoreError> {
        self.write(Write::User(user.clone())).await
    }

    async fn user(&self, account: &str, subject: &str) -> Result<Option<User>, StoreError> {
        sqlx::query("SELECT * FROM users WHERE account = ? AND subject = ?")
            .bind(account)
            .bind(subject)
            .fetch_optional(&self.readers)
            .await?
            .map(|r| row::user(&r))
            .transpose()
    }

    async fn signing_keys(&self) -> Result<Vec<Generation>, StoreError> {
        sqlx::query("SELECT * FROM signing_keys ORDER BY created_ms, kid")
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(row::generation)
            .collect()
    }

    async fn put_signing_key(&self, generation: &Generation) -> Result<(), StoreError> {
        self.write(Write::SigningKey(generation.clone())).await
    }

    async fn spend_token(
        &self,
        jti: &str,
        expires_ms: u64,
        replacement: Option<&str>,
    ) -> Result<bool, StoreError> {
        self.write_if(Write::SpendToken {
            jti: jti.into(),
            expires_ms,
            replacement: replacement.map(Into::into),
        })
        .await
    }

    async fn spent_token(&self, jti: &str) -> Result<Option<SpentToken>, StoreError> {
        sqlx::query("SELECT spent_ms, replacement FROM spent_tokens WHERE jti = ?")
            .bind(jti)
            .fetch_optional(&self.readers)
            .await?
            .map(|r| row::spent_token(&r))
            .transpose()
    }

    async fn ended_families(&self, since_ms: u64) -> Result<Vec<String>, StoreError> {
        // `g` follows `f`: the range of all ids that begin with `f_`.
        let sql = "SELECT jti FROM spent_tokens WHERE jti >= 'f_' AND jti < 'g' AND spent_ms >= ?";
        sqlx::query_scalar(sql)
            .bind(row::integer(since_ms))
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::from)
    }

    async fn create_session(&self, record: &SessionRecord) -> Result<(), StoreError> {
        self.write(Write::Session(record.clone())).await
    }

    async fn begin_session(
        &self,
        record: &SessionRecord,
        only: bool,
        charge: Charge,
    ) -> Result<Began, StoreError> {
        let write = Write::BeginSession(record.clone(), only, charge);
        match self.writer.write(write).await? {
            Wrote::Began(began) => Ok(began),
            _ => Err(StoreError::Corrupt("begin a session".into())),
        }
    }

    async fn session(&self, id: &str) -> Result<Option<SessionRecord>, StoreError> {
        sqlx::query("SELECT * FROM sessions WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.readers)
            .await?
            .map(|r| row::session(&r))
            .transpose()
    }

    async fn put_attributes(
        &self,
        session_id: &str,
        attributes: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        self.write(Write::Attributes(session_id.into(), attributes.clone()))
            .await
    }

    async fn conversation(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<(SessionRecord, Option<User>)>, StoreError> {
        let query = sqlx::query(
            "SELECT s.*, u.user_id, u.display_name, u.email FROM sessions s
             LEFT JOIN users u ON u.account = s.account AND u.subject = s.subject
             WHERE s.account = ? AND s.id = ?",
        );
        let found = query.bind(account).bind(id).fetch_optional(&self.readers);
        found.await?.as_ref().map(row::conversation).transpose()
    }

    async fn conversations(
        &self,
        account: &str,
        before: Option<(u64, &str)>,
        limit: usize,
    ) -> Result<Vec<(SessionRecord, Option<User>)>, StoreError> {
        let (before_ms, before_id) =
            before.map_or((i64::MAX, ""), |(ms, id)| (row::integer(ms), id));
        sqlx::query(
            "SELECT s.*, u.user_id, u.display_name, u.email FROM sessions s
             LEFT JOIN users u ON u.account = s.account AND u.subject = s.subject
             WHERE s.account = ? AND (s.created_ms, s.id) < (?, ?) ORDER BY s.created_ms DESC, s.id DESC LIMIT ?",
        )
        .bind(account)
        .bind(before_ms)
        .bind(before_id)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(row::conversation)
        .collect()
    }

    async fn sessions_of(
        &self,
        account: &str,
        subject: &str,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        sqlx::query("SELECT * FROM sessions WHERE account = ? AND subject = ? ORDER BY created_ms DESC, rowid DESC")
            .bind(account)
            .bind(subject)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(row::session)
            .collect()
    }

    async fn unfinished_sessions(&self) -> Result<Vec<SessionRecord>, StoreError> {
        sqlx::query("SELECT * FROM sessions WHERE running = 1 OR asked_seq > turn_seq")
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(row::session)
            .collect()
    }

    async fn append(
        &self,
        session_id: &str,
        events: Vec<SessionEvent>,
    ) -> Result<Appended, StoreError> {
        self.append_maybe_charged(session_id, events, None).await
    }

    async fn append_charged(
        &self,
        session_id: &str,
        events: Vec<SessionEvent>,
        charge: Charge,
    ) -> Result<Appended, StoreError> {
        self.append_maybe_charged(session_id, events, Some(charge))
            .await
    }

    async fn expire_sessions(
        &self,
        agent_id: &str,
        before_ms: u64,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let write = Write::ExpireSessions(agent_id.into(), before_ms, limit);
        match self.writer.write(write).await? {
            Wrote::Forgotten(sessions) => Ok(sessions),
            _ => Err(StoreError::Corrupt("expire sessions".into())),
        }
    }

    async fn expire_events(
        &self,
        agent_id: &str,
        before_ms: u64,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let write = Write::ExpireEvents(agent_id.into(), before_ms, limit);
        match self.writer.write(write).await? {
            Wrote::Counted(n) => Ok(n),
            _ => Err(StoreError::Corrupt("expire events".into())),
        }
    }

    async fn counters(&self, key_id: &str) -> Result<Vec<(String, u64, u64)>, StoreError> {
        let sql =
            "SELECT name, period_ms, used FROM counters WHERE key_id = ? ORDER BY name, period_ms";
        let rows = sqlx::query(sql)
            .bind(key_id)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(row::counter).collect()
    }

    async fn events(
        &self,
        session_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<SessionEvent>, StoreError> {
        sqlx::query(
            "SELECT seq, at_ms, body FROM events WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?",
        )
        .bind(session_id)
        .bind(row::integer(after))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(row::event)
        .collect()
    }

    async fn files(&self, session_id: &str) -> Result<Vec<SessionEvent>, StoreError> {
        // Found by the index of client ids, whatever the length of the log. A visitor may call a message so, too.
        let sql = "SELECT seq, at_ms, body FROM events
                   WHERE session_id = ? AND client_id >= 'f_' AND client_id < 'f`' ORDER BY seq";
        let rows = sqlx::query(sql)
            .bind(session_id)
            .fetch_all(&self.readers)
            .await?;
        let events: Result<Vec<_>, _> = rows.iter().map(row::event).collect();
        let mut events = events?;
        events.retain(|event: &SessionEvent| event.kind == EventType::UserFile);
        Ok(events)
    }

    async fn put_feedback(
        &self,
        session_id: &str,
        part_id: &str,
        rating: &str,
    ) -> Result<bool, StoreError> {
        self.write_if(Write::Feedback {
            session_id: session_id.into(),
            part_id: part_id.into(),
            rating: rating.into(),
        })
        .await
    }

    async fn forget(&self, account: &str, subject: &str) -> Result<Vec<String>, StoreError> {
        let write = Write::Forget(account.into(), subject.into());
        match self.writer.write(write).await? {
            Wrote::Forgotten(sessions) => Ok(sessions),
            _ => Err(StoreError::Corrupt("forget".into())),
        }
    }
}
