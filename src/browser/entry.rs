//! What the loader calls (www/karta.js describes the order, www/headless.js that without a screen): few exports, no decisions. The names carry
//! `karta_` because the build shortens exports by name.

#[cfg(any(feature = "panel", feature = "headless"))]
mod app;
#[cfg(feature = "headless")]
mod headless;
#[cfg(feature = "launcher")]
mod launcher;
#[cfg(feature = "panel")]
mod panel;
