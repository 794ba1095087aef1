//! Money: integer euro cents with checked arithmetic, and the text parents read and type.
//!
//! Two types: [`Amount`] is what somebody pays (always positive, at most what pagoPA can carry), [`Cents`] is what an
//! account holds (any sign). `rust_decimal` reads and rounds; nothing here is ever a float.

use std::fmt;
use std::str::FromStr;

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use thiserror::Error;

use crate::language::Language;

/// The largest amount a pagoPA message can carry, in cents (`stAmount`: 999999999.99, sac-common-types-1.0.xsd).
pub const MAX_AMOUNT_CENTS: i64 = 99_999_999_999;

/// A positive amount of euro cents, at most [`MAX_AMOUNT_CENTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

/// Why a number or a text is no [`Amount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Not a number in the Italian or plain form.
    #[error("not an amount")]
    NotANumber,
    /// Zero.
    #[error("the amount is zero")]
    Zero,
    /// Below zero.
    #[error("the amount is negative")]
    Negative,
    /// More than two decimals, for example `10,005`.
    #[error("the amount has more than two decimals")]
    TooManyDecimals,
    /// Above [`MAX_AMOUNT_CENTS`].
    #[error("the amount is larger than pagoPA can carry")]
    TooLarge,
}

impl Amount {
    /// An amount of `cents`, 1 to [`MAX_AMOUNT_CENTS`].
    pub const fn from_cents(cents: i64) -> Result<Self, AmountError> {
        match cents {
            0 => Err(AmountError::Zero),
            ..0 => Err(AmountError::Negative),
            1..=MAX_AMOUNT_CENTS => Ok(Self(cents)),
            _ => Err(AmountError::TooLarge),
        }
    }

    /// The cents, 1 to [`MAX_AMOUNT_CENTS`].
    pub const fn cents(self) -> i64 {
        self.0
    }

    /// The same value as a signed balance.
    pub const fn as_cents(self) -> Cents {
        Cents(self.0)
    }

    /// Reads what a parent types: `12`, `12,4`, `12,40`, `12.40`, `1.234,56`, `€ 10`, with spaces. A single dot
    /// followed by exactly three digits is a thousands separator, as in Italy, unless a zero stands before it; any other
    /// dot is a decimal point.
    ///
    /// # Errors
    /// [`AmountError`]; three decimals are refused, never rounded.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let bare: String = text.chars().filter(|c| !c.is_whitespace() && *c != '€').collect();
        let (sign, digits) = match bare.strip_prefix('-') {
            Some(rest) => (Decimal::NEGATIVE_ONE, rest),
            None => (Decimal::ONE, bare.as_str()),
        };
        let plain = normalise(digits).ok_or(AmountError::NotANumber)?;
        if plain.split_once('.').is_some_and(|(_, fraction)| fraction.len() > 2) {
            return Err(AmountError::TooManyDecimals);
        }
        let value = Decimal::from_str_exact(&plain).map_err(|_| AmountError::TooLarge)?;
        let cents = value
            .checked_mul(Decimal::ONE_HUNDRED)
            .and_then(|cents| cents.checked_mul(sign))
            .and_then(|cents| cents.to_i64())
            .ok_or(AmountError::TooLarge)?;
        Self::from_cents(cents)
    }

    /// The sum, or `None` above the limit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(|cents| Self::from_cents(cents).ok())
    }
}

/// Turns a typed number into `digits[.digits]`, or `None` where it is no number.
fn normalise(text: &str) -> Option<String> {
    let (whole, fraction) = match (text.rfind(','), text.rfind('.')) {
        (Some(_), _) => text.rsplit_once(',')?,
        (None, Some(_)) => {
            let (head, tail) = text.rsplit_once('.')?;
            // `1.234` is a thousand; `0.125` can only be an eighth.
            if tail.len() == 3 && !head.is_empty() && !head.starts_with('0') { (text, "") } else { (head, tail) }
        }
        (None, None) => (text, ""),
    };
    let grouped = whole.contains('.');
    let mut groups = whole.split('.');
    let first = groups.next()?;
    let well_grouped = !grouped || (1..=3).contains(&first.len());
    let rest_ok = groups.all(|group| group.len() == 3 && all_digits(group));
    let number_ok = all_digits(first) && well_grouped && rest_ok && fraction.bytes().all(|b| b.is_ascii_digit());
    let comma_without_cents = text.ends_with([',', '.']);
    if !number_ok || first.is_empty() || comma_without_cents || text.len() > 40 {
        return None;
    }
    let whole: String = whole.chars().filter(|c| *c != '.').collect();
    Some(if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") })
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl TryFrom<i64> for Amount {
    type Error = AmountError;

    fn try_from(cents: i64) -> Result<Self, AmountError> {
        Self::from_cents(cents)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        Self::parse(text)
    }
}

/// The sum of two balances does not fit 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the sum of cents overflows")]
pub struct CentsOverflow;

/// A signed number of euro cents: a balance, or one side of a posting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(i64);

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `cents` as they are.
    pub const fn new(cents: i64) -> Self {
        Self(cents)
    }

    /// The number of cents.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`CentsOverflow`] where it does not fit.
    pub fn plus(self, other: Self) -> Result<Self, CentsOverflow> {
        self.0.checked_add(other.0).map(Self).ok_or(CentsOverflow)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`CentsOverflow`] where it does not fit.
    pub fn minus(self, other: Self) -> Result<Self, CentsOverflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(CentsOverflow)
    }

    /// The opposite.
    ///
    /// # Errors
    /// [`CentsOverflow`] for the smallest number.
    pub fn negated(self) -> Result<Self, CentsOverflow> {
        self.0.checked_neg().map(Self).ok_or(CentsOverflow)
    }

    /// How a person of `language` reads it: `1.234,56 €` in Italian and German, `€1,234.56` in English; a minus in
    /// front of a negative one.
    pub fn text(self, language: Language) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        let (whole, rest) = (cents.div_euclid(100), cents.rem_euclid(100));
        let (group, point) = if language == Language::English { (',', '.') } else { ('.', ',') };
        let digits = whole.to_string();
        let mut grouped = String::with_capacity(32);
        for (index, digit) in digits.chars().enumerate() {
            let left = digits.len().saturating_sub(index);
            if index > 0 && left.is_multiple_of(3) {
                grouped.push(group);
            }
            grouped.push(digit);
        }
        match language {
            Language::English => format!("{sign}€{grouped}{point}{rest:02}"),
            Language::Italian | Language::German => format!("{sign}{grouped}{point}{rest:02} €"),
        }
    }
}

impl From<Amount> for Cents {
    fn from(amount: Amount) -> Self {
        Self(amount.0)
    }
}

impl From<i64> for Cents {
    fn from(cents: i64) -> Self {
        Self(cents)
    }
}

/// Plain `-12.40`: for logs and machine-readable exports, not for screens.
impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", cents.div_euclid(100), cents.rem_euclid(100))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_cents().fmt(f)
    }
}

/// A share of `price`, in hundredths of a percent (`6_550` is 65.5 %), rounded half up to the cent as municipal
/// tariffs are published.
///
/// # Errors
/// [`AmountError`] where the result is not a payable amount (a zero tariff is no charge at all).
pub fn share_of(price: Amount, basis_points: u32) -> Result<Amount, AmountError> {
    let share = Decimal::from(price.0)
        .checked_mul(Decimal::from(basis_points))
        .and_then(|value| value.checked_div(Decimal::from(10_000)))
        .ok_or(AmountError::TooLarge)?;
    let cents = share.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero).to_i64();
    Amount::from_cents(cents.ok_or(AmountError::TooLarge)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_parent_may_type_it_in_any_usual_way() {
        let cases = [
            ("10", 1_000),
            ("10,00", 1_000),
            ("10.5", 1_050),
            ("12,4", 1_240),
            ("1.234,56", 123_456),
            ("1.234", 123_400),
            ("€ 7", 700),
            ("0,01", 1),
            ("999.999.999,99", MAX_AMOUNT_CENTS),
        ];
        for (text, cents) in cases {
            assert_eq!(Amount::parse(text).map(Amount::cents), Ok(cents), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_says_why() {
        use AmountError::*;
        let cases = [
            ("", NotANumber),
            (",", NotANumber),
            ("10,", NotANumber),
            ("1,2,3", NotANumber),
            ("1.23.4", NotANumber),
            ("dieci", NotANumber),
            ("1e3", NotANumber),
            ("--1", NotANumber),
            ("0", Zero),
            ("0,00", Zero),
            ("-5", Negative),
            ("10,005", TooManyDecimals),
            ("10,500", TooManyDecimals),
            ("0.125", TooManyDecimals),
            ("-0.125", TooManyDecimals),
            ("1.000.000.000,00", TooLarge),
            ("99999999999999999999999999999999999", TooLarge),
        ];
        for (text, why) in cases {
            assert_eq!(Amount::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn amounts_read_as_in_the_screens() {
        let cents = Cents::new(123_456);
        assert_eq!(cents.text(Language::Italian), "1.234,56 €");
        assert_eq!(cents.text(Language::German), "1.234,56 €");
        assert_eq!(cents.text(Language::English), "€1,234.56");
        assert_eq!(Cents::new(-5_733).text(Language::Italian), "-57,33 €");
        assert_eq!(Cents::new(i64::MIN).text(Language::Italian), "-92.233.720.368.547.758,08 €");
        assert_eq!(Cents::new(-7).to_string(), "-0.07");
    }

    #[test]
    fn tariffs_round_half_up() {
        let price = Amount::from_cents(425).unwrap();
        assert_eq!(share_of(price, 5_000).map(Amount::cents), Ok(213), "212.5 rounds up");
        assert_eq!(share_of(price, 10_000).map(Amount::cents), Ok(425));
        assert_eq!(share_of(price, 0), Err(AmountError::Zero));
    }

    proptest! {
        #[test]
        fn every_amount_survives_its_own_text(cents in 1..=MAX_AMOUNT_CENTS) {
            let amount = Amount::from_cents(cents).unwrap();
            prop_assert_eq!(Amount::parse(&amount.as_cents().text(Language::Italian)), Ok(amount));
            prop_assert_eq!(Amount::parse(&format!("{}.{:02}", cents / 100, cents % 100)), Ok(amount));
        }

        #[test]
        fn nothing_typed_panics(text in "\\PC*") {
            let _ = Amount::parse(&text);
        }
    }
}
