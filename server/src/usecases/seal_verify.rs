//! `ledger verify` of the seals: each continues the one before, is signed, and seals what is still there.
//!
//! It runs beside a working server: a seal and the list of its entries are committed together, and a sealed entry was
//! committed before. Whatever is read about a seal that has been seen is therefore final.
//!
//! What it cannot see: that the last seals are gone together with the entries they sealed. That takes a witness from
//! outside, a number and hash that somebody kept: this report's last one, or a parent's proof.

use std::collections::BTreeSet;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{EntryId, uuid_v7};
use borsellino_domain::ledger::{Account, AccountKind, Hash};
use borsellino_domain::seal::{AccountHead, Seal, heads, root};
use borsellino_domain::time::Millis;
use borsellino_store::rows::{SealRow, SealedRow};
use borsellino_store::{Store, StoreError};
use thiserror::Error;
use uuid::Uuid;

use super::seals::{Stored, WINDOW_DAYS, stored};
use crate::auth::signature::PublicKey;

/// How many seals are read at a time.
const PAGE: i64 = 200;

/// What a reading of the seals found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealReport {
    /// Seals read.
    pub seals: u64,
    /// Entries in them.
    pub sealed: u64,
    /// Entries in none yet.
    pub unsealed: u64,
    /// The last seal: keep its number and hash elsewhere, and no tail can be cut off unseen.
    pub last: Option<LastSeal>,
    /// By which keys they claim to be signed: compare them with the published one.
    pub keys: BTreeSet<PublicKey>,
    /// The first thing that does not fit.
    pub broken: Option<SealFinding>,
}

/// The end of a creditor's seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSeal {
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub at: Millis,
    /// Its hash.
    pub hash: Hash,
}

/// What does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealFinding {
    /// A row that is no seal.
    #[error("seal {number}: no such row may be: a number is negative, or a hash, key or signature is none")]
    Unreadable {
        /// The number, as stored.
        number: i64,
    },
    /// A seal was removed.
    #[error("seal {expected} is missing (found {found})")]
    Missing {
        /// The number that should come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// It does not name the seal before it.
    #[error("seal {number} does not continue the one before: one of the two was altered or exchanged")]
    Previous {
        /// Which.
        number: u64,
    },
    /// Its total is not the one before plus its own.
    #[error("seal {number} says {said} entries so far, the seals up to it say {counted}")]
    Entries {
        /// Which.
        number: u64,
        /// As stored.
        said: u64,
        /// As it must be.
        counted: u64,
    },
    /// Its hash is not that of what it says.
    #[error("seal {number}: its hash does not fit, it was altered")]
    Hash {
        /// Which.
        number: u64,
    },
    /// It is not signed by the key it names.
    #[error("seal {number} is not signed by the key it names")]
    Signature {
        /// Which.
        number: u64,
    },
    /// An entry that was sealed is gone.
    #[error("entry {entry}, sealed in seal {number}, is gone from the journal")]
    EntryGone {
        /// The seal.
        number: u64,
        /// The entry.
        entry: EntryId,
    },
    /// An entry is not the one that was sealed.
    #[error("entry {entry} is not as it was sealed in seal {number}: it was altered since")]
    EntryAltered {
        /// The seal.
        number: u64,
        /// The entry.
        entry: EntryId,
    },
    /// Entries were taken from its list or added to it.
    #[error("seal {number} seals {said} entries, {listed} are listed")]
    Listed {
        /// Which.
        number: u64,
        /// As sealed.
        said: u64,
        /// As listed.
        listed: u64,
    },
    /// Its entries are not those it was made of.
    #[error("seal {number}: its entries are not those that were sealed")]
    Root {
        /// Which.
        number: u64,
    },
    /// Its entries' postings end elsewhere.
    #[error("seal {number}: its accounts do not stand where they stood: a posting was altered, moved or removed")]
    Heads {
        /// Which.
        number: u64,
    },
    /// An entry is listed in a seal that is gone.
    #[error("entry {entry} was sealed in seal {number}, and that seal is gone")]
    SealGone {
        /// The seal.
        number: i64,
        /// The entry.
        entry: EntryId,
    },
    /// Entries that should have been sealed long ago.
    #[error(
        "{count} entries, the first of them {entry}, are more than two days older than the last one and in no seal: a seal \
         was removed, or no server has sealed for long"
    )]
    Unsealed {
        /// How many.
        count: u64,
        /// The first.
        entry: EntryId,
    },
}

/// Reads all seals of `creditor`.
///
/// # Errors
/// [`StoreError`] where the database cannot be read; what is wrong *in* it is [`SealReport::broken`].
pub async fn verify_seals(store: &Store, creditor: CreditorCode) -> Result<SealReport, StoreError> {
    let mut report = SealReport::default();
    match read_all(store, creditor, &mut report).await {
        Ok(()) => Ok(report),
        Err(Stop::Store(error)) => Err(error),
        Err(Stop::Found(finding)) => {
            report.broken = Some(finding);
            Ok(report)
        }
    }
}

/// Why a reading ends early.
enum Stop {
    Store(StoreError),
    Found(SealFinding),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SealFinding> for Stop {
    fn from(finding: SealFinding) -> Self {
        Self::Found(finding)
    }
}

async fn read_all(store: &Store, creditor: CreditorCode, report: &mut SealReport) -> Result<(), Stop> {
    let newest = store.read(move |tx| Box::pin(async move { tx.last_entry(&creditor).await })).await?;
    // Below the first possible number, so that nothing hides there.
    let mut after = i64::MIN;
    loop {
        let rows = store.read(move |tx| Box::pin(async move { tx.seals(&creditor, after, PAGE).await })).await?;
        let Some(last) = rows.last() else { break };
        after = last.number;
        for row in rows {
            let seal = follows(creditor, &row, report)?;
            let entries = store.read(move |tx| Box::pin(async move { tx.sealed(&creditor, row.number).await })).await?;
            holds(&seal.seal, &entries)?;
            report.keys.insert(seal.public_key);
            report.seals = seal.seal.number;
            report.sealed = seal.seal.entries;
            report.last = Some(LastSeal { number: seal.seal.number, at: seal.seal.at, hash: seal.hash });
        }
    }
    let stray = store.read(move |tx| Box::pin(async move { tx.stray_sealed(&creditor).await })).await?;
    if let Some(row) = stray {
        return Err(SealFinding::SealGone { number: row.seal, entry: EntryId::from(row.entry) }.into());
    }
    unsealed(store, creditor, newest, report).await
}

/// Whether a seal follows the last one of the report, as stored.
fn follows(creditor: CreditorCode, row: &SealRow, report: &SealReport) -> Result<Stored, SealFinding> {
    let seal = stored(creditor, row).map_err(|_| SealFinding::Unreadable { number: row.number })?;
    let Stored { seal: said, hash, signature, public_key } = seal;
    let number = said.number;
    let expected = report.seals.saturating_add(1);
    if number != expected {
        return Err(SealFinding::Missing { expected, found: number });
    }
    if said.previous != report.last.map_or_else(|| Seal::genesis(&creditor), |last| last.hash) {
        return Err(SealFinding::Previous { number });
    }
    if said.hash() != hash {
        return Err(SealFinding::Hash { number });
    }
    let counted = report.sealed.saturating_add(said.count);
    if said.entries != counted {
        return Err(SealFinding::Entries { number, said: said.entries, counted });
    }
    if !public_key.signed(&hash, &signature) {
        return Err(SealFinding::Signature { number });
    }
    Ok(seal)
}

/// Whether the entries of a seal are those it was made of, and their accounts stood where it says.
fn holds(seal: &Seal, rows: &[SealedRow]) -> Result<(), SealFinding> {
    let number = seal.number;
    let mut digests = Vec::new();
    let mut postings = Vec::new();
    for rows in rows.chunk_by(|one, next| one.entry == next.entry) {
        let Some(first) = rows.first() else { continue };
        let entry = EntryId::from(first.entry);
        let Some(digest) = &first.digest else { return Err(SealFinding::EntryGone { number, entry }) };
        let altered = SealFinding::EntryAltered { number, entry };
        if *digest != first.sealed {
            return Err(altered);
        }
        digests.push(Hash::try_from(digest.clone()).map_err(|_| altered)?);
        for row in rows {
            if let (Some(kind), Some(id), Some(seq), Some(hash)) =
                (row.account_kind.clone(), row.account_id, row.seq, row.hash.clone())
            {
                let spoilt = |_| SealFinding::Heads { number };
                let account = Account { kind: AccountKind::try_from(kind).map_err(spoilt)?, id };
                postings.push(AccountHead { account, seq, hash: Hash::try_from(hash).map_err(spoilt)? });
            }
        }
    }
    let listed = u64::try_from(digests.len()).unwrap_or(u64::MAX);
    if listed != seal.count {
        return Err(SealFinding::Listed { number, said: seal.count, listed });
    }
    if root(&digests) != seal.root {
        return Err(SealFinding::Root { number });
    }
    if heads(postings) != seal.heads { Err(SealFinding::Heads { number }) } else { Ok(()) }
}

/// Counts what is in no seal, and names what should be. How old an entry is, its id says; old is measured from the newest
/// entry, so that a backup looks the same in ten years.
async fn unsealed(
    store: &Store,
    creditor: CreditorCode,
    newest: Option<Uuid>,
    report: &mut SealReport,
) -> Result<(), Stop> {
    let count = store.read(move |tx| Box::pin(async move { tx.count_unsealed(&creditor, Uuid::max()).await })).await?;
    report.unsealed = u64::try_from(count).unwrap_or(0);
    // A ledger that was never sealed is told by having no seals.
    let (Some(newest), Some(_)) = (newest, report.last) else { return Ok(()) };
    let newest = Millis::new(i64::try_from(newest.as_u128() >> 80).unwrap_or(i64::MAX));
    let old = uuid_v7(newest.plus_days(-WINDOW_DAYS), [0; 10]);
    let found = store.read(move |tx| {
        Box::pin(
            async move { Ok((tx.unsealed_before(&creditor, old).await?, tx.count_unsealed(&creditor, old).await?)) },
        )
    });
    match found.await? {
        (Some(entry), count) => {
            let count = u64::try_from(count).unwrap_or(0).max(1);
            Err(SealFinding::Unsealed { count, entry: EntryId::from(entry) }.into())
        }
        (None, _) => Ok(()),
    }
}
