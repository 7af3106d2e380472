//! Account branding: what every page shows unless the page itself says otherwise.

use super::patch::Patch;
use super::{CHANGING, ServiceError, color, image_address, line};
use crate::store::Store;
use karta_protocol::{Branding, LauncherPosition};

/// What to change; the fields of [`Branding`].
#[derive(Clone, Debug, Default)]
pub struct BrandingChange {
    pub primary_color: Patch<String>,
    pub accent_color: Patch<String>,
    pub accent_foreground: Patch<String>,
    pub logo_url: Patch<String>,
    pub launcher_position: Patch<LauncherPosition>,
    pub launcher_label: Patch<String>,
    pub privacy_notice: Patch<String>,
    pub footer: Patch<String>,
    pub mode: Patch<String>,
}

pub async fn get(store: &dyn Store, account: &str) -> Result<Branding, ServiceError> {
    Ok(store.branding(account).await?)
}

/// Changes some fields and gives back how all of it is then.
pub async fn update(
    store: &dyn Store,
    account: &str,
    change: BrandingChange,
) -> Result<Branding, ServiceError> {
    let _changing = CHANGING.lock().await;
    let branding = changed(store.branding(account).await?, change)?;
    store.put_branding(account, &branding).await?;
    Ok(branding)
}

/// Replaces all of it: a field that the change leaves alone is cleared.
pub async fn replace(
    store: &dyn Store,
    account: &str,
    new: BrandingChange,
) -> Result<Branding, ServiceError> {
    let branding = changed(Branding::default(), new)?;
    store.put_branding(account, &branding).await?;
    Ok(branding)
}

fn changed(mut branding: Branding, change: BrandingChange) -> Result<Branding, ServiceError> {
    let text = |field: &'static str, max| move |text: String| line(field, &text, max);
    change
        .primary_color
        .check(|c| color("primary_color", &c))?
        .apply(&mut branding.primary_color);
    change
        .accent_color
        .check(|c| color("accent_color", &c))?
        .apply(&mut branding.accent_color);
    change
        .accent_foreground
        .check(|c| color("accent_foreground", &c))?
        .apply(&mut branding.accent_foreground);
    change
        .logo_url
        .check(|url| image_address("logo_url", &url))?
        .apply(&mut branding.logo_url);
    change
        .launcher_position
        .apply(&mut branding.launcher_position);
    change
        .launcher_label
        .check(text("launcher_label", 40))?
        .apply(&mut branding.launcher_label);
    change
        .privacy_notice
        .check(text("privacy_notice", 500))?
        .apply(&mut branding.privacy_notice);
    change
        .footer
        .check(text("footer", 200))?
        .apply(&mut branding.footer);
    change.mode.check(mode)?.apply(&mut branding.mode);
    stands_out(&branding)?;
    Ok(branding)
}

/// `#rgb` or `#rrggbb`, so that nothing but a colour ever reaches a style sheet.
fn color(field: &str, text: &str) -> Result<String, ServiceError> {
    color::parse(text)
        .ok_or_else(|| ServiceError::Invalid(format!("{field} must be a colour like #0a7cff")))
}

fn mode(text: String) -> Result<String, ServiceError> {
    if matches!(text.as_str(), "auto" | "light" | "dark") {
        Ok(text)
    } else {
        Err(ServiceError::Invalid(
            "mode must be auto, light or dark".into(),
        ))
    }
}

/// The widget takes the primary colour, else the accent colour, as its accent, and a readable text colour for it where none is given.
fn stands_out(branding: &Branding) -> Result<(), ServiceError> {
    let accent = branding
        .primary_color
        .as_ref()
        .or(branding.accent_color.as_ref());
    match (accent, &branding.accent_foreground) {
        (Some(accent), Some(text)) if !color::readable(accent, text) => {
            Err(ServiceError::Invalid(format!(
                "accent_foreground {text} cannot be read on {accent}; leave it out, and a readable colour is chosen"
            )))
        }
        (None, Some(_)) => Err(ServiceError::Invalid(
            "accent_foreground needs a primary_color or accent_color that it stands on".into(),
        )),
        _ => Ok(()),
    }
}
