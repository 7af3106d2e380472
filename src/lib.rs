//! karta
