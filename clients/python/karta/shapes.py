"""What calls take and give, for type checkers: the dicts are plain ones at run time.

Held equal to /openapi.json by a test, names and fields. Money is a decimal as text (`"25.00"`); times that end in `_ms` are milliseconds since 1970.
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, TypedDict

AuthMode = Literal["guest", "user", "both"]
LauncherPosition = Literal["br", "bl", "tr", "tl"]
WhichSecret = Literal["secret_key", "identity_secret"]
StopReason = Literal["complete", "interrupted", "error", "limit"]


class _Page(TypedDict, total=False):
    next: str
    """`after` of the next page; absent on the last one."""


class Caps(TypedDict):
    """What a key may use up. None: no bound."""

    anonymous_turns: Optional[int]
    anonymous_turns_per_address_per_day: Optional[int]
    sessions_per_day: Optional[int]
    minutes_per_day: Optional[int]
    minutes_per_month: Optional[int]
    tokens_per_day: Optional[int]
    tokens_per_month: Optional[int]
    spend_per_day: Optional[str]
    spend_per_month: Optional[str]


class CapsChange(TypedDict, total=False):
    """Absent: unchanged, or no bound of a new key. None: no bound."""

    anonymous_turns: Optional[int]
    anonymous_turns_per_address_per_day: Optional[int]
    sessions_per_day: Optional[int]
    minutes_per_day: Optional[int]
    minutes_per_month: Optional[int]
    tokens_per_day: Optional[int]
    tokens_per_month: Optional[int]
    spend_per_day: Optional[str]
    spend_per_month: Optional[str]


class WidgetKey(TypedDict):
    """Never its secrets."""

    id: str
    name: str
    public_key: str
    domain_allowlist: List[str]
    agent_id: Optional[str]
    enabled: bool
    identification_required: bool
    caps: Caps
    created_ms: int


class NewWidgetKey(WidgetKey):
    """The only sight of a key's secrets."""

    secret_key: str
    identity_secret: str


class _NewSecret(TypedDict, total=False):
    secret_key: str
    identity_secret: str


class RotatedWidgetKey(WidgetKey, _NewSecret):
    """The only sight of the new secret: the one that was asked for."""

    old_until_ms: Optional[int]


class WidgetKeyPage(_Page):
    widget_keys: List[WidgetKey]


class WidgetSettings(TypedDict, total=False):
    """How the widget looks; what is not set is absent."""

    primary_color: str
    accent_color: str
    accent_foreground: str
    logo_url: str
    launcher_position: LauncherPosition
    launcher_label: str
    privacy_notice: str
    footer: str
    mode: str


class AgentWidgetSettings(TypedDict):
    """Who may talk to an agent."""

    widget_enabled: bool
    auth_mode: AuthMode


class _NewTool(TypedDict):
    name: str
    title: str
    description: str
    url: str


class ToolChange(_NewTool, total=False):
    """Without `parameters` a tool takes none; without `confirm` nobody is asked."""

    parameters: Dict[str, Any]
    confirm: bool


class Tool(_NewTool):
    parameters: Dict[str, Any]
    confirm: bool


class Agent(TypedDict):
    id: str
    name: str
    avatar_url: Optional[str]
    greeting: Optional[str]
    suggested_prompts: List[str]
    instruction: Optional[str]
    runtime: str
    model: Optional[str]
    temperature: Optional[float]
    max_tokens: Optional[int]
    input_price: Optional[str]
    output_price: Optional[str]
    response_delay_ms: int
    retention_days: Optional[int]
    voice: str
    voice_minute_price: Optional[str]
    tools: List[Tool]
    upload_enabled: bool
    widget_enabled: bool
    auth_mode: AuthMode
    knowledge: List[str]
    created_ms: int


class AgentPage(_Page):
    agents: List[Agent]


class Document(TypedDict):
    """Without its text. `agent_ids` None: for every agent."""

    id: str
    title: str
    url: Optional[str]
    agent_ids: Optional[List[str]]
    bytes: int
    created_ms: int


class DocumentText(Document):
    text: str


class AddedDocument(Document):
    """`passages`: pieces that search reads. `replaced`: it took the place of the one with the same title."""

    passages: int
    replaced: bool


class DocumentPage(_Page):
    documents: List[Document]


class Conversation(TypedDict):
    """Whom with, not what was said."""

    id: str
    agent_id: str
    created_ms: int
    events: int
    verified: bool
    user_id: Optional[str]
    display_name: Optional[str]
    email: Optional[str]
    label: Optional[str]
    subject: str
    attributes: Dict[str, Any]


class ConversationPage(_Page):
    conversations: List[Conversation]


class VisitorFile(TypedDict):
    """Without its content."""

    id: str
    name: str
    size: int
    media_type: str


class _NamedSource(TypedDict):
    title: str


class Source(_NamedSource, total=False):
    """A document that an answer quotes."""

    url: str


class Usage(TypedDict):
    input_tokens: int
    output_tokens: int


class Event(TypedDict, total=False):
    """One line of a conversation's log: `type` says which of the fields it has (docs/PROTOCOL.md)."""

    type: str
    seq: int
    at_ms: int
    id: str
    part_id: str
    offset: int
    text: str
    delta: bool
    interrupted: bool
    sources: List[Source]
    handed: bool
    offer_person: bool
    state: str
    heard: int
    stop_reason: StopReason
    usage: Usage
    code: str
    message: str
    retry_after_seconds: int
    name: str
    size: int
    media_type: str


class _LogPage(TypedDict, total=False):
    next: int
    """`after` of the next page of the log; absent on the last one."""


class Transcript(Conversation, _LogPage):
    """A conversation, the files in it, and what was said, oldest first."""

    files: List[VisitorFile]
    log: List[Event]


class UserToken(TypedDict):
    """`user_token` is for the page and works once; `expires_in` is seconds."""

    user_token: str
    expires_in: int


class Health(TypedDict):
    status: str
