//! `data-*` of the script tag → [`Layer`]. All three dialects' names are read, so that a tag pasted from any of the documents
//! works; the first name of a line wins. Values are taken as they are: `config::resolve` checks them.

use crate::engine::command::{Identity, Secret};
use crate::engine::config::{Layer, ThemeLayer};

/// Every attribute that is read, without the `data-` in front. For the documentation and its test.
pub const NAMES: [&str; 23] = [
    "embed-key",
    "client-key",
    "token",
    "base-url",
    "project",
    "agent",
    "agent-ref",
    "locale",
    "user-id",
    "identity-token",
    "user-hash",
    "user-token",
    "theme-accent",
    "theme-accent-foreground",
    "theme-agent-name",
    "theme-agent-avatar",
    "theme-greeting",
    "theme-suggested-prompts",
    "theme-footer",
    "theme-position",
    "theme-mode",
    "theme-launcher-label",
    "theme-locale",
];

/// Reads the tag. `get` is given the full name (`data-embed-key`) and answers the attribute's value.
pub fn read(get: &dyn Fn(&str) -> Option<String>) -> Layer {
    let one = |name: &str| -> Option<String> {
        let mut full = String::from("data-");
        full.push_str(name);
        // An empty attribute is what a template leaves where it had nothing to say.
        get(&full).filter(|value| !value.trim().is_empty())
    };
    let first = |names: &[&str]| names.iter().find_map(|name| one(name));

    let identity = Identity {
        user_id: one("user-id"),
        identity_token: first(&["identity-token", "user-hash"]).map(Secret),
        user_token: one("user-token").map(Secret),
        attributes: Vec::new(),
    };
    Layer {
        embed_key: first(&["embed-key", "client-key", "token"]),
        base_url: one("base-url"),
        project_ref: one("project"),
        agent_ref: first(&["agent", "agent-ref"]),
        locale: first(&["locale", "theme-locale"]),
        theme: ThemeLayer {
            accent: one("theme-accent"),
            accent_foreground: one("theme-accent-foreground"),
            agent_name: one("theme-agent-name"),
            agent_avatar: one("theme-agent-avatar"),
            greeting: one("theme-greeting"),
            suggested_prompts: one("theme-suggested-prompts").map(|list| prompts(&list)),
            footer: one("theme-footer"),
            position: one("theme-position"),
            mode: one("theme-mode"),
            launcher_label: one("theme-launcher-label"),
            ..ThemeLayer::default()
        },
        identity: (identity != Identity::default()).then_some(identity),
    }
}

/// `First question|Second question`, or one a line.
fn prompts(list: &str) -> Vec<String> {
    list.split(['|', '\n'])
        .map(str::trim)
        .filter(|prompt| !prompt.is_empty())
        .map(String::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(pairs: &[(&str, &str)]) -> Layer {
        let pairs: Vec<(String, String)> = pairs
            .iter()
            .map(|(name, value)| (String::from(*name), String::from(*value)))
            .collect();
        read(&|name| {
            pairs
                .iter()
                .find(|(have, _)| have == name)
                .map(|(_, value)| value.clone())
        })
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
        assert_eq!(layer.embed_key.as_deref(), Some("pk_live_xxx"));
        assert_eq!(layer.project_ref.as_deref(), Some("coffeeco/support-bot"));
        assert_eq!(layer.base_url.as_deref(), Some("https://agent.karta.sh"));
        assert_eq!(layer.theme.accent.as_deref(), Some("#d4ff4f"));
        assert_eq!(
            layer.theme.suggested_prompts,
            Some(vec!["Opening hours?".into(), "Where are you?".into()])
        );
        let identity = layer.identity.expect("the tag names a user");
        assert_eq!(identity.user_id.as_deref(), Some("u_123"));
        assert_eq!(identity.identity_token, Some(Secret("abc".into())));
    }

    #[test]
    fn names_of_the_other_dialects_mean_the_same() {
        for name in ["data-embed-key", "data-client-key", "data-token"] {
            assert_eq!(
                tag(&[(name, "pk_1")]).embed_key.as_deref(),
                Some("pk_1"),
                "{name}"
            );
        }
        let hashed = tag(&[("data-user-id", "j"), ("data-user-hash", "ff")]);
        let identity = hashed.identity.expect("the tag names a user");
        assert_eq!(identity.identity_token, Some(Secret("ff".into())));
        assert_eq!(
            tag(&[("data-agent", "a_1")]).agent_ref.as_deref(),
            Some("a_1")
        );
    }

    #[test]
    fn empty_attributes_are_absent() {
        assert_eq!(
            tag(&[("data-embed-key", " "), ("data-user-id", "")]),
            Layer::default()
        );
    }

    #[test]
    fn only_names_of_the_frozen_list_are_asked_for() {
        let asked = std::cell::RefCell::new(Vec::new());
        read(&|name| {
            asked.borrow_mut().push(String::from(name));
            None
        });
        let mut asked = asked.into_inner();
        asked.sort();
        let mut names: Vec<String> = NAMES.iter().map(|name| ["data-", name].concat()).collect();
        names.sort();
        assert_eq!(asked, names);
    }
}
