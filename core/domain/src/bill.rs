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

    /// The name used on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::PartPaid { .. } => "part_paid",
            Self::Paid => "paid",
            Self::Overpaid { .. } => "overpaid",
        }
    }

    /// What is still to pay.
    pub const fn residual(self) -> Option<Amount> {
        match self {
            Self::Open { due } => Some(due),
            Self::PartPaid { residual } => Some(residual),
            Self::Paid | Self::Overpaid { .. } => None,
        }
    }
}

/// What a notice of a bill asks for now, given what is left of the bill; `None` where nothing is.
///
/// `instalment` is the amount it was made for and whether other instalments are open; `None` for a notice that asks for
/// all that is left. The last open instalment asks for all that is left, whatever the others brought.
pub fn asked(residual: Option<Amount>, instalment: Option<(Amount, bool)>) -> Option<Amount> {
    match (residual, instalment) {
        (Some(residual), Some((own, true))) => Some(residual.min(own)),
        (residual, _) => residual,
    }
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
    fn the_last_instalment_asks_for_what_is_left() {
        let cents = |value| Amount::from_cents(value).unwrap();
        let own = cents(4_000);
        assert_eq!(asked(Some(cents(12_000)), None), Some(cents(12_000)));
        assert_eq!(asked(Some(cents(12_000)), Some((own, true))), Some(own));
        assert_eq!(asked(Some(cents(3_000)), Some((own, true))), Some(cents(3_000)), "never more than is left");
        assert_eq!(asked(Some(cents(5_500)), Some((own, false))), Some(cents(5_500)), "what the others left open");
        assert_eq!(asked(None, Some((own, true))), None);
    }
}
