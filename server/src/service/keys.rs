//! Widget keys: made, listed, changed, deleted. Their secrets are in [`super::secrets`].

use super::caps::{self, CapsChange};
use super::patch::Patch;
use super::{CHANGING, ServiceError, known_agent, line, secrets};
use crate::auth::master::MasterKey;
use crate::auth::origin::canonical_entry;
use crate::store::{Caps, Store, WidgetKey, new_id, now_ms};

/// A key's allowlist is read on every request; a hundred sites is more than anyone has.
const ORIGINS_MAX: usize = 100;

#[derive(Clone, Debug, Default)]
pub struct NewKey {
    pub name: String,
    pub origins: Vec<String>,
    pub agent_id: Option<String>,
    pub identification_required: bool,
    pub caps: Caps,
}

/// Fields to set; None leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    pub name: Option<String>,
    pub origins: Option<Vec<String>>,
    /// Cleared: pinned to none.
    pub agent_id: Patch<String>,
    pub enabled: Option<bool>,
    /// Whether it lets identified users in only.
    pub identification_required: Option<bool>,
    pub caps: CapsChange,
}

/// The only sight of its secrets.
pub struct CreatedKey {
    pub key: WidgetKey,
    pub secret_key: String,
    pub identity_secret: String,
}

pub async fn create(
    store: &dyn Store,
    master: &MasterKey,
    account: &str,
    new: NewKey,
) -> Result<CreatedKey, ServiceError> {
    let name = line("the name", &new.name, 100)?;
    let origins = origins(&new.origins)?;
    if let Some(agent_id) = &new.agent_id {
        known_agent(store, account, agent_id).await?;
    }
    let pair = secrets::pair(account);
    let id = new_id("k");
    let key = WidgetKey {
        account: account.to_owned(),
        name,
        secret_hash: secrets::hash(master, &pair.secret_key),
        identity_secret: Some(secrets::sealed(master, &id, &pair.identity_secret)),
        id,
        public_key: pair.public_key,
        origins,
        agent_id: new.agent_id,
        identification_required: new.identification_required,
        caps: new.caps,
        enabled: true,
        created_ms: now_ms(),
        ..WidgetKey::default()
    };
    caps::require_prices(store, &key).await?;
    store.put_key(&key).await?;
    Ok(CreatedKey {
        key,
        secret_key: pair.secret_key,
        identity_secret: pair.identity_secret,
    })
}

pub async fn list(store: &dyn Store, account: &str) -> Result<Vec<WidgetKey>, ServiceError> {
    Ok(store.keys(account).await?)
}

/// By its public key or id.
pub async fn get(store: &dyn Store, account: &str, key: &str) -> Result<WidgetKey, ServiceError> {
    let keys = store.keys(account).await?;
    let found = keys
        .into_iter()
        .find(|k| k.public_key == key || k.id == key);
    found.ok_or_else(no_such_key)
}

pub async fn update(
    store: &dyn Store,
    account: &str,
    key: &str,
    change: KeyChange,
) -> Result<WidgetKey, ServiceError> {
    let _changing = CHANGING.lock().await;
    let mut key = get(store, account, key).await?;
    if let Some(name) = change.name {
        key.name = line("the name", &name, 100)?;
    }
    if let Some(entries) = change.origins {
        key.origins = origins(&entries)?;
    }
    if let Patch::Set(agent_id) = &change.agent_id {
        known_agent(store, account, agent_id).await?;
    }
    change.agent_id.apply(&mut key.agent_id);
    key.enabled = change.enabled.unwrap_or(key.enabled);
    if let Some(required) = change.identification_required {
        key.identification_required = required;
    }
    change.caps.apply(&mut key.caps);
    caps::require_prices(store, &key).await?;
    store.put_key(&key).await?;
    Ok(key)
}

/// For good. What it holds open ends within seconds; the conversations stay until their time is over.
pub async fn remove(
    store: &dyn Store,
    account: &str,
    key: &str,
) -> Result<WidgetKey, ServiceError> {
    let key = get(store, account, key).await?;
    if store.remove_key(account, &key.id).await? {
        Ok(key)
    } else {
        Err(no_such_key())
    }
}

fn no_such_key() -> ServiceError {
    ServiceError::NotFound("there is no such key; `keys list` shows them all".into())
}

/// Switches a key by its public key or id.
pub async fn set_enabled(
    store: &dyn Store,
    account: &str,
    key: &str,
    enabled: bool,
) -> Result<WidgetKey, ServiceError> {
    let change = KeyChange {
        enabled: Some(enabled),
        ..KeyChange::default()
    };
    update(store, account, key, change).await
}

/// Replaces all caps of a key, by its public key or id. What was used up before stays counted.
pub async fn set_caps(
    store: &dyn Store,
    account: &str,
    key: &str,
    caps: Caps,
) -> Result<WidgetKey, ServiceError> {
    let _changing = CHANGING.lock().await;
    let mut found = get(store, account, key).await?;
    found.caps = caps;
    super::caps::require_prices(store, &found).await?;
    store.put_key(&found).await?;
    Ok(found)
}

/// Canonical, without repeats. None at all is refused here, because such a key opens nothing.
fn origins(entries: &[String]) -> Result<Vec<String>, ServiceError> {
    if entries.is_empty() {
        return Err(ServiceError::Invalid(
            "name at least one site that may use this key, like https://www.example.com".into(),
        ));
    }
    if entries.len() > ORIGINS_MAX {
        return Err(ServiceError::Invalid(format!(
            "at most {ORIGINS_MAX} origins a key"
        )));
    }
    let mut origins = Vec::with_capacity(entries.len());
    for entry in entries {
        let entry = canonical_entry(entry).map_err(ServiceError::Invalid)?;
        if !origins.contains(&entry) {
            origins.push(entry);
        }
    }
    Ok(origins)
}
