//! Full-text search over the passages: terms from [`query`], spelling by the index's own vocabulary, ranking by bm25.

use super::row::unsigned;
use crate::store::{Found, Passage, StoreError, Term, query};
use sqlx::Row as _;
use sqlx::sqlite::SqlitePool;
use std::collections::HashMap;

/// Unknown words looked at for mistakes: each reads a slice of the vocabulary, and a question has few words.
const CORRECTIONS: usize = 8;
/// Words of the vocabulary that a mistyped one is compared with.
const VOCABULARY_SLICE: i64 = 20_000;

pub async fn search(
    pool: &SqlitePool,
    account: &str,
    agent_id: &str,
    text: &str,
    limit: usize,
) -> Result<Found, StoreError> {
    let mut terms = query::terms(text);
    count(pool, &mut terms).await?;
    let mut corrected = false;
    for term in terms
        .iter_mut()
        .filter(|t| t.passages == 0)
        .take(CORRECTIONS)
    {
        corrected |= correct(pool, term).await?;
    }
    if corrected {
        query::untangle(&mut terms);
        count(pool, &mut terms).await?;
    }
    let row = sqlx::query(
        "SELECT count(*) AS n FROM passages p JOIN documents d ON d.id = p.document_id
         WHERE p.account = ? AND (d.for_all OR EXISTS (
             SELECT 1 FROM document_agents a WHERE a.document_id = d.id AND a.agent_id = ?))",
    )
    .bind(account)
    .bind(agent_id)
    .fetch_one(pool)
    .await?;
    let total = unsigned(&row, "n")?;
    let Some(matching) = query::matching(&terms) else {
        return Ok(Found {
            passages: Vec::new(),
            terms,
            total,
        });
    };
    // A word in a heading says what the passage is about; one in the title, what the document is.
    let rows = sqlx::query(
        "SELECT p.document_id, p.title, p.heading, d.url, p.body, bm25(passages_index, 3.0, 4.0, 1.0) AS rank
         FROM passages_index
         JOIN passages p ON p.id = passages_index.rowid
         JOIN documents d ON d.id = p.document_id
         WHERE passages_index MATCH ? AND p.account = ? AND (d.for_all OR EXISTS (
             SELECT 1 FROM document_agents a WHERE a.document_id = d.id AND a.agent_id = ?))
         ORDER BY rank, p.id LIMIT ?",
    )
    .bind(matching)
    .bind(account)
    .bind(agent_id)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    let mut passages = Vec::with_capacity(rows.len());
    for row in rows {
        let heading: String = row.try_get("heading")?;
        let rank: f64 = row.try_get("rank")?;
        passages.push(Passage {
            document_id: row.try_get("document_id")?,
            title: row.try_get("title")?,
            heading: (!heading.is_empty()).then_some(heading),
            url: row.try_get("url")?,
            text: row.try_get("body")?,
            score: -rank,
        });
    }
    Ok(Found {
        passages,
        terms,
        total,
    })
}

/// Fills in how many passages hold each term or a related one (the sum: an upper bound is good enough for weighing).
async fn count(pool: &SqlitePool, terms: &mut [Term]) -> Result<(), StoreError> {
    let stems: Vec<&String> = terms
        .iter()
        .flat_map(|t| std::iter::once(&t.stem).chain(&t.related))
        .collect();
    let list = serde_json::to_string(&stems).map_err(|_| StoreError::Corrupt("terms".into()))?;
    let rows = sqlx::query(
        "SELECT w.term, w.doc FROM (SELECT DISTINCT value FROM json_each(?)) s JOIN passages_words w ON w.term = s.value",
    )
    .bind(list)
    .fetch_all(pool)
    .await?;
    let mut counts: HashMap<String, u64> = HashMap::new();
    for row in rows {
        counts.insert(row.try_get("term")?, unsigned(&row, "doc")?);
    }
    for term in terms {
        term.passages = std::iter::once(&term.stem)
            .chain(&term.related)
            .filter_map(|stem| counts.get(stem))
            .sum();
    }
    Ok(())
}

/// A word that no document has may be mistyped: takes the nearest stem of the documents, or of the words we know relations of.
async fn correct(pool: &SqlitePool, term: &mut Term) -> Result<bool, StoreError> {
    let limit = query::tolerance(&term.stem);
    let Some(first) = term
        .word
        .chars()
        .next()
        .filter(|c| limit > 0 && c.is_alphabetic())
    else {
        return Ok(false);
    };
    // People rarely get the first letter wrong, and it keeps the search to a slice of the vocabulary.
    let rows = sqlx::query("SELECT term FROM passages_words WHERE term >= ? AND term < ? LIMIT ?")
        .bind(first.to_string())
        .bind(format!("{first}\u{10ffff}"))
        .bind(VOCABULARY_SLICE)
        .fetch_all(pool)
        .await?;
    let mut candidates: Vec<String> = Vec::with_capacity(rows.len());
    for row in rows {
        candidates.push(row.try_get("term")?);
    }
    // "ebike" and "e-bike" are one word to people, and two to the index.
    if let Some(rest) = term.stem.strip_prefix('e').filter(|rest| rest.len() >= 4) {
        let sql = "SELECT term FROM passages_words WHERE term = ?";
        if sqlx::query(sql)
            .bind(rest)
            .fetch_optional(pool)
            .await?
            .is_some()
        {
            let rest = rest.to_owned();
            term.related = query::related(&rest);
            term.stem = rest;
            return Ok(true);
        }
    }
    // A word of the documents is likelier meant than one of ours.
    let known = query::known_stems().filter(|s| s.starts_with(first));
    let best = candidates
        .into_iter()
        .map(|c| (false, c))
        .chain(known.map(|s| (true, s.clone())))
        .filter(|(_, c)| c.chars().count() >= 4)
        .map(|(ours, c)| (query::mistakes(&term.stem, &c, limit), ours, c))
        .filter(|(mistakes, ..)| *mistakes <= limit)
        .min();
    match best {
        Some((mistakes, _, stem)) if mistakes > 0 => {
            term.related = query::related(&stem);
            term.stem = stem;
            Ok(true)
        }
        Some(_) | None => Ok(false),
    }
}
