//! Rotation of session tokens: each may be refreshed once; whoever replays an old one ends the family.
//!
//! A reply can be lost and two tabs can refresh at the same moment, so for [`REPEAT_MS`] the same token gets the same replacement again,
//! unless the replacement has been refreshed itself: only the immediate parent of the living token is forgiven.

use crate::auth::token::{Claims, GRACE_S, Tokens, random_id};
use crate::error::Fault;
use crate::store::Store;
use karta_protocol::ErrorCode;

/// Long enough for a retry after a lost reply, short enough that a stolen old token is worthless.
pub const REPEAT_MS: u64 = 10_000;

/// Replaces a token that [`Tokens::check_for_refresh`] has passed.
pub async fn rotate(
    store: &dyn Store,
    tokens: &Tokens,
    parent: &Claims,
    now_ms: u64,
) -> Result<Claims, Fault> {
    refuse_ended_family(store, parent).await?;
    let child = tokens.next(parent, random_id("t_"), now_ms / 1000);
    let forget_ms = (parent.exp + GRACE_S) * 1000 + REPEAT_MS;
    // The token itself is never stored: its id and time are enough to make it again.
    let note = format!("{} {}", child.jti, child.iat);
    if store
        .spend_token(&parent.jti, forget_ms, Some(&note))
        .await?
    {
        return Ok(child);
    }
    let Some(spent) = store.spent_token(&parent.jti).await? else {
        return Err(Fault::Internal("a spent token has vanished".into()));
    };
    if now_ms > spent.spent_ms + REPEAT_MS {
        tracing::warn!(
            key_id = parent.key_id,
            "an old session token was used again; its family is ended"
        );
        end_family(store, parent).await?;
        return Err(used());
    }
    let earlier = spent
        .replacement
        .as_deref()
        .and_then(|note| note.split_once(' '))
        .and_then(|(jti, iat)| Some((jti.to_owned(), iat.parse().ok()?)));
    let Some((jti, iat)) = earlier else {
        return Err(used());
    };
    if store.spent_token(&jti).await?.is_some() {
        return Err(used());
    }
    Ok(tokens.next(parent, jti, iat))
}

/// For ordinary calls: the token was not replaced (but for a request already on its way), and nobody replayed one of its family.
pub async fn refuse_spent(store: &dyn Store, claims: &Claims, now_ms: u64) -> Result<(), Fault> {
    refuse_ended_family(store, claims).await?;
    match store.spent_token(&claims.jti).await? {
        Some(spent) if now_ms > spent.spent_ms + REPEAT_MS => Err(used()),
        _ => Ok(()),
    }
}

/// The login was ended, by its visitor or by a replay.
pub async fn refuse_ended_family(store: &dyn Store, claims: &Claims) -> Result<(), Fault> {
    match store.spent_token(&claims.family).await? {
        Some(_) => Err(family_ended()),
        None => Ok(()),
    }
}

/// Families are spent like tokens; their ids (`f_…`, `t_…`) never meet.
pub async fn end_family(store: &dyn Store, claims: &Claims) -> Result<(), Fault> {
    // Past the family's end no token of it is taken anyway; the grace is for the clock of another server.
    let forget_ms = (claims.family_exp + GRACE_S) * 1000;
    store.spend_token(&claims.family, forget_ms, None).await?;
    Ok(())
}

pub fn family_ended() -> Fault {
    Fault::refused(
        ErrorCode::TokenInvalid,
        "This login was ended: by POST /auth/revoke, or because an old token of it was used again. Ask for a new token at /auth/guest or /auth/exchange.",
    )
}

fn used() -> Fault {
    Fault::refused(
        ErrorCode::TokenUsed,
        "This token was replaced by a refresh. Use the newest token, or ask for a new one at /auth/guest.",
    )
}
