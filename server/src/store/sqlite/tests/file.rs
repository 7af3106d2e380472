//! The file: opened again, by several processes, locked, half migrated, of an older layout, closed.

use super::*;

#[tokio::test]
async fn everything_acknowledged_is_there_after_opening_again() {
    let dir = dir();
    let store = open(dir.path()).await;
    let session = session(&store).await;
    let idle = SessionEvent {
        stop_reason: Some(StopReason::Complete),
        ..marked(EventType::StatusIdle)
    };
    let first = store
        .append(&session, vec![said("m1"), marked(EventType::StatusRunning)])
        .await
        .expect("appended");
    let Appended::New(first) = first else {
        panic!("new")
    };
    // Not closed: as after a kill, the write-ahead log is all there is.
    let again = open(dir.path()).await;
    assert_eq!(again.events(&session, 0, 10).await.expect("events"), first);
    let unfinished = again.unfinished_sessions().await.expect("sessions");
    assert_eq!(unfinished.len(), 1);
    assert_eq!(
        (
            unfinished[0].info.status,
            unfinished[0].asked_seq,
            unfinished[0].turn_seq
        ),
        (SessionStatus::Running, 1, 2)
    );
    again.append(&session, vec![idle]).await.expect("appended");
    assert!(
        again
            .unfinished_sessions()
            .await
            .expect("sessions")
            .is_empty()
    );
    again
        .append(&session, vec![said("m2")])
        .await
        .expect("appended");
    assert_eq!(
        again.unfinished_sessions().await.expect("sessions").len(),
        1,
        "asked, and no turn began"
    );
    assert_eq!(
        again
            .session(&session)
            .await
            .expect("read")
            .expect("there")
            .info
            .last_seq,
        4
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_start_at_once_share_one_file() {
    let dir = dir();
    let opening = (0..8).map(|_| open(dir.path()));
    let stores = futures::future::join_all(opening).await;
    let shared = session(&stores[0]).await;
    let writing: Vec<_> = (0..80)
        .map(|n: usize| {
            let (store, shared) = (stores[n % 8].clone(), shared.clone());
            tokio::spawn(async move {
                store
                    .append(&shared, vec![said(&format!("m{n}"))])
                    .await
                    .expect("appended")
            })
        })
        .collect();
    for write in writing {
        write.await.expect("written");
    }
    let events = stores[3].events(&shared, 0, 100).await.expect("events");
    assert_eq!(
        events.iter().filter_map(|e| e.seq).collect::<Vec<_>>(),
        (1..=80).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_migration_that_was_cut_is_done_on_the_next_start() {
    let dir = dir();
    let options = SqliteConnectOptions::new()
        .filename(dir.path().join("karta.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let mut cut = SqliteConnection::connect_with(&options)
        .await
        .expect("connected");
    let half = include_str!("../../../../migrations/sqlite/0001_first.sql")
        .split_once("CREATE TABLE visitors")
        .expect("the middle")
        .0;
    sqlx::raw_sql("BEGIN")
        .execute(&mut cut)
        .await
        .expect("begun");
    sqlx::raw_sql(half)
        .execute(&mut cut)
        .await
        .expect("half done");
    drop(cut);
    let store = open(dir.path()).await;
    session(&store).await;
}

#[tokio::test]
async fn a_locked_file_is_unavailable_for_now_and_recovers() {
    let dir = dir();
    let store = SqliteStore::open_with(dir.path(), Duration::from_millis(20))
        .await
        .expect("a store");
    let session = session(&store).await;
    let options = SqliteConnectOptions::new().filename(dir.path().join("karta.db"));
    let mut other = SqliteConnection::connect_with(&options)
        .await
        .expect("connected");
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("locked");
    let refused = store.append(&session, vec![said("m1")]).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(
        store
            .events(&session, 0, 10)
            .await
            .expect("readers go on")
            .is_empty()
    );
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut other)
        .await
        .expect("unlocked");
    assert!(matches!(
        store.append(&session, vec![said("m1")]).await,
        Ok(Appended::New(_))
    ));
}

#[tokio::test]
async fn commits_are_synced_to_the_disk() {
    let dir = dir();
    let store = open(dir.path()).await;
    // Readers and writer are opened alike; 2 is FULL.
    let row = sqlx::query("PRAGMA synchronous")
        .fetch_one(&store.readers.pool)
        .await
        .expect("a row");
    assert_eq!(sqlx::Row::get::<i64, _>(&row, 0), 2);
    let row = sqlx::query("PRAGMA journal_mode")
        .fetch_one(&store.readers.pool)
        .await
        .expect("a row");
    assert_eq!(sqlx::Row::get::<String, _>(&row, 0), "wal");
}

#[tokio::test]
async fn closing_writes_what_was_handed_in_and_refuses_the_rest() {
    let dir = dir();
    let store = open(dir.path()).await;
    let session = session(&store).await;
    let append = store.append(&session, vec![said("m1")]);
    let (appended, ()) = tokio::join!(append, store.close());
    assert!(matches!(
        appended,
        Ok(Appended::New(_)) | Err(StoreError::Stopped)
    ));
    assert!(matches!(
        store.append(&session, vec![said("m2")]).await,
        Err(StoreError::Stopped)
    ));
    let there = open(dir.path())
        .await
        .events(&session, 0, 10)
        .await
        .expect("events")
        .len();
    assert_eq!(there, usize::from(appended.is_ok()));
}

#[tokio::test]
async fn a_database_of_the_first_layout_keeps_its_agents_keys_and_documents() {
    let dir = dir();
    let options = SqliteConnectOptions::new()
        .filename(dir.path().join("karta.db"))
        .create_if_missing(true);
    let mut old = SqliteConnection::connect_with(&options)
        .await
        .expect("open");
    let first = migrations::up_to(1);
    first.run(&mut old).await.expect("the first layout");
    for sql in [
        r#"INSERT INTO agents VALUES ('a_1', 'main', '{"id":"a_1","account":"main","name":"Ada","avatar_url":null,"greeting":null,
            "suggested_prompts":[],"instruction":null,"runtime":"auto","model":null,"temperature":null,"widget_enabled":true,
            "auth_mode":"both","created_ms":1}', 1)"#,
        "INSERT INTO widget_keys VALUES ('k_1', 'main', 'Shop', 'pk_1', '', '[]', 'a_1', 1, 1)",
        "INSERT INTO documents VALUES ('d_1', 'main', 'a_1', 'One', NULL, 'Parcels.', 1), ('d_2', 'main', NULL, 'Two', NULL, 'x', 2)",
        "INSERT INTO passages VALUES (1, 'd_1', 'main', 'a_1', 'One', '', 'Parcels.')",
    ] {
        sqlx::query(sql).execute(&mut old).await.expect("inserted");
    }
    old.close().await.expect("closed");
    let store = open(dir.path()).await;
    let agent = store.agent("a_1").await.expect("read").expect("there");
    assert_eq!((agent.name.as_str(), agent.response_delay_ms), ("Ada", 0));
    let keys = store.keys("main").await.expect("read");
    assert_eq!(keys[0].caps, Caps::default());
    let documents = store.documents("main").await.expect("read");
    assert_eq!(documents[0].agent_ids, Some(vec!["a_1".into()]));
    assert_eq!(documents[1].agent_ids, None);
    assert_eq!(found(&store, "a_1", "parcels").await.len(), 1);
    assert!(found(&store, "a_2", "parcels").await.is_empty());
}
