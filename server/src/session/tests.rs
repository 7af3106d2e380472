//! Sessions over a real SQLite file, with a runtime that does as the test says.

mod owners;
mod readers;
mod restart;
mod stage;
mod turn;
