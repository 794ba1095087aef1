//! What the office does by hand, and top-ups asked for at a PSP without a notice. Compiled once per engine; one statement
//! per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{BillId, ServiceId};
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    INSERT_SPONTANEOUS = "INSERT INTO spontaneous (creditor, catalogue_service, catalogue_subject, service)
        VALUES ($1, $2, $3, $4) ON CONFLICT (creditor, catalogue_service, catalogue_subject) DO NOTHING";
    SPONTANEOUS_SERVICE = "SELECT service FROM spontaneous
        WHERE creditor = $1 AND catalogue_service = $2 AND catalogue_subject = $3";
    SPONTANEOUS_OFFERS = "SELECT s.catalogue_service, s.catalogue_subject, v.name, v.min_cents, v.max_cents
        FROM spontaneous s JOIN service v ON v.creditor = $1 AND v.id = s.service
        WHERE s.creditor = $1 ORDER BY v.name, s.catalogue_service, s.catalogue_subject LIMIT 100";
    SPONTANEOUS_WALLET = "SELECT w.id AS wallet, w.closed_at_ms, a.balance_cents, v.min_cents, v.max_cents,
            v.wallet_max_cents, v.max_open, v.name AS service_name, v.taxonomy, 'ANONIMO' AS debtor_code,
            'ANONIMO' AS debtor_name,
            (SELECT COUNT(*) FROM notice n WHERE n.creditor = $1 AND n.wallet = w.id AND n.state = 'open'
                AND n.expires_at_ms > $4) AS open_count,
            (SELECT CAST(COALESCE(SUM(n.amount_cents), 0) AS BIGINT) FROM notice n WHERE n.creditor = $1
                AND n.wallet = w.id AND n.state = 'open' AND n.expires_at_ms > $4) AS open_cents
        FROM child c
        JOIN wallet w ON w.creditor = $1 AND w.child = c.id AND w.service = $3
        JOIN service v ON v.creditor = $1 AND v.id = w.service
        JOIN account a ON a.creditor = $1 AND a.kind = 'wallet' AND a.id = w.id
        WHERE c.creditor = $1 AND c.fiscal_code = $2";
    DEMAND = "SELECT d.notice, d.at_ms, n.state FROM demand d
        JOIN notice n ON n.creditor = $1 AND n.number = d.notice
        WHERE d.creditor = $1 AND d.digest = $2";
    PUT_DEMAND = "INSERT INTO demand (creditor, digest, notice, at_ms) VALUES ($1, $2, $3, $4)
        ON CONFLICT (creditor, digest) DO UPDATE SET notice = excluded.notice, at_ms = excluded.at_ms";
    CHILD_BY_CODE = "SELECT id, given_name, family_name FROM child WHERE creditor = $1 AND fiscal_code = $2";
    SERVICES = "SELECT id, name, taxonomy FROM service WHERE creditor = $1 ORDER BY name, id";
    DEBTOR = "SELECT id, fiscal_code, full_name FROM guardian WHERE creditor = $1 AND username = $2";
    BILL = "SELECT b.id, b.guardian, b.total_cents, a.balance_cents, b.order_digest FROM bill b
        JOIN account a ON a.creditor = $1 AND a.kind = 'bill' AND a.id = b.id WHERE b.creditor = $1 AND b.id = $2";
    BILL_BY_NUMBER = "SELECT b.id, b.guardian, b.total_cents, a.balance_cents, b.order_digest FROM bill b
        JOIN account a ON a.creditor = $1 AND a.kind = 'bill' AND a.id = b.id WHERE b.creditor = $1 AND b.number = $2";
    NOTICES_OF_BILL = "SELECT n.number, n.state, n.held_cents, k.opened_at_ms AS page_opened_at_ms FROM notice n
        LEFT JOIN cart k ON k.creditor = $1 AND k.id = n.cart WHERE n.creditor = $1 AND n.bill = $2
        ORDER BY n.instalment, n.number";
    WITHDRAW_BILL = "UPDATE bill SET withdrawn_cents = withdrawn_cents + $3 WHERE creditor = $1 AND id = $2";
    SURPLUS = "SELECT b.id, b.number, a.balance_cents AS surplus_cents FROM account a
        JOIN bill b ON b.creditor = $1 AND b.id = a.id
        WHERE a.creditor = $1 AND a.kind = 'bill' AND a.balance_cents > 0 ORDER BY b.number";
    DEBTOR_OF = "SELECT COUNT(*) FROM guardian_child WHERE creditor = $1 AND guardian = $2 AND child = $3";
    ACTION = "SELECT id, action, subject, reason, operator, at_ms, cents, entry FROM office_action
        WHERE creditor = $1 AND id = $2";
    CANCEL_BILL = "UPDATE notice SET state = 'cancelled' WHERE creditor = $1 AND bill = $2 AND state = 'open'";
    INSERT_ACTION = "INSERT INTO office_action (creditor, id, action, subject, reason, operator, at_ms, entry, cents)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (creditor, id) DO NOTHING";
    ACTIONS = "SELECT id, action, subject, reason, operator, at_ms, cents, entry FROM office_action WHERE creditor = $1
        ORDER BY at_ms, id";
}

pub(crate) async fn insert_spontaneous(
    c: &mut Conn,
    creditor: &CreditorCode,
    (catalogue_service, catalogue_subject): (&str, &str),
    service: ServiceId,
) -> sqlx::Result<()> {
    let insert = query(INSERT_SPONTANEOUS).bind(creditor.as_str()).bind(catalogue_service).bind(catalogue_subject);
    insert.bind(service.uuid()).execute(c).await.map(drop)
}

/// Ours for a service of the catalogue.
pub(crate) async fn spontaneous_service(
    c: &mut Conn,
    creditor: &CreditorCode,
    (catalogue_service, catalogue_subject): (&str, &str),
) -> sqlx::Result<Option<Uuid>> {
    let select = query_as(SPONTANEOUS_SERVICE).bind(creditor.as_str()).bind(catalogue_service).bind(catalogue_subject);
    let row: Option<(Uuid,)> = select.fetch_optional(c).await?;
    Ok(row.map(|(service,)| service))
}

/// The services that can be paid without a notice.
pub(crate) async fn spontaneous_offers(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Vec<OfferRow>> {
    query_as(SPONTANEOUS_OFFERS).bind(creditor.as_str()).fetch_all(c).await
}

/// The wallet of the child with this codice fiscale.
pub(crate) async fn spontaneous_wallet(
    c: &mut Conn,
    creditor: &CreditorCode,
    (child_code, service): (&str, Uuid),
    now: Millis,
) -> sqlx::Result<Option<SpontaneousRow>> {
    let select = query_as(SPONTANEOUS_WALLET).bind(creditor.as_str()).bind(child_code).bind(service).bind(now.get());
    select.fetch_optional(c).await
}

pub(crate) async fn demand(c: &mut Conn, creditor: &CreditorCode, digest: Hash) -> sqlx::Result<Option<DemandRow>> {
    query_as(DEMAND).bind(creditor.as_str()).bind(&digest.0[..]).fetch_optional(c).await
}

pub(crate) async fn put_demand(c: &mut Conn, creditor: &CreditorCode, row: &NewDemand) -> sqlx::Result<()> {
    let put = query(PUT_DEMAND).bind(creditor.as_str()).bind(&row.digest.0[..]).bind(row.notice.as_str());
    put.bind(row.at.get()).execute(c).await.map(drop)
}

pub(crate) async fn child_by_code(
    c: &mut Conn,
    creditor: &CreditorCode,
    fiscal_code: &str,
) -> sqlx::Result<Option<ChildRow>> {
    query_as(CHILD_BY_CODE).bind(creditor.as_str()).bind(fiscal_code).fetch_optional(c).await
}

pub(crate) async fn services(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Vec<ServiceRow>> {
    query_as(SERVICES).bind(creditor.as_str()).fetch_all(c).await
}

pub(crate) async fn debtor(c: &mut Conn, creditor: &CreditorCode, username: &str) -> sqlx::Result<Option<DebtorRow>> {
    query_as(DEBTOR).bind(creditor.as_str()).bind(username).fetch_optional(c).await
}

pub(crate) async fn bill(c: &mut Conn, creditor: &CreditorCode, bill: BillId) -> sqlx::Result<Option<BillRow>> {
    query_as(BILL).bind(creditor.as_str()).bind(bill.uuid()).fetch_optional(c).await
}

pub(crate) async fn bill_by_number(
    c: &mut Conn,
    creditor: &CreditorCode,
    number: &str,
) -> sqlx::Result<Option<BillRow>> {
    query_as(BILL_BY_NUMBER).bind(creditor.as_str()).bind(number).fetch_optional(c).await
}

pub(crate) async fn notices_of_bill(
    c: &mut Conn,
    creditor: &CreditorCode,
    bill: BillId,
) -> sqlx::Result<Vec<BillNoticeRow>> {
    query_as(NOTICES_OF_BILL).bind(creditor.as_str()).bind(bill.uuid()).fetch_all(c).await
}

/// Cancels every open notice of a bill; answers how many.
pub(crate) async fn cancel_bill(c: &mut Conn, creditor: &CreditorCode, bill: BillId) -> sqlx::Result<u64> {
    let done = query(CANCEL_BILL).bind(creditor.as_str()).bind(bill.uuid()).execute(c).await?;
    Ok(done.rows_affected())
}

/// Says that so much of a bill is no longer asked for.
pub(crate) async fn withdraw_bill(c: &mut Conn, creditor: &CreditorCode, bill: BillId, cents: i64) -> sqlx::Result<()> {
    query(WITHDRAW_BILL).bind(creditor.as_str()).bind(bill.uuid()).bind(cents).execute(c).await.map(drop)
}

/// Bills for which more was paid than they ask for.
pub(crate) async fn surplus(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Vec<SurplusRow>> {
    query_as(SURPLUS).bind(creditor.as_str()).fetch_all(c).await
}

/// Whether the guardian is one of the child's.
pub(crate) async fn is_guardian_of(
    c: &mut Conn,
    creditor: &CreditorCode,
    (guardian, child): (Uuid, Uuid),
) -> sqlx::Result<bool> {
    let row: (i64,) = query_as(DEBTOR_OF).bind(creditor.as_str()).bind(guardian).bind(child).fetch_one(c).await?;
    Ok(row.0 > 0)
}

/// An act of the office.
pub(crate) async fn action(c: &mut Conn, creditor: &CreditorCode, id: Uuid) -> sqlx::Result<Option<OfficeActionRow>> {
    query_as(ACTION).bind(creditor.as_str()).bind(id).fetch_optional(c).await
}

/// Whether the act is new.
pub(crate) async fn insert_action(c: &mut Conn, creditor: &CreditorCode, row: &OfficeActionRow) -> sqlx::Result<bool> {
    let done = query(INSERT_ACTION)
        .bind(creditor.as_str())
        .bind(row.id)
        .bind(row.action.code())
        .bind(&row.subject)
        .bind(&row.reason)
        .bind(&row.operator)
        .bind(row.at_ms.get())
        .bind(row.entry)
        .bind(row.cents)
        .execute(c)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn actions(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Vec<OfficeActionRow>> {
    query_as(ACTIONS).bind(creditor.as_str()).fetch_all(c).await
}
