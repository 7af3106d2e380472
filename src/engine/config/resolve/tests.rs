use super::*;
use karta_protocol::{AgentProfile, Branding, Features};

fn accent(color: &str) -> Layer {
    Layer {
        theme: ThemeLayer {
            accent: Some(color.into()),
            ..ThemeLayer::default()
        },
        ..Layer::default()
    }
}

fn checked(layer: Layer) -> Checked {
    check::check(layer, Source::Init, &mut Silent)
}

#[test]
fn later_layer_wins_for_every_pair() {
    let colors = ["#000001", "#000002", "#000003", "#000004"];
    // Every subset of the four sources, as bits: the highest bit set must win.
    for present in 0..16_usize {
        let at = |layer: usize| match present & (1 << layer) {
            0 => Checked::default(),
            _ => checked(accent(colors[layer])),
        };
        let layers = Layers {
            server: at(0),
            attributes: at(1),
            init: at(2),
            update: at(3),
        };
        let expected = (0..4)
            .rev()
            .find(|layer| present & (1 << layer) != 0)
            .map_or(ACCENT, |layer| colors[layer]);
        assert_eq!(layers.resolve("", &[]).accent, expected, "{present:04b}");
    }
}

#[test]
fn bad_value_leaves_the_lower_layers_standing() {
    let layers = Layers {
        server: checked(accent("#abcdef")),
        init: checked(accent("blue")),
        ..Layers::default()
    };
    assert_eq!(layers.resolve("", &[]).accent, "#abcdef");
}

#[test]
fn foreground_is_computed_unless_given() {
    let with = |accent: &str, foreground: Option<&str>| {
        let layer = Layer {
            theme: ThemeLayer {
                accent: Some(accent.into()),
                accent_foreground: foreground.map(String::from),
                ..ThemeLayer::default()
            },
            ..Layer::default()
        };
        let layers = Layers {
            init: checked(layer),
            ..Layers::default()
        };
        layers.resolve("", &[]).accent_foreground
    };
    assert_eq!(with("#d4ff4f", None), "#000000");
    assert_eq!(with("#2563eb", None), "#ffffff");
    assert_eq!(with("#2563eb", Some("#FF0")), "#ffff00");
}

#[test]
fn base_url_defaults_to_the_scripts_origin() {
    let config = Layers::default().resolve("https://cdn.example.com", &[]);
    assert_eq!(config.base_url, "https://cdn.example.com");
}

#[test]
fn config_url_escapes_the_agent() {
    let layer = Layer {
        embed_key: Some("pk_live_a_b".into()),
        project_ref: Some("coffee&co/bot".into()),
        ..Layer::default()
    };
    let layers = Layers {
        attributes: checked(layer),
        ..Layers::default()
    };
    assert_eq!(
        layers
            .resolve("https://x.test", &[])
            .config_url()
            .as_deref(),
        Some(
            "https://x.test/api/v1/widget/config?client_key=pk_live_a_b&agent_id=coffee%26co%2Fbot"
        )
    );
}

#[test]
fn locale_follows_page_then_visitor() {
    let languages = vec![String::from("de-DE")];
    assert_eq!(Layers::default().resolve("", &languages).locale, "de-DE");
    let layer = Layer {
        locale: Some("ar".into()),
        ..Layer::default()
    };
    let layers = Layers {
        init: checked(layer),
        ..Layers::default()
    };
    let config = layers.resolve("", &languages);
    assert_eq!((config.locale.as_str(), config.rtl), ("ar", true));
}

fn tag() -> Layer {
    Layer {
        embed_key: Some("pk_live_x".into()),
        ..Layer::default()
    }
}

fn server() -> WidgetConfig {
    WidgetConfig {
        agent: AgentProfile {
            name: "Beans".into(),
            ..AgentProfile::default()
        },
        branding: Branding {
            primary_color: Some("#112233".into()),
            launcher_label: Some("Talk to us".into()),
            ..Branding::default()
        },
        features: Features {
            widget_enabled: true,
            ..Features::default()
        },
        ..WidgetConfig::default()
    }
}

#[test]
fn launcher_is_drawn_from_tag_init_and_server() {
    let config = launcher(
        tag(),
        vec![accent("#445566")],
        Some(&server()),
        "https://x.test",
        &[],
    );
    let config = config.expect("the launcher shows");
    assert_eq!(config.theme().accent, "#445566");
    assert_eq!(config.launcher(0, false).label, Some("Talk to us"));
    assert_eq!(config.launcher(0, true).name, "Close chat");
}

#[test]
fn launcher_shows_without_the_server_and_hides_when_switched_off() {
    assert!(launcher(tag(), vec![], None, "https://x.test", &[]).is_some());
    let mut off = server();
    off.features.widget_enabled = false;
    assert_eq!(
        launcher(tag(), vec![], Some(&off), "https://x.test", &[]),
        None
    );
    assert_eq!(
        launcher(Layer::default(), vec![], None, "https://x.test", &[]),
        None
    );
    let secret = Layer {
        embed_key: Some("sk_live_x".into()),
        ..Layer::default()
    };
    assert_eq!(
        launcher(secret, vec![tag()], None, "https://x.test", &[]),
        None
    );
}
