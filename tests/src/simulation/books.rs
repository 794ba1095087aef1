//! The oracle: one municipality's books, kept by a few lists and sums. It restates in its own words what money must do
//! (ARCHITECTURE.md, rules of money) and shares no rule, type or calendar function with the server, so that a mistake
//! would have to be made twice. It knows neither ids nor statements: things are named by their place in a list, notices
//! by their number, receipts by issuer and id.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How long pagoPA may still conclude a payment whose page was opened, in milliseconds.
const HALF_AN_HOUR: i64 = 30 * 60 * 1_000;

const DAY: i64 = 86_400_000;

/// What one municipality's money must be doing.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    /// Eleven digits.
    pub(super) code: String,
    /// For how many days a top-up's notice can be paid.
    pub(super) days: i64,
    pub(super) parents: Vec<Parent>,
    /// Whose parents see which child.
    pub(super) children: Vec<Vec<usize>>,
    pub(super) purses: Vec<Purse>,
    pub(super) bills: Vec<Bill>,
    pub(super) notices: Vec<Notice>,
    pub(super) wishes: Vec<(Wish, usize)>,
    pub(super) receipts: BTreeMap<(String, String), Kept>,
    pub(super) queue: Vec<Item>,
    /// Money whose place is not sure.
    pub(super) suspense: i64,
    /// What receipts brought, in all.
    pub(super) collected: i64,
    /// What services earned: charges and bills, minus what was carried over.
    pub(super) earned: i64,
    /// What the office took at its own counter.
    pub(super) counter: i64,
    /// How often it did something by hand.
    pub(super) acts: i64,
    /// How many times something was booked.
    pub(super) entries: i64,
    /// Messages for outside: payments, notices for pagoPA's archive.
    pub(super) payments_told: i64,
    pub(super) notices_told: i64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Parent {
    pub(super) children: Vec<usize>,
    /// How many changes they were told.
    pub(super) told: i64,
}

/// What a service allows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) least: i64,
    pub(super) most: i64,
    pub(super) holds: i64,
    pub(super) waiting: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Purse {
    pub(super) child: usize,
    pub(super) limits: Limits,
    pub(super) balance: i64,
    /// Every movement, oldest first.
    pub(super) moves: Vec<i64>,
    pub(super) closed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Bill {
    pub(super) total: i64,
    pub(super) paid: i64,
    /// Child and cents of each line.
    pub(super) lines: Vec<(usize, i64)>,
    /// One for the whole, or one for each instalment, the first due first.
    pub(super) notices: Vec<usize>,
    /// What was no longer owed when the office withdrew it.
    pub(super) dropped: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Purse(usize),
    Bill(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Notice {
    /// Known once the server has answered.
    pub(super) number: String,
    pub(super) purpose: Purpose,
    pub(super) cents: i64,
    pub(super) settled: bool,
    pub(super) withdrawn: bool,
    /// The instant from which it can't be paid any more.
    pub(super) end: Option<i64>,
    /// When its last page was opened.
    pub(super) page: Option<i64>,
    /// Who asked for it.
    pub(super) by: Option<usize>,
}

/// What a parent asks for; the key is the phone's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) key: u128,
    pub(super) parent: usize,
    pub(super) purse: usize,
    pub(super) cents: i64,
    pub(super) online: bool,
}

/// What becomes of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    New(usize),
    Again(usize),
    No(&'static str),
}

/// What a receipt says, as far as money is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) issuer: String,
    pub(super) id: String,
    pub(super) number: String,
    pub(super) paid: bool,
    pub(super) transfers: Vec<(String, i64)>,
    /// What the payer paid, if one may believe it.
    pub(super) total: i64,
    /// The reference, where it is not the notice's.
    pub(super) other_reference: Option<String>,
}

/// A receipt that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) said: Said,
    pub(super) outcome: &'static str,
    pub(super) ours: i64,
}

/// What must be answered to a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Ok,
    Ko(&'static str),
    /// Send it again.
    Fault,
}

/// Where a receipt's money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Delivered before.
    Known,
    /// Contradicts what was delivered before.
    Contradicts,
    /// To what its notice is for.
    Home(usize, Purpose),
    /// To suspense, with its notice if it is ours.
    Suspense(&'static str, Option<usize>),
    /// No money of ours moved.
    Nothing(&'static str),
}

/// Something for the office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) queue: &'static str,
    pub(super) cents: Option<i64>,
    pub(super) decided: Option<&'static str>,
}

/// What the office decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    ToPurse(usize),
    ToBill(usize),
    Refund,
    Dismiss,
}

impl Books {
    pub(super) fn new(code: &str, days: i64) -> Self {
        Self { code: code.to_owned(), days, ..Self::default() }
    }

    fn tell(&mut self, children: &[usize]) {
        let parents: BTreeSet<usize> = children.iter().flat_map(|child| self.children[*child].clone()).collect();
        for parent in parents {
            self.parents[parent].told += 1;
        }
    }

    fn tell_of(&mut self, purpose: Purpose) {
        let children: Vec<usize> = match purpose {
            Purpose::Purse(purse) => vec![self.purses[purse].child],
            Purpose::Bill(bill) => self.bills[bill].lines.iter().map(|(child, _)| *child).collect(),
        };
        self.tell(&children);
    }

    fn fill(&mut self, purse: usize, cents: i64) {
        self.purses[purse].balance += cents;
        self.purses[purse].moves.push(cents);
    }

    /// A new purse with what an earlier system says it held.
    pub(super) fn open_purse(&mut self, child: usize, limits: Limits, carried: i64) -> usize {
        self.purses.push(Purse { child, limits, balance: 0, moves: Vec::new(), closed: false });
        let purse = self.purses.len() - 1;
        self.fill(purse, carried);
        self.earned -= carried;
        self.entries += 1;
        purse
    }

    /// A meal or a ride.
    pub(super) fn charge(&mut self, purse: usize, cents: i64) {
        self.fill(purse, -cents);
        self.earned += cents;
        self.entries += 1;
    }

    /// A bill with a notice for each of its parts.
    pub(super) fn issue_bill(&mut self, lines: Vec<(usize, i64)>, parts: Vec<(String, i64)>) -> usize {
        let total = lines.iter().map(|(_, cents)| cents).sum();
        let (bill, first) = (self.bills.len(), self.notices.len());
        let purpose = Purpose::Bill(bill);
        let notices = (first..first + parts.len()).collect();
        self.bills.push(Bill { total, paid: 0, lines, notices, dropped: 0 });
        self.notices.extend(parts.into_iter().map(|(number, cents)| Notice {
            number,
            purpose,
            cents,
            settled: false,
            withdrawn: false,
            end: None,
            page: None,
            by: None,
        }));
        self.earned += total;
        self.entries += 1;
        bill
    }

    pub(super) fn sees_purse(&self, parent: usize, purse: usize) -> bool {
        self.parents[parent].children.contains(&self.purses[purse].child)
    }

    pub(super) fn sees_bill(&self, parent: usize, bill: usize) -> bool {
        self.bills[bill].lines.iter().any(|(child, _)| self.parents[parent].children.contains(child))
    }

    /// Top-ups of a purse that can still be paid: how many, and what they are worth.
    fn waiting(&self, purse: usize, now: i64) -> (usize, i64) {
        let its = self.notices.iter().filter(|notice| {
            let payable = !notice.settled && !notice.withdrawn && notice.end.is_some_and(|end| now < end);
            notice.purpose == Purpose::Purse(purse) && payable
        });
        its.fold((0, 0), |(count, cents), notice| (count + 1, cents + notice.cents))
    }

    /// The most that can be put into a purse now, if anything can.
    pub(super) fn room(&self, purse: usize, now: i64) -> Option<i64> {
        let Purse { limits, balance, .. } = &self.purses[purse];
        let room = (limits.holds - balance - self.waiting(purse, now).1).min(limits.most);
        (room >= limits.least).then_some(room)
    }

    pub(super) fn ask(&mut self, wish: Wish, now: i64) -> Asked {
        if !self.sees_purse(wish.parent, wish.purse) {
            return Asked::No("unknown");
        }
        if let Some((earlier, notice)) = self.wishes.iter().find(|(earlier, _)| earlier.key == wish.key) {
            return if *earlier == wish { Asked::Again(*notice) } else { Asked::No("id reused") };
        }
        let purse = &self.purses[wish.purse];
        let (count, waiting) = self.waiting(wish.purse, now);
        let Limits { least, most, holds, waiting: places } = purse.limits;
        if purse.closed {
            return Asked::No("closed");
        } else if wish.cents < least {
            return Asked::No("too little");
        } else if wish.cents > most {
            return Asked::No("too much");
        } else if purse.balance + waiting + wish.cents > holds {
            return Asked::No("no room");
        } else if count >= places {
            return Asked::No("too many open");
        }
        self.notices.push(Notice {
            number: String::new(),
            purpose: Purpose::Purse(wish.purse),
            cents: wish.cents,
            settled: false,
            withdrawn: false,
            end: end_of_day_after(now, self.days),
            page: None,
            by: Some(wish.parent),
        });
        let notice = self.notices.len() - 1;
        self.wishes.push((wish, notice));
        self.tell_of(Purpose::Purse(wish.purse));
        self.notices_told += 1;
        Asked::New(notice)
    }

    /// Whether somebody who wants to pay online now needs a new page.
    pub(super) fn wants_page(&self, notice: usize, now: i64) -> bool {
        matches!(self.standing(notice, now), "payable" | "not completed")
    }

    pub(super) fn open_page(&mut self, notice: usize, now: i64) {
        self.notices[notice].page = Some(now);
        self.tell_of(self.notices[notice].purpose);
    }

    /// What a parent is shown of a notice.
    pub(super) fn standing(&self, notice: usize, now: i64) -> &'static str {
        let notice = &self.notices[notice];
        let over = notice.end.is_some_and(|end| now >= end);
        match notice.page {
            _ if notice.settled => "paid",
            _ if notice.withdrawn => "cancelled",
            Some(page) if now < page + HALF_AN_HOUR => "in progress",
            _ if over => "expired",
            Some(_) => "not completed",
            None => "payable",
        }
    }

    /// May this parent have a page for this bill, and is it a new one?
    pub(super) fn bill_page(&self, parent: usize, bill: usize, now: i64) -> Result<bool, &'static str> {
        if !self.sees_bill(parent, bill) {
            return Err("unknown");
        }
        let notice = &self.notices[self.next_part(bill)];
        if self.left(bill) <= 0 || notice.settled || notice.withdrawn {
            return Err("settled");
        }
        Ok(notice.page.is_none_or(|page| now >= page + HALF_AN_HOUR))
    }

    /// What a notice costs now, or the code with which pagoPA is told that it can't be paid.
    pub(super) fn price(&self, number: &str, now: i64) -> Result<i64, &'static str> {
        let notice = self.named(number).ok_or("PAA_PAGAMENTO_SCONOSCIUTO")?;
        let notice = &self.notices[notice];
        if notice.settled {
            return Err("PAA_PAGAMENTO_DUPLICATO");
        } else if notice.withdrawn {
            return Err("PAA_PAGAMENTO_ANNULLATO");
        } else if notice.end.is_some_and(|end| now >= end) {
            return Err("PAA_PAGAMENTO_SCADUTO");
        }
        match notice.purpose {
            Purpose::Purse(_) => Ok(notice.cents),
            Purpose::Bill(bill) => {
                let place = self.named(number).unwrap_or_default();
                let left = self.left(bill);
                // All but the last part ask for themselves, never for more than is left.
                let asked = if self.others_open(bill, place) { left.min(notice.cents) } else { left };
                if left > 0 { Ok(asked) } else { Err("PAA_PAGAMENTO_DUPLICATO") }
            }
        }
    }

    /// What is still owed on a bill; below zero where too much was paid.
    fn left(&self, bill: usize) -> i64 {
        let Bill { total, paid, dropped, .. } = self.bills[bill];
        total - paid - dropped
    }

    /// Whether another part of a bill can still be paid.
    fn others_open(&self, bill: usize, notice: usize) -> bool {
        let open = |other: &usize| *other != notice && !self.notices[*other].settled && !self.notices[*other].withdrawn;
        self.bills[bill].notices.iter().any(open)
    }

    /// The part of a bill that is to be paid next: the first one that is open.
    pub(super) fn next_part(&self, bill: usize) -> usize {
        let parts = &self.bills[bill].notices;
        let open = parts.iter().find(|part| !self.notices[**part].settled && !self.notices[**part].withdrawn);
        *open.unwrap_or(&parts[0])
    }

    /// The office takes what a notice asks for at its counter; answers how much, if it does.
    pub(super) fn take_at_counter(&mut self, notice: usize, now: i64) -> Option<i64> {
        let its = self.notices[notice].clone();
        if its.settled || its.withdrawn {
            return None;
        }
        let cents = match its.purpose {
            Purpose::Purse(purse) if self.purses[purse].closed => return None,
            Purpose::Purse(purse) => {
                self.fill(purse, its.cents);
                its.cents
            }
            Purpose::Bill(bill) => {
                let asked = self.price(&its.number, now).ok()?;
                self.bills[bill].paid += asked;
                asked
            }
        };
        self.notices[notice].settled = true;
        self.counter += cents;
        self.acts += 1;
        self.entries += 1;
        self.notices_told += 1;
        self.tell_of(its.purpose);
        Some(cents)
    }

    /// The office makes a top-up's notice unpayable, if it can.
    pub(super) fn cancel(&mut self, notice: usize) -> bool {
        let its = &mut self.notices[notice];
        if its.settled || its.withdrawn || matches!(its.purpose, Purpose::Bill(_)) {
            return false;
        }
        its.withdrawn = true;
        let purpose = its.purpose;
        self.acts += 1;
        self.notices_told += 1;
        self.tell_of(purpose);
        true
    }

    /// The office withdraws what is left of a bill; answers how much, if anything is.
    pub(super) fn withdraw_bill(&mut self, bill: usize) -> Option<i64> {
        let left = self.left(bill);
        if left <= 0 {
            return None;
        }
        self.bills[bill].dropped += left;
        self.earned -= left;
        self.acts += 1;
        self.entries += 1;
        for notice in self.bills[bill].notices.clone() {
            let its = &mut self.notices[notice];
            if !its.settled && !its.withdrawn {
                its.withdrawn = true;
                self.notices_told += 1;
            }
        }
        self.tell_of(Purpose::Bill(bill));
        Some(left)
    }

    pub(super) fn named(&self, number: &str) -> Option<usize> {
        self.notices.iter().position(|notice| notice.number == number)
    }

    /// Where a receipt's money goes; changes nothing.
    pub(super) fn fate(&self, said: &Said) -> Fate {
        if let Some(kept) = self.receipts.get(&(said.issuer.clone(), said.id.clone())) {
            return if kept.said == *said { Fate::Known } else { Fate::Contradicts };
        }
        if !said.paid {
            return Fate::Nothing("outcome_ko");
        }
        if self.share(said) == 0 {
            return Fate::Nothing("nothing_ours");
        }
        if said.issuer != self.code {
            return Fate::Suspense("shared_payment", None);
        }
        let Some(place) = self.named(&said.number) else { return Fate::Suspense("unknown_notice", None) };
        let notice = &self.notices[place];
        match notice.purpose {
            _ if notice.settled => Fate::Suspense("double_payment", Some(place)),
            // What contradicts itself proves that money moved, and not what for.
            _ if said.other_reference.is_some() => Fate::Suspense("reference_differs", Some(place)),
            _ if said.total != said.transfers.iter().map(|(_, cents)| *cents).sum::<i64>() => {
                Fate::Suspense("transfers_differ", Some(place))
            }
            Purpose::Purse(purse) if self.purses[purse].closed => Fate::Suspense("wallet_closed", Some(place)),
            Purpose::Bill(_) if notice.withdrawn => Fate::Suspense("bill_cancelled", Some(place)),
            purpose => Fate::Home(place, purpose),
        }
    }

    /// What of a receipt was paid to this municipality.
    fn share(&self, said: &Said) -> i64 {
        said.transfers.iter().filter(|(payee, _)| *payee == self.code).map(|(_, cents)| cents).sum()
    }

    /// Takes a receipt in. `digest` is that of its bytes, in hexadecimal; `minds` says whether the station it came through
    /// wants to hear of repetitions.
    pub(super) fn receive(&mut self, said: &Said, digest: &str, minds: bool) -> Reply {
        let (fate, ours) = (self.fate(said), self.share(said));
        let duplicate = Reply::Ko("PAA_RECEIPT_DUPLICATA");
        let (outcome, queue) = match fate {
            Fate::Known => return if minds { duplicate } else { Reply::Ok },
            Fate::Contradicts => {
                self.keep("anomaly", digest);
                return duplicate;
            }
            Fate::Home(notice, purpose) => {
                match purpose {
                    Purpose::Purse(purse) => self.fill(purse, ours),
                    Purpose::Bill(bill) => self.bills[bill].paid += ours,
                }
                let done = |bill: usize| self.others_open(bill, notice) || self.left(bill) <= 0;
                if matches!(purpose, Purpose::Purse(_)) || matches!(purpose, Purpose::Bill(bill) if done(bill)) {
                    self.notices[notice].settled = true;
                }
                (if matches!(purpose, Purpose::Purse(_)) { "wallet" } else { "bill" }, None)
            }
            Fate::Suspense(reason, notice) => {
                self.suspense += ours;
                if let Some(notice) = notice.filter(|_| reason != "double_payment") {
                    self.notices[notice].settled = true;
                }
                (reason, Some(if reason == "double_payment" { "double" } else { "suspense" }))
            }
            Fate::Nothing(reason) => (reason, Some("anomaly")),
        };
        let booked = !matches!(fate, Fate::Nothing(_));
        if booked {
            self.collected += ours;
            self.entries += 1;
        }
        if let Fate::Home(notice, _) | Fate::Suspense(_, Some(notice)) = fate {
            self.tell_of(self.notices[notice].purpose);
            self.payments_told += 1;
        }
        if let Some(queue) = queue {
            let name = format!("r-{}-{}", said.issuer, said.id);
            self.queue.push(Item { name, queue, cents: booked.then_some(ours), decided: None });
        }
        let key = (said.issuer.clone(), said.id.clone());
        self.receipts.insert(key, Kept { said: said.clone(), outcome, ours });
        Reply::Ok
    }

    /// Keeps a message that is no receipt, or not a new one; each once.
    pub(super) fn keep(&mut self, queue: &'static str, digest: &str) {
        let name = format!("m-{queue}-{digest}");
        if !self.queue.iter().any(|item| item.name == name) {
            self.queue.push(Item { name, queue, cents: None, decided: None });
        }
    }

    /// Whether the office's decision stands.
    pub(super) fn decide(&mut self, item: usize, verdict: Verdict) -> bool {
        let Item { cents, decided, .. } = self.queue[item];
        if decided.is_some() {
            return false;
        }
        let action = match (verdict, cents) {
            (Verdict::Dismiss, None) => "dismissed",
            (Verdict::Refund, Some(_)) => "refund",
            (Verdict::ToPurse(purse), Some(cents)) if !self.purses[purse].closed => {
                self.fill(purse, cents);
                self.moved_out_of_suspense(cents, Purpose::Purse(purse));
                "booked_to_wallet"
            }
            (Verdict::ToBill(bill), Some(cents)) => {
                self.bills[bill].paid += cents;
                self.moved_out_of_suspense(cents, Purpose::Bill(bill));
                "booked_to_bill"
            }
            _ => return false,
        };
        self.queue[item].decided = Some(action);
        true
    }

    fn moved_out_of_suspense(&mut self, cents: i64, to: Purpose) {
        self.suspense -= cents;
        self.entries += 1;
        self.tell_of(to);
    }

    /// The top-ups that a parent's home screen shows, with how they stand.
    pub(super) fn shown_payments(&self, parent: usize, now: i64) -> Vec<(usize, &'static str)> {
        let own = (0..self.notices.len()).filter(|notice| self.notices[*notice].by == Some(parent));
        let standing = own.map(|notice| (notice, self.standing(notice, now)));
        standing.filter(|(_, standing)| !matches!(*standing, "paid" | "cancelled" | "expired")).collect()
    }

    /// The bills that a parent's home screen shows: which, what is left, how it stands, how many lines.
    pub(super) fn shown_bills(&self, parent: usize, now: i64) -> Vec<(usize, i64, &'static str, usize)> {
        let family = &self.parents[parent].children;
        let bills = self.bills.iter().enumerate().filter_map(|(place, bill)| {
            let lines = bill.lines.iter().filter(|(child, _)| family.contains(child)).count();
            let left = self.left(place);
            let next = self.next_part(place);
            let standing = self.standing(next, now);
            // Where no part can be paid any more, the rest waits for the office, and nobody is asked for it.
            let open = !self.notices[next].settled && !self.notices[next].withdrawn;
            (lines > 0 && left > 0 && open).then_some((place, left, standing, lines))
        });
        bills.collect()
    }
}

/// Midnight in Italy at the end of the day that `days` times 24 hours from now fall in.
fn end_of_day_after(now: i64, days: i64) -> Option<i64> {
    let rome = TimeZone::get("Europe/Rome").ok()?;
    let then = Timestamp::from_millisecond(now + days * DAY).ok()?.to_zoned(rome);
    Some(then.tomorrow().ok()?.start_of_day().ok()?.timestamp().as_millisecond())
}
