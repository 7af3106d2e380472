use super::*;

fn text(text: &str) -> Raw {
    Raw::Text(text.into())
}

fn object(entries: &[(&str, Raw)]) -> Raw {
    let entries = entries.iter();
    Raw::Object(
        entries
            .map(|(key, value)| (String::from(*key), value.clone()))
            .collect(),
    )
}

fn tag(pairs: &[(&str, &str)]) -> Layer {
    let entries: Vec<(&str, Raw)> = pairs
        .iter()
        .map(|(name, value)| (*name, text(value)))
        .collect();
    Layer::read(Source::Attributes, &object(&entries))
}

fn init(entries: &[(&str, Raw)]) -> Layer {
    Layer::read(Source::Init, &object(entries))
}

fn theme(entries: &[(&str, Raw)]) -> Layer {
    init(&[("theme", object(entries))])
}

fn messages(layer: &Layer) -> Vec<&str> {
    layer
        .rejected
        .iter()
        .map(|rejection| rejection.message.as_str())
        .collect()
}

#[test]
fn karta_tag_of_seed_003_is_read() {
    let layer = tag(&[
        ("data-embed-key", "pk_live_xxx"),
        ("data-project", "coffeeco/support-bot"),
        ("data-base-url", "https://agent.karta.sh"),
        ("data-theme-accent", "#d4ff4f"),
        (
            "data-theme-suggested-prompts",
            "Opening hours?| Where are you?|",
        ),
        ("data-user-id", "u_123"),
        ("data-identity-token", "abc"),
    ]);
    assert_eq!(layer.rejected, []);
    assert_eq!(layer.get(Field::EmbedKey), Some("pk_live_xxx"));
    assert_eq!(layer.get(Field::ProjectRef), Some("coffeeco/support-bot"));
    assert_eq!(layer.get(Field::BaseUrl), Some("https://agent.karta.sh"));
    assert_eq!(layer.get(Field::Accent), Some("#d4ff4f"));
    assert_eq!(
        layer.get(Field::SuggestedPrompts),
        Some("Opening hours?\nWhere are you?\n")
    );
    let identity = layer.identity.expect("the tag names a user");
    assert_eq!(identity.user_id.as_deref(), Some("u_123"));
    assert_eq!(identity.identity_token, Some(Secret("abc".into())));
}

#[test]
fn names_of_the_other_dialects_mean_the_same() {
    for name in ["data-embed-key", "data-client-key", "data-token"] {
        assert_eq!(
            tag(&[(name, "pk_1")]).get(Field::EmbedKey),
            Some("pk_1"),
            "{name}"
        );
    }
    let both = tag(&[("data-token", "pk_2"), ("data-embed-key", "pk_1")]);
    assert_eq!(
        both.get(Field::EmbedKey),
        Some("pk_1"),
        "the own name counts first"
    );
    let hashed = tag(&[("data-user-id", "j"), ("data-user-hash", "ff")]);
    let identity = hashed.identity.expect("the tag names a user");
    assert_eq!(identity.identity_token, Some(Secret("ff".into())));
    for name in ["data-agent", "data-agent-ref"] {
        assert_eq!(
            tag(&[(name, "a_1")]).get(Field::AgentRef),
            Some("a_1"),
            "{name}"
        );
    }
    let kataven = init(&[
        ("publicKey", text("pk_1")),
        ("agentId", text("a_1")),
        ("userToken", text("ut_1")),
    ]);
    assert_eq!(kataven.rejected, []);
    assert_eq!(kataven.get(Field::EmbedKey), Some("pk_1"));
    assert_eq!(kataven.get(Field::AgentRef), Some("a_1"));
    let identity = kataven.identity.expect("the page names a user");
    assert_eq!(identity.user_token, Some(Secret("ut_1".into())));
}

#[test]
fn blank_values_are_absent() {
    assert_eq!(
        tag(&[("data-embed-key", " "), ("data-user-id", "")]),
        Layer::default()
    );
    assert_eq!(
        init(&[("embedKey", text("")), ("theme", Raw::Null)]),
        Layer::default()
    );
    // A blank one leaves the word to another name.
    let layer = tag(&[("data-embed-key", ""), ("data-token", "pk_1")]);
    assert_eq!(layer.get(Field::EmbedKey), Some("pk_1"));
}

#[test]
fn only_names_of_the_frozen_list_are_asked_for() {
    struct Asked(std::cell::RefCell<Vec<String>>);
    impl Settings for Asked {
        fn get(&self, part: &str, name: &str, take: &mut dyn FnMut(&Raw)) {
            let point = if part.is_empty() { "" } else { "." };
            self.0.borrow_mut().push([part, point, name].concat());
            take(&Raw::Undefined);
        }
    }
    let asked = |source: Source| {
        let asked = Asked(Default::default());
        Layer::read(source, &asked);
        let mut names = asked.0.into_inner();
        names.sort();
        names.join(" ")
    };
    assert_eq!(
        asked(Source::Attributes),
        "data-agent data-agent-ref data-base-url data-client-key data-embed-key data-identity-token data-locale data-project \
         data-project-ref data-theme-accent data-theme-accent-foreground data-theme-agent-avatar data-theme-agent-name \
         data-theme-footer data-theme-greeting data-theme-launcher-label data-theme-locale data-theme-mode data-theme-position \
         data-theme-suggested-prompts data-token data-user-hash data-user-id data-user-token"
    );
    assert_eq!(
        asked(Source::Init),
        "agentId agentRef baseUrl embedKey identityToken locale projectRef publicKey theme.accent theme.accentForeground \
         theme.agentAvatar theme.agentName theme.footer theme.greeting theme.launcherLabel theme.mode theme.position \
         theme.suggestedPrompts userId userToken"
    );
    assert_eq!(
        asked(Source::Server),
        "agent.agent_avatar agent.agent_name agent.avatar_url agent.greeting agent.name agent.suggested_prompts branding.accent \
         branding.accent_color branding.accent_foreground branding.footer branding.launcher_label branding.launcher_position \
         branding.logo_url branding.mode branding.position branding.primary_color branding.privacy_notice features.realtime \
         features.upload features.voice features.widget_enabled"
    );
}

#[test]
fn each_bad_value_is_reported_once_with_its_source_and_dropped() {
    let layer = tag(&[
        ("data-embed-key", "pk live"),
        ("data-base-url", "chat.example.com"),
        ("data-locale", "not a locale"),
        ("data-theme-accent", "red"),
        ("data-theme-position", "middle"),
        ("data-theme-mode", "dark"),
    ]);
    assert_eq!(
        messages(&layer),
        [
            "data-embed-key is not a public key (pk_…)",
            "data-locale: \"not a locale\" is not a language tag like en or pt-BR",
            "data-theme-accent: \"red\" is not a colour like #2563eb",
            "data-theme-position: \"middle\" is not one of br, bl, tr, tl",
            "data-base-url: \"chat.example.com\" is not an address like https://chat.example.com",
        ]
    );
    assert_eq!(layer.get(Field::Mode), Some("dark"));
    assert_eq!(layer.get(Field::Accent), None);
    let layer = theme(&[("accent", text("red"))]);
    assert!(messages(&layer)[0].starts_with("karta(\"init\"): theme.accent: \"red\""));
    let branding = object(&[("primary_color", text("red"))]);
    let layer = Layer::read(Source::Server, &object(&[("branding", branding)]));
    assert!(messages(&layer)[0].starts_with("server config: branding.primary_color"));
    // The name that the page used, also in another dialect.
    let layer = tag(&[("data-token", "wgt?")]);
    assert_eq!(messages(&layer), ["data-token is not a public key (pk_…)"]);
}

#[test]
fn value_of_another_kind_is_refused_alone() {
    let layer = init(&[
        ("embedKey", text("pk_1")),
        ("baseUrl", Raw::Number(5.0)),
        (
            "theme",
            object(&[
                ("suggestedPrompts", Raw::Bool(true)),
                ("footer", Raw::List(vec![])),
            ]),
        ),
    ]);
    assert_eq!(layer.get(Field::EmbedKey), Some("pk_1"));
    assert_eq!(
        messages(&layer),
        [
            "karta(\"init\"): baseUrl must be a string, not a number",
            "karta(\"init\"): theme.suggestedPrompts must be an array of strings, not a boolean",
            "karta(\"init\"): theme.footer must be a string, not an array",
        ]
    );
}

#[test]
fn secret_key_is_refused_and_never_repeated() {
    for name in ["embedKey", "publicKey"] {
        let layer = init(&[(name, text(" sk_live_acme_verysecret"))]);
        assert!(layer.secret_key);
        assert_eq!(layer.get(Field::EmbedKey), None);
        assert_eq!(layer.rejected[0].code, "secret_key_in_browser");
        assert!(!layer.rejected[0].message.contains("verysecret"));
        assert!(layer.rejected[0].message.contains("public key"));
    }
}

#[test]
fn long_texts_and_lists_are_cut_and_reported() {
    let layer = theme(&[
        ("agentName", text(&"é".repeat(300))),
        ("suggestedPrompts", Raw::List(vec![text("why?\nnow"); 9])),
    ]);
    assert_eq!(layer.rejected.len(), 2);
    assert_eq!(layer.get(Field::AgentName), Some("é".repeat(100).as_str()));
    let prompts = layer
        .get(Field::SuggestedPrompts)
        .expect("the first ones stand");
    assert_eq!(prompts.lines().collect::<Vec<_>>(), ["why? now"; PROMPTS]);
}

#[test]
fn update_changes_theme_and_locale_only() {
    let layer = Layer::read(
        Source::Update,
        &object(&[
            ("locale", text("de")),
            ("embedKey", text("pk_2")),
            ("theme", object(&[("mode", text("dark"))])),
        ]),
    );
    assert_eq!(layer.get(Field::EmbedKey), None);
    assert_eq!(layer.get(Field::Locale), Some("de"));
    assert_eq!(layer.get(Field::Mode), Some("dark"));
    assert_eq!(
        messages(&layer),
        ["karta(\"update\"): embedKey cannot change; only theme and locale can"]
    );
}
