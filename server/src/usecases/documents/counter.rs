//! What was paid at the office's own counter: a receipt of ours, for pagoPA knows nothing of it.

use borsellino_documents::{ShortPayment, ShortReceipt};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::BillId;
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Account;
use borsellino_domain::notice::NoticeNumber;
use borsellino_store::rows::{CreditorRow, PaymentInRow};
use borsellino_store::{StoreError, Tx};

use super::issuer::{issuer, letterhead};
use super::{File, Printer, Reader, Refused, pressed, unknown};

/// What was taken for a notice, and what the notice is for; `None` where the reader may not know, or nothing was taken.
async fn find(
    tx: &mut Tx,
    creditor: &CreditorCode,
    reader: Reader,
    number: &NoticeNumber,
) -> Result<Option<(Vec<PaymentInRow>, String)>, StoreError> {
    let owner = tx.notice_owner(creditor, number.as_str()).await?.and_then(|owner| owner.owner);
    let theirs = match reader {
        Reader::Office => true,
        Reader::Guardian(guardian) => owner == Some(guardian.uuid()),
    };
    let Some(notice) = tx.notice(creditor, number.as_str()).await?.filter(|_| theirs) else { return Ok(None) };
    let account = match (notice.wallet, notice.bill) {
        (Some(wallet), None) => Account::wallet(wallet.into()),
        (None, Some(bill)) => Account::bill(BillId::from(bill)),
        _ => return Err(StoreError::Corrupt("a notice for nothing, or for two things")),
    };
    let mut taken = tx.payments_in(creditor, account).await?;
    taken.retain(|row| row.issuer.is_none() && row.notice.as_deref() == Some(number.as_str()));
    Ok(Some((taken, notice.reason)).filter(|(taken, _)| !taken.is_empty()))
}

/// Whether the reader may have it.
pub(super) async fn exists(
    printer: &Printer,
    creditor: &CreditorRow,
    reader: Reader,
    number: NoticeNumber,
) -> Result<(), Refused> {
    let code = creditor.fiscal_code;
    let read = printer.store.read(move |tx| Box::pin(async move { find(tx, &code, reader, &number).await }));
    if read.await?.is_some() { Ok(()) } else { unknown() }
}

pub(super) async fn make(
    printer: &Printer,
    creditor: &CreditorRow,
    reader: Reader,
    number: NoticeNumber,
    language: Language,
) -> Result<File, Refused> {
    let code = creditor.fiscal_code;
    let read = printer.store.read(move |tx| Box::pin(async move { find(tx, &code, reader, &number).await }));
    let Some((taken, reason)) = read.await? else { return unknown() };
    let received_at = taken.last().map(|row| row.at_ms).unwrap_or_default();
    let payments = taken.into_iter().map(|row| ShortPayment {
        amount: row.cents,
        paid_on: row.at_ms.day_in_italy(),
        psp: creditor.office_name.clone(),
    });
    let iuv = number.iuv().as_str().to_owned();
    let facts = ShortReceipt {
        issuer: issuer(creditor, letterhead(&printer.store, creditor).await?)?,
        language,
        iuv: iuv.clone(),
        payments: payments.collect(),
        received_at,
        at_counter: Some(reason),
    };
    let bytes = printer.press.print(move |renderer| renderer.short_receipt(&facts)).await.map_err(pressed)?;
    Ok(File { name: format!("ricevuta-{iuv}.pdf"), media_type: "application/pdf", bytes })
}
