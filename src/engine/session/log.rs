//! The session's event log as this widget has read it, and the message list that follows from it.
//!
//! Durable events come with a dense `seq`: a repeat is dropped, a hole is reported. Streaming ones say which part they write and
//! where, so they can be taken from two transports at once. The visitor's own messages appear before the server knows them; they
//! stand at the end until their echo gives them their place ([`list`]).

mod list;

use crate::engine::limits::PART_BYTES;
use crate::engine::view_model::{Item, ItemState, Role};
use karta_protocol::{EventType, SessionEvent};

#[derive(Default)]
pub struct Log {
    items: Vec<Item>,
    /// One for each item: what the screen does not need.
    meta: Vec<Meta>,
    cursor: u64,
    last_key: u32,
    running: bool,
    offer_person: bool,
}

#[derive(Clone, Default)]
struct Meta {
    client_id: Option<String>,
    part_id: Option<String>,
    seq: Option<u64>,
    greeting: bool,
}

/// What an event meant.
#[derive(Debug, PartialEq)]
pub enum Applied {
    /// A repeat, or nothing that this widget knows.
    Nothing,
    Changed,
    /// Something is missing: subscribe again from the cursor.
    Gap,
    /// A user message is in the log. Ours, if the outbox has the id.
    Echo {
        client_id: Option<String>,
    },
    /// An answer is complete.
    Answer {
        seq: u64,
        text: String,
    },
    TurnBegan,
    TurnEnded,
    TurnFailed {
        code: Option<String>,
        message: Option<String>,
    },
    Limit {
        code: Option<String>,
        message: Option<String>,
        retry_after_seconds: Option<u32>,
    },
}

impl Log {
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Highest durable seq applied: everything after it is asked for on reconnect.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// A turn of the agent is under way.
    pub fn running(&self) -> bool {
        self.running
    }

    /// The agent works and nothing of its answer is visible yet.
    pub fn typing(&self) -> bool {
        self.running
            && !self
                .items
                .iter()
                .rev()
                .any(|item| item.state == ItemState::Streaming)
    }

    pub fn offer_person(&self) -> bool {
        self.offer_person
    }

    /// Nothing was said yet.
    pub fn is_empty(&self) -> bool {
        self.meta.iter().all(|meta| meta.greeting)
    }

    /// Takes one event. `alone`: no other transport feeds this log now, so that a streamed text that begins further back is a
    /// correction and not a second copy that lags behind.
    pub fn apply(&mut self, event: SessionEvent, alone: bool) -> Applied {
        match event.kind {
            EventType::Synced => self.synced(&event),
            EventType::AgentMessage if event.delta => self.delta(event, alone),
            // The thinking is shown as typing, which the turn's beginning has started already.
            EventType::AgentThinking | EventType::Pong | EventType::Error => Applied::Nothing,
            EventType::UserMessage
            | EventType::UserTranscript
            | EventType::AgentMessage
            | EventType::AgentToolUse
            | EventType::AgentToolResult
            | EventType::StatusRunning
            | EventType::StatusIdle
            | EventType::SessionError
            | EventType::LimitReached
            | EventType::Unknown => match event.seq {
                Some(seq) if seq <= self.cursor => Applied::Nothing,
                Some(seq) if seq > self.cursor + 1 => Applied::Gap,
                Some(seq) => {
                    self.cursor = seq;
                    self.durable(event, seq)
                }
                None => Applied::Nothing,
            },
        }
    }

    fn durable(&mut self, event: SessionEvent, seq: u64) -> Applied {
        match event.kind {
            EventType::UserMessage | EventType::UserTranscript => self.user_message(event, seq),
            EventType::AgentMessage => self.answer(event, seq),
            EventType::StatusRunning => {
                self.running = true;
                // A new try: what the failed one had streamed is not part of the log.
                self.drop_parts(|state| state == ItemState::Failed, None);
                Applied::TurnBegan
            }
            EventType::StatusIdle => {
                self.running = false;
                // What belongs to the answer is in the log by now; a part left over is of a try that a crash cut off.
                self.drop_parts(|state| state == ItemState::Streaming, None);
                Applied::TurnEnded
            }
            EventType::SessionError => {
                self.running = false;
                self.fail_parts();
                Applied::TurnFailed {
                    code: event.code,
                    message: event.message,
                }
            }
            EventType::LimitReached => Applied::Limit {
                code: event.code,
                message: event.message,
                retry_after_seconds: event.retry_after_seconds,
            },
            EventType::AgentToolUse
            | EventType::AgentToolResult
            | EventType::AgentThinking
            | EventType::Synced
            | EventType::Pong
            | EventType::Error
            | EventType::Unknown => Applied::Nothing,
        }
    }

    fn user_message(&mut self, event: SessionEvent, seq: u64) -> Applied {
        self.offer_person = false;
        let place = self.first_unplaced();
        let known = event.id.as_deref().and_then(|id| self.find_own(id));
        let at = match known {
            Some(at) => {
                // Its place in the log is before what is still on its way. A failed one that made it after all stays where it is.
                if at > place {
                    let (item, meta) = (self.items.remove(at), self.meta.remove(at));
                    self.items.insert(place, item);
                    self.meta.insert(place, meta);
                    place
                } else {
                    at
                }
            }
            None => {
                let meta = Meta {
                    client_id: event.id.clone(),
                    ..Meta::default()
                };
                self.insert(place, Role::User, String::new(), ItemState::Sent, meta)
            }
        };
        if let (Some(item), Some(meta)) = (self.items.get_mut(at), self.meta.get_mut(at)) {
            meta.seq = Some(seq);
            item.at_ms = event.at_ms;
            item.state = ItemState::Sent;
            item.rev += 1;
            if let Some(text) = event.text.filter(|text| !text.is_empty()) {
                item.text = text;
            }
        }
        Applied::Echo {
            client_id: event.id,
        }
    }

    fn answer(&mut self, event: SessionEvent, seq: u64) -> Applied {
        let text = event.text.unwrap_or_default();
        let state = if event.interrupted {
            ItemState::Interrupted
        } else {
            ItemState::Done
        };
        let known = event
            .part_id
            .as_deref()
            .and_then(|part| self.find_part(part));
        let at = match known {
            Some(at) => at,
            // An answer that was stopped before its first word leaves nothing to show.
            None if text.is_empty() => return Applied::Changed,
            None => {
                let meta = Meta {
                    part_id: event.part_id,
                    ..Meta::default()
                };
                self.insert(
                    self.first_unplaced(),
                    Role::Agent,
                    String::new(),
                    state,
                    meta,
                )
            }
        };
        if text.is_empty() {
            self.remove(at);
            return Applied::Changed;
        }
        if let (Some(item), Some(meta)) = (self.items.get_mut(at), self.meta.get_mut(at)) {
            meta.seq = Some(seq);
            item.text.clone_from(&text);
            item.state = state;
            item.sources = event.sources;
            item.at_ms = event.at_ms;
            item.rev += 1;
        }
        self.offer_person = event.offer_person;
        Applied::Answer { seq, text }
    }

    fn delta(&mut self, event: SessionEvent, alone: bool) -> Applied {
        let (Some(part), Some(text)) = (event.part_id, event.text) else {
            return Applied::Nothing;
        };
        let Ok(offset) = usize::try_from(event.offset.unwrap_or(0)) else {
            return Applied::Gap;
        };
        let Some(at) = self.find_part(&part) else {
            if offset > 0 {
                return Applied::Gap;
            }
            if text.is_empty() {
                return Applied::Nothing;
            }
            let meta = Meta {
                part_id: Some(part),
                ..Meta::default()
            };
            self.insert(
                self.first_unplaced(),
                Role::Agent,
                text,
                ItemState::Streaming,
                meta,
            );
            return Applied::Changed;
        };
        let complete = self.meta.get(at).is_none_or(|meta| meta.seq.is_some());
        let Some(item) = self.items.get_mut(at).filter(|_| !complete) else {
            return Applied::Nothing;
        };
        let end = offset.saturating_add(text.len());
        // Beside another transport, a text that says nothing new is the slower one's copy. One that says something else is the
        // same part written anew after a crash.
        let lags = !alone && item.text.get(offset..end) == Some(text.as_str());
        if lags || end > PART_BYTES {
            return Applied::Nothing;
        }
        if offset > item.text.len() || !item.text.is_char_boundary(offset) {
            return Applied::Gap;
        }
        item.text.truncate(offset);
        item.text.push_str(&text);
        item.state = ItemState::Streaming;
        item.rev += 1;
        Applied::Changed
    }

    /// The replay is over. Parts that it did not name are not being written any more.
    fn synced(&mut self, event: &SessionEvent) -> Applied {
        if event.seq.is_some_and(|seq| seq > self.cursor) {
            return Applied::Gap;
        }
        self.drop_parts(|_| true, event.part_id.as_deref());
        Applied::Changed
    }

    fn drop_parts(&mut self, doomed: fn(ItemState) -> bool, but: Option<&str>) {
        let mut at = 0;
        while let (Some(item), Some(meta)) = (self.items.get(at), self.meta.get(at)) {
            let unfinished = item.role == Role::Agent && meta.seq.is_none() && !meta.greeting;
            let named = but.is_some() && meta.part_id.as_deref() == but;
            if unfinished && !named && doomed(item.state) {
                self.remove(at)
            } else {
                at += 1
            }
        }
    }

    fn fail_parts(&mut self) {
        for item in &mut self.items {
            if item.state == ItemState::Streaming {
                item.state = ItemState::Failed;
                item.rev += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
