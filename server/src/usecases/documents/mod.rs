//! The documents people hold: who may have which, and what stands on it. The page itself is made by `borsellino-documents`, on the
//! [`Press`].
//!
//! - A **notice** names its debtor only to that debtor and to the office; who else may pay it (another guardian of the child) gets
//!   it without name and address.
//! - A **receipt** is for who owed and for who paid (ARCHITECTURE.md, rules of money; design of children's data): a payer's data are
//!   that payer's. To anybody else there is none.
//! - A **certificate** is for who paid; a **statement** for the guardians of the child.
//!
//! What somebody may not have looks like what does not exist.

mod batch;
mod certificate;
mod counter;
mod issuer;
mod link;
mod notice;
mod open;
mod receipt;
mod statement;

use std::sync::Arc;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{BillId, ChildId, GuardianId, WalletId};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Account;
use borsellino_domain::money::Cents;
use borsellino_domain::notice::NoticeNumber;
use borsellino_store::rows::CreditorRow;
use borsellino_store::{Store, StoreError};
use jiff::civil::Date;

pub use self::batch::{Batch, Run, RunError, Selected};
pub use self::certificate::{Confirmed, Requested, confirm};
pub use self::issuer::{Letterhead, LetterheadError, letterhead, put_letterhead};
pub use self::link::{LINK_MILLIS, LinkError, link, read_link};
pub use self::open::{Form, open_notice, open_receipt};
use super::proof::Payment;
use super::sessions::{SessionRefusal, standing};
use super::{App, Fault, Stop};
use crate::auth::keys::Keys;
use crate::auth::token::Identity;
use crate::clock::Clock;
use crate::press::{Press, PressError};

/// A document that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A payment notice; for a bill in instalments, with all of them that are open.
    Notice(NoticeNumber),
    /// A receipt.
    Receipt {
        /// `receipt/fiscalCode`.
        issuer: CreditorCode,
        /// `receipt/receiptId`.
        receipt_id: String,
    },
    /// A receipt as pagoPA sent it: XML.
    Original {
        /// `receipt/fiscalCode`.
        issuer: CreditorCode,
        /// `receipt/receiptId`.
        receipt_id: String,
    },
    /// A receipt of ours, for what was paid at the office's counter under a notice.
    Counter(NoticeNumber),
    /// What a guardian paid for a child in a tax year.
    Certificate {
        /// For whom.
        child: ChildId,
        /// 1 January to 31 December.
        year: i16,
    },
    /// The movements of a wallet.
    Statement {
        /// Which.
        wallet: WalletId,
        /// The first day.
        from: Date,
        /// The last.
        to: Date,
    },
}

/// Who is to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A guardian.
    Guardian(GuardianId),
    /// The office: everything of its creditor's.
    Office,
}

/// A file.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// What it is called; names no person.
    pub name: String,
    /// `application/pdf`, `application/xml`.
    pub media_type: &'static str,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// Why there is no such document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentRefusal {
    /// The session does not go on.
    #[error("the session has ended")]
    Session(SessionRefusal),
    /// There is nothing of the kind, or it is somebody else's.
    #[error("there is no such notice, payment, child or wallet")]
    Unknown,
    /// Nothing can be paid under it any more.
    #[error("the notice can no longer be paid: it is paid, cancelled or expired")]
    NotPayable,
    /// No receipt was booked for it.
    #[error("no receipt has come for it")]
    NotPaid,
    /// It names a payer who is not the reader.
    #[error("the original names somebody else who paid: it is theirs and the office's")]
    Withheld,
    /// There is no such year, or it is not over its beginning.
    #[error("there is no certificate of that year: ask for one from 2015 to this year")]
    Year,
    /// The first day is after the last, or the time is too long.
    #[error("the period is none, or longer than a statement can be: ask for two years at most")]
    Period,
    /// The reader paid nothing for the child in that year.
    #[error("nothing was paid for this child in that year by this person")]
    NothingPaid,
    /// Too many documents are being printed.
    #[error("too many documents are being printed: try again in a moment")]
    Busy,
    /// A fact of the creditor's can't be printed: which, and why.
    #[error("{0}: {1}")]
    Unprintable(&'static str, &'static str),
}

/// What documents are made with.
#[derive(Clone, Debug)]
pub struct Printer {
    /// Durable state.
    pub store: Store,
    /// Secrets: receipts are sealed.
    pub keys: Arc<Keys>,
    /// Where pages are made.
    pub press: Press,
    /// Time.
    pub clock: Clock,
    /// Where browsers come to, without a trailing slash.
    pub public_url: Arc<str>,
}

impl Printer {
    /// For work that nobody waits for: see [`Press::patient`].
    #[must_use]
    pub fn patient(self) -> Self {
        Self { press: self.press.patient(), ..self }
    }
}

impl App {
    /// What documents are made with.
    pub fn printer(&self) -> Printer {
        Printer {
            store: self.store.clone(),
            keys: Arc::clone(&self.keys),
            press: self.press.clone(),
            clock: self.clock.clone(),
            public_url: Arc::clone(&self.public_url),
        }
    }
}

type Refused = Stop<DocumentRefusal>;

/// A document for a reader of whom it is known who they are.
///
/// # Errors
/// [`DocumentRefusal`], or a [`Fault`].
pub async fn make(
    printer: &Printer,
    creditor: &CreditorRow,
    reader: Reader,
    wanted: &Wanted,
    language: Language,
) -> Result<File, Refused> {
    match wanted {
        Wanted::Notice(number) => notice::make(printer, creditor, reader, number).await,
        Wanted::Receipt { issuer, receipt_id } => {
            receipt::make(printer, creditor, reader, (*issuer, receipt_id), language).await
        }
        Wanted::Original { issuer, receipt_id } => {
            receipt::original(printer, creditor, reader, (*issuer, receipt_id)).await
        }
        Wanted::Counter(number) => counter::make(printer, creditor, reader, *number, language).await,
        Wanted::Certificate { child, year } => {
            let Reader::Guardian(guardian) = reader else { return Err(Stop::Refused(DocumentRefusal::Unknown)) };
            certificate::of_guardian(printer, creditor, guardian, (*child, *year), language).await
        }
        Wanted::Statement { wallet, from, to } => {
            statement::make(printer, creditor, reader, *wallet, (*from, *to), language).await
        }
    }
}

/// Whether there is such a notice or receipt for a reader, without printing it.
///
/// # Errors
/// [`DocumentRefusal`], or a [`Fault`].
pub async fn exists(printer: &Printer, creditor: &CreditorRow, reader: Reader, wanted: &Wanted) -> Result<(), Refused> {
    match wanted {
        Wanted::Notice(number) => notice::gather(printer, creditor, reader, number).await.map(drop),
        Wanted::Receipt { issuer, receipt_id } => {
            receipt::exists(printer, creditor, reader, (*issuer, receipt_id), false).await
        }
        Wanted::Original { issuer, receipt_id } => {
            receipt::exists(printer, creditor, reader, (*issuer, receipt_id), true).await
        }
        Wanted::Counter(number) => counter::exists(printer, creditor, reader, *number).await,
        Wanted::Certificate { .. } | Wanted::Statement { .. } => Ok(()),
    }
}

/// The document that an address leads to, for the guardian it was given to, if they still may have it.
///
/// # Errors
/// [`LinkError`] where the address is none, or none any more; else as [`make`].
pub async fn of_link(app: &App, token: &str) -> Result<Result<File, Refused>, LinkError> {
    let held = read_link(&app.keys, token, app.now())?;
    let listing = app.directory.listing();
    let Some(creditor) = listing.creditor(held.creditor.as_str()) else { return Err(LinkError::Invalid) };
    let (code, guardian) = (held.creditor, held.guardian);
    let read = app.store.read(move |tx| Box::pin(async move { tx.holder(&code, guardian).await }));
    match read.await {
        // A link in a letter is for whoever reads the address it went to.
        Ok(Some(holder)) if holder.disabled_at_ms.is_none() && held.is_for(holder.email.as_deref()) => {}
        Ok(_) => return Err(LinkError::Expired),
        Err(error) => return Ok(Err(error.into())),
    }
    Ok(make(&app.printer(), creditor, Reader::Guardian(guardian), &held.wanted, held.language).await)
}

/// A document for a guardian who is signed in.
///
/// # Errors
/// [`DocumentRefusal`], or a [`Fault`].
pub async fn of_caller(app: &App, who: Identity, wanted: &Wanted, language: Language) -> Result<File, Refused> {
    let creditor = signed_in(app, who).await?;
    make(&app.printer(), &creditor, Reader::Guardian(who.guardian), wanted, language).await
}

/// A short-lived address under which a guardian who is signed in finds a document, and until when.
///
/// # Errors
/// [`DocumentRefusal`], or a [`Fault`].
pub async fn link_of_caller(
    app: &App,
    who: Identity,
    wanted: &Wanted,
    language: Language,
) -> Result<(String, borsellino_domain::time::Millis), Refused> {
    signed_in(app, who).await?;
    let until = app.now().plus(LINK_MILLIS);
    Ok((link(&app.keys, &app.public_url, (who.creditor, who.guardian), wanted, (language, until, None)), until))
}

/// The certificate of a payer for a child, both by codice fiscale; only the office asks like that.
///
/// # Errors
/// [`DocumentRefusal`], or a [`Fault`].
pub async fn certificate_of(
    printer: &Printer,
    creditor: &CreditorRow,
    requested: Requested,
    language: Language,
) -> Result<File, Refused> {
    certificate::of_payer(printer, creditor, requested, language).await
}

/// A receipt that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The document: of pagoPA's receipt, or of ours where it was paid at the counter.
    pub wanted: Wanted,
    /// How much of it was booked on what was paid.
    pub cents: Cents,
}

/// The receipts that were booked on a top-up of a guardian, or a bill of their family, oldest first; those of them that are this
/// guardian's to have, as pages or as originals.
///
/// # Errors
/// [`DocumentRefusal`]: where there are receipts and none is theirs, why the last one is not; or a [`Fault`].
pub async fn receipts_of(app: &App, who: Identity, payment: Payment, originals: bool) -> Result<Vec<Paid>, Refused> {
    let row = signed_in(app, who).await?;
    let creditor = who.creditor;
    let found = app.store.read(move |tx| {
        Box::pin(async move {
            let (account, numbers) = match payment {
                Payment::TopUp(id) => {
                    let row = tx.top_up(&creditor, id).await?.filter(|row| row.guardian == who.guardian);
                    let Some(row) = row else { return Ok(None) };
                    (Account::wallet(row.wallet), vec![row.number])
                }
                Payment::Bill(id) => {
                    let rows = tx.bill_due(&creditor, who.guardian, id.uuid()).await?;
                    if rows.is_empty() {
                        return Ok(None);
                    }
                    let mut numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
                    numbers.dedup();
                    (Account::bill(BillId::from(id.uuid())), numbers)
                }
            };
            let mut paid = Vec::new();
            for row in tx.payments_in(&creditor, account).await? {
                let ours = row.notice.as_deref().is_some_and(|notice| numbers.iter().any(|own| own.as_str() == notice));
                let wanted = match (row.issuer.zip(row.receipt_id), row.notice) {
                    (Some((issuer, receipt_id)), _) => {
                        let issuer = CreditorCode::from_digits(&issuer);
                        let issuer = issuer.map_err(|_| StoreError::Corrupt("a receipt's issuer"))?;
                        if originals {
                            Wanted::Original { issuer, receipt_id }
                        } else {
                            Wanted::Receipt { issuer, receipt_id }
                        }
                    }
                    (None, Some(notice)) if !originals => {
                        let number = NoticeNumber::parse(&notice);
                        Wanted::Counter(number.map_err(|_| StoreError::Corrupt("a notice's number"))?)
                    }
                    (None, _) => continue,
                };
                if ours {
                    paid.push((wanted, row.cents));
                }
            }
            Ok(Some(paid))
        })
    });
    let found = found.await?.ok_or(Stop::Refused(DocumentRefusal::Unknown))?;
    if found.is_empty() {
        return Err(Stop::Refused(DocumentRefusal::NotPaid));
    }
    let (mut own, mut refused) = (Vec::new(), None);
    for (wanted, cents) in found {
        match exists(&app.printer(), &row, Reader::Guardian(who.guardian), &wanted).await {
            Ok(()) => own.push(Paid { wanted, cents }),
            Err(Stop::Refused(refusal)) => refused = Some(refusal),
            Err(stop) => return Err(stop),
        }
    }
    match refused {
        Some(refusal) if own.is_empty() => Err(Stop::Refused(refusal)),
        _ => Ok(own),
    }
}

/// The creditor of a caller whose session goes on.
async fn signed_in(app: &App, who: Identity) -> Result<CreditorRow, Refused> {
    let now = app.now();
    let read = app.store.read(move |tx| Box::pin(async move { tx.session(&who.creditor, who.session).await }));
    let session = read.await?;
    standing(session.as_ref(), now).map_err(|refusal| Stop::Refused(DocumentRefusal::Session(refusal)))?;
    let listing = app.directory.listing();
    Ok(listing.creditor(who.creditor.as_str()).ok_or(Fault::BadData("a session's creditor"))?.clone())
}

/// What the press answers, in the words of this module.
fn pressed(error: PressError) -> Refused {
    match error {
        PressError::Busy => Stop::Refused(DocumentRefusal::Busy),
        PressError::Render(borsellino_documents::RenderError::Field { field, why }) => {
            Stop::Refused(DocumentRefusal::Unprintable(field, why))
        }
        // One document's trouble is no other's. The typesetter's words may quote a name: only the place is logged.
        PressError::Render(error) => {
            let said = error.to_string();
            let place: Vec<&str> = said.splitn(3, ':').take(2).collect();
            tracing::error!(place = place.join(":"), "a template can't print a document");
            Stop::Refused(DocumentRefusal::Unprintable(
                "documents.templates",
                "a template can't print it; the log says where",
            ))
        }
        PressError::Idle => {
            tracing::error!("a document could not be printed: the typesetter gave up on it");
            Stop::Refused(DocumentRefusal::Unprintable("document", "the typesetter gave up on it"))
        }
        error @ PressError::Template(_) => {
            tracing::error!(%error, "no document can be printed");
            Stop::Fault(Fault::BadData("a document's template"))
        }
    }
}

fn unknown<T>() -> Result<T, Refused> {
    Err(Stop::Refused(DocumentRefusal::Unknown))
}
