//! Calls that are handed to a realtime engine, under control: who may begin one, how long it lasts, what it uses up, and its end, which the
//! engine is told. The audio never comes here; the data channel neither. What such a call does in the log is `session/handed.rs`.

mod again;
pub mod kept;
mod sdp;

use crate::agent::Line as Said;
use crate::app::Clock;
use crate::auth::guarded::Permit;
use crate::error::{ApiError, Fault};
use crate::rtc::IfMatch;
use crate::session::{Handover, Presence, Principal};
use crate::store::Agent;
use crate::voice::realtime::{
    CallName, CallRequest, Line, Realtime, Refusal, TOLD_BYTES, TOLD_LINES, Told,
};
use axum::http::StatusCode;
use karta_protocol::ErrorCode;
use kept::Keeper;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Waits between tries to hang up at an engine that does not hear.
const HANG_UP_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

#[derive(Clone, Debug)]
pub struct CallRules {
    /// How often a call is looked at.
    pub look_every: Duration,
    /// Nobody has read the session for so long: the page is gone.
    pub deserted_max: Duration,
    pub length_max: Duration,
    /// How often its time is paid at least.
    pub pay_every: Duration,
    /// How long it may go on while its time cannot be counted: a database that fails for a moment must not end a talk.
    pub unpaid_max: Duration,
}

impl Default for CallRules {
    fn default() -> Self {
        CallRules {
            look_every: Duration::from_secs(1),
            deserted_max: Duration::from_secs(60),
            length_max: Duration::from_secs(30 * 60),
            pay_every: Duration::from_secs(60),
            unpaid_max: Duration::from_secs(10),
        }
    }
}

/// All handed calls of this process. Cheap to clone.
#[derive(Clone)]
pub struct Calls {
    inner: Arc<Inner>,
}

struct Inner {
    rules: CallRules,
    clock: Clock,
    known: Mutex<HashMap<String, Known>>,
    tasks: TaskTracker,
    /// None: a crash is the end of a call's control.
    keeper: Option<Keeper>,
}

/// A call, as its visitor may speak of it.
#[derive(Clone)]
struct Known {
    account: String,
    subject: String,
    session_id: String,
    etag: String,
    engine: Arc<dyn Realtime>,
    name: String,
    end: Arc<End>,
}

/// A call that an engine has taken.
struct Taken {
    who: Principal,
    permit: Permit,
    handover: Handover,
    engine: Arc<dyn Realtime>,
    name: CallName,
    etag: String,
    began_ms: u64,
    place: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct End {
    asked: CancellationToken,
    /// None: its visitor has asked for it.
    code: Mutex<Option<&'static str>>,
}

/// What a visitor needs for a call.
pub struct NewCall {
    pub who: Principal,
    pub permit: Permit,
    pub handover: Handover,
    pub line: Line,
    pub place: OwnedSemaphorePermit,
    pub agent: Agent,
    pub language: Option<String>,
    pub offer: String,
}

/// The answer to its offer.
#[derive(Debug)]
pub struct Answer {
    pub sdp: String,
    pub call_id: String,
    pub etag: String,
}

impl Calls {
    pub fn new(rules: CallRules, clock: Clock) -> Calls {
        Calls::made(rules, clock, None)
    }

    /// What runs is kept, so that the next process can go on with it: [`Calls::take_up`].
    pub fn kept_by(keeper: Keeper, rules: CallRules, clock: Clock) -> Calls {
        Calls::made(rules, clock, Some(keeper))
    }

    fn made(rules: CallRules, clock: Clock, keeper: Option<Keeper>) -> Calls {
        Calls {
            inner: Arc::new(Inner {
                rules,
                clock,
                known: Mutex::default(),
                tasks: TaskTracker::new(),
                keeper,
            }),
        }
    }

    pub fn new_id() -> String {
        // 122 bits from the system's random source: the id alone names what DELETE would end.
        format!("h_{}", uuid::Uuid::new_v4().simple())
    }

    /// Calls that run now.
    pub fn running(&self) -> usize {
        self.inner.known().len()
    }

    /// Hands the offer over and keeps an eye on the call from then on.
    pub async fn begin(&self, mut new: NewCall) -> Result<Answer, ApiError> {
        let offer = sdp::offer(&new.offer).map_err(Fault::from)?;
        new.permit.minute()?;
        new.handover.pay_start().await?;
        let told = new.handover.told(TOLD_LINES, TOLD_BYTES).await?;
        let request = CallRequest {
            sdp: offer,
            agent_id: new.agent.id.clone(),
            agent_name: new.agent.name.clone(),
            instruction: new.agent.instruction.clone(),
            language: new.language.clone(),
            told: told.iter().map(told_of).collect(),
        };
        // In a task of its own: a visitor who goes away while the engine answers must not leave a call that nobody knows of.
        let (reply, answered) = oneshot::channel();
        let inner = self.inner.clone();
        self.inner
            .tasks
            .spawn(async move { inner.hold(new, request, reply).await });
        match answered.await {
            Ok(answer) => answer.map_err(refused),
            Err(_) => Err(ApiError::internal("a handed call has no task")),
        }
    }

    /// Candidates that came later.
    pub async fn trickle(
        &self,
        who: &Principal,
        session_id: &str,
        call_id: &str,
        if_match: &IfMatch,
        fragment: &str,
    ) -> Result<(), ApiError> {
        let known = self.find(who, session_id, call_id).ok_or_else(not_found)?;
        let candidates = sdp::candidates(fragment).map_err(Fault::from)?;
        let IfMatch::Tags(tags) = if_match else {
            return Err(ApiError::new(
                ErrorCode::RequestInvalid,
                "A handed call does not restart ICE. Begin another with POST; it takes this one's place.",
            )
            .with_status(StatusCode::UNPROCESSABLE_ENTITY));
        };
        if !tags.contains(&known.etag) {
            return Err(ApiError::new(
                ErrorCode::PreconditionFailed,
                "If-Match names no ICE session of this call. Use the ETag of its answer.",
            ));
        }
        let taken = known.engine.trickle(&known.name, &candidates).await;
        taken.map_err(refused)
    }

    /// Asked for by its visitor. One that is over already is no failure.
    pub fn end(&self, who: &Principal, session_id: &str, call_id: &str) {
        if let Some(known) = self.find(who, session_id, call_id) {
            known.end.asked.cancel();
        }
    }

    /// Waits until every engine was told, once the permits have ended with the server.
    pub async fn stop(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// None as well when it is somebody else's: an outsider learns nothing.
    fn find(&self, who: &Principal, session_id: &str, call_id: &str) -> Option<Known> {
        let known = self.inner.known();
        let found = known.get(call_id)?;
        let owner = found.account == who.account && found.subject == who.subject;
        (owner && found.session_id == session_id).then(|| found.clone())
    }
}

impl Inner {
    async fn hold(
        &self,
        new: NewCall,
        request: CallRequest,
        reply: oneshot::Sender<Result<Answer, Refusal>>,
    ) {
        let engine = new.line.engine;
        let handed = match engine.offer(&request).await {
            Ok(handed) => handed,
            Err(refusal) => {
                tracing::warn!(%refusal, agent_id = request.agent_id, "a realtime engine did not take a call");
                let _ = reply.send(Err(refusal));
                return;
            }
        };
        let mut taken = Taken {
            who: new.who,
            permit: new.permit,
            handover: new.handover,
            engine,
            name: CallName {
                call: handed.call,
                offer: sdp::without_addresses(&request.sdp),
            },
            etag: uuid::Uuid::new_v4().simple().to_string(),
            began_ms: self.clock.now_ms(),
            place: Some(new.place),
        };
        let answer = Answer {
            sdp: handed.sdp,
            call_id: taken.handover.call_id().to_owned(),
            etag: taken.etag.clone(),
        };
        self.keep(&taken, new.agent.voice).await;
        let end = self.enter(&taken);
        let code = match reply.send(Ok(answer)) {
            Ok(()) => self.watch(&mut taken, &end).await,
            Err(_) => Some("gone"),
        };
        self.finish(taken, code).await;
    }

    async fn finish(&self, taken: Taken, code: Option<&'static str>) {
        let call_id = taken.handover.call_id().to_owned();
        self.known().remove(&call_id);
        tracing::info!(
            session_id = taken.handover.session_id(),
            code,
            "a handed call has ended"
        );
        taken.handover.end(code).await;
        hang_up(&*taken.engine, &taken.name).await;
        if let Some(keeper) = &self.keeper {
            keeper.forget(&call_id).await;
        }
        // As long as the engine talks, it takes a place.
        drop(taken.place);
    }

    /// One call for each session: a new one takes the place of the old.
    fn enter(&self, taken: &Taken) -> Arc<End> {
        // Before the call that it takes the place of hears of its end.
        taken.handover.begin();
        let end = Arc::new(End::default());
        let new = Known {
            account: taken.who.account.clone(),
            subject: taken.who.subject.clone(),
            session_id: taken.handover.session_id().to_owned(),
            etag: taken.etag.clone(),
            engine: taken.engine.clone(),
            name: taken.name.call.clone(),
            end: end.clone(),
        };
        let mut known = self.known();
        for old in known.values() {
            if old.session_id == new.session_id {
                *old.end.code.lock().unwrap_or_else(PoisonError::into_inner) = Some("taken_over");
                old.end.asked.cancel();
            }
        }
        known.insert(taken.handover.call_id().to_owned(), new);
        end
    }

    /// Until the call has to end. Why, unless its visitor asked for it.
    async fn watch(&self, taken: &mut Taken, end: &End) -> Option<&'static str> {
        let Taken {
            handover, permit, ..
        } = taken;
        let rules = &self.rules;
        let began = Instant::now();
        // One that was taken up has lasted for a while.
        let lasted_ms = self.clock.now_ms().saturating_sub(taken.began_ms);
        let lasted = Duration::from_millis(lasted_ms);
        let mut seen = began;
        let mut due = handover.due().min(began + rules.pay_every);
        loop {
            tokio::select! {
                () = end.asked.cancelled() => {
                    return *end.code.lock().unwrap_or_else(PoisonError::into_inner);
                }
                why = permit.ended() => return Some(why.code().as_str()),
                () = tokio::time::sleep(rules.look_every) => {}
            }
            let now = Instant::now();
            match handover.presence() {
                Presence::Gone => return Some("session"),
                Presence::Present => seen = now,
                Presence::Deserted if now - seen >= rules.deserted_max => return Some("gone"),
                Presence::Deserted => {}
            }
            if let Some(code) = handover.over() {
                return Some(code.as_str());
            }
            if now - began + lasted >= rules.length_max {
                return Some("too_long");
            }
            if now < due {
                continue;
            }
            match handover.pay_time().await {
                Ok(()) => {
                    due = handover.due().min(now + rules.pay_every);
                    if let Err(fault) = permit.minute() {
                        return Some(fault.code().as_str());
                    }
                }
                Err(fault) if fault.code() == ErrorCode::LimitReached => {
                    return Some(fault.code().as_str());
                }
                Err(fault) if fault.code() == ErrorCode::SessionNotFound => {
                    return Some("session");
                }
                Err(fault) => {
                    tracing::warn!(%fault, "the time of a call could not be counted");
                    if now - due >= rules.unpaid_max {
                        return Some("failed");
                    }
                }
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // Nothing that can panic runs under this lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn hang_up(engine: &dyn Realtime, name: &CallName) {
    let mut pauses = HANG_UP_AGAIN.into_iter();
    while let Err(refusal) = engine.hang_up(name).await {
        let Some(pause) = pauses.next() else {
            tracing::error!(%refusal, "a realtime engine was not told that a call is over");
            return;
        };
        tokio::time::sleep(pause).await;
    }
}

fn told_of(line: &Said) -> Told {
    let (by_visitor, text) = line.said();
    Told {
        by_visitor,
        text: text.into_owned(),
    }
}

/// What a visitor hears. The log has the reason.
fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Busy {
            retry_after_seconds,
        } => ApiError::new(
            ErrorCode::Overloaded,
            "The agent cannot take another call at the moment. Text works; try again in a moment.",
        )
        .retry_after(retry_after_seconds),
        Refusal::Failed(_) => ApiError::new(
            ErrorCode::VoiceUnavailable,
            "The agent's voice does not answer at the moment. Text works.",
        )
        .with_status(StatusCode::BAD_GATEWAY),
    }
}

fn not_found() -> ApiError {
    ApiError::new(
        ErrorCode::ConnectionNotFound,
        "There is no such call, or it has ended. Begin another with POST.",
    )
}
