//! What the host says when it opens the app core, and what it is told then.

use std::time::Duration;

use borsellino_core as core;
use core::{Language, RebuildReason};

/// How to open the app core.
#[derive(Clone, Debug, uniffi::Record)]
pub struct Config {
    /// A folder private to the app, outside of backups. Made if missing.
    pub data_dir: String,
    /// `https://host[:port]`; `http` only for the loopback.
    pub server_url: String,
    /// The language of every sentence handed out.
    pub language: Language,
    /// What the parent calls this phone, shown in the list of sessions.
    #[uniffi(default = "")]
    pub device_name: String,
    /// How long to wait for what; nothing for the usual.
    #[uniffi(default = None)]
    pub pace: Option<Pace>,
    /// The most 4 KiB pages the cache may take; nothing for no limit but the phone's.
    #[uniffi(default = None)]
    pub max_cache_pages: Option<u32>,
}

/// How long the app core waits for what. Tests want it shorter; apps leave it alone.
#[derive(Clone, Copy, Debug, uniffi::Record)]
pub struct Pace {
    /// For a connection.
    pub connect: Duration,
    /// For the answer to one call, connecting included.
    pub call: Duration,
    /// For all that the parent waits for with one tap; longer work goes on in the background.
    pub patience: Duration,
    /// After this much silence a live stream is dead (the server's heart beats every 15 s).
    pub silence: Duration,
    /// The first wait before connecting again; each further one is twice as long.
    pub first_wait: Duration,
    /// The longest wait before connecting again.
    pub longest_wait: Duration,
    /// How long changes are gathered before the home screen is asked for again.
    pub gather: Duration,
}

/// What opening the cache found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum CacheStart {
    /// No file: the first start, or the data were cleared.
    Fresh,
    /// The file of before.
    Kept,
    /// The file could not be used: it lies aside, and a new one was begun. The next refresh fills it.
    Rebuilt {
        /// Why.
        why: RebuildReason,
        /// How many top-ups under way were carried over.
        intents_kept: u64,
    },
}

impl From<Config> for core::Config {
    fn from(config: Config) -> Self {
        let mut opened = Self::new(config.data_dir, config.server_url, config.language);
        opened.device_name = config.device_name;
        opened.max_cache_pages = config.max_cache_pages;
        if let Some(pace) = config.pace {
            opened.pace = pace.into();
        }
        opened
    }
}

impl From<Pace> for core::Pace {
    fn from(pace: Pace) -> Self {
        let Pace { connect, call, patience, silence, first_wait, longest_wait, gather } = pace;
        Self { connect, call, patience, silence, first_wait, longest_wait, gather }
    }
}

impl From<core::CacheStart> for CacheStart {
    fn from(start: core::CacheStart) -> Self {
        match start {
            core::CacheStart::Fresh => Self::Fresh,
            core::CacheStart::Kept => Self::Kept,
            core::CacheStart::Rebuilt { why, intents_kept } => {
                Self::Rebuilt { why, intents_kept: u64::try_from(intents_kept).unwrap_or(u64::MAX) }
            }
        }
    }
}
