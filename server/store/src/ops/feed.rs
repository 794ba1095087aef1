//! The feed of what changed for each guardian, and the outbox. Compiled once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{GuardianId, OutboxId, SessionId};
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

// A guardian's number is taken by updating the guardian's row in the transaction that writes the feed's row, so that
// the order of numbers is the order of commits. A guardian linked to the child between the two statements has no new
// number: their row is left out, and their home screen is read anew anyway.
crate::tx::statements! {
    NUMBER_WALLET = "UPDATE guardian SET feed_seq = feed_seq + 1 WHERE creditor = $1
        AND id IN (SELECT gc.guardian FROM guardian_child gc JOIN wallet w ON w.creditor = $1 AND w.child = gc.child
            WHERE gc.creditor = $1 AND w.id = $2)
        RETURNING id";
    FEED_WALLET = "INSERT INTO feed (creditor, guardian, seq, at_ms, wallet, bill, notice)
        SELECT $1, g.id, g.feed_seq, $3, $2, NULL, $4 FROM guardian g
        JOIN guardian_child gc ON gc.creditor = $1 AND gc.guardian = g.id
        JOIN wallet w ON w.creditor = $1 AND w.child = gc.child
        WHERE g.creditor = $1 AND w.id = $2
        ON CONFLICT (creditor, guardian, seq) DO NOTHING";
    NUMBER_BILL = "UPDATE guardian SET feed_seq = feed_seq + 1 WHERE creditor = $1
        AND id IN (SELECT gc.guardian FROM guardian_child gc JOIN bill_line l ON l.creditor = $1 AND l.child = gc.child
            WHERE gc.creditor = $1 AND l.bill = $2)
        RETURNING id";
    FEED_BILL = "INSERT INTO feed (creditor, guardian, seq, at_ms, wallet, bill, notice)
        SELECT $1, g.id, g.feed_seq, $3, NULL, $2, $4 FROM guardian g
        WHERE g.creditor = $1 AND g.id IN (SELECT gc.guardian FROM guardian_child gc
            JOIN bill_line l ON l.creditor = $1 AND l.child = gc.child WHERE gc.creditor = $1 AND l.bill = $2)
        ON CONFLICT (creditor, guardian, seq) DO NOTHING";
    FEED = "SELECT seq, at_ms, wallet, bill, notice FROM feed WHERE creditor = $1 AND guardian = $2 AND seq > $3
        ORDER BY seq LIMIT $4";
    INSERT_OUTBOX = "INSERT INTO outbox (creditor, id, kind, notice, due_at_ms, attempts, created_at_ms)
        VALUES ($1, $2, $3, $4, $5, 0, $5) ON CONFLICT (creditor, id) DO NOTHING";
    STANDINGS = "SELECT s.id AS session, g.feed_seq,
            CAST(CASE WHEN s.ended_at_ms IS NULL AND g.disabled_at_ms IS NULL THEN 0 ELSE 1 END AS BIGINT) AS over
        FROM session s JOIN guardian g ON g.creditor = $1 AND g.id = s.guardian
        WHERE s.creditor = $1 AND s.id IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
            $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42,
            $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62,
            $63, $64, $65)";
    OUTBOX_WAITING = "SELECT COUNT(*) FROM outbox WHERE creditor = $1";
}

/// Gives each guardian who sees the wallet the next number; answers who.
pub(crate) async fn number_wallet_change(
    c: &mut Conn,
    creditor: &CreditorCode,
    wallet: Uuid,
) -> sqlx::Result<Vec<Uuid>> {
    let rows: Vec<(Uuid,)> = query_as(NUMBER_WALLET).bind(creditor.as_str()).bind(wallet).fetch_all(c).await?;
    Ok(rows.into_iter().map(|(guardian,)| guardian).collect())
}

/// Writes the rows for the numbers just taken.
pub(crate) async fn feed_wallet_change(
    c: &mut Conn,
    creditor: &CreditorCode,
    wallet: Uuid,
    at: Millis,
    notice: &str,
) -> sqlx::Result<()> {
    let insert = query(FEED_WALLET).bind(creditor.as_str()).bind(wallet).bind(at.get()).bind(notice);
    insert.execute(c).await.map(drop)
}

/// Gives each guardian who sees the bill the next number; answers who.
pub(crate) async fn number_bill_change(c: &mut Conn, creditor: &CreditorCode, bill: Uuid) -> sqlx::Result<Vec<Uuid>> {
    let rows: Vec<(Uuid,)> = query_as(NUMBER_BILL).bind(creditor.as_str()).bind(bill).fetch_all(c).await?;
    Ok(rows.into_iter().map(|(guardian,)| guardian).collect())
}

/// Writes the rows for the numbers just taken.
pub(crate) async fn feed_bill_change(
    c: &mut Conn,
    creditor: &CreditorCode,
    bill: Uuid,
    at: Millis,
    notice: &str,
) -> sqlx::Result<()> {
    let insert = query(FEED_BILL).bind(creditor.as_str()).bind(bill).bind(at.get()).bind(notice);
    insert.execute(c).await.map(drop)
}

pub(crate) async fn feed_after(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    after: i64,
    count: i64,
) -> sqlx::Result<Vec<FeedRow>> {
    query_as(FEED).bind(creditor.as_str()).bind(guardian.uuid()).bind(after).bind(count).fetch_all(c).await
}

pub(crate) async fn insert_outbox(
    c: &mut Conn,
    creditor: &CreditorCode,
    id: OutboxId,
    (kind, notice): (&str, &str),
    at: Millis,
) -> sqlx::Result<()> {
    query(INSERT_OUTBOX)
        .bind(creditor.as_str())
        .bind(id.uuid())
        .bind(kind)
        .bind(notice)
        .bind(at.get())
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn outbox_waiting(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<i64> {
    let row: (i64,) = query_as(OUTBOX_WAITING).bind(creditor.as_str()).fetch_one(c).await?;
    Ok(row.0)
}

/// Where the guardians of these sessions stand, at most [`TOGETHER`] of them.
pub(crate) async fn standings(
    c: &mut Conn,
    creditor: &CreditorCode,
    sessions: &[SessionId],
) -> sqlx::Result<Vec<StandingRow>> {
    let mut select = query_as(STANDINGS).bind(creditor.as_str());
    for place in 0..TOGETHER {
        // The last one fills the places that are left.
        let session = sessions.get(place).or(sessions.last());
        select = select.bind(session.map(|id| id.uuid()));
    }
    select.fetch_all(c).await
}
