//! What came of the calls, and when the phones were told.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::node::Operation;
use crate::report::{Limit, judge, millis, note, quantile};
use crate::town::WALLETS;

/// For each wallet, when its receipts were answered OK and when a phone was told of its movements. The first movement
/// that a phone learns of belongs to the first receipt that was answered: where two of one wallet are under way at once
/// their times may be exchanged, which changes no sum.
#[derive(Debug)]
pub(crate) struct Told(Mutex<Vec<Wallet>>);

#[derive(Clone, Debug, Default)]
struct Wallet {
    accepted: Vec<Instant>,
    told: Vec<Instant>,
}

impl Told {
    pub(crate) fn new() -> Self {
        Self(Mutex::new((0..WALLETS).map(|_| Wallet::default()).collect()))
    }

    fn with<T>(&self, wallet: u64, body: impl FnOnce(&mut Wallet) -> T) -> Option<T> {
        let mut wallets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wallets.get_mut(usize::try_from(wallet).ok()?).map(body)
    }

    /// A receipt that fills this wallet was answered OK.
    pub(crate) fn accepted(&self, wallet: u64) {
        let now = Instant::now();
        self.with(wallet, |wallet| wallet.accepted.push(now));
    }

    /// A phone was told of the wallet's movements up to this one.
    pub(crate) fn told(&self, wallet: u64, movements: i64) {
        let now = Instant::now();
        self.with(wallet, |wallet| {
            while i64::try_from(wallet.told.len()).is_ok_and(|told| told < movements) {
                wallet.told.push(now);
            }
        });
    }

    /// Receipts that were accepted and that no phone knows of yet.
    pub(crate) fn awaited(&self) -> usize {
        let wallets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wallets.iter().map(|wallet| wallet.accepted.len().saturating_sub(wallet.told.len())).sum()
    }

    /// From OK to the phone, in milliseconds, of what was accepted in this time.
    fn delays(&self, from: Instant, to: Instant) -> Vec<f64> {
        let wallets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = wallets.iter().flat_map(|wallet| wallet.accepted.iter().zip(&wallet.told));
        let counts = pairs.filter(|(accepted, _)| (from..to).contains(*accepted));
        // A phone may know before the Node has its answer.
        counts.map(|(accepted, told)| millis(told.saturating_duration_since(*accepted))).collect()
    }
}

/// What came of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) operation: Operation,
    /// From when it was due.
    pub(crate) took: Duration,
    pub(crate) outcome: Outcome,
}

/// How a call was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Ok,
    Ko,
    Fault,
    /// The connection broke, or nothing came.
    Nothing,
}

/// The answers of one window.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) rate: u64,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    pub(crate) answers: Vec<Answer>,
    /// How late the generator itself was with each call, in milliseconds.
    pub(crate) lag: Vec<f64>,
}

impl Tally {
    /// The part that was answered OK within the time.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub(crate) fn share_in_time(&self) -> f64 {
        let in_time = |answer: &&Answer| answer.outcome == Outcome::Ok && answer.took <= super::IN_TIME;
        let kept = self.answers.iter().filter(in_time).count();
        kept as f64 / self.answers.len().max(1) as f64
    }

    pub(crate) fn print(&self, told: &Told) {
        note("calls that were due", self.answers.len());
        note("calls a second", self.rate);
        note("the generator's own delay, p99, ms", format!("{:.1}", quantile(&self.lag, 0.99)));
        println!(
            "  {:<22}{:>9}{:>11}{:>9}{:>9}{:>9}{:>9}{:>9}",
            "", "calls", "in 2 s, %", "p50, ms", "p99", "p99.9", "most", "not OK"
        );
        for operation in Operation::ALL {
            self.line(operation.name(), |answer| answer.operation == operation);
        }
        self.line("all", |_| true);
        let mut others: BTreeMap<Outcome, usize> = BTreeMap::new();
        for answer in self.answers.iter().filter(|answer| answer.outcome != Outcome::Ok) {
            *others.entry(answer.outcome).or_default() += 1;
        }
        for (outcome, count) in others {
            note(&format!("answered with {outcome:?}"), count);
        }
        let delays = told.delays(self.from, self.to);
        note("receipts whose event came to a phone", delays.len());
        note("receipts whose event did not come", told.awaited());
        note("from OK to the event, p50, ms", format!("{:.1}", quantile(&delays, 0.5)));
        note("from OK to the event, p99, ms", format!("{:.1}", quantile(&delays, 0.99)));
        judge("share answered within 2 s", &[self.share_in_time() * 100.0], " %", Limit::AtLeast(99.0));
    }

    #[expect(clippy::cast_precision_loss, reason = "a share")]
    fn line(&self, name: &str, of: impl Fn(&Answer) -> bool) {
        let these: Vec<&Answer> = self.answers.iter().filter(|answer| of(answer)).collect();
        let ok = these.iter().filter(|answer| answer.outcome == Outcome::Ok).count();
        let in_time = these.iter().filter(|a| a.outcome == Outcome::Ok && a.took <= super::IN_TIME).count();
        let took: Vec<f64> = these.iter().map(|answer| millis(answer.took)).collect();
        let [p50, p99, p999, most] = [0.5, 0.99, 0.999, 1.0].map(|at| quantile(&took, at));
        let share = 100.0 * in_time as f64 / these.len().max(1) as f64;
        println!(
            "  {name:<22}{:>9}{share:>11.3}{p50:>9.1}{p99:>9.1}{p999:>9.1}{most:>9.1}{:>9}",
            these.len(),
            these.len() - ok
        );
    }
}
