//! Accounts and their chains.

use borsellino_domain::ledger::{AccountKind, Hash};
use borsellino_domain::money::Cents;
use sqlx::FromRow;
use uuid::Uuid;

/// What a wallet holds.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct WalletBalanceRow {
    /// What it holds.
    #[sqlx(try_from = "i64")]
    pub balance_cents: Cents,
    /// How many movements it has.
    pub seq: i64,
}

/// Where an account stands.
#[derive(Clone, Debug, FromRow)]
pub struct AccountRow {
    /// What it stands for.
    #[sqlx(try_from = "String")]
    pub kind: AccountKind,
    /// Whose it is.
    pub id: Uuid,
    /// The number of its last posting.
    pub seq: i64,
    /// Its balance.
    #[sqlx(try_from = "i64")]
    pub balance_cents: Cents,
    /// The hash of its last posting.
    #[sqlx(try_from = "Vec<u8>")]
    pub head: Hash,
}

/// One side of a stored entry, for `ledger verify`.
#[derive(Clone, Debug, FromRow)]
pub struct EntrySideRow {
    /// The entry.
    pub id: Uuid,
    /// Why; kept as text, since the row may be spoilt.
    pub kind: String,
    /// When.
    pub at_ms: i64,
    /// The receipt it rests on.
    pub receipt_issuer: Option<String>,
    /// Its id.
    pub receipt_id: Option<String>,
    /// Its digest.
    pub receipt_digest: Option<Vec<u8>>,
    /// What it is for.
    pub day: Option<String>,
    /// Under which tariff.
    pub tariff: Option<String>,
    /// As stored.
    pub digest: Vec<u8>,
    /// The side's place; absent for an entry whose postings are gone.
    pub line: Option<i64>,
    /// The account's kind.
    pub account_kind: Option<String>,
    /// The account.
    pub account_id: Option<Uuid>,
    /// How much.
    pub cents: Option<i64>,
}

/// Where an account stands, for `ledger verify`; kept as stored, since the row may be spoilt.
#[derive(Clone, Debug, FromRow)]
pub struct StoredAccountRow {
    /// What it stands for.
    pub kind: String,
    /// Whose it is.
    pub id: Uuid,
    /// The number of its last posting.
    pub seq: i64,
    /// Its balance.
    pub balance_cents: i64,
    /// The hash of its last posting.
    pub head: Vec<u8>,
}

/// One posting of a chain with its entry's digest, for `ledger verify`.
#[derive(Clone, Debug, FromRow)]
pub struct ChainRow {
    /// The entry.
    pub entry: Uuid,
    /// Its number.
    pub seq: i64,
    /// How much.
    pub cents: i64,
    /// The balance after it.
    pub balance_after_cents: Option<i64>,
    /// Its hash.
    pub hash: Option<Vec<u8>>,
    /// The entry's digest, as stored; absent where the entry is gone.
    pub digest: Option<Vec<u8>>,
}

/// What the accounts of one kind hold, for `ledger verify`; sums are in two halves of 32 bits.
#[derive(Clone, Debug, FromRow)]
pub struct TotalsRow {
    /// The kind.
    pub kind: String,
    moved_high: i64,
    moved_low: i64,
    balance_high: i64,
    balance_low: i64,
}

impl TotalsRow {
    /// What their postings sum to; `None` where that fits no number.
    pub fn moved(&self) -> Option<Cents> {
        whole(self.moved_high, self.moved_low)
    }

    /// What their rows say; zero for the kinds that have none, `None` where the sum fits no number.
    pub fn balance(&self) -> Option<Cents> {
        whole(self.balance_high, self.balance_low)
    }
}

fn whole(high: i64, low: i64) -> Option<Cents> {
    i64::try_from((i128::from(high) << 32) + i128::from(low)).ok().map(Cents::new)
}

/// A posting that belongs to nothing, for `ledger verify`.
#[derive(Clone, Debug, FromRow)]
pub struct StrayPostingRow {
    /// The account's kind.
    pub account_kind: String,
    /// The account.
    pub account_id: Uuid,
    /// Its number.
    pub seq: Option<i64>,
    /// Its entry.
    pub entry: Uuid,
}

/// A receipt without its entry, or the reverse, for `ledger verify`.
#[derive(Clone, Debug, FromRow)]
pub struct StrayReceiptRow {
    /// `receipt/fiscalCode`.
    pub issuer: Option<String>,
    /// `receipt/receiptId`.
    pub receipt_id: String,
    /// The entry, where there is one.
    pub entry: Option<Uuid>,
}
