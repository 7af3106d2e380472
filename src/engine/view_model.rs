//! What the screen should show: plain data, read from the machine after each message. The browser layer compares it with what
//! is on screen. Lists are borrowed and carry revisions, so that one more token costs one text node and not a copy of the history.

use karta_protocol::Source;

#[derive(Clone, Debug, PartialEq)]
pub struct ViewModel<'a> {
    /// None: nothing is to be seen (widget disabled, before config, after shutdown).
    pub launcher: Option<LauncherView<'a>>,
    /// None until the first open mounts it.
    pub panel: Option<PanelView<'a>>,
    pub theme: ThemeView<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ThemeView<'a> {
    /// `#rrggbb`, valid by construction.
    pub accent: &'a str,
    pub accent_foreground: &'a str,
    /// `br`, `bl`, `tr`, `tl`.
    pub position: &'a str,
    /// `auto` (follows `prefers-color-scheme`), `light`, `dark`.
    pub mode: &'a str,
    /// BCP 47; also decides `dir`.
    pub locale: &'a str,
    pub rtl: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LauncherView<'a> {
    /// Accessible name, and the visible text where the owner set a label.
    pub name: &'a str,
    pub label: Option<&'a str>,
    pub logo_url: Option<&'a str>,
    pub unread: u32,
    pub open: bool,
    /// A call goes on.
    pub call: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PanelView<'a> {
    pub open: bool,
    pub title: &'a str,
    pub avatar_url: Option<&'a str>,
    /// Short line under the title ("Online", "Reconnecting…").
    pub status: &'a str,
    pub status_tone: Tone,
    pub items: &'a [Item],
    /// The agent works and nothing of its answer is visible yet.
    pub typing: bool,
    /// Shown over the composer: offline, error with retry, limit with countdown.
    pub banner: Option<BannerView<'a>>,
    /// Shown over the composer while a call goes on.
    pub call: Option<CallView>,
    /// One a line: what to say while the conversation is empty, or the two answers where a tool asks.
    pub prompts: &'a str,
    /// What they are answers to: their accessible name.
    pub prompted: &'a str,
    pub composer: ComposerView<'a>,
    pub footer: Option<&'a str>,
    pub privacy_notice: Option<&'a str>,
    pub offer_person: bool,
    /// Fixed words of the panel in the current locale.
    pub words: &'static super::text::Words,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Busy,
    Bad,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BannerView<'a> {
    pub tone: Tone,
    pub text: std::borrow::Cow<'a, str>,
    /// Label of the button; pressing it gives `Ui::Retry`.
    pub retry: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ComposerView<'a> {
    pub placeholder: &'a str,
    /// False: the field cannot be typed into (limit, identification required).
    pub enabled: bool,
    pub max_bytes: usize,
    /// A turn runs: the send button becomes stop when the field is empty.
    pub can_stop: bool,
    /// A call can be started here.
    pub can_talk: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CallView {
    /// `connecting`, `listening`, `thinking`, `speaking`, `muted`, `reconnecting`; and in words.
    pub state: (&'static str, &'static str),
    /// `0:12`; empty before the call has begun.
    pub time: String,
    pub muted: bool,
}

/// One entry of the message list.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Unique and stable while the entry is on screen.
    pub key: u32,
    /// Rises with every change of the entry.
    pub rev: u32,
    pub role: Role,
    /// A visitor's message: the id that this widget gave it. An answer: the id of its part. Empty: the greeting, and lines that have none.
    pub id: String,
    /// Place in the log; None while it has none.
    pub seq: Option<u64>,
    /// User text is shown as it is; agent text is markdown ([`super::markdown`]).
    pub text: String,
    pub state: ItemState,
    /// Said aloud, by the visitor or the agent.
    pub spoken: bool,
    pub sources: Vec<Source>,
    /// By the server's clock; None until it is known.
    pub at_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    User,
    Agent,
    /// A line of the widget itself ("Conversation restored").
    System,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemState {
    /// User: not yet acknowledged.
    Sending,
    Sent,
    /// User: refused for good; agent: the turn failed.
    Failed,
    /// Agent: more text follows.
    Streaming,
    Done,
    /// Agent: cut short.
    Interrupted,
}
