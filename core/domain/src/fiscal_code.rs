//! The codice fiscale of a person: 16 characters, or 11 digits while provisional. The 11-digit code of a public body
//! is [`CreditorCode`].
//!
//! The rules come from DM 23/12/1976. The small helpers that every identifier of this crate shares (the standard
//! conversions, ASCII digits) live here too, because this is the first identifier one meets.

use thiserror::Error;

pub use crate::creditor::{CreditorCode, CreditorCodeError};

/// Implements the conversions every identifier offers, on top of its own `parse` and `as_str`.
///
/// `shown` prints the text in `Debug`; `redacted` hides it, for identifiers that point to a person or open a door.
macro_rules! code_traits {
    (shown $type:ident, $error:ty) => {
        $crate::fiscal_code::code_traits!($type, $error);

        impl ::std::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::write!(f, "{}({})", stringify!($type), self.as_str())
            }
        }
    };
    (redacted $type:ident, $error:ty) => {
        $crate::fiscal_code::code_traits!($type, $error);

        impl ::std::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(…)"))
            }
        }
    };
    ($type:ident, $error:ty) => {
        impl ::std::str::FromStr for $type {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use code_traits;

/// Exactly `N` ASCII digits, or nothing.
pub(crate) fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes: [u8; N] = text.as_bytes().try_into().ok()?;
    bytes.iter().all(u8::is_ascii_digit).then_some(bytes)
}

/// The text of bytes already known to be ASCII.
pub(crate) fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The number written by ASCII digits; wraps beyond 19 of them, which no caller has.
pub(crate) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum: u64, digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0'))))
}

/// Writes a number over `field` in decimal, zero padded; what does not fit is cut off on the left.
pub(crate) fn write_number(mut number: u64, field: &mut [u8]) {
    for digit in field.iter_mut().rev() {
        *digit = b'0'.wrapping_add(u8::try_from(number % 10).unwrap_or_default());
        number /= 10;
    }
}

/// ASCII text in blocks of `size` characters divided by blanks, as printed for people.
pub(crate) fn in_groups(text: &str, size: usize) -> String {
    text.as_bytes().chunks(size.max(1)).map(ascii).collect::<Vec<_>>().join(" ")
}

/// Maps eight secure random bytes onto `0..range` by a widening multiplication.
///
/// Without rejection some values are likelier than others by at most `range / 2^64`: below one part in a million for
/// every range of this crate (10^13 at most), which no guesser can use.
pub(crate) fn scale(random: [u8; 8], range: u64) -> u64 {
    let product = u128::from(u64::from_be_bytes(random)).wrapping_mul(u128::from(range));
    u64::try_from(product.wrapping_shr(64)).unwrap_or_default()
}

/// Whether the last of eleven digits is the check digit of the others (the plain Luhn sum).
pub(crate) fn luhn_holds(code: &[u8; 11]) -> bool {
    const DOUBLED: [u8; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let sum = code.iter().enumerate().fold(0u16, |sum, (index, digit)| {
        let value = digit.wrapping_sub(b'0');
        let weighed = match index % 2 {
            0 => value,
            _ => DOUBLED.get(usize::from(value)).copied().unwrap_or_default(),
        };
        sum.wrapping_add(u16::from(weighed))
    });
    sum.is_multiple_of(10)
}

/// Why a text is not the tax code of a person. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PersonalCodeError {
    /// Neither 16 characters nor, for a provisional code, 11.
    #[error("a tax code has 16 characters, or 11 digits when provisional")]
    Length,
    /// A character that cannot stand where it stands.
    #[error("character {position} of the tax code is not allowed there")]
    Shape {
        /// Position of the first wrong character, from 1.
        position: usize,
    },
    /// The day does not exist in the month.
    #[error("the tax code holds a day of birth that does not exist")]
    BirthDate,
    /// The last character does not follow from the others: a slip of the pen.
    #[error("the last character of the tax code does not match the others")]
    Check,
    /// Eleven zeros: their check digit holds, but they fill empty cells of import files and name nobody.
    #[error("eleven zeros are not a tax code")]
    Zero,
}

/// Sex as written in the tax code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sex {
    /// Woman: 40 is added to the day of birth.
    Female,
    /// Man.
    Male,
}

/// What a tax code tells about a birth. It has no century, so it is a hint, never an age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Birth {
    /// Last two digits of the year, 0..=99.
    pub year: u8,
    /// Month, 1..=12.
    pub month: u8,
    /// Day of the month, 1..=31.
    pub day: u8,
    /// Sex in the registers.
    pub sex: Sex,
}

/// The codice fiscale of a person: 16 characters, or the 11 digits of a provisional one.
///
/// Homonyms get a code whose digits are partly replaced by letters (*omocodia*); such a code is accepted with any of
/// its seven digits replaced. Agreement with the person's name is not asked for: registers hold exceptions. `Debug`
/// shows nothing; `Display` and [`as_str`](Self::as_str) show the code and belong on no log line.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonalCode(Box<str>);
code_traits!(redacted PersonalCode, PersonalCodeError);

impl PersonalCode {
    /// Reads a tax code; surrounding blanks and lower case are forgiven.
    ///
    /// # Errors
    /// See [`PersonalCodeError`].
    pub fn parse(text: &str) -> Result<Self, PersonalCodeError> {
        let text = text.trim().to_ascii_uppercase();
        // First, because such a character would also spoil the count of bytes.
        if let Some(index) = text.chars().position(|c| !c.is_ascii_alphanumeric()) {
            return Err(PersonalCodeError::Shape { position: index.saturating_add(1) });
        }
        if let Ok(code) = <&[u8; 16]>::try_from(text.as_bytes()) {
            if let Some(index) = code.iter().zip(SHAPE).position(|(c, slot)| !slot.admits(*c)) {
                return Err(PersonalCodeError::Shape { position: index.saturating_add(1) });
            }
            birth_of(code).ok_or(PersonalCodeError::BirthDate)?;
            if !check_letter_holds(code) {
                return Err(PersonalCodeError::Check);
            }
        } else if let Ok(code) = <&[u8; 11]>::try_from(text.as_bytes()) {
            if let Some(index) = code.iter().position(|c| !c.is_ascii_digit()) {
                return Err(PersonalCodeError::Shape { position: index.saturating_add(1) });
            }
            if !luhn_holds(code) {
                return Err(PersonalCodeError::Check);
            }
            if code.iter().all(|c| *c == b'0') {
                return Err(PersonalCodeError::Zero);
            }
        } else {
            return Err(PersonalCodeError::Length);
        }
        Ok(Self(text.into()))
    }

    /// The code, upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a provisional code of 11 digits, which tells nothing about its holder.
    pub fn is_provisional(&self) -> bool {
        self.0.len() == 11
    }

    /// Birth date and sex, letters of omocodia read as the digits they replace. `None` for a provisional code.
    pub fn birth(&self) -> Option<Birth> {
        birth_of(self.0.as_bytes().try_into().ok()?)
    }

    /// Land-register code of the place of birth, e.g. `H501` for Rome; `Z` and three digits abroad. Letters of
    /// omocodia read as digits. `None` for a provisional code.
    pub fn place(&self) -> Option<String> {
        let [letter, number @ ..] = self.0.as_bytes().get(11..15)? else { return None };
        let number = number.iter().map(|c| Some(char::from(b'0'.checked_add(digit(*c)?)?)));
        std::iter::once(Some(char::from(*letter))).chain(number).collect()
    }
}

/// What may stand at one of the 16 places.
#[derive(Clone, Copy)]
enum Slot {
    Letter,
    Digit,
    Month,
}

impl Slot {
    fn admits(self, c: u8) -> bool {
        match self {
            Self::Letter => c.is_ascii_uppercase(),
            Self::Digit => digit(c).is_some(),
            Self::Month => MONTHS.contains(&c),
        }
    }
}

const SHAPE: [Slot; 16] = {
    use Slot::{Digit as D, Letter as L, Month as M};
    [L, L, L, L, L, L, D, D, M, D, D, L, D, D, D, L]
};

/// January to December.
const MONTHS: &[u8; 12] = b"ABCDEHLMPRST";

/// Longest day of each month; 29 February always passes, as the century is unknown.
const DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The letters that stand for 0..=9 in omocodia.
const OMOCODIA: &[u8; 10] = b"LMNPQRSTUV";

/// Value of a character at an odd place, by digit value or letter index.
const ODD: [u16; 26] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/// The digit a character of omocodia stands for.
fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => c.checked_sub(b'0'),
        _ => OMOCODIA.iter().position(|letter| *letter == c)?.try_into().ok(),
    }
}

fn birth_of(code: &[u8; 16]) -> Option<Birth> {
    let [.., y1, y2, month, d1, d2, _, _, _, _, _] = *code;
    let two = |tens, units| digit(tens)?.checked_mul(10)?.checked_add(digit(units)?);
    let index = MONTHS.iter().position(|letter| *letter == month)?;
    let (day, sex) = match two(d1, d2)? {
        day @ 41.. => (day.checked_sub(40)?, Sex::Female),
        day => (day, Sex::Male),
    };
    (1..=*DAYS.get(index)?).contains(&day).then_some(Birth {
        year: two(y1, y2)?,
        month: u8::try_from(index).ok()?.checked_add(1)?,
        day,
        sex,
    })
}

fn check_letter_holds(code: &[u8; 16]) -> bool {
    let value = |c: u8| match c {
        b'0'..=b'9' => u16::from(c.wrapping_sub(b'0')),
        _ => u16::from(c.wrapping_sub(b'A')),
    };
    let [first @ .., check] = code;
    let sum = first.iter().enumerate().fold(0u16, |sum, (index, c)| {
        let weighed = match index % 2 {
            // The first place is odd: the law counts from 1.
            0 => ODD.get(usize::from(value(*c))).copied().unwrap_or_default(),
            _ => value(*c),
        };
        sum.wrapping_add(weighed)
    });
    sum % 26 == value(*check)
}
