//! What changed for a guardian, from a number on: read from the feed, shown with the state it has now.

use std::collections::HashSet;

use borsellino_domain::id::WalletId;
use borsellino_domain::money::Cents;
use borsellino_domain::time::Millis;
use borsellino_store::rows::FeedRow;
use borsellino_store::{StoreError, Tx};

use super::sessions::{SessionRefusal, standing};
use super::views::{BillView, PaymentView};
use super::{App, Stop};
use crate::auth::token::Identity;

/// How many rows of the feed are read at once.
const BATCH: i64 = 100;

/// A wallet's balance, as it is now.
#[derive(Clone, Copy, Debug)]
pub struct BalanceView {
    /// Which.
    pub wallet: WalletId,
    /// What it holds.
    pub balance: Cents,
    /// How many movements it has: a smaller number never replaces a larger one.
    pub seq: i64,
}

/// Everything that one number of the feed changed, as it is now.
#[derive(Clone, Debug)]
pub struct Change {
    /// The feed's number.
    pub seq: i64,
    /// When it happened.
    pub at: Millis,
    /// A wallet's balance.
    pub wallet: Option<BalanceView>,
    /// A top-up of this guardian.
    pub payment: Option<PaymentView>,
    /// A bill.
    pub bill: Option<BillView>,
}

/// A part of the feed.
#[derive(Clone, Debug)]
pub struct Page {
    /// What changed, oldest first.
    pub changes: Vec<Change>,
    /// The last number read, also where it shows nothing to this guardian.
    pub last: i64,
    /// There may be more behind it.
    pub more: bool,
}

/// What there is after a number.
#[derive(Clone, Debug)]
pub enum After {
    /// What was read.
    Changes(Page),
    /// The number is from another life of the database: ask for the home screen and go on from its number.
    Resync(i64),
}

/// The changes after number `after`, at most a batch.
///
/// # Errors
/// [`SessionRefusal`], or a [`super::Fault`].
pub async fn after(app: &App, who: Identity, after: i64) -> Result<After, Stop<SessionRefusal>> {
    let now = app.now();
    let answer = app
        .store
        .read(move |tx| {
            Box::pin(async move {
                let session = tx.session(&who.creditor, who.session).await?;
                if let Err(refusal) = standing(session.as_ref(), now) {
                    return Ok(Err(refusal));
                }
                let session = session.ok_or(StoreError::Corrupt("a session that goes on is gone"))?;
                if after > session.feed_seq || after < 0 {
                    return Ok(Ok(After::Resync(session.feed_seq)));
                }
                if after == session.feed_seq {
                    return Ok(Ok(After::Changes(Page { changes: Vec::new(), last: after, more: false })));
                }
                let rows = tx.feed_after(&who.creditor, who.guardian, after, BATCH).await?;
                let last = rows.last().map_or(after, |row| row.seq);
                let more = i64::try_from(rows.len()).is_ok_and(|rows| rows >= BATCH);
                let changes = changes(tx, who, rows, now).await?;
                Ok(Ok(After::Changes(Page { changes, last, more })))
            })
        })
        .await?;
    answer.map_err(Stop::Refused)
}

/// The state of everything the rows name, each thing once, under the last number that names it.
async fn changes(tx: &mut Tx, who: Identity, rows: Vec<FeedRow>, now: Millis) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    let mut seen = HashSet::new();
    for row in rows.into_iter().rev() {
        let mut change = Change { seq: row.seq, at: row.at_ms, wallet: None, payment: None, bill: None };
        if let Some(wallet) = row.wallet
            && seen.insert(wallet.to_string())
            && let Some(state) = tx.wallet_balance(&who.creditor, wallet).await?
        {
            let (balance, seq) = (state.balance_cents, state.seq);
            change.wallet = Some(BalanceView { wallet: wallet.into(), balance, seq });
        }
        if let Some(number) = row.notice.filter(|_| row.bill.is_none())
            && seen.insert(number.clone())
            && let Some(top_up) = tx.top_up_of_notice(&who.creditor, &number).await?
            && top_up.guardian == who.guardian
        {
            change.payment = Some(PaymentView::new(who.creditor, &top_up, now));
        }
        if let Some(bill) = row.bill
            && seen.insert(bill.to_string())
        {
            let rows = tx.bill_due(&who.creditor, who.guardian, bill).await?;
            let bills = BillView::gather(who.creditor, &rows, now);
            change.bill = bills.map_err(|_| StoreError::Corrupt("a bill's amounts"))?.pop();
        }
        // What an older number changed may all be told by a newer one.
        if change.wallet.is_some() || change.payment.is_some() || change.bill.is_some() {
            changes.push(change);
        }
    }
    changes.reverse();
    Ok(changes)
}
