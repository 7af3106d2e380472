//! Who may call: the origin rule, session tokens, limits. Policy only, no routes; [`caller`] puts the parts together for one request.

pub mod address;
pub mod caller;
pub mod guarded;
pub mod limit;
pub mod master;
pub mod origin;
pub mod refresh;
pub mod revocation;
pub mod secret;
pub mod token;
