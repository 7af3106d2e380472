//! Whose session it is, its pages, and what may be said about an answer.

use super::stage::*;
use crate::session::*;
use karta_protocol::{EventType, client};

#[tokio::test]
async fn another_visitors_session_does_not_exist() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let strangers = [
        Principal {
            subject: "v_2".into(),
            ..who()
        },
        Principal {
            account: "other".into(),
            ..who()
        },
        Principal {
            agent_id: "a_2".into(),
            ..who()
        },
    ];
    let missing = |result: Result<(), Fault>| {
        let fault = result.expect_err("refused");
        assert_eq!(fault.code(), ErrorCode::SessionNotFound);
        fault.to_string()
    };
    for stranger in strangers {
        let sessions = &stage.sessions;
        let words = [
            missing(sessions.page(&stranger, &session, 0).await.map(drop)),
            missing(
                sessions
                    .submit(&stranger, &session, message("m1", "Hi"), None)
                    .await
                    .map(drop),
            ),
            missing(sessions.subscribe(&stranger, &session, 0).await.map(drop)),
            missing(sessions.subscribe(&who(), "s_none", 0).await.map(drop)),
        ];
        assert!(words.iter().all(|w| *w == words[0]), "all look alike");
        let resumed = sessions
            .create(&stranger, Some(&session))
            .await
            .expect("a new one");
        assert!(!resumed.resumed && resumed.id != session);
        assert!(
            !sessions
                .list(&stranger)
                .await
                .expect("a list")
                .iter()
                .any(|s| s.id == session)
        );
    }
    assert!(stage.log(&session).await.is_empty());
}

#[tokio::test]
async fn resuming_gives_the_same_session_and_pages_its_log() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.reply("Hello");
    reader.until(EventType::StatusIdle).await;
    let resumed = stage
        .sessions
        .create(&who(), Some(&session))
        .await
        .expect("resumed");
    assert_eq!(
        (resumed.id.as_str(), resumed.resumed, resumed.last_seq),
        (session.as_str(), true, 4)
    );
    let page = stage
        .sessions
        .page(&who(), &session, 2)
        .await
        .expect("a page");
    assert_eq!(
        script(&page.events),
        ["agent.message \"Hello\"", "session.status_idle Complete"]
    );
    assert!(!page.more);
    let other = stage.session().await;
    let list = stage.sessions.list(&who()).await.expect("a list");
    assert_eq!(
        list.iter().map(|s| &s.id).collect::<Vec<_>>(),
        [&other, &session]
    );
}

#[tokio::test]
async fn feedback_needs_an_answer_of_this_session() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.reply("Hello");
    let seen = reader.until(EventType::StatusIdle).await;
    let part_id = seen[seen.len() - 2].part_id.clone();
    let feedback = ClientEvent {
        part_id,
        rating: Some("up".into()),
        ..order(client::FEEDBACK)
    };
    stage
        .submit(&session, feedback.clone())
        .await
        .expect("accepted");
    stage
        .submit(&session, feedback.clone())
        .await
        .expect("accepted again");
    let other = stage.session().await;
    let refused = stage.submit(&other, feedback).await.map_err(|f| f.code());
    assert_eq!(refused, Err(ErrorCode::RequestInvalid));
}
