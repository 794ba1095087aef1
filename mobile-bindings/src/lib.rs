//! The app core for Kotlin and Swift (and, in tests, Python), through uniffi. Nothing is decided here: calls go to
//! `borsellino_core` and answers come back as records.
//!
//! What the host can rely on:
//! - No call works on the host's thread but the ones that read what is in memory or in the cache (they are not `async`).
//!   The rest runs on a thread of the app core; the host only waits for it.
//! - A call that the host gives up (a cancelled coroutine, a closed screen) is finished all the same.
//! - What the host throws at the app core comes back as a typed error ([`BorsellinoError`]); it never becomes a panic.
//! - After [`Borsellino::shutdown`] no thread is left and neither the listener nor the secure store is called.
//!
//! To export more of the core: a method in `app.rs`, a record or a field in `views.rs`, `paying.rs`, `documents.rs` or `access.rs`, an event
//! in `events.rs`.

mod access;
mod app;
mod config;
mod documents;
mod engine;
mod errors;
mod events;
mod paying;
mod secure_store;
mod views;

pub use app::{Borsellino, Resumed, Watch, error_sentence, parse_amount};
pub use config::{CacheStart, Config, Pace};
pub use errors::{BorsellinoError, CacheProblem, InvalidInput};
pub use events::{Connection, Event, Listener, ListenerError};
pub use paying::notice_qr;
pub use secure_store::{SecureStore, SecureStoreError};

uniffi::setup_scaffolding!("borsellino");
