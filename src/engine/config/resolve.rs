//! Folds the layers into one [`Config`], valid by construction.

use super::color;
use super::field::Field;
use super::layer::{Layer, Source, Values};
use crate::engine::text;
use crate::engine::view_model::{LauncherView, ThemeView};
use karta_protocol::API_BASE;

/// Every source's wishes, weakest first.
#[derive(Clone, Debug, Default)]
pub struct Layers([Layer; 4]);

/// What holds: a good value, or none, for every setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Config(Values);

/// A blue that has 4.5:1 against white and stands out on light and dark pages.
const ACCENT: &str = "#2563eb";

impl Layers {
    pub fn set(&mut self, source: Source, layer: Layer) {
        if let Some(place) = self.0.get_mut(source as usize) {
            *place = layer;
        }
    }

    pub fn merge(&mut self, source: Source, layer: &Layer) {
        if let Some(place) = self.0.get_mut(source as usize) {
            place.merge(layer);
        }
    }

    /// `script_origin` is the default of the base URL; `languages` are the visitor's, best first.
    pub fn resolve(&self, script_origin: &str, languages: &[String]) -> Config {
        Config::fold(&self.0, script_origin, languages)
    }

    /// A layer held a secret key: nothing may be sent.
    pub fn has_secret_key(&self) -> bool {
        self.0.iter().any(|layer| layer.secret_key)
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::fold(&[], "", &[])
    }
}

impl Config {
    /// The layers, weakest first, over the built-in defaults.
    #[inline(never)]
    pub fn fold(layers: &[Layer], script_origin: &str, languages: &[String]) -> Config {
        let mut values = Values::default();
        for (field, value) in [
            (Field::BaseUrl, script_origin),
            (Field::Locale, text::choose(languages)),
            (Field::Accent, ACCENT),
            (Field::Position, "br"),
            (Field::Mode, "auto"),
        ] {
            values.set(field, String::from(value));
        }
        for layer in layers {
            values.merge(&layer.values);
        }
        if values.get(Field::AccentForeground).is_none() {
            let foreground = color::foreground(values.get(Field::Accent).unwrap_or(ACCENT));
            values.set(Field::AccentForeground, String::from(foreground));
        }
        Config(values)
    }

    pub fn get(&self, field: Field) -> Option<&str> {
        self.0.get(field)
    }

    fn text(&self, field: Field) -> &str {
        self.get(field).unwrap_or_default()
    }

    /// Suggested prompts, one a line.
    pub fn prompts(&self) -> &str {
        self.text(Field::SuggestedPrompts)
    }

    /// Public key. None: the page has not given one yet.
    pub fn key(&self) -> Option<&str> {
        self.get(Field::EmbedKey)
    }

    /// Without a slash at the end.
    pub fn base_url(&self) -> &str {
        self.text(Field::BaseUrl)
    }

    pub fn agent(&self) -> Option<&str> {
        self.get(Field::AgentRef).or(self.get(Field::ProjectRef))
    }

    pub fn locale(&self) -> &str {
        self.text(Field::Locale)
    }

    pub fn theme(&self) -> ThemeView<'_> {
        ThemeView {
            accent: self.text(Field::Accent),
            accent_foreground: self.text(Field::AccentForeground),
            position: self.text(Field::Position),
            mode: self.text(Field::Mode),
            locale: self.locale(),
            rtl: text::is_rtl(self.locale()),
        }
    }

    pub fn launcher(&self, unread: u32, open: bool) -> LauncherView<'_> {
        let words = text::launcher_words(self.locale());
        let label = self.get(Field::LauncherLabel);
        LauncherView {
            name: if open {
                words.close_chat
            } else {
                label.unwrap_or(words.open_chat)
            },
            label,
            logo_url: self.get(Field::LogoUrl),
            unread,
            open,
            call: false,
        }
    }

    /// Where `GET /config` is asked. None without a key.
    pub fn config_url(&self) -> Option<String> {
        // Key and reference need no escaping but the slash and the like of a reference; the server reads both forms.
        let mut url = [
            self.base_url(),
            API_BASE,
            "/config?client_key=",
            self.key()?,
        ]
        .concat();
        if let Some(agent) = self.agent() {
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

#[cfg(test)]
mod tests;
