//! An answer that is also spoken. While a call speaks for a session, a turn ends when its answer was heard, not when it was written:
//! only then is it known how much of it belongs into the log. Without a call nothing of this takes time.

use super::hub::Hub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

static NEXT_CALL: AtomicU64 = AtomicU64::new(1);

/// What a session's call and its turn know of each other.
#[derive(Default)]
pub struct Voice {
    spoken: watch::Sender<Spoken>,
    /// The last part that was written to its end, and its length.
    written: watch::Sender<Option<(String, usize)>>,
}

#[derive(Clone, Debug, Default)]
struct Spoken {
    call: Option<u64>,
    part_id: String,
    /// Bytes of the part.
    heard: usize,
    end: Option<SpokenEnd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpokenEnd {
    Whole,
    Cut,
}

/// The call's side. One call speaks for a session; a new one takes over. Dropping it lets waiting turns end as they were written.
pub struct Aloud {
    hub: Arc<Hub>,
    call: u64,
    written: watch::Receiver<Option<(String, usize)>>,
    spoken: watch::Receiver<Spoken>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AloudNews {
    /// A part is written to its end, and so long.
    Written { part_id: String, bytes: usize },
    /// Another call speaks for the session now.
    TakenOver,
}

impl Aloud {
    pub fn begin(hub: Arc<Hub>) -> Aloud {
        let call = NEXT_CALL.fetch_add(1, Ordering::Relaxed);
        let mut written = hub.voice.written.subscribe();
        written.mark_unchanged();
        hub.voice.spoken.send_replace(Spoken {
            call: Some(call),
            ..Spoken::default()
        });
        Aloud {
            spoken: hub.voice.spoken.subscribe(),
            written,
            call,
            hub,
        }
    }

    /// Cancel-safe.
    pub async fn news(&mut self) -> AloudNews {
        let call = Some(self.call);
        loop {
            tokio::select! {
                _ = self.spoken.wait_for(|spoken| spoken.call != call) => return AloudNews::TakenOver,
                _ = self.written.changed() => {
                    if let Some((part_id, bytes)) = self.written.borrow_and_update().clone() {
                        return AloudNews::Written { part_id, bytes };
                    }
                }
            }
        }
    }

    /// So much of the part was heard by now.
    pub fn heard(&self, part_id: &str, bytes: usize) {
        self.tell(part_id, bytes, None);
    }

    /// All of the part was heard, or it was none to be spoken.
    pub fn spoken(&self, part_id: &str) {
        self.tell(part_id, usize::MAX, Some(SpokenEnd::Whole));
    }

    /// The visitor spoke over the part: its turn ends, and so much of it counts.
    pub fn cut(&self, part_id: &str, bytes: usize) {
        self.tell(part_id, bytes, Some(SpokenEnd::Cut));
    }

    fn tell(&self, part_id: &str, heard: usize, end: Option<SpokenEnd>) {
        self.hub.voice.spoken.send_if_modified(|spoken| {
            let mine = spoken.call == Some(self.call);
            if mine {
                *spoken = Spoken {
                    call: spoken.call,
                    part_id: part_id.to_owned(),
                    heard,
                    end,
                };
            }
            mine
        });
    }
}

impl Drop for Aloud {
    fn drop(&mut self) {
        self.hub.voice.spoken.send_if_modified(|spoken| {
            let mine = spoken.call == Some(self.call);
            if mine {
                spoken.call = None;
            }
            mine
        });
    }
}

impl Voice {
    /// Returns when the written part was heard to its end, or nobody speaks it.
    pub async fn heard_out(&self, part_id: &str, bytes: usize) {
        self.written.send_replace(Some((part_id.to_owned(), bytes)));
        let over = |spoken: &Spoken| {
            spoken.call.is_none()
                || (spoken.part_id == part_id && spoken.end == Some(SpokenEnd::Whole))
        };
        let _ = self.spoken.subscribe().wait_for(over).await;
    }

    /// Returns when the visitor speaks over this part.
    pub async fn cut(&self, part_id: &str) {
        let cut = |spoken: &Spoken| {
            spoken.call.is_some() && spoken.part_id == part_id && spoken.end == Some(SpokenEnd::Cut)
        };
        let mut spoken = self.spoken.subscribe();
        if spoken.wait_for(cut).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Nobody speaks for the session any more. The call that did hears that it was taken over.
    pub fn silence(&self) {
        self.spoken.send_replace(Spoken::default());
    }

    /// How much of the part counts when its turn is stopped. None: it is not being spoken, so all that was written.
    pub fn heard_of(&self, part_id: &str) -> Option<usize> {
        let spoken = self.spoken.borrow();
        (spoken.call.is_some() && spoken.part_id == part_id).then_some(spoken.heard)
    }
}
