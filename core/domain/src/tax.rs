//! What a family may show to the tax office for a year: the rules behind the fiscal certificate (`certificazione ai fini
//! fiscali`, for the 730). Each rule names its source.
//!
//! - **Paid in the year, whatever it was for.** An expense is of the year in which it was borne (art. 15, c. 1, TUIR, DPR
//!   917/1986; Agenzia delle Entrate, circ. 7/E of 2018 on nursery fees: "a prescindere dall'anno scolastico cui si
//!   riferiscono"). So the day of the payment counts and not the day it was booked, a bill paid late is of the year it was paid
//!   in, and money put into a wallet counts when it is paid, eaten or not.
//! - **Traceable.** Since 2020 only what is paid through a bank, the post or another traceable means (art. 1, c. 679, L.
//!   160/2019, with art. 23 D.Lgs. 241/1997). What the office took in cash at its counter, and what a receipt says was paid in
//!   cash, is left out and told apart.
//! - **By whoever paid.** The payer that pagoPA's receipt names; where it names none, who owed.
//! - **Net of what was given back.** What was refunded in the year of its payment lessens it. What was refunded later lessens
//!   nothing of the year it is refunded in: it is income to be declared apart there (art. 17, c. 1, lett. n-bis, TUIR), so it is
//!   told apart, and so is what was given back since.
//! - **By kind of expense.** See [`Ground`].

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::money::{Cents, CentsOverflow};
use crate::service::ServiceKind;

/// Why an expense may be deducted, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// Attendance of a school, with the services around it: canteen, care before and after lessons (art. 15, c. 1, lett.
    /// e-bis, TUIR; circ. AdE 18/E of 2016, par. 2.1; ris. AdE 68/E of 2016), whoever runs them.
    School,
    /// Nursery fees (art. 1, c. 335, L. 266/2005, for good by art. 2, c. 6, L. 203/2008).
    Nursery,
    /// The school bus: not an expense of attendance (ris. AdE 68/E of 2016).
    None,
}

impl Ground {
    /// Of a kind of service.
    pub const fn of(kind: ServiceKind) -> Self {
        match kind {
            ServiceKind::Canteen | ServiceKind::BeforeSchool | ServiceKind::AfterSchool => Self::School,
            ServiceKind::Nursery => Self::Nursery,
            ServiceKind::Transport => Self::None,
        }
    }
}

/// Whether a receipt's `paymentMethod` is one that leaves a trace. The Node says `cash`, `creditCard`, `bancomat` or `other`
/// (SANP 3.12.0, sendPaymentOutcome); what says nothing was paid through pagoPA all the same, whose receipts the tax office takes
/// for proof (circ. AdE 7/E of 2021).
pub fn is_traceable(method: Option<&str>) -> bool {
    let cash =
        |method: &str| ["cash", "contanti", "contante"].iter().any(|word| method.trim().eq_ignore_ascii_case(word));
    !method.is_some_and(cash)
}

/// The part of a payment that was for one child and one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expense<S> {
    /// The service.
    pub service: S,
    /// When it was paid.
    pub day: Date,
    /// Whether it left a trace.
    pub traceable: bool,
    /// How much.
    pub cents: Cents,
    /// What was given back of it, and when.
    pub refunds: Vec<(Date, Cents)>,
}

/// What was paid for a service in a year.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Paid.
    pub paid: Cents,
    /// Given back in the same year, of what was paid in it.
    pub refunded: Cents,
}

impl Line {
    /// What is left.
    ///
    /// # Errors
    /// [`CentsOverflow`] where it does not fit.
    pub fn net(self) -> Result<Cents, CentsOverflow> {
        self.paid.minus(self.refunded)
    }
}

/// A tax year of one payer and one child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxYear<S> {
    /// What was paid for each service; none where nothing was.
    pub lines: BTreeMap<S, Line>,
    /// Paid in the year without a trace, less what was given back of it in the year.
    pub untraceable: Cents,
    /// Given back in the year of what was paid, with a trace, in earlier ones.
    pub refunded_of_earlier_years: Cents,
    /// Given back after the year of what was paid, with a trace, in it.
    pub refunded_since: Cents,
}

/// What of these expenses is a year's.
///
/// # Errors
/// [`CentsOverflow`] where a sum does not fit.
pub fn tax_year<S: Ord + Copy>(year: i16, expenses: &[Expense<S>]) -> Result<TaxYear<S>, CentsOverflow> {
    let mut lines: BTreeMap<S, Line> = BTreeMap::new();
    let (mut untraceable, mut earlier, mut since) = (Cents::ZERO, Cents::ZERO, Cents::ZERO);
    for expense in expenses {
        let paid_now = expense.day.year() == year;
        if paid_now && expense.traceable {
            let line = lines.entry(expense.service).or_default();
            line.paid = line.paid.plus(expense.cents)?;
        } else if paid_now {
            untraceable = untraceable.plus(expense.cents)?;
        }
        for (day, cents) in &expense.refunds {
            match (paid_now, day.year().cmp(&year), expense.traceable) {
                (true, std::cmp::Ordering::Equal, true) => {
                    let line = lines.entry(expense.service).or_default();
                    line.refunded = line.refunded.plus(*cents)?;
                }
                (true, std::cmp::Ordering::Equal, false) => untraceable = untraceable.minus(*cents)?,
                (true, std::cmp::Ordering::Greater, true) => since = since.plus(*cents)?,
                (false, std::cmp::Ordering::Equal, true) if expense.day.year() < year => {
                    earlier = earlier.plus(*cents)?
                }
                _ => {}
            }
        }
    }
    Ok(TaxYear { lines, untraceable, refunded_of_earlier_years: earlier, refunded_since: since })
}

/// Divides a payment among what is left of several things, in proportion, to the cent: the parts sum to the payment where as much
/// is left, none is more than what is left of its thing, and a payment of all that is left pays each of them off. What is paid
/// beyond belongs to none of them.
pub fn divide(payment: Cents, left: &[Cents]) -> Vec<Cents> {
    let left: Vec<i128> = left.iter().map(|cents| i128::from(cents.get()).max(0)).collect();
    let all: i128 = left.iter().fold(0, |sum: i128, cents| sum.saturating_add(*cents));
    let payment = i128::from(payment.get()).clamp(0, all);
    let share = |cents: &i128| {
        let product = payment.saturating_mul(*cents);
        (product.checked_div_euclid(all).unwrap_or(0), product.checked_rem_euclid(all).unwrap_or(0))
    };
    let mut shares: Vec<(i128, i128)> = left.iter().map(share).collect();
    let given = shares.iter().fold(0, |sum: i128, (whole, _)| sum.saturating_add(*whole));
    // Fewer cents are over than there are fractions: each goes to one of the largest, the first of equals.
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(shares.get(*at).map_or(0, |(_, rest)| *rest)));
    let over = usize::try_from(payment.saturating_sub(given)).unwrap_or(0);
    for at in order.into_iter().take(over) {
        if let Some((whole, _)) = shares.get_mut(at) {
            *whole = whole.saturating_add(1);
        }
    }
    shares.into_iter().map(|(whole, _)| Cents::new(i64::try_from(whole).unwrap_or(0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn paid(day: Date, cents: i64) -> Expense<u8> {
        Expense { service: 1, day, traceable: true, cents: Cents::new(cents), refunds: Vec::new() }
    }

    fn refunded(expense: Expense<u8>, day: Date, cents: i64) -> Expense<u8> {
        Expense { refunds: vec![(day, Cents::new(cents))], ..expense }
    }

    fn line(paid: i64, refunded: i64) -> Line {
        Line { paid: Cents::new(paid), refunded: Cents::new(refunded) }
    }

    #[test]
    fn an_expense_is_of_the_year_it_was_paid_in() {
        let expenses = [paid(date(2025, 12, 31), 100), paid(date(2026, 1, 1), 20), paid(date(2026, 12, 31), 3)];
        let year = |year| tax_year(year, &expenses).unwrap().lines.get(&1).copied();
        assert_eq!(year(2025), Some(line(100, 0)));
        assert_eq!(year(2026), Some(line(23, 0)));
        assert_eq!(year(2027), None);
    }

    #[test]
    fn what_leaves_no_trace_is_told_apart() {
        let cash = Expense { traceable: false, ..paid(date(2026, 3, 1), 500) };
        let year = tax_year(2026, &[cash.clone(), paid(date(2026, 3, 1), 70)]).unwrap();
        assert_eq!((year.lines.get(&1), year.untraceable), (Some(&line(70, 0)), Cents::new(500)));
        let back = tax_year(2026, &[refunded(cash, date(2026, 4, 1), 500)]).unwrap();
        assert_eq!((back.lines.len(), back.untraceable), (0, Cents::ZERO));
        for method in ["cash", "CASH", " Contanti "] {
            assert!(!is_traceable(Some(method)), "{method}");
        }
        for method in [None, Some("creditCard"), Some("CP"), Some("bancomat"), Some("other"), Some("")] {
            assert!(is_traceable(method), "{method:?}");
        }
    }

    #[test]
    fn a_refund_lessens_the_year_of_its_payment_only_within_it() {
        let expense = refunded(paid(date(2025, 11, 5), 4_000), date(2026, 2, 10), 1_500);
        let (before, after) =
            (tax_year(2025, std::slice::from_ref(&expense)).unwrap(), tax_year(2026, &[expense]).unwrap());
        assert_eq!(before.lines.get(&1), Some(&line(4_000, 0)));
        assert_eq!((before.refunded_of_earlier_years, before.refunded_since), (Cents::ZERO, Cents::new(1_500)));
        assert_eq!(after.lines.get(&1), None);
        assert_eq!((after.refunded_of_earlier_years, after.refunded_since), (Cents::new(1_500), Cents::ZERO));
        let same = tax_year(2026, &[refunded(paid(date(2026, 1, 5), 4_000), date(2026, 12, 31), 1_500)]).unwrap();
        assert_eq!(same.lines.get(&1).unwrap().net(), Ok(Cents::new(2_500)));
        assert_eq!((same.refunded_of_earlier_years, same.refunded_since), (Cents::ZERO, Cents::ZERO));
    }

    #[test]
    fn the_bus_is_no_expense_of_attendance() {
        let grounds = ServiceKind::ALL.map(Ground::of);
        assert_eq!(grounds, [Ground::School, Ground::None, Ground::School, Ground::School, Ground::Nursery]);
    }

    #[test]
    fn a_payment_is_divided_to_the_cent() {
        let cents = |numbers: &[i64]| numbers.iter().map(|number| Cents::new(*number)).collect::<Vec<_>>();
        assert_eq!(divide(Cents::new(100), &cents(&[100, 100, 100])), cents(&[34, 33, 33]));
        assert_eq!(divide(Cents::new(300), &cents(&[100, 100, 100])), cents(&[100, 100, 100]));
        assert_eq!(divide(Cents::new(999), &cents(&[1, 2])), cents(&[1, 2]), "what is beyond is nobody's");
        assert_eq!(divide(Cents::new(5), &cents(&[0, -7])), cents(&[0, 0]));
        assert_eq!(divide(Cents::new(5), &[]), []);
    }

    proptest! {
        #[test]
        fn instalments_pay_every_line_off(
            lines in proptest::collection::vec(1..1_000_000i64, 1..8),
            cuts in proptest::collection::vec(1..2_000_000i64, 1..12),
        ) {
            let mut left: Vec<Cents> = lines.iter().map(|cents| Cents::new(*cents)).collect();
            for cut in cuts.into_iter().chain([i64::MAX]) {
                let total: i64 = left.iter().map(|cents| cents.get()).sum();
                let shares = divide(Cents::new(cut), &left);
                prop_assert_eq!(shares.iter().map(|cents| cents.get()).sum::<i64>(), cut.min(total));
                for (share, left) in shares.iter().zip(&mut left) {
                    prop_assert!(*share >= Cents::ZERO && *share <= *left);
                    *left = left.minus(*share).unwrap();
                }
            }
            prop_assert!(left.iter().all(|cents| *cents == Cents::ZERO));
        }
    }
}
