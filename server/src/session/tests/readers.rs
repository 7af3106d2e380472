//! Readers who join at any time, and those who are too slow.

use super::stage::*;
use crate::session::*;
use karta_protocol::{EventType, SessionEvent};

#[tokio::test]
async fn a_reader_who_joins_mid_answer_gets_the_text_so_far() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut early = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    let call = stage.call().await;
    call.say("Good ").say("mor");
    early.until(EventType::AgentMessage).await;
    early.until(EventType::AgentMessage).await;
    let mut late = stage.read(&session, 1).await;
    let replayed = late.until(EventType::Synced).await;
    assert_eq!(
        script(&replayed),
        [
            "session.status_running",
            "agent.message + \"Good mor\"",
            "session.synced"
        ]
    );
    assert_eq!(replayed[1].offset, Some(0));
    assert_eq!(replayed[1].part_id, replayed[2].part_id);
    assert_eq!(replayed[2].seq, Some(2));
    call.reply("ning");
    let rest = late.until(EventType::StatusIdle).await;
    assert_eq!(
        script(&rest),
        [
            "agent.message + \"ning\"",
            "agent.message \"Good morning\"",
            "session.status_idle Complete"
        ]
    );
    assert_eq!(rest[0].offset, Some(8));
}

#[tokio::test]
async fn a_long_log_is_replayed_whole() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let note = |n: u32| SessionEvent {
        kind: EventType::AgentToolUse,
        text: Some(n.to_string()),
        ..SessionEvent::default()
    };
    stage
        .store
        .append(&session, (1..=1_234).map(note).collect())
        .await
        .expect("appended");
    let mut reader = stage.read(&session, 34).await;
    let seen = reader.until(EventType::Synced).await;
    let seqs: Vec<u64> = seen.iter().filter_map(|e| e.seq).collect();
    assert_eq!(seqs, (35..=1_234).chain([1_234]).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reader_who_is_too_slow_is_ended_and_loses_nothing_by_coming_back() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut slow = stage.read(&session, 0).await;
    let mut quick = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    let call = stage.call().await;
    for _ in 0..3_000 {
        call.say("x");
        // The quick one keeps up, so the slow one is alone to blame.
        quick.until(EventType::AgentMessage).await;
    }
    let mut given = 0;
    while slow.subscription.next().await.is_some() {
        given += 1;
    }
    assert!(
        given < 1_100,
        "{given} frames were kept for a reader who did not read"
    );
    let mut back = stage.read(&session, 0).await;
    let replayed = back.until(EventType::Synced).await;
    let so_far = &replayed[replayed.len() - 2];
    assert_eq!(so_far.text.as_ref().map(String::len), Some(3_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_who_join_at_any_time_see_every_event_once_and_in_order() {
    let stage = Arc::new(Stage::new().await);
    let session = stage.session().await;
    let turns = 25_u64;
    let answering = tokio::spawn({
        let stage = stage.clone();
        async move {
            for _ in 0..turns {
                stage.call().await.say("a ").say("b ").reply("c");
            }
        }
    });
    let reading: Vec<_> = (0..24_u64)
        .map(|n| {
            let (stage, session) = (stage.clone(), session.clone());
            tokio::spawn(async move {
                // Joins somewhere in the middle: after some reader before it has seen a few events.
                let mut first = stage.read(&session, 0).await;
                let mut cursor = 0;
                while cursor < n * 4 {
                    cursor = first.event().await.seq.unwrap_or(cursor).max(cursor);
                }
                drop(first);
                let mut reader = stage.read(&session, cursor).await;
                let mut partial = String::new();
                let mut synced = false;
                while cursor < turns * 4 {
                    let event = reader.event().await;
                    match (event.kind, event.seq) {
                        (EventType::Synced, seq) => {
                            synced = true;
                            assert_eq!(seq, Some(cursor));
                        }
                        (kind, Some(seq)) => {
                            assert_eq!(seq, cursor + 1, "dense and in order");
                            cursor = seq;
                            if kind == EventType::AgentMessage {
                                assert_eq!(event.text.as_deref(), Some("a b c"));
                                assert!(!synced || partial.is_empty() || partial == "a b c");
                                partial.clear();
                            }
                        }
                        (_, None) => {
                            assert_eq!(
                                event.offset,
                                Some(partial.len() as u64),
                                "no gap, no repeat"
                            );
                            partial.push_str(&event.text.unwrap_or_default());
                        }
                    }
                }
            })
        })
        .collect();
    let mut last = stage.read(&session, 0).await;
    for n in 0..turns {
        stage.send(&session, &format!("m{n}"), "Hi").await;
        last.until(EventType::StatusIdle).await;
    }
    answering.await.expect("answers");
    for reader in reading {
        reader.await.expect("a reader saw everything");
    }
}
