//! Files that visitors send, on the disk: `<data-dir>/files/<session>/<file>`, both ids of our own making. The log says what there
//! is (`user.file`); a file that it does not name is nobody's, and [`Files::sweep`] removes it.
//!
//! A file is written whole under `incoming`, synced, and moved to its place just before its event is committed: whoever reads the
//! event finds the file. Who may send and read what is decided by `session/files.rs`.

use crate::extract::{Extractor, Unreadable};
use crate::store::{Store, StoreError, new_id};
use futures::Stream;
use sniff::{Kind, Sniffer};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub mod name;
pub mod sniff;

/// A photo of a phone has 3 to 8 MB.
pub const FILE_MAX_BYTES: u64 = 10 * 1024 * 1024;
/// Where files are written until they are whole. No session has such an id.
const INCOMING: &str = "incoming";
/// Ending of a file's text, which is read once.
const TEXT: &str = "text";
/// A file as young as this may be about to get its event. Longer than an upload may take.
const SETTLED: Duration = Duration::from_secs(5 * 60);
/// What is sent at once of a file.
const PIECE: usize = 64 * 1024;
/// How much of a file's text a model gets to see.
pub const TEXT_MAX_BYTES: usize = 4_000;

/// The folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Files {
    root: Arc<Path>,
    extractor: Extractor,
}

/// A file that is arriving. Dropped before it is kept, it leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    path: PathBuf,
    file: tokio::fs::File,
    sniffer: Sniffer,
    size: u64,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Gone already where it was kept; what stays for another reason is swept.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Incoming {
    /// False: the file is larger than allowed, and no more of it is kept.
    pub async fn write(&mut self, piece: &[u8]) -> io::Result<bool> {
        self.size += piece.len() as u64;
        if self.size > FILE_MAX_BYTES {
            return Ok(false);
        }
        self.sniffer.take(piece);
        self.file.write_all(piece).await?;
        Ok(true)
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn kind(&self, name: &str, declared: Option<&str>) -> Option<Kind> {
        self.sniffer.kind(name, declared)
    }

    /// On the disk for good.
    pub async fn sync(&mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await
    }
}

impl Files {
    pub fn open(data_dir: &Path, extractor: Extractor) -> io::Result<Files> {
        let root = data_dir.join("files");
        std::fs::create_dir_all(root.join(INCOMING))?;
        Ok(Files {
            root: root.into(),
            extractor,
        })
    }

    pub async fn receive(&self) -> io::Result<Incoming> {
        let path = self.root.join(INCOMING).join(new_id("i"));
        let mut options = tokio::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).open(&path).await?;
        Ok(Incoming {
            path,
            file,
            sniffer: Sniffer::default(),
            size: 0,
        })
    }

    /// Moves a synced file to its place, durably.
    pub async fn keep(&self, incoming: &Incoming, session_id: &str, id: &str) -> io::Result<()> {
        let folder = self.folder(session_id);
        let new = match tokio::fs::create_dir(&folder).await {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        tokio::fs::rename(&incoming.path, folder.join(id)).await?;
        // A name is durable once its folder is.
        sync_folder(&folder).await?;
        if new {
            sync_folder(&self.root).await?;
        }
        Ok(())
    }

    /// The content in pieces.
    pub async fn read(
        &self,
        session_id: &str,
        id: &str,
    ) -> io::Result<impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static> {
        let file = tokio::fs::File::open(self.folder(session_id).join(id)).await?;
        Ok(futures::stream::unfold(
            (file, false),
            |(mut file, failed)| async move {
                if failed {
                    return None;
                }
                let mut piece = vec![0; PIECE];
                match file.read(&mut piece).await {
                    Ok(0) => None,
                    Ok(read) => {
                        piece.truncate(read);
                        Some((Ok(piece), (file, false)))
                    }
                    Err(error) => Some((Err(error), (file, true))),
                }
            },
        ))
    }

    /// The beginning of what a file says. None: a picture, or a document that cannot be read.
    pub async fn text(&self, session_id: &str, id: &str, kind: Kind) -> Option<String> {
        if matches!(kind, Kind::Png | Kind::Jpeg | Kind::Gif | Kind::Webp) {
            return None;
        }
        let path = self.folder(session_id).join(id);
        let known = path.with_extension(TEXT);
        if let Ok(text) = tokio::fs::read_to_string(&known).await {
            return Some(text).filter(|text| !text.is_empty());
        }
        let bytes = tokio::fs::read(&path).await.ok()?;
        // The extractor tells kinds by names; a table is text to it.
        let name = match kind {
            Kind::Pdf => "file.pdf",
            Kind::Docx => "file.docx",
            _ => "file.txt",
        };
        let mut text = match self.extractor.text(name, &bytes).await {
            Ok(text) => text,
            Err(Unreadable::Unavailable) => return None,
            Err(_) => String::new(),
        };
        text.truncate(text.floor_char_boundary(TEXT_MAX_BYTES));
        // Only spares the next turn the work.
        let _ = tokio::fs::write(&known, &text).await;
        Some(text).filter(|text| !text.is_empty())
    }

    /// A file whose event was not committed.
    pub async fn remove(&self, session_id: &str, id: &str) {
        // What stays is swept.
        let _ = tokio::fs::remove_file(self.folder(session_id).join(id)).await;
    }

    /// Everything of a session that was deleted.
    pub async fn remove_session(&self, session_id: &str) {
        match tokio::fs::remove_dir_all(self.folder(session_id)).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(session = session_id, %error, "cannot delete the files of a session; it is tried again");
            }
        }
    }

    /// Removes what the log does not name: left by a crash between a file and its event, or by one between a deletion and its files.
    pub async fn sweep(&self, store: &dyn Store, now_ms: u64) -> Result<u64, StoreError> {
        let mut removed = 0;
        let mut folders = tokio::fs::read_dir(&self.root).await?;
        while let Some(folder) = folders.next_entry().await? {
            let session_id = folder.file_name().to_string_lossy().into_owned();
            let named: HashSet<String> = if session_id == INCOMING {
                HashSet::new()
            } else {
                let events = store.files(&session_id).await?;
                events.into_iter().filter_map(|event| event.id).collect()
            };
            let mut left = 0;
            let mut files = tokio::fs::read_dir(folder.path()).await?;
            while let Some(file) = files.next_entry().await? {
                let path = file.path();
                let id = path.file_stem().and_then(|stem| stem.to_str());
                let changed = file.metadata().await?.modified()?;
                let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
                let age_ms = u128::from(now_ms).saturating_sub(changed.as_millis());
                if id.is_some_and(|id| named.contains(id)) || age_ms < SETTLED.as_millis() {
                    left += 1;
                } else if tokio::fs::remove_file(&path).await.is_ok() {
                    removed += 1;
                }
            }
            if left == 0 && session_id != INCOMING {
                // Fails where a file has just come.
                let _ = tokio::fs::remove_dir(folder.path()).await;
            }
        }
        Ok(removed)
    }

    fn folder(&self, session_id: &str) -> PathBuf {
        self.root.join(session_id)
    }
}

async fn sync_folder(folder: &Path) -> io::Result<()> {
    tokio::fs::File::open(folder).await?.sync_all().await
}
