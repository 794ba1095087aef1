//! The tap: a top-up, or an open bill, on its way to pagoPA.
//!
//! One transaction keeps {top-up, notice, feed, outbox}; only after its commit is Checkout asked for a page, and only a
//! page that was had is kept. With Checkout down the top-up stands all the same: its notice can be paid at any PSP.

use borsellino_domain::asked::Asked;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{BillId, CartId, OutboxId, TopUpId};
use borsellino_domain::ledger::Hash;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::service::TopUpRules;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::{
    PAYMENT_TOKEN_MILLIS, PayBy, PaymentState, TopUpDecision, TopUpOrder, TopUpRefusal, WalletFacts, decide,
};
use borsellino_pagopa::checkout::{Cart, CartNotice, CartNotices, ReturnUrls, Url};
use borsellino_pagopa::node::{Code, Digits11, NoticeNumber18, PositiveCents, Text};
use borsellino_store::rows::{CreditorRow, NewCart, NewNotice, NewTopUp, TopUpRow, WalletFactsRow};
use borsellino_store::{StoreError, Tx};
use uuid::Uuid;

use super::sessions::{SessionRefusal, standing};
use super::sync::{Claim, judge};
use super::views::{BillView, NoticeView, PaymentView};
use super::{App, Fault, Stop};
use crate::auth::token::Identity;
use crate::clock::{NoRandomness, random};

/// How many numbers are drawn at once; a number already taken (one in 10^13 per issued notice) is drawn again.
pub(super) const DRAWS: usize = 4;

/// Numbers for a notice of `creditor`.
pub(super) fn draw(creditor: &CreditorRow) -> Result<[NoticeNumber; DRAWS], NoRandomness> {
    let mut numbers = [NoticeNumber::issue(creditor.segregation_code, random()?); DRAWS];
    for number in &mut numbers[1..] {
        *number = NoticeNumber::issue(creditor.segregation_code, random()?);
    }
    Ok(numbers)
}

/// Keeps a notice under the first of the numbers that is free; answers which.
pub(super) async fn insert_notice(
    tx: &mut Tx,
    creditor: &CreditorCode,
    mut notice: NewNotice,
    numbers: &[NoticeNumber],
) -> Result<NoticeNumber, StoreError> {
    for number in numbers {
        notice.number = *number;
        if tx.insert_notice(creditor, &notice).await? {
            return Ok(*number);
        }
    }
    Err(StoreError::Conflict)
}

/// Why nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayRefusal {
    /// The session does not go on.
    Session(SessionRefusal),
    /// A rule of top-ups.
    TopUp(TopUpRefusal),
    /// No such top-up, or another guardian's.
    UnknownTopUp,
    /// No such bill, or another family's.
    UnknownBill,
    /// Nothing left to pay.
    BillSettled,
}

/// A top-up that stands.
#[derive(Clone, Debug)]
pub struct Started {
    /// How it stands.
    pub payment: PaymentView,
    /// It stood before: nothing was created.
    pub replayed: bool,
    /// A page was wanted and could not be had.
    pub checkout_unavailable: bool,
}

/// Starts a top-up, or finds the one that was started under the same id.
///
/// # Errors
/// [`PayRefusal`], or a [`Fault`]; after a fault the same order may be sent again.
pub async fn start_top_up(
    app: &App,
    who: Identity,
    order: TopUpOrder,
    claim: Option<Claim>,
) -> Result<Started, Stop<PayRefusal>> {
    let now = app.now();
    let asked = claim.map(|claim| judge(&app.keys, &who, &claim, now));
    let listing = app.directory.listing();
    let creditor =
        listing.creditor(who.creditor.as_str()).ok_or(Fault::BadData("a token of a creditor we don't have"))?;
    let (numbers, outbox) = (draw(creditor)?, app.new_id()?);
    let plan = Plan { who, order, asked, numbers, now, days: creditor.top_up_days, outbox };
    let outcome = app.store.write("start a top-up", move |tx| Box::pin(plan.run(tx))).await?;
    let (row, replayed, guardians) = outcome.map_err(Stop::Refused)?;
    app.live.wake(who.creditor, &guardians);

    let payment = PaymentView::new(who.creditor, &row, now);
    if order.pay_by == PayBy::Notice || !wants_page(&payment) {
        return Ok(Started { payment, replayed, checkout_unavailable: false });
    }
    let wanted = Wanted { bill: None, wallet: Some(payment.wallet.uuid()), notice: payment.notice.clone() };
    let Some((url, opened_at)) = open_page(app, creditor, vec![wanted]).await else {
        return Ok(Started { payment, replayed, checkout_unavailable: true });
    };
    let until = opened_at.plus(PAYMENT_TOKEN_MILLIS);
    let payment = PaymentView { state: PaymentState::InProgress { until }, page_url: Some(url), ..payment };
    Ok(Started { payment, replayed, checkout_unavailable: false })
}

/// A page is asked for only where none is live: a replay goes back to the page it has.
fn wants_page(payment: &PaymentView) -> bool {
    match payment.state {
        PaymentState::Payable | PaymentState::NotCompleted => true,
        PaymentState::InProgress { .. } => payment.page_url.is_none(),
        PaymentState::Paid | PaymentState::Expired | PaymentState::Cancelled => false,
    }
}

/// One order with everything drawn for it, so that it can be run again.
#[derive(Clone, Copy)]
struct Plan {
    who: Identity,
    order: TopUpOrder,
    asked: Option<Asked>,
    numbers: [NoticeNumber; DRAWS],
    now: Millis,
    days: i64,
    outbox: OutboxId,
}

type Kept = (TopUpRow, bool, Vec<Uuid>);

impl Plan {
    async fn run(self, tx: &mut Tx) -> Result<Result<Kept, PayRefusal>, StoreError> {
        let (who, order, now) = (self.who, self.order, self.now);
        let session = tx.session(&who.creditor, who.session).await?;
        if let Err(refusal) = standing(session.as_ref(), now) {
            return Ok(Err(PayRefusal::Session(refusal)));
        }
        // Held until the commit, so that two top-ups never both take the last free place.
        tx.hold_wallet(&who.creditor, order.wallet.uuid()).await?;
        let earlier = tx.top_up(&who.creditor, order.id).await?;
        let facts = tx.wallet_facts(&who.creditor, who.guardian, order.wallet, now).await?;
        // Another guardian's id is as used as one's own with other content, and says no more.
        let fingerprint = earlier.as_ref().map(|row| match row.guardian == who.guardian {
            true => row.fingerprint,
            false => Hash([0; 32]),
        });
        match (decide(&order, fingerprint, facts.as_ref().map(wallet_facts).as_ref()), earlier, facts) {
            (Ok(TopUpDecision::Replay), Some(row), _) => Ok(Ok((row, true, Vec::new()))),
            (Ok(TopUpDecision::Create), _, Some(facts)) => {
                let guardians = self.create(tx, &facts).await?;
                let row = tx.top_up(&who.creditor, order.id).await?;
                let row = row.ok_or(StoreError::Corrupt("a top-up just written is gone"))?;
                Ok(Ok((row, false, guardians)))
            }
            (Err(refusal), _, _) => Ok(Err(PayRefusal::TopUp(refusal))),
            (Ok(_), _, _) => Err(StoreError::Corrupt("a top-up without its wallet")),
        }
    }

    async fn create(self, tx: &mut Tx, facts: &WalletFactsRow) -> Result<Vec<Uuid>, StoreError> {
        let (who, order, now) = (self.who, self.order, self.now);
        // Payable to the end of the day that is printed on it.
        let outside = || StoreError::Corrupt("the clock is outside the calendar");
        let due_date = now.plus_days(self.days).day_in_italy().ok_or_else(outside)?;
        let expires_at = Millis::end_of_day_in_italy(due_date).ok_or_else(outside)?;
        let notice = NewNotice {
            number: self.numbers[0],
            wallet: Some(order.wallet),
            bill: None,
            instalment: None,
            amount: order.amount,
            reason: format!("Ricarica {}", facts.service_name),
            taxonomy: facts.taxonomy.clone(),
            debtor_code: facts.debtor_code.clone(),
            debtor_name: facts.debtor_name.clone(),
            due_date: due_date.to_string(),
            created_at: now,
            expires_at: Some(expires_at),
        };
        let number = insert_notice(tx, &who.creditor, notice, &self.numbers).await?;
        let top_up = NewTopUp {
            id: order.id,
            guardian: who.guardian,
            wallet: order.wallet,
            amount: order.amount,
            pay_by: order.pay_by,
            fingerprint: order.fingerprint(),
            notice: number,
            created_at: now,
            asked: self.asked,
        };
        tx.insert_top_up(&who.creditor, &top_up).await?;
        let number = number.as_str();
        let guardians = tx.number_wallet_change(&who.creditor, order.wallet.uuid()).await?;
        tx.feed_wallet_change(&who.creditor, order.wallet.uuid(), now, number).await?;
        // The platform's archive has to know every notice that is not paid on the spot (SANP 3.12.0, synchronous
        // integration): one for later at once, one for a page when the page's time is over.
        let wait = if order.pay_by == PayBy::Online { PAYMENT_TOKEN_MILLIS } else { 0 };
        tx.insert_outbox(&who.creditor, self.outbox, ("aca_position", number), now.plus(wait)).await?;
        Ok(guardians)
    }
}

/// The rules' view of a stored wallet.
pub(super) fn wallet_facts(row: &WalletFactsRow) -> WalletFacts {
    let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    WalletFacts {
        open: row.closed_at_ms.is_none(),
        balance: row.balance_cents,
        rules: TopUpRules {
            min: row.min_cents,
            max: row.max_cents,
            wallet_max: row.wallet_max_cents,
            max_open: count(row.max_open),
        },
        open_count: count(row.open_count),
        open_sum: row.open_cents,
    }
}

/// What a page is wanted for.
pub(super) struct Wanted {
    pub(super) wallet: Option<Uuid>,
    pub(super) bill: Option<Uuid>,
    pub(super) notice: NoticeView,
}

/// Asks Checkout for a page and keeps it; answers it and when it was opened, `None` where none could be had or kept. Goes on when the caller hangs up: a
/// page that was opened is known, and the next call goes back to it.
pub(super) async fn open_page(app: &App, creditor: &CreditorRow, wanted: Vec<Wanted>) -> Option<(String, Millis)> {
    let (app, creditor) = (app.clone(), creditor.clone());
    let page = tokio::spawn(async move {
        let (cart, id) = cart(&app, &creditor, &wanted).or_else(|| {
            tracing::error!(creditor = %creditor.fiscal_code, "no page can be asked for: is public.url an address?");
            None
        })?;
        ask_and_keep(&app, &creditor, wanted, cart, id).await
    });
    page.await.ok().flatten()
}

/// What Checkout is asked.
fn cart(app: &App, creditor: &CreditorRow, wanted: &[Wanted]) -> Option<(Cart, CartId)> {
    let id: CartId = app.new_id().ok()?;
    let page = |outcome: &str| Url::parse(&format!("{}/pagamento/{outcome}", app.public_url)).ok();
    let notice = |wanted: &Wanted| {
        Some(CartNotice {
            notice_number: NoticeNumber18::new(wanted.notice.number.as_str())?,
            fiscal_code: Digits11::new(creditor.fiscal_code.as_str())?,
            amount: PositiveCents::new(wanted.notice.amount.cents())?,
            company_name: Text::fit(&creditor.name)?,
            description: Text::fit(&wanted.notice.reason)?,
        })
    };
    let cart = Cart {
        id_cart: Code::new(&id.to_string())?,
        email_notice: None,
        notices: CartNotices::new(wanted.iter().map(notice).collect::<Option<_>>()?)?,
        return_urls: ReturnUrls {
            ok: page("ok")?,
            cancel: page("annullato")?,
            error: page("errore")?,
            waiting: page("attesa")?,
        },
        all_ccp: false,
    };
    Some((cart, id))
}

async fn ask_and_keep(
    app: &App,
    creditor: &CreditorRow,
    wanted: Vec<Wanted>,
    cart: Cart,
    id: CartId,
) -> Option<(String, Millis)> {
    let checkout = app.checkout.as_ref()?;
    let opened_at = app.now();
    let url = match checkout.open_cart(&cart).await {
        Ok(page) => page.url.to_string(),
        Err(error) => {
            tracing::warn!(%error, creditor = %creditor.fiscal_code, "no page from Checkout");
            return None;
        }
    };
    let (code, row) =
        (creditor.fiscal_code, NewCart { id, url: url.clone(), opened_at, notices: i64::try_from(wanted.len()).ok()? });
    let mut wanted: Vec<_> = wanted.iter().map(|one| (one.wallet, one.bill, one.notice.number)).collect();
    wanted.sort_by(|(.., one), (.., other)| one.as_str().cmp(other.as_str()));
    let kept = app.store.write::<Vec<Uuid>, (), _>("keep a page", move |tx| {
        let (row, wanted) = (row.clone(), wanted.clone());
        Box::pin(async move {
            tx.insert_cart(&code, &row).await?;
            // Every phone of the family learns that a payment is under way.
            let mut guardians = Vec::new();
            // Notices first and in order, guardians after: as everybody takes them.
            for (.., number) in &wanted {
                tx.set_cart(&code, number.as_str(), row.id.uuid()).await?;
            }
            for (wallet, bill, number) in wanted {
                if let Some(wallet) = wallet {
                    guardians.extend(tx.number_wallet_change(&code, wallet).await?);
                    tx.feed_wallet_change(&code, wallet, row.opened_at, number.as_str()).await?;
                } else if let Some(bill) = bill {
                    guardians.extend(tx.number_bill_change(&code, bill).await?);
                    tx.feed_bill_change(&code, bill, row.opened_at, number.as_str()).await?;
                }
            }
            Ok(Ok(guardians))
        })
    });
    match kept.await {
        Ok(guardians) => {
            app.live.wake(code, &guardians.unwrap_or_default());
            Some((url, opened_at))
        }
        Err(error) => {
            tracing::warn!(%error, "a page of Checkout could not be kept");
            None
        }
    }
}

/// How a top-up of the guardian stands.
///
/// # Errors
/// [`PayRefusal`], or a [`Fault`].
pub async fn top_up(app: &App, who: Identity, id: TopUpId) -> Result<PaymentView, Stop<PayRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(PayRefusal::Session(refusal)));
            }
            let row = tx.top_up(&who.creditor, id).await?.filter(|row| row.guardian == who.guardian);
            Ok(row.ok_or(PayRefusal::UnknownTopUp))
        })
    });
    let row = read.await?.map_err(Stop::Refused)?;
    Ok(PaymentView::new(who.creditor, &row, now))
}

/// How a bill of the family stands, paid or not.
///
/// # Errors
/// [`PayRefusal`], or a [`Fault`].
pub async fn bill(app: &App, who: Identity, id: BillId) -> Result<BillView, Stop<PayRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(PayRefusal::Session(refusal)));
            }
            Ok(Ok(tx.bill_due(&who.creditor, who.guardian, id.uuid()).await?))
        })
    });
    let rows = read.await?.map_err(Stop::Refused)?;
    BillView::gather(who.creditor, &rows, now)?.pop().ok_or(Stop::Refused(PayRefusal::UnknownBill))
}

/// A bill with its page, if one could be had.
#[derive(Clone, Debug)]
pub struct BillPage {
    /// The bill.
    pub bill: BillView,
    /// The page.
    pub page_url: Option<String>,
}

/// Opens a page for what is left of a bill.
///
/// # Errors
/// [`PayRefusal`], or a [`Fault`].
pub async fn pay_bill(app: &App, who: Identity, id: BillId) -> Result<BillPage, Stop<PayRefusal>> {
    let bill = bill(app, who, id).await?;
    let notice = bill.notice.clone().ok_or(Stop::Refused(PayRefusal::BillSettled))?;
    if matches!(bill.payment, PaymentState::Cancelled | PaymentState::Paid) {
        return Err(Stop::Refused(PayRefusal::BillSettled));
    }
    if bill.page_url.is_some() {
        return Ok(BillPage { page_url: bill.page_url.clone(), bill });
    }
    let listing = app.directory.listing();
    let creditor =
        listing.creditor(who.creditor.as_str()).ok_or(Fault::BadData("a token of a creditor we don't have"))?;
    let wanted = vec![Wanted { bill: Some(id.uuid()), wallet: None, notice }];
    let page = open_page(app, creditor, wanted).await;
    let until = |(_, opened_at): &(String, Millis)| opened_at.plus(PAYMENT_TOKEN_MILLIS);
    let payment = page.as_ref().map_or(bill.payment, |page| PaymentState::InProgress { until: until(page) });
    let page_url = page.map(|(url, _)| url);
    Ok(BillPage { bill: BillView { payment, page_url: page_url.clone(), ..bill }, page_url })
}
