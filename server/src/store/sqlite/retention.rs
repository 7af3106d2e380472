//! What has been kept long enough, inside the writer's transaction. In small batches: a message must not wait behind a year's sweep.

use super::row::integer;
use crate::store::StoreError;
use sqlx::sqlite::SqliteConnection;

/// In the place of an event that is forgotten: it has no content, but the log keeps its numbers, which have no holes.
const FORGOTTEN: &str = r#"{"type":"unknown"}"#;

/// Deletes sessions that nobody has used since `before_ms`, with all that belongs to them. Never one that waits for an answer.
pub async fn expire_sessions(
    tx: &mut SqliteConnection,
    agent_id: &str,
    before_ms: u64,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    let sql = "DELETE FROM sessions WHERE id IN (
                   SELECT id FROM sessions WHERE agent_id = ? AND last_ms < ? AND running = 0 AND asked_seq <= turn_seq LIMIT ?)
               RETURNING id";
    Ok(sqlx::query_scalar(sql)
        .bind(agent_id)
        .bind(integer(before_ms))
        .bind(limit)
        .fetch_all(tx)
        .await?)
}

/// Forgets what was said before `before_ms` in sessions that go on. How many events it were.
pub async fn expire_events(
    tx: &mut SqliteConnection,
    agent_id: &str,
    before_ms: u64,
    limit: u32,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM feedback WHERE at_ms < ?2 AND session_id IN (
                   SELECT id FROM sessions WHERE agent_id = ?1 AND created_ms < ?2)";
    sqlx::query(sql)
        .bind(agent_id)
        .bind(integer(before_ms))
        .execute(&mut *tx)
        .await?;
    let sql = "UPDATE events SET body = ?4, client_id = NULL WHERE (session_id, seq) IN (
                   SELECT e.session_id, e.seq FROM sessions s JOIN events e ON e.session_id = s.id
                   WHERE s.agent_id = ?1 AND s.created_ms < ?2 AND s.running = 0 AND s.asked_seq <= s.turn_seq
                       AND e.at_ms < ?2 AND e.body <> ?4 LIMIT ?3)";
    let done = sqlx::query(sql)
        .bind(agent_id)
        .bind(integer(before_ms))
        .bind(limit)
        .bind(FORGOTTEN)
        .execute(tx)
        .await?;
    Ok(done.rows_affected())
}
