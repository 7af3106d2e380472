//! str0m clients against real media threads over loopback. No sleeps: each wait is for a condition, with a limit.

mod broken;
mod chaos;
pub(super) mod client;
mod connect;
mod fake;
mod lifetime;
mod minutes;
mod offers;
mod pace;
mod voice;

use super::Rtc;
use super::driver::{Command, Counts};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

async fn probe(rtc: &Rtc) -> Counts {
    let (reply, counts) = oneshot::channel();
    let sent = rtc.shared.threads[0].commands.send(Command::Probe(reply));
    assert!(sent.is_ok(), "the media thread lives");
    counts.await.expect("the media thread answers")
}

fn inject_panic(rtc: &Rtc, connection_id: &str) {
    let key = rtc
        .shared
        .registry
        .key(connection_id)
        .expect("a connection");
    let _ = rtc.shared.threads[0].commands.send(Command::Panic { key });
}

async fn assert_empty(rtc: &Rtc) {
    let counts = probe(rtc).await;
    let left = (counts.peers, counts.timers, counts.ufrags, counts.addresses);
    assert_eq!(left, (0, 0, 0, 0), "peers, timers, ufrags, addresses");
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let give_up = Instant::now() + client::LIMIT;
    while !done() {
        assert!(Instant::now() < give_up, "{what}: not in time");
        tokio::time::timeout(Duration::from_millis(2), std::future::pending::<()>())
            .await
            .unwrap_err();
    }
}
