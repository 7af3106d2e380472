//! The owner's documents: which agents read them, and their passages for the search.

use super::row::integer;
use super::write::Wrote;
use crate::store::passage::Piece;
use crate::store::{KnowledgeDocument, StoreError};
use sqlx::sqlite::SqliteConnection;

pub async fn tick(
    tx: &mut SqliteConnection,
    agent_id: &str,
    ids: &[String],
) -> Result<Wrote, StoreError> {
    sqlx::query("DELETE FROM document_agents WHERE agent_id = ?")
        .bind(agent_id)
        .execute(&mut *tx)
        .await?;
    for id in ids {
        // Only where both are there: either may have gone since the caller looked.
        let sql = "INSERT INTO document_agents (document_id, agent_id)
                   SELECT d.id, a.id FROM documents d, agents a WHERE d.id = ? AND NOT d.for_all AND a.id = ?
                   ON CONFLICT DO NOTHING";
        sqlx::query(sql)
            .bind(id)
            .bind(agent_id)
            .execute(&mut *tx)
            .await?;
    }
    Ok(Wrote::Done)
}

pub async fn put(
    tx: &mut SqliteConnection,
    document: &KnowledgeDocument,
    pieces: &[Piece],
) -> Result<Wrote, StoreError> {
    // Its passages go by cascade, and their index entries by trigger.
    sqlx::query("DELETE FROM documents WHERE id = ?")
        .bind(&document.id)
        .execute(&mut *tx)
        .await?;
    let sql = "INSERT INTO documents (id, account, for_all, title, url, body, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(&document.id)
        .bind(&document.account)
        .bind(document.agent_ids.is_none())
        .bind(&document.title)
        .bind(&document.url)
        .bind(&document.text)
        .bind(integer(document.created_ms))
        .execute(&mut *tx)
        .await?;
    for agent_id in document.agent_ids.iter().flatten() {
        let sql = "INSERT INTO document_agents (document_id, agent_id) VALUES (?, ?) ON CONFLICT DO NOTHING";
        sqlx::query(sql)
            .bind(&document.id)
            .bind(agent_id)
            .execute(&mut *tx)
            .await?;
    }
    for piece in pieces {
        let sql = "INSERT INTO passages (document_id, account, title, heading, body) VALUES (?, ?, ?, ?, ?)";
        sqlx::query(sql)
            .bind(&document.id)
            .bind(&document.account)
            .bind(&document.title)
            .bind(piece.heading.as_deref().unwrap_or_default())
            .bind(&piece.text)
            .execute(&mut *tx)
            .await?;
    }
    Ok(Wrote::Done)
}
