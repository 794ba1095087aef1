//! The numbers that the project promises (BENCHMARKS.md), measured: every ratio against a peer in the same run, with
//! fsync and synchronous_commit on.
//!
//! ```text
//! cargo bench -p borsellino-tests                                     all, about five minutes
//! cargo bench -p borsellino-tests -- receipts-sqlite                  only this one
//! cargo bench -p borsellino-tests -- --rounds 9 receipts-postgres     for longer
//! cargo bench -p borsellino-tests -- load                             1,600 calls a second for five minutes, with streams
//! cargo bench -p borsellino-tests -- phone                             the app core: first paint, Home, Sync
//! cargo bench -p borsellino-tests -- load --find --sqlite             the highest rate that is answered in time
//! cargo bench -p borsellino-tests -- push                             pushes a second against a fake of FCM
//! cargo bench -p borsellino-tests -- batch                            10,000 notices printed, and receipts beside it
//! cargo bench -p borsellino-tests -- portal-home                      the portal's home page against Home over gRPC
//! cargo bench -p borsellino-tests -- portal-lookup                    a notice without signing in: does time tell?
//! cargo bench -p borsellino-tests -- portal-live                      2,000 outcome pages open at once
//! cargo bench -p borsellino-tests -- portal-phone                     the portal on a slow phone and a slow line
//! ```

// Ratios and rates, never money.
#![allow(clippy::float_arithmetic)]
// A program that nobody links against.
#![allow(missing_docs)]

mod batch;
mod home;
mod load;
mod mixed;
mod pgbench;
mod phone;
mod portal;
mod product;
mod push;
mod receipts;
mod report;
mod start;
mod town;

use std::path::Path;

use anyhow::{Context, bail};
use borsellino_tests::postgres::{Options, Server};

/// The internal call by which this program is its own peer.
const ONE_EACH: &str = "one-each";

/// The internal call that keeps a processor awake.
const AWAKE: &str = "awake";

/// What runs only where it is named, for it takes long.
const LOAD: &str = "load";

/// The same.
const PUSH: &str = "push";

/// The same.
const BATCH: &str = "batch";

/// What runs only where it is named: the app core is no part of the server's promises.
const PHONE: &str = "phone";

/// The same, for the portal: a browser may be needed.
const PORTAL: [&str; 4] = ["portal-home", "portal-lookup", "portal-live", "portal-phone"];

const ALL: [&str; 5] = ["start", "home-sqlite", "home-postgres", "receipts-sqlite", "receipts-postgres"];

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// Rounds, of which the median counts.
    rounds: u64,
    /// Receipts a round: a multiple of 64.
    receipts: u64,
    /// Seconds of TPC-B a round.
    seconds: u64,
    /// Seconds of Home a round.
    home_seconds: u64,
    /// TPC-B's scale.
    scale: u64,
    /// Starts of the demo.
    starts: u64,
    /// Pushes a round.
    pushes: u64,
    /// Tries of each case a round.
    tries: u64,
    /// What their order is drawn from.
    seed: u64,
    /// Outcome pages that are open at once.
    pages: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == [AWAKE] {
        product::stay_awake();
        return Ok(());
    }
    if let [first, file] = arguments.as_slice()
        && first == ONE_EACH
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return runtime.block_on(receipts::serve_one_each(Path::new(file)));
    }
    let mut sizes = Sizes {
        rounds: 3,
        receipts: 8_192,
        seconds: 5,
        home_seconds: 2,
        scale: 100,
        starts: 5,
        pushes: 20_000,
        tries: 1_000,
        seed: fastrand::u64(..1_000_000),
        pages: 2_000,
    };
    let mut mix = mixed::Options::default();
    let mut chosen = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut number = || -> anyhow::Result<u64> { Ok(arguments.next().context("a number is missing")?.parse()?) };
        match argument.as_str() {
            // Cargo says so.
            "--bench" => {}
            "--rounds" => sizes.rounds = number()?.max(1),
            "--receipts" => sizes.receipts = number()?.max(64) / 64 * 64,
            "--scale" => sizes.scale = number()?.max(1),
            "--seconds" => {
                sizes.seconds = number()?.max(1);
                sizes.home_seconds = sizes.seconds;
                mix.seconds = Some(sizes.seconds);
            }
            "--rate" => mix.rate = Some(number()?.max(1)),
            "--streams" => mix.streams = number()?.min(town::GUARDIANS),
            "--connections" => mix.connections = number()?.max(1),
            "--find" => mix.find = true,
            "--sqlite" => mix.sqlite = true,
            "--pushes" => sizes.pushes = number()?.max(1),
            "--tries" => sizes.tries = number()?.max(1),
            "--seed" => sizes.seed = number()?,
            "--pages" => sizes.pages = number()?.clamp(1, portal::MOST_PAGES),
            LOAD | PHONE | PUSH | BATCH => chosen.push(argument),
            name if PORTAL.contains(&name) => chosen.push(argument),
            name if ALL.contains(&name) => chosen.push(name.to_owned()),
            other => bail!(
                "{other}? One of {}, {LOAD}, {PHONE}, {PUSH}, {BATCH}, {}, --rounds N, --receipts N, --seconds N, --scale N, \
                 --pushes N, --tries N, --seed N, --pages N; for {LOAD} also --rate N, --streams N, --connections N, --find, --sqlite",
                ALL.join(", "),
                PORTAL.join(", ")
            ),
        }
    }
    // One thread: the load shares two cores with what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("load average before: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    for name in ALL.into_iter().filter(|name| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name)) {
        match name {
            "start" => start::start(sizes)?,
            "home-sqlite" => runtime.block_on(home::sqlite(sizes))?,
            "home-postgres" => runtime.block_on(home::postgres(sizes))?,
            "receipts-sqlite" => runtime.block_on(receipts::sqlite(sizes))?,
            _ => runtime.block_on(receipts::postgres(sizes))?,
        }
    }
    if chosen.iter().any(|chosen| chosen == LOAD) {
        runtime.block_on(mixed::run(mix))?;
    }
    if chosen.iter().any(|chosen| chosen == PUSH) {
        push::run(sizes)?;
    }
    if chosen.iter().any(|chosen| chosen == BATCH) {
        runtime.block_on(batch::run(sizes))?;
    }
    if chosen.iter().any(|chosen| chosen == PHONE) {
        runtime.block_on(phone::run())?;
    }
    for name in PORTAL.into_iter().filter(|name| chosen.iter().any(|chosen| chosen == name)) {
        runtime.block_on(portal::run(name, sizes))?;
    }
    println!("load average after: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    Ok(())
}

/// A PostgreSQL with every safety on.
fn durable() -> anyhow::Result<Server> {
    Server::start(Options { durable: true })
}
