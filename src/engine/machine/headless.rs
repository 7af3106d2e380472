//! For a page that draws the conversation by itself: what it is shown, read from the state, and what its own elements order.

use super::Machine;
use super::Ui;
use super::core::{Core, Cx};
use super::panel::Panel;
use super::stage::Stage;
use super::view::refusal;
use super::voice::{Voice, code, may_talk};
use crate::engine::command::Intent;
use crate::engine::error::SECRET_KEY;
use crate::engine::state::{self, Agent, Captions, Limit, State, ToolRequest, Trouble};
use crate::engine::text::cut::each;
use karta_protocol::ErrorCode;

/// There is no code for a network that is away: the server has not said anything.
const UNREACHABLE: &str = "unreachable";

impl Stage {
    pub fn intent(&mut self, intent: Intent, cx: &mut Cx<'_>) {
        if intent == Intent::Connect {
            self.mount(cx);
        }
        if let Stage::Panel(panel) = self {
            panel.intent(intent, cx);
        }
    }
}

impl Panel {
    fn intent(&mut self, intent: Intent, cx: &mut Cx<'_>) {
        match intent {
            // As the button of the prebuilt panel's banner, but that it never begins a call.
            Intent::Retry => {
                self.forget_call(cx);
                self.try_again(cx);
            }
            Intent::Stop => self.ui(Ui::StopPressed, cx),
            Intent::Resend(key) => self.ui(Ui::ResendPressed(key), cx),
            Intent::Confirm { request, allow } => {
                // Another one may ask by now: the visitor has not answered that.
                if self.log.asking().is_some_and(|item| item.id == request) {
                    self.ui(Ui::PromptPressed(usize::from(!allow)), cx);
                }
            }
            Intent::Hear => self.hear(cx),
            Intent::Connect => {}
        }
        self.tell_connection(cx);
    }
}

impl Machine {
    /// What the page is shown.
    pub fn state(&self) -> State<'_> {
        let core = &self.core;
        let panel = match &self.stage {
            Stage::Panel(panel) => Some(&**panel),
            Stage::Asleep(_)
            | Stage::Waiting(_)
            | Stage::Launcher
            | Stage::Hidden
            | Stage::Stopped => None,
        };
        let enabled = panel.is_some_and(|panel| panel.limit.is_none()) && core.halt.is_none();
        let asking = panel.and_then(|panel| panel.log.asking());
        let mut prompts = Vec::new();
        if panel.is_some_and(|panel| panel.log.is_empty() && enabled) {
            each(core.config.prompts(), b'\n', &mut |prompt| {
                prompts.push(prompt);
            });
        }
        State {
            connection: panel.map_or("idle", |panel| panel.connection(core)),
            session_id: panel.and_then(Panel::session_id),
            open: panel.is_some_and(Panel::is_open),
            agent: Agent::of(&core.config, core.words.assistant),
            locale: core.config.locale(),
            items: panel.map_or(&[], |panel| panel.log.items()),
            typing: panel.is_some_and(|panel| panel.log.typing()) && core.halt.is_none(),
            answering: panel.is_some_and(|panel| panel.log.running()),
            unread: panel.map_or(0, |panel| panel.unread),
            prompts,
            tool: asking.map(ToolRequest::of),
            can_send: enabled,
            offers_person: panel.is_some_and(|panel| panel.offers_person(core)),
            limit: panel
                .and_then(|panel| panel.limit.as_ref())
                .map(|limit| Limit {
                    retry_after_seconds: limit.until.map(|_| limit.left_seconds),
                }),
            error: self.trouble(panel),
            voice: voice(panel, core, enabled),
        }
    }

    /// The most serious thing.
    fn trouble(&self, panel: Option<&Panel>) -> Option<Trouble<'_>> {
        let core = &self.core;
        let words = core.words;
        let refused = match self.stage {
            Stage::Hidden if core.layers.has_secret_key() => Some(SECRET_KEY),
            Stage::Hidden => Some(ErrorCode::WidgetDisabledForAgent.as_str()),
            _ => core.halt,
        };
        let (code, message) = if let Some(code) = refused {
            (code, refusal(code, words))
        } else if panel.is_some_and(|panel| panel.is_out(core)) {
            (UNREACHABLE, words.unreachable)
        } else if panel.is_some_and(|panel| panel.failed_turn) {
            (ErrorCode::AgentFailed.as_str(), words.turn_failed)
        } else {
            return None;
        };
        Some(Trouble {
            code,
            message,
            fatal: refused.is_some(),
        })
    }
}

fn voice<'a>(panel: Option<&'a Panel>, core: &Core, enabled: bool) -> state::Voice<'a> {
    let call = panel.and_then(|panel| panel.voice.call());
    state::Voice {
        available: enabled && core.webrtc && core.microphone && may_talk(&core.config),
        phase: call.map_or("off", |call| call.state(core.words).0),
        muted: call.is_some_and(|call| call.muted),
        seconds: call.map_or(0, |call| call.seconds),
        blocked: call.is_some_and(|call| call.blocked),
        captions: match panel {
            Some(panel) if panel.voice.is_on() => Captions::of(panel.log.items()),
            _ => Captions::default(),
        },
        ended: match panel.map(|panel| &panel.voice) {
            Some(Voice::Over(end)) => Some(code(*end)),
            Some(Voice::On(_) | Voice::Off) | None => None,
        },
    }
}
