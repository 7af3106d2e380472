//! `GET /config`: asked, awaited for a moment, asked again; and what phase follows from its answer.

use super::core::Cx;
use super::stage::{SWITCHED_OFF, Stage};
use super::verdict::{Verdict, judge};
use crate::engine::config::{Field, Layer, Source};
use crate::engine::effect::{Body, Effect, Expect, Failure, Method, Reply, Timer};
use crate::engine::error::SECRET_KEY;
use crate::engine::limits::{CONFIG_DEADLINE_MS, CONFIG_RETRY_CAP_MS, CONFIG_RETRY_FIRST_MS};
use karta_protocol::ErrorCode;

impl Stage {
    /// With the layers as they are now: what phase follows? Called at boot, after `init` and when starting again.
    pub fn start(
        &mut self,
        prefetched: Option<(String, Result<Box<Layer>, Failure>)>,
        cx: &mut Cx<'_>,
    ) {
        if cx.core.layers.has_secret_key() {
            self.hide(cx);
            cx.fail(
                SECRET_KEY,
                "this page holds a secret key (sk_…). Use the public key (pk_…) and rotate the secret one",
                "",
            );
            return;
        }
        let Some(url) = cx.core.config.config_url() else {
            self.expect_config(cx);
            return;
        };
        if cx.core.fetch.url == url {
            if cx.core.fetch.switched_off {
                self.hide(cx);
            } else if cx.core.fetch.settled || cx.core.fetch.backoff.failures() > 0 {
                self.show_launcher(cx);
            }
            return;
        }
        cx.core.choose_record();
        cx.core.halt = None;
        cx.core.fetch.url = url;
        cx.core.fetch.settled = false;
        cx.core.fetch.switched_off = false;
        cx.core.fetch.backoff.succeed();
        match prefetched.filter(|(asked, _)| *asked == cx.core.fetch.url) {
            Some((_, result)) => self.config_replied(result.map(Reply::Config), cx),
            None => {
                ask_config(cx);
                self.expect_config(cx);
            }
        }
    }

    /// Waits for config, but not for ever.
    pub fn expect_config(&self, cx: &mut Cx<'_>) {
        cx.core.deadline = Some(cx.now + CONFIG_DEADLINE_MS);
        if cx.core.unsettled.is_none() {
            cx.timer(Timer::ConfigDeadline, CONFIG_DEADLINE_MS);
        }
    }

    pub fn config_replied(&mut self, result: Result<Reply, Failure>, cx: &mut Cx<'_>) {
        cx.core.fetch.asked = None;
        match result {
            Ok(Reply::Config(mut config)) => {
                cx.core.fetch.settled = true;
                if config.get(Field::WidgetEnabled).is_none() {
                    self.switched_off(cx);
                    return;
                }
                let rejections = std::mem::take(&mut config.rejected);
                cx.core.layers.set(Source::Server, *config);
                cx.core.resolve();
                cx.reject(rejections);
            }
            Ok(_) => retry_config(None, cx),
            Err(failure) => match judge(&failure) {
                Verdict::Halt(code) if code == ErrorCode::WidgetDisabledForAgent.as_str() => {
                    cx.core.fetch.settled = true;
                    self.switched_off(cx);
                    return;
                }
                Verdict::Halt(code) => {
                    cx.core.fetch.settled = true;
                    cx.halt(code, &failure.message);
                }
                _ => retry_config(failure.retry_after_seconds, cx),
            },
        }
        match self {
            Stage::Waiting(_) => self.show_launcher(cx),
            Stage::Panel(panel) => panel.config_changed(cx),
            Stage::Asleep(_) | Stage::Launcher | Stage::Hidden | Stage::Stopped => {}
        }
    }

    pub fn config_is_late(&mut self, cx: &mut Cx<'_>) {
        let Stage::Waiting(calls) = self else { return };
        let Some(deadline) = cx.core.deadline else {
            return;
        };
        if cx.now < deadline {
            cx.timer(Timer::ConfigDeadline, deadline - cx.now);
            return;
        }
        cx.core.deadline = None;
        if cx.core.config.key().is_some() {
            self.show_launcher(cx);
        } else if !calls.is_empty() {
            cx.warn_once(
                ErrorCode::ClientKeyMissing.as_str(),
                "there is no embed key yet: put data-embed-key on the script tag or call karta(\"init\", { embedKey })",
            );
        }
    }

    pub fn switched_off(&mut self, cx: &mut Cx<'_>) {
        cx.core.fetch.switched_off = true;
        if let Stage::Panel(panel) = self {
            panel.stop(cx);
        }
        self.hide(cx);
        cx.run(Effect::Unmount);
        let code = ErrorCode::WidgetDisabledForAgent.as_str();
        cx.warn_once(code, SWITCHED_OFF);
        cx.fail(code, SWITCHED_OFF, "");
    }
}

pub(super) fn ask_config(cx: &mut Cx<'_>) {
    if cx.core.fetch.asked.is_some() || cx.core.fetch.settled {
        return;
    }
    cx.clear(Timer::Config);
    let url = cx.core.fetch.url.clone();
    let id = cx.http(Method::Get, url, None, Body::None, Expect::Config, false);
    cx.core.fetch.asked = Some(id);
}

fn retry_config(retry_after_seconds: Option<u32>, cx: &mut Cx<'_>) {
    let failures = cx.core.fetch.backoff.failures();
    let _ = cx.core.fetch.backoff.fail(&mut cx.core.random);
    let step = (CONFIG_RETRY_FIRST_MS << failures.min(16)).min(CONFIG_RETRY_CAP_MS);
    let asked = u64::from(retry_after_seconds.unwrap_or(0)) * 1_000;
    let delay = step / 2 + cx.core.random.below(step);
    cx.timer(Timer::Config, delay.max(asked.min(CONFIG_RETRY_CAP_MS)));
}
