//! What terrible things are done to a server under load, and what must be left of it: what was acknowledged is there,
//! once; what was not is delivered again and booked once; every call has an answer in time; the ledger proves itself; and
//! every sum agrees to the cent.
//!
//! ```text
//! town ---- builds the families and their notices, and knows without end what the Node may send about them
//! driver -- is the Node: delivers until acknowledged, holds answers against the deadline, remembers
//! program, cluster, cord -- the server, its PostgreSQL and the connection between them, each made to be broken
//! books --- holds what was remembered against what is stored
//! ```
//!
//! `tests/run` does a little of each ([`Form::Short`]), `tests/torture` as much as its reader wants to believe
//! ([`Form::Long`]).

#![allow(clippy::expect_used, reason = "a test without its ground fails, loudly and at once")]

mod books;
mod cluster;
mod cord;
mod driver;
mod inside;
mod line;
mod program;
mod strikes;
mod tally;
mod town;

use std::fmt;
use std::path::PathBuf;

use borsellino_store::Store;
use sqlx::Connection;
use tempfile::TempDir;
use tokio::time::Instant;

pub use self::tally::Tally;
use crate::postgres::server;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disaster {
    /// The same receipt arrives from 64 clients at once.
    SameReceipt,
    /// The server is killed with SIGKILL at any moment, and started again.
    ServerKilled,
    /// PostgreSQL is killed with SIGKILL, all its processes, and started again.
    PostgresKilled,
    /// Every connection between server and PostgreSQL is cut: the cord, or by PostgreSQL itself.
    ConnectionsCut,
    /// There is no room left, and then there is again.
    DiskFull,
    /// The clock jumps by hours, forward and back.
    ClockJumps,
    /// Clients hang up at any byte of what they send or hear.
    HangUps,
    /// Every process of PostgreSQL stands still for 20 seconds.
    PostgresFrozen,
}

/// On what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For every run of the tests.
    Short,
    /// For a release.
    Long,
}

/// What a torture needs to know.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The program `borsellino`, built.
    pub program: PathBuf,
    /// Of what the Node sends and of when disasters strike.
    pub seed: u64,
}

impl Disaster {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SameReceipt,
        Self::ServerKilled,
        Self::PostgresKilled,
        Self::ConnectionsCut,
        Self::DiskFull,
        Self::ClockJumps,
        Self::HangUps,
        Self::PostgresFrozen,
    ];

    /// Where it exists.
    pub fn engines(self) -> &'static [Engine] {
        match self {
            Self::PostgresKilled | Self::ConnectionsCut | Self::PostgresFrozen => &[Engine::Postgres],
            _ => &[Engine::Sqlite, Engine::Postgres],
        }
    }

    /// How often it strikes, on each engine.
    pub fn times(self, form: Form) -> u64 {
        let (short, long) = match self {
            Self::SameReceipt | Self::ServerKilled => (20, 500),
            Self::PostgresKilled => (2, 50),
            Self::ConnectionsCut => (20, 200),
            Self::DiskFull => (5, 100),
            Self::ClockJumps => (5, 50),
            Self::HangUps => (1_000, 100_000),
            Self::PostgresFrozen => (1, 3),
        };
        match form {
            Form::Short => short,
            Form::Long => long,
        }
    }

    /// How many notices of top-ups each creditor needs, so that the crowd does not run out of them at once.
    fn notices(self, times: u64) -> u64 {
        let each = match self {
            Self::SameReceipt => 2,
            Self::HangUps => 1,
            Self::PostgresFrozen => 400,
            _ => 60,
        };
        (times * each).clamp(400, 20_000)
    }
}

impl fmt::Display for Disaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameReceipt => "64 clients at once",
            Self::ServerKilled => "server killed",
            Self::PostgresKilled => "database killed",
            Self::ConnectionsCut => "connections cut",
            Self::DiskFull => "disk full",
            Self::ClockJumps => "clock jumps",
            Self::HangUps => "clients hang up",
            Self::PostgresFrozen => "database frozen 20 s",
        })
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// Lets `disaster` strike so many times on a fresh town, and answers what became of it.
///
/// # Errors
/// Where the ground fails, or the server does not come back.
///
/// # Panics
/// Where no PostgreSQL can be had.
pub async fn torture(disaster: Disaster, engine: Engine, times: u64, orders: &Orders) -> anyhow::Result<Tally> {
    let begun = Instant::now();
    let ground = Ground::lay(disaster, engine).await?;
    let notices = disaster.notices(times);
    let store = ground.store().await?;
    town::build(&store, notices).await?;
    store.close().await;

    let driver = strikes::strike(disaster, &ground, times, notices, orders).await?;

    let store = ground.store().await?;
    let mut tally = Tally { name: format!("{disaster}, {engine}"), times, ..driver.tally() };
    books::check(&store, &driver.sent(), &mut tally).await?;
    store.close().await;
    tally.took = begun.elapsed();
    Ok(tally)
}

/// Whether the books would tell: lets the Node send for a while without any disaster, then spoils the database (SQLite)
/// with each of these statements, each on a copy of its own, and answers what is found; first of the unspoiled one.
///
/// # Errors
/// Where the ground fails, or a statement.
pub async fn spoiled(statements: &[&str], seed: u64) -> anyhow::Result<Vec<Tally>> {
    let ground = Ground::lay(Disaster::ClockJumps, Engine::Sqlite).await?;
    let store = ground.store().await?;
    town::build(&store, 400).await?;
    let inside = inside::Inside::start(store, borsellino_server::clock::Clock::system()).await?;
    let driver = driver::Driver::new(inside.address(), 400, seed);
    let mut rng = driver.rng(0);
    for _ in 0..200 {
        driver.act(&mut rng).await;
    }
    inside.stop().await?;
    let Place::Sqlite(folder) = &ground.place else { anyhow::bail!("SQLite") };
    let mut found = Vec::new();
    for statement in std::iter::once("").chain(statements.iter().copied()) {
        let copy = TempDir::with_prefix("borsellino-torture-")?;
        let path = copy.path().join("borsellino.sqlite");
        std::fs::copy(folder.path().join("borsellino.sqlite"), &path)?;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).foreign_keys(false);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await?;
        let changed = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
        anyhow::ensure!(statement.is_empty() || changed.rows_affected() > 0, "it spoils nothing: {statement}");
        connection.close().await?;
        let store = Store::open_sqlite(&path).await?;
        let mut tally = Tally { name: statement.to_owned(), ..driver.tally() };
        books::check(&store, &driver.sent(), &mut tally).await?;
        store.close().await;
        found.push(tally);
    }
    Ok(found)
}

/// Where the data is.
#[derive(Debug)]
struct Ground {
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Removed when dropped.
    Sqlite(TempDir),
    /// A database of the server that all tests share: its URL.
    Shared(String),
    /// A server that may be broken.
    Own(cluster::Cluster),
}

impl Ground {
    async fn lay(disaster: Disaster, engine: Engine) -> anyhow::Result<Self> {
        let place = match (engine, disaster) {
            (Engine::Sqlite, _) => Place::Sqlite(TempDir::with_prefix("borsellino-torture-")?),
            (Engine::Postgres, Disaster::PostgresKilled | Disaster::PostgresFrozen) => {
                Place::Own(cluster::Cluster::start(false).await?)
            }
            (Engine::Postgres, Disaster::DiskFull) => Place::Own(cluster::Cluster::start(true).await?),
            (Engine::Postgres, _) => Place::Shared(server().database("torture").await),
        };
        Ok(Self { place })
    }

    /// The database as a configuration names it.
    fn url(&self) -> String {
        match &self.place {
            Place::Sqlite(folder) => format!("sqlite:{}", folder.path().join("borsellino.sqlite").display()),
            Place::Shared(url) => url.clone(),
            Place::Own(cluster) => cluster.url(),
        }
    }

    async fn store(&self) -> anyhow::Result<Store> {
        Ok(match &self.place {
            Place::Sqlite(folder) => Store::open_sqlite(&folder.path().join("borsellino.sqlite")).await?,
            Place::Shared(_) | Place::Own(_) => Store::connect_postgres(&self.url(), 4).await?,
        })
    }
}
