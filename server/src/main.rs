//! Flags and environment → config → app → serve → stop. Everything else is in the library.

use clap::Parser;
use karta_server::agent::Runtimes;
use karta_server::app::{App, Clock};
use karta_server::auth::limit::Limits;
use karta_server::auth::master::MasterKey;
use karta_server::auth::revocation::Watch;
use karta_server::auth::token::Tokens;
use karta_server::calls::kept::Keeper;
use karta_server::calls::{CallRules, Calls};
use karta_server::cli::{self, Cli, Command};
use karta_server::config::Config;
use karta_server::extract::Extractor;
use karta_server::files::Files;
use karta_server::rtc::{Rtc, RtcConfig};
use karta_server::session::Sessions;
use karta_server::voice::Voices;
use karta_server::voice::engine::{self, Engines};
use karta_server::voice::realtime::openai::OpenAiRealtime;
use karta_server::voice::realtime::pipecat::Pipecat;
use karta_server::voice::realtime::{Realtime, Realtimes};
use karta_server::{listen, metrics, retention, router, service};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// For turns that are almost done. What is cut is answered after the next start.
const TURN_GRACE: Duration = Duration::from_secs(1);
/// Whoever collects metrics needs one.
const METRICS_CONNECTIONS: usize = 16;
/// A stop never takes longer than this, whatever hangs.
const STOP_MAX: Duration = Duration::from_millis(4_800);

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Bounds itself to little, so it comes before the threads of the rest.
    if let Command::Extract { kind } = &cli.command {
        return karta_server::extract::job::run(kind);
    }
    run(cli)
}

#[tokio::main]
async fn run(Cli { data_dir, command }: Cli) -> ExitCode {
    let flags = match command {
        Command::Extract { .. } => return ExitCode::FAILURE,
        Command::Admin(order) => return cli::run_admin(order, &data_dir).await,
        Command::Serve(flags) => flags,
    };
    // Variables that are not text are none of ours.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = match Config::read(&flags, &data_dir, variables) {
        Ok(config) => config,
        Err(problems) => {
            for problem in problems {
                eprintln!("karta-server: {problem}");
            }
            return ExitCode::from(2);
        }
    };
    log_to_stderr(&config);
    metrics::count_panics();
    allow_many_files();
    match serve(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("karta-server: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> Result<(), String> {
    let signal = stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let data_dir = &config.data_dir;
    let no_data = |error: &dyn std::fmt::Display| {
        format!(
            "cannot use the data directory {}: {error}. Check that you may write to it, or name another with --data-dir.",
            data_dir.display()
        )
    };
    let store = service::open(data_dir)
        .await
        .map_err(|error| no_data(&error))?;
    let master = MasterKey::load_or_create(data_dir).map_err(|error| no_data(&error))?;
    let admin_token = service::admin_token::ensure(store.as_ref(), &master, service::ACCOUNT)
        .await
        .map_err(|error| no_data(&error))?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}. Is another server running? Name another address with --listen.", config.listen))?;
    let rtc = Rtc::start(RtcConfig {
        public_ips: config.public_ips.clone(),
        ..RtcConfig::new(config.udp_listen)
    })
    .await
    .map_err(|error| {
        format!(
            "cannot listen on UDP {}: {error}. Name another address with --udp-listen.",
            config.udp_listen
        )
    })?;
    let runtimes = Runtimes::new(store.clone(), config.openai.clone());
    let extractor = Extractor::default();
    let files = Files::open(data_dir, extractor.clone()).map_err(|error| no_data(&error))?;
    let sessions = Sessions::start(store.clone(), runtimes, Some(files))
        .await
        .map_err(|fault| format!("cannot go on with the sessions of the last run: {fault}"))?;
    let stopping = CancellationToken::new();
    let tokens = Arc::new(Tokens::new(&master));
    service::signing::follow(store.clone(), tokens.clone(), stopping.clone())
        .await
        .map_err(|error| no_data(&error))?;
    let clock = Clock::system();
    retention::start(
        store.clone(),
        sessions.clone(),
        clock.clone(),
        stopping.clone(),
    );
    let keeper = Keeper::open(store.clone(), data_dir).map_err(|error| no_data(&error))?;
    let calls = Calls::kept_by(keeper, CallRules::default(), clock.clone());
    let app = App {
        store: store.clone(),
        sessions: sessions.clone(),
        rtc: Some(rtc.clone()),
        ice: Arc::new(config.ice.clone()),
        voices: voices(&config),
        calls: calls.clone(),
        tokens,
        master: master.clone(),
        limits: Arc::new(Limits::new(&config.rates)),
        extractor,
        watch: Watch::start(store.clone(), stopping.clone()),
        trusted_proxies: config.trusted_proxies.clone().into(),
        clock,
        stopping: stopping.clone(),
    };
    let taken_up = calls.take_up(&app).await;
    taken_up.map_err(|error| no_data(&error))?;
    if let Some(token) = admin_token {
        // Not through the log, whose filter could swallow it: this is its only sight.
        eprintln!("karta-server: the admin token of this server, shown this once: {token}");
    }
    let metrics = match config.metrics_listen {
        None => None,
        Some(address) => {
            let bound = TcpListener::bind(address).await;
            Some(bound.map_err(|error| format!("cannot listen on {address}: {error}. Name another address with KARTA_METRICS_LISTEN."))?)
        }
    };
    say_ready(&listener, &rtc, metrics.as_ref())
        .map_err(|error| format!("cannot write to stdout: {error}"))?;
    if let Some(listener) = metrics {
        let router = metrics::router(app.clone());
        tokio::spawn(listen::serve(
            listener,
            router,
            METRICS_CONNECTIONS,
            stopping.clone(),
        ));
    }
    let http = tokio::spawn(listen::serve(
        listener,
        router::build(app),
        config.max_connections,
        stopping.clone(),
    ));

    signal.await;
    tracing::info!("stopping");
    stopping.cancel();
    let stopped = tokio::time::timeout(STOP_MAX, async {
        // Before the sessions are closed: a call's last word goes into them.
        calls.stop().await;
        let _ = tokio::join!(sessions.stop(TURN_GRACE), http);
        rtc.stop().await;
        store.close().await;
    });
    if stopped.await.is_err() {
        tracing::warn!("not everything ended in time; what was committed is safe");
    }
    Ok(())
}

fn voices(config: &Config) -> Voices {
    let openai = match config.voice.clone() {
        Some(voice) => engine::openai::engine(voice),
        None => Err("no provider of speech is configured; set OPENAI_API_KEY, or OPENAI_STT_MODEL and OPENAI_TTS_MODEL of your server".into()),
    };
    let engines = Engines::new(engine::local::engine(), openai);
    Voices::new(engines, config.max_calls, config.call_settings()).with_realtimes(realtimes(config))
}

fn realtimes(config: &Config) -> Realtimes {
    let pipecat = match &config.pipecat {
        Some(pipecat) => Pipecat::new(pipecat).map(|engine| Arc::new(engine) as Arc<dyn Realtime>),
        None => Err("no bot is configured; set KARTA_PIPECAT_URL".into()),
    };
    let openai = match config.openai_realtime.clone() {
        Some(openai) => {
            OpenAiRealtime::new(openai).map(|engine| Arc::new(engine) as Arc<dyn Realtime>)
        }
        None => Err("no realtime engine is configured; set OPENAI_API_KEY, or OPENAI_REALTIME_MODEL of your server".into()),
    };
    Realtimes::new(pipecat, openai)
}

/// The one line on stdout: scripts wait for it and read the real ports from it.
fn say_ready(
    listener: &TcpListener,
    rtc: &Rtc,
    metrics: Option<&TcpListener>,
) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    write!(
        stdout,
        "karta-server ready http=http://{} udp={}",
        listener.local_addr()?,
        rtc.local_addr()
    )?;
    if let Some(metrics) = metrics {
        write!(stdout, " metrics=http://{}", metrics.local_addr()?)?;
    }
    writeln!(stdout)?;
    stdout.flush()
}

/// SIGINT or SIGTERM. Listened for from the start, so that a stop during the start is not lost.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A connection is a file, and many systems begin with 1,024 for a process that may have far more.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the number of open files");
    }
}

fn log_to_stderr(config: &Config) {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.log))
        .with_writer(std::io::stderr)
        // Colour codes only confuse files and journals.
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    if config.log_json {
        subscriber.json().init();
    } else {
        subscriber.init();
    }
}
