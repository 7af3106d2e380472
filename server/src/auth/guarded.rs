//! A conversation with its bounds, the same for HTTPS and the data channel: how often something may be said, whether the agent is
//! still switched on, and an end within seconds of the key being disabled, the auth mode changed or the login ended. A stream or
//! channel outlives the request that opened it, so what the request's token and key promised is asked again on every event.

use crate::app::App;
use crate::auth::caller::{Caller, require_admitted};
use crate::auth::limit::{Action, Counted};
use crate::auth::refresh::refuse_ended_family;
use crate::auth::revocation::Guard;
use crate::auth::token::Claims;
use crate::error::Fault;
use crate::rtc::{Begun, Conversation, Frames};
use crate::session::{Frame, Principal, Stay};
use async_trait::async_trait;
use futures::StreamExt;
use karta_protocol::{Accepted, ClientEvent, ErrorCode, EventType, SessionEvent, client};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// What one caller may do with the sessions of the app.
#[derive(Clone)]
pub struct Guarded {
    app: App,
    caller: Caller,
}

impl Guarded {
    pub fn new(app: App, caller: Caller) -> Guarded {
        Guarded { app, caller }
    }

    async fn still_allowed(&self) -> Result<(), Fault> {
        if self.app.stopping.is_cancelled() {
            return Err(Fault::Refused {
                code: ErrorCode::Overloaded,
                message: "The server is restarting. Connect again in a moment.".into(),
                retry_after_seconds: Some(1),
            });
        }
        if self.left_ms() == 0 {
            return Err(Fault::refused(
                ErrorCode::TokenExpired,
                "The session token's time is over. Get a new one from /auth/guest and connect again.",
            ));
        }
        let (login, admitted) = tokio::join!(
            refuse_ended_family(self.app.store.as_ref(), &self.caller.claims),
            require_admitted(&self.app, &self.caller.who)
        );
        login.and(admitted)
    }

    /// Lets a call begin that an engine answers. It ends with what this was allowed by.
    pub async fn permit_call(self) -> Result<Permit, Fault> {
        self.caller.limit(&self.app, Action::Call)?;
        // Held before the look, as in `subscribe`.
        let guard = self.app.watch.hold(&self.caller.claims);
        self.still_allowed().await?;
        Ok(Permit {
            address_mark: Some(self.caller.address_mark(&self.app)),
            guarded: self,
            guard,
        })
    }

    /// The same for a call that another process let begin and left behind. Its caller's address is not known any more, but by its mark.
    pub fn permit_again(app: &App, claims: Claims, address_mark: Option<String>) -> Permit {
        let guard = app.watch.hold(&claims);
        let caller = Caller {
            who: claims.principal(),
            claims,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        Permit {
            guarded: Guarded::new(app.clone(), caller),
            guard,
            address_mark,
        }
    }

    /// Returns when the server stops or no refresh could prolong the token any more.
    async fn over(self) {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(self.left_ms())) => {}
            () = self.app.stopping.cancelled() => {}
        }
    }

    fn left_ms(&self) -> u64 {
        let end_ms = self.caller.claims.family_exp * 1000;
        end_ms.saturating_sub(self.app.clock.now_ms())
    }
}

/// What a call that was let begin goes on by.
pub struct Permit {
    guarded: Guarded,
    guard: Guard,
    /// [`Caller::address_mark`]. None: of a call that an earlier version has left behind.
    address_mark: Option<String>,
}

impl Permit {
    /// Takes one of the minutes that the caller may talk.
    pub fn minute(&self) -> Result<(), Fault> {
        let caller = &self.guarded.caller;
        let who = Counted {
            address: None,
            address_mark: self.address_mark.as_deref(),
            key_id: Some(&caller.who.key_id),
            visitor: Some(&caller.who.subject),
        };
        self.guarded.app.limits.check(Action::CallMinute, who)
    }

    pub fn claims(&self) -> &Claims {
        &self.guarded.caller.claims
    }

    /// What happened while no process looked.
    pub async fn still_allowed(&self) -> Result<(), Fault> {
        self.guarded.still_allowed().await
    }

    /// Returns once it is no longer allowed, or the server stops.
    pub async fn ended(&self) -> Fault {
        tokio::select! {
            why = self.guard.ended() => why,
            () = self.guarded.clone().over() => match self.guarded.still_allowed().await {
                Err(why) => why,
                Ok(()) => Fault::refused(ErrorCode::TokenExpired, "The session token's time is over."),
            },
        }
    }
}

#[async_trait]
impl Conversation for Guarded {
    async fn check(&self, who: &Principal, session_id: &str) -> Result<(), Fault> {
        Conversation::check(&self.app.sessions, who, session_id).await
    }

    async fn subscribe(
        &self,
        who: &Principal,
        session_id: &str,
        after: u64,
    ) -> Result<Frames, Fault> {
        // Held before the look, so that no moment lies between the two in which something could change unseen.
        let guard = self.app.watch.hold(&self.caller.claims);
        self.still_allowed().await?;
        let frames = Conversation::subscribe(&self.app.sessions, who, session_id, after).await?;
        let frames = frames.take_until(Box::pin(self.clone().over()));
        let guarded = futures::stream::unfold(Some((frames, guard)), |reader| async move {
            let (mut frames, guard) = reader?;
            tokio::select! {
                frame = frames.next() => Some((frame?, Some((frames, guard)))),
                why = guard.ended() => Some((last_words(why), None)),
            }
        });
        Ok(guarded.boxed())
    }

    async fn submit(
        &self,
        who: &Principal,
        session_id: &str,
        event: ClientEvent,
    ) -> Result<Accepted, Fault> {
        let action = match event.kind == client::CALL_SAID {
            true => Action::Report,
            false => Action::Message,
        };
        self.caller.limit(&self.app, action)?;
        self.still_allowed().await?;
        let address = self.caller.address_mark(&self.app);
        self.app
            .sessions
            .submit(who, session_id, event, Some(&address))
            .await
    }

    async fn begin_call(&self, who: &Principal, session_id: &str) -> Result<Begun, Fault> {
        self.caller.limit(&self.app, Action::Call)?;
        self.still_allowed().await?;
        let agent = self.app.store.agent(&who.agent_id).await?;
        let choice = agent.map(|agent| agent.voice).unwrap_or_default();
        let (engine, place) = self.app.voices.admit(&choice)?;
        self.caller.limit(&self.app, Action::CallMinute)?;
        // Nothing is paid for a call that there is no place for.
        let sessions = &self.app.sessions;
        let stay = sessions.begin_stay(who, session_id, engine.metered);
        let stay = stay.await?;
        Ok(Begun {
            engine,
            settings: self.app.voices.settings(),
            stay,
            aloud: sessions.aloud(who, session_id).await?,
            place: Box::new(place),
        })
    }

    async fn go_on(&self, who: &Principal, session_id: &str, stay: Stay) -> Result<Stay, Fault> {
        self.caller.limit(&self.app, Action::CallMinute)?;
        self.still_allowed().await?;
        self.app.sessions.go_on(who, session_id, stay).await
    }

    async fn said(
        &self,
        who: &Principal,
        session_id: &str,
        utterance: &str,
        words: &str,
    ) -> Result<Accepted, Fault> {
        self.caller.limit(&self.app, Action::Message)?;
        self.still_allowed().await?;
        let address = self.caller.address_mark(&self.app);
        let sessions = &self.app.sessions;
        sessions
            .said(who, session_id, utterance, words, Some(&address))
            .await
    }
}

/// Tells the widget why, and not to come back.
fn last_words(why: Fault) -> Frame {
    let event = SessionEvent {
        kind: EventType::Error,
        code: Some(why.code().as_str().to_owned()),
        message: Some(match why {
            Fault::Refused { message, .. } | Fault::Internal(message) => message,
        }),
        ..SessionEvent::default()
    };
    Frame {
        seq: None,
        // Plain strings: cannot fail.
        json: serde_json::to_string(&event).unwrap_or_default().into(),
    }
}
