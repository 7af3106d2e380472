//! Token, outbox, log, backoff: small pure machines that the phases own. None of them asks the world for anything.

pub mod backoff;
pub mod ice;
pub mod log;
pub mod outbox;
pub mod owner;
pub mod record;
pub mod token;
