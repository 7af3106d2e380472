//! Flags and environment → [`Config`], valid by construction. Everything that is wrong is reported at once, each with its name and
//! what to write instead; nothing is guessed.

use crate::agent::openai::OpenAiConfig;
use crate::auth::address::Cidr;
use crate::auth::limit::Rates;
use crate::cli::ServeArgs;
use crate::ice::IceServers;
use crate::voice::engine::openai::VoiceConfig;
use crate::voice::realtime::openai::OpenAiRealtimeConfig;
use crate::voice::realtime::pipecat::PipecatConfig;
use crate::voice::{CALLS_MAX, CallSettings, TurnSettings};
use reader::Reader;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

mod reader;
#[cfg(test)]
mod tests;

/// Two file descriptors a connection at most, far below what systemd gives a service.
const MAX_CONNECTIONS: usize = 10_000;

/// Browsers that pause in sending do so after 200 ms, so nothing shorter can be told from a network that stalls. Longer than three seconds, and
/// nobody believes any more that an answer comes.
const PAUSE_MS: RangeInclusive<u32> = 200..=3_000;

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
    /// `OPENAI_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_MODEL`, `KARTA_TOOL_SECRET`.
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
    /// `KARTA_VOICE_PAUSE_MS`.
    pub pause_ms: u32,
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
            pause_ms: reader.number(
                "KARTA_VOICE_PAUSE_MS",
                TurnSettings::default().pause_ms,
                PAUSE_MS,
            ),
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

    /// How this server's own calls go.
    pub fn call_settings(&self) -> CallSettings {
        let turns = TurnSettings {
            pause_ms: self.pause_ms,
            ..TurnSettings::default()
        };
        CallSettings {
            turns,
            ..CallSettings::default()
        }
    }
}
