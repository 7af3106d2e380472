//! `karta-server agents …`

use super::table::table;
use super::{Output, json, parse_wish, shown};
use crate::money::Money;
use crate::service::agents::{self, AgentChange};
use crate::service::patch::Patch;
use crate::service::{ACCOUNT, ServiceError, knowledge};
use crate::store::{Agent, Store, Tool};
use crate::view::AgentView;
use crate::voice::engine::CHOICES;
use clap::{Args, Subcommand, ValueEnum};
use karta_protocol::AuthMode;

#[derive(Debug, Subcommand)]
pub enum Agents {
    /// Make an agent.
    Create {
        /// Its name in the widget's header.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        settings: Box<Settings>,
        #[command(flatten)]
        output: Output,
    },
    /// Show all agents.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Show one agent with all its settings.
    Show {
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Delete an agent. Its conversations stay until their time is over.
    Delete {
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Change an agent; what is not named stays. An empty text ("") takes a setting away.
    #[command(visible_alias = "settings")]
    Update {
        id: String,
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        settings: Box<Settings>,
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
    #[arg(long, value_parser = parse_wish::<f32>)]
    temperature: Option<Patch<f32>>,
    /// Longest answer, in tokens (16 to 65536; 4096 where nothing is said).
    #[arg(long, value_name = "TOKENS", value_parser = parse_wish::<u32>)]
    max_tokens: Option<Patch<u32>>,
    /// What a million tokens cost that the model reads, like 0.15. In the currency of your caps.
    #[arg(long, value_name = "MONEY", value_parser = parse_wish::<Money>)]
    input_price: Option<Patch<Money>>,
    /// What a million tokens cost that the model writes.
    #[arg(long, value_name = "MONEY", value_parser = parse_wish::<Money>)]
    output_price: Option<Patch<Money>>,
    /// Wait this long after a visitor's last message, so that several quick ones are answered together (0 to 30000).
    #[arg(long, value_name = "MS")]
    response_delay_ms: Option<u32>,
    /// Delete conversations this many days after they were last used (0: keep them).
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<u32>,
    /// Visitors may talk to it. auto: the provider where one is configured, else this machine's own engine (local).
    #[arg(long, value_parser = CHOICES)]
    voice: Option<String>,
    /// What a minute of talk costs at its engines, like 0.06. The machine's own costs nothing.
    #[arg(long, value_name = "MONEY", value_parser = parse_wish::<Money>)]
    voice_minute_price: Option<Patch<Money>>,
    /// What its model may do: a JSON file with a list of tools, in the place of all that were; "-" takes them away (docs/OPERATING.md, "Tools").
    #[arg(long, value_name = "FILE")]
    tools: Option<String>,
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
    /// A document that is ticked for it, in the place of all that are. Repeat for more; an empty text ("") unticks all.
    #[arg(long = "knowledge", value_name = "DOCUMENT_ID")]
    knowledge: Vec<String>,
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
            let agent = agents::create(store, ACCOUNT, change(Some(name), *settings)?).await?;
            said("Made", store, agent, output).await
        }
        Agents::Update {
            id,
            name,
            settings,
            output,
        } => {
            let agent = agents::update(store, ACCOUNT, &id, change(name, *settings)?).await?;
            said("Changed", store, agent, output).await
        }
        Agents::Show { id, output } => {
            let agent = agents::get(store, ACCOUNT, &id).await?;
            Ok(shown(&view(store, agent).await?, output))
        }
        Agents::Delete { id, output } => {
            agents::remove(store, ACCOUNT, &id).await?;
            Ok(if output.json {
                json(&serde_json::json!({ "deleted": id }))
            } else {
                format!("Deleted {id}.")
            })
        }
        Agents::List { output } => {
            let agents = agents::list(store, ACCOUNT).await?;
            if output.json {
                let mut views = Vec::with_capacity(agents.len());
                for agent in agents {
                    views.push(view(store, agent).await?);
                }
                return Ok(json(&views));
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

async fn said(
    verb: &str,
    store: &dyn Store,
    agent: Agent,
    output: Output,
) -> Result<String, ServiceError> {
    Ok(if output.json {
        json(&view(store, agent).await?)
    } else {
        format!("{verb} the agent \"{}\": {}", agent.name, agent.id)
    })
}

async fn view(store: &dyn Store, agent: Agent) -> Result<AgentView, ServiceError> {
    let ticked = knowledge::ticked(store, &agent.id).await?;
    Ok(AgentView::new(agent, ticked))
}

/// A repeated option: not named leaves the list, one empty text clears it.
fn list(named: &[String]) -> Option<Vec<String>> {
    match named {
        [] => None,
        [none] if none.is_empty() => Some(Vec::new()),
        all => Some(all.to_vec()),
    }
}

fn change(name: Option<String>, settings: Settings) -> Result<AgentChange, ServiceError> {
    Ok(AgentChange {
        name,
        avatar_url: settings.avatar_url,
        greeting: settings.greeting,
        suggested_prompts: list(&settings.prompts),
        instruction: settings.instruction,
        runtime: settings.runtime,
        model: settings.model,
        temperature: settings.temperature.unwrap_or_default(),
        max_tokens: settings.max_tokens.unwrap_or_default(),
        input_price: settings.input_price.unwrap_or_default(),
        output_price: settings.output_price.unwrap_or_default(),
        response_delay_ms: settings.response_delay_ms,
        retention_days: settings.retention_days,
        voice: settings.voice,
        voice_minute_price: settings.voice_minute_price.unwrap_or_default(),
        tools: settings.tools.as_deref().map(tools).transpose()?,
        upload_enabled: settings.upload.map(|s| matches!(s, Switch::On)),
        widget_enabled: settings.widget.map(|s| matches!(s, Switch::On)),
        auth_mode: settings.auth_mode.map(|who| match who {
            Who::Guest => AuthMode::Guest,
            Who::User => AuthMode::User,
            Who::Both => AuthMode::Both,
        }),
        knowledge: list(&settings.knowledge),
    })
}

/// Of a file; none where that is `-`.
fn tools(file: &str) -> Result<Vec<Tool>, ServiceError> {
    if file == "-" {
        return Ok(Vec::new());
    }
    let invalid = |why: String| ServiceError::Invalid(format!("the file \"{file}\" {why}"));
    let text = std::fs::read_to_string(file)
        .map_err(|error| invalid(format!("cannot be read: {error}")))?;
    serde_json::from_str(&text).map_err(|error| {
        invalid(format!(
            "is not a list of tools: {error} (docs/OPERATING.md, \"Tools\", has an example)"
        ))
    })
}
