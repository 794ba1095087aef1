//! What stands on a payment notice.

use borsellino_documents::{Issuer, Notice, Part, Person};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::BillId;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::NoticeState;
use borsellino_store::rows::{CreditorRow, NoticeOwnerRow, NoticeRow};
use borsellino_store::{StoreError, Tx};
use jiff::civil::Date;

use super::issuer::{issuer, letterhead, wording};
use super::{DocumentRefusal, File, Printer, Reader, Refused, pressed, unknown};
use crate::usecases::node::amount_due;
use crate::usecases::{Fault, Stop};

/// What is read of a notice before it is printed.
pub(super) struct Read {
    pub(super) row: NoticeRow,
    pub(super) owner: NoticeOwnerRow,
    /// All notices of its bill that may be open, the first due first; itself alone for a top-up.
    pub(super) parts: Vec<(NoticeNumber, Option<u32>, NoticeRow)>,
    /// The reader may know whose it is.
    pub(super) names: bool,
}

pub(super) async fn make(
    printer: &Printer,
    creditor: &CreditorRow,
    reader: Reader,
    number: &NoticeNumber,
) -> Result<File, Refused> {
    let facts = gather(printer, creditor, reader, number).await?;
    print(printer, number, facts).await
}

/// For whoever holds it, whoever that is: without name and address.
pub(super) async fn nameless(
    printer: &Printer,
    creditor: &CreditorRow,
    number: &NoticeNumber,
) -> Result<File, Refused> {
    let facts = gather(printer, creditor, Reader::Office, number).await?;
    print(printer, number, Notice { debtor: None, ..facts }).await
}

async fn print(printer: &Printer, number: &NoticeNumber, facts: Notice) -> Result<File, Refused> {
    let bytes = printer.press.print(move |renderer| renderer.notice(&facts)).await.map_err(pressed)?;
    Ok(File { name: format!("avviso-{number}.pdf"), media_type: "application/pdf", bytes })
}

/// What is printed on a notice that the reader may have.
pub(super) async fn gather(
    printer: &Printer,
    creditor: &CreditorRow,
    reader: Reader,
    number: &NoticeNumber,
) -> Result<Notice, Refused> {
    let (code, key, now) = (creditor.fiscal_code, *number, printer.clock.now());
    let read = printer.store.read(move |tx| Box::pin(async move { read(tx, code, reader, &key).await }));
    let Some(read) = read.await? else { return unknown() };
    let head = letterhead(&printer.store, creditor).await?;
    let words = wording(&head.wording).ok_or(Fault::BadData("a letterhead's wording"))?;
    facts(read, (issuer(creditor, head)?, words), number, now)
}

/// A notice that the reader may have; `None` where there is none.
pub(super) async fn read(
    tx: &mut Tx,
    creditor: CreditorCode,
    reader: Reader,
    number: &NoticeNumber,
) -> Result<Option<Read>, StoreError> {
    let Some(row) = tx.notice(&creditor, number.as_str()).await? else { return Ok(None) };
    let owner = tx.notice_owner(&creditor, number.as_str()).await?;
    let owner = owner.ok_or(StoreError::Corrupt("a notice that was just there"))?;
    let names = match reader {
        Reader::Office => true,
        Reader::Guardian(guardian) if owner.owner == Some(guardian.uuid()) => true,
        // Another guardian of a child on the bill may pay it, and learns nothing of who it is addressed to.
        Reader::Guardian(guardian) => {
            let Some(bill) = owner.bill else { return Ok(None) };
            if tx.bill_due(&creditor, guardian, bill).await?.is_empty() {
                return Ok(None);
            }
            false
        }
    };
    let mut parts = Vec::new();
    match row.bill {
        None => parts.push((*number, None, row.clone())),
        Some(bill) => {
            for part in tx.bill_parts(&creditor, BillId::from(bill)).await? {
                let other = tx.notice(&creditor, part.number.as_str()).await?;
                let instalment = part.instalment.and_then(|number| u32::try_from(number).ok());
                parts.extend(other.map(|other| (part.number, instalment, other)));
            }
        }
    }
    Ok(Some(Read { row, owner, parts, names }))
}

/// What is printed.
pub(super) fn facts(
    read: Read,
    (issuer, wording): (Issuer, borsellino_documents::Wording),
    number: &NoticeNumber,
    now: Millis,
) -> Result<Notice, Refused> {
    let mut parts = Vec::with_capacity(read.parts.len());
    for (number, instalment, row) in &read.parts {
        parts.extend(part((*number, *instalment), row, now)?);
    }
    if !parts.iter().any(|part| part.number == *number) {
        return Err(Stop::Refused(DocumentRefusal::NotPayable));
    }
    let whole = if parts.len() == 1 { parts.pop() } else { None };
    let debtor = read.names.then(|| Person {
        name: read.row.debtor_name,
        // What a notice says of somebody nobody knows (SANP 3.12.0, paGetPayment).
        code: Some(read.row.debtor_code).filter(|code| code != "ANONIMO"),
        address: read.owner.address,
    });
    Ok(Notice { issuer, wording, debtor, subject: read.row.reason, whole, parts })
}

/// What is to pay under one number; `None` where nothing is.
fn part(
    (number, instalment): (NoticeNumber, Option<u32>),
    row: &NoticeRow,
    now: Millis,
) -> Result<Option<Part>, Refused> {
    if row.state.at(row.expires_at_ms.map(Millis::new), now) != NoticeState::Open {
        return Ok(None);
    }
    let Some(amount) = amount_due(row)? else { return Ok(None) };
    let due: Date = row.due_date.parse().map_err(|_| Fault::BadData("a notice's due date"))?;
    Ok(Some(Part { number, amount, due: Some(due), instalment }))
}
