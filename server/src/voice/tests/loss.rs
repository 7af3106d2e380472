//! What a bad line costs in words: flite's speech through packets, loss and jitter into pocketsphinx. Needs both; elsewhere there is nothing
//! to measure. `cargo test … words_survive -- --nocapture` prints the table that docs/BENCHMARKS.md has.

use super::super::codec::Encoder;
use super::super::engine::{Engine, local};
use super::super::inbound::Inbound;
use super::super::{FRAME, Heard, Packet};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const PHRASES: [&str; 8] = [
    "what are your opening hours",
    "where is my order",
    "how much does shipping cost",
    "i want to talk to a person",
    "can i return an open bag",
    "do you have coffee from kenya",
    "how do i change my address",
    "when will my parcel arrive",
];

async fn spoken(engine: &Engine, words: &str) -> Vec<i16> {
    let (sender, mut sound) = mpsc::channel(1_000);
    engine.mouth.speak(words, &sender).await.expect("spoken");
    drop(sender);
    // As on a microphone: something comes before and after.
    let mut pcm = vec![0; FRAME * 20];
    while let Some(piece) = sound.recv().await {
        pcm.extend(piece);
    }
    pcm.resize(pcm.len() + FRAME * 25, 0);
    pcm
}

/// Sends it over a line that loses packets, alone and in pairs; what is left of it.
fn over(line: &mut StdRng, percent: u8, copies: bool, pcm: &[i16]) -> Vec<i16> {
    let mut encoder = Encoder::new();
    encoder.line_loses(if copies { percent.max(1) } else { 0 });
    let now = Instant::now();
    let mut inbound = Inbound::new(now);
    let mut heard = Vec::new();
    let mut burst = false;
    for (index, frame) in pcm.as_chunks::<FRAME>().0.iter().enumerate() {
        let payload = encoder.encode(frame).expect("encoded");
        let lost = burst || line.random_range(0..100) < percent;
        burst = lost && !burst && line.random_range(0..4) == 0;
        if !lost {
            let packet = Packet {
                seq: index as u64,
                time: index as u64 * 960,
                payload,
            };
            inbound.packet(&packet, now, &mut heard);
        }
    }
    let samples = |time: Duration| (time.as_micros() as usize * 16).div_ceil(1_000);
    heard
        .into_iter()
        .flat_map(|heard| match heard {
            Heard::Sound(pcm) => pcm,
            Heard::Silence(time) => vec![0; samples(time)],
        })
        .collect()
}

async fn words(engine: &Engine, pcm: Vec<i16>) -> String {
    let (sender, speech) = mpsc::channel(1);
    let ears = engine.ears.clone();
    let heard = tokio::spawn(async move { ears.transcribe(speech, &|_: &str| {}).await });
    sender.send(pcm).await.expect("taken");
    drop(sender);
    heard.await.expect("no panic").expect("recognised")
}

/// Words to insert, leave out or change.
fn distance(said: &str, heard: &str) -> usize {
    let heard: Vec<&str> = heard.split_whitespace().collect();
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, word) in said.split_whitespace().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, other) in heard.iter().enumerate() {
            let change = before + usize::from(word != *other);
            before = row[j + 1];
            row[j + 1] = change.min(before + 1).min(row[j] + 1);
        }
    }
    row[heard.len()]
}

#[tokio::test]
async fn words_survive_the_loss_of_one_packet_in_five() {
    let Ok(engine) = local::engine() else { return };
    let mut said = Vec::new();
    for phrase in PHRASES {
        said.push(spoken(&engine, phrase).await);
    }
    let total: usize = PHRASES.iter().map(|p| p.split_whitespace().count()).sum();
    let mut right = Vec::new();
    for (percent, copies) in [(0, false), (10, false), (10, true), (20, false), (20, true)] {
        // Every line is as bad as the others: the same random numbers.
        let mut line = StdRng::seed_from_u64(11);
        let mut wrong = 0;
        for (phrase, pcm) in PHRASES.iter().zip(&said) {
            let heard = words(&engine, over(&mut line, percent, copies, pcm)).await;
            wrong += distance(phrase, &heard);
        }
        let share = 100.0 * (total.saturating_sub(wrong)) as f64 / total as f64;
        eprintln!("{percent:>2} % lost, copies {copies:>5}: {share:.0} % of {total} words right");
        right.push(share);
    }
    let (clean, with_copies) = (right[0], right[4]);
    assert!(clean > 60.0, "{right:?}");
    assert!(with_copies > clean - 25.0, "{right:?}");
}

#[test]
fn words_are_counted() {
    for (said, heard, wrong) in [
        ("a b c", "a b c", 0),
        ("a b c", "a c", 1),
        ("a b c", "a x c d", 2),
        ("a", "", 1),
        ("", "a b", 2),
    ] {
        assert_eq!(distance(said, heard), wrong, "{said} {heard}");
    }
}
