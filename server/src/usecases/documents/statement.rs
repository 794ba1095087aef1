//! What stands on the account statement of a wallet.

use borsellino_documents::{Movement, Statement, StatementLine};
use borsellino_domain::id::WalletId;
use borsellino_domain::language::Language;
use borsellino_domain::ledger::{Account, EntryKind};
use borsellino_domain::money::Cents;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{CreditorRow, StatementRow};
use jiff::civil::Date;

use super::issuer::{issuer, letterhead};
use super::{DocumentRefusal, File, Printer, Reader, Refused, pressed, unknown};
use crate::usecases::{Fault, Stop};

/// The longest time, in days.
const LONGEST_DAYS: i32 = 2 * 366;

/// The most movements: eight a day.
const MOST: i64 = 6_000;

pub(super) async fn make(
    printer: &Printer,
    creditor: &CreditorRow,
    reader: Reader,
    wallet: WalletId,
    (from, to): (Date, Date),
    language: Language,
) -> Result<File, Refused> {
    let period = || Stop::Refused(DocumentRefusal::Period);
    // What is still to come is not in the ledger: a statement ends today.
    let today = printer.clock.now().day_in_italy().ok_or(Fault::BadData("the day of today"))?;
    let to = to.min(today);
    let days = to.since(from).map_err(|_| period())?.get_days();
    if !(0..=LONGEST_DAYS).contains(&days) {
        return Err(period());
    }
    let start = from.yesterday().ok().and_then(Millis::end_of_day_in_italy).ok_or_else(period)?;
    let end = Millis::end_of_day_in_italy(to).ok_or_else(period)?;
    let code = creditor.fiscal_code;
    let read = printer.store.read(move |tx| {
        Box::pin(async move {
            if let Reader::Guardian(guardian) = reader
                && !tx.guardian_sees_wallet(&code, guardian, wallet).await?
            {
                return Ok(None);
            }
            let Some(title) = tx.wallet_title(&code, wallet).await? else { return Ok(None) };
            let rows = match tx.statement_range(&code, wallet, (start, end)).await? {
                Some((first, last)) if last.saturating_sub(first) < MOST => {
                    Some(tx.statement_rows(&code, wallet, (first, last)).await?)
                }
                Some(_) => None,
                None => Some(Vec::new()),
            };
            let before = tx.account_held_before(&code, Account::wallet(wallet), start).await?;
            Ok(Some((title, rows, before)))
        })
    });
    let Some((title, rows, before)) = read.await? else { return unknown() };
    let rows = rows.ok_or_else(period)?;
    let (opening, closing) = match (rows.first(), rows.last()) {
        // What the rows say, which is right whatever their times are.
        (Some(first), Some(last)) => {
            let opening = first.balance_after_cents.minus(first.cents).map_err(|_| Fault::BadData("a balance"))?;
            (opening, last.balance_after_cents)
        }
        _ => {
            let held = before.map_or(Cents::ZERO, |row| Cents::new(row.cents));
            (held, held)
        }
    };
    let movements = rows.iter().map(line).collect::<Result<Vec<_>, Fault>>()?;
    let facts = Statement {
        issuer: issuer(creditor, letterhead(&printer.store, creditor).await?)?,
        language,
        child: format!("{} {}", title.given_name, title.family_name),
        service: title.service,
        from,
        to,
        opening,
        closing,
        movements,
        as_of: printer.clock.now(),
    };
    let bytes = printer.press.print(move |renderer| renderer.statement(&facts)).await.map_err(pressed)?;
    Ok(File { name: format!("estratto-conto-{from}-{to}.pdf"), media_type: "application/pdf", bytes })
}

fn line(row: &StatementRow) -> Result<StatementLine, Fault> {
    let kind = EntryKind::try_from(row.kind.clone()).map_err(|_| Fault::BadData("the kind of an entry"))?;
    let what = match kind {
        EntryKind::Opening => Movement::Opening,
        EntryKind::TopUp => Movement::TopUp,
        EntryKind::CounterPayment => Movement::Counter,
        EntryKind::Charge => Movement::Charge,
        EntryKind::Refund => Movement::Refund,
        EntryKind::Correction
        | EntryKind::BillIssued
        | EntryKind::BillPayment
        | EntryKind::BillWithdrawn
        | EntryKind::Suspense => Movement::Correction,
    };
    let day = row.day.as_deref().filter(|day| !day.is_empty());
    Ok(StatementLine {
        booked: row.at_ms.day_in_italy().ok_or(Fault::BadData("when an entry was booked"))?,
        what,
        day: day.map(|day| day.parse().map_err(|_| Fault::BadData("the day of a charge"))).transpose()?,
        tariff: row.tariff.clone().filter(|tariff| !tariff.is_empty()),
        cents: row.cents,
        balance: row.balance_after_cents,
    })
}
