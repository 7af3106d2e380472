//! `karta-server signing-key …`

use super::{Output, json};
use crate::service::{ServiceError, signing};
use crate::store::Store;
use clap::Subcommand;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub enum SigningKey {
    /// Sign with a new key from now on. Nobody notices: old tokens are taken until they have expired, some 15 minutes.
    Rotate {
        /// Take no old token any more: everyone who is in a conversation gets a new one. For when the key has leaked.
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: SigningKey, store: &dyn Store) -> Result<String, ServiceError> {
    let SigningKey::Rotate { now, output } = command;
    let made = signing::rotate(store, now).await?;
    if output.json {
        return Ok(json(&json!({
            "kid": made.kid,
            "signs_from_ms": made.signs_from_ms,
            "previous_ends_ms": made.previous_ends_ms,
        })));
    }
    let old = if now {
        "Tokens of the old one are refused from now on."
    } else {
        "Tokens of the old one are taken until they have expired, some 15 minutes."
    };
    Ok(format!(
        "Tokens are signed by key {} from now on. {old}",
        made.kid
    ))
}
