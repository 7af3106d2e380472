//! `karta-server knowledge …`

use super::table::table;
use super::{Output, json, shown};
use crate::extract::Extractor;
use crate::service::knowledge::{self, AddedDocument, Agents, NewDocument};
use crate::service::{ACCOUNT, ServiceError};
use crate::store::{KnowledgeDocument, Store};
use crate::view::{AddedDocumentView, DocumentTextView, DocumentView};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub enum Knowledge {
    /// Add .txt, .md, .pdf or .docx documents. One with the title of an earlier one takes its place.
    Add {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// For this agent only. Repeat for more; without it for every agent.
        #[arg(long = "agent", value_name = "ID")]
        agents: Vec<String>,
        /// Title, instead of the first heading. For one file only.
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Show one document and its text.
    Show {
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Give a document new content. Its title stays.
    Update {
        id: String,
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Say which agents may use a document.
    Attach {
        id: String,
        #[command(flatten)]
        agents: Attached,
        #[command(flatten)]
        output: Output,
    },
    /// Show all documents.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Remove a document.
    Remove {
        id: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Attached {
    /// For this agent. Repeat for more.
    #[arg(long = "agent", value_name = "ID")]
    agents: Vec<String>,
    /// For every agent, also those to come.
    #[arg(long)]
    all: bool,
    /// For none at the moment.
    #[arg(long)]
    none: bool,
}

pub async fn run(
    command: Knowledge,
    store: &dyn Store,
    extractor: &Extractor,
) -> Result<String, ServiceError> {
    match command {
        Knowledge::Add {
            files,
            agents,
            title,
            output,
        } => {
            if title.is_some() && files.len() > 1 {
                return Err(ServiceError::Invalid(
                    "--title goes with one file; several take theirs from their first headings"
                        .into(),
                ));
            }
            // All are read before the first is stored: a wrong path leaves nothing half done.
            let new = files
                .iter()
                .map(|path| read(path, title.clone(), &agents))
                .collect::<Result<Vec<_>, _>>()?;
            let mut added = Vec::with_capacity(new.len());
            for document in new {
                added.push(knowledge::add(store, extractor, ACCOUNT, document).await?);
            }
            if output.json {
                let views = added.into_iter().map(AddedDocumentView::from);
                return Ok(json(&views.collect::<Vec<_>>()));
            }
            Ok(added.iter().map(told).collect::<Vec<_>>().join("\n"))
        }
        Knowledge::Show { id, output } => {
            let document = knowledge::get(store, ACCOUNT, &id).await?;
            Ok(shown(&DocumentTextView::from(document), output))
        }
        Knowledge::Update { id, file, output } => {
            let NewDocument {
                file_name, bytes, ..
            } = read(&file, None, &[])?;
            let added =
                knowledge::replace(store, extractor, ACCOUNT, &id, &file_name, &bytes).await?;
            Ok(if output.json {
                json(&AddedDocumentView::from(added))
            } else {
                told(&added)
            })
        }
        Knowledge::Attach { id, agents, output } => {
            let agents = if agents.all {
                Agents::All
            } else {
                Agents::Only(agents.agents)
            };
            let document = knowledge::attach(store, ACCOUNT, &id, agents).await?;
            Ok(if output.json {
                json(&DocumentView::from(&document))
            } else {
                format!("\"{}\" is for {}.", document.title, audience(&document))
            })
        }
        Knowledge::List { output } => {
            let documents = knowledge::list(store, ACCOUNT).await?;
            if output.json {
                let views = documents.iter().map(DocumentView::from);
                return Ok(json(&views.collect::<Vec<_>>()));
            }
            if documents.is_empty() {
                return Ok(
                    "No documents yet. Add some: karta-server knowledge add shipping.md returns.md"
                        .into(),
                );
            }
            let row = |document: &KnowledgeDocument| {
                vec![
                    document.id.clone(),
                    audience(document),
                    format!("{} kB", document.text.len().div_ceil(1_000)),
                    document.title.clone(),
                    document.url.clone().unwrap_or_default(),
                ]
            };
            let rows: Vec<_> = documents.iter().map(row).collect();
            Ok(table(&["ID", "AGENTS", "SIZE", "TITLE", "SOURCE"], &rows))
        }
        Knowledge::Remove { id, output } => {
            knowledge::remove(store, ACCOUNT, &id).await?;
            Ok(if output.json {
                json(&json!({ "removed": id }))
            } else {
                format!("Removed {id}.")
            })
        }
    }
}

fn read(
    path: &Path,
    title: Option<String>,
    agents: &[String],
) -> Result<NewDocument, ServiceError> {
    let bytes = std::fs::read(path)
        .map_err(|e| ServiceError::Invalid(format!("cannot read {}: {e}", path.display())))?;
    let file_name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok(NewDocument {
        file_name,
        bytes,
        title,
        agents: (!agents.is_empty()).then(|| Agents::Only(agents.to_vec())),
    })
}

fn audience(document: &KnowledgeDocument) -> String {
    match document.agent_ids.as_deref() {
        None => "all".into(),
        Some([]) => "none".into(),
        Some(ids) => ids.join(", "),
    }
}

fn told(added: &AddedDocument) -> String {
    let verb = if added.replaced { "Renewed" } else { "Added" };
    let (title, id) = (&added.document.title, &added.document.id);
    let plural = if added.passages == 1 { "" } else { "s" };
    format!(
        "{verb} \"{title}\" ({} passage{plural}): {id}",
        added.passages
    )
}
