//! `karta-server agents …`

use super::table::table;
use super::{Output, json};
use crate::service::agents::{self, AgentChange};
use crate::service::{ACCOUNT, ServiceError};
use crate::store::{Agent, Store};
use clap::{Args, Subcommand, ValueEnum};
use karta_protocol::AuthMode;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum Agents {
    /// Make an agent.
    Create {
        /// Its name in the widget's header.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        output: Output,
    },
    /// Show all agents.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Change an agent; what is not named stays. An empty text ("") takes a setting away.
    Update {
        id: String,
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub struct Settings {
    /// The first line a visitor reads.
    #[arg(long)]
    greeting: Option<String>,
    /// A question to offer under the greeting. Repeat for more.
    #[arg(long = "prompt", value_name = "TEXT")]
    prompts: Vec<String>,
    /// How the model shall behave (runtime openai).
    #[arg(long)]
    instruction: Option<String>,
    /// auto: the model where one is configured, else builtin.
    #[arg(long, value_parser = ["auto", "builtin", "openai"])]
    runtime: Option<String>,
    /// The model's name; without it OPENAI_MODEL.
    #[arg(long)]
    model: Option<String>,
    /// 0 (exact) to 2 (loose).
    #[arg(long)]
    temperature: Option<f32>,
    /// Wait this long after a visitor's last message, so that several quick ones are answered together (0 to 30000).
    #[arg(long, value_name = "MS")]
    response_delay_ms: Option<u32>,
    /// Delete conversations this many days after they were last used (0: keep them).
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<u32>,
    /// Visitors may send files.
    #[arg(long)]
    upload: Option<Switch>,
    /// Web address of its picture.
    #[arg(long, value_name = "URL")]
    avatar_url: Option<String>,
    /// Show or hide its widget everywhere.
    #[arg(long)]
    widget: Option<Switch>,
    /// Who may talk to it.
    #[arg(long)]
    auth_mode: Option<Who>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Who {
    Guest,
    User,
    Both,
}

pub async fn run(command: Agents, store: &dyn Store) -> Result<String, ServiceError> {
    match command {
        Agents::Create {
            name,
            settings,
            output,
        } => {
            let agent = agents::create(store, ACCOUNT, change(Some(name), settings)).await?;
            said("Made", &agent, output)
        }
        Agents::Update {
            id,
            name,
            settings,
            output,
        } => {
            let agent = agents::update(store, ACCOUNT, &id, change(name, settings)).await?;
            said("Changed", &agent, output)
        }
        Agents::List { output } => {
            let agents = agents::list(store, ACCOUNT).await?;
            if output.json {
                return Ok(json(&agents.iter().map(shown).collect()));
            }
            let row = |agent: &Agent| {
                vec![
                    agent.id.clone(),
                    if agent.widget_enabled { "on" } else { "off" }.into(),
                    agent.runtime.clone(),
                    agent.model.clone().unwrap_or_else(|| "-".into()),
                    agent.name.clone(),
                ]
            };
            let rows: Vec<_> = agents.iter().map(row).collect();
            Ok(table(&["ID", "WIDGET", "RUNTIME", "MODEL", "NAME"], &rows))
        }
    }
}

fn said(verb: &str, agent: &Agent, output: Output) -> Result<String, ServiceError> {
    Ok(if output.json {
        json(&shown(agent))
    } else {
        format!("{verb} the agent \"{}\": {}", agent.name, agent.id)
    })
}

fn change(name: Option<String>, settings: Settings) -> AgentChange {
    AgentChange {
        name,
        avatar_url: settings.avatar_url,
        greeting: settings.greeting,
        suggested_prompts: match settings.prompts.as_slice() {
            [] => None,
            [none] if none.is_empty() => Some(Vec::new()),
            _ => Some(settings.prompts),
        },
        instruction: settings.instruction,
        runtime: settings.runtime,
        model: settings.model,
        temperature: settings.temperature,
        response_delay_ms: settings.response_delay_ms,
        retention_days: settings.retention_days,
        upload_enabled: settings.upload.map(|s| matches!(s, Switch::On)),
        widget_enabled: settings.widget.map(|s| matches!(s, Switch::On)),
        auth_mode: settings.auth_mode.map(|who| match who {
            Who::Guest => AuthMode::Guest,
            Who::User => AuthMode::User,
            Who::Both => AuthMode::Both,
        }),
    }
}

fn shown(agent: &Agent) -> Value {
    json!({
        "id": agent.id,
        "name": agent.name,
        "avatar_url": agent.avatar_url,
        "greeting": agent.greeting,
        "suggested_prompts": agent.suggested_prompts,
        "instruction": agent.instruction,
        "runtime": agent.runtime,
        "model": agent.model,
        "temperature": agent.temperature,
        "response_delay_ms": agent.response_delay_ms,
        "retention_days": agent.retention_days,
        "upload_enabled": agent.upload_enabled,
        "widget_enabled": agent.widget_enabled,
        "auth_mode": agent.auth_mode,
        "created_ms": agent.created_ms,
    })
}
