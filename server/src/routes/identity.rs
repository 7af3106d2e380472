//! Calls about verified users: a backend mints a user token, a page exchanges it, or another proof, for a session token.

use crate::app::App;
use crate::auth::caller::{
    Counting, agent_for, check_public_key, secret_bearer, secret_key_in_browser,
};
use crate::auth::limit::Action;
use crate::auth::policy::{Standing, admit, key_disabled};
use crate::auth::token::Refusal;
use crate::auth::{identity, secret};
use crate::error::{ApiError, Fault};
use crate::routes::request::Json;
use crate::service::secrets;
use crate::session::Principal;
use crate::store::{User, WidgetKey};
use axum::extract::State;
use axum::http::HeaderMap;
use karta_protocol::{
    ErrorBody, ErrorCode, ExchangeRequest, TokenReply, UserTokenReply, UserTokenRequest,
};

/// A name and an address are shown to the owner, one line each.
const NAME_MAX_CHARS: usize = 100;
const EMAIL_MAX_CHARS: usize = 254;

/// A user token for an owner's backend: five minutes, one use, this key's pages only. Never from a browser: it takes the secret key.
#[utoipa::path(
    post, path = "/api/v1/widget/auth/user-token", request_body = UserTokenRequest, tag = "auth", security(("secret_key" = [])),
    responses(
        (status = 200, body = UserTokenReply),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 401, body = ErrorBody, description = "token_missing, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, secret_key_in_browser"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn user_token(
    State(app): State<App>,
    counting: Counting,
    headers: HeaderMap,
    Json(body): Json<UserTokenRequest>,
) -> Result<axum::Json<UserTokenReply>, ApiError> {
    counting.refuse_guesser(&app, None)?;
    let secret_key = secret_bearer(&headers)?.unwrap_or_default();
    let now_ms = app.clock.now_ms();
    let key = secrets::key_of(app.store.as_ref(), &app.master, secret_key, now_ms).await?;
    let Some(key) = key else {
        counting.failed(&app, None);
        return Err(wrong_secret_key(secret_key).into());
    };
    if !key.enabled {
        return Err(key_disabled().into());
    }
    app.limits.check(
        Action::UserToken,
        crate::auth::limit::Counted {
            key_id: Some(&key.id),
            ..Default::default()
        },
    )?;
    let agent_id = body.agent_id.as_deref().filter(|id| !id.is_empty());
    let agent_id = match agent_id {
        Some(id) => Some(bound_agent(&app, &key, id).await?),
        None => None,
    };
    let user = user_of(&app, &key, &body)?;
    let claims = app
        .tokens
        .user
        .mint(&user, &key.id, agent_id, now_ms / 1000);
    Ok(axum::Json(UserTokenReply {
        user_token: app.tokens.user.sign(&claims),
        expires_in: (claims.exp - claims.iat) as u32,
    }))
}

/// A session token for a verified user, in exchange for the backend's user token or for a user id with its proof. A failed proof is
/// refused; it never makes a guest.
#[utoipa::path(
    post, path = "/api/v1/widget/auth/exchange", request_body = ExchangeRequest, tag = "auth",
    responses(
        (status = 200, body = TokenReply),
        (status = 400, body = ErrorBody, description = "client_key_missing; token_missing, token_expired: no proof, or a user_token that is too old; request_invalid"),
        (status = 401, body = ErrorBody, description = "client_key_unknown, identity_invalid, token_invalid, token_used"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed, widget_disabled_for_agent, user_not_allowed, identity_mismatch, secret_key_in_browser"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn exchange(
    State(app): State<App>,
    counting: Counting,
    headers: HeaderMap,
    Json(body): Json<ExchangeRequest>,
) -> Result<axum::Json<TokenReply>, ApiError> {
    let secret_given = [&body.user_token, &body.identity_token, &body.user_id]
        .into_iter()
        .flatten()
        .any(|text| secret::looks_like_secret_key(text));
    if secret_given {
        return Err(secret_key_in_browser().into());
    }
    let key = check_public_key(&app, &body.client_key, &headers).await?;
    counting.limit(&app, Action::Mint, &key.id)?;
    counting.refuse_guesser(&app, Some(&key.id))?;
    let proof = match prove(&app, &key, &body) {
        Ok(proof) => proof,
        Err(Failed { fault, guess }) => {
            if guess {
                counting.failed(&app, Some(&key.id));
            }
            return Err(ApiError::from(fault).of_body());
        }
    };
    let asked = proof.agent_id.as_deref().or(body.agent_id.as_deref());
    let agent = agent_for(&app, &key, asked).await?;
    admit(&key, Some(&agent), Standing::User)?;
    // Last of all checks: a page that may not use it does not use it up.
    if let Some(once) = &proof.once {
        spend(&app, once).await?;
    }
    app.store.put_user(&proof.user).await?;
    let who = Principal {
        account: key.account,
        key_id: key.id,
        agent_id: agent.id,
        subject: proof.user.subject,
    };
    let now_s = app.clock.now_s();
    let mut claims = app.tokens.first(&who, now_s);
    claims.stepped_up_at = proof.stepped_up_at;
    claims.aal = proof.aal;
    Ok(axum::Json(TokenReply {
        token: app.tokens.sign(&claims),
        expires_in: claims.expires_in(now_s),
        visitor_id: None,
        user_id: Some(proof.user.user_id),
    }))
}

/// Who somebody proved to be.
struct Proof {
    user: User,
    agent_id: Option<String>,
    stepped_up_at: Option<u64>,
    aal: Option<String>,
    once: Option<Once>,
}

/// What makes a user token work once.
struct Once {
    jti: String,
    exp: u64,
}

struct Failed {
    fault: Fault,
    /// Whether it could have been a guess.
    guess: bool,
}

fn prove(app: &App, key: &WidgetKey, body: &ExchangeRequest) -> Result<Proof, Failed> {
    let refused = |code, message: &str| Failed {
        fault: Fault::refused(code, message),
        guess: false,
    };
    match (&body.user_token, &body.identity_token) {
        (Some(token), None) if token.is_empty() => Err(refused(
            ErrorCode::TokenMissing,
            "The user_token is empty. Hand the `user_token` of POST /auth/user-token to the page.",
        )),
        (Some(token), None) if body.user_id.is_none() => by_user_token(app, key, token),
        (None, Some(token)) => by_identity_token(app, key, body.user_id.as_deref(), token),
        (None, None) if body.user_id.is_some() => Err(refused(
            ErrorCode::IdentityInvalid,
            "A user_id alone proves nothing. Send the identity_token that your server made for it, or leave the user_id out and come as a guest.",
        )),
        (None, None) => Err(refused(
            ErrorCode::TokenMissing,
            "Send the `user_token` of POST /auth/user-token, or `identity_token` with the `user_id` that it proves.",
        )),
        _ => Err(refused(
            ErrorCode::RequestInvalid,
            "Send either `user_token`, or `identity_token` with the `user_id` that it proves.",
        )),
    }
}

fn by_user_token(app: &App, key: &WidgetKey, token: &str) -> Result<Proof, Failed> {
    let claims = app.tokens.user.check(token, app.clock.now_s()).map_err(|refusal| {
        let message = match refusal {
            Refusal::Invalid => "This is not a user token of this server. Hand the `user_token` of POST /auth/user-token to the page unchanged.",
            Refusal::Expired => "The user token is older than five minutes. Let your server mint a new one at POST /auth/user-token for each page view.",
        };
        Failed {
            fault: Fault::refused(refusal.code(), message),
            guess: refusal == Refusal::Invalid,
        }
    })?;
    if claims.key_id != key.id || claims.account != key.account {
        return Err(Failed {
            fault: Fault::refused(
                ErrorCode::TokenInvalid,
                "This user token was minted with the secret key of another widget key. Use the secret key that belongs to the page's public key.",
            ),
            guess: false,
        });
    }
    Ok(Proof {
        user: claims.user(),
        agent_id: claims.agent_id,
        stepped_up_at: None,
        aal: None,
        once: Some(Once {
            jti: claims.jti,
            exp: claims.exp,
        }),
    })
}

fn by_identity_token(
    app: &App,
    key: &WidgetKey,
    user_id: Option<&str>,
    token: &str,
) -> Result<Proof, Failed> {
    let known = secrets::identity_secrets(&app.master, key, app.clock.now_ms());
    if known.is_empty() {
        return Err(Failed {
            fault: Fault::refused(
                ErrorCode::IdentityInvalid,
                "This widget key has no identity secret yet. `karta-server keys rotate KEY --identity` makes one.",
            ),
            guess: false,
        });
    }
    let proven = identity::verify(&known, user_id, token, app.clock.now_s());
    let proven = proven.map_err(|refusal| Failed {
        fault: Fault::refused(refusal.code(), refusal.message()),
        guess: refusal.is_guess(),
    })?;
    Ok(Proof {
        user: User {
            account: key.account.clone(),
            subject: identity::subject(&app.master, &key.account, &proven.user_id),
            user_id: proven.user_id,
            display_name: None,
            email: None,
        },
        agent_id: None,
        stepped_up_at: proven.stepped_up_at,
        aal: proven.aal,
        once: None,
    })
}

/// Atomic in the database: of any number of exchanges at the same moment one succeeds.
async fn spend(app: &App, once: &Once) -> Result<(), Fault> {
    // Forgotten only when the token is refused for its age by every server, however far behind its clock.
    let forget_ms = (once.exp + 600) * 1000;
    if app.store.spend_token(&once.jti, forget_ms, None).await? {
        return Ok(());
    }
    Err(Fault::refused(
        ErrorCode::TokenUsed,
        "This user token was exchanged already. It works once; let your server mint a new one at POST /auth/user-token for each page view.",
    ))
}

async fn bound_agent(app: &App, key: &WidgetKey, id: &str) -> Result<String, Fault> {
    if key.agent_id.as_deref().is_some_and(|pinned| pinned != id) {
        return Err(Fault::refused(
            ErrorCode::RequestInvalid,
            "This key is pinned to another agent. Leave agent_id out.",
        ));
    }
    Ok(agent_for(app, key, Some(id)).await?.id)
}

fn user_of(app: &App, key: &WidgetKey, body: &UserTokenRequest) -> Result<User, Fault> {
    let user_id = &body.external_user_id;
    if !identity::good_user_id(user_id) {
        return Err(Fault::refused(
            ErrorCode::RequestInvalid,
            "Give external_user_id: your own id of the user, 1 to 256 bytes without control characters.",
        ));
    }
    Ok(User {
        account: key.account.clone(),
        subject: identity::subject(&app.master, &key.account, user_id),
        user_id: user_id.clone(),
        display_name: line("display_name", body.display_name.as_deref(), NAME_MAX_CHARS)?,
        email: line("email", body.email.as_deref(), EMAIL_MAX_CHARS)?,
    })
}

fn line(field: &str, text: Option<&str>, max: usize) -> Result<Option<String>, Fault> {
    let text = text.unwrap_or("").trim();
    if text.is_empty() {
        return Ok(None);
    }
    if text.chars().count() > max || text.chars().any(char::is_control) {
        return Err(Fault::refused(
            ErrorCode::RequestInvalid,
            format!(
                "{field} is one line of at most {max} characters. Shorten it, or leave it out."
            ),
        ));
    }
    Ok(Some(text.to_owned()))
}

/// The same words whether such a key exists or not.
fn wrong_secret_key(given: &str) -> Fault {
    let message = if given.starts_with("pk_") {
        "This call takes the secret key (sk_live_…), not the public one. Send it from your server as `Authorization: Bearer sk_live_…`."
    } else {
        "No widget key has this secret key. Copy it as `karta-server keys create` printed it, or make a new one with `karta-server keys rotate KEY --secret`."
    };
    Fault::refused(ErrorCode::ClientKeyUnknown, message)
}
