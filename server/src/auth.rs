//! Who may call: the origin rule, session tokens, limits. Policy only, no routes.

pub mod master;
pub mod origin;
