//! Configuration: one all-optional [`Layer`] per source, checked once where it arrives ([`check`]), folded in one place ([`resolve`]).
//!
//! Precedence, later wins: built-in defaults < server config < `data-*` < `init` < `update`.

pub mod check;
mod color;
mod layer;
pub mod look;
pub mod resolve;

pub use check::{Checked, Source};
pub use layer::{Layer, ThemeLayer};
pub use resolve::{Config, Layers};
