//! What the screen should show, read from the state. Decides nothing that the state does not say already.

use super::Machine;
use super::core::Core;
use super::panel::Panel;
use super::stage::Stage;
use super::voice::{Voice, may_talk};
use crate::engine::config::Field;
use crate::engine::text::Words;
use crate::engine::view_model::{
    BannerView, CallView, ComposerView, LauncherView, PanelView, Tone, ViewModel,
};
use karta_protocol::MESSAGE_MAX_BYTES;
use std::borrow::Cow;

impl Machine {
    pub fn view(&self) -> ViewModel<'_> {
        let core = &self.core;
        let (launcher, panel) = match &self.stage {
            Stage::Asleep(_) | Stage::Waiting(_) | Stage::Hidden | Stage::Stopped => (None, None),
            Stage::Launcher => (Some(core.config.launcher(0, false)), None),
            Stage::Panel(panel) => (
                Some(LauncherView {
                    call: panel.voice.is_on(),
                    ..core.config.launcher(panel.unread, panel.is_open())
                }),
                Some(panel.view(core)),
            ),
        };
        ViewModel {
            launcher,
            panel,
            theme: core.config.theme(),
        }
    }
}

impl Panel {
    fn view<'a>(&'a self, core: &'a Core) -> PanelView<'a> {
        let (config, words) = (&core.config, core.words);
        let (status, status_tone) = self.status(core);
        let enabled = self.limit.is_none() && core.halt.is_none();
        PanelView {
            open: self.open,
            title: config.get(Field::AgentName).unwrap_or(words.assistant),
            avatar_url: config
                .get(Field::AgentAvatar)
                .or(config.get(Field::LogoUrl)),
            status,
            status_tone,
            items: self.log.items(),
            typing: self.log.typing() && core.halt.is_none(),
            banner: self.banner(core),
            call: self.call_view(core),
            prompts: if self.log.asking().is_some() {
                words.decisions
            } else if self.log.is_empty() && enabled {
                config.prompts()
            } else {
                ""
            },
            prompted: self
                .log
                .asking()
                .map_or(words.suggestions, |item| &item.text),
            composer: ComposerView {
                placeholder: words.placeholder,
                enabled,
                max_bytes: MESSAGE_MAX_BYTES,
                can_stop: self.log.running(),
                can_talk: enabled && core.webrtc && core.microphone && may_talk(config),
            },
            footer: config.get(Field::Footer),
            privacy_notice: config.get(Field::PrivacyNotice),
            offer_person: self.offers_person(core),
            words,
        }
    }

    fn call_view(&self, core: &Core) -> Option<CallView> {
        let call = self.voice.call()?;
        Some(CallView {
            state: call.state(core.words),
            time: match call.since {
                Some(_) => countdown("", call.seconds),
                None => String::new(),
            },
            muted: call.muted,
        })
    }

    fn status(&self, core: &Core) -> (&'static str, Tone) {
        let words = core.words;
        if core.halt.is_some() {
            return (words.unavailable, Tone::Bad);
        }
        match self.connection(core) {
            "connecting" => (words.connecting, Tone::Busy),
            "reconnecting" => (words.reconnecting, Tone::Busy),
            "offline" => (words.offline, Tone::Bad),
            _ => (words.online, Tone::Good),
        }
    }

    /// The most serious thing first.
    fn banner<'a>(&'a self, core: &'a Core) -> Option<BannerView<'a>> {
        let words = core.words;
        if let Some(code) = core.halt {
            return Some(banner(Tone::Bad, refusal(code, words), None));
        }
        if let Some(limit) = &self.limit {
            return Some(match limit.until {
                Some(_) => BannerView {
                    tone: Tone::Busy,
                    text: Cow::Owned(countdown(words.limit_wait, limit.left_seconds)),
                    retry: None,
                },
                None => banner(Tone::Busy, words.limit, None),
            });
        }
        match &self.voice {
            Voice::Over(end) => {
                let text = words.why(*end).unwrap_or_default();
                return Some(banner(Tone::Busy, text, Some(words.retry)));
            }
            Voice::On(call) if call.blocked => {
                return Some(banner(Tone::Busy, words.sound_blocked, Some(words.hear)));
            }
            Voice::On(_) | Voice::Off => {}
        }
        if !core.online {
            return Some(banner(Tone::Bad, words.no_network, None));
        }
        if self.is_out(core) {
            return Some(banner(Tone::Bad, words.unreachable, Some(words.retry)));
        }
        if self.failed_turn {
            return Some(banner(Tone::Bad, words.turn_failed, Some(words.retry)));
        }
        None
    }

    /// The server has not answered more than once: worth words.
    pub fn is_out(&self, core: &Core) -> bool {
        let failures = self.link.backoff.failures();
        let stuck = !self.outbox.messages().is_empty();
        let connected = matches!(self.connection(core), "connected" | "realtime");
        failures >= 2 && (!connected || stuck) || failures >= 1 && self.link.session_id().is_none()
    }

    /// State of the `connection` event.
    pub fn connection(&self, core: &Core) -> &'static str {
        let failures = self.link.backoff.failures();
        if core.halt.is_some() || !core.online {
            "offline"
        } else if self.peer.is_synced() {
            "realtime"
        } else if self.link.is_live() {
            "connected"
        } else if failures >= 3 {
            "offline"
        } else if self.link.was_connected || failures > 0 {
            "reconnecting"
        } else {
            "connecting"
        }
    }
}

/// What the visitor reads where the server refuses for good.
#[inline(always)]
pub(super) fn refusal(code: &str, words: &Words) -> &'static str {
    match code {
        "guest_not_allowed" => words.sign_in,
        "identity_invalid" | "identity_mismatch" | "token_expired" | "token_invalid"
        | "token_used" => words.identity_failed,
        _ => words.not_available_here,
    }
}

fn banner<'a>(tone: Tone, text: &'a str, retry: Option<&'a str>) -> BannerView<'a> {
    BannerView {
        tone,
        text: Cow::Borrowed(text),
        retry,
    }
}

/// `… 1:05`, `… 2:00:00`.
fn countdown(words: &str, seconds: u64) -> String {
    use crate::engine::text::number::push;
    let mut text = String::from(words);
    let two = |text: &mut String, value: u64| {
        if value < 10 {
            text.push('0');
        }
        push(text, value);
    };
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        push(&mut text, hours);
        text.push(':');
        two(&mut text, minutes);
    } else {
        push(&mut text, minutes);
    }
    text.push(':');
    two(&mut text, seconds);
    text
}

#[cfg(test)]
mod tests {
    use super::countdown;

    #[test]
    fn countdown_reads_like_a_clock() {
        for (seconds, expected) in [
            (0, "0:00"),
            (5, "0:05"),
            (65, "1:05"),
            (3_600, "1:00:00"),
            (86_400, "24:00:00"),
        ] {
            assert_eq!(countdown("", seconds), expected);
        }
    }
}
