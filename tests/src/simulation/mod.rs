//! A seeded, replayable simulation of school years: families enrol, eat, top up and are billed in two municipalities,
//! pagoPA delivers receipts late, twice, contradicting and to both, the office decides, the server restarts and its
//! database fails. The server's own use cases and its Node's door run on SQLite in memory; beside them an oracle
//! (`books`) says what must come of it. What both say is compared with every answer and every week.
//!
//! ```text
//! Dice --seed--> the days (mod), what people do (life), what the Node delivers (post), what the office does (office)
//!                  |-> Books: what must be so                 \
//!                  \-> World: the server, on SQLite in memory --> compare
//! ```
//!
//! One seed decides everything; the clock is the simulation's. Ids and notice numbers are drawn by the server from the
//! system's chance, so the log calls things by their place instead, and the same seed writes the same log.
//!
//! What the simulation is worth is measured by planting bugs ([`bugs`]): it has to find each of them.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "places in the simulation's own lists")]

mod books;
pub mod bugs;
mod compare;
mod dice;
mod life;
mod office;
mod post;
mod town;
mod world;

use std::collections::BTreeMap;
use std::fmt;

use borsellino_store::StoreError;
use jiff::Timestamp;
use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;

use self::books::{Books, Wish};
use self::bugs::{Bug, Plant};
use self::dice::Dice;
use self::post::{Letter, Wire};
use self::town::Ids;
use self::world::World;
use crate::house::node::Receipt;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How large a simulation is, and what decides it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Decides everything.
    pub seed: u64,
    /// How many families live in both municipalities at the beginning.
    pub families: usize,
    /// How many school days a year has.
    pub days: usize,
    /// How many school years, one after the other on the same database.
    pub years: usize,
    /// How many things happen on a school day, about.
    pub events: usize,
    /// After how many weeks server and oracle are compared.
    pub compare_every: usize,
    /// After how many of those the whole ledger is verified again.
    pub verify_every: usize,
}

impl Options {
    /// A school year of two dozen families.
    pub const fn year(seed: u64) -> Self {
        Self { seed, families: 24, days: 200, years: 1, events: 12, compare_every: 4, verify_every: 3 }
    }

    /// A small town and a short term in which much happens: for builds without optimisation.
    pub const fn term(seed: u64) -> Self {
        Self { seed, families: 5, days: 25, years: 1, events: 20, compare_every: 1, verify_every: 1 }
    }
}

/// What a simulation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What happened, one line each.
    pub log: Vec<String>,
    /// School days.
    pub days: usize,
    /// Messages of the Node that were answered.
    pub messages: usize,
    /// Receipts kept.
    pub receipts: usize,
    /// Entries of the ledgers.
    pub entries: i64,
    /// What receipts brought, in cents.
    pub collected: i64,
    /// How often each kind of thing happened.
    pub kinds: BTreeMap<&'static str, usize>,
}

/// The server and the oracle disagree.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What showed it; several where the same comparison showed several.
    pub checks: Vec<&'static str>,
    /// What was expected and what was found, a line each.
    pub what: Vec<String>,
    /// The simulated day, counted from 1, and its date.
    pub day: (usize, Date),
    /// What happened until then.
    pub log: Vec<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "found on day {} ({}) by {}:", self.day.0, self.day.1, self.checks.join(", "))?;
        for line in &self.what {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "what happened before:")?;
        let last = self.log.len().saturating_sub(40);
        self.log[last..].iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// How a simulation ended.
pub type Outcome = Result<Tally, Box<Finding>>;

/// What a check found: its name and the difference.
type Difference = (&'static str, String);

/// Why a simulation stops.
#[derive(Debug)]
enum Stop {
    Found(Vec<Difference>),
    Ground(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Ground(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Found(vec![("fault", format!("the store failed: {error}"))])
    }
}

/// One difference.
fn found(check: &'static str, what: impl Into<String>) -> Stop {
    Stop::Found(vec![(check, what.into())])
}

/// A simulation under way.
struct Simulation {
    options: Options,
    dice: Dice,
    world: World,
    books: Vec<Books>,
    ids: Vec<Ids>,
    wire: Wire,
    desk: bugs::Desk,
    /// Receipts on their way, by when they arrive.
    letters: BTreeMap<(i64, u64), Letter>,
    next: u64,
    /// Receipts that arrived, to be delivered again.
    past: Vec<Receipt>,
    /// What parents asked for, to be asked again.
    wishes: Vec<(usize, Wish)>,
    now: i64,
    /// By how much the server's clock is off.
    skew: i64,
    day: (usize, Date),
    tally: Tally,
}

/// Runs a simulation, with a bug planted or without.
///
/// # Errors
/// Where the ground is missing: no database, no port.
pub async fn run(options: Options, bug: Option<&Bug>) -> anyhow::Result<Outcome> {
    let first = date(2026, 9, 1);
    let now = midnight(first)?;
    let plant = bug.map(|bug| bug.plant);
    let clock_off = if let Some(Plant::Clock(millis)) = plant { millis } else { 0 };
    let mut simulation = Simulation {
        options,
        dice: Dice::new(options.seed),
        world: World::open(now, clock_off).await?,
        books: Vec::new(),
        ids: Vec::new(),
        wire: Wire::new(plant),
        desk: if let Some(Plant::Desk(desk)) = plant { desk } else { |_, _| {} },
        letters: BTreeMap::new(),
        next: 0,
        past: Vec::new(),
        wishes: Vec::new(),
        now,
        skew: 0,
        day: (0, first),
        tally: Tally::default(),
    };
    let outcome = simulation.all(plant).await;
    let Simulation { world, mut tally, books, day, .. } = simulation;
    world.close().await?;
    tally.receipts = books.iter().map(|books| books.receipts.len()).sum();
    tally.entries = books.iter().map(|books| books.entries).sum();
    tally.collected = books.iter().map(|books| books.collected).sum();
    match outcome {
        Ok(()) => Ok(Ok(tally)),
        Err(Stop::Ground(error)) => Err(error),
        Err(Stop::Found(differences)) => {
            let (mut checks, mut what) = (Vec::new(), Vec::new());
            for (check, difference) in differences {
                if !checks.contains(&check) {
                    checks.push(check);
                }
                what.push(format!("{check}: {difference}"));
            }
            Ok(Err(Box::new(Finding { checks, what, day, log: tally.log })))
        }
    }
}

/// The first instant of a day in Italy.
fn midnight(day: Date) -> anyhow::Result<i64> {
    Ok(day.to_zoned(TimeZone::get("Europe/Rome")?)?.timestamp().as_millisecond())
}

impl Simulation {
    async fn all(&mut self, plant: Option<Plant>) -> Result<(), Stop> {
        self.found_towns().await?;
        if let Some(Plant::Sql(statements)) = plant {
            for statement in statements {
                self.world.execute(statement).await?;
            }
        }
        let mut today = self.day.1;
        for year in 0..self.options.years {
            if year > 0 {
                today = date(self.school_year() + 1, 9, 1);
                self.day.1 = today;
                self.at(midnight(today)?).await?;
                self.new_year().await?;
            }
            self.one_year(&mut today).await?;
        }
        self.deliver_everything().await?;
        // The last letter may have come months later.
        self.sign_in_again().await?;
        self.compare(true).await
    }

    async fn one_year(&mut self, today: &mut Date) -> Result<(), Stop> {
        let (mut left, mut weeks) = (self.options.days, 0);
        while left > 0 {
            let school = !matches!(today.weekday(), Weekday::Saturday | Weekday::Sunday);
            self.day.1 = *today;
            if school {
                self.day.0 += 1;
                left -= 1;
            }
            self.one_day(*today, school).await?;
            if today.weekday() == Weekday::Sunday || left == 0 {
                weeks += 1;
                if left == 0 || weeks % self.options.compare_every == 0 {
                    self.compare(weeks % (self.options.compare_every * self.options.verify_every) == 0).await?;
                }
            }
            *today = today.tomorrow().map_err(anyhow::Error::from)?;
        }
        self.tally.days = self.day.0;
        Ok(())
    }

    /// A day: things happen at any time; on school days the meals are charged in the early afternoon.
    async fn one_day(&mut self, today: Date, school: bool) -> Result<(), Stop> {
        let start = midnight(today)?;
        let events = if school { self.options.events } else { self.options.events / 4 };
        let events = events / 2 + self.dice.below(events + 1);
        let mut times: Vec<i64> = (0..events).map(|_| self.dice.between(0, DAY - 2 * HOUR)).collect();
        times.sort_unstable();
        if today.day() == 1 || (self.day.0 == 1 && school) {
            self.at(start).await?;
            self.new_month(today).await?;
        }
        let lunch = 13 * HOUR;
        let mut eaten = !school;
        for time in times {
            if !eaten && time > lunch {
                eaten = true;
                self.at(start + lunch).await?;
                self.meals(today).await?;
            }
            self.at(start + time).await?;
            self.something_happens().await?;
        }
        if !eaten {
            self.at(start + lunch).await?;
            self.meals(today).await?;
        }
        Ok(())
    }

    /// Lets time pass; what arrives until then is delivered.
    async fn at(&mut self, time: i64) -> Result<(), Stop> {
        while let Some(entry) = self.letters.first_entry()
            && entry.key().0 <= time
        {
            let ((due, _), letter) = entry.remove_entry();
            self.now = self.now.max(due);
            self.set_clock();
            self.deliver(letter).await?;
        }
        self.now = self.now.max(time);
        self.set_clock();
        Ok(())
    }

    /// What is still on its way arrives.
    async fn deliver_everything(&mut self) -> Result<(), Stop> {
        while let Some(((last, _), _)) = self.letters.last_key_value() {
            let last = *last;
            self.at(last).await?;
        }
        Ok(())
    }

    fn set_clock(&self) {
        self.world.set_clock(self.server_time());
    }

    /// What the server takes for the time.
    fn server_time(&self) -> i64 {
        self.now + self.skew
    }

    /// Writes a line of the log, and counts it.
    fn log(&mut self, kind: &'static str, what: impl fmt::Display) {
        *self.tally.kinds.entry(kind).or_default() += 1;
        let at = Timestamp::from_millisecond(self.now).unwrap_or_default();
        self.tally.log.push(format!("{at:.0} {kind}: {what}"));
    }

    /// The calendar year in which the school year began.
    fn school_year(&self) -> i16 {
        let day = self.day.1;
        if day.month() >= 9 { day.year() } else { day.year() - 1 }
    }

    /// One of both municipalities.
    fn some_town(&mut self) -> usize {
        self.dice.below(self.books.len())
    }
}
