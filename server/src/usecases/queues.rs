//! The office's queues: what waits in them, and what is decided about it. Each item is decided once, with a reason and a
//! name; nothing is deleted.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{BillId, EntryId, WalletId};
use borsellino_domain::ledger::{Account, Entry, EntryKind, ReceiptProof};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::queue::{Action, Item, Queue};
use borsellino_domain::receipt::SuspenseReason;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::NoticeState;
use borsellino_store::rows::{QueuedMessageRow, QueuedReceiptRow, ResolutionRow};
use borsellino_store::{Store, StoreError, Tx};
use thiserror::Error;

use super::office::signed;
use super::{Fault, Stop};
use crate::auth::keys::Keys;

/// An item of a queue.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its name.
    pub item: String,
    /// Where.
    pub queue: Queue,
    /// Why: a receipt's outcome, or what was wrong with a message.
    pub why: String,
    /// When it was received.
    pub received_at: Millis,
    /// The notice it names, if it could be read.
    pub notice: Option<String>,
    /// The money in suspense for it.
    pub amount: Option<Cents>,
    /// What was decided, if anything was.
    pub resolution: Option<ResolutionRow>,
}

/// Everything in the queues of a creditor, decided or not, oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn list(store: &Store, creditor: CreditorCode) -> Result<Vec<Waiting>, StoreError> {
    let rows = store.read(move |tx| {
        Box::pin(async move {
            let (receipts, messages) = (tx.queued_receipts(&creditor).await?, tx.queued_messages(&creditor).await?);
            // Last, so that what was decided meanwhile is known to be.
            Ok((receipts, messages, tx.resolutions(&creditor).await?))
        })
    });
    let (receipts, messages, resolutions) = rows.await?;
    let resolution = |item: &str| resolutions.iter().find(|row| row.item == item).cloned();
    let receipts = receipts.into_iter().filter_map(|row| {
        let (item, queue) = (receipt_name(&row), Queue::of_outcome(&row.outcome)?);
        let amount = held(&row).map(Amount::as_cents);
        Some(Waiting {
            resolution: resolution(&item),
            item,
            queue,
            why: row.outcome,
            received_at: Millis::new(row.received_at_ms),
            notice: Some(row.notice_number),
            amount,
        })
    });
    let messages = messages.into_iter().map(|row| {
        let item = message_name(&row);
        Waiting {
            resolution: resolution(&item),
            item,
            queue: row.queue,
            why: row.why,
            received_at: Millis::new(row.received_at_ms),
            notice: None,
            amount: None,
        }
    });
    let mut waiting: Vec<_> = receipts.chain(messages).collect();
    waiting.sort_by(|a, b| (a.received_at, &a.item).cmp(&(b.received_at, &b.item)));
    Ok(waiting)
}

/// Why a message can't be shown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotShown {
    /// No such item.
    #[error("no such item: `borsellino queue list` shows their names")]
    Unknown,
    /// It was sealed with another secret.
    #[error("it is sealed with the key {0}: give the secret that was in use then")]
    OtherKey(String),
}

/// What the Node sent, byte for byte: for a person of the office, since it names payer and debtor.
///
/// # Errors
/// [`NotShown`], or a [`Fault`].
pub async fn show(store: &Store, keys: &Keys, creditor: CreditorCode, item: &str) -> Result<Vec<u8>, Stop<NotShown>> {
    let item = Item::parse(item).ok_or(Stop::Refused(NotShown::Unknown))?;
    let purpose = match &item {
        Item::Message { queue: Queue::Quarantine, .. } => "quarantine",
        _ => "receipt",
    };
    let row = store.read(move |tx| {
        let item = item.clone();
        Box::pin(async move {
            match item {
                Item::Receipt { issuer, receipt_id } => tx.sealed_receipt(&creditor, (&issuer, &receipt_id)).await,
                Item::Message { queue, digest } => tx.sealed_message(&creditor, (queue.code(), digest)).await,
            }
        })
    });
    let row = row.await?.ok_or(Stop::Refused(NotShown::Unknown))?;
    if row.key_id != keys.id() {
        return Err(Stop::Refused(NotShown::OtherKey(row.key_id)));
    }
    Ok(keys.open(purpose, &row.sealed).map_err(Fault::from)?)
}

fn receipt_name(row: &QueuedReceiptRow) -> String {
    Item::Receipt { issuer: row.issuer.clone(), receipt_id: row.receipt_id.clone() }.to_string()
}

fn message_name(row: &QueuedMessageRow) -> String {
    Item::Message { queue: row.queue, digest: row.message_digest }.to_string()
}

/// The money that lies in suspense for a receipt.
fn held(row: &QueuedReceiptRow) -> Option<Amount> {
    let in_suspense = matches!(Queue::of_outcome(&row.outcome), Some(Queue::Double | Queue::Suspense));
    in_suspense.then(|| Amount::from_cents(row.ours_cents.get()).ok()).flatten()
}

/// What to do with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Its money belongs to a wallet.
    ToWallet(WalletId),
    /// Its money belongs to a bill.
    ToBill(BillId),
    /// Its money has to be paid back.
    Refund,
    /// Nothing is to be done.
    Dismiss,
}

impl Decision {
    fn action(self) -> Action {
        match self {
            Self::ToWallet(_) => Action::BookedToWallet,
            Self::ToBill(_) => Action::BookedToBill,
            Self::Refund => Action::Refund,
            Self::Dismiss => Action::Dismissed,
        }
    }
}

/// Who decides what, when and why; with the id of the entry that may have to be written.
#[derive(Clone, Debug)]
pub struct Order {
    /// Whose queue.
    pub creditor: CreditorCode,
    /// The item's name.
    pub item: String,
    /// What to do.
    pub decision: Decision,
    /// Why.
    pub reason: String,
    /// Who.
    pub operator: String,
    /// Now.
    pub at: Millis,
    /// Of the entry that books it.
    pub entry: EntryId,
}

/// Why a decision is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QueueRefusal {
    /// No such item.
    #[error("no such item: `borsellino queue list` shows their names")]
    Unknown,
    /// It has been decided.
    #[error("{} decided this already ({}): a decision stands", .0.operator, .0.action.code())]
    Decided(Box<ResolutionRow>),
    /// No wallet takes the money.
    #[error("this creditor has no such wallet that takes money")]
    NoWallet,
    /// No bill takes the money.
    #[error("this creditor has no such bill")]
    NoBill,
    /// The bill does not owe so much.
    #[error("only {0} are left of this bill: book the money elsewhere, or mark it for refund")]
    BillTakesLess(Cents),
    /// There is nothing to book or pay back.
    #[error("there is no money of ours in it: it can only be dismissed")]
    NoMoney,
    /// Money cannot be dismissed.
    #[error("there is money in it: book it to a wallet or bill, or mark it for refund")]
    Money,
    /// A decision needs a reason and a name.
    #[error("a decision needs a reason and the name of who takes it, of at most 200 characters each")]
    Unsigned,
}

/// Takes a decision: keeps it and moves the money in one transaction. The same order again finds itself done.
///
/// # Errors
/// [`QueueRefusal`], or a [`Fault`].
pub async fn resolve(store: &Store, order: Order) -> Result<ResolutionRow, Stop<QueueRefusal>> {
    if !signed(&order.reason) || !signed(&order.operator) {
        return Err(Stop::Refused(QueueRefusal::Unsigned));
    }
    let outcome = store.write("decide about an item of a queue", move |tx| {
        let order = order.clone();
        Box::pin(async move { order.run(tx).await })
    });
    outcome.await.map_err(Fault::from)?.map_err(Stop::Refused)
}

impl Order {
    async fn run(&self, tx: &mut Tx) -> Result<Result<ResolutionRow, QueueRefusal>, StoreError> {
        let creditor = self.creditor;
        let receipts = tx.queued_receipts(&creditor).await?;
        let receipt = receipts.iter().find(|row| receipt_name(row) == self.item);
        if receipt.is_none() && !tx.queued_messages(&creditor).await?.iter().any(|row| message_name(row) == self.item) {
            return Ok(Err(QueueRefusal::Unknown));
        }
        let money = receipt.and_then(|row| Some((row, held(row)?)));
        match (self.decision, money) {
            (Decision::Dismiss, Some(_)) => return Ok(Err(QueueRefusal::Money)),
            (Decision::Dismiss, None) | (_, Some(_)) => {}
            (_, None) => return Ok(Err(QueueRefusal::NoMoney)),
        }
        let moves = matches!(self.decision, Decision::ToWallet(_) | Decision::ToBill(_));
        let row = ResolutionRow {
            item: self.item.clone(),
            action: self.decision.action(),
            reason: self.reason.clone(),
            operator: self.operator.clone(),
            at_ms: self.at.get(),
            entry: moves.then(|| self.entry.uuid()),
        };
        // The decision first: of several at once one is kept, the others wait here and find it. What refuses it below
        // undoes it.
        if !tx.resolve(&creditor, &row).await? {
            let stored = tx.resolution(&creditor, &self.item).await?.ok_or(StoreError::Conflict)?;
            // Our own: this runs again because the answer to its commit was lost.
            return Ok(if stored == row { Ok(row) } else { Err(QueueRefusal::Decided(Box::new(stored))) });
        }
        let Some((receipt, amount)) = money else { return Ok(Ok(row)) };
        match self.place(tx, amount).await? {
            Ok(Some(place)) => self.book(tx, receipt, place, amount).await?,
            Ok(None) => {}
            Err(refusal) => return Ok(Err(refusal)),
        }
        self.release(tx, receipt, amount).await?;
        Ok(Ok(row))
    }

    /// Where so much money goes, if it leaves suspense.
    async fn place(
        &self,
        tx: &mut Tx,
        amount: Amount,
    ) -> Result<Result<Option<(Account, EntryKind)>, QueueRefusal>, StoreError> {
        let creditor = self.creditor;
        Ok(match self.decision {
            Decision::Refund | Decision::Dismiss => Ok(None),
            Decision::ToWallet(id) if !tx.wallet_stands(&creditor, id.uuid()).await? => Err(QueueRefusal::NoWallet),
            Decision::ToWallet(id) => Ok(Some((Account::wallet(id), EntryKind::TopUp))),
            Decision::ToBill(id) => {
                tx.hold_bill(&creditor, id.uuid()).await?;
                let Some(bill) = tx.bill(&creditor, id).await? else { return Ok(Err(QueueRefusal::NoBill)) };
                let owed = bill.balance_cents.negated().unwrap_or(Cents::ZERO).max(Cents::ZERO);
                if owed < amount.as_cents() {
                    return Ok(Err(QueueRefusal::BillTakesLess(owed)));
                }
                Ok(Some((Account::bill(id), EntryKind::BillPayment)))
            }
        })
    }

    /// What was held under a notice has found its place: where that leaves something of the notice's bill for which no
    /// notice can be paid, this one can be again.
    async fn release(&self, tx: &mut Tx, receipt: &QueuedReceiptRow, amount: Amount) -> Result<(), StoreError> {
        let holds = SuspenseReason::try_from(receipt.outcome.clone()).is_ok_and(SuspenseReason::holds_notice);
        let (creditor, number) = (&self.creditor, receipt.notice_number.as_str());
        if receipt.outcome == SuspenseReason::DoublePayment.code() && receipt.issuer == creditor.as_str() {
            // Its money found a place: nothing is given back.
            tx.paid_twice(creditor, number, None).await?;
        }
        if !holds || receipt.issuer != creditor.as_str() {
            return Ok(());
        }
        let Some(bill) = tx.notice(creditor, number).await?.and_then(|row| row.bill) else { return Ok(()) };
        tx.hold_bill(creditor, bill).await?;
        tx.release_notice(creditor, number, amount.cents()).await?;
        let Some(row) = tx.bill(creditor, bill.into()).await? else { return Ok(()) };
        let notices = tx.notices_of_bill(creditor, bill.into()).await?;
        let held = notices.iter().try_fold(Cents::ZERO, |sum, notice| sum.plus(Cents::new(notice.held_cents)));
        let left = held.and_then(|held| row.balance_cents.plus(held));
        let payable = notices.iter().any(|notice| notice.state == NoticeState::Open);
        if left.is_ok_and(|left| left < Cents::ZERO) && !payable {
            tx.reopen_notice(creditor, number).await?;
            tx.number_bill_change(creditor, bill).await?;
            tx.feed_bill_change(creditor, bill, self.at, number).await?;
        }
        Ok(())
    }

    /// Moves the money out of suspense, and tells those who see where it goes.
    async fn book(
        &self,
        tx: &mut Tx,
        receipt: &QueuedReceiptRow,
        (account, kind): (Account, EntryKind),
        amount: Amount,
    ) -> Result<(), StoreError> {
        let creditor = self.creditor;
        let issuer = CreditorCode::from_digits(&receipt.issuer).map_err(|_| StoreError::Corrupt("an issuer"))?;
        let proof = ReceiptProof { issuer, receipt_id: receipt.receipt_id.clone(), digest: receipt.message_digest };
        let sides = (account, Account::SUSPENSE, amount.as_cents());
        let entry = Entry::transfer(creditor, self.entry, kind, self.at, Some(proof), sides);
        tx.book(&entry.map_err(|_| StoreError::Corrupt("an entry that does not balance"))?).await?;
        let notice = receipt.notice_number.as_str();
        match self.decision {
            Decision::ToWallet(id) => {
                tx.number_wallet_change(&creditor, id.uuid()).await?;
                tx.feed_wallet_change(&creditor, id.uuid(), self.at, notice).await
            }
            Decision::ToBill(id) => {
                tx.number_bill_change(&creditor, id.uuid()).await?;
                tx.feed_bill_change(&creditor, id.uuid(), self.at, notice).await
            }
            Decision::Refund | Decision::Dismiss => Ok(()),
        }
    }
}
