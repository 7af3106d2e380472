//! The command line: what an owner types, carried out by [`crate::service`]. `serve` is parsed here and run by `main.rs`.

use crate::auth::master::MasterKey;
use crate::extract::Extractor;
use crate::service::patch::Patch;
use crate::service::{self, ServiceError};
use crate::store::StoreError;
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

mod admin_token;
mod agents;
mod branding;
mod conversations;
mod keys;
mod knowledge;
mod signing;
mod table;

/// The order was wrong or asks for something that is not there.
const EXIT_REFUSED: u8 = 2;
/// The machine is in the way: disk, permissions, database.
const EXIT_FAILED: u8 = 1;

#[derive(Debug, Parser)]
#[command(
    name = "karta-server",
    version,
    about = "The Karta server: a voice and chat agent for any website",
    arg_required_else_help = true
)]
pub struct Cli {
    /// Where the database and the secret key live.
    #[arg(
        long,
        global = true,
        env = "KARTA_DATA_DIR",
        default_value = "./karta-data",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the widget and its API.
    Serve(ServeArgs),
    /// Text of a document from stdin, for the server itself.
    #[command(hide = true)]
    Extract {
        #[arg(value_parser = ["pdf", "docx"])]
        kind: String,
    },
    #[command(flatten)]
    Admin(Admin),
}

/// Texts, not addresses: `config` checks them and reports everything that is wrong at once.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Address for HTTP; port 0 takes any free one.
    #[arg(
        long,
        env = "KARTA_LISTEN",
        default_value = "127.0.0.1:8787",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: String,
    /// Address for WebRTC (UDP); port 0 takes any free one.
    #[arg(
        long,
        env = "KARTA_UDP_LISTEN",
        default_value = "127.0.0.1:0",
        value_name = "ADDRESS:PORT"
    )]
    pub udp_listen: String,
}

/// Works beside a running server, which sees every change at once.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Widget keys: which sites may use this server.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Agents: who answers, and how.
    #[command(subcommand)]
    Agents(agents::Agents),
    /// The documents that agents answer from.
    #[command(subcommand)]
    Knowledge(knowledge::Knowledge),
    /// How the widget looks on every page.
    #[command(subcommand)]
    Branding(branding::Branding),
    /// The credential of the admin API.
    #[command(subcommand)]
    AdminToken(admin_token::AdminToken),
    /// Who has talked to your agents.
    #[command(subcommand)]
    Conversations(conversations::Conversations),
    /// The key that signs the tokens of visitors.
    #[command(subcommand)]
    SigningKey(signing::SigningKey),
}

/// Prints for a person, or with `--json` for a program.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Carries an order out and prints what came of it. Errors go to stderr with what to do about them.
pub async fn run_admin(command: Admin, data_dir: &Path) -> ExitCode {
    match carry_out(command, data_dir).await {
        Ok(text) => {
            use std::io::Write as _;
            // A reader that has gone away (`| head`) is no failure.
            let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("karta-server: {}", words(&error, data_dir));
            ExitCode::from(match error {
                ServiceError::Invalid(_)
                | ServiceError::NotFound(_)
                | ServiceError::InUse(_)
                | ServiceError::Unreadable(..) => EXIT_REFUSED,
                ServiceError::Store(_) => EXIT_FAILED,
            })
        }
    }
}

/// What would be printed.
async fn carry_out(command: Admin, data_dir: &Path) -> Result<String, ServiceError> {
    let store = service::open(data_dir).await?;
    let done = match command {
        Admin::Keys(command) => keys::run(command, &*store, &master(data_dir)?).await,
        Admin::Agents(command) => agents::run(command, &*store).await,
        Admin::Conversations(command) => conversations::run(command, &*store).await,
        Admin::SigningKey(command) => signing::run(command, &*store).await,
        Admin::Knowledge(command) => knowledge::run(command, &*store, &Extractor::default()).await,
        Admin::Branding(command) => branding::run(command, &*store).await,
        Admin::AdminToken(command) => admin_token::run(command, &*store, &master(data_dir)?).await,
    };
    store.close().await;
    done
}

fn master(data_dir: &Path) -> Result<MasterKey, StoreError> {
    Ok(MasterKey::load_or_create(data_dir)?)
}

fn words(error: &ServiceError, data_dir: &Path) -> String {
    match error {
        ServiceError::Invalid(words)
        | ServiceError::NotFound(words)
        | ServiceError::InUse(words) => words.clone(),
        ServiceError::Unreadable(..) => error.to_string(),
        ServiceError::Store(StoreError::Open(cause)) => format!(
            "cannot use the data directory {}: {cause}. Check that it exists and that you may write to it, or name another with --data-dir.",
            data_dir.display()
        ),
        ServiceError::Store(error) => format!("{error} (data directory {})", data_dir.display()),
    }
}

/// A record: one setting a line, or JSON.
fn shown<T: Serialize>(view: &T, output: Output) -> String {
    if output.json {
        return json(view);
    }
    let all = serde_json::to_value(view).unwrap_or_default();
    let mut text = String::new();
    for (name, value) in all.as_object().into_iter().flatten() {
        let value = match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        text.push_str(&format!("{name}  {value}\n"));
    }
    text
}

fn json<T: Serialize>(value: &T) -> String {
    // Views are strings, numbers and lists of them: they always have a JSON form.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// An option of a change: not named leaves the setting, an empty text takes it away.
fn wish(text: Option<String>) -> Patch<String> {
    match text {
        None => Patch::Keep,
        Some(text) if text.trim().is_empty() => Patch::Clear,
        Some(text) => Patch::Set(text),
    }
}

/// [`wish`] for what is not text.
fn parse_wish<T: FromStr>(text: &str) -> Result<Patch<T>, T::Err> {
    match text.trim() {
        "" => Ok(Patch::Clear),
        text => text.parse().map(Patch::Set),
    }
}

#[cfg(test)]
mod tests;
