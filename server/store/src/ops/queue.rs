//! What waits for the office, and what it decided. Compiled once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::ledger::Hash;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    QUEUED_RECEIPTS = "SELECT issuer, receipt_id, notice_number, received_at_ms, ours_cents, outcome, message_digest
        FROM receipt WHERE creditor = $1 AND outcome NOT IN ('wallet', 'bill') ORDER BY received_at_ms, receipt_id";
    QUEUED_MESSAGES = "SELECT queue, message_digest, why, received_at_ms FROM kept_message WHERE creditor = $1
        ORDER BY received_at_ms, message_digest";
    SEALED_RECEIPT = "SELECT key_id, sealed FROM receipt WHERE creditor = $1 AND issuer = $2 AND receipt_id = $3";
    SEALED_MESSAGE = "SELECT key_id, sealed FROM kept_message WHERE creditor = $1 AND queue = $2 AND message_digest = $3";
    RESOLUTIONS = "SELECT item, action, reason, operator, at_ms, entry FROM resolution WHERE creditor = $1";
    RESOLUTION = "SELECT item, action, reason, operator, at_ms, entry FROM resolution WHERE creditor = $1 AND item = $2";
    RESOLVE = "INSERT INTO resolution (creditor, item, action, reason, operator, at_ms, entry)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (creditor, item) DO NOTHING";
    WALLET_STANDS = "SELECT COUNT(*) FROM wallet WHERE creditor = $1 AND id = $2 AND closed_at_ms IS NULL";
}

pub(crate) async fn queued_receipts(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Vec<QueuedReceiptRow>> {
    query_as(QUEUED_RECEIPTS).bind(creditor.as_str()).fetch_all(c).await
}

pub(crate) async fn queued_messages(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Vec<QueuedMessageRow>> {
    query_as(QUEUED_MESSAGES).bind(creditor.as_str()).fetch_all(c).await
}

/// A receipt as it came, sealed.
pub(crate) async fn sealed_receipt(
    c: &mut Conn,
    creditor: &CreditorCode,
    (issuer, receipt_id): (&str, &str),
) -> sqlx::Result<Option<SealedMessageRow>> {
    query_as(SEALED_RECEIPT).bind(creditor.as_str()).bind(issuer).bind(receipt_id).fetch_optional(c).await
}

/// A kept message as it came, sealed.
pub(crate) async fn sealed_message(
    c: &mut Conn,
    creditor: &CreditorCode,
    (queue, digest): (&str, Hash),
) -> sqlx::Result<Option<SealedMessageRow>> {
    query_as(SEALED_MESSAGE).bind(creditor.as_str()).bind(queue).bind(&digest.0[..]).fetch_optional(c).await
}

pub(crate) async fn resolutions(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Vec<ResolutionRow>> {
    query_as(RESOLUTIONS).bind(creditor.as_str()).fetch_all(c).await
}

pub(crate) async fn resolution(
    c: &mut Conn,
    creditor: &CreditorCode,
    item: &str,
) -> sqlx::Result<Option<ResolutionRow>> {
    query_as(RESOLUTION).bind(creditor.as_str()).bind(item).fetch_optional(c).await
}

/// Keeps a decision; `false` where the item has been decided.
pub(crate) async fn resolve(c: &mut Conn, creditor: &CreditorCode, row: &ResolutionRow) -> sqlx::Result<bool> {
    let done = query(RESOLVE)
        .bind(creditor.as_str())
        .bind(&row.item)
        .bind(row.action.code())
        .bind(&row.reason)
        .bind(&row.operator)
        .bind(row.at_ms)
        .bind(row.entry)
        .execute(c)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether the wallet exists and takes money.
pub(crate) async fn wallet_stands(c: &mut Conn, creditor: &CreditorCode, wallet: Uuid) -> sqlx::Result<bool> {
    let row: (i64,) = query_as(WALLET_STANDS).bind(creditor.as_str()).bind(wallet).fetch_one(c).await?;
    Ok(row.0 > 0)
}
