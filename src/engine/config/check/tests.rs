use super::*;

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
        ("https://a:", None),
        ("https://a:+80", None),
        ("https://a:65536", None),
        ("https://a:65535", Some("https://a:65535")),
        ("https://[]", None),
        ("https://[::1]x", None),
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

#[test]
fn locale_is_a_language_tag() {
    for (input, expected) in [
        ("en", Some("en")),
        ("pt-BR", Some("pt-BR")),
        ("zh_Hant_TW", Some("zh-Hant-TW")),
        ("es-419", Some("es-419")),
        ("x", None),
        ("e1", None),
        ("en-", None),
        ("-en", None),
        ("en--US", None),
        ("en US", None),
        ("englishlanguage", None),
        ("en-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd", None),
        ("dé", None),
    ] {
        assert_eq!(locale(input).as_deref(), expected, "{input}");
    }
}
