//! `ledger verify`: reads a creditor's whole ledger, page by page, and names the first row that does not fit.
//!
//! It runs beside a working server. Every read is one statement and sees one instant; an entry, its postings and the
//! balances it moves are committed together; nothing is ever taken back. So each check is made in a way that a posting
//! committed between two reads cannot spoil:
//!
//! - An account's row is read before its chain, and the chain is followed only up to the number in that row: what is
//!   up to there was committed when the row was read.
//! - An entry and its sides come in one statement; entries later than the last one at the start are left to next time.
//! - What belongs to nothing, and the sums, are each asked in one statement.
//!
//! What it cannot see alone: an entry that was removed together with everything that tells of it (its postings the
//! last of their chains, the account rows set back, its receipt gone). That is what the seals are for, which `seal_verify` reads.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::EntryId;
use borsellino_domain::ledger::{
    Account, AccountKind, Broken, Entry, EntryError, EntryKind, Hash, Head, Memo, ReceiptProof, Side, StoredPosting,
    check_head, check_next,
};
use borsellino_domain::money::Cents;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{ChainRow, EntrySideRow, StoredAccountRow, StrayReceiptRow};
use borsellino_store::{Store, StoreError};
use thiserror::Error;
use uuid::Uuid;

/// How many rows are held at a time.
const PAGE: i64 = 500;

/// What a reading found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries read.
    pub entries: u64,
    /// Postings read, as sides of those entries.
    pub postings: u64,
    /// Accounts whose chain was followed.
    pub accounts: u64,
    /// What the wallets hold together. This and the other totals stay zero where something is broken.
    pub wallets_total: Cents,
    /// What the bills hold: minus what is still owed.
    pub bills_total: Cents,
    /// What waits for its place.
    pub suspense_total: Cents,
    /// Minus what pagoPA holds or has paid out.
    pub clearing_total: Cents,
    /// What services earned.
    pub revenue_total: Cents,
    /// Minus what the office took at its own counter.
    pub counter_total: Cents,
    /// The first row that does not fit, in the order: accounts with their chains, entries, what belongs to nothing,
    /// sums.
    pub broken: Option<Finding>,
}

/// A row that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Finding {
    /// A posting does not continue its account's chain, or the chain ends elsewhere than the account says.
    #[error("{account}, {}: {broken}", at(*seq, *entry))]
    Chain {
        /// Whose chain.
        account: Account,
        /// The number of the posting, or the account's where the end is wrong.
        seq: i64,
        /// The posting's entry; none where the end is wrong.
        entry: Option<EntryId>,
        /// What is wrong.
        broken: Broken,
    },
    /// The account's hash is not that of its last posting, with number and balance right.
    #[error("{account}: the account's hash is not that of its last posting, {seq}")]
    HeadHash {
        /// The account.
        account: Account,
        /// Its last posting.
        seq: i64,
    },
    /// A chained posting without its balance, its hash or its entry.
    #[error("{account}, {}: its balance, its hash or its entry's digest is missing", at(*seq, Some(*entry)))]
    Torn {
        /// Whose chain.
        account: Account,
        /// The number of the posting.
        seq: i64,
        /// Its entry.
        entry: EntryId,
    },
    /// A row of accounts that is none.
    #[error("account {kind} {id}: no such row may be: its kind is unknown or keeps no balance, or its hash is no hash")]
    Account {
        /// The kind, as stored.
        kind: String,
        /// The id.
        id: Uuid,
    },
    /// An entry of the journal.
    #[error("entry {entry}: {wrong}")]
    Entry {
        /// Which.
        entry: EntryId,
        /// What is wrong.
        wrong: WrongEntry,
    },
    /// A posting that no account's chain reaches: beyond the account's number, or without an account.
    #[error("{kind} {id}, {} is beyond the account's end, or the account is gone", at(seq.unwrap_or(0), Some(*entry)))]
    StrayPosting {
        /// The account's kind, as stored.
        kind: String,
        /// The account.
        id: Uuid,
        /// The posting's number, if it has one.
        seq: Option<i64>,
        /// Its entry.
        entry: EntryId,
    },
    /// A posting whose entry is gone.
    #[error("{kind} {id}: a posting's entry {entry} is gone")]
    OrphanPosting {
        /// The account's kind, as stored.
        kind: String,
        /// The account.
        id: Uuid,
        /// The entry that is gone.
        entry: EntryId,
    },
    /// A receipt that no entry books with the same id, digest and cents.
    #[error("receipt {receipt_id} of {issuer}: no entry books it as it stands{}", named(*entry))]
    StrayReceipt {
        /// `receipt/fiscalCode`.
        issuer: String,
        /// `receipt/receiptId`.
        receipt_id: String,
        /// The entry it names.
        entry: Option<EntryId>,
    },
    /// An entry that names a receipt which is gone or names another entry.
    #[error("entry {entry}: its receipt {receipt_id} of {issuer} is gone or names another entry")]
    StrayEntry {
        /// Which.
        entry: EntryId,
        /// `receipt/fiscalCode`.
        issuer: String,
        /// `receipt/receiptId`.
        receipt_id: String,
    },
    /// The balances of a kind of accounts are not what its postings sum to.
    #[error("the balances of all {} accounts are {balances} together, their postings say {postings}", kind.code())]
    Sums {
        /// Which kind.
        kind: AccountKind,
        /// What the rows say.
        balances: Cents,
        /// What the postings say.
        postings: Cents,
    },
    /// All postings of the creditor do not sum to zero, or the sum does not fit.
    #[error("all postings together do not sum to zero")]
    NotZero,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WrongEntry {
    /// It is none of the kinds of entries.
    #[error("its kind is unknown")]
    Kind,
    /// It names half a receipt, or what it names can't be one.
    #[error("its receipt can't be read")]
    Receipt,
    /// A side is not the next one, or has an account of no known kind.
    #[error("its postings are not numbered one after the other, or one has an unknown kind of account")]
    Side,
    /// The sides make no entry.
    #[error(transparent)]
    Sides(EntryError),
    /// The stored digest is not that of what the entry says.
    #[error("its digest does not fit: the entry or one of its postings was altered")]
    Digest,
}

fn at(seq: i64, entry: Option<EntryId>) -> String {
    let entry = entry.map(|entry| format!(" (entry {entry})")).unwrap_or_default();
    format!("posting {seq}{entry}")
}

fn named(entry: Option<EntryId>) -> String {
    entry.map(|entry| format!(" (it names entry {entry})")).unwrap_or_default()
}

/// Reads the whole ledger of `creditor`; `progress` hears how many rows were read so far, after each page.
///
/// # Errors
/// [`StoreError`] where the database cannot be read; what is wrong *in* it is [`Report::broken`].
pub async fn verify(store: &Store, creditor: &CreditorCode, progress: impl Fn(u64)) -> Result<Report, StoreError> {
    verify_by_pages(store, creditor, PAGE, progress).await
}

/// [`verify`], holding at most about `page` rows at a time (at least one).
///
/// # Errors
/// As [`verify`].
pub async fn verify_by_pages(
    store: &Store,
    creditor: &CreditorCode,
    page: i64,
    progress: impl Fn(u64),
) -> Result<Report, StoreError> {
    let mut reading =
        Reading { store, creditor: *creditor, page: page.max(1), progress, rows: 0, report: Report::default() };
    let outcome = reading.all().await;
    let mut report = reading.report;
    match outcome {
        Ok(()) => Ok(report),
        Err(Stop::Store(error)) => Err(error),
        Err(Stop::Found(finding)) => {
            report.broken = Some(*finding);
            Ok(report)
        }
    }
}

/// Why a reading ends early.
enum Stop {
    Store(StoreError),
    Found(Box<Finding>),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Finding> for Stop {
    fn from(finding: Finding) -> Self {
        Self::Found(Box::new(finding))
    }
}

struct Reading<'a, P> {
    store: &'a Store,
    creditor: CreditorCode,
    page: i64,
    progress: P,
    rows: u64,
    report: Report,
}

impl<P: Fn(u64)> Reading<'_, P> {
    async fn all(&mut self) -> Result<(), Stop> {
        // Chains first: they name account, number and entry, where an entry can only say that it was altered.
        self.accounts().await?;
        self.entries().await?;
        self.strays().await?;
        self.totals().await
    }

    fn read(&mut self, rows: usize) {
        self.rows = self.rows.saturating_add(u64::try_from(rows).unwrap_or(u64::MAX));
        (self.progress)(self.rows);
    }

    async fn accounts(&mut self) -> Result<(), Stop> {
        let (creditor, page) = (self.creditor, self.page);
        let mut after = (String::new(), Uuid::nil());
        loop {
            let (kind, id) = after;
            let next =
                self.store.read(move |tx| Box::pin(async move { tx.accounts(&creditor, (&kind, id), page).await }));
            let rows = next.await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = (last.kind.clone(), last.id);
            for row in rows {
                self.account(&row).await?;
                self.report.accounts = self.report.accounts.saturating_add(1);
            }
        }
    }

    async fn account(&mut self, row: &StoredAccountRow) -> Result<(), Stop> {
        let wrong = || Finding::Account { kind: row.kind.clone(), id: row.id };
        let kind = AccountKind::try_from(row.kind.clone()).map_err(|_| wrong())?;
        let hash = Hash::try_from(row.head.clone()).map_err(|_| wrong())?;
        if !kind.is_chained() {
            return Err(wrong().into());
        }
        let account = Account { kind, id: row.id };
        let said = Head { seq: row.seq, balance: Cents::new(row.balance_cents), hash };
        let chain = self.chain(account, said.seq).await?;
        if said.seq == chain.seq && said.balance == chain.balance && said.hash != chain.hash {
            return Err(Finding::HeadHash { account, seq: said.seq }.into());
        }
        check_head(&said, &chain)
            .map_err(|broken| Finding::Chain { account, seq: said.seq, entry: None, broken }.into())
    }

    /// Follows the chain of `account` up to the number `end`; answers where it stands there.
    async fn chain(&mut self, account: Account, end: i64) -> Result<Head, Stop> {
        let (creditor, page) = (self.creditor, self.page);
        let mut head = Head::genesis(&creditor, account);
        // From before the first possible number, so that nothing hides below 1.
        let mut after = i64::MIN;
        loop {
            let next =
                self.store.read(move |tx| Box::pin(async move { tx.chain(&creditor, account, after, page).await }));
            let rows = next.await?;
            self.read(rows.len());
            if rows.is_empty() {
                return Ok(head);
            }
            for row in rows {
                if row.seq > end {
                    return Ok(head);
                }
                head = next_head(account, &head, &row)?;
            }
            if head.seq >= end {
                return Ok(head);
            }
            after = head.seq;
        }
    }

    async fn entries(&mut self) -> Result<(), Stop> {
        let (creditor, page) = (self.creditor, self.page);
        let last = self.store.read(move |tx| Box::pin(async move { tx.last_entry(&creditor).await }));
        let Some(last) = last.await? else { return Ok(()) };
        let mut from = Uuid::nil();
        loop {
            let next = self.store.read(move |tx| Box::pin(async move { tx.entries(&creditor, from, page).await }));
            let rows = next.await?;
            self.read(rows.len());
            for sides in rows.chunk_by(|one, next| one.id == next.id) {
                let Some(first) = sides.first() else { continue };
                if first.id > last {
                    return Ok(());
                }
                entry(creditor, first, sides)
                    .map_err(|wrong| Finding::Entry { entry: EntryId::from(first.id), wrong })?;
                self.report.entries = self.report.entries.saturating_add(1);
                let postings = u64::try_from(sides.len()).unwrap_or(u64::MAX);
                self.report.postings = self.report.postings.saturating_add(postings);
            }
            let beyond = rows.last().and_then(|row| row.id.as_u128().checked_add(1));
            let Some(beyond) = beyond else { return Ok(()) };
            from = Uuid::from_u128(beyond);
        }
    }

    async fn strays(&mut self) -> Result<(), Stop> {
        let creditor = self.creditor;
        let posting = self.store.read(move |tx| Box::pin(async move { tx.stray_posting(&creditor).await }));
        if let Some(row) = posting.await? {
            let (kind, id, seq) = (row.account_kind, row.account_id, row.seq);
            return Err(Finding::StrayPosting { kind, id, seq, entry: EntryId::from(row.entry) }.into());
        }
        let orphan = self.store.read(move |tx| Box::pin(async move { tx.orphan_posting(&creditor).await }));
        if let Some(row) = orphan.await? {
            let (kind, id) = (row.account_kind, row.account_id);
            return Err(Finding::OrphanPosting { kind, id, entry: EntryId::from(row.entry) }.into());
        }
        let entry = self.store.read(move |tx| Box::pin(async move { tx.stray_entry(&creditor).await }));
        if let Some(StrayReceiptRow { issuer, receipt_id, entry: Some(entry) }) = entry.await? {
            let issuer = issuer.unwrap_or_default();
            return Err(Finding::StrayEntry { entry: EntryId::from(entry), issuer, receipt_id }.into());
        }
        let receipt = self.store.read(move |tx| Box::pin(async move { tx.stray_receipt(&creditor).await }));
        if let Some(StrayReceiptRow { issuer, receipt_id, entry }) = receipt.await? {
            let issuer = issuer.unwrap_or_default();
            return Err(Finding::StrayReceipt { issuer, receipt_id, entry: entry.map(EntryId::from) }.into());
        }
        Ok(())
    }

    async fn totals(&mut self) -> Result<(), Stop> {
        let creditor = self.creditor;
        let rows = self.store.read(move |tx| Box::pin(async move { tx.totals(&creditor).await })).await?;
        let mut sum = Cents::ZERO;
        let mut totals = self.report.clone();
        for row in rows {
            // Read after the entries, which name the row: an unknown kind can only have come since.
            let kind = AccountKind::try_from(row.kind.clone())
                .map_err(|_| StoreError::Corrupt("a posting's kind of account"))?;
            let (Some(postings), Some(balances)) = (row.moved(), row.balance()) else {
                return Err(StoreError::Corrupt("the sum of all accounts of a kind").into());
            };
            if kind.is_chained() && balances != postings {
                return Err(Finding::Sums { kind, balances, postings }.into());
            }
            sum = sum.plus(postings).map_err(|_| Finding::NotZero)?;
            let total = match kind {
                AccountKind::Wallet => &mut totals.wallets_total,
                AccountKind::Bill => &mut totals.bills_total,
                AccountKind::Suspense => &mut totals.suspense_total,
                AccountKind::Clearing => &mut totals.clearing_total,
                AccountKind::Revenue => &mut totals.revenue_total,
                AccountKind::Counter => &mut totals.counter_total,
            };
            *total = postings;
        }
        if sum != Cents::ZERO {
            return Err(Finding::NotZero.into());
        }
        self.report = totals;
        Ok(())
    }
}

fn next_head(account: Account, head: &Head, row: &ChainRow) -> Result<Head, Finding> {
    let (seq, entry) = (row.seq, EntryId::from(row.entry));
    let hash = |bytes: &Option<Vec<u8>>| bytes.clone().and_then(|bytes| Hash::try_from(bytes).ok());
    let (Some(digest), Some(hash), Some(balance_after)) = (hash(&row.digest), hash(&row.hash), row.balance_after_cents)
    else {
        return Err(Finding::Torn { account, seq, entry });
    };
    let stored = StoredPosting { seq, cents: Cents::new(row.cents), balance_after: Cents::new(balance_after), hash };
    check_next(head, &stored, digest).map_err(|broken| Finding::Chain { account, seq, entry: Some(entry), broken })
}

/// Holds the digest of `sides` against the stored one.
fn entry(creditor: CreditorCode, first: &EntrySideRow, sides: &[EntrySideRow]) -> Result<(), WrongEntry> {
    let made = made_anew(creditor, first, sides)?;
    if made.digest().0.as_slice() == first.digest { Ok(()) } else { Err(WrongEntry::Digest) }
}

/// Makes the entry of `sides` anew; `first` is one of them.
pub(super) fn made_anew(
    creditor: CreditorCode,
    first: &EntrySideRow,
    sides: &[EntrySideRow],
) -> Result<Entry, WrongEntry> {
    let kind = EntryKind::try_from(first.kind.clone()).map_err(|_| WrongEntry::Kind)?;
    let receipt = match (&first.receipt_issuer, &first.receipt_id, &first.receipt_digest) {
        (None, None, None) => None,
        (Some(issuer), Some(receipt_id), Some(digest)) => Some(ReceiptProof {
            issuer: CreditorCode::from_digits(issuer).map_err(|_| WrongEntry::Receipt)?,
            receipt_id: receipt_id.clone(),
            digest: Hash::try_from(digest.clone()).map_err(|_| WrongEntry::Receipt)?,
        }),
        _ => return Err(WrongEntry::Receipt),
    };
    let mut list = Vec::with_capacity(sides.len());
    for (place, row) in (0i64..).zip(sides) {
        let (Some(line), Some(kind), Some(id), Some(cents)) =
            (row.line, row.account_kind.clone(), row.account_id, row.cents)
        else {
            // An entry whose postings are gone.
            continue;
        };
        let kind = AccountKind::try_from(kind).map_err(|_| WrongEntry::Side)?;
        if line != place {
            return Err(WrongEntry::Side);
        }
        list.push(Side { account: Account { kind, id }, cents: Cents::new(cents) });
    }
    let id = EntryId::from(first.id);
    let made = Entry::new(creditor, id, kind, Millis::new(first.at_ms), receipt, list).map_err(WrongEntry::Sides)?;
    Ok(made.with_memo(Memo { day: first.day.clone(), tariff: first.tariff.clone() }))
}
