//! Seals over the journal, and the journal as of an instant. Compiled once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::ledger::{Account, Hash};
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

/// How many entries [`SEAL_ENTRIES`] takes.
const TOGETHER: usize = 16;

crate::tx::statements! {
    LAST_SEAL = "SELECT number, at_ms, count, entries, root, heads, previous, hash, signature, public_key FROM seal
        WHERE creditor = $1 ORDER BY number DESC LIMIT 1";
    SEAL = "SELECT number, at_ms, count, entries, root, heads, previous, hash, signature, public_key FROM seal
        WHERE creditor = $1 AND number = $2";
    SEALS = "SELECT number, at_ms, count, entries, root, heads, previous, hash, signature, public_key FROM seal
        WHERE creditor = $1 AND number > $2 ORDER BY number LIMIT $3";
    JOURNAL_PAGE_END = "SELECT id FROM (SELECT id FROM journal_entry WHERE creditor = $1 AND id >= $2 ORDER BY id LIMIT $3) page
        ORDER BY id DESC LIMIT 1";
    UNSEALED = "SELECT e.id, e.digest, p.account_kind, p.account_id, p.seq, p.hash
        FROM (SELECT j.id, j.digest FROM journal_entry j WHERE j.creditor = $1 AND j.id >= $2 AND j.id <= $3
            AND NOT EXISTS (SELECT 1 FROM sealed_entry s WHERE s.creditor = $1 AND s.entry = j.id)
            ORDER BY j.id LIMIT $4) e
        LEFT JOIN posting p ON p.creditor = $1 AND p.entry = e.id AND p.seq IS NOT NULL
        ORDER BY e.id, p.line";
    UNSEALED_BEFORE = "SELECT j.id FROM journal_entry j WHERE j.creditor = $1 AND j.id < $2
            AND NOT EXISTS (SELECT 1 FROM sealed_entry s WHERE s.creditor = $1 AND s.entry = j.id)
        ORDER BY j.id LIMIT 1";
    COUNT_UNSEALED = "SELECT COUNT(*) FROM journal_entry j WHERE j.creditor = $1 AND j.id < $2
            AND NOT EXISTS (SELECT 1 FROM sealed_entry s WHERE s.creditor = $1 AND s.entry = j.id)";
    INSERT_SEAL = "INSERT INTO seal (creditor, number, at_ms, count, entries, root, heads, previous, hash, signature,
            public_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (creditor, number) DO NOTHING";
    SEAL_ENTRY = "INSERT INTO sealed_entry (creditor, seal, entry, digest) VALUES ($1, $2, $3, $4)";
    SEAL_ENTRIES = "INSERT INTO sealed_entry (creditor, seal, entry, digest) VALUES
        ($1, $2, $3, $4), ($1, $2, $5, $6), ($1, $2, $7, $8), ($1, $2, $9, $10),
        ($1, $2, $11, $12), ($1, $2, $13, $14), ($1, $2, $15, $16), ($1, $2, $17, $18),
        ($1, $2, $19, $20), ($1, $2, $21, $22), ($1, $2, $23, $24), ($1, $2, $25, $26),
        ($1, $2, $27, $28), ($1, $2, $29, $30), ($1, $2, $31, $32), ($1, $2, $33, $34)";
    SEAL_OF_ENTRY = "SELECT seal FROM sealed_entry WHERE creditor = $1 AND entry = $2";
    SEALED = "SELECT s.entry, s.digest AS sealed, e.digest, p.account_kind, p.account_id, p.seq, p.hash
        FROM sealed_entry s
        LEFT JOIN journal_entry e ON e.creditor = $1 AND e.id = s.entry
        LEFT JOIN posting p ON p.creditor = $1 AND p.entry = s.entry AND p.seq IS NOT NULL
        WHERE s.creditor = $1 AND s.seal = $2 ORDER BY s.entry, p.line";
    SEALED_DIGESTS = "SELECT entry, digest FROM sealed_entry WHERE creditor = $1 AND seal = $2 ORDER BY entry";
    STRAY_SEALED = "SELECT s.entry, s.seal FROM sealed_entry s WHERE s.creditor = $1
            AND NOT EXISTS (SELECT 1 FROM seal l WHERE l.creditor = $1 AND l.number = s.seal)
        ORDER BY s.seal, s.entry LIMIT 1";
    HELD_BEFORE = "SELECT p.account_kind AS kind, CAST(SUM(p.cents) AS BIGINT) AS cents, COUNT(*) AS postings
        FROM posting p JOIN journal_entry e ON e.creditor = $1 AND e.id = p.entry
        WHERE p.creditor = $1 AND e.at_ms < $2 GROUP BY p.account_kind ORDER BY p.account_kind";
    ACCOUNT_HELD_BEFORE = "SELECT a.kind, CAST(COALESCE(SUM(e.cents), 0) AS BIGINT) AS cents, COUNT(e.cents) AS postings
        FROM account a
        LEFT JOIN (SELECT p.cents FROM posting p JOIN journal_entry j ON j.creditor = $1 AND j.id = p.entry
            WHERE p.creditor = $1 AND p.account_kind = $2 AND p.account_id = $3 AND p.seq IS NOT NULL
            AND j.at_ms < $4) e ON TRUE
        WHERE a.creditor = $1 AND a.kind = $2 AND a.id = $3 GROUP BY a.kind";
    BOOKED_UNDER = "SELECT receipt_id, entry FROM receipt WHERE creditor = $1 AND notice_number = $2 AND entry IS NOT NULL
        ORDER BY received_at_ms, receipt_id";
    BOOKED_ON = "SELECT e.receipt_id, e.id AS entry
        FROM posting p
        JOIN journal_entry e ON e.creditor = $1 AND e.id = p.entry
        JOIN receipt r ON r.creditor = $1 AND r.issuer = e.receipt_issuer AND r.receipt_id = e.receipt_id
        WHERE p.creditor = $1 AND p.account_kind = $2 AND p.account_id = $3 AND p.seq > 0 AND r.notice_number = $4
        ORDER BY p.seq";
}

pub(crate) async fn last_seal(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Option<SealRow>> {
    query_as(LAST_SEAL).bind(creditor.as_str()).fetch_optional(c).await
}

pub(crate) async fn seal(c: &mut Conn, creditor: &CreditorCode, number: i64) -> sqlx::Result<Option<SealRow>> {
    query_as(SEAL).bind(creditor.as_str()).bind(number).fetch_optional(c).await
}

pub(crate) async fn seals(c: &mut Conn, creditor: &CreditorCode, after: i64, count: i64) -> sqlx::Result<Vec<SealRow>> {
    query_as(SEALS).bind(creditor.as_str()).bind(after).bind(count).fetch_all(c).await
}

/// The last of the next `count` entries from the id `from` on.
pub(crate) async fn journal_page_end(
    c: &mut Conn,
    creditor: &CreditorCode,
    from: Uuid,
    count: i64,
) -> sqlx::Result<Option<Uuid>> {
    let page = query_as(JOURNAL_PAGE_END).bind(creditor.as_str()).bind(from).bind(count);
    let row: Option<(Uuid,)> = page.fetch_optional(c).await?;
    Ok(row.map(|(id,)| id))
}

/// The chained postings of the first `count` entries between two ids (both included) that are in no seal.
pub(crate) async fn unsealed(
    c: &mut Conn,
    creditor: &CreditorCode,
    (from, to): (Uuid, Uuid),
    count: i64,
) -> sqlx::Result<Vec<UnsealedRow>> {
    query_as(UNSEALED).bind(creditor.as_str()).bind(from).bind(to).bind(count).fetch_all(c).await
}

/// The first entry before the id `before` that is in no seal.
pub(crate) async fn unsealed_before(c: &mut Conn, creditor: &CreditorCode, before: Uuid) -> sqlx::Result<Option<Uuid>> {
    let row: Option<(Uuid,)> = query_as(UNSEALED_BEFORE).bind(creditor.as_str()).bind(before).fetch_optional(c).await?;
    Ok(row.map(|(id,)| id))
}

/// How many entries before the id `before` are in no seal.
pub(crate) async fn count_unsealed(c: &mut Conn, creditor: &CreditorCode, before: Uuid) -> sqlx::Result<i64> {
    let row: (i64,) = query_as(COUNT_UNSEALED).bind(creditor.as_str()).bind(before).fetch_one(c).await?;
    Ok(row.0)
}

/// Whether the number was free. Another transaction with the same one is waited for.
pub(crate) async fn insert_seal(c: &mut Conn, creditor: &CreditorCode, row: &SealRow) -> sqlx::Result<bool> {
    let done = query(INSERT_SEAL)
        .bind(creditor.as_str())
        .bind(row.number)
        .bind(row.at_ms)
        .bind(row.count)
        .bind(row.entries)
        .bind(&row.root)
        .bind(&row.heads)
        .bind(&row.previous)
        .bind(&row.hash)
        .bind(&row.signature)
        .bind(&row.public_key)
        .execute(c)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Lists the entries of a seal.
pub(crate) async fn seal_entries(
    c: &mut Conn,
    creditor: &CreditorCode,
    seal: i64,
    entries: &[(Uuid, Hash)],
) -> sqlx::Result<()> {
    let (chunks, rest) = entries.as_chunks::<TOGETHER>();
    for chunk in chunks {
        let mut insert = query(SEAL_ENTRIES).bind(creditor.as_str()).bind(seal);
        for (entry, digest) in chunk {
            insert = insert.bind(entry).bind(&digest.0[..]);
        }
        insert.execute(&mut *c).await?;
    }
    for (entry, digest) in rest {
        query(SEAL_ENTRY).bind(creditor.as_str()).bind(seal).bind(entry).bind(&digest.0[..]).execute(&mut *c).await?;
    }
    Ok(())
}

/// The number of the seal that an entry is in.
pub(crate) async fn seal_of_entry(c: &mut Conn, creditor: &CreditorCode, entry: Uuid) -> sqlx::Result<Option<i64>> {
    let row: Option<(i64,)> = query_as(SEAL_OF_ENTRY).bind(creditor.as_str()).bind(entry).fetch_optional(c).await?;
    Ok(row.map(|(seal,)| seal))
}

/// The entries of a seal with their chained postings.
pub(crate) async fn sealed(c: &mut Conn, creditor: &CreditorCode, seal: i64) -> sqlx::Result<Vec<SealedRow>> {
    query_as(SEALED).bind(creditor.as_str()).bind(seal).fetch_all(c).await
}

/// The entries of a seal and their digests, in the order of the tree.
pub(crate) async fn sealed_digests(
    c: &mut Conn,
    creditor: &CreditorCode,
    seal: i64,
) -> sqlx::Result<Vec<(Uuid, Vec<u8>)>> {
    query_as(SEALED_DIGESTS).bind(creditor.as_str()).bind(seal).fetch_all(c).await
}

/// An entry listed in a seal that is gone.
pub(crate) async fn stray_sealed(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Option<StraySealedRow>> {
    query_as(STRAY_SEALED).bind(creditor.as_str()).fetch_optional(c).await
}

/// What each kind of account held just before an instant.
pub(crate) async fn held_before(c: &mut Conn, creditor: &CreditorCode, before: Millis) -> sqlx::Result<Vec<HeldRow>> {
    query_as(HELD_BEFORE).bind(creditor.as_str()).bind(before.get()).fetch_all(c).await
}

/// What a chained account held just before an instant; `None` where there is no such account.
pub(crate) async fn account_held_before(
    c: &mut Conn,
    creditor: &CreditorCode,
    account: Account,
    before: Millis,
) -> sqlx::Result<Option<HeldRow>> {
    query_as(ACCOUNT_HELD_BEFORE)
        .bind(creditor.as_str())
        .bind(account.kind.code())
        .bind(account.id)
        .bind(before.get())
        .fetch_optional(c)
        .await
}

/// The receipts that came under a notice and what books each, wherever it went.
pub(crate) async fn booked_under(c: &mut Conn, creditor: &CreditorCode, notice: &str) -> sqlx::Result<Vec<BookedRow>> {
    query_as(BOOKED_UNDER).bind(creditor.as_str()).bind(notice).fetch_all(c).await
}

/// The entries of an account that rest on a receipt under a notice, in their order.
pub(crate) async fn booked_on(
    c: &mut Conn,
    creditor: &CreditorCode,
    account: Account,
    notice: &str,
) -> sqlx::Result<Vec<BookedRow>> {
    query_as(BOOKED_ON)
        .bind(creditor.as_str())
        .bind(account.kind.code())
        .bind(account.id)
        .bind(notice)
        .fetch_all(c)
        .await
}
