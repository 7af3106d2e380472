//! The sessions of one test: a real SQLite file, and a runtime that does as the test says.

use crate::agent::{AgentFailure, Answer, Outcome, Runtime, Runtimes, Sink, ToolUse, Turn};
use crate::app::Clock;
use crate::error::Fault;
use crate::session::{Principal, Sessions, Subscription};
use crate::store::sqlite::SqliteStore;
use crate::store::{Agent, Caps, Store as _, WidgetKey};
use async_trait::async_trait;
use karta_protocol::{Accepted, ClientEvent, EventType, SessionEvent, Usage, client};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};

/// What the runtime is told to do next.
pub enum Cue {
    Say(&'static str),
    Think,
    Spent(Usage),
    /// May this tool act? The answer goes to the test.
    Ask(ToolUse, oneshot::Sender<bool>),
    Acted(ToolUse, Outcome),
    Done(Answer),
    Fail(AgentFailure),
    Panic,
}

/// A turn that has begun, in the test's hand.
pub struct Call {
    pub turn: Turn,
    pub cues: mpsc::UnboundedSender<Cue>,
    /// Resolves when the runtime's future is gone.
    pub gone: oneshot::Receiver<()>,
}

impl Call {
    pub fn say(&self, text: &'static str) -> &Self {
        self.cue(Cue::Say(text))
    }
    pub fn cue(&self, cue: Cue) -> &Self {
        assert!(self.cues.send(cue).is_ok(), "the turn is over");
        self
    }
    pub fn ask(&self, what: &ToolUse) -> oneshot::Receiver<bool> {
        let (tell, told) = oneshot::channel();
        self.cue(Cue::Ask(what.clone(), tell));
        told
    }
    pub fn reply(&self, text: &'static str) {
        self.say(text).cue(Cue::Done(Answer::default()));
    }
}

pub struct Puppet {
    pub calls: mpsc::UnboundedSender<Call>,
}

#[async_trait]
impl Runtime for Puppet {
    fn at_most(&self, _turn: &Turn, _unwritten: usize) -> Usage {
        Usage {
            input_tokens: 3_000,
            output_tokens: 1_000,
        }
    }

    async fn answer(&self, turn: Turn, sink: &dyn Sink) -> Result<Answer, AgentFailure> {
        let (cues, mut told) = mpsc::unbounded_channel();
        let (_alive, gone) = oneshot::channel();
        let call = Call { turn, cues, gone };
        assert!(self.calls.send(call).is_ok(), "the test is over");
        loop {
            match told.recv().await {
                Some(Cue::Say(text)) => sink.text(text),
                Some(Cue::Think) => sink.thinking(),
                Some(Cue::Spent(usage)) => sink.spent(usage),
                Some(Cue::Ask(what, tell)) => {
                    let _ = tell.send(sink.may_act(&what).await?);
                }
                Some(Cue::Acted(what, outcome)) => sink.acted(&what, outcome).await?,
                Some(Cue::Done(answer)) => return Ok(answer),
                Some(Cue::Fail(failure)) => return Err(failure),
                Some(Cue::Panic) => panic!("as told"),
                // The test lets go: the answer never comes.
                None => std::future::pending().await,
            }
        }
    }
}

pub struct Stage {
    pub dir: tempfile::TempDir,
    pub store: Arc<SqliteStore>,
    pub sessions: Sessions,
    pub calls: Mutex<mpsc::UnboundedReceiver<Call>>,
    ahead_ms: Arc<AtomicU64>,
}

impl Stage {
    pub async fn new() -> Self {
        Self::at(tempfile::tempdir().expect("a directory")).await
    }

    pub async fn at(dir: tempfile::TempDir) -> Self {
        let store = Arc::new(SqliteStore::open(dir.path()).await.expect("a store"));
        if store.agent("a_1").await.expect("read").is_none() {
            let agent = Agent {
                id: "a_1".into(),
                account: "acme".into(),
                name: "Ada".into(),
                runtime: "auto".into(),
                ..Agent::default()
            };
            store.put_agent(&agent).await.expect("an agent");
            store.put_key(&key(Caps::default())).await.expect("a key");
        }
        let ahead_ms = Arc::new(AtomicU64::new(0));
        let ahead = ahead_ms.clone();
        let clock = Clock(Arc::new(move || {
            Clock::system().now_ms() + ahead.load(Ordering::SeqCst)
        }));
        let (calls, called) = mpsc::unbounded_channel();
        let runtimes = Runtimes::only(Arc::new(Puppet { calls }));
        let sessions = Sessions::start_at(store.clone(), runtimes, clock, None)
            .await
            .expect("sessions");
        Self {
            dir,
            store,
            sessions,
            calls: Mutex::new(called),
            ahead_ms,
        }
    }

    /// How far the clock was moved.
    pub fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }

    pub fn advance(&self, time: Duration) {
        self.ahead_ms
            .fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }

    pub async fn delay(&self, response_delay_ms: u32) {
        let agent = self.store.agent("a_1").await.expect("read");
        let agent = Agent {
            response_delay_ms,
            ..agent.expect("there")
        };
        self.store.put_agent(&agent).await.expect("put");
    }

    pub async fn cap(&self, caps: Caps) {
        self.store.put_key(&key(caps)).await.expect("put");
    }

    pub async fn session(&self) -> String {
        self.sessions
            .create(&who(), None)
            .await
            .expect("a session")
            .id
    }

    pub async fn send(&self, session: &str, id: &str, text: &str) -> u64 {
        self.submit(session, message(id, text))
            .await
            .expect("accepted")
            .seq
            .expect("a seq")
    }

    pub async fn submit(&self, session: &str, event: ClientEvent) -> Result<Accepted, Fault> {
        self.sessions.submit(&who(), session, event, None).await
    }

    pub async fn call(&self) -> Call {
        let mut calls = self.calls.lock().await;
        soon(calls.recv()).await.expect("a turn")
    }

    pub async fn read(&self, session: &str, after: u64) -> Reader {
        let subscription = self
            .sessions
            .subscribe(&who(), session, after)
            .await
            .expect("a reader");
        Reader { subscription }
    }

    pub async fn log(&self, session: &str) -> Vec<SessionEvent> {
        self.store
            .events(session, 0, 100_000)
            .await
            .expect("the log")
    }

    /// Drops everything in flight, as a kill would, and starts again on the same file.
    pub async fn crash(self) -> Self {
        let Stage {
            dir,
            store,
            sessions,
            calls,
            ..
        } = self;
        sessions.inner.halted.cancel();
        sessions.inner.tasks.close();
        sessions.inner.tasks.wait().await;
        drop((sessions, calls));
        store.close().await;
        Self::at(dir).await
    }
}

pub struct Reader {
    pub subscription: Subscription,
}

impl Reader {
    pub async fn event(&mut self) -> SessionEvent {
        let frame = soon(self.subscription.next()).await.expect("a frame");
        let event: SessionEvent = serde_json::from_str(&frame.json).expect("an event");
        if event.kind != EventType::Synced {
            assert_eq!(frame.seq, event.seq);
        }
        event
    }

    /// Reads until an event of this kind; all that came, this one last.
    pub async fn until(&mut self, kind: EventType) -> Vec<SessionEvent> {
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
pub async fn soon<T>(coming: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(30), coming).await;
    waited.expect("nothing came")
}

/// The key of everybody here.
pub fn key(caps: Caps) -> WidgetKey {
    WidgetKey {
        id: "k_1".into(),
        account: "acme".into(),
        name: "Shop".into(),
        public_key: "pk_1".into(),
        enabled: true,
        caps,
        ..WidgetKey::default()
    }
}

pub fn who() -> Principal {
    Principal {
        account: "acme".into(),
        key_id: "k_1".into(),
        agent_id: "a_1".into(),
        subject: "v_1".into(),
    }
}

pub fn message(id: &str, text: &str) -> ClientEvent {
    ClientEvent {
        kind: client::MESSAGE.into(),
        id: Some(id.into()),
        text: Some(text.into()),
        ..ClientEvent::default()
    }
}

pub fn order(kind: &str) -> ClientEvent {
    ClientEvent {
        kind: kind.into(),
        ..ClientEvent::default()
    }
}

/// `user.message "Hi"` and so on, one line each, to compare logs by eye.
pub fn script(events: &[SessionEvent]) -> Vec<String> {
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
        if let Some(state) = &event.state {
            line.push_str(&format!(" {state}"));
        }
        if let Some(reason) = event.stop_reason {
            line.push_str(&format!(" {reason:?}"));
        }
        line
    };
    events.iter().map(line).collect()
}
