//! What a family sees of itself as a whole: children with their last payments, bills of a time, everything there is to look through.
//! Compiled once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{ChildId, GuardianId};
use sqlx::{query, query_as};

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    CONSUMERS = "SELECT c.id AS child, c.diet, w.id AS wallet, n.amount_cents, n.settled_at_ms
        FROM guardian_child gc
        JOIN child c ON c.creditor = $1 AND c.id = gc.child
        LEFT JOIN wallet w ON w.creditor = $1 AND w.child = gc.child
        LEFT JOIN notice n ON n.creditor = $1 AND n.wallet = w.id AND n.state = 'paid'
            AND n.settled_at_ms = (SELECT MAX(m.settled_at_ms) FROM notice m
                WHERE m.creditor = $1 AND m.wallet = w.id AND m.state = 'paid')
        WHERE gc.creditor = $1 AND gc.guardian = $2";
    SET_DIET = "UPDATE child SET diet = $3 WHERE creditor = $1 AND id = $2";
    FAMILY_BILLS = bill_due!(
        "FROM guardian_child gc
        JOIN bill_line l ON l.creditor = $1 AND l.child = gc.child
        JOIN bill b ON b.creditor = $1 AND b.id = l.bill AND b.due_date >= $3 AND b.due_date < $4
        JOIN account a ON a.creditor = $1 AND a.kind = 'bill' AND a.id = b.id
        JOIN notice n ON n.creditor = $1 AND n.bill = b.id
        JOIN service v ON v.creditor = $1 AND v.id = l.service
        LEFT JOIN cart k ON k.creditor = $1 AND k.id = n.cart
        WHERE gc.creditor = $1 AND gc.guardian = $2
        ORDER BY b.due_date DESC, b.number DESC, n.due_date, n.number, l.line LIMIT 5000"
    );
    POSITIONS = "SELECT n.number, n.amount_cents, n.state, n.created_at_ms, n.expires_at_ms, n.settled_at_ms, n.due_date,
            n.paid_twice_at_ms, k.opened_at_ms AS page_opened_at_ms, t.id AS top_up, t.guardian, n.bill,
            CAST(NULL AS TEXT) AS bill_number, CAST(NULL AS TEXT) AS period, c.given_name AS child, v.name AS service
        FROM guardian_child gc
        JOIN child c ON c.creditor = $1 AND c.id = gc.child
        JOIN wallet w ON w.creditor = $1 AND w.child = gc.child
        JOIN service v ON v.creditor = $1 AND v.id = w.service
        JOIN notice n ON n.creditor = $1 AND n.wallet = w.id
        LEFT JOIN top_up t ON t.creditor = $1 AND t.notice = n.number
        LEFT JOIN cart k ON k.creditor = $1 AND k.id = n.cart
        WHERE gc.creditor = $1 AND gc.guardian = $2 AND (t.guardian = $2 OR n.state = 'paid')
        UNION ALL
        SELECT n.number, n.amount_cents, n.state, n.created_at_ms, n.expires_at_ms, n.settled_at_ms, n.due_date,
            n.paid_twice_at_ms, k.opened_at_ms, n.wallet, n.wallet, n.bill, b.number, b.period, c.given_name, v.name
        FROM guardian_child gc
        JOIN child c ON c.creditor = $1 AND c.id = gc.child
        JOIN bill_line l ON l.creditor = $1 AND l.child = gc.child
        JOIN bill b ON b.creditor = $1 AND b.id = l.bill
        JOIN service v ON v.creditor = $1 AND v.id = l.service
        JOIN notice n ON n.creditor = $1 AND n.bill = b.id
        LEFT JOIN cart k ON k.creditor = $1 AND k.id = n.cart
        WHERE gc.creditor = $1 AND gc.guardian = $2
        ORDER BY created_at_ms DESC, number DESC LIMIT $3";
}

/// The children of a guardian, a row for each wallet and, where several were settled at once, for each of its last top-ups.
pub(crate) async fn consumers(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
) -> sqlx::Result<Vec<ConsumerRow>> {
    query_as(CONSUMERS).bind(creditor.as_str()).bind(guardian.uuid()).fetch_all(c).await
}

/// Changes what the kitchen is told of a child.
pub(crate) async fn set_diet(
    c: &mut Conn,
    creditor: &CreditorCode,
    child: ChildId,
    diet: Option<&str>,
) -> sqlx::Result<()> {
    query(SET_DIET).bind(creditor.as_str()).bind(child.uuid()).bind(diet).execute(c).await.map(drop)
}

/// The bills of a family that were due from one ISO date on and before another, the latest first: a row per notice and line.
pub(crate) async fn family_bills(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    (from, before): (&str, &str),
) -> sqlx::Result<Vec<DueRow>> {
    let select = query_as(FAMILY_BILLS).bind(creditor.as_str()).bind(guardian.uuid()).bind(from);
    select.bind(before).fetch_all(c).await
}

/// Whatever a guardian paid or may pay, and what others paid for their children, the newest first: a row per notice and line.
pub(crate) async fn positions(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    most: i64,
) -> sqlx::Result<Vec<PositionRow>> {
    query_as(POSITIONS).bind(creditor.as_str()).bind(guardian.uuid()).bind(most).fetch_all(c).await
}
