//! Karta, the widget: a voice and chat agent for any website.
//!
//! The flow, top to bottom (docs/ARCHITECTURE.md draws it):
//!
//! 1. The host page calls `karta(...)` or carries a script tag. [`engine::dialect`] turns that raw input into a [`engine::command::Command`].
//! 2. [`engine::machine::Machine`] takes one [`engine::machine::Msg`] at a time, changes its state and orders [`engine::effect::Effect`]s.
//! 3. `browser` (wasm only) carries the effects out and turns what happens in the world into messages.
//! 4. After each message the screen is brought in line with [`engine::view_model`].
//!
//! This file declares modules and holds no logic.

pub mod engine;

// Public for tests/browser.rs, which runs in a real browser; nothing else links it.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod browser;
