//! Several notices of one creditor in one visit to pagoPA: one page, one fee. Top-ups and bills, of one child or of all.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::{NoticeState, PAYMENT_TOKEN_MILLIS};
use borsellino_store::rows::CartRow;
use borsellino_store::{StoreError, Tx};

use super::node::amount_due;
use super::pay::{Wanted, open_page};
use super::sessions::{SessionRefusal, standing};
use super::views::NoticeView;
use super::{App, Fault, Stop};
use crate::auth::token::Identity;

/// The most notices in one cart (Checkout's contract, `cart.json`).
pub const MAX_NOTICES: usize = 5;

/// Why no page is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CartRefusal {
    /// The session does not go on.
    Session(SessionRefusal),
    /// None, more than [`MAX_NOTICES`], or one of them twice.
    Size,
    /// One of them is nobody's, or another family's.
    UnknownNotice,
    /// One of them is paid, expired or withdrawn.
    NotPayable,
    /// A page is open for one of them, and may still be paid until then.
    InProgress {
        /// Until when.
        until: Millis,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartPage {
    /// The page; `None` where none could be had: each notice can be paid by itself.
    pub url: Option<String>,
    /// Until when pagoPA may hold the payment.
    pub until: Option<Millis>,
}

/// A notice that can be paid.
pub(super) struct Found {
    pub(super) wanted: Wanted,
    /// ISO date.
    pub(super) due_date: String,
    /// The page that is open for it.
    pub(super) page: Option<CartRow>,
}

/// Opens one page for all of these notices, or goes back to the page that is open for exactly them.
///
/// # Errors
/// [`CartRefusal`], or a [`Fault`].
pub async fn open_cart(app: &App, who: Identity, numbers: Vec<NoticeNumber>) -> Result<CartPage, Stop<CartRefusal>> {
    let mut sorted: Vec<&str> = numbers.iter().map(NoticeNumber::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != numbers.len() || !(1..=MAX_NOTICES).contains(&numbers.len()) {
        return Err(Stop::Refused(CartRefusal::Size));
    }
    let now = app.now();
    let read = app.store.read(move |tx| {
        let numbers = numbers.clone();
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(CartRefusal::Session(refusal)));
            }
            let mut found = Vec::with_capacity(numbers.len());
            for number in numbers {
                match find(tx, who, number, now).await? {
                    Ok(one) => found.push(one),
                    Err(refusal) => return Ok(Err(refusal)),
                }
            }
            Ok(Ok(found))
        })
    });
    let found = read.await?.map_err(Stop::Refused)?;
    let open: Vec<&CartRow> = found.iter().filter_map(|one| one.page.as_ref()).collect();
    if let Some(CartRow { url, opened_at_ms, notices }) = open.first() {
        let until = opened_at_ms.plus(PAYMENT_TOKEN_MILLIS);
        let whole = open.len() == found.len() && i64::try_from(found.len()) == Ok(*notices);
        let same = whole && open.iter().all(|other| other.url == *url);
        // Another cart, or more than these in it: two pages for one notice would be two payments to choose from.
        return match same {
            true => Ok(CartPage { url: Some(url.clone()), until: Some(until) }),
            false => Err(Stop::Refused(CartRefusal::InProgress { until })),
        };
    }
    let listing = app.directory.listing();
    let creditor =
        listing.creditor(who.creditor.as_str()).ok_or(Fault::BadData("a token of a creditor we don't have"))?;
    let page = open_page(app, creditor, found.into_iter().map(|one| one.wanted).collect()).await;
    let until = page.as_ref().map(|(_, opened_at)| opened_at.plus(PAYMENT_TOKEN_MILLIS));
    Ok(CartPage { url: page.map(|(url, _)| url), until })
}

/// How many notices the page asks for that is open for this one; `None` where none is open, or the notice is none of theirs.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn notices_on_page(
    app: &App,
    who: Identity,
    number: NoticeNumber,
) -> Result<Option<usize>, Stop<SessionRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            if !is_theirs(tx, who, number).await? {
                return Ok(Ok(None));
            }
            let page = tx.cart_of_notice(&who.creditor, number.as_str()).await?;
            Ok(Ok(page.filter(|page| now < page.opened_at_ms.plus(PAYMENT_TOKEN_MILLIS)).map(|page| page.notices)))
        })
    });
    let notices = read.await?.map_err(Stop::Refused)?;
    Ok(notices.and_then(|notices| usize::try_from(notices).ok()))
}

async fn find(
    tx: &mut Tx,
    who: Identity,
    number: NoticeNumber,
    now: Millis,
) -> Result<Result<Found, CartRefusal>, StoreError> {
    if !is_theirs(tx, who, number).await? {
        return Ok(Err(CartRefusal::UnknownNotice));
    }
    Ok(payable(tx, who.creditor, number, now).await?.ok_or(CartRefusal::NotPayable))
}

/// Whether a guardian may see and pay a notice: a top-up of theirs, or a bill for a child of theirs.
pub(super) async fn is_theirs(tx: &mut Tx, who: Identity, number: NoticeNumber) -> Result<bool, StoreError> {
    let creditor = who.creditor;
    let Some(row) = tx.notice(&creditor, number.as_str()).await? else { return Ok(false) };
    match row.bill {
        None => {
            let top_up = tx.top_up_of_notice(&creditor, number.as_str()).await?;
            Ok(top_up.is_some_and(|top_up| top_up.guardian == who.guardian))
        }
        Some(bill) => Ok(!tx.bill_due(&creditor, who.guardian, bill).await?.is_empty()),
    }
}

/// A notice that can be paid now, with the page that is open for it; `None` where it can't.
pub(super) async fn payable(
    tx: &mut Tx,
    creditor: CreditorCode,
    number: NoticeNumber,
    now: Millis,
) -> Result<Option<Found>, StoreError> {
    let Some(row) = tx.notice(&creditor, number.as_str()).await? else { return Ok(None) };
    let expires_at = row.expires_at_ms.map(Millis::new);
    let asked = amount_due(&row).map_err(|_| StoreError::Corrupt("a bill's balance"))?;
    let Some(amount) = asked.filter(|_| row.state.at(expires_at, now) == NoticeState::Open) else { return Ok(None) };
    let page = tx.cart_of_notice(&creditor, number.as_str()).await?;
    let page = page.filter(|page| now < page.opened_at_ms.plus(PAYMENT_TOKEN_MILLIS));
    let notice = NoticeView::new(creditor, number, amount, row.reason, row.expires_at_ms);
    let wanted = Wanted { wallet: row.wallet, bill: row.bill, notice };
    Ok(Some(Found { wanted, due_date: row.due_date, page }))
}
