//! The parts put together for one request: key, origin, token.

use crate::app::App;
use crate::auth::address::{client_address, counted};
use crate::auth::limit::{Action, Counted};
use crate::auth::origin::{self, PageHeaders, Verdict};
use crate::auth::policy::{self, Standing, key_disabled};
use crate::auth::token::Claims;
use crate::auth::{refresh, secret};
use crate::error::{ApiError, Fault};
use crate::service;
use crate::session::Principal;
use crate::store::{Agent, WidgetKey};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use karta_protocol::ErrorCode;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The other end of the TCP connection; `listen` puts it into every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A call with a session token that is good in every respect: signature, times, not replaced, key enabled, page allowed.
#[derive(Clone, Debug)]
pub struct Caller {
    pub who: Principal,
    pub claims: Claims,
    pub address: IpAddr,
}

impl Caller {
    /// Counts the action against the caller's address, key and visitor id.
    pub fn limit(&self, app: &App, action: Action) -> Result<(), Fault> {
        // As a call that was handed over counts its minutes, which knows no address after a crash.
        let mark = (action == Action::CallMinute).then(|| self.address_mark(app));
        let who = Counted {
            address: Some(self.address),
            address_mark: mark.as_deref(),
            key_id: Some(&self.who.key_id),
            visitor: Some(&self.who.subject),
        };
        app.limits.check(action, who)
    }

    /// Stands for the address where something is counted for long: nobody can read the address back without the server's secret.
    pub fn address_mark(&self, app: &App) -> String {
        let network = counted(self.address).to_string();
        app.master.hash("counted-address", &network)
    }

    /// Still allowed to talk to the agent. For calls that make it work; reading the past stays possible.
    pub async fn require_admitted(&self, app: &App) -> Result<(), Fault> {
        require_admitted(app, &self.who).await
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let now_ms = app.clock.now_ms();
        let token = bearer(&parts.headers)?;
        let claims = app
            .tokens
            .check(token, now_ms / 1000)
            .map_err(|refusal| Fault::refused(refusal.code(), refusal.message()))?;
        let (key, spent) = tokio::join!(
            check_key_of(app, &claims, &parts.headers),
            refresh::refuse_spent(app.store.as_ref(), &claims, now_ms)
        );
        key.and(spent)?;
        Ok(Caller {
            who: claims.principal(),
            address: address(app, parts),
            claims,
        })
    }
}

/// The address of a call that has no token yet.
#[derive(Clone, Copy, Debug)]
pub struct Counting(IpAddr);

impl Counting {
    pub fn limit(&self, app: &App, action: Action, key_id: &str) -> Result<(), Fault> {
        app.limits.check(action, self.with(Some(key_id)))
    }

    /// Refuses who has failed too often to prove something. Asked before a proof is looked at, so that a right guess helps no one.
    pub fn refuse_guesser(&self, app: &App, key_id: Option<&str>) -> Result<(), Fault> {
        app.limits
            .refuse_blocked(Action::FailedProof, self.with(key_id))
    }

    /// Counts a proof that could have been a guess.
    pub fn failed(&self, app: &App, key_id: Option<&str>) {
        app.limits.count(Action::FailedProof, self.with(key_id));
    }

    fn with<'a>(&self, key_id: Option<&'a str>) -> Counted<'a> {
        Counted {
            address: Some(self.0),
            key_id,
            ..Counted::default()
        }
    }
}

impl FromRequestParts<App> for Counting {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        Ok(Counting(address(app, parts)))
    }
}

/// The key behind a token, checked again on every call: enabled, and the page in its list.
pub async fn check_key_of(app: &App, claims: &Claims, headers: &HeaderMap) -> Result<(), Fault> {
    check_page(&require_key(app, &claims.key_id).await?, headers)
}

/// The key of a token: still there, still enabled.
pub async fn require_key(app: &App, key_id: &str) -> Result<WidgetKey, Fault> {
    match app.store.key_by_id(key_id).await? {
        Some(key) if key.enabled => Ok(key),
        Some(_) => Err(key_disabled()),
        None => Err(unknown_key()),
    }
}

/// What made the token possible still holds: the key, the agent's switch and its auth mode.
pub async fn require_admitted(app: &App, who: &Principal) -> Result<(), Fault> {
    let (key, agent) = tokio::join!(
        require_key(app, &who.key_id),
        app.store.agent(&who.agent_id)
    );
    policy::admit(&key?, agent?.as_ref(), Standing::of(&who.subject))
}

/// A key that a page named: known, enabled, and the page in its list.
pub async fn check_public_key(
    app: &App,
    public_key: &str,
    headers: &HeaderMap,
) -> Result<WidgetKey, Fault> {
    let public_key = public_key.trim();
    if public_key.is_empty() {
        return Err(Fault::refused(
            ErrorCode::ClientKeyMissing,
            "Give the public key of the widget (pk_live_…) as client_key. `karta-server keys create` makes one.",
        ));
    }
    if secret::looks_like_secret_key(public_key) {
        return Err(secret_key_in_browser());
    }
    // Not ours: no need to trouble the database with it.
    if !public_key.starts_with("pk_") || public_key.len() > 200 {
        return Err(unknown_key());
    }
    let Some(key) = app.store.key_by_public(public_key).await? else {
        return Err(unknown_key());
    };
    if !key.enabled {
        return Err(key_disabled());
    }
    check_page(&key, headers)?;
    Ok(key)
}

pub fn check_page(key: &WidgetKey, headers: &HeaderMap) -> Result<(), Fault> {
    let all = |name| -> Vec<&[u8]> {
        headers
            .get_all(name)
            .iter()
            .map(|value| value.as_bytes())
            .collect()
    };
    let (origin, referer) = (all(header::ORIGIN), all(header::REFERER));
    let sec_fetch_site = all(header::HeaderName::from_static("sec-fetch-site"));
    let page = PageHeaders {
        origin: &origin,
        referer: &referer,
        sec_fetch_site: &sec_fetch_site,
    };
    match origin::check(page, &key.origins) {
        Verdict::Allowed => Ok(()),
        Verdict::Refused => Err(origin_not_allowed(&origin)),
        Verdict::Malformed => Err(Fault::refused(
            ErrorCode::RequestInvalid,
            "The request has more than one Origin header. A browser sends one; look for a proxy that adds another.",
        )),
    }
}

/// The agent that this key and page talk to: the pinned one, else the one asked for, else the account's first.
pub async fn agent_for(app: &App, key: &WidgetKey, asked: Option<&str>) -> Result<Agent, Fault> {
    let agent = match key
        .agent_id
        .as_deref()
        .or(asked.filter(|id| !id.is_empty()))
    {
        Some(id) => app.store.agent(id).await?,
        None => {
            let first = service::agents::first(app.store.as_ref(), &key.account).await;
            first.map_err(|error| Fault::Internal(error.to_string()))?
        }
    };
    agent.filter(|agent| agent.account == key.account).ok_or_else(|| {
        Fault::refused(
            ErrorCode::RequestInvalid,
            "This key's account has no such agent. Leave agent_id out, or take one of `karta-server agents list`.",
        )
    })
}

/// The client's address, past the proxies that the operator trusts.
pub fn address(app: &App, parts: &Parts) -> IpAddr {
    let peer = parts.extensions.get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let forwarded: Vec<&[u8]> = parts
        .headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|value| value.as_bytes())
        .collect();
    client_address(peer, &forwarded, &app.trusted_proxies)
}

/// The session token of a request.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Fault> {
    let missing = || {
        Fault::refused(
            ErrorCode::TokenMissing,
            "Send the session token of /auth/guest or /auth/exchange as `Authorization: Bearer …`.",
        )
    };
    let invalid = || {
        Fault::refused(
            ErrorCode::TokenInvalid,
            "Send exactly one `Authorization: Bearer <session token>`.",
        )
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(invalid());
    }
    let value = value.to_str().map_err(|_| invalid())?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    if token.is_empty() {
        return Err(missing());
    }
    Ok(token)
}

/// What a server sends as its secret key. None: a header that holds no key at all.
pub fn secret_bearer(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    match bearer(headers) {
        Ok(token) => Ok(Some(token)),
        Err(fault) if fault.code() == ErrorCode::TokenMissing => Err(Fault::refused(
            ErrorCode::TokenMissing,
            "Send the secret key from your server as `Authorization: Bearer sk_live_…`.",
        )),
        Err(_) => Ok(None),
    }
}

pub fn secret_key_in_browser() -> Fault {
    Fault::refused(
        ErrorCode::SecretKeyInBrowser,
        "A secret key (sk_…) was sent from a browser, where everyone can read it. Put the public key (pk_…) into the page and replace the secret key.",
    )
}

fn unknown_key() -> Fault {
    Fault::refused(
        ErrorCode::ClientKeyUnknown,
        "No widget key like this. Copy the public key (pk_live_…) from `karta-server keys list`.",
    )
}

fn origin_not_allowed(origin: &[&[u8]]) -> Fault {
    let page = match origin {
        [raw, ..] => raw[..raw.len().min(120)].escape_ascii().to_string(),
        [] => "(no Origin header)".to_owned(),
    };
    Fault::refused(
        ErrorCode::OriginNotAllowed,
        format!(
            "The page's Origin {page} is not in the domain_allowlist of this widget key. Add it to the key, or make one with it (`karta-server keys create --origin …`); an origin is exactly scheme, host and port."
        ),
    )
}
