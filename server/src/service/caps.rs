//! What a key may use up, changed field by field. Counting is [`crate::session`]'s.

use super::patch::Patch;
use crate::store::Caps;
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
    }
}
