//! The receipt (`paSendRT`, `paSendRTV2`): the only proof that money has moved, so it is read as tolerantly as is safe.
//!
//! Both versions decode to one [`Receipt`]; what only V2 has is absent in a v1 one. `Debug` is safe for logs: it shows
//! numbers and public bodies, never a person or free text.

use std::fmt;

use roxmltree::Node;

use super::Version;
use super::read::{Flaw, Manner, Problem, Sequence, amount_not_zero, boolean, flaw, identifier, text};
use super::wire::{Digits11, NoticeNumber18, WireDate, WireDateTime, parse_amount, parse_base64, trim};

/// `outcome`; in practice receipts exist only for payments that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Paid.
    Ok,
    /// Not paid.
    Ko,
}

/// Natural person or legal entity (`stEntityUniqueIdentifierType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectKind {
    /// `F`.
    Person,
    /// `G`.
    Entity,
}

/// A debtor or payer (`ctSubject`). Lengths as in the schema; nothing is checked against a tax registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    /// Person or entity.
    pub kind: SubjectKind,
    /// Tax code, or `ANONIMO` when none is known.
    pub identifier: String,
    /// Name, up to 70 characters.
    pub full_name: String,
    /// Street.
    pub street: Option<String>,
    /// House number.
    pub civic_number: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// Province or region.
    pub province: Option<String>,
    /// ISO 3166-1 alpha-2 country.
    pub country: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
}

/// One entry of a `metadata` map; keys may repeat and are kept in order.
#[derive(Clone, PartialEq, Eq)]
pub struct MapEntry {
    /// Key, up to 140 characters.
    pub key: String,
    /// Value, up to 140 characters.
    pub value: String,
}

/// A part of the payment, for one creditor's account.
#[derive(Clone, PartialEq, Eq)]
pub struct Transfer {
    /// 1..=5.
    pub id: u8,
    /// Cents, never zero.
    pub amount_cents: i64,
    /// The creditor that receives it.
    pub fiscal_code_pa: Digits11,
    /// That creditor's name (V2 only).
    pub company_name: Option<String>,
    /// The account; absent when the transfer is a digital stamp.
    pub iban: Option<String>,
    /// The digital stamp, decoded from base64 (V2 only).
    pub mbd_attachment: Option<Vec<u8>>,
    /// Reason for payment.
    pub remittance_information: String,
    /// Taxonomy code.
    pub category: String,
    /// What the creditor attached at activation, echoed.
    pub metadata: Vec<MapEntry>,
}

/// The payment service provider that took the money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Psp {
    /// `idPSP`.
    pub id: String,
    /// `pspFiscalCode`.
    pub fiscal_code: Option<String>,
    /// `pspPartitaIVA`.
    pub vat_number: Option<String>,
    /// `PSPCompanyName`.
    pub company_name: String,
}

/// The channel of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// `idChannel`.
    pub id: String,
    /// `channelDescription`.
    pub description: String,
}

/// A receipt, either version (`ctReceipt`, `ctReceiptV2`). Everything optional may really be missing.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The payment token: with creditor and `fiscal_code` the key of a receipt. At most 255 characters here.
    pub receipt_id: String,
    /// The notice that was paid.
    pub notice_number: NoticeNumber18,
    /// The creditor that issued the notice.
    pub fiscal_code: Digits11,
    /// Only OK occurs.
    pub outcome: Outcome,
    /// The IUV.
    pub creditor_reference_id: String,
    /// Total paid, in cents.
    pub payment_amount_cents: i64,
    /// Reason for payment.
    pub description: String,
    /// Name of the creditor.
    pub company_name: String,
    /// Its office.
    pub office_name: Option<String>,
    /// Who owed.
    pub debtor: Subject,
    /// 1..=5 parts.
    pub transfers: Vec<Transfer>,
    /// Who took the money.
    pub psp: Psp,
    /// Through which channel.
    pub channel: Channel,
    /// Who paid, where known.
    pub payer: Option<Subject>,
    /// How, in the provider's words.
    pub payment_method: Option<String>,
    /// A Checkout cart's id (V2 only).
    pub payment_note: Option<String>,
    /// The payer's fee, in cents.
    pub fee_cents: Option<i64>,
    /// The fee carried by the creditor, in cents (V2 only).
    pub primary_ci_incurred_fee_cents: Option<i64>,
    /// Fee bundle of the provider (V2 only).
    pub id_bundle: Option<String>,
    /// Fee bundle of the creditor (V2 only).
    pub id_ci_bundle: Option<String>,
    /// When the debt was discharged.
    pub payment_date_time: Option<WireDateTime>,
    /// Day on which the payer was charged.
    pub application_date: Option<WireDate>,
    /// Day of the transfer to the creditor.
    pub transfer_date: Option<WireDate>,
    /// What the creditor attached at activation, echoed.
    pub metadata: Vec<MapEntry>,
    /// Paid while our station was replaced by the platform: no verify came before, the amount may be stale.
    pub stand_in: bool,
}

#[rustfmt::skip]
const RECEIPT_V1: &[&str] = &[
    "receiptId", "noticeNumber", "fiscalCode", "outcome", "creditorReferenceId", "paymentAmount", "description",
    "companyName", "officeName", "debtor", "transferList", "idPSP", "pspFiscalCode", "pspPartitaIVA",
    "PSPCompanyName", "idChannel", "channelDescription", "payer", "paymentMethod", "fee", "paymentDateTime",
    "applicationDate", "transferDate", "metadata", "standIn",
];
const RECEIPT_V2_ONLY: &[&str] = &["paymentNote", "primaryCiIncurredFee", "idBundle", "idCiBundle"];
#[rustfmt::skip]
const TRANSFER_V1: &[&str] = &[
    "idTransfer", "transferAmount", "fiscalCodePA", "IBAN", "remittanceInformation", "transferCategory", "metadata",
];
const TRANSFER_V2_ONLY: &[&str] = &["companyName", "MBDAttachment"];
#[rustfmt::skip]
const SUBJECT: &[&str] = &[
    "uniqueIdentifier", "fullName", "streetName", "civicNumber", "postalCode", "city", "stateProvinceRegion",
    "country", "e-mail",
];

/// The names known to a version: to a v1 reader a V2 element is a new one, skipped wherever it stands.
fn known(v1: &[&'static str], v2_only: &[&'static str], version: Version) -> Vec<&'static str> {
    match version {
        Version::V1 => v1.to_vec(),
        Version::V2 => [v1, v2_only].concat(),
    }
}

/// Reads the `receipt` element.
pub(super) fn read(node: Node<'_, '_>, version: Version) -> Result<Receipt, Flaw> {
    let known = known(RECEIPT_V1, RECEIPT_V2_ONLY, version);
    let mut s = Sequence::open(node, "receipt", &known, Manner::Tolerant)?;
    // Fields are evaluated in the order written, which is the order of the sequence.
    let receipt = Receipt {
        receipt_id: s.value("receiptId", identifier(255))?,
        notice_number: s.value("noticeNumber", |t| NoticeNumber18::new(trim(t)))?,
        fiscal_code: s.value("fiscalCode", |t| Digits11::new(trim(t)))?,
        outcome: s.value("outcome", |t| match trim(t) {
            "OK" => Some(Outcome::Ok),
            "KO" => Some(Outcome::Ko),
            _ => None,
        })?,
        creditor_reference_id: s.value("creditorReferenceId", identifier(35))?,
        payment_amount_cents: s.value("paymentAmount", parse_amount)?,
        description: s.value("description", text(140))?,
        company_name: s.value("companyName", text(140))?,
        office_name: s.optional("officeName", text(140))?,
        debtor: subject(s.need("debtor")?, "debtor")?,
        transfers: transfers(s.need("transferList")?, version)?,
        psp: Psp {
            id: s.value("idPSP", identifier(35))?,
            fiscal_code: s.optional("pspFiscalCode", identifier(70))?,
            vat_number: s.optional("pspPartitaIVA", identifier(20))?,
            company_name: s.value("PSPCompanyName", text(70))?,
        },
        channel: Channel {
            id: s.value("idChannel", identifier(35))?,
            description: s.value("channelDescription", text(35))?,
        },
        payer: s.next("payer").map(|payer| subject(payer, "payer")).transpose()?,
        payment_method: s.optional("paymentMethod", text(35))?,
        payment_note: s.optional("paymentNote", identifier(210))?,
        fee_cents: s.optional("fee", parse_amount)?,
        primary_ci_incurred_fee_cents: s.optional("primaryCiIncurredFee", parse_amount)?,
        id_bundle: s.optional("idBundle", identifier(70))?,
        id_ci_bundle: s.optional("idCiBundle", identifier(70))?,
        payment_date_time: s.optional("paymentDateTime", WireDateTime::parse)?,
        application_date: s.optional("applicationDate", WireDate::parse)?,
        transfer_date: s.optional("transferDate", WireDate::parse)?,
        metadata: metadata(&mut s)?,
        stand_in: s.optional("standIn", boolean)?.unwrap_or(false),
    };
    s.close()?;
    Ok(receipt)
}

fn subject(node: Node<'_, '_>, element: &'static str) -> Result<Subject, Flaw> {
    let mut s = Sequence::open(node, element, SUBJECT, Manner::Tolerant)?;
    let names = ["entityUniqueIdentifierType", "entityUniqueIdentifierValue"];
    let mut unique = Sequence::open(s.need("uniqueIdentifier")?, "uniqueIdentifier", &names, Manner::Tolerant)?;
    let kind = unique.value("entityUniqueIdentifierType", |t| match trim(t) {
        "F" => Some(SubjectKind::Person),
        "G" => Some(SubjectKind::Entity),
        _ => None,
    })?;
    let two_or_more = |t: &str| identifier(16)(t).filter(|v| v.chars().count() >= 2);
    let value = unique.value("entityUniqueIdentifierValue", two_or_more)?;
    unique.close()?;
    let subject = Subject {
        kind,
        identifier: value,
        full_name: s.value("fullName", text(70))?,
        street: s.optional("streetName", text(70))?,
        civic_number: s.optional("civicNumber", text(16))?,
        postal_code: s.optional("postalCode", text(16))?,
        city: s.optional("city", text(35))?,
        province: s.optional("stateProvinceRegion", text(35))?,
        country: s.optional("country", |t| Some(trim(t)).filter(|t| is_country(t)).map(str::to_owned))?,
        email: s.optional("e-mail", |t| Some(trim(t)).filter(|t| is_email(t)).map(str::to_owned))?,
    };
    s.close()?;
    Ok(subject)
}

fn transfers(node: Node<'_, '_>, version: Version) -> Result<Vec<Transfer>, Flaw> {
    let mut list = Sequence::open(node, "transferList", &["transfer"], Manner::Tolerant)?;
    let known = known(TRANSFER_V1, TRANSFER_V2_ONLY, version);
    let mut transfers = vec![transfer(list.need("transfer")?, &known)?];
    while let Some(node) = list.next("transfer") {
        if transfers.len() == 5 {
            return Err(flaw("transfer", Problem::TooMany));
        }
        transfers.push(transfer(node, &known)?);
    }
    list.close()?;
    Ok(transfers)
}

fn transfer(node: Node<'_, '_>, known: &[&'static str]) -> Result<Transfer, Flaw> {
    let mut s = Sequence::open(node, "transfer", known, Manner::Tolerant)?;
    let id = s.value("idTransfer", |t| trim(t).parse().ok().filter(|id| (1..=5).contains(id)))?;
    let amount_cents = s.value("transferAmount", amount_not_zero)?;
    let fiscal_code_pa = s.value("fiscalCodePA", |t| Digits11::new(trim(t)))?;
    let company_name = s.optional("companyName", text(140))?;
    // A choice: the stamp, or else the account.
    let mbd_attachment = s.optional("MBDAttachment", parse_base64)?;
    let iban = match mbd_attachment {
        Some(_) => None,
        None => Some(s.value("IBAN", identifier(35))?),
    };
    let transfer = Transfer {
        id,
        amount_cents,
        fiscal_code_pa,
        company_name,
        iban,
        mbd_attachment,
        remittance_information: s.value("remittanceInformation", text(140))?,
        category: s.value("transferCategory", identifier(140))?,
        metadata: metadata(&mut s)?,
    };
    s.close()?;
    Ok(transfer)
}

/// The optional `metadata` that comes next: 1..=15 entries, keys known or not.
fn metadata(parent: &mut Sequence<'_, '_>) -> Result<Vec<MapEntry>, Flaw> {
    let Some(node) = parent.next("metadata") else {
        return Ok(Vec::new());
    };
    let mut map = Sequence::open(node, "metadata", &["mapEntry"], Manner::Tolerant)?;
    let mut entries = vec![map_entry(map.need("mapEntry")?)?];
    while let Some(node) = map.next("mapEntry") {
        if entries.len() == 15 {
            return Err(flaw("mapEntry", Problem::TooMany));
        }
        entries.push(map_entry(node)?);
    }
    map.close()?;
    Ok(entries)
}

fn map_entry(node: Node<'_, '_>) -> Result<MapEntry, Flaw> {
    let mut s = Sequence::open(node, "mapEntry", &["key", "value"], Manner::Tolerant)?;
    let entry = MapEntry { key: s.value("key", text(140))?, value: s.value("value", text(140))? };
    s.close()?;
    Ok(entry)
}

/// `stNazioneProvincia`.
pub(super) fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// `stEMail`: the schema's own, narrow pattern.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.split_once('@') else {
        return false;
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.len() <= 256
        && !local.is_empty()
        && local.chars().all(|c| plain(c) || matches!(c, '_' | '.' | '+'))
        && host.split('.').all(|label| !label.is_empty() && label.chars().all(plain))
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({:?}, withheld)", self.kind)
    }
}

impl fmt::Debug for MapEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MapEntry(withheld)")
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("id", &self.id)
            .field("amount_cents", &self.amount_cents)
            .field("fiscal_code_pa", &self.fiscal_code_pa)
            .field("category", &self.category)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("receipt_id", &self.receipt_id)
            .field("notice_number", &self.notice_number)
            .field("fiscal_code", &self.fiscal_code)
            .field("outcome", &self.outcome)
            .field("payment_amount_cents", &self.payment_amount_cents)
            .field("transfers", &self.transfers)
            .field("psp", &self.psp.id)
            .field("payment_date_time", &self.payment_date_time.as_ref().map(|at| at.instant))
            .field("stand_in", &self.stand_in)
            .finish_non_exhaustive()
    }
}
