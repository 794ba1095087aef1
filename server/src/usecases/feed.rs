//! What changed for a guardian, from a number on: read from the feed, shown with the state it has now.

use std::collections::HashSet;

use borsellino_domain::id::WalletId;
use borsellino_domain::money::Cents;
use borsellino_domain::time::Millis;
use borsellino_store::rows::FeedRow;
use borsellino_store::{StoreError, Tx};

use super::sessions::{SessionRefusal, goes_on};
use super::views::{BillView, PaymentView};
use super::{App, Stop};
use crate::auth::token::Identity;

/// How many rows of the feed are read at once.
const BATCH: i64 = 100;

/// What changed.
#[derive(Clone, Debug)]
pub enum What {
    /// A wallet's balance.
    Wallet {
        /// Which.
        wallet: WalletId,
        /// What it holds.
        balance: Cents,
        /// How many movements it has: a smaller number never replaces a larger one.
        seq: i64,
    },
    /// A top-up of this guardian.
    Payment(Box<PaymentView>),
    /// A bill.
    Bill(Box<BillView>),
}

/// One change; several may share a number (a top-up and its wallet).
#[derive(Clone, Debug)]
pub struct Change {
    /// The feed's number.
    pub seq: i64,
    /// When it happened.
    pub at: Millis,
    /// What, as it is now.
    pub what: What,
}

/// What there is after a number.
#[derive(Clone, Debug)]
pub enum After {
    /// These changes, and the last number read (also where it shows nothing to this guardian).
    Changes(Vec<Change>, i64),
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
                let Some(session) = session.filter(|session| goes_on(session, now)) else {
                    return Ok(Err(SessionRefusal::Ended));
                };
                if after > session.feed_seq || after < 0 {
                    return Ok(Ok((Vec::new(), Err(session.feed_seq))));
                }
                if after == session.feed_seq {
                    return Ok(Ok((Vec::new(), Ok(after))));
                }
                let rows = tx.feed_after(&who.creditor, who.guardian, after, BATCH).await?;
                let last = rows.last().map_or(after, |row| row.seq);
                Ok(Ok((changes(tx, who, rows, now).await?, Ok(last))))
            })
        })
        .await?;
    let (changes, last) = answer.map_err(Stop::Refused)?;
    Ok(match last {
        Ok(last) => After::Changes(changes, last),
        Err(newest) => After::Resync(newest),
    })
}

/// The state of everything the rows name, each thing once, under the last number that names it.
async fn changes(tx: &mut Tx, who: Identity, rows: Vec<FeedRow>, now: Millis) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    let mut seen = HashSet::new();
    for row in rows.into_iter().rev() {
        let (seq, at) = (row.seq, row.at_ms);
        if let Some(wallet) = row.wallet
            && seen.insert(wallet.to_string())
            && let Some(state) = tx.wallet_balance(&who.creditor, wallet).await?
        {
            let what = What::Wallet { wallet: wallet.into(), balance: state.balance_cents, seq: state.seq };
            changes.push(Change { seq, at, what });
        }
        if let Some(number) = row.notice.filter(|_| row.bill.is_none())
            && seen.insert(number.clone())
            && let Some(top_up) = tx.top_up_of_notice(&who.creditor, &number).await?
            && top_up.guardian == who.guardian
        {
            let payment = PaymentView::new(who.creditor, &top_up, now);
            changes.push(Change { seq, at, what: What::Payment(Box::new(payment)) });
        }
        if let Some(bill) = row.bill
            && seen.insert(bill.to_string())
        {
            let rows = tx.bill_due(&who.creditor, who.guardian, bill).await?;
            let bills = BillView::gather(who.creditor, &rows, now);
            let bills = bills.map_err(|_| StoreError::Corrupt("a bill's amounts"))?;
            changes.extend(bills.into_iter().map(|bill| Change { seq, at, what: What::Bill(Box::new(bill)) }));
        }
    }
    changes.reverse();
    Ok(changes)
}
