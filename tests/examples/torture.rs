//! `tests/torture`: every disaster in its long form (or `--short`, or a part of it), one after the other, with a tally.
//!
//! ```text
//! torture [--long | --short | --part N] [--seed N] [--only WORD]
//! ```
//!
//! `--part N` does an Nth of the long form, `--only` the disasters whose name holds the word. Ends with 1 where anything
//! was lost, doubled, late or wrong.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use borsellino_tests::torture::{Disaster, Form, Orders, Tally, torture};

struct Wishes {
    form: Form,
    part: u64,
    seed: u64,
    only: String,
}

impl Wishes {
    fn read(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut wishes = Self { form: Form::Long, part: 1, seed: 1, only: String::new() };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--long" => wishes.form = Form::Long,
                "--short" => wishes.form = Form::Short,
                "--part" => wishes.part = value()?.parse()?,
                "--seed" => wishes.seed = value()?.parse()?,
                "--only" => wishes.only = value()?.to_lowercase(),
                _ => bail!("{argument}? torture [--long | --short | --part N] [--seed N] [--only WORD]"),
            }
        }
        ensure!(wishes.part > 0, "--part 0 would be more than everything");
        Ok(wishes)
    }
}

/// The server, which stands beside the folder of this example.
fn program() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let program = exe.parent().and_then(|folder| folder.parent()).context("the profile's folder")?.join("borsellino");
    ensure!(program.exists(), "{} is not built: start tests/torture instead", program.display());
    Ok(program)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    let wishes = Wishes::read(std::env::args().skip(1))?;
    let (orders, begun) = (Orders { program: program()?, seed: wishes.seed }, Instant::now());
    println!("seed {}\n{}", wishes.seed, Tally::header());
    let mut all = Tally { name: "total".to_owned(), ..Tally::default() };
    let mut broken = 0;
    for disaster in Disaster::ALL {
        for engine in disaster.engines() {
            let name = format!("{disaster}, {engine}");
            if !name.to_lowercase().contains(&wishes.only) {
                continue;
            }
            let times = (disaster.times(wishes.form) / wishes.part).max(1);
            match torture(disaster, *engine, times, &orders).await {
                Ok(tally) => {
                    println!("{tally}");
                    broken += usize::from(!tally.is_clean());
                    all.add(&tally);
                }
                Err(error) => {
                    println!("{name}: {error:#}");
                    broken += 1;
                }
            }
        }
    }
    all.took = begun.elapsed();
    println!("{all}");
    if broken > 0 {
        println!("\n{broken} disasters left something behind.");
        return Ok(ExitCode::FAILURE);
    }
    println!("\nNothing was lost, nothing doubled, every cent is where it belongs.");
    Ok(ExitCode::SUCCESS)
}
