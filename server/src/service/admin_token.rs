//! The admin token: the one credential of the admin API. Made by the server's first start, shown that once; only its keyed hash is kept.

use super::ServiceError;
use crate::auth::master::MasterKey;
use crate::store::{AdminToken, Store, now_ms};
use subtle::ConstantTimeEq as _;

const PURPOSE: &str = "admin-token";

/// What was found out about a token that a caller brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    Right,
    Wrong,
    /// The owner has switched the admin API off, or the server has never started: no token is right.
    Off,
}

/// The first token of a new server, and only then.
pub async fn ensure(
    store: &dyn Store,
    master: &MasterKey,
    account: &str,
) -> Result<Option<String>, ServiceError> {
    if store.admin_token(account).await?.is_some() {
        return Ok(None);
    }
    let (token, kept) = random(master, account);
    let first = store.put_first_admin_token(account, &kept).await?;
    Ok(first.then_some(token))
}

/// A new token. The old one is refused from now on; an admin API that was off is on again.
pub async fn rotate(
    store: &dyn Store,
    master: &MasterKey,
    account: &str,
) -> Result<String, ServiceError> {
    let (token, kept) = random(master, account);
    store.put_admin_token(account, &kept).await?;
    Ok(token)
}

/// No token is right until the next [`rotate`].
pub async fn revoke(store: &dyn Store, account: &str) -> Result<(), ServiceError> {
    let none = AdminToken {
        hash: None,
        created_ms: now_ms(),
    };
    Ok(store.put_admin_token(account, &none).await?)
}

/// In a time that does not tell how close the token is.
pub async fn check(
    store: &dyn Store,
    master: &MasterKey,
    account: &str,
    token: &str,
) -> Result<Checked, ServiceError> {
    let kept = store.admin_token(account).await?;
    let Some(hash) = kept.and_then(|kept| kept.hash) else {
        return Ok(Checked::Off);
    };
    let right = master
        .hash(PURPOSE, token)
        .as_bytes()
        .ct_eq(hash.as_bytes());
    Ok(if right.into() {
        Checked::Right
    } else {
        Checked::Wrong
    })
}

/// 256 random bits, and what is kept of them.
fn random(master: &MasterKey, account: &str) -> (String, AdminToken) {
    let bits: [u8; 32] = rand::random();
    let digits: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("adm_live_{account}_{digits}");
    let kept = AdminToken {
        hash: Some(master.hash(PURPOSE, &token)),
        created_ms: now_ms(),
    };
    (token, kept)
}
