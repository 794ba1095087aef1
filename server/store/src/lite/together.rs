//! The writes of a batch on SQLite: the statements of `ops/`, one receipt after the other. The file has one writer
//! and the round trips stay in the process; larger statements were not tried.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::ledger::Side;
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

pub(crate) async fn insert_receipts(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<bool> {
    for one in batch {
        if !payments::insert_receipt(c, one.creditor(), &one.receipt).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(crate) async fn advance_accounts(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<bool> {
    for one in batch {
        if !ledger::advance_account(c, one.creditor(), one.account, &one.head).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(crate) async fn insert_entries(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<()> {
    for one in batch {
        ledger::insert_entry(c, &one.entry, one.entry.digest()).await?;
    }
    Ok(())
}

pub(crate) async fn insert_postings(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<()> {
    for one in batch {
        let side = |side: &Side| (side.account, side.cents.get(), (side.account == one.account).then_some(one.head));
        match one.entry.sides() {
            [first, second] => ledger::insert_posting_pair(c, &one.entry, side(first), side(second)).await?,
            sides => {
                for (line, its) in (0i64..).zip(sides) {
                    ledger::insert_posting(c, &one.entry, line, side(its)).await?;
                }
            }
        }
    }
    Ok(())
}

pub(crate) async fn settle_notices(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<bool> {
    for one in batch {
        if !payments::settle_notice(c, one.creditor(), one.number(), one.at()).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(crate) async fn feed_changes(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<Vec<ToldRow>> {
    let mut told = Vec::new();
    for one in batch {
        let creditor = one.creditor();
        let guardians = match (one.wallet, one.bill) {
            (Some(wallet), _) => {
                let guardians = feed::number_wallet_change(c, creditor, wallet).await?;
                feed::feed_wallet_change(c, creditor, wallet, one.at(), one.number()).await?;
                guardians
            }
            (None, Some(bill)) => {
                let guardians = feed::number_bill_change(c, creditor, bill).await?;
                feed::feed_bill_change(c, creditor, bill, one.at(), one.number()).await?;
                guardians
            }
            (None, None) => continue,
        };
        told.extend(guardians.into_iter().map(|guardian| ToldRow {
            creditor: creditor.as_str().to_owned(),
            notice: one.number().to_owned(),
            guardian,
        }));
    }
    Ok(told)
}

pub(crate) async fn insert_outboxes(c: &mut Conn, kind: &str, batch: &[Ordinary]) -> sqlx::Result<()> {
    for one in batch {
        feed::insert_outbox(c, one.creditor(), one.outbox, (kind, one.number()), one.at()).await?;
    }
    Ok(())
}
