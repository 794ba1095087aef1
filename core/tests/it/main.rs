//! The app core against a small server that keeps the proto file's promises and can be told to misbehave.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod counter;
mod devices;
mod documents;
mod fake;
mod fake_accounts;
mod fake_documents;
mod kill;
mod offline;
mod paying;
mod pushes;
mod session;
mod support;
mod syncing;
mod watching;
