//! karta-server: keys, origins, identities, limits and the conversation behind the widget.
//!
//! `main.rs` reads configuration and serves; [`router::build`] makes the whole HTTP surface of an [`app::App`], so tests need no socket.

pub mod agent;
pub mod app;
pub mod auth;
pub mod border;
pub mod calls;
pub mod cli;
pub mod config;
pub mod error;
pub mod extract;
pub mod files;
pub mod ice;
pub mod listen;
pub mod metrics;
pub mod money;
mod outbound;
pub mod retention;
pub mod router;
pub mod routes;
pub mod rtc;
pub mod secret;
pub mod service;
pub mod session;
pub mod store;
pub mod view;
pub mod voice;
