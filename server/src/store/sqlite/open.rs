//! Opens the file, and brings its layout up to date.

use super::read::Reads;
use super::writer::Writer;
use super::{SqliteStore, migrations};
use crate::store::StoreError;
use sqlx::Connection as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use std::path::Path;
use std::time::Duration;

/// Readers never wait for the writer (WAL), so a few are enough.
const READERS: u32 = 4;
/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl SqliteStore {
    /// Opens or creates `<data_dir>/karta.db` and brings its layout up to date.
    pub async fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(data_dir, BUSY_TIMEOUT).await
    }

    pub(super) async fn open_with(
        data_dir: &Path,
        busy_timeout: Duration,
    ) -> Result<Self, StoreError> {
        std::fs::create_dir_all(data_dir)?;
        // Two processes that start at once must not both create the tables. The lock goes with the file handle.
        let lock = std::fs::File::create(data_dir.join("karta.lock"))?;
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
            .await
            .map_err(std::io::Error::other)??;
        let options = SqliteConnectOptions::new()
            .filename(data_dir.join("karta.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: a commit is on the disk before anyone hears of it. NORMAL may lose the last ones with the power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(busy_timeout)
            .foreign_keys(true)
            // What is deleted is overwritten with zeros: a visitor who is forgotten is not to be found in the file.
            .pragma("secure_delete", "ON");
        let options = sqlx::ConnectOptions::disable_statement_logging(options);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        migrations::all().run(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            // A file in this process does not hang up; asking first would double the cost of every read.
            .test_before_acquire(false)
            .connect_with(options.pragma("query_only", "1"))
            .await?;
        drop(lock);
        Ok(Self {
            readers: Reads::by(readers),
            writer: Writer::start(connection),
        })
    }
}
