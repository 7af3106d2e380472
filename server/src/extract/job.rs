//! The job that reads a file which somebody else made: bounded in number, and soon in time and memory.

use super::{Unreadable, kind, text};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Files that are read at once; more wait.
const JOBS: usize = 2;

/// Reads files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Extractor {
    jobs: Arc<Semaphore>,
}

impl Default for Extractor {
    fn default() -> Self {
        Extractor {
            jobs: Arc::new(Semaphore::new(JOBS)),
        }
    }
}

impl Extractor {
    pub async fn text(&self, file_name: &str, bytes: &[u8]) -> Result<String, Unreadable> {
        let kind = kind(file_name, bytes)?;
        // Never closed, so a permit always comes.
        let _permit = self.jobs.acquire().await;
        text(kind, bytes)
    }
}
