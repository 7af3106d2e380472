//! How records are shown to their owner: the answers of the admin API and what `--json` prints are the same objects. A record's
//! secrets have no field here. Shapes only: who may see them is decided by the caller.

use crate::auth::policy::Standing;
use crate::money::Money;
use crate::service::conversations::{Conversation, Said};
use crate::service::keys::CreatedKey;
use crate::service::knowledge::AddedDocument;
use crate::service::secrets::{Rotated, Which};
use crate::store::{Agent, Caps, KnowledgeDocument, Tool, WidgetKey};
use karta_protocol::{AuthMode, SessionEvent};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A widget key. Never its secrets, nor their hashes.
#[derive(Serialize, ToSchema)]
pub struct KeyView {
    /// `k_…`.
    pub id: String,
    pub name: String,
    /// `pk_live_<account>_<random>`.
    pub public_key: String,
    /// Which pages may use it.
    pub domain_allowlist: Vec<String>,
    /// The agent that it is pinned to.
    pub agent_id: Option<String>,
    /// False: refused at once, and what it holds open ends within seconds.
    pub enabled: bool,
    /// Only identified users may come by it.
    pub identification_required: bool,
    pub caps: Caps,
    pub created_ms: u64,
}

/// A key that was just made: the only sight of its secrets.
#[derive(Serialize, ToSchema)]
pub struct NewKeyView {
    #[serde(flatten)]
    pub key: KeyView,
    /// `sk_live_<account>_<random>`: shown this once, for your own server only. Mints user tokens.
    pub secret_key: String,
    /// `is_live_<account>_<random>`: shown this once, for your own server only. Signs user ids.
    pub identity_secret: String,
}

/// A key one of whose secrets was just replaced: the only sight of the new one.
#[derive(Serialize, ToSchema)]
pub struct RotatedView {
    #[serde(flatten)]
    pub key: KeyView,
    /// The new one, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<String>,
    /// The new one, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_secret: Option<String>,
    /// Until when the old one is taken; null: no longer.
    pub old_until_ms: Option<u64>,
}

/// A conversation: whom with, not what was said.
#[derive(Serialize, ToSchema)]
pub struct ConversationView {
    /// `s_…`.
    pub id: String,
    pub agent_id: String,
    pub created_ms: u64,
    /// How many events its log has.
    pub events: u64,
    /// Whether the visitor's identity was proved.
    pub verified: bool,
    /// The owner's own id of a verified user.
    pub user_id: Option<String>,
    pub display_name: Option<String>,
    pub email: Option<String>,
    /// What the page called a guest, without proof.
    pub label: Option<String>,
    /// `v_…` or `u_…`: who the server knows them as.
    pub subject: String,
    /// What the page said about its visitor, without proof.
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    pub attributes: Map<String, Value>,
}

/// A conversation and what was said in it.
#[derive(Serialize, ToSchema)]
pub struct TranscriptView {
    #[serde(flatten)]
    pub conversation: ConversationView,
    /// What the visitor sent, oldest first; each is at `/conversations/{id}/files/{file_id}`.
    pub files: Vec<FileView>,
    /// Oldest first.
    pub log: Vec<SessionEvent>,
    /// `after` of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A visitor's file, without its content.
#[derive(Serialize, ToSchema)]
pub struct FileView {
    /// `f_…`.
    pub id: String,
    pub name: String,
    /// Bytes.
    pub size: u64,
    pub media_type: String,
}

/// An agent with all its settings.
#[derive(Serialize, ToSchema)]
pub struct AgentView {
    /// `a_…`.
    pub id: String,
    pub name: String,
    pub avatar_url: Option<String>,
    pub greeting: Option<String>,
    pub suggested_prompts: Vec<String>,
    pub instruction: Option<String>,
    /// `auto`, `builtin` or `openai`.
    pub runtime: String,
    pub model: Option<String>,
    pub temperature: Option<f32>,
    /// Longest answer; null: 4096.
    pub max_tokens: Option<u32>,
    /// For a million tokens, a decimal; null: nobody has said.
    #[schema(value_type = Option<String>)]
    pub input_price: Option<Money>,
    #[schema(value_type = Option<String>)]
    pub output_price: Option<Money>,
    /// How long a turn waits for more messages.
    pub response_delay_ms: u32,
    /// null: conversations are kept.
    pub retention_days: Option<u32>,
    /// `off`, `auto`, `local`, `openai`, `pipecat` or `openai-realtime`.
    pub voice: String,
    /// For a minute of talk, a decimal; null: nobody has said.
    #[schema(value_type = Option<String>)]
    pub voice_minute_price: Option<Money>,
    pub tools: Vec<Tool>,
    pub upload_enabled: bool,
    pub widget_enabled: bool,
    pub auth_mode: AuthMode,
    /// Ids of the documents that are ticked for it. Those for every agent come on top.
    pub knowledge: Vec<String>,
    pub created_ms: u64,
}

/// Who may talk to an agent (seed 001).
#[derive(Serialize, ToSchema)]
pub struct PolicyView {
    pub widget_enabled: bool,
    pub auth_mode: AuthMode,
}

/// A document of the knowledge base, without its text.
#[derive(Serialize, ToSchema)]
pub struct DocumentView {
    /// `d_…`.
    pub id: String,
    /// Permanent.
    pub title: String,
    /// Where visitors can read it.
    pub url: Option<String>,
    /// The agents that it is ticked for; null: every agent.
    pub agent_ids: Option<Vec<String>>,
    /// Of its text.
    pub bytes: usize,
    pub created_ms: u64,
}

/// A document with its text.
#[derive(Serialize, ToSchema)]
pub struct DocumentTextView {
    #[serde(flatten)]
    pub document: DocumentView,
    pub text: String,
}

/// A document that was just added or renewed.
#[derive(Serialize, ToSchema)]
pub struct AddedDocumentView {
    #[serde(flatten)]
    pub document: DocumentView,
    /// Pieces that search reads.
    pub passages: usize,
    /// It took the place of the document with the same title.
    pub replaced: bool,
}

impl From<&WidgetKey> for KeyView {
    fn from(key: &WidgetKey) -> KeyView {
        KeyView {
            id: key.id.clone(),
            name: key.name.clone(),
            public_key: key.public_key.clone(),
            domain_allowlist: key.origins.clone(),
            agent_id: key.agent_id.clone(),
            enabled: key.enabled,
            identification_required: key.identification_required,
            caps: key.caps.clone(),
            created_ms: key.created_ms,
        }
    }
}

impl From<CreatedKey> for NewKeyView {
    fn from(created: CreatedKey) -> NewKeyView {
        NewKeyView {
            key: KeyView::from(&created.key),
            secret_key: created.secret_key,
            identity_secret: created.identity_secret,
        }
    }
}

impl RotatedView {
    pub fn new(which: Which, rotated: Rotated) -> RotatedView {
        let (secret_key, identity_secret) = match which {
            Which::SecretKey => (Some(rotated.secret), None),
            Which::IdentitySecret => (None, Some(rotated.secret)),
        };
        RotatedView {
            key: KeyView::from(&rotated.key),
            secret_key,
            identity_secret,
            old_until_ms: rotated.old_until_ms,
        }
    }
}

impl From<&Conversation> for ConversationView {
    fn from(conversation: &Conversation) -> ConversationView {
        let (record, user) = (&conversation.record, conversation.user.as_ref());
        ConversationView {
            id: record.info.id.clone(),
            agent_id: record.agent_id.clone(),
            created_ms: record.created_ms,
            events: record.info.last_seq,
            verified: Standing::of(&record.subject) == Standing::User,
            user_id: user.map(|user| user.user_id.clone()),
            display_name: user.and_then(|user| user.display_name.clone()),
            email: user.and_then(|user| user.email.clone()),
            label: record.label.clone(),
            subject: record.subject.clone(),
            attributes: record.attributes.clone(),
        }
    }
}

impl TranscriptView {
    pub fn new(conversation: &Conversation, files: Vec<SessionEvent>, said: Said) -> Self {
        TranscriptView {
            conversation: ConversationView::from(conversation),
            files: files.into_iter().map(FileView::from).collect(),
            log: said.events,
            next: said.next,
        }
    }
}

impl From<SessionEvent> for FileView {
    fn from(event: SessionEvent) -> FileView {
        FileView {
            id: event.id.unwrap_or_default(),
            name: event.name.unwrap_or_default(),
            size: event.size.unwrap_or_default(),
            media_type: event.media_type.unwrap_or_default(),
        }
    }
}

impl AgentView {
    pub fn new(agent: Agent, knowledge: Vec<String>) -> AgentView {
        AgentView {
            id: agent.id,
            name: agent.name,
            avatar_url: agent.avatar_url,
            greeting: agent.greeting,
            suggested_prompts: agent.suggested_prompts,
            instruction: agent.instruction,
            runtime: agent.runtime,
            model: agent.model,
            temperature: agent.temperature,
            max_tokens: agent.max_tokens,
            input_price: agent.input_price,
            output_price: agent.output_price,
            response_delay_ms: agent.response_delay_ms,
            retention_days: agent.retention_days,
            voice: match agent.voice.as_str() {
                "" => "off".to_owned(),
                _ => agent.voice,
            },
            voice_minute_price: agent.voice_minute_price,
            tools: agent.tools,
            upload_enabled: agent.upload_enabled,
            widget_enabled: agent.widget_enabled,
            auth_mode: agent.auth_mode,
            knowledge,
            created_ms: agent.created_ms,
        }
    }
}

impl From<&Agent> for PolicyView {
    fn from(agent: &Agent) -> PolicyView {
        PolicyView {
            widget_enabled: agent.widget_enabled,
            auth_mode: agent.auth_mode,
        }
    }
}

impl From<&KnowledgeDocument> for DocumentView {
    fn from(document: &KnowledgeDocument) -> DocumentView {
        DocumentView {
            id: document.id.clone(),
            title: document.title.clone(),
            url: document.url.clone(),
            agent_ids: document.agent_ids.clone(),
            bytes: document.text.len(),
            created_ms: document.created_ms,
        }
    }
}

impl From<KnowledgeDocument> for DocumentTextView {
    fn from(document: KnowledgeDocument) -> DocumentTextView {
        DocumentTextView {
            document: DocumentView::from(&document),
            text: document.text,
        }
    }
}

impl From<AddedDocument> for AddedDocumentView {
    fn from(added: AddedDocument) -> AddedDocumentView {
        AddedDocumentView {
            document: DocumentView::from(&added.document),
            passages: added.passages,
            replaced: added.replaced,
        }
    }
}
