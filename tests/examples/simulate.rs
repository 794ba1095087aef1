//! Long simulations: many seeds and years, one seed again with everything that happened, and every planted bug.
//!
//! ```text
//! cargo run --release -p borsellino-tests --example simulate                    twenty seeds, a school year each
//! cargo run --release -p borsellino-tests --example simulate -- --seed 7 --log  one seed, line by line
//! cargo run --release -p borsellino-tests --example simulate -- bugs            every planted bug, until it is found
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{anyhow, bail, ensure};
use borsellino_tests::simulation::bugs::{BUGS, hunt};
use borsellino_tests::simulation::{Options, run};
use clap::{Parser, Subcommand};
use rustix::thread::{CpuSet, sched_setaffinity};

#[derive(Parser)]
#[command(about = "Simulates school years and holds the server's books against an oracle's.")]
struct Arguments {
    /// Only this seed; else the first ones.
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// How many seeds.
    #[arg(long, default_value_t = 20, global = true)]
    seeds: u64,
    /// How many school years each, on the same database.
    #[arg(long, default_value_t = 1, global = true)]
    years: usize,
    /// How many families at the beginning.
    #[arg(long, default_value_t = 24, global = true)]
    families: usize,
    /// The small town of the tests instead, for one short term.
    #[arg(long, global = true)]
    term: bool,
    /// Prints what happened, line by line.
    #[arg(long, global = true)]
    log: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Plants every bug, one after the other, and looks for it with one seed after the other.
    Bugs {
        /// Only this one, and what was found in full.
        name: Option<String>,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match &arguments.what {
        Some(What::Bugs { name }) => bugs(&arguments, name.as_deref()).await,
        None => years(&arguments).await,
    }
}

impl Arguments {
    fn seeds(&self) -> std::ops::Range<u64> {
        self.seed.map_or(1..1 + self.seeds, |seed| seed..seed + 1)
    }

    fn options(&self, seed: u64) -> Options {
        if self.term {
            return Options::term(seed);
        }
        Options { years: self.years, families: self.families, ..Options::year(seed) }
    }
}

/// Simulates the years, one to a processor at a time.
async fn years(arguments: &Arguments) -> anyhow::Result<()> {
    let (begun, next) = (Instant::now(), AtomicU64::new(arguments.seeds().start));
    let work = |processor: usize| -> anyhow::Result<usize> {
        stay_on(processor);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut days = 0;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= arguments.seeds().end {
                return Ok(days);
            }
            days += runtime.block_on(year(arguments, seed))?;
        }
    };
    let workers = std::thread::available_parallelism()?.get();
    let days = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|processor| scope.spawn(move || work(processor))).collect();
        workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a simulation panicked"))?).sum()
    });
    let (days, took): (anyhow::Result<usize>, _) = (days, begun.elapsed());
    println!("{} school days in {took:.2?}: no cent is elsewhere than it must be", days?);
    Ok(())
}

/// Keeps this thread, and those that it starts, on one processor. A year goes from thread to thread with every statement,
/// and to wake one on another processor costs more than the statement; where it can't be done, it only takes longer.
fn stay_on(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    let _ = sched_setaffinity(None, &set);
}

async fn year(arguments: &Arguments, seed: u64) -> anyhow::Result<usize> {
    let begun = Instant::now();
    let tally = match run(arguments.options(seed), None).await? {
        Ok(tally) => tally,
        Err(finding) => {
            println!("seed {seed}: {finding}");
            bail!("server and oracle disagree");
        }
    };
    let took = begun.elapsed();
    if arguments.log {
        tally.log.iter().for_each(|line| println!("{line}"));
        tally.kinds.iter().for_each(|(kind, times)| println!("{times:>7} {kind}"));
    }
    println!(
        "seed {seed:<4} {} days, {} entries, {} receipts, {} messages, {}.{:02} euro: sound, in {took:.2?}",
        tally.days,
        tally.entries,
        tally.receipts,
        tally.messages,
        tally.collected / 100,
        tally.collected % 100
    );
    Ok(tally.days)
}

async fn bugs(arguments: &Arguments, only: Option<&str>) -> anyhow::Result<()> {
    let mut missed = Vec::new();
    let begun = Instant::now();
    let chosen = BUGS.iter().filter(|bug| only.is_none_or(|name| bug.name == name));
    let mut looked = 0;
    for bug in chosen {
        looked += 1;
        let hunted = hunt(bug, arguments.seeds(), Options::term).await?;
        println!("{hunted}");
        match hunted.found {
            Some((seed, ..)) if only.is_some() => {
                if let Err(finding) = run(Options::term(seed), Some(bug)).await? {
                    println!("{finding}");
                }
            }
            Some(_) => {}
            None => missed.push(bug.name),
        }
    }
    ensure!(missed.is_empty(), "not found: {}", missed.join(", "));
    ensure!(looked > 0, "there is no such bug");
    println!("{looked} bugs, all found, in {:.2?}", begun.elapsed());
    Ok(())
}
