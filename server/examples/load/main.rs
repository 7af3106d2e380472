//! A load client for the real server binary, over HTTP and UDP: how fast visitors connect, how late packets are, what a session costs.
//!
//!     cargo run --release -p karta-server --example load -- --server target/release/karta-server [--idle 400] [--quick|--memory]
//!
//! `./build.sh bench --load` runs it. It ends within five minutes and prints one table. The load shares the machine with the server: of two
//! cores one belongs to each, so the figures are what the server does with about one of them.

mod client;
mod memory;
#[expect(dead_code, reason = "the fuzz test uses more of it")]
mod process;
mod provider;
mod stairs;
mod usage;

use client::{Api, Failure, Link, Pace, Seen, Visitor};
use futures::StreamExt;
use karta_server::voice::codec::Encoder;
use karta_server::voice::{FRAME, Resampler, SPOKEN_RATE, TurnSettings, wav};
use process::Process;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use usage::{Usage, percentile};

const ORIGIN: &str = "https://load.example";
/// Connections that are being made at once.
const AT_ONCE: usize = 16;
const MEASURE: Duration = Duration::from_secs(8);
/// Longer than any step lasts, ten seconds a sentence.
const ANSWER: &str = "One two three. Two three four. Three four five. Four five six. Five six seven. Six seven eight. Seven eight nine. Eight nine ten.";
const QUESTION: &[u8] = include_bytes!("../../../fixtures/voice/opening-hours.wav");
/// Of 32,768. Softer is the recording's own silence.
const LOUD: u16 = 300;

struct Options {
    server: PathBuf,
    idle: usize,
    quick: bool,
    /// What sessions weigh, and nothing else.
    memory: bool,
}

impl Options {
    fn read() -> Result<Options, Failure> {
        let mut options = Options {
            server: "target/release/karta-server".into(),
            idle: 400,
            quick: false,
            memory: false,
        };
        let mut given = std::env::args().skip(1);
        while let Some(name) = given.next() {
            match name.as_str() {
                "--server" => options.server = given.next().ok_or("--server PATH")?.into(),
                "--idle" => options.idle = given.next().ok_or("--idle N")?.parse()?,
                "--quick" => options.quick = true,
                "--memory" => options.memory = true,
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(options)
    }
}

/// A server of its own, with its data.
struct Stand {
    server: Process,
    api: Api,
    _data: tempfile::TempDir,
}

impl Stand {
    async fn start(options: &Options, provider: &str) -> Result<Stand, Failure> {
        let data = tempfile::tempdir()?;
        let variables = [
            ("KARTA_LOG", "warn"),
            ("KARTA_LIMITS", "off"),
            ("KARTA_MAX_CALLS", "5000"),
            ("OPENAI_BASE_URL", provider),
            ("OPENAI_API_KEY", "sk-load"),
            ("OPENAI_STT_MODEL", "stand-in"),
            ("OPENAI_TTS_MODEL", "stand-in"),
        ];
        let server = Process::start(&options.server, data.path(), &variables).await?;
        let api = Api {
            http: reqwest::Client::new(),
            base: format!("{}/api/v1/widget", server.http),
            origin: ORIGIN.into(),
            key: server.seed(ORIGIN).await?,
        };
        Ok(Stand {
            server,
            api,
            _data: data,
        })
    }

    async fn stop(self) -> Result<(), Failure> {
        let log = self.server.stop().await?;
        match log.contains("panicked") {
            true => Err(format!("the server panicked:\n{log}").into()),
            false => Ok(()),
        }
    }
}

/// One core for the clients, so that the other is the server's.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    let provider = provider::start(ANSWER).await?;
    println!("| | |\n|---|---|");
    // Memory on a server that has held nothing before: what an allocator keeps of earlier sessions would hide what later ones take.
    let stand = Stand::start(&options, &provider).await?;
    let light = memory::weigh(&stand.api, &stand.server).await?;
    if options.memory {
        return stand.stop().await;
    }
    let steady = memory::soak(
        &stand.api,
        &stand.server,
        if options.quick { 3 } else { memory::ROUNDS },
    )
    .await?;
    stand.stop().await?;
    let stand = Stand::start(&options, &provider).await?;
    let (api, server) = (&stand.api, &stand.server);
    first_contact(api, if options.quick { 20 } else { 100 }).await?;
    idle_and_chatting(api, server, options.idle).await?;
    answer_time(api, if options.quick { 2 } else { 8 }).await?;
    until_empty(api, server).await?;
    let (listening, talking): (&[usize], &[usize]) = match options.quick {
        true => (&[20], &[10]),
        false => (
            &[50, 100, 150, 200, 300, 400, 500],
            &[20, 40, 60, 80, 100, 120, 150, 200],
        ),
    };
    let name = "a call listens (50 packets/s in, detector on)";
    stairs::climb(api, server, name, listening, false).await?;
    let name = "the agent speaks all the time (50 packets/s each way)";
    stairs::climb(api, server, name, talking, true).await?;
    stand.stop().await?;
    match (light, steady) {
        (true, true) => Ok(()),
        (false, _) => Err("a session weighs more than its budget (bench/budgets.json)".into()),
        (_, false) => Err("the server keeps memory of calls that are over".into()),
    }
}

fn row(name: &str, value: impl std::fmt::Display) {
    println!("| {name} | {value} |");
}

/// Opens so many connections, [`AT_ONCE`] at a time. Also how long that took.
async fn open(api: &Api, n: usize) -> Result<(Vec<(Visitor, Link)>, Duration), Failure> {
    // Visitors come with a session; what is measured is the connection.
    let visitors = futures::stream::iter(0..n).map(|_| api.visitor());
    let visitors: Vec<_> = visitors.buffer_unordered(AT_ONCE).collect().await;
    let began = Instant::now();
    let links = futures::stream::iter(visitors).map(|visitor| async move {
        let visitor = visitor?;
        let link = api.connect(&visitor).await?;
        Ok::<_, Failure>((visitor, link))
    });
    let links: Vec<_> = links.buffer_unordered(AT_ONCE).collect().await;
    let took = began.elapsed();
    let links: Result<Vec<_>, Failure> = links.into_iter().collect();
    Ok((links?, took))
}

/// Runs every link in a task of its own, at one pace, until the sender is dropped. What each has seen comes back at the end.
struct Crowd {
    tasks: Vec<tokio::task::JoinHandle<Result<Link, Failure>>>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Crowd {
    fn start(links: Vec<Link>, pace: &Arc<Pace>) -> Crowd {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let tasks = links.into_iter().map(|mut link| {
            let (pace, stopped) = (pace.clone(), stopped.clone());
            tokio::spawn(async move {
                while !*stopped.borrow() {
                    let soon = Instant::now() + Duration::from_millis(200);
                    link.run(soon, &pace).await?;
                    if link.ended {
                        return Err("a connection ended by itself".into());
                    }
                }
                Ok(link)
            })
        });
        Crowd {
            tasks: tasks.collect(),
            stop,
        }
    }

    async fn stop(self) -> Result<Vec<Link>, Failure> {
        self.stop.send_replace(true);
        let mut links = Vec::new();
        for task in self.tasks {
            links.push(task.await??);
        }
        Ok(links)
    }
}

/// Runs the links for a while and gives what they saw in it, and what the server used.
async fn measure(
    links: Vec<Link>,
    pace: Pace,
    server: &Process,
    time: Duration,
) -> Result<(Vec<Link>, Vec<Seen>, f64, f64), Failure> {
    let crowd = Crowd::start(links, &Arc::new(pace));
    let before = Usage::of(server.id())?;
    let own = Usage::of(std::process::id())?;
    tokio::time::sleep(time).await;
    let cpu = Usage::of(server.id())?.percent_since(&before);
    let own = Usage::of(std::process::id())?.percent_since(&own);
    let mut links = crowd.stop().await?;
    let seen = links
        .iter_mut()
        .map(|link| std::mem::take(&mut link.seen))
        .collect();
    Ok((links, seen, cpu, own))
}

fn pongs(seen: &[Seen]) -> Vec<f64> {
    seen.iter().flat_map(|seen| seen.pongs_ms.clone()).collect()
}

/// As a visitor's first click on the launcher: token, session, offer, and the channel, one visitor after the other.
async fn first_contact(api: &Api, n: usize) -> Result<(), Failure> {
    let mut times = Vec::new();
    for _ in 0..n {
        let began = Instant::now();
        let visitor = api.visitor().await?;
        let link = api.connect(&visitor).await?;
        // What follows the channel's opening is not the click's.
        let synced = began.elapsed().as_secs_f64() * 1_000.0;
        times.push(synced - link.synced_ms);
        link.close().await;
    }
    row(
        "click → data channel (token, session, offer, ICE, DTLS), one at a time, ms p50 / p95 / p99",
        format!(
            "{:.1} / {:.1} / {:.1}",
            percentile(&times, 50.0),
            percentile(&times, 95.0),
            percentile(&times, 99.0)
        ),
    );
    Ok(())
}

async fn idle_and_chatting(api: &Api, server: &Process, n: usize) -> Result<(), Failure> {
    // Warm: the first sessions bring in what all share.
    let (warm, _) = open(api, 8).await?;
    let before = Usage::of(server.id())?;
    let (links, took) = open(api, n).await?;
    row(
        &format!("connections made a second, {AT_ONCE} at a time"),
        format!("{:.0}", n as f64 / took.as_secs_f64()),
    );
    let connects: Vec<f64> = links.iter().map(|(_, link)| link.connect_ms).collect();
    row("offer → channel open, ms p50 / p99", two(&connects));
    let rss = Usage::of(server.id())?.rss_kb.saturating_sub(before.rss_kb);
    row(
        &format!("memory of {n} idle sessions, kB each"),
        format!("{:.0}", rss as f64 / n as f64),
    );
    let (visitors, links): (Vec<Visitor>, Vec<Link>) = links.into_iter().unzip();
    let pace = Pace {
        ping_every: Some(Duration::from_secs(1)),
        ..Pace::default()
    };
    let (links, seen, cpu, _) = measure(links, pace, server, MEASURE).await?;
    row(
        &format!("{n} idle chats, a ping a second: pong, ms p50 / p99"),
        two(&pongs(&seen)),
    );
    row("  CPU of the server, % of a core", format!("{cpu:.1}"));
    chatting(links, server).await?;
    drop((visitors, warm));
    Ok(())
}

/// Messages by the channel, answered by a provider that takes no time.
async fn chatting(links: Vec<Link>, server: &Process) -> Result<(), Failure> {
    let chats = links.len().min(50);
    let before = Usage::of(server.id())?;
    let tasks = links.into_iter().take(chats).map(|mut link| {
        tokio::spawn(async move {
            let mut first = Vec::new();
            for round in 0..5 {
                let begins = Instant::now() + Duration::from_millis(1_000);
                link.frames.clear();
                let sent = Instant::now();
                link.send(&format!(
                    r#"{{"type":"user.message","id":"m{round}","text":"hello"}}"#
                ))?;
                let came = link.until_frame(r#""delta":true"#).await?;
                first.push((came - sent).as_secs_f64() * 1_000.0);
                link.until_frame("session.status_idle").await?;
                link.run(begins, &Pace::default()).await?;
            }
            Ok::<_, Failure>(first)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut first = Vec::new();
    for task in tasks {
        first.extend(task.await??);
    }
    let cpu = Usage::of(server.id())?.percent_since(&before);
    row(
        &format!("{chats} chats, a message a second each: message → first word, ms p50 / p99"),
        two(&first),
    );
    row("  CPU of the server, % of a core", format!("{cpu:.1}"));
    Ok(())
}

/// From the last sound of a question to the first packet of the answer; the provider takes no time, so all of it is the server's.
async fn answer_time(api: &Api, rounds: usize) -> Result<(), Failure> {
    let (rate, mut pcm) = wav::read(QUESTION).ok_or("no question")?;
    // The recording ends with silence, and the pause that ends a turn begins where the voice ends.
    let last = pcm.iter().rposition(|sample| sample.unsigned_abs() > LOUD);
    pcm.truncate(last.map_or(0, |last| last + 1));
    let mut spoken = Resampler::new(rate).push(&pcm);
    let question = spoken.len().div_ceil(FRAME) as u64;
    // In one stream, as from a browser, which goes on sending for a while.
    spoken.resize(spoken.len() + SPOKEN_RATE as usize * 10, 0);
    let pace = Pace {
        audio: packets(&spoken),
        ..Pace::default()
    };
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (_, mut link) = open(api, 1).await?.0.pop().ok_or("no link")?;
        link.send(r#"{"type":"voice.start"}"#)?;
        link.until_frame("listening").await?;
        let mut ended = None;
        while link.heard_at.is_none() {
            let soon = Instant::now() + Duration::from_millis(1);
            link.run(soon, &pace).await?;
            if link.seen.packets_sent >= question {
                let ended = ended.get_or_insert_with(Instant::now);
                if ended.elapsed() > Duration::from_secs(8) {
                    return Err("no answer was heard".into());
                }
            }
        }
        let (heard, ended) = (link.heard_at, ended.ok_or("answered before it was asked")?);
        let heard = heard.ok_or("no answer was heard")?;
        times.push((heard - ended).as_secs_f64() * 1_000.0);
        link.close().await;
    }
    row(
        "last sound of the question → first audio of the answer (engines take no time), ms p50 / p99",
        two(&times),
    );
    let pause_ms = TurnSettings::default().pause_ms;
    let rest: Vec<f64> = times.iter().map(|ms| ms - f64::from(pause_ms)).collect();
    row(
        &format!("  without the pause of {pause_ms} ms that ends a turn"),
        two(&rest),
    );
    Ok(())
}

/// Everybody goes.
async fn close(links: impl IntoIterator<Item = Link>) {
    for link in links {
        link.close().await;
    }
}

/// Waits until the server has noticed that everybody is gone.
async fn until_empty(api: &Api, server: &Process) -> Result<(), Failure> {
    for _ in 0..400 {
        let text = api.http.get(&server.metrics).send().await?.text().await?;
        if text.lines().any(|line| line == "karta_connections 0") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the server keeps connections that are gone".into())
}

fn packets(pcm: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new();
    let frames = pcm.chunks_exact(FRAME).filter_map(|frame| {
        let frame: &[i16; FRAME] = frame.try_into().ok()?;
        encoder.encode(frame)
    });
    frames.collect()
}

/// Of somebody who says nothing, as browsers send it (DTX): five packets a second.
fn silence() -> Vec<Vec<u8>> {
    let mut audio = packets(&[0; FRAME]);
    audio.resize(10, Vec::new());
    audio
}

fn two(list: &[f64]) -> String {
    format!(
        "{:.1} / {:.1}",
        percentile(list, 50.0),
        percentile(list, 99.0)
    )
}
