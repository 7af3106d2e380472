//! What sessions weigh: the growth of the server's resident set while the same visitors are there, listen, and are spoken to; and whether
//! all of it comes back when calls end.

use super::client::{Api, Failure, Link, Pace, Visitor};
use super::process::Process;
use super::usage::Usage;
use super::{Crowd, MEASURE, close, measure, open, row, silence, until_empty};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// So many that what the first ones bring in for all weighs little, and few enough that one core speaks to all of them in time.
const SESSIONS: usize = 40;
/// Calls of a round of the soak.
const CALLS: usize = 50;
/// Fewer say nothing about growth.
pub const ROUNDS: usize = 5;
/// 100 kB a call.
const GROWTH_MAX_MB: u64 = 5;
const BUDGETS: &str = include_str!("../../../bench/budgets.json");

/// Kilobytes that the server has grown by since then, for each of so many.
fn each(server: &Process, before: &Usage, n: usize) -> Result<f64, Failure> {
    let grown = Usage::of(server.id())?.rss_kb.saturating_sub(before.rss_kb);
    Ok(grown as f64 / n as f64)
}

/// The rows, and whether all are within their budgets.
pub async fn weigh(api: &Api, server: &Process) -> Result<bool, Failure> {
    // The first sessions bring in what all share.
    let (warm, _) = open(api, 8).await?;
    close(warm.into_iter().map(|(_, link)| link)).await;
    until_empty(api, server).await?;
    let before = Usage::of(server.id())?;
    let (links, _) = open(api, SESSIONS).await?;
    let mut links: Vec<Link> = links.into_iter().map(|(_, link)| link).collect();
    let pace = |audio| Pace {
        ping_every: Some(Duration::from_secs(1)),
        audio,
    };
    (links, ..) = measure(links, pace(Vec::new()), server, Duration::from_secs(2)).await?;
    let idle = each(server, &before, SESSIONS)?;
    for link in &mut links {
        link.send(r#"{"type":"voice.start"}"#)?;
        link.until_frame("listening").await?;
    }
    let silence = silence();
    let cpu;
    (links, _, cpu, _) = measure(links, pace(silence.clone()), server, MEASURE).await?;
    let listening = each(server, &before, SESSIONS)?;
    for link in &mut links {
        link.send(r#"{"type":"user.message","id":"m1","text":"count"}"#)?;
    }
    // What is made ahead in the beginning is over then.
    (links, ..) = measure(links, pace(silence.clone()), server, Duration::from_secs(3)).await?;
    let (links, seen, spoken_cpu, _) = measure(links, pace(silence), server, MEASURE).await?;
    let speaking = each(server, &before, SESSIONS)?;
    if let Some(mute) = seen.iter().find(|seen| seen.transits_ms.len() < 200) {
        return Err(format!("{} packets in a call that speaks", mute.transits_ms.len()).into());
    }
    close(links).await;
    until_empty(api, server).await?;
    let n = SESSIONS as f64;
    row(
        "CPU of a call that listens to silence, % of a core",
        two(cpu / n),
    );
    row(
        "CPU of a call in which the agent speaks, % of a core",
        two(spoken_cpu / n),
    );
    let budgets: Value = serde_json::from_str(BUDGETS)?;
    let mut within = true;
    for (what, name, kb) in [
        ("an idle session", "session_kb", idle),
        ("a call that listens", "listening_kb", listening),
        ("a call in which the agent speaks", "speaking_kb", speaking),
    ] {
        let budget = budgets[name].as_f64().ok_or("no such budget")?;
        within &= kb <= budget;
        row(
            &format!("memory of {what}, kB (budget {budget})"),
            format!("{kb:.0}"),
        );
    }
    Ok(within)
}

fn two(number: f64) -> String {
    format!("{number:.2}")
}

/// The same visitors call again and again. False: the server still grows in the last of [`ROUNDS`].
pub async fn soak(api: &Api, server: &Process, rounds: usize) -> Result<bool, Failure> {
    let visitors = futures::future::join_all((0..CALLS).map(|_| api.visitor())).await;
    let visitors: Vec<Visitor> = visitors.into_iter().collect::<Result<_, Failure>>()?;
    let silence = silence();
    let mut sizes = Vec::new();
    for round in 0..rounds {
        let mut links = Vec::new();
        for visitor in &visitors {
            let mut link = api.connect(visitor).await?;
            link.send(r#"{"type":"voice.start"}"#)?;
            link.until_frame("listening").await?;
            link.send(&format!(
                r#"{{"type":"user.message","id":"s{round}","text":"count"}}"#
            ))?;
            links.push(link);
        }
        let pace = Arc::new(Pace {
            ping_every: None,
            audio: silence.clone(),
        });
        let crowd = Crowd::start(links, &pace);
        tokio::time::sleep(Duration::from_secs(2)).await;
        close(crowd.stop().await?).await;
        until_empty(api, server).await?;
        sizes.push(Usage::of(server.id())?.rss_kb / 1_000);
    }
    let list: Vec<String> = sizes.iter().map(u64::to_string).collect();
    row(
        &format!("server after each {CALLS} calls that came and went, MB"),
        list.join(" → "),
    );
    // The allocator keeps parts of what many calls held at once, more in the first rounds than in the last. A leak goes on.
    let [.., before, last] = sizes[..] else {
        return Ok(true);
    };
    Ok(rounds < ROUNDS || last <= before + GROWTH_MAX_MB)
}
