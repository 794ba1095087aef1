//! Letters on their way: taken, written, settled.
//!
//! 1. [`claim`] takes letters for as long as a lease lasts and writes them, outside every transaction. Whoever dies with them
//!    leaves them to others.
//! 2. [`settle`] says what became of each. One that was sent and not settled is sent again under the same `Message-ID`.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{GuardianId, uuid_v7};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::{AnyNotice, NoticeNumber};
use borsellino_domain::receipt::SuspenseReason;
use borsellino_domain::time::{Millis, SchoolYear};
use borsellino_store::rows::ClaimedLetterRow;
use borsellino_store::{StoreError, Tx};
use uuid::Uuid;

use super::words::{self, Asked, Came, Frame, Handed, Low, Paid};
use super::{Documents, Enclosed, Event, Kind, PURPOSE, Paper, USEFUL_MILLIS, choice, enclosed, pay_link};
use crate::mail::returned::about_the_mailbox;
use crate::mail::{Address, Content, Letter, Trouble, named};
use crate::usecases::carts::payable;
use crate::usecases::views::BillView;
use crate::usecases::{App, Fault};

/// How many are taken at once.
pub const BATCH: i64 = 16;

/// How long one that was taken is nobody else's beyond what sending takes, in milliseconds.
const LEASE_MILLIS: i64 = 60_000;

/// How long after the first refusal for now it is tried again, in milliseconds; twice as long each further time.
const FIRST_WAIT_MILLIS: i64 = 60_000;

/// The longest such wait, in milliseconds.
const LONGEST_WAIT_MILLIS: i64 = 2 * 3_600_000;

/// How long after the ledger's next seal is due a letter looks for the proof that it is to enclose, in milliseconds, at most.
const SEAL_MARGIN_MILLIS: i64 = 5_000;

/// A letter that was taken to be sent.
#[derive(Debug)]
pub struct Taken {
    creditor: CreditorCode,
    id: Uuid,
    guardian: GuardianId,
    attempts: i64,
    laid: Millis,
    elsewhere: bool,
    notice: bool,
    /// What is sent, or why nothing is.
    pub letter: Result<Letter, Unsent>,
}

/// Why a letter that was taken is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// There is no address that it could go to, or nobody is there, or they do not want it.
    NoAddress,
    /// What it would say is no longer true.
    Moot,
    /// It was sealed with another secret, or what is stored makes no sense.
    Unreadable,
    /// It is too late to be of use.
    Expired,
    /// Not before then: what it encloses is not complete yet.
    NotYet(Millis),
}

impl Unsent {
    fn code(self) -> &'static str {
        match self {
            Self::NoAddress => "no_address",
            Self::Moot => "moot",
            Self::Unreadable => "unreadable",
            Self::Expired => "expired",
            Self::NotYet(_) => "not_yet",
        }
    }
}

/// Takes letters of a creditor and writes them; `sending` is how long sending all of them may take, in milliseconds.
///
/// # Errors
/// A [`Fault`].
pub async fn claim(app: &App, creditor: CreditorCode, sending: i64) -> Result<Vec<Taken>, Fault> {
    let now = app.now();
    let lease = now.plus(sending.saturating_add(LEASE_MILLIS));
    let claimed = app.store.write::<_, (), _>("take letters of the post", move |tx| {
        Box::pin(async move { tx.claim_post(&creditor, (now, lease), BATCH).await.map(Ok) })
    });
    let mut taken = Vec::new();
    for row in claimed.await?.unwrap_or_default() {
        let letter = match write(app, creditor, &row, now).await {
            Ok(letter) => letter,
            // It comes back when its lease is over; the others go.
            Err(error) => {
                tracing::warn!(%error, "a letter could not be written");
                continue;
            }
        };
        taken.push(Taken {
            creditor,
            id: row.id,
            guardian: row.guardian,
            attempts: row.attempts,
            laid: row.created_at_ms,
            elsewhere: row.elsewhere != 0,
            notice: row.kind == Kind::Notice.code(),
            letter,
        });
    }
    Ok(taken)
}

async fn write(
    app: &App,
    creditor: CreditorCode,
    row: &ClaimedLetterRow,
    now: Millis,
) -> Result<Result<Letter, Unsent>, Fault> {
    if now >= row.created_at_ms.plus(USEFUL_MILLIS) {
        return Ok(Err(Unsent::Expired));
    }
    let Some(kind) = Kind::from_code(&row.kind) else { return Ok(Err(Unsent::Unreadable)) };
    let to = match address(app, creditor, (row, kind)).await? {
        Ok(to) => to,
        Err(unsent) => return Ok(Err(unsent)),
    };
    let listing = app.directory.listing();
    let town = listing.creditor(creditor.as_str()).ok_or(Fault::BadData("a letter of a creditor we don't have"))?;
    let frame = Frame {
        language: Language::from_tag(&row.language),
        town: named(&town.name),
        phone: named(&town.help_phone),
        today: now.day_in_italy(),
        to: to.as_str().to_owned(),
        portal: format!("{}/comune/{creditor}", app.public_url),
    };
    let said = match kind {
        Kind::Account => {
            let event = Event::from_code(&row.about).ok_or(Unsent::Unreadable);
            event.map(|event| (words::event(&frame, event, row.at_ms), Enclosed::default()))
        }
        Kind::Answer => {
            let unseen = unseen_answer(app, creditor, row).await?;
            unseen.map(|()| (words::answered(&frame), Enclosed::default()))
        }
        Kind::LowBalance => low(app, creditor, row, &frame).await?.map(|content| (content, Enclosed::default())),
        Kind::PaymentDone => paid(app, creditor, row, &frame).await?,
        Kind::Notice => notice(app, creditor, (row, town.cbill.as_str()), &frame).await?,
    };
    Ok(said.and_then(|(content, enclosed)| {
        let (text, html) = content.written().ok_or(Unsent::Unreadable)?;
        let unsubscribe = content.unsubscribe.map(|(_, address)| address);
        let letter = Letter::plain(row.id, to, frame.language, (content.title, text));
        let attachments = enclosed.attachment.into_iter().collect();
        Ok(Letter { html: Some(html), attachments, unsubscribe, ..letter })
    }))
}

/// Whether a message still has an answer that was not seen on the portal.
async fn unseen_answer(app: &App, creditor: CreditorCode, row: &ClaimedLetterRow) -> Result<Result<(), Unsent>, Fault> {
    let Ok(id) = row.about.parse::<Uuid>() else { return Ok(Err(Unsent::Unreadable)) };
    let read = app.store.read(move |tx| Box::pin(async move { tx.message(&creditor, id).await }));
    let unseen = read.await?.is_some_and(|row| row.answered_at_ms > row.seen_at_ms);
    Ok(if unseen { Ok(()) } else { Err(Unsent::Moot) })
}

/// Where a letter goes: decided when it is sent.
async fn address(
    app: &App,
    creditor: CreditorCode,
    (row, kind): (&ClaimedLetterRow, Kind),
) -> Result<Result<Address, Unsent>, Fault> {
    if row.elsewhere != 0 {
        let guardian = row.guardian;
        let read = app.store.read(move |tx| Box::pin(async move { tx.holder(&creditor, guardian).await }));
        if read.await?.is_none_or(|holder| holder.disabled_at_ms.is_some()) {
            return Ok(Err(Unsent::Moot));
        }
        let opened = row.sealed.as_deref().and_then(|sealed| app.keys.open(PURPOSE, sealed).ok());
        let text = opened.and_then(|bytes| String::from_utf8(bytes).ok());
        return Ok(text.and_then(|text| Address::parse(&text).ok()).ok_or(Unsent::Unreadable));
    }
    let (guardian, ends) = (row.guardian, row.about == Event::AccessEnded.code());
    let read =
        app.store.read(move |tx| Box::pin(async move { tx.mail_target(&creditor, guardian, kind.code()).await }));
    let target = read.await?.filter(|target| {
        let told = target.disabled_at_ms.is_none() || (ends && kind == Kind::Account);
        told && target.email_bounced_at_ms.is_none() && target.off == 0
    });
    let email = target.and_then(|target| target.email);
    Ok(email.and_then(|email| Address::parse(&email).ok()).ok_or(Unsent::NoAddress))
}

fn school_year(now: Millis) -> i64 {
    now.day_in_italy().map_or(0, |day| i64::from(SchoolYear::of(day).begins()))
}

async fn low(
    app: &App,
    creditor: CreditorCode,
    row: &ClaimedLetterRow,
    frame: &Frame,
) -> Result<Result<Content, Unsent>, Fault> {
    let Ok(wallet) = row.about.parse::<Uuid>() else { return Ok(Err(Unsent::Unreadable)) };
    let (guardian, year) = (row.guardian, school_year(app.now()));
    let read =
        app.store.read(move |tx| Box::pin(async move { tx.letter_wallet(&creditor, (guardian, wallet), year).await }));
    let found = read.await?.filter(|row| row.closed_at_ms.is_none() && row.balance_cents < row.low_mark_cents);
    let Some(found) = found else { return Ok(Err(Unsent::Moot)) };
    let unit_price = found.unit_price_cents.and_then(|cents| Amount::from_cents(cents).ok());
    let low = Low {
        wallet,
        child: named(&found.child),
        service: named(&found.service),
        balance: found.balance_cents,
        unit_price,
    };
    let unsubscribe = choice::address(app, (creditor, guardian), Kind::LowBalance)?;
    Ok(Ok(words::low(frame, &low, unsubscribe)))
}

/// Of several, each once.
fn once(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        let name = named(&name);
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

/// What a payment paid, as the payer sees it.
struct Seen {
    children: Vec<String>,
    services: Vec<String>,
    bill: Option<(String, String)>,
    came: Came,
}

async fn paid(
    app: &App,
    creditor: CreditorCode,
    row: &ClaimedLetterRow,
    frame: &Frame,
) -> Result<Result<(Content, Enclosed), Unsent>, Fault> {
    let (number, at, guardian, now) = (row.about.clone(), row.at_ms, row.guardian, app.now());
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let Some(receipt) = tx.receipt_of_letter(&creditor, &number, at).await? else { return Ok(None) };
            let Some(notice) = tx.notice(&creditor, &number).await? else { return Ok(None) };
            let seen = match (notice.wallet, notice.bill) {
                (Some(wallet), _) => of_wallet(tx, creditor, (guardian, wallet), now).await?,
                (None, Some(bill)) => of_bill(tx, creditor, (guardian, bill), now).await?,
                (None, None) => return Ok(None),
            };
            let sealed = match receipt.entry {
                Some(entry) => tx.seal_of_entry(&creditor, entry).await?.is_some(),
                None => true,
            };
            let documents = tx.document_choice(&creditor).await?;
            Ok(Some((receipt, sealed, seen, Documents::from_code(documents.as_deref()))))
        })
    });
    let Some((receipt, sealed, seen, how)) = read.await? else { return Ok(Err(Unsent::Moot)) };
    if let (false, Documents::Attachment, Some(until)) = (sealed, how, proof_due(app, row.created_at_ms)) {
        return Ok(Err(Unsent::NotYet(until)));
    }
    let Ok(notice) = AnyNotice::parse(&row.about) else { return Ok(Err(Unsent::Unreadable)) };
    let came = match receipt.outcome.as_str() {
        "wallet" | "bill" => seen.came,
        other if other == SuspenseReason::DoublePayment.code() => Came::Twice,
        _ => Came::Office,
    };
    let paid = Paid {
        amount: receipt.ours_cents,
        at,
        children: seen.children,
        services: seen.services,
        bill: seen.bill,
        iuv: notice.iuv().as_str().to_owned(),
        came,
    };
    let paper = Paper::Receipt { issuer: receipt.issuer, receipt_id: receipt.receipt_id };
    let enclosed = enclosed(app, (creditor, guardian), paper, (how, frame.language, &frame.to)).await?;
    let mut content = words::paid(frame, &paid);
    content.button =
        enclosed.link.clone().map(|link| (frame.language.choose(["Ricevuta", "Receipt", "Quittung"]), link));
    Ok(Ok((content, enclosed)))
}

/// Until when a letter waits for the proof that its receipt encloses: the ledger's next seal, or the one after it. Later than
/// that it goes without, for the ledger is not being sealed. (What is behind a link is made when it is opened.)
fn proof_due(app: &App, laid: Millis) -> Option<Millis> {
    let every = i64::try_from(app.seal_every.as_millis()).ok()?;
    let margin = SEAL_MARGIN_MILLIS.min(every);
    let seals = [every, every.checked_mul(2)?].map(|after| laid.plus(after.saturating_add(margin)));
    seals.into_iter().find(|due| *due > app.now())
}

async fn of_wallet(
    tx: &mut Tx,
    creditor: CreditorCode,
    (guardian, wallet): (GuardianId, Uuid),
    now: Millis,
) -> Result<Seen, StoreError> {
    let found = tx.letter_wallet(&creditor, (guardian, wallet), school_year(now)).await?;
    let came = Came::Wallet(found.as_ref().map(|row| row.balance_cents));
    let (child, service) = found.map_or((None, None), |row| (Some(row.child), Some(row.service)));
    Ok(Seen { children: once(child.into_iter()), services: once(service.into_iter()), bill: None, came })
}

async fn of_bill(
    tx: &mut Tx,
    creditor: CreditorCode,
    (guardian, bill): (GuardianId, Uuid),
    now: Millis,
) -> Result<Seen, StoreError> {
    let lines = tx.paid_lines(&creditor, guardian, bill).await?;
    let rows = tx.bill_due(&creditor, guardian, bill).await?;
    let view = BillView::gather(creditor, &rows, now).map_err(|_| StoreError::Corrupt("a bill's amounts"))?.pop();
    let left = view.as_ref().map(|view| view.state.residual().map_or(Cents::ZERO, Amount::as_cents));
    let (children, services): (Vec<_>, Vec<_>) = lines.into_iter().map(|line| (line.child, line.service)).unzip();
    Ok(Seen {
        children: once(children.into_iter()),
        services: once(services.into_iter()),
        bill: view.map(|view| (named(&view.number), named(&view.period))),
        came: Came::Bill(left),
    })
}

async fn notice(
    app: &App,
    creditor: CreditorCode,
    (row, cbill): (&ClaimedLetterRow, &str),
    frame: &Frame,
) -> Result<Result<(Content, Enclosed), Unsent>, Fault> {
    let Ok(number) = NoticeNumber::parse(&row.about) else { return Ok(Err(Unsent::Unreadable)) };
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let documents = tx.document_choice(&creditor).await?;
            Ok((payable(tx, creditor, number, now).await?, Documents::from_code(documents.as_deref())))
        })
    });
    let (Some(found), how) = read.await? else { return Ok(Err(Unsent::Moot)) };
    let asked = Asked {
        amount: found.wanted.notice.amount,
        due_date: found.due_date,
        reason: named(&found.wanted.notice.reason),
        code: number.grouped(),
        creditor: creditor.as_str().to_owned(),
        cbill: named(cbill),
    };
    if row.elsewhere != 0 {
        let address = pay_link::address(app, creditor, row.id);
        return Ok(Ok((words::notice(frame, &asked, Handed::Elsewhere(address)), Enclosed::default())));
    }
    let paper = Paper::Notice(number);
    let enclosed = enclosed(app, (creditor, row.guardian), paper, (how, frame.language, &frame.to)).await?;
    Ok(Ok((words::notice(frame, &asked, Handed::Own(enclosed.link.clone())), enclosed)))
}

/// Whether a refusal says that there is no such mailbox, and not something of us or of the letter: `rcpt`, and a code of RFC 3463
/// about the address (5.1.x, but for those about the sender) or a mailbox that is closed (5.2.1); without such a code what
/// servers answer for these.
pub(crate) fn nobody_there(code: &str) -> bool {
    let mut words = code.split(' ');
    let (stage, reply, enhanced) = (words.next(), words.next(), words.next());
    stage == Some("rcpt")
        && match enhanced {
            Some(enhanced) => about_the_mailbox(enhanced),
            None => matches!(reply, Some("550" | "551" | "553")),
        }
}

/// Says what became of a letter.
///
/// # Errors
/// A [`Fault`].
pub async fn settle(app: &App, taken: &Taken, outcome: Result<String, Trouble>) -> Result<(), Fault> {
    let now = app.now();
    let slip = (taken.id, taken.attempts);
    let (outcome, code, bounced) = match (&taken.letter, outcome) {
        (Err(Unsent::NotYet(due)), _) => return postpone(app, taken, (*due, "not_yet".to_owned())).await,
        (Err(unsent), _) => (unsent.code(), None, false),
        (Ok(_), Ok(_)) => ("sent", None, false),
        (Ok(_), Err(Trouble::Refused(code))) => {
            let bounced = nobody_there(&code);
            ("refused", Some(code), bounced)
        }
        (Ok(_), Err(Trouble::Later(code))) => {
            let doublings = u32::try_from(taken.attempts.saturating_sub(1).clamp(0, 20)).unwrap_or(20);
            let wait = FIRST_WAIT_MILLIS.checked_shl(doublings).unwrap_or(LONGEST_WAIT_MILLIS);
            let due = now.plus(wait.min(LONGEST_WAIT_MILLIS));
            if due < taken.laid.plus(USEFUL_MILLIS) {
                return postpone(app, taken, (due, code)).await;
            }
            ("expired", Some(code), false)
        }
    };
    let (creditor, guardian, laid, elsewhere) = (taken.creditor, taken.guardian, taken.laid, taken.elsewhere);
    // A link that nobody got opens nothing.
    let link = (taken.notice && elsewhere && outcome != "sent").then(|| pay_link::digest_of(app, creditor, taken.id));
    let settled = app.store.write::<(), (), _>("settle a letter of the post", move |tx| {
        let code = code.clone();
        Box::pin(async move {
            if !tx.finish_post(&creditor, slip, (outcome, code.as_deref(), now)).await? {
                return Ok(Ok(()));
            }
            if bounced {
                tx.bounce_post(&creditor, slip.0, now).await?;
            }
            if bounced && !elsewhere {
                tx.bounce_email(&creditor, guardian, (now, laid)).await?;
            }
            if let Some(digest) = link {
                tx.revoke_pay_link(&creditor, digest, now).await?;
            }
            Ok(Ok(()))
        })
    });
    let _committed = settled.await?;
    Ok(())
}

async fn postpone(app: &App, taken: &Taken, (due, code): (Millis, String)) -> Result<(), Fault> {
    let (creditor, slip) = (taken.creditor, (taken.id, taken.attempts));
    let postponed = app.store.write::<(), (), _>("postpone a letter of the post", move |tx| {
        let code = code.clone();
        Box::pin(async move { tx.postpone_post(&creditor, slip, (due, &code)).await.map(Ok) })
    });
    let _committed = postponed.await?;
    Ok(())
}

/// Gives up what could never be sent, and forgets what became of letters more than `days` ago.
///
/// # Errors
/// A [`Fault`].
pub async fn sweep(app: &App, creditor: CreditorCode, days: u32) -> Result<(), Fault> {
    let now = app.now();
    let before = |at: Millis| uuid_v7(at, [0; 10]);
    let (late, old) = (before(now.plus(-USEFUL_MILLIS)), before(now.plus_days(-i64::from(days))));
    let swept = app.store.write::<(), (), _>("sweep letters", move |tx| {
        Box::pin(async move {
            tx.expire_post(&creditor, late, now).await?;
            tx.prune_post(&creditor, old).await?;
            Ok(Ok(()))
        })
    });
    let _committed = swept.await?;
    Ok(())
}

/// The digest of something secret, apart from what else is digested.
pub(super) fn digest(purpose: &[u8], parts: &[&[u8]]) -> Hash {
    Hash::of(&[purpose, b"|", &parts.concat()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_there() {
        for gone in ["rcpt 550 5.1.1", "rcpt 553 5.1.3", "rcpt 550 5.1.10", "rcpt 550 5.2.1", "rcpt 550", "rcpt 551"] {
            assert!(nobody_there(gone), "{gone}");
        }
        for other in [
            "rcpt 554 5.7.1", "rcpt 550 5.7.1", "rcpt 552 5.2.2", "rcpt 550 5.1.8", "rcpt 450 4.2.1", "data 550 5.1.1",
            "letter 550", "rcpt 554", "rcpt", "", "mail 550 5.1.1",
        ] {
            assert!(!nobody_there(other), "{other}");
        }
    }
}
