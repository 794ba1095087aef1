//! The app core against a small server that keeps the proto file's promises and can be told to misbehave.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod counter;
mod fake;
mod kill;
mod offline;
mod paying;
mod session;
mod support;
mod syncing;
mod watching;
