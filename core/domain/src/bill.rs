//! Bills: an amount issued for a period, over one or more children and services, and how far it is paid.

use crate::money::{Amount, Cents, CentsOverflow};

/// How far a bill is paid. Derived from its account, never stored, so that it cannot disagree with the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillState {
    /// Nothing paid yet.
    Open {
        /// What is due.
        due: Amount,
    },
    /// Something paid, something left.
    PartPaid {
        /// What is left.
        residual: Amount,
    },
    /// Paid to the cent.
    Paid,
    /// More arrived than was due.
    Overpaid {
        /// What is too much.
        surplus: Amount,
    },
    /// The creditor no longer asks for what was left of it.
    Withdrawn {
        /// What was paid beyond what it still stands for.
        surplus: Cents,
    },
}

impl BillState {
    /// The state of a bill of `total` whose account holds `balance` (minus what is owed).
    ///
    /// # Errors
    /// [`CentsOverflow`] where the numbers cannot be a bill's.
    pub fn of(total: Amount, balance: Cents) -> Result<Self, CentsOverflow> {
        let owed = balance.negated()?;
        match (Amount::from_cents(owed.get()), Amount::from_cents(balance.get())) {
            (Ok(due), _) if due == total => Ok(Self::Open { due }),
            (Ok(residual), _) if residual < total => Ok(Self::PartPaid { residual }),
            (_, Ok(surplus)) => Ok(Self::Overpaid { surplus }),
            _ if balance == Cents::ZERO => Ok(Self::Paid),
            _ => Err(CentsOverflow),
        }
    }

    /// The state of a bill of which `withdrawn` is no longer asked for.
    ///
    /// # Errors
    /// [`CentsOverflow`] where the numbers cannot be a bill's.
    pub fn with_withdrawn(total: Amount, withdrawn: Cents, balance: Cents) -> Result<Self, CentsOverflow> {
        match withdrawn {
            Cents::ZERO => Self::of(total, balance),
            _ if balance < Cents::ZERO => Err(CentsOverflow),
            _ => Ok(Self::Withdrawn { surplus: balance }),
        }
    }

    /// The name used on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::PartPaid { .. } => "part_paid",
            Self::Paid => "paid",
            Self::Overpaid { .. } => "overpaid",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }

    /// What is still to pay.
    pub const fn residual(self) -> Option<Amount> {
        match self {
            Self::Open { due } => Some(due),
            Self::PartPaid { residual } => Some(residual),
            Self::Paid | Self::Overpaid { .. } | Self::Withdrawn { .. } => None,
        }
    }
}

/// What surrounds an open notice of a bill: what it asks for depends on the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// For an instalment the amount it was made for; `None` for a notice that asks for all that is left.
    pub own: Option<Amount>,
    /// What the open instalments before it were made for, together.
    pub before: Cents,
    /// Whether an instalment after it is open.
    pub others_after: bool,
    /// What was paid under the bill's notices and lies in suspense for the office: nobody is asked for it again.
    pub held: Cents,
}

/// What a notice of a bill asks for now, given what is left of the bill; `None` where nothing is.
///
/// What is left, and not held, is given out in the order of the instalments; the last open one asks for all the rest. So
/// all open notices of a bill together ask for exactly what is left, whatever was paid, short or long.
pub fn asked(residual: Option<Amount>, share: Share) -> Option<Amount> {
    let left = residual?.as_cents().minus(share.held).ok()?;
    let Some(own) = share.own else { return Amount::from_cents(left.get()).ok() };
    let rest = left.minus(share.before).ok()?;
    let ask = if share.others_after { rest.min(own.as_cents()) } else { rest };
    Amount::from_cents(ask.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_is_as_paid_as_its_account_says() {
        let cents = |value| Amount::from_cents(value).unwrap();
        let total = cents(5_733);
        let state = |balance| BillState::of(total, Cents::new(balance));
        assert_eq!(state(-5_733), Ok(BillState::Open { due: total }));
        assert_eq!(state(-1), Ok(BillState::PartPaid { residual: cents(1) }));
        assert_eq!(state(0), Ok(BillState::Paid));
        assert_eq!(state(100), Ok(BillState::Overpaid { surplus: cents(100) }));
        assert_eq!(state(-5_734), Err(CentsOverflow), "owes more than it was issued for");
        assert_eq!(state(i64::MIN), Err(CentsOverflow));
    }

    #[test]
    fn open_instalments_together_ask_for_exactly_what_is_left() {
        let parts = [4_000, 3_000, 3_000];
        for residual in 1..=10_000 {
            for held in [0, 1, 500, 9_999] {
                for open in 1..8u8 {
                    let is_open = |place: usize| open >> place & 1 == 1;
                    let before = |place: usize| (0..place).filter(|one| is_open(*one)).map(|one| parts[one]).sum();
                    let ask = |place: usize| {
                        let share = Share {
                            own: Amount::from_cents(parts[place]).ok(),
                            before: Cents::new(before(place)),
                            others_after: (place + 1..3).any(is_open),
                            held: Cents::new(held),
                        };
                        asked(Amount::from_cents(residual).ok(), share).map_or(0, Amount::cents)
                    };
                    let all: i64 = (0..3).filter(|place| is_open(*place)).map(ask).sum();
                    assert_eq!(all, (residual - held).max(0), "{residual} {held} {open:03b}");
                }
            }
        }
        let share = Share { own: None, before: Cents::ZERO, others_after: false, held: Cents::new(100) };
        assert_eq!(asked(Amount::from_cents(350).ok(), share).map(Amount::cents), Some(250));
        assert_eq!(asked(Amount::from_cents(100).ok(), share), None);
        assert_eq!(asked(None, share), None);
    }

    #[test]
    fn what_was_withdrawn_was_not_paid() {
        let cents = |value| Amount::from_cents(value).unwrap();
        let state = |balance| BillState::with_withdrawn(cents(5_000), Cents::new(2_000), Cents::new(balance));
        assert_eq!(state(0), Ok(BillState::Withdrawn { surplus: Cents::ZERO }));
        assert_eq!(state(700), Ok(BillState::Withdrawn { surplus: Cents::new(700) }));
        assert_eq!(state(-1), Err(CentsOverflow));
        let never = BillState::with_withdrawn(cents(5_000), Cents::ZERO, Cents::new(-5_000));
        assert_eq!(never, Ok(BillState::Open { due: cents(5_000) }));
    }
}
