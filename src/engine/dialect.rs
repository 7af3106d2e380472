//! Embed dialects: raw input of a page → [`Command`](super::command::Command) or a [`Rejection`]. Only translates; keeps no state.

use super::command::CallbackId;

/// A JavaScript value as the browser layer read it: own enumerable string keys of a fixed list only, no getters'
/// exceptions, bounded depth, length and count (`limits`).
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Raw>),
    Object(Vec<(String, Raw)>),
    Function(CallbackId),
    /// Symbol, BigInt, a value that threw when read, or something too deep or too large. The word says which, for the warning.
    Unreadable(&'static str),
}

/// Input that was not taken, and why: one `console.warn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// `unknown_command`, `bad_argument`, `bad_value`.
    pub code: &'static str,
    /// Names the source (`data-theme-accent`, `karta("init")`), what was found and what is expected.
    pub message: String,
}
