//! Sessions over a real SQLite file, with a runtime that does as the test says.

mod aloud;
mod caps;
mod owners;
mod readers;
mod restart;
mod stage;
mod tools;
mod turn;
mod wait;
