//! Embed dialects: raw input of a page → [`Command`](super::command::Command) or a [`Rejection`]. Only translates; keeps no state.
//! The script tags of all dialects, and the names in `init`, are columns of the one table of settings (`config::field`).

#[cfg(feature = "headless")]
pub mod headless;
pub mod karta;

pub use super::error::Rejection;
pub use super::raw::Raw;
