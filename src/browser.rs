//! wasm32 only: carries out effects. The one place that may name web_sys, js_sys, wasm_bindgen.
//!
//! One file per browser facility; only `edge` knows them all. Nothing here decides what the product does: an `if` about that belongs
//! into the engine. Several bundles are made of this (features `launcher`, `panel`, `headless`); `docs/ARCHITECTURE.md` says why.
//!
//! What the world does becomes a message in `inbox`; the loader's `pump` comes back through `entry` and drains it.

#[cfg(any(feature = "launcher", feature = "panel"))]
pub mod dom;
mod entry;
#[cfg(feature = "headless")]
pub mod headless;
pub mod host;

#[cfg(any(feature = "panel", feature = "headless"))]
pub mod callbacks;
#[cfg(any(feature = "panel", feature = "headless"))]
mod clock;
#[cfg(any(feature = "panel", feature = "headless"))]
mod edge;
#[cfg(not(test))]
mod heap;
#[cfg(any(feature = "panel", feature = "headless"))]
pub mod http;
#[cfg(any(feature = "panel", feature = "headless"))]
pub mod inbox;
#[cfg(any(feature = "panel", feature = "headless"))]
mod media;
#[cfg(any(feature = "panel", feature = "headless"))]
mod page;
#[cfg(any(feature = "panel", feature = "headless"))]
pub mod raw;
#[cfg(any(feature = "panel", feature = "headless"))]
mod rtc;
#[cfg(feature = "panel")]
pub mod screen;
#[cfg(any(feature = "panel", feature = "headless"))]
pub mod sse;
#[cfg(any(feature = "panel", feature = "headless"))]
pub mod storage;
#[cfg(any(feature = "panel", feature = "headless"))]
mod stream;
#[cfg(any(feature = "panel", feature = "headless"))]
pub mod surface;
#[cfg(any(feature = "panel", feature = "headless"))]
pub mod wire;
