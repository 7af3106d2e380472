//! Who subscribed to what. Calling page code is an effect; here are only numbers.

use crate::engine::command::CallbackId;
use crate::engine::event::EventName;
use crate::engine::limits::SUBSCRIPTIONS;

#[derive(Clone, Copy, PartialEq)]
struct Subscription {
    event: EventName,
    callback: CallbackId,
    once: bool,
}

#[derive(Default)]
pub(super) struct Bus {
    subscriptions: Vec<Subscription>,
}

impl Bus {
    /// The same function subscribed twice to one event is called once, as with `addEventListener`. False: the list is full.
    pub fn on(&mut self, event: EventName, callback: CallbackId, once: bool) -> bool {
        let known = self
            .subscriptions
            .iter_mut()
            .find(|have| have.event == event && have.callback == callback);
        if let Some(known) = known {
            // A lasting subscription outlives a passing one.
            known.once &= once;
            return true;
        }
        if self.subscriptions.len() >= SUBSCRIPTIONS {
            return false;
        }
        self.subscriptions.push(Subscription {
            event,
            callback,
            once,
        });
        true
    }

    pub fn off(&mut self, event: EventName, callback: Option<CallbackId>) {
        self.subscriptions.retain(|have| {
            have.event != event || callback.is_some_and(|callback| have.callback != callback)
        });
    }

    pub fn hears(&self, event: EventName) -> bool {
        self.subscriptions.iter().any(|have| have.event == event)
    }

    /// Who is to be called, each in the order of subscription. Those that wanted to hear it once are forgotten.
    pub fn callbacks(&mut self, event: EventName) -> Vec<CallbackId> {
        let mut callbacks = Vec::new();
        self.subscriptions.retain(|have| {
            if have.event == event {
                callbacks.push(have.callback);
            }
            have.event != event || !have.once
        });
        callbacks
    }
}
