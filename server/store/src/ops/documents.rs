//! What documents say: letterheads, what a notice or a receipt is about, payments by child, statements, certificates. Compiled
//! once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{BillId, ChildId, GuardianId, WalletId};
use borsellino_domain::ledger::{Account, Hash};
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    LETTERHEAD = "SELECT name_german, sector, contacts, own_counter, postal_holder, postal_authorisation, wording, logo,
            colour, logo_mark
        FROM letterhead WHERE creditor = $1";
    PUT_LETTERHEAD = "INSERT INTO letterhead (creditor, name_german, sector, contacts, own_counter, postal_holder,
            postal_authorisation, wording, logo, colour, logo_mark)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (creditor) DO UPDATE SET name_german = $2, sector = $3, contacts = $4, own_counter = $5,
            postal_holder = $6, postal_authorisation = $7, wording = $8, logo = $9, colour = $10, logo_mark = $11";
    SET_ADDRESS = "UPDATE guardian SET address = $3 WHERE creditor = $1 AND id = $2";
    NOTICE_OWNER = "SELECT COALESCE(t.guardian, b.guardian) AS owner, g.address, n.bill
        FROM notice n
        LEFT JOIN top_up t ON t.creditor = $1 AND t.notice = n.number
        LEFT JOIN bill b ON b.creditor = $1 AND b.id = n.bill
        LEFT JOIN guardian g ON g.creditor = $1 AND g.id = COALESCE(t.guardian, b.guardian)
        WHERE n.creditor = $1 AND n.number = $2";
    BILL_PARTS = "SELECT number, instalment FROM notice WHERE creditor = $1 AND bill = $2 ORDER BY instalment, number";
    BILLS_OF_RUN = "SELECT id, number FROM bill WHERE creditor = $1 AND period = $2 AND number > $3
        ORDER BY number LIMIT $4";
    BILL_LINES = "SELECT l.child, c.given_name, c.family_name, l.service, v.kind, v.name, l.cents, b.number, b.period
        FROM bill_line l
        JOIN bill b ON b.creditor = $1 AND b.id = l.bill
        JOIN child c ON c.creditor = $1 AND c.id = l.child
        JOIN service v ON v.creditor = $1 AND v.id = l.service
        WHERE l.creditor = $1 AND l.bill = $2 ORDER BY l.line";
    BILLS_OF_CHILD = "SELECT DISTINCT bill FROM bill_line WHERE creditor = $1 AND child = $2 ORDER BY bill";
    KEPT_RECEIPT = "SELECT r.notice_number, r.received_at_ms, r.entry, d.entry AS decided, n.debtor_code, r.sealed
        FROM receipt r
        LEFT JOIN resolution d ON d.creditor = $1 AND d.item = $4
        LEFT JOIN notice n ON n.creditor = $1 AND n.number = r.notice_number
        WHERE r.creditor = $1 AND r.issuer = $2 AND r.receipt_id = $3";
    RECEIPTS_OF_NOTICE = "SELECT received_at_ms, sealed FROM receipt
        WHERE creditor = $1 AND notice_number = $2 AND issuer = $1 ORDER BY received_at_ms, receipt_id LIMIT 20";
    PAYMENTS_IN = "SELECT p.cents, e.at_ms, e.receipt_issuer AS issuer, e.receipt_id, r.received_at_ms, r.sealed,
            COALESCE(n.debtor_code, m.debtor_code) AS debtor_code, COALESCE(r.notice_number, m.number) AS notice
        FROM posting p
        JOIN journal_entry e ON e.creditor = $1 AND e.id = p.entry
        LEFT JOIN receipt r ON r.creditor = $1 AND r.issuer = e.receipt_issuer AND r.receipt_id = e.receipt_id
        LEFT JOIN notice n ON n.creditor = $1 AND n.number = r.notice_number
        LEFT JOIN office_action o ON o.creditor = $1 AND o.entry = e.id
        LEFT JOIN notice m ON m.creditor = $1 AND m.number = o.subject
        WHERE p.creditor = $1 AND p.account_kind = $2 AND p.account_id = $3 AND p.seq > 0
            AND e.kind IN ('top_up', 'bill_payment', 'counter_payment')
        ORDER BY p.seq";
    REFUNDS = "SELECT at_ms, cents FROM office_action WHERE creditor = $1 AND subject = $2 AND action = 'refunded'
        AND cents IS NOT NULL ORDER BY at_ms, id";
    CHILD_OF_GUARDIAN = "SELECT c.id, c.given_name, c.family_name, c.fiscal_code, c.school
        FROM guardian_child gc JOIN child c ON c.creditor = $1 AND c.id = gc.child
        WHERE gc.creditor = $1 AND gc.guardian = $2 AND gc.child = $3";
    CERTIFIED_CHILD = "SELECT id, given_name, family_name, fiscal_code, school FROM child
        WHERE creditor = $1 AND fiscal_code = $2";
    WALLETS_OF_CHILD = "SELECT w.id AS wallet, w.service, v.kind, v.name FROM wallet w
        JOIN service v ON v.creditor = $1 AND v.id = w.service
        WHERE w.creditor = $1 AND w.child = $2 ORDER BY w.id";
    WALLET_TITLE = "SELECT c.given_name, c.family_name, v.name AS service FROM wallet w
        JOIN child c ON c.creditor = $1 AND c.id = w.child
        JOIN service v ON v.creditor = $1 AND v.id = w.service
        WHERE w.creditor = $1 AND w.id = $2";
    STATEMENT_RANGE = "SELECT MIN(p.seq), MAX(p.seq) FROM posting p
        JOIN journal_entry e ON e.creditor = $1 AND e.id = p.entry
        WHERE p.creditor = $1 AND p.account_kind = 'wallet' AND p.account_id = $2 AND p.seq > 0
            AND e.at_ms >= $3 AND e.at_ms < $4";
    STATEMENT_ROWS = "SELECT p.seq, p.cents, p.balance_after_cents, e.kind, e.at_ms, e.day, e.tariff FROM posting p
        JOIN journal_entry e ON e.creditor = $1 AND e.id = p.entry
        WHERE p.creditor = $1 AND p.account_kind = 'wallet' AND p.account_id = $2 AND p.seq >= $3 AND p.seq <= $4
        ORDER BY p.seq";
    INSERT_CERTIFICATE = "INSERT INTO certificate (creditor, digest, subject, issued_at_ms, key_id, sealed)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (creditor, digest) DO NOTHING";
    CERTIFICATE = "SELECT digest, subject, issued_at_ms, sealed FROM certificate WHERE creditor = $1 AND digest = $2";
    LATER_CERTIFICATE = "SELECT issued_at_ms FROM certificate
        WHERE creditor = $1 AND subject = $2 AND issued_at_ms > $3 ORDER BY issued_at_ms DESC LIMIT 1";
}

pub(crate) async fn letterhead(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Option<LetterheadRow>> {
    query_as(LETTERHEAD).bind(creditor.as_str()).fetch_optional(c).await
}

pub(crate) async fn put_letterhead(c: &mut Conn, creditor: &CreditorCode, row: &LetterheadRow) -> sqlx::Result<()> {
    let put =
        query(PUT_LETTERHEAD).bind(creditor.as_str()).bind(&row.name_german).bind(&row.sector).bind(&row.contacts);
    let put = put.bind(&row.own_counter).bind(&row.postal_holder).bind(&row.postal_authorisation);
    put.bind(&row.wording).bind(&row.logo).bind(&row.colour).bind(&row.logo_mark).execute(c).await.map(drop)
}

pub(crate) async fn set_address(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    address: Option<&str>,
) -> sqlx::Result<()> {
    query(SET_ADDRESS).bind(creditor.as_str()).bind(guardian.uuid()).bind(address).execute(c).await.map(drop)
}

pub(crate) async fn notice_owner(
    c: &mut Conn,
    creditor: &CreditorCode,
    number: &str,
) -> sqlx::Result<Option<NoticeOwnerRow>> {
    query_as(NOTICE_OWNER).bind(creditor.as_str()).bind(number).fetch_optional(c).await
}

/// The notices of a bill, the first due first.
pub(crate) async fn bill_parts(c: &mut Conn, creditor: &CreditorCode, bill: BillId) -> sqlx::Result<Vec<BillPartRow>> {
    query_as(BILL_PARTS).bind(creditor.as_str()).bind(bill.uuid()).fetch_all(c).await
}

/// The next `count` bills of a period after the number `after`.
pub(crate) async fn bills_of_run(
    c: &mut Conn,
    creditor: &CreditorCode,
    (period, after): (&str, &str),
    count: i64,
) -> sqlx::Result<Vec<RunBillRow>> {
    query_as(BILLS_OF_RUN).bind(creditor.as_str()).bind(period).bind(after).bind(count).fetch_all(c).await
}

pub(crate) async fn bill_lines(c: &mut Conn, creditor: &CreditorCode, bill: BillId) -> sqlx::Result<Vec<FullLineRow>> {
    query_as(BILL_LINES).bind(creditor.as_str()).bind(bill.uuid()).fetch_all(c).await
}

pub(crate) async fn bills_of_child(c: &mut Conn, creditor: &CreditorCode, child: ChildId) -> sqlx::Result<Vec<BillId>> {
    let rows: Vec<(Uuid,)> = query_as(BILLS_OF_CHILD).bind(creditor.as_str()).bind(child.uuid()).fetch_all(c).await?;
    Ok(rows.into_iter().map(|(bill,)| BillId::from(bill)).collect())
}

/// A receipt; `item` is its name in the office's queues.
pub(crate) async fn kept_receipt(
    c: &mut Conn,
    creditor: &CreditorCode,
    (issuer, receipt_id): (&str, &str),
    item: &str,
) -> sqlx::Result<Option<KeptReceiptRow>> {
    query_as(KEPT_RECEIPT).bind(creditor.as_str()).bind(issuer).bind(receipt_id).bind(item).fetch_optional(c).await
}

/// The receipts of a notice that the creditor issued itself, oldest first: whoever else issues notices has numbers of their own.
pub(crate) async fn receipts_of_notice(
    c: &mut Conn,
    creditor: &CreditorCode,
    number: &str,
) -> sqlx::Result<Vec<ReceiptOfNoticeRow>> {
    query_as(RECEIPTS_OF_NOTICE).bind(creditor.as_str()).bind(number).fetch_all(c).await
}

/// What was paid into an account, in the order it was booked.
pub(crate) async fn payments_in(
    c: &mut Conn,
    creditor: &CreditorCode,
    account: Account,
) -> sqlx::Result<Vec<PaymentInRow>> {
    let select = query_as(PAYMENTS_IN).bind(creditor.as_str()).bind(account.kind.code());
    select.bind(account.id).fetch_all(c).await
}

/// What was given back of a receipt; `subject` is its name among the office's acts.
pub(crate) async fn refunds(c: &mut Conn, creditor: &CreditorCode, subject: &str) -> sqlx::Result<Vec<RefundRow>> {
    query_as(REFUNDS).bind(creditor.as_str()).bind(subject).fetch_all(c).await
}

pub(crate) async fn child_of_guardian(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    child: ChildId,
) -> sqlx::Result<Option<CertifiedChildRow>> {
    let select = query_as(CHILD_OF_GUARDIAN).bind(creditor.as_str()).bind(guardian.uuid());
    select.bind(child.uuid()).fetch_optional(c).await
}

/// A child by codice fiscale.
pub(crate) async fn certified_child(
    c: &mut Conn,
    creditor: &CreditorCode,
    fiscal_code: &str,
) -> sqlx::Result<Option<CertifiedChildRow>> {
    query_as(CERTIFIED_CHILD).bind(creditor.as_str()).bind(fiscal_code).fetch_optional(c).await
}

pub(crate) async fn wallets_of_child(
    c: &mut Conn,
    creditor: &CreditorCode,
    child: ChildId,
) -> sqlx::Result<Vec<ChildWalletRow>> {
    query_as(WALLETS_OF_CHILD).bind(creditor.as_str()).bind(child.uuid()).fetch_all(c).await
}

pub(crate) async fn wallet_title(
    c: &mut Conn,
    creditor: &CreditorCode,
    wallet: WalletId,
) -> sqlx::Result<Option<WalletTitleRow>> {
    query_as(WALLET_TITLE).bind(creditor.as_str()).bind(wallet.uuid()).fetch_optional(c).await
}

/// The numbers of a wallet's first and last movement booked from one instant on and before another.
pub(crate) async fn statement_range(
    c: &mut Conn,
    creditor: &CreditorCode,
    wallet: WalletId,
    (from, before): (Millis, Millis),
) -> sqlx::Result<Option<(i64, i64)>> {
    let select = query_as(STATEMENT_RANGE).bind(creditor.as_str()).bind(wallet.uuid());
    let row: (Option<i64>, Option<i64>) = select.bind(from.get()).bind(before.get()).fetch_one(c).await?;
    Ok(row.0.zip(row.1))
}

/// The movements of a wallet between two numbers, both included.
pub(crate) async fn statement_rows(
    c: &mut Conn,
    creditor: &CreditorCode,
    wallet: WalletId,
    (first, last): (i64, i64),
) -> sqlx::Result<Vec<StatementRow>> {
    let select = query_as(STATEMENT_ROWS).bind(creditor.as_str()).bind(wallet.uuid());
    select.bind(first).bind(last).fetch_all(c).await
}

/// Whether it is new.
pub(crate) async fn insert_certificate(
    c: &mut Conn,
    creditor: &CreditorCode,
    row: &NewCertificate,
) -> sqlx::Result<bool> {
    let insert = query(INSERT_CERTIFICATE).bind(creditor.as_str()).bind(&row.digest.0[..]).bind(&row.subject.0[..]);
    let done = insert.bind(row.issued_at.get()).bind(&row.key_id).bind(&row.sealed).execute(c).await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn certificate(
    c: &mut Conn,
    creditor: &CreditorCode,
    digest: Hash,
) -> sqlx::Result<Option<CertificateRow>> {
    query_as(CERTIFICATE).bind(creditor.as_str()).bind(&digest.0[..]).fetch_optional(c).await
}

/// When the last certificate about the same was issued, after an instant.
pub(crate) async fn later_certificate(
    c: &mut Conn,
    creditor: &CreditorCode,
    subject: Hash,
    after: Millis,
) -> sqlx::Result<Option<Millis>> {
    let select = query_as(LATER_CERTIFICATE).bind(creditor.as_str()).bind(&subject.0[..]).bind(after.get());
    let row: Option<(i64,)> = select.fetch_optional(c).await?;
    Ok(row.map(|(at,)| Millis::new(at)))
}
