//! A batch on SQLite: one statement per table, over a list of values, because each statement is handed to the
//! connection's thread and its answer back, which takes longer than a row. They do what PostgreSQL's one does.
//!
//! A list has one of few lengths, so that there are few texts to prepare; what is left of it is NULL.

use std::collections::HashMap;
use std::sync::LazyLock;

use borsellino_domain::creditor::CreditorCode;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Row, Sqlite, SqliteConnection as Conn, query};
use uuid::Uuid;

use super::payments;
use crate::rows::NoticeRow;
use crate::together::{Ordinary, ToldRow};

/// The lengths of a list.
const LENGTHS: [usize; 3] = [1, 8, MOST];

/// What does not fit the longest one takes another round.
const MOST: usize = 64;

/// A statement over a list `batch`: its name, the list's columns (the first is never NULL), what follows the list. Its
/// parameters have no numbers, because SQLite looks up a number's name by reading all names.
type Text = (&'static str, &'static [&'static str], &'static str);

const RECEIPTS: Text = (
    "RECEIPTS_TOGETHER",
    &[
        "creditor", "issuer", "receipt_id", "notice", "at_ms", "total_cents", "ours_cents", "outcome", "entry",
        "content_digest", "message_digest", "key_id", "sealed",
    ],
    "INSERT INTO receipt (creditor, issuer, receipt_id, notice_number, received_at_ms, total_cents, ours_cents,
            outcome, entry, content_digest, message_digest, key_id, sealed)
        SELECT * FROM batch WHERE creditor IS NOT NULL
        ON CONFLICT (creditor, issuer, receipt_id) DO NOTHING",
);
const ACCOUNTS: Text = (
    "ACCOUNTS_TOGETHER",
    &["creditor", "kind", "id", "seq", "balance_cents", "head"],
    "UPDATE account SET seq = batch.seq, balance_cents = batch.balance_cents, head = batch.head FROM batch
        WHERE account.creditor = batch.creditor AND account.kind = batch.kind AND account.id = batch.id
            AND account.seq = batch.seq - 1",
);
const ENTRIES: Text = (
    "ENTRIES_TOGETHER",
    &["creditor", "id", "kind", "at_ms", "issuer", "receipt_id", "receipt_digest", "digest"],
    "INSERT INTO journal_entry (creditor, id, kind, at_ms, receipt_issuer, receipt_id, receipt_digest, digest)
        SELECT * FROM batch WHERE creditor IS NOT NULL",
);
const POSTINGS: Text = (
    "POSTINGS_TOGETHER",
    &["creditor", "entry", "kind", "id", "cents", "seq", "balance_cents", "hash", "other_kind", "other"],
    "INSERT INTO posting (creditor, entry, line, account_kind, account_id, cents, seq, balance_after_cents, hash)
        SELECT creditor, entry, 0, kind, id, cents, seq, balance_cents, hash FROM batch WHERE creditor IS NOT NULL
        UNION ALL
        SELECT creditor, entry, 1, other_kind, other, -cents, NULL, NULL, NULL FROM batch WHERE creditor IS NOT NULL",
);
const NOTICES: Text = (
    "SETTLE_TOGETHER",
    &["creditor", "number", "at_ms"],
    "UPDATE notice SET state = 'paid', settled_at_ms = batch.at_ms FROM batch
        WHERE notice.creditor = batch.creditor AND notice.number = batch.number AND notice.state <> 'paid'",
);
/// Who sees the wallet or the bill of a change. (`CROSS` makes SQLite keep to the order of the tables: it takes a list
/// for a long one.)
macro_rules! seen {
    ($text:literal) => {
        concat!(
            ", seen AS (
            SELECT batch.*, gc.guardian FROM batch
            CROSS JOIN wallet w ON batch.kind = 'wallet' AND w.creditor = batch.creditor AND w.id = batch.id
            CROSS JOIN guardian_child gc ON gc.creditor = batch.creditor AND gc.child = w.child
            UNION ALL
            SELECT DISTINCT batch.*, gc.guardian FROM batch
            CROSS JOIN bill_line l ON batch.kind = 'bill' AND l.creditor = batch.creditor AND l.bill = batch.id
            CROSS JOIN guardian_child gc ON gc.creditor = batch.creditor AND gc.child = l.child
        ) ",
            $text
        )
    };
}
const CHANGE: &[&str] = &["creditor", "kind", "id", "notice", "at_ms"];
const NUMBERS: Text = (
    "NUMBERS_TOGETHER",
    CHANGE,
    seen!(
        "UPDATE guardian SET feed_seq = feed_seq + counted.changes
        FROM (SELECT creditor, guardian, COUNT(*) AS changes FROM seen GROUP BY creditor, guardian) counted
        WHERE guardian.creditor = counted.creditor AND guardian.id = counted.guardian"
    ),
);
/// A guardian with several changes has taken as many numbers; they are dealt out now.
const FEED: Text = (
    "FEED_TOGETHER",
    CHANGE,
    seen!(
        "INSERT INTO feed (creditor, guardian, seq, at_ms, wallet, bill, notice)
        SELECT seen.creditor, seen.guardian,
            g.feed_seq - COUNT(*) OVER (PARTITION BY seen.creditor, seen.guardian)
                + ROW_NUMBER() OVER (PARTITION BY seen.creditor, seen.guardian ORDER BY seen.notice),
            seen.at_ms, CASE seen.kind WHEN 'wallet' THEN seen.id END, CASE seen.kind WHEN 'bill' THEN seen.id END, seen.notice
        FROM seen CROSS JOIN guardian g ON g.creditor = seen.creditor AND g.id = seen.guardian
        RETURNING creditor, notice, guardian"
    ),
);
const OUTBOX: Text = (
    "OUTBOX_TOGETHER",
    &["creditor", "id", "notice", "at_ms"],
    "INSERT INTO outbox (creditor, id, kind, notice, due_at_ms, attempts, created_at_ms)
        SELECT creditor, id, ?, notice, at_ms, 0, at_ms FROM batch WHERE creditor IS NOT NULL
        ON CONFLICT (creditor, id) DO NOTHING",
);

/// Every text at every length.
static TEXTS: LazyLock<HashMap<(&str, usize), String>> = LazyLock::new(|| {
    let texts = [RECEIPTS, ACCOUNTS, ENTRIES, POSTINGS, NOTICES, NUMBERS, FEED, OUTBOX];
    let at = |(name, columns, body): Text, length: usize| {
        let row = format!("({})", vec!["?"; columns.len()].join(", "));
        let text = format!("WITH batch({}) AS (VALUES {}) {body}", columns.join(", "), vec![row; length].join(", "));
        ((name, length), text)
    };
    texts.into_iter().flat_map(|text| LENGTHS.map(|length| at(text, length))).collect()
});

/// The names and texts, for whoever prepares them all.
pub(crate) fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEXTS.iter().map(|((name, _), text)| (*name, text.as_str()))
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// A statement over the batch, whose rows `bind` writes.
fn over<'q>(
    (name, columns, _): Text,
    batch: &'q [Ordinary],
    bind: impl Fn(Statement<'q>, &'q Ordinary) -> Statement<'q>,
) -> sqlx::Result<Statement<'q>> {
    let length = LENGTHS.into_iter().find(|length| batch.len() <= *length);
    let text = length.and_then(|length| Some((length, TEXTS.get(&(name, length))?)));
    let (length, text) = text.ok_or_else(|| sqlx::Error::Protocol(format!("{name}: too long a list")))?;
    let filled = batch.iter().fold(query(text.as_str()), bind);
    let left = (length - batch.len()) * columns.len();
    Ok((0..left).fold(filled, |statement, _| statement.bind(None::<i64>)))
}

pub(crate) async fn notices(c: &mut Conn, keys: &[(CreditorCode, String)]) -> sqlx::Result<Vec<Option<NoticeRow>>> {
    let mut rows = Vec::with_capacity(keys.len());
    for (creditor, number) in keys {
        rows.push(payments::notice(c, creditor, number).await?);
    }
    Ok(rows)
}

pub(crate) async fn receive_together(
    c: &mut Conn,
    kind: &str,
    batch: &[Ordinary],
) -> sqlx::Result<Option<Vec<ToldRow>>> {
    let mut told = Vec::new();
    for (first, part) in (0..).step_by(MOST).zip(batch.chunks(MOST)) {
        match receive(c, kind, part).await? {
            Some(its) => told.extend(its.into_iter().map(|row| ToldRow { index: first + row.index, ..row })),
            None => return Ok(None),
        }
    }
    Ok(Some(told))
}

/// A row for the feed.
fn change<'q>(row: Statement<'q>, one: &'q Ordinary) -> Statement<'q> {
    let account = one.credited().account;
    row.bind(one.creditor().as_str()).bind(account.kind.code()).bind(account.id).bind(one.number()).bind(one.at().get())
}

async fn receive(c: &mut Conn, kind: &str, batch: &[Ordinary]) -> sqlx::Result<Option<Vec<ToldRow>>> {
    let all = |touched: u64| usize::try_from(touched).is_ok_and(|touched| touched == batch.len());
    let receipts = over(RECEIPTS, batch, |row, one| {
        let receipt = one.receipt();
        row.bind(one.creditor().as_str())
            .bind(&receipt.issuer)
            .bind(&receipt.receipt_id)
            .bind(one.number())
            .bind(one.at().get())
            .bind(receipt.total.get())
            .bind(receipt.ours.get())
            .bind(receipt.outcome)
            .bind(one.entry().id().uuid())
            .bind(&receipt.content_digest.0[..])
            .bind(&receipt.message_digest.0[..])
            .bind(&receipt.key_id)
            .bind(&receipt.sealed)
    })?;
    if !all(receipts.execute(&mut *c).await?.rows_affected()) {
        return Ok(None);
    }
    let accounts = over(ACCOUNTS, batch, |row, one| {
        let (account, head) = (one.credited().account, one.head());
        row.bind(one.creditor().as_str())
            .bind(account.kind.code())
            .bind(account.id)
            .bind(head.seq)
            .bind(head.balance.get())
            .bind(&head.hash.0[..])
    })?;
    if !all(accounts.execute(&mut *c).await?.rows_affected()) {
        return Ok(None);
    }
    let entries = over(ENTRIES, batch, |row, one| {
        row.bind(one.creditor().as_str())
            .bind(one.entry().id().uuid())
            .bind(one.entry().kind().code())
            .bind(one.at().get())
            .bind(&one.receipt().issuer)
            .bind(&one.receipt().receipt_id)
            .bind(&one.receipt().message_digest.0[..])
            .bind(&one.digest().0[..])
    })?;
    entries.execute(&mut *c).await?;
    let postings = over(POSTINGS, batch, |row, one| {
        let (credited, head, other) = (one.credited(), one.head(), one.other().account);
        row.bind(one.creditor().as_str())
            .bind(one.entry().id().uuid())
            .bind(credited.account.kind.code())
            .bind(credited.account.id)
            .bind(credited.cents.get())
            .bind(head.seq)
            .bind(head.balance.get())
            .bind(&head.hash.0[..])
            .bind(other.kind.code())
            .bind(other.id)
    })?;
    postings.execute(&mut *c).await?;
    let notices =
        over(NOTICES, batch, |row, one| row.bind(one.creditor().as_str()).bind(one.number()).bind(one.at().get()))?;
    if !all(notices.execute(&mut *c).await?.rows_affected()) {
        return Ok(None);
    }
    let places: HashMap<(&str, &str), usize> =
        batch.iter().enumerate().map(|(place, one)| ((one.creditor().as_str(), one.number()), place)).collect();
    over(NUMBERS, batch, change)?.execute(&mut *c).await?;
    let mut told = Vec::new();
    for row in over(FEED, batch, change)?.fetch_all(&mut *c).await? {
        let (creditor, notice): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let index = *places.get(&(creditor, notice)).ok_or(sqlx::Error::RowNotFound)?;
        told.push(ToldRow { index, guardian: row.try_get::<Uuid, _>(2)? });
    }
    let outbox = over(OUTBOX, batch, |row, one| {
        row.bind(one.creditor().as_str()).bind(one.outbox().uuid()).bind(one.number()).bind(one.at().get())
    })?;
    outbox.bind(kind).execute(&mut *c).await?;
    Ok(Some(told))
}
