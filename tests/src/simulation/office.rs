//! What the office does: it cancels notices, withdraws bills, takes money at its counter, and decides what waits in the
//! queues, sometimes wrongly or twice.

use borsellino_domain::id::{BillId, EntryId, WalletId};
use borsellino_domain::time::Millis;
use borsellino_server::usecases::Stop as Stopped;
use borsellino_server::usecases::office::{Act, cancel_notice, settle_notice, withdraw_bill};
use borsellino_server::usecases::queues::{Decision, Order, resolve};
use uuid::Uuid;

use super::books::{Purpose, Verdict};
use super::town::{self, letter};
use super::{Simulation, Stop, found};

impl Simulation {
    /// The office cancels a notice, withdraws a bill, or takes money at its counter.
    pub(super) async fn by_hand(&mut self) -> Result<(), Stop> {
        let town = self.some_town();
        let books = &self.books[town];
        let any = self.dice.percent(15);
        let open = |place: &usize| any || (!books.notices[*place].settled && !books.notices[*place].withdrawn);
        let open: Vec<usize> = (0..books.notices.len()).filter(open).collect();
        let recent = open.len().saturating_sub(15);
        let Some(place) = self.dice.pick(&open[recent..]).copied() else { return Ok(()) };
        let (now, number) = (self.server_time(), books.notices[place].number.clone());
        let of_bill = match books.notices[place].purpose {
            Purpose::Bill(bill) => Some(bill),
            Purpose::Purse(_) => None,
        };
        let why = ("asked by the family".to_owned(), "A. Verdi".to_owned());
        let by = Act::new(self.ids[town].code, Millis::new(now), why).map_err(anyhow::Error::from)?;
        let store = &self.world.app.store;
        let (what, wanted, got) = match (self.dice.below(3), of_bill) {
            (0, _) => {
                let got = settle_notice(store, by, number).await.map(|taken| Some(taken.cents()));
                ("counter", self.books[town].take_at_counter(place, now), got)
            }
            (_, Some(bill)) if !self.dice.percent(10) => {
                let id = self.ids[town].bills[bill];
                let got = withdraw_bill(store, by, id).await.map(|withdrawn| Some(withdrawn.residual.cents()));
                ("withdrawal", self.books[town].withdraw_bill(bill), got)
            }
            _ => {
                let got = cancel_notice(store, by, number).await.map(|()| Some(0));
                ("cancellation", self.books[town].cancel(place).then_some(0), got)
            }
        };
        let got = match got {
            Ok(cents) => cents,
            Err(Stopped::Refused(_)) => None,
            Err(Stopped::Fault(fault)) => return Err(found("fault", format!("a {what}: {fault}"))),
        };
        if wanted != got {
            return Err(found("answer", format!("a {what}: expected {wanted:?}, got {got:?}")));
        }
        self.log(what, format!("{}/N{place}: {wanted:?}", letter(town)));
        Ok(())
    }

    /// The office decides about something in a queue.
    pub(super) async fn office_decides(&mut self) -> Result<(), Stop> {
        let town = self.some_town();
        let books = &self.books[town];
        let decided = self.dice.percent(10);
        let waiting = |place: &usize| books.queue[*place].decided.is_some() == decided;
        let waiting: Vec<usize> = (0..books.queue.len()).filter(waiting).collect();
        let Some(place) = self.dice.pick(&waiting).copied() else { return Ok(()) };
        let (purses, bills) = (books.purses.len(), books.bills.len());
        let (mut verdict, money) = (Verdict::Refund, books.queue[place].cents.is_some());
        if money != self.dice.percent(10) {
            match self.dice.below(4) {
                0 => {}
                1 if bills > 0 => verdict = Verdict::ToBill(self.dice.below(bills)),
                _ => verdict = Verdict::ToPurse(self.dice.below(purses)),
            }
        } else {
            verdict = Verdict::Dismiss;
        }
        let now = Millis::new(self.server_time());
        let ids = &self.ids[town];
        // Now and then somebody mistypes a name.
        let nobody = self.dice.percent(4).then(|| Uuid::from_u128(1));
        let decision = match verdict {
            Verdict::ToPurse(purse) => Decision::ToWallet(nobody.map_or(ids.purses[purse], WalletId::from)),
            Verdict::ToBill(bill) => Decision::ToBill(nobody.map_or(ids.bills[bill], BillId::from)),
            Verdict::Refund => Decision::Refund,
            Verdict::Dismiss => Decision::Dismiss,
        };
        let mistyped = nobody.is_some() && matches!(verdict, Verdict::ToPurse(_) | Verdict::ToBill(_));
        let order = Order {
            creditor: ids.code,
            item: self.books[town].queue[place].name.clone(),
            decision,
            reason: "checked with the family".to_owned(),
            operator: "A. Verdi".to_owned(),
            at: now,
            entry: town::id::<EntryId>(&mut self.dice, now.get()),
        };
        let answer = resolve(&self.world.app.store, order).await;
        let expected = !mistyped && self.books[town].decide(place, verdict);
        let got = match answer {
            Ok(_) => true,
            Err(Stopped::Refused(_)) => false,
            Err(Stopped::Fault(fault)) => return Err(found("fault", format!("a decision: {fault}"))),
        };
        let what = format!("{}/Q{place} {verdict:?}: {}", letter(town), if expected { "done" } else { "no" });
        if got != expected {
            return Err(found("answer", format!("a decision: expected {what}, got the opposite")));
        }
        self.log("decision", what);
        Ok(())
    }
}
