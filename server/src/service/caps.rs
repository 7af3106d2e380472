//! What a key may use up, changed field by field. Counting is [`crate::session`]'s.

use super::ServiceError;
use super::patch::Patch;
use crate::money::Money;
use crate::store::{Agent, Caps, Store, WidgetKey};
use serde::Deserialize;
use utoipa::ToSchema;

/// Absent: unchanged. Null: no bound.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CapsChange {
    /// Turns of one anonymous visitor, ever.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub anonymous_turns: Patch<u32>,
    /// Turns of all anonymous visitors of one address a day.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub anonymous_turns_per_address_per_day: Patch<u32>,
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub sessions_per_day: Patch<u32>,
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub minutes_per_day: Patch<u32>,
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub minutes_per_month: Patch<u32>,
    /// Tokens of the model, in and out.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    pub tokens_per_day: Patch<u64>,
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    pub tokens_per_month: Patch<u64>,
    /// Money, like `"25.00"`: needs the agents' prices.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub spend_per_day: Patch<Money>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub spend_per_month: Patch<Money>,
}

impl CapsChange {
    pub fn apply(self, caps: &mut Caps) {
        self.anonymous_turns.apply(&mut caps.anonymous_turns);
        self.anonymous_turns_per_address_per_day
            .apply(&mut caps.anonymous_turns_per_address_per_day);
        self.sessions_per_day.apply(&mut caps.sessions_per_day);
        self.minutes_per_day.apply(&mut caps.minutes_per_day);
        self.minutes_per_month.apply(&mut caps.minutes_per_month);
        self.tokens_per_day.apply(&mut caps.tokens_per_day);
        self.tokens_per_month.apply(&mut caps.tokens_per_month);
        self.spend_per_day.apply(&mut caps.spend_per_day);
        self.spend_per_month.apply(&mut caps.spend_per_month);
    }
}

/// A cap in money holds only if what every agent costs is known that the key can reach.
pub async fn require_prices(store: &dyn Store, key: &WidgetKey) -> Result<(), ServiceError> {
    if !key.caps.bounds_spend() {
        return Ok(());
    }
    let agents = store.agents(&key.account).await?;
    for agent in agents.iter().filter(|agent| reaches(key, agent)) {
        if let Some(missing) = missing(agent) {
            return Err(unpriced(agent, key, missing));
        }
    }
    Ok(())
}

/// The same, seen from an agent that is about to be written.
pub async fn require_priced(store: &dyn Store, agent: &Agent) -> Result<(), ServiceError> {
    let Some(missing) = missing(agent) else {
        return Ok(());
    };
    let keys = store.keys(&agent.account).await?;
    match keys
        .iter()
        .find(|key| key.caps.bounds_spend() && reaches(key, agent))
    {
        None => Ok(()),
        Some(key) => Err(unpriced(agent, key, missing)),
    }
}

fn reaches(key: &WidgetKey, agent: &Agent) -> bool {
    key.agent_id
        .as_ref()
        .is_none_or(|pinned| *pinned == agent.id)
}

/// The price that nobody has said, and how to say it.
fn missing(agent: &Agent) -> Option<String> {
    let id = &agent.id;
    if agent.is_unpriced() {
        return Some(format!(
            "what its model costs: give the agent its input_price and output_price for a million tokens \
             (`agents update {id} --input-price 0.15 --output-price 0.60`; 0 where it is free)"
        ));
    }
    agent.is_voice_unpriced().then(|| {
        format!(
            "what its voice costs: give the agent its voice_minute_price \
             (`agents update {id} --voice-minute-price 0.06`; 0 where it is free)"
        )
    })
}

fn unpriced(agent: &Agent, key: &WidgetKey, missing: String) -> ServiceError {
    ServiceError::Invalid(format!(
        "the key \"{}\" has a cap in money and reaches the agent \"{}\" ({}), but nobody has said {missing}",
        key.name, agent.name, agent.id
    ))
}
