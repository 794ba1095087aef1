//! A family as a whole: its children with both balances, the bills of a school year, and a search over everything it paid or may pay.

use borsellino_domain::bill::BillState;
use borsellino_domain::id::{BillId, ChildId, TopUpId};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::tax::divide;
use borsellino_domain::time::{Millis, SchoolYear};
use borsellino_domain::top_up::{NoticeState, PaymentState, payment_state};
use borsellino_store::rows::{ConsumerRow, PositionRow};
use jiff::civil::Date;

use super::home::home;
use super::sessions::{SessionRefusal, standing};
use super::views::{BillView, ChildView};
use super::{App, Fault, Stop};
use crate::auth::token::Identity;

/// How many rows a search looks through, the newest first.
pub const MOST_SEARCHED: i64 = 4_000;

/// A child with what is left, and what is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerView {
    /// The child with its wallets.
    pub child: ChildView,
    /// What all its wallets hold together.
    pub balance: Cents,
    /// What came into one of them last, and when.
    pub last_top_up: Option<(Amount, Millis)>,
    /// What is left to pay of bills, as far as it is this child's: never above zero.
    pub owed: Cents,
    /// The last bill that names the child: its share, and the ISO date it is or was due.
    pub last_bill: Option<(BillId, Cents, String)>,
    /// What the kitchen is told; empty where nothing was said.
    pub diet: String,
}

/// A family.
#[derive(Clone, Debug)]
pub struct FamilyView {
    /// When this was read.
    pub as_of: Millis,
    /// Its children.
    pub children: Vec<ConsumerView>,
}

/// The first day of the school year `years` after that of `now`, as an ISO date.
fn begins(now: Millis, years: i16) -> Result<String, Fault> {
    let today = now.day_in_italy().ok_or(Fault::BadData("the clock is outside the calendar"))?;
    Ok(first_day(SchoolYear::of(today).begins().saturating_add(years)))
}

fn first_day(year: i16) -> String {
    Date::new(year, 9, 1).map(|day| day.to_string()).unwrap_or_default()
}

/// The children of whoever asks. Of a bill for several, what is left is divided as a payment of it would be.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn family(app: &App, who: Identity) -> Result<FamilyView, Stop<SessionRefusal>> {
    let view = home(app, who).await?;
    let now = view.as_of;
    let (from, before) = (begins(now, -1)?, begins(now, 2)?);
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let rows = tx.consumers(&who.creditor, who.guardian).await?;
            Ok((rows, tx.family_bills(&who.creditor, who.guardian, (&from, &before)).await?))
        })
    });
    let (rows, dues) = read.await?;
    // What is owed is on the home screen, however old; the last bill may be paid.
    let recent = BillView::gather(who.creditor, &dues, now)?;
    let children = view.children.into_iter().map(|child| consumer(child, &rows, &view.bills, &recent));
    Ok(FamilyView { as_of: now, children: children.collect::<Result<_, Fault>>()? })
}

fn consumer(
    child: ChildView,
    rows: &[ConsumerRow],
    due: &[BillView],
    recent: &[BillView],
) -> Result<ConsumerView, Fault> {
    let sum = |mut cents: Box<dyn Iterator<Item = Cents> + '_>| {
        cents
            .try_fold(Cents::ZERO, |sum, cents| sum.plus(cents))
            .map_err(|_| Fault::BadData("the sum of a family's balances"))
    };
    let own = rows.iter().filter(|row| row.child == child.id);
    let last_top_up = own.clone().filter_map(ConsumerRow::last).max_by_key(|(_, _, at)| *at);
    let last_bill = recent.iter().find(|bill| bill.lines.iter().any(|line| line.child == child.id));
    Ok(ConsumerView {
        balance: sum(Box::new(child.wallets.iter().map(|wallet| wallet.balance)))?,
        last_top_up: last_top_up.map(|(_, amount, at)| (amount, at)),
        owed: Cents::ZERO
            .minus(sum(Box::new(due.iter().map(|bill| share(bill, child.id, left(bill)))))?)
            .map_err(|_| Fault::BadData("what a family owes"))?,
        last_bill: last_bill
            .map(|bill| (bill.id, share(bill, child.id, bill.total.as_cents()), bill.first_due.clone())),
        diet: own.clone().find_map(|row| row.diet.clone()).unwrap_or_default(),
        child,
    })
}

fn left(bill: &BillView) -> Cents {
    bill.state.residual().map_or(Cents::ZERO, Amount::as_cents)
}

/// What of an amount of a bill is for one child. Lines of children whom the guardian does not see count as one of nobody.
fn share(bill: &BillView, child: ChildId, amount: Cents) -> Cents {
    let mut lines: Vec<Cents> = bill.lines.iter().map(|line| line.cents).collect();
    let seen = lines.iter().try_fold(Cents::ZERO, |sum, cents| sum.plus(*cents));
    lines.push(seen.and_then(|seen| bill.total.as_cents().minus(seen)).unwrap_or(Cents::ZERO).max(Cents::ZERO));
    let shares = divide(amount, &lines);
    let own = bill.lines.iter().zip(shares).filter(|(line, _)| line.child == child);
    own.fold(Cents::ZERO, |sum, (_, share)| sum.plus(share).unwrap_or(sum))
}

/// What of a bill has been paid: nothing of what the creditor no longer asks for, and no surplus.
pub fn paid_of(bill: &BillView) -> Cents {
    let asked = bill.total.as_cents().minus(bill.withdrawn).unwrap_or(Cents::ZERO);
    match bill.state {
        BillState::Open { .. } => Cents::ZERO,
        BillState::PartPaid { residual } => asked.minus(residual.as_cents()).unwrap_or(Cents::ZERO),
        BillState::Paid | BillState::Overpaid { .. } => asked,
        BillState::Withdrawn { surplus } => asked.max(Cents::ZERO).plus(surplus).unwrap_or(asked),
    }
}

/// The bills of a school year, which is that of the day a bill, or its first instalment, is due; the latest first.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn bills_of_year(app: &App, who: Identity, year: i16) -> Result<Vec<BillView>, Stop<SessionRefusal>> {
    let now = app.now();
    let (from, before) = (first_day(year), first_day(year.saturating_add(1)));
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            Ok(Ok(tx.family_bills(&who.creditor, who.guardian, (&from, &before)).await?))
        })
    });
    let rows = read.await?.map_err(Stop::Refused)?;
    Ok(BillView::gather(who.creditor, &rows, now)?)
}

/// A notice of the family, paid or to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionView {
    /// Its number.
    pub number: NoticeNumber,
    /// What it was made for.
    pub amount: Amount,
    /// How it stands.
    pub state: PaymentState,
    /// When it was made.
    pub created_at: Millis,
    /// When it stops being payable.
    pub expires_at: Option<Millis>,
    /// When it was settled.
    pub settled_at: Option<Millis>,
    /// ISO date.
    pub due_date: String,
    /// A second payment was put aside.
    pub paid_twice: bool,
    /// A top-up of this guardian.
    pub top_up: Option<TopUpId>,
    /// A bill of the family: its id, number and period.
    pub bill: Option<(BillId, String, String)>,
    /// For whom: first names.
    pub children: Vec<String>,
    /// For what.
    pub services: Vec<String>,
}

/// Whatever a guardian paid or may pay, and what others paid for their children; the newest first.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn positions(app: &App, who: Identity) -> Result<Vec<PositionView>, Stop<SessionRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            Ok(Ok(tx.positions(&who.creditor, who.guardian, MOST_SEARCHED).await?))
        })
    });
    let mut views: Vec<PositionView> = Vec::new();
    for row in read.await?.map_err(Stop::Refused)? {
        match views.last_mut().filter(|last| last.number == row.number) {
            Some(last) => {
                once(&mut last.children, row.child);
                once(&mut last.services, row.service);
            }
            None => views.push(position(who, row, now)),
        }
    }
    Ok(views)
}

fn once(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}

fn position(who: Identity, row: PositionRow, now: Millis) -> PositionView {
    let own = row.is_of(who.guardian);
    let expires_at = row.expires_at_ms.map(Millis::new);
    let state = payment_state(row.state, expires_at, row.page_opened_at_ms.map(Millis::new), now);
    // That somebody else paid twice is theirs to know.
    let paid_twice = row.paid_twice_at_ms.is_some() && (own || row.bill.is_some());
    PositionView {
        number: row.number,
        amount: row.amount_cents,
        state,
        created_at: row.created_at_ms,
        expires_at: expires_at.filter(|_| row.state == NoticeState::Open),
        settled_at: row.settled_at_ms.map(Millis::new),
        due_date: row.due_date,
        paid_twice,
        top_up: row.top_up.filter(|_| own && row.bill.is_none()).map(TopUpId::from),
        bill: row
            .bill
            .map(|id| (BillId::from(id), row.bill_number.unwrap_or_default(), row.period.unwrap_or_default())),
        children: vec![row.child],
        services: vec![row.service],
    }
}

/// Whether a text holds every word that was looked for. Capitals and accents don't matter; a number may be typed in groups, an
/// amount with a point or a comma.
pub fn holds(text: &str, sought: &str) -> bool {
    let text = folded(text);
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let digits: String = sought.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() >= 4 && digits.chars().all(|c| c.is_ascii_digit()) {
        return bare.contains(&digits);
    }
    let mut words = sought.split_whitespace().map(folded).filter(|word| word != "€").peekable();
    words.peek().is_some() && words.all(|word| text.contains(word.trim_matches('€')))
}

/// In small letters, without accents, points of amounts as commas.
fn folded(text: &str) -> String {
    let plain = |c: char| match c {
        'à' | 'á' | 'â' | 'ä' => 'a',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ò' | 'ó' | 'ô' | 'ö' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        '.' => ',',
        c => c,
    };
    text.chars().flat_map(char::to_lowercase).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_found_however_it_is_typed() {
        let text = "Ricarica Mensa scolastica Giulia 1.234,56 € 12 novembre 12/11/2026 301234567890123456 perché";
        for sought in [
            "giulia", "GIULIA mensa", "1234 5678", "301234567890123456", "1.234,56", "12/11/2026", "12 novembre",
            "perche", "34.56 €",
        ] {
            assert!(holds(text, sought), "{sought}");
        }
        for sought in ["luca", "giulia luca", "999999", "", "   ", "€", "13/11/2026"] {
            assert!(!holds(text, sought), "{sought:?}");
        }
    }
}
