//! `karta-server conversations …`

use super::table::table;
use super::{Output, json};
use crate::service::conversations::{self, Conversation};
use crate::service::{ACCOUNT, ServiceError};
use crate::store::Store;
use crate::view::{ConversationView, TranscriptView};
use clap::Subcommand;
use karta_protocol::{EventType, SessionEvent};

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
    /// Show one with all that was said in it.
    Show {
        #[arg(value_name = "SESSION")]
        id: String,
        /// Begin behind this event's number.
        #[arg(long, default_value_t = 0, value_name = "SEQ")]
        after: u64,
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: Conversations, store: &dyn Store) -> Result<String, ServiceError> {
    match command {
        Conversations::List { limit, output } => list(store, limit, output).await,
        Conversations::Show { id, after, output } => show(store, &id, after, output).await,
    }
}

async fn show(
    store: &dyn Store,
    id: &str,
    after: u64,
    output: Output,
) -> Result<String, ServiceError> {
    let conversation = conversations::get(store, ACCOUNT, id).await?;
    let files = conversations::files(store, &conversation).await?;
    let limit = conversations::EVENTS_MAX;
    let said = conversations::said(store, &conversation, after, limit).await?;
    if output.json {
        return Ok(json(&TranscriptView::new(&conversation, files, said)));
    }
    let mut lines = vec![format!("{} with {}", id, conversation.who())];
    for event in &said.events {
        let (who, what) = match event.kind {
            EventType::UserMessage | EventType::UserTranscript => ("visitor", event.text.clone()),
            EventType::AgentMessage => ("agent", event.text.clone()),
            EventType::UserFile => ("file", event.name.clone()),
            EventType::AgentToolUse | EventType::AgentToolResult => ("tool", Some(tool(event))),
            EventType::AgentThinking
            | EventType::StatusRunning
            | EventType::StatusIdle
            | EventType::SessionError
            | EventType::LimitReached
            | EventType::Synced
            | EventType::VoiceState
            | EventType::VoiceCut
            | EventType::Pong
            | EventType::Error
            | EventType::Unknown => continue,
        };
        // Whatever a visitor typed must not steer the terminal.
        let what: String = what
            .iter()
            .flat_map(|text| text.chars())
            .map(plain)
            .collect();
        let seq = event.seq.unwrap_or_default();
        lines.push(format!("{seq:>5}  {who:<8} {what}"));
    }
    if let Some(next) = said.next {
        lines.push(format!("There is more: --after {next}"));
    }
    Ok(lines.join("\n"))
}

/// `cancel_order confirm: order: K-1`.
fn tool(event: &SessionEvent) -> String {
    let known = [&event.name, &event.state].into_iter().flatten();
    let words: Vec<&str> = known.map(String::as_str).collect();
    match &event.text {
        Some(arguments) if !arguments.is_empty() => format!("{}: {arguments}", words.join(" ")),
        Some(_) | None => words.join(" "),
    }
}

fn plain(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

async fn list(store: &dyn Store, limit: usize, output: Output) -> Result<String, ServiceError> {
    let found = conversations::list(store, ACCOUNT, None, limit).await?;
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
