//! What the server shows, and what lies in its tables, held against the books.

use std::collections::BTreeMap;

use anyhow::Context;
use borsellino_domain::bill::BillState;
use borsellino_server::usecases::home::{home, movements};
use borsellino_server::usecases::ledger_verify::verify;
use borsellino_server::usecases::queues::list;
use sqlx::Row;

use super::life::standing;
use super::town::letter;
use super::{Difference, Simulation, Stop};

/// One number per line, in this order, for one creditor: what the tables must hold in all.
const NUMBERS: [(&str, &str, &str); 20] = [
    ("sums", "wallets", "SELECT COALESCE(SUM(balance_cents), 0) FROM account WHERE creditor = $1 AND kind = 'wallet'"),
    ("sums", "bills", "SELECT COALESCE(SUM(balance_cents), 0) FROM account WHERE creditor = $1 AND kind = 'bill'"),
    (
        "suspense",
        "suspense",
        "SELECT COALESCE(SUM(balance_cents), 0) FROM account WHERE creditor = $1 AND kind = 'suspense'",
    ),
    (
        "sums",
        "postings of wallets",
        "SELECT COALESCE(SUM(cents), 0) FROM posting WHERE creditor = $1 AND account_kind = 'wallet'",
    ),
    (
        "sums",
        "postings of bills",
        "SELECT COALESCE(SUM(cents), 0) FROM posting WHERE creditor = $1 AND account_kind = 'bill'",
    ),
    (
        "suspense",
        "postings of suspense",
        "SELECT COALESCE(SUM(cents), 0) FROM posting WHERE creditor = $1 AND account_kind = 'suspense'",
    ),
    (
        "sums",
        "postings of clearing",
        "SELECT COALESCE(SUM(cents), 0) FROM posting WHERE creditor = $1 AND account_kind = 'clearing'",
    ),
    (
        "sums",
        "postings of revenue",
        "SELECT COALESCE(SUM(cents), 0) FROM posting WHERE creditor = $1 AND account_kind = 'revenue'",
    ),
    (
        "sums",
        "postings of the counter",
        "SELECT COALESCE(SUM(cents), 0) FROM posting WHERE creditor = $1 AND account_kind = 'counter'",
    ),
    ("office", "acts", "SELECT COUNT(*) FROM office_action WHERE creditor = $1"),
    ("sums", "entries", "SELECT COUNT(*) FROM journal_entry WHERE creditor = $1"),
    ("sums", "postings", "SELECT COUNT(*) FROM posting WHERE creditor = $1"),
    (
        "sums",
        "booked receipts",
        "SELECT COALESCE(SUM(ours_cents), 0) FROM receipt WHERE creditor = $1 AND entry IS NOT NULL",
    ),
    ("feed", "numbers", "SELECT COALESCE(SUM(feed_seq), 0) FROM guardian WHERE creditor = $1"),
    ("feed", "rows", "SELECT COUNT(*) FROM feed WHERE creditor = $1"),
    ("outbox", "payments", "SELECT COUNT(*) FROM outbox WHERE creditor = $1 AND kind = 'payment_done'"),
    ("outbox", "notices", "SELECT COUNT(*) FROM outbox WHERE creditor = $1 AND kind = 'aca_position'"),
    ("top-ups", "top-ups", "SELECT COUNT(*) FROM top_up WHERE creditor = $1"),
    ("queue", "messages", "SELECT COUNT(*) FROM kept_message WHERE creditor = $1"),
    ("queue", "decisions", "SELECT COUNT(*) FROM resolution WHERE creditor = $1"),
];

const RECEIPTS: &str = "SELECT issuer, receipt_id, outcome, ours_cents, notice_number FROM receipt WHERE creditor = $1";

const NOTICES: &str = "SELECT number, amount_cents, state, expires_at_ms FROM notice WHERE creditor = $1";

/// Keeps what differs, in words.
fn hold(differences: &mut Vec<Difference>, check: &'static str, what: String, same: bool) {
    if !same {
        differences.push((check, what));
    }
}

impl Simulation {
    /// Compares everything; `ledger` says whether the ledgers are verified, too.
    pub(super) async fn compare(&mut self, ledger: bool) -> Result<(), Stop> {
        let mut differences = Vec::new();
        for town in 0..self.books.len() {
            for parent in 0..self.books[town].parents.len() {
                differences.extend(self.home_differs(town, parent).await?);
            }
            self.movements_differ(town, &mut differences).await?;
            self.queue_differs(town, &mut differences).await?;
            self.tables_differ(town, &mut differences).await?;
            if ledger {
                let report = verify(&self.world.app.store, &self.ids[town].code, |_| {}).await?;
                if let Some(broken) = report.broken {
                    differences.push(("ledger verify", broken.to_string()));
                }
            }
        }
        if differences.is_empty() { Ok(()) } else { Err(Stop::Found(differences)) }
    }

    /// What a parent's home screen shows otherwise than it must.
    pub(super) async fn home_differs(&mut self, town: usize, parent: usize) -> Result<Vec<Difference>, Stop> {
        let (books, ids, now) = (&self.books[town], &self.ids[town], self.server_time());
        let name = format!("{}/G{parent}", letter(town));
        let mut differences = Vec::new();
        let shown = match home(&self.world.app, ids.parents[parent]).await {
            Ok(shown) => shown,
            Err(error) => return Ok(vec![("home", format!("{name}: no home screen: {error}"))]),
        };

        let wanted = (0..books.purses.len()).filter(|purse| books.sees_purse(parent, *purse)).map(|place| {
            let purse = &books.purses[place];
            let moves = i64::try_from(purse.moves.len()).unwrap_or(i64::MAX);
            (place, purse.balance, moves, !purse.closed, books.room(place, now))
        });
        let wanted: Vec<_> = wanted.collect();
        let got = shown.children.iter().flat_map(|child| &child.wallets).map(|wallet| {
            let place = ids.purses.iter().position(|id| *id == wallet.id).unwrap_or(usize::MAX);
            let most = wallet.choices.max.map(|most| most.cents());
            (place, wallet.balance.get(), wallet.seq, wallet.open, most)
        });
        let mut got: Vec<_> = got.collect();
        got.sort_unstable();
        hold(&mut differences, "home", format!("{name}'s purses: expected {wanted:?}, got {got:?}"), wanted == got);

        let wanted = books.shown_payments(parent, now);
        let got = shown.payments.iter().map(|payment| {
            let number = payment.notice.number;
            (books.named(number.as_str()).unwrap_or(usize::MAX), standing(payment.state))
        });
        let mut got: Vec<_> = got.collect();
        got.sort_unstable();
        hold(&mut differences, "home", format!("{name}'s top-ups: expected {wanted:?}, got {got:?}"), wanted == got);

        let wanted = books.shown_bills(parent, now);
        let got = shown.bills.iter().map(|bill| {
            let place = ids.bills.iter().position(|id| *id == bill.id).unwrap_or(usize::MAX);
            let left = bill.state.residual().map_or(0, |left| left.cents());
            (place, left, standing(bill.payment), bill.lines.len())
        });
        let mut got: Vec<_> = got.collect();
        got.sort_unstable();
        hold(&mut differences, "home", format!("{name}'s bills: expected {wanted:?}, got {got:?}"), wanted == got);
        for bill in &shown.bills {
            let Some(its) = ids.bills.iter().position(|id| *id == bill.id).map(|place| &books.bills[place]) else {
                continue;
            };
            let part = matches!(bill.state, BillState::PartPaid { .. });
            // Opened like it was issued, or partly paid; parts are shown where it has several.
            let shown = bill.instalments.len() == if its.notices.len() > 1 { its.notices.len() } else { 0 };
            let same = part == (its.paid > 0) && bill.total.cents() == its.total && shown;
            hold(&mut differences, "home", format!("{name}'s bill of {}: got {:?}", its.total, bill.state), same);
        }
        let due: i64 = wanted.iter().map(|(_, left, ..)| left).sum();
        let same = shown.total_due.get() == due;
        hold(&mut differences, "home", format!("{name} owes {due}, got {}", shown.total_due), same);
        let told = books.parents[parent].told;
        let same = shown.feed_seq == told;
        hold(&mut differences, "feed", format!("{name} was told {told} times, got {}", shown.feed_seq), same);
        Ok(differences)
    }

    /// The last movements of one purse, as one of its parents sees them.
    async fn movements_differ(&mut self, town: usize, differences: &mut Vec<Difference>) -> Result<(), Stop> {
        let place = self.dice.below(self.books[town].purses.len());
        let (books, ids) = (&self.books[town], &self.ids[town]);
        let purse = &books.purses[place];
        let Some(parent) = books.children[purse.child].first() else { return Ok(()) };
        let page = movements(&self.world.app, ids.parents[*parent], Some(ids.purses[place]), None, 100).await;
        let name = format!("{}/P{place}", letter(town));
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                differences.push(("movements", format!("{name}: none: {error}")));
                return Ok(());
            }
        };
        let mut balance = 0;
        let wanted = purse.moves.iter().map(|cents| {
            balance += cents;
            (*cents, balance)
        });
        let mut wanted: Vec<_> = wanted.collect();
        wanted.reverse();
        wanted.truncate(100);
        let got: Vec<_> =
            page.movements.iter().map(|movement| (movement.cents.get(), movement.balance_after.get())).collect();
        hold(differences, "movements", format!("{name}: expected {wanted:?}, got {got:?}"), wanted == got);
        Ok(())
    }

    async fn queue_differs(&mut self, town: usize, differences: &mut Vec<Difference>) -> Result<(), Stop> {
        let (books, ids) = (&self.books[town], &self.ids[town]);
        let shown = list(&self.world.app.store, ids.code).await?;
        let wanted = books.queue.iter().map(|item| (item.name.clone(), (item.queue, item.cents, item.decided)));
        let wanted: BTreeMap<_, _> = wanted.collect();
        let got = shown.iter().map(|item| {
            let decided = item.resolution.as_ref().map(|resolution| resolution.action.code());
            (item.item.clone(), (item.queue.code(), item.amount.map(|cents| cents.get()), decided))
        });
        let got: BTreeMap<_, _> = got.collect();
        maps_differ("queue", &wanted, &got, differences);
        Ok(())
    }

    async fn tables_differ(&mut self, town: usize, differences: &mut Vec<Difference>) -> Result<(), Stop> {
        let books = &self.books[town];
        let code = books.code.clone();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let purses: i64 = books.purses.iter().map(|purse| purse.balance).sum();
        let bills: i64 = books.bills.iter().map(|bill| bill.paid + bill.dropped - bill.total).sum();
        let told: i64 = books.parents.iter().map(|parent| parent.told).sum();
        let decided = books.queue.iter().filter(|item| item.decided.is_some()).count();
        let messages = books.queue.iter().filter(|item| item.name.starts_with("m-")).count();
        let wanted = [
            purses,
            bills,
            books.suspense,
            purses,
            bills,
            books.suspense,
            -books.collected,
            books.earned,
            -books.counter,
            books.acts,
            books.entries,
            2 * books.entries,
            books.collected,
            told,
            told,
            books.payments_told,
            books.notices_told,
            count(books.wishes.len()),
            count(messages),
            count(decided),
        ];
        let receipts = books.receipts.iter().map(|((issuer, id), kept)| {
            ((issuer.clone(), id.clone()), (kept.outcome.to_owned(), kept.ours, kept.said.number.clone()))
        });
        let receipts: BTreeMap<_, _> = receipts.collect();
        let notices = books.notices.iter().map(|notice| {
            let state = if notice.settled {
                "paid"
            } else if notice.withdrawn {
                "cancelled"
            } else {
                "open"
            };
            (notice.number.clone(), (notice.cents, state.to_owned(), notice.end))
        });
        let notices: BTreeMap<_, _> = notices.collect();

        for ((check, what, sql), wanted) in NUMBERS.into_iter().zip(wanted) {
            let rows = self.world.rows(sql, &code).await?;
            let got: i64 = rows.first().context("a number")?.try_get(0).context("a number")?;
            let name = letter(town);
            hold(differences, check, format!("{name}'s {what}: expected {wanted}, got {got}"), got == wanted);
        }
        let got = self.world.rows(RECEIPTS, &code).await?;
        let got = got
            .iter()
            .map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?))));
        let got: BTreeMap<(String, String), (String, i64, String)> = got.collect::<anyhow::Result<_>>()?;
        maps_differ("receipts", &receipts, &got, differences);
        let got = self.world.rows(NOTICES, &code).await?;
        let got = got.iter().map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))));
        let got: BTreeMap<String, (i64, String, Option<i64>)> = got.collect::<anyhow::Result<_>>()?;
        maps_differ("notices", &notices, &got, differences);
        Ok(())
    }
}

fn maps_differ<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    check: &'static str,
    wanted: &BTreeMap<K, V>,
    got: &BTreeMap<K, V>,
    differences: &mut Vec<Difference>,
) {
    for (key, value) in wanted {
        let found = got.get(key);
        hold(differences, check, format!("{key:?}: expected {value:?}, got {found:?}"), found == Some(value));
    }
    for (key, value) in got.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        differences.push((check, format!("{key:?}: not expected, got {value:?}")));
    }
}
