use super::*;
use crate::engine::error::Rejection;

fn checked(layer: Layer, source: Source) -> (Checked, Vec<Rejection>) {
    let mut rejections = Vec::new();
    (check(layer, source, &mut rejections), rejections)
}

#[test]
fn base_url_must_name_one_host() {
    for (input, expected) in [
        ("https://chat.example.com", Some("https://chat.example.com")),
        (
            "https://chat.example.com/",
            Some("https://chat.example.com"),
        ),
        ("http://127.0.0.1:8787//", Some("http://127.0.0.1:8787")),
        (
            "https://example.com/chat/api/",
            Some("https://example.com/chat/api"),
        ),
        ("http://[::1]:80", Some("http://[::1]:80")),
        ("HTTPS://Example.com", Some("HTTPS://Example.com")),
        ("https://good.com@evil.com", None),
        ("https://good.com\\@evil.com", None),
        ("https://example.com?x", None),
        ("https://example.com/#x", None),
        ("https://", None),
        ("https:///x", None),
        ("https://:80", None),
        ("https://a:99999", None),
        ("https://a:b", None),
        ("https://[::1", None),
        ("https://exa mple.com", None),
        ("https://exa\u{202e}mple.com", None),
        ("javascript:alert(1)", None),
        ("//example.com", None),
        ("ftp://example.com", None),
        ("", None),
    ] {
        assert_eq!(base_url(input).as_deref(), expected, "{input:?}");
    }
}

#[test]
fn each_bad_value_is_reported_once_with_its_source_and_dropped() {
    let layer = Layer {
        embed_key: Some("pk live".into()),
        base_url: Some("chat.example.com".into()),
        locale: Some("not a locale".into()),
        theme: ThemeLayer {
            accent: Some("red".into()),
            position: Some("middle".into()),
            mode: Some("dark".into()),
            ..ThemeLayer::default()
        },
        ..Layer::default()
    };
    let (good, rejections) = checked(layer.clone(), Source::Attributes);
    let messages: Vec<&str> = rejections.iter().map(|r| r.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "data-embed-key is not a public key (pk_…)",
            "data-base-url: \"chat.example.com\" is not an address like https://chat.example.com",
            "data-locale: \"not a locale\" is not a language tag like en or pt-BR",
            "data-theme-accent: \"red\" is not a colour like #2563eb",
            "data-theme-position: \"middle\" is not one of br, bl, tr, tl",
        ]
    );
    assert_eq!(good.get().theme.mode.as_deref(), Some("dark"));
    assert_eq!(good.get().theme.accent, None);
    let (_, rejections) = checked(layer.clone(), Source::Init);
    assert!(
        rejections[3]
            .message
            .starts_with("karta(\"init\"): theme.accent")
    );
    let (_, rejections) = checked(layer, Source::Server);
    assert!(
        rejections[3]
            .message
            .starts_with("server config: theme.accent")
    );
}

#[test]
fn secret_key_is_refused_and_never_repeated() {
    let layer = Layer {
        embed_key: Some(" sk_live_acme_verysecret".into()),
        ..Layer::default()
    };
    let (good, rejections) = checked(layer, Source::Init);
    assert!(good.secret_key);
    assert_eq!(good.get().embed_key, None);
    assert_eq!(rejections[0].code, "secret_key_in_browser");
    assert!(!rejections[0].message.contains("verysecret"));
    assert!(rejections[0].message.contains("public key"));
}

#[test]
fn names_lose_control_and_bidi_characters() {
    for (input, expected) in [
        ("Beans", "Beans"),
        ("  Beans\u{0} ", "Beans"),
        ("\u{202e}snaeB\u{202c}", "snaeB"),
        ("two\nlines", "two\nlines"),
        ("a\u{200b}b\u{2066}c\u{feff}", "abc"),
        ("عربي 中文 é", "عربي 中文 é"),
    ] {
        assert_eq!(plain(input), expected, "{input:?}");
    }
}

#[test]
fn long_texts_and_lists_are_cut_and_reported() {
    let theme = ThemeLayer {
        agent_name: Some("é".repeat(300)),
        suggested_prompts: Some(vec!["why?".into(); 9]),
        ..ThemeLayer::default()
    };
    let layer = Layer {
        theme,
        ..Layer::default()
    };
    let (good, rejections) = checked(layer, Source::Init);
    assert_eq!(rejections.len(), 2);
    let theme = &good.get().theme;
    assert_eq!(theme.agent_name.as_deref(), Some("é".repeat(100).as_str()));
    assert_eq!(
        theme.suggested_prompts.as_ref().map(Vec::len),
        Some(PROMPTS)
    );
}

#[test]
fn pictures_come_over_http_only() {
    for (input, good) in [
        ("https://example.com/a.png", true),
        ("http://127.0.0.1/a.png?x=1#y", true),
        ("javascript:alert(1)", false),
        ("data:image/svg+xml,<svg/>", false),
        ("https://", false),
        ("/a.png", false),
    ] {
        assert_eq!(web_url(input).is_some(), good, "{input}");
    }
}
