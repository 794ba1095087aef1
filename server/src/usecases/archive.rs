//! What was paid: top-ups of a guardian and of the other guardians of their children, bills of the family; by page.

use borsellino_domain::id::{BillId, TopUpId};
use borsellino_domain::money::Amount;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_store::rows::PaidItemRow;
use borsellino_store::{StoreError, Tx};

use super::sessions::{SessionRefusal, standing};
use super::{App, Stop};
use crate::auth::token::Identity;

/// The largest page.
pub const MAX_PAGE: u32 = 100;

/// Sorts after every number of a notice.
const AFTER_ALL: &str = "~";

/// Something paid, as this guardian may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidView {
    /// How much the notice asked for.
    pub amount: Amount,
    /// When it was settled.
    pub at: Millis,
    /// For what.
    pub services: Vec<String>,
    /// For whom: first names.
    pub children: Vec<String>,
    /// A top-up of this guardian.
    pub top_up: Option<TopUpId>,
    /// A bill of the family.
    pub bill: Option<BillId>,
    /// The bill's number.
    pub bill_number: String,
    /// The bill's period.
    pub period: String,
    /// Paid by somebody else: who, and under what, is theirs.
    pub of_co_guardian: bool,
    /// A second payment was put aside.
    pub paid_twice: bool,
    /// Paid at the office's counter.
    pub at_counter: bool,
}

/// Where a page ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidEnd {
    /// The instant of the last one shown.
    pub at: Millis,
    /// Its notice.
    pub number: NoticeNumber,
}

/// One page, newest first.
#[derive(Clone, Debug)]
pub struct PaidPage {
    /// What was paid.
    pub items: Vec<PaidView>,
    /// Where to go on; `None` on the last page.
    pub next: Option<PaidEnd>,
    /// When this was read.
    pub as_of: Millis,
}

/// What was paid before `after`; `size` is held to 1..=[`MAX_PAGE`].
///
/// # Errors
/// [`SessionRefusal`], or a [`super::Fault`].
pub async fn paid(
    app: &App,
    who: Identity,
    after: Option<PaidEnd>,
    size: u32,
) -> Result<PaidPage, Stop<SessionRefusal>> {
    let now = app.now();
    let size = usize::try_from(size.clamp(1, MAX_PAGE)).unwrap_or(1);
    let answer = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            let number = after.map(|end| end.number);
            let before = (
                after.map_or(Millis::new(i64::MAX), |end| end.at),
                number.as_ref().map_or(AFTER_ALL, NoticeNumber::as_str),
            );
            // One more than the page, to know whether another follows.
            let count = i64::try_from(size).unwrap_or(1).saturating_add(1);
            let mut rows = tx.paid_items(&who.creditor, who.guardian, before, count).await?;
            let more = rows.len() > size;
            rows.truncate(size);
            let next = rows.last().filter(|_| more).map(|row| PaidEnd { at: row.settled_at_ms, number: row.number });
            let mut items = Vec::with_capacity(rows.len());
            for row in rows {
                items.push(view(tx, who, row).await?);
            }
            Ok(Ok(PaidPage { items, next, as_of: now }))
        })
    });
    answer.await?.map_err(Stop::Refused)
}

async fn view(tx: &mut Tx, who: Identity, row: PaidItemRow) -> Result<PaidView, StoreError> {
    let own = row.is_of(who.guardian);
    let (mut children, mut services): (Vec<_>, Vec<_>) = (row.child.into_iter().collect(), Vec::new());
    services.extend(row.service);
    if let Some(bill) = row.bill {
        for line in tx.paid_lines(&who.creditor, who.guardian, bill).await? {
            if !children.contains(&line.child) {
                children.push(line.child);
            }
            if !services.contains(&line.service) {
                services.push(line.service);
            }
        }
    }
    Ok(PaidView {
        amount: row.amount_cents,
        at: row.settled_at_ms,
        services,
        children,
        top_up: row.top_up.filter(|_| own && row.bill.is_none()).map(TopUpId::from),
        bill: row.bill.map(BillId::from),
        bill_number: row.bill_number.unwrap_or_default(),
        period: row.period.unwrap_or_default(),
        of_co_guardian: row.bill.is_none() && !own,
        // That somebody else paid twice is theirs to know.
        paid_twice: row.paid_twice_at_ms.is_some() && (own || row.bill.is_some()),
        at_counter: row.counter > 0,
    })
}
