//! `karta-server conversations …`

use super::table::table;
use super::{Output, json};
use crate::service::conversations::{self, Conversation};
use crate::service::{ACCOUNT, ServiceError};
use crate::store::Store;
use crate::view::ConversationView;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Conversations {
    /// Show the newest conversations: whom with, not what was said.
    List {
        /// How many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: Conversations, store: &dyn Store) -> Result<String, ServiceError> {
    let Conversations::List { limit, output } = command;
    let found = conversations::list(store, ACCOUNT, limit).await?;
    if output.json {
        return Ok(json(
            &found.iter().map(ConversationView::from).collect::<Vec<_>>(),
        ));
    }
    if found.is_empty() {
        return Ok("No conversations yet.".into());
    }
    let row = |conversation: &Conversation| {
        let record = &conversation.record;
        vec![
            record.info.id.clone(),
            record.agent_id.clone(),
            record.info.last_seq.to_string(),
            if conversation.user.is_some() {
                "verified"
            } else {
                "guest"
            }
            .into(),
            conversation.who().to_owned(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    Ok(table(
        &["SESSION", "AGENT", "EVENTS", "IDENTITY", "WHO"],
        &rows,
    ))
}
