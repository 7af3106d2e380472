//! Message queue and drain loop over an [`Edge`]: effects run after the state they follow from, and a message that an effect
//! causes at once (a page callback that calls `karta(...)`) waits its turn. This is what makes every re-entrance defined.

use super::effect::{Effect, Millis};
use super::machine::{Machine, Msg};
use std::collections::VecDeque;

/// The world, as the engine needs it. Implemented by the browser layer and by the tests' fake.
pub trait Edge {
    fn now(&self) -> Millis;
    /// Carries one effect out. Must not call back into the shell; messages it causes are queued by [`Shell::push`].
    fn run(&mut self, effect: Effect, machine: &Machine);
}

/// The engine with its queue. The owner guarantees that only one `drain` runs at a time.
pub struct Shell {
    pub machine: Machine,
    queue: VecDeque<Msg>,
}

impl Shell {
    pub fn new() -> Self {
        Shell {
            machine: Machine::new(),
            queue: VecDeque::new(),
        }
    }

    pub fn push(&mut self, msg: Msg) {
        self.queue.push_back(msg);
    }

    /// Takes the next message and returns the effects to run. None: nothing is waiting.
    pub fn step(&mut self, now: Millis) -> Option<Vec<Effect>> {
        let msg = self.queue.pop_front()?;
        let mut out = Vec::new();
        self.machine.update(msg, now, &mut out);
        Some(out)
    }
}

impl Default for Shell {
    fn default() -> Self {
        Self::new()
    }
}
