//! Telling phones by push, through Firebase Cloud Messaging (FCM), HTTP v1.
//!
//! A push says that something happened and not what: generic words, opaque ids, the number of the feed. What it says is in
//! [`message`], how it is sent in [`fcm`], as whom in [`account`], and how fast in [`pace`]. Who is told, and what becomes of
//! each message, is `usecases::push`; the loops are `jobs::push`.

pub mod account;
pub mod fcm;
pub mod message;
pub mod pace;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use borsellino_domain::time::Millis;

use self::fcm::Fcm;
pub use self::message::{Kind, Platform, PushMessage, PushToken};
use self::pace::Pace;

/// What may be set about pushes.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many messages a minute this node sends at most.
    pub per_minute: u32,
    /// How many are on their way at a time.
    pub in_flight: u32,
    /// For how many days what became of each message is kept.
    pub keep_days: u32,
    /// How often what is to be told is looked for.
    pub every: Duration,
}

impl Default for Settings {
    /// FCM's quota of a project, 600,000 messages a minute.
    fn default() -> Self {
        Self { per_minute: 600_000, in_flight: 256, keep_days: 30, every: Duration::from_millis(500) }
    }
}

/// The sender of this node.
#[derive(Debug)]
pub struct Push {
    /// Where messages go.
    pub fcm: Fcm,
    /// What is set.
    pub settings: Settings,
    pace: Mutex<Pace>,
}

impl Push {
    /// A sender that begins at `now`.
    pub fn new(fcm: Fcm, settings: Settings, now: Millis) -> Self {
        Self { fcm, settings, pace: Mutex::new(Pace::new(settings.per_minute, now)) }
    }

    /// How fast it may go on.
    pub fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
