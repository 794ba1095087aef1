//! What whole-system tests and benches stand on: private servers that come up in half a second and vanish with the
//! process that asked for them. Nothing here is part of the product.
//!
//! A harness has one way to answer when the ground itself is missing: it panics with a sentence that says what to do,
//! which fails the test. It never skips.

pub mod certificates;
pub mod fcm;
pub mod hostile;
pub mod house;
pub mod oidc;
pub mod postgres;
pub mod simulation;
pub mod smtp;
pub mod stores;
pub mod torture;
