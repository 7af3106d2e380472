//! Folds the layers into one [`Config`], valid by construction. Also all that the launcher bundle needs of the engine:
//! [`launcher`] decides the look of the button without a machine.

use super::check::{self, Checked, Source};
use super::color;
use super::layer::{Layer, ThemeLayer};
use crate::engine::error::Silent;
use crate::engine::text;
use crate::engine::view_model::{ColorMode, LauncherView, ThemeView};
use karta_protocol::{API_BASE, LauncherPosition, WidgetConfig};

/// Every source's checked wishes.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    pub server: Checked,
    pub attributes: Checked,
    pub init: Checked,
    pub update: Checked,
}

/// What holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Public key. None: the page has not given one yet.
    pub key: Option<String>,
    /// Without a slash at the end.
    pub base_url: String,
    pub agent: Option<String>,
    pub locale: String,
    pub rtl: bool,
    pub accent: String,
    pub accent_foreground: String,
    pub position: LauncherPosition,
    pub mode: ColorMode,
    /// None: the locale's word for an agent without a name.
    pub agent_name: Option<String>,
    pub agent_avatar: Option<String>,
    pub logo_url: Option<String>,
    pub greeting: Option<String>,
    pub prompts: Vec<String>,
    pub footer: Option<String>,
    pub privacy_notice: Option<String>,
    pub launcher_label: Option<String>,
}

/// A blue that has 4.5:1 against white and stands out on light and dark pages.
pub(super) const ACCENT: &str = "#2563eb";

impl Layers {
    /// `script_origin` is the default of `base_url`; `languages` are the visitor's, best first.
    pub fn resolve(&self, script_origin: &str, languages: &[String]) -> Config {
        let theme =
            |field: fn(&ThemeLayer) -> &Option<String>| self.last(|layer| field(&layer.theme));
        let accent = theme(|t| &t.accent).map_or(ACCENT, String::as_str);
        let page = [&self.update, &self.init, &self.attributes].map(|checked| &checked.get().theme);
        // The server's text colour belongs to the server's accent.
        let foreground = if page.iter().any(|theme| theme.accent.is_some()) {
            page.iter()
                .find_map(|theme| theme.accent_foreground.as_ref())
        } else {
            theme(|t| &t.accent_foreground)
        };
        let foreground = foreground.map_or_else(|| color::foreground(accent), String::as_str);
        let locale = self
            .last(|layer| &layer.locale)
            .map_or_else(|| text::choose(languages), String::as_str);
        Config {
            key: self.last(|layer| &layer.embed_key).cloned(),
            base_url: self.last(|layer| &layer.base_url).map_or_else(
                || String::from(script_origin.trim_end_matches('/')),
                String::clone,
            ),
            agent: self
                .last(|layer| &layer.agent_ref)
                .or_else(|| self.last(|layer| &layer.project_ref))
                .cloned(),
            locale: String::from(locale),
            rtl: text::is_rtl(locale),
            accent: String::from(accent),
            accent_foreground: String::from(foreground),
            position: theme(|t| &t.position)
                .and_then(|word| check::position(word))
                .unwrap_or_default(),
            mode: theme(|t| &t.mode)
                .and_then(|word| check::mode(word))
                .unwrap_or_default(),
            agent_name: theme(|t| &t.agent_name).cloned(),
            agent_avatar: theme(|t| &t.agent_avatar).cloned(),
            logo_url: theme(|t| &t.logo_url).cloned(),
            greeting: theme(|t| &t.greeting).cloned(),
            prompts: self
                .last(|layer| &layer.theme.suggested_prompts)
                .cloned()
                .unwrap_or_default(),
            footer: theme(|t| &t.footer).cloned(),
            privacy_notice: theme(|t| &t.privacy_notice).cloned(),
            launcher_label: theme(|t| &t.launcher_label).cloned(),
        }
    }

    /// A layer held a secret key: nothing may be sent.
    pub fn has_secret_key(&self) -> bool {
        self.attributes.secret_key || self.init.secret_key
    }

    /// The value of the layer with the highest precedence that has one.
    fn last<T>(&self, field: impl Fn(&Layer) -> &Option<T>) -> Option<&T> {
        [&self.update, &self.init, &self.attributes, &self.server]
            .into_iter()
            .find_map(|layer| field(layer.get()).as_ref())
    }
}

impl Default for Config {
    fn default() -> Self {
        Layers::default().resolve("", &[])
    }
}

impl Config {
    pub fn theme(&self) -> ThemeView<'_> {
        ThemeView {
            accent: &self.accent,
            accent_foreground: &self.accent_foreground,
            position: self.position,
            mode: self.mode,
            locale: &self.locale,
            rtl: self.rtl,
        }
    }

    pub fn launcher(&self, unread: u32, open: bool) -> LauncherView<'_> {
        let words = text::launcher_words(&self.locale);
        let label = self.launcher_label.as_deref();
        LauncherView {
            name: if open {
                words.close_chat
            } else {
                label.unwrap_or(words.open_chat)
            },
            label,
            logo_url: self.logo_url.as_deref(),
            unread,
            open,
        }
    }

    /// Where `GET /config` is asked. None without a key.
    pub fn config_url(&self) -> Option<String> {
        let key = self.key.as_deref()?;
        // Key and reference need no escaping but the slash and the like of a reference; the server reads both forms.
        let mut url = [&self.base_url, API_BASE, "/config?client_key=", key].concat();
        if let Some(agent) = &self.agent {
            url.push_str("&agent_id=");
            push_escaped(&mut url, agent);
        }
        Some(url)
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986, 2.3).
pub fn push_escaped(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            url.push(char::from(byte));
        } else {
            url.push('%');
            for digit in [byte >> 4, byte & 15] {
                url.push(char::from(
                    b"0123456789ABCDEF"
                        .get(usize::from(digit))
                        .copied()
                        .unwrap_or(b'0'),
                ));
            }
        }
    }
}

/// The launcher bundle's whole business: what the button looks like. None: nothing is to be drawn (no key, a secret key in the
/// page, or the owner has switched the widget off). Reports nothing; the engine does when it arrives.
pub fn launcher(
    attributes: Layer,
    inits: Vec<Layer>,
    server: Option<&WidgetConfig>,
    script_origin: &str,
    languages: &[String],
) -> Option<Config> {
    let mut layers = Layers {
        attributes: check::check(attributes, Source::Attributes, &mut Silent),
        ..Layers::default()
    };
    for init in inits {
        layers
            .init
            .merge(check::check(init, Source::Init, &mut Silent));
    }
    if let Some(config) = server {
        if !config.features.widget_enabled {
            return None;
        }
        layers.server = check::check(check::server_layer(config), Source::Server, &mut Silent);
    }
    let config = layers.resolve(script_origin, languages);
    (config.key.is_some() && !layers.has_secret_key()).then_some(config)
}

#[cfg(test)]
mod tests;
