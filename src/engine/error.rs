//! Codes of host mistakes and their words.
