//! The ledger: double entry, append only, and able to prove itself.
//!
//! An [`Entry`] is a set of signed sides that sum to zero; credits are positive everywhere, so a wallet's balance is
//! what the parent has, a bill's balance is minus what is still owed, and clearing is minus what pagoPA holds for us.
//! Accounts that somebody owns ([`AccountKind::is_chained`]) keep a [`Head`]: each posting carries the account's next
//! sequence number, the balance after it, and a hash over the posting before it and over the whole entry. Changing,
//! removing or moving a row breaks the chain at that row. Only ids, cents, kinds, times, the receipt's id and a digest
//! of the raw receipt go in - never personal data, so that a child can be erased and the proof stays whole.

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::Uuid;

use crate::creditor::CreditorCode;
use crate::id::EntryId;
use crate::money::{Cents, CentsOverflow};
use crate::service::UnknownCode;
use crate::time::Millis;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Of anything.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl TryFrom<Vec<u8>> for Hash {
    type Error = UnknownCode;

    fn try_from(bytes: Vec<u8>) -> Result<Self, UnknownCode> {
        bytes.try_into().map(Self).map_err(|_| UnknownCode { what: "hash (32 bytes)" })
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

macro_rules! coded {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The name used in storage, in hashes and on the wire; it never changes.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::service::UnknownCode;

            fn try_from(code: String) -> Result<Self, $crate::service::UnknownCode> {
                match code.as_str() { $($code => Ok(Self::$variant),)* _ => Err($crate::service::UnknownCode { what: $what }) }
            }
        }
    };
}
pub(crate) use coded;

coded! {
    /// What an account stands for.
    AccountKind, "account kind" {
        /// The prepaid balance of one child for one service; the id is the wallet's.
        Wallet = "wallet",
        /// What is owed on one bill (negative until paid); the id is the bill's.
        Bill = "bill",
        /// Money that arrived and whose place is not sure; one account per creditor.
        Suspense = "suspense",
        /// What pagoPA holds for the creditor until the bank transfer; one account per creditor, no running balance.
        Clearing = "clearing",
        /// What services earned; one account per creditor, no running balance.
        Revenue = "revenue",
        /// Minus what the office took at its own counter, outside pagoPA; one account per creditor, no running balance.
        Counter = "counter",
    }
}

impl AccountKind {
    /// Whether the account keeps a running balance and a hash chain. Clearing and revenue do not: every payment of a
    /// creditor would queue for one row.
    pub const fn is_chained(self) -> bool {
        matches!(self, Self::Wallet | Self::Bill | Self::Suspense)
    }
}

/// One account of a creditor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// What it stands for.
    pub kind: AccountKind,
    /// Whose it is; nil for the creditor's single accounts.
    pub id: Uuid,
}

impl Account {
    /// The creditor's clearing account.
    pub const CLEARING: Self = Self { kind: AccountKind::Clearing, id: Uuid::nil() };
    /// The creditor's revenue account.
    pub const REVENUE: Self = Self { kind: AccountKind::Revenue, id: Uuid::nil() };
    /// The creditor's counter account.
    pub const COUNTER: Self = Self { kind: AccountKind::Counter, id: Uuid::nil() };
    /// The creditor's suspense account.
    pub const SUSPENSE: Self = Self { kind: AccountKind::Suspense, id: Uuid::nil() };

    /// A wallet's account.
    pub const fn wallet(id: crate::id::WalletId) -> Self {
        Self { kind: AccountKind::Wallet, id: id.uuid() }
    }

    /// A bill's account.
    pub const fn bill(id: crate::id::BillId) -> Self {
        Self { kind: AccountKind::Bill, id: id.uuid() }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.code(), self.id)
    }
}

coded! {
    /// Why money moved.
    EntryKind, "entry kind" {
        /// A balance carried over from an earlier system.
        Opening = "opening",
        /// A receipt put money into a wallet.
        TopUp = "top_up",
        /// A service was used: money out of a wallet.
        Charge = "charge",
        /// A bill was issued.
        BillIssued = "bill_issued",
        /// A receipt paid a bill.
        BillPayment = "bill_payment",
        /// A receipt whose place is not sure.
        Suspense = "suspense",
        /// A correction of an earlier entry.
        Correction = "correction",
        /// The office took money at its own counter, for a wallet or a bill.
        CounterPayment = "counter_payment",
        /// What was left of a bill is no longer owed.
        BillWithdrawn = "bill_withdrawn",
        /// The office gave money back to whoever paid it.
        Refund = "refund",
    }
}

/// Which receipt an entry rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptProof {
    /// `receipt/fiscalCode`: who issued the notice.
    pub issuer: CreditorCode,
    /// `receipt/receiptId`.
    pub receipt_id: String,
    /// Digest of the message as the Node sent it.
    pub digest: Hash,
}

/// One side of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Where.
    pub account: Account,
    /// How much, credits positive; never zero.
    pub cents: Cents,
}

/// What a charge is for, as far as the ledger remembers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memo {
    /// The day of the meal or ride, as an ISO date.
    pub day: Option<String>,
    /// The tariff that applied.
    pub tariff: Option<String>,
}

/// An entry of the journal whose sides sum to zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    creditor: CreditorCode,
    id: EntryId,
    kind: EntryKind,
    at: Millis,
    receipt: Option<ReceiptProof>,
    memo: Memo,
    sides: Vec<Side>,
}

/// Why sides make no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    /// The sides do not sum to zero, or their sum overflows.
    #[error("the sides of the entry do not sum to zero")]
    Unbalanced,
    /// Fewer than two sides, a side of zero cents, or an account named twice.
    #[error("an entry has two or more sides, each with cents, each account once")]
    BadSides,
}

impl Entry {
    /// An entry of `sides`.
    ///
    /// # Errors
    /// [`EntryError`] where the sides do not balance.
    pub fn new(
        creditor: CreditorCode,
        id: EntryId,
        kind: EntryKind,
        at: Millis,
        receipt: Option<ReceiptProof>,
        sides: Vec<Side>,
    ) -> Result<Self, EntryError> {
        let mut accounts: Vec<Account> = sides.iter().map(|side| side.account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        if sides.len() < 2 || accounts.len() != sides.len() || sides.iter().any(|side| side.cents == Cents::ZERO) {
            return Err(EntryError::BadSides);
        }
        let sum = sides.iter().try_fold(Cents::ZERO, |sum, side| sum.plus(side.cents));
        if sum != Ok(Cents::ZERO) {
            return Err(EntryError::Unbalanced);
        }
        Ok(Self { creditor, id, kind, at, receipt, memo: Memo::default(), sides })
    }

    /// `cents` from one account to another: `to` gets them, `from` gives them.
    ///
    /// # Errors
    /// [`EntryError`] for zero cents or the same account twice.
    pub fn transfer(
        creditor: CreditorCode,
        id: EntryId,
        kind: EntryKind,
        at: Millis,
        receipt: Option<ReceiptProof>,
        (to, from, cents): (Account, Account, Cents),
    ) -> Result<Self, EntryError> {
        let back = cents.negated().map_err(|_| EntryError::Unbalanced)?;
        let sides = vec![Side { account: to, cents }, Side { account: from, cents: back }];
        Self::new(creditor, id, kind, at, receipt, sides)
    }

    /// Whose journal.
    pub fn creditor(&self) -> &CreditorCode {
        &self.creditor
    }

    /// Its id.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// Why money moved.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// When it was booked.
    pub fn at(&self) -> Millis {
        self.at
    }

    /// The receipt it rests on.
    pub fn receipt(&self) -> Option<&ReceiptProof> {
        self.receipt.as_ref()
    }

    /// The same entry with what it is for.
    #[must_use]
    pub fn with_memo(self, memo: Memo) -> Self {
        Self { memo, ..self }
    }

    /// What it is for.
    pub fn memo(&self) -> &Memo {
        &self.memo
    }

    /// Its sides, in the order they are hashed.
    pub fn sides(&self) -> &[Side] {
        &self.sides
    }

    /// The digest over everything the entry says.
    pub fn digest(&self) -> Hash {
        let mut hasher = Fields::new("borsellino.entry.v1");
        hasher.text(self.creditor.as_str());
        hasher.bytes(self.id.uuid().as_bytes());
        hasher.text(self.kind.code());
        hasher.number(self.at.get());
        if let Some(receipt) = &self.receipt {
            hasher.text(receipt.issuer.as_str());
            hasher.text(&receipt.receipt_id);
            hasher.bytes(&receipt.digest.0);
        }
        for (name, value) in [("day", &self.memo.day), ("tariff", &self.memo.tariff)] {
            if let Some(value) = value {
                hasher.text(name);
                hasher.text(value);
            }
        }
        for side in &self.sides {
            hasher.text(side.account.kind.code());
            hasher.bytes(side.account.id.as_bytes());
            hasher.number(side.cents.get());
        }
        hasher.finish()
    }
}

/// Length-prefixed hashing, so that no two different lists of fields hash alike.
pub(crate) struct Fields(Sha256);

impl Fields {
    pub(crate) fn new(domain: &str) -> Self {
        let mut fields = Self(Sha256::new());
        fields.text(domain);
        fields
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(length.to_be_bytes());
        self.0.update(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn number(&mut self, number: i64) {
        self.bytes(&number.to_be_bytes());
    }

    pub(crate) fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

/// Where a chained account stands: how many postings, what they sum to, and the hash of the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The sequence number of the last posting; 0 before the first.
    pub seq: i64,
    /// The balance after it.
    pub balance: Cents,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// The start of an account's chain. It depends on the account, so that no chain can stand in for another.
    pub fn genesis(creditor: &CreditorCode, account: Account) -> Self {
        let mut fields = Fields::new("borsellino.account.v1");
        fields.text(creditor.as_str());
        fields.text(account.kind.code());
        fields.bytes(account.id.as_bytes());
        Self { seq: 0, balance: Cents::ZERO, hash: fields.finish() }
    }

    /// The head after `cents` more, booked by the entry with this digest.
    ///
    /// # Errors
    /// [`CentsOverflow`] where the balance or the sequence number would not fit.
    pub fn append(&self, cents: Cents, entry: Hash) -> Result<Self, CentsOverflow> {
        let seq = self.seq.checked_add(1).ok_or(CentsOverflow)?;
        let balance = self.balance.plus(cents)?;
        let mut fields = Fields::new("borsellino.posting.v1");
        fields.bytes(&self.hash.0);
        fields.number(seq);
        fields.number(cents.get());
        fields.number(balance.get());
        fields.bytes(&entry.0);
        Ok(Self { seq, balance, hash: fields.finish() })
    }
}

/// A posting as a store keeps it, to be checked against the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredPosting {
    /// The account's sequence number.
    pub seq: i64,
    /// The cents booked.
    pub cents: Cents,
    /// The balance after it, as stored.
    pub balance_after: Cents,
    /// Its hash, as stored.
    pub hash: Hash,
}

/// What is wrong with a row of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Broken {
    /// The next sequence number is missing: a posting was removed or moved.
    #[error("posting {expected} is missing (found {found})")]
    Missing {
        /// The number that should come.
        expected: i64,
        /// The number that came.
        found: i64,
    },
    /// The stored balance is not the one before plus the cents.
    #[error("the balance after posting {seq} is stored as {stored}, the postings say {computed}")]
    Balance {
        /// Which posting.
        seq: i64,
        /// As stored.
        stored: Cents,
        /// As it must be.
        computed: Cents,
    },
    /// The hash does not fit: the posting, its entry, or what went before was altered.
    #[error("the hash of posting {seq} does not fit: it, its entry or its place was altered")]
    Hash {
        /// Which posting.
        seq: i64,
    },
    /// The account row does not agree with its last posting: the end was cut off, or the balance was altered.
    #[error("the account says {said} after posting {said_seq}, its postings end at {last_seq} with {last}")]
    Head {
        /// The account's sequence number.
        said_seq: i64,
        /// The account's balance.
        said: Cents,
        /// The last posting's sequence number.
        last_seq: i64,
        /// The balance after it.
        last: Cents,
    },
    /// A sum does not fit 64 bits.
    #[error("the sums overflow at posting {seq}")]
    Overflow {
        /// Which posting.
        seq: i64,
    },
}

/// Checks the next stored posting of a chain whose entry, as stored, has `entry` as its digest.
///
/// # Errors
/// What is [`Broken`].
pub fn check_next(head: &Head, row: &StoredPosting, entry: Hash) -> Result<Head, Broken> {
    let next = head.append(row.cents, entry).map_err(|_| Broken::Overflow { seq: row.seq })?;
    if row.seq != next.seq {
        return Err(Broken::Missing { expected: next.seq, found: row.seq });
    }
    if row.balance_after != next.balance {
        return Err(Broken::Balance { seq: row.seq, stored: row.balance_after, computed: next.balance });
    }
    if row.hash != next.hash {
        return Err(Broken::Hash { seq: row.seq });
    }
    Ok(next)
}

/// Checks the account row against the end of its chain.
///
/// # Errors
/// [`Broken::Head`] where they differ.
pub fn check_head(account: &Head, chain: &Head) -> Result<(), Broken> {
    if account == chain {
        return Ok(());
    }
    let (said_seq, said) = (account.seq, account.balance);
    Err(Broken::Head { said_seq, said, last_seq: chain.seq, last: chain.balance })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn creditor() -> CreditorCode {
        CreditorCode::parse("99900010010").unwrap()
    }

    fn wallet(n: u128) -> Account {
        Account { kind: AccountKind::Wallet, id: Uuid::from_u128(n) }
    }

    fn entry(n: u128, cents: i64) -> Entry {
        let id = EntryId::from(Uuid::from_u128(n));
        let sides = (wallet(1), Account::CLEARING, Cents::new(cents));
        Entry::transfer(creditor(), id, EntryKind::TopUp, Millis::new(5), None, sides).unwrap()
    }

    #[test]
    fn an_entry_balances_or_is_none() {
        let id = EntryId::from(Uuid::from_u128(1));
        let make = |sides: &[(Account, i64)]| {
            let sides = sides.iter().map(|(account, cents)| Side { account: *account, cents: Cents::new(*cents) });
            Entry::new(creditor(), id, EntryKind::Charge, Millis::new(0), None, sides.collect())
        };
        assert!(make(&[(wallet(1), -425), (Account::REVENUE, 425)]).is_ok());
        assert_eq!(make(&[(wallet(1), -425), (Account::REVENUE, 424)]), Err(EntryError::Unbalanced));
        assert_eq!(make(&[(wallet(1), i64::MAX), (Account::REVENUE, i64::MAX)]), Err(EntryError::Unbalanced));
        assert_eq!(make(&[(wallet(1), 1), (wallet(1), -1)]), Err(EntryError::BadSides));
        assert_eq!(make(&[(wallet(1), 0), (wallet(2), 0)]), Err(EntryError::BadSides));
        assert_eq!(make(&[]), Err(EntryError::BadSides));
    }

    #[test]
    fn the_digest_sees_every_field() {
        let one = entry(7, 100);
        let mut other = one.clone();
        other.at = Millis::new(6);
        assert_ne!(one.digest(), other.digest());
        let mut other = one.clone();
        other.kind = EntryKind::Correction;
        assert_ne!(one.digest(), other.digest());
        let mut other = one.clone();
        let digest = Hash([1; 32]);
        other.receipt = Some(ReceiptProof { issuer: creditor(), receipt_id: "a".into(), digest });
        assert_ne!(one.digest(), other.digest());
        let noted = |day: Option<&str>, tariff: Option<&str>| {
            let memo = Memo { day: day.map(str::to_owned), tariff: tariff.map(str::to_owned) };
            one.clone().with_memo(memo).digest()
        };
        let digests = [
            one.digest(),
            noted(Some("2026-11-20"), None),
            noted(Some("2026-11-21"), None),
            noted(None, Some("2026-11-20")),
            noted(Some("2026-11-20"), Some("ridotta")),
        ];
        for (n, digest) in digests.iter().enumerate() {
            assert!(!digests[..n].contains(digest), "{n}");
        }
        assert_ne!(one.digest(), entry(7, 101).digest());
        assert_ne!(one.digest(), entry(8, 100).digest());
        assert_eq!(one.digest(), entry(7, 100).digest());
    }

    fn chain(cents: &[i64]) -> (Vec<StoredPosting>, Vec<Hash>, Head) {
        let mut head = Head::genesis(&creditor(), wallet(1));
        let (mut rows, mut digests) = (Vec::new(), Vec::new());
        for (n, cents) in cents.iter().enumerate() {
            let entry = entry(n as u128 + 1, *cents);
            head = head.append(Cents::new(*cents), entry.digest()).unwrap();
            rows.push(StoredPosting {
                seq: head.seq,
                cents: Cents::new(*cents),
                balance_after: head.balance,
                hash: head.hash,
            });
            digests.push(entry.digest());
        }
        (rows, digests, head)
    }

    fn verify(rows: &[StoredPosting], digests: &[Hash], account: &Head) -> Result<(), Broken> {
        let start = Head::genesis(&creditor(), wallet(1));
        let end = rows.iter().zip(digests).try_fold(start, |head, (row, digest)| check_next(&head, row, *digest))?;
        check_head(account, &end)
    }

    #[test]
    fn no_two_accounts_share_a_beginning() {
        assert_ne!(Head::genesis(&creditor(), wallet(1)).hash, Head::genesis(&creditor(), wallet(2)).hash);
    }

    proptest! {
        #[test]
        fn every_tampering_shows(cents in prop::collection::vec(1..10_000i64, 2..20), at in any::<prop::sample::Index>(), how in 0..6) {
            let (rows, digests, head) = chain(&cents);
            prop_assert_eq!(verify(&rows, &digests, &head), Ok(()));
            let (mut rows, mut digests, mut head) = (rows, digests, head);
            let at = at.index(rows.len());
            match how {
                0 => rows[at].cents = Cents::new(rows[at].cents.get() + 1),
                1 => rows[at].balance_after = Cents::new(rows[at].balance_after.get() + 1),
                2 => { rows.remove(at); digests.remove(at); }
                3 => { let next = (at + 1) % rows.len(); rows.swap(at, next); digests.swap(at, next); }
                4 => digests[at] = Hash([9; 32]),
                _ => head.balance = Cents::new(head.balance.get() + 1),
            }
            prop_assert!(verify(&rows, &digests, &head).is_err());
        }
    }
}
