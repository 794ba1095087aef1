//! The writes of a batch on PostgreSQL: each is one statement over arrays, so that a batch takes the round trips of a
//! single receipt. These are the texts that differ from SQLite's.
//!
//! Rows are locked in one order by everybody: receipts' keys, accounts, notices, guardians; within each the batch
//! comes sorted by creditor and key. Should a plan of PostgreSQL's lock them in another order and two nodes wait for each
//! other, the short lock time-out of a batch ends it, and its receipts go on one by one.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::ledger::{Account, Entry, Side};
use sqlx::{PgConnection as Conn, query, query_as};
use uuid::Uuid;

use crate::rows::NoticeRow;
use crate::together::{Ordinary, ToldRow};

crate::tx::statements! {
    NOTICES_TOGETHER = "SELECT v.place, n.amount_cents, n.reason, n.taxonomy, n.debtor_code, n.debtor_name,
            n.due_date, n.state, n.expires_at_ms, n.wallet, w.closed_at_ms AS wallet_closed_at_ms, n.bill,
            CASE WHEN n.bill IS NOT NULL THEN a.balance_cents END AS bill_balance_cents,
            a.seq AS account_seq, a.balance_cents AS account_balance_cents, a.head AS account_head
        FROM UNNEST($1::TEXT[], $2::TEXT[]) WITH ORDINALITY AS v(creditor, number, place)
        JOIN notice n ON n.creditor = v.creditor AND n.number = v.number
        LEFT JOIN wallet w ON w.creditor = v.creditor AND w.id = n.wallet
        LEFT JOIN account a ON a.creditor = v.creditor AND a.id = COALESCE(n.bill, n.wallet)
            AND a.kind = CASE WHEN n.bill IS NOT NULL THEN 'bill' ELSE 'wallet' END";
    RECEIPTS_TOGETHER = "INSERT INTO receipt (creditor, issuer, receipt_id, notice_number, received_at_ms, total_cents,
            ours_cents, outcome, entry, content_digest, message_digest, key_id, sealed)
        SELECT * FROM UNNEST($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::BIGINT[],
            $8::TEXT[], $9::UUID[], $10::BYTEA[], $11::BYTEA[], $12::TEXT[], $13::BYTEA[])
        ON CONFLICT (creditor, issuer, receipt_id) DO NOTHING";
    ADVANCE_TOGETHER = "UPDATE account a SET seq = v.seq, balance_cents = v.balance_cents, head = v.head
        FROM UNNEST($1::TEXT[], $2::TEXT[], $3::UUID[], $4::BIGINT[], $5::BIGINT[], $6::BYTEA[])
            AS v(creditor, kind, id, seq, balance_cents, head)
        WHERE a.creditor = v.creditor AND a.kind = v.kind AND a.id = v.id AND a.seq = v.seq - 1";
    ENTRIES_TOGETHER = "INSERT INTO journal_entry (creditor, id, kind, at_ms, receipt_issuer, receipt_id,
            receipt_digest, day, tariff, digest)
        SELECT * FROM UNNEST($1::TEXT[], $2::UUID[], $3::TEXT[], $4::BIGINT[], $5::TEXT[], $6::TEXT[], $7::BYTEA[],
            $8::TEXT[], $9::TEXT[], $10::BYTEA[])";
    POSTINGS_TOGETHER = "INSERT INTO posting (creditor, entry, line, account_kind, account_id, cents, seq,
            balance_after_cents, hash)
        SELECT * FROM UNNEST($1::TEXT[], $2::UUID[], $3::BIGINT[], $4::TEXT[], $5::UUID[], $6::BIGINT[], $7::BIGINT[],
            $8::BIGINT[], $9::BYTEA[])";
    SETTLE_TOGETHER = "UPDATE notice n SET state = 'paid', settled_at_ms = v.at_ms
        FROM UNNEST($1::TEXT[], $2::TEXT[], $3::BIGINT[]) AS v(creditor, number, at_ms)
        WHERE n.creditor = v.creditor AND n.number = v.number AND n.state <> 'paid'";
    // A guardian with several changes takes as many numbers at once and deals them out in the order of the batch.
    FEED_TOGETHER = "WITH change AS (
            SELECT * FROM UNNEST($1::TEXT[], $2::UUID[], $3::UUID[], $4::TEXT[], $5::BIGINT[]) WITH ORDINALITY
                AS v(creditor, wallet, bill, notice, at_ms, place)
        ), seen AS (
            SELECT v.*, gc.guardian FROM change v
            JOIN wallet w ON w.creditor = v.creditor AND w.id = v.wallet
            JOIN guardian_child gc ON gc.creditor = v.creditor AND gc.child = w.child
            UNION
            SELECT v.*, gc.guardian FROM change v
            JOIN bill_line l ON l.creditor = v.creditor AND l.bill = v.bill
            JOIN guardian_child gc ON gc.creditor = v.creditor AND gc.child = l.child
        ), counted AS (
            SELECT s.creditor, s.guardian, COUNT(*) AS changes FROM seen s GROUP BY s.creditor, s.guardian
        ), moved AS (
            UPDATE guardian g SET feed_seq = g.feed_seq + c.changes
            FROM (SELECT * FROM counted ORDER BY creditor, guardian) c
            WHERE g.creditor = c.creditor AND g.id = c.guardian
            RETURNING g.creditor, g.id, g.feed_seq - c.changes AS before
        )
        INSERT INTO feed (creditor, guardian, seq, at_ms, wallet, bill, notice)
        SELECT s.creditor, s.guardian,
            m.before + ROW_NUMBER() OVER (PARTITION BY s.creditor, s.guardian ORDER BY s.place),
            s.at_ms, s.wallet, s.bill, s.notice
        FROM seen s JOIN moved m ON m.creditor = s.creditor AND m.id = s.guardian
        RETURNING creditor, notice, guardian";
    OUTBOX_TOGETHER = "INSERT INTO outbox (creditor, id, kind, notice, due_at_ms, attempts, created_at_ms)
        SELECT v.creditor, v.id, $1, v.notice, v.at_ms, 0, v.at_ms
        FROM UNNEST($2::TEXT[], $3::UUID[], $4::TEXT[], $5::BIGINT[]) AS v(creditor, id, notice, at_ms)
        ON CONFLICT (creditor, id) DO NOTHING";
}

/// A column of the batch.
fn column<'b, T>(batch: &'b [Ordinary], value: impl FnMut(&'b Ordinary) -> T) -> Vec<T> {
    batch.iter().map(value).collect()
}

/// The creditors of the batch.
fn creditors(batch: &[Ordinary]) -> Vec<&str> {
    column(batch, |one| one.creditor().as_str())
}

/// Whether a statement touched each receipt of the batch.
fn all(touched: u64, batch: &[Ordinary]) -> bool {
    usize::try_from(touched).is_ok_and(|touched| touched == batch.len())
}

#[derive(sqlx::FromRow)]
struct PlacedNotice {
    place: i64,
    #[sqlx(flatten)]
    row: NoticeRow,
}

pub(crate) async fn notices(c: &mut Conn, keys: &[(CreditorCode, String)]) -> sqlx::Result<Vec<Option<NoticeRow>>> {
    let creditors: Vec<&str> = keys.iter().map(|(creditor, _)| creditor.as_str()).collect();
    let numbers: Vec<&str> = keys.iter().map(|(_, number)| number.as_str()).collect();
    let found: Vec<PlacedNotice> = query_as(NOTICES_TOGETHER).bind(creditors).bind(numbers).fetch_all(c).await?;
    let mut rows: Vec<Option<NoticeRow>> = keys.iter().map(|_| None).collect();
    for PlacedNotice { place, row } in found {
        // Places are counted from 1.
        if let Some(slot) = usize::try_from(place - 1).ok().and_then(|place| rows.get_mut(place)) {
            *slot = Some(row);
        }
    }
    Ok(rows)
}

pub(crate) async fn insert_receipts(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<bool> {
    let done = query(RECEIPTS_TOGETHER)
        .bind(creditors(batch))
        .bind(column(batch, |one| one.receipt.issuer.as_str()))
        .bind(column(batch, |one| one.receipt.receipt_id.as_str()))
        .bind(column(batch, Ordinary::number))
        .bind(column(batch, |one| one.at().get()))
        .bind(column(batch, |one| one.receipt.total.get()))
        .bind(column(batch, |one| one.receipt.ours.get()))
        .bind(column(batch, |one| one.receipt.outcome))
        .bind(column(batch, |one| one.receipt.entry))
        .bind(column(batch, |one| &one.receipt.content_digest.0[..]))
        .bind(column(batch, |one| &one.receipt.message_digest.0[..]))
        .bind(column(batch, |one| one.receipt.key_id.as_str()))
        .bind(column(batch, |one| one.receipt.sealed.as_slice()))
        .execute(c)
        .await?;
    Ok(all(done.rows_affected(), batch))
}

pub(crate) async fn advance_accounts(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<bool> {
    let mut batch: Vec<&Ordinary> = batch.iter().collect();
    batch.sort_by_key(|one| (one.creditor().as_str(), one.account));
    let column = |value: fn(&Ordinary) -> i64| batch.iter().map(|one| value(one)).collect::<Vec<_>>();
    let done = query(ADVANCE_TOGETHER)
        .bind(batch.iter().map(|one| one.creditor().as_str()).collect::<Vec<_>>())
        .bind(batch.iter().map(|one| one.account.kind.code()).collect::<Vec<_>>())
        .bind(batch.iter().map(|one| one.account.id).collect::<Vec<_>>())
        .bind(column(|one| one.head.seq))
        .bind(column(|one| one.head.balance.get()))
        .bind(batch.iter().map(|one| &one.head.hash.0[..]).collect::<Vec<_>>())
        .execute(c)
        .await?;
    Ok(usize::try_from(done.rows_affected()).is_ok_and(|moved| moved == batch.len()))
}

pub(crate) async fn insert_entries(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<()> {
    let receipt = |one: &'_ Ordinary| one.entry.receipt().cloned();
    let receipts = column(batch, receipt);
    let digests = column(batch, |one| one.entry.digest());
    query(ENTRIES_TOGETHER)
        .bind(creditors(batch))
        .bind(column(batch, |one| one.entry.id().uuid()))
        .bind(column(batch, |one| one.entry.kind().code()))
        .bind(column(batch, |one| one.entry.at().get()))
        .bind(receipts.iter().map(|receipt| receipt.as_ref().map(|its| its.issuer.as_str())).collect::<Vec<_>>())
        .bind(receipts.iter().map(|receipt| receipt.as_ref().map(|its| its.receipt_id.as_str())).collect::<Vec<_>>())
        .bind(receipts.iter().map(|receipt| receipt.as_ref().map(|its| &its.digest.0[..])).collect::<Vec<_>>())
        .bind(column(batch, |one| one.entry.memo().day.as_deref()))
        .bind(column(batch, |one| one.entry.memo().tariff.as_deref()))
        .bind(digests.iter().map(|digest| &digest.0[..]).collect::<Vec<_>>())
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn insert_postings(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<()> {
    let lines: Vec<(i64, &Ordinary, &Entry, Side)> = batch
        .iter()
        .flat_map(|one| (0i64..).zip(one.entry.sides()).map(move |(line, side)| (line, one, &one.entry, *side)))
        .collect();
    let head = |(_, one, _, side): &(i64, &Ordinary, &Entry, Side)| {
        let chained: Account = side.account;
        (chained == one.account).then_some(one.head)
    };
    let heads: Vec<_> = lines.iter().map(head).collect();
    query(POSTINGS_TOGETHER)
        .bind(lines.iter().map(|(_, one, _, _)| one.creditor().as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, entry, _)| entry.id().uuid()).collect::<Vec<Uuid>>())
        .bind(lines.iter().map(|(line, ..)| *line).collect::<Vec<_>>())
        .bind(lines.iter().map(|(.., side)| side.account.kind.code()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(.., side)| side.account.id).collect::<Vec<_>>())
        .bind(lines.iter().map(|(.., side)| side.cents.get()).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| head.map(|head| head.seq)).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| head.map(|head| head.balance.get())).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| head.as_ref().map(|head| &head.hash.0[..])).collect::<Vec<_>>())
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn settle_notices(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<bool> {
    let done = query(SETTLE_TOGETHER)
        .bind(creditors(batch))
        .bind(column(batch, Ordinary::number))
        .bind(column(batch, |one| one.at().get()))
        .execute(c)
        .await?;
    Ok(all(done.rows_affected(), batch))
}

pub(crate) async fn feed_changes(c: &mut Conn, batch: &[Ordinary]) -> sqlx::Result<Vec<ToldRow>> {
    query_as(FEED_TOGETHER)
        .bind(creditors(batch))
        .bind(column(batch, |one| one.wallet))
        .bind(column(batch, |one| one.bill))
        .bind(column(batch, Ordinary::number))
        .bind(column(batch, |one| one.at().get()))
        .fetch_all(c)
        .await
}

pub(crate) async fn insert_outboxes(c: &mut Conn, kind: &str, batch: &[Ordinary]) -> sqlx::Result<()> {
    query(OUTBOX_TOGETHER)
        .bind(kind)
        .bind(creditors(batch))
        .bind(column(batch, |one| one.outbox.uuid()))
        .bind(column(batch, Ordinary::number))
        .bind(column(batch, |one| one.at().get()))
        .execute(c)
        .await
        .map(drop)
}
