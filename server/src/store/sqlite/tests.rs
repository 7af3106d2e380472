//! The store over real files: what is acknowledged is there, in order, once.

use super::*;
use crate::store::{Caps, new_id, now_ms};
use karta_protocol::{EventType, SessionInfo, SessionStatus, StopReason};
use std::collections::HashSet;
use std::sync::Arc;

async fn open(dir: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(dir).await.expect("a store"))
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

async fn session(store: &SqliteStore) -> String {
    let info = SessionInfo {
        id: new_id("s"),
        ..SessionInfo::default()
    };
    let record = SessionRecord {
        info: info.clone(),
        account: "main".into(),
        subject: "v_1".into(),
        created_ms: now_ms(),
        ..SessionRecord::default()
    };
    store.create_session(&record).await.expect("a session");
    info.id
}

fn said(id: &str) -> SessionEvent {
    SessionEvent {
        kind: EventType::UserMessage,
        id: Some(id.into()),
        text: Some(format!("text of {id} 🙂")),
        ..SessionEvent::default()
    }
}

fn marked(kind: EventType) -> SessionEvent {
    SessionEvent {
        kind,
        ..SessionEvent::default()
    }
}

fn document(id: &str, agent_id: Option<&str>, account: &str, text: &str) -> KnowledgeDocument {
    KnowledgeDocument {
        id: id.into(),
        account: account.into(),
        agent_ids: agent_id.map(|id| vec![id.into()]),
        title: "Title".into(),
        url: None,
        text: text.into(),
        created_ms: 1,
    }
}

async fn found(store: &SqliteStore, agent: &str, query: &str) -> Vec<String> {
    let found = store.search("main", agent, query, 10).await.expect("found");
    found.passages.into_iter().map(|p| p.text).collect()
}

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
                    Appended::Repeat(_) => panic!("nothing was repeated"),
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
                            secret_hash: String::new(),
                            origins: Vec::new(),
                            agent_id: Some("a_none".into()),
                            enabled: true,
                            caps: Caps::default(),
                            created_ms: 1,
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
    let half = include_str!("../../../migrations/sqlite/0001_first.sql")
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
        .fetch_one(&store.readers)
        .await
        .expect("a row");
    assert_eq!(sqlx::Row::get::<i64, _>(&row, 0), 2);
    let row = sqlx::query("PRAGMA journal_mode")
        .fetch_one(&store.readers)
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
async fn a_token_is_spent_once_and_forgotten_after_its_time() {
    let dir = dir();
    let store = open(dir.path()).await;
    let later = now_ms() + 60_000;
    assert!(
        store
            .spend_token("t1", later, Some("next"))
            .await
            .expect("spent")
    );
    assert!(
        !store
            .spend_token("t1", later, Some("other"))
            .await
            .expect("seen")
    );
    let spent = store.spent_token("t1").await.expect("read").expect("there");
    assert_eq!(spent.replacement.as_deref(), Some("next"));
    assert!(store.spend_token("old", 1, None).await.expect("spent"));
    assert!(store.spend_token("t2", later, None).await.expect("spent"));
    assert!(store.spent_token("old").await.expect("read").is_none());
}

#[tokio::test]
async fn visitors_belong_to_their_account() {
    let dir = dir();
    let store = open(dir.path()).await;
    store.put_visitor("main", "v_1").await.expect("put");
    store.put_visitor("main", "v_1").await.expect("put again");
    assert!(store.visitor_exists("main", "v_1").await.expect("read"));
    assert!(!store.visitor_exists("other", "v_1").await.expect("read"));
    assert!(!store.visitor_exists("main", "v_2").await.expect("read"));
}

#[tokio::test]
async fn search_keeps_to_the_agents_documents() {
    let dir = dir();
    let store = open(dir.path()).await;
    for id in ["a_1", "a_2"] {
        let agent = Agent {
            id: id.into(),
            account: "main".into(),
            ..Agent::default()
        };
        store.put_agent(&agent).await.expect("put");
    }
    store
        .put_document(&document("d_1", None, "main", "Everyone ships parcels."))
        .await
        .expect("put");
    store
        .put_document(&document(
            "d_2",
            Some("a_1"),
            "main",
            "The first agent ships parcels.",
        ))
        .await
        .expect("put");
    store
        .put_document(&document("d_3", None, "other", "Strangers ship parcels."))
        .await
        .expect("put");
    assert_eq!(found(&store, "a_1", "parcels").await.len(), 2);
    assert_eq!(
        found(&store, "a_2", "parcels").await,
        ["Everyone ships parcels."]
    );
    assert_eq!(
        found(&store, "a_2", "shiping a parcle").await.len(),
        1,
        "mistyped words are mended"
    );
    assert!(!store.remove_document("other", "d_1").await.expect("kept"));
    assert!(store.remove_document("main", "d_1").await.expect("removed"));
    assert!(found(&store, "a_2", "parcels").await.is_empty());
}

#[tokio::test]
async fn a_document_for_several_agents_is_found_by_each_of_them_only() {
    let dir = dir();
    let store = open(dir.path()).await;
    for id in ["a_1", "a_2", "a_3"] {
        let agent = Agent {
            id: id.into(),
            account: "main".into(),
            ..Agent::default()
        };
        store.put_agent(&agent).await.expect("put");
    }
    let mut shared = document("d_1", Some("a_1"), "main", "Two agents ship parcels.");
    shared.agent_ids = Some(vec!["a_1".into(), "a_2".into()]);
    store.put_document(&shared).await.expect("put");
    for (agent, n) in [("a_1", 1), ("a_2", 1), ("a_3", 0)] {
        assert_eq!(found(&store, agent, "parcels").await.len(), n, "{agent}");
    }
    let read = store.document("main", "d_1").await.expect("read");
    assert_eq!(read.as_ref(), Some(&shared));
    assert_eq!(store.document("other", "d_1").await.expect("read"), None);
    shared.agent_ids = Some(Vec::new());
    store.put_document(&shared).await.expect("put");
    assert!(found(&store, "a_1", "parcels").await.is_empty());
    let read = store.document("main", "d_1").await.expect("read");
    assert_eq!(read.expect("there").agent_ids, Some(Vec::new()));
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
    let mut first = sqlx::migrate!("./migrations/sqlite");
    first.migrations.to_mut().retain(|m| m.version == 1);
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

#[tokio::test]
async fn query_syntax_finds_words_and_breaks_nothing() {
    let dir = dir();
    let store = open(dir.path()).await;
    store
        .put_document(&document("d_1", None, "main", "A refund takes five days."))
        .await
        .expect("put");
    for query in [
        "refund\" OR \"x",
        "refund*",
        "title:refund",
        "refund AND",
        "NEAR(refund, 2)",
        "^refund",
        "{title} : refund",
        "(refund",
        "refund -days",
        "\"refund",
        "refund'; DROP TABLE passages; --",
        "refund\0days",
        "refund NOT days",
    ] {
        assert_eq!(found(&store, "a_1", query).await.len(), 1, "{query}");
    }
    for query in [
        "",
        " ",
        "\"\"",
        "*",
        "()",
        "-",
        "\0",
        "🙂",
        "''",
        "AND OR NOT",
        "\u{202e}",
        "%_%",
    ] {
        assert!(found(&store, "a_1", query).await.is_empty(), "{query}");
    }
    assert_eq!(
        found(&store, "a_1", "refund").await.len(),
        1,
        "the table is still there"
    );
}

#[tokio::test]
async fn branding_is_saved_whole() {
    let dir = dir();
    let store = open(dir.path()).await;
    assert_eq!(
        store.branding("main").await.expect("read"),
        Branding::default()
    );
    let wished = Branding {
        primary_color: Some(" #0A7CFF ".into()),
        launcher_label: Some("Ask us".into()),
        ..Branding::default()
    };
    let saved = crate::service::branding::put(&*store, "main", wished)
        .await
        .expect("saved");
    assert_eq!(saved.primary_color.as_deref(), Some("#0a7cff"));
    assert_eq!(store.branding("main").await.expect("read"), saved);
    for color in ["red", "#12345", "#0a7cff;background:url(x)", ""] {
        let bad = Branding {
            primary_color: Some(color.into()),
            ..Branding::default()
        };
        assert!(
            crate::service::branding::put(&*store, "main", bad)
                .await
                .is_err(),
            "{color}"
        );
    }
}
