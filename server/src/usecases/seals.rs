//! Sealing: entries of the journal that are in no seal yet go into the next one, so that a tail cut off shows and a
//! parent can be given a proof.
//!
//! Nothing of it is in a receipt's transaction. Entries and postings are never changed and are committed together, so
//! what is read about an entry at any time is what it was. The ids of entries are made before their commit: one may
//! come to light after entries with greater ids were sealed, and goes into a later seal. Between servers the number of
//! a seal decides: one gets it, the other has written nothing and looks again later.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::uuid_v7;
use borsellino_domain::ledger::{Account, AccountKind, Hash};
use borsellino_domain::seal::{AccountHead, Seal, heads, root};
use borsellino_domain::time::Millis;
use borsellino_store::rows::{SealRow, UnsealedRow};
use borsellino_store::{Store, StoreError};
use uuid::Uuid;

use super::Fault;
use crate::auth::keys::Keys;
use crate::auth::signature::{PublicKey, Signature};

/// How long an entry may take from the making of its id to its commit, with all that clocks of several servers differ,
/// and still be found by the frequent search: two days.
pub const WINDOW_DAYS: i64 = 2;

/// How far a search goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// [`WINDOW_DAYS`]: cheap, for every minute.
    Recent,
    /// Through the whole journal, for the start and once a day.
    Whole,
}

/// How much is done at a time.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Entries in one seal, at most. One transaction lists them, for which receipts wait on SQLite; and a proof reads all
    /// of them.
    pub per_seal: usize,
    /// Entries of the journal that one statement looks at.
    pub page: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { per_seal: 1_024, page: 20_000 }
    }
}

/// Seals what is in no seal yet; answers how many seals that took. None where there is nothing, or where another server
/// was faster.
///
/// # Errors
/// [`Fault`]; the seals made until then stand.
pub async fn seal(
    store: &Store,
    keys: &Keys,
    creditor: CreditorCode,
    now: Millis,
    sweep: Sweep,
    bounds: Bounds,
) -> Result<u64, Fault> {
    let start = match sweep {
        Sweep::Recent => uuid_v7(now.plus_days(-WINDOW_DAYS), [0; 10]),
        Sweep::Whole => Uuid::nil(),
    };
    let mut search = Search { store, creditor, bounds, from: Some(start) };
    let mut made = 0;
    while search.from.is_some() {
        // Before the search: if somebody seals meanwhile, the number is taken.
        let last = store.read(move |tx| Box::pin(async move { tx.last_seal(&creditor).await })).await?;
        let found = search.next().await?;
        if found.is_empty() || !keep(store, keys, creditor, now, last.as_ref(), found).await? {
            break;
        }
        made += 1;
    }
    Ok(made)
}

/// Looks through the journal for what is in no seal.
struct Search<'a> {
    store: &'a Store,
    creditor: CreditorCode,
    bounds: Bounds,
    /// The first id not looked at yet; `None` at the end of the journal.
    from: Option<Uuid>,
}

impl Search<'_> {
    /// The next entries in no seal, in the order of their ids, as many as a seal holds.
    async fn next(&mut self) -> Result<Vec<Unsealed>, Fault> {
        let (creditor, page) = (self.creditor, self.bounds.page.max(1));
        let mut found: Vec<Unsealed> = Vec::new();
        while let Some(from) = self.from {
            let left = self.bounds.per_seal.max(1).saturating_sub(found.len());
            let count = i64::try_from(left).unwrap_or(i64::MAX);
            if left == 0 {
                return Ok(found);
            }
            let rows = self.store.read(move |tx| {
                Box::pin(async move {
                    let Some(end) = tx.journal_page_end(&creditor, from, page).await? else { return Ok(None) };
                    Ok(Some((end, tx.unsealed(&creditor, (from, end), count).await?)))
                })
            });
            let Some((end, rows)) = rows.await? else {
                self.from = None;
                return Ok(found);
            };
            let before = found.len();
            for rows in rows.chunk_by(|one, next| one.id == next.id) {
                found.extend(Unsealed::read(rows)?);
            }
            // A full answer may not have reached the page's end.
            let full = found.len().saturating_sub(before) == left;
            let seen = if full { found.last().map_or(end, |last| last.entry) } else { end };
            self.from = seen.as_u128().checked_add(1).map(Uuid::from_u128);
        }
        Ok(found)
    }
}

/// An entry in no seal.
struct Unsealed {
    entry: Uuid,
    digest: Hash,
    heads: Vec<AccountHead>,
}

impl Unsealed {
    /// Of its postings on chained accounts.
    fn read(rows: &[UnsealedRow]) -> Result<Option<Self>, Fault> {
        let Some(first) = rows.first() else { return Ok(None) };
        let spoilt = |_| Fault::BadData("an entry to be sealed, or its posting");
        let mut heads = Vec::with_capacity(rows.len());
        for row in rows {
            if let (Some(kind), Some(id), Some(seq), Some(hash)) =
                (row.account_kind.clone(), row.account_id, row.seq, row.hash.clone())
            {
                let account = Account { kind: AccountKind::try_from(kind).map_err(spoilt)?, id };
                heads.push(AccountHead { account, seq, hash: Hash::try_from(hash).map_err(spoilt)? });
            }
        }
        let digest = Hash::try_from(first.digest.clone()).map_err(spoilt)?;
        Ok(Some(Self { entry: first.id, digest, heads }))
    }
}

/// Makes the seal of `found` after `last` and keeps it; `false` where another server took its number.
async fn keep(
    store: &Store,
    keys: &Keys,
    creditor: CreditorCode,
    now: Millis,
    last: Option<&SealRow>,
    found: Vec<Unsealed>,
) -> Result<bool, Fault> {
    let last = last.map(|row| stored(creditor, row)).transpose()?;
    let entries: Vec<(Uuid, Hash)> = found.iter().map(|one| (one.entry, one.digest)).collect();
    let digests: Vec<Hash> = found.iter().map(|one| one.digest).collect();
    let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
    let overflow = || Fault::BadData("the last seal's numbers");
    let seal = Seal {
        creditor,
        number: last.map_or(0, |last| last.seal.number).checked_add(1).ok_or_else(overflow)?,
        at: now,
        count,
        entries: last.map_or(0, |last| last.seal.entries).checked_add(count).ok_or_else(overflow)?,
        root: root(&digests),
        heads: heads(found.into_iter().flat_map(|one| one.heads)),
        previous: last.map_or_else(|| Seal::genesis(&creditor), |last| last.hash),
    };
    let hash = seal.hash();
    let number = |number: u64| i64::try_from(number).map_err(|_| overflow());
    let row = SealRow {
        number: number(seal.number)?,
        at_ms: seal.at.get(),
        count: number(seal.count)?,
        entries: number(seal.entries)?,
        root: seal.root.0.to_vec(),
        heads: seal.heads.0.to_vec(),
        previous: seal.previous.0.to_vec(),
        hash: hash.0.to_vec(),
        signature: keys.sign_seal(&hash)?.0.to_vec(),
        public_key: keys.proof_key()?.0.to_vec(),
    };
    let kept = store.write::<(), (), _>("seal the ledger", move |tx| {
        let (row, entries) = (row.clone(), entries.clone());
        Box::pin(async move {
            if !tx.insert_seal(&creditor, &row).await? {
                return Ok(Err(()));
            }
            tx.seal_entries(&creditor, row.number, &entries).await.map(Ok)
        })
    });
    match kept.await {
        Ok(kept) => Ok(kept.is_ok()),
        // One of the entries was sealed meanwhile.
        Err(error) if error.is_taken() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A seal as it was stored, with what is not in its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The seal.
    pub seal: Seal,
    /// Its hash, as stored.
    pub hash: Hash,
    /// The signature, as stored.
    pub signature: Signature,
    /// The key it claims to be made with.
    pub public_key: PublicKey,
}

/// Reads a stored seal.
///
/// # Errors
/// [`StoreError::Corrupt`] where no seal can be stored like this.
pub fn stored(creditor: CreditorCode, row: &SealRow) -> Result<Stored, StoreError> {
    let spoilt = || StoreError::Corrupt("a seal");
    let hash = |bytes: &[u8]| bytes.try_into().map(Hash).map_err(|_| spoilt());
    let number = |number: i64| u64::try_from(number).map_err(|_| spoilt());
    Ok(Stored {
        seal: Seal {
            creditor,
            number: number(row.number)?,
            at: Millis::new(row.at_ms),
            count: number(row.count)?,
            entries: number(row.entries)?,
            root: hash(&row.root)?,
            heads: hash(&row.heads)?,
            previous: hash(&row.previous)?,
        },
        hash: hash(&row.hash)?,
        signature: row.signature.as_slice().try_into().map(Signature).map_err(|_| spoilt())?,
        public_key: row.public_key.as_slice().try_into().map(PublicKey).map_err(|_| spoilt())?,
    })
}
