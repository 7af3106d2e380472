//! What an owner can do: keys, agents, knowledge, branding. One layer under the command line and the admin API, so that both check
//! the same things in the same words. Knows neither HTTP nor a terminal.

use crate::extract::Unreadable;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};
use std::path::Path;
use std::sync::Arc;

pub mod admin_token;
pub mod agents;
pub mod branding;
pub mod caps;
mod color;
pub mod conversations;
pub mod keys;
pub mod knowledge;
pub mod patch;
pub mod secrets;
pub mod signing;
mod tools;

/// The one account of a self-hosted server. The tables carry the account everywhere, so more can come.
pub const ACCOUNT: &str = "main";
/// Longest address of a picture: what the widget reads (`REFERENCE_BYTES`).
const ADDRESS_MAX_BYTES: usize = 2_048;

/// Held from reading a record to writing its changed form, so that of two changes at once none is lost. The command line beside a
/// running server is another process: there the later one wins.
static CHANGING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Why an order was not carried out. The words say what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    NotFound(String),
    /// Something else still needs it.
    #[error("{0}")]
    InUse(String),
    /// A file by this name that gives no text.
    #[error("{0} {1}")]
    Unreadable(String, Unreadable),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Opens the data directory: creates and migrates the database, and makes the first agent.
pub async fn open(data_dir: &Path) -> Result<Arc<SqliteStore>, ServiceError> {
    let store = Arc::new(SqliteStore::open(data_dir).await?);
    agents::ensure_first(&*store, ACCOUNT).await?;
    Ok(store)
}

/// Trimmed, not empty, within `max` characters and without control characters.
fn line(field: &str, text: &str, max: usize) -> Result<String, ServiceError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ServiceError::Invalid(format!("{field} must not be empty")));
    }
    if text.chars().count() > max {
        return Err(ServiceError::Invalid(format!(
            "{field} is longer than {max} characters; shorten it"
        )));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(ServiceError::Invalid(format!(
            "{field} must not hold control characters"
        )));
    }
    Ok(text.to_owned())
}

/// An http(s) address without user name, as it is shown to visitors.
fn web_address(field: &str, text: &str) -> Result<String, ServiceError> {
    let wrong = || {
        ServiceError::Invalid(format!(
            "{field} must be a full web address like https://www.example.com/page"
        ))
    };
    let url = url::Url::parse(text.trim()).map_err(|_| wrong())?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    if fits { Ok(url.into()) } else { Err(wrong()) }
}

/// What browsers of visitors load by themselves: https, so that no page shows a warning and nobody on the way swaps the picture. Plain
/// http on this machine only, for trying things out. Never fetched by the server.
fn image_address(field: &str, text: &str) -> Result<String, ServiceError> {
    let address = web_address(field, text)?;
    let url = url::Url::parse(&address);
    let fits = url.is_ok_and(|url| {
        url.scheme() == "https"
            || match url.host() {
                Some(url::Host::Domain(name)) => name == "localhost",
                Some(url::Host::Ipv4(address)) => address.is_loopback(),
                Some(url::Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            }
    });
    if !fits {
        return Err(ServiceError::Invalid(format!(
            "{field} must begin with https://, because browsers warn of pages with insecure pictures"
        )));
    }
    if address.len() > ADDRESS_MAX_BYTES {
        return Err(ServiceError::Invalid(format!(
            "{field} is longer than {ADDRESS_MAX_BYTES} bytes; use a shorter address"
        )));
    }
    Ok(address)
}

async fn known_agent(store: &dyn Store, account: &str, id: &str) -> Result<(), ServiceError> {
    agents::get(store, account, id).await.map(drop)
}
