//! What the Node is answered. The types make an invalid answer unsayable: an amount is never zero, a total is always
//! the sum of its transfers, a mandatory text is never empty nor too long.
//!
//! Rules beyond the schema (SANP 3.12.0): an OK needs description, creditor's code and name even where the schema has
//! them optional; an optional element is left out, never sent empty; KO always carries a fault, OK never does.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::receipt::{Subject, SubjectKind, is_country, is_email};
use super::wire::{Digits11, NoticeNumber18, PositiveCents, amount_text};
use super::{Fault, NAMESPACE, Operation, SOAP, Version};

/// Text for people, 1 ..= `MAX` characters, without characters that XML cannot carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Cleans and cuts `text` to fit; `None` where nothing is left to say.
    #[must_use]
    pub fn fit(text: &str) -> Option<Self> {
        let fitted = clean(text, MAX);
        (!fitted.is_empty()).then_some(Self(fitted))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An identifier, 1 ..= `MAX` visible ASCII characters; never cut, since half an IBAN is no IBAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code<const MAX: usize>(String);

impl<const MAX: usize> Code<MAX> {
    /// Takes the identifier as it is; `None` where it is empty, too long or not visible ASCII.
    #[must_use]
    pub fn new(code: &str) -> Option<Self> {
        let fits = (1..=MAX).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(code.to_owned()))
    }

    /// The identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `metadata`: at most 15 entries, echoed in the receipt. Empty is left out.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Metadata(Vec<(Text<140>, Text<140>)>);

impl Metadata {
    /// Takes up to 15 keys and values; more are `None`.
    #[must_use]
    pub fn new(entries: Vec<(Text<140>, Text<140>)>) -> Option<Self> {
        (entries.len() <= 15).then_some(Self(entries))
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metadata({} withheld)", self.0.len())
    }
}

/// One part of a payment, to one account of one creditor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingTransfer {
    /// Cents of this part.
    pub amount: PositiveCents,
    /// The creditor that receives it.
    pub fiscal_code_pa: Digits11,
    /// Its name; written in V2 only.
    pub company_name: Option<Text<140>>,
    /// Its account, known to the platform for that creditor.
    pub iban: Code<35>,
    /// Reason for payment; no personal data.
    pub remittance_information: Text<140>,
    /// Taxonomy code, `9/0107101TS/`.
    pub category: Code<140>,
    /// For instance `IBANAPPOGGIO`.
    pub metadata: Metadata,
}

/// The 1..=5 parts of a payment; `idTransfer` is the position. Knows its total, which is what the payer is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfers {
    parts: Vec<OutgoingTransfer>,
    total: PositiveCents,
}

impl Transfers {
    /// Takes 1..=5 parts whose sum the contract can carry; anything else is `None`.
    #[must_use]
    pub fn new(parts: Vec<OutgoingTransfer>) -> Option<Self> {
        if parts.len() > 5 {
            return None;
        }
        let total = parts.iter().try_fold(0_i64, |sum, part| sum.checked_add(part.amount.get()))?;
        PositiveCents::new(total).map(|total| Self { parts, total })
    }

    /// The sum of the parts.
    #[must_use]
    pub fn total(&self) -> PositiveCents {
        self.total
    }
}

/// OK to `paVerifyPaymentNotice`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyOk {
    /// What the notice costs now; always exactly this (`EQ`).
    pub amount: PositiveCents,
    /// The date printed on the notice.
    pub due_date: Option<Date>,
    /// More about this payment option.
    pub detail: Option<Text<140>>,
    /// True only if every transfer has a postal account.
    pub all_ccp: bool,
    /// What is paid for; no personal data.
    pub description: Text<140>,
    /// The creditor.
    pub fiscal_code_pa: Digits11,
    /// Its name.
    pub company_name: Text<140>,
    /// Its office.
    pub office_name: Option<Text<140>>,
}

/// OK to `paGetPayment` and `paGetPaymentV2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivationOk {
    /// The IUV, which never changes for a notice.
    pub creditor_reference_id: Code<35>,
    /// The date printed on the notice; mandatory here, and never a reason for the platform to block.
    pub due_date: Date,
    /// Ignored by the platform.
    pub retention_date: Option<Timestamp>,
    /// Ignored by the platform.
    pub last_payment: Option<bool>,
    /// What is paid for; no personal data.
    pub description: Text<140>,
    /// The creditor's name.
    pub company_name: Text<140>,
    /// Its office.
    pub office_name: Option<Text<140>>,
    /// Who owes. What does not fit the schema is left out; an unusable tax code or name becomes `ANONIMO`.
    pub debtor: Subject,
    /// Where the money goes; its total is the amount.
    pub transfers: Transfers,
    /// Echoed in the receipt.
    pub metadata: Metadata,
}

/// OK to `paDemandPaymentNotice`: the notice made for the occasion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemandOk {
    /// Its number.
    pub notice_number: NoticeNumber18,
    /// What it costs, and to whom.
    pub offer: VerifyOk,
}

/// An answer to one operation. Sent with HTTP 200 and `text/xml; charset=utf-8`, KO included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The notice is payable.
    Verify(VerifyOk),
    /// The payment may go on.
    Activation(Version, Box<ActivationOk>),
    /// The receipt is kept.
    Receipt(Version),
    /// A notice was made.
    Demand(DemandOk),
    /// No, and why.
    Ko(Operation, Fault),
}

impl Response {
    /// The operation it answers.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Verify(_) => Operation::VerifyPaymentNotice,
            Self::Activation(version, _) => Operation::GetPayment(*version),
            Self::Receipt(version) => Operation::SendRt(*version),
            Self::Demand(_) => Operation::DemandPaymentNotice,
            Self::Ko(operation, _) => *operation,
        }
    }

    /// The whole envelope, UTF-8.
    #[must_use]
    pub fn to_xml(&self) -> Vec<u8> {
        envelope(|x| {
            x.element_with(self.operation().response_element(), &[("xmlns:pafn", NAMESPACE)], |x| {
                x.text("outcome", if matches!(self, Self::Ko(..)) { "KO" } else { "OK" });
                match self {
                    Self::Verify(ok) => x.offer(ok),
                    Self::Activation(version, ok) => x.activation(*version, ok),
                    Self::Receipt(_) => {}
                    Self::Demand(ok) => {
                        x.element("qrCode", |x| {
                            x.text("fiscalCode", ok.offer.fiscal_code_pa.as_str());
                            x.text("noticeNumber", ok.notice_number.as_str());
                        });
                        x.offer(&ok.offer);
                    }
                    Self::Ko(_, fault) => x.element("fault", |x| {
                        x.text("faultCode", fault.code.code());
                        x.text("faultString", fault.code.text());
                        x.text("id", fault.id.as_str());
                        x.optional("description", fault.description.as_deref(), 256);
                    }),
                }
            });
        })
    }
}

/// Whose fault a SOAP Fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The message was at fault.
    Client,
    /// We are; the Node delivers a receipt again.
    Server,
}

/// A SOAP 1.1 Fault, to be sent with HTTP 500. `reason` is for operators: no content of the message in it.
#[must_use]
pub fn soap_fault(blame: Blame, reason: &str) -> Vec<u8> {
    envelope(|x| {
        x.element("soapenv:Fault", |x| {
            let code = match blame {
                Blame::Client => "soapenv:Client",
                Blame::Server => "soapenv:Server",
            };
            x.text("faultcode", code);
            x.text("faultstring", &clean(reason, 256));
        });
    })
}

fn envelope(body: impl FnOnce(&mut Xml)) -> Vec<u8> {
    let mut x = Xml(Writer::new(Vec::with_capacity(2048)));
    x.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    x.element_with("soapenv:Envelope", &[("xmlns:soapenv", SOAP)], |x| x.element("soapenv:Body", body));
    x.0.into_inner()
}

/// Drops what XML 1.0 cannot carry, turns line breaks into blanks, trims and cuts to `max` characters.
fn clean(text: &str, max: usize) -> String {
    let blank = |c: char| {
        if matches!(c, '\t' | '\n' | '\r') { ' ' } else { c }
    };
    let legal = |c: &char| !matches!(c, '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    let kept: String = text.chars().map(blank).filter(legal).collect();
    kept.trim().chars().take(max).collect()
}

/// The order of calls is the order of the schema's sequence.
struct Xml(Writer<Vec<u8>>);

impl Xml {
    fn event(&mut self, event: Event<'_>) {
        // Writing to memory does not fail.
        let _ = self.0.write_event(event);
    }

    fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.element_with(name, &[], content);
    }

    fn element_with(&mut self, name: &str, attributes: &[(&str, &str)], content: impl FnOnce(&mut Self)) {
        self.event(Event::Start(BytesStart::new(name).with_attributes(attributes.iter().copied())));
        content(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn text(&mut self, name: &str, text: &str) {
        self.element(name, |x| x.event(Event::Text(BytesText::new(text))));
    }

    /// Left out when empty, cleaned and cut otherwise.
    fn optional(&mut self, name: &str, text: Option<&str>, max: usize) {
        if let Some(text) = text.map(|t| clean(t, max)).filter(|t| !t.is_empty()) {
            self.text(name, &text);
        }
    }

    fn optional_text<const MAX: usize>(&mut self, name: &str, text: Option<&Text<MAX>>) {
        if let Some(text) = text {
            self.text(name, text.as_str());
        }
    }

    fn boolean(&mut self, name: &str, value: bool) {
        self.text(name, if value { "true" } else { "false" });
    }

    fn offer(&mut self, ok: &VerifyOk) {
        self.element("paymentList", |x| {
            x.element("paymentOptionDescription", |x| {
                x.text("amount", &amount_text(ok.amount));
                x.text("options", "EQ");
                if let Some(date) = ok.due_date {
                    x.text("dueDate", &date.to_string());
                }
                x.optional_text("detailDescription", ok.detail.as_ref());
                x.boolean("allCCP", ok.all_ccp);
            });
        });
        self.text("paymentDescription", ok.description.as_str());
        self.text("fiscalCodePA", ok.fiscal_code_pa.as_str());
        self.text("companyName", ok.company_name.as_str());
        self.optional_text("officeName", ok.office_name.as_ref());
    }

    fn activation(&mut self, version: Version, ok: &ActivationOk) {
        self.element("data", |x| {
            x.text("creditorReferenceId", ok.creditor_reference_id.as_str());
            x.text("paymentAmount", &amount_text(ok.transfers.total()));
            x.text("dueDate", &ok.due_date.to_string());
            if let Some(at) = ok.retention_date {
                x.text("retentionDate", &at.to_string());
            }
            if let Some(last) = ok.last_payment {
                x.boolean("lastPayment", last);
            }
            x.text("description", ok.description.as_str());
            x.text("companyName", ok.company_name.as_str());
            x.optional_text("officeName", ok.office_name.as_ref());
            x.element("debtor", |x| x.subject(&ok.debtor));
            x.element("transferList", |x| {
                for (id, part) in (1_usize..).zip(&ok.transfers.parts) {
                    x.element("transfer", |x| x.transfer(version, id, part));
                }
            });
            x.metadata(&ok.metadata);
        });
    }

    fn transfer(&mut self, version: Version, id: usize, part: &OutgoingTransfer) {
        self.text("idTransfer", &id.to_string());
        self.text("transferAmount", &amount_text(part.amount));
        self.text("fiscalCodePA", part.fiscal_code_pa.as_str());
        if version == Version::V2 {
            self.optional_text("companyName", part.company_name.as_ref());
        }
        self.text("IBAN", part.iban.as_str());
        self.text("remittanceInformation", part.remittance_information.as_str());
        self.text("transferCategory", part.category.as_str());
        self.metadata(&part.metadata);
    }

    fn metadata(&mut self, metadata: &Metadata) {
        if metadata.0.is_empty() {
            return;
        }
        self.element("metadata", |x| {
            for (key, value) in &metadata.0 {
                x.element("mapEntry", |x| {
                    x.text("key", key.as_str());
                    x.text("value", value.as_str());
                });
            }
        });
    }

    fn subject(&mut self, subject: &Subject) {
        let code = Some(subject.identifier.trim());
        let code = code.filter(|c| (2..=16).contains(&c.len()) && c.bytes().all(|b| b.is_ascii_alphanumeric()));
        let name = Text::<70>::fit(&subject.full_name);
        self.element("uniqueIdentifier", |x| {
            x.text(
                "entityUniqueIdentifierType",
                match subject.kind {
                    SubjectKind::Person => "F",
                    SubjectKind::Entity => "G",
                },
            );
            x.text("entityUniqueIdentifierValue", code.unwrap_or(ANONYMOUS));
        });
        self.text("fullName", name.as_ref().map_or(ANONYMOUS, Text::as_str));
        self.optional("streetName", subject.street.as_deref(), 70);
        self.optional("civicNumber", subject.civic_number.as_deref(), 16);
        self.optional("postalCode", subject.postal_code.as_deref(), 16);
        self.optional("city", subject.city.as_deref(), 35);
        self.optional("stateProvinceRegion", subject.province.as_deref(), 35);
        self.optional("country", subject.country.as_deref().filter(|c| is_country(c)), 2);
        self.optional("e-mail", subject.email.as_deref().filter(|e| is_email(e)), 256);
    }
}

/// What pagoPA's own creditor software sends for a debtor without a known tax code.
const ANONYMOUS: &str = "ANONIMO";
