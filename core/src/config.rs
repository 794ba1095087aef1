//! What the host says when it opens the app core.

use std::path::PathBuf;
use std::sync::Arc;

use borsellino_domain::language::Language;

use crate::remote::Pace;

/// How to open the app core.
#[derive(Clone)]
pub struct Config {
    /// A folder private to the app, outside of backups. Made if missing.
    pub data_dir: PathBuf,
    /// `https://host[:port]`; `http` only for the loopback.
    pub server_url: String,
    /// The language of every sentence handed out.
    pub language: Language,
    /// What the parent calls this phone, shown in the list of sessions.
    pub device_name: String,
    /// How long to wait for what.
    pub pace: Pace,
    /// The most 4 KiB pages the cache may take; `None` for no limit but the phone's.
    pub max_cache_pages: Option<u32>,
    /// Told of each [`Step`], for tests that kill the process there.
    pub on_step: Option<Arc<dyn Fn(Step) + Send + Sync>>,
}

impl Config {
    /// The usual settings.
    pub fn new(data_dir: impl Into<PathBuf>, server_url: impl Into<String>, language: Language) -> Self {
        Self {
            data_dir: data_dir.into(),
            server_url: server_url.into(),
            language,
            device_name: String::new(),
            pace: Pace::default(),
            max_cache_pages: None,
            on_step: None,
        }
    }
}

macro_rules! steps {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A moment at which a kill would be interesting.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Step { $($(#[$doc])* $variant,)* }

        impl Step {
            /// Every step, in the order of a top-up's life.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name, as in `intent-saved`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

steps! {
    /// A top-up's intent is on the disk; nothing was sent.
    IntentSaved = "intent-saved",
    /// The intent is marked as sent; the request has not left.
    BeforeSend = "before-send",
    /// The server answered; the phone has written nothing of it.
    AfterSend = "after-send",
    /// The answer is on the disk.
    AfterAnswer = "after-answer",
    /// A payment of several things is about to ask for a page.
    BeforeCart = "before-cart",
    /// The server opened it; the phone has written nothing of it.
    AfterCart = "after-cart",
    /// New tokens came and are not yet stored.
    TokensReceived = "tokens-received",
    /// New tokens are stored and not yet used.
    TokensStored = "tokens-stored",
    /// A change of the feed came and is not yet written.
    BeforeCursor = "before-cursor",
    /// A change and the feed's number are on the disk; nobody was told.
    CursorWritten = "cursor-written",
}

/// Calls the hook, if there is one.
#[derive(Clone)]
pub(crate) struct Steps(pub(crate) Option<Arc<dyn Fn(Step) + Send + Sync>>);

impl Steps {
    pub(crate) fn reached(&self, step: Step) {
        if let Some(hook) = &self.0 {
            hook(step);
        }
    }
}
