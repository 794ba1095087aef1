//! What stands on a fiscal certificate, and who may have it confirmed. The rules are the domain's (`borsellino_domain::tax`).

use std::collections::BTreeMap;

use borsellino_documents::{Certificate, CertifiedLine, CertifiedPayment, Person};
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::id::{BillId, ChildId, GuardianId};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::{Account, Hash};
use borsellino_domain::money::Cents;
use borsellino_domain::queue::Item;
use borsellino_domain::service::ServiceKind;
use borsellino_domain::tax::{Expense, divide, is_traceable, tax_year};
use borsellino_domain::time::Millis;
use borsellino_store::rows::{
    CertifiedChildRow, ChildWalletRow, CreditorRow, FullLineRow, NewCertificate, PaymentInRow, RefundRow,
};
use borsellino_store::{StoreError, Tx};
use data_encoding::{BASE32_NOPAD, Specification};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::issuer::{issuer, letterhead};
use super::receipt::{PURPOSE as RECEIPT, paid_on, parse, payer_of, same_code};
use super::{DocumentRefusal, File, Printer, Refused, pressed, unknown};
use crate::clock::random;
use crate::usecases::{Fault, Stop};

/// What a certificate is sealed for.
const PURPOSE: &str = "certificate";

/// The first tax year that school services can be deducted in (L. 107/2015).
const FIRST_YEAR: i16 = 2015;

/// How many characters a code has: 80 bits.
const CODE: usize = 16;

/// Whose certificate the office asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// The payer's codice fiscale.
    pub payer: String,
    /// The child's.
    pub child: String,
    /// 1 January to 31 December.
    pub year: i16,
}

/// What was paid for a child, by anybody, with everything that decides about it.
struct Payment {
    row: PaymentInRow,
    /// For which services, and how much for each.
    shares: Vec<(Uuid, Cents)>,
    /// What was given back of the receipt as a whole.
    refunds: Vec<RefundRow>,
    /// How much of the receipt this is of what it settled.
    of: Cents,
}

/// What is read for a certificate.
struct Read {
    child: CertifiedChildRow,
    services: BTreeMap<Uuid, (ServiceKind, String)>,
    payments: Vec<Payment>,
}

pub(super) async fn of_guardian(
    printer: &Printer,
    creditor: &CreditorRow,
    guardian: GuardianId,
    (child, year): (ChildId, i16),
    language: Language,
) -> Result<File, Refused> {
    let code = creditor.fiscal_code;
    let read = printer.store.read(move |tx| {
        Box::pin(async move {
            let Some(child) = tx.child_of_guardian(&code, guardian, child).await? else { return Ok(None) };
            let Some(holder) = tx.holder(&code, guardian).await? else { return Ok(None) };
            Ok(Some((read(tx, &code, child).await?, holder)))
        })
    });
    let Some((read, holder)) = read.await? else { return unknown() };
    let payer = Person { name: holder.full_name, code: Some(holder.fiscal_code), address: None };
    print(printer, creditor, read, (payer, year), language).await
}

pub(super) async fn of_payer(
    printer: &Printer,
    creditor: &CreditorRow,
    Requested { payer, child, year }: Requested,
    language: Language,
) -> Result<File, Refused> {
    let Ok(payer) = PersonalCode::parse(&payer) else { return unknown() };
    let (code, payer) = (creditor.fiscal_code, payer.as_str().to_owned());
    let theirs = payer.clone();
    let read = printer.store.read(move |tx| {
        Box::pin(async move {
            let Some(child) = tx.certified_child(&code, &child).await? else { return Ok(None) };
            Ok(Some((read(tx, &code, child).await?, tx.holder_by_code(&code, &theirs).await?)))
        })
    });
    let Some((read, holder)) = read.await? else { return unknown() };
    // Somebody who is no guardian is called what the receipts call them.
    let name = holder.map_or_else(String::new, |holder| holder.full_name);
    print(printer, creditor, read, (Person { name, code: Some(payer), address: None }, year), language).await
}

async fn read(
    tx: &mut Tx,
    creditor: &borsellino_domain::creditor::CreditorCode,
    child: CertifiedChildRow,
) -> Result<Read, StoreError> {
    let mut services = BTreeMap::new();
    let mut payments = Vec::new();
    for ChildWalletRow { wallet, service, kind, name } in tx.wallets_of_child(creditor, child.id).await? {
        services.insert(service, (kind, name));
        for row in tx.payments_in(creditor, Account::wallet(wallet)).await? {
            let refunds = refunds(tx, creditor, &row).await?;
            let (shares, of) = (vec![(service, row.cents)], row.cents);
            payments.push(Payment { row, shares, refunds, of });
        }
    }
    for bill in tx.bills_of_child(creditor, child.id).await? {
        let lines = tx.bill_lines(creditor, bill).await?;
        let mut left: Vec<Cents> = lines.iter().map(|line| line.cents).collect();
        for line in lines.iter().filter(|line| line.child == child.id) {
            services.insert(line.service, (line.kind, line.name.clone()));
        }
        let (mut of_bill, mut beyond) = (Vec::new(), Cents::ZERO);
        for row in tx.payments_in(creditor, Account::bill(BillId::from(bill.uuid()))).await? {
            let paid = divide(row.cents, &left);
            let used = paid.iter().try_fold(Cents::ZERO, |sum, cents| sum.plus(*cents));
            let over = used.and_then(|used| row.cents.minus(used)).map_err(|_| StoreError::Corrupt("a payment"))?;
            beyond = beyond.plus(over).map_err(|_| StoreError::Corrupt("what was paid beyond a bill"))?;
            for (left, paid) in left.iter_mut().zip(&paid) {
                *left = left.minus(*paid).unwrap_or(Cents::ZERO);
            }
            let refunds = refunds(tx, creditor, &row).await?;
            let of = row.cents.minus(over).unwrap_or(row.cents);
            of_bill.push(Payment { shares: shares_of(&lines, &paid, child.id), row, refunds, of });
        }
        // What was given back of a bill is first what was paid beyond it: nobody certifies that, and nothing is lessened by it.
        for refund in of_bill.iter_mut().flat_map(|payment| &mut payment.refunds) {
            let of_beyond = refund.cents.min(beyond);
            beyond = beyond.minus(of_beyond).unwrap_or(Cents::ZERO);
            refund.cents = refund.cents.minus(of_beyond).unwrap_or(Cents::ZERO);
        }
        payments.extend(of_bill);
    }
    Ok(Read { child, services, payments })
}

/// What of a bill's payment was for a child.
fn shares_of(lines: &[FullLineRow], paid: &[Cents], child: ChildId) -> Vec<(Uuid, Cents)> {
    let own = lines.iter().zip(paid).filter(|(line, cents)| line.child == child && **cents > Cents::ZERO);
    own.map(|(line, cents)| (line.service, *cents)).collect()
}

async fn refunds(
    tx: &mut Tx,
    creditor: &borsellino_domain::creditor::CreditorCode,
    row: &PaymentInRow,
) -> Result<Vec<RefundRow>, StoreError> {
    let (Some(issuer), Some(receipt_id)) = (row.issuer.clone(), row.receipt_id.clone()) else { return Ok(Vec::new()) };
    tx.refunds(creditor, &Item::Receipt { issuer, receipt_id }.to_string()).await
}

/// Payments as they are listed, each under its service.
type Listed = Vec<(Uuid, CertifiedPayment)>;

/// What of the payments the payer made, and when.
fn expenses(
    printer: &Printer,
    payments: &[Payment],
    payer: &mut Person,
    year: i16,
) -> Result<(Vec<Expense<Uuid>>, Listed), Refused> {
    let code = payer.code.clone().unwrap_or_default();
    let (mut expenses, mut listed) = (Vec::new(), Vec::new());
    for payment in payments {
        let owed = payment.row.debtor_code.as_deref().is_some_and(|debtor| debtor.eq_ignore_ascii_case(&code));
        let booked = payment.row.at_ms.day_in_italy().ok_or(Fault::BadData("when an entry was booked"))?;
        let (day, method, iuv, traceable) = match &payment.row.sealed {
            // Taken at the office's counter: in cash, as far as the ledger knows.
            None if owed => (booked, None, String::new(), false),
            None => continue,
            Some(sealed) => {
                let rt = parse(&printer.keys.open(RECEIPT, sealed)?)?;
                let paid = match payer_of(&rt) {
                    Some(named) if same_code(&named, &code) => {
                        if payer.name.is_empty() {
                            payer.name = named.name;
                        }
                        true
                    }
                    Some(_) => false,
                    None => owed,
                };
                if !paid {
                    continue;
                }
                let day =
                    paid_on(&rt, payment.row.received_at_ms.map_or(payment.row.at_ms, Millis::new)).unwrap_or(booked);
                let traceable = is_traceable(rt.payment_method.as_deref());
                (day, rt.payment_method, rt.creditor_reference_id, traceable)
            }
        };
        let given_back = refund_shares(payment)?;
        for (service, cents, refunds) in given_back {
            if traceable && day.year() == year {
                let entry = |day, amount| CertifiedPayment {
                    day,
                    service: String::new(),
                    iuv: iuv.clone(),
                    method: method.clone(),
                    amount,
                };
                listed.push((service, entry(day, cents)));
                for (back, cents) in refunds.iter().filter(|(back, _)| back.year() == year) {
                    let minus = cents.negated().map_err(|_| Fault::BadData("a refund"))?;
                    listed.push((service, entry(*back, minus)));
                }
            }
            expenses.push(Expense { service, day, traceable, cents, refunds });
        }
    }
    listed.sort_by(|(_, a), (_, b)| (a.day, &a.iuv, b.amount).cmp(&(b.day, &b.iuv, a.amount)));
    Ok((expenses, listed))
}

/// One service's share of a payment: how much, and what was given back of it and when.
type Share = (Uuid, Cents, Vec<(Date, Cents)>);

/// What was given back of a payment, divided among what it was for.
fn refund_shares(payment: &Payment) -> Result<Vec<Share>, Refused> {
    let mut shares: Vec<Share> = payment.shares.iter().map(|(service, cents)| (*service, *cents, Vec::new())).collect();
    let mut own: Vec<Cents> = payment.shares.iter().map(|(_, cents)| *cents).collect();
    let mut others = payment.of;
    for cents in &own {
        others = others.minus(*cents).map_err(|_| Fault::BadData("the shares of a payment"))?;
    }
    for refund in &payment.refunds {
        let day = refund.at_ms.day_in_italy().ok_or(Fault::BadData("when money was given back"))?;
        // What the payment was for besides this child takes its part of the refund, too.
        let all: Vec<Cents> = own.iter().copied().chain([others]).collect();
        let parts = divide(refund.cents, &all);
        for ((left, share), part) in own.iter_mut().zip(&mut shares).zip(&parts) {
            *left = left.minus(*part).map_err(|_| Fault::BadData("a refund"))?;
            if *part > Cents::ZERO {
                share.2.push((day, *part));
            }
        }
        if let Some(part) = parts.last() {
            others = others.minus(*part).map_err(|_| Fault::BadData("a refund"))?;
        }
    }
    Ok(shares)
}

async fn print(
    printer: &Printer,
    creditor: &CreditorRow,
    Read { child, services, payments }: Read,
    (mut payer, year): (Person, i16),
    language: Language,
) -> Result<File, Refused> {
    let now = printer.clock.now();
    let today = now.day_in_italy().ok_or(Fault::BadData("the day of today"))?;
    if !(FIRST_YEAR..=today.year()).contains(&year) {
        return Err(Stop::Refused(DocumentRefusal::Year));
    }
    let (expenses, listed) = expenses(printer, &payments, &mut payer, year)?;
    let over = |_| Fault::BadData("the sum of a year's payments");
    let sums = tax_year(year, &expenses).map_err(over)?;
    let nothing = |cents: Cents| cents == Cents::ZERO;
    if sums.lines.is_empty() && nothing(sums.untraceable) && nothing(sums.refunded_of_earlier_years) {
        return Err(Stop::Refused(DocumentRefusal::NothingPaid));
    }
    let name = |service: &Uuid| services.get(service).map(|(_, name)| name.clone()).unwrap_or_default();
    let mut lines = Vec::with_capacity(sums.lines.len());
    for (service, line) in &sums.lines {
        let kind = services.get(service).ok_or(Fault::BadData("a payment's service"))?.0;
        let net = line.net().map_err(over)?;
        lines.push(CertifiedLine { kind, service: name(service), paid: line.paid, refunded: line.refunded, net });
    }
    lines.sort_by(|a, b| (a.kind, &a.service).cmp(&(b.kind, &b.service)));
    let payments = listed.into_iter().map(|(service, paid)| CertifiedPayment { service: name(&service), ..paid });
    let facts = Certificate {
        issuer: issuer(creditor, letterhead(&printer.store, creditor).await?)?,
        language: if language == Language::English { Language::Italian } else { language },
        year,
        payer,
        child: Person {
            name: format!("{} {}", child.given_name, child.family_name),
            code: Some(child.fiscal_code),
            address: None,
        },
        school: Some(child.school).filter(|school| !school.is_empty()),
        lines,
        payments: payments.collect(),
        untraceable: sums.untraceable,
        refunded_of_earlier_years: sums.refunded_of_earlier_years,
        refunded_since: sums.refunded_since,
        issued: today,
        code: String::new(),
        verify_at: format!("{}/verifica/{}", printer.public_url, creditor.fiscal_code),
    };
    let facts = keep(printer, creditor, facts, now).await?;
    let name = format!("certificazione-{year}-{}.pdf", facts.code.replace(' ', "").to_lowercase());
    let bytes = printer.press.print(move |renderer| renderer.certificate(&facts)).await.map_err(pressed)?;
    Ok(File { name, media_type: "application/pdf", bytes })
}

/// What the page for those who hold the paper shows; not more than stands on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The tax year.
    pub year: i16,
    /// Who paid: name and codice fiscale.
    pub payer: (String, String),
    /// For whom: name and codice fiscale.
    pub child: (String, String),
    /// Service, paid, refunded, what is left; in cents.
    pub lines: Vec<(String, i64, i64, i64)>,
    /// Paid without a trace, given back of earlier years, given back since; in cents.
    pub apart: (i64, i64, i64),
    /// When it was issued: an ISO date.
    pub issued: String,
    /// When another one about the same was issued that says something else, as an ISO date.
    #[serde(skip)]
    pub replaced: Option<String>,
}

impl Confirmed {
    fn of(facts: &Certificate) -> Self {
        let named = |person: &Person| (person.name.clone(), person.code.clone().unwrap_or_default());
        let line = |line: &CertifiedLine| (line.service.clone(), line.paid.get(), line.refunded.get(), line.net.get());
        Self {
            year: facts.year,
            payer: named(&facts.payer),
            child: named(&facts.child),
            lines: facts.lines.iter().map(line).collect(),
            apart: (facts.untraceable.get(), facts.refunded_of_earlier_years.get(), facts.refunded_since.get()),
            issued: facts.issued.to_string(),
            replaced: None,
        }
    }
}

/// Crockford's letters: none is taken for another.
fn letters() -> Option<data_encoding::Encoding> {
    let mut letters = Specification::new();
    letters.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    letters.encoding().ok()
}

/// Gives a certificate its code and keeps what stands on it. The same facts have the same code, and the day on which they were
/// certified first.
async fn keep(
    printer: &Printer,
    creditor: &CreditorRow,
    mut facts: Certificate,
    now: Millis,
) -> Result<Certificate, Refused> {
    let mut confirmed = Confirmed::of(&facts);
    let said = Confirmed { issued: String::new(), ..confirmed.clone() };
    let detail: Vec<_> =
        facts.payments.iter().map(|paid| (paid.day.to_string(), &paid.iuv, paid.amount.get())).collect();
    let code_of = creditor.fiscal_code;
    // Not the language: the same facts are the same certificate in other words. A year that is over is another fact.
    let over = now.day_in_italy().is_some_and(|today| today.year() > facts.year);
    let body = serde_json::to_vec(&(code_of.as_str(), over, &said, &detail));
    let body = body.map_err(|_| Fault::BadData("a certificate"))?;
    let tag = printer.keys.tag(&[b"borsellino.certificate.v1".as_slice(), &body].concat());
    let letters = letters().unwrap_or(BASE32_NOPAD);
    let code: String = letters.encode(&tag).chars().take(CODE).collect();
    let subject = serde_json::to_vec(&(code_of.as_str(), facts.year, &said.payer.1, &said.child.1));
    let subject = subject.map_err(|_| Fault::BadData("a certificate"))?;
    let subject = Hash(printer.keys.tag(&[b"borsellino.certificate-subject.v1".as_slice(), &subject].concat()));
    let sealed = serde_json::to_vec(&confirmed).map_err(|_| Fault::BadData("a certificate"))?;
    let row = NewCertificate {
        digest: digest(&code),
        subject,
        issued_at: now,
        key_id: printer.keys.id().to_owned(),
        sealed: printer.keys.seal(PURPOSE, &sealed, random()?)?,
    };
    let kept = printer.store.write::<_, (), _>("keep a certificate", move |tx| {
        let row = row.clone();
        Box::pin(async move {
            tx.insert_certificate(&code_of, &row).await?;
            Ok(Ok(tx.certificate(&code_of, row.digest).await?))
        })
    });
    let stored = kept.await?.ok().flatten().ok_or(Fault::BadData("a certificate that was just kept"))?;
    let stored: Confirmed = serde_json::from_slice(&printer.keys.open(PURPOSE, &stored.sealed)?)
        .map_err(|_| Fault::BadData("a certificate that was kept"))?;
    confirmed.issued = stored.issued;
    facts.issued = confirmed.issued.parse().map_err(|_| Fault::BadData("the day of a certificate"))?;
    let grouped: Vec<&str> = [0..4, 4..8, 8..12, 12..16].into_iter().filter_map(|at| code.get(at)).collect();
    facts.code = grouped.join(" ");
    Ok(facts)
}

fn digest(code: &str) -> Hash {
    Hash::of(format!("borsellino.certificate-code.v1|{code}").as_bytes())
}

/// What a certificate with this code says; `None` where there is none. What looks alike is taken for what was meant.
///
/// # Errors
/// A [`Fault`].
pub async fn confirm(printer: &Printer, creditor: &CreditorRow, typed: &str) -> Result<Option<Confirmed>, Fault> {
    let code: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').take(CODE.saturating_add(1)).collect();
    let code: String = code.to_uppercase().replace('O', "0").replace(['I', 'L'], "1");
    if code.len() != CODE || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(None);
    }
    let (of, digest) = (creditor.fiscal_code, digest(&code));
    let read = printer.store.read(move |tx| {
        Box::pin(async move {
            let Some(row) = tx.certificate(&of, digest).await? else { return Ok(None) };
            let later = tx.later_certificate(&of, row.subject, row.issued_at_ms).await?;
            Ok(Some((row, later)))
        })
    });
    let Some((row, later)) = read.await? else { return Ok(None) };
    let confirmed: Confirmed = serde_json::from_slice(&printer.keys.open(PURPOSE, &row.sealed)?)
        .map_err(|_| Fault::BadData("a certificate that was kept"))?;
    let replaced = later.and_then(Millis::day_in_italy).map(|day| day.to_string());
    Ok(Some(Confirmed { replaced, ..confirmed }))
}
