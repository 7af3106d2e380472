//! Sessions over a real SQLite file, with a runtime that does as the test says.

use super::*;
use crate::agent::{AgentFailure, Answer, Line, Runtime, Sink, Turn};
use crate::store::sqlite::SqliteStore;
use crate::store::{Agent, Appended};
use async_trait::async_trait;
use karta_protocol::{EventType, SessionEvent, StopReason, client};
use tokio::sync::{Mutex, mpsc, oneshot};

/// What the runtime is told to do next.
enum Cue {
    Say(&'static str),
    Done(Answer),
    Fail(AgentFailure),
    Panic,
}

/// A turn that has begun, in the test's hand.
struct Call {
    turn: Turn,
    cues: mpsc::UnboundedSender<Cue>,
    /// Resolves when the runtime's future is gone.
    gone: oneshot::Receiver<()>,
}

impl Call {
    fn say(&self, text: &'static str) -> &Self {
        self.cue(Cue::Say(text))
    }
    fn cue(&self, cue: Cue) -> &Self {
        assert!(self.cues.send(cue).is_ok(), "the turn is over");
        self
    }
    fn reply(&self, text: &'static str) {
        self.say(text).cue(Cue::Done(Answer::default()));
    }
}

struct Puppet {
    calls: mpsc::UnboundedSender<Call>,
}

#[async_trait]
impl Runtime for Puppet {
    async fn answer(&self, turn: Turn, sink: &dyn Sink) -> Result<Answer, AgentFailure> {
        let (cues, mut told) = mpsc::unbounded_channel();
        let (_alive, gone) = oneshot::channel();
        let call = Call { turn, cues, gone };
        assert!(self.calls.send(call).is_ok(), "the test is over");
        loop {
            match told.recv().await {
                Some(Cue::Say(text)) => sink.text(text),
                Some(Cue::Done(answer)) => return Ok(answer),
                Some(Cue::Fail(failure)) => return Err(failure),
                Some(Cue::Panic) => panic!("as told"),
                // The test lets go: the answer never comes.
                None => std::future::pending().await,
            }
        }
    }
}

struct Stage {
    dir: tempfile::TempDir,
    store: Arc<SqliteStore>,
    sessions: Sessions,
    calls: Mutex<mpsc::UnboundedReceiver<Call>>,
}

impl Stage {
    async fn new() -> Self {
        Self::at(tempfile::tempdir().expect("a directory")).await
    }

    async fn at(dir: tempfile::TempDir) -> Self {
        let store = Arc::new(SqliteStore::open(dir.path()).await.expect("a store"));
        let agent = Agent {
            id: "a_1".into(),
            account: "acme".into(),
            name: "Ada".into(),
            runtime: "auto".into(),
            ..Agent::default()
        };
        store.put_agent(&agent).await.expect("an agent");
        let (calls, called) = mpsc::unbounded_channel();
        let runtimes = Runtimes::only(Arc::new(Puppet { calls }));
        let sessions = Sessions::start(store.clone(), runtimes)
            .await
            .expect("sessions");
        Self {
            dir,
            store,
            sessions,
            calls: Mutex::new(called),
        }
    }

    async fn session(&self) -> String {
        self.sessions
            .create(&who(), None)
            .await
            .expect("a session")
            .id
    }

    async fn send(&self, session: &str, id: &str, text: &str) -> u64 {
        self.submit(session, message(id, text))
            .await
            .expect("accepted")
            .seq
            .expect("a seq")
    }

    async fn submit(&self, session: &str, event: ClientEvent) -> Result<Accepted, Fault> {
        self.sessions.submit(&who(), session, event).await
    }

    async fn call(&self) -> Call {
        let mut calls = self.calls.lock().await;
        soon(calls.recv()).await.expect("a turn")
    }

    async fn read(&self, session: &str, after: u64) -> Reader {
        let subscription = self
            .sessions
            .subscribe(&who(), session, after)
            .await
            .expect("a reader");
        Reader { subscription }
    }

    async fn log(&self, session: &str) -> Vec<SessionEvent> {
        self.store
            .events(session, 0, 100_000)
            .await
            .expect("the log")
    }

    /// Drops everything in flight, as a kill would, and starts again on the same file.
    async fn crash(self) -> Self {
        let Stage {
            dir,
            store,
            sessions,
            calls,
        } = self;
        sessions.inner.halted.cancel();
        sessions.inner.tasks.close();
        sessions.inner.tasks.wait().await;
        drop((sessions, calls));
        store.close().await;
        Self::at(dir).await
    }
}

struct Reader {
    subscription: Subscription,
}

impl Reader {
    async fn event(&mut self) -> SessionEvent {
        let frame = soon(self.subscription.next()).await.expect("a frame");
        let event: SessionEvent = serde_json::from_str(&frame.json).expect("an event");
        if event.kind != EventType::Synced {
            assert_eq!(frame.seq, event.seq);
        }
        event
    }

    /// Reads until an event of this kind; all that came, this one last.
    async fn until(&mut self, kind: EventType) -> Vec<SessionEvent> {
        let mut seen = Vec::new();
        loop {
            let event = self.event().await;
            let last = event.kind == kind;
            seen.push(event);
            if last {
                return seen;
            }
        }
    }
}

/// A turn or a frame that never comes fails the test instead of holding it up.
async fn soon<T>(coming: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(30), coming).await;
    waited.expect("nothing came")
}

fn who() -> Principal {
    Principal {
        account: "acme".into(),
        key_id: "k_1".into(),
        agent_id: "a_1".into(),
        subject: "v_1".into(),
    }
}

fn message(id: &str, text: &str) -> ClientEvent {
    ClientEvent {
        kind: client::MESSAGE.into(),
        id: Some(id.into()),
        text: Some(text.into()),
        ..ClientEvent::default()
    }
}

fn order(kind: &str) -> ClientEvent {
    ClientEvent {
        kind: kind.into(),
        ..ClientEvent::default()
    }
}

/// `user.message "Hi"` and so on, one line each, to compare logs by eye.
fn script(events: &[SessionEvent]) -> Vec<String> {
    let line = |event: &SessionEvent| {
        let mut line = serde_json::to_value(event.kind)
            .expect("a kind")
            .as_str()
            .expect("a string")
            .to_owned();
        if event.delta {
            line.push_str(" +");
        }
        if let Some(text) = &event.text {
            line.push_str(&format!(" {text:?}"));
        }
        if event.interrupted {
            line.push_str(" interrupted");
        }
        if let Some(reason) = event.stop_reason {
            line.push_str(&format!(" {reason:?}"));
        }
        line
    };
    events.iter().map(line).collect()
}

#[tokio::test]
async fn a_message_is_answered_and_the_log_says_so() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    assert_eq!(reader.event().await.kind, EventType::Synced);
    assert_eq!(stage.send(&session, "m1", "Hi").await, 1);
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["Hi"]);
    call.say("Hel").reply("lo");
    let seen = reader.until(EventType::StatusIdle).await;
    assert_eq!(
        script(&seen),
        [
            "user.message \"Hi\"",
            "session.status_running",
            "agent.message + \"Hel\"",
            "agent.message + \"lo\"",
            "agent.message \"Hello\"",
            "session.status_idle Complete",
        ]
    );
    assert_eq!(seen[3].offset, Some(3));
    assert_eq!(seen[2].part_id, seen[4].part_id);
    let log = stage.log(&session).await;
    assert_eq!(
        log.iter().filter_map(|e| e.seq).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(
        log,
        seen.into_iter().filter(|e| !e.delta).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn message_and_turn_start_are_one_commit_and_so_are_answer_and_end() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    let before = stage.store.commits();
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.reply("Hello");
    reader.until(EventType::StatusIdle).await;
    assert_eq!(stage.store.commits() - before, 2);
}

#[tokio::test]
async fn sending_again_is_harmless() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    let seq = stage.send(&session, "m1", "Hi").await;
    assert_eq!(stage.send(&session, "m1", "Hi").await, seq);
    stage.call().await.reply("Hello");
    reader.until(EventType::StatusIdle).await;
    assert_eq!(stage.send(&session, "m1", "Hi").await, seq);
    assert_eq!(stage.log(&session).await.len(), 4);
    assert!(
        stage.calls.lock().await.try_recv().is_err(),
        "no second turn"
    );
}

#[tokio::test]
async fn messages_during_a_turn_are_answered_together_by_the_next() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "One").await;
    let first = stage.call().await;
    stage.send(&session, "m2", "Two").await;
    stage.send(&session, "m3", "Three").await;
    first.reply("Answer one");
    let second = stage.call().await;
    assert_eq!(second.turn.questions, ["Two", "Three"]);
    assert_eq!(
        second.turn.history,
        [
            Line::Visitor("One".into()),
            Line::Agent("Answer one".into())
        ]
    );
    second.reply("Answer two");
    reader.until(EventType::StatusIdle).await;
    reader.until(EventType::StatusIdle).await;
    assert_eq!(
        script(&stage.log(&session).await),
        [
            "user.message \"One\"",
            "session.status_running",
            "user.message \"Two\"",
            "user.message \"Three\"",
            "agent.message \"Answer one\"",
            "session.status_idle Complete",
            "session.status_running",
            "agent.message \"Answer two\"",
            "session.status_idle Complete",
        ]
    );
}

#[tokio::test]
async fn interrupting_keeps_what_was_streamed_and_stops_the_runtime() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    let call = stage.call().await;
    call.say("Half an ans");
    reader.until(EventType::AgentMessage).await;
    stage
        .submit(&session, order(client::INTERRUPT))
        .await
        .expect("accepted");
    let seen = reader.until(EventType::StatusIdle).await;
    assert_eq!(
        script(&seen),
        [
            "agent.message \"Half an ans\" interrupted",
            "session.status_idle Interrupted"
        ]
    );
    assert!(call.gone.await.is_err(), "the runtime's future was dropped");
    // With nothing running it does nothing.
    assert_eq!(
        stage
            .submit(&session, order(client::INTERRUPT))
            .await
            .expect("accepted")
            .seq,
        None
    );
    stage.send(&session, "m2", "Go on").await;
    assert_eq!(stage.call().await.turn.questions, ["Go on"]);
}

#[tokio::test]
async fn a_failure_is_told_kindly_and_retry_asks_again() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    let call = stage.call().await;
    call.say("Half")
        .cue(Cue::Fail(AgentFailure::Broken("SECRET-DETAIL".into())));
    let seen = reader.until(EventType::StatusIdle).await;
    let error = &seen[seen.len() - 2];
    assert_eq!(error.kind, EventType::SessionError);
    assert_eq!(error.code.as_deref(), Some("agent_failed"));
    assert!(!format!("{:?}", stage.log(&session).await).contains("SECRET-DETAIL"));
    // The half answer is withdrawn from whoever saw it begin.
    let synced = reader.event().await;
    assert_eq!(
        (synced.kind, synced.part_id, synced.seq),
        (EventType::Synced, None, Some(4))
    );
    stage
        .submit(&session, order(client::RETRY))
        .await
        .expect("accepted");
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["Hi"]);
    // Pressing twice is harmless.
    stage
        .submit(&session, order(client::RETRY))
        .await
        .expect("accepted");
    call.reply("Hello");
    reader.until(EventType::StatusIdle).await;
    stage
        .submit(&session, order(client::RETRY))
        .await
        .expect("accepted");
    assert!(
        stage.calls.lock().await.try_recv().is_err(),
        "nothing left to answer"
    );
}

#[tokio::test]
async fn a_panicking_runtime_fails_its_turn_only() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.cue(Cue::Panic);
    let seen = reader.until(EventType::StatusIdle).await;
    assert_eq!(
        seen.last().and_then(|e| e.stop_reason),
        Some(StopReason::Error)
    );
    stage.send(&session, "m2", "Still there?").await;
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["Hi", "Still there?"]);
    call.reply("Yes");
    reader.until(EventType::StatusIdle).await;
}

#[tokio::test]
async fn an_empty_answer_is_a_failure() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.cue(Cue::Done(Answer::default()));
    let seen = reader.until(EventType::StatusIdle).await;
    assert_eq!(
        seen.last().and_then(|e| e.stop_reason),
        Some(StopReason::Error)
    );
}

#[tokio::test]
async fn a_turn_that_a_crash_cut_is_run_again_once() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.say("Half");
    stage.send(&session, "m2", "And you?").await;
    let stage = stage.crash().await;
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["Hi"]);
    // Asking for the session meanwhile does not start it twice.
    let mut reader = stage.read(&session, 3).await;
    assert_eq!(stage.send(&session, "m1", "Hi").await, 1);
    call.reply("Hello");
    let call = stage.call().await;
    assert_eq!(call.turn.questions, ["And you?"]);
    call.reply("Fine");
    reader.until(EventType::StatusIdle).await;
    reader.until(EventType::StatusIdle).await;
    assert_eq!(
        script(&stage.log(&session).await),
        [
            "user.message \"Hi\"",
            "session.status_running",
            "user.message \"And you?\"",
            "agent.message \"Hello\"",
            "session.status_idle Complete",
            "session.status_running",
            "agent.message \"Fine\"",
            "session.status_idle Complete",
        ]
    );
    let stage = stage.crash().await;
    stage.sessions.inner.tasks.close();
    stage.sessions.inner.tasks.wait().await;
    assert!(
        stage.calls.lock().await.try_recv().is_err(),
        "nothing was cut"
    );
}

#[tokio::test]
async fn a_question_that_no_turn_took_is_answered_after_a_restart() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let event = SessionEvent {
        kind: EventType::UserMessage,
        id: Some("m1".into()),
        text: Some("Hi".into()),
        ..SessionEvent::default()
    };
    assert!(matches!(
        stage.store.append(&session, vec![event]).await,
        Ok(Appended::New(_))
    ));
    let stage = stage.crash().await;
    assert_eq!(stage.call().await.turn.questions, ["Hi"]);
}

#[tokio::test]
async fn stopping_lets_turns_finish_and_ends_readers() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    let mut reader = stage.read(&session, 0).await;
    stage.send(&session, "m1", "Hi").await;
    let call = stage.call().await;
    let sessions = stage.sessions.clone();
    let stopping = tokio::spawn(async move { sessions.stop(Duration::from_secs(60)).await });
    stage.sessions.inner.closing.cancelled().await;
    let refused = stage.submit(&session, message("m2", "Late")).await;
    assert_eq!(refused.map_err(|f| f.code()), Err(ErrorCode::Overloaded));
    call.reply("Hello");
    reader.until(EventType::StatusIdle).await;
    stopping.await.expect("stopped");
    assert!(reader.subscription.next().await.is_none());
}

#[tokio::test]
async fn stopping_leaves_a_long_turn_to_the_next_start() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    stage.send(&session, "m1", "Hi").await;
    stage.call().await.say("Half");
    stage.sessions.stop(Duration::ZERO).await;
    let stage = stage.crash().await;
    assert_eq!(stage.call().await.turn.questions, ["Hi"]);
    assert_eq!(stage.log(&session).await.len(), 2);
}

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
                    .submit(&stranger, &session, message("m1", "Hi"))
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
