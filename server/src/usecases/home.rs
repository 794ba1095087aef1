//! The home screen in one call and three statements, the portal's front page with what the office tells besides, and movements by page.

use borsellino_domain::id::WalletId;
use borsellino_domain::language::Language;
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::service::{ServiceKind, covers};
use borsellino_domain::time::{Millis, SchoolYear};
use borsellino_domain::top_up::PAYMENT_TOKEN_MILLIS;
use borsellino_store::rows::{DueRow, HomeRow, MovementRow};
use borsellino_store::{StoreError, Tx};
use jiff::civil::Date;
use uuid::Uuid;

use super::content::{Board, told};
use super::recovery::under_way;
use super::sessions::{SessionRefusal, standing};
use super::views::{BillView, ChildView, ChoicesView, HomeView, MovementView, PaymentView, WalletView};
use super::{App, Fault, Stop};
use crate::auth::token::Identity;

/// How many movements home shows.
const LAST_MOVEMENTS: i64 = 5;

/// The largest page of movements.
pub const MAX_PAGE: u32 = 100;

/// The home screen of `who`.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn home(app: &App, who: Identity) -> Result<HomeView, Stop<SessionRefusal>> {
    let now = app.now();
    let school_year = school_year(today(now)?);
    let rows = app.store.read(move |tx| Box::pin(async move { rows(tx, who, now, school_year).await })).await?;
    view(who, rows, now)
}

/// The portal's front page.
#[derive(Clone, Debug)]
pub struct FrontView {
    /// The home screen.
    pub home: HomeView,
    /// What the office tells.
    pub board: Board,
    /// A recovery of this account is under way somewhere.
    pub recovering: bool,
}

/// The front page of the portal for `who`, in one read. The session is asked for once, by the home screen's own statement; a pass ends
/// before a session that nobody used does.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn front(app: &App, who: Identity, language: Language) -> Result<FrontView, Stop<SessionRefusal>> {
    let now = app.now();
    let today = today(now)?;
    let (rows, board, recovering) = app
        .store
        .read(move |tx| {
            Box::pin(async move {
                let rows = rows(tx, who, now, school_year(today)).await?;
                let board = told(tx, who, (language, &today.to_string())).await?;
                Ok((rows, board, under_way(tx, who, now).await?))
            })
        })
        .await?;
    Ok(FrontView { home: view(who, rows, now)?, board, recovering })
}

fn today(now: Millis) -> Result<Date, Fault> {
    now.day_in_italy().ok_or(Fault::BadData("the clock is outside the calendar"))
}

fn school_year(today: Date) -> i64 {
    i64::from(SchoolYear::of(today).begins())
}

/// What the home screen is made of.
type Rows = (Vec<HomeRow>, Vec<DueRow>, Vec<MovementRow>);

async fn rows(tx: &mut Tx, who: Identity, now: Millis, school_year: i64) -> Result<Rows, StoreError> {
    // The feed's number is read first: what changes later is in the feed after it.
    let rows = tx.home(&who.creditor, (who.guardian, who.session), now, school_year).await?;
    let still_held = now.plus(-PAYMENT_TOKEN_MILLIS);
    let dues = tx.dues(&who.creditor, who.guardian, still_held).await?;
    let movements = tx.last_movements(&who.creditor, who.guardian.uuid(), LAST_MOVEMENTS).await?;
    Ok((rows, dues, movements))
}

fn view(who: Identity, (rows, dues, movements): Rows, now: Millis) -> Result<HomeView, Stop<SessionRefusal>> {
    let first = rows.first().ok_or(Stop::Refused(SessionRefusal::Ended))?;
    if first.ended_at_ms.is_some() || first.disabled_at_ms.is_some() {
        return Err(Stop::Refused(if first.wipe == 1 { SessionRefusal::Wiped } else { SessionRefusal::Ended }));
    }
    let feed_seq = first.feed_seq;
    let guardian_name = first.full_name.clone();
    let bills = BillView::gather(who.creditor, &dues, now)?;
    let total_due = total_due(&bills)?;
    Ok(HomeView {
        as_of: now,
        feed_seq,
        guardian: who.guardian,
        guardian_name,
        children: children(rows)?,
        payments: payments(who, &dues, now),
        bills,
        movements: movements.into_iter().map(MovementView::from).collect(),
        total_due,
    })
}

fn total_due(bills: &[BillView]) -> Result<Cents, Fault> {
    let residuals = bills.iter().filter_map(|bill| bill.state.residual());
    residuals
        .into_iter()
        .try_fold(Cents::ZERO, |sum, residual| sum.plus(residual.as_cents()))
        .map_err(|_| Fault::BadData("the sum of the bills"))
}

fn payments(who: Identity, dues: &[DueRow], now: Millis) -> Vec<PaymentView> {
    let mut payments: Vec<PaymentView> =
        dues.iter().filter_map(|row| PaymentView::from_due(who.creditor, row, now)).collect();
    // What expired and may no longer be concluded has nothing left to say on the home screen.
    payments.retain(|payment| payment.state != borsellino_domain::top_up::PaymentState::Expired);
    payments.sort_by_key(|payment| std::cmp::Reverse((payment.created_at, payment.id)));
    payments
}

fn children(rows: Vec<HomeRow>) -> Result<Vec<ChildView>, Fault> {
    let mut children: Vec<ChildView> = Vec::new();
    for row in rows {
        let Some(id) = row.child else { continue };
        if children.last().is_none_or(|child| child.id != id.into()) {
            let (given_name, class_name, school) = (row.given_name.clone(), row.class_name.clone(), row.school.clone());
            children.push(ChildView {
                id: id.into(),
                given_name: given_name.unwrap_or_default(),
                class_name: class_name.unwrap_or_default(),
                school: school.unwrap_or_default(),
                wallets: Vec::new(),
            });
        }
        let wallet = wallet(row)?;
        if let Some(child) = children.last_mut() {
            child.wallets.extend(wallet);
        }
    }
    Ok(children)
}

fn wallet(row: HomeRow) -> Result<Option<WalletView>, Fault> {
    let Some(id) = row.wallet else { return Ok(None) };
    let bad = |what| move || Fault::BadData(what);
    let kind = row.kind.and_then(|code| ServiceKind::try_from(code).ok()).ok_or_else(bad("a service's kind"))?;
    let limit = |cents: Option<i64>| cents.and_then(|cents| Amount::from_cents(cents).ok());
    let min = limit(row.min_cents).ok_or_else(bad("a service's smallest top-up"))?;
    let max = limit(row.max_cents).ok_or_else(bad("a service's largest top-up"))?;
    let wallet_max = limit(row.wallet_max_cents).ok_or_else(bad("a service's wallet maximum"))?;
    let balance = Cents::new(row.balance_cents.ok_or_else(bad("a wallet without an account"))?);
    let room = wallet_max.as_cents().minus(balance).and_then(|room| room.minus(Cents::new(row.open_cents)));
    let room = room.map_err(|_| Fault::BadData("a wallet's balance"))?;
    let max = Amount::from_cents(room.get().min(max.cents())).ok().filter(|max| *max >= min);
    let presets: Vec<Amount> = row
        .presets
        .unwrap_or_default()
        .split(',')
        .filter_map(|cents| cents.parse::<i64>().ok().and_then(|cents| Amount::from_cents(cents).ok()))
        .filter(|preset| max.is_some_and(|max| *preset <= max))
        .collect();
    let unit_price = limit(row.unit_price_cents);
    let low_mark = Cents::new(row.low_mark_cents.unwrap_or_default());
    Ok(Some(WalletView {
        id: id.into(),
        kind,
        service_name: row.service_name.unwrap_or_default(),
        balance,
        seq: row.seq.unwrap_or_default(),
        unit_price,
        covers: unit_price.map(|price| covers(balance, price)),
        low: balance < low_mark,
        open: row.closed_at_ms.is_none(),
        choices: ChoicesView { suggested: suggested(&presets, balance, low_mark), presets, min, max },
    }))
}

/// The smallest preset that lifts the balance over twice the low mark; the largest where none does.
fn suggested(presets: &[Amount], balance: Cents, low_mark: Cents) -> Option<Amount> {
    let enough = |preset: &&Amount| {
        let after = balance.get().saturating_add(preset.cents());
        after >= low_mark.get().saturating_mul(2)
    };
    presets.iter().find(enough).or(presets.last()).copied()
}

/// Where a page of movements ends, to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageEnd {
    /// The instant of the last one shown.
    pub at: Millis,
    /// Its number in its wallet.
    pub seq: i64,
    /// Its entry.
    pub entry: Uuid,
}

/// One page of movements, newest first.
#[derive(Clone, Debug)]
pub struct MovementPage {
    /// The movements.
    pub movements: Vec<MovementView>,
    /// Where to go on; `None` on the last page.
    pub next: Option<PageEnd>,
}

/// Why there are no movements to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovementsRefusal {
    /// The session does not go on.
    Session(SessionRefusal),
    /// No such wallet, or another family's.
    UnknownWallet,
}

/// Movements of one wallet, or of the whole family, older than `after`; `size` is held to 1..=[`MAX_PAGE`].
///
/// # Errors
/// [`MovementsRefusal`], or a [`Fault`].
pub async fn movements(
    app: &App,
    who: Identity,
    wallet: Option<WalletId>,
    after: Option<PageEnd>,
    size: u32,
) -> Result<MovementPage, Stop<MovementsRefusal>> {
    let now = app.now();
    let size = i64::from(size.clamp(1, MAX_PAGE));
    let answer = app
        .store
        .read(move |tx| {
            Box::pin(async move {
                let session = tx.session(&who.creditor, who.session).await?;
                if let Err(refusal) = standing(session.as_ref(), now) {
                    return Ok(Err(MovementsRefusal::Session(refusal)));
                }
                // One more than the page, to know whether another follows.
                let count = size + 1;
                let rows = match wallet {
                    Some(wallet) => {
                        if !tx.guardian_sees_wallet(&who.creditor, who.guardian, wallet).await? {
                            return Ok(Err(MovementsRefusal::UnknownWallet));
                        }
                        let before = after.map_or(i64::MAX, |end| end.seq);
                        tx.wallet_movements(&who.creditor, wallet.uuid(), before, count).await?
                    }
                    None => {
                        let before = after.map_or((i64::MAX, Uuid::max()), |end| (end.at.get(), end.entry));
                        tx.family_movements(&who.creditor, who.guardian.uuid(), before, count).await?
                    }
                };
                Ok(Ok(rows))
            })
        })
        .await?;
    let mut rows = answer.map_err(Stop::Refused)?;
    let size = usize::try_from(size).unwrap_or(1);
    let more = rows.len() > size;
    rows.truncate(size);
    let next =
        rows.last().filter(|_| more).map(|row: &MovementRow| PageEnd { at: row.at_ms, seq: row.seq, entry: row.entry });
    Ok(MovementPage { movements: rows.into_iter().map(MovementView::from).collect(), next })
}

/// One movement of a wallet of the caller's family, by its number there.
///
/// # Errors
/// See [`movements`].
pub async fn movement(
    app: &App,
    who: Identity,
    wallet: WalletId,
    seq: i64,
) -> Result<Option<MovementView>, Stop<MovementsRefusal>> {
    let end = PageEnd { at: app.now(), seq: seq.saturating_add(1), entry: Uuid::max() };
    let page = movements(app, who, Some(wallet), Some(end), 1).await?;
    Ok(page.movements.into_iter().next().filter(|movement| movement.seq == seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggestion_lifts_the_balance_well_over_the_low_mark() {
        let presets: Vec<Amount> = [1_000, 2_000, 5_000].map(|cents| Amount::from_cents(cents).unwrap()).into();
        let suggest = |balance| suggested(&presets, Cents::new(balance), Cents::new(1_000)).map(Amount::cents);
        assert_eq!(suggest(1_500), Some(1_000));
        assert_eq!(suggest(500), Some(2_000));
        assert_eq!(suggest(-60_000), Some(5_000));
        assert_eq!(suggested(&[], Cents::ZERO, Cents::ZERO), None);
    }
}
