//! The simulation in its short form: seeds that must be sound, a seed that replays itself, and every planted bug. The
//! long form is `cargo run --release -p borsellino-tests --example simulate`.

use std::collections::BTreeSet;
use std::thread;

use borsellino_store::Store;
use borsellino_tests::simulation::bugs::{BUGS, Bug, Hunt, hunt};
use borsellino_tests::simulation::{Options, Tally, run};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tokio::runtime::Builder;

/// How many seeds are tried for a bug.
const SEEDS: u64 = 8;

/// Runs a simulation on this thread.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future).expect("the ground of a simulation")
}

fn sound(options: Options) -> Tally {
    block_on(run(options, None)).unwrap_or_else(|finding| panic!("seed {}: {finding}", options.seed))
}

#[test]
fn a_term_is_sound_whatever_the_seed() {
    thread::scope(|scope| {
        let terms: Vec<_> = (1..=6).map(|seed| scope.spawn(move || sound(Options::term(seed)))).collect();
        for term in terms {
            let tally = term.join().expect("a sound term");
            assert!(tally.receipts > 50 && tally.entries > 200, "little happened: {:?}", tally.kinds);
        }
    });
}

#[test]
fn a_second_year_follows_on_the_same_database() {
    let tally = sound(Options { years: 2, days: 8, families: 3, ..Options::term(20) });
    assert_eq!(tally.days, 16);
    assert!(tally.log.iter().any(|line| line.starts_with("2027-09")), "{:?}", tally.log.last());
}

/// Of everything that can happen something does, in a few terms.
#[test]
fn everything_happens() {
    let happened: BTreeSet<_> = (30..33).flat_map(|seed| sound(Options::term(seed)).kinds.into_keys()).collect();
    let all = [
        "bill issued", "bill page", "cancellation", "clock", "counter", "crowd", "decision", "delivery", "enrolment",
        "look", "payment", "purse closed", "restart", "shared payment", "tap", "unknown notice", "withdrawal",
    ];
    assert_eq!(happened, BTreeSet::from(all));
}

/// One seed decides everything: the ids that the server drew are others each time, what happened is the same.
#[test]
fn a_seed_replays_itself() {
    let options = Options { days: 10, ..Options::term(7) };
    let (first, second) = (sound(options), sound(options));
    assert_eq!(first, second);
    assert!(first.log.len() > 100, "{} lines", first.log.len());
    assert_ne!(first.log, sound(Options { seed: 8, ..options }).log);
}

#[test]
fn every_planted_bug_is_found() {
    let names: BTreeSet<_> = BUGS.iter().map(|bug| bug.name).collect();
    assert!(names.len() == BUGS.len() && names.len() >= 30, "{names:?}");
    let (one, other): (Vec<_>, Vec<_>) = BUGS.iter().zip(0..).partition(|(_, number)| number % 2 == 0);
    let look = |bugs: Vec<(&'static Bug, i32)>| -> Vec<Hunt> {
        bugs.into_iter().map(|(bug, _)| block_on(hunt(bug, 1..=SEEDS, Options::term))).collect()
    };
    let hunts = thread::scope(|scope| {
        let others = scope.spawn(|| look(other));
        let mut hunts = look(one);
        hunts.extend(others.join().expect("no panic"));
        hunts
    });
    for hunt in &hunts {
        println!("{hunt}");
    }
    let missed: Vec<_> = hunts.iter().filter(|hunt| hunt.found.is_none()).map(|hunt| hunt.bug.name).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// What the simulation stands on: two stores that open the same name share a database, which is gone with the last.
#[tokio::test]
async fn a_database_in_memory_is_shared_by_its_name() {
    let one = Store::open_sqlite_in_memory("shared").await.expect("a store");
    let codes = borsellino_tests::stores::add_creditors(&one, &["99900010010"]).await.expect("a creditor");
    let other = Store::open_sqlite_in_memory("shared").await.expect("the same");
    let elsewhere = Store::open_sqlite_in_memory("elsewhere").await.expect("another store");
    let creditors = async |store: &Store| {
        let rows = store.read(|tx| Box::pin(tx.creditors())).await.expect("rows");
        rows.into_iter().map(|row| row.fiscal_code).collect::<Vec<_>>()
    };
    assert_eq!(creditors(&other).await, codes);
    assert!(creditors(&elsewhere).await.is_empty());
    one.close().await;
    assert_eq!(creditors(&other).await, codes, "as long as anybody has it open");
    other.close().await;
    let options = SqliteConnectOptions::new().filename("/shared").vfs("memdb");
    let mut again = SqliteConnection::connect_with(&options).await.expect("an empty database");
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema").fetch_one(&mut again).await.expect("it");
    assert_eq!(tables, 0);
}
