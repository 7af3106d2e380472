use super::*;

use crate::engine::raw::Raw;

fn layer(pairs: &[(&str, &str)]) -> Layer {
    let entries = pairs.iter();
    let entries =
        entries.map(|(name, value)| (String::from(*name), Raw::Text(String::from(*value))));
    let theme = Raw::Object(entries.clone().collect());
    let mut all: Vec<(String, Raw)> = entries.collect();
    all.push((String::from("theme"), theme));
    Layer::read(Source::Init, &Raw::Object(all))
}

fn accent(color: &str) -> Layer {
    layer(&[("accent", color)])
}

fn layers(source: Source, layer: Layer) -> Layers {
    let mut layers = Layers::default();
    layers.set(source, layer);
    layers
}

#[test]
fn later_layer_wins_for_every_pair() {
    let colors = ["#000001", "#000002", "#000003", "#000004"];
    // Every subset of the four sources, as bits: the highest bit set must win.
    for present in 0..16_usize {
        let mut layers = Layers::default();
        let sources = [
            Source::Server,
            Source::Attributes,
            Source::Init,
            Source::Update,
        ];
        for (at, source) in sources.into_iter().enumerate() {
            if present & (1 << at) != 0 {
                layers.set(source, accent(colors[at]));
            }
        }
        let expected = (0..4)
            .rev()
            .find(|layer| present & (1 << layer) != 0)
            .map_or(ACCENT, |layer| colors[layer]);
        assert_eq!(
            layers.resolve("", &[]).theme().accent,
            expected,
            "{present:04b}"
        );
    }
}

#[test]
fn bad_value_leaves_the_lower_layers_standing() {
    let mut layers = layers(Source::Server, accent("#abcdef"));
    layers.set(Source::Init, accent("blue"));
    assert_eq!(layers.resolve("", &[]).theme().accent, "#abcdef");
}

#[test]
fn foreground_is_computed_unless_given() {
    let with = |accent: &str, foreground: Option<&str>| {
        let mut pairs = vec![("accent", accent)];
        pairs.extend(foreground.map(|color| ("accentForeground", color)));
        let config = layers(Source::Init, layer(&pairs)).resolve("", &[]);
        String::from(config.theme().accent_foreground)
    };
    assert_eq!(with("#d4ff4f", None), "#000000");
    assert_eq!(with("#2563eb", None), "#ffffff");
    assert_eq!(with("#2563eb", Some("#FF0")), "#ffff00");
}

#[test]
fn foreground_goes_with_the_accent_of_its_source() {
    let server = layer(&[("accent", "#112233"), ("accentForeground", "#ffeedd")]);
    let with = |page: Layer| {
        let mut layers = layers(Source::Server, server.clone());
        layers.set(Source::Init, page);
        String::from(layers.resolve("", &[]).theme().accent_foreground)
    };
    assert_eq!(with(Layer::default()), "#ffeedd");
    assert_eq!(with(accent("#ffff00")), "#000000");
    assert_eq!(with(accent("red")), "#ffeedd");
    assert_eq!(with(layer(&[("accentForeground", "#000")])), "#000000");
    let both = layer(&[("accent", "#ffff00"), ("accentForeground", "#111111")]);
    assert_eq!(with(both), "#111111");
}

#[test]
fn base_url_defaults_to_the_scripts_origin() {
    let config = Layers::default().resolve("https://cdn.example.com", &[]);
    assert_eq!(config.base_url(), "https://cdn.example.com");
}

#[test]
fn config_url_escapes_the_agent() {
    let page = layer(&[("embedKey", "pk_live_a_b"), ("projectRef", "coffee&co/bot")]);
    let layers = layers(Source::Attributes, page);
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
fn agent_wins_over_project() {
    let page = layer(&[("agentRef", "a"), ("projectRef", "p")]);
    assert_eq!(
        layers(Source::Init, page).resolve("", &[]).agent(),
        Some("a")
    );
}

#[test]
fn locale_follows_page_then_visitor() {
    let languages = vec![String::from("de-DE")];
    assert_eq!(Layers::default().resolve("", &languages).locale(), "de-DE");
    let config = layers(Source::Init, layer(&[("locale", "ar")])).resolve("", &languages);
    assert_eq!((config.locale(), config.theme().rtl), ("ar", true));
}

#[test]
fn second_init_changes_only_what_it_names() {
    let mut layers = layers(
        Source::Init,
        layer(&[("accent", "#000001"), ("mode", "dark")]),
    );
    layers.merge(Source::Init, &accent("#000002"));
    let config = layers.resolve("", &[]);
    assert_eq!(
        (config.theme().accent, config.theme().mode),
        ("#000002", "dark")
    );
}

#[test]
fn empty_list_of_prompts_takes_those_of_the_server_away() {
    let prompts = |list: Vec<Raw>| {
        let theme = vec![(String::from("suggestedPrompts"), Raw::List(list))];
        let all = vec![(String::from("theme"), Raw::Object(theme))];
        Layer::read(Source::Init, &Raw::Object(all))
    };
    let mut layers = layers(
        Source::Server,
        prompts(vec![Raw::Text("a".into()), Raw::Text("b".into())]),
    );
    assert_eq!(layers.resolve("", &[]).prompts(), "a\nb\n");
    layers.set(Source::Init, prompts(vec![]));
    assert_eq!(layers.resolve("", &[]).prompts(), "");
}

#[test]
fn button_is_named_by_the_owner_or_the_locale() {
    let config = layers(Source::Server, layer(&[("launcherLabel", "Talk to us")])).resolve("", &[]);
    assert_eq!(config.launcher(0, false).label, Some("Talk to us"));
    assert_eq!(config.launcher(0, true).name, "Close chat");
    let config = layers(Source::Init, layer(&[("locale", "de")])).resolve("", &[]);
    assert_eq!(config.launcher(0, false).label, None);
    assert_ne!(config.launcher(0, false).name, "Open chat");
}

/// The launcher bundle reads the sources into one layer, in order of precedence; the engine keeps them apart, because the server's may
/// change. Both must look the same.
#[test]
fn both_ways_of_folding_give_the_same_look() {
    let sources = [
        (
            Source::Server,
            &[
                ("accent", "#112233"),
                ("launcherLabel", "Talk"),
                ("mode", "dark"),
            ][..],
        ),
        (
            Source::Attributes,
            &[
                ("accent", "#445566"),
                ("embedKey", "pk_1"),
                ("mode", "sepia"),
            ][..],
        ),
        (
            Source::Init,
            &[
                ("accent", "red"),
                ("position", "bottom-left"),
                ("locale", "ar"),
            ][..],
        ),
    ];
    let mut apart = Layers::default();
    let mut one = Layer::default();
    for (source, pairs) in sources {
        apart.set(source, layer(pairs));
        one.values.merge(&layer(pairs).values);
    }
    let (apart, one) = (apart.resolve("", &[]), Config::fold(&[one], "", &[]));
    assert_eq!(apart.theme().accent, "#445566");
    assert_eq!(apart.theme(), one.theme());
    assert_eq!(apart.launcher(0, false), one.launcher(0, false));
}
