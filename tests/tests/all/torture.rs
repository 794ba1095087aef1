//! A little of every disaster of `tests/torture`: nothing acknowledged is lost, nothing is booked twice, every answer comes
//! in time.

use borsellino_tests::torture::{Disaster, Engine, Form, Orders, Tally, torture};

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
