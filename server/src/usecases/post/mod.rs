//! Letters by e-mail: which there are, and what lays one.
//!
//! A letter is laid in the transaction of what causes it (`lay`), under an id made of its cause, so that the same cause is one
//! letter. It is written only when it is taken to be sent (`letters`), in the words of `words`; what is true then is said, and
//! what is no longer true is not sent. ARCHITECTURE.md, decisions, e-mail.

pub mod choice;
pub mod letters;
pub mod log;
pub mod low;
pub mod notice;
pub mod pay_link;
mod words;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{GuardianId, uuid_v7};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{NewLetter, ToTellRow};
use borsellino_store::{StoreError, Tx};
use uuid::Uuid;

pub use self::notice::{PostRefusal, SentNotice, send_notice};
use super::documents::{self, Reader, Wanted};
use super::{App, Fault, Stop};
use crate::auth::keys::Keys;
use crate::clock::random;
use crate::mail::{Address, Attachment};

/// What an address that is not on file is sealed for.
const PURPOSE: &str = "letter.to";

/// For how long a letter is of use, in milliseconds: a mail server that is down over a long weekend loses nothing.
const USEFUL_MILLIS: i64 = 4 * 86_400_000;

/// What a letter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A notice that somebody asked for.
    Notice,
    /// What became of a payment.
    PaymentDone,
    /// A balance runs low.
    LowBalance,
    /// Something happened to the account.
    Account,
    /// The office answered a message.
    Answer,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Notice, Self::PaymentDone, Self::LowBalance, Self::Account, Self::Answer];

    /// The name in storage.
    pub fn code(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::PaymentDone => "payment_done",
            Self::LowBalance => "low_balance",
            Self::Account => "account",
            Self::Answer => "answer",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Whether one may say that one does not want them. Who pays is told what became of it, and nobody can be kept from hearing
    /// that something happened to their account.
    pub fn is_optional(self) -> bool {
        self == Self::LowBalance
    }
}

/// What happened to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody registered.
    Registered,
    /// The password was changed by whoever knew it.
    PasswordChanged,
    /// The password was set anew with two proofs.
    PasswordRecovered,
    /// The office ended the access.
    AccessEnded,
    /// Letters come here from now on.
    EmailHere,
    /// Letters no longer come here.
    EmailLeft,
    /// Somebody signed in.
    NewDevice,
}

impl Event {
    const ALL: [Self; 7] = [
        Self::Registered,
        Self::PasswordChanged,
        Self::PasswordRecovered,
        Self::AccessEnded,
        Self::EmailHere,
        Self::EmailLeft,
        Self::NewDevice,
    ];

    fn code(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::PasswordChanged => "password_changed",
            Self::PasswordRecovered => "password_recovered",
            Self::AccessEnded => "access_ended",
            Self::EmailHere => "email_here",
            Self::EmailLeft => "email_left",
            Self::NewDevice => "new_device",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.code() == code)
    }
}

/// What causes a letter.
struct Cause<'a> {
    kind: Kind,
    /// The notice's number, the wallet's id, the message's id, or the event.
    about: String,
    guardian: GuardianId,
    /// What tells it from every other of its kind.
    name: &'a [u8],
    /// When it happened.
    at: Millis,
    /// When it became a cause to write, if that was later. Letters are kept and given up by this time.
    again: Option<Millis>,
}

/// The id of a letter: always the same for the same cause and guardian. Sorts by time, tells nothing.
fn letter_id(kind: Kind, name: &[u8], guardian: GuardianId, at: Millis) -> Uuid {
    let whose = guardian.uuid();
    let parts = [b"borsellino.letter.v1|".as_slice(), kind.code().as_bytes(), b"|", whose.as_bytes(), name].concat();
    let Hash(digest) = Hash::of(&parts);
    let mut random = [0; 10];
    random.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    uuid_v7(at, random)
}

/// Lays a letter to the address on file. Nothing is laid for who has none, is not there any more, whose access has ended (but to
/// say that), or who does not want this kind.
async fn lay(tx: &mut Tx, creditor: &CreditorCode, cause: Cause<'_>, now: Millis) -> Result<bool, StoreError> {
    let target = tx.mail_target(creditor, cause.guardian, cause.kind.code()).await?;
    let ends = cause.about == Event::AccessEnded.code();
    let target = target.filter(|row| row.email_bounced_at_ms.is_none() && (row.disabled_at_ms.is_none() || ends));
    if target.is_none_or(|row| row.email.is_none() || row.off != 0) {
        return Ok(false);
    }
    let letter = NewLetter {
        id: letter_id(cause.kind, cause.name, cause.guardian, cause.again.unwrap_or(cause.at)),
        guardian: cause.guardian,
        kind: cause.kind.code(),
        about: cause.about,
        language: None,
        at: cause.at,
        elsewhere: None,
        created_at: now,
    };
    tx.insert_letter(creditor, &letter).await
}

/// Lays the letter about a payment, to whoever asked for the top-up or whom the bill was issued to.
pub(super) async fn lay_payment(
    tx: &mut Tx,
    creditor: CreditorCode,
    row: &ToTellRow,
    now: Millis,
) -> Result<(), StoreError> {
    if now >= row.created_at_ms.plus(USEFUL_MILLIS) {
        // It lay in the outbox before anybody sent anything: no news any more.
        return Ok(());
    }
    let Some(guardian) = tx.payer_of_notice(&creditor, &row.notice).await? else { return Ok(()) };
    let (about, at) = (row.notice.clone(), row.created_at_ms);
    let cause = Cause { kind: Kind::PaymentDone, about, guardian, name: row.id.as_bytes(), at, again: None };
    lay(tx, &creditor, cause, now).await.map(drop)
}

/// Lays the letter about a payment once more, because whoever holds the notice asked for it: to the address on file, if there is
/// one, and once a day. `received_at` says which receipt.
pub(super) async fn lay_payment_again(
    tx: &mut Tx,
    creditor: CreditorCode,
    (notice, received_at): (NoticeNumber, Millis),
    now: Millis,
) -> Result<(), StoreError> {
    let Some(guardian) = tx.payer_of_notice(&creditor, notice.as_str()).await? else { return Ok(()) };
    let yesterday = now.day_in_italy().and_then(|day| day.yesterday().ok());
    let today =
        yesterday.and_then(Millis::end_of_day_in_italy).ok_or(StoreError::Corrupt("a day outside the calendar"))?;
    let (name, about) = (format!("again|{notice}"), notice.as_str().to_owned());
    let again = Some(today);
    let cause = Cause { kind: Kind::PaymentDone, about, guardian, name: name.as_bytes(), at: received_at, again };
    lay(tx, &creditor, cause, now).await.map(drop)
}

/// Lays the letter that something happened to an account; `act` is what did it, by its id.
pub(super) async fn lay_event(
    tx: &mut Tx,
    creditor: &CreditorCode,
    (guardian, event, act): (GuardianId, Event, Uuid),
    now: Millis,
) -> Result<(), StoreError> {
    let name = [event.code().as_bytes(), act.as_bytes()].concat();
    let cause =
        Cause { kind: Kind::Account, about: event.code().to_owned(), guardian, name: &name, at: now, again: None };
    lay(tx, creditor, cause, now).await.map(drop)
}

/// Lays the letter that the office answered a message; `act` is what did it, by its id.
pub(super) async fn lay_answer(
    tx: &mut Tx,
    creditor: &CreditorCode,
    (guardian, message, act): (GuardianId, Uuid, Uuid),
    now: Millis,
) -> Result<(), StoreError> {
    let about = message.to_string();
    let cause = Cause { kind: Kind::Answer, about, guardian, name: act.as_bytes(), at: now, again: None };
    lay(tx, creditor, cause, now).await.map(drop)
}

/// An address that is sealed, with the name of the key.
pub(super) type Sealed = (String, Vec<u8>);

/// Seals an address that is not, or no longer, on file.
pub(super) fn seal(keys: &Keys, address: &Address) -> Result<Sealed, Fault> {
    Ok((keys.id().to_owned(), keys.seal(PURPOSE, address.as_str().as_bytes(), random()?)?))
}

/// Lays the letter that letters no longer come to an address.
pub(super) async fn lay_farewell(
    tx: &mut Tx,
    creditor: &CreditorCode,
    (guardian, act): (GuardianId, Uuid),
    old: Sealed,
    now: Millis,
) -> Result<(), StoreError> {
    let event = Event::EmailLeft.code();
    let letter = NewLetter {
        id: letter_id(Kind::Account, &[event.as_bytes(), act.as_bytes()].concat(), guardian, now),
        guardian,
        kind: Kind::Account.code(),
        about: event.to_owned(),
        language: None,
        at: now,
        elsewhere: Some(old),
        created_at: now,
    };
    tx.insert_letter(creditor, &letter).await.map(drop)
}

/// How a creditor wants documents to go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Documents {
    /// In the letter.
    Attachment,
    /// On the server: the letter has a link.
    Link,
}

impl Documents {
    /// The name in storage and on the command line.
    pub fn code(self) -> &'static str {
        match self {
            Self::Attachment => "attachment",
            Self::Link => "link",
        }
    }

    /// Reads it; whoever never chose encloses.
    pub fn from_code(code: Option<&str>) -> Self {
        if code == Some("link") { Self::Link } else { Self::Attachment }
    }
}

/// The document that belongs to a letter to a guardian's own address.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Paper {
    /// The payment notice.
    Notice(NoticeNumber),
    /// The receipt.
    Receipt {
        /// Who issued the notice.
        issuer: String,
        /// pagoPA's id of the payment.
        receipt_id: String,
    },
}

/// How a document goes with a letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Enclosed {
    attachment: Option<Attachment>,
    link: Option<String>,
}

/// How long a link in a letter leads to its document, in milliseconds: two days, and no longer than letters go to the same address.
const LINK_MILLIS: i64 = 2 * 24 * 3_600_000;

/// The document of a letter, as the creditor wants it to go out; called outside every transaction. Where there is none for this
/// guardian, or it can't be printed, the letter goes without: what it says is true without it.
async fn enclosed(
    app: &App,
    (creditor, guardian): (CreditorCode, GuardianId),
    paper: Paper,
    (how, language, to): (Documents, Language, &str),
) -> Result<Enclosed, Fault> {
    let wanted = match paper {
        Paper::Notice(number) => Wanted::Notice(number),
        Paper::Receipt { issuer, receipt_id } => {
            let issuer = CreditorCode::from_digits(&issuer).map_err(|_| Fault::BadData("a receipt's issuer"))?;
            Wanted::Receipt { issuer, receipt_id }
        }
    };
    let listing = app.directory.listing();
    let row = listing.creditor(creditor.as_str()).ok_or(Fault::BadData("a letter of a creditor we don't have"))?;
    let printer = app.printer().patient();
    let reader = Reader::Guardian(guardian);
    if how == Documents::Link {
        // Only where there is something behind it.
        let there = documents::exists(&printer, row, reader, &wanted).await;
        let until = app.now().plus(LINK_MILLIS);
        let link =
            || documents::link(&app.keys, &app.public_url, (creditor, guardian), &wanted, (language, until, Some(to)));
        return match there {
            Ok(()) => Ok(Enclosed { attachment: None, link: Some(link()) }),
            Err(Stop::Refused(_)) => Ok(Enclosed::default()),
            Err(Stop::Fault(fault)) => without(fault),
        };
    }
    match documents::make(&printer, row, reader, &wanted, language).await {
        Ok(documents::File { name, media_type, bytes }) => {
            Ok(Enclosed { attachment: Some(Attachment { name, media_type, bytes }), link: None })
        }
        Err(Stop::Refused(refusal)) => {
            tracing::warn!(%refusal, "a letter goes without its document");
            Ok(Enclosed::default())
        }
        Err(Stop::Fault(fault)) => without(fault),
    }
}

/// A letter whose document can't be had for good goes without it.
fn without(fault: Fault) -> Result<Enclosed, Fault> {
    if fault.is_passing() {
        return Err(fault);
    }
    tracing::error!(%fault, "a letter goes without its document");
    Ok(Enclosed::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cause_and_one_guardian_are_one_letter() {
        let id = |name: &[u8], guardian| {
            letter_id(Kind::PaymentDone, name, Uuid::from_u128(guardian).into(), Millis::new(5_000))
        };
        assert_eq!(id(b"a", 1), id(b"a", 1));
        assert_ne!(id(b"a", 1), id(b"b", 1));
        assert_ne!(id(b"a", 1), id(b"a", 2));
        let other = letter_id(Kind::Account, b"a", Uuid::from_u128(1).into(), Millis::new(5_000));
        assert_ne!(id(b"a", 1), other);
    }

    #[test]
    fn names_in_storage_are_read_again() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
        }
        for event in Event::ALL {
            assert_eq!(Event::from_code(event.code()), Some(event));
        }
        assert_eq!((Kind::from_code("x"), Event::from_code("x")), (None, None));
        assert_eq!(Documents::from_code(Some("link")), Documents::Link);
        assert_eq!(Documents::from_code(None), Documents::Attachment);
    }
}
