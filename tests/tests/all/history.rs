//! `ledger as-of` and `ledger export`: what accounts held at any instant, and a journal whose balances a program that is
//! not ours adds up to the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::ledger::{Account, AccountKind};
use borsellino_domain::money::Cents;
use borsellino_domain::time::Millis;
use borsellino_proto::v1;
use borsellino_server::usecases::ledger_export::{ExportError, hledger};
use borsellino_server::usecases::ledger_history::{AsOf, Held, account_held, held};
use borsellino_server::usecases::ledger_verify::verify;
use borsellino_store::RawPool;
use borsellino_tests::house::{House, MARIA, TOWN, UNION, node};
use borsellino_tests::postgres::server;
use borsellino_tests::stores::Fresh;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::demo::{Running, command, run};

borsellino_tests::on_both_engines! {
    every_instant_is_what_was_booked_by_then;
    hledger_adds_up_to_the_same;
}

fn town() -> CreditorCode {
    CreditorCode::from_digits(TOWN).expect("eleven digits")
}

fn at(millis: i64) -> AsOf {
    AsOf { before: Millis::new(millis).plus(1) }
}

/// A few days in a municipality: a top-up, a bill in two parts, a second payment, a notice nobody issued.
async fn days(house: &House) -> v1::Payment {
    let home = house.phone(MARIA).await.home().await.expect("home");
    let (payment, bill) = (home.payments[0].clone(), home.bills[0].clone());
    let notice = payment.notice.clone().expect("a notice");
    let (number, part) = (bill.notice.expect("a notice").number, bill.residual_cents / 2);
    let mut receipts = vec![
        node::Receipt::new(&notice.number, notice.amount_cents),
        node::Receipt::new(&number, part),
        node::Receipt::new(&notice.number, notice.amount_cents),
        node::Receipt::new("301123456789012345", 1_234),
        node::Receipt::new(&number, bill.residual_cents - part),
    ];
    // What comes from outside must not break the journal's form.
    receipts[3].id = "a, b:c;d = 1.00 EUR".to_owned();
    for receipt in receipts {
        house.advance(Duration::from_secs(86_400));
        let delivered = house.deliver(&receipt).await;
        assert!(delivered.is_ok(), "{delivered:?}");
    }
    payment
}

async fn now(house: &House) -> Held {
    let report = verify(&house.app.store, &town(), |_| ()).await.expect("a readable ledger");
    assert_eq!(report.broken, None);
    Held {
        postings: report.postings,
        wallets: report.wallets_total,
        bills: report.bills_total,
        suspense: report.suspense_total,
        clearing: report.clearing_total,
        revenue: report.revenue_total,
        counter: report.counter_total,
    }
}

async fn every_instant_is_what_was_booked_by_then(fresh: Fresh) {
    let house = House::open(fresh).await;
    let store = &house.app.store;
    let (opened, before) = (house.now(), now(&house).await);
    let wallet = house.phone(MARIA).await.home().await.expect("home").payments[0].wallet_id.clone();
    let wallet = Account { kind: AccountKind::Wallet, id: wallet.parse().expect("an id") };
    let whole = async |account, as_of| account_held(store, town(), account, as_of).await.expect("an answer");
    let (balance, moved) = whole(wallet, at(opened)).await.expect("a wallet");
    let paid = days(&house).await;
    let cents = Cents::new(paid.amount_cents);
    assert_eq!(held(store, town(), at(house.now())).await.expect("an answer"), now(&house).await);
    assert_eq!(held(store, town(), at(opened)).await.expect("an answer"), before, "as it was when the house opened");
    assert_eq!(held(store, town(), at(0)).await.expect("an answer"), Held::default());

    // The first receipt came one day after the opening, to the millisecond.
    let booked = opened + 86_400_000;
    assert_eq!(held(store, town(), at(booked - 1)).await.expect("an answer"), before);
    let after = held(store, town(), at(booked)).await.expect("an answer");
    assert_eq!(after.wallets, before.wallets.plus(cents).expect("a sum"));
    assert_eq!(after.clearing, before.clearing.minus(cents).expect("a sum"));
    assert_eq!((after.bills, after.revenue, after.postings), (before.bills, before.revenue, before.postings + 2));
    assert_eq!(whole(wallet, at(booked - 1)).await, Some((balance, moved)));
    assert_eq!(whole(wallet, at(booked)).await, Some((balance.plus(cents).expect("a sum"), moved + 1)));
    assert_eq!(whole(wallet, at(0)).await, Some((Cents::ZERO, 0)));
    let nobody = Account { kind: AccountKind::Wallet, id: Uuid::from_u128(1) };
    assert_eq!(whole(nobody, at(booked)).await, None);
    // Every instant balances.
    for day in 0..6 {
        let then = held(store, town(), at(opened + day * 86_400_000)).await.expect("an answer");
        let all = [then.wallets, then.bills, then.suspense, then.clearing, then.revenue, then.counter];
        assert_eq!(all.iter().map(|cents| cents.get()).sum::<i64>(), 0, "day {day}");
    }
    house.close().await;
}

/// What each account holds in the store, under the names of the export.
async fn balances(fresh: &Fresh, creditors: &[&str], prefixed: bool) -> BTreeMap<String, i64> {
    let sql = "SELECT creditor, account_kind, account_id, CAST(SUM(cents) AS BIGINT) FROM posting
        GROUP BY creditor, account_kind, account_id";
    let rows: Vec<(String, String, Uuid, i64)> = match fresh.store.raw() {
        RawPool::Lite(pool) => sqlx::query_as(sql).fetch_all(pool).await,
        RawPool::Pg(pool) => sqlx::query_as(sql).fetch_all(pool).await,
    }
    .expect("postings");
    let named =
        rows.into_iter().filter(|row| creditors.contains(&row.0.as_str())).map(|(creditor, kind, id, cents)| {
            let name = match kind.as_str() {
                "wallet" => format!("wallets:{id}"),
                "bill" => format!("bills:{id}"),
                _ => kind,
            };
            (if prefixed { format!("{creditor}:{name}") } else { name }, cents)
        });
    named.collect()
}

fn run_hledger(journal: &Path, arguments: &[&str]) -> String {
    let output = Command::new("hledger").arg("-f").arg(journal).args(arguments).output();
    let output = output.expect("hledger (Debian's package `hledger`; tests/run installs it)");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What hledger says each account holds, in cents.
fn added_up(journal: &Path) -> BTreeMap<String, i64> {
    let table = run_hledger(journal, &["balance", "--flat", "--no-total", "--empty", "-O", "csv"]);
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("\"account\",\"balance\""));
    let read = |line: &str| {
        let (name, amount) = line.trim_matches('"').split_once("\",\"")?;
        if amount == "0" {
            return Some((name.to_owned(), 0));
        }
        let (euros, cents) = amount.strip_suffix(" EUR")?.split_once('.')?;
        assert_eq!(cents.len(), 2, "exact cents in {line}");
        Some((name.to_owned(), format!("{euros}{cents}").parse().ok()?))
    };
    lines.map(|line| read(line).unwrap_or_else(|| panic!("a line of the table: {line}"))).collect()
}

async fn hledger_adds_up_to_the_same(fresh: Fresh) {
    let house = House::open(fresh).await;
    days(&house).await;
    let folder = TempDir::new().expect("a folder");
    let union = CreditorCode::from_digits(UNION).expect("eleven digits");
    let ways: [(&[CreditorCode], &[&str], bool); 2] =
        [(&[town()], &[TOWN], false), (&[town(), union], &[TOWN, UNION], true)];
    for (creditors, codes, prefixed) in ways {
        let mut journal = Vec::new();
        let written = hledger(&house.app.store, creditors, prefixed, &mut journal).await.expect("a journal");
        let list = codes.iter().map(|code| format!("'{code}'")).collect::<Vec<_>>().join(", ");
        let entries = format!("SELECT COUNT(*) FROM journal_entry WHERE creditor IN ({list})");
        assert_eq!(i64::try_from(written), Ok(house.number(&entries).await));
        let path = folder.path().join("ledger.journal");
        std::fs::write(&path, &journal).expect("a file");
        // Whatever can be wrong with a journal: unbalanced, undeclared accounts and commodities.
        run_hledger(&path, &["check", "--strict"]);
        let expected = balances(&house.fresh, codes, prefixed).await;
        assert_eq!(added_up(&path), expected);
        assert!(expected.values().any(|cents| *cents != 0));

        let text = String::from_utf8(journal).expect("text");
        for private in ["Maria", "Bianchi", "Giulia", "Mensa", "BNC"] {
            assert!(!text.contains(private), "{private} in the journal");
        }
        // Tags can be asked for, and what came from outside is one value.
        let odd = run_hledger(&path, &["print", "tag:receipt=a%2C%20b%3Ac%3Bd%20%3D%201.00%20EUR"]);
        assert!(odd.contains("suspense") && odd.contains("12.34 EUR") && odd.contains("entry:"), "{odd}");
        let days = run_hledger(&path, &["print", "tag:receipt"]);
        assert!(days.contains("2026-11-21 top_up") && days.contains("2026-11-25 bill_payment"), "{days}");
    }
    // An entry that was altered is never exported as if it were sound.
    let one = house.number("SELECT MIN(at_ms) FROM journal_entry").await;
    house.execute(&format!("UPDATE journal_entry SET at_ms = at_ms + 1 WHERE at_ms = {one}")).await;
    let refused = hledger(&house.app.store, &[town(), union], true, &mut Vec::new()).await;
    assert!(matches!(refused, Err(ExportError::Unsound { .. })), "{refused:?}");
    house.execute(&format!("UPDATE journal_entry SET at_ms = {one} WHERE at_ms = {one} + 1")).await;
    house.close().await;
}

/// The commands on a demo's folder, and on PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_asks_and_exports() {
    let data = TempDir::new().expect("a folder");
    let (mut demo, line) = Running::demo(Some(data.path()));
    demo.stop();
    let ask = |arguments: &[&str]| run(command(&["ledger"]).args(arguments).arg("--data").arg(data.path()));
    let answer = |arguments: &[&str]| {
        let output = ask(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let today: Value = serde_json::from_str(&answer(&["verify", "--json"])).expect("JSON");
    let then: Value = serde_json::from_str(&answer(&["as-of", "2999-12-31", "--json"])).expect("JSON");
    for (then, today) in then["ledgers"].as_array().expect("two").iter().zip(today["ledgers"].as_array().expect("two"))
    {
        for sum in ["creditor", "postings", "wallets_cents", "bills_cents", "suspense_cents", "clearing_cents"] {
            assert_eq!(then[sum], today[sum], "{sum}");
        }
    }
    assert!(answer(&["as-of", "1999-12-31"]).contains("0 postings by then\n  wallets 0,00 €, bills 0,00 €"));
    let wallet = line["wallets"][0].clone();
    let id = wallet["id"].as_str().expect("an id");
    let one: Value = serde_json::from_str(&answer(&["as-of", "2999-12-31", "--wallet", id, "--json"])).expect("JSON");
    assert_eq!((&one["cents"], &one["account"]["id"]), (&wallet["balance_cents"], &wallet["id"]));
    let told = answer(&["as-of", "2999-12-31T00:00:00Z", "--creditor", TOWN, "--wallet", id]);
    assert!(told.contains(&format!("wallet {id}")) && told.contains(" € after "), "{told}");
    let unknown = ask(&["as-of", "2999-12-31", "--bill", id]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no bill"), "{unknown:?}");
    let no_day = ask(&["as-of", "yesterday"]);
    assert!(String::from_utf8_lossy(&no_day.stderr).contains("an instant is a day in Italy"), "{no_day:?}");

    let journal = data.path().join("ledger.journal");
    let path = journal.to_str().expect("text");
    let printed = answer(&["export", "--format", "hledger"]);
    assert!(answer(&["export", "--format", "hledger", "--output", path]).ends_with(" entries\n"));
    assert_eq!(std::fs::read_to_string(&journal).expect("a journal"), printed);
    run_hledger(&journal, &["check", "--strict"]);
    // An export that fails leaves what was there.
    let failed = ask(&["export", "--format", "hledger", "--creditor", "99900030019", "--output", path]);
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert_eq!(std::fs::read_to_string(&journal).expect("a journal"), printed);

    let url = server().database("asked").await;
    let migrated = run(&mut command(&["migrate", "--database", &url]));
    assert!(migrated.status.success(), "{migrated:?}");
    let empty = run(&mut command(&["ledger", "export", "--format", "hledger", "--database", &url]));
    assert!(empty.status.success() && String::from_utf8_lossy(&empty.stdout).contains("commodity"), "{empty:?}");
}
