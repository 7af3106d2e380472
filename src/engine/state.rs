//! What a page that draws the conversation by itself is shown: `State` of www/npm/types.ts, field by field. Public and stable, unlike the view model:
//! clients of any age read it, so fields may come, and none may go or change its meaning.

use super::config::Field;
use super::markdown::safe_href;
use super::view_model::{Item, ItemState, Role};
use serde::Serialize;

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State<'a> {
    /// `idle` where there is no conversation; else as in the `connection` event.
    pub connection: &'static str,
    pub session_id: Option<&'a str>,
    /// The page says that the visitor looks at the conversation.
    pub open: bool,
    pub agent: Agent<'a>,
    pub locale: &'a str,
    /// Shown one by one, as [`Message`]: what has not changed is not written again.
    #[serde(skip)]
    pub items: &'a [Item],
    /// The agent works and nothing of its answer is visible yet.
    pub typing: bool,
    /// A turn of the agent is under way, so it can be stopped.
    pub answering: bool,
    pub unread: u32,
    /// What to say while the conversation is empty.
    pub prompts: Vec<&'a str>,
    /// The tool that waits for the visitor's word.
    pub tool: Option<ToolRequest<'a>>,
    pub can_send: bool,
    /// The agent does not know, and the page can hand over to a person.
    pub offers_person: bool,
    pub limit: Option<Limit>,
    pub error: Option<Trouble<'a>>,
    pub voice: Voice<'a>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent<'a> {
    pub name: &'a str,
    pub avatar_url: Option<&'a str>,
    /// What the owner wants the visitor to read before they say anything.
    pub privacy_notice: Option<&'a str>,
    pub footer: Option<&'a str>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolRequest<'a> {
    pub request_id: &'a str,
    pub title: &'a str,
    /// What it would do it with, a line an argument.
    pub details: &'a str,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// What is left. None: time does not heal it.
    pub retry_after_seconds: Option<u64>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble<'a> {
    pub code: &'a str,
    /// For the visitor, in their language.
    pub message: &'a str,
    /// The server will not talk to this page or visitor.
    pub fatal: bool,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Voice<'a> {
    /// A call can be started.
    pub available: bool,
    /// `off`, `connecting`, `listening`, `thinking`, `speaking`, `muted`, `reconnecting`.
    pub phase: &'static str,
    pub muted: bool,
    pub seconds: u64,
    /// The browser plays nothing before the visitor presses something.
    pub blocked: bool,
    pub captions: Captions<'a>,
    /// Why there is no call, until the visitor goes on.
    pub ended: Option<&'static str>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Captions<'a> {
    pub user: Option<&'a str>,
    pub agent: Option<&'a str>,
}

/// One line of the conversation.
#[derive(Debug, PartialEq, Serialize)]
pub struct Message<'a> {
    pub id: String,
    pub role: &'static str,
    pub text: &'a str,
    pub state: &'static str,
    pub spoken: bool,
    pub seq: Option<u64>,
    /// Milliseconds since 1970, by the server's clock.
    pub at: Option<u64>,
    pub sources: Vec<Source<'a>>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Source<'a> {
    pub title: &'a str,
    pub url: Option<&'a str>,
}

impl<'a> Message<'a> {
    pub fn of(item: &'a Item) -> Message<'a> {
        let mut id = String::new();
        super::text::number::push(&mut id, item.key.into());
        Message {
            id,
            role: match item.role {
                Role::User => "user",
                Role::Agent => "agent",
                Role::System => "system",
            },
            text: &item.text,
            state: match item.state {
                ItemState::Sending => "sending",
                ItemState::Sent => "sent",
                ItemState::Failed => "failed",
                ItemState::Streaming => "streaming",
                ItemState::Done => "done",
                ItemState::Interrupted => "interrupted",
            },
            spoken: item.spoken,
            seq: item.seq,
            at: item.at_ms,
            sources: item
                .sources
                .iter()
                .map(|source| Source {
                    title: &source.title,
                    // A page will make links of them.
                    url: source.url.as_deref().and_then(safe_href),
                })
                .collect(),
        }
    }
}

impl<'a> Captions<'a> {
    /// What is being said now.
    pub fn of(items: &'a [Item]) -> Captions<'a> {
        let said = |role| {
            let mut said = items.iter().rev();
            said.find(|item| item.role == role && item.state == ItemState::Streaming)
                .map(|item| item.text.as_str())
        };
        Captions {
            user: said(Role::User),
            agent: said(Role::Agent),
        }
    }
}

impl<'a> Agent<'a> {
    pub fn of(config: &'a super::config::Config, nameless: &'a str) -> Agent<'a> {
        Agent {
            name: config.get(Field::AgentName).unwrap_or(nameless),
            avatar_url: config
                .get(Field::AgentAvatar)
                .or(config.get(Field::LogoUrl)),
            privacy_notice: config.get(Field::PrivacyNotice),
            footer: config.get(Field::Footer),
        }
    }
}

impl<'a> ToolRequest<'a> {
    /// From the line that asks: `title?`, and then what with.
    pub fn of(item: &'a Item) -> ToolRequest<'a> {
        let (title, details) = super::text::cut::cut(&item.text, b'\n');
        ToolRequest {
            request_id: &item.id,
            title: title.strip_suffix('?').unwrap_or(title),
            details,
        }
    }
}
