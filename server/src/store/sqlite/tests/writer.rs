//! Appends: together, again, and beside one that fails.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appends_that_wait_together_share_a_commit_and_stay_dense() {
    let dir = dir();
    let store = open(dir.path()).await;
    let mut sessions = Vec::new();
    for _ in 0..20 {
        sessions.push(session(&store).await);
    }
    let before = store.commits();
    let appending: Vec<_> = (0..400)
        .map(|n: usize| {
            let (store, session) = (store.clone(), sessions[n % 20].clone());
            tokio::spawn(async move {
                let events = vec![said(&format!("m{n}")), marked(EventType::StatusRunning)];
                match store.append(&session, events).await.expect("appended") {
                    Appended::New(events) => {
                        assert_eq!(events[1].seq, events[0].seq.map(|seq| seq + 1));
                        assert!(events.iter().all(|e| e.at_ms.is_some()));
                        (session, events[0].seq.expect("a seq"))
                    }
                    Appended::Repeat(_) | Appended::Over(_) => panic!("nothing was repeated"),
                }
            })
        })
        .collect();
    let mut firsts = HashSet::new();
    for appended in appending {
        assert!(
            firsts.insert(appended.await.expect("appended")),
            "a seq was given twice"
        );
    }
    let commits = store.commits() - before;
    assert!(commits < 200, "{commits} commits for 400 appends");
    for session in &sessions {
        let events = store.events(session, 0, 1_000).await.expect("events");
        let seqs: Vec<u64> = events.iter().filter_map(|e| e.seq).collect();
        assert_eq!(seqs, (1..=40).collect::<Vec<_>>());
        let texts: HashSet<_> = events.iter().filter_map(|e| e.text.clone()).collect();
        assert_eq!(texts.len(), 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repeated_id_is_written_once_however_often_it_is_sent_at_once() {
    let dir = dir();
    let store = open(dir.path()).await;
    let (session, other) = (session(&store).await, session(&store).await);
    let sending: Vec<_> = (0..50)
        .map(|_| {
            let (store, session) = (store.clone(), session.clone());
            tokio::spawn(async move {
                let events = vec![said("m1"), marked(EventType::StatusRunning)];
                store.append(&session, events).await.expect("answered")
            })
        })
        .collect();
    let mut new = 0;
    for sent in sending {
        match sent.await.expect("sent") {
            Appended::New(events) => {
                new += 1;
                assert_eq!(events[0].seq, Some(1));
            }
            Appended::Repeat(seq) => assert_eq!(seq, 1),
            Appended::Over(_) => panic!("nothing is bounded"),
        }
    }
    assert_eq!(new, 1);
    assert_eq!(
        store.events(&session, 0, 10).await.expect("events").len(),
        2
    );
    // Another session may use the same id.
    assert!(matches!(
        store.append(&other, vec![said("m1")]).await,
        Ok(Appended::New(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_that_fails_does_not_fail_those_beside_it() {
    let dir = dir();
    let store = open(dir.path()).await;
    let good = session(&store).await;
    let writing: Vec<_> = (0..60)
        .map(|n| {
            let (store, good) = (store.clone(), good.clone());
            tokio::spawn(async move {
                match n % 3 {
                    0 => store
                        .append(&good, vec![said(&format!("m{n}"))])
                        .await
                        .is_ok(),
                    // No such session: refused without an error of the database.
                    1 => store.append("s_none", vec![said("m")]).await.is_err(),
                    // A key for an agent that does not exist: the database refuses, which rolls the batch back.
                    _ => {
                        let key = WidgetKey {
                            id: format!("k_{n}"),
                            account: "main".into(),
                            name: "x".into(),
                            public_key: format!("pk_{n}"),
                            agent_id: Some("a_none".into()),
                            enabled: true,
                            created_ms: 1,
                            ..WidgetKey::default()
                        };
                        store.put_key(&key).await.is_err()
                    }
                }
            })
        })
        .collect();
    for write in writing {
        assert!(write.await.expect("answered"));
    }
    assert_eq!(store.events(&good, 0, 100).await.expect("events").len(), 20);
    assert!(store.keys("main").await.expect("keys").is_empty());
}
