//! What the launcher bundle needs of the configuration: the button's look, and whether there is a button. The same checks and the same
//! precedence as [`super::resolve`], setting by setting instead of layer by layer, because the whole of it would double that bundle's size.
//! A test holds the two together. Reports nothing: the engine does when it arrives.

use super::{check, color};
use crate::engine::error::clip;
use crate::engine::limits::LINE_BYTES;
use crate::engine::text;
use crate::engine::view_model::{ColorMode, LauncherView, ThemeView};
use karta_protocol::LauncherPosition;

/// One setting, by the names that the sources give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Of the tag, without `data-`; the first that is there counts.
    pub attributes: &'static [&'static str],
    /// Of `init`; of its `theme` where `in_theme`.
    pub init: &'static str,
    pub in_theme: bool,
    /// Of the server's `branding`; the first that is there counts.
    pub branding: &'static [&'static str],
}

const KEY: Setting = setting(
    &["embed-key", "client-key", "token"],
    "embedKey",
    false,
    &[],
);
const LOCALE: Setting = setting(&["locale", "theme-locale"], "locale", false, &[]);
const ACCENT: Setting = setting(
    &["theme-accent"],
    "accent",
    true,
    &["primary_color", "accent_color"],
);
const FOREGROUND: Setting = setting(
    &["theme-accent-foreground"],
    "accentForeground",
    true,
    &["accent_foreground"],
);
const POSITION: Setting = setting(
    &["theme-position"],
    "position",
    true,
    &["launcher_position"],
);
const MODE: Setting = setting(&["theme-mode"], "mode", true, &["mode"]);
const LABEL: Setting = setting(
    &["theme-launcher-label"],
    "launcherLabel",
    true,
    &["launcher_label"],
);
const LOGO: Setting = setting(&[], "", true, &["logo_url"]);

/// The button's look.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    accent: String,
    accent_foreground: String,
    position: LauncherPosition,
    mode: ColorMode,
    locale: String,
    label: Option<String>,
    logo_url: Option<String>,
}

/// `values` answers what the sources say on one setting, the strongest first. None: no public key, or a secret one in the page.
pub fn look(values: &dyn Fn(Setting) -> Vec<String>, languages: &[String]) -> Option<Look> {
    let keys = values(KEY);
    if keys.iter().any(|key| key.trim_start().starts_with("sk_"))
        || !keys.iter().any(|key| check::is_key(key.trim()))
    {
        return None;
    }
    let first = |setting: Setting, parse: fn(&str) -> Option<String>| {
        values(setting).iter().find_map(|value| parse(value))
    };
    let accent =
        first(ACCENT, color::parse).unwrap_or_else(|| String::from(super::resolve::ACCENT));
    // The server's text colour belongs to the server's accent.
    let of_page = |setting| {
        first(
            Setting {
                branding: &[],
                ..setting
            },
            color::parse,
        )
    };
    let foreground = if of_page(ACCENT).is_some() {
        of_page(FOREGROUND)
    } else {
        first(FOREGROUND, color::parse)
    };
    Some(Look {
        accent_foreground: foreground.unwrap_or_else(|| String::from(color::foreground(&accent))),
        accent,
        position: values(POSITION)
            .iter()
            .find_map(|word| check::position(word))
            .unwrap_or_default(),
        mode: values(MODE)
            .iter()
            .find_map(|word| check::mode(word))
            .unwrap_or_default(),
        locale: first(LOCALE, check::locale)
            .unwrap_or_else(|| String::from(text::choose(languages))),
        label: first(LABEL, |label| {
            let label = check::plain(label);
            let label = clip(&label, LINE_BYTES);
            (!label.is_empty()).then(|| String::from(label))
        }),
        logo_url: first(LOGO, check::web_url),
    })
}

impl Look {
    pub fn theme(&self) -> ThemeView<'_> {
        ThemeView {
            accent: &self.accent,
            accent_foreground: &self.accent_foreground,
            position: self.position,
            mode: self.mode,
            locale: &self.locale,
            rtl: text::is_rtl(&self.locale),
        }
    }

    pub fn launcher(&self) -> LauncherView<'_> {
        let label = self.label.as_deref();
        LauncherView {
            name: label.unwrap_or(text::launcher_words(&self.locale).open_chat),
            label,
            logo_url: self.logo_url.as_deref(),
            unread: 0,
            open: false,
        }
    }
}

const fn setting(
    attributes: &'static [&'static str],
    init: &'static str,
    in_theme: bool,
    branding: &'static [&'static str],
) -> Setting {
    Setting {
        attributes,
        init,
        in_theme,
        branding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::config::resolve::launcher;
    use crate::engine::config::{Layer, ThemeLayer};
    use karta_protocol::{Branding, Features, WidgetConfig};

    /// The three sources as pairs, read both ways: each case must look the same.
    fn check(tag: &[(&str, &str)], init: &[(&str, &str)], server: &[(&str, &str)]) {
        let find = |pairs: &[(&str, &str)], name: &str| {
            let found = pairs.iter().find(|(have, _)| *have == name);
            found.map(|(_, value)| String::from(*value))
        };
        let values = |setting: Setting| {
            let named = |pairs, names: &[&str]| names.iter().find_map(|name| find(pairs, name));
            let mut all = Vec::new();
            all.extend(find(init, setting.init));
            all.extend(named(tag, setting.attributes));
            all.extend(named(server, setting.branding));
            all
        };
        let layer = |pairs: &[(&str, &str)], names: [&str; 7]| {
            let [key, locale, accent, foreground, position, mode, label] =
                names.map(|name| find(pairs, name));
            Layer {
                embed_key: key,
                locale,
                theme: ThemeLayer {
                    accent,
                    accent_foreground: foreground,
                    position,
                    mode,
                    launcher_label: label,
                    ..ThemeLayer::default()
                },
                ..Layer::default()
            }
        };
        let of_tag = layer(
            tag,
            [
                "embed-key",
                "locale",
                "theme-accent",
                "theme-accent-foreground",
                "theme-position",
                "theme-mode",
                "theme-launcher-label",
            ],
        );
        let of_init = layer(
            init,
            [
                "embedKey",
                "locale",
                "accent",
                "accentForeground",
                "position",
                "mode",
                "launcherLabel",
            ],
        );
        let config = WidgetConfig {
            branding: Branding {
                primary_color: find(server, "primary_color"),
                accent_color: find(server, "accent_color"),
                accent_foreground: find(server, "accent_foreground"),
                mode: find(server, "mode"),
                launcher_label: find(server, "launcher_label"),
                logo_url: find(server, "logo_url"),
                ..Branding::default()
            },
            features: Features {
                widget_enabled: true,
                ..Features::default()
            },
            ..WidgetConfig::default()
        };
        let languages = [String::from("de-AT")];
        let whole = launcher(
            of_tag,
            vec![of_init],
            Some(&config),
            "https://x.test",
            &languages,
        );
        let small = look(&values, &languages);
        assert_eq!(
            small.as_ref().map(|look| (look.theme(), look.launcher())),
            whole
                .as_ref()
                .map(|config| (config.theme(), config.launcher(0, false))),
            "{tag:?} {init:?} {server:?}"
        );
    }

    #[test]
    fn the_small_way_gives_the_look_of_the_whole_one() {
        const PK: (&str, &str) = ("embed-key", "pk_live_a_b");
        check(&[], &[], &[]);
        check(&[PK], &[], &[]);
        check(&[], &[("embedKey", "pk_live_a_b")], &[]);
        check(&[PK], &[("embedKey", "sk_live_a_b")], &[]);
        check(
            &[("embed-key", "sk_live_a_b")],
            &[("embedKey", "pk_1")],
            &[],
        );
        check(&[("embed-key", "not a key")], &[], &[]);
        check(
            &[
                PK,
                ("theme-accent", "#ABC"),
                ("theme-position", "bottom-left"),
            ],
            &[("accent", "#d4ff4f"), ("mode", "dark"), ("locale", "ar-EG")],
            &[
                ("primary_color", "#112233"),
                ("launcher_label", "Talk to us"),
            ],
        );
        // A bad value falls through to the next source.
        check(
            &[PK, ("theme-accent", "#00ff00"), ("theme-mode", "light")],
            &[("accent", "red"), ("mode", "sepia"), ("position", "middle")],
            &[
                ("accent_color", "#334455"),
                ("logo_url", "javascript:alert(1)"),
            ],
        );
        // The server's text colour goes with the server's accent, and with no other.
        let server = [
            ("primary_color", "#112233"),
            ("accent_foreground", "#ffeedd"),
            ("mode", "dark"),
        ];
        check(&[PK], &[], &server);
        check(&[PK, ("theme-accent", "#ffff00")], &[], &server);
        check(&[PK], &[("accent", "red")], &server);
        check(&[PK], &[("accentForeground", "#000")], &server);
        check(
            &[PK, ("theme-launcher-label", " \u{202e} ")],
            &[("accentForeground", "#fff"), ("locale", "x")],
            &[
                ("logo_url", "https://x.test/logo.png"),
                ("launcher_label", "  Hi  "),
            ],
        );
    }
}
