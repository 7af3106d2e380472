//! The two secrets of a widget key. The secret key (`sk_live_…`) speaks for the owner's backend; only its keyed hash is kept. The
//! identity secret (`is_live_…`) signs proofs of identity, so it must be read again: it is kept sealed. Each leaves here once.

use super::{CHANGING, ServiceError, keys};
use crate::auth::master::MasterKey;
use crate::auth::seal;
use crate::secret::Secret;
use crate::store::{Replaced, Store, StoreError, WidgetKey, now_ms};
use rand::RngCore as _;
use std::fmt::Write as _;
use subtle::ConstantTimeEq as _;

/// How long the old secret is still taken after a rotation: a day to bring the new one to every backend.
pub const OVERLAP_MS: u64 = 24 * 60 * 60 * 1000;
const PURPOSE: &str = "secret-key";
/// Hex digits of the public half, which both keys of a pair share.
const ID_DIGITS: usize = 32;
const SECRET_DIGITS: usize = 64;

/// The three texts of a fresh pair.
pub struct Pair {
    pub public_key: String,
    pub secret_key: String,
    pub identity_secret: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    SecretKey,
    IdentitySecret,
}

/// The only sight of the new secret.
pub struct Rotated {
    pub key: WidgetKey,
    pub secret: String,
    /// None: the old one ended at once.
    pub old_until_ms: Option<u64>,
}

/// The public half is in the secret key, so that a key is found by an index and recognised in constant time.
pub fn pair(account: &str) -> Pair {
    let id = random_hex::<{ ID_DIGITS / 2 }>();
    Pair {
        public_key: format!("pk_live_{account}_{id}"),
        secret_key: format!(
            "sk_live_{account}_{id}{}",
            random_hex::<{ SECRET_DIGITS / 2 }>()
        ),
        identity_secret: identity_secret(account),
    }
}

/// As the database keeps a secret key.
pub fn hash(master: &MasterKey, secret_key: &str) -> String {
    master.hash(PURPOSE, secret_key)
}

/// As the database keeps an identity secret.
pub fn sealed(master: &MasterKey, key_id: &str, identity_secret: &str) -> String {
    seal::seal(master, key_id, &Secret::new(identity_secret))
}

/// The key that this secret key belongs to. It takes the same time whether there is such a key or not.
pub async fn key_of(
    store: &dyn Store,
    master: &MasterKey,
    secret_key: &str,
    now_ms: u64,
) -> Result<Option<WidgetKey>, StoreError> {
    let Some(public_key) = public_half(secret_key) else {
        return Ok(None);
    };
    let key = store.key_by_public(&public_key).await?.unwrap_or_default();
    Ok(matches(master, &key, secret_key, now_ms).then_some(key))
}

/// Whether this is the key's secret, or the one before it in its last day, in a time that does not tell how close it is.
pub fn matches(master: &MasterKey, key: &WidgetKey, secret_key: &str, now_ms: u64) -> bool {
    let given = hash(master, secret_key);
    let equals = |kept: &str| given.as_bytes().ct_eq(kept.as_bytes());
    let old = key.old_secret.as_ref();
    let old = old.filter(|old| now_ms < old.until_ms);
    let old = old.map_or("", |old| &old.value);
    (equals(&key.secret_hash) | equals(old)).into()
}

/// What proofs of identity may be made with at the moment. None that opens: made under another master key, or never made.
pub fn identity_secrets(master: &MasterKey, key: &WidgetKey, now_ms: u64) -> Vec<Secret> {
    let old = key.old_identity.as_ref();
    let old = old.filter(|old| now_ms < old.until_ms);
    let kept = key.identity_secret.iter().chain(old.map(|old| &old.value));
    kept.filter_map(|sealed| seal::open(master, &key.id, sealed))
        .collect()
}

/// Makes a new secret. The old one is taken for another [`OVERLAP_MS`], or ends `at_once`, with any that went before.
pub async fn rotate(
    store: &dyn Store,
    master: &MasterKey,
    account: &str,
    key: &str,
    which: Which,
    at_once: bool,
) -> Result<Rotated, ServiceError> {
    let _changing = CHANGING.lock().await;
    let mut key = keys::get(store, account, key).await?;
    let until_ms = now_ms() + OVERLAP_MS;
    let keep = |value: String| (!at_once).then_some(Replaced { value, until_ms });
    let secret = match which {
        Which::SecretKey => {
            let id = key.public_key.rsplit('_').next().unwrap_or_default();
            let secret = format!(
                "sk_live_{account}_{id}{}",
                random_hex::<{ SECRET_DIGITS / 2 }>()
            );
            let old = std::mem::replace(&mut key.secret_hash, hash(master, &secret));
            key.old_secret = keep(old);
            secret
        }
        Which::IdentitySecret => {
            let secret = identity_secret(account);
            let new = sealed(master, &key.id, &secret);
            key.old_identity = key.identity_secret.replace(new).and_then(keep);
            secret
        }
    };
    store.put_key_secrets(&key).await?;
    let replaced = match which {
        Which::SecretKey => &key.old_secret,
        Which::IdentitySecret => &key.old_identity,
    };
    Ok(Rotated {
        old_until_ms: replaced.as_ref().map(|old| old.until_ms),
        secret,
        key,
    })
}

/// `sk_live_<account>_<id><secret>` → `pk_live_<account>_<id>`.
fn public_half(secret_key: &str) -> Option<String> {
    let (account, random) = secret_key.strip_prefix("sk_live_")?.rsplit_once('_')?;
    let hex = random
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !hex || random.len() != ID_DIGITS + SECRET_DIGITS || account.len() > 64 {
        return None;
    }
    Some(format!("pk_live_{account}_{}", &random[..ID_DIGITS]))
}

fn identity_secret(account: &str) -> String {
    format!(
        "is_live_{account}_{}",
        random_hex::<{ SECRET_DIGITS / 2 }>()
    )
}

fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
