//! One file per resource. A route reads the request, asks `auth` whether it may, hands the work to `session` or `store`, and
//! writes the answer; it decides nothing else. Paths are in `router.rs`, what every request passes in `border.rs`.

pub mod admin;
pub mod auth;
pub mod call;
pub mod config;
pub mod connect;
pub mod files;
pub mod health;
pub mod identity;
pub mod me;
pub mod openapi;
pub mod request;
pub mod sessions;
mod signal;
pub mod stream;
pub mod widget;
