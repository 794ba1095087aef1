//! What the office does: notices are withdrawn, and what waits in the queues is decided, sometimes wrongly or twice.

use borsellino_domain::id::{BillId, EntryId, WalletId};
use borsellino_domain::time::Millis;
use borsellino_server::usecases::Stop as Stopped;
use borsellino_server::usecases::queues::{Decision, Order, resolve};
use uuid::Uuid;

use super::books::Verdict;
use super::town::{self, letter};
use super::{Simulation, Stop, found};

impl Simulation {
    /// The office withdraws a notice.
    pub(super) async fn withdrawal(&mut self) -> Result<(), Stop> {
        let town = self.some_town();
        let books = &self.books[town];
        let open = |place: &usize| !books.notices[*place].settled && !books.notices[*place].withdrawn;
        let open: Vec<usize> = (0..books.notices.len()).filter(open).collect();
        let recent = open.len().saturating_sub(15);
        let Some(place) = self.dice.pick(&open[recent..]).copied() else { return Ok(()) };
        let step = town::withdraw(&self.ids[town], self.books[town].notices[place].number.clone());
        town::write(&self.world.app.store, vec![step]).await?;
        self.books[town].notices[place].withdrawn = true;
        self.log("withdrawal", format!("{}/N{place}", letter(town)));
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
