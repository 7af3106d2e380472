//! What the loader calls (www/karta.js describes the order): few exports, no decisions. The names carry `karta_` because the build shortens exports by name.

#[cfg(feature = "launcher")]
mod launcher;
#[cfg(feature = "panel")]
mod panel;
