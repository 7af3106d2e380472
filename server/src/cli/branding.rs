//! `karta-server branding …`

use super::{Output, shown, wish};
use crate::service::branding::{self, BrandingChange};
use crate::service::patch::Patch;
use crate::service::{ACCOUNT, ServiceError};
use crate::store::Store;
use clap::{Args, Subcommand};
use karta_protocol::LauncherPosition;

#[derive(Debug, Subcommand)]
pub enum Branding {
    /// Show how the widget looks.
    Show {
        #[command(flatten)]
        output: Output,
    },
    /// Change the look; what is not named stays. An empty text ("") takes a setting away.
    Update {
        #[command(flatten)]
        look: Box<Look>,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub struct Look {
    /// Colour of launcher and buttons, like #2563eb.
    #[arg(long, value_name = "COLOR")]
    primary_color: Option<String>,
    /// Stands in for the primary colour where there is none.
    #[arg(long, value_name = "COLOR")]
    accent_color: Option<String>,
    /// Text on that colour; without it black or white, whichever reads better.
    #[arg(long, value_name = "COLOR")]
    accent_foreground: Option<String>,
    /// Picture on the launcher: an https address.
    #[arg(long, value_name = "URL")]
    logo_url: Option<String>,
    /// Corner of the launcher: bottom or top, right or left.
    #[arg(long, value_parser = ["br", "bl", "tr", "tl", ""])]
    launcher_position: Option<String>,
    /// Words on the launcher.
    #[arg(long, value_name = "TEXT")]
    launcher_label: Option<String>,
    /// Shown before the first message, like "Calls may be recorded for quality."
    #[arg(long, value_name = "TEXT")]
    privacy_notice: Option<String>,
    /// A line at the panel's foot.
    #[arg(long, value_name = "TEXT")]
    footer: Option<String>,
    /// auto follows the visitor's system.
    #[arg(long, value_parser = ["auto", "light", "dark", ""])]
    mode: Option<String>,
}

pub async fn run(command: Branding, store: &dyn Store) -> Result<String, ServiceError> {
    let (branding, output) = match command {
        Branding::Show { output } => (branding::get(store, ACCOUNT).await?, output),
        Branding::Update { look, output } => {
            let changed = branding::update(store, ACCOUNT, change(*look)).await?;
            (changed, output)
        }
    };
    let text = shown(&branding, output);
    Ok(if text.is_empty() {
        "Nothing set: the widget looks as it comes. `karta-server branding update --help` lists the settings.".into()
    } else {
        text
    })
}

fn change(look: Look) -> BrandingChange {
    BrandingChange {
        primary_color: wish(look.primary_color),
        accent_color: wish(look.accent_color),
        accent_foreground: wish(look.accent_foreground),
        logo_url: wish(look.logo_url),
        launcher_position: match look.launcher_position.as_deref() {
            None => Patch::Keep,
            Some("br") => Patch::Set(LauncherPosition::Br),
            Some("bl") => Patch::Set(LauncherPosition::Bl),
            Some("tr") => Patch::Set(LauncherPosition::Tr),
            Some("tl") => Patch::Set(LauncherPosition::Tl),
            Some(_) => Patch::Clear,
        },
        launcher_label: wish(look.launcher_label),
        privacy_notice: wish(look.privacy_notice),
        footer: wish(look.footer),
        mode: wish(look.mode),
    }
}
