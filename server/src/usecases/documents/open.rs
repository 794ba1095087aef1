//! What whoever holds a notice gets without signing in: the notice and a receipt, neither of which names anybody. That they hold it
//! is for [`crate::usecases::open_notices`] to find out.

use borsellino_documents::{ShortPayment, ShortReceipt};
use borsellino_domain::language::Language;
use borsellino_domain::money::Cents;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_pagopa::short_receipt;
use borsellino_store::rows::CreditorRow;

use super::issuer::{issuer, letterhead};
use super::receipt::{PURPOSE, paid_on, parse};
use super::{DocumentRefusal, File, Printer, Refused, pressed};
use crate::usecases::Stop;

/// In which form a receipt is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A page.
    Pdf,
    /// XML of our own: pagoPA's message names people.
    Xml,
}

/// A notice, without name and address.
///
/// # Errors
/// [`DocumentRefusal`], or a [`crate::usecases::Fault`].
pub async fn open_notice(printer: &Printer, creditor: &CreditorRow, number: &NoticeNumber) -> Result<File, Refused> {
    super::notice::nameless(printer, creditor, number).await
}

/// What was paid of a notice: amount, day, reference and who took the money; nobody's name, no address, no reason.
///
/// # Errors
/// [`DocumentRefusal::NotPaid`] where pagoPA sent no receipt; else as documents are refused, or a [`crate::usecases::Fault`].
pub async fn open_receipt(
    printer: &Printer,
    creditor: &CreditorRow,
    number: &NoticeNumber,
    (form, language): (Form, Language),
) -> Result<File, Refused> {
    let (code, key) = (creditor.fiscal_code, *number);
    let read = printer.store.read(move |tx| Box::pin(async move { tx.receipts_of_notice(&code, key.as_str()).await }));
    let (mut payments, mut received_at) = (Vec::new(), Millis::default());
    for row in read.await? {
        let rt = parse(&printer.keys.open(PURPOSE, &row.sealed)?)?;
        let paid_on = paid_on(&rt, row.received_at_ms);
        payments.push(ShortPayment { amount: Cents::new(rt.payment_amount_cents), paid_on, psp: rt.psp.company_name });
        received_at = row.received_at_ms;
    }
    if payments.is_empty() {
        return Err(Stop::Refused(DocumentRefusal::NotPaid));
    }
    let iuv = number.iuv().as_str().to_owned();
    let name = |ending: &str| format!("ricevuta-{iuv}.{ending}");
    match form {
        Form::Xml => {
            let payments = payments.into_iter();
            let payments =
                payments.map(|one| (one.amount.get(), one.paid_on.map(|day| day.to_string()), one.psp)).collect();
            let creditor = (code.as_str().to_owned(), creditor.name.clone());
            let bytes = short_receipt::ShortReceipt { creditor, iuv: iuv.clone(), payments }.xml();
            Ok(File { name: name("xml"), media_type: "application/xml", bytes })
        }
        Form::Pdf => {
            let issuer = issuer(creditor, letterhead(&printer.store, creditor).await?)?;
            let facts = ShortReceipt { issuer, language, iuv: iuv.clone(), payments, received_at, at_counter: None };
            let bytes = printer.press.print(move |renderer| renderer.short_receipt(&facts)).await.map_err(pressed)?;
            Ok(File { name: name("pdf"), media_type: "application/pdf", bytes })
        }
    }
}
