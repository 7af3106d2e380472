//! The message list of a [`Log`]: where a line stands, and the lines that are not of the log (greeting, own messages on their way).

use super::Log;
use crate::engine::limits::ITEMS;
use crate::engine::view_model::{Item, ItemState, Role};

impl Item {
    /// The greeting stands first and is not in the log.
    pub(super) fn is_greeting(&self) -> bool {
        self.role == Role::Agent && self.id.is_empty() && self.seq.is_none()
    }

    /// What the visitor is saying, or nobody has understood.
    fn is_caption(&self) -> bool {
        self.is_own() && self.state == ItemState::Streaming
    }

    /// A visitor's message that the log does not have.
    fn is_own(&self) -> bool {
        self.role == Role::User && self.seq.is_none()
    }
}

impl Log {
    /// Shows this greeting; none takes it away.
    pub fn greet(&mut self, text: Option<&str>) {
        let has = self.items.first().is_some_and(Item::is_greeting);
        if has && text.is_none() {
            self.items.remove(0);
        } else if !has && text.is_some() {
            self.insert(0, Role::Agent, "", "", ItemState::Done);
        }
        if let (Some(text), Some(item)) = (text, self.items.first_mut())
            && item.text != text
        {
            item.text = String::from(text);
            item.rev += 1;
        }
    }

    /// The visitor's own message, not yet known to the server.
    pub fn push_own(&mut self, client_id: &str, text: &str) {
        let end = self.items.len();
        self.insert(end, Role::User, client_id, text, ItemState::Sending);
    }

    /// Acknowledged by an answer, or refused for good; or it was said aloud, and is whole. The echo still has to come.
    pub fn mark_own(&mut self, client_id: &str, state: ItemState) {
        let own = self.find(Role::User, client_id);
        if let Some(item) = own.and_then(|at| self.items.get_mut(at))
            && item.state != state
        {
            item.state = state;
            item.rev += 1;
        }
    }

    /// A failed message is to be sent again: it goes to the end. Gives its client id and text.
    pub fn revive(&mut self, key: u32) -> Option<(String, String)> {
        let failed = |item: &Item| item.key == key && item.state == ItemState::Failed;
        let at = self
            .items
            .iter()
            .position(|item| failed(item) && item.role == Role::User)?;
        let mut item = self.items.remove(at);
        item.state = ItemState::Sending;
        item.rev += 1;
        let revived = (item.id.clone(), item.text.clone());
        self.items.push(item);
        Some(revived)
    }

    /// Another session begins: what the old one's log said goes, what was not sent stays.
    pub fn restart(&mut self) {
        self.cursor = 0;
        self.running = false;
        self.asking.clear();
        self.offer_person = false;
        let waits = |state| matches!(state, ItemState::Sending | ItemState::Failed);
        self.drop_lines(&|item| {
            !(item.is_greeting() || item.role == Role::User && waits(item.state))
        });
    }

    /// Where the next line of the log goes: before the visitor's messages that the log does not have yet. What was said aloud stays where it was said.
    pub(super) fn first_unplaced(&self) -> usize {
        let placed = self
            .items
            .iter()
            .rposition(|item| !item.is_own() || item.state == ItemState::Failed || item.spoken);
        placed.map_or(0, |at| at + 1)
    }

    pub(super) fn find(&self, role: Role, id: &str) -> Option<usize> {
        self.items
            .iter()
            .rposition(|item| item.role == role && item.id == id && !id.is_empty())
    }

    /// The same among the lines that the log does not have. A name of something said is used again by the next call.
    pub(super) fn find_unplaced(&self, role: Role, id: &str) -> Option<usize> {
        let unplaced = |at: &usize| self.items.get(*at).is_some_and(|item| item.seq.is_none());
        self.find(role, id).filter(unplaced)
    }

    /// Nothing more comes of what was being said.
    pub fn drop_captions(&mut self) {
        self.drop_lines(&Item::is_caption);
    }

    // One copy of a loop that moves items.
    #[inline(never)]
    pub(super) fn drop_lines(&mut self, goes: &dyn Fn(&Item) -> bool) {
        self.items.retain(|item| !goes(item));
    }

    pub(super) fn insert(
        &mut self,
        at: usize,
        role: Role,
        id: &str,
        text: &str,
        state: ItemState,
    ) -> usize {
        self.last_key += 1;
        let item = Item {
            key: self.last_key,
            rev: 0,
            role,
            id: String::from(id),
            seq: None,
            text: String::from(text),
            state,
            spoken: false,
            sources: Vec::new(),
            at_ms: None,
        };
        let mut at = at.min(self.items.len());
        self.items.insert(at, item);
        if self.items.len() > ITEMS {
            let oldest = self.items.iter().position(|item| item.seq.is_some());
            if let Some(oldest) = oldest.filter(|oldest| *oldest != at) {
                self.items.remove(oldest);
                if oldest < at {
                    at -= 1;
                }
            }
        }
        at
    }
}
