//! `local`: Debian's pocketsphinx and flite, as child processes. No key and no network; a demonstration rather than a product: a word in
//! five or so is wrong, even of synthetic speech. Processes instead of linked libraries: the server builds and runs without them, and
//! what they do with strange input ends a child only.
//!
//! A recogniser takes a third of a second and 100 MB to load its model, so one waits, loaded, for the next turn, and the number of
//! those that run is bounded. It reads while the visitor speaks, so little is left to do at the end, and prints what it understood at
//! each short pause.

use super::{Engine, SoFar, SpeechFailure, SpeechToText, TextToSpeech, WORDS_MAX_BYTES};
use crate::voice::samples::{BITE, Samples};
use async_trait::async_trait;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

const RECOGNISER: &str = "pocketsphinx_continuous";
const SYNTHESISER: &str = "flite";
const MODEL: &str = "/usr/share/pocketsphinx/model/en-us/en-us";
/// Debian's packages, for the words that say what to do.
const PACKAGES: &str = "pocketsphinx pocketsphinx-en-us flite";
/// A pause that the recogniser prints its words at, in hundredths of a second. Its own choice is 50. Shorter shows words sooner and understands fewer: of
/// 12 sentences in three synthetic voices, 30 understood all that 50 did, and at 20 one word in a hundred more was wrong.
const PHRASE_PAUSE: &str = "30";
/// After the last sound. It is done within a tenth of a second on an idle machine.
const RECOGNISE_MAX: Duration = Duration::from_secs(30);
const SPEAK_MAX: Duration = Duration::from_secs(30);
/// A waiting recogniser is given up after so long: 100 MB for nothing.
const SPARE_MAX: Duration = Duration::from_secs(120);
/// Nobody says more in one turn.
const TRANSCRIPT_MAX_BYTES: u64 = 16 * 1024;

/// Err: what is missing, and the command that brings it.
pub fn engine() -> Result<Engine, String> {
    let missing =
        |what: &str| format!("{what} is not installed; `apt-get install {PACKAGES}` brings it");
    let recogniser = program(RECOGNISER).ok_or_else(|| missing(RECOGNISER))?;
    let synthesiser = program(SYNTHESISER).ok_or_else(|| missing(SYNTHESISER))?;
    if !Path::new(MODEL).exists() {
        return Err(missing("the English model of pocketsphinx"));
    }
    let folder = Folder::new().map_err(|error| format!("no folder for sound: {error}"))?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Ok(Engine {
        ears: Arc::new(Recogniser {
            program: recogniser,
            running: Semaphore::new(cores.max(2) * 2),
            spare: Arc::default(),
        }),
        mouth: Arc::new(Synthesiser {
            program: synthesiser,
            running: Semaphore::new(cores),
            folder,
        }),
        metered: false,
    })
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A child that knows none of our secrets and ends with us.
fn child(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

fn failed(what: &str, error: &io::Error) -> SpeechFailure {
    SpeechFailure(format!("{what}: {}", error.kind()))
}

struct Recogniser {
    program: PathBuf,
    running: Semaphore,
    spare: Arc<Mutex<Option<Child>>>,
}

impl Recogniser {
    fn spawn(&self) -> io::Result<Child> {
        child(&self.program)
            .args(["-infile", "/dev/stdin", "-logfn", "/dev/null"])
            .args(["-vad_postspeech", PHRASE_PAUSE])
            .stdout(Stdio::piped())
            .spawn()
    }

    /// The one that waits, if it still lives; and another begins to load for the next turn.
    fn take(&self) -> io::Result<Child> {
        let mut waiting = self.lock().take();
        let lives = waiting
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        let taken = match waiting {
            Some(child) if lives => child,
            _ => self.spawn()?,
        };
        if let Ok(next) = self.spawn() {
            let id = next.id();
            *self.lock() = Some(next);
            let spare = Arc::downgrade(&self.spare);
            tokio::spawn(async move {
                tokio::time::sleep(SPARE_MAX).await;
                if let Some(spare) = spare.upgrade() {
                    let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
                    if spare.as_ref().is_some_and(|child| child.id() == id) {
                        *spare = None;
                    }
                }
            });
        }
        Ok(taken)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SpeechToText for Recogniser {
    async fn transcribe(
        &self,
        mut speech: mpsc::Receiver<Vec<i16>>,
        so_far: &dyn SoFar,
    ) -> Result<String, SpeechFailure> {
        // Never closed, so a permit always comes. What is said meanwhile waits in the queue.
        let _permit = self.running.acquire().await;
        let mut child = self.take().map_err(|e| failed(RECOGNISER, &e))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(SpeechFailure::new("a child without pipes"));
        };
        let listening = async {
            while let Some(pcm) = speech.recv().await {
                let bytes: Vec<u8> = pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                // It has ended: what it printed, or nothing, is the answer.
                if stdin.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            drop(stdin);
        };
        let reading = phrases(stdout, so_far);
        tokio::pin!(reading);
        let read = tokio::select! {
            read = &mut reading => Ok(read),
            () = listening => timeout(RECOGNISE_MAX, &mut reading).await,
        };
        match read {
            Ok(read) => read.map_err(|error| failed(RECOGNISER, &error)),
            Err(_) => Err(SpeechFailure::new("pocketsphinx took too long")),
        }
    }
}

/// All that it prints, a phrase a line.
async fn phrases(stdout: ChildStdout, so_far: &dyn SoFar) -> io::Result<String> {
    let mut printed = BufReader::new(stdout.take(TRANSCRIPT_MAX_BYTES));
    let (mut words, mut line) = (String::new(), Vec::new());
    while printed.read_until(b'\n', &mut line).await? > 0 {
        for word in String::from_utf8_lossy(&line).split_whitespace() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        line.clear();
        if !words.is_empty() {
            so_far.words(&words);
        }
    }
    Ok(words)
}

struct Synthesiser {
    program: PathBuf,
    running: Semaphore,
    folder: Folder,
}

#[async_trait]
impl TextToSpeech for Synthesiser {
    async fn speak(
        &self,
        words: &str,
        sound: &mpsc::Sender<Vec<i16>>,
    ) -> Result<(), SpeechFailure> {
        let file = self.folder.file();
        self.make(words, &file).await?;
        let reading = |e| failed("reading flite's sound", &e);
        let mut wav = tokio::fs::File::open(&file.0).await.map_err(reading)?;
        let mut samples = Samples::default();
        let mut bite = [0; BITE];
        let mut file_begins = true;
        // The rest waits in the file, however long the call takes to play it.
        loop {
            let length = wav.read(&mut bite).await.map_err(reading)?;
            if std::mem::take(&mut file_begins) && !bite[..length].starts_with(b"RIFF") {
                return Err(SpeechFailure::new("flite wrote no WAV file"));
            }
            let pcm = match length {
                0 => samples.finish(),
                some => samples.read(&bite[..some]),
            };
            // An error: the call is over, nobody is there to hear it.
            if (!pcm.is_empty() && sound.send(pcm).await.is_err()) || length == 0 {
                return Ok(());
            }
        }
    }
}

impl Synthesiser {
    async fn make(&self, words: &str, file: &SoundFile) -> Result<(), SpeechFailure> {
        let _permit = self.running.acquire().await;
        let words = &words[..words.floor_char_boundary(WORDS_MAX_BYTES)];
        // A file, as flite writes no sound into a pipe. The text goes by a pipe: arguments can be read by everybody on the machine.
        let mut child = child(&self.program)
            .args(["-voice", "slt", "-f", "/dev/stdin", "-o"])
            .arg(&file.0)
            .spawn()
            .map_err(|e| failed(SYNTHESISER, &e))?;
        let speaking = async {
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(words.as_bytes()).await?;
                stdin.write_all(b"\n").await?;
            }
            child.wait().await
        };
        match timeout(SPEAK_MAX, speaking).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(_)) => Err(SpeechFailure::new("flite failed")),
            Ok(Err(error)) => Err(failed(SYNTHESISER, &error)),
            Err(_) => Err(SpeechFailure::new("flite took too long")),
        }
    }
}

/// A folder of ours alone: what an agent says is nobody else's business.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        let path =
            std::env::temp_dir().join(format!("karta-voice-{:032x}", rand::random::<u128>()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Folder(path))
    }

    fn file(&self) -> SoundFile {
        SoundFile(self.0.join(format!("{:032x}.wav", rand::random::<u128>())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct SoundFile(PathBuf);

impl Drop for SoundFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::tests::question;
    use crate::voice::{SPOKEN_RATE, TurnSettings};

    /// None where the packages are missing: there the engine says so, and nothing else can be tested.
    fn installed() -> Option<Engine> {
        match engine() {
            Ok(engine) => Some(engine),
            Err(why) => {
                assert!(why.contains("apt-get install"), "{why}");
                None
            }
        }
    }

    async fn said(engine: &Engine, pcm: &[i16]) -> String {
        let (sender, speech) = mpsc::channel(1_000);
        for piece in pcm.chunks(320) {
            sender.send(piece.to_vec()).await.expect("room");
        }
        let pause = TurnSettings::default().pause_ms as usize * 16;
        sender.send(vec![0; pause]).await.expect("room");
        drop(sender);
        engine
            .ears
            .transcribe(speech, &|_: &str| ())
            .await
            .expect("words")
    }

    #[tokio::test]
    async fn what_flite_says_pocketsphinx_understands() {
        let Some(engine) = installed() else { return };
        let mut pcm = vec![0; 6_400];
        pcm.extend(question());
        assert_eq!(said(&engine, &pcm).await, "what are your opening hours");
    }

    #[tokio::test]
    async fn words_are_shown_while_the_turn_goes_on() {
        let Some(engine) = installed() else { return };
        let (sender, speech) = mpsc::channel(1_000);
        let pause = vec![0; 9_600];
        for pcm in [vec![0; 6_400], question(), pause] {
            sender.send(pcm).await.expect("room");
        }
        let shown = tokio::sync::watch::Sender::new(String::new());
        let so_far = |words: &str| {
            shown.send_replace(words.to_owned());
        };
        let mut seen = shown.subscribe();
        let speaking = async move {
            let first = seen.wait_for(|words| !words.is_empty()).await;
            let first = first.expect("shown").clone();
            for pcm in [question(), vec![0; 9_600]] {
                sender.send(pcm).await.expect("room");
            }
            first
        };
        let turn = async { tokio::join!(engine.ears.transcribe(speech, &so_far), speaking) };
        let (words, first) = timeout(RECOGNISE_MAX, turn).await.expect("shown in time");
        let question = "what are your opening hours";
        assert_eq!(first, question);
        assert_eq!(words.expect("words"), format!("{question} {question}"));
    }

    #[tokio::test]
    async fn silence_and_noise_are_no_words_and_no_failure() {
        let Some(engine) = installed() else { return };
        assert_eq!(said(&engine, &[0; 16_000]).await, "");
        assert_eq!(said(&engine, &[]).await, "");
    }

    #[tokio::test]
    async fn any_text_is_spoken_or_silent() {
        let Some(engine) = installed() else { return };
        for (words, sounds) in [
            ("We open at nine.", true),
            ("-o /etc/passwd; $(reboot) \"'", true),
            ("营业时间 \u{1F600} \u{0}", false),
            (&"long ".repeat(1_000), true),
        ] {
            let (sender, mut sound) = mpsc::channel(1_000);
            engine.mouth.speak(words, &sender).await.expect("spoken");
            drop(sender);
            let mut samples = 0;
            while let Some(piece) = sound.recv().await {
                samples += piece.len();
            }
            assert!(
                !sounds || samples > SPOKEN_RATE as usize / 2,
                "{samples} of {words:.20}"
            );
        }
    }
}
