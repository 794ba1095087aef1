//! What was counted while something terrible happened, one line per disaster.

use std::fmt;
use std::time::Duration;

/// What one disaster did.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Which, and on which engine.
    pub name: String,
    /// How often it struck.
    pub times: u64,
    /// Messages sent.
    pub calls: u64,
    /// Receipts acknowledged, each counted once.
    pub acknowledged: u64,
    /// Answers that said "not now": a SOAP Fault to a receipt, `PAA_SYSTEM_ERROR` to a question.
    pub not_now: u64,
    /// Messages without a whole answer: refused, cut off, hung up.
    pub cut: u64,
    /// Deliveries after the first of the same receipt.
    pub redelivered: u64,
    /// Receipts acknowledged that are not in the database, or never acknowledged at all.
    pub lost: u64,
    /// Receipts booked more than once.
    pub double: u64,
    /// Cents by which what was paid and what was booked differ, over every receipt, account and queue.
    pub cents_off: u64,
    /// The longest answer.
    pub longest: Duration,
    /// Answers after the deadline.
    pub late: u64,
    /// How long it took.
    pub took: Duration,
    /// Whatever else is wrong, in sentences.
    pub complaints: Vec<String>,
}

impl Tally {
    /// Whether nothing was lost, doubled, late or wrong.
    pub fn is_clean(&self) -> bool {
        (self.lost, self.double, self.cents_off, self.late) == (0, 0, 0, 0) && self.complaints.is_empty()
    }

    /// Adds what another counted, without its complaints.
    pub fn add(&mut self, other: &Self) {
        self.times += other.times;
        self.calls += other.calls;
        self.acknowledged += other.acknowledged;
        self.not_now += other.not_now;
        self.cut += other.cut;
        self.redelivered += other.redelivered;
        self.lost += other.lost;
        self.double += other.double;
        self.cents_off += other.cents_off;
        self.late += other.late;
        self.longest = self.longest.max(other.longest);
    }

    /// The heads of the columns that [`Tally`] prints.
    pub fn header() -> String {
        format!(
            "{:<32}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>6}{:>8}{:>7}{:>9}{:>6}{:>7}",
            "disaster",
            "times",
            "calls",
            "acked",
            "not now",
            "cut",
            "again",
            "lost",
            "double",
            "cents",
            "longest",
            "late",
            "took"
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<32}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>6}{:>8}{:>7}{:>6} ms{:>6}{:>5} s",
            self.name,
            self.times,
            self.calls,
            self.acknowledged,
            self.not_now,
            self.cut,
            self.redelivered,
            self.lost,
            self.double,
            self.cents_off,
            self.longest.as_millis(),
            self.late,
            self.took.as_secs()
        )?;
        self.complaints.iter().try_for_each(|complaint| write!(f, "\n    {complaint}"))
    }
}
