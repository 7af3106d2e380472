//! The session's event log as this widget has read it, and the message list that follows from it.
//!
//! Durable events come with a dense `seq`: a repeat is dropped, a hole is reported. Streaming ones say which part they write and
//! where, so they can be taken from two transports at once. The visitor's own messages appear before the server knows them; they
//! stand at the end until their echo gives them their place ([`list`]).

mod list;

use crate::engine::error::clip;
use crate::engine::limits::PART_BYTES;
use crate::engine::view_model::{Item, ItemState, Role};
use karta_protocol::{EventType, SessionEvent};

#[derive(Default)]
pub struct Log {
    items: Vec<Item>,
    cursor: u64,
    last_key: u32,
    running: bool,
    offer_person: bool,
    /// The part that was cut: what still comes of it was not heard.
    cut: String,
    /// The tool that waits for the visitor's word, by the id of its use.
    asking: String,
    /// A call is under way: what the agent writes is spoken.
    pub aloud: bool,
}

/// What an event meant. Details are in the event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Applied {
    /// A repeat, or nothing that this widget knows.
    Nothing,
    Changed,
    /// Something is missing: subscribe again from the cursor.
    Gap,
    /// A user message is in the log. Ours, if the outbox has the id.
    Echo,
    /// An answer is complete.
    Answer,
    TurnBegan,
    TurnEnded,
    TurnFailed,
    Limit,
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
            && self.asking.is_empty()
            && !self
                .items
                .iter()
                .rev()
                .any(|item| item.state == ItemState::Streaming)
    }

    /// What there is of an answer.
    pub fn part(&self, part_id: &str) -> Option<&Item> {
        self.items.get(self.find(Role::Agent, part_id)?)
    }

    /// What the visitor is asked to allow.
    pub fn asking(&self) -> Option<&Item> {
        self.items.get(self.find(Role::System, &self.asking)?)
    }

    pub fn offer_person(&self) -> bool {
        self.offer_person
    }

    /// Nothing was said yet.
    pub fn is_empty(&self) -> bool {
        self.items.iter().all(Item::is_greeting)
    }

    /// Takes one event. `alone`: no other transport feeds this log now, so that a streamed text that begins further back is a
    /// correction and not a second copy that lags behind.
    pub fn apply(&mut self, event: &mut SessionEvent, alone: bool) -> Applied {
        match event.kind {
            EventType::Synced => self.synced(event),
            EventType::AgentMessage if event.delta => self.delta(event, alone),
            EventType::UserTranscript if event.delta => self.caption(event),
            EventType::VoiceCut => self.cut(event),
            // The thinking is shown as typing, which the turn's beginning has started already.
            EventType::AgentThinking
            | EventType::VoiceState
            | EventType::Pong
            | EventType::Error => Applied::Nothing,
            EventType::UserMessage
            | EventType::UserTranscript
            | EventType::UserFile
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

    fn durable(&mut self, event: &mut SessionEvent, seq: u64) -> Applied {
        match event.kind {
            EventType::UserMessage | EventType::UserTranscript => self.user_message(event, seq),
            EventType::AgentMessage => self.answer(event, seq),
            EventType::StatusRunning => {
                self.running = true;
                // A new try: what the failed one had streamed is not part of the log.
                self.drop_parts(Some(ItemState::Failed), "");
                Applied::TurnBegan
            }
            EventType::StatusIdle => {
                self.running = false;
                self.asking.clear();
                // What belongs to the answer is in the log by now; a part left over is of a try that a crash cut off.
                self.drop_parts(Some(ItemState::Streaming), "");
                self.drop_parts(Some(ItemState::Interrupted), "");
                Applied::TurnEnded
            }
            EventType::SessionError => {
                self.running = false;
                self.asking.clear();
                self.fail_parts();
                // What a tool had begun: whoever tries again must know.
                if event.interrupted {
                    let words = event.message.as_deref().unwrap_or("");
                    self.line(event, seq, words, ItemState::Done);
                }
                Applied::TurnFailed
            }
            EventType::LimitReached => Applied::Limit,
            EventType::AgentToolUse | EventType::AgentToolResult => self.tool(event, seq),
            EventType::UserFile
            | EventType::AgentThinking
            | EventType::Synced
            | EventType::VoiceState
            | EventType::VoiceCut
            | EventType::Pong
            | EventType::Error
            | EventType::Unknown => Applied::Nothing,
        }
    }

    fn user_message(&mut self, event: &mut SessionEvent, seq: u64) -> Applied {
        self.offer_person = false;
        let id = event.id.as_deref().unwrap_or("");
        let place = self.first_unplaced();
        let at = match self.find_unplaced(Role::User, id) {
            // Its place in the log is before what is still on its way. A failed one that made it after all stays where it is.
            Some(at) if at > place => {
                let item = self.items.remove(at);
                self.items.insert(place, item);
                place
            }
            Some(at) => at,
            None => self.insert(place, Role::User, id, "", ItemState::Sent),
        };
        let text = event.text.as_deref().unwrap_or("");
        self.settle(at, seq, text, ItemState::Sent, event.at_ms);
        if let Some(item) = self.items.get_mut(at) {
            item.spoken = event.kind == EventType::UserTranscript;
        }
        Applied::Echo
    }

    fn answer(&mut self, event: &mut SessionEvent, seq: u64) -> Applied {
        let text = event.text.as_deref().unwrap_or("");
        let state = if event.interrupted {
            ItemState::Interrupted
        } else {
            ItemState::Done
        };
        let part = event.part_id.as_deref().unwrap_or("");
        let known = self.find(Role::Agent, part);
        if text.is_empty() {
            // An answer that was stopped before its first word leaves nothing to show.
            if let Some(at) = known {
                self.items.remove(at);
            }
            return Applied::Changed;
        }
        let at = known
            .unwrap_or_else(|| self.insert(self.first_unplaced(), Role::Agent, part, "", state));
        self.settle(at, seq, text, state, event.at_ms);
        if let Some(item) = self.items.get_mut(at) {
            item.sources = std::mem::take(&mut event.sources);
        }
        self.offer_person = event.offer_person;
        Applied::Answer
    }

    /// What the agent does for the visitor: one line, from the question to what came of it.
    fn tool(&mut self, event: &SessionEvent, seq: u64) -> Applied {
        let id = event.id.as_deref().unwrap_or("");
        let title = event.message.as_deref().unwrap_or("");
        let state = event.state.as_deref().unwrap_or("");
        let (mark, details) = match state {
            "confirm" => ("?\n", event.text.as_deref().unwrap_or("")),
            "running" => ("…", ""),
            "done" => (" ✓", ""),
            _ => (" ✗", ""),
        };
        let (asking, state) = match state {
            "confirm" => (id, ItemState::Sent),
            _ => ("", ItemState::Done),
        };
        self.asking = String::from(asking);
        self.line(event, seq, &[title, mark, details].concat(), state)
    }

    /// A line that neither side has said.
    fn line(&mut self, event: &SessionEvent, seq: u64, text: &str, state: ItemState) -> Applied {
        let id = event.id.as_deref().unwrap_or("");
        let known = self.find(Role::System, id);
        let at = known
            .unwrap_or_else(|| self.insert(self.first_unplaced(), Role::System, id, "", state));
        self.settle(at, seq, text, state, event.at_ms);
        Applied::Changed
    }

    /// A line has its place in the log.
    fn settle(&mut self, at: usize, seq: u64, text: &str, state: ItemState, at_ms: Option<u64>) {
        if let Some(item) = self.items.get_mut(at) {
            item.seq = Some(seq);
            item.at_ms = at_ms;
            item.state = state;
            item.rev += 1;
            if !text.is_empty() {
                item.text = String::from(text);
            }
        }
    }

    fn delta(&mut self, event: &SessionEvent, alone: bool) -> Applied {
        let part = event.part_id.as_deref().unwrap_or("");
        let text = event.text.as_deref().unwrap_or("");
        if part.is_empty() || part == self.cut {
            return Applied::Nothing;
        }
        let Ok(offset) = usize::try_from(event.offset.unwrap_or(0)) else {
            return Applied::Gap;
        };
        let Some(at) = self.find(Role::Agent, part) else {
            if offset > 0 {
                return Applied::Gap;
            }
            if text.is_empty() {
                return Applied::Nothing;
            }
            let at = self.insert(
                self.first_unplaced(),
                Role::Agent,
                part,
                text,
                ItemState::Streaming,
            );
            if let Some(item) = self.items.get_mut(at) {
                item.spoken = self.aloud;
            }
            return Applied::Changed;
        };
        let Some(item) = self.items.get_mut(at).filter(|item| item.seq.is_none()) else {
            return Applied::Nothing;
        };
        let end = offset.saturating_add(text.len());
        // Beside another transport, a text that says nothing new is the slower one's copy. One that says something else is the
        // same part written anew after a crash.
        let lags = !alone && item.text.get(offset..end) == Some(text);
        if lags || end > PART_BYTES {
            return Applied::Nothing;
        }
        if !item.text.is_char_boundary(offset) {
            return Applied::Gap;
        }
        item.text.truncate(offset);
        item.text.push_str(text);
        item.state = ItemState::Streaming;
        item.rev += 1;
        Applied::Changed
    }

    /// What the visitor says, as far as it is recognised.
    fn caption(&mut self, event: &SessionEvent) -> Applied {
        let id = event.id.as_deref().unwrap_or("");
        let text = event.text.as_deref().unwrap_or("");
        if id.is_empty() || text.is_empty() || text.len() > PART_BYTES {
            return Applied::Nothing;
        }
        let known = self.find_unplaced(Role::User, id);
        let at = known.unwrap_or_else(|| {
            self.drop_captions();
            let end = self.items.len();
            self.insert(end, Role::User, id, "", ItemState::Streaming)
        });
        if let Some(item) = self.items.get_mut(at) {
            item.spoken = true;
            item.text = String::from(text);
            item.rev += 1;
        }
        Applied::Changed
    }

    /// The visitor spoke over the answer: it ends where they stopped hearing it. The log says the same in a moment.
    fn cut(&mut self, event: &SessionEvent) -> Applied {
        let part = event.part_id.as_deref().unwrap_or("");
        self.cut = String::from(part);
        let heard = usize::try_from(event.heard.unwrap_or(0)).unwrap_or(usize::MAX);
        let Some(at) = self.find_unplaced(Role::Agent, part) else {
            return Applied::Nothing;
        };
        if heard == 0 {
            self.items.remove(at);
        } else if let Some(item) = self.items.get_mut(at) {
            let heard = clip(&item.text, heard).len();
            item.text.truncate(heard);
            item.state = ItemState::Interrupted;
            item.rev += 1;
        }
        Applied::Changed
    }

    /// The replay is over. Parts that it did not name are not being written any more.
    fn synced(&mut self, event: &SessionEvent) -> Applied {
        if event.seq.is_some_and(|seq| seq > self.cursor) {
            return Applied::Gap;
        }
        self.drop_parts(None, event.part_id.as_deref().unwrap_or(""));
        Applied::Changed
    }

    /// Takes unfinished answers away: all but one, or those in one state.
    fn drop_parts(&mut self, state: Option<ItemState>, but: &str) {
        self.drop_lines(&|item| {
            let unfinished = item.role == Role::Agent && item.seq.is_none() && !item.is_greeting();
            let named = !but.is_empty() && item.id == but;
            unfinished && !named && state.is_none_or(|state| item.state == state)
        });
    }

    fn fail_parts(&mut self) {
        for item in &mut self.items {
            if item.state == ItemState::Streaming && item.role == Role::Agent {
                item.state = ItemState::Failed;
                item.rev += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
