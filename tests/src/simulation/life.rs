//! What people do: they move in, eat, top up and open pages; clocks go wrong and servers restart between.

use std::collections::BTreeSet;

use borsellino_domain::id::TopUpId;
use borsellino_domain::money::Amount;
use borsellino_domain::service::LimitRefusal;
use borsellino_domain::top_up::{PayBy, PaymentState, TopUpOrder, TopUpRefusal};
use borsellino_server::usecases::Stop as Stopped;
use borsellino_server::usecases::pay::{PayRefusal, Started, pay_bill, start_top_up};
use jiff::civil::Date;
use uuid::Uuid;

use super::books::{Asked, Books, Wish};
use super::bugs::Meal;
use super::town::{self, TOWNS, letter};
use super::{DAY, HOUR, MINUTE, Simulation, Stop, found};

/// How a payment stands, in the oracle's words.
pub(super) fn standing(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Payable => "payable",
        PaymentState::InProgress { .. } => "in progress",
        PaymentState::NotCompleted => "not completed",
        PaymentState::Paid => "paid",
        PaymentState::Expired => "expired",
        PaymentState::Cancelled => "cancelled",
    }
}

/// A refusal, in the oracle's words.
fn refusal(refusal: PayRefusal) -> &'static str {
    match refusal {
        PayRefusal::Session(_) => "session",
        PayRefusal::TopUp(TopUpRefusal::UnknownWallet) | PayRefusal::UnknownTopUp | PayRefusal::UnknownBill => {
            "unknown"
        }
        PayRefusal::TopUp(TopUpRefusal::WalletClosed) => "closed",
        PayRefusal::TopUp(TopUpRefusal::IdReused) => "id reused",
        PayRefusal::TopUp(TopUpRefusal::Limit(limit)) => match limit {
            LimitRefusal::BelowMinimum(_) => "too little",
            LimitRefusal::AboveMaximum(_) => "too much",
            LimitRefusal::AboveWalletMaximum { .. } => "no room",
            LimitRefusal::TooManyOpen(_) => "too many open",
        },
        PayRefusal::BillSettled => "settled",
    }
}

impl Simulation {
    /// Both municipalities, with the families they begin with.
    pub(super) async fn found_towns(&mut self) -> Result<(), Stop> {
        for town in 0..TOWNS.len() {
            let (books, ids, steps) = town::found(town, self.now, &mut self.dice)?;
            self.books.push(books);
            self.ids.push(ids);
            town::write(&self.world.app.store, steps).await?;
        }
        self.world.app.directory.reload(&self.world.app.store).await?;
        for family in 0..self.options.families.max(TOWNS.len()) {
            self.family_moves_in(family % TOWNS.len()).await?;
        }
        Ok(())
    }

    async fn family_moves_in(&mut self, town: usize) -> Result<(), Stop> {
        let at = (self.server_time(), i64::from(self.school_year()));
        let steps = town::enrol(&mut self.books[town], &mut self.ids[town], at, &mut self.dice)?;
        town::write(&self.world.app.store, steps).await?;
        let (children, purses) = (self.books[town].children.len(), self.books[town].purses.len());
        self.log("enrolment", format!("{} has {children} children, {purses} purses now", letter(town)));
        Ok(())
    }

    /// September: some have left school, some begin, the others are enrolled again.
    pub(super) async fn new_year(&mut self) -> Result<(), Stop> {
        for town in 0..TOWNS.len() {
            for _ in 0..2 {
                self.close_purse(town).await?;
            }
            let year = i64::from(self.school_year());
            let steps = town::renew(&self.books[town], &self.ids[town], (self.now, year), &mut self.dice);
            town::write(&self.world.app.store, steps).await?;
            self.family_moves_in(town).await?;
        }
        Ok(())
    }

    /// The first of the month: everybody signs in again, bills go out.
    pub(super) async fn new_month(&mut self, today: Date) -> Result<(), Stop> {
        self.sign_in_again().await?;
        for town in 0..TOWNS.len() {
            for _ in 0..1 + self.options.families / 6 {
                self.bill_goes_out(town, today).await?;
            }
        }
        Ok(())
    }

    /// Sessions end when they are not used for long.
    pub(super) async fn sign_in_again(&mut self) -> Result<(), Stop> {
        let now = self.server_time();
        for ids in &mut self.ids {
            let mut steps = Vec::new();
            for who in &mut ids.parents {
                who.session = town::id(&mut self.dice, now);
                steps.push(town::sign_in(*who, now));
            }
            town::write(&self.world.app.store, steps).await?;
        }
        Ok(())
    }

    /// A bill over one child, or over two that may have different parents.
    async fn bill_goes_out(&mut self, town: usize, today: Date) -> Result<(), Stop> {
        let children = self.books[town].children.len();
        let first = self.dice.below(children);
        let mut lines = vec![(first, self.dice.between(1_000, 25_000))];
        if self.dice.percent(60) && first + 1 < children {
            lines.push((first + 1, self.dice.between(1, 9_000)));
        }
        let what = format!("{}/B{} over {lines:?}", letter(town), self.books[town].bills.len());
        let at = (self.server_time(), today.to_string());
        let (books, ids) = (&mut self.books[town], &mut self.ids[town]);
        let steps = town::bill(books, ids, (at.0, &at.1), lines, &mut self.dice)?;
        town::write(&self.world.app.store, steps).await?;
        self.log("bill issued", what);
        Ok(())
    }

    /// On a school day four of five children eat, some ride, few stay for the afternoon.
    pub(super) async fn meals(&mut self, today: Date) -> Result<(), Stop> {
        let (now, day) = (self.server_time(), today.to_string());
        for town in 0..TOWNS.len() {
            let mut meals = Vec::new();
            for purse in 0..self.books[town].purses.len() {
                let (cents, often) = self.ids[town].uses[purse];
                if !self.books[town].purses[purse].closed && self.dice.percent(often) {
                    self.books[town].charge(purse, cents);
                    meals.push(Meal { purse, cents });
                }
            }
            // Where a bug may be planted: what is booked is not what was eaten.
            (self.desk)(&mut meals, today);
            let heads = town::heads(&self.world.rows(town::HEADS, &self.books[town].code).await?)?;
            let ids = &self.ids[town];
            let charge = |meal: &Meal| (meal.purse, meal.cents, heads.get(&ids.purses[meal.purse].uuid()).copied());
            let steps = meals.iter().map(|meal| town::charge(ids, &mut self.dice, (now, &day), charge(meal)));
            let steps = steps.collect::<anyhow::Result<Vec<_>>>()?;
            town::write(&self.world.app.store, steps).await?;
        }
        Ok(())
    }

    /// One thing, chosen by chance.
    pub(super) async fn something_happens(&mut self) -> Result<(), Stop> {
        match self.dice.below(100) {
            0..22 => self.tap().await,
            22..28 => self.tap_again().await,
            28..52 => self.somebody_pays().await,
            52..56 => self.money_out_of_nowhere().await,
            56..61 => self.shared_payment().await,
            61..65 => self.another_delivery().await,
            65..68 => self.contradiction().await,
            68..71 => self.nonsense().await,
            71..75 => self.bill_page().await,
            75..78 => {
                let (town, today) = (self.some_town(), self.day.1);
                self.bill_goes_out(town, today).await
            }
            78..81 => self.by_hand().await,
            81..83 => {
                let town = self.some_town();
                self.close_purse(town).await
            }
            83..89 => self.office_decides().await,
            89..91 => self.restart().await,
            91..93 => self.a_clock_is_wrong().await,
            93..95 => self.at_the_last_moment().await,
            95..98 => self.crowd().await,
            98 if self.dice.percent(20) => {
                let town = self.some_town();
                self.family_moves_in(town).await
            }
            _ => self.somebody_looks().await,
        }
    }

    /// A parent taps a top-up: mostly a sensible one.
    async fn tap(&mut self) -> Result<(), Stop> {
        let town = self.some_town();
        let books = &self.books[town];
        let parent = self.dice.below(books.parents.len());
        let own = |purse: &usize| books.sees_purse(parent, *purse);
        let purses: Vec<usize> = (0..books.purses.len()).filter(own).collect();
        let Some(mut purse) = self.dice.pick(&purses).copied() else { return Ok(()) };
        // Those who have least top up most.
        if let Some(other) = self.dice.pick(&purses)
            && books.purses[*other].balance < books.purses[purse].balance
        {
            purse = *other;
        }
        if self.dice.percent(3) {
            purse = self.dice.below(books.purses.len());
        }
        let limits = books.purses[purse].limits;
        let cents = match self.dice.below(12) {
            0 => limits.most,
            1 => limits.least,
            2 => limits.least - 1,
            3 => limits.most + 1,
            4 => self.dice.between(1, 2 * limits.most),
            5 => books.room(purse, self.server_time()).unwrap_or(limits.least),
            _ => self.dice.between(limits.least, limits.most / 2),
        };
        let key = u128::from_be_bytes(self.dice.bytes());
        let wish = Wish { key, parent, purse, cents, online: self.dice.percent(50) };
        self.ask(town, wish).await?;
        self.wishes.push((town, wish));
        // The answer was lost: the phone asks again at once.
        if self.dice.percent(15) {
            self.ask(town, wish).await?;
        }
        Ok(())
    }

    /// A phone asks again for what it asked before, or for something else under the same key.
    async fn tap_again(&mut self) -> Result<(), Stop> {
        let recent = self.wishes.len().saturating_sub(40);
        let Some((town, wish)) = self.dice.pick(&self.wishes[recent..]).copied() else { return Ok(()) };
        let wish = match self.dice.below(6) {
            0 => Wish { cents: wish.cents + 1, ..wish },
            1 => Wish { online: !wish.online, ..wish },
            2 => Wish { parent: self.dice.below(self.books[town].parents.len()), ..wish },
            _ => wish,
        };
        self.ask(town, wish).await
    }

    async fn ask(&mut self, town: usize, wish: Wish) -> Result<(), Stop> {
        let Ok(amount) = Amount::from_cents(wish.cents) else { return Ok(()) };
        let (now, ids) = (self.server_time(), &self.ids[town]);
        let (who, wallet) = (ids.parents[wish.parent], ids.purses[wish.purse]);
        let pay_by = if wish.online { PayBy::Online } else { PayBy::Notice };
        let order = TopUpOrder { id: TopUpId::from(Uuid::from_u128(wish.key)), wallet, amount, pay_by };
        let down = wish.online && self.dice.percent(10);
        self.world.checkout_is_down(down);
        let answer = start_top_up(&self.world.app, who, order, None).await;
        self.world.checkout_is_down(false);

        let books = &mut self.books[town];
        let asked = books.ask(wish, now);
        let page = match asked {
            Asked::New(notice) | Asked::Again(notice) if wish.online && books.wants_page(notice, now) => {
                if !down {
                    books.open_page(notice, now);
                }
                !down
            }
            _ => true,
        };
        let place = format!(
            "{0}/G{1} {2}.{3:02} for {0}/P{4}",
            letter(town),
            wish.parent,
            wish.cents / 100,
            wish.cents % 100,
            wish.purse
        );
        let said = check_started(books, asked, (now, page), answer)?;
        self.log("tap", format!("{place}: {said}"));
        Ok(())
    }

    /// A parent wants to pay a bill online.
    async fn bill_page(&mut self) -> Result<(), Stop> {
        let town = self.some_town();
        let (books, now) = (&self.books[town], self.server_time());
        if books.bills.is_empty() {
            return Ok(());
        }
        let (parent, bill) = (self.dice.below(books.parents.len()), self.dice.below(books.bills.len()));
        // Mostly somebody who may.
        let child = books.bills[bill].lines[0].0;
        let parent = if self.dice.percent(80) { books.children[child][0] } else { parent };
        let expected = books.bill_page(parent, bill, now);
        let (who, id) = (self.ids[town].parents[parent], self.ids[town].bills[bill]);
        let said = match (expected, pay_bill(&self.world.app, who, id).await) {
            (Ok(new), Ok(page)) if page.page_url.is_some() => {
                if new {
                    let notice = self.books[town].next_part(bill);
                    self.books[town].open_page(notice, now);
                }
                if new { "a new page" } else { "the same page" }
            }
            (Err(no), Err(Stopped::Refused(its))) if refusal(its) == no => no,
            (expected, Ok(page)) => {
                let got = page.page_url;
                return Err(found("answer", format!("a page for a bill: expected {expected:?}, got {got:?}")));
            }
            (expected, Err(error)) => {
                return Err(found("answer", format!("a page for a bill: expected {expected:?}, got {error}")));
            }
        };
        self.log("bill page", format!("{0}/G{parent} for {0}/B{bill}: {said}", letter(town)));
        Ok(())
    }

    /// The server stops and starts again.
    async fn restart(&mut self) -> Result<(), Stop> {
        self.world.restart().await?;
        self.log("restart", "the server starts anew on the same database");
        Ok(())
    }

    /// The server's clock jumps by hours, or is set right.
    async fn a_clock_is_wrong(&mut self) -> Result<(), Stop> {
        self.skew = if self.skew == 0 { self.dice.between(-8, 8) * HOUR } else { 0 };
        self.set_clock();
        self.log("clock", format!("the server's clock is off by {} h", self.skew / HOUR));
        Ok(())
    }

    /// A notice is asked for just before, and just when, its time is over.
    async fn at_the_last_moment(&mut self) -> Result<(), Stop> {
        let town = self.some_town();
        let (now, open) = (self.server_time(), |books: &Books| {
            let its = books.notices.iter().filter(|notice| !notice.settled && !notice.withdrawn);
            its.filter_map(|notice| Some((notice.number.clone(), notice.end?))).collect::<Vec<_>>()
        });
        let near = |(_, end): &(String, i64)| (*end - now).abs() < 40 * DAY;
        let open: Vec<_> = open(&self.books[town]).into_iter().filter(near).collect();
        let Some((number, end)) = self.dice.pick(&open).cloned() else { return Ok(()) };
        let skew = self.skew;
        for moment in [end - 1, end, end - HOUR - MINUTE, end + HOUR] {
            self.skew = moment - self.now;
            self.set_clock();
            let _price = self.verify(town, &number).await?;
        }
        self.skew = skew;
        self.set_clock();
        Ok(())
    }

    /// A parent opens the app.
    async fn somebody_looks(&mut self) -> Result<(), Stop> {
        let town = self.some_town();
        let parent = self.dice.below(self.books[town].parents.len());
        let differences = self.home_differs(town, parent).await?;
        self.log("look", format!("{}/G{parent}", letter(town)));
        if differences.is_empty() { Ok(()) } else { Err(Stop::Found(differences)) }
    }

    /// Closes one of the open purses of a municipality, as long as most stay open.
    pub(super) async fn close_purse(&mut self, town: usize) -> Result<(), Stop> {
        let open: BTreeSet<usize> =
            (0..self.books[town].purses.len()).filter(|purse| !self.books[town].purses[*purse].closed).collect();
        if open.len() * 2 <= self.books[town].purses.len() {
            return Ok(());
        }
        let open: Vec<usize> = open.into_iter().collect();
        let Some(purse) = self.dice.pick(&open).copied() else { return Ok(()) };
        let step = town::close(&self.ids[town], purse, self.server_time());
        town::write(&self.world.app.store, vec![step]).await?;
        self.books[town].purses[purse].closed = true;
        self.log("purse closed", format!("{}/P{purse}", letter(town)));
        Ok(())
    }
}

/// Holds the answer to a tap against the books; answers it in words, and tells the books the notice's number.
fn check_started(
    books: &mut Books,
    asked: Asked,
    (now, page): (i64, bool),
    answer: Result<Started, Stopped<PayRefusal>>,
) -> Result<String, Stop> {
    let (notice, again) = match asked {
        Asked::New(notice) => (notice, false),
        Asked::Again(notice) => (notice, true),
        Asked::No(no) => {
            return match answer {
                Err(Stopped::Refused(its)) if refusal(its) == no => Ok(format!("no, {no}")),
                Err(error) => Err(found("answer", format!("a tap: expected no, {no}, got {error}"))),
                Ok(started) => {
                    Err(found("answer", format!("a tap: expected no, {no}, got {:?}", started.payment.state)))
                }
            };
        }
    };
    let started = answer.map_err(|error| found("answer", format!("a tap: expected N{notice}, got {error}")))?;
    let number = started.payment.notice.number.as_str();
    if !again {
        books.notices[notice].number = number.to_owned();
    }
    let its = &books.notices[notice];
    let wanted = (again, its.number.as_str(), its.cents, books.standing(notice, now), its.end, !page);
    let got = (
        started.replayed,
        number,
        started.payment.amount.cents(),
        standing(started.payment.state),
        started.payment.notice.expires_at.map(|end| end.get()),
        started.checkout_unavailable,
    );
    if wanted != got {
        return Err(found("answer", format!("a tap: expected {wanted:?}, got {got:?}")));
    }
    Ok(format!("N{notice}, {}{}", wanted.3, if again { ", again" } else { "" }))
}
