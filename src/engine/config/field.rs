//! Every setting there is, one line each: its name, and what its value must be. A setting that is not here does not exist.
//!
//! One name gives all: `accentForeground` of `theme` is `theme.accentForeground` in `init`, `data-theme-accent-foreground` on the tag and
//! `accent_foreground` in the server's config. What a dialect calls otherwise is in [`ALIASES`].

use super::check;
use super::color;
use super::layer::{Source, Take};
use crate::engine::limits::{LINE_BYTES, PARAGRAPH_BYTES};
use crate::engine::raw::Raw;

/// Names a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    EmbedKey,
    WidgetEnabled,
    Locale,
    Accent,
    AccentForeground,
    Position,
    Mode,
    LauncherLabel,
    LogoUrl,
    BaseUrl,
    ProjectRef,
    AgentRef,
    AgentName,
    AgentAvatar,
    Greeting,
    SuggestedPrompts,
    Footer,
    PrivacyNotice,
    Voice,
    Realtime,
    Upload,
    /// Not kept with the settings: they become an `Identity`.
    UserId,
    IdentityToken,
    UserToken,
}

pub struct Spec {
    pub field: Field,
    pub name: &'static str,
    /// Where a page says it: `theme`, or nowhere in particular. None: a page does not.
    pub page: Option<&'static str>,
    /// Where the server says it. None: it does not.
    pub server: Option<&'static str>,
    /// Gives the one form of a good value; a bad one is refused there.
    pub check: Check,
}

type Check = fn(&mut Take<'_>, &Raw) -> Option<String>;

const PAGE: Option<&str> = Some("");
const THEME: Option<&str> = Some("theme");
const AGENT: Option<&str> = Some("agent");
const BRANDING: Option<&str> = Some("branding");
const FEATURES: Option<&str> = Some("features");

/// What the look of the button follows from, which is all that the launcher bundle reads.
#[rustfmt::skip]
pub static LOOK: [Spec; 9] = [
    spec(Field::EmbedKey, "embedKey", PAGE, None, |take, raw| take.key(raw)),
    spec(Field::WidgetEnabled, "widgetEnabled", None, FEATURES, FLAG),
    spec(Field::Locale, "locale", PAGE, None, |take, raw| take.form(raw, check::locale, "a language tag like en or pt-BR")),
    spec(Field::Accent, "accent", THEME, BRANDING, COLOR),
    spec(Field::AccentForeground, "accentForeground", THEME, BRANDING, COLOR),
    spec(Field::Position, "position", THEME, BRANDING, |take, raw| take.form(raw, check::position, "one of br, bl, tr, tl")),
    spec(Field::Mode, "mode", THEME, BRANDING, |take, raw| take.form(raw, check::mode, "one of auto, light, dark")),
    spec(Field::LauncherLabel, "launcherLabel", THEME, BRANDING, LINE),
    spec(Field::LogoUrl, "logoUrl", None, BRANDING, URL),
];

#[rustfmt::skip]
pub static REST: [Spec; 12] = [
    spec(Field::BaseUrl, "baseUrl", PAGE, None, |take, raw| take.form(raw, check::base_url, "an address like https://chat.example.com")),
    spec(Field::ProjectRef, "projectRef", PAGE, None, REFERENCE),
    spec(Field::AgentRef, "agentRef", PAGE, None, REFERENCE),
    spec(Field::AgentName, "agentName", THEME, AGENT, LINE),
    spec(Field::AgentAvatar, "agentAvatar", THEME, AGENT, URL),
    spec(Field::Greeting, "greeting", THEME, AGENT, PARAGRAPH),
    spec(Field::SuggestedPrompts, "suggestedPrompts", THEME, AGENT, |take, raw| take.lines(raw)),
    spec(Field::Footer, "footer", THEME, BRANDING, PARAGRAPH),
    spec(Field::PrivacyNotice, "privacyNotice", None, BRANDING, PARAGRAPH),
    spec(Field::Voice, "voice", None, FEATURES, FLAG),
    spec(Field::Realtime, "realtime", None, FEATURES, REFERENCE),
    spec(Field::Upload, "upload", None, FEATURES, FLAG),
];

/// Who the visitor is.
#[rustfmt::skip]
pub static PROOF: [Spec; 3] = [
    spec(Field::UserId, "userId", PAGE, None, VERBATIM),
    spec(Field::IdentityToken, "identityToken", PAGE, None, VERBATIM),
    spec(Field::UserToken, "userToken", PAGE, None, VERBATIM),
];

/// Other names. The first that is there counts, after the setting's own.
#[rustfmt::skip]
pub static ALIASES: [(Source, Field, &str); 13] = [
    (Source::Init, Field::EmbedKey, "publicKey"),
    (Source::Init, Field::AgentRef, "agentId"),
    (Source::Attributes, Field::EmbedKey, "client-key"),
    (Source::Attributes, Field::EmbedKey, "token"),
    (Source::Attributes, Field::ProjectRef, "project"),
    (Source::Attributes, Field::AgentRef, "agent"),
    (Source::Attributes, Field::Locale, "theme-locale"),
    (Source::Attributes, Field::IdentityToken, "user-hash"),
    (Source::Server, Field::Accent, "primary_color"),
    (Source::Server, Field::Accent, "accent_color"),
    (Source::Server, Field::AgentName, "name"),
    (Source::Server, Field::AgentAvatar, "avatar_url"),
    (Source::Server, Field::Position, "launcher_position"),
];

const FLAG: Check = |take, raw| take.flag(raw);
const VERBATIM: Check = |take, raw| take.verbatim(raw);
const LINE: Check = |take, raw| take.words(raw, LINE_BYTES);
const PARAGRAPH: Check = |take, raw| take.words(raw, PARAGRAPH_BYTES);
const COLOR: Check = |take, raw| take.form(raw, color::parse, "a colour like #2563eb");
const URL: Check = |take, raw| take.form(raw, check::web_url, "an http or https address");
const REFERENCE: Check = |take, raw| take.form(raw, check::reference, "a reference");

const fn spec(
    field: Field,
    name: &'static str,
    page: Option<&'static str>,
    server: Option<&'static str>,
    check: Check,
) -> Spec {
    Spec {
        field,
        name,
        page,
        server,
        check,
    }
}

/// A page's object may say this at all: the only keys that the browser layer reads.
pub fn is_known(key: &str) -> bool {
    let page = |spec: &Spec| spec.page.is_some() && spec.name == key;
    let tables: [&[Spec]; 3] = [&LOOK, &REST, &PROOF];
    tables.iter().any(|table| table.iter().any(page))
        || ALIASES
            .iter()
            .any(|(source, _, name)| *source == Source::Init && *name == key)
}
