//! The message list of a [`Log`]: where a line stands, and the lines that are not of the log (greeting, own messages on their way).

use super::{Log, Meta};
use crate::engine::limits::ITEMS;
use crate::engine::view_model::{Item, ItemState, Role};

impl Log {
    /// The greeting stands first and is not in the log. None takes it away.
    pub fn greet(&mut self, text: Option<&str>) {
        let has = self.meta.first().is_some_and(|meta| meta.greeting);
        match (text, has) {
            (Some(text), true) => {
                if let Some(item) = self.items.first_mut().filter(|item| item.text != text) {
                    item.text = String::from(text);
                    item.rev += 1;
                }
            }
            (Some(text), false) => {
                let meta = Meta {
                    greeting: true,
                    ..Meta::default()
                };
                self.insert(0, Role::Agent, String::from(text), ItemState::Done, meta);
            }
            (None, true) => self.remove(0),
            (None, false) => {}
        }
    }

    /// The visitor's own message, not yet known to the server.
    pub fn push_own(&mut self, client_id: &str, text: &str) {
        let meta = Meta {
            client_id: Some(String::from(client_id)),
            ..Meta::default()
        };
        self.insert(
            self.items.len(),
            Role::User,
            String::from(text),
            ItemState::Sending,
            meta,
        );
    }

    /// Acknowledged by an answer, or refused for good. The echo still has to come.
    pub fn mark_own(&mut self, client_id: &str, state: ItemState) {
        let own = self
            .find_own(client_id)
            .and_then(|at| self.items.get_mut(at));
        if let Some(item) = own.filter(|item| item.state != state) {
            item.state = state;
            item.rev += 1;
        }
    }

    /// A failed message is to be sent again: it goes to the end. Gives its client id and text.
    pub fn revive(&mut self, key: u32) -> Option<(String, String)> {
        let at = self
            .items
            .iter()
            .position(|item| item.key == key && item.state == ItemState::Failed)?;
        let client_id = self.meta.get(at)?.client_id.clone()?;
        let mut item = self.items.remove(at);
        let meta = self.meta.remove(at);
        item.state = ItemState::Sending;
        item.rev += 1;
        let text = item.text.clone();
        self.items.push(item);
        self.meta.push(meta);
        Some((client_id, text))
    }

    /// Another session begins: what the old one's log said goes, what was not sent stays.
    pub fn restart(&mut self) {
        self.cursor = 0;
        self.running = false;
        self.offer_person = false;
        let mut at = 0;
        while let (Some(item), Some(meta)) = (self.items.get(at), self.meta.get(at)) {
            let waits = matches!(item.state, ItemState::Sending | ItemState::Failed)
                && item.role == Role::User;
            if meta.greeting || waits {
                at += 1
            } else {
                self.remove(at)
            }
        }
    }

    /// Where the next line of the log goes: before the visitor's messages that the log does not have yet.
    pub(super) fn first_unplaced(&self) -> usize {
        let mut at = self.items.len();
        while at > 0 {
            let before = at - 1;
            let (Some(item), Some(meta)) = (self.items.get(before), self.meta.get(before)) else {
                break;
            };
            let unplaced =
                item.role == Role::User && meta.seq.is_none() && item.state != ItemState::Failed;
            if !unplaced {
                break;
            }
            at = before;
        }
        at
    }

    pub(super) fn find_own(&self, client_id: &str) -> Option<usize> {
        self.meta
            .iter()
            .rposition(|meta| meta.client_id.as_deref() == Some(client_id))
    }

    pub(super) fn find_part(&self, part_id: &str) -> Option<usize> {
        self.meta
            .iter()
            .rposition(|meta| meta.part_id.as_deref() == Some(part_id))
    }

    pub(super) fn insert(
        &mut self,
        at: usize,
        role: Role,
        text: String,
        state: ItemState,
        meta: Meta,
    ) -> usize {
        self.last_key += 1;
        let item = Item {
            key: self.last_key,
            rev: 0,
            role,
            text,
            state,
            sources: Vec::new(),
            at_ms: None,
        };
        let mut at = at.min(self.items.len());
        self.items.insert(at, item);
        self.meta.insert(at, meta);
        if self.items.len() > ITEMS {
            let oldest = self.meta.iter().position(|meta| meta.seq.is_some());
            if let Some(oldest) = oldest.filter(|oldest| *oldest != at) {
                self.remove(oldest);
                if oldest < at {
                    at -= 1;
                }
            }
        }
        at
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.items.remove(at);
        self.meta.remove(at);
    }
}
