//! What stands on a receipt: pagoPA's own message, opened and read again, and where its money went.

use borsellino_documents::{Evidence, Payer, Person, Receipt, Settled, Transfer};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::BillId;
use borsellino_domain::language::Language;
use borsellino_domain::ledger::{Account, AccountKind};
use borsellino_domain::money::Cents;
use borsellino_domain::queue::Item;
use borsellino_domain::tax::divide;
use borsellino_domain::time::Millis;
use borsellino_pagopa::node;
use borsellino_store::rows::{CreditorRow, KeptReceiptRow};
use borsellino_store::{StoreError, Tx};
use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::issuer::{issuer, letterhead};
use super::{DocumentRefusal, File, Printer, Reader, Refused, pressed, unknown};
use crate::usecases::proof::evidence;
use crate::usecases::{Fault, Stop};

/// What a message is sealed for.
pub(super) const PURPOSE: &str = "receipt";

/// A receipt that the reader may have.
struct Found {
    row: KeptReceiptRow,
    rt: node::Receipt,
    /// As it came.
    message: Vec<u8>,
    payer: Payer,
    /// `None` where the reader may not know who owed.
    debtor: Option<Person>,
    settled: Vec<Settled>,
}

impl Found {
    /// Whether the message names somebody whom the reader is not to know.
    fn withholds(&self) -> bool {
        self.payer == Payer::Withheld || self.debtor.is_none()
    }
}

pub(super) async fn make(
    printer: &Printer,
    creditor: &CreditorRow,
    reader: Reader,
    (issued_by, receipt_id): (CreditorCode, &str),
    language: Language,
) -> Result<File, Refused> {
    let Found { row, rt, payer, debtor, settled, .. } =
        find(printer, creditor, reader, (issued_by, receipt_id)).await?;
    let proof = match row.decided.or(row.entry) {
        Some(entry) => evidence(&printer.store, creditor.fiscal_code, entry).await?,
        None => None,
    };
    let facts = Receipt {
        issuer: issuer(creditor, letterhead(&printer.store, creditor).await?)?,
        language,
        receipt_id: rt.receipt_id,
        notice_number: rt.notice_number.as_str().to_owned(),
        iuv: rt.creditor_reference_id,
        notice_issuer: (rt.fiscal_code.as_str().to_owned(), rt.company_name),
        description: rt.description,
        paid_at: rt.payment_date_time.map(|at| instant_text(at.instant)),
        applied_on: rt.application_date.map(|day| day_text(day.date)),
        transferred_on: rt.transfer_date.map(|day| day_text(day.date)),
        received_at: row.received_at_ms,
        total: Cents::new(rt.payment_amount_cents),
        fee: rt.fee_cents.map(Cents::new),
        method: rt.payment_method,
        psp: (rt.psp.company_name, rt.psp.id, rt.psp.fiscal_code.or(rt.psp.vat_number)),
        channel: format!("{} ({})", rt.channel.description, rt.channel.id),
        debtor,
        payer,
        transfers: rt.transfers.into_iter().map(transfer).collect(),
        settled,
        proof: proof.map(|proof| Evidence {
            entry: proof.entry.to_string(),
            seal: proof.seal,
            hash: proof.hash.to_string(),
            file: proof.file,
        }),
    };
    let name = format!("ricevuta-{}.pdf", facts.iuv);
    let bytes = printer.press.print(move |renderer| renderer.receipt(&facts)).await.map_err(pressed)?;
    Ok(File { name, media_type: "application/pdf", bytes })
}

/// Whether the reader may have it.
pub(super) async fn exists(
    printer: &Printer,
    creditor: &CreditorRow,
    reader: Reader,
    key: (CreditorCode, &str),
    original: bool,
) -> Result<(), Refused> {
    let found = find(printer, creditor, reader, key).await?;
    if original && found.withholds() { Err(Stop::Refused(DocumentRefusal::Withheld)) } else { Ok(()) }
}

/// The message as it came.
pub(super) async fn original(
    printer: &Printer,
    creditor: &CreditorRow,
    reader: Reader,
    key: (CreditorCode, &str),
) -> Result<File, Refused> {
    let found = find(printer, creditor, reader, key).await?;
    if found.withholds() {
        return Err(Stop::Refused(DocumentRefusal::Withheld));
    }
    let name = format!("ricevuta-{}.xml", found.rt.creditor_reference_id);
    Ok(File { name, media_type: "application/xml", bytes: found.message })
}

async fn find(
    printer: &Printer,
    creditor: &CreditorRow,
    reader: Reader,
    (issued_by, receipt_id): (CreditorCode, &str),
) -> Result<Found, Refused> {
    let (code, id) = (creditor.fiscal_code, receipt_id.to_owned());
    let item = Item::Receipt { issuer: issued_by.as_str().to_owned(), receipt_id: id.clone() }.to_string();
    let read = printer.store.read(move |tx| {
        Box::pin(async move {
            let row = tx.kept_receipt(&code, (issued_by.as_str(), &id), &item).await?;
            let Some(row) = row else { return Ok(None) };
            let settled = match row.decided.or(row.entry) {
                Some(entry) => settled(tx, code, (entry, reader)).await?,
                None => Vec::new(),
            };
            let own = tx.notice_owner(&code, &row.notice_number).await?.and_then(|owner| owner.owner);
            let reading = match reader {
                Reader::Office => None,
                Reader::Guardian(guardian) => Some((guardian, tx.holder(&code, guardian).await?)),
            };
            Ok(Some((row, settled, own, reading)))
        })
    });
    let Some((row, settled, owner, reading)) = read.await? else { return unknown() };
    let message = printer.keys.open(PURPOSE, &row.sealed)?;
    let rt = parse(&message)?;
    let named = payer_of(&rt);
    let mut debtor = Some(person(&rt.debtor));
    let payer = match reading {
        None => named.map_or(Payer::Unknown, Payer::Named),
        Some((guardian, holder)) => {
            let own_code = holder.map(|holder| holder.fiscal_code).unwrap_or_default();
            let paid = named.as_ref().is_some_and(|payer| same_code(payer, &own_code));
            let owed = issued_by == code && owner == Some(guardian.uuid());
            if !paid && !owed {
                return unknown();
            }
            // Another guardian who paid learns nothing of who it was addressed to.
            debtor = debtor.filter(|_| owed);
            match named {
                Some(payer) if paid => Payer::Named(payer),
                Some(_) => Payer::Withheld,
                None => Payer::Unknown,
            }
        }
    };
    Ok(Found { row, rt, message, payer, debtor, settled })
}

/// Whether somebody has this codice fiscale. Who has none known is nobody else.
pub(super) fn same_code(person: &Person, code: &str) -> bool {
    person.code.as_deref().is_some_and(|theirs| !code.is_empty() && theirs.trim().eq_ignore_ascii_case(code))
}

/// Who paid, as far as pagoPA says: a payer without a code is none that anybody could be told to be.
pub(super) fn payer_of(rt: &node::Receipt) -> Option<Person> {
    rt.payer.as_ref().map(person).filter(|payer| payer.code.is_some())
}

/// A message that was kept, read again.
pub(super) fn parse(message: &[u8]) -> Result<node::Receipt, Fault> {
    match node::decode(message, None) {
        Ok(node::Request::Receipt(request)) => Ok(*request.receipt),
        _ => Err(Fault::BadData("a receipt that was booked can't be read any more")),
    }
}

/// Where an entry put the money of a receipt. A child that the reader does not see is not named.
async fn settled(
    tx: &mut Tx,
    creditor: CreditorCode,
    (entry, reader): (Uuid, Reader),
) -> Result<Vec<Settled>, StoreError> {
    let mut settled = Vec::new();
    for side in tx.entries(&creditor, entry, 1).await? {
        let (Some(kind), Some(id), Some(cents)) = (side.account_kind, side.account_id, side.cents) else { continue };
        let amount = Cents::new(cents);
        if side.id != entry || amount <= Cents::ZERO {
            continue;
        }
        match AccountKind::try_from(kind).map_err(|_| StoreError::Corrupt("the kind of an account"))? {
            AccountKind::Wallet => {
                let title = tx.wallet_title(&creditor, id.into()).await?;
                let title = title.ok_or(StoreError::Corrupt("a wallet that money was booked to"))?;
                let sees = match reader {
                    Reader::Office => true,
                    Reader::Guardian(guardian) => tx.guardian_sees_wallet(&creditor, guardian, id.into()).await?,
                };
                let child = sees.then(|| format!("{} {}", title.given_name, title.family_name));
                settled.push(Settled { child, service: Some(title.service).filter(|_| sees), bill: None, amount });
            }
            AccountKind::Bill => {
                let lines = tx.bill_lines(&creditor, BillId::from(id)).await?;
                // As the certificate divides it: each payment among what the ones before it left.
                let mut left: Vec<Cents> = lines.iter().map(|line| line.cents).collect();
                let mut shares = divide(amount, &left);
                for earlier in tx.payments_in(&creditor, Account::bill(BillId::from(id))).await? {
                    shares = divide(earlier.cents, &left);
                    if (&earlier.issuer, &earlier.receipt_id) == (&side.receipt_issuer, &side.receipt_id) {
                        break;
                    }
                    for (left, share) in left.iter_mut().zip(&shares) {
                        *left = left.minus(*share).unwrap_or(Cents::ZERO);
                    }
                }
                let mut beyond = amount;
                for (line, amount) in lines.into_iter().zip(shares).filter(|(_, share)| *share > Cents::ZERO) {
                    beyond = beyond.minus(amount).unwrap_or(Cents::ZERO);
                    let sees = match reader {
                        Reader::Office => true,
                        Reader::Guardian(guardian) => {
                            tx.child_of_guardian(&creditor, guardian, line.child).await?.is_some()
                        }
                    };
                    let child = sees.then(|| format!("{} {}", line.given_name, line.family_name));
                    let bill = Some((line.number, line.period));
                    settled.push(Settled { child, service: Some(line.name).filter(|_| sees), bill, amount });
                }
                if beyond > Cents::ZERO {
                    settled.push(Settled { child: None, service: None, bill: None, amount: beyond });
                }
            }
            AccountKind::Suspense => settled.push(Settled { child: None, service: None, bill: None, amount }),
            AccountKind::Clearing | AccountKind::Revenue | AccountKind::Counter => {}
        }
    }
    Ok(settled)
}

pub(super) fn person(subject: &node::Subject) -> Person {
    let street: Vec<&str> =
        [&subject.street, &subject.civic_number].into_iter().flatten().map(String::as_str).collect();
    let town: Vec<&str> =
        [&subject.postal_code, &subject.city, &subject.province].into_iter().flatten().map(String::as_str).collect();
    let parts = [street.join(" "), town.join(" "), subject.country.clone().unwrap_or_default()];
    let address = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    Person {
        name: subject.full_name.clone(),
        code: Some(subject.identifier.clone()).filter(|code| code != "ANONIMO"),
        address: Some(address).filter(|address| !address.is_empty()),
    }
}

fn transfer(transfer: node::Transfer) -> Transfer {
    Transfer {
        payee: (transfer.fiscal_code_pa.as_str().to_owned(), transfer.company_name),
        amount: Cents::new(transfer.amount_cents),
        iban: transfer.iban,
        reason: transfer.remittance_information,
        taxonomy: transfer.category,
    }
}

/// `20/11/2026 08:12:03`, in Italy.
fn instant_text(at: Timestamp) -> String {
    let at = Millis::new(at.as_millisecond());
    let day = at.day_in_italy().map(day_text).unwrap_or_default();
    match at.clock_in_italy() {
        Some(clock) => format!("{day} {clock}"),
        None => day,
    }
}

/// `20/11/2026`.
pub(super) fn day_text(day: Date) -> String {
    format!("{:02}/{:02}/{:04}", day.day(), day.month(), day.year())
}

/// The day of a payment: when the debt was discharged, else when the payer was charged, else when the receipt came (SANP 3.12.0,
/// paSendRT: paymentDateTime, applicationDate; both may be missing).
pub(super) fn paid_on(rt: &node::Receipt, received: Millis) -> Option<Date> {
    let discharged = rt.payment_date_time.as_ref().map(|at| Millis::new(at.instant.as_millisecond()));
    discharged
        .and_then(Millis::day_in_italy)
        .or(rt.application_date.as_ref().map(|day| day.date))
        .or(received.day_in_italy())
}
