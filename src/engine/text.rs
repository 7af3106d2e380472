//! Fixed words, per locale.

/// Words of the panel that are not configuration.
#[derive(Debug, PartialEq)]
pub struct Words {
    pub close: &'static str,
    pub send: &'static str,
    pub stop: &'static str,
    pub placeholder: &'static str,
}
