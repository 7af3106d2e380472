//! The server under test as a child process: its start, its keys, and what Linux says it uses.

use super::client::Failure;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

pub struct Process {
    child: Child,
    binary: PathBuf,
    data: PathBuf,
    /// What the ready line says.
    pub http: String,
    pub udp: String,
    pub metrics: String,
    /// Of stderr, once it has ended.
    log: Option<tokio::task::JoinHandle<String>>,
}

impl Process {
    pub async fn start(
        binary: &Path,
        data: &Path,
        variables: &[(&str, &str)],
    ) -> Result<Process, Failure> {
        let mut command = Command::new(binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .env_clear()
            .env("KARTA_METRICS_LISTEN", "127.0.0.1:0")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let mut stderr = child.stderr.take().ok_or("no stderr")?;
        let log = tokio::spawn(async move {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text).await;
            String::from_utf8_lossy(&text).into_owned()
        });
        let line = BufReader::new(stdout).lines().next_line().await?;
        let line = line.ok_or("the server ended before it was ready")?;
        let word = |name: &str| -> Result<String, Failure> {
            let found = line.split(' ').find_map(|word| word.strip_prefix(name));
            Ok(found.ok_or_else(|| line.clone())?.to_owned())
        };
        Ok(Process {
            http: word("http=")?,
            udp: word("udp=")?,
            metrics: word("metrics=")? + "/metrics",
            child,
            binary: binary.to_owned(),
            data: data.to_owned(),
            log: Some(log),
        })
    }

    /// An agent that talks by the provider, and a key for it.
    pub async fn seed(&self, origin: &str) -> Result<String, Failure> {
        let agent = self
            .cli(&[
                "agents",
                "create",
                "--name",
                "Load",
                "--runtime",
                "openai",
                "--voice",
                "openai",
            ])
            .await?;
        let agent = agent["id"].as_str().ok_or("no agent")?.to_owned();
        let key = self
            .cli(&[
                "keys", "create", "--name", "Load", "--origin", origin, "--agent", &agent,
            ])
            .await?;
        Ok(key["public_key"].as_str().ok_or("no key")?.to_owned())
    }

    async fn cli(&self, order: &[&str]) -> Result<Value, Failure> {
        let mut command = Command::new(&self.binary);
        command.args(order).arg("--json").arg("--data-dir");
        let output = command.arg(&self.data).output().await?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Ends it as a service manager would. Its log.
    pub async fn stop(mut self) -> Result<String, Failure> {
        let id = self.id().to_string();
        Command::new("kill").arg(id).status().await?;
        let status = self.child.wait().await?;
        let log = match self.log.take() {
            Some(log) => log.await?,
            None => String::new(),
        };
        match status.success() {
            true => Ok(log),
            false => Err(format!("the server ended with {status}:\n{log}").into()),
        }
    }
}
