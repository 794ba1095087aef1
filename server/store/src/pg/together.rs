//! A batch on PostgreSQL: one statement reads its notices, one writes all that its receipts do and is a transaction by
//! itself, so that a batch takes two round trips however many receipts it holds. These are the texts that differ from
//! SQLite's.
//!
//! Rows are locked in one order by everybody: receipts' keys, accounts, notices, guardians. The last lines of the
//! statement ask for its parts in that order; the batch comes sorted by key, accounts and guardians are sorted here, and
//! whoever has an account is the only one at its notices. Should a plan of PostgreSQL's lock
//! them in another order and two nodes wait for each other, the short lock time-out of a batch ends it, and its receipts
//! go on one by one.

use borsellino_domain::creditor::CreditorCode;
use sqlx::{PgConnection as Conn, query_as};
use uuid::Uuid;

use crate::rows::NoticeRow;
use crate::together::{Ordinary, ToldRow};

crate::tx::statements! {
    NOTICES_TOGETHER = "SELECT v.place, n.amount_cents, n.reason, n.taxonomy, n.debtor_code, n.debtor_name,
            n.due_date, n.state, n.expires_at_ms, n.wallet, w.closed_at_ms AS wallet_closed_at_ms, n.bill,
            CASE WHEN n.bill IS NOT NULL THEN a.balance_cents END AS bill_balance_cents,
            a.seq AS account_seq, a.balance_cents AS account_balance_cents, a.head AS account_head, n.instalment,
            CASE WHEN n.instalment IS NOT NULL THEN (SELECT COUNT(*) FROM notice o WHERE o.creditor = v.creditor
                AND o.bill = n.bill AND o.number <> n.number AND o.state = 'open') END AS others_open,
            CASE WHEN n.instalment IS NOT NULL THEN (SELECT COUNT(*) FROM notice o WHERE o.creditor = v.creditor
                AND o.bill = n.bill AND o.instalment > n.instalment AND o.state = 'open') END AS others_after,
            CASE WHEN n.instalment IS NOT NULL THEN (SELECT CAST(COALESCE(SUM(o.amount_cents), 0) AS BIGINT)
                FROM notice o WHERE o.creditor = v.creditor AND o.bill = n.bill AND o.instalment < n.instalment
                AND o.state = 'open') END AS before_cents,
            CASE WHEN n.instalment IS NOT NULL THEN (SELECT CAST(SUM(o.held_cents) AS BIGINT)
                FROM notice o WHERE o.creditor = v.creditor AND o.bill = n.bill) ELSE n.held_cents END AS held_cents
        FROM UNNEST($1::TEXT[], $2::TEXT[]) WITH ORDINALITY AS v(creditor, number, place)
        JOIN notice n ON n.creditor = v.creditor AND n.number = v.number
        LEFT JOIN wallet w ON w.creditor = v.creditor AND w.id = n.wallet
        LEFT JOIN account a ON a.creditor = v.creditor AND a.id = COALESCE(n.bill, n.wallet)
            AND a.kind = CASE WHEN n.bill IS NOT NULL THEN 'bill' ELSE 'wallet' END";
    // A guardian with several changes takes as many numbers at once and deals them out in the order of the batch.
    // Where something was known, moved or settled, the number at the end that is none undoes everything; PostgreSQL's
    // log says why.
    RECEIVE_TOGETHER = "WITH v AS MATERIALIZED (
            SELECT * FROM UNNEST($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::BIGINT[], $7::BIGINT[],
                $8::BIGINT[], $9::TEXT[], $10::UUID[], $11::BYTEA[], $12::BYTEA[], $13::TEXT[], $14::BYTEA[],
                $15::TEXT[], $16::BYTEA[], $17::TEXT[], $18::UUID[], $19::BIGINT[], $20::BIGINT[], $21::BIGINT[],
                $22::BYTEA[], $23::TEXT[], $24::UUID[], $25::UUID[]) WITH ORDINALITY
                AS v(creditor, issuer, receipt_id, notice, at_ms, total_cents, ours_cents, outcome, entry,
                    content_digest, message_digest, key_id, sealed, entry_kind, entry_digest, account_kind, account,
                    cents, seq, balance_cents, head, other_kind, other, outbox, place)
        ), kept AS (
            INSERT INTO receipt (creditor, issuer, receipt_id, notice_number, received_at_ms, total_cents, ours_cents,
                outcome, entry, content_digest, message_digest, key_id, sealed)
            SELECT creditor, issuer, receipt_id, notice, at_ms, total_cents, ours_cents, outcome, entry,
                content_digest, message_digest, key_id, sealed FROM v
            ON CONFLICT (creditor, issuer, receipt_id) DO NOTHING
            RETURNING 1
        ), moved AS (
            UPDATE account a SET seq = v.seq, balance_cents = v.balance_cents, head = v.head
            FROM (SELECT * FROM v ORDER BY creditor, account_kind, account) v
            WHERE a.creditor = v.creditor AND a.kind = v.account_kind AND a.id = v.account AND a.seq = v.seq - 1
            RETURNING 1
        ), booked AS (
            INSERT INTO journal_entry (creditor, id, kind, at_ms, receipt_issuer, receipt_id, receipt_digest, digest)
            SELECT creditor, entry, entry_kind, at_ms, issuer, receipt_id, message_digest, entry_digest FROM v
        ), posted AS (
            INSERT INTO posting (creditor, entry, line, account_kind, account_id, cents, seq, balance_after_cents, hash)
            SELECT creditor, entry, 0, account_kind, account, cents, seq, balance_cents, head FROM v
            UNION ALL
            SELECT creditor, entry, 1, other_kind, other, -cents, NULL, NULL, NULL FROM v
        ), settled AS (
            UPDATE notice n SET state = 'paid', settled_at_ms = v.at_ms
            FROM v WHERE n.creditor = v.creditor AND n.number = v.notice AND n.state <> 'paid'
            RETURNING 1
        ), told AS (
            INSERT INTO outbox (creditor, id, kind, notice, due_at_ms, attempts, created_at_ms)
            SELECT creditor, outbox, $1, notice, at_ms, 0, at_ms FROM v
            ON CONFLICT (creditor, id) DO NOTHING
        ), seen AS (
            SELECT v.place, v.creditor, gc.guardian FROM v
            JOIN wallet w ON v.account_kind = 'wallet' AND w.creditor = v.creditor AND w.id = v.account
            JOIN guardian_child gc ON gc.creditor = v.creditor AND gc.child = w.child
            UNION ALL
            SELECT DISTINCT v.place, v.creditor, gc.guardian FROM v
            JOIN bill_line l ON v.account_kind = 'bill' AND l.creditor = v.creditor AND l.bill = v.account
            JOIN guardian_child gc ON gc.creditor = v.creditor AND gc.child = l.child
        ), numbered AS (
            UPDATE guardian g SET feed_seq = g.feed_seq + c.changes
            FROM (SELECT creditor, guardian, COUNT(*) AS changes FROM seen GROUP BY creditor, guardian
                ORDER BY creditor, guardian) c
            WHERE g.creditor = c.creditor AND g.id = c.guardian
            RETURNING g.creditor, g.id, g.feed_seq - c.changes AS before
        ), fed AS (
            INSERT INTO feed (creditor, guardian, seq, at_ms, wallet, bill, notice)
            SELECT s.creditor, s.guardian,
                m.before + ROW_NUMBER() OVER (PARTITION BY s.creditor, s.guardian ORDER BY s.place),
                v.at_ms, CASE v.account_kind WHEN 'wallet' THEN v.account END,
                CASE v.account_kind WHEN 'bill' THEN v.account END, v.notice
            FROM seen s JOIN numbered m ON m.creditor = s.creditor AND m.id = s.guardian JOIN v ON v.place = s.place
        )
        SELECT CASE WHEN (SELECT COUNT(*) FROM kept) = c.receipts AND (SELECT COUNT(*) FROM moved) = c.receipts
                AND (SELECT COUNT(*) FROM settled) = c.receipts THEN c.receipts
            ELSE CAST('crossed with other work, the receipts go on one by one: ' || c.receipts AS BIGINT) END,
            ARRAY(SELECT place FROM seen) AS places, ARRAY(SELECT guardian FROM seen) AS guardians
        FROM (SELECT COUNT(*) AS receipts FROM v) c";
}

#[derive(sqlx::FromRow)]
struct PlacedNotice {
    place: i64,
    #[sqlx(flatten)]
    row: NoticeRow,
}

/// An index into what was given, for PostgreSQL's places, which are counted from 1.
fn index(place: i64) -> Option<usize> {
    usize::try_from(place - 1).ok()
}

pub(crate) async fn notices(c: &mut Conn, keys: &[(CreditorCode, String)]) -> sqlx::Result<Vec<Option<NoticeRow>>> {
    let creditors: Vec<&str> = keys.iter().map(|(creditor, _)| creditor.as_str()).collect();
    let numbers: Vec<&str> = keys.iter().map(|(_, number)| number.as_str()).collect();
    let found: Vec<PlacedNotice> = query_as(NOTICES_TOGETHER).bind(creditors).bind(numbers).fetch_all(c).await?;
    let mut rows: Vec<Option<NoticeRow>> = keys.iter().map(|_| None).collect();
    for PlacedNotice { place, row } in found {
        if let Some(slot) = index(place).and_then(|index| rows.get_mut(index)) {
            *slot = Some(row);
        }
    }
    Ok(rows)
}

/// `invalid_text_representation`; every parameter goes over in binary.
const CROSSED: &str = "22P02";

pub(crate) async fn receive_together(
    c: &mut Conn,
    kind: &str,
    batch: &[Ordinary],
) -> sqlx::Result<Option<Vec<ToldRow>>> {
    fn column<'b, T>(batch: &'b [Ordinary], value: impl FnMut(&'b Ordinary) -> T) -> Vec<T> {
        batch.iter().map(value).collect()
    }
    let told = query_as(RECEIVE_TOGETHER)
        .bind(kind)
        .bind(column(batch, |one| one.creditor().as_str()))
        .bind(column(batch, |one| one.receipt().issuer.as_str()))
        .bind(column(batch, |one| one.receipt().receipt_id.as_str()))
        .bind(column(batch, Ordinary::number))
        .bind(column(batch, |one| one.at().get()))
        .bind(column(batch, |one| one.receipt().total.get()))
        .bind(column(batch, |one| one.receipt().ours.get()))
        .bind(column(batch, |one| one.receipt().outcome))
        .bind(column(batch, |one| one.entry().id().uuid()))
        .bind(column(batch, |one| &one.receipt().content_digest.0[..]))
        .bind(column(batch, |one| &one.receipt().message_digest.0[..]))
        .bind(column(batch, |one| one.receipt().key_id.as_str()))
        .bind(column(batch, |one| one.receipt().sealed.as_slice()))
        .bind(column(batch, |one| one.entry().kind().code()))
        .bind(column(batch, |one| &one.digest().0[..]))
        .bind(column(batch, |one| one.credited().account.kind.code()))
        .bind(column(batch, |one| one.credited().account.id))
        .bind(column(batch, |one| one.credited().cents.get()))
        .bind(column(batch, |one| one.head().seq))
        .bind(column(batch, |one| one.head().balance.get()))
        .bind(column(batch, |one| &one.head().hash.0[..]))
        .bind(column(batch, |one| one.other().account.kind.code()))
        .bind(column(batch, |one| one.other().account.id))
        .bind(column(batch, |one| one.outbox().uuid()))
        .fetch_one(c)
        .await;
    let (_, places, guardians): (i64, Vec<i64>, Vec<Uuid>) = match told {
        Ok(told) => told,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(CROSSED) => return Ok(None),
        Err(error) => return Err(error),
    };
    let told = places.into_iter().zip(guardians);
    Ok(Some(told.filter_map(|(place, guardian)| Some(ToldRow { index: index(place)?, guardian })).collect()))
}
