//! A driver that is stepped by hand, where the order of two things is the point.

use super::*;
use crate::rtc::addresses;
use crate::rtc::peer::{Identity, Settings};
use crate::rtc::tests::client::Client;
use std::sync::Arc;

#[tokio::test]
async fn a_check_that_overtakes_its_session_is_matched_all_the_same() {
    let sockets = addresses::bind("127.0.0.1:0".parse().unwrap(), &[]).unwrap();
    let settings = Arc::new(Settings {
        identity: Identity::generate().unwrap(),
        candidates: vec![sockets[0].local],
        connect_timeout: Duration::from_secs(20),
        peer_timeout: Duration::from_secs(20),
    });
    let (commands, queue) = mpsc::unbounded_channel();
    let mut driver = Driver::new(sockets, queue).unwrap();
    let (mut client, offer) = Client::new().await;
    let (peer, answer) = Peer::accept(&offer, settings, Instant::now()).unwrap();
    client.answer(&answer);
    client
        .until("a first check", |client| !client.sent.is_empty())
        .await;

    let (inbound, _frames) = mpsc::channel(1);
    let key = PeerKey(1);
    let peer = Box::new(peer);
    let added = commands.send(Command::Add { key, peer, inbound });
    assert!(added.is_ok());
    // The media thread has not looked at its commands yet.
    assert!(driver.roster.size().peers == 0);
    driver.packet(0, client.address, &client.sent[0]);
    assert_eq!(driver.counts.unmatched_stun, 0);
    assert_eq!(driver.roster.of_address(client.address), Some(key));
}
