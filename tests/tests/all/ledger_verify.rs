//! `ledger verify` on both engines: a sound ledger is found sound, beside writers too, and whoever touches a row is
//! found at that row.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::EntryId;
use borsellino_domain::ledger::{
    Account, AccountKind, Broken, Entry, EntryError, EntryKind, Hash, Head, Memo, ReceiptProof, Side,
};
use borsellino_domain::money::Cents;
use borsellino_domain::time::Millis;
use borsellino_server::usecases::ledger_verify::{Finding, Report, WrongEntry, verify, verify_by_pages};
use borsellino_store::rows::NewReceipt;
use borsellino_store::{Store, StoreError, Tx};
use borsellino_tests::stores::{Fresh, add_creditors};
use proptest::prelude::*;
use tokio::sync::Semaphore;
use uuid::Uuid;

borsellino_tests::on_both_engines! {
    a_sound_ledger_is_found_sound;
    every_tampering_is_found_at_its_row;
    writers_beside_it_are_never_reported;
}

const OURS: &str = "99900010010";
const OTHER: &str = "99900040017";
const A: Account = Account { kind: AccountKind::Wallet, id: Uuid::from_u128(0xa) };
const B: Account = Account { kind: AccountKind::Wallet, id: Uuid::from_u128(0xb) };
const BILL: Account = Account { kind: AccountKind::Bill, id: Uuid::from_u128(0xc) };

fn ours() -> CreditorCode {
    CreditorCode::from_digits(OURS).expect("eleven digits")
}

fn id(n: u128) -> EntryId {
    EntryId::from(Uuid::from_u128(n))
}

/// An entry between accounts, resting on a receipt of its own where its kind asks for one.
fn entry(n: u128, kind: EntryKind, sides: &[(Account, i64)]) -> Entry {
    let from_receipt = matches!(kind, EntryKind::TopUp | EntryKind::BillPayment | EntryKind::Suspense);
    let receipt_id = format!("R{n}");
    let digest = Hash::of(receipt_id.as_bytes());
    let receipt = from_receipt.then(|| ReceiptProof { issuer: ours(), receipt_id, digest });
    let sides = sides.iter().map(|(account, cents)| Side { account: *account, cents: Cents::new(*cents) }).collect();
    let memo = Memo { day: Some("2026-11-20".to_owned()), tariff: Some("ridotta".to_owned()) };
    Entry::new(ours(), id(n), kind, Millis::new(1_000), receipt, sides).expect("a balanced entry").with_memo(memo)
}

async fn book(tx: &mut Tx, entry: &Entry) -> Result<(), StoreError> {
    if let (Some(receipt), Some(side)) = (entry.receipt(), entry.sides().first()) {
        let row = NewReceipt {
            issuer: receipt.issuer.to_string(),
            receipt_id: receipt.receipt_id.clone(),
            notice_number: "302000000000000001".to_owned(),
            received_at: entry.at(),
            total: side.cents,
            ours: side.cents,
            outcome: "wallet",
            entry: Some(entry.id().uuid()),
            content_digest: receipt.digest,
            message_digest: receipt.digest,
            key_id: "k".to_owned(),
            sealed: vec![1],
        };
        tx.insert_receipt(entry.creditor(), &row).await?;
    }
    tx.book(entry).await.map(drop)
}

/// Books them all in one transaction, after opening the accounts.
async fn keep(store: &Store, entries: Vec<Entry>) {
    let kept = store.write::<_, (), _>("keep a ledger", move |tx| {
        let entries = entries.clone();
        Box::pin(async move {
            for account in [A, B, BILL, Account::SUSPENSE] {
                tx.open_account(&ours(), account, &Head::genesis(&ours(), account)).await?;
            }
            for entry in &entries {
                book(tx, entry).await?;
            }
            Ok(Ok(()))
        })
    });
    kept.await.expect("a ledger").expect("no refusal");
}

/// Two wallets, a bill, suspense; every kind of entry but an opening; one entry of three sides.
fn small_ledger() -> Vec<Entry> {
    let (clearing, revenue, suspense) = (Account::CLEARING, Account::REVENUE, Account::SUSPENSE);
    vec![
        entry(1, EntryKind::TopUp, &[(A, 2_000), (clearing, -2_000)]),
        entry(2, EntryKind::Charge, &[(revenue, 450), (A, -450)]),
        entry(3, EntryKind::Charge, &[(revenue, 450), (A, -450)]),
        entry(4, EntryKind::BillIssued, &[(revenue, 3_000), (BILL, -3_000)]),
        entry(5, EntryKind::BillPayment, &[(BILL, 1_000), (clearing, -1_000)]),
        entry(6, EntryKind::Suspense, &[(suspense, 700), (clearing, -700)]),
        entry(7, EntryKind::TopUp, &[(B, 1_000), (clearing, -1_000)]),
        entry(8, EntryKind::Correction, &[(B, 100), (A, -100)]),
        entry(9, EntryKind::Correction, &[(B, 400), (A, 200), (suspense, -600)]),
        entry(10, EntryKind::Charge, &[(revenue, 450), (A, -450)]),
    ]
}

async fn town(fresh: &Fresh) {
    add_creditors(&fresh.store, &[OURS, OTHER]).await.expect("two creditors");
    keep(&fresh.store, small_ledger()).await;
}

async fn read(store: &Store, page: i64) -> Report {
    verify_by_pages(store, &ours(), page, |_| ()).await.expect("a readable database")
}

async fn a_sound_ledger_is_found_sound(fresh: Fresh) {
    town(&fresh).await;
    let expected = Report {
        entries: 10,
        postings: 21,
        accounts: 4,
        wallets_total: Cents::new(2_250),
        bills_total: Cents::new(-2_000),
        suspense_total: Cents::new(100),
        clearing_total: Cents::new(-4_700),
        revenue_total: Cents::new(4_350),
        counter_total: Cents::ZERO,
        broken: None,
    };
    for page in [1, 2, 3, 500, 0] {
        assert_eq!(read(&fresh.store, page).await, expected, "by pages of {page}");
    }
    let heard = Mutex::new(Vec::new());
    let report = verify(&fresh.store, &ours(), |rows| heard.lock().expect("a lock").push(rows)).await;
    assert_eq!(report.expect("a readable database"), expected);
    let heard = heard.into_inner().expect("a lock");
    assert!(heard.is_sorted() && heard.last() >= Some(&21), "{heard:?}");

    // The neighbour has no ledger, and ours is not its.
    let other = CreditorCode::from_digits(OTHER).expect("eleven digits");
    assert_eq!(verify(&fresh.store, &other, |_| ()).await.expect("a readable database"), Report::default());

    // Beside a running server, from a second process.
    if let Some(file) = fresh.file() {
        let reader = Store::open_sqlite_for_reading(&file).await.expect("the same file");
        assert_eq!(read(&reader, 500).await, expected);
        let refused = reader.write::<(), (), _>("write", |_| Box::pin(async { Ok(Ok(())) })).await;
        assert!(matches!(refused, Err(StoreError::NotWritable)));
    }
}

/// What was done to the rows, in SQL, and what is then to be found.
struct Tampering {
    name: &'static str,
    sql: String,
    found: Finding,
}

fn chain(account: Account, seq: i64, entry: Option<u128>, broken: Broken) -> Finding {
    Finding::Chain { account, seq, entry: entry.map(id), broken }
}

fn wrong(entry: u128, wrong: WrongEntry) -> Finding {
    Finding::Entry { entry: id(entry), wrong }
}

fn stray_receipt(n: u128, entry: Option<u128>) -> Finding {
    Finding::StrayReceipt { issuer: OURS.to_owned(), receipt_id: format!("R{n}"), entry: entry.map(id) }
}

fn head(said: (i64, i64), last: (i64, i64)) -> Broken {
    Broken::Head { said_seq: said.0, said: Cents::new(said.1), last_seq: last.0, last: Cents::new(last.1) }
}

fn balance(seq: i64, stored: i64, computed: i64) -> Broken {
    Broken::Balance { seq, stored: Cents::new(stored), computed: Cents::new(computed) }
}

/// SQL that writes rows as a forger would.
struct Forger<'a>(&'a Fresh);

impl Forger<'_> {
    fn posting(&self, change: &str, entry: u128, account: Account) -> String {
        let (entry, account) = (self.0.id(Uuid::from_u128(entry)), self.place(account));
        format!("UPDATE posting SET {change} WHERE entry = {entry} AND {account};")
    }

    fn place(&self, account: Account) -> String {
        format!("account_kind = '{}' AND account_id = {}", account.kind.code(), self.0.id(account.id))
    }

    fn entry(&self, change: &str, n: u128) -> String {
        format!("UPDATE journal_entry SET {change} WHERE id = {};", self.0.id(Uuid::from_u128(n)))
    }

    fn account(&self, change: &str, account: Account) -> String {
        let (kind, id) = (account.kind.code(), self.0.id(account.id));
        format!("UPDATE account SET {change} WHERE kind = '{kind}' AND id = {id};")
    }

    fn cut(&self, n: u128) -> String {
        let id = self.0.id(Uuid::from_u128(n));
        format!("DELETE FROM posting WHERE entry = {id}; DELETE FROM journal_entry WHERE id = {id};")
    }

    fn add_posting(&self, n: u128, line: i64, (account, cents): (Account, i64), seq: Option<i64>) -> String {
        let hash = seq.map_or("NULL".to_owned(), |_| self.0.bytes(Hash::of(b"forged")));
        let seq = seq.map_or("NULL".to_owned(), |seq| seq.to_string());
        let (entry, kind, id) = (self.0.id(Uuid::from_u128(n)), account.kind.code(), self.0.id(account.id));
        format!(
            "INSERT INTO posting VALUES ('{OURS}', {entry}, {line}, '{kind}', {id}, {cents}, {seq}, {seq}, {hash});"
        )
    }

    /// An entry with the digest it must have, its first side chained under `seq`.
    fn add_entry(&self, entry: &Entry, digest: Hash, seq: Option<i64>) -> String {
        let n = entry.id().uuid().as_u128();
        let (id, digest) = (self.0.id(entry.id().uuid()), self.0.bytes(digest));
        let (kind, at) = (entry.kind().code(), entry.at().get());
        let (day, tariff) = (entry.memo().day.as_deref(), entry.memo().tariff.as_deref());
        let (day, tariff) = (day.unwrap_or_default(), tariff.unwrap_or_default());
        let mut sql = format!(
            "INSERT INTO journal_entry (creditor, id, kind, at_ms, day, tariff, digest)
                VALUES ('{OURS}', {id}, '{kind}', {at}, '{day}', '{tariff}', {digest});"
        );
        for (line, side) in (0..).zip(entry.sides()) {
            let side = (side.account, side.cents.get());
            sql += &self.add_posting(n, line, side, seq.filter(|_| line == 0));
        }
        sql
    }

    /// The same where foreign keys would forbid it.
    fn without_keys(&self, sql: &str) -> String {
        if self.0.is_sqlite() { sql.to_owned() } else { format!("SET session_replication_role = replica; {sql}") }
    }
}

fn chains(f: &Forger<'_>) -> Vec<Tampering> {
    let forged = f.0.bytes(Hash::of(b"forged"));
    let with = |name, sql, found| Tampering { name, sql, found };
    let extra = entry(11, EntryKind::Correction, &[(B, 5), (Account::CLEARING, -5)]);
    vec![
        with("cents changed", f.posting("cents = 1", 2, A), chain(A, 2, Some(2), balance(2, 1_550, 2_001))),
        with("cents beyond any sum", f.posting("cents = 9223372036854775807", 2, A), {
            chain(A, 2, Some(2), Broken::Overflow { seq: 2 })
        }),
        with("balance after changed", f.posting("balance_after_cents = 7", 3, A), {
            chain(A, 3, Some(3), balance(3, 7, 1_100))
        }),
        with("cents and the balance after it changed", f.posting("cents = -449, balance_after_cents = 1551", 2, A), {
            chain(A, 2, Some(2), Broken::Hash { seq: 2 })
        }),
        with(
            "hash changed",
            f.posting(&format!("hash = {forged}"), 8, B),
            chain(B, 2, Some(8), Broken::Hash { seq: 2 }),
        ),
        with("hash removed", f.posting("hash = NULL", 8, B), Finding::Torn { account: B, seq: 2, entry: id(8) }),
        with(
            "posting removed",
            format!("DELETE FROM posting WHERE entry = {} AND {};", f.0.id(id(2).uuid()), f.place(A)),
            chain(A, 3, Some(3), Broken::Missing { expected: 2, found: 3 }),
        ),
        with("number removed", f.posting("seq = NULL", 10, A), chain(A, 6, None, head((6, 750), (5, 1_200)))),
        with("entry removed", f.cut(3), chain(A, 4, Some(8), Broken::Missing { expected: 3, found: 4 })),
        with("last entry cut", f.cut(10), chain(A, 6, None, head((6, 750), (5, 1_200)))),
        with("last entry of a bill cut", f.cut(5), chain(BILL, 2, None, head((2, -2_000), (1, -3_000)))),
        with(
            "entry's row removed, its postings left",
            f.without_keys(&format!("DELETE FROM journal_entry WHERE id = {};", f.0.id(id(2).uuid()),)),
            Finding::Torn { account: A, seq: 2, entry: id(2) },
        ),
        with(
            "numbers of two postings swapped",
            f.posting("seq = 99", 2, A) + &f.posting("seq = 2", 3, A) + &f.posting("seq = 3", 2, A),
            chain(A, 2, Some(3), balance(2, 1_100, 1_550)),
        ),
        with(
            "posting moved to another wallet",
            f.posting(&format!("account_id = {}", f.0.id(B.id)), 10, A),
            chain(A, 6, None, head((6, 750), (5, 1_200))),
        ),
        with(
            "posting moved to another wallet from the middle",
            f.posting(&format!("account_id = {}", f.0.id(B.id)), 9, A),
            chain(A, 6, Some(10), Broken::Missing { expected: 5, found: 6 }),
        ),
        with(
            "account's balance changed",
            f.account("balance_cents = 751", A),
            chain(A, 6, None, head((6, 751), (6, 750))),
        ),
        with("account's number set back", f.account("seq = 5", A), chain(A, 5, None, head((5, 750), (5, 1_200)))),
        with(
            "account's head changed",
            f.account(&format!("head = {forged}"), A),
            Finding::HeadHash { account: A, seq: 6 },
        ),
        with(
            "account's kind spoilt",
            f.account("kind = 'walet'", A),
            Finding::Account { kind: "walet".into(), id: A.id },
        ),
        with(
            "an account that keeps no balance",
            f.account("kind = 'clearing', balance_cents = 0, seq = 0", Account::SUSPENSE),
            Finding::Account { kind: "clearing".into(), id: Uuid::nil() },
        ),
        with(
            "a forged posting before the first",
            f.add_entry(&extra, extra.digest(), Some(0)),
            chain(B, 0, Some(11), Broken::Missing { expected: 1, found: 0 }),
        ),
        with(
            "entry changed and its digest made anew",
            f.entry(
                &format!(
                    "kind = 'correction', digest = {}",
                    f.0.bytes(entry(3, EntryKind::Correction, &[(Account::REVENUE, 450), (A, -450)]).digest(),)
                ),
                3,
            ),
            chain(A, 3, Some(3), Broken::Hash { seq: 3 }),
        ),
    ]
}

fn journal(f: &Forger<'_>) -> Vec<Tampering> {
    let forged = f.0.bytes(Hash::of(b"forged"));
    let with = |name, sql, found| Tampering { name, sql, found };
    let extra = entry(11, EntryKind::Correction, &[(B, 5), (Account::CLEARING, -5)]);
    let unchained = [(Account::REVENUE, 5), (Account::CLEARING, -5)];
    let stray = |account: Account, seq, entry| Finding::StrayPosting {
        kind: account.kind.code().to_owned(),
        id: account.id,
        seq: Some(seq),
        entry: id(entry),
    };
    let receipt = |change: &str, n: u128| format!("UPDATE receipt SET {change} WHERE receipt_id = 'R{n}';");
    vec![
        with("clearing's cents changed", f.posting("cents = -1", 1, Account::CLEARING), {
            wrong(1, WrongEntry::Sides(EntryError::Unbalanced))
        }),
        with("clearing's posting removed",
            format!("DELETE FROM posting WHERE entry = {} AND account_kind = 'clearing';", f.0.id(id(6).uuid())),
            wrong(6, WrongEntry::Sides(EntryError::BadSides)),
        ),
        with("revenue called clearing", f.posting("account_kind = 'clearing'", 3, Account::REVENUE), {
            wrong(3, WrongEntry::Digest)
        }),
        with("revenue called profit", f.posting("account_kind = 'profit'", 3, Account::REVENUE), {
            wrong(3, WrongEntry::Side)
        }),
        with("line moved", f.posting("line = 7", 3, Account::REVENUE), wrong(3, WrongEntry::Side)),
        with("time changed", f.entry("at_ms = 1001", 3), wrong(3, WrongEntry::Digest)),
        with("day changed", f.entry("day = '2026-11-21'", 3), wrong(3, WrongEntry::Digest)),
        with("day removed", f.entry("day = NULL", 3), wrong(3, WrongEntry::Digest)),
        with("tariff changed", f.entry("tariff = 'intera'", 3), wrong(3, WrongEntry::Digest)),
        with("kind changed", f.entry("kind = 'correction'", 3), wrong(3, WrongEntry::Digest)),
        with("kind spoilt", f.entry("kind = 'gift'", 3), wrong(3, WrongEntry::Kind)),
        with("receipt id changed", f.entry("receipt_id = 'R5'", 1), wrong(1, WrongEntry::Digest)),
        with("receipt digest changed", f.entry(&format!("receipt_digest = {forged}"), 1), wrong(1, WrongEntry::Digest)),
        with("half a receipt", f.entry("receipt_digest = NULL", 1), wrong(1, WrongEntry::Receipt)),
        with("no receipt",
            f.entry("receipt_issuer = NULL, receipt_id = NULL, receipt_digest = NULL", 1),
            wrong(1, WrongEntry::Digest),
        ),
        with("an extra posting", f.add_posting(10, 2, (B, 5), Some(4)), wrong(10, WrongEntry::Sides(EntryError::Unbalanced))),
        with("an entry of the nil id between unchained accounts",
            f.add_entry(&entry(0, EntryKind::Correction, &unchained), Hash::of(b"forged"), None),
            wrong(0, WrongEntry::Digest),
        ),
        with("an entry without postings", format!(
            "DELETE FROM posting WHERE entry = {0}; INSERT INTO journal_entry (creditor, id, kind, at_ms, digest)
                VALUES ('{OURS}', {0}, 'charge', 1, {forged});", f.0.id(id(11).uuid()),
        ), wrong(11, WrongEntry::Sides(EntryError::BadSides))),
        with("a forged entry past a wallet's end", f.add_entry(&extra, extra.digest(), Some(4)), stray(B, 4, 11)),
        with("account removed",
            format!("DELETE FROM account WHERE kind = 'bill' AND id = {};", f.0.id(BILL.id)),
            stray(BILL, 1, 4),
        ),
        with("a posting without an entry",
            f.without_keys(&f.add_posting(11, 0, (Account::REVENUE, 5), None)),
            Finding::OrphanPosting { kind: "revenue".to_owned(), id: Uuid::nil(), entry: id(11) },
        ),
        with("receipt removed", "DELETE FROM receipt WHERE receipt_id = 'R5';".to_owned(), Finding::StrayEntry {
            entry: id(5), issuer: OURS.to_owned(), receipt_id: "R5".to_owned(),
        }),
        with("receipt's digest changed", receipt(&format!("message_digest = {forged}"), 5), stray_receipt(5, Some(5))),
        with("receipt's cents changed", receipt("ours_cents = 1001", 5), stray_receipt(5, Some(5))),
        with("receipt's cents changed, as if nothing was ours",
            receipt("ours_cents = 1001, outcome = 'nothing_ours'", 5),
            stray_receipt(5, Some(5)),
        ),
        with("receipt names no entry", receipt("entry = NULL", 5), Finding::StrayEntry {
            entry: id(5), issuer: OURS.to_owned(), receipt_id: "R5".to_owned(),
        }),
        with("a receipt that nobody booked", format!(
            "INSERT INTO receipt (creditor, issuer, receipt_id, notice_number, received_at_ms, total_cents, ours_cents,
                outcome, content_digest, message_digest, key_id, sealed)
            VALUES ('{OURS}', '{OURS}', 'R99', '302000000000000001', 1, 5, 5, 'wallet', {forged}, {forged}, 'k', {forged});",
        ), stray_receipt(99, None)),
    ]
}

fn tamperings(f: &Forger<'_>) -> Vec<Tampering> {
    chains(f).into_iter().chain(journal(f)).collect()
}

async fn every_tampering_is_found_at_its_row(first: Fresh) {
    let other = CreditorCode::from_digits(OTHER).expect("eleven digits");
    let mut missed = Vec::new();
    for n in 0..tamperings(&Forger(&first)).len() {
        let fresh = if first.is_sqlite() { Fresh::sqlite().await } else { Fresh::postgres("tampered").await };
        let fresh = fresh.expect("a store");
        town(&fresh).await;
        let Tampering { name, sql, found } = tamperings(&Forger(&fresh)).swap_remove(n);
        fresh.raw_execute(&sql).await.unwrap_or_else(|error| panic!("{name}: {error:#}: {sql}"));
        for page in [1, 500] {
            let broken = read(&fresh.store, page).await.broken;
            if broken.as_ref() != Some(&found) {
                missed.push(format!("{name}: found {broken:?}, not {found:?}"));
            }
        }
        let neighbour = verify(&fresh.store, &other, |_| ()).await.expect("a readable database");
        assert_eq!(neighbour.broken, None, "{name} is reported to the neighbour");
        fresh.store.close().await;
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_finding_says_where_in_words() {
    let text = chain(A, 2, Some(2), balance(2, 1_550, 2_001)).to_string();
    assert_eq!(
        text,
        "wallet 00000000-0000-0000-0000-00000000000a, posting 2 (entry 00000000-0000-0000-0000-000000000002): \
         the balance after posting 2 is stored as 15.50, the postings say 20.01"
    );
    let text = wrong(3, WrongEntry::Digest).to_string();
    assert!(text.starts_with("entry 00000000-0000-0000-0000-000000000003: its digest does not fit"), "{text}");
}

/// Books on every account while the ledger is read in small pages: a booking for every few pages, so that they fall
/// between any two statements, and no more, so that the reading ends.
async fn writers_beside_it_are_never_reported(fresh: Fresh) {
    town(&fresh).await;
    let turns = Arc::new(Semaphore::new(0));
    let writer = |task: u64| {
        let (store, turns) = (fresh.store.clone(), Arc::clone(&turns));
        async move {
            let mut booked = 0_u64;
            // Closed when the readings are over.
            while let Ok(turn) = turns.acquire().await {
                turn.forget();
                // Ids in no order, as those of several servers with clocks of their own.
                let scrambled = Hash::of(&[task.to_be_bytes(), booked.to_be_bytes()].concat()).0;
                let number = u128::from_be_bytes(scrambled[..16].try_into().expect("sixteen bytes"));
                let entry = match booked % 4 {
                    0 => entry(number, EntryKind::TopUp, &[(A, 10), (Account::CLEARING, -10)]),
                    1 => entry(number, EntryKind::Correction, &[(B, 1), (A, -1)]),
                    2 => entry(number, EntryKind::BillPayment, &[(BILL, 10), (Account::CLEARING, -10)]),
                    _ => entry(number, EntryKind::Suspense, &[(Account::SUSPENSE, 3), (Account::CLEARING, -3)]),
                };
                let done = store.write::<_, (), _>("book", move |tx| {
                    let entry = entry.clone();
                    Box::pin(async move { book(tx, &entry).await.map(Ok) })
                });
                done.await.expect("a booking").expect("no refusal");
                booked += 1;
            }
            booked
        }
    };
    let writers = [1, 2, 3].map(|task| tokio::spawn(writer(task)));
    let (mut reading, mut last) = (0, 10);
    // As many readings as it takes until enough was booked meanwhile to mean something.
    while reading < 12 || last < 100 {
        let pages = AtomicU64::new(0);
        let progress = |_| {
            if pages.fetch_add(1, Ordering::Relaxed).is_multiple_of(4) {
                turns.add_permits(1);
            }
        };
        let report = verify_by_pages(&fresh.store, &ours(), [1, 2, 500][reading % 3], progress).await;
        let report = report.expect("a readable database");
        assert_eq!(report.broken, None, "reading {reading}, after {last} entries");
        assert!(report.entries >= last, "reading {reading}: {last} entries before, {} now", report.entries);
        (reading, last) = (reading + 1, report.entries);
    }
    turns.close();
    let mut booked = 10;
    for writer in writers {
        booked += writer.await.expect("a writer");
    }
    let report = read(&fresh.store, 500).await;
    assert_eq!((report.broken, report.entries), (None, booked));
}

/// What a forger may do to one row of a table; `{row}` stands for a condition that picks it.
const FORGERIES: [(&str, &str, &str); 31] = [
    ("posting", "1", "UPDATE posting SET cents = cents + 1 WHERE {row}"),
    ("posting", "1", "UPDATE posting SET account_id = X'000000000000000000000000000000ff' WHERE {row}"),
    ("posting", "1", "UPDATE posting SET account_kind = replace('revenueclearing', account_kind, '') WHERE {row}"),
    ("posting", "1", "UPDATE posting SET line = line + 10 WHERE {row}"),
    ("posting", "1", "DELETE FROM posting WHERE {row}"),
    ("posting", "seq > 0", "UPDATE posting SET balance_after_cents = balance_after_cents - 1 WHERE {row}"),
    ("posting", "seq > 0", "UPDATE posting SET hash = zeroblob(32) WHERE {row}"),
    ("posting", "seq > 0", "UPDATE posting SET seq = seq + 1000 WHERE {row}"),
    ("posting", "seq > 0", "UPDATE posting SET seq = -seq WHERE {row}"),
    ("journal_entry", "1", "UPDATE journal_entry SET kind = 'opening' WHERE {row}"),
    ("journal_entry", "1", "UPDATE journal_entry SET at_ms = at_ms - 1 WHERE {row}"),
    ("journal_entry", "1", "UPDATE journal_entry SET receipt_id = COALESCE(receipt_id, '') || 'x' WHERE {row}"),
    ("journal_entry", "1", "UPDATE journal_entry SET receipt_issuer = '12345678901' WHERE {row}"),
    ("journal_entry", "1", "UPDATE journal_entry SET receipt_digest = zeroblob(32) WHERE {row}"),
    ("journal_entry", "1", "UPDATE journal_entry SET day = COALESCE(day, '') || 'x' WHERE {row}"),
    ("journal_entry", "1", "UPDATE journal_entry SET tariff = COALESCE(tariff, '') || 'x' WHERE {row}"),
    ("journal_entry", "day IS NOT NULL", "UPDATE journal_entry SET day = NULL WHERE {row}"),
    ("journal_entry", "day IS NOT NULL", "UPDATE journal_entry SET day = tariff, tariff = day WHERE {row}"),
    ("journal_entry", "1", "UPDATE journal_entry SET digest = zeroblob(32) WHERE {row}"),
    ("journal_entry", "1", "UPDATE journal_entry SET id = X'000000000000000000000000000000ff' WHERE {row}"),
    ("journal_entry", "1", "DELETE FROM journal_entry WHERE {row}"),
    ("account", "1", "UPDATE account SET seq = seq + 1 WHERE {row}"),
    ("account", "1", "UPDATE account SET balance_cents = balance_cents + 1 WHERE {row}"),
    ("account", "1", "UPDATE account SET head = zeroblob(32) WHERE {row}"),
    ("account", "seq > 0", "DELETE FROM account WHERE {row}"),
    ("receipt", "1", "UPDATE receipt SET receipt_id = receipt_id || 'x' WHERE {row}"),
    ("receipt", "1", "UPDATE receipt SET ours_cents = ours_cents + 1 WHERE {row}"),
    ("receipt", "1", "UPDATE receipt SET message_digest = zeroblob(32) WHERE {row}"),
    ("receipt", "1", "UPDATE receipt SET entry = NULL WHERE {row}"),
    ("receipt", "1", "UPDATE receipt SET entry = zeroblob(16), outcome = 'overflow' WHERE {row}"),
    ("receipt", "1", "DELETE FROM receipt WHERE {row}"),
];

fn any_entry() -> impl Strategy<Value = (EntryKind, Account, Account, i64)> {
    let wallet = prop::sample::select(vec![A, B]);
    prop_oneof![
        (wallet.clone(), 1..10_000i64).prop_map(|(to, cents)| (EntryKind::TopUp, to, Account::CLEARING, cents)),
        (wallet.clone(), 1..900i64).prop_map(|(from, cents)| (EntryKind::Charge, Account::REVENUE, from, cents)),
        (1..90_000i64).prop_map(|cents| (EntryKind::BillIssued, Account::REVENUE, BILL, cents)),
        (1..90_000i64).prop_map(|cents| (EntryKind::BillPayment, BILL, Account::CLEARING, cents)),
        (1..90_000i64).prop_map(|cents| (EntryKind::Suspense, Account::SUSPENSE, Account::CLEARING, cents)),
        (wallet, 1..900i64).prop_map(|(to, cents)| (EntryKind::Correction, to, Account::SUSPENSE, cents)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each case tries every forgery, on a row of its own choice, and takes it back before the next.
    #[test]
    fn no_forgery_goes_unseen(
        movements in prop::collection::vec(any_entry(), 1..20),
        picks in prop::array::uniform31(any::<prop::sample::Index>()),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async move {
            let fresh = Fresh::sqlite().await.expect("a store");
            add_creditors(&fresh.store, &[OURS]).await.expect("a creditor");
            // One receipt in any ledger, so that every table has a row.
            let first = entry(1, EntryKind::TopUp, &[(A, 1), (Account::CLEARING, -1)]);
            let more = (2..).zip(&movements);
            let more = more.map(|(n, (kind, to, from, cents))| entry(n, *kind, &[(*to, *cents), (*from, -cents)]));
            keep(&fresh.store, std::iter::once(first).chain(more).collect()).await;
            prop_assert_eq!(read(&fresh.store, 500).await.broken, None);
            for ((table, which, sql), pick) in FORGERIES.into_iter().zip(picks) {
                let count = fresh.raw_number(&format!("SELECT COUNT(*) FROM {table} WHERE {which}")).await;
                let offset = pick.index(count.expect("a count") as usize);
                let row = format!("rowid = (SELECT rowid FROM {table} WHERE {which} ORDER BY rowid LIMIT 1 OFFSET {offset})");
                let save = format!("DROP TABLE IF EXISTS saved; CREATE TABLE saved AS SELECT * FROM {table};");
                fresh.raw_execute(&(save + &sql.replace("{row}", &row))).await.expect(sql);
                let report = read(&fresh.store, 3).await;
                prop_assert!(report.broken.is_some(), "unseen: {} with {}", sql, row);
                let restore = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved;");
                fresh.raw_execute(&restore).await.expect("the rows as they were");
            }
            prop_assert_eq!(read(&fresh.store, 500).await.broken, None);
            Ok(())
        })?;
    }
}
