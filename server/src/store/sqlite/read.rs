//! Reads: each is one query, on whichever of the readers is free. What a row says is [`row`]'s, full-text search is [`search`]'s.

use super::{row, search};
use crate::auth::signing::Generation;
use crate::store::{
    AdminToken, Agent, Found, HandedCall, KnowledgeDocument, SessionRecord, SpentToken, StoreError,
    User, WidgetKey,
};
use karta_protocol::{Branding, EventType, SessionEvent};
use sqlx::Row as _;
use sqlx::sqlite::SqlitePool;

/// All documents of an account, or the one with the id.
const DOCUMENTS: &str = "SELECT d.*, (SELECT json_group_array(agent_id) FROM document_agents WHERE document_id = d.id) AS agents
    FROM documents d WHERE account = ?1 AND (?2 IS NULL OR id = ?2) ORDER BY created_ms, id";

pub struct Reads {
    pub(super) pool: SqlitePool,
}

impl Reads {
    pub fn by(pool: SqlitePool) -> Reads {
        Reads { pool }
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub async fn key_by_public(&self, public_key: &str) -> Result<Option<WidgetKey>, StoreError> {
        sqlx::query("SELECT * FROM widget_keys WHERE public_key = ?")
            .bind(public_key)
            .fetch_optional(&self.pool)
            .await?
            .map(|r| row::key(&r))
            .transpose()
    }

    pub async fn key_by_id(&self, id: &str) -> Result<Option<WidgetKey>, StoreError> {
        sqlx::query("SELECT * FROM widget_keys WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?
            .map(|r| row::key(&r))
            .transpose()
    }

    pub async fn keys(&self, account: &str) -> Result<Vec<WidgetKey>, StoreError> {
        sqlx::query("SELECT * FROM widget_keys WHERE account = ? ORDER BY created_ms, id")
            .bind(account)
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(row::key)
            .collect()
    }

    pub async fn admin_token(&self, account: &str) -> Result<Option<AdminToken>, StoreError> {
        sqlx::query("SELECT token_hash, created_ms FROM admin_tokens WHERE account = ?")
            .bind(account)
            .fetch_optional(&self.pool)
            .await?
            .map(|r| row::admin_token(&r))
            .transpose()
    }

    pub async fn agent(&self, id: &str) -> Result<Option<Agent>, StoreError> {
        sqlx::query("SELECT settings FROM agents WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?
            .map(|r| row::agent(&r))
            .transpose()
    }

    pub async fn agents(&self, account: &str) -> Result<Vec<Agent>, StoreError> {
        sqlx::query("SELECT settings FROM agents WHERE account = ? ORDER BY created_ms, id")
            .bind(account)
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(row::agent)
            .collect()
    }

    pub async fn removed_agents(&self, account: &str) -> Result<Vec<(String, u32)>, StoreError> {
        let sql = "SELECT id, retention_days FROM removed_agents r WHERE account = ?
                   AND EXISTS (SELECT 1 FROM sessions s WHERE s.agent_id = r.id)";
        let found: Vec<(String, u32)> = sqlx::query_as(sql)
            .bind(account)
            .fetch_all(&self.pool)
            .await?;
        Ok(found)
    }

    pub async fn ticked_documents(&self, agent_id: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query(
            "SELECT document_id FROM document_agents WHERE agent_id = ? ORDER BY document_id",
        )
        .bind(agent_id)
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(|row| Ok(row.try_get("document_id")?))
        .collect()
    }

    pub async fn branding(&self, account: &str) -> Result<Branding, StoreError> {
        sqlx::query("SELECT settings FROM branding WHERE account = ?")
            .bind(account)
            .fetch_optional(&self.pool)
            .await?
            .map_or(Ok(Branding::default()), |r| row::branding(&r))
    }

    pub async fn documents(&self, account: &str) -> Result<Vec<KnowledgeDocument>, StoreError> {
        sqlx::query(DOCUMENTS)
            .bind(account)
            .bind(None::<&str>)
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(row::document)
            .collect()
    }

    pub async fn document(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<KnowledgeDocument>, StoreError> {
        sqlx::query(DOCUMENTS)
            .bind(account)
            .bind(id)
            .fetch_optional(&self.pool)
            .await?
            .map(|r| row::document(&r))
            .transpose()
    }

    pub async fn search(
        &self,
        account: &str,
        agent_id: &str,
        query: &str,
        limit: usize,
    ) -> Result<Found, StoreError> {
        search::search(&self.pool, account, agent_id, query, limit).await
    }

    pub async fn visitor_exists(
        &self,
        account: &str,
        visitor_id: &str,
    ) -> Result<bool, StoreError> {
        Ok(
            sqlx::query("SELECT 1 FROM visitors WHERE account = ? AND id = ?")
                .bind(account)
                .bind(visitor_id)
                .fetch_optional(&self.pool)
                .await?
                .is_some(),
        )
    }

    pub async fn user(&self, account: &str, subject: &str) -> Result<Option<User>, StoreError> {
        sqlx::query("SELECT * FROM users WHERE account = ? AND subject = ?")
            .bind(account)
            .bind(subject)
            .fetch_optional(&self.pool)
            .await?
            .map(|r| row::user(&r))
            .transpose()
    }

    pub async fn signing_keys(&self) -> Result<Vec<Generation>, StoreError> {
        sqlx::query("SELECT * FROM signing_keys ORDER BY created_ms, kid")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(row::generation)
            .collect()
    }

    pub async fn spent_token(&self, jti: &str) -> Result<Option<SpentToken>, StoreError> {
        sqlx::query("SELECT spent_ms, replacement FROM spent_tokens WHERE jti = ?")
            .bind(jti)
            .fetch_optional(&self.pool)
            .await?
            .map(|r| row::spent_token(&r))
            .transpose()
    }

    pub async fn ended_families(&self, since_ms: u64) -> Result<Vec<String>, StoreError> {
        // `g` follows `f`: the range of all ids that begin with `f_`.
        let sql = "SELECT jti FROM spent_tokens WHERE jti >= 'f_' AND jti < 'g' AND spent_ms >= ?";
        sqlx::query_scalar(sql)
            .bind(row::integer(since_ms))
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::from)
    }

    pub async fn session(&self, id: &str) -> Result<Option<SessionRecord>, StoreError> {
        sqlx::query("SELECT * FROM sessions WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?
            .map(|r| row::session(&r))
            .transpose()
    }

    pub async fn conversation(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<(SessionRecord, Option<User>)>, StoreError> {
        let query = sqlx::query(
            "SELECT s.*, u.user_id, u.display_name, u.email FROM sessions s
             LEFT JOIN users u ON u.account = s.account AND u.subject = s.subject
             WHERE s.account = ? AND s.id = ?",
        );
        let found = query.bind(account).bind(id).fetch_optional(&self.pool);
        found.await?.as_ref().map(row::conversation).transpose()
    }

    pub async fn conversations(
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
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(row::conversation)
        .collect()
    }

    pub async fn sessions_of(
        &self,
        account: &str,
        subject: &str,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        sqlx::query("SELECT * FROM sessions WHERE account = ? AND subject = ? ORDER BY created_ms DESC, rowid DESC")
            .bind(account)
            .bind(subject)
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(row::session)
            .collect()
    }

    pub async fn unfinished_sessions(&self) -> Result<Vec<SessionRecord>, StoreError> {
        sqlx::query("SELECT * FROM sessions WHERE running = 1 OR asked_seq > turn_seq")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(row::session)
            .collect()
    }

    pub async fn calls(&self) -> Result<Vec<HandedCall>, StoreError> {
        sqlx::query("SELECT * FROM calls ORDER BY began_ms, id")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(row::call)
            .collect()
    }

    pub async fn counters(&self, key_id: &str) -> Result<Vec<(String, u64, u64)>, StoreError> {
        let sql =
            "SELECT name, period_ms, used FROM counters WHERE key_id = ? ORDER BY name, period_ms";
        let rows = sqlx::query(sql).bind(key_id).fetch_all(&self.pool).await?;
        rows.iter().map(row::counter).collect()
    }

    pub async fn events(
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
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(row::event)
        .collect()
    }

    pub async fn files(&self, session_id: &str) -> Result<Vec<SessionEvent>, StoreError> {
        // Found by the index of client ids, whatever the length of the log. A visitor may call a message so, too.
        let sql = "SELECT seq, at_ms, body FROM events
                   WHERE session_id = ? AND client_id >= 'f_' AND client_id < 'f`' ORDER BY seq";
        let rows = sqlx::query(sql)
            .bind(session_id)
            .fetch_all(&self.pool)
            .await?;
        let events: Result<Vec<_>, _> = rows.iter().map(row::event).collect();
        let mut events = events?;
        events.retain(|event: &SessionEvent| event.kind == EventType::UserFile);
        Ok(events)
    }
}
