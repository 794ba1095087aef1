//! Seals on both engines: every entry gets into one, whoever seals and however late it comes to light; and whoever cuts,
//! alters or exchanges something that was sealed is found.

use std::collections::BTreeSet;
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{EntryId, uuid_v7};
use borsellino_domain::ledger::{Account, AccountKind, Entry, EntryKind, Hash, Head};
use borsellino_domain::money::Cents;
use borsellino_domain::time::Millis;
use borsellino_server::auth::keys::Keys;
use borsellino_server::usecases::ledger_verify::verify;
use borsellino_server::usecases::seal_verify::{SealFinding, SealReport, verify_seals};
use borsellino_server::usecases::seals::{Bounds, Sweep, seal};
use borsellino_store::Store;
use borsellino_tests::house::{House, MARIA, OPENING, TOWN, node};
use borsellino_tests::stores::{Fresh, add_creditors};
use uuid::Uuid;

borsellino_tests::on_both_engines! {
    new_entries_are_sealed_once;
    a_late_entry_gets_into_a_later_seal;
    of_many_sealers_one_wins;
    whatever_is_done_to_what_was_sealed_is_found;
    what_the_database_alone_cannot_tell;
    a_running_server_seals_by_itself;
}

const OURS: &str = "99900010010";
const OTHER: &str = "99900040017";
const A: Account = Account { kind: AccountKind::Wallet, id: Uuid::from_u128(0xa) };
const B: Account = Account { kind: AccountKind::Wallet, id: Uuid::from_u128(0xb) };

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;

fn ours() -> CreditorCode {
    CreditorCode::from_digits(OURS).expect("eleven digits")
}

fn keys() -> Keys {
    Keys::derive(&[7; 32]).expect("keys")
}

/// The id of an entry made at `at`, the `n`th of that millisecond.
fn id(at: i64, n: u8) -> EntryId {
    EntryId::from(uuid_v7(Millis::new(at), [0, 0, 0, 0, 0, 0, 0, 0, 0, n]))
}

fn entry(id: EntryId, sides: (Account, Account, i64)) -> Entry {
    let sides = (sides.0, sides.1, Cents::new(sides.2));
    Entry::transfer(ours(), id, EntryKind::Correction, Millis::new(OPENING), None, sides).expect("a balanced entry")
}

async fn town(fresh: &Fresh) {
    add_creditors(&fresh.store, &[OURS, OTHER]).await.expect("two creditors");
    let opened = fresh.store.write::<_, (), _>("open accounts", |tx| {
        Box::pin(async move {
            for account in [A, B] {
                tx.open_account(&ours(), account, &Head::genesis(&ours(), account)).await?;
            }
            Ok(Ok(()))
        })
    });
    opened.await.expect("accounts").expect("no refusal");
}

async fn book(store: &Store, entries: impl IntoIterator<Item = Entry>) {
    let entries: Vec<Entry> = entries.into_iter().collect();
    let booked = store.write::<_, (), _>("book", move |tx| {
        let entries = entries.clone();
        Box::pin(async move {
            for entry in &entries {
                tx.book(entry).await?;
            }
            Ok(Ok(()))
        })
    });
    booked.await.expect("a booking").expect("no refusal");
}

/// `count` entries of one millisecond, on both wallets in turn.
fn some(at: i64, count: u8) -> impl Iterator<Item = Entry> {
    (0..count).map(move |n| entry(id(at, n), (if n % 2 == 0 { A } else { B }, Account::CLEARING, 100 + i64::from(n))))
}

async fn seal_at(store: &Store, now: i64, sweep: Sweep, bounds: Bounds) -> u64 {
    seal(store, &keys(), ours(), Millis::new(now), sweep, bounds).await.expect("seals")
}

async fn seals(store: &Store, now: i64, sweep: Sweep) -> u64 {
    seal_at(store, now, sweep, Bounds::default()).await
}

async fn report(store: &Store) -> SealReport {
    verify_seals(store, ours()).await.expect("a readable database")
}

/// Seals, entries in them, entries in none; and that nothing is broken.
async fn counts(store: &Store) -> (u64, u64, u64) {
    let report = report(store).await;
    assert_eq!(report.broken, None);
    (report.seals, report.sealed, report.unsealed)
}

async fn new_entries_are_sealed_once(fresh: Fresh) {
    town(&fresh).await;
    let store = &fresh.store;
    assert_eq!(seals(store, OPENING, Sweep::Whole).await, 0, "an empty journal");
    assert_eq!(report(store).await, SealReport::default());
    book(store, some(OPENING, 5)).await;
    assert_eq!(counts(store).await, (0, 0, 5));
    assert_eq!(seals(store, OPENING + 1, Sweep::Recent).await, 1);
    assert_eq!(seals(store, OPENING + 2, Sweep::Recent).await, 0, "nothing is new");
    assert_eq!(seals(store, OPENING + 2, Sweep::Whole).await, 0, "nothing is new");
    assert_eq!(counts(store).await, (1, 5, 0));

    let first = report(store).await.last.expect("a seal");
    assert_eq!((first.number, first.at), (1, Millis::new(OPENING + 1)));
    book(store, some(OPENING + 10, 3)).await;
    assert_eq!(seals(store, OPENING + 11, Sweep::Recent).await, 1);
    assert_eq!(counts(store).await, (2, 8, 0));
    let second = report(store).await.last.expect("a seal");
    assert_ne!(first.hash, second.hash);
    assert_eq!(report(store).await.keys, BTreeSet::from([keys().proof_key().expect("a key")]));
    let rows = fresh.raw_number("SELECT COUNT(*) FROM sealed_entry").await.expect("a count");
    assert_eq!(rows, 8);

    // However much comes at once, a seal stays small, and no page of the search leaves one out.
    book(store, some(OPENING + 20, 47)).await;
    for (per_seal, page, expected) in [(20, 7, 3), (1, 1, 3), (17, 100, 1)] {
        assert_eq!(
            seal_at(store, OPENING + 21, Sweep::Recent, Bounds { per_seal, page }).await,
            expected,
            "{per_seal}"
        );
        book(store, some(OPENING + 21 + per_seal as i64, 3)).await;
    }
    assert_eq!(seal_at(store, OPENING + 99, Sweep::Whole, Bounds { per_seal: 0, page: 0 }).await, 3, "one at a time");
    assert_eq!(counts(store).await, (12, 64, 0));
    // The neighbour's ledger is sealed by itself.
    let other = CreditorCode::from_digits(OTHER).expect("eleven digits");
    assert_eq!(verify_seals(store, other).await.expect("a readable database"), SealReport::default());
}

/// Ids are made before the commit, and the order of commits is another.
async fn a_late_entry_gets_into_a_later_seal(fresh: Fresh) {
    town(&fresh).await;
    let store = &fresh.store;
    book(store, some(OPENING, 4)).await;
    assert_eq!(seals(store, OPENING, Sweep::Recent).await, 1);
    // One that a slow server committed only now, one with a clock that is days behind, one with a clock ahead.
    book(store, [entry(id(OPENING - 60_000, 9), (A, B, 5))]).await;
    assert_eq!(seals(store, OPENING, Sweep::Recent).await, 1);
    book(store, [entry(id(OPENING - 3 * DAY, 9), (B, A, 7))]).await;
    assert_eq!(seals(store, OPENING, Sweep::Recent).await, 0, "too far back for every minute");
    assert!(
        matches!(report(store).await.broken, Some(SealFinding::Unsealed { count: 1, entry }) if entry == id(OPENING - 3 * DAY, 9))
    );
    assert_eq!(seals(store, OPENING, Sweep::Whole).await, 1);
    book(store, [entry(id(OPENING + 3 * DAY, 9), (B, A, 7))]).await;
    assert_eq!(seals(store, OPENING, Sweep::Recent).await, 1);
    assert_eq!(counts(store).await, (4, 7, 0));
}

/// Several servers on one database (on SQLite: several tasks), while entries come in.
async fn of_many_sealers_one_wins(fresh: Fresh) {
    town(&fresh).await;
    let second = match fresh.url() {
        Some(url) => Store::connect_postgres(url, 4).await.expect("a second server"),
        None => fresh.store.clone(),
    };
    let sealers = (0..6).map(|n| {
        let store = if n % 2 == 0 { fresh.store.clone() } else { second.clone() };
        tokio::spawn(async move {
            let mut made = 0;
            for _ in 0..12 {
                made += seal_at(&store, OPENING, Sweep::Recent, Bounds { per_seal: 3, page: 4 }).await;
            }
            made
        })
    });
    let sealers: Vec<_> = sealers.collect();
    for n in 0..20 {
        book(&fresh.store, some(OPENING + n, 3)).await;
    }
    let mut made = 0;
    for sealer in sealers {
        made += sealer.await.expect("a sealer");
    }
    made += seals(&fresh.store, OPENING, Sweep::Recent).await;
    assert_eq!(counts(&fresh.store).await, (made, 60, 0));
    if !fresh.is_sqlite() {
        second.close().await;
    }
}

/// What was done to the rows, in SQL, and what is then to be found.
struct Spoil {
    name: &'static str,
    sql: String,
    found: SealFinding,
}

/// The town's entries: 4 in seal 1, 4 in seal 2, 2 in seal 3.
async fn sealed_town(fresh: &Fresh) {
    town(fresh).await;
    for (at, count) in [(OPENING, 4), (OPENING + 1, 4), (OPENING + 2, 2)] {
        book(&fresh.store, some(at, count)).await;
        assert_eq!(seals(&fresh.store, at, Sweep::Recent).await, 1);
    }
    assert_eq!(counts(&fresh.store).await, (3, 10, 0));
}

/// Cuts the last entry off wallet B so well that the ledger alone looks sound: its postings, the entry, and the account
/// as it was before.
fn clean_cut(fresh: &Fresh) -> String {
    let (entry, wallet) = (fresh.id(id(OPENING + 2, 1).uuid()), fresh.id(B.id));
    format!(
        "DELETE FROM posting WHERE entry = {entry}; DELETE FROM journal_entry WHERE id = {entry};
        UPDATE account SET seq = seq - 1,
            balance_cents = (SELECT p.balance_after_cents FROM posting p WHERE p.account_id = {wallet}
                AND p.seq = account.seq - 1),
            head = (SELECT p.hash FROM posting p WHERE p.account_id = {wallet} AND p.seq = account.seq - 1)
        WHERE id = {wallet};"
    )
}

fn spoils(fresh: &Fresh) -> Vec<Spoil> {
    let with = |name, sql: String, found| Spoil { name, sql, found };
    let seal = |change: &str, number: u64| format!("UPDATE seal SET {change} WHERE number = {number};");
    let forged = fresh.bytes(Hash::of(b"forged"));
    let key = fresh.bytes(Keys::derive(&[8; 32]).expect("keys").proof_key().expect("a key"));
    let listed = |entry: EntryId| format!("FROM sealed_entry WHERE entry = {};", fresh.id(entry.uuid()));
    let (first, cut) = (id(OPENING, 0), id(OPENING + 2, 1));
    let relist = |change: &str, entry: EntryId| {
        format!("UPDATE sealed_entry SET {change} WHERE entry = {};", fresh.id(entry.uuid()))
    };
    // PostgreSQL minds foreign keys, SQLite's back door does not.
    let unkeyed =
        |sql: String| if fresh.is_sqlite() { sql } else { format!("SET session_replication_role = replica; {sql}") };
    let gone = |number, entry| SealFinding::EntryGone { number, entry };
    vec![
        with("the tail cut off cleanly", clean_cut(fresh), gone(3, cut)),
        with(
            "the tail cut off, and taken from its seal's list",
            clean_cut(fresh) + "DELETE " + &listed(cut),
            SealFinding::Listed { number: 3, said: 2, listed: 1 },
        ),
        with(
            "the tail cut off, with its seal",
            unkeyed(clean_cut(fresh) + "DELETE FROM seal WHERE number = 3;"),
            SealFinding::SealGone { number: 3, entry: id(OPENING + 2, 0) },
        ),
        with(
            "an entry's digest changed",
            format!("UPDATE journal_entry SET digest = {forged} WHERE id = {};", fresh.id(first.uuid())),
            SealFinding::EntryAltered { number: 1, entry: first },
        ),
        with(
            "an entry's digest changed, in the list too",
            {
                format!("UPDATE journal_entry SET digest = {forged} WHERE id = {};", fresh.id(first.uuid()))
                    + &relist(&format!("digest = {forged}"), first)
            },
            SealFinding::Root { number: 1 },
        ),
        with("a sealed digest changed", relist(&format!("digest = {forged}"), first), {
            SealFinding::EntryAltered { number: 1, entry: first }
        }),
        with(
            "an entry moved to another seal",
            relist("seal = 2", first),
            SealFinding::Listed { number: 1, said: 4, listed: 3 },
        ),
        with(
            "two entries exchanged between seals",
            relist("seal = 2", first) + &relist("seal = 1", id(OPENING + 1, 0)),
            SealFinding::Root { number: 1 },
        ),
        with(
            "an entry taken from the list",
            "DELETE ".to_owned() + &listed(first),
            SealFinding::Listed { number: 1, said: 4, listed: 3 },
        ),
        with(
            "an entry listed in a seal that never was",
            unkeyed(relist("seal = 9", cut)),
            SealFinding::Listed { number: 3, said: 2, listed: 1 },
        ),
        with(
            "a posting's hash changed",
            {
                format!(
                    "UPDATE posting SET hash = {forged} WHERE entry = {} AND seq > 0;",
                    fresh.id(id(OPENING + 1, 3).uuid())
                )
            },
            SealFinding::Heads { number: 2 },
        ),
        with(
            "a posting moved to the other wallet",
            {
                let entry = fresh.id(id(OPENING, 3).uuid());
                format!(
                    "UPDATE posting SET account_id = {}, seq = 77 WHERE entry = {entry} AND seq > 0;",
                    fresh.id(A.id)
                )
            },
            SealFinding::Heads { number: 1 },
        ),
        with(
            "a posting taken off its chain",
            format!("UPDATE posting SET seq = NULL WHERE entry = {};", fresh.id(id(OPENING, 3).uuid())),
            SealFinding::Heads { number: 1 },
        ),
        with("the time of a seal changed", seal("at_ms = at_ms - 1", 2), SealFinding::Hash { number: 2 }),
        with("its root changed", seal(&format!("root = {forged}"), 2), SealFinding::Hash { number: 2 }),
        with("its heads changed", seal(&format!("heads = {forged}"), 2), SealFinding::Hash { number: 2 }),
        with("its count changed", seal("count = 3", 2), SealFinding::Hash { number: 2 }),
        with("its total changed", seal("entries = 9", 2), SealFinding::Hash { number: 2 }),
        with("its hash changed", seal(&format!("hash = {forged}"), 2), SealFinding::Hash { number: 2 }),
        with("its predecessor changed", seal(&format!("previous = {forged}"), 2), SealFinding::Previous { number: 2 }),
        with("its key changed", seal(&format!("public_key = {key}"), 2), SealFinding::Signature { number: 2 }),
        with("its signature changed", seal(&format!("signature = {0}", fresh.bytes("00".repeat(64))), 2), {
            SealFinding::Signature { number: 2 }
        }),
        with("its signature cut", seal(&format!("signature = {forged}"), 2), SealFinding::Unreadable { number: 2 }),
        with("its count below zero", seal("count = -4", 2), SealFinding::Unreadable { number: 2 }),
        with(
            "a seal removed",
            unkeyed("DELETE FROM seal WHERE number = 2;".into()),
            SealFinding::Missing { expected: 2, found: 3 },
        ),
        with(
            "the first seal removed with its list",
            "DELETE FROM sealed_entry WHERE seal = 1; DELETE FROM seal WHERE number = 1;".to_owned(),
            SealFinding::Missing { expected: 1, found: 2 },
        ),
        with("a seal below the first", unkeyed(seal("number = 0", 1)), SealFinding::Missing { expected: 1, found: 0 }),
        with("the last seal removed, its list left", unkeyed("DELETE FROM seal WHERE number = 3;".into()), {
            SealFinding::SealGone { number: 3, entry: id(OPENING + 2, 0) }
        }),
    ]
}

async fn whatever_is_done_to_what_was_sealed_is_found(first: Fresh) {
    let mut missed = Vec::new();
    for n in 0..spoils(&first).len() {
        let fresh = if first.is_sqlite() { Fresh::sqlite().await } else { Fresh::postgres("spoilt").await };
        let fresh = fresh.expect("a store");
        sealed_town(&fresh).await;
        let Spoil { name, sql, found } = spoils(&fresh).swap_remove(n);
        fresh.raw_execute(&sql).await.unwrap_or_else(|error| panic!("{name}: {error:#}: {sql}"));
        if name.starts_with("the tail") {
            let ledger = verify(&fresh.store, &ours(), |_| ()).await.expect("a readable database");
            assert_eq!((ledger.broken, ledger.entries), (None, 9), "without seals it goes unseen");
        }
        let broken = report(&fresh.store).await.broken;
        if broken != Some(found) {
            missed.push(format!("{name}: found {broken:?}, not {found:?}"));
        }
        fresh.store.close().await;
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    let text = SealFinding::EntryGone { number: 3, entry: id(OPENING, 1) }.to_string();
    assert!(text.ends_with(", sealed in seal 3, is gone from the journal"), "{text}");
}

/// The last seals gone without a trace: their entries show once they are old; with them, nothing does but a witness.
async fn what_the_database_alone_cannot_tell(fresh: Fresh) {
    sealed_town(&fresh).await;
    let witness = report(&fresh.store).await.last.expect("a seal");
    fresh
        .raw_execute("DELETE FROM sealed_entry WHERE seal = 3; DELETE FROM seal WHERE number = 3;")
        .await
        .expect("a cut");
    assert_eq!(counts(&fresh.store).await, (2, 8, 2), "as if nobody had sealed yet");
    book(&fresh.store, some(OPENING + 3 * DAY, 1)).await;
    let broken = report(&fresh.store).await.broken;
    assert_eq!(broken, Some(SealFinding::Unsealed { count: 2, entry: id(OPENING + 2, 0) }));
    // Sealed again, they are in another seal than the witness says.
    assert_eq!(seals(&fresh.store, OPENING + 3 * DAY, Sweep::Whole).await, 1);
    let again = report(&fresh.store).await;
    let last = again.last.expect("a seal");
    assert_eq!((again.broken, last.number), (None, witness.number));
    assert_ne!(last.hash, witness.hash);
}

async fn a_running_server_seals_by_itself(fresh: Fresh) {
    let house = House::open_sealing(fresh, Duration::from_millis(20)).await;
    house.all_sealed().await;
    let before = house.number("SELECT COUNT(*) FROM sealed_entry").await;
    assert!(before > 0, "the families had entries");

    // A failure is no reason to stop: receipts are booked meanwhile, and sealed once it is over.
    house.execute("ALTER TABLE sealed_entry RENAME TO hidden").await;
    let phone = house.phone(MARIA).await;
    let home = phone.home().await.expect("home");
    let notice = home.payments[0].notice.clone().expect("a notice");
    let paid = house.deliver(&node::Receipt::new(&notice.number, notice.amount_cents)).await;
    assert!(paid.is_ok(), "{paid:?}");
    house.execute("ALTER TABLE hidden RENAME TO sealed_entry").await;
    house.all_sealed().await;
    assert_eq!(house.number("SELECT COUNT(*) FROM sealed_entry").await, before + 1);
    let town = CreditorCode::from_digits(TOWN).expect("eleven digits");
    let report = verify_seals(&house.app.store, town).await.expect("a readable database");
    assert_eq!((report.broken, report.unsealed), (None, 0));
    assert_eq!(report.keys, BTreeSet::from([house.app.keys.proof_key().expect("a key")]));
    let took = house.stop().await;
    assert!(took < Duration::from_secs(5), "the job does not hold the server: {took:?}");
    house.close().await;
}
