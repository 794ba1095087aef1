//! The tap: may this guardian put this amount into this wallet, and what does asking again mean?
//!
//! The id of a top-up is made by the phone and is the idempotency key (ARCHITECTURE.md, rules of money, 9): the same id with the same
//! content is a replay, with other content it is refused.

use thiserror::Error;

use crate::id::{TopUpId, WalletId};
use crate::ledger::{Hash, coded};
use crate::money::{Amount, Cents};
use crate::service::{LimitRefusal, TopUpRules};
use crate::time::Millis;

coded! {
    /// Where the parent means to pay.
    PayBy, "way to pay" {
        /// On the pagoPA page, now.
        Online = "online",
        /// With the notice: at a tobacconist, a bank, the post office, or in the bank's app.
        Notice = "notice",
    }
}

coded! {
    /// How a notice stands. Verify and activation change nothing: only a receipt, the office or time does.
    NoticeState, "notice state" {
        /// Payable.
        Open = "open",
        /// A receipt settled it.
        Paid = "paid",
        /// Its time ran out.
        Expired = "expired",
        /// The creditor withdrew it.
        Cancelled = "cancelled",
    }
}

impl NoticeState {
    /// How a notice stored as `self` stands at `now`: an open one past its expiry is expired even before a job says so.
    pub fn at(self, expires_at: Option<Millis>, now: Millis) -> Self {
        match (self, expires_at) {
            (Self::Open, Some(end)) if now >= end => Self::Expired,
            _ => self,
        }
    }
}

/// What a parent asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopUpOrder {
    /// Made by the phone, saved there before it was sent.
    pub id: TopUpId,
    /// The wallet that is to receive the money.
    pub wallet: WalletId,
    /// How much.
    pub amount: Amount,
    /// Where it will be paid.
    pub pay_by: PayBy,
}

impl TopUpOrder {
    /// The digest that tells a replay from another order under the same id.
    pub fn fingerprint(&self) -> Hash {
        let (wallet, amount) = (self.wallet, self.amount.cents());
        Hash::of(format!("borsellino.top_up.v1|{wallet}|{amount}|{}", self.pay_by.code()).as_bytes())
    }
}

/// What is known about the wallet when the order arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletFacts {
    /// Whether it takes money.
    pub open: bool,
    /// What it holds.
    pub balance: Cents,
    /// What its service allows.
    pub rules: TopUpRules,
    /// How many unpaid, unexpired top-ups it has.
    pub open_count: u32,
    /// What they are worth together.
    pub open_sum: Cents,
}

/// Why a top-up is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TopUpRefusal {
    /// No such wallet, or it belongs to another family: the answer is the same, so that nobody learns which exist.
    #[error("no such wallet")]
    UnknownWallet,
    /// The wallet no longer takes money.
    #[error("the wallet is closed")]
    WalletClosed,
    /// The id was used before for something else.
    #[error("this id was used for another top-up")]
    IdReused,
    /// The amount does not fit the service or the wallet.
    #[error(transparent)]
    Limit(#[from] LimitRefusal),
}

/// What to do with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopUpDecision {
    /// New: create it.
    Create,
    /// Known: answer with its current state, change nothing.
    Replay,
}

/// Decides an order. `earlier` is the fingerprint stored under the same id; `wallet` is `None` unless the guardian may
/// see it.
///
/// # Errors
/// [`TopUpRefusal`]; a replay is never refused, even where a limit has been reached since.
pub fn decide(
    order: &TopUpOrder,
    earlier: Option<Hash>,
    wallet: Option<&WalletFacts>,
) -> Result<TopUpDecision, TopUpRefusal> {
    let wallet = wallet.ok_or(TopUpRefusal::UnknownWallet)?;
    match earlier {
        Some(fingerprint) if fingerprint == order.fingerprint() => return Ok(TopUpDecision::Replay),
        Some(_) => return Err(TopUpRefusal::IdReused),
        None => {}
    }
    if !wallet.open {
        return Err(TopUpRefusal::WalletClosed);
    }
    wallet.rules.check(order.amount, wallet.balance, wallet.open_sum, wallet.open_count)?;
    Ok(TopUpDecision::Create)
}

/// How a payment stands for a parent (the words are in the screens' table of states).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentState {
    /// To pay, at the latest when the notice expires.
    Payable,
    /// A pagoPA page was opened and the platform may still hold the payment until this instant.
    InProgress {
        /// Until when not to pay again.
        until: Millis,
    },
    /// A page was opened, its time is over, no receipt came: the parent may try again.
    NotCompleted,
    /// A receipt arrived.
    Paid,
    /// Its time ran out.
    Expired,
    /// The creditor withdrew it.
    Cancelled,
}

/// How long pagoPA holds a payment token by default, in milliseconds (30 minutes, pagopa-api issues 151 and 200): until then a payment
/// that was begun may still be concluded.
pub const PAYMENT_TOKEN_MILLIS: i64 = 30 * 60 * 1_000;

/// How a payment stands at `now`, given its notice and when its last pagoPA page was opened.
pub fn payment_state(
    notice: NoticeState,
    expires_at: Option<Millis>,
    page_opened: Option<Millis>,
    now: Millis,
) -> PaymentState {
    let until = page_opened.map(|at| at.plus(PAYMENT_TOKEN_MILLIS));
    match (notice.at(expires_at, now), until) {
        (NoticeState::Paid, _) => PaymentState::Paid,
        (NoticeState::Cancelled, _) => PaymentState::Cancelled,
        // A payment begun before the expiry may still be concluded after it.
        (NoticeState::Open | NoticeState::Expired, Some(until)) if now < until => PaymentState::InProgress { until },
        (NoticeState::Expired, _) => PaymentState::Expired,
        (NoticeState::Open, Some(_)) => PaymentState::NotCompleted,
        (NoticeState::Open, None) => PaymentState::Payable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn cents(value: i64) -> Amount {
        Amount::from_cents(value).unwrap()
    }

    fn order() -> TopUpOrder {
        let id = TopUpId::from(Uuid::from_u128(1));
        TopUpOrder { id, wallet: Uuid::from_u128(2).into(), amount: cents(2_000), pay_by: PayBy::Online }
    }

    fn facts() -> WalletFacts {
        let rules = TopUpRules { min: cents(500), max: cents(10_000), wallet_max: cents(20_000), max_open: 3 };
        WalletFacts { open: true, balance: Cents::ZERO, rules, open_count: 0, open_sum: Cents::ZERO }
    }

    #[test]
    fn the_id_is_the_key() {
        let order = order();
        assert_eq!(decide(&order, None, Some(&facts())), Ok(TopUpDecision::Create));
        assert_eq!(decide(&order, Some(order.fingerprint()), Some(&facts())), Ok(TopUpDecision::Replay));
        let other = TopUpOrder { amount: cents(3_000), ..order };
        assert_eq!(decide(&other, Some(order.fingerprint()), Some(&facts())), Err(TopUpRefusal::IdReused));
        let other = TopUpOrder { pay_by: PayBy::Notice, ..order };
        assert_eq!(decide(&other, Some(order.fingerprint()), Some(&facts())), Err(TopUpRefusal::IdReused));
    }

    #[test]
    fn a_replay_is_answered_even_when_the_wallet_has_closed_since() {
        let closed = WalletFacts { open: false, open_count: 9, ..facts() };
        let order = order();
        assert_eq!(decide(&order, Some(order.fingerprint()), Some(&closed)), Ok(TopUpDecision::Replay));
        assert_eq!(decide(&order, None, Some(&closed)), Err(TopUpRefusal::WalletClosed));
    }

    #[test]
    fn a_foreign_wallet_looks_like_none() {
        let order = order();
        assert_eq!(decide(&order, Some(order.fingerprint()), None), Err(TopUpRefusal::UnknownWallet));
    }

    #[test]
    fn in_progress_ends_after_the_token() {
        let opened = Some(Millis::new(1_000));
        let end = Millis::new(1_000 + PAYMENT_TOKEN_MILLIS);
        let state = |notice, now| payment_state(notice, Some(end.plus(5)), opened, now);
        assert_eq!(state(NoticeState::Open, Millis::new(1_001)), PaymentState::InProgress { until: end });
        assert_eq!(state(NoticeState::Open, end), PaymentState::NotCompleted);
        assert_eq!(state(NoticeState::Open, end.plus(5)), PaymentState::Expired);
        assert_eq!(state(NoticeState::Paid, Millis::new(1_001)), PaymentState::Paid);
        assert_eq!(payment_state(NoticeState::Open, None, None, end), PaymentState::Payable);
    }
}
