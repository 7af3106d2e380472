//! The pure engine: everything the widget decides. Knows no browser, clock, randomness or network; runs under plain `cargo test`.

pub mod command;
pub mod config;
pub mod dialect;
pub mod effect;
pub mod error;
pub mod event;
pub mod json;
pub mod limits;
pub mod machine;
pub mod markdown;
pub mod random;
pub mod raw;
pub mod realtime;
pub mod session;
pub mod shell;
#[cfg(feature = "headless")]
pub mod state;
pub mod text;
pub mod view_model;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
