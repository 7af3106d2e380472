//! wasm32 only: carries out effects. The one place that may name web_sys, js_sys, wasm_bindgen.
//!
//! One file per browser facility; only `edge` knows them all. Nothing here decides what the product does: an `if` about that belongs
//! into the engine. Two bundles are made of this (features `launcher` and `panel`); `docs/ARCHITECTURE.md` says why.
//!
//! What the world does becomes a message in `inbox`; the loader's `pump` comes back through `entry` and drains it.

pub mod dom;
mod entry;
pub mod host;

#[cfg(feature = "panel")]
pub mod callbacks;
#[cfg(feature = "panel")]
mod clock;
#[cfg(feature = "panel")]
mod edge;
#[cfg(not(test))]
mod heap;
#[cfg(feature = "panel")]
pub mod http;
#[cfg(feature = "panel")]
pub mod inbox;
#[cfg(feature = "panel")]
mod media;
#[cfg(feature = "panel")]
mod page;
#[cfg(feature = "panel")]
pub mod raw;
#[cfg(feature = "panel")]
mod rtc;
#[cfg(feature = "panel")]
pub mod screen;
#[cfg(feature = "panel")]
pub mod sse;
#[cfg(feature = "panel")]
pub mod storage;
#[cfg(feature = "panel")]
mod stream;
#[cfg(feature = "panel")]
pub mod wire;
