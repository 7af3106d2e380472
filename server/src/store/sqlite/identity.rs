//! Writes about who somebody is: visitors, verified users, their one session, secrets of keys, signing keys, and forgetting.

use super::row::integer;
use super::write::{Wrote, done};
use crate::auth::signing::Generation;
use crate::store::{SessionRecord, StoreError, User, WidgetKey};
use sqlx::sqlite::SqliteConnection;

pub async fn visitor(
    tx: &mut SqliteConnection,
    account: &str,
    id: &str,
    label: Option<&str>,
    now: u64,
) -> Result<Wrote, StoreError> {
    let sql = "INSERT INTO visitors (account, id, created_ms, label) VALUES (?, ?, ?, ?)
               ON CONFLICT (account, id) DO UPDATE SET label = coalesce(excluded.label, label)";
    let query = sqlx::query(sql).bind(account).bind(id);
    done(query.bind(integer(now)).bind(label).execute(tx).await)
}

pub async fn user(tx: &mut SqliteConnection, user: &User, now: u64) -> Result<Wrote, StoreError> {
    let sql = "INSERT INTO users (account, subject, user_id, display_name, email, seen_ms) VALUES (?, ?, ?, ?, ?, ?)
               ON CONFLICT (account, subject) DO UPDATE SET display_name = coalesce(excluded.display_name, display_name),
                   email = coalesce(excluded.email, email), seen_ms = excluded.seen_ms";
    done(
        sqlx::query(sql)
            .bind(&user.account)
            .bind(&user.subject)
            .bind(&user.user_id)
            .bind(&user.display_name)
            .bind(&user.email)
            .bind(integer(now))
            .execute(tx)
            .await,
    )
}

/// Looked for in the transaction that would make it: two browsers that begin at the same moment get the same session.
pub async fn earlier_session(
    tx: &mut SqliteConnection,
    record: &SessionRecord,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT id FROM sessions WHERE account = ? AND subject = ? AND agent_id = ?
               ORDER BY created_ms DESC, rowid DESC LIMIT 1";
    Ok(sqlx::query_scalar(sql)
        .bind(&record.account)
        .bind(&record.subject)
        .bind(&record.agent_id)
        .fetch_optional(tx)
        .await?)
}

pub async fn key_secrets(tx: &mut SqliteConnection, key: &WidgetKey) -> Result<Wrote, StoreError> {
    let old = |replaced: &Option<crate::store::Replaced>| match replaced {
        Some(old) => (Some(old.value.clone()), integer(old.until_ms)),
        None => (None, 0),
    };
    let (old_secret, old_secret_until) = old(&key.old_secret);
    let (old_identity, old_identity_until) = old(&key.old_identity);
    let sql = "UPDATE widget_keys SET secret_hash = ?, identity_secret = ?, old_secret_hash = ?, old_secret_until_ms = ?,
                   old_identity_secret = ?, old_identity_until_ms = ? WHERE id = ?";
    done(
        sqlx::query(sql)
            .bind(&key.secret_hash)
            .bind(&key.identity_secret)
            .bind(old_secret)
            .bind(old_secret_until)
            .bind(old_identity)
            .bind(old_identity_until)
            .bind(&key.id)
            .execute(tx)
            .await,
    )
}

pub async fn signing_key(
    tx: &mut SqliteConnection,
    generation: &Generation,
) -> Result<Wrote, StoreError> {
    let sql = "INSERT INTO signing_keys (kid, salt, created_ms, signs_from_ms, previous_ends_ms) VALUES (?, ?, ?, ?, ?)";
    done(
        sqlx::query(sql)
            .bind(&generation.kid)
            .bind(&generation.salt)
            .bind(integer(generation.created_ms))
            .bind(integer(generation.signs_from_ms))
            .bind(integer(generation.previous_ends_ms))
            .execute(tx)
            .await,
    )
}

/// Events and feedback go with their session by cascade.
pub async fn forget(
    tx: &mut SqliteConnection,
    account: &str,
    subject: &str,
) -> Result<Wrote, StoreError> {
    let sql = "DELETE FROM sessions WHERE account = ? AND subject = ? RETURNING id";
    let sessions = sqlx::query_scalar(sql)
        .bind(account)
        .bind(subject)
        .fetch_all(&mut *tx)
        .await?;
    for sql in [
        "DELETE FROM visitors WHERE account = ? AND id = ?",
        "DELETE FROM users WHERE account = ? AND subject = ?",
    ] {
        let query = sqlx::query(sql).bind(account).bind(subject);
        query.execute(&mut *tx).await?;
    }
    Ok(Wrote::Forgotten(sessions))
}
