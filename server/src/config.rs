//! Flags and environment → [`Config`], valid by construction. Everything that is wrong is reported at once, each with its name and
//! what to write instead; nothing is guessed.

use crate::agent::openai::{OpenAiConfig, Secret};
use crate::auth::address::Cidr;
use crate::auth::limit::{RULES, Rate, Rates};
use crate::cli::ServeArgs;
use crate::ice::{self, IceServers, IceUrl};
use crate::voice::CALLS_MAX;
use crate::voice::engine::openai::VoiceConfig;
use crate::voice::realtime::openai::OpenAiRealtimeConfig;
use crate::voice::realtime::pipecat::PipecatConfig;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;

/// Two file descriptors a connection at most, far below what systemd gives a service.
const MAX_CONNECTIONS: usize = 10_000;
const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";
/// Where a key is set and no model named: the provider's small one.
const OPENAI_MODEL: &str = "gpt-4o-mini";
const OPENAI_STT_MODEL: &str = "gpt-4o-mini-transcribe";
const OPENAI_TTS_MODEL: &str = "gpt-4o-mini-tts";
const OPENAI_TTS_VOICE: &str = "alloy";
const OPENAI_REALTIME_MODEL: &str = "gpt-realtime";
const OPENAI_REALTIME_VOICE: &str = "marin";

/// How the server runs.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub udp_listen: SocketAddr,
    pub data_dir: PathBuf,
    /// `KARTA_RTC_PUBLIC_IP`.
    pub public_ips: Vec<IpAddr>,
    /// `KARTA_ICE_SERVERS`, `KARTA_TURN_SECRET`, `KARTA_TURN_LIFETIME`.
    pub ice: IceServers,
    /// `KARTA_TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<Cidr>,
    /// `KARTA_LIMITS`, `KARTA_LIMIT_…`.
    pub rates: Rates,
    /// `KARTA_MAX_CONNECTIONS`.
    pub max_connections: usize,
    /// `KARTA_METRICS_LISTEN`.
    pub metrics_listen: Option<SocketAddr>,
    /// `OPENAI_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_MODEL`.
    pub openai: Option<OpenAiConfig>,
    /// The same provider, `OPENAI_STT_MODEL`, `OPENAI_TTS_MODEL`, `OPENAI_TTS_VOICE`.
    pub voice: Option<VoiceConfig>,
    /// `KARTA_PIPECAT_URL`, `KARTA_PIPECAT_KEY`.
    pub pipecat: Option<PipecatConfig>,
    /// `OPENAI_REALTIME_MODEL`, `OPENAI_REALTIME_VOICE`, and the provider's address and key unless it has its own
    /// (`OPENAI_REALTIME_BASE_URL`, `OPENAI_REALTIME_API_KEY`).
    pub openai_realtime: Option<OpenAiRealtimeConfig>,
    /// `KARTA_MAX_CALLS`.
    pub max_calls: usize,
    /// `KARTA_LOG`: a tracing filter.
    pub log: String,
    /// `KARTA_LOG_FORMAT`: `text` or `json`.
    pub log_json: bool,
}

impl Config {
    /// Flags have taken their own variables already (`cli`); `variables` is the whole environment.
    pub fn read(
        flags: &ServeArgs,
        data_dir: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, Vec<String>> {
        let mut reader = Reader {
            // An empty variable is how a shell script unsets one.
            variables: variables
                .into_iter()
                .filter(|(_, value)| !value.trim().is_empty())
                .collect(),
            problems: Vec::new(),
        };
        let listen = reader.socket("--listen (KARTA_LISTEN)", &flags.listen);
        let udp_listen = reader.socket("--udp-listen (KARTA_UDP_LISTEN)", &flags.udp_listen);
        let openai = reader.openai();
        let config = Config {
            voice: reader.voice(openai.as_ref()),
            pipecat: reader.pipecat(),
            openai_realtime: reader.openai_realtime(openai.as_ref()),
            openai,
            max_calls: reader.count("KARTA_MAX_CALLS", CALLS_MAX, 10_000),
            listen,
            udp_listen,
            data_dir: data_dir.to_owned(),
            public_ips: reader.list("KARTA_RTC_PUBLIC_IP", "an address like 203.0.113.7"),
            ice: reader.ice(),
            trusted_proxies: reader.list("KARTA_TRUSTED_PROXIES", "a range like 10.0.0.0/8"),
            rates: reader.rates(),
            max_connections: reader.count("KARTA_MAX_CONNECTIONS", MAX_CONNECTIONS, 1_000_000),
            metrics_listen: reader
                .get("KARTA_METRICS_LISTEN")
                .map(|text| reader.socket("KARTA_METRICS_LISTEN", &text)),
            log: reader.log(),
            log_json: reader.log_json(),
        };
        if reader.problems.is_empty() {
            Ok(config)
        } else {
            Err(reader.problems)
        }
    }
}

struct Reader {
    variables: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Reader {
    fn get(&self, name: &str) -> Option<String> {
        self.variables
            .get(name)
            .map(|value| value.trim().to_owned())
    }

    fn wrong(&mut self, name: &str, problem: impl std::fmt::Display) {
        self.problems.push(format!("{name}: {problem}"));
    }

    fn socket(&mut self, name: &str, text: &str) -> SocketAddr {
        text.trim().parse().unwrap_or_else(|_| {
            self.wrong(
                name,
                format!("`{text}` is not an address with a port, like 127.0.0.1:8787 or [::]:8787"),
            );
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    fn list<T: std::str::FromStr>(&mut self, name: &str, example: &str) -> Vec<T> {
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

    fn ice(&mut self) -> IceServers {
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

    fn rates(&mut self) -> Rates {
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

    fn count(&mut self, name: &str, default: usize, max: usize) -> usize {
        let Some(text) = self.get(name) else {
            return default;
        };
        match text.parse() {
            Ok(n) if (1..=max).contains(&n) => n,
            _ => {
                self.wrong(name, format!("`{text}` is not a number from 1 to {max}"));
                default
            }
        }
    }

    /// Many compatible servers have no speech. One that is not the vendor's own is asked only where its models are named.
    fn voice(&self, openai: Option<&OpenAiConfig>) -> Option<VoiceConfig> {
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

    fn openai(&mut self) -> Option<OpenAiConfig> {
        let base_url = self.get("OPENAI_BASE_URL");
        let api_key = self.get("OPENAI_API_KEY");
        if base_url.is_none() && api_key.is_none() {
            return None;
        }
        let base_url = base_url.unwrap_or_else(|| OPENAI_BASE_URL.to_owned());
        self.address("OPENAI_BASE_URL", &base_url, OPENAI_BASE_URL);
        let api_key = api_key.map(|key| self.key("OPENAI_API_KEY", key));
        Some(OpenAiConfig {
            base_url,
            api_key,
            model: self
                .get("OPENAI_MODEL")
                .unwrap_or_else(|| OPENAI_MODEL.to_owned()),
        })
    }

    fn pipecat(&mut self) -> Option<PipecatConfig> {
        let url = self.get("KARTA_PIPECAT_URL");
        let key = self.get("KARTA_PIPECAT_KEY");
        let key = key.map(|key| self.key("KARTA_PIPECAT_KEY", key));
        let url = self.address("KARTA_PIPECAT_URL", &url?, "http://127.0.0.1:7860")?;
        Some(PipecatConfig { url, key })
    }

    /// As with speech, a server that is not the vendor's own is asked only where its model is named.
    fn openai_realtime(&mut self, openai: Option<&OpenAiConfig>) -> Option<OpenAiRealtimeConfig> {
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

    fn log(&mut self) -> String {
        let filter = self.get("KARTA_LOG").unwrap_or_else(|| "info".to_owned());
        if EnvFilter::try_new(&filter).is_err() {
            self.wrong(
                "KARTA_LOG",
                format!("`{filter}` is not a filter like info or karta_server=debug,warn"),
            );
        }
        filter
    }

    fn log_json(&mut self) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(listen: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let flags = ServeArgs {
            listen: listen.into(),
            udp_listen: "127.0.0.1:0".into(),
        };
        let variables = variables
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        Config::read(&flags, Path::new("data"), variables)
    }

    #[test]
    fn without_variables_there_are_defaults() {
        let config =
            read("127.0.0.1:8787", &[("HOME", "/root"), ("KARTA_LIMITS", "")]).expect("good");
        assert_eq!(config.rates, Rates::default());
        assert_eq!(config.max_connections, MAX_CONNECTIONS);
        assert!(config.openai.is_none() && config.trusted_proxies.is_empty() && !config.log_json);
    }

    #[test]
    fn every_bad_variable_is_reported_at_once() {
        let problems = read(
            "localhost",
            &[
                ("KARTA_RTC_PUBLIC_IP", "example.com"),
                ("KARTA_TRUSTED_PROXIES", "10.0.0.0/8, x/y"),
                ("KARTA_ICE_SERVERS", "turn:turn.example.com, turn://x"),
                ("KARTA_TURN_LIFETIME", "1h"),
                ("KARTA_LIMITS", "maybe"),
                ("KARTA_LIMIT_MINTS", "5/1m"),
                ("KARTA_LIMIT_MINTS_PER_KEY", "many"),
                ("KARTA_MAX_CONNECTIONS", "0"),
                ("KARTA_METRICS_LISTEN", "9464"),
                ("OPENAI_BASE_URL", "sk-123"),
                ("OPENAI_API_KEY", "a b"),
                ("KARTA_PIPECAT_URL", "sk-123"),
                ("KARTA_PIPECAT_KEY", "a b"),
                ("OPENAI_REALTIME_BASE_URL", "ftp://sk-123"),
                ("OPENAI_REALTIME_API_KEY", "a\u{e9}"),
                ("OPENAI_REALTIME_MODEL", "m"),
                ("KARTA_LOG", "=="),
                ("KARTA_LOG_FORMAT", "xml"),
            ],
        )
        .expect_err("bad");
        for name in [
            "--listen",
            "KARTA_RTC_PUBLIC_IP",
            "KARTA_TRUSTED_PROXIES",
            "KARTA_ICE_SERVERS",
            "KARTA_TURN_SECRET",
            "KARTA_TURN_LIFETIME",
            "KARTA_LIMITS",
            "KARTA_LIMIT_MINTS:",
            "KARTA_LIMIT_MINTS_PER_KEY",
            "KARTA_METRICS_LISTEN",
            "KARTA_MAX_CONNECTIONS",
            "OPENAI_BASE_URL",
            "OPENAI_API_KEY",
            "KARTA_PIPECAT_URL",
            "KARTA_PIPECAT_KEY",
            "OPENAI_REALTIME_BASE_URL",
            "OPENAI_REALTIME_API_KEY",
            "KARTA_LOG:",
            "KARTA_LOG_FORMAT",
        ] {
            assert!(
                problems.iter().any(|problem| problem.starts_with(name)),
                "{name}: {problems:#?}"
            );
        }
        assert_eq!(problems.len(), 19, "{problems:#?}");
        assert!(
            !problems.concat().contains("sk-123"),
            "a misplaced key is not printed"
        );
    }

    #[test]
    fn relays_come_with_their_secret_which_is_never_shown() {
        let servers = (
            "KARTA_ICE_SERVERS",
            "stun:s.example, turn:t.example:3478?transport=tcp",
        );
        let secret = ("KARTA_TURN_SECRET", "north pole");
        let config = read("[::1]:0", &[servers, secret]).expect("good");
        assert_eq!(config.ice.urls.len(), 2);
        assert_eq!(config.ice.lifetime_s, ice::LIFETIME_S as u64);
        assert!(!format!("{config:?}").contains("north"));
        let problems = read(
            "[::1]:0",
            &[("KARTA_ICE_SERVERS", "stun:s.example"), secret],
        );
        let problems = problems.expect_err("bad").concat();
        assert!(problems.starts_with("KARTA_ICE_SERVERS") && !problems.contains("north"));
    }

    #[test]
    fn limits_are_set_one_by_one_or_off_altogether() {
        let config = read(
            "[::1]:0",
            &[
                ("KARTA_LIMITS", "off"),
                ("KARTA_LIMIT_MINTS_PER_KEY", "7/1m"),
            ],
        )
        .expect("good");
        let mut rates = Rates::off();
        rates.set("MINTS_PER_KEY", Rate::per_minute(7));
        assert_eq!(config.rates, rates);
    }

    #[test]
    fn the_model_is_configured_by_key_or_address_and_the_key_is_never_shown() {
        let config = read("[::1]:0", &[("OPENAI_API_KEY", "sk-secret")]).expect("good");
        let openai = config.openai.clone().expect("configured");
        assert_eq!(
            (openai.base_url.as_str(), openai.model.as_str()),
            (OPENAI_BASE_URL, OPENAI_MODEL)
        );
        assert!(!format!("{config:?}").contains("sk-secret"));
        let config = read(
            "[::1]:0",
            &[
                ("OPENAI_BASE_URL", "http://localhost:11434/v1"),
                ("OPENAI_MODEL", "m"),
            ],
        )
        .expect("good");
        assert_eq!(config.openai.expect("configured").model, "m");
    }

    #[test]
    fn a_key_goes_only_to_the_address_that_it_was_given_for() {
        let realtime = |variables: &[(&str, &str)]| {
            let config = read("[::1]:0", variables).expect("good");
            let told = config.openai_realtime?;
            let key = told.key.map(|key| key.expose().to_owned());
            Some((told.url.to_string(), key, told.model))
        };
        let vendor = OPENAI_BASE_URL.to_owned();
        let some = |url: &str, key: Option<&str>, model: &str| {
            Some((url.to_owned(), key.map(str::to_owned), model.to_owned()))
        };
        let (key, own_key) = (("OPENAI_API_KEY", "k"), ("OPENAI_REALTIME_API_KEY", "r"));
        let own = ("OPENAI_REALTIME_BASE_URL", "http://voice.test/v1");
        let text = ("OPENAI_BASE_URL", "http://text.test/v1");
        let model = ("OPENAI_REALTIME_MODEL", "m");
        assert_eq!(realtime(&[]), None);
        assert_eq!(
            realtime(&[key]),
            some(&vendor, Some("k"), OPENAI_REALTIME_MODEL)
        );
        assert_eq!(
            realtime(&[own_key]),
            some(&vendor, Some("r"), OPENAI_REALTIME_MODEL)
        );
        assert_eq!(
            realtime(&[key, own_key, model]),
            some(&vendor, Some("r"), "m")
        );
        assert_eq!(realtime(&[key, text]), None, "no model is named");
        assert_eq!(realtime(&[key, text, model]), some(text.1, Some("k"), "m"));
        assert_eq!(realtime(&[key, own]), None, "no model is named");
        assert_eq!(realtime(&[key, own, model]), some(own.1, None, "m"));
        assert_eq!(
            realtime(&[own, own_key, model]),
            some(own.1, Some("r"), "m")
        );
    }

    #[test]
    fn a_bot_is_where_the_operator_says() {
        let config = read("[::1]:0", &[("KARTA_PIPECAT_KEY", "secret-k")]).expect("good");
        assert!(config.pipecat.is_none());
        let set = [
            ("KARTA_PIPECAT_URL", "http://bot:7860"),
            ("KARTA_PIPECAT_KEY", "secret-k"),
        ];
        let config = read("[::1]:0", &set).expect("good");
        assert!(!format!("{config:?}").contains("secret-k"));
        assert_eq!(
            config.pipecat.expect("configured").url.as_str(),
            "http://bot:7860/"
        );
    }

    #[test]
    fn speech_is_asked_of_the_vendor_or_of_a_server_whose_models_are_named() {
        let voice = |variables: &[(&str, &str)]| {
            let config = read("[::1]:0", variables).expect("good");
            config.voice.map(|voice| (voice.stt_model, voice.voice))
        };
        let own = ("OPENAI_BASE_URL", "http://localhost:8000/v1");
        assert_eq!(voice(&[own, ("OPENAI_STT_MODEL", "w")]), None);
        let named = [
            own,
            ("OPENAI_STT_MODEL", "w"),
            ("OPENAI_TTS_MODEL", "k"),
            ("OPENAI_TTS_VOICE", "v"),
        ];
        assert_eq!(voice(&named), Some(("w".into(), "v".into())));
        let vendor = voice(&[("OPENAI_API_KEY", "sk-1")]);
        assert_eq!(
            vendor,
            Some((OPENAI_STT_MODEL.into(), OPENAI_TTS_VOICE.into()))
        );
        assert_eq!(voice(&[]), None);
    }
}
