//! `GET /config?client_key=`: everything the page may know before a visitor speaks, and nothing else.
//! The origin allowlist, limits and instructions never appear here.

use serde::{Deserialize, Serialize};

/// Answer of `GET /config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct WidgetConfig {
    pub agent: AgentProfile,
    pub branding: Branding,
    pub features: Features,
    pub auth_mode: AuthMode,
}

/// How the agent presents itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct AgentProfile {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub greeting: Option<String>,
    pub suggested_prompts: Vec<String>,
}

/// Account branding (seed 001) and the Karta theme fields that an owner may set on the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Branding {
    /// `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_color: Option<String>,
    /// `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accent_color: Option<String>,
    /// `#rrggbb`, for text on the accent (primary, else accent colour). None: the widget chooses black or white.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accent_foreground: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launcher_position: Option<LauncherPosition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launcher_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_notice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// `auto`, `light`, `dark`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// Corner of the launcher: bottom/top, right/left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum LauncherPosition {
    #[default]
    Br,
    Bl,
    Tr,
    Tl,
}

/// What this agent can do in the widget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Features {
    pub voice: bool,
    /// Present: talking is a call of its own (`POST /sessions/{id}/call`), whose data channel speaks this. Absent: the server's own
    /// voice, on the connection that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime: Option<RealtimeLine>,
    pub upload: bool,
    /// False: the owner has switched the widget off for this agent; nothing is drawn.
    pub widget_enabled: bool,
}

/// What the data channel of a handed call speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum RealtimeLine {
    /// RTVI 2.x, on a channel labelled `chat`.
    Pipecat,
    /// Events of OpenAI's Realtime API, on a channel labelled `oai-events`.
    OpenAi,
}

/// Who may talk to the agent (seed 001).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    Guest,
    User,
    #[default]
    Both,
}
