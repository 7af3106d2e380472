//! A JavaScript value as the browser layer read it: own enumerable string keys of a fixed list only, no getters' exceptions, bounded depth,
//! length and count (`limits::RAW_*`). What the dialects and the configuration are given.

use super::command::CallbackId;

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

impl Raw {
    /// What it is, for a warning.
    pub fn kind(&self) -> &'static str {
        match self {
            Raw::Undefined => "undefined",
            Raw::Null => "null",
            Raw::Bool(_) => "a boolean",
            Raw::Number(_) => "a number",
            Raw::Text(_) => "a string",
            Raw::List(_) => "an array",
            Raw::Object(_) => "an object",
            Raw::Function(_) => "a function",
            Raw::Unreadable(what) => what,
        }
    }

    /// An entry of an object; absent where this is none.
    pub fn entry(&self, key: &str) -> &Raw {
        let entries: &[(String, Raw)] = match self {
            Raw::Object(entries) => entries,
            _ => &[],
        };
        match entries.iter().find(|(have, _)| have == key) {
            Some((_, value)) => value,
            None => &Raw::Undefined,
        }
    }
}
