//! The owner's documents: text and Markdown, read, titled and stored. The store cuts them into passages.

use super::{ServiceError, known_agent, line, web_address};
use crate::store::passage::{first_heading, split};
use crate::store::{KnowledgeDocument, Store, new_id, now_ms};

/// A book of a thousand pages. More is a mistake, or belongs in several documents.
pub const DOCUMENT_MAX_BYTES: usize = 4 * 1024 * 1024;
/// `Source: URL` is looked for in the first lines only: further down it is the owner's text.
const SOURCE_WITHIN_LINES: usize = 6;

#[derive(Clone, Debug, Default)]
pub struct NewDocument {
    pub file_name: String,
    pub bytes: Vec<u8>,
    pub title: Option<String>,
    pub agent_id: Option<String>,
}

#[derive(Clone, Debug)]
pub struct AddedDocument {
    pub document: KnowledgeDocument,
    pub passages: usize,
    /// It took the place of the document with the same title.
    pub replaced: bool,
}

pub async fn add(
    store: &dyn Store,
    account: &str,
    new: NewDocument,
) -> Result<AddedDocument, ServiceError> {
    if let Some(agent_id) = &new.agent_id {
        known_agent(store, account, agent_id).await?;
    }
    let Read { title, url, text } = read(&new)?;
    let passages = split(&text).len();
    if passages == 0 {
        return Err(invalid(&new, "holds no text"));
    }
    let same = store
        .documents(account)
        .await?
        .into_iter()
        .find(|d| d.title == title && d.agent_id == new.agent_id);
    let replaced = same.is_some();
    let document = KnowledgeDocument {
        id: same.map_or_else(|| new_id("d"), |d| d.id),
        account: account.to_owned(),
        agent_id: new.agent_id,
        title,
        url,
        text,
        created_ms: now_ms(),
    };
    store.put_document(&document).await?;
    Ok(AddedDocument {
        document,
        passages,
        replaced,
    })
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
        Err(ServiceError::NotFound(
            "there is no such document; `knowledge list` shows them all".into(),
        ))
    }
}

struct Read {
    title: String,
    url: Option<String>,
    text: String,
}

fn read(new: &NewDocument) -> Result<Read, ServiceError> {
    let (stem, extension) = new
        .file_name
        .rsplit_once('.')
        .unwrap_or((&new.file_name, ""));
    if !matches!(
        extension.to_ascii_lowercase().as_str(),
        "txt" | "md" | "markdown"
    ) {
        return Err(invalid(
            new,
            "is not a .txt or .md file; save it as one of these",
        ));
    }
    if new.bytes.len() > DOCUMENT_MAX_BYTES {
        return Err(invalid(
            new,
            "is larger than 4 MB; split it into several documents",
        ));
    }
    let text = std::str::from_utf8(&new.bytes)
        .map_err(|_| invalid(new, "is not UTF-8 text; save it as UTF-8"))?;
    if text.contains('\0') {
        return Err(invalid(new, "is not a text file"));
    }
    let text = text
        .trim_start_matches('\u{feff}')
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let (url, text) = source(new, &text)?;
    let title = match (&new.title, first_heading(&text)) {
        (Some(title), _) => title.clone(),
        (None, Some(heading)) => heading,
        (None, None) => capitalised(&stem.replace(['_', '-'], " ")),
    };
    let title: String = title.trim().chars().take(200).collect();
    Ok(Read {
        title: line("the title", &title, 200)?,
        url,
        text,
    })
}

/// Takes the `Source:` line out of the text: it is about the document, not in it.
fn source(new: &NewDocument, text: &str) -> Result<(Option<String>, String), ServiceError> {
    let mut url = None;
    let mut rest = String::with_capacity(text.len());
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let named = line.trim().split_once(':').filter(|(name, _)| {
            url.is_none() && at < SOURCE_WITHIN_LINES && name.eq_ignore_ascii_case("source")
        });
        match named {
            Some((_, address)) => {
                let address = address.trim().trim_start_matches('<').trim_end_matches('>');
                let field = format!("{}: `Source:`", new.file_name);
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

fn invalid(new: &NewDocument, what: &str) -> ServiceError {
    ServiceError::Invalid(format!("{} {what}", new.file_name))
}
