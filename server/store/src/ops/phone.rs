//! What phones ask for beyond home: what was paid, what paying costs; and phones that were lost. Compiled once per engine; one
//! statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::GuardianId;
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    PAID_ITEMS = "SELECT n.number, n.amount_cents, n.settled_at_ms, n.paid_twice_at_ms, t.id AS top_up, t.guardian, n.bill,
            CAST(NULL AS TEXT) AS bill_number, CAST(NULL AS TEXT) AS period, c.given_name AS child, v.name AS service,
            (SELECT COUNT(*) FROM office_action o
                WHERE o.creditor = $1 AND o.subject = n.number AND o.action = 'notice_settled') AS counter
        FROM guardian_child gc
        JOIN wallet w ON w.creditor = $1 AND w.child = gc.child
        JOIN notice n ON n.creditor = $1 AND n.wallet = w.id AND n.state = 'paid'
        JOIN child c ON c.creditor = $1 AND c.id = gc.child
        JOIN service v ON v.creditor = $1 AND v.id = w.service
        LEFT JOIN top_up t ON t.creditor = $1 AND t.notice = n.number
        WHERE gc.creditor = $1 AND gc.guardian = $2
            AND (n.settled_at_ms < $3 OR (n.settled_at_ms = $3 AND n.number < $4))
        UNION
        SELECT n.number, n.amount_cents, n.settled_at_ms, n.paid_twice_at_ms, n.wallet, n.wallet, n.bill, b.number,
            b.period, CAST(NULL AS TEXT), CAST(NULL AS TEXT),
            (SELECT COUNT(*) FROM office_action o
                WHERE o.creditor = $1 AND o.subject = n.number AND o.action = 'notice_settled')
        FROM guardian_child gc
        JOIN bill_line l ON l.creditor = $1 AND l.child = gc.child
        JOIN bill b ON b.creditor = $1 AND b.id = l.bill
        JOIN notice n ON n.creditor = $1 AND n.bill = b.id AND n.state = 'paid'
        WHERE gc.creditor = $1 AND gc.guardian = $2
            AND (n.settled_at_ms < $3 OR (n.settled_at_ms = $3 AND n.number < $4))
        ORDER BY settled_at_ms DESC, number DESC LIMIT $5";
    PAID_LINES = "SELECT c.given_name AS child, v.name AS service FROM bill_line l
        JOIN guardian_child gc ON gc.creditor = $1 AND gc.child = l.child AND gc.guardian = $2
        JOIN child c ON c.creditor = $1 AND c.id = l.child
        JOIN service v ON v.creditor = $1 AND v.id = l.service
        WHERE l.creditor = $1 AND l.bill = $3 ORDER BY l.line";
    FEE_TABLE = "SELECT version, imported_at_ms, bands FROM fee_table WHERE creditor = $1";
    PUT_FEE_TABLE = "INSERT INTO fee_table (creditor, version, imported_at_ms, bands) VALUES ($1, $2, $3, $4)
        ON CONFLICT (creditor) DO UPDATE SET version = $2, imported_at_ms = $3, bands = $4";
    WIPE_SESSIONS = "UPDATE session SET wipe = 1, ended_at_ms = COALESCE(ended_at_ms, $3)
        WHERE creditor = $1 AND guardian = $2";
}

/// What was paid for a guardian's children, newest first, before `before` (an instant and a notice's number).
pub(crate) async fn paid_items(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    before: (Millis, &str),
    count: i64,
) -> sqlx::Result<Vec<PaidItemRow>> {
    let select = query_as(PAID_ITEMS).bind(creditor.as_str()).bind(guardian.uuid()).bind(before.0.get());
    select.bind(before.1).bind(count).fetch_all(c).await
}

/// For whom and what a bill is, as far as the guardian sees it.
pub(crate) async fn paid_lines(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    bill: Uuid,
) -> sqlx::Result<Vec<PaidLineRow>> {
    query_as(PAID_LINES).bind(creditor.as_str()).bind(guardian.uuid()).bind(bill).fetch_all(c).await
}

pub(crate) async fn fee_table(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Option<FeeTableRow>> {
    query_as(FEE_TABLE).bind(creditor.as_str()).fetch_optional(c).await
}

pub(crate) async fn put_fee_table(c: &mut Conn, creditor: &CreditorCode, row: &FeeTableRow) -> sqlx::Result<()> {
    let put = query(PUT_FEE_TABLE).bind(creditor.as_str()).bind(&row.version).bind(row.imported_at_ms.get());
    put.bind(&row.bands).execute(c).await.map(drop)
}

/// Ends every session of a guardian, and has every phone of theirs forget the account; answers how many sessions there are.
pub(crate) async fn wipe_sessions(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    at: Millis,
) -> sqlx::Result<u64> {
    let update = query(WIPE_SESSIONS).bind(creditor.as_str()).bind(guardian.uuid()).bind(at.get());
    Ok(update.execute(c).await?.rows_affected())
}
