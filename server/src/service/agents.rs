//! Agents: made, listed, changed.

use super::patch::Patch;
use super::{CHANGING, ServiceError, caps, image_address, knowledge, line, tools};
use crate::money::Money;
use crate::store::{Agent, Store, Tool, new_id, now_ms};
use crate::voice::engine::CHOICES;
use karta_protocol::AuthMode;

/// The agent that a new server begins with.
const FIRST_ID: &str = "a_first";
const PROMPTS_MAX: usize = 6;
/// Longer answers than the longest are cut anyway (`agent::ANSWER_MAX_BYTES`).
const MAX_TOKENS: std::ops::RangeInclusive<u32> = 16..=65_536;
/// A visitor who waits longer believes that nobody is there.
pub const RESPONSE_DELAY_MAX_MS: u32 = 30_000;
/// Ten years: longer is for ever.
pub const RETENTION_MAX_DAYS: u32 = 3_650;

/// Fields to set; None leaves a field as it is. An empty text takes an optional field away.
#[derive(Clone, Debug, Default)]
pub struct AgentChange {
    pub name: Option<String>,
    pub avatar_url: Option<String>,
    pub greeting: Option<String>,
    pub suggested_prompts: Option<Vec<String>>,
    pub instruction: Option<String>,
    pub runtime: Option<String>,
    pub model: Option<String>,
    pub temperature: Patch<f32>,
    pub max_tokens: Patch<u32>,
    /// For a million tokens; both or none.
    pub input_price: Patch<Money>,
    pub output_price: Patch<Money>,
    /// 0: at once.
    pub response_delay_ms: Option<u32>,
    /// 0: conversations are kept.
    pub retention_days: Option<u32>,
    /// One of [`CHOICES`].
    pub voice: Option<String>,
    /// For a minute of talk.
    pub voice_minute_price: Patch<Money>,
    /// In the place of all that were.
    pub tools: Option<Vec<Tool>>,
    pub upload_enabled: Option<bool>,
    pub widget_enabled: Option<bool>,
    pub auth_mode: Option<AuthMode>,
    /// Ids of the documents that are ticked for it, in the place of all that were.
    pub knowledge: Option<Vec<String>>,
}

pub async fn create(
    store: &dyn Store,
    account: &str,
    change: AgentChange,
) -> Result<Agent, ServiceError> {
    if change.name.is_none() {
        return Err(ServiceError::Invalid("an agent needs a name".into()));
    }
    let blank = Agent {
        id: new_id("a"),
        account: account.to_owned(),
        runtime: "auto".into(),
        widget_enabled: true,
        created_ms: now_ms(),
        ..Agent::default()
    };
    save(store, account, blank, change).await
}

pub async fn list(store: &dyn Store, account: &str) -> Result<Vec<Agent>, ServiceError> {
    Ok(store.agents(account).await?)
}

pub async fn get(store: &dyn Store, account: &str, id: &str) -> Result<Agent, ServiceError> {
    store
        .agent(id)
        .await?
        .filter(|agent| agent.account == account)
        .ok_or_else(no_such_agent)
}

fn no_such_agent() -> ServiceError {
    ServiceError::NotFound("there is no such agent; `agents list` shows them all".into())
}

/// Not while a key is pinned to it, which would open nothing any more, and not the last one, which pages without a pinned key get.
pub async fn remove(store: &dyn Store, account: &str, id: &str) -> Result<(), ServiceError> {
    let agent = get(store, account, id).await?;
    let keys = store.keys(account).await?;
    let pinned: Vec<String> = keys
        .into_iter()
        .filter(|key| key.agent_id.as_deref() == Some(id))
        .map(|key| format!("\"{}\" ({})", key.name, key.id))
        .collect();
    if !pinned.is_empty() {
        return Err(ServiceError::InUse(format!(
            "the agent \"{}\" is pinned to the key {}; pin that to another agent or delete it first",
            agent.name,
            pinned.join(", ")
        )));
    }
    if store.agents(account).await?.len() == 1 {
        return Err(ServiceError::InUse(
            "this is the only agent, and every key needs one; make another first, or switch its widget off".into(),
        ));
    }
    if store.remove_agent(account, id).await? {
        Ok(())
    } else {
        Err(no_such_agent())
    }
}

pub async fn update(
    store: &dyn Store,
    account: &str,
    id: &str,
    change: AgentChange,
) -> Result<Agent, ServiceError> {
    let _changing = CHANGING.lock().await;
    let agent = get(store, account, id).await?;
    save(store, account, agent, change).await
}

/// The agent for a page that names none, with a key that is pinned to none: the oldest.
pub async fn first(store: &dyn Store, account: &str) -> Result<Option<Agent>, ServiceError> {
    Ok(store.agents(account).await?.into_iter().next())
}

/// Makes the first agent of a new server, so that a key works at once.
pub async fn ensure_first(store: &dyn Store, account: &str) -> Result<(), ServiceError> {
    if store.agents(account).await?.is_empty() {
        let agent = Agent {
            id: FIRST_ID.into(),
            account: account.to_owned(),
            name: "Karta".into(),
            greeting: Some("Hi! How can I help you today?".into()),
            runtime: "auto".into(),
            widget_enabled: true,
            created_ms: now_ms(),
            ..Agent::default()
        };
        store.put_agent(&agent).await?;
    }
    Ok(())
}

/// Checks everything before it writes anything.
async fn save(
    store: &dyn Store,
    account: &str,
    agent: Agent,
    mut change: AgentChange,
) -> Result<Agent, ServiceError> {
    let ticks = change.knowledge.take();
    if let Some(ids) = &ticks {
        knowledge::require_all(store, account, ids).await?;
    }
    let agent = changed(agent, change)?;
    caps::require_priced(store, &agent).await?;
    store.put_agent(&agent).await?;
    if let Some(ids) = ticks {
        store.tick_documents(&agent.id, &ids).await?;
    }
    Ok(agent)
}

fn changed(mut agent: Agent, change: AgentChange) -> Result<Agent, ServiceError> {
    if let Some(name) = change.name {
        agent.name = line("the name", &name, 60)?;
    }
    if let Some(url) = change.avatar_url {
        agent.avatar_url = optional(&url, |text| image_address("the avatar", text))?;
    }
    if let Some(greeting) = change.greeting {
        agent.greeting = optional(&greeting, |text| line("the greeting", text, 500))?;
    }
    if let Some(prompts) = change.suggested_prompts {
        if prompts.len() > PROMPTS_MAX {
            return Err(ServiceError::Invalid(format!(
                "at most {PROMPTS_MAX} suggested prompts fit on the screen"
            )));
        }
        let prompts = prompts.iter().map(|p| line("a suggested prompt", p, 100));
        agent.suggested_prompts = prompts.collect::<Result<_, _>>()?;
    }
    if let Some(instruction) = change.instruction {
        agent.instruction = optional(&instruction, |text| {
            let text = text.replace(['\r', '\t'], " ");
            line("the instruction", &text, 20_000)
        })?;
    }
    if let Some(runtime) = change.runtime {
        if !matches!(runtime.as_str(), "auto" | "builtin" | "openai") {
            return Err(ServiceError::Invalid(
                "the runtime must be auto, builtin or openai".into(),
            ));
        }
        agent.runtime = runtime;
    }
    if let Some(voice) = change.voice {
        if !CHOICES.contains(&voice.as_str()) {
            return Err(ServiceError::Invalid(format!(
                "the voice must be one of {}",
                CHOICES.join(", ")
            )));
        }
        agent.voice = voice;
    }
    if let Some(tools) = change.tools {
        agent.tools = tools::checked(tools)?;
    }
    if let Some(model) = change.model {
        agent.model = optional(&model, |text| line("the model", text, 200))?;
    }
    if let Patch::Set(temperature) = change.temperature
        && !(0.0..=2.0).contains(&temperature)
    {
        return Err(ServiceError::Invalid(
            "the temperature must lie between 0 and 2".into(),
        ));
    }
    change.temperature.apply(&mut agent.temperature);
    if let Patch::Set(tokens) = change.max_tokens
        && !MAX_TOKENS.contains(&tokens)
    {
        return Err(ServiceError::Invalid(format!(
            "an answer may have {} to {} tokens",
            MAX_TOKENS.start(),
            MAX_TOKENS.end()
        )));
    }
    change.max_tokens.apply(&mut agent.max_tokens);
    change.input_price.apply(&mut agent.input_price);
    change.output_price.apply(&mut agent.output_price);
    let minute = change.voice_minute_price;
    minute.apply(&mut agent.voice_minute_price);
    if agent.input_price.is_some() != agent.output_price.is_some() {
        return Err(ServiceError::Invalid(
            "give both prices for a million tokens, input and output, or neither".into(),
        ));
    }
    if let Some(delay_ms) = change.response_delay_ms {
        if delay_ms > RESPONSE_DELAY_MAX_MS {
            return Err(ServiceError::Invalid(format!(
                "the response delay must not be longer than {RESPONSE_DELAY_MAX_MS} ms"
            )));
        }
        agent.response_delay_ms = delay_ms;
    }
    if let Some(days) = change.retention_days {
        if days > RETENTION_MAX_DAYS {
            return Err(ServiceError::Invalid(format!(
                "conversations are kept at most {RETENTION_MAX_DAYS} days, or for ever (0)"
            )));
        }
        agent.retention_days = (days > 0).then_some(days);
    }
    agent.upload_enabled = change.upload_enabled.unwrap_or(agent.upload_enabled);
    agent.widget_enabled = change.widget_enabled.unwrap_or(agent.widget_enabled);
    agent.auth_mode = change.auth_mode.unwrap_or(agent.auth_mode);
    Ok(agent)
}

fn optional(
    text: &str,
    check: impl Fn(&str) -> Result<String, ServiceError>,
) -> Result<Option<String>, ServiceError> {
    if text.trim().is_empty() {
        Ok(None)
    } else {
        check(text).map(Some)
    }
}
