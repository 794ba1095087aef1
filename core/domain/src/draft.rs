//! A bill about to be issued: lines for children and services, and the part or parts it is to be paid in.

use jiff::civil::Date;
use thiserror::Error;

use crate::id::{ChildId, ServiceId};
use crate::money::{Amount, Cents};

/// The most instalments a bill can be paid in.
pub const MAX_INSTALMENTS: usize = 12;

/// How long the reason on a notice may be, in characters (`stText140` of the Node's contract); the words that name an
/// instalment ("rata 12 di 12") have to fit, too.
pub const MAX_REASON: usize = 120;

/// A bill about to be issued, whose parts add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    number: String,
    period: String,
    reason: String,
    lines: Vec<DraftLine>,
    parts: Vec<DraftPart>,
    total: Amount,
}

/// What a child owes for a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftLine {
    /// Whose.
    pub child: ChildId,
    /// For what.
    pub service: ServiceId,
    /// How much.
    pub amount: Amount,
}

/// What is to be paid until a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftPart {
    /// Until when.
    pub due: Date,
    /// How much.
    pub amount: Amount,
}

/// Why this makes no bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DraftError {
    /// Number, period or reason is empty or too long.
    #[error("number, period and reason of a bill have 1 to 35, 1 to 70 and 1 to {MAX_REASON} characters")]
    Words,
    /// Nothing is owed, or more than a notice can carry.
    #[error("the lines of a bill sum to something a notice can ask for, from 0.01 to 999999999.99")]
    Lines,
    /// The instalments are not the whole.
    #[error("the instalments sum to {parts}, the lines to {lines}")]
    Sum {
        /// What the instalments sum to.
        parts: Cents,
        /// What the lines sum to.
        lines: Cents,
    },
    /// Their number or order.
    #[error("a bill has one due date, or 2 to {MAX_INSTALMENTS} instalments, each due after the one before")]
    Parts,
}

impl Draft {
    /// A bill of `lines`, to be paid in `parts`: one of them is the whole, several are instalments in order. The words
    /// are its number, its period and the reason on its notices.
    ///
    /// # Errors
    /// [`DraftError`].
    pub fn new(
        (number, period, reason): (String, String, String),
        lines: Vec<DraftLine>,
        parts: Vec<DraftPart>,
    ) -> Result<Self, DraftError> {
        let fits = |text: &str, most: usize| !text.trim().is_empty() && text.chars().count() <= most;
        if !fits(&number, 35) || !fits(&period, 70) || !fits(&reason, MAX_REASON) {
            return Err(DraftError::Words);
        }
        let owed = sum(lines.iter().map(|line| line.amount))?;
        let total = Amount::from_cents(owed.get()).map_err(|_| DraftError::Lines)?;
        let ascending = parts.windows(2).all(|pair| matches!(pair, [one, next] if one.due < next.due));
        if parts.is_empty() || parts.len() > MAX_INSTALMENTS || !ascending {
            return Err(DraftError::Parts);
        }
        let asked = sum(parts.iter().map(|part| part.amount))?;
        if asked != owed {
            return Err(DraftError::Sum { parts: asked, lines: owed });
        }
        Ok(Self { number, period, reason, lines, parts, total })
    }

    /// The creditor's number.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// For which period.
    pub fn period(&self) -> &str {
        &self.period
    }

    /// Its lines.
    pub fn lines(&self) -> &[DraftLine] {
        &self.lines
    }

    /// What is owed.
    pub fn total(&self) -> Amount {
        self.total
    }

    /// When the first part is due.
    pub fn due(&self) -> Option<Date> {
        self.parts.first().map(|part| part.due)
    }

    /// A notice per part: which instalment (`None` for the whole), what it says, when and how much.
    pub fn notices(&self) -> impl Iterator<Item = (Option<i64>, String, DraftPart)> + '_ {
        let count = self.parts.len();
        (1i64..).zip(&self.parts).map(move |(number, part)| match count {
            1 => (None, self.reason.clone(), *part),
            _ => (Some(number), format!("{} - rata {number} di {count}", self.reason), *part),
        })
    }
}

fn sum(mut amounts: impl Iterator<Item = Amount>) -> Result<Cents, DraftError> {
    amounts.try_fold(Cents::ZERO, |sum, amount| sum.plus(amount.as_cents())).map_err(|_| DraftError::Lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cents(value: i64) -> Amount {
        Amount::from_cents(value).unwrap()
    }

    fn part(day: i8, amount: i64) -> DraftPart {
        DraftPart { due: Date::constant(2026, 12, day), amount: cents(amount) }
    }

    fn draft(lines: &[i64], parts: Vec<DraftPart>) -> Result<Draft, DraftError> {
        let id = uuid::Uuid::from_u128;
        let line = |amount| DraftLine { child: id(1).into(), service: id(2).into(), amount: cents(amount) };
        let words = ("2026/1".to_owned(), "ottobre 2026".to_owned(), "Mensa".to_owned());
        Draft::new(words, lines.iter().map(|amount| line(*amount)).collect(), parts)
    }

    #[test]
    fn the_parts_of_a_bill_add_up() {
        let whole = draft(&[4_000, 1_733], vec![part(1, 5_733)]).unwrap();
        assert_eq!(whole.total(), cents(5_733));
        assert_eq!(whole.notices().collect::<Vec<_>>(), [(None, "Mensa".to_owned(), part(1, 5_733))]);
        let three = draft(&[6_000], vec![part(1, 2_000), part(2, 2_000), part(3, 2_000)]).unwrap();
        let third = three.notices().last().unwrap();
        assert_eq!(third, (Some(3), "Mensa - rata 3 di 3".to_owned(), part(3, 2_000)));
    }

    #[test]
    fn what_makes_no_bill() {
        let uneven = draft(&[6_000], vec![part(1, 2_000), part(2, 3_999)]);
        assert_eq!(uneven, Err(DraftError::Sum { parts: Cents::new(5_999), lines: Cents::new(6_000) }));
        for parts in [vec![], vec![part(2, 3_000), part(2, 3_000)], (1..=13).map(|day| part(day, 1)).collect()] {
            assert_eq!(draft(&[6_000], parts), Err(DraftError::Parts));
        }
        assert_eq!(draft(&[], vec![part(1, 1)]), Err(DraftError::Lines));
        let most = 99_999_999_999;
        assert_eq!(draft(&[most, 1], vec![part(1, most), part(2, 1)]), Err(DraftError::Lines));
        let unnamed = Draft::new((String::new(), "x".to_owned(), "y".to_owned()), vec![], vec![part(1, 1)]);
        assert_eq!(unnamed, Err(DraftError::Words));
    }
}
