//! Good and bad environments.

use super::reader::{
    OPENAI_BASE_URL, OPENAI_MODEL, OPENAI_REALTIME_MODEL, OPENAI_STT_MODEL, OPENAI_TTS_VOICE,
};
use super::*;
use crate::auth::limit::Rate;
use crate::ice;

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
    let config = read("127.0.0.1:8787", &[("HOME", "/root"), ("KARTA_LIMITS", "")]).expect("good");
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
            ("KARTA_VOICE_PAUSE_MS", "0.7s"),
            ("KARTA_METRICS_LISTEN", "9464"),
            ("OPENAI_BASE_URL", "sk-123"),
            ("OPENAI_API_KEY", "a b"),
            ("KARTA_TOOL_SECRET", "sk-123"),
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
        "KARTA_VOICE_PAUSE_MS",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        "KARTA_TOOL_SECRET",
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
    assert_eq!(problems.len(), 21, "{problems:#?}");
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
fn the_pause_that_ends_a_turn_has_bounds() {
    let pause = |text: &str| {
        let config = read("[::1]:0", &[("KARTA_VOICE_PAUSE_MS", text)])?;
        Ok(config.call_settings().turns.pause_ms)
    };
    for (text, pause_ms) in [("", 700), ("200", 200), (" 1500 ", 1_500), ("3000", 3_000)] {
        assert_eq!(pause(text), Ok(pause_ms), "{text}");
    }
    for text in ["0", "199", "3001", "-700", "700.5", "700ms", "99999999999"] {
        let problems: Vec<String> = pause(text).expect_err(text);
        assert!(
            problems.len() == 1 && problems[0].contains("from 200 to 3000"),
            "{text}: {problems:?}"
        );
    }
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
