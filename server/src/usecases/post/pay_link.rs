//! The link under which a notice is paid without signing in.
//!
//! Its token is made of the letter's id with the server's key, 128 bits of it: a letter that is sent again holds the same one,
//! and the database knows its digest alone. It stands behind the `#` of the address, so that no browser sends it anywhere but in
//! the body of the page's own call. An unknown link, one that was taken back and one whose notice is gone get one and the same
//! answer; what a link shows names nobody.

use std::net::IpAddr;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::ledger::Hash;
use borsellino_domain::money::Amount;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::{NoticeState, PAYMENT_TOKEN_MILLIS};
use borsellino_store::rows::{NewPayLink, NoticeRow};
use borsellino_store::{StoreError, Tx};
use data_encoding::BASE64URL_NOPAD;
use uuid::Uuid;

use super::letters::digest as digest_apart;
use crate::auth::keys::Keys;
use crate::auth::token::Identity;
use crate::usecases::carts::{Found, is_theirs, payable};
use crate::usecases::pay::open_page;
use crate::usecases::sessions::{SessionRefusal, Tries, address_key, standing};
use crate::usecases::{App, Fault, Stop};

/// How long a link goes on after its notice's end, to say what became of it, in milliseconds: a month.
const GRACE_MILLIS: i64 = 30 * 24 * 3_600_000;

/// How long a token is, in bytes.
const TOKEN: usize = 16;

/// What tokens are made for.
const PURPOSE: &str = "pay-link.token";

fn token(keys: &Keys, letter: Uuid) -> [u8; TOKEN] {
    let Hash(whole) = keys.digest(PURPOSE, letter.as_bytes());
    let mut token = [0; TOKEN];
    token.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    token
}

fn known_by(creditor: CreditorCode, token: &[u8]) -> Hash {
    digest_apart(b"borsellino.pay-link.v1", &[creditor.as_str().as_bytes(), token])
}

/// What the database knows of a letter's link.
pub(super) fn digest(keys: &Keys, creditor: CreditorCode, letter: Uuid) -> Hash {
    known_by(creditor, &token(keys, letter))
}

/// The same, for whoever has an [`App`].
pub(super) fn digest_of(app: &App, creditor: CreditorCode, letter: Uuid) -> Hash {
    digest(&app.keys, creditor, letter)
}

/// The address of a letter's link.
pub(super) fn address(app: &App, creditor: CreditorCode, letter: Uuid) -> String {
    let token = BASE64URL_NOPAD.encode(&token(&app.keys, letter));
    format!("{}/paga#{creditor}.{token}", app.public_url)
}

/// How long a link is good where its notice has no end, in days.
pub(super) const LINK_DAYS: i64 = 60;

/// A link that is good, as whoever made it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLink {
    /// Names it, to take it back.
    pub id: Uuid,
    /// Since when.
    pub created_at: Millis,
    /// Where it leads; `None` for one that went out in a letter: only whoever got that has it.
    pub address: Option<String>,
}

/// Why no link is made, shown or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnLinkRefusal {
    /// The session does not go on.
    Session(SessionRefusal),
    /// Nobody's notice, or another family's.
    UnknownNotice,
    /// Paid, expired or withdrawn.
    NotPayable,
}

/// The links to a notice that a guardian made, the newest first.
///
/// # Errors
/// [`OwnLinkRefusal::Session`], or a [`Fault`].
pub async fn links(app: &App, who: Identity, notice: NoticeNumber) -> Result<Vec<OwnLink>, Stop<OwnLinkRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(OwnLinkRefusal::Session(refusal)));
            }
            Ok(Ok(tx.pay_links(&who.creditor, (notice.as_str(), who.guardian), now).await?))
        })
    });
    let rows = read.await?.map_err(Stop::Refused)?;
    let own = rows.into_iter().map(|row| OwnLink {
        id: row.id,
        created_at: row.created_at_ms,
        address: (row.made_by == PAGE).then(|| address(app, who.creditor, row.id)),
    });
    Ok(own.collect())
}

/// What a link that was made on a page is marked with.
const PAGE: &str = "page";

/// Makes a link to a notice; where there is one already that was made like that, that one stays.
///
/// # Errors
/// [`OwnLinkRefusal`], or a [`Fault`].
pub async fn make(app: &App, who: Identity, notice: NoticeNumber) -> Result<(), Stop<OwnLinkRefusal>> {
    let (now, id): (Millis, Uuid) = (app.now(), app.new_id()?);
    let digest = digest_of(app, who.creditor, id);
    let creditor = who.creditor;
    let written = app.store.write("make a pay link", move |tx| {
        Box::pin(async move {
            let session = tx.session(&creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(OwnLinkRefusal::Session(refusal)));
            }
            // Two at once are one.
            tx.hold_guardian(&creditor, who.guardian).await?;
            if !is_theirs(tx, who, notice).await? {
                return Ok(Err(OwnLinkRefusal::UnknownNotice));
            }
            let Some(found) = payable(tx, creditor, notice, now).await? else {
                return Ok(Err(OwnLinkRefusal::NotPayable));
            };
            let known = tx.pay_links(&creditor, (notice.as_str(), who.guardian), now).await?;
            if known.iter().any(|link| link.made_by == PAGE) {
                return Ok(Ok(()));
            }
            let link = NewPayLink {
                digest,
                notice: notice.as_str().to_owned(),
                created_at: now,
                expires_at: Some(found.wanted.notice.expires_at.unwrap_or(now.plus_days(LINK_DAYS))),
                id,
                guardian: who.guardian,
                made_by: PAGE,
            };
            tx.insert_pay_link(&creditor, &link).await?;
            Ok(Ok(()))
        })
    });
    written.await?.map_err(Stop::Refused)
}

/// Takes a link back: from now on it is as if there had never been one. Twice is no fault.
///
/// # Errors
/// [`OwnLinkRefusal::Session`], or a [`Fault`].
pub async fn take_back(
    app: &App,
    who: Identity,
    (notice, link): (NoticeNumber, Uuid),
) -> Result<(), Stop<OwnLinkRefusal>> {
    let now = app.now();
    let digest = digest_of(app, who.creditor, link);
    let written = app.store.write("take a pay link back", move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(OwnLinkRefusal::Session(refusal)));
            }
            let own = tx.pay_links(&who.creditor, (notice.as_str(), who.guardian), now).await?;
            if own.iter().any(|its| its.id == link) {
                tx.revoke_pay_link(&who.creditor, digest, now).await?;
            }
            Ok(Ok(()))
        })
    });
    written.await?.map_err(Stop::Refused)
}

/// Why a link shows or opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRefusal {
    /// Nobody made it, it was taken back, or its notice is gone.
    Unknown,
    /// Too many tries: wait this many milliseconds.
    TryLater(i64),
    /// Paid, expired or withdrawn: [`look`] says which.
    NotPayable,
    /// Somebody pays it just now, together with others; may still be paid until then.
    InProgress {
        /// Until when.
        until: Millis,
    },
}

/// How what a link is for stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Payable.
    Open {
        /// What it costs now.
        amount: Amount,
    },
    /// Payable, and a page is open for it until then.
    InProgress {
        /// What it costs now.
        amount: Amount,
        /// Until when.
        until: Millis,
    },
    /// Paid, or nothing is left to pay.
    Paid,
    /// The creditor no longer asks for it.
    Cancelled,
    /// Its time is over.
    Expired,
}

/// What a link shows: nobody's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// The creditor's name.
    pub town: String,
    /// Its code.
    pub creditor: CreditorCode,
    /// Its interbank code; may be empty.
    pub cbill: String,
    /// Whom to call; may be empty.
    pub help_phone: String,
    /// The notice.
    pub number: NoticeNumber,
    /// What for; names no child.
    pub reason: String,
    /// ISO date.
    pub due_date: String,
    /// How it stands.
    pub state: LinkState,
}

/// A link as somebody brings it: whose, and the digest of its token.
fn read(app: &App, text: &str) -> Option<(CreditorCode, Hash)> {
    let (code, token) = text.split_once('.').filter(|_| text.len() <= 64)?;
    let creditor = app.directory.listing().creditor(code).map(|row| row.fiscal_code)?;
    let token = BASE64URL_NOPAD.decode(token.as_bytes()).ok().filter(|token| token.len() == TOKEN)?;
    Some((creditor, known_by(creditor, &token)))
}

/// The notice of a link that is good. A try is counted before the link is looked at, and taken back where it was right: it is
/// guesses that wait.
async fn follow(
    app: &App,
    text: &str,
    address: Option<IpAddr>,
) -> Result<(CreditorCode, NoticeNumber), Stop<LinkRefusal>> {
    let (creditor, digest) = read(app, text).ok_or(Stop::Refused(LinkRefusal::Unknown))?;
    let (now, key) = (app.now(), address.map(address_key));
    let followed = app.store.write::<_, (), _>("follow a link", move |tx| {
        Box::pin(async move {
            if let Some(wait) = Tries::from_address(key).count(tx, &creditor, now).await? {
                return Ok(Ok(Err(LinkRefusal::TryLater(wait))));
            }
            let Some(notice) = good(tx, creditor, digest, now).await? else { return Ok(Ok(Err(LinkRefusal::Unknown))) };
            if let Some(key) = key {
                tx.uncount_sign_in(&creditor, key).await?;
            }
            Ok(Ok(Ok(notice)))
        })
    });
    let notice = followed.await?.unwrap_or(Err(LinkRefusal::Unknown)).map_err(Stop::Refused)?;
    Ok((creditor, notice))
}

async fn good(
    tx: &mut Tx,
    creditor: CreditorCode,
    digest: Hash,
    now: Millis,
) -> Result<Option<NoticeNumber>, StoreError> {
    let ended = |at: Option<i64>| at.is_some_and(|at| Millis::new(at).plus(GRACE_MILLIS) <= now);
    let link = tx.pay_link(&creditor, digest).await?;
    let link = link.filter(|link| link.revoked_at_ms.is_none() && !ended(link.expires_at_ms));
    Ok(link.and_then(|link| NoticeNumber::parse(&link.notice).ok()))
}

/// What a link is for, and how it stands.
///
/// # Errors
/// [`LinkRefusal::Unknown`] or [`LinkRefusal::TryLater`], or a [`Fault`].
pub async fn look(app: &App, text: &str, address: Option<IpAddr>) -> Result<LinkView, Stop<LinkRefusal>> {
    let (creditor, number) = follow(app, text, address).await?;
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let Some(row) = tx.notice(&creditor, number.as_str()).await? else { return Ok(None) };
            Ok(Some((row, payable(tx, creditor, number, now).await?)))
        })
    });
    let (row, found) = read.await?.ok_or(Stop::Refused(LinkRefusal::Unknown))?;
    let listing = app.directory.listing();
    let town = listing.creditor(creditor.as_str()).ok_or(Fault::BadData("a link of a creditor we don't have"))?;
    Ok(LinkView {
        town: town.name.clone(),
        creditor,
        cbill: town.cbill.clone(),
        help_phone: town.help_phone.clone(),
        number,
        state: state(&row, found.as_ref(), now),
        reason: row.reason,
        due_date: row.due_date,
    })
}

/// How a notice stands for whoever may only pay it.
pub(in crate::usecases) fn state(row: &NoticeRow, found: Option<&Found>, now: Millis) -> LinkState {
    match found {
        Some(found) => {
            let amount = found.wanted.notice.amount;
            match &found.page {
                Some(page) => LinkState::InProgress { amount, until: page.opened_at_ms.plus(PAYMENT_TOKEN_MILLIS) },
                None => LinkState::Open { amount },
            }
        }
        None => match row.state.at(row.expires_at_ms.map(Millis::new), now) {
            NoticeState::Cancelled => LinkState::Cancelled,
            NoticeState::Expired => LinkState::Expired,
            NoticeState::Open | NoticeState::Paid => LinkState::Paid,
        },
    }
}

/// Opens a page of Checkout for what a link is for, or goes back to the one that is open for it alone; `None` where none could
/// be had: the notice can be paid all the same, at any PSP.
///
/// # Errors
/// [`LinkRefusal`], or a [`Fault`].
pub async fn open(app: &App, text: &str, address: Option<IpAddr>) -> Result<Option<String>, Stop<LinkRefusal>> {
    let (creditor, number) = follow(app, text, address).await?;
    page(app, creditor, number).await
}

/// The same, for a notice that whoever asks is known to hold.
///
/// # Errors
/// [`LinkRefusal::NotPayable`] or [`LinkRefusal::InProgress`], or a [`Fault`].
pub(in crate::usecases) async fn page(
    app: &App,
    creditor: CreditorCode,
    number: NoticeNumber,
) -> Result<Option<String>, Stop<LinkRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| Box::pin(async move { payable(tx, creditor, number, now).await }));
    let found = read.await?.ok_or(Stop::Refused(LinkRefusal::NotPayable))?;
    if let Some(page) = found.page {
        // As for carts: two pages for one notice would be two payments to choose from.
        return match page.notices {
            1 => Ok(Some(page.url)),
            _ => Err(Stop::Refused(LinkRefusal::InProgress { until: page.opened_at_ms.plus(PAYMENT_TOKEN_MILLIS) })),
        };
    }
    let listing = app.directory.listing();
    let town = listing.creditor(creditor.as_str()).ok_or(Fault::BadData("a link of a creditor we don't have"))?;
    Ok(open_page(app, town, vec![found.wanted]).await.map(|(url, _)| url))
}
