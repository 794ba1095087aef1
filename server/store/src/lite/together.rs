//! The writes of a batch on SQLite: the statements of `ops/`, one receipt after the other. The file has one writer
//! and the round trips stay in the process; larger statements were not tried.

use borsellino_domain::creditor::CreditorCode;
use sqlx::SqliteConnection as Conn;

use super::{feed, ledger, payments};
use crate::rows::NoticeRow;
use crate::together::{Ordinary, ToldRow};

/// No texts of its own.
pub(crate) const ALL: &[(&str, &str)] = &[];

pub(crate) async fn notices(c: &mut Conn, keys: &[(CreditorCode, String)]) -> sqlx::Result<Vec<Option<NoticeRow>>> {
    let mut rows = Vec::with_capacity(keys.len());
    for (creditor, number) in keys {
        rows.push(payments::notice(c, creditor, number).await?);
    }
    Ok(rows)
}

pub(crate) async fn receive_together(
    c: &mut Conn,
    kind: &str,
    batch: &[Ordinary],
) -> sqlx::Result<Option<Vec<ToldRow>>> {
    let mut told = Vec::new();
    for (index, one) in batch.iter().enumerate() {
        let (creditor, credited) = (one.creditor(), one.credited());
        if !payments::insert_receipt(c, creditor, one.receipt()).await?
            || !ledger::advance_account(c, creditor, credited.account, one.head()).await?
        {
            return Ok(None);
        }
        ledger::insert_entry(c, one.entry(), *one.digest()).await?;
        let first = (credited.account, credited.cents.get(), Some(*one.head()));
        let second = (one.other().account, one.other().cents.get(), None);
        ledger::insert_posting_pair(c, one.entry(), first, second).await?;
        if !payments::settle_notice(c, creditor, one.number(), one.at()).await? {
            return Ok(None);
        }
        let guardians = if let Some(wallet) = one.wallet() {
            let guardians = feed::number_wallet_change(c, creditor, wallet).await?;
            feed::feed_wallet_change(c, creditor, wallet, one.at(), one.number()).await?;
            guardians
        } else {
            let bill = credited.account.id;
            let guardians = feed::number_bill_change(c, creditor, bill).await?;
            feed::feed_bill_change(c, creditor, bill, one.at(), one.number()).await?;
            guardians
        };
        told.extend(guardians.into_iter().map(|guardian| ToldRow { index, guardian }));
        feed::insert_outbox(c, creditor, one.outbox(), (kind, one.number()), one.at()).await?;
    }
    Ok(Some(told))
}
