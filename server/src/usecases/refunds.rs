//! Money that the office gives back to whoever paid it: out of a wallet, of a bill that was paid too much, or of suspense. Each
//! refund names the receipt it gives back of, because the tax office asks whose money it was and when it had been paid.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::ledger::{Account, AccountKind, EntryKind};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::office::OfficeAction;
use borsellino_domain::queue::{Action, Item};
use borsellino_store::{Store, StoreError, Tx};
use thiserror::Error;
use uuid::Uuid;

use super::Stop;
use super::office::{Act, OfficeRefusal, check};

/// A refund as the office orders it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// `receipt/fiscalCode`.
    pub issuer: CreditorCode,
    /// `receipt/receiptId`.
    pub receipt_id: String,
    /// How much; `None` for all that can be given back of it.
    pub amount: Option<Amount>,
}

/// Why nothing is given back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RefundRefusal {
    /// No reason or name.
    #[error(transparent)]
    Office(#[from] OfficeRefusal),
    /// No such receipt, or it booked nothing.
    #[error(
        "no receipt of this creditor was booked under that name: `borsellino proof make` and `queue list` show them"
    )]
    NoReceipt,
    /// Its money waits for a decision.
    #[error("its money is in suspense: decide first, with `borsellino queue resolve ITEM --refund`")]
    Undecided,
    /// Less is left of it, or of the account that it went to.
    #[error(
        "at most {0} can be given back of this receipt: what it paid, less what was given back, and no more than is there"
    )]
    Most(Cents),
}

/// Gives money back. Answers how much.
///
/// # Errors
/// [`RefundRefusal`], or a [`super::Fault`].
pub async fn refund(store: &Store, by: Act, order: Order) -> Result<Amount, Stop<RefundRefusal>> {
    check(&by).map_err(|stop| match stop {
        Stop::Refused(refusal) => Stop::Refused(RefundRefusal::Office(refusal)),
        Stop::Fault(fault) => Stop::Fault(fault),
    })?;
    let written = store.write("give money back", move |tx| {
        let (by, order) = (by.clone(), order.clone());
        Box::pin(async move { run(tx, &by, &order).await })
    });
    written.await?.map_err(Stop::Refused)
}

async fn run(tx: &mut Tx, by: &Act, order: &Order) -> Result<Result<Amount, RefundRefusal>, StoreError> {
    let creditor = by.creditor();
    if let Some(done) = by.done(tx).await? {
        return Ok(Ok(done));
    }
    let item = Item::Receipt { issuer: order.issuer.as_str().to_owned(), receipt_id: order.receipt_id.clone() };
    let item = item.to_string();
    let key = (order.issuer.as_str(), order.receipt_id.as_str());
    let Some(row) = tx.kept_receipt(&creditor, key, &item).await? else { return Ok(Err(RefundRefusal::NoReceipt)) };
    let Some(entry) = row.decided.or(row.entry) else { return Ok(Err(RefundRefusal::NoReceipt)) };
    let Some((account, paid)) = credited(tx, &creditor, entry).await? else {
        return Ok(Err(RefundRefusal::NoReceipt));
    };
    let there = match account.kind {
        AccountKind::Wallet => {
            tx.hold_wallet(&creditor, account.id).await?;
            tx.wallet_balance(&creditor, account.id).await?.map_or(Cents::ZERO, |row| row.balance_cents)
        }
        AccountKind::Bill => {
            tx.hold_bill(&creditor, account.id).await?;
            tx.bill(&creditor, account.id.into()).await?.map_or(Cents::ZERO, |row| row.balance_cents)
        }
        _ => match tx.resolution(&creditor, &item).await? {
            Some(decided) if decided.action == Action::Refund => paid,
            _ => return Ok(Err(RefundRefusal::Undecided)),
        },
    };
    let left = left_of(tx, &creditor, &item, paid).await?;
    let most = left.min(there);
    let amount = match (order.amount, Amount::from_cents(most.get())) {
        (Some(amount), Ok(most)) if amount <= most => amount,
        (None, Ok(most)) => most,
        _ => return Ok(Err(RefundRefusal::Most(most.max(Cents::ZERO)))),
    };
    by.keep(tx, (OfficeAction::Refunded, &item), Some(amount.as_cents())).await?;
    by.book(tx, EntryKind::Refund, (Account::COUNTER, account, amount.as_cents())).await?;
    // Of two at once the second one waited for the account, and now sees what the first gave back.
    if left_of(tx, &creditor, &item, paid).await? < Cents::ZERO {
        return Err(StoreError::Conflict);
    }
    match account.kind {
        AccountKind::Wallet => {
            tx.number_wallet_change(&creditor, account.id).await?;
            tx.feed_wallet_change(&creditor, account.id, by.at(), &row.notice_number).await?;
        }
        AccountKind::Bill => {
            tx.number_bill_change(&creditor, account.id).await?;
            tx.feed_bill_change(&creditor, account.id, by.at(), &row.notice_number).await?;
        }
        _ => {}
    }
    Ok(Ok(amount))
}

/// The account that an entry gave money to, and how much.
async fn credited(tx: &mut Tx, creditor: &CreditorCode, entry: Uuid) -> Result<Option<(Account, Cents)>, StoreError> {
    for side in tx.entries(creditor, entry, 1).await? {
        let (Some(kind), Some(id), Some(cents)) = (side.account_kind, side.account_id, side.cents) else { continue };
        let kind = AccountKind::try_from(kind).map_err(|_| StoreError::Corrupt("the kind of an account"))?;
        if side.id == entry && cents > 0 && kind.is_chained() {
            return Ok(Some((Account { kind, id }, Cents::new(cents))));
        }
    }
    Ok(None)
}

/// What of a receipt was not given back yet.
async fn left_of(tx: &mut Tx, creditor: &CreditorCode, item: &str, paid: Cents) -> Result<Cents, StoreError> {
    let given = tx.refunds(creditor, item).await?;
    let given = given.iter().try_fold(Cents::ZERO, |sum, row| sum.plus(row.cents));
    given.and_then(|given| paid.minus(given)).map_err(|_| StoreError::Corrupt("what was given back of a receipt"))
}
