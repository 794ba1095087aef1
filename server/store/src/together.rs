//! Receipts that are booked together: what each has ready before the first of them is written, and the two steps of a
//! batch. They run on a thread and on connections of their own (on SQLite the second one on the writer's, there is no
//! other), so that neither waits for the server's other work, and to their end when the caller stops waiting.

use std::sync::Arc;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::OutboxId;
use borsellino_domain::ledger::{AccountKind, Entry, Hash, Head, Memo, Side};
use borsellino_domain::time::Millis;
use uuid::Uuid;

use crate::rows::{NewReceipt, NoticeRow};
use crate::tx::Tx;
use crate::{Engine, Store, StoreError};

/// A receipt that pays for what its notice was made for and settles it: one entry, one account moved, one notice, one
/// change in the feed, one row in the outbox.
#[derive(Clone)]
pub struct Ordinary {
    receipt: NewReceipt,
    entry: Entry,
    digest: Hash,
    credited: Side,
    head: Head,
    other: Side,
    outbox: OutboxId,
}

impl Ordinary {
    /// Books `receipt` by `entry`, whose first side moves the account that stands at `before`. `None` where they do not
    /// belong together, or where the entry is more than that: several sides, a day or tariff, a sum that fits no account.
    pub fn new(receipt: NewReceipt, entry: Entry, before: Head, outbox: OutboxId) -> Option<Self> {
        let [credited, other] = *entry.sides() else { return None };
        let proof = entry.receipt()?;
        let own = (proof.issuer.as_str(), &proof.receipt_id, proof.digest)
            == (receipt.issuer.as_str(), &receipt.receipt_id, receipt.message_digest);
        let plain = *entry.memo() == Memo::default() && entry.at() == receipt.received_at;
        if !own || !plain || receipt.entry != Some(entry.id().uuid()) {
            return None;
        }
        let paid_for = matches!(credited.account.kind, AccountKind::Wallet | AccountKind::Bill);
        if !paid_for || other.account.kind.is_chained() {
            return None;
        }
        let digest = entry.digest();
        let head = before.append(credited.cents, digest).ok()?;
        Some(Self { receipt, entry, digest, credited, head, other, outbox })
    }

    /// The receipt.
    pub fn receipt(&self) -> &NewReceipt {
        &self.receipt
    }

    /// Its entry.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The side of the wallet or the bill.
    pub fn credited(&self) -> Side {
        self.credited
    }

    /// Where the wallet's or the bill's account stands after it.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The entry's digest.
    pub(crate) fn digest(&self) -> &Hash {
        &self.digest
    }

    /// The other side, of an account without a running balance: the same sum the other way.
    pub(crate) fn other(&self) -> Side {
        self.other
    }

    /// What has to be told outside.
    pub(crate) fn outbox(&self) -> OutboxId {
        self.outbox
    }

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

/// A guardian for whom a receipt of the batch changed something.
#[derive(Clone, Copy, Debug)]
pub struct ToldRow {
    /// Which receipt, by its place in the batch.
    pub index: usize,
    /// Who sees its wallet or bill.
    pub guardian: Uuid,
}

impl Store {
    /// The notices with these keys, each in its key's place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notices_together(
        &self,
        keys: Vec<(CreditorCode, String)>,
    ) -> Result<Vec<Option<NoticeRow>>, StoreError> {
        let statements = Arc::clone(&self.statements);
        let task = match &self.engine {
            Engine::Lite { together, writer, .. } => {
                let together = together.clone().ok_or(StoreError::NotWritable)?;
                writer.lane().ok_or(StoreError::NotWritable)?.spawn(async move {
                    let connection = together.acquire().await?;
                    Tx::lite_reader(connection, statements).notices(&keys).await
                })
            }
            Engine::Pg { together, .. } => {
                let together = together.clone().ok_or(StoreError::NotWritable)?;
                together.lane.clone().spawn(async move {
                    let connection = together.pool.acquire().await?;
                    Tx::pg_reader(connection, statements).notices(&keys).await
                })
            }
        };
        task.await.map_err(|_| StoreError::Panicked)?
    }

    /// Keeps the receipts, books their entries, settles their notices, gives each guardian who sees a wallet or bill of
    /// theirs the next numbers of the feed, and lays a row of `kind` for each into the outbox: all in one transaction.
    /// Answers who was told. `None` where a receipt was known, an account moved since it was read, or a notice settled:
    /// nothing of the batch is kept then, and each receipt is to be run by itself, as after an error (where all of it may
    /// have been kept, if it is [`StoreError::CommitUnknown`]). The batch comes sorted by creditor and receipt: everybody
    /// takes the keys in that order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn receive_together(
        &self,
        kind: &'static str,
        batch: Arc<[Ordinary]>,
    ) -> Result<Option<Vec<ToldRow>>, StoreError> {
        match &self.engine {
            Engine::Lite { writer, .. } => {
                let outcome = writer.submit("receive receipts", move |tx| {
                    let batch = Arc::clone(&batch);
                    Box::pin(async move { Ok(tx.receive_together(kind, &batch).await?.ok_or(())) })
                });
                Ok(outcome.await?.ok())
            }
            Engine::Pg { together, .. } => {
                let together = together.clone().ok_or(StoreError::NotWritable)?;
                let statements = Arc::clone(&self.statements);
                let task = together.lane.clone().spawn(async move {
                    let connection = together.pool.acquire().await?;
                    // One statement is a transaction of its own.
                    let outcome = Tx::pg_reader(connection, statements).receive_together(kind, &batch).await;
                    outcome.map_err(StoreError::of_commit)
                });
                task.await.map_err(|_| StoreError::Panicked)?
            }
        }
    }
}
