//! One write each, inside the writer's transaction: what is to be written, and the SQL for it. No batching here.

use super::charge::Paid;
use super::row::{integer, unsigned};
use super::{charge, document, identity, retention};
use crate::auth::signing::Generation;
use crate::store::passage::Piece;
use crate::store::{
    AdminToken, Agent, Appended, Aside, Began, Charge, HandedCall, KnowledgeDocument,
    SessionRecord, StoreError, User, WidgetKey,
};
use karta_protocol::{Branding, EventType, SessionEvent};
use serde_json::{Map, Value};
use sqlx::sqlite::{SqliteConnection, SqliteQueryResult};
use sqlx::{QueryBuilder, Row as _};

#[derive(Debug)]
pub enum Write {
    Append(String, Vec<SessionEvent>, Option<Charge>),
    Session(SessionRecord),
    /// Whether only where there is none yet, and what it costs.
    BeginSession(SessionRecord, bool, Charge),
    Visitor(String, String, Option<String>),
    User(User),
    Attributes(String, Map<String, Value>),
    SigningKey(Generation),
    /// Account and subject.
    Forget(String, String),
    /// Agent, before when, at most how many.
    ExpireSessions(String, u64, u32),
    ExpireEvents(String, u64, u32),
    SpendToken {
        jti: String,
        expires_ms: u64,
        replacement: Option<String>,
    },
    Feedback {
        session_id: String,
        part_id: String,
        rating: String,
    },
    Key(WidgetKey),
    RemoveKey(String, String),
    AdminToken(String, AdminToken),
    FirstAdminToken(String, AdminToken),
    KeySecrets(WidgetKey),
    Agent(Agent),
    RemoveAgent(String, String),
    Branding(String, Branding),
    Document(KnowledgeDocument, Vec<Piece>),
    RemoveDocument(String, String),
    TickDocuments(String, Vec<String>),
    Call(HandedCall),
    RemoveCall(String),
    /// Id, from whom, to whom.
    TakeCall(String, String, String),
}

#[derive(Debug)]
pub enum Wrote {
    Done,
    Changed(bool),
    Appended(Appended),
    /// The session that is there already.
    Began(Began),
    /// The sessions that were removed.
    Forgotten(Vec<String>),
    Counted(u64),
}

pub async fn apply(
    tx: &mut SqliteConnection,
    write: &Write,
    now: u64,
) -> Result<Wrote, StoreError> {
    match write {
        Write::Append(session_id, events, charge) => {
            append(tx, session_id, events, charge.as_ref(), now).await
        }
        Write::Session(record) => put_session(tx, record).await,
        Write::BeginSession(record, only, charge) => begin_session(tx, record, *only, charge).await,
        Write::Visitor(account, id, label) => {
            identity::visitor(tx, account, id, label.as_deref(), now).await
        }
        Write::User(user) => identity::user(tx, user, now).await,
        Write::Attributes(session_id, attributes) => {
            let sql = "UPDATE sessions SET attributes = ? WHERE id = ?";
            let query = sqlx::query(sql).bind(json(attributes)?).bind(session_id);
            done(query.execute(tx).await)
        }
        Write::SigningKey(generation) => identity::signing_key(tx, generation).await,
        Write::ExpireSessions(agent_id, before_ms, limit) => Ok(Wrote::Forgotten(
            retention::expire_sessions(tx, agent_id, *before_ms, *limit).await?,
        )),
        Write::ExpireEvents(agent_id, before_ms, limit) => Ok(Wrote::Counted(
            retention::expire_events(tx, agent_id, *before_ms, *limit).await?,
        )),
        Write::Forget(account, subject) => identity::forget(tx, account, subject).await,
        Write::SpendToken {
            jti,
            expires_ms,
            replacement,
        } => spend_token(tx, jti, *expires_ms, replacement.as_deref(), now).await,
        Write::Feedback {
            session_id,
            part_id,
            rating,
        } => put_feedback(tx, session_id, part_id, rating, now).await,
        Write::Key(key) => put_key(tx, key).await,
        Write::RemoveKey(account, id) => {
            let sql = "DELETE FROM widget_keys WHERE account = ? AND id = ?";
            changed(sqlx::query(sql).bind(account).bind(id).execute(tx).await)
        }
        Write::AdminToken(account, token) => {
            let sql = "INSERT INTO admin_tokens (account, token_hash, created_ms) VALUES (?, ?, ?)
                       ON CONFLICT (account) DO UPDATE SET token_hash = excluded.token_hash, created_ms = excluded.created_ms";
            put_admin_token(tx, sql, account, token).await
        }
        Write::FirstAdminToken(account, token) => {
            let sql = "INSERT INTO admin_tokens (account, token_hash, created_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
            put_admin_token(tx, sql, account, token).await
        }
        Write::KeySecrets(key) => identity::key_secrets(tx, key).await,
        Write::Agent(agent) => put_agent(tx, agent).await,
        Write::RemoveAgent(account, id) => {
            let sql = "DELETE FROM agents WHERE account = ? AND id = ?
                       AND NOT EXISTS (SELECT 1 FROM widget_keys k WHERE k.agent_id = agents.id)";
            changed(sqlx::query(sql).bind(account).bind(id).execute(tx).await)
        }
        Write::Branding(account, branding) => {
            let sql = "INSERT INTO branding (account, settings) VALUES (?, ?)
                       ON CONFLICT (account) DO UPDATE SET settings = excluded.settings";
            let query = sqlx::query(sql).bind(account).bind(json(branding)?);
            done(query.execute(tx).await)
        }
        Write::Document(document, pieces) => document::put(tx, document, pieces).await,
        Write::RemoveDocument(account, id) => {
            let sql = "DELETE FROM documents WHERE account = ? AND id = ?";
            changed(sqlx::query(sql).bind(account).bind(id).execute(tx).await)
        }
        Write::TickDocuments(agent_id, ids) => document::tick(tx, agent_id, ids).await,
        Write::Call(call) => put_call(tx, call).await,
        Write::RemoveCall(id) => {
            let sql = "DELETE FROM calls WHERE id = ?";
            done(sqlx::query(sql).bind(id).execute(tx).await)
        }
        Write::TakeCall(id, from, to) => {
            let sql = "UPDATE calls SET owner = ?3 WHERE id = ?1 AND owner = ?2";
            let query = sqlx::query(sql).bind(id).bind(from).bind(to);
            changed(query.execute(tx).await)
        }
    }
}

async fn append(
    tx: &mut SqliteConnection,
    session_id: &str,
    events: &[SessionEvent],
    charge: Option<&Charge>,
    now: u64,
) -> Result<Wrote, StoreError> {
    // Each statement is a round trip to the connection's thread, so there are few: look, insert all, update.
    let sql = "SELECT last_seq, running, asked_seq, turn_seq, paid_until_ms, talk_paid_until_ms, aside_tokens, aside_micros,
                   (SELECT seq FROM events WHERE session_id = sessions.id AND client_id = ?) AS repeated
               FROM sessions WHERE id = ?";
    let row = sqlx::query(sql)
        .bind(events.first().and_then(client_id))
        .bind(session_id)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::NoSession)?;
    if row.try_get::<Option<i64>, _>("repeated")?.is_some() {
        return Ok(Wrote::Appended(Appended::Repeat(unsigned(
            &row, "repeated",
        )?)));
    }
    let mut seq = unsigned(&row, "last_seq")?;
    let mut running: bool = row.try_get("running")?;
    let mut asked_seq = unsigned(&row, "asked_seq")?;
    let mut turn_seq = unsigned(&row, "turn_seq")?;
    let mut paid = Paid {
        until_ms: unsigned(&row, "paid_until_ms")?,
        talk_until_ms: unsigned(&row, "talk_paid_until_ms")?,
    };
    if let Some(charge) = charge {
        match charge::check(tx, charge, paid).await? {
            Ok(due) => {
                charge::pay(tx, charge, &due).await?;
                paid = due.paid;
            }
            Err(over) => return Ok(Wrote::Appended(Appended::Over(over))),
        }
    }
    let mut aside = Aside {
        tokens: unsigned(&row, "aside_tokens")?,
        micros: unsigned(&row, "aside_micros")?,
    };
    if events.iter().any(|e| e.kind == EventType::StatusIdle) {
        aside = Aside::default();
    }
    if let Some(charge) = charge {
        aside = charge::hold_back(aside, charge.aside);
    }
    let mut written = Vec::with_capacity(events.len());
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        seq += 1;
        match event.kind {
            // No turn answers it.
            EventType::UserMessage | EventType::UserTranscript if event.handed => {}
            EventType::UserMessage | EventType::UserTranscript => asked_seq = seq,
            EventType::StatusRunning => (running, turn_seq) = (true, seq),
            EventType::StatusIdle => running = false,
            EventType::UserFile
            | EventType::AgentMessage
            | EventType::AgentThinking
            | EventType::AgentToolUse
            | EventType::AgentToolResult
            | EventType::SessionError
            | EventType::LimitReached
            | EventType::Synced
            | EventType::VoiceState
            | EventType::VoiceCut
            | EventType::Pong
            | EventType::Error
            | EventType::Unknown => {}
        }
        let body = SessionEvent {
            seq: None,
            at_ms: None,
            ..event.clone()
        };
        rows.push((seq, client_id(event), json(&body)?));
        written.push(SessionEvent {
            seq: Some(seq),
            at_ms: Some(now),
            ..body
        });
    }
    if !rows.is_empty() {
        let into = "INSERT INTO events (session_id, seq, at_ms, client_id, body) ";
        QueryBuilder::new(into)
            .push_values(rows, |mut row, (seq, client_id, body)| {
                row.push_bind(session_id)
                    .push_bind(integer(seq))
                    .push_bind(integer(now))
                    .push_bind(client_id)
                    .push_bind(body);
            })
            .build()
            .execute(&mut *tx)
            .await?;
    }
    let sql = "UPDATE sessions SET last_seq = ?, running = ?, asked_seq = ?, turn_seq = ?, paid_until_ms = ?, talk_paid_until_ms = ?, last_ms = ?,
                   aside_tokens = ?, aside_micros = ? WHERE id = ?";
    sqlx::query(sql)
        .bind(integer(seq))
        .bind(running)
        .bind(integer(asked_seq))
        .bind(integer(turn_seq))
        .bind(integer(paid.until_ms))
        .bind(integer(paid.talk_until_ms))
        .bind(integer(now))
        .bind(integer(aside.tokens))
        .bind(integer(aside.micros))
        .bind(session_id)
        .execute(tx)
        .await?;
    Ok(Wrote::Appended(Appended::New(written)))
}

/// Only what a client sent carries the client's id. A file's is made from it (`files.rs`), and finds the file.
fn client_id(event: &SessionEvent) -> Option<&str> {
    match event.kind {
        EventType::UserMessage | EventType::UserFile => event.id.as_deref(),
        // Reported by the client under ids of its own.
        EventType::UserTranscript if event.handed => event.id.as_deref(),
        EventType::AgentMessage if event.handed => event.part_id.as_deref(),
        _ => None,
    }
}

async fn begin_session(
    tx: &mut SqliteConnection,
    record: &SessionRecord,
    only: bool,
    charge: &Charge,
) -> Result<Wrote, StoreError> {
    if only && let Some(id) = identity::earlier_session(tx, record).await? {
        return Ok(Wrote::Began(Began::Earlier(id)));
    }
    match charge::check(tx, charge, Paid::default()).await? {
        Ok(due) => charge::pay(tx, charge, &due).await?,
        Err(over) => return Ok(Wrote::Began(Began::Over(over))),
    }
    put_session(tx, record).await?;
    charge::purge(tx, charge.now_ms).await?;
    Ok(Wrote::Began(Began::New))
}

async fn put_call(tx: &mut SqliteConnection, call: &HandedCall) -> Result<Wrote, StoreError> {
    let sql = "INSERT INTO calls (id, owner, session_id, began_ms, kept) VALUES (?, ?, ?, ?, ?)";
    done(
        sqlx::query(sql)
            .bind(&call.id)
            .bind(&call.owner)
            .bind(&call.session_id)
            .bind(integer(call.began_ms))
            .bind(&call.kept)
            .execute(tx)
            .await,
    )
}

async fn put_session(
    tx: &mut SqliteConnection,
    record: &SessionRecord,
) -> Result<Wrote, StoreError> {
    let sql = "INSERT INTO sessions (id, account, key_id, agent_id, subject, created_ms, last_ms, label)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, (SELECT label FROM visitors WHERE account = ?2 AND id = ?5))";
    done(
        sqlx::query(sql)
            .bind(&record.info.id)
            .bind(&record.account)
            .bind(&record.key_id)
            .bind(&record.agent_id)
            .bind(&record.subject)
            .bind(integer(record.created_ms))
            .execute(tx)
            .await,
    )
}

async fn spend_token(
    tx: &mut SqliteConnection,
    jti: &str,
    expires_ms: u64,
    replacement: Option<&str>,
    now: u64,
) -> Result<Wrote, StoreError> {
    // Once a token has expired it is refused for that, so its mark is no longer needed.
    sqlx::query("DELETE FROM spent_tokens WHERE expires_ms < ?")
        .bind(integer(now))
        .execute(&mut *tx)
        .await?;
    let sql = "INSERT INTO spent_tokens (jti, spent_ms, expires_ms, replacement) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    changed(
        sqlx::query(sql)
            .bind(jti)
            .bind(integer(now))
            .bind(integer(expires_ms))
            .bind(replacement)
            .execute(tx)
            .await,
    )
}

async fn put_feedback(
    tx: &mut SqliteConnection,
    session_id: &str,
    part_id: &str,
    rating: &str,
    now: u64,
) -> Result<Wrote, StoreError> {
    let sql = "INSERT INTO feedback (session_id, part_id, rating, at_ms)
               SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (
                   SELECT 1 FROM events WHERE session_id = ?1 AND json_extract(body, '$.part_id') = ?2)
               ON CONFLICT (session_id, part_id) DO UPDATE SET rating = excluded.rating, at_ms = excluded.at_ms";
    changed(
        sqlx::query(sql)
            .bind(session_id)
            .bind(part_id)
            .bind(rating)
            .bind(integer(now))
            .execute(tx)
            .await,
    )
}

async fn put_key(tx: &mut SqliteConnection, key: &WidgetKey) -> Result<Wrote, StoreError> {
    // The secrets of a key that is there change by `key_secrets` only.
    let sql = "INSERT INTO widget_keys (id, account, name, public_key, secret_hash, origins, agent_id, enabled, caps,
                   identification_required, identity_secret, created_ms)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT (id) DO UPDATE SET name = excluded.name, origins = excluded.origins, agent_id = excluded.agent_id,
                   enabled = excluded.enabled, caps = excluded.caps,
                   identification_required = excluded.identification_required";
    done(
        sqlx::query(sql)
            .bind(&key.id)
            .bind(&key.account)
            .bind(&key.name)
            .bind(&key.public_key)
            .bind(&key.secret_hash)
            .bind(json(&key.origins)?)
            .bind(&key.agent_id)
            .bind(key.enabled)
            .bind(json(&key.caps)?)
            .bind(key.identification_required)
            .bind(&key.identity_secret)
            .bind(integer(key.created_ms))
            .execute(tx)
            .await,
    )
}

async fn put_agent(tx: &mut SqliteConnection, agent: &Agent) -> Result<Wrote, StoreError> {
    let sql = "INSERT INTO agents (id, account, settings, created_ms) VALUES (?, ?, ?, ?)
               ON CONFLICT (id) DO UPDATE SET settings = excluded.settings";
    done(
        sqlx::query(sql)
            .bind(&agent.id)
            .bind(&agent.account)
            .bind(json(agent)?)
            .bind(integer(agent.created_ms))
            .execute(tx)
            .await,
    )
}

async fn put_admin_token(
    tx: &mut SqliteConnection,
    sql: &'static str,
    account: &str,
    token: &AdminToken,
) -> Result<Wrote, StoreError> {
    changed(
        sqlx::query(sql)
            .bind(account)
            .bind(&token.hash)
            .bind(integer(token.created_ms))
            .execute(tx)
            .await,
    )
}

pub fn done(result: Result<SqliteQueryResult, sqlx::Error>) -> Result<Wrote, StoreError> {
    Ok(result.map(|_| Wrote::Done)?)
}

fn changed(result: Result<SqliteQueryResult, sqlx::Error>) -> Result<Wrote, StoreError> {
    Ok(result.map(|r| Wrote::Changed(r.rows_affected() > 0))?)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt("a value has no JSON form".into()))
}
