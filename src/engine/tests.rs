//! Flows of the whole engine over a fake edge: a hand-moved clock and a journal of effects, answered late, twice or never.

mod boot;
mod chat;
mod failure;
mod fake;
mod frozen;
mod handed;
mod headless;
mod identity;
mod imports;
mod noise;
mod peer;
mod queue;
mod random;
mod refusal;
mod storage;
mod tools;
mod users;
mod voice;
mod wire;
