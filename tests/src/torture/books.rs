//! Holds what the Node remembers against what the database says, with SQL of its own, after a disaster: every receipt
//! once, every cent where it belongs, every sum the same whichever way it is added up.

use std::collections::HashMap;

use anyhow::Context;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{EntryId, WalletId};
use borsellino_server::auth::keys::Keys;
use borsellino_server::clock::Clock;
use borsellino_server::usecases::ledger_verify::verify;
use borsellino_server::usecases::queues::{self, Decision, Order};
use borsellino_server::usecases::seal_verify::verify_seals;
use borsellino_server::usecases::seals::{Bounds, Sweep, seal};
use borsellino_store::{RawPool, Store};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::program::SECRET;
use super::tally::Tally;
use super::town::{CREDITORS, Goes, Paper};

/// How many items of the queues the office decides about, to see that the queues still agree.
const DECIDED: usize = 5;

/// A receipt as the database has it: notice, cents of ours, outcome, whether an entry is named.
type Kept = (String, i64, String, bool);

/// Its key: issuer, id.
type Key = (String, String);

/// Adds to `tally` what is wrong with the books.
///
/// # Errors
/// Where they can't be read.
pub(super) async fn check(store: &Store, sent: &[(Paper, bool)], tally: &mut Tally) -> anyhow::Result<()> {
    if let RawPool::Pg(pool) = store.raw() {
        // The tests' cluster has no autovacuum, which does this elsewhere.
        sqlx::query("ANALYZE").execute(pool).await?;
    }
    for (code, _) in CREDITORS {
        let creditor = CreditorCode::parse(code)?;
        let mut books = Books { store, creditor, tally: &mut *tally };
        let own: Vec<_> = sent.iter().filter(|(paper, _)| paper.receipt.to.id_pa == code).collect();
        books.receipts(&own).await?;
        books.sums().await?;
        books.told().await?;
        books.queues().await?;
        books.decide().await?;
        books.queues().await?;
        books.proof().await?;
    }
    Ok(())
}

struct Books<'a> {
    store: &'a Store,
    creditor: CreditorCode,
    tally: &'a mut Tally,
}

impl Books<'_> {
    async fn rows<T>(&self, sql: &str) -> anyhow::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let (creditor, text) = (self.creditor.as_str(), AssertSqlSafe(sql.to_owned()));
        let rows = match self.store.raw() {
            RawPool::Lite(pool) => sqlx::query_as(text).bind(creditor).fetch_all(pool).await,
            RawPool::Pg(pool) => sqlx::query_as(text).bind(creditor).fetch_all(pool).await,
        };
        rows.with_context(|| sql.to_owned())
    }

    async fn number(&self, sql: &str) -> anyhow::Result<i64> {
        let rows: Vec<(i64,)> = self.rows(sql).await?;
        Ok(rows.first().context("one number")?.0)
    }

    fn wrong(&mut self, what: String) {
        if self.tally.complaints.len() < 40 {
            self.tally.complaints.push(format!("{}: {what}", self.creditor));
        }
    }

    /// Counts the cents by which two numbers differ that should be the same.
    fn equal(&mut self, what: &str, (expected, found): (i64, i64)) {
        if expected != found {
            self.tally.cents_off += expected.abs_diff(found);
            self.wrong(format!("{what}: {expected} cents expected, {found} found"));
        }
    }

    /// Every receipt that was acknowledged has one row and one entry of its cents on the right account, and no other has.
    async fn receipts(&mut self, sent: &[&(Paper, bool)]) -> anyhow::Result<()> {
        let sql = "SELECT issuer, receipt_id, notice_number, ours_cents, outcome,
            CAST(CASE WHEN entry IS NULL THEN 0 ELSE 1 END AS BIGINT) FROM receipt WHERE creditor = $1";
        let rows: Vec<(String, String, String, i64, String, i64)> = self.rows(sql).await?;
        let mut kept: HashMap<Key, Kept> = HashMap::new();
        for (issuer, id, notice, ours, outcome, entry) in rows {
            if kept.insert((issuer, id.clone()), (notice, ours, outcome, entry == 1)).is_some() {
                self.tally.double += 1;
                self.wrong(format!("receipt {id} stands twice"));
            }
        }
        let sql = "SELECT e.receipt_issuer, e.receipt_id, p.account_kind, COUNT(*), CAST(SUM(p.cents) AS BIGINT)
            FROM journal_entry e JOIN posting p ON p.creditor = e.creditor AND p.entry = e.id
            WHERE e.creditor = $1 AND e.receipt_id IS NOT NULL AND p.account_kind <> 'clearing'
            GROUP BY e.receipt_issuer, e.receipt_id, p.account_kind";
        let rows: Vec<(String, String, String, i64, i64)> = self.rows(sql).await?;
        let mut booked: HashMap<Key, Vec<(String, i64, i64)>> = HashMap::new();
        for (issuer, id, account, count, cents) in rows {
            booked.entry((issuer, id)).or_default().push((account, count, cents));
        }

        let mut paid_notices: HashMap<&str, i64> = HashMap::new();
        for (paper, acknowledged) in sent {
            let (receipt, key) = (&paper.receipt, (paper.receipt.issuer.clone(), paper.receipt.id.clone()));
            let Some((notice, ours, outcome, entry)) = kept.remove(&key) else {
                self.tally.lost += 1;
                self.wrong(format!("receipt {} is lost ({acknowledged})", receipt.id));
                continue;
            };
            if !acknowledged {
                self.tally.lost += 1;
                self.wrong(format!("receipt {} was kept and never acknowledged", receipt.id));
            }
            let account = match (paper.goes, outcome.as_str()) {
                (Goes::Wallet | Goes::WalletOrDouble, "wallet") => Some("wallet"),
                (Goes::WalletOrDouble, "double_payment")
                | (Goes::Unknown, "unknown_notice")
                | (Goes::Shared, "shared_payment") => Some("suspense"),
                (Goes::Bill, "bill") => Some("bill"),
                (Goes::Nothing, "outcome_ko") => None,
                (goes, outcome) => {
                    self.wrong(format!("receipt {} went to {outcome} instead of {goes:?}", receipt.id));
                    continue;
                }
            };
            let entries = booked.remove(&key).unwrap_or_default();
            let Some(account) = account else {
                if entry || !entries.is_empty() {
                    self.wrong(format!("receipt {} says KO and is booked: {entries:?}", receipt.id));
                }
                continue;
            };
            if paper.goes == Goes::WalletOrDouble {
                *paid_notices.entry(&receipt.notice).or_default() += i64::from(account == "wallet");
            }
            self.tally.double += u64::from(entries.iter().map(|(_, count, _)| count).sum::<i64>() > 1);
            if notice != receipt.notice || !entry || !matches!(&*entries, [(kind, 1, _)] if kind == account) {
                self.wrong(format!("receipt {} ({outcome}) is booked as {entries:?}", receipt.id));
            }
            self.equal("a receipt", (paper.ours, ours));
            self.equal("an entry", (paper.ours, entries.iter().map(|(.., cents)| cents).sum()));
        }
        for (notice, wallets) in paid_notices {
            if wallets != 1 {
                self.wrong(format!("of the receipts for {notice}, {wallets} went to the wallet"));
            }
        }
        for (_, id) in kept.into_keys().chain(booked.into_keys()) {
            self.wrong(format!("nobody sent what is kept or booked as receipt {id}"));
        }
        let stray = "SELECT COUNT(*) FROM kept_message WHERE creditor = $1";
        if self.number(stray).await? != 0 {
            self.wrong("a message waits in quarantine or as an anomaly".to_owned());
        }
        Ok(())
    }

    /// Receipts by outcome, movements, balances and clearing agree.
    async fn sums(&mut self) -> anyhow::Result<()> {
        for (account, outcomes) in
            [("wallet", "= 'wallet'"), ("bill", "= 'bill'"), ("suspense", "NOT IN ('wallet', 'bill', 'outcome_ko')")]
        {
            let sum = format!(
                "SELECT CAST(COALESCE(SUM(ours_cents), 0) AS BIGINT) FROM receipt WHERE creditor = $1 AND outcome {outcomes}"
            );
            let receipts = self.number(&sum).await?;
            let moved = format!(
                "SELECT CAST(COALESCE(SUM(p.cents), 0) AS BIGINT) FROM posting p JOIN journal_entry e
                ON e.creditor = p.creditor AND e.id = p.entry
                WHERE p.creditor = $1 AND p.account_kind = '{account}' AND e.receipt_id IS NOT NULL"
            );
            self.equal(&format!("movements of {account}"), (receipts, self.number(&moved).await?));
            let postings = format!(
                "SELECT CAST(COALESCE(SUM(cents), 0) AS BIGINT) FROM posting WHERE creditor = $1 AND account_kind = '{account}'"
            );
            let balances = format!(
                "SELECT CAST(COALESCE(SUM(balance_cents), 0) AS BIGINT) FROM account WHERE creditor = $1 AND kind = '{account}'"
            );
            let both = (self.number(&postings).await?, self.number(&balances).await?);
            self.equal(&format!("balances of {account}"), both);
        }
        let all = "SELECT CAST(COALESCE(SUM(ours_cents), 0) AS BIGINT) FROM receipt WHERE creditor = $1 AND outcome <> 'outcome_ko'";
        let clearing = "SELECT CAST(COALESCE(-SUM(cents), 0) AS BIGINT) FROM posting WHERE creditor = $1 AND account_kind = 'clearing'";
        let both = (self.number(all).await?, self.number(clearing).await?);
        self.equal("clearing", both);
        let open =
            "SELECT COUNT(*) FROM receipt r JOIN notice n ON n.creditor = r.creditor AND n.number = r.notice_number
            WHERE r.creditor = $1 AND r.outcome = 'wallet' AND n.state <> 'paid'";
        if self.number(open).await? != 0 {
            self.wrong("a notice whose receipt filled its wallet is open".to_owned());
        }
        Ok(())
    }

    /// Every guardian's feed has each number once, and each booked receipt of a notice of ours one row of the outbox.
    async fn told(&mut self) -> anyhow::Result<()> {
        let sql = "SELECT g.id, g.feed_seq, COUNT(f.seq), COALESCE(MIN(f.seq), 1), COALESCE(MAX(f.seq), 0)
            FROM guardian g LEFT JOIN feed f ON f.creditor = g.creditor AND f.guardian = g.id
            WHERE g.creditor = $1 GROUP BY g.id, g.feed_seq";
        let rows: Vec<(Uuid, i64, i64, i64, i64)> = self.rows(sql).await?;
        for (guardian, seq, count, first, last) in rows {
            if (count, first, last) != (seq, 1, seq) {
                self.wrong(format!("the feed of {guardian} has {count} rows from {first} to {last}, and says {seq}"));
            }
        }
        let receipts =
            "SELECT COUNT(*) FROM receipt WHERE creditor = $1 AND outcome IN ('wallet', 'bill', 'double_payment')";
        let outbox = "SELECT COUNT(*) FROM outbox WHERE creditor = $1 AND kind = 'payment_done'";
        let (receipts, outbox) = (self.number(receipts).await?, self.number(outbox).await?);
        if receipts != outbox {
            self.wrong(format!("{receipts} receipts are to be told, and {outbox} messages wait"));
        }
        Ok(())
    }

    /// What waits in the queues is what lies in suspense.
    async fn queues(&mut self) -> anyhow::Result<()> {
        let waiting = queues::list(self.store, self.creditor).await.context("list the queues")?;
        let waiting = waiting.iter().filter(|one| one.resolution.as_ref().is_none_or(|row| row.entry.is_none()));
        let waiting: i64 = waiting.filter_map(|one| one.amount).map(|cents| cents.get()).sum();
        let suspense = "SELECT CAST(COALESCE(SUM(balance_cents), 0) AS BIGINT) FROM account WHERE creditor = $1 AND kind = 'suspense'";
        let both = (waiting, self.number(suspense).await?);
        self.equal("the queues", both);
        Ok(())
    }

    /// The office books some of it to a wallet, and marks one for refund.
    async fn decide(&mut self) -> anyhow::Result<()> {
        let wallets: Vec<(Uuid,)> = self.rows("SELECT id FROM wallet WHERE creditor = $1 ORDER BY id").await?;
        let wallet = WalletId::from(wallets.first().context("a wallet")?.0);
        let waiting = queues::list(self.store, self.creditor).await.context("list the queues")?;
        for (index, one) in waiting.iter().filter(|one| one.amount.is_some()).take(DECIDED).enumerate() {
            let at = Clock::system().now();
            let order = Order {
                creditor: self.creditor,
                item: one.item.clone(),
                decision: if index == 0 { Decision::Refund } else { Decision::ToWallet(wallet) },
                reason: "torture".to_owned(),
                operator: "torture".to_owned(),
                at,
                entry: EntryId::from(borsellino_domain::id::uuid_v7(at, borsellino_server::clock::random()?)),
            };
            queues::resolve(self.store, order).await.map_err(|stop| anyhow::anyhow!("{stop:?}"))?;
        }
        Ok(())
    }

    /// The ledger proves itself, and so do its seals.
    async fn proof(&mut self) -> anyhow::Result<()> {
        let report = verify(self.store, &self.creditor, |_| ()).await.context("ledger verify")?;
        if let Some(broken) = report.broken {
            self.wrong(format!("ledger verify: {broken}"));
        }
        let keys = Keys::derive(&*borsellino_server::config::parse_secret(SECRET)?)?;
        let now = Clock::system().now();
        seal(self.store, &keys, self.creditor, now, Sweep::Whole, Bounds::default()).await.context("seal")?;
        let seals = verify_seals(self.store, self.creditor).await.context("verify the seals")?;
        if let Some(broken) = seals.broken {
            self.wrong(format!("seals: {broken}"));
        }
        if (seals.sealed, seals.unsealed) != (report.entries, 0) {
            self.wrong(format!("of {} entries, {} are sealed", report.entries, seals.sealed));
        }
        Ok(())
    }
}
