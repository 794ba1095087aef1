//! The disasters themselves: each starts a server on its ground, lets the Node send, strikes, lets all of it come to rest,
//! and sees that the server is whole again and has left nothing open.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use borsellino_server::clock::Clock;
use futures_util::future::try_join_all;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, no_transaction_is_open};
use super::cord::Cord;
use super::driver::{Driver, IN_FLIGHT};
use super::inside::Inside;
use super::program::Program;
use super::{Disaster, Ground, Orders, Place};

/// As many clients send the same receipt.
const AT_ONCE: usize = 64;

/// For so long PostgreSQL stands still.
const FROZEN: Duration = Duration::from_secs(20);

/// No file of a PostgreSQL without room may be written beyond a number of bytes below this.
const MOST_BYTES: u64 = 4 << 20;

/// How long a disk stays full when nobody notices: what is written may still fit.
const UNNOTICED: Duration = Duration::from_secs(4);

const HOUR_MILLIS: i64 = 3_600_000;

/// Milliseconds between two strikes.
const BETWEEN: std::ops::Range<u64> = 20..300;

/// Stream of chance of who strikes; the crowd's streams have small numbers.
const CONDUCTOR: u64 = 1_000_000;

/// Strikes so many times; answers the Node, which remembers everything.
pub(super) async fn strike(
    disaster: Disaster,
    ground: &Ground,
    times: u64,
    notices: u64,
    orders: &Orders,
) -> anyhow::Result<Driver> {
    let stage = Stage { ground, times, notices, orders };
    match (disaster, &ground.place) {
        (Disaster::SameReceipt, _) => stage.same_receipt().await,
        (Disaster::ServerKilled, _) => stage.server_killed().await,
        (Disaster::PostgresKilled, Place::Own(cluster)) => stage.postgres_killed(cluster).await,
        (Disaster::ConnectionsCut, Place::Shared(url)) => stage.connections_cut(url).await,
        (Disaster::DiskFull, Place::Sqlite(_)) => stage.no_pages().await,
        (Disaster::DiskFull, Place::Own(cluster)) => stage.no_room(cluster).await,
        (Disaster::ClockJumps, _) => stage.clock_jumps().await,
        (Disaster::HangUps, _) => stage.hang_ups().await,
        (Disaster::PostgresFrozen, Place::Own(cluster)) => stage.frozen(cluster).await,
        _ => bail!("{disaster} does not exist there"),
    }
}

struct Stage<'a> {
    ground: &'a Ground,
    times: u64,
    notices: u64,
    orders: &'a Orders,
}

async fn a_moment(rng: &mut fastrand::Rng) {
    sleep(Duration::from_millis(rng.u64(BETWEEN))).await;
}

impl Stage<'_> {
    async fn program(&self, url: &str) -> anyhow::Result<Program> {
        Program::start(self.orders.program.clone(), url).await
    }

    fn driver(&self, address: String) -> (Driver, fastrand::Rng) {
        let driver = Driver::new(address, self.notices, self.orders.seed);
        let rng = driver.rng(CONDUCTOR);
        (driver, rng)
    }

    /// All is answered, nothing is left open, and the server ends in order.
    async fn rest(&self, driver: &Driver, program: Program, rng: &mut fastrand::Rng) -> anyhow::Result<()> {
        driver.all_is_well(rng).await?;
        if !matches!(self.ground.place, Place::Sqlite(_)) {
            no_transaction_is_open(&self.ground.url()).await?;
        }
        program.stop().await
    }

    async fn same_receipt(&self) -> anyhow::Result<Driver> {
        let program = self.program(&self.ground.url()).await?;
        let (driver, mut rng) = self.driver(program.address());
        for _ in 0..self.times {
            driver.deliver_at_once(AT_ONCE, &mut rng).await;
        }
        if driver.tally().redelivered > 0 {
            driver.complain("of many equal deliveries, some were told to come again".to_owned());
        }
        self.rest(&driver, program, &mut rng).await?;
        Ok(driver)
    }

    async fn server_killed(&self) -> anyhow::Result<Driver> {
        let mut program = self.program(&self.ground.url()).await?;
        let (driver, mut rng) = self.driver(program.address());
        let crowd = driver.begin();
        for _ in 0..self.times {
            a_moment(&mut rng).await;
            program.kill()?;
            program.restart().await?;
        }
        driver.end(crowd).await?;
        ensure!(driver.tally().cut > 0, "nobody noticed");
        self.rest(&driver, program, &mut rng).await?;
        Ok(driver)
    }

    async fn postgres_killed(&self, cluster: &Cluster) -> anyhow::Result<Driver> {
        let program = self.program(&cluster.url()).await?;
        let (driver, mut rng) = self.driver(program.address());
        let crowd = driver.begin();
        for _ in 0..self.times {
            a_moment(&mut rng).await;
            cluster.kill().await?;
            a_moment(&mut rng).await;
            cluster.up().await?;
            a_moment(&mut rng).await;
        }
        driver.end(crowd).await?;
        ensure!(driver.hurt() > 0, "nobody noticed");
        self.rest(&driver, program, &mut rng).await?;
        Ok(driver)
    }

    /// The cord is cut, and every other time PostgreSQL ends each session by itself.
    async fn connections_cut(&self, url: &str) -> anyhow::Result<Driver> {
        let name = url.trim_start_matches("postgres:///").split('?').next().context("a database's name")?;
        let cord = Cord::to(crate::postgres::server().directory()).await?;
        let program = self.program(&cord.url(name)).await?;
        let (driver, mut rng) = self.driver(program.address());
        let crowd = driver.begin();
        for time in 0..self.times {
            a_moment(&mut rng).await;
            if time % 2 == 0 {
                cord.cut();
            } else {
                let mut connection = PgConnection::connect(url).await?;
                let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
                sqlx::query(sql).execute(&mut connection).await?;
                connection.close().await?;
            }
        }
        driver.end(crowd).await?;
        ensure!(driver.hurt() > 0, "nobody noticed");
        self.rest(&driver, program, &mut rng).await?;
        Ok(driver)
    }

    /// SQLite may not grow by a page any more.
    async fn no_pages(&self) -> anyhow::Result<Driver> {
        let store = self.ground.store().await?;
        let inside = Inside::start(store.clone(), Clock::system()).await?;
        let (driver, mut rng) = self.driver(inside.address());
        let crowd = driver.begin();
        for _ in 0..self.times {
            a_moment(&mut rng).await;
            let before = driver.hurt();
            store.limit_pages(1).await;
            noticed(&driver, before).await;
            a_moment(&mut rng).await;
            store.limit_pages(u32::MAX - 1).await;
        }
        driver.end(crowd).await?;
        ensure!(driver.hurt() > 0, "nobody noticed");
        driver.all_is_well(&mut rng).await?;
        inside.stop().await?;
        Ok(driver)
    }

    /// PostgreSQL's file system is filled; or, where it has none of its own and every other time, its files may grow no
    /// longer. Its log may be what finds no room: then it ends in a panic, and comes back once there is some.
    async fn no_room(&self, cluster: &Cluster) -> anyhow::Result<Driver> {
        let program = self.program(&cluster.url()).await?;
        let (driver, mut rng) = self.driver(program.address());
        let crowd = driver.begin();
        for time in 0..self.times {
            a_moment(&mut rng).await;
            let before = driver.hurt();
            let fill = cluster.is_small() && time % 2 == 0;
            if fill {
                cluster.fill()?;
            } else {
                cluster.limit_files(Some(rng.u64(0..MOST_BYTES)));
            }
            noticed(&driver, before).await;
            a_moment(&mut rng).await;
            if fill {
                cluster.make_room()?;
            } else {
                cluster.limit_files(None);
            }
            cluster.up().await?;
        }
        driver.end(crowd).await?;
        ensure!(driver.hurt() > 0, "nobody noticed");
        self.rest(&driver, program, &mut rng).await?;
        Ok(driver)
    }

    async fn clock_jumps(&self) -> anyhow::Result<Driver> {
        let moved = Arc::new(AtomicI64::new(0));
        let ticks = Arc::clone(&moved);
        let clock = Clock::of(move || Clock::system().now().plus(ticks.load(Ordering::Relaxed)));
        let inside = Inside::start(self.ground.store().await?, clock).await?;
        let (driver, mut rng) = self.driver(inside.address());
        let crowd = driver.begin();
        for _ in 0..self.times {
            a_moment(&mut rng).await;
            moved.store(rng.i64(-9 * HOUR_MILLIS..9 * HOUR_MILLIS), Ordering::Relaxed);
        }
        a_moment(&mut rng).await;
        moved.store(0, Ordering::Relaxed);
        driver.end(crowd).await?;
        if driver.hurt() > 0 {
            driver.complain("a jump of the clock kept receipts from being booked".to_owned());
        }
        driver.all_is_well(&mut rng).await?;
        inside.stop().await?;
        Ok(driver)
    }

    /// Each receipt is hung up on a few times, then delivered in order.
    async fn hang_ups(&self) -> anyhow::Result<Driver> {
        let program = self.program(&self.ground.url()).await?;
        let (driver, mut rng) = self.driver(program.address());
        driver.all_is_well(&mut rng).await?;
        let files = program.open_files();
        let left = Arc::new(AtomicU64::new(self.times));
        let callers = (0..IN_FLIGHT as u64).map(|number| {
            let (driver, mut rng, left) = (driver.clone(), driver.rng(number), Arc::clone(&left));
            tokio::spawn(async move {
                loop {
                    let papers = driver.paper(&mut rng);
                    for paper in &papers {
                        for _ in 0..rng.u8(1..4) {
                            let one_less = |left: u64| left.checked_sub(1);
                            if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
                                break;
                            }
                            driver.hang_up(paper, &mut rng).await;
                        }
                    }
                    driver.deliver(papers, 1, &mut rng).await;
                    if left.load(Ordering::Relaxed) == 0 {
                        return;
                    }
                }
            })
        });
        try_join_all(callers).await?;
        driver.all_is_well(&mut rng).await?;
        let begun = Instant::now();
        // A few files belong to the database; sockets would be hundreds.
        while program.open_files() > files + 2 * AT_ONCE {
            ensure!(begun.elapsed() < Duration::from_secs(20), "who hung up still has a connection");
            sleep(Duration::from_millis(20)).await;
        }
        self.rest(&driver, program, &mut rng).await?;
        Ok(driver)
    }

    async fn frozen(&self, cluster: &Cluster) -> anyhow::Result<Driver> {
        let program = self.program(&cluster.url()).await?;
        let (driver, mut rng) = self.driver(program.address());
        let crowd = driver.begin();
        for _ in 0..self.times {
            a_moment(&mut rng).await;
            cluster.freeze();
            sleep(FROZEN).await;
            cluster.thaw();
        }
        driver.end(crowd).await?;
        ensure!(driver.hurt() > 0, "nobody noticed");
        self.rest(&driver, program, &mut rng).await?;
        Ok(driver)
    }
}

/// Waits until somebody was told "not now" since `before`; not for ever.
async fn noticed(driver: &Driver, before: u64) {
    let begun = Instant::now();
    while driver.hurt() == before && begun.elapsed() < UNNOTICED {
        sleep(Duration::from_millis(5)).await;
    }
}
