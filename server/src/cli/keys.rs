//! `karta-server keys …`

use super::agents::Switch;
use super::table::table;
use super::{Output, json, shown, wish};
use crate::auth::master::MasterKey;
use crate::money::Money;
use crate::service::caps::CapsChange;
use crate::service::keys::{self, KeyChange, NewKey};
use crate::service::patch::Patch;
use crate::service::secrets::{self, Rotated, Which};
use crate::service::{ACCOUNT, ServiceError};
use crate::store::{Caps, Store, WidgetKey};
use crate::view::{KeyView, NewKeyView, RotatedView};
use clap::{ArgGroup, Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a pair of keys. Their secrets are shown this once.
    Create {
        /// What you call it, like "Main website".
        #[arg(long)]
        name: String,
        /// A site that may use it, like https://www.example.com or https://*.example.com. Repeat for more.
        #[arg(long = "origin", required = true, value_name = "ORIGIN")]
        origins: Vec<String>,
        /// Pin it to one agent.
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
        /// Let identified users in only.
        #[arg(long)]
        identification_required: bool,
        #[command(flatten)]
        caps: CapChange,
        #[command(flatten)]
        output: Output,
    },
    /// Show all keys.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Show one key.
    Show {
        #[arg(value_name = "PUBLIC_KEY")]
        key: String,
        #[command(flatten)]
        output: Output,
    },
    /// Change a key; what is not named stays.
    Update {
        #[arg(value_name = "PUBLIC_KEY")]
        key: String,
        #[arg(long)]
        name: Option<String>,
        /// A site that may use it, in the place of all that are listed. Repeat for more.
        #[arg(long = "origin", value_name = "ORIGIN")]
        origins: Vec<String>,
        /// Pin it to one agent; an empty text ("") lets the page choose again.
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Delete a key for good: open widgets are refused.
    Delete {
        #[arg(value_name = "PUBLIC_KEY")]
        key: String,
        #[command(flatten)]
        output: Output,
    },
    /// Replace a secret by a new one, which is shown this once. The old one works for another 24 hours.
    #[command(group(ArgGroup::new("which").required(true)))]
    Rotate {
        #[arg(value_name = "PUBLIC_KEY")]
        key: String,
        /// The secret key (sk_live_…) of your backend.
        #[arg(long, group = "which")]
        secret: bool,
        /// The identity secret (is_live_…) that your backend proves its users with.
        #[arg(long, group = "which")]
        identity: bool,
        /// End the old one at once: it has leaked.
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Let identified users in only (on), or guests too (off).
    Identification {
        #[arg(value_name = "PUBLIC_KEY")]
        key: String,
        #[arg(value_name = "on|off")]
        required: Switch,
        #[command(flatten)]
        output: Output,
    },
    /// Switch a key off at once: open widgets are refused.
    Disable {
        #[arg(value_name = "PUBLIC_KEY")]
        key: String,
        #[command(flatten)]
        output: Output,
    },
    /// Bound what a key may use up; what is not named stays. A number, or `off`.
    Limit {
        #[arg(value_name = "PUBLIC_KEY")]
        key: String,
        #[command(flatten)]
        caps: CapChange,
        #[command(flatten)]
        output: Output,
    },
    /// Switch a key on again.
    Enable {
        #[arg(value_name = "PUBLIC_KEY")]
        key: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub struct CapChange {
    /// Turns of one anonymous visitor, ever.
    #[arg(long, value_name = "N", value_parser = cap::<u32>)]
    anonymous_turns: Option<Patch<u32>>,
    /// Turns of all anonymous visitors of one address a day; ten times --anonymous-turns where this is off.
    #[arg(long, value_name = "N", value_parser = cap::<u32>)]
    anonymous_turns_per_address_per_day: Option<Patch<u32>>,
    #[arg(long, value_name = "N", value_parser = cap::<u32>)]
    sessions_per_day: Option<Patch<u32>>,
    #[arg(long, value_name = "N", value_parser = cap::<u32>)]
    minutes_per_day: Option<Patch<u32>>,
    #[arg(long, value_name = "N", value_parser = cap::<u32>)]
    minutes_per_month: Option<Patch<u32>>,
    /// Tokens of the model, in and out.
    #[arg(long, value_name = "N", value_parser = cap::<u64>)]
    tokens_per_day: Option<Patch<u64>>,
    #[arg(long, value_name = "N", value_parser = cap::<u64>)]
    tokens_per_month: Option<Patch<u64>>,
    /// Money, like 25.00, by the prices of the agents that the key reaches.
    #[arg(long, value_name = "MONEY", value_parser = cap::<Money>)]
    spend_per_day: Option<Patch<Money>>,
    #[arg(long, value_name = "MONEY", value_parser = cap::<Money>)]
    spend_per_month: Option<Patch<Money>>,
}

/// A number, or `off`.
fn cap<N: std::str::FromStr>(text: &str) -> Result<Patch<N>, String> {
    if text == "off" {
        return Ok(Patch::Clear);
    }
    let number = text.parse().map(Patch::Set);
    number.map_err(|_| "give a number, or `off`".into())
}

impl From<CapChange> for CapsChange {
    fn from(change: CapChange) -> CapsChange {
        CapsChange {
            anonymous_turns: change.anonymous_turns.unwrap_or_default(),
            anonymous_turns_per_address_per_day: change
                .anonymous_turns_per_address_per_day
                .unwrap_or_default(),
            sessions_per_day: change.sessions_per_day.unwrap_or_default(),
            minutes_per_day: change.minutes_per_day.unwrap_or_default(),
            minutes_per_month: change.minutes_per_month.unwrap_or_default(),
            tokens_per_day: change.tokens_per_day.unwrap_or_default(),
            tokens_per_month: change.tokens_per_month.unwrap_or_default(),
            spend_per_day: change.spend_per_day.unwrap_or_default(),
            spend_per_month: change.spend_per_month.unwrap_or_default(),
        }
    }
}

pub async fn run(
    command: Keys,
    store: &dyn Store,
    master: &MasterKey,
) -> Result<String, ServiceError> {
    match command {
        Keys::Create {
            name,
            origins,
            agent,
            identification_required,
            caps,
            output,
        } => {
            let mut bounds = Caps::default();
            CapsChange::from(caps).apply(&mut bounds);
            let new = NewKey {
                name,
                origins,
                agent_id: agent,
                identification_required,
                caps: bounds,
            };
            let created = keys::create(store, master, ACCOUNT, new).await?;
            if output.json {
                return Ok(json(&NewKeyView::from(created)));
            }
            let key = &created.key;
            Ok(format!(
                "Made the key \"{}\" for {}.\n\n  public key       {}\n  secret key       {}\n  identity secret  {}\n\n\
                 The public key goes into your pages. The other two are for your own server only: the secret key\n\
                 mints user tokens, the identity secret signs user ids. Write them down now, they are not shown again.",
                key.name,
                key.origins.join(", "),
                key.public_key,
                created.secret_key,
                created.identity_secret
            ))
        }
        Keys::Rotate {
            key,
            identity,
            now,
            output,
            ..
        } => {
            let which = if identity {
                Which::IdentitySecret
            } else {
                Which::SecretKey
            };
            let rotated = secrets::rotate(store, master, ACCOUNT, &key, which, now).await?;
            Ok(rotation(which, rotated, output))
        }
        Keys::Identification {
            key,
            required,
            output,
        } => {
            let required = matches!(required, Switch::On);
            let change = KeyChange {
                identification_required: Some(required),
                ..KeyChange::default()
            };
            let key = keys::update(store, ACCOUNT, &key, change).await?;
            if output.json {
                return Ok(json(&KeyView::from(&key)));
            }
            Ok(format!(
                "The key \"{}\" lets {}.",
                key.name,
                if required {
                    "identified users in only"
                } else {
                    "guests in too, where the agent does"
                }
            ))
        }
        Keys::List { output } => {
            let keys = keys::list(store, ACCOUNT).await?;
            if output.json {
                return Ok(json(&keys.iter().map(KeyView::from).collect::<Vec<_>>()));
            }
            if keys.is_empty() {
                return Ok("No keys yet. Make one: karta-server keys create --name \"My site\" --origin https://www.example.com".into());
            }
            let row = |key: &WidgetKey| {
                vec![
                    key.public_key.clone(),
                    if key.enabled { "on" } else { "off" }.into(),
                    key.agent_id.clone().unwrap_or_else(|| "-".into()),
                    key.name.clone(),
                    key.origins.join(", "),
                ]
            };
            let rows: Vec<_> = keys.iter().map(row).collect();
            Ok(table(
                &["PUBLIC KEY", "STATE", "AGENT", "NAME", "ORIGINS"],
                &rows,
            ))
        }
        Keys::Limit { key, caps, output } => {
            let change = KeyChange {
                caps: caps.into(),
                ..KeyChange::default()
            };
            let key = keys::update(store, ACCOUNT, &key, change).await?;
            Ok(if output.json {
                json(&KeyView::from(&key))
            } else {
                format!("Set the caps of the key \"{}\".", key.name)
            })
        }
        Keys::Show { key, output } => {
            let key = keys::get(store, ACCOUNT, &key).await?;
            Ok(shown(&KeyView::from(&key), output))
        }
        Keys::Update {
            key,
            name,
            origins,
            agent,
            output,
        } => {
            let change = KeyChange {
                name,
                origins: (!origins.is_empty()).then_some(origins),
                agent_id: wish(agent),
                ..KeyChange::default()
            };
            let key = keys::update(store, ACCOUNT, &key, change).await?;
            said("Changed", &key, output)
        }
        Keys::Delete { key, output } => {
            let key = keys::remove(store, ACCOUNT, &key).await?;
            said("Deleted", &key, output)
        }
        Keys::Disable { key, output } => switch(store, &key, false, output).await,
        Keys::Enable { key, output } => switch(store, &key, true, output).await,
    }
}

fn rotation(which: Which, rotated: Rotated, output: Output) -> String {
    if output.json {
        return json(&RotatedView::new(which, rotated));
    }
    let what = match which {
        Which::SecretKey => "secret key",
        Which::IdentitySecret => "identity secret",
    };
    let old = match rotated.old_until_ms {
        Some(_) => {
            "The old one works for another 24 hours; if it has leaked, rotate again with --now."
        }
        None => "No older one works.",
    };
    format!(
        "The new {what} of \"{}\":\n\n  {}\n\nWrite it down now, it is not shown again. {old}",
        rotated.key.name, rotated.secret
    )
}

async fn switch(
    store: &dyn Store,
    key: &str,
    on: bool,
    output: Output,
) -> Result<String, ServiceError> {
    let key = keys::set_enabled(store, ACCOUNT, key, on).await?;
    if output.json {
        return Ok(json(&KeyView::from(&key)));
    }
    Ok(format!(
        "The key \"{}\" is {}.",
        key.name,
        if on { "on" } else { "off" }
    ))
}

fn said(verb: &str, key: &WidgetKey, output: Output) -> Result<String, ServiceError> {
    Ok(if output.json {
        json(&KeyView::from(key))
    } else {
        format!("{verb} the key \"{}\": {}", key.name, key.public_key)
    })
}
