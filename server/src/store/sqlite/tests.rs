//! The store over real files: what is acknowledged is there, in order, once.

mod file;
mod rows;
mod writer;

use super::*;
use crate::store::{Caps, new_id, now_ms};
use karta_protocol::{EventType, SessionInfo, SessionStatus, StopReason};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

async fn open(dir: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(dir).await.expect("a store"))
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

async fn session(store: &SqliteStore) -> String {
    let info = SessionInfo {
        id: new_id("s"),
        ..SessionInfo::default()
    };
    let record = SessionRecord {
        info: info.clone(),
        account: "main".into(),
        subject: "v_1".into(),
        created_ms: now_ms(),
        ..SessionRecord::default()
    };
    store.create_session(&record).await.expect("a session");
    info.id
}

fn said(id: &str) -> SessionEvent {
    SessionEvent {
        kind: EventType::UserMessage,
        id: Some(id.into()),
        text: Some(format!("text of {id} 🙂")),
        ..SessionEvent::default()
    }
}

fn marked(kind: EventType) -> SessionEvent {
    SessionEvent {
        kind,
        ..SessionEvent::default()
    }
}

fn document(id: &str, agent_id: Option<&str>, account: &str, text: &str) -> KnowledgeDocument {
    KnowledgeDocument {
        id: id.into(),
        account: account.into(),
        agent_ids: agent_id.map(|id| vec![id.into()]),
        title: "Title".into(),
        url: None,
        text: text.into(),
        created_ms: 1,
    }
}

async fn found(store: &SqliteStore, agent: &str, query: &str) -> Vec<String> {
    let found = store.search("main", agent, query, 10).await.expect("found");
    found.passages.into_iter().map(|p| p.text).collect()
}
