//! What the ordinary receipts of a batch have ready before the first of them is written.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::OutboxId;
use borsellino_domain::ledger::{Account, Entry, Head};
use borsellino_domain::time::Millis;
use uuid::Uuid;

use crate::rows::NewReceipt;

/// A receipt that pays for what its notice was made for and settles it: one entry, one account moved, one notice, one
/// change in the feed, one row in the outbox.
#[derive(Clone)]
pub struct Ordinary {
    /// The receipt.
    pub receipt: NewReceipt,
    /// Its entry; the first side is the wallet's or the bill's, no other side has a running balance.
    pub entry: Entry,
    /// Where the account of the first side stands after it.
    pub head: Head,
    /// The first side's account.
    pub account: Account,
    /// The wallet it fills, or
    pub wallet: Option<Uuid>,
    /// the bill it pays.
    pub bill: Option<Uuid>,
    /// What has to be told outside.
    pub outbox: OutboxId,
}

impl Ordinary {
    /// Whose.
    pub(crate) fn creditor(&self) -> &CreditorCode {
        self.entry.creditor()
    }

    /// The 18 digits of its notice.
    pub(crate) fn number(&self) -> &str {
        &self.receipt.notice_number
    }

    /// When it was received, booked and its notice settled.
    pub(crate) fn at(&self) -> Millis {
        self.receipt.received_at
    }
}

/// A guardian for whom a notice of the batch changed something.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ToldRow {
    /// Whose notice.
    pub creditor: String,
    /// Which.
    pub notice: String,
    /// Who sees its wallet or bill.
    pub guardian: Uuid,
}
