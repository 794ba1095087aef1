//! How long it takes to refuse a document made to hurt, and how much memory. A program of its own, because it counts
//! what it allocates, which would slow the others.
//!
//! ```text
//! cargo bench -p borsellino-tests --bench hostile                 every document, the worst five
//! cargo bench -p borsellino-tests --bench hostile -- --all        each with its time and memory
//! ```

// Ratios and rates, never money.
#![allow(clippy::float_arithmetic)]
// A program that nobody links against.
#![allow(missing_docs)]

#[allow(dead_code, reason = "the other benches print more")]
#[path = "numbers/report.rs"]
mod report;

use std::hint::black_box;
use std::time::Instant;

use anyhow::ensure;
use borsellino_tests::hostile::{Hostile, documents};
use peak_alloc::PeakAlloc;

use crate::report::{Limit, heading, judge, median, millis, note};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// How often each is refused.
const RUNS: usize = 9;

const MIB: f64 = 1_048_576.0;

/// What refusing one took.
struct Cost {
    name: String,
    /// In milliseconds, each run.
    times: Vec<f64>,
    bytes: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let all = arguments == ["--all"];
    if !all && !arguments.is_empty() {
        // They are for the other benches, which cargo starts with the same words.
        return Ok(());
    }
    println!("load average before: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    heading("Documents made to hurt, refused");
    let mut costs = documents().iter().map(measure).collect::<anyhow::Result<Vec<_>>>()?;
    note("documents", costs.len());
    costs.sort_by_key(|cost| std::cmp::Reverse(cost.bytes));
    let bytes = costs.first().map_or(0, |cost| cost.bytes);
    tell("most memory", &costs, all);
    costs.sort_by(|a, b| median(&b.times).total_cmp(&median(&a.times)));
    let times = costs.first().map_or(Vec::new(), |cost| cost.times.clone());
    tell("most time", &costs, false);
    let worst = costs.iter().flat_map(|cost| &cost.times).copied().fold(0.0, f64::max);
    note("the slowest run of all, ms", format!("{worst:.2}"));
    judge("the slowest refusal", &times, " ms", Limit::AtMost(10.0));
    judge("the one of most memory", &[mib(bytes)], " MiB", Limit::AtMost(4.0));
    println!("load average after: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    Ok(())
}

fn measure(document: &Hostile) -> anyhow::Result<Cost> {
    // What is made once and stays is not the document's.
    ensure!(document.refusal().is_ok(), "{} passes", document.name);
    let mut times = Vec::with_capacity(RUNS);
    let mut bytes = 0;
    for _ in 0..RUNS {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let begun = Instant::now();
        drop(black_box(document.refusal()));
        times.push(millis(begun.elapsed()));
        bytes = bytes.max(MEMORY.peak_usage().saturating_sub(before));
    }
    Ok(Cost { name: document.name.clone(), times, bytes })
}

fn tell(what: &str, costs: &[Cost], all: bool) {
    println!("  {what}:");
    for Cost { name, times, bytes } in costs.iter().take(if all { usize::MAX } else { 5 }) {
        println!("    {:>8.2} ms {:>8.3} MiB  {name}", median(times), mib(*bytes));
    }
}

#[expect(clippy::cast_precision_loss, reason = "some megabytes")]
fn mib(bytes: usize) -> f64 {
    bytes as f64 / MIB
}
