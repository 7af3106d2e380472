//! Account branding: what every page shows unless the page itself says otherwise.

use super::{ServiceError, line, web_address};
use crate::store::Store;
use karta_protocol::Branding;

pub async fn get(store: &dyn Store, account: &str) -> Result<Branding, ServiceError> {
    Ok(store.branding(account).await?)
}

/// Replaces the account's branding by the checked form of this one, and gives that back.
pub async fn put(
    store: &dyn Store,
    account: &str,
    new: Branding,
) -> Result<Branding, ServiceError> {
    let branding = Branding {
        primary_color: new
            .primary_color
            .as_deref()
            .map(|c| color("primary_color", c))
            .transpose()?,
        accent_color: new
            .accent_color
            .as_deref()
            .map(|c| color("accent_color", c))
            .transpose()?,
        logo_url: new
            .logo_url
            .as_deref()
            .map(|u| web_address("logo_url", u))
            .transpose()?,
        launcher_label: new
            .launcher_label
            .as_deref()
            .map(|t| line("launcher_label", t, 40))
            .transpose()?,
        privacy_notice: new
            .privacy_notice
            .as_deref()
            .map(|t| line("privacy_notice", t, 500))
            .transpose()?,
        footer: new
            .footer
            .as_deref()
            .map(|t| line("footer", t, 200))
            .transpose()?,
        ..new
    };
    store.put_branding(account, &branding).await?;
    Ok(branding)
}

/// `#rgb` or `#rrggbb`, so that nothing but a colour ever reaches a style sheet.
fn color(field: &str, text: &str) -> Result<String, ServiceError> {
    let text = text.trim();
    let digits = text.strip_prefix('#').unwrap_or_default();
    if matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(ServiceError::Invalid(format!(
            "{field} must be a colour like #0a7cff"
        )))
    }
}
