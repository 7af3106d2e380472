//! Reads one flag or variable after the other, and collects what is wrong with them.

use crate::agent::openai::{OpenAiConfig, Secret};
use crate::auth::limit::{RULES, Rate, Rates};
use crate::ice::{self, IceServers, IceUrl};
use crate::voice::engine::openai::VoiceConfig;
use crate::voice::realtime::openai::OpenAiRealtimeConfig;
use crate::voice::realtime::pipecat::PipecatConfig;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use tracing_subscriber::EnvFilter;

pub const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";
/// Where a key is set and no model named: the provider's small one.
pub const OPENAI_MODEL: &str = "gpt-4o-mini";
pub const OPENAI_STT_MODEL: &str = "gpt-4o-mini-transcribe";
pub const OPENAI_TTS_MODEL: &str = "gpt-4o-mini-tts";
pub const OPENAI_TTS_VOICE: &str = "alloy";
pub const OPENAI_REALTIME_MODEL: &str = "gpt-realtime";
pub const OPENAI_REALTIME_VOICE: &str = "marin";

pub struct Reader {
    pub variables: BTreeMap<String, String>,
    pub problems: Vec<String>,
}

/// Whoever guesses it can ask every tool for anything.
const TOOL_SECRET_MIN: usize = 32;

impl Reader {
    pub fn get(&self, name: &str) -> Option<String> {
        self.variables
            .get(name)
            .map(|value| value.trim().to_owned())
    }

    fn wrong(&mut self, name: &str, problem: impl Display) {
        self.problems.push(format!("{name}: {problem}"));
    }

    pub fn socket(&mut self, name: &str, text: &str) -> SocketAddr {
        text.trim().parse().unwrap_or_else(|_| {
            self.wrong(
                name,
                format!("`{text}` is not an address with a port, like 127.0.0.1:8787 or [::]:8787"),
            );
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    pub fn list<T: FromStr>(&mut self, name: &str, example: &str) -> Vec<T> {
        let text = self.get(name).unwrap_or_default();
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let mut values = Vec::new();
        for item in items {
            match item.parse() {
                Ok(value) => values.push(value),
                Err(_) => self.wrong(
                    name,
                    format!("`{item}` is not {example}; separate several by commas"),
                ),
            }
        }
        values
    }

    pub fn ice(&mut self) -> IceServers {
        let urls: Vec<IceUrl> = self.list(
            "KARTA_ICE_SERVERS",
            "an address like turn:turn.example.com:3478?transport=udp or stun:stun.example.com",
        );
        let secret = self.get("KARTA_TURN_SECRET").map(Secret::new);
        match (urls.iter().any(IceUrl::relays), &secret) {
            (true, None) => self.wrong(
                "KARTA_TURN_SECRET",
                "is missing, but KARTA_ICE_SERVERS has a turn: address; write coturn's static-auth-secret",
            ),
            (false, Some(_)) => self.wrong(
                "KARTA_ICE_SERVERS",
                "has no turn: address for KARTA_TURN_SECRET",
            ),
            (true, Some(_)) | (false, None) => {}
        }
        let lifetime_s = self.count("KARTA_TURN_LIFETIME", ice::LIFETIME_S, ice::LIFETIME_MAX_S);
        IceServers {
            urls,
            secret,
            lifetime_s: lifetime_s as u64,
        }
    }

    pub fn rates(&mut self) -> Rates {
        let mut rates = match self.get("KARTA_LIMITS").as_deref() {
            None | Some("on") => Rates::default(),
            Some("off") => Rates::off(),
            Some(other) => {
                self.wrong("KARTA_LIMITS", format!("`{other}` is neither on nor off"));
                Rates::default()
            }
        };
        let named: Vec<(String, String)> = self
            .variables
            .iter()
            .filter(|(name, _)| name.starts_with("KARTA_LIMIT_"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        for (name, value) in named {
            let rule = name.trim_start_matches("KARTA_LIMIT_");
            if !RULES.iter().any(|known| known.2 == rule) {
                let known: Vec<&str> = RULES.iter().map(|rule| rule.2).collect();
                self.wrong(
                    &name,
                    format!("no such limit; there are KARTA_LIMIT_ {}", known.join(", ")),
                );
                continue;
            }
            match Rate::parse(&value) {
                Ok(rate) => rates.set(rule, rate),
                Err(problem) => self.wrong(&name, problem),
            }
        }
        rates
    }

    pub fn count(&mut self, name: &str, default: usize, max: usize) -> usize {
        self.number(name, default, 1..=max)
    }

    pub fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        let Some(text) = self.get(name) else {
            return default;
        };
        match text.parse() {
            Ok(n) if range.contains(&n) => n,
            _ => {
                let (min, max) = range.into_inner();
                self.wrong(
                    name,
                    format!("`{text}` is not a number from {min} to {max}"),
                );
                default
            }
        }
    }

    /// Many compatible servers have no speech. One that is not the vendor's own is asked only where its models are named.
    pub fn voice(&self, openai: Option<&OpenAiConfig>) -> Option<VoiceConfig> {
        let openai = openai?;
        let (stt, tts) = (self.get("OPENAI_STT_MODEL"), self.get("OPENAI_TTS_MODEL"));
        let vendor = openai.base_url.starts_with(OPENAI_BASE_URL);
        if !vendor && (stt.is_none() || tts.is_none()) {
            return None;
        }
        Some(VoiceConfig {
            base_url: openai.base_url.clone(),
            api_key: openai.api_key.clone(),
            stt_model: stt.unwrap_or_else(|| OPENAI_STT_MODEL.to_owned()),
            tts_model: tts.unwrap_or_else(|| OPENAI_TTS_MODEL.to_owned()),
            voice: self
                .get("OPENAI_TTS_VOICE")
                .unwrap_or_else(|| OPENAI_TTS_VOICE.to_owned()),
        })
    }

    pub fn openai(&mut self) -> Option<OpenAiConfig> {
        let base_url = self.get("OPENAI_BASE_URL");
        let api_key = self.get("OPENAI_API_KEY");
        if base_url.is_none() && api_key.is_none() {
            return None;
        }
        let base_url = base_url.unwrap_or_else(|| OPENAI_BASE_URL.to_owned());
        self.address("OPENAI_BASE_URL", &base_url, OPENAI_BASE_URL);
        let api_key = api_key.map(|key| self.key("OPENAI_API_KEY", key));
        let tool_secret = self.tool_secret();
        Some(OpenAiConfig {
            tool_secret,
            base_url,
            api_key,
            model: self
                .get("OPENAI_MODEL")
                .unwrap_or_else(|| OPENAI_MODEL.to_owned()),
        })
    }

    fn tool_secret(&mut self) -> Option<Secret> {
        let secret = self.get("KARTA_TOOL_SECRET")?;
        if secret.len() < TOOL_SECRET_MIN {
            self.wrong(
                "KARTA_TOOL_SECRET",
                format!("is shorter than {TOOL_SECRET_MIN} characters, so it can be guessed; make one with: openssl rand -hex 32"),
            );
        }
        Some(Secret::new(secret))
    }

    pub fn pipecat(&mut self) -> Option<PipecatConfig> {
        let url = self.get("KARTA_PIPECAT_URL");
        let key = self.get("KARTA_PIPECAT_KEY");
        let key = key.map(|key| self.key("KARTA_PIPECAT_KEY", key));
        let url = self.address("KARTA_PIPECAT_URL", &url?, "http://127.0.0.1:7860")?;
        Some(PipecatConfig { url, key })
    }

    /// As with speech, a server that is not the vendor's own is asked only where its model is named.
    pub fn openai_realtime(
        &mut self,
        openai: Option<&OpenAiConfig>,
    ) -> Option<OpenAiRealtimeConfig> {
        let own = self.get("OPENAI_REALTIME_BASE_URL");
        let own_key = self.get("OPENAI_REALTIME_API_KEY");
        let own_key = own_key.map(|key| self.key("OPENAI_REALTIME_API_KEY", key));
        let model = self.get("OPENAI_REALTIME_MODEL");
        let (base, key) = match (&own, openai) {
            // A key goes to the address that it was given for, and nowhere else.
            (Some(own), _) => (own.as_str(), own_key),
            (None, Some(openai)) => (&*openai.base_url, own_key.or(openai.api_key.clone())),
            (None, None) => (OPENAI_BASE_URL, Some(own_key?)),
        };
        let url = match &own {
            Some(own) => self.address("OPENAI_REALTIME_BASE_URL", own, OPENAI_BASE_URL)?,
            // One that is wrong has been told already.
            None => url::Url::parse(base).ok()?,
        };
        if !base.starts_with(OPENAI_BASE_URL) && model.is_none() {
            return None;
        }
        let text = |name: &str, default: &str| self.get(name).unwrap_or_else(|| default.to_owned());
        Some(OpenAiRealtimeConfig {
            url,
            key,
            model: model.unwrap_or_else(|| OPENAI_REALTIME_MODEL.to_owned()),
            voice: text("OPENAI_REALTIME_VOICE", OPENAI_REALTIME_VOICE),
            transcriber: text("OPENAI_STT_MODEL", OPENAI_STT_MODEL),
        })
    }

    /// None: none that can be called, which is told.
    fn address(&mut self, name: &str, text: &str, example: &str) -> Option<url::Url> {
        let url = url::Url::parse(text).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if url.is_none() {
            // Not shown: people paste keys into the wrong variable.
            self.wrong(name, format!("is not a web address like {example}"));
        }
        url
    }

    fn key(&mut self, name: &str, key: String) -> Secret {
        if key.chars().any(|c| !c.is_ascii_graphic()) {
            self.wrong(name, "holds spaces or other characters that no key has");
        }
        Secret::new(key)
    }

    pub fn log(&mut self) -> String {
        let filter = self.get("KARTA_LOG").unwrap_or_else(|| "info".to_owned());
        if EnvFilter::try_new(&filter).is_err() {
            self.wrong(
                "KARTA_LOG",
                format!("`{filter}` is not a filter like info or karta_server=debug,warn"),
            );
        }
        filter
    }

    pub fn log_json(&mut self) -> bool {
        match self.get("KARTA_LOG_FORMAT").as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => {
                self.wrong(
                    "KARTA_LOG_FORMAT",
                    format!("`{other}` is neither text nor json"),
                );
                false
            }
        }
    }
}
