//! What the rows hold: spent tokens, visitors, documents and how they are found, branding.

use super::*;
use crate::service::branding::BrandingChange;
use crate::service::patch::Patch;

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
    store.put_visitor("main", "v_1", None).await.expect("put");
    store
        .put_visitor("main", "v_1", None)
        .await
        .expect("put again");
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
    let wished = BrandingChange {
        primary_color: Patch::Set(" #0A7CFF ".into()),
        launcher_label: Patch::Set("Ask us".into()),
        ..BrandingChange::default()
    };
    let saved = crate::service::branding::replace(&*store, "main", wished)
        .await
        .expect("saved");
    assert_eq!(saved.primary_color.as_deref(), Some("#0a7cff"));
    assert_eq!(store.branding("main").await.expect("read"), saved);
    for color in ["red", "#12345", "#0a7cff;background:url(x)", ""] {
        let bad = BrandingChange {
            primary_color: Patch::Set(color.into()),
            ..BrandingChange::default()
        };
        assert!(
            crate::service::branding::replace(&*store, "main", bad)
                .await
                .is_err(),
            "{color}"
        );
    }
}
