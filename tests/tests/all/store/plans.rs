//! How SQLite goes about each statement: what a parent or the Node waits for must not walk through all that a creditor
//! has, which the few rows of a test would never show.

use borsellino_store::RawPool;
use borsellino_tests::stores::Fresh;
use sqlx::{AssertSqlSafe, Row};

/// Statements that are to read everything, or a table (an index) of a few rows: `ledger verify`, the directory, the demo's
/// list of what can be paid, a test's count, the office's queues, the sealing of the last days' entries, what an
/// operator asks of the journal, who has no account yet, what waits to be sent (an index that holds nothing else) and what is
/// swept now and then; a creditor's one letterhead, its few privacy notices and who accepted them, its rule of access, the few services it offers without a
/// notice, and the bills of a billing run (once a month, through its numbers); a creditor's own few questions and documents, and what
/// the office reads and exports of its pages and messages.
const WALKERS: [&str; 60] = [
    "CREDITORS", "STATIONS", "ENTRIES", "LAST_ENTRY", "ACCOUNTS", "CHAIN", "TOTALS", "STRAY_POSTING", "ORPHAN_POSTING",
    "STRAY_RECEIPT", "STRAY_ENTRY", "OUTBOX_WAITING", "PAYABLE", "QUEUED_RECEIPTS", "QUEUED_MESSAGES", "RESOLUTIONS",
    "SERVICES", "ACTIONS", "SURPLUS", "LAST_SEAL", "SEALS", "JOURNAL_PAGE_END", "UNSEALED", "UNSEALED_BEFORE",
    "COUNT_UNSEALED", "SEALED", "STRAY_SEALED", "HELD_BEFORE", "ACCOUNT_HELD_BEFORE", "BOOKED_UNDER", "DUE_FOR_PUSH",
    "HOLD_OUTBOX", "CLAIM_PUSHES", "SWEEP_PUSH_TOKENS", "PRUNE_DELIVERIES", "FEE_TABLE", "UNREGISTERED",
    "SWEEP_RECOVERIES", "SWEEP_SIGN_INS", "DUE_FOR_LETTERS", "CLAIM_LETTERS", "CLAIM_POST", "EXPIRE_POST",
    "PRUNE_POST", "LETTERS", "BOUNCED_GUARDIANS", "LOW_WALLETS", "FORGET_LOW_TOLD", "DOCUMENT_CHOICE", "LETTERHEAD",
    "BILLS_OF_RUN", "SPONTANEOUS_OFFERS", "CONTENT_OF_KIND", "ALL_CONTENT", "MESSAGES_AFTER", "PRIVACY_NOTICE",
    "PRIVACY_VERSION", "PRIVACY_DUE", "PRIVACY_ACCEPTANCES", "ACCESS_RULE",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_walks_through_a_creditor() {
    let fresh = Fresh::sqlite().await.expect("a fresh database");
    let RawPool::Lite(pool) = fresh.store.raw() else { unreachable!("it was asked for") };
    let mut walks = Vec::new();
    for (name, text) in fresh.store.texts().filter(|(name, _)| !WALKERS.contains(name)) {
        let steps = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"))).fetch_all(pool).await.expect(name);
        let steps = steps.iter().map(|step| step.get::<String, _>("detail"));
        walks.extend(steps.filter(|step| walks_through(step)).map(|step| format!("{name}: {step}")));
    }
    assert_eq!(walks, Vec::<String>::new());
}

/// Every index has a line of its own in what SQLite is told (migration 0006).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_index_is_counted() {
    let fresh = Fresh::sqlite().await.expect("a fresh database");
    let RawPool::Lite(pool) = fresh.store.raw() else { unreachable!("it was asked for") };
    let uncounted = "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name <> '_sqlx_migrations'
        AND name NOT IN (SELECT idx FROM sqlite_stat1)";
    let uncounted: Vec<String> = sqlx::query_scalar(uncounted).fetch_all(pool).await.expect("a schema");
    assert_eq!(uncounted, Vec::<String>::new());
}

/// Whether a step looks at every row of a table, or at every row of a creditor in it. What a statement has made itself
/// (`batch`, `seen`, values) is no table; a creditor issues nearly all of its receipts.
fn walks_through(step: &str) -> bool {
    const OWN: [&str; 4] = ["batch", "seen", "counted", "CONSTANT"];
    if let Some(scanned) = step.strip_prefix("SCAN ") {
        let what = scanned.split(' ').next().unwrap_or_default();
        let own = OWN.contains(&what) || what.starts_with('(');
        return scanned.contains("USING") || !(own || scanned.ends_with("ROWS") || scanned.ends_with("CLAUSE"));
    }
    let terms = step.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or_default();
    let wide = ["creditor=?", "creditor=? AND kind=?", "creditor=? AND account_kind=?", "creditor=? AND issuer=?"];
    let ranges =
        terms.strip_prefix("creditor=? AND ").is_some_and(|rest| rest.contains(['<', '>']) && !rest.contains('='));
    wide.contains(&terms) || ranges || step.contains("AUTOMATIC")
}

#[test]
fn what_counts_as_walking() {
    for step in [
        "SCAN creditor",
        "SCAN s",
        "SCAN c USING INDEX sqlite_autoindex_creditor_1",
        "SEARCH l USING INDEX bill_line_by_child (creditor=?)",
        "SEARCH p USING COVERING INDEX posting_by_account (creditor=? AND account_kind=?)",
        "SEARCH r USING INDEX sqlite_autoindex_receipt_1 (creditor=? AND issuer=?)",
        "SEARCH e USING INDEX sqlite_autoindex_journal_entry_1 (creditor=? AND id>?)",
        "SEARCH g USING AUTOMATIC COVERING INDEX (creditor=? AND id=?)",
    ] {
        assert!(walks_through(step), "{step}");
    }
    for step in [
        "SCAN batch",
        "SCAN 64 CONSTANT ROWS",
        "SCAN (subquery-6)",
        "SEARCH w USING INDEX x (creditor=? AND id=?)",
        "SEARCH n USING INDEX notice_by_wallet (creditor=? AND wallet=? AND expires_at_ms>?)",
    ] {
        assert!(!walks_through(step), "{step}");
    }
}
