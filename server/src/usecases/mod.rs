//! The use cases: the only place where rules meet storage and the outside. Edges decode, call one of these, encode.
//!
//! Each writes in one transaction, announces after the commit, and does nothing external inside it.

pub mod accounts;
pub mod appearance;
pub mod archive;
pub mod carts;
pub mod content;
pub mod demand;
pub mod devices;
pub mod documents;
pub mod feed;
pub mod fees;
pub mod guardians;
pub mod home;
pub mod identities;
pub mod ledger_export;
pub mod ledger_history;
pub mod ledger_verify;
pub mod letters;
pub mod messages;
pub mod node;
pub mod office;
pub mod onboarding;
pub mod open_notices;
pub mod overview;
pub mod pay;
pub mod post;
pub mod privacy;
pub mod proof;
pub mod proof_file;
pub mod push;
pub mod questions;
pub mod queues;
pub mod receipts;
pub mod recovery;
pub mod refunds;
pub mod seal_verify;
pub mod seals;
pub mod sessions;
pub mod spontaneous;
pub mod sync;
pub mod tell;
pub mod till;
pub mod views;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use borsellino_domain::creditor::{CreditorCode, StationId};
use borsellino_domain::time::Millis;
use borsellino_pagopa::checkout::CheckoutClient;
pub use borsellino_store::rows::ProofKind;
use borsellino_store::rows::{CreditorRow, StationRow};
use borsellino_store::{Store, StoreError};

use crate::auth::keys::Keys;
use crate::auth::oidc::Provider;
use crate::auth::password::Passwords;
use crate::clock::{Clock, NoRandomness, random};
use crate::live::Live;
use crate::mail::Mailer;
use crate::notify::Push;
use crate::press::Press;

/// Everything a use case needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// Durable state.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Secrets.
    pub keys: Arc<Keys>,
    /// The door in front of argon2.
    pub passwords: Arc<Passwords>,
    /// Where receipts are booked.
    pub till: till::Till,
    /// Who listens live on this node.
    pub live: Live,
    /// Who our creditors and stations are.
    pub directory: Directory,
    /// pagoPA Checkout, where it is configured.
    pub checkout: Option<Arc<CheckoutClient>>,
    /// Where browsers come back to, without a trailing slash.
    pub public_url: Arc<str>,
    /// A proxy of ours stands in front of the public port: where a call comes from is what the proxy says.
    pub behind_proxy: bool,
    /// How often the ledger is sealed.
    pub seal_every: Duration,
    /// Where documents are printed.
    pub press: Press,
    /// Firebase Cloud Messaging, where it is configured.
    pub push: Option<Arc<Push>>,
    /// The mail server, where it is configured.
    pub mailer: Option<Arc<Mailer>>,
    /// Who else says who somebody is.
    pub identities: Arc<[Provider]>,
    /// How often letters are looked for.
    pub mail_every: Duration,
    /// For how many days what became of letters is kept.
    pub mail_keep_days: u32,
    /// True once the server is stopping: streams end, so that phones go elsewhere.
    pub stopping: tokio::sync::watch::Receiver<bool>,
    /// True once the server was asked to stop: probes say so, everything else goes on for a while.
    pub draining: Arc<AtomicBool>,
}

/// A fault of ours: nothing the caller did. Logged here, shown to people as "try again later".
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database failed or is too busy.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness, so nothing can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// What is stored makes no sense.
    #[error("stored data cannot be used: {0}")]
    BadData(&'static str),
    /// A key could not be used.
    #[error(transparent)]
    Key(#[from] crate::auth::keys::KeyError),
}

impl Fault {
    /// Whether trying again soon may help (as opposed to a fault that stays).
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => !matches!(error, StoreError::Corrupt(_) | StoreError::Migration(_)),
            Self::NoRandomness(_) => true,
            Self::BadData(_) | Self::Key(_) => false,
        }
    }
}

/// What can stop a use case: a rule that the caller can be told, or a fault of ours.
#[derive(Debug, thiserror::Error)]
pub enum Stop<R: std::fmt::Debug> {
    /// A rule.
    #[error("{0:?}")]
    Refused(R),
    /// A fault of ours.
    #[error(transparent)]
    Fault(Fault),
}

impl<R: std::fmt::Debug, F: Into<Fault>> From<F> for Stop<R> {
    fn from(fault: F) -> Self {
        Self::Fault(fault.into())
    }
}

impl App {
    /// Now.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// A new id for now.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn new_id<T: From<uuid::Uuid>>(&self) -> Result<T, NoRandomness> {
        Ok(T::from(borsellino_domain::id::uuid_v7(self.now(), random()?)))
    }
}

/// The creditors and stations this server answers for: read from the database, kept in memory, read again when it is
/// told to or asked for one it does not know.
#[derive(Clone, Debug, Default)]
pub struct Directory(Arc<RwLock<Arc<Listing>>>);

/// One reading of the directory.
#[derive(Debug, Default)]
pub struct Listing {
    creditors: Vec<CreditorRow>,
    stations: Vec<StationRow>,
}

impl Listing {
    /// The creditor with this code, if it is ours.
    pub fn creditor(&self, code: &str) -> Option<&CreditorRow> {
        self.creditors.iter().find(|row| row.fiscal_code.as_str() == code)
    }

    /// Every creditor of ours.
    pub fn creditors(&self) -> &[CreditorRow] {
        &self.creditors
    }

    /// The station with this id, if it is ours.
    pub fn station(&self, id: &str) -> Option<&StationRow> {
        self.stations.iter().find(|row| row.id.as_str() == id)
    }

    /// Whether this is the code of a broker of ours.
    pub fn knows_broker(&self, code: &str) -> bool {
        self.stations.iter().any(|row| row.broker.as_str() == code)
    }

    /// Whether the Node's calls for a creditor come through this station: its own, or any of ours with its broker.
    pub fn serves(&self, station: &StationId, creditor: &CreditorCode) -> bool {
        self.creditor(creditor.as_str()).is_some_and(|row| row.station == *station)
    }
}

impl Directory {
    /// What was read last.
    pub fn listing(&self) -> Arc<Listing> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads it again.
    ///
    /// # Errors
    /// Where the database fails; what was read before stays.
    pub async fn reload(&self, store: &Store) -> Result<(), StoreError> {
        let listing = store
            .read(|tx| {
                Box::pin(
                    async move { Ok(Listing { creditors: tx.creditors().await?, stations: tx.stations().await? }) },
                )
            })
            .await?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(listing);
        Ok(())
    }
}
