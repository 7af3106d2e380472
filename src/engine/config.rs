//! Configuration: one table of settings ([`field`]), one [`Layer`] per source, read and checked by that table where it arrives, and one fold.
//!
//! Precedence, later wins: built-in defaults < server config < `data-*` < `init` < `update`.

mod check;
mod color;
pub mod field;
mod layer;
mod resolve;

pub use field::Field;
pub use layer::{Layer, Settings, Source};
pub use resolve::{Config, Layers, push_escaped};
