//! Configuration: one all-optional [`Layer`] per source, folded in one place.
mod layer;
pub use layer::{Layer, ThemeLayer};
