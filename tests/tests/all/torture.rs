//! A little of every disaster of `tests/torture`: nothing acknowledged is lost, nothing is booked twice, every answer comes
//! in time.

use borsellino_tests::torture::{Disaster, Engine, Form, Orders, Tally, spoiled, torture};

use super::demo::program;

async fn a_little(disaster: Disaster, engine: Engine) {
    // Builds it where that has not been done.
    let program = tokio::task::spawn_blocking(|| program().to_owned()).await.expect("the program");
    let orders = Orders { program, seed: 3 };
    let tally =
        torture(disaster, engine, disaster.times(Form::Short), &orders).await.expect("a server that comes back");
    let told = format!("{}\n{tally}", Tally::header());
    println!("{told}");
    assert!(tally.is_clean(), "\n{told}");
    assert!(tally.acknowledged > 0, "\n{told}");
}

/// A test per disaster and engine.
macro_rules! tortures {
    ($($name:ident: $disaster:ident on $engine:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            a_little(Disaster::$disaster, Engine::$engine).await;
        }
    )*};
}

tortures! {
    the_same_receipt_from_64_clients_on_sqlite: SameReceipt on Sqlite;
    the_same_receipt_from_64_clients_on_postgres: SameReceipt on Postgres;
    the_server_is_killed_on_sqlite: ServerKilled on Sqlite;
    the_server_is_killed_on_postgres: ServerKilled on Postgres;
    postgres_is_killed: PostgresKilled on Postgres;
    connections_are_cut: ConnectionsCut on Postgres;
    the_disk_is_full_on_sqlite: DiskFull on Sqlite;
    the_disk_is_full_on_postgres: DiskFull on Postgres;
    the_clock_jumps_on_sqlite: ClockJumps on Sqlite;
    the_clock_jumps_on_postgres: ClockJumps on Postgres;
    clients_hang_up_on_sqlite: HangUps on Sqlite;
    clients_hang_up_on_postgres: HangUps on Postgres;
    postgres_stands_still: PostgresFrozen on Postgres;
}

/// What a spoiled database is told by.
#[derive(Clone, Copy)]
enum Told {
    Lost,
    Double,
    Cents,
    Words(&'static str),
}

/// Books that could not find anything would always be clean.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_doubled_or_wrong_is_found() {
    const ONE: &str = "(SELECT MIN(receipt_id) FROM receipt WHERE outcome = 'wallet')";
    let gone = format!("DELETE FROM receipt WHERE receipt_id = {ONE}");
    let moved = format!("UPDATE receipt SET outcome = 'unknown_notice' WHERE receipt_id = {ONE}");
    let renamed = format!("UPDATE receipt SET receipt_id = 'other' WHERE receipt_id = {ONE}");
    let plants = [
        (&*gone, Told::Lost),
        (&*moved, Told::Words("instead of Wallet")),
        (&*renamed, Told::Words("nobody sent")),
        (
            "INSERT INTO posting SELECT creditor, entry, line + 10, account_kind, account_id, cents, seq + 100000,
            balance_after_cents, hash FROM posting WHERE account_kind = 'suspense' AND seq = 1",
            Told::Double,
        ),
        ("UPDATE account SET balance_cents = balance_cents + 1 WHERE kind = 'wallet' AND seq > 0", Told::Cents),
        ("UPDATE receipt SET ours_cents = ours_cents + 1 WHERE outcome = 'shared_payment'", Told::Cents),
        ("UPDATE posting SET cents = cents - 1 WHERE account_kind = 'clearing'", Told::Cents),
        ("DELETE FROM feed WHERE seq = 1", Told::Words("the feed of")),
        ("DELETE FROM outbox WHERE notice = (SELECT MIN(notice) FROM outbox)", Told::Words("are to be told")),
        ("UPDATE notice SET state = 'open' WHERE state = 'paid'", Told::Words("is open")),
        (
            "UPDATE posting SET hash = zeroblob(32) WHERE account_kind = 'bill' AND seq = 2",
            Told::Words("ledger verify"),
        ),
        (
            "INSERT INTO kept_message SELECT fiscal_code, 'anomaly', zeroblob(32), '', 0, '', X'' FROM creditor",
            Told::Words("quarantine"),
        ),
    ];
    let found = spoiled(&plants.map(|(statement, _)| statement), 3).await.expect("a database to spoil");
    let (unspoiled, found) = found.split_first().expect("the unspoiled one");
    assert!(unspoiled.is_clean() && unspoiled.acknowledged > 100, "{unspoiled}");
    for (tally, (statement, told)) in found.iter().zip(plants) {
        let is_told = match told {
            Told::Lost => tally.lost > 0,
            Told::Double => tally.double > 0,
            Told::Cents => tally.cents_off > 0,
            Told::Words(words) => tally.complaints.iter().any(|complaint| complaint.contains(words)),
        };
        assert!(is_told && !tally.is_clean(), "{statement} is not told:\n{tally}");
    }
}
