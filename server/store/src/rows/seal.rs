//! Seals, what they seal, and what an auditor asks of the journal. Hashes stay bytes and kinds stay text where
//! `ledger verify` reads them: the row may be spoilt.

use sqlx::FromRow;
use uuid::Uuid;

/// A seal, as stored.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct SealRow {
    /// From 1.
    pub number: i64,
    /// When it was made.
    pub at_ms: i64,
    /// How many entries it seals.
    pub count: i64,
    /// How many all seals up to it seal.
    pub entries: i64,
    /// The root of the tree over its entries' digests.
    pub root: Vec<u8>,
    /// The digest over where their accounts stand.
    pub heads: Vec<u8>,
    /// The hash of the seal before.
    pub previous: Vec<u8>,
    /// Its hash.
    pub hash: Vec<u8>,
    /// The signature of its hash.
    pub signature: Vec<u8>,
    /// The key it is made with.
    pub public_key: Vec<u8>,
}

/// One chained posting of an entry that is in no seal yet; without a posting for an entry that has none.
#[derive(Clone, Debug, FromRow)]
pub struct UnsealedRow {
    /// The entry.
    pub id: Uuid,
    /// Its digest.
    pub digest: Vec<u8>,
    /// The account's kind.
    pub account_kind: Option<String>,
    /// The account.
    pub account_id: Option<Uuid>,
    /// The posting's number.
    pub seq: Option<i64>,
    /// Its hash.
    pub hash: Option<Vec<u8>>,
}

/// One chained posting of a sealed entry, as `ledger verify` reads it; without a posting where there is none.
#[derive(Clone, Debug, FromRow)]
pub struct SealedRow {
    /// The entry.
    pub entry: Uuid,
    /// The digest that was sealed.
    pub sealed: Vec<u8>,
    /// The entry's digest now; absent where the entry is gone.
    pub digest: Option<Vec<u8>>,
    /// The account's kind.
    pub account_kind: Option<String>,
    /// The account.
    pub account_id: Option<Uuid>,
    /// The posting's number.
    pub seq: Option<i64>,
    /// Its hash.
    pub hash: Option<Vec<u8>>,
}

/// An entry that is listed in a seal which is gone.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct StraySealedRow {
    /// The entry.
    pub entry: Uuid,
    /// The seal.
    pub seal: i64,
}

/// What the accounts of one kind held at an instant.
#[derive(Clone, Debug, FromRow)]
pub struct HeldRow {
    /// The kind.
    pub kind: String,
    /// What their postings up to then sum to.
    pub cents: i64,
    /// How many these are.
    pub postings: i64,
}

/// A receipt paid under a notice, and what books it.
#[derive(Clone, Debug, FromRow)]
pub struct BookedRow {
    /// `receipt/receiptId`.
    pub receipt_id: String,
    /// The entry.
    pub entry: Uuid,
}
