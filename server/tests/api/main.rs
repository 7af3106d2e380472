//! The HTTP surface, in process: every test makes its own server over a real SQLite file and talks to its router. Files mirror
//! `src/routes`; `socket.rs` and `unread.rs` open a port, for
//! what only a socket shows.

mod admin;
mod auth;
mod bad_tokens;
mod call;
mod caps;
mod channel;
mod config;
mod connect;
mod cors;
mod documents;
mod errors;
mod extract;
mod files;
mod ice;
mod identity;
mod limits;
mod malformed;
mod openapi;
mod origin;
mod process;
mod retention;
mod revoke;
mod schema;
mod server;
mod sessions;
mod signalling;
mod socket;
mod stream;
mod synced;
mod two;
mod unread;
mod voice;
mod widget;
