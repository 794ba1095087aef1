//! Services and what a parent may put into their wallets.

use thiserror::Error;

use crate::money::{Amount, Cents};
use crate::taxonomy::TaxonomyCode;

/// What a service is; decides its icon, its words and its pagoPA taxonomy code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKind {
    /// School meals (`mensa`).
    Canteen,
    /// The school bus (`trasporto`).
    Transport,
    /// Care before lessons (`pre-scuola`).
    BeforeSchool,
    /// Care after lessons (`post-scuola`).
    AfterSchool,
    /// Nursery, 0 to 3 years (`nido`).
    Nursery,
}

impl ServiceKind {
    /// Every kind, in the order screens list them.
    pub const ALL: [Self; 5] = [Self::Canteen, Self::Transport, Self::BeforeSchool, Self::AfterSchool, Self::Nursery];

    /// The name used in storage and on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Canteen => "canteen",
            Self::Transport => "transport",
            Self::BeforeSchool => "before_school",
            Self::AfterSchool => "after_school",
            Self::Nursery => "nursery",
        }
    }

    /// The taxonomy code a municipality collects it under (pagoPA taxonomy version 33, October 2023).
    pub const fn municipal_taxonomy(self) -> &'static str {
        match self {
            Self::Canteen => "9/0107101TS/",
            Self::Transport => "9/0107102SP/",
            Self::BeforeSchool => "9/0107103SP/",
            Self::AfterSchool => "9/0107105SP/",
            Self::Nursery => "9/0107106SP/",
        }
    }
}

/// A text that names none of the known values.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown {what}")]
pub struct UnknownCode {
    /// What was being read.
    pub what: &'static str,
}

impl TryFrom<String> for ServiceKind {
    type Error = UnknownCode;

    fn try_from(code: String) -> Result<Self, UnknownCode> {
        Self::ALL.into_iter().find(|kind| kind.code() == code).ok_or(UnknownCode { what: "service kind" })
    }
}

/// A service a creditor offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What it is.
    pub kind: ServiceKind,
    /// What the creditor calls it.
    pub name: String,
    /// The code under which its money is collected.
    pub taxonomy: TaxonomyCode,
    /// What may be put into its wallets.
    pub rules: TopUpRules,
}

/// What may be put into a wallet of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopUpRules {
    /// The smallest top-up.
    pub min: Amount,
    /// The largest top-up.
    pub max: Amount,
    /// The most a wallet may hold, open top-ups included.
    pub wallet_max: Amount,
    /// How many unpaid top-ups a wallet may have at once (ARCHITECTURE.md, rules of money, 10).
    pub max_open: u32,
}

/// Why an amount may not be put into a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LimitRefusal {
    /// Below the service's smallest top-up.
    #[error("below the smallest top-up of {0}")]
    BelowMinimum(Amount),
    /// Above the service's largest top-up.
    #[error("above the largest top-up of {0}")]
    AboveMaximum(Amount),
    /// The wallet would hold more than it may; at most this many cents more fit (may be 0).
    #[error("the wallet has room for {room} more")]
    AboveWalletMaximum {
        /// What still fits, zero or more.
        room: Cents,
    },
    /// Too many unpaid top-ups wait already.
    #[error("{0} unpaid top-ups wait already")]
    TooManyOpen(u32),
}

impl TopUpRules {
    /// May `amount` be put into a wallet that holds `balance` and for which `open_count` unpaid top-ups worth
    /// `open_sum` wait?
    ///
    /// # Errors
    /// The first [`LimitRefusal`] that applies, in the order of its variants.
    pub fn check(&self, amount: Amount, balance: Cents, open_sum: Cents, open_count: u32) -> Result<(), LimitRefusal> {
        if amount < self.min {
            return Err(LimitRefusal::BelowMinimum(self.min));
        }
        if amount > self.max {
            return Err(LimitRefusal::AboveMaximum(self.max));
        }
        let room = self.wallet_max.as_cents().minus(balance).and_then(|left| left.minus(open_sum));
        let room = room.unwrap_or(Cents::ZERO).max(Cents::ZERO);
        if amount.as_cents() > room {
            return Err(LimitRefusal::AboveWalletMaximum { room });
        }
        if open_count >= self.max_open {
            return Err(LimitRefusal::TooManyOpen(open_count));
        }
        Ok(())
    }
}

/// How many units (meals, rides) `balance` still pays for at `unit_price`; nothing below zero.
pub fn covers(balance: Cents, unit_price: Amount) -> u64 {
    let units = balance.get().checked_div(unit_price.cents()).unwrap_or(0);
    u64::try_from(units).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cents(value: i64) -> Amount {
        Amount::from_cents(value).unwrap()
    }

    fn rules() -> TopUpRules {
        TopUpRules { min: cents(500), max: cents(20_000), wallet_max: cents(30_000), max_open: 3 }
    }

    #[test]
    fn each_limit_is_named() {
        let check = |amount, balance, open_sum, open| {
            rules().check(cents(amount), Cents::new(balance), Cents::new(open_sum), open)
        };
        assert_eq!(check(1_000, 0, 0, 0), Ok(()));
        assert_eq!(check(499, 0, 0, 0), Err(LimitRefusal::BelowMinimum(cents(500))));
        assert_eq!(check(20_001, 0, 0, 0), Err(LimitRefusal::AboveMaximum(cents(20_000))));
        let full = Err(LimitRefusal::AboveWalletMaximum { room: Cents::new(1_000) });
        assert_eq!(check(1_001, 28_000, 1_000, 0), full);
        assert_eq!(check(1_000, 28_000, 1_000, 0), Ok(()));
        assert_eq!(check(500, 40_000, 0, 0), Err(LimitRefusal::AboveWalletMaximum { room: Cents::ZERO }));
        assert_eq!(check(1_000, 0, 0, 3), Err(LimitRefusal::TooManyOpen(3)));
    }

    #[test]
    fn a_negative_balance_covers_nothing() {
        assert_eq!(covers(Cents::new(-1), cents(425)), 0);
        assert_eq!(covers(Cents::new(424), cents(425)), 0);
        assert_eq!(covers(Cents::new(2_550), cents(425)), 6);
    }

    proptest! {
        #[test]
        fn an_accepted_top_up_never_overfills(amount in 1..50_000i64, balance in -50_000..50_000i64, open in 0..50_000i64) {
            let accepted = rules().check(cents(amount), Cents::new(balance), Cents::new(open), 0).is_ok();
            if accepted {
                prop_assert!(balance + open + amount <= 30_000);
                prop_assert!((500..=20_000).contains(&amount));
            }
        }
    }
}
