//! How many calls at once: more and more of them, until packets are late or lost.

use super::client::{Api, Failure, Link, Pace, Seen};
use super::process::Process;
use super::usage::percentile;
use super::{MEASURE, close, measure, open, packets, pongs, silence, two, until_empty};
use karta_server::voice::SPOKEN_RATE;
use std::time::Duration;

/// A step of the staircase is too high where a packet in a hundred is later than this, or lost. Calls that only listen get no packets back: there it
/// is the pong.
const LATE_MS: f64 = 50.0;
const LOST_MAX: f64 = 0.01;

/// Opens more and more calls until packets are late.
pub async fn climb(
    api: &Api,
    server: &Process,
    name: &str,
    steps: &[usize],
    answered: bool,
) -> Result<(), Failure> {
    println!(
        "\n| {name}: calls | packets in, ms p50 / p99 | lost, % | pong, ms p50 / p99 | server, % of a core | a call, % of a core | load client, % of a core |\n|---|---|---|---|---|---|---|"
    );
    let hum: Vec<i16> = (0..SPOKEN_RATE)
        .map(|n| {
            ((f64::from(n) * 440.0 * std::f64::consts::TAU / f64::from(SPOKEN_RATE)).sin()
                * 4_000.0) as i16
        })
        .collect();
    let pace = Pace {
        ping_every: Some(Duration::from_secs(1)),
        // A hum keeps the voice detector at work, and now and then passes for a word: over the agent it would cut it.
        audio: if answered { silence() } else { packets(&hum) },
    };
    let mut held = 0;
    for &calls in steps {
        let (links, _) = open(api, calls).await?;
        let mut links: Vec<Link> = links.into_iter().map(|(_, link)| link).collect();
        for link in &mut links {
            link.send(r#"{"type":"voice.start"}"#)?;
            if answered {
                // What is being written when a call begins is read, not spoken.
                link.until_frame("listening").await?;
                link.send(r#"{"type":"user.message","id":"m1","text":"count"}"#)?;
            }
        }
        // Until all talk.
        let (links, ..) = measure(links, pace.clone(), server, Duration::from_secs(3)).await?;
        let (links, seen, cpu, own) = measure(links, pace.clone(), server, MEASURE).await?;
        let delays: Vec<f64> = seen.iter().flat_map(Seen::delays_ms).collect();
        let came: usize = seen.iter().map(|seen| seen.transits_ms.len()).sum();
        let lost: u64 = seen.iter().map(Seen::lost).sum();
        let lost = lost as f64 / (came as f64 + lost as f64).max(1.0);
        let pongs = pongs(&seen);
        println!(
            "| {calls} | {} | {:.2} | {} | {cpu:.0} | {:.2} | {own:.0} |",
            if answered { two(&delays) } else { "–".into() },
            lost * 100.0,
            two(&pongs),
            cpu / calls as f64,
        );
        close(links).await;
        if answered && came < calls * 300 {
            println!("\nOnly {came} packets came.");
            break;
        }
        let late = if answered { &delays } else { &pongs };
        if percentile(late, 99.0) >= LATE_MS || lost > LOST_MAX {
            break;
        }
        held = calls;
        // The next step begins with an empty house.
        until_empty(api, server).await?;
    }
    let judged = if answered { "packets" } else { "pongs" };
    println!("\nHeld with 99 of 100 {judged} less than {LATE_MS} ms late: {held} calls.");
    Ok(())
}
