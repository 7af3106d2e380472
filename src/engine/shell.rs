//! One step of the engine over an [`Edge`]: effects run after the state they follow from. A message that an effect causes at once (a page callback
//! that calls `karta(...)`) is not taken here: its owner queues it and takes it next. This is what makes every re-entrance defined.

use super::effect::{Effect, Millis};
use super::machine::{Machine, Msg};

/// The world, as the engine needs it. Implemented by the browser layer and by the tests' fake.
pub trait Edge {
    fn now(&self) -> Millis;
    /// Carries one effect out. Must not call back into the machine.
    fn run(&mut self, effect: &Effect, machine: &Machine);
}

/// Takes one message. The owner guarantees that only one step runs at a time.
pub fn step(machine: &mut Machine, msg: Msg, edge: &mut impl Edge) {
    let mut effects = Vec::new();
    machine.update(msg, edge.now(), &mut effects);
    for effect in &effects {
        edge.run(effect, machine);
    }
}
