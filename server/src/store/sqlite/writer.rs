//! The one writer: takes what is waiting, writes it in one transaction, then answers all of it (group commit). One sync of the
//! disk serves everyone who waited meanwhile, and nobody hears of a write before it is durable.

use super::write::{Write, Wrote, apply};
use crate::store::{StoreError, now_ms};
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Enough to amortise one disk sync; small enough that a batch stays under some milliseconds.
const BATCH: usize = 256;
/// Writes that may wait before callers do.
const QUEUE: usize = 1_024;

struct Job {
    write: Write,
    reply: oneshot::Sender<Result<Wrote, StoreError>>,
}

pub struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    pub fn start(connection: SqliteConnection) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let commits = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(run(connection, waiting, commits.clone()));
        Self {
            jobs: Mutex::new(Some(jobs)),
            task: Mutex::new(Some(task)),
            commits,
        }
    }

    pub async fn write(&self, write: Write) -> Result<Wrote, StoreError> {
        let jobs = self.jobs.lock().await.clone();
        let jobs = jobs.ok_or(StoreError::Stopped)?;
        let (reply, answer) = oneshot::channel();
        jobs.send(Job { write, reply })
            .await
            .map_err(|_| StoreError::Stopped)?;
        drop(jobs);
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    /// Writes that wait; 0 while somebody is just handing one in.
    pub fn waiting(&self) -> usize {
        let jobs = self.jobs.try_lock();
        let jobs = jobs.ok().and_then(|jobs| jobs.clone());
        jobs.map_or(0, |jobs| jobs.max_capacity() - jobs.capacity())
    }

    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub async fn close(&self) {
        self.jobs.lock().await.take();
        if let Some(task) = self.task.lock().await.take() {
            // An error here is a panic of the writer, which the panic hook has reported.
            let _ = task.await;
        }
    }
}

async fn run(
    mut connection: SqliteConnection,
    mut waiting: mpsc::Receiver<Job>,
    commits: Arc<AtomicU64>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        match transaction(&mut connection, &batch).await {
            Ok(results) => {
                commits.fetch_add(1, Ordering::Relaxed);
                if batch
                    .iter()
                    .any(|job| matches!(job.write, Write::Forget(..)))
                {
                    // The log beside the database still holds what was removed until it is written back and cut. A reader may be
                    // in the way for a moment; the next checkpoint comes by itself.
                    let cut = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
                    let _ = cut.execute(&mut connection).await;
                }
                for (job, result) in batch.drain(..).zip(results) {
                    // Nobody waits any more: the write stands all the same.
                    let _ = job.reply.send(result);
                }
            }
            // The disk or another process is in the way: trying each one alone would only wait longer.
            Err(StoreError::Unavailable(why)) => {
                for job in batch.drain(..) {
                    let _ = job.reply.send(Err(StoreError::Unavailable(why.clone())));
                }
            }
            // One bad write must not fail its neighbours: each gets a transaction of its own.
            Err(_) if batch.len() > 1 => {
                for job in batch.drain(..) {
                    let job = [job];
                    let result = transaction(&mut connection, &job).await;
                    if result.is_ok() {
                        commits.fetch_add(1, Ordering::Relaxed);
                    }
                    let result = result
                        .and_then(|mut results| results.pop().unwrap_or(Err(StoreError::Stopped)));
                    let [job] = job;
                    let _ = job.reply.send(result);
                }
            }
            Err(error) => {
                let mut error = Some(error);
                for job in batch.drain(..) {
                    let error = error.take().unwrap_or(StoreError::Stopped);
                    let _ = job.reply.send(Err(error));
                }
            }
        }
    }
    // Runs a checkpoint, so that the file is whole on its own.
    let _ = connection.close().await;
}

/// Everything or nothing. A result inside says that one write was refused without having changed anything.
async fn transaction(
    connection: &mut SqliteConnection,
    jobs: &[Job],
) -> Result<Vec<Result<Wrote, StoreError>>, StoreError> {
    // IMMEDIATE: the lock is taken, or waited for, at the start; a later upgrade could fail half-way.
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut results = Vec::with_capacity(jobs.len());
    let now = now_ms();
    for job in jobs {
        match apply(&mut tx, &job.write, now).await {
            Ok(wrote) => results.push(Ok(wrote)),
            Err(StoreError::Conflict(what)) => results.push(Err(StoreError::Conflict(what))),
            Err(StoreError::NoSession) => results.push(Err(StoreError::NoSession)),
            Err(error) => return Err(error),
        }
    }
    tx.commit().await?;
    Ok(results)
}
