//! Checks one layer where it arrives, once: each bad value is reported with its source and dropped, so that the fold in
//! [`super::resolve`] only ever sees good ones.

use super::color;
use super::layer::{Layer, ThemeLayer};
use crate::engine::error::{BAD_VALUE, Report, SECRET_KEY, clip};
use crate::engine::limits::{KEY_BYTES, LINE_BYTES, PARAGRAPH_BYTES, PROMPTS, REFERENCE_BYTES};
use karta_protocol::{LauncherPosition, WidgetConfig};

/// Where a layer comes from, for the words of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Server,
    Attributes,
    Init,
    Update,
}

/// A layer whose every value is good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    layer: Layer,
    /// The layer carried a secret key where the public one belongs.
    pub secret_key: bool,
}

impl Checked {
    pub fn get(&self) -> &Layer {
        &self.layer
    }

    /// Values of `other` replace those of this one: a second `init` before mount.
    pub fn merge(&mut self, other: Checked) {
        self.secret_key |= other.secret_key;
        let (have, new) = (&mut self.layer, other.layer);
        take(&mut have.embed_key, new.embed_key);
        take(&mut have.base_url, new.base_url);
        take(&mut have.project_ref, new.project_ref);
        take(&mut have.agent_ref, new.agent_ref);
        take(&mut have.locale, new.locale);
        take(&mut have.identity, new.identity);
        let (have, new) = (&mut have.theme, new.theme);
        take(&mut have.accent, new.accent);
        take(&mut have.accent_foreground, new.accent_foreground);
        take(&mut have.agent_name, new.agent_name);
        take(&mut have.agent_avatar, new.agent_avatar);
        take(&mut have.greeting, new.greeting);
        take(&mut have.suggested_prompts, new.suggested_prompts);
        take(&mut have.footer, new.footer);
        take(&mut have.position, new.position);
        take(&mut have.mode, new.mode);
        take(&mut have.launcher_label, new.launcher_label);
    }
}

fn take<T>(have: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *have = new;
    }
}

/// What the server says, as a layer.
pub fn server_layer(config: &WidgetConfig) -> Layer {
    let branding = &config.branding;
    Layer {
        theme: ThemeLayer {
            accent: branding
                .primary_color
                .clone()
                .or_else(|| branding.accent_color.clone()),
            accent_foreground: branding.accent_foreground.clone(),
            agent_name: Some(config.agent.name.clone()),
            agent_avatar: config.agent.avatar_url.clone(),
            greeting: config.agent.greeting.clone(),
            suggested_prompts: Some(config.agent.suggested_prompts.clone()),
            footer: branding.footer.clone(),
            mode: branding.mode.clone(),
            position: branding.launcher_position.map(|position| {
                String::from(match position {
                    LauncherPosition::Br => "br",
                    LauncherPosition::Bl => "bl",
                    LauncherPosition::Tr => "tr",
                    LauncherPosition::Tl => "tl",
                })
            }),
            launcher_label: branding.launcher_label.clone(),
            logo_url: branding.logo_url.clone(),
            privacy_notice: branding.privacy_notice.clone(),
        },
        ..Layer::default()
    }
}

/// Names of one setting: as attribute, and as path of `init`.
type Name = [&'static str; 2];

pub fn check<R: Report>(layer: Layer, source: Source, report: &mut R) -> Checked {
    let mut c = Check { source, report };
    let mut secret_key = false;
    let embed_key = layer.embed_key.and_then(|key| {
        secret_key = key.trim_start().starts_with("sk_");
        c.key(&key, secret_key)
    });
    let theme = layer.theme;
    let layer = Layer {
        embed_key,
        base_url: c.value(
            layer.base_url,
            ["base-url", "baseUrl"],
            base_url,
            "is not an address like https://chat.example.com",
        ),
        project_ref: c.value(
            layer.project_ref,
            ["project", "projectRef"],
            reference,
            "is not a reference",
        ),
        agent_ref: c.value(
            layer.agent_ref,
            ["agent", "agentRef"],
            reference,
            "is not a reference",
        ),
        locale: c.value(
            layer.locale,
            ["locale", "locale"],
            locale,
            "is not a language tag like en or pt-BR",
        ),
        identity: layer.identity,
        theme: ThemeLayer {
            accent: c.value(
                theme.accent,
                ["theme-accent", "theme.accent"],
                color::parse,
                COLOR,
            ),
            accent_foreground: c.value(
                theme.accent_foreground,
                ["theme-accent-foreground", "theme.accentForeground"],
                color::parse,
                COLOR,
            ),
            agent_name: c.text(
                theme.agent_name,
                ["theme-agent-name", "theme.agentName"],
                LINE_BYTES,
            ),
            agent_avatar: c.value(
                theme.agent_avatar,
                ["theme-agent-avatar", "theme.agentAvatar"],
                web_url,
                URL,
            ),
            greeting: c.text(
                theme.greeting,
                ["theme-greeting", "theme.greeting"],
                PARAGRAPH_BYTES,
            ),
            suggested_prompts: c.prompts(theme.suggested_prompts),
            footer: c.text(
                theme.footer,
                ["theme-footer", "theme.footer"],
                PARAGRAPH_BYTES,
            ),
            position: c.value(
                theme.position,
                ["theme-position", "theme.position"],
                position_word,
                "is not one of br, bl, tr, tl",
            ),
            mode: c.value(
                theme.mode,
                ["theme-mode", "theme.mode"],
                mode_word,
                "is not one of auto, light, dark",
            ),
            launcher_label: c.text(
                theme.launcher_label,
                ["theme-launcher-label", "theme.launcherLabel"],
                LINE_BYTES,
            ),
            logo_url: c.value(theme.logo_url, ["logo", "logo_url"], web_url, URL),
            privacy_notice: c.text(
                theme.privacy_notice,
                ["privacy-notice", "privacy_notice"],
                PARAGRAPH_BYTES,
            ),
        },
    };
    Checked { layer, secret_key }
}

const COLOR: &str = "is not a colour like #2563eb";
const URL: &str = "is not an http or https address";

struct Check<'a, R: Report> {
    source: Source,
    report: &'a mut R,
}

impl<R: Report> Check<'_, R> {
    fn value(
        &mut self,
        value: Option<String>,
        name: Name,
        parse: fn(&str) -> Option<String>,
        expected: &str,
    ) -> Option<String> {
        let value = value?;
        let good = parse(&value);
        if good.is_none() {
            let (before, name) = self.place(name);
            let pieces = [before, name, ": \"", clip(&value, 60), "\" ", expected];
            self.report.refuse(BAD_VALUE, &pieces);
        }
        good
    }

    fn text(&mut self, value: Option<String>, name: Name, max: usize) -> Option<String> {
        let clean = plain(&value?);
        let cut = clip(&clean, max);
        if cut.len() < clean.len() {
            let (before, name) = self.place(name);
            self.report.refuse(
                BAD_VALUE,
                &[before, name, ": the text is too long and was cut"],
            );
        }
        (!cut.is_empty()).then(|| String::from(cut))
    }

    fn prompts(&mut self, prompts: Option<Vec<String>>) -> Option<Vec<String>> {
        let name = ["theme-suggested-prompts", "theme.suggestedPrompts"];
        let prompts = prompts?;
        if prompts.len() > PROMPTS {
            let (before, name) = self.place(name);
            self.report
                .refuse(BAD_VALUE, &[before, name, ": only the first 6 are shown"]);
        }
        let mut good = Vec::new();
        for prompt in prompts.into_iter().take(PROMPTS) {
            good.extend(self.text(Some(prompt), name, LINE_BYTES));
        }
        Some(good)
    }

    /// The value is never part of the report: it may be a secret.
    fn key(&mut self, key: &str, secret: bool) -> Option<String> {
        let key = key.trim();
        let (before, name) = self.place(["embed-key", "embedKey"]);
        if secret {
            let fix = " holds a secret key (sk_…). Anyone can read this page: put the public key (pk_…) here and rotate the secret one now";
            self.report.refuse(SECRET_KEY, &[before, name, fix]);
            return None;
        }
        let good = is_key(key);
        if !good {
            self.report
                .refuse(BAD_VALUE, &[before, name, " is not a public key (pk_…)"]);
        }
        good.then(|| String::from(key))
    }

    fn place(&self, [attribute, path]: Name) -> (&'static str, &'static str) {
        match self.source {
            Source::Attributes => ("data-", attribute),
            Source::Init => ("karta(\"init\"): ", path),
            Source::Update => ("karta(\"update\"): ", path),
            Source::Server => ("server config: ", path),
        }
    }
}

/// Of the right form; only the server knows whether it is one.
pub(super) fn is_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= KEY_BYTES && key.bytes().all(is_key_byte)
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Without control characters (line breaks stay) and without the characters that turn the direction of text around: a name
/// made of them could rewrite the words beside it.
pub fn plain(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|c| *c == '\n' || !is_hidden(*c))
        .collect();
    String::from(text.trim())
}

/// Control, bidi and zero-width characters.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// An http(s) address of a picture or page.
pub fn web_url(text: &str) -> Option<String> {
    let text = text.trim();
    let (scheme, rest) = text.split_once("://")?;
    let web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let clean =
        text.len() <= REFERENCE_BYTES && !text.chars().any(|c| c.is_whitespace() || is_hidden(c));
    (web && clean && !rest.is_empty() && !rest.starts_with('/')).then(|| String::from(text))
}

/// `https://host[:port][/path]` without a slash at the end. No user info, query or fragment: tokens are sent there, so what
/// looks like one host must not be another.
fn base_url(text: &str) -> Option<String> {
    let text = web_url(text)?;
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split('/').next()?;
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address are inside brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host_is_good = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inner) => {
            !inner.is_empty()
                && inner
                    .bytes()
                    .all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.')
        }
        None => !host.is_empty() && !host.contains(['[', ']', ':']),
    };
    let port_is_good = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let good = host_is_good && port_is_good && !text.contains(['@', '?', '#', '\\', '"', '<', '>']);
    good.then(|| String::from(text.trim_end_matches('/')))
}

fn reference(text: &str) -> Option<String> {
    let text = text.trim();
    let good = !text.is_empty()
        && text.len() <= LINE_BYTES
        && text.chars().all(|c| !c.is_whitespace() && !is_hidden(c));
    good.then(|| String::from(text))
}

pub(super) fn locale(text: &str) -> Option<String> {
    let text = text.trim();
    let mut parts = text.split(['-', '_']);
    let language_is_good = parts.next().is_some_and(|part| {
        (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic())
    });
    let rest_is_good = parts.all(|part| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    (language_is_good && rest_is_good && text.len() <= 35).then(|| text.replace('_', "-"))
}

fn position_word(text: &str) -> Option<String> {
    position(text).map(|_| String::from(text.trim()))
}

fn mode_word(text: &str) -> Option<String> {
    mode(text).map(|_| String::from(text.trim()))
}

pub(super) fn position(text: &str) -> Option<LauncherPosition> {
    Some(match text.trim() {
        "br" | "bottom-right" | "right" => LauncherPosition::Br,
        "bl" | "bottom-left" | "left" => LauncherPosition::Bl,
        "tr" | "top-right" => LauncherPosition::Tr,
        "tl" | "top-left" => LauncherPosition::Tl,
        _ => return None,
    })
}

pub(super) fn mode(text: &str) -> Option<crate::engine::view_model::ColorMode> {
    use crate::engine::view_model::ColorMode;
    Some(match text.trim() {
        "auto" => ColorMode::Auto,
        "light" => ColorMode::Light,
        "dark" => ColorMode::Dark,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
