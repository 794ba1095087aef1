//! Notices without signing in: whoever shows a notice's number and the codice fiscale of whom it names may read how it stands, print
//! it, pay it - for themselves or for somebody else - and have a receipt that names nobody.
//!
//! An unknown number and a codice fiscale that is not the notice's get one and the same answer, after the same statements. Wrong tries
//! make the next one wait: per notice and network, per network, and, a little, per notice from wherever. Once both fit, a sealed ticket
//! stands for them for a while, so that nothing personal is asked twice or stands in a page.

use std::net::IpAddr;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::language::Language;
use borsellino_domain::money::Amount;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_store::rows::CreditorRow;
use data_encoding::BASE64URL_NOPAD;

use super::carts::payable;
use super::documents::{self, DocumentRefusal, File, Form};
use super::post::lay_payment_again;
use super::post::pay_link::{self, LinkRefusal, LinkState};
use super::sessions::Tries;
use super::{App, Fault, Stop};
use crate::auth::keys::Keys;
use crate::clock::random;

/// How long a ticket to a notice is good, in milliseconds.
pub const TICKET_MILLIS: i64 = 20 * 60 * 1_000;

/// How long somebody who went to pay may see how it stands, in milliseconds.
pub const OUTCOME_MILLIS: i64 = 60 * 60 * 1_000;

/// The longest ticket, as text.
const LONGEST_TICKET: usize = 256;

/// How long a codice fiscale is at most.
const CODE: usize = 16;

/// What somebody typed, as far as it has the form of what was asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Typed {
    number: NoticeNumber,
    code: String,
}

/// A codice fiscale belongs on no log line.
impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Typed({})", self.number)
    }
}

/// What does not have its form. That tells nothing about any notice: the rules are public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypedError {
    /// Not 18 digits that belong together.
    Number,
    /// Neither 16 letters and digits, nor 11 digits.
    Code,
}

impl Typed {
    /// Reads a notice's number and a codice fiscale. Blanks are forgiven anywhere, and lower case.
    ///
    /// # Errors
    /// [`TypedError`].
    pub fn parse(number: &str, code: &str) -> Result<Self, TypedError> {
        let number = NoticeNumber::parse(number).map_err(|_| TypedError::Number)?;
        let code: String = code.chars().filter(|c| !c.is_whitespace()).take(CODE.saturating_add(1)).collect();
        let person = code.len() == CODE && code.chars().all(|c| c.is_ascii_alphanumeric());
        let digits = code.len() == 11 && code.chars().all(|c| c.is_ascii_digit());
        if !person && !digits {
            return Err(TypedError::Code);
        }
        Ok(Self { number, code: code.to_ascii_uppercase() })
    }

    /// The number.
    pub fn number(&self) -> NoticeNumber {
        self.number
    }
}

/// Why somebody does not get what they ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenRefusal {
    /// There is no such notice, or it names somebody else: which of the two is not said.
    NotTogether,
    /// Too many tries: wait this many milliseconds.
    TryLater(i64),
    /// The ticket is over, or none of ours.
    Ticket,
    /// Paid, expired or withdrawn: [`read`] says which.
    NotPayable,
    /// Somebody pays it just now, together with others; may still be paid until then.
    InProgress {
        /// Until when.
        until: Millis,
    },
    /// pagoPA has sent no receipt.
    NotPaid,
    /// This server sends no e-mail.
    NotConfigured,
    /// As documents are refused.
    Document(DocumentRefusal),
}

type Refused = Stop<OpenRefusal>;

/// A notice, for whoever holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenNotice {
    /// Its number.
    pub number: NoticeNumber,
    /// What for; names no child.
    pub reason: String,
    /// Whom it names, masked.
    pub debtor: String,
    /// What it costs now; what it asked for where nothing is to pay any more.
    pub amount: Amount,
    /// ISO date.
    pub due_date: String,
    /// How it stands.
    pub state: LinkState,
    /// The page that is open for it alone.
    pub page: Option<String>,
}

/// What a ticket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// To read, print and pay.
    Holder,
    /// To see how it stands after paying: kept in a browser, which may be anybody's next.
    Outcome,
}

impl Ticket {
    fn purpose(self) -> &'static str {
        match self {
            Self::Holder => "open-notice.holder",
            Self::Outcome => "open-notice.outcome",
        }
    }

    fn millis(self) -> i64 {
        match self {
            Self::Holder => TICKET_MILLIS,
            Self::Outcome => OUTCOME_MILLIS,
        }
    }

    /// Seals one for a notice: letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn seal(self, app: &App, creditor: &CreditorRow, number: NoticeNumber) -> Result<String, Fault> {
        let until = app.now().plus(self.millis()).get();
        let text = format!("{}|{number}|{until}", creditor.fiscal_code);
        Ok(BASE64URL_NOPAD.encode(&app.keys.seal(self.purpose(), text.as_bytes(), random()?)?))
    }

    /// For which notice of a creditor one is; `None` where it is over, another creditor's, for something else, or none of ours.
    fn open(self, keys: &Keys, creditor: CreditorCode, text: &str, now: Millis) -> Option<NoticeNumber> {
        let sealed = BASE64URL_NOPAD.decode(Some(text).filter(|text| text.len() <= LONGEST_TICKET)?.as_bytes()).ok()?;
        let opened = String::from_utf8(keys.open(self.purpose(), &sealed).ok()?).ok()?;
        let mut parts = opened.split('|');
        let (code, number, until) = (parts.next()?, parts.next()?, parts.next()?);
        let good = code == creditor.as_str() && now < Millis::new(until.parse().ok()?);
        NoticeNumber::parse(number).ok().filter(|_| good)
    }
}

/// Whether two codes are the same; takes as long for any two.
fn same(typed: &str, stored: &str) -> bool {
    let stored = stored.trim().to_ascii_uppercase();
    let padded = |text: &str| {
        let mut bytes = [0u8; CODE];
        bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        bytes
    };
    let pairs = padded(typed).into_iter().zip(padded(&stored));
    let different = pairs.fold(u8::from(typed.len() != stored.len()), |all, (a, b)| all | (a ^ b));
    different == 0
}

/// Finds out whether somebody holds a notice. A try is counted before it is judged, and taken back where it was right.
async fn hold(app: &App, creditor: CreditorCode, typed: &Typed, from: Option<IpAddr>) -> Result<(), Refused> {
    let (now, typed) = (app.now(), typed.clone());
    let tries = Tries::of_notice(typed.number.as_str(), from);
    let held = app.store.write("look for a notice that somebody holds", move |tx| {
        let (typed, tries) = (typed.clone(), tries.clone());
        Box::pin(async move {
            if let Some(wait) = tries.count(tx, &creditor, now).await? {
                return Ok(Err(OpenRefusal::TryLater(wait)));
            }
            let row = tx.notice(&creditor, typed.number.as_str()).await?;
            // Compared in either case: whether there is one shows in no time either.
            let debtor = row.as_ref().map(|row| row.debtor_code.as_str()).unwrap_or_default();
            let right = same(&typed.code, debtor);
            if right {
                tries.uncount(tx, &creditor).await?;
            }
            // What was wrong stays counted.
            Ok(Ok(right))
        })
    });
    match held.await?.map_err(Stop::Refused)? {
        true => Ok(()),
        false => Err(Stop::Refused(OpenRefusal::NotTogether)),
    }
}

/// The notice that somebody holds, and a ticket for what comes next.
///
/// # Errors
/// [`OpenRefusal::NotTogether`] or [`OpenRefusal::TryLater`], or a [`Fault`].
pub async fn find(
    app: &App,
    creditor: &CreditorRow,
    typed: &Typed,
    from: Option<IpAddr>,
) -> Result<(OpenNotice, String), Refused> {
    hold(app, creditor.fiscal_code, typed, from).await?;
    hand_over(app, creditor, typed.number).await
}

/// A notice for whoever is known to hold it, with the ticket that stands for that.
///
/// # Errors
/// [`OpenRefusal::Ticket`] where there is none, or a [`Fault`].
pub(super) async fn hand_over(
    app: &App,
    creditor: &CreditorRow,
    number: NoticeNumber,
) -> Result<(OpenNotice, String), Refused> {
    let notice = read_notice(app, creditor.fiscal_code, number).await?;
    Ok((notice, Ticket::Holder.seal(app, creditor, number)?))
}

/// The notice of a ticket.
///
/// # Errors
/// [`OpenRefusal::Ticket`], or a [`Fault`].
pub async fn read(app: &App, creditor: &CreditorRow, (kind, ticket): (Ticket, &str)) -> Result<OpenNotice, Refused> {
    let number = opened(app, creditor, (kind, ticket))?;
    read_notice(app, creditor.fiscal_code, number).await
}

fn opened(app: &App, creditor: &CreditorRow, (kind, ticket): (Ticket, &str)) -> Result<NoticeNumber, Refused> {
    let number = kind.open(&app.keys, creditor.fiscal_code, ticket, app.now());
    number.ok_or(Stop::Refused(OpenRefusal::Ticket))
}

async fn read_notice(app: &App, creditor: CreditorCode, number: NoticeNumber) -> Result<OpenNotice, Refused> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let Some(row) = tx.notice(&creditor, number.as_str()).await? else { return Ok(None) };
            Ok(Some((row, payable(tx, creditor, number, now).await?)))
        })
    });
    let (row, found) = read.await?.ok_or(Stop::Refused(OpenRefusal::Ticket))?;
    let state = pay_link::state(&row, found.as_ref(), now);
    let amount = found.as_ref().map_or(row.amount_cents, |found| found.wanted.notice.amount);
    let page = found.and_then(|found| found.page).filter(|page| page.notices == 1).map(|page| page.url);
    Ok(OpenNotice {
        number,
        reason: row.reason,
        debtor: masked(&row.debtor_name),
        amount,
        due_date: row.due_date,
        state,
        page,
    })
}

/// The notice as a page to print, without name and address.
///
/// # Errors
/// [`OpenRefusal::Ticket`] or [`OpenRefusal::Document`], or a [`Fault`].
pub async fn print(app: &App, creditor: &CreditorRow, ticket: &str) -> Result<File, Refused> {
    let number = opened(app, creditor, (Ticket::Holder, ticket))?;
    documents::open_notice(&app.printer(), creditor, &number).await.map_err(document)
}

fn document(stop: Stop<DocumentRefusal>) -> Refused {
    match stop {
        Stop::Refused(DocumentRefusal::NotPaid) => Stop::Refused(OpenRefusal::NotPaid),
        Stop::Refused(DocumentRefusal::NotPayable) => Stop::Refused(OpenRefusal::NotPayable),
        Stop::Refused(refusal) => Stop::Refused(OpenRefusal::Document(refusal)),
        Stop::Fault(fault) => Stop::Fault(fault),
    }
}

/// Opens a page of Checkout for the notice of a ticket, or goes back to the one that is open for it alone; `None` where none could
/// be had: it can be paid all the same, at any PSP. And a ticket to see how it stands afterwards.
///
/// # Errors
/// [`OpenRefusal::Ticket`], [`OpenRefusal::NotPayable`] or [`OpenRefusal::InProgress`], or a [`Fault`].
pub async fn pay(app: &App, creditor: &CreditorRow, ticket: &str) -> Result<(Option<String>, String), Refused> {
    let number = opened(app, creditor, (Ticket::Holder, ticket))?;
    let page = pay_link::page(app, creditor.fiscal_code, number).await.map_err(|stop| match stop {
        Stop::Refused(LinkRefusal::InProgress { until }) => Stop::Refused(OpenRefusal::InProgress { until }),
        Stop::Refused(_) => Stop::Refused(OpenRefusal::NotPayable),
        Stop::Fault(fault) => Stop::Fault(fault),
    })?;
    Ok((page, Ticket::Outcome.seal(app, creditor, number)?))
}

/// The receipt of the notice that somebody holds: amount, day, reference and PSP.
///
/// # Errors
/// [`OpenRefusal`], or a [`Fault`].
pub async fn receipt(
    app: &App,
    creditor: &CreditorRow,
    (typed, from): (&Typed, Option<IpAddr>),
    (form, language): (Form, Language),
) -> Result<File, Refused> {
    hold(app, creditor.fiscal_code, typed, from).await?;
    documents::open_receipt(&app.printer(), creditor, &typed.number, (form, language)).await.map_err(document)
}

/// Has the whole receipt of the notice that somebody holds sent to the address that its payer has on file, once a day. Whether there is
/// such an address is not told.
///
/// # Errors
/// [`OpenRefusal`], or a [`Fault`].
pub async fn send_receipt(
    app: &App,
    creditor: &CreditorRow,
    typed: &Typed,
    from: Option<IpAddr>,
) -> Result<(), Refused> {
    if app.mailer.is_none() {
        return Err(Stop::Refused(OpenRefusal::NotConfigured));
    }
    hold(app, creditor.fiscal_code, typed, from).await?;
    let (code, number, now) = (creditor.fiscal_code, typed.number, app.now());
    let laid = app.store.write("send a receipt again", move |tx| {
        Box::pin(async move {
            let receipts = tx.receipts_of_notice(&code, number.as_str()).await?;
            let Some(last) = receipts.last() else { return Ok(Err(OpenRefusal::NotPaid)) };
            lay_payment_again(tx, code, (number, last.received_at_ms), now).await?;
            Ok(Ok(()))
        })
    });
    laid.await?.map_err(Stop::Refused)
}

/// A name of which nobody learns more than who knows it already: `M*** R***`. The first letter or digit of each word; how long a word
/// is does not show.
pub fn masked(name: &str) -> String {
    let first = |word: &str| word.chars().find(|c| c.is_alphanumeric());
    let words: Vec<String> = name.split_whitespace().filter_map(first).map(|letter| format!("{letter}***")).collect();
    if words.is_empty() { "***".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_name_says_its_first_letters() {
        for (name, shown) in [
            ("Maria Rossi", "M*** R***"),
            ("Maria Chiara dalla Chiesa Bentivoglio-Montecuccoli", "M*** C*** d*** C*** B***"),
            ("Nicolò D'Angelo De' Medici", "N*** D*** D*** M***"),
            ("'Abd al-Raḥmān 'Ūd", "A*** a*** Ū***"),
            ("أمينة بنت محمد", "أ*** ب*** م***"),
            ("王小明", "王***"),
            ("王 小明", "王*** 小***"),
            ("O", "O***"),
            ("Ng O", "N*** O***"),
            ("  Rossi\t\u{a0}Maria \n", "R*** M***"),
            ("\u{202e}Evil Name", "E*** N***"),
            ("- ' .", "***"),
            ("", "***"),
        ] {
            assert_eq!(masked(name), shown, "{name}");
        }
    }

    #[test]
    fn codes_are_the_same_or_not() {
        assert!(same("RSSMRA80A01H501U", "rssmra80a01h501u "));
        assert!(!same("RSSMRA80A01H501U", "RSSMRA80A01H501X"));
        assert!(!same("RSSMRA80A01H501U", ""));
        assert!(!same("RSSMRA80A01H501U", "RSSMRA80A01H501UX"), "a longer one that begins like it");
        assert!(!same("12345678901", "12345678901\0"));
        assert!(!same("RSSMRA80A01H501U", "ANONIMO"));
    }

    #[test]
    fn what_is_typed_has_a_form() {
        let number = "3010 0000 0000 0042 85";
        let parse =
            |number: &str, code: &str| Typed::parse(number, code).map(|typed| (typed.number.to_string(), typed.code));
        let good = Ok(("301000000000004285".to_owned(), "RSSMRA80A01H501U".to_owned()));
        assert_eq!(parse(number, " rss mra 80a01 h501u "), good);
        assert!(parse(number, "12345678901").is_ok());
        for code in ["", "1234567890", "RSSMRA80A01H501", "RSSMRA80A01H501UU", "ÈSSMRA80A01H501", "ANONIMO"] {
            assert_eq!(parse(number, code), Err(TypedError::Code), "{code}");
        }
        for number in ["", "301000000000004286", "3010000000000042855", "abc", "901000000000004285"] {
            assert_eq!(parse(number, "RSSMRA80A01H501U"), Err(TypedError::Number), "{number}");
        }
    }
}
