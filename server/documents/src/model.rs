//! What the documents say: facts as the domain knows them. Words, numbers and dates as people read them are made when a
//! document is written.

use borsellino_domain::creditor::{Cbill, CreditorCode};
use borsellino_domain::language::Language;
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::{NoticeNumber, PostalAccount};
use borsellino_domain::service::ServiceKind;
use borsellino_domain::time::Millis;
use jiff::civil::Date;

use crate::logo::Logo;

/// The public body whose document it is.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its fiscal code.
    pub code: CreditorCode,
    /// Its name; on a notice the first 50 characters count (guide 3.3, "Ente Creditore").
    pub name: String,
    /// The same in German, where it has one (South Tyrol).
    pub name_german: Option<String>,
    /// The office in charge; at most 50 characters on a notice.
    pub sector: String,
    /// Where it is reached: parts separated by a middle dot; at most 100 characters on a notice.
    pub contacts: String,
    /// The interbank code to type into a bank's form.
    pub cbill: Option<Cbill>,
    /// Where else than through pagoPA's channels one can pay; at most 50 characters.
    pub own_counter: Option<String>,
    /// Its postal account: with one, each part has the postal section (guide 3.3: mandatory then).
    pub postal: Option<Postal>,
    /// Its coat of arms.
    pub logo: Option<Logo>,
}

/// A postal account as the *bollettino PA* names it.
#[derive(Clone, Debug)]
pub struct Postal {
    /// The account's number.
    pub account: PostalAccount,
    /// In whose name it stands; at most 50 characters.
    pub holder: String,
    /// Poste's authorisation to print, e.g. `AUT. DB/SSIC/E 12345 DEL 01/02/2026`.
    pub authorisation: Option<String>,
}

/// In which words a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// One language.
    Only(Language),
    /// Italian, and German beneath: South Tyrol.
    ItalianGerman,
}

/// Somebody a document names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their name, in any script.
    pub name: String,
    /// Their tax code; `None` where nobody knows it.
    pub code: Option<String>,
    /// Where they live, in one line; `None` where nobody knows it.
    pub address: Option<String>,
}

/// A payment notice (*avviso di pagamento*, guide 3.3).
#[derive(Clone, Debug)]
pub struct Notice {
    /// Who is owed.
    pub issuer: Issuer,
    /// The words.
    pub wording: Wording,
    /// Who owes; `None` on a notice printed for somebody who is not signed in, which names nobody.
    pub debtor: Option<Person>,
    /// What for, at most 90 characters on the paper; names no child.
    pub subject: String,
    /// Everything at once; `None` where it can only be paid in parts.
    pub whole: Option<Part>,
    /// The instalments, the first due first; none, or two and more.
    pub parts: Vec<Part>,
}

/// What is paid under one notice number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number.
    pub number: NoticeNumber,
    /// How much.
    pub amount: Amount,
    /// Until when; `None` where it has no end.
    pub due: Option<Date>,
    /// Which instalment, from 1; `None` for what is paid at once.
    pub instalment: Option<u32>,
}

/// A receipt (*ricevuta*) for whoever paid, made from pagoPA's (*ricevuta telematica*).
#[derive(Clone, Debug)]
pub struct Receipt {
    /// To whom it was addressed.
    pub issuer: Issuer,
    /// The words.
    pub language: Language,
    /// `receiptId`: the payment token.
    pub receipt_id: String,
    /// The notice that was paid, 18 digits.
    pub notice_number: String,
    /// `creditorReferenceId`.
    pub iuv: String,
    /// Who issued the notice: 11 digits, and the name the receipt gives.
    pub notice_issuer: (String, String),
    /// What it was for, as pagoPA was told.
    pub description: String,
    /// `paymentDateTime`: when it was paid, as the receipt says it; `None` where it does not.
    pub paid_at: Option<String>,
    /// `applicationDate`, as the receipt says it.
    pub applied_on: Option<String>,
    /// `transferDate`, as the receipt says it.
    pub transferred_on: Option<String>,
    /// When it reached the creditor.
    pub received_at: Millis,
    /// What was paid in all, without the fee.
    pub total: Cents,
    /// The fee of whoever took the money; `None` where the receipt does not say.
    pub fee: Option<Cents>,
    /// Card, account, cash, ... in the words of whoever took the money.
    pub method: Option<String>,
    /// Who took the money: name, identifier, tax code or VAT number.
    pub psp: (String, String, Option<String>),
    /// Through which channel.
    pub channel: String,
    /// Who owed; `None` where the reader may not know.
    pub debtor: Option<Person>,
    /// Who paid.
    pub payer: Payer,
    /// The parts of the payment.
    pub transfers: Vec<Transfer>,
    /// What it settled.
    pub settled: Vec<Settled>,
    /// Where it is in the ledger; `None` while it is in no seal.
    pub proof: Option<Evidence>,
}

/// Who paid, as far as the reader may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payer {
    /// The receipt names them, and the reader is they, or the office.
    Named(Person),
    /// The receipt names somebody else than the reader.
    Withheld,
    /// The receipt names nobody.
    Unknown,
}

/// A part of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who got it: 11 digits, and a name where there is one.
    pub payee: (String, Option<String>),
    /// How much.
    pub amount: Cents,
    /// On which account; `None` for a digital stamp.
    pub iban: Option<String>,
    /// What for.
    pub reason: String,
    /// pagoPA's taxonomy.
    pub taxonomy: String,
}

/// What a payment was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The child's name.
    pub child: Option<String>,
    /// The service, as the creditor calls it.
    pub service: Option<String>,
    /// The bill's number and period.
    pub bill: Option<(String, String)>,
    /// How much of the payment.
    pub amount: Cents,
}

/// Where a payment is in the sealed ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The entry.
    pub entry: String,
    /// The seal that it is in.
    pub seal: u64,
    /// The seal's hash, in hexadecimal.
    pub hash: String,
    /// The proof file (`borsellino proof check`). It is carried in the document's metadata.
    pub file: Vec<u8>,
}

/// A receipt for whoever holds the notice and has not signed in: nobody's name, no address, no reason.
#[derive(Clone, Debug)]
pub struct ShortReceipt {
    /// Who issued the notice.
    pub issuer: Issuer,
    /// The words.
    pub language: Language,
    /// The notice's reference.
    pub iuv: String,
    /// Each payment of the notice, oldest first: one, but where it was paid twice.
    pub payments: Vec<ShortPayment>,
    /// When the last of their receipts reached the creditor.
    pub received_at: Millis,
    /// Where the money was taken at the creditor's own counter: what for. Such a payment knows no receipt of pagoPA.
    pub at_counter: Option<String>,
}

/// A payment, as far as anybody may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortPayment {
    /// What was paid, without the fee.
    pub amount: Cents,
    /// When; `None` where it can't be said.
    pub paid_on: Option<Date>,
    /// Who took the money.
    pub psp: String,
}

/// The fiscal certificate (*certificazione ai fini fiscali*) of one payer, one child, one tax year.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Who received the money.
    pub issuer: Issuer,
    /// The words.
    pub language: Language,
    /// The tax year: 1 January to 31 December.
    pub year: i16,
    /// Who paid.
    pub payer: Person,
    /// For whom.
    pub child: Person,
    /// The child's school.
    pub school: Option<String>,
    /// What was paid for each service.
    pub lines: Vec<CertifiedLine>,
    /// Each payment.
    pub payments: Vec<CertifiedPayment>,
    /// Paid in this year in a way that can't be traced, e.g. cash, and therefore in no line.
    pub untraceable: Cents,
    /// Refunded in this year of what was paid in earlier ones: in no line, to be declared apart.
    pub refunded_of_earlier_years: Cents,
    /// Refunded after this year of what was paid in it: in no line, to be declared apart in the year it came back.
    pub refunded_since: Cents,
    /// When it was issued.
    pub issued: Date,
    /// What whoever holds the paper types to have it confirmed.
    pub code: String,
    /// Where they type it, e.g. `https://pagamenti.comune.example/verifica`.
    pub verify_at: String,
}

/// What was paid for a service in the tax year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedLine {
    /// What it is.
    pub kind: ServiceKind,
    /// What the creditor calls it.
    pub service: String,
    /// Paid.
    pub paid: Cents,
    /// Refunded in the same year, of what was paid in it.
    pub refunded: Cents,
    /// What is left.
    pub net: Cents,
}

/// One payment, or the part of it that was for this child and service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedPayment {
    /// When it was paid.
    pub day: Date,
    /// The service, as the creditor calls it.
    pub service: String,
    /// The payment's reference: IUV.
    pub iuv: String,
    /// How it was paid, where the receipt says so.
    pub method: Option<String>,
    /// How much; negative for a refund.
    pub amount: Cents,
}

/// An account statement (*estratto conto*) of one wallet.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Whose ledger.
    pub issuer: Issuer,
    /// The words.
    pub language: Language,
    /// The child.
    pub child: String,
    /// The service, as the creditor calls it.
    pub service: String,
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// What was there before the first day.
    pub opening: Cents,
    /// What is there after the last.
    pub closing: Cents,
    /// What happened, the oldest first.
    pub movements: Vec<StatementLine>,
    /// When it was read.
    pub as_of: Millis,
}

/// One movement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// When it was booked.
    pub booked: Date,
    /// Why.
    pub what: Movement,
    /// The day of the meal or ride.
    pub day: Option<Date>,
    /// The tariff that applied.
    pub tariff: Option<String>,
    /// How much; money out is negative.
    pub cents: Cents,
    /// What was there after it.
    pub balance: Cents,
}

/// Why a balance moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    /// Carried over from an earlier system.
    Opening,
    /// Paid through pagoPA.
    TopUp,
    /// Paid at the office's counter.
    Counter,
    /// A meal, a ride, a month.
    Charge,
    /// Put right by the office.
    Correction,
    /// Given back.
    Refund,
}
