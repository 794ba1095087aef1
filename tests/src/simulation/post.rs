//! What the Node says: questions about notices, and receipts, one or two for a payment, soon or late, again,
//! contradicting, in a crowd, to a server that hangs or whose database fails.

use std::collections::BTreeSet;

use borsellino_domain::ledger::Hash;
use futures_util::future::join_all;

use super::books::{Fate, Purpose, Reply, Said};
use super::bugs::{Delivery, Plant};
use super::town::{TOWNS, letter};
use super::{DAY, HOUR, MINUTE, Simulation, Stop, found};
use crate::house::Soap;
use crate::house::node::{Addressee, BROKER, Receipt, activate, euro, verify};

/// A third creditor, who is none of ours.
const STRANGER: &str = "99900099999";

/// A receipt on its way.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    receipt: Receipt,
    spoilt: Option<Spoilt>,
}

/// Why a letter is no receipt that could be booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoilt {
    /// Breaks the schema.
    Syntax,
    /// Names a station or a broker that is not ours, or a creditor.
    Station,
    Broker,
    Creditor,
}

/// What happens to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    None,
    /// The Node hangs up before the answer, and delivers again.
    HangUp,
    /// The database fails at this table; the whole transaction with it, or not.
    Failure(&'static str, &'static str),
}

/// Between the Node and the server: where a bug may be planted.
pub(super) struct Wire {
    plant: Option<Plant>,
    seen: BTreeSet<String>,
}

impl Wire {
    pub(super) fn new(plant: Option<Plant>) -> Self {
        Self { plant, seen: BTreeSet::new() }
    }

    /// What is delivered; `None` where the answer is OK without a delivery.
    fn carry(&mut self, receipt: &Receipt) -> Option<Receipt> {
        let mut carried = receipt.clone();
        match self.plant {
            Some(Plant::Wire(meddle)) => match meddle(&mut carried, &mut self.seen) {
                Delivery::On => Some(carried),
                Delivery::Swallowed => None,
            },
            _ => Some(carried),
        }
    }

    fn bring_back(&self, mut answer: Soap) -> Soap {
        if let Some(Plant::Answer(meddle)) = self.plant {
            meddle(&mut answer);
        }
        answer
    }
}

fn said(receipt: &Receipt) -> Said {
    Said {
        issuer: receipt.issuer.clone(),
        id: receipt.id.clone(),
        number: receipt.notice.clone(),
        paid: receipt.outcome == "OK",
        transfers: receipt.transfers.clone(),
        total: receipt.total.unwrap_or_else(|| receipt.transfers.iter().map(|(_, cents)| cents).sum()),
        other_reference: receipt.reference.clone().filter(|_| receipt.notice.starts_with('3')),
    }
}

fn reply(answer: &Soap) -> Option<Reply> {
    const CODES: [&str; 5] = [
        "PAA_RECEIPT_DUPLICATA",
        "PAA_SINTASSI_EXTRAXSD",
        "PAA_STAZIONE_INT_ERRATA",
        "PAA_ID_INTERMEDIARIO_ERRATO",
        "PAA_ID_DOMINIO_ERRATO",
    ];
    if answer.is_ok() {
        Some(Reply::Ok)
    } else if answer.is_fault() {
        Some(Reply::Fault)
    } else {
        CODES.into_iter().find(|code| answer.ko() == Some(code)).map(Reply::Ko)
    }
}

impl Letter {
    fn message(&self, receipt: &Receipt) -> String {
        match self.spoilt {
            Some(Spoilt::Syntax) => receipt.xml().replace("<noticeNumber>", "<noticeNumber>x"),
            _ => receipt.xml(),
        }
    }
}

impl Simulation {
    /// Puts a receipt on its way, to arrive after so many milliseconds.
    fn send(&mut self, receipt: Receipt, after: i64, spoilt: Option<Spoilt>) {
        self.next += 1;
        self.letters.insert((self.now + after, self.next), Letter { receipt, spoilt });
    }

    /// How long a receipt takes: mostly a moment, sometimes weeks.
    fn delay(&mut self) -> i64 {
        match self.dice.below(20) {
            0..12 => self.dice.between(0, MINUTE),
            12..16 => self.dice.between(MINUTE, 6 * HOUR),
            16..19 => self.dice.between(HOUR, 5 * DAY),
            _ => self.dice.between(DAY, 50 * DAY),
        }
    }

    fn receipt(&mut self, town: usize, notice: &str, transfers: Vec<(String, i64)>) -> Receipt {
        self.next += 1;
        let station = if self.dice.percent(90) { town } else { 1 - town };
        let sum: i64 = transfers.iter().map(|(_, cents)| cents).sum();
        let total = self.dice.percent(2).then(|| sum + self.dice.between(1, 900));
        let reference = self.dice.percent(2).then(|| self.dice.digits(17));
        Receipt {
            to: self.addressee(town, station),
            id: format!("R{:06}", self.next),
            issuer: self.books[town].code.clone(),
            notice: notice.to_owned(),
            outcome: if self.dice.percent(4) { "KO" } else { "OK" },
            transfers,
            v1: self.dice.percent(30),
            total,
            reference,
            tail: String::new(),
        }
    }

    fn addressee(&self, town: usize, station: usize) -> Addressee {
        let id_pa = self.books[town].code.clone();
        Addressee { id_pa, broker: BROKER.to_owned(), station: TOWNS[station].1.to_owned() }
    }

    /// What a notice costs, as a PSP is told before a payment and at its beginning.
    pub(super) async fn verify(&mut self, town: usize, number: &str) -> Result<Result<i64, &'static str>, Stop> {
        let expected = self.books[town].price(number, self.server_time());
        let (to, code) = (self.addressee(town, town), self.books[town].code.clone());
        let messages = [
            ("paVerifyPaymentNotice", "amount", verify(&to, &code, number)),
            ("paGetPaymentV2", "paymentAmount", activate(&to, &code, number, None)),
        ];
        for (action, element, message) in messages {
            let answer = self.world.call(action, message).await?;
            self.tally.messages += 1;
            let right = match expected {
                Ok(cents) => answer.element(element) == Some(euro(cents).as_str()),
                Err(code) => answer.ko() == Some(code),
            };
            if !right {
                return Err(found("answer", format!("{action}: expected {expected:?}, got {}", answer.text)));
            }
        }
        Ok(expected)
    }

    /// Somebody takes a notice to a PSP: one that can be paid, or one that could.
    pub(super) async fn somebody_pays(&mut self) -> Result<(), Stop> {
        let town = self.some_town();
        let any = self.dice.percent(25);
        let books = &self.books[town];
        let wanted =
            |place: &usize| !books.notices[*place].number.is_empty() && (any || !books.notices[*place].settled);
        let notices: Vec<usize> = (0..books.notices.len()).filter(wanted).collect();
        let recent = notices.len().saturating_sub(30);
        let Some(place) = self.dice.pick(&notices[recent..]).copied() else { return Ok(()) };
        let number = self.books[town].notices[place].number.clone();
        let code = self.books[town].code.clone();
        let price = self.verify(town, &number).await?;
        let cents = match price {
            Ok(cents) => cents,
            // Begun while it could be paid, perhaps: such receipts come all the same.
            Err(_) if self.dice.percent(40) => self.books[town].notices[place].cents,
            Err(why) => {
                self.log("payment", format!("{}/N{place}: {why}", letter(town)));
                return Ok(());
            }
        };
        let cents = match self.dice.below(12) {
            0 => self.dice.between(1, cents),
            1 => self.dice.between(1, 2 * cents),
            _ => cents,
        };
        let split = if self.dice.percent(12) { self.dice.between(0, cents) } else { 0 };
        let transfers = [cents - split, split].into_iter().filter(|part| *part > 0);
        let transfers: Vec<_> = transfers.map(|part| (code.clone(), part)).collect();
        // Two PSPs at once: both take the money.
        let times = if self.dice.percent(8) { 2 } else { 1 };
        for _ in 0..times {
            let receipt = self.receipt(town, &number, transfers.clone());
            let what = format!("{}/N{place} {} as {} {}", letter(town), euro(cents), receipt.id, receipt.outcome);
            self.log("payment", what);
            let after = self.delay();
            if self.dice.percent(10) {
                // Both versions of the message, one after the other.
                let other = Receipt { v1: !receipt.v1, ..receipt.clone() };
                let later = after + self.delay();
                self.send(other, later, None);
            }
            self.send(receipt, after, None);
        }
        Ok(())
    }

    /// A receipt for a notice nobody issued.
    pub(super) async fn money_out_of_nowhere(&mut self) -> Result<(), Stop> {
        let town = self.some_town();
        let number = match self.dice.below(6) {
            0 => "0".repeat(18),
            1 => format!("0{}", self.dice.digits(17)),
            _ => format!("3{}", self.dice.digits(17)),
        };
        let _price = self.verify(town, &number).await?;
        let cents = self.dice.between(0, 30_000);
        let receipt = self.receipt(town, &number, vec![(self.books[town].code.clone(), cents)]);
        self.log("unknown notice", format!("{} {} as {}", letter(town), euro(cents), receipt.id));
        let after = self.delay();
        self.send(receipt, after, None);
        Ok(())
    }

    /// A payment whose transfers go to several creditors: of a notice of ours, or of a stranger's. Each creditor of ours
    /// gets the receipt, in any order.
    pub(super) async fn shared_payment(&mut self) -> Result<(), Stop> {
        let town = self.some_town();
        let other = 1 - town;
        let codes: Vec<String> = self.books.iter().map(|books| books.code.clone()).collect();
        let payable: Vec<usize> =
            (0..self.books[town].notices.len()).filter(|place| !self.books[town].notices[*place].settled).collect();
        let recent = payable.len().saturating_sub(20);
        let Some(place) = self.dice.pick(&payable[recent..]).copied() else { return Ok(()) };
        let notice = &self.books[town].notices[place];
        let (number, cents) = (notice.number.clone(), notice.cents);
        let mut transfers = vec![(codes[town].clone(), cents), (codes[other].clone(), self.dice.between(1, 5_000))];
        match self.dice.below(5) {
            0 => transfers.push((STRANGER.to_owned(), 700)),
            1 => transfers.insert(0, (codes[other].clone(), 150)),
            // Nothing for the one who issued it.
            2 => drop(transfers.remove(0)),
            _ => {}
        }
        let mut receipt = self.receipt(town, &number, transfers);
        if self.dice.percent(35) {
            // A stranger's notice, whose number and receipt's id may be like some of ours.
            receipt.issuer = STRANGER.to_owned();
            if let Some(earlier) = self.dice.pick(&self.past)
                && self.dice.percent(50)
            {
                receipt.id = earlier.id.clone();
            }
        }
        let what = format!("{}/N{place} of {} as {}", letter(town), receipt.issuer, receipt.id);
        self.log("shared payment", what);
        let copy = Receipt { to: self.addressee(other, other), ..receipt.clone() };
        for copy in [receipt, copy] {
            let after = self.delay();
            self.send(copy, after, None);
        }
        Ok(())
    }

    /// A receipt that was delivered comes again.
    pub(super) async fn another_delivery(&mut self) -> Result<(), Stop> {
        let Some(receipt) = self.dice.pick(&self.past).cloned() else { return Ok(()) };
        self.send(receipt, 0, None);
        self.at(self.now).await
    }

    /// Something else comes under the key of a receipt that was delivered.
    pub(super) async fn contradiction(&mut self) -> Result<(), Stop> {
        let Some(mut receipt) = self.dice.pick(&self.past).cloned() else { return Ok(()) };
        match self.dice.below(4) {
            0 => receipt.notice = format!("3{}", self.dice.digits(17)),
            1 => receipt.outcome = if receipt.outcome == "OK" { "KO" } else { "OK" },
            _ => {
                if let Some((_, cents)) = receipt.transfers.first_mut() {
                    *cents += self.dice.between(1, 500);
                }
            }
        }
        let after = self.delay();
        self.send(receipt, after, None);
        Ok(())
    }

    /// A receipt that breaks the schema, or comes through a channel that is not ours.
    pub(super) async fn nonsense(&mut self) -> Result<(), Stop> {
        let town = self.some_town();
        let cents = self.dice.between(1, 9_000);
        let number = format!("3{}", self.dice.digits(17));
        let mut receipt = self.receipt(town, &number, vec![(self.books[town].code.clone(), cents)]);
        let spoilt = match self.dice.below(6) {
            0 => Spoilt::Station,
            1 => Spoilt::Broker,
            2 => Spoilt::Creditor,
            _ => Spoilt::Syntax,
        };
        match spoilt {
            Spoilt::Station => receipt.to.station = format!("{BROKER}_77"),
            Spoilt::Broker => receipt.to.broker = STRANGER.to_owned(),
            Spoilt::Creditor => receipt.to.id_pa = STRANGER.to_owned(),
            Spoilt::Syntax => {}
        }
        self.send(receipt, 0, Some(spoilt));
        self.at(self.now).await
    }

    fn town_of(&self, receipt: &Receipt) -> Option<usize> {
        self.books.iter().position(|books| books.code == receipt.to.id_pa)
    }

    /// Whether the same receipt was taken in before.
    fn is_known(&self, letter: &Letter) -> bool {
        let town = self.town_of(&letter.receipt).filter(|_| letter.spoilt.is_none());
        town.is_some_and(|town| self.books[town].fate(&said(&letter.receipt)) == Fate::Known)
    }

    /// What must be answered; the books take it in.
    fn expect(&mut self, letter: &Letter) -> Reply {
        let Some(town) = self.town_of(&letter.receipt) else { return Reply::Ko("PAA_ID_DOMINIO_ERRATO") };
        let digest = Hash::of(letter.message(&letter.receipt).as_bytes()).to_string();
        let books = &mut self.books[town];
        let code = match letter.spoilt {
            None => {
                let minds = TOWNS.iter().any(|(_, station, _, minds)| *station == letter.receipt.to.station && *minds);
                return books.receive(&said(&letter.receipt), &digest, minds);
            }
            Some(Spoilt::Syntax) => "PAA_SINTASSI_EXTRAXSD",
            Some(Spoilt::Station) => "PAA_STAZIONE_INT_ERRATA",
            Some(Spoilt::Broker) => "PAA_ID_INTERMEDIARIO_ERRATO",
            Some(Spoilt::Creditor) => "PAA_ID_DOMINIO_ERRATO",
        };
        books.keep("quarantine", &digest);
        Reply::Ko(code)
    }

    /// Delivers a letter, with or without a mishap, and holds the answer against the books.
    pub(super) async fn deliver(&mut self, letter: Letter) -> Result<(), Stop> {
        let mishap = self.mishap(&letter);
        let receipt = &letter.receipt;
        let carried = self.wire.carry(receipt);
        if let (Mishap::HangUp, Some(carried)) = (mishap, &carried) {
            self.world.hang_up(carried.action(), letter.message(carried)).await?;
        }
        if let Mishap::Failure(table, way) = mishap {
            self.world.fails(table, way).await?;
        }
        let answer = match &carried {
            Some(carried) => self.world.call(carried.action(), letter.message(carried)).await?,
            None => Soap { status: 200, text: "<outcome>OK</outcome>".to_owned() },
        };
        let answer = self.wire.bring_back(answer);
        self.tally.messages += 1;
        let expected = match mishap {
            Mishap::Failure(..) => {
                self.world.nothing_fails().await?;
                // What is known is known without writing.
                if self.is_known(&letter) { self.expect(&letter) } else { Reply::Fault }
            }
            _ => self.expect(&letter),
        };
        // Whoever hung up was first: what comes after is a repetition.
        let repeated = mishap == Mishap::HangUp && answer.ko() == Some("PAA_RECEIPT_DUPLICATA");
        if reply(&answer) != Some(expected) && !repeated {
            let what = format!(
                "{} {}: expected {expected:?}, got {} {}",
                receipt.action(),
                receipt.id,
                answer.status,
                answer.text
            );
            return Err(found("answer", what));
        }
        let place = receipt.to.id_pa.clone();
        self.log("delivery", format!("{} to {place} {mishap:?}: {expected:?}", receipt.id));
        if expected == Reply::Fault {
            self.send(letter.receipt, HOUR, letter.spoilt);
        } else if letter.spoilt.is_none() {
            if self.dice.percent(12) {
                let after = self.delay();
                self.send(letter.receipt.clone(), after, None);
            }
            self.past.push(letter.receipt);
        }
        Ok(())
    }

    /// What goes wrong with this delivery. The database fails only where the receipt surely gets to.
    fn mishap(&mut self, letter: &Letter) -> Mishap {
        let town = self.town_of(&letter.receipt).filter(|_| letter.spoilt.is_none());
        let (Some(town), chance) = (town, self.dice.below(100)) else { return Mishap::None };
        let fate = self.books[town].fate(&said(&letter.receipt));
        let new = !matches!(fate, Fate::Known | Fate::Contradicts);
        let mut tables = vec!["receipt"];
        if new && !matches!(fate, Fate::Nothing(_)) {
            tables.extend(["journal_entry", "posting"]);
            if !matches!(fate, Fate::Suspense(_, None)) {
                tables.extend(["feed", "outbox"]);
            }
        }
        match chance {
            0..6 => {
                let table = self.dice.pick(&tables).copied().unwrap_or("receipt");
                Mishap::Failure(table, if self.dice.percent(70) { "ABORT" } else { "ROLLBACK" })
            }
            6..10 if new => Mishap::HangUp,
            _ => Mishap::None,
        }
    }

    /// Receipts for different things that were on their way all arrive at the same moment, each of them twice.
    pub(super) async fn crowd(&mut self) -> Result<(), Stop> {
        let (mut purposes, mut keys, mut taken) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for (when, letter) in &self.letters {
            let Some(town) = self.town_of(&letter.receipt).filter(|_| letter.spoilt.is_none()) else { continue };
            let fate = self.books[town].fate(&said(&letter.receipt));
            let purpose = match fate {
                Fate::Known | Fate::Contradicts => continue,
                Fate::Home(_, Purpose::Purse(purse)) => format!("{town} P{purse}"),
                Fate::Home(_, Purpose::Bill(bill)) => format!("{town} B{bill}"),
                Fate::Suspense(..) | Fate::Nothing(_) => format!("{town} alone {}", letter.receipt.notice),
            };
            let receipt = &letter.receipt;
            let new = keys.insert((town, receipt.issuer.clone(), receipt.id.clone()));
            let alone = purposes.insert(purpose) && purposes.insert(format!("{town} {}", receipt.notice));
            if new && alone && taken.len() < 8 {
                taken.push(*when);
            }
        }
        if taken.len() < 2 {
            return Ok(());
        }
        let letters: Vec<Letter> = taken.iter().filter_map(|when| self.letters.remove(when)).collect();
        let carried: Vec<Option<Receipt>> = letters.iter().map(|letter| self.wire.carry(&letter.receipt)).collect();
        let messages = letters.iter().zip(&carried).filter_map(|(letter, carried)| {
            carried.as_ref().map(|carried| (carried.action(), letter.message(carried)))
        });
        let messages: Vec<_> = messages.collect();
        let both = messages.iter().chain(&messages);
        let answers = join_all(both.map(|(action, message)| self.world.call(action, message.clone()))).await;
        let answers = answers.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        self.tally.messages += answers.len();
        let (first, second) = answers.split_at(messages.len());
        let delivered = letters.iter().zip(&carried).filter(|(_, carried)| carried.is_some());
        for (((letter, _), first), second) in delivered.zip(first).zip(second) {
            let answers = [first, second].map(|answer| reply(&self.wire.bring_back(answer.clone())));
            let (expected, repeated) = (self.expect(letter), self.expect(letter));
            let (right, turned) = ([Some(expected), Some(repeated)], [Some(repeated), Some(expected)]);
            if answers != right && answers != turned {
                let id = &letter.receipt.id;
                return Err(found("answer", format!("{id} in a crowd, twice: expected {right:?}, got {answers:?}")));
            }
        }
        for (letter, _) in letters.iter().zip(&carried).filter(|(_, carried)| carried.is_none()) {
            self.expect(letter);
        }
        let ids: Vec<_> = letters.iter().map(|letter| letter.receipt.id.clone()).collect();
        self.past.extend(letters.into_iter().map(|letter| letter.receipt));
        self.log("crowd", format!("{} at once, each twice", ids.join(" ")));
        Ok(())
    }
}
