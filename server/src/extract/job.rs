//! The job that reads a file which somebody else made: a process of its own, this very program as `karta-server extract`.
//!
//! A thread would not do: parsers of such formats have overflowed their stacks, eaten all memory and turned in circles, and none of
//! that can be caught or stopped within a process. The child gets the file on stdin and has no environment, no files to open, little
//! memory and some seconds; whatever becomes of it, its end is an answer. Plain text needs no parser, so it is read in place.

use super::{FILE_MAX_BYTES, Kind, TEXT_MAX_BYTES, Unreadable, kind, text};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;

/// Files that are read at once; more wait.
const JOBS: usize = 2;
/// By the clock on the wall. A thousand pages take some seconds.
const PATIENCE: Duration = Duration::from_secs(30);
const CPU_SECONDS: u64 = 20;
/// Address space of the child, its program and stacks included.
const MEMORY_BYTES: u64 = 1024 * 1024 * 1024;
/// Exit codes of the child: this and the place of the reason in [`Unreadable::ALL`]. Out of the way of a panic's (101).
const FIRST_REASON: u8 = 10;

/// Reads files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Extractor {
    program: Arc<PathBuf>,
    patience: Duration,
    jobs: Arc<Semaphore>,
}

impl Default for Extractor {
    /// This very program, also after it was replaced on the disk.
    fn default() -> Self {
        let own = if cfg!(target_os = "linux") {
            "/proc/self/exe".into()
        } else {
            std::env::current_exe().unwrap_or_default()
        };
        Extractor::by(own)
    }
}

impl Extractor {
    /// Reads by `program extract`.
    pub fn by(program: PathBuf) -> Extractor {
        Extractor {
            program: Arc::new(program),
            patience: PATIENCE,
            jobs: Arc::new(Semaphore::new(JOBS)),
        }
    }

    pub fn with_patience(self, patience: Duration) -> Extractor {
        Extractor { patience, ..self }
    }

    pub async fn text(&self, file_name: &str, bytes: &[u8]) -> Result<String, Unreadable> {
        let word = match kind(file_name, bytes)? {
            Kind::Plain => return text(Kind::Plain, bytes),
            Kind::Pdf => "pdf",
            Kind::Docx => "docx",
        };
        // Never closed, so a permit always comes.
        let _permit = self.jobs.acquire().await;
        // Dropping the future kills the child.
        match tokio::time::timeout(self.patience, self.ask(word, bytes)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot start the process that reads files");
                Err(Unreadable::Unavailable)
            }
            Err(_) => Err(Unreadable::TooSlow),
        }
    }

    async fn ask(&self, word: &str, bytes: &[u8]) -> std::io::Result<Result<String, Unreadable>> {
        let mut child = Command::new(self.program.as_path())
            .args(["extract", word])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take();
        let giving = async {
            if let Some(mut stdin) = stdin {
                // A child that has heard enough hangs up; why, its exit code says.
                let _ = stdin.write_all(bytes).await;
            }
        };
        let stdout = child.stdout.take();
        let taking = async {
            let mut text = Vec::new();
            if let Some(stdout) = stdout {
                let mut stdout = stdout.take(TEXT_MAX_BYTES as u64 + 1);
                stdout.read_to_end(&mut text).await?;
            }
            Ok::<_, std::io::Error>(text)
        };
        let ((), text) = tokio::join!(giving, taking);
        let status = child.wait().await?;
        let text = text?;
        Ok(if text.len() > TEXT_MAX_BYTES {
            // Nobody listened any more, and that ended it.
            Err(Unreadable::TooLarge)
        } else if !status.success() {
            Err(reason(status))
        } else {
            String::from_utf8(text).map_err(|_| Unreadable::Broken)
        })
    }
}

fn reason(status: ExitStatus) -> Unreadable {
    use std::os::unix::process::ExitStatusExt as _;
    const KILLED: i32 = 9;
    const OUT_OF_CPU_TIME: i32 = 24;
    let said = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .and_then(|code| code.checked_sub(FIRST_REASON))
        .and_then(|at| Unreadable::ALL.get(usize::from(at)));
    match (said, status.signal()) {
        (Some(why), _) => *why,
        (None, Some(KILLED | OUT_OF_CPU_TIME)) => Unreadable::TooSlow,
        // Out of memory or out of stack.
        (None, Some(_)) => Unreadable::TooComplex,
        // A panic.
        (None, None) => Unreadable::Broken,
    }
}

/// The child: file from stdin, text to stdout.
pub fn run(word: &str) -> ExitCode {
    // Before a byte of the file is read. What cannot be bounded is not read at all.
    if let Err(error) = bound() {
        eprintln!("karta-server: cannot bound the process: {error}");
        return ExitCode::FAILURE;
    }
    let kind = match word {
        "pdf" => Kind::Pdf,
        "docx" => Kind::Docx,
        _ => Kind::Plain,
    };
    let mut bytes = Vec::new();
    let mut stdin = std::io::stdin().lock().take(FILE_MAX_BYTES as u64 + 1);
    let read = match stdin.read_to_end(&mut bytes) {
        Ok(_) => text(kind, &bytes),
        Err(_) => Err(Unreadable::Broken),
    };
    let why = match read {
        Ok(text) => match std::io::stdout().lock().write_all(text.as_bytes()) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(_) => Unreadable::TooLarge,
        },
        Err(why) => why,
    };
    let at = Unreadable::ALL.iter().position(|known| *known == why);
    // There are a dozen.
    ExitCode::from(FIRST_REASON + at.map_or(0, |at| at as u8))
}

fn bound() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    for (resource, most) in [
        (Resource::As, MEMORY_BYTES),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        // Stdin, stdout and stderr are open; nothing else will be.
        (Resource::Nofile, 3),
    ] {
        let most = Some(most);
        let limit = Rlimit {
            current: most,
            maximum: most,
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}
