//! Fixed words, per locale. One static table a language; the launcher's two words stand apart, so that its bundle carries no others.

pub mod cut;
mod de;
mod en;
pub mod number;

/// Words of the launcher.
#[derive(Debug, PartialEq)]
pub struct LauncherWords {
    pub open_chat: &'static str,
    pub close_chat: &'static str,
}

/// Words of the panel that are not configuration.
#[derive(Debug, PartialEq)]
pub struct Words {
    /// Title where the agent has no name.
    pub assistant: &'static str,
    pub close: &'static str,
    pub send: &'static str,
    pub stop: &'static str,
    pub placeholder: &'static str,
    /// Accessible name of the message list.
    pub conversation: &'static str,
    /// Accessible name of the suggested prompts.
    pub suggestions: &'static str,
    /// Who wrote a message, for screen readers.
    pub you: &'static str,
    pub typing: &'static str,
    pub unread: &'static str,
    pub new_messages: &'static str,
    /// States of a message.
    pub not_sent: &'static str,
    pub resend: &'static str,
    pub stopped: &'static str,
    pub answer_failed: &'static str,
    pub sources: &'static str,
    pub person: &'static str,
    /// What the visitor may answer where a tool asks: yes, no.
    pub decisions: &'static str,
    /// Status line.
    pub online: &'static str,
    pub connecting: &'static str,
    pub reconnecting: &'static str,
    pub offline: &'static str,
    pub unavailable: &'static str,
    /// Banners.
    pub no_network: &'static str,
    pub unreachable: &'static str,
    pub turn_failed: &'static str,
    pub limit: &'static str,
    /// Followed by `m:ss`.
    pub limit_wait: &'static str,
    pub not_available_here: &'static str,
    pub sign_in: &'static str,
    pub identity_failed: &'static str,
    pub retry: &'static str,
    /// A call: its buttons and states.
    pub call: &'static str,
    pub end_call: &'static str,
    pub mute: &'static str,
    pub microphone: &'static str,
    pub listening: &'static str,
    pub thinking: &'static str,
    pub speaking: &'static str,
    pub muted: &'static str,
    pub mic_held: &'static str,
    pub call_ended: &'static str,
    pub sound_blocked: &'static str,
    pub hear: &'static str,
    /// Said of the launcher while a call goes on behind it.
    pub call_runs: &'static str,
    /// Said of a line that was not typed.
    pub spoken: &'static str,
    /// Why there is no call, by [`CallEnd`].
    pub call_ends: [&'static str; 14],
}

impl Words {
    /// None: nothing needs to be said.
    pub fn why(&self, end: CallEnd) -> Option<&'static str> {
        self.call_ends.get(end as usize).copied()
    }
}

/// Why there is no call. Up to `Failed` something went wrong, and pages hear of it as an error, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum CallEnd {
    Denied,
    Forbidden,
    Missing,
    Busy,
    Lost,
    Insecure,
    NoWebrtc,
    Connection,
    Unavailable,
    Crowded,
    Failed,
    Idle,
    TooLong,
    TakenOver,
    /// The composer says it, with the time that is left.
    Limit,
}

/// The visitor's best language that has words; English where none has.
pub fn choose(languages: &[String]) -> &str {
    languages
        .iter()
        .map(String::as_str)
        .find(|tag| matches!(language(tag), "en" | "de"))
        .unwrap_or("en")
}

pub fn words(locale: &str) -> &'static Words {
    match language(locale) {
        "de" => &de::WORDS,
        _ => &en::WORDS,
    }
}

pub fn launcher_words(locale: &str) -> &'static LauncherWords {
    match language(locale) {
        "de" => &de::LAUNCHER,
        _ => &en::LAUNCHER,
    }
}

/// Scripts written from right to left.
pub fn is_rtl(locale: &str) -> bool {
    matches!(
        language(locale),
        "ar" | "dv" | "fa" | "he" | "iw" | "ps" | "sd" | "ug" | "ur" | "yi"
    )
}

/// `de-AT` → `de`. Tags are compared as browsers write them: the language in lower case.
fn language(tag: &str) -> &str {
    let end = tag.bytes().position(|byte| matches!(byte, b'-' | b'_'));
    end.and_then(|end| tag.get(..end)).unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_language_with_words_is_chosen() {
        let check = |languages: &[&str], expected: &str| {
            let languages: Vec<String> = languages.iter().map(|tag| String::from(*tag)).collect();
            assert_eq!(choose(&languages), expected);
        };
        check(&["de-AT", "en"], "de-AT");
        check(&["fr-FR", "de"], "de");
        check(&["ja"], "en");
        check(&[], "en");
    }

    #[test]
    fn direction_follows_the_language() {
        assert!(is_rtl("ar-EG") && is_rtl("he") && !is_rtl("en") && !is_rtl(""));
    }
}
