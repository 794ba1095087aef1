//! What a bench prints: lines of measurements, and ratios held against their limits.

use std::time::Duration;

/// Which side of its limit a number has to stay on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

/// Prints a heading.
pub(crate) fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}

/// Prints a measurement that has no limit.
pub(crate) fn note(what: &str, value: impl std::fmt::Display) {
    println!("  {what:<58} {value:>18}");
}

/// Prints a number beside its limit; `runs` are its rounds, of which the median counts.
pub(crate) fn judge(what: &str, runs: &[f64], unit: &str, limit: Limit) {
    let value = median(runs);
    let (kept, words) = match limit {
        Limit::AtLeast(least) => (value >= least, format!("at least {least}{unit}")),
        Limit::AtMost(most) => (value <= most, format!("at most {most}{unit}")),
    };
    let (low, high) = (quantile(runs, 0.0), quantile(runs, 1.0));
    let verdict = if kept { "kept" } else { "MISSED" };
    println!("> {what:<58} {value:>8.2}{unit} ({low:.2}..{high:.2})  {words}: {verdict}");
}

/// The middle value; 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which the part `at` (0 to 1) of the values lie; 0 of nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
pub(crate) fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len().saturating_sub(1) as f64 * at).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

/// The ratio of each round.
pub(crate) fn ratios(ours: &[f64], peer: &[f64]) -> Vec<f64> {
    ours.iter().zip(peer).map(|(ours, peer)| ours / peer).collect()
}

/// How many a second.
#[expect(clippy::cast_precision_loss, reason = "a rate")]
pub(crate) fn rate(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// In milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
