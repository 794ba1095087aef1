//! The journal: accounts, entries, postings, and what `ledger verify` reads. Compiled once per engine; one statement
//! per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::ledger::{Account, Entry, Hash, Head};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    OPEN_ACCOUNT = "INSERT INTO account (creditor, kind, id, seq, balance_cents, head) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (creditor, kind, id) DO NOTHING";
    LOCK_ACCOUNT = "UPDATE account SET seq = seq + 1 WHERE creditor = $1 AND kind = $2 AND id = $3
        RETURNING kind, id, seq, balance_cents, head";
    MOVE_ACCOUNT = "UPDATE account SET balance_cents = $4, head = $5 WHERE creditor = $1 AND kind = $2 AND id = $3";
    ADVANCE_ACCOUNT = "UPDATE account SET seq = $4, balance_cents = $5, head = $6
        WHERE creditor = $1 AND kind = $2 AND id = $3 AND seq = $4 - 1";
    INSERT_ENTRY = "INSERT INTO journal_entry (creditor, id, kind, at_ms, receipt_issuer, receipt_id, receipt_digest,
            day, tariff, digest)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    INSERT_POSTING = "INSERT INTO posting (creditor, entry, line, account_kind, account_id, cents, seq,
            balance_after_cents, hash)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    INSERT_POSTING_PAIR = "INSERT INTO posting (creditor, entry, line, account_kind, account_id, cents, seq,
            balance_after_cents, hash)
        VALUES ($1, $2, 0, $3, $4, $5, $6, $7, $8), ($1, $2, 1, $9, $10, $11, $12, $13, $14)";
    LAST_MOVEMENTS = "SELECT p.account_id AS wallet, p.seq, p.cents, p.balance_after_cents, e.kind, e.at_ms, e.day,
            e.tariff, e.id AS entry
        FROM guardian_child gc
        JOIN wallet w ON w.creditor = $1 AND w.child = gc.child
        JOIN account a ON a.creditor = $1 AND a.kind = 'wallet' AND a.id = w.id
        JOIN posting p ON p.creditor = $1 AND p.account_kind = 'wallet' AND p.account_id = w.id AND p.seq > a.seq - $3
        JOIN journal_entry e ON e.creditor = $1 AND e.id = p.entry
        WHERE gc.creditor = $1 AND gc.guardian = $2
        ORDER BY e.at_ms DESC, e.id DESC LIMIT $3";
    FAMILY_MOVEMENTS = "SELECT p.account_id AS wallet, p.seq, p.cents, p.balance_after_cents, e.kind, e.at_ms, e.day,
            e.tariff, e.id AS entry
        FROM guardian_child gc
        JOIN wallet w ON w.creditor = $1 AND w.child = gc.child
        JOIN posting p ON p.creditor = $1 AND p.account_kind = 'wallet' AND p.account_id = w.id AND p.seq > 0
        JOIN journal_entry e ON e.creditor = $1 AND e.id = p.entry
        WHERE gc.creditor = $1 AND gc.guardian = $2 AND (e.at_ms < $3 OR (e.at_ms = $3 AND e.id < $4))
        ORDER BY e.at_ms DESC, e.id DESC LIMIT $5";
    WALLET_MOVEMENTS = "SELECT p.account_id AS wallet, p.seq, p.cents, p.balance_after_cents, e.kind, e.at_ms, e.day,
            e.tariff, e.id AS entry
        FROM posting p JOIN journal_entry e ON e.creditor = $1 AND e.id = p.entry
        WHERE p.creditor = $1 AND p.account_kind = 'wallet' AND p.account_id = $2 AND p.seq < $3
        ORDER BY p.seq DESC LIMIT $4";
    LAST_ENTRY = "SELECT id FROM journal_entry WHERE creditor = $1 ORDER BY id DESC LIMIT 1";
    ENTRIES = "SELECT e.id, e.kind, e.at_ms, e.receipt_issuer, e.receipt_id, e.receipt_digest, e.day, e.tariff, e.digest, p.line,
            p.account_kind, p.account_id, p.cents
        FROM (SELECT * FROM journal_entry WHERE creditor = $1 AND id >= $2 ORDER BY id LIMIT $3) e
        LEFT JOIN posting p ON p.creditor = $1 AND p.entry = e.id
        ORDER BY e.id, p.line";
    ACCOUNTS = "SELECT kind, id, seq, balance_cents, head FROM account
        WHERE creditor = $1 AND (kind > $2 OR (kind = $2 AND id > $3)) ORDER BY kind, id LIMIT $4";
    CHAIN = "SELECT p.entry, p.seq, p.cents, p.balance_after_cents, p.hash, e.digest
        FROM posting p LEFT JOIN journal_entry e ON e.creditor = $1 AND e.id = p.entry
        WHERE p.creditor = $1 AND p.account_kind = $2 AND p.account_id = $3 AND p.seq > $4
        ORDER BY p.seq LIMIT $5";
    // In two halves of 32 bits: on the way to a sum that fits, one that does not may stand.
    TOTALS = "SELECT p.account_kind AS kind, CAST(SUM(p.cents / 4294967296) AS BIGINT) AS moved_high,
            CAST(SUM(p.cents % 4294967296) AS BIGINT) AS moved_low,
            (SELECT CAST(COALESCE(SUM(a.balance_cents / 4294967296), 0) AS BIGINT) FROM account a
                WHERE a.creditor = $1 AND a.kind = p.account_kind) AS balance_high,
            (SELECT CAST(COALESCE(SUM(a.balance_cents % 4294967296), 0) AS BIGINT) FROM account a
                WHERE a.creditor = $1 AND a.kind = p.account_kind) AS balance_low
        FROM posting p WHERE p.creditor = $1 GROUP BY p.account_kind ORDER BY p.account_kind";
    STRAY_POSTING = "SELECT p.account_kind, p.account_id, p.seq, p.entry FROM posting p
        WHERE p.creditor = $1 AND p.account_kind IN ('wallet', 'bill', 'suspense')
            AND NOT EXISTS (SELECT 1 FROM account a WHERE a.creditor = $1 AND a.kind = p.account_kind
                AND a.id = p.account_id AND a.seq >= p.seq)
        ORDER BY p.account_kind, p.account_id, p.seq LIMIT 1";
    ORPHAN_POSTING = "SELECT p.account_kind, p.account_id, p.seq, p.entry FROM posting p
        WHERE p.creditor = $1
            AND NOT EXISTS (SELECT 1 FROM journal_entry e WHERE e.creditor = $1 AND e.id = p.entry)
        ORDER BY p.entry, p.line LIMIT 1";
    STRAY_RECEIPT = "SELECT r.issuer, r.receipt_id, r.entry FROM receipt r
        WHERE r.creditor = $1 AND (r.entry IS NOT NULL OR r.outcome NOT IN ('outcome_ko', 'nothing_ours', 'overflow'))
            AND NOT EXISTS (SELECT 1 FROM journal_entry e JOIN posting p ON p.creditor = $1 AND p.entry = e.id
                WHERE e.creditor = $1 AND e.id = r.entry AND e.receipt_issuer = r.issuer
                AND e.receipt_id = r.receipt_id AND e.receipt_digest = r.message_digest AND p.line = 0
                AND p.cents = r.ours_cents)
        ORDER BY r.issuer, r.receipt_id LIMIT 1";
    STRAY_ENTRY = "SELECT e.receipt_issuer AS issuer, e.receipt_id, e.id AS entry FROM journal_entry e
        WHERE e.creditor = $1 AND e.receipt_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.creditor = $1 AND r.issuer = e.receipt_issuer
                AND r.receipt_id = e.receipt_id AND r.entry = e.id)
            AND NOT EXISTS (SELECT 1 FROM resolution d WHERE d.creditor = $1
                AND d.item = 'r-' || e.receipt_issuer || '-' || e.receipt_id AND d.entry = e.id)
        ORDER BY e.id LIMIT 1";
}

pub(crate) async fn open_account(
    c: &mut Conn,
    creditor: &CreditorCode,
    account: Account,
    head: &Head,
) -> sqlx::Result<()> {
    query(OPEN_ACCOUNT)
        .bind(creditor.as_str())
        .bind(account.kind.code())
        .bind(account.id)
        .bind(head.seq)
        .bind(head.balance.get())
        .bind(&head.hash.0[..])
        .execute(c)
        .await
        .map(drop)
}

/// Takes the next number of an account and holds its row until the transaction ends.
pub(crate) async fn lock_account(
    c: &mut Conn,
    creditor: &CreditorCode,
    account: Account,
) -> sqlx::Result<Option<AccountRow>> {
    let update = query_as(LOCK_ACCOUNT).bind(creditor.as_str()).bind(account.kind.code()).bind(account.id);
    update.fetch_optional(c).await
}

pub(crate) async fn move_account(
    c: &mut Conn,
    creditor: &CreditorCode,
    account: Account,
    head: &Head,
) -> sqlx::Result<()> {
    query(MOVE_ACCOUNT)
        .bind(creditor.as_str())
        .bind(account.kind.code())
        .bind(account.id)
        .bind(head.balance.get())
        .bind(&head.hash.0[..])
        .execute(c)
        .await
        .map(drop)
}

/// Sets an account's head to the one after the head that was read; `false` where another posting came between.
pub(crate) async fn advance_account(
    c: &mut Conn,
    creditor: &CreditorCode,
    account: Account,
    head: &Head,
) -> sqlx::Result<bool> {
    let update = query(ADVANCE_ACCOUNT).bind(creditor.as_str()).bind(account.kind.code()).bind(account.id);
    let done = update.bind(head.seq).bind(head.balance.get()).bind(&head.hash.0[..]).execute(c).await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn insert_entry(c: &mut Conn, entry: &Entry, digest: Hash) -> sqlx::Result<()> {
    let receipt = entry.receipt();
    query(INSERT_ENTRY)
        .bind(entry.creditor().as_str())
        .bind(entry.id().uuid())
        .bind(entry.kind().code())
        .bind(entry.at().get())
        .bind(receipt.map(|receipt| receipt.issuer.as_str()))
        .bind(receipt.map(|receipt| receipt.receipt_id.as_str()))
        .bind(receipt.map(|receipt| &receipt.digest.0[..]))
        .bind(entry.memo().day.as_deref())
        .bind(entry.memo().tariff.as_deref())
        .bind(&digest.0[..])
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn insert_posting(
    c: &mut Conn,
    entry: &Entry,
    line: i64,
    (account, cents, head): (Account, i64, Option<Head>),
) -> sqlx::Result<()> {
    query(INSERT_POSTING)
        .bind(entry.creditor().as_str())
        .bind(entry.id().uuid())
        .bind(line)
        .bind(account.kind.code())
        .bind(account.id)
        .bind(cents)
        .bind(head.map(|head| head.seq))
        .bind(head.map(|head| head.balance.get()))
        .bind(head.map(|head| head.hash.0.to_vec()))
        .execute(c)
        .await
        .map(drop)
}

/// The two sides of an ordinary entry in one round trip.
pub(crate) async fn insert_posting_pair(
    c: &mut Conn,
    entry: &Entry,
    first: (Account, i64, Option<Head>),
    second: (Account, i64, Option<Head>),
) -> sqlx::Result<()> {
    let mut insert = query(INSERT_POSTING_PAIR).bind(entry.creditor().as_str()).bind(entry.id().uuid());
    for (account, cents, head) in [first, second] {
        insert = insert
            .bind(account.kind.code())
            .bind(account.id)
            .bind(cents)
            .bind(head.map(|head| head.seq))
            .bind(head.map(|head| head.balance.get()))
            .bind(head.map(|head| head.hash.0.to_vec()));
    }
    insert.execute(c).await.map(drop)
}

pub(crate) async fn last_movements(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: Uuid,
    count: i64,
) -> sqlx::Result<Vec<MovementRow>> {
    query_as(LAST_MOVEMENTS).bind(creditor.as_str()).bind(guardian).bind(count).fetch_all(c).await
}

pub(crate) async fn family_movements(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: Uuid,
    (before_ms, before_entry): (i64, Uuid),
    count: i64,
) -> sqlx::Result<Vec<MovementRow>> {
    query_as(FAMILY_MOVEMENTS)
        .bind(creditor.as_str())
        .bind(guardian)
        .bind(before_ms)
        .bind(before_entry)
        .bind(count)
        .fetch_all(c)
        .await
}

pub(crate) async fn wallet_movements(
    c: &mut Conn,
    creditor: &CreditorCode,
    wallet: Uuid,
    before_seq: i64,
    count: i64,
) -> sqlx::Result<Vec<MovementRow>> {
    let select = query_as(WALLET_MOVEMENTS).bind(creditor.as_str()).bind(wallet).bind(before_seq).bind(count);
    select.fetch_all(c).await
}

pub(crate) async fn last_entry(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Option<Uuid>> {
    let row: Option<(Uuid,)> = query_as(LAST_ENTRY).bind(creditor.as_str()).fetch_optional(c).await?;
    Ok(row.map(|(id,)| id))
}

/// The sides of `count` entries from the id `from` on.
pub(crate) async fn entries(
    c: &mut Conn,
    creditor: &CreditorCode,
    from: Uuid,
    count: i64,
) -> sqlx::Result<Vec<EntrySideRow>> {
    query_as(ENTRIES).bind(creditor.as_str()).bind(from).bind(count).fetch_all(c).await
}

/// The next `count` accounts after `kind` and `id`.
pub(crate) async fn accounts(
    c: &mut Conn,
    creditor: &CreditorCode,
    (kind, id): (&str, Uuid),
    count: i64,
) -> sqlx::Result<Vec<StoredAccountRow>> {
    query_as(ACCOUNTS).bind(creditor.as_str()).bind(kind).bind(id).bind(count).fetch_all(c).await
}

/// The next `count` postings of an account after the number `after`.
pub(crate) async fn chain(
    c: &mut Conn,
    creditor: &CreditorCode,
    account: Account,
    after: i64,
    count: i64,
) -> sqlx::Result<Vec<ChainRow>> {
    query_as(CHAIN)
        .bind(creditor.as_str())
        .bind(account.kind.code())
        .bind(account.id)
        .bind(after)
        .bind(count)
        .fetch_all(c)
        .await
}

/// What each kind of account holds, by its postings and by its rows, at one instant.
pub(crate) async fn totals(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Vec<TotalsRow>> {
    query_as(TOTALS).bind(creditor.as_str()).fetch_all(c).await
}

/// A posting beyond the end of its account, or of an account that is gone.
pub(crate) async fn stray_posting(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Option<StrayPostingRow>> {
    query_as(STRAY_POSTING).bind(creditor.as_str()).fetch_optional(c).await
}

/// A posting whose entry is gone.
pub(crate) async fn orphan_posting(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Option<StrayPostingRow>> {
    query_as(ORPHAN_POSTING).bind(creditor.as_str()).fetch_optional(c).await
}

/// A receipt that no entry books as it says.
pub(crate) async fn stray_receipt(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Option<StrayReceiptRow>> {
    query_as(STRAY_RECEIPT).bind(creditor.as_str()).fetch_optional(c).await
}

/// An entry whose receipt is gone or rests on another entry, unless the office decided it.
pub(crate) async fn stray_entry(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Option<StrayReceiptRow>> {
    query_as(STRAY_ENTRY).bind(creditor.as_str()).fetch_optional(c).await
}
