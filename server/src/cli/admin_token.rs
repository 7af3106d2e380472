//! `karta-server admin-token …`

use super::{Output, json};
use crate::auth::master::MasterKey;
use crate::service::{ACCOUNT, ServiceError, admin_token};
use crate::store::Store;
use clap::Subcommand;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub enum AdminToken {
    /// Make a new token and show it this once. The old one is refused from now on.
    Rotate {
        #[command(flatten)]
        output: Output,
    },
    /// Switch the admin API off: no token is accepted until the next rotate.
    Revoke {
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(
    command: AdminToken,
    store: &dyn Store,
    master: &MasterKey,
) -> Result<String, ServiceError> {
    match command {
        AdminToken::Rotate { output } => {
            let token = admin_token::rotate(store, master, ACCOUNT).await?;
            Ok(if output.json {
                json(&json!({ "admin_token": token }))
            } else {
                format!(
                    "The new admin token, for your own servers only:\n\n  {token}\n\n\
                     Write it down now, it is not shown again. The old one is refused from now on."
                )
            })
        }
        AdminToken::Revoke { output } => {
            admin_token::revoke(store, ACCOUNT).await?;
            Ok(if output.json {
                json(&json!({ "admin_token": null }))
            } else {
                "The admin API is off. `karta-server admin-token rotate` switches it on with a new token.".into()
            })
        }
    }
}
