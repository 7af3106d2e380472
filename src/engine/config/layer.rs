//! One source's wishes, all optional. Values are as read: `resolve` checks them and reports each bad one with its source.

use crate::engine::command::Identity;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    pub embed_key: Option<String>,
    /// `https://host[:port][/path]`, no trailing slash needed.
    pub base_url: Option<String>,
    pub project_ref: Option<String>,
    /// Agent reference or id; a pinned key wins over it on the server.
    pub agent_ref: Option<String>,
    pub locale: Option<String>,
    pub theme: ThemeLayer,
    /// From `data-user-id` and friends, or `Kataven.init({userToken})`.
    pub identity: Option<Identity>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThemeLayer {
    pub accent: Option<String>,
    pub accent_foreground: Option<String>,
    pub agent_name: Option<String>,
    pub agent_avatar: Option<String>,
    pub greeting: Option<String>,
    pub suggested_prompts: Option<Vec<String>>,
    pub footer: Option<String>,
    pub position: Option<String>,
    /// `auto`, `light`, `dark`.
    pub mode: Option<String>,
    pub launcher_label: Option<String>,
    /// Server config only.
    pub logo_url: Option<String>,
    /// Server config only.
    pub privacy_notice: Option<String>,
}
