//! The owner's documents: read, titled, attached to agents and stored. The store cuts them into passages.

use super::{ServiceError, known_agent, line, web_address};
use crate::extract::{Extractor, Unreadable};
use crate::store::passage::{first_heading, split};
use crate::store::{KnowledgeDocument, Store, new_id, now_ms};

const TITLE_MAX: usize = 200;
/// `Source: URL` is looked for in the first lines only: further down it is the owner's text.
const SOURCE_WITHIN_LINES: usize = 6;

#[derive(Clone, Debug, Default)]
pub struct NewDocument {
    pub file_name: String,
    pub bytes: Vec<u8>,
    /// None: the first heading, or else the file's name.
    pub title: Option<String>,
    pub agents: Option<Agents>,
}

/// Who may use a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agents {
    /// Every agent of the account, also those to come.
    All,
    /// These; none yet where it is empty.
    Only(Vec<String>),
}

#[derive(Clone, Debug)]
pub struct AddedDocument {
    pub document: KnowledgeDocument,
    pub passages: usize,
    /// It took the place of the document with the same title.
    pub replaced: bool,
}

/// Adds a document, or renews the one with the same title: titles are what owners and visitors know a document by. A renewed one
/// keeps its agents where none are named; a new one is for all.
pub async fn add(
    store: &dyn Store,
    extractor: &Extractor,
    account: &str,
    new: NewDocument,
) -> Result<AddedDocument, ServiceError> {
    let read = read(extractor, &new.file_name, &new.bytes).await?;
    let title = match (&new.title, first_heading(&read.text)) {
        (Some(title), _) => title.clone(),
        (None, Some(heading)) => heading,
        (None, None) => {
            let (stem, _) = new
                .file_name
                .rsplit_once('.')
                .unwrap_or((&new.file_name, ""));
            capitalised(&stem.replace(['_', '-'], " "))
        }
    };
    let title: String = title.trim().chars().take(TITLE_MAX).collect();
    let title = line("the title", &title, TITLE_MAX)?;
    let documents = store.documents(account).await?;
    let same = documents.into_iter().find(|d| d.title == title);
    let replaced = same.is_some();
    let agent_ids = match new.agents {
        Some(agents) => known_agents(store, account, agents).await?,
        None => same.as_ref().and_then(|d| d.agent_ids.clone()),
    };
    let document = KnowledgeDocument {
        id: same.map_or_else(|| new_id("d"), |d| d.id),
        account: account.to_owned(),
        agent_ids,
        title,
        url: read.url,
        text: read.text,
        created_ms: now_ms(),
    };
    store.put_document(&document).await?;
    Ok(AddedDocument {
        document,
        passages: read.passages,
        replaced,
    })
}

/// New content for a document. Its title stays: that is what it is known by.
pub async fn replace(
    store: &dyn Store,
    extractor: &Extractor,
    account: &str,
    id: &str,
    file_name: &str,
    bytes: &[u8],
) -> Result<AddedDocument, ServiceError> {
    let old = get(store, account, id).await?;
    let read = read(extractor, file_name, bytes).await?;
    let document = KnowledgeDocument {
        url: read.url,
        text: read.text,
        created_ms: now_ms(),
        ..old
    };
    store.put_document(&document).await?;
    Ok(AddedDocument {
        document,
        passages: read.passages,
        replaced: true,
    })
}

/// Says anew who may use a document.
pub async fn attach(
    store: &dyn Store,
    account: &str,
    id: &str,
    agents: Agents,
) -> Result<KnowledgeDocument, ServiceError> {
    let document = KnowledgeDocument {
        agent_ids: known_agents(store, account, agents).await?,
        ..get(store, account, id).await?
    };
    store.put_document(&document).await?;
    Ok(document)
}

/// Every one of these is there.
pub(super) async fn require_all(
    store: &dyn Store,
    account: &str,
    ids: &[String],
) -> Result<(), ServiceError> {
    let all = store.documents(account).await?;
    if ids.iter().all(|id| all.iter().any(|d| d.id == *id)) {
        Ok(())
    } else {
        Err(unknown())
    }
}

/// The documents that are ticked for an agent. Those for every agent are not among them.
pub async fn ticked(store: &dyn Store, agent_id: &str) -> Result<Vec<String>, ServiceError> {
    Ok(store.ticked_documents(agent_id).await?)
}

pub async fn get(
    store: &dyn Store,
    account: &str,
    id: &str,
) -> Result<KnowledgeDocument, ServiceError> {
    store.document(account, id).await?.ok_or_else(unknown)
}

pub async fn list(
    store: &dyn Store,
    account: &str,
) -> Result<Vec<KnowledgeDocument>, ServiceError> {
    Ok(store.documents(account).await?)
}

pub async fn remove(store: &dyn Store, account: &str, id: &str) -> Result<(), ServiceError> {
    if store.remove_document(account, id).await? {
        Ok(())
    } else {
        Err(unknown())
    }
}

fn unknown() -> ServiceError {
    ServiceError::NotFound("there is no such document; `knowledge list` shows them all".into())
}

async fn known_agents(
    store: &dyn Store,
    account: &str,
    agents: Agents,
) -> Result<Option<Vec<String>>, ServiceError> {
    let Agents::Only(mut ids) = agents else {
        return Ok(None);
    };
    ids.sort();
    ids.dedup();
    for id in &ids {
        known_agent(store, account, id).await?;
    }
    Ok(Some(ids))
}

struct Read {
    url: Option<String>,
    text: String,
    passages: usize,
}

async fn read(extractor: &Extractor, file_name: &str, bytes: &[u8]) -> Result<Read, ServiceError> {
    let unreadable = |why| ServiceError::Unreadable(file_name.to_owned(), why);
    let text = extractor.text(file_name, bytes).await.map_err(unreadable)?;
    let (url, text) = source(file_name, &text)?;
    let passages = split(&text).len();
    if passages == 0 {
        return Err(unreadable(Unreadable::NoText));
    }
    Ok(Read {
        url,
        text,
        passages,
    })
}

/// Takes the `Source:` line out of the text: it is about the document, not in it.
fn source(file_name: &str, text: &str) -> Result<(Option<String>, String), ServiceError> {
    let mut url = None;
    let mut rest = String::with_capacity(text.len());
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let named = line.trim().split_once(':').filter(|(name, _)| {
            url.is_none() && at < SOURCE_WITHIN_LINES && name.eq_ignore_ascii_case("source")
        });
        match named {
            Some((_, address)) => {
                let address = address.trim().trim_start_matches('<').trim_end_matches('>');
                let field = format!("{file_name}: `Source:`");
                url = Some(web_address(&field, address)?);
            }
            None => rest.push_str(line),
        }
    }
    Ok((url, rest))
}

/// "opening hours" → "Opening hours".
fn capitalised(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}
