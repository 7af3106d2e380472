//! Who may call: the origin rule, tokens, proofs of identity, limits. Policy only, no routes; [`caller`] puts the parts together for one request.

pub mod address;
pub mod admin;
pub mod caller;
pub mod guarded;
pub mod identity;
pub mod limit;
pub mod master;
pub mod origin;
pub mod policy;
pub mod refresh;
pub mod revocation;
pub mod seal;
pub mod secret;
pub mod signing;
pub mod token;
pub mod user_token;
