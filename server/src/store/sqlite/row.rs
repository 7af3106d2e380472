//! Rows of the database as records.

use crate::auth::signing::Generation;
use crate::store::{
    AdminToken, Agent, HandedCall, KnowledgeDocument, Replaced, SessionRecord, SpentToken,
    StoreError, User, WidgetKey,
};
use karta_protocol::{Branding, SessionEvent, SessionInfo, SessionStatus};
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

pub fn key(row: &SqliteRow) -> Result<WidgetKey, StoreError> {
    Ok(WidgetKey {
        id: row.try_get("id")?,
        account: row.try_get("account")?,
        name: row.try_get("name")?,
        public_key: row.try_get("public_key")?,
        secret_hash: row.try_get("secret_hash")?,
        origins: json(row, "origins")?,
        agent_id: row.try_get("agent_id")?,
        enabled: row.try_get("enabled")?,
        caps: json(row, "caps")?,
        identification_required: row.try_get("identification_required")?,
        identity_secret: row.try_get("identity_secret")?,
        old_secret: replaced(row, "old_secret_hash", "old_secret_until_ms")?,
        old_identity: replaced(row, "old_identity_secret", "old_identity_until_ms")?,
        created_ms: unsigned(row, "created_ms")?,
    })
}

pub fn call(row: &SqliteRow) -> Result<HandedCall, StoreError> {
    Ok(HandedCall {
        id: row.try_get("id")?,
        owner: row.try_get("owner")?,
        session_id: row.try_get("session_id")?,
        began_ms: unsigned(row, "began_ms")?,
        kept: row.try_get("kept")?,
    })
}

fn replaced(row: &SqliteRow, value: &str, until: &str) -> Result<Option<Replaced>, StoreError> {
    let value: Option<String> = row.try_get(value)?;
    let until_ms = unsigned(row, until)?;
    Ok(value.map(|value| Replaced { value, until_ms }))
}

pub fn user(row: &SqliteRow) -> Result<User, StoreError> {
    Ok(User {
        account: row.try_get("account")?,
        subject: row.try_get("subject")?,
        user_id: row.try_get("user_id")?,
        display_name: row.try_get("display_name")?,
        email: row.try_get("email")?,
    })
}

/// A session beside the user that it belongs to, whose columns are null for guests.
pub fn conversation(row: &SqliteRow) -> Result<(SessionRecord, Option<User>), StoreError> {
    let record = session(row)?;
    let user_id: Option<String> = row.try_get("user_id")?;
    let (display_name, email) = (row.try_get("display_name")?, row.try_get("email")?);
    let user = user_id.map(|user_id| User {
        account: record.account.clone(),
        subject: record.subject.clone(),
        user_id,
        display_name,
        email,
    });
    Ok((record, user))
}

pub fn generation(row: &SqliteRow) -> Result<Generation, StoreError> {
    Ok(Generation {
        kid: row.try_get("kid")?,
        salt: row.try_get("salt")?,
        created_ms: unsigned(row, "created_ms")?,
        signs_from_ms: unsigned(row, "signs_from_ms")?,
        previous_ends_ms: unsigned(row, "previous_ends_ms")?,
    })
}

pub fn agent(row: &SqliteRow) -> Result<Agent, StoreError> {
    json(row, "settings")
}

pub fn branding(row: &SqliteRow) -> Result<Branding, StoreError> {
    json(row, "settings")
}

pub fn document(row: &SqliteRow) -> Result<KnowledgeDocument, StoreError> {
    let for_all: bool = row.try_get("for_all")?;
    Ok(KnowledgeDocument {
        id: row.try_get("id")?,
        account: row.try_get("account")?,
        agent_ids: if for_all {
            None
        } else {
            Some(json(row, "agents")?)
        },
        title: row.try_get("title")?,
        url: row.try_get("url")?,
        text: row.try_get("body")?,
        created_ms: unsigned(row, "created_ms")?,
    })
}

pub fn admin_token(row: &SqliteRow) -> Result<AdminToken, StoreError> {
    Ok(AdminToken {
        hash: row.try_get("token_hash")?,
        created_ms: unsigned(row, "created_ms")?,
    })
}

pub fn spent_token(row: &SqliteRow) -> Result<SpentToken, StoreError> {
    Ok(SpentToken {
        spent_ms: unsigned(row, "spent_ms")?,
        replacement: row.try_get("replacement")?,
    })
}

pub fn session(row: &SqliteRow) -> Result<SessionRecord, StoreError> {
    let running: bool = row.try_get("running")?;
    Ok(SessionRecord {
        info: SessionInfo {
            id: row.try_get("id")?,
            status: if running {
                SessionStatus::Running
            } else {
                SessionStatus::Idle
            },
            last_seq: unsigned(row, "last_seq")?,
            resumed: false,
        },
        account: row.try_get("account")?,
        key_id: row.try_get("key_id")?,
        agent_id: row.try_get("agent_id")?,
        subject: row.try_get("subject")?,
        label: row.try_get("label")?,
        attributes: json(row, "attributes")?,
        created_ms: unsigned(row, "created_ms")?,
        asked_seq: unsigned(row, "asked_seq")?,
        turn_seq: unsigned(row, "turn_seq")?,
        paid_until_ms: unsigned(row, "paid_until_ms")?,
        talk_paid_until_ms: unsigned(row, "talk_paid_until_ms")?,
    })
}

pub fn counter(row: &SqliteRow) -> Result<(String, u64, u64), StoreError> {
    let period_ms = unsigned(row, "period_ms")?;
    Ok((row.try_get("name")?, period_ms, unsigned(row, "used")?))
}

pub fn event(row: &SqliteRow) -> Result<SessionEvent, StoreError> {
    let mut event: SessionEvent = json(row, "body")?;
    event.seq = Some(unsigned(row, "seq")?);
    event.at_ms = Some(unsigned(row, "at_ms")?);
    Ok(event)
}

/// SQLite integers are signed. Beyond their range nothing of ours exists, so the largest one asks the same question.
pub fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub fn unsigned(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).map_err(|_| StoreError::Corrupt(format!("negative {column}")))
}

fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    // serde's message can quote the text; only the place may reach a log.
    serde_json::from_str(&text)
        .map_err(|e| StoreError::Corrupt(format!("{column}, byte {}", e.column())))
}
