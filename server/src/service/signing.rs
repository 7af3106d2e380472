//! The key that signs tokens: its generations, and a new one on demand.

use super::ServiceError;
use crate::auth::signing::Generation;
use crate::auth::token::{GRACE_S, LEEWAY_S, LIFETIME_S, Tokens};
use crate::store::{Store, StoreError, now_ms};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand::RngCore as _;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Every server of the installation has read the generations anew by then, twice over; until then the old one signs.
const KNOWN_MS: u64 = 10_000;
/// No token of the old generation lives longer: what is refreshed meanwhile is signed by the new one.
const OVERLAP_MS: u64 = (LIFETIME_S + GRACE_S + LEEWAY_S) * 1000 + KNOWN_MS;

/// Makes a new generation. Tokens of the old one are taken until the last of them has expired; or `at_once` no longer, which ends
/// every login.
pub async fn rotate(store: &dyn Store, at_once: bool) -> Result<Generation, ServiceError> {
    let earlier = store.signing_keys().await?;
    let now = now_ms();
    let mut salt = [0; 32];
    rand::rng().fill_bytes(&mut salt);
    let generation = Generation {
        // The first has no row.
        kid: (earlier.len() + 2).to_string(),
        salt: BASE64_URL_SAFE_NO_PAD.encode(salt),
        created_ms: now,
        signs_from_ms: if at_once { now } else { now + KNOWN_MS },
        previous_ends_ms: if at_once { now } else { now + OVERLAP_MS },
    };
    store.put_signing_key(&generation).await?;
    Ok(generation)
}

/// Reads the generations now, and again every [`LOOK_EVERY`] until `stopping`: the command line makes them from another process.
pub async fn follow(
    store: Arc<dyn Store>,
    tokens: Arc<Tokens>,
    stopping: CancellationToken,
) -> Result<(), StoreError> {
    tokens.set_generations(&store.signing_keys().await?);
    tokio::spawn(stopping.run_until_cancelled_owned(async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match store.signing_keys().await {
                Ok(generations) => tokens.set_generations(&generations),
                Err(error) => tracing::warn!(%error, "cannot look for a new signing key"),
            }
        }
    }));
    Ok(())
}
