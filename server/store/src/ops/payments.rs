//! Notices, top-ups, bills, pages and receipts. Compiled once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{BillId, GuardianId, TopUpId};
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    INSERT_NOTICE = "INSERT INTO notice (creditor, number, wallet, bill, amount_cents, reason, taxonomy, debtor_code,
            debtor_name, due_date, state, created_at_ms, expires_at_ms, instalment)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'open', $11, $12, $13)
        ON CONFLICT (creditor, number) DO NOTHING";
    NOTICE = "SELECT n.amount_cents, n.reason, n.taxonomy, n.debtor_code, n.debtor_name, n.due_date, n.state,
            n.expires_at_ms, n.wallet, w.closed_at_ms AS wallet_closed_at_ms, n.bill,
            CASE WHEN n.bill IS NOT NULL THEN a.balance_cents END AS bill_balance_cents,
            a.seq AS account_seq, a.balance_cents AS account_balance_cents, a.head AS account_head, n.instalment,
            CASE WHEN n.instalment IS NOT NULL THEN (SELECT COUNT(*) FROM notice o WHERE o.creditor = $1
                AND o.bill = n.bill AND o.number <> n.number AND o.state = 'open') END AS others_open,
            CASE WHEN n.instalment IS NOT NULL THEN (SELECT COUNT(*) FROM notice o WHERE o.creditor = $1
                AND o.bill = n.bill AND o.instalment > n.instalment AND o.state = 'open') END AS others_after,
            CASE WHEN n.instalment IS NOT NULL THEN (SELECT CAST(COALESCE(SUM(o.amount_cents), 0) AS BIGINT)
                FROM notice o WHERE o.creditor = $1 AND o.bill = n.bill AND o.instalment < n.instalment
                AND o.state = 'open') END AS before_cents,
            CASE WHEN n.instalment IS NOT NULL THEN (SELECT CAST(SUM(o.held_cents) AS BIGINT)
                FROM notice o WHERE o.creditor = $1 AND o.bill = n.bill) ELSE n.held_cents END AS held_cents
        FROM notice n
        LEFT JOIN wallet w ON w.creditor = $1 AND w.id = n.wallet
        LEFT JOIN account a ON a.creditor = $1 AND a.id = COALESCE(n.bill, n.wallet)
            AND a.kind = CASE WHEN n.bill IS NOT NULL THEN 'bill' ELSE 'wallet' END
        WHERE n.creditor = $1 AND n.number = $2";
    SETTLE_NOTICE = "UPDATE notice SET state = 'paid', settled_at_ms = $3 WHERE creditor = $1 AND number = $2
        AND state <> 'paid'";
    HOLD_NOTICE = "UPDATE notice SET held_cents = held_cents + $4, state = CASE WHEN $5 = 1 THEN 'paid' ELSE state END,
            settled_at_ms = CASE WHEN $5 = 1 THEN $3 ELSE settled_at_ms END
        WHERE creditor = $1 AND number = $2 AND state <> 'paid'";
    RELEASE_NOTICE = "UPDATE notice SET held_cents = held_cents - $3
        WHERE creditor = $1 AND number = $2 AND held_cents >= $3";
    REOPEN_NOTICE = "UPDATE notice SET state = 'open', settled_at_ms = NULL
        WHERE creditor = $1 AND number = $2 AND state = 'paid' AND bill IS NOT NULL";
    CANCEL_NOTICE = "UPDATE notice SET state = 'cancelled' WHERE creditor = $1 AND number = $2 AND state = 'open'";
    PAID_TWICE = "UPDATE notice SET paid_twice_at_ms = $3 WHERE creditor = $1 AND number = $2";
    INSERT_TOP_UP = "INSERT INTO top_up (creditor, id, guardian, wallet, amount_cents, pay_by, fingerprint, notice,
            created_at_ms, asked, asked_at_ms, asked_after_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    TOP_UP = "SELECT t.id, t.guardian, t.wallet, t.amount_cents, t.pay_by, t.fingerprint, t.created_at_ms, n.number,
            n.reason, n.state, n.expires_at_ms, n.settled_at_ms, k.url AS page_url, k.opened_at_ms AS page_opened_at_ms,
            n.paid_twice_at_ms
        FROM top_up t
        JOIN notice n ON n.creditor = $1 AND n.number = t.notice
        LEFT JOIN cart k ON k.creditor = $1 AND k.id = n.cart
        WHERE t.creditor = $1 AND t.id = $2";
    TOP_UP_OF_NOTICE = "SELECT t.id, t.guardian, t.wallet, t.amount_cents, t.pay_by, t.fingerprint, t.created_at_ms,
            n.number, n.reason, n.state, n.expires_at_ms, n.settled_at_ms, k.url AS page_url,
            k.opened_at_ms AS page_opened_at_ms, n.paid_twice_at_ms
        FROM top_up t
        JOIN notice n ON n.creditor = $1 AND n.number = t.notice
        LEFT JOIN cart k ON k.creditor = $1 AND k.id = n.cart
        WHERE t.creditor = $1 AND t.notice = $2";
    HOLD_WALLET = "UPDATE account SET seq = seq WHERE creditor = $1 AND kind = 'wallet' AND id = $2";
    HOLD_BILL = "UPDATE account SET seq = seq WHERE creditor = $1 AND kind = 'bill' AND id = $2";
    INSERT_CART = "INSERT INTO cart (creditor, id, url, opened_at_ms, notices) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (creditor, id) DO NOTHING";
    CART_OF_NOTICE = "SELECT k.url, k.opened_at_ms, k.notices FROM notice n
        JOIN cart k ON k.creditor = $1 AND k.id = n.cart WHERE n.creditor = $1 AND n.number = $2";
    SET_CART = "UPDATE notice SET cart = $3 WHERE creditor = $1 AND number = $2";
    INSERT_BILL = "INSERT INTO bill (creditor, id, guardian, number, period, due_date, issued_at_ms, total_cents,
            order_digest)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (creditor, number) DO NOTHING";
    INSERT_BILL_LINE = "INSERT INTO bill_line (creditor, bill, line, child, service, cents)
        VALUES ($1, $2, $3, $4, $5, $6)";
    OPEN_TOP_UPS = concat!(
        "SELECT n.number, n.amount_cents, n.reason, n.state, n.created_at_ms, n.expires_at_ms,
            n.settled_at_ms, k.url AS page_url, k.opened_at_ms AS page_opened_at_ms, t.id AS top_up, t.wallet,
            t.pay_by, n.bill, CAST(NULL AS TEXT) AS bill_number, CAST(NULL AS TEXT) AS period, n.due_date,
            CAST(NULL AS BIGINT) AS total_cents, CAST(NULL AS BIGINT) AS bill_balance_cents, n.bill AS line_child,
            CAST(NULL AS TEXT) AS line_service, CAST(NULL AS BIGINT) AS line_cents, CAST(NULL AS BIGINT) AS line,
            n.instalment, n.held_cents, CAST(NULL AS BIGINT) AS withdrawn_cents, n.paid_twice_at_ms
        FROM top_up t
        JOIN notice n ON n.creditor = $1 AND n.number = t.notice
        LEFT JOIN cart k ON k.creditor = $1 AND k.id = n.cart
        WHERE t.creditor = $1 AND t.guardian = $2 AND n.state = 'open' AND n.expires_at_ms > $3
        UNION ALL
        ",
        bill_due!(
            "FROM bill b
        JOIN notice n ON n.creditor = $1 AND n.bill = b.id
        JOIN account a ON a.creditor = $1 AND a.kind = 'bill' AND a.id = b.id
        JOIN bill_line l ON l.creditor = $1 AND l.bill = b.id
        JOIN service v ON v.creditor = $1 AND v.id = l.service
        LEFT JOIN cart k ON k.creditor = $1 AND k.id = n.cart
        JOIN guardian_child gc ON gc.creditor = $1 AND gc.child = l.child AND gc.guardian = $2
        WHERE b.creditor = $1 AND a.balance_cents < 0 AND n.state <> 'cancelled'
            AND EXISTS (SELECT 1 FROM notice o WHERE o.creditor = $1 AND o.bill = b.id AND o.state = 'open')
        ORDER BY due_date, number, line"
        )
    );
    BILL_DUE = bill_due!(
        "FROM bill b
        JOIN notice n ON n.creditor = $1 AND n.bill = b.id
        JOIN account a ON a.creditor = $1 AND a.kind = 'bill' AND a.id = b.id
        JOIN bill_line l ON l.creditor = $1 AND l.bill = b.id
        JOIN service v ON v.creditor = $1 AND v.id = l.service
        LEFT JOIN cart k ON k.creditor = $1 AND k.id = n.cart
        JOIN guardian_child gc ON gc.creditor = $1 AND gc.child = l.child AND gc.guardian = $2
        WHERE b.creditor = $1 AND b.id = $3
        ORDER BY n.due_date, n.number, l.line"
    );
    RECEIPT = "SELECT content_digest, outcome, entry FROM receipt WHERE creditor = $1 AND issuer = $2 AND receipt_id = $3";
    INSERT_RECEIPT = "INSERT INTO receipt (creditor, issuer, receipt_id, notice_number, received_at_ms, total_cents,
            ours_cents, outcome, entry, content_digest, message_digest, key_id, sealed)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        ON CONFLICT (creditor, issuer, receipt_id) DO NOTHING";
    KEEP_MESSAGE = "INSERT INTO kept_message (creditor, queue, message_digest, why, received_at_ms, key_id, sealed)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (creditor, queue, message_digest) DO NOTHING";
    COUNT_KEPT = "SELECT COUNT(*) FROM kept_message WHERE creditor = $1 AND queue = $2";
    PAYABLE = "SELECT n.number, CASE WHEN n.bill IS NULL THEN n.amount_cents ELSE -a.balance_cents END AS amount_cents,
            n.reason, n.bill, n.debtor_code
        FROM notice n LEFT JOIN account a ON a.creditor = $1 AND a.kind = 'bill' AND a.id = n.bill
        WHERE n.creditor = $1 AND n.state = 'open' AND (n.expires_at_ms IS NULL OR n.expires_at_ms > $2)
            AND (n.bill IS NULL OR a.balance_cents < 0)
        ORDER BY n.number LIMIT $3";
}

/// Whether the number was free.
pub(crate) async fn insert_notice(c: &mut Conn, creditor: &CreditorCode, row: &NewNotice) -> sqlx::Result<bool> {
    let done = query(INSERT_NOTICE)
        .bind(creditor.as_str())
        .bind(row.number.as_str())
        .bind(row.wallet.map(|id| id.uuid()))
        .bind(row.bill.map(|id| id.uuid()))
        .bind(row.amount.cents())
        .bind(&row.reason)
        .bind(&row.taxonomy)
        .bind(&row.debtor_code)
        .bind(&row.debtor_name)
        .bind(&row.due_date)
        .bind(row.created_at.get())
        .bind(row.expires_at.map(Millis::get))
        .bind(row.instalment)
        .execute(c)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn notice(c: &mut Conn, creditor: &CreditorCode, number: &str) -> sqlx::Result<Option<NoticeRow>> {
    query_as(NOTICE).bind(creditor.as_str()).bind(number).fetch_optional(c).await
}

pub(crate) async fn settle_notice(
    c: &mut Conn,
    creditor: &CreditorCode,
    number: &str,
    at: Millis,
) -> sqlx::Result<bool> {
    let done = query(SETTLE_NOTICE).bind(creditor.as_str()).bind(number).bind(at.get()).execute(c).await?;
    Ok(done.rows_affected() == 1)
}

/// Says what was paid under a notice and lies in suspense, and settles it; `false` where it is settled already.
pub(crate) async fn hold_notice(
    c: &mut Conn,
    creditor: &CreditorCode,
    number: &str,
    (at, cents, settles): (Millis, i64, bool),
) -> sqlx::Result<bool> {
    let update = query(HOLD_NOTICE).bind(creditor.as_str()).bind(number).bind(at.get()).bind(cents);
    let done = update.bind(i64::from(settles)).execute(c).await?;
    Ok(done.rows_affected() == 1)
}

/// What was held under a notice found its place.
pub(crate) async fn release_notice(
    c: &mut Conn,
    creditor: &CreditorCode,
    number: &str,
    cents: i64,
) -> sqlx::Result<()> {
    query(RELEASE_NOTICE).bind(creditor.as_str()).bind(number).bind(cents).execute(c).await.map(drop)
}

/// Says that a second payment of a notice is put aside, or (`None`) that it found its place.
pub(crate) async fn paid_twice(
    c: &mut Conn,
    creditor: &CreditorCode,
    number: &str,
    at: Option<Millis>,
) -> sqlx::Result<()> {
    query(PAID_TWICE).bind(creditor.as_str()).bind(number).bind(at.map(Millis::get)).execute(c).await.map(drop)
}

/// Lets a bill's notice be paid again.
pub(crate) async fn reopen_notice(c: &mut Conn, creditor: &CreditorCode, number: &str) -> sqlx::Result<()> {
    query(REOPEN_NOTICE).bind(creditor.as_str()).bind(number).execute(c).await.map(drop)
}

/// Holds a bill's account until the transaction ends, so that what is left of it, and of its instalments, stays true.
pub(crate) async fn hold_bill(c: &mut Conn, creditor: &CreditorCode, bill: Uuid) -> sqlx::Result<()> {
    query(HOLD_BILL).bind(creditor.as_str()).bind(bill).execute(c).await.map(drop)
}

pub(crate) async fn cancel_notice(c: &mut Conn, creditor: &CreditorCode, number: &str) -> sqlx::Result<bool> {
    let done = query(CANCEL_NOTICE).bind(creditor.as_str()).bind(number).execute(c).await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn insert_top_up(c: &mut Conn, creditor: &CreditorCode, row: &NewTopUp) -> sqlx::Result<()> {
    query(INSERT_TOP_UP)
        .bind(creditor.as_str())
        .bind(row.id.uuid())
        .bind(row.guardian.uuid())
        .bind(row.wallet.uuid())
        .bind(row.amount.cents())
        .bind(row.pay_by.code())
        .bind(&row.fingerprint.0[..])
        .bind(row.notice.as_str())
        .bind(row.created_at.get())
        .bind(row.asked.map(|asked| asked.how.code()))
        .bind(row.asked.and_then(|asked| asked.at).map(Millis::get))
        .bind(row.asked.and_then(|asked| asked.after).map(Millis::get))
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn top_up(c: &mut Conn, creditor: &CreditorCode, id: TopUpId) -> sqlx::Result<Option<TopUpRow>> {
    query_as(TOP_UP).bind(creditor.as_str()).bind(id.uuid()).fetch_optional(c).await
}

pub(crate) async fn top_up_of_notice(
    c: &mut Conn,
    creditor: &CreditorCode,
    number: &str,
) -> sqlx::Result<Option<TopUpRow>> {
    query_as(TOP_UP_OF_NOTICE).bind(creditor.as_str()).bind(number).fetch_optional(c).await
}

/// Holds a wallet's account until the transaction ends, so that two top-ups cannot both see the last free place.
pub(crate) async fn hold_wallet(c: &mut Conn, creditor: &CreditorCode, wallet: Uuid) -> sqlx::Result<()> {
    query(HOLD_WALLET).bind(creditor.as_str()).bind(wallet).execute(c).await.map(drop)
}

pub(crate) async fn insert_cart(c: &mut Conn, creditor: &CreditorCode, row: &NewCart) -> sqlx::Result<()> {
    query(INSERT_CART)
        .bind(creditor.as_str())
        .bind(row.id.uuid())
        .bind(&row.url)
        .bind(row.opened_at.get())
        .bind(row.notices)
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn cart_of_notice(
    c: &mut Conn,
    creditor: &CreditorCode,
    number: &str,
) -> sqlx::Result<Option<CartRow>> {
    query_as(CART_OF_NOTICE).bind(creditor.as_str()).bind(number).fetch_optional(c).await
}

pub(crate) async fn set_cart(c: &mut Conn, creditor: &CreditorCode, number: &str, cart: Uuid) -> sqlx::Result<()> {
    query(SET_CART).bind(creditor.as_str()).bind(number).bind(cart).execute(c).await.map(drop)
}

/// Whether the creditor's number was free.
pub(crate) async fn insert_bill(c: &mut Conn, creditor: &CreditorCode, row: &NewBill) -> sqlx::Result<bool> {
    let done = query(INSERT_BILL)
        .bind(creditor.as_str())
        .bind(row.id.uuid())
        .bind(row.guardian.uuid())
        .bind(&row.number)
        .bind(&row.period)
        .bind(&row.due_date)
        .bind(row.issued_at.get())
        .bind(row.total.cents())
        .bind(row.order_digest.map(|digest| digest.0.to_vec()))
        .execute(c)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn insert_bill_line(
    c: &mut Conn,
    creditor: &CreditorCode,
    (bill, line): (BillId, i64),
    (child, service, cents): (Uuid, Uuid, i64),
) -> sqlx::Result<()> {
    query(INSERT_BILL_LINE)
        .bind(creditor.as_str())
        .bind(bill.uuid())
        .bind(line)
        .bind(child)
        .bind(service)
        .bind(cents)
        .execute(c)
        .await
        .map(drop)
}

/// What a guardian has to pay: own top-ups whose notice expires after `expiring_after`, and a row per line of each
/// bill with something left that is for a child of theirs.
pub(crate) async fn dues(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    expiring_after: Millis,
) -> sqlx::Result<Vec<DueRow>> {
    let select = query_as(OPEN_TOP_UPS).bind(creditor.as_str()).bind(guardian.uuid()).bind(expiring_after.get());
    select.fetch_all(c).await
}

/// A bill that the guardian may see, a row per line.
pub(crate) async fn bill_due(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    bill: Uuid,
) -> sqlx::Result<Vec<DueRow>> {
    query_as(BILL_DUE).bind(creditor.as_str()).bind(guardian.uuid()).bind(bill).fetch_all(c).await
}

pub(crate) async fn receipt(
    c: &mut Conn,
    creditor: &CreditorCode,
    issuer: &str,
    receipt_id: &str,
) -> sqlx::Result<Option<ReceiptRow>> {
    query_as(RECEIPT).bind(creditor.as_str()).bind(issuer).bind(receipt_id).fetch_optional(c).await
}

/// Whether the receipt is new. Another transaction with the same key is waited for.
pub(crate) async fn insert_receipt(c: &mut Conn, creditor: &CreditorCode, row: &NewReceipt) -> sqlx::Result<bool> {
    let done = query(INSERT_RECEIPT)
        .bind(creditor.as_str())
        .bind(&row.issuer)
        .bind(&row.receipt_id)
        .bind(&row.notice_number)
        .bind(row.received_at.get())
        .bind(row.total.get())
        .bind(row.ours.get())
        .bind(row.outcome)
        .bind(row.entry)
        .bind(&row.content_digest.0[..])
        .bind(&row.message_digest.0[..])
        .bind(&row.key_id)
        .bind(&row.sealed)
        .execute(c)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn keep_message(c: &mut Conn, creditor: &CreditorCode, row: &KeptMessage) -> sqlx::Result<()> {
    query(KEEP_MESSAGE)
        .bind(creditor.as_str())
        .bind(row.queue)
        .bind(&row.message_digest.0[..])
        .bind(&row.why)
        .bind(row.received_at.get())
        .bind(&row.key_id)
        .bind(&row.sealed)
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn kept_messages(c: &mut Conn, creditor: &CreditorCode, queue: &str) -> sqlx::Result<i64> {
    let row: (i64,) = query_as(COUNT_KEPT).bind(creditor.as_str()).bind(queue).fetch_one(c).await?;
    Ok(row.0)
}

/// Notices of a creditor that can be paid at `now`.
pub(crate) async fn payable(
    c: &mut Conn,
    creditor: &CreditorCode,
    now: Millis,
    count: i64,
) -> sqlx::Result<Vec<PayableRow>> {
    query_as(PAYABLE).bind(creditor.as_str()).bind(now.get()).bind(count).fetch_all(c).await
}
