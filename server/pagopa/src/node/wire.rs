//! The simple types of the Node's messages, as wide as the contract allows and no wider.
//!
//! These are wire types: what pagoPA may say, not what this house would issue. A notice number is any 18 digits (the
//! stand-in probe sends eighteen zeros) and a creditor's code any 11 (the test environment's has no valid check
//! digit). Sources: `paForNode.xsd` and `sac-common-types-1.0.xsd` of pagopa/pagopa-api, branch SANP3.12.0.

use std::fmt;
use std::sync::LazyLock;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

/// The largest amount the contract can carry: 999999999.99 euro, in cents (`stAmount`).
pub const MAX_CENTS: i64 = 99_999_999_999;

macro_rules! digits {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Takes exactly the right number of ASCII digits; anything else is `None`.
            #[must_use]
            pub fn new(text: &str) -> Option<Self> {
                (text.len() == $length && text.bytes().all(|b| b.is_ascii_digit())).then(|| Self(text.to_owned()))
            }

            /// The digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

digits!(
    /// A notice number as the Node may send it: any 18 digits, check digits not looked at (`stNoticeNumber`).
    NoticeNumber18,
    18
);
digits!(
    /// A public body's fiscal code as the Node may send it: any 11 digits (`stFiscalCodePA`).
    Digits11,
    11
);

/// An amount that is not zero, in euro cents: 1 ..= [`MAX_CENTS`] (`stAmountNotZero`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PositiveCents(i64);

impl PositiveCents {
    /// Takes cents between 1 and [`MAX_CENTS`]; anything else is `None`.
    #[must_use]
    pub fn new(cents: i64) -> Option<Self> {
        (1..=MAX_CENTS).contains(&cents).then_some(Self(cents))
    }

    /// The cents.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }
}

/// Reads an amount (`\d+\.\d{2}`, surrounding white space collapsed) into cents, 0 ..= [`MAX_CENTS`].
#[must_use]
pub fn parse_amount(text: &str) -> Option<i64> {
    let (euro, cents) = trim(text).split_once('.')?;
    if euro.is_empty() || cents.len() != 2 {
        return None;
    }
    let mut total = 0_i64;
    for byte in euro.bytes().chain(cents.bytes()) {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte & 0x0f))?;
        total = total.checked_mul(10)?.checked_add(digit)?;
    }
    (total <= MAX_CENTS).then_some(total)
}

/// Writes cents as the Node wants them: `4500` is `45.00`.
#[must_use]
pub fn amount_text(cents: PositiveCents) -> String {
    let cents = cents.get();
    format!("{}.{:02}", cents.div_euclid(100), cents.rem_euclid(100))
}

/// A calendar date as it came (`xs:date`, perhaps with a zone) and as read. The zone does not move the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireDate {
    /// The text as received, trimmed.
    pub text: String,
    /// The day it names.
    pub date: Date,
}

/// A point in time as it came (`xs:dateTime`) and as read.
///
/// Without a zone it is Italian local time; where the clocks go back the first of the two hours is meant. Fractions
/// are kept to the nanosecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireDateTime {
    /// The text as received, trimmed.
    pub text: String,
    /// The instant it names.
    pub instant: Timestamp,
}

impl WireDate {
    /// Reads an `xs:date`; `None` where it is not one, or its year is outside 1..=9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = trim(text);
        let (day, zone) = text.split_at_checked(10)?;
        parse_zone(zone)?;
        Some(Self { text: text.to_owned(), date: parse_day(day)? })
    }
}

impl WireDateTime {
    /// Reads an `xs:dateTime`; `None` where it is not one, or its year is outside 1..=9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = trim(text);
        let (day, rest) = text.split_at_checked(10)?;
        let (clock, rest) = rest.strip_prefix('T')?.split_at_checked(8)?;
        let (nanos, zone) = parse_fraction(rest)?;
        let local = parse_clock(parse_day(day)?, clock, nanos)?;
        let instant = match parse_zone(zone)? {
            Some(offset) => offset.to_timestamp(local).ok()?,
            None => ITALY.to_ambiguous_timestamp(local).compatible().ok()?,
        };
        Some(Self { text: text.to_owned(), instant })
    }
}

// The bundled rules, so that a host without zone files reads the same instants. Were they ever missing, winter time
// is the better guess than none.
static ITALY: LazyLock<TimeZone> = LazyLock::new(|| {
    TimeZoneDatabase::bundled().get("Europe/Rome").unwrap_or_else(|_| TimeZone::fixed(Offset::constant(1)))
});

fn parse_day(text: &str) -> Option<Date> {
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day) = rest.strip_prefix('-')?.split_once('-')?;
    let year = i16::try_from(number(year, 4)?).ok().filter(|y| *y > 0)?;
    Date::new(year, i8::try_from(number(month, 2)?).ok()?, i8::try_from(number(day, 2)?).ok()?).ok()
}

fn parse_clock(day: Date, clock: &str, nanos: i32) -> Option<DateTime> {
    let mut parts = clock.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() {
        return None;
    }
    // XML Schema writes the end of a day as 24:00:00.
    if (hour, minute, second, nanos) == (24, 0, 0, 0) {
        return Some(day.checked_add(1.day()).ok()?.to_datetime(Time::midnight()));
    }
    let [hour, minute, second] = [hour, minute, second].map(|n| i8::try_from(n).unwrap_or(i8::MAX));
    Some(day.to_datetime(Time::new(hour, minute, second, nanos).ok()?))
}

/// Splits an optional fraction of a second from what follows it; digits past the ninth are cut off.
fn parse_fraction(text: &str) -> Option<(i32, &str)> {
    let Some(rest) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let end = rest.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, zone) = rest.split_at_checked(end)?;
    if digits.is_empty() {
        return None;
    }
    let nanos = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0_i32, |n, b| n.saturating_mul(10).saturating_add(i32::from(b & 0x0f)));
    Some((nanos, zone))
}

/// Reads a zone suffix: none, `Z`, or `+hh:mm` up to 14 hours either way.
fn parse_zone(text: &str) -> Option<Option<Offset>> {
    let (sign, rest) = match text.as_bytes().first() {
        None => return Some(None),
        Some(b'Z') if text.len() == 1 => return Some(Some(Offset::UTC)),
        Some(b'+') => (1, text.get(1..)?),
        Some(b'-') => (-1, text.get(1..)?),
        Some(_) => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    let total = hours.checked_mul(60)?.checked_add(minutes)?;
    if minutes > 59 || total > 14 * 60 {
        return None;
    }
    Offset::from_seconds(total.checked_mul(60)?.checked_mul(sign)?).ok().map(Some)
}

fn number(text: &str, digits: usize) -> Option<i32> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Strips the white space of XML (and only that) from both ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Decodes `xs:base64Binary`: white space anywhere, padding required.
pub(super) fn parse_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held, mut pads) = (0_u32, 0_u32, 0_u32);
    for byte in text.bytes().filter(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n')) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if held >= 2 => 0,
            _ => return None,
        };
        // After padding nothing but padding may follow, and nothing at all after its group.
        match (byte == b'=', pads) {
            (true, _) => pads += 1,
            (false, 0) => {}
            (false, _) => return None,
        }
        bits = (bits << 6) | u32::from(value);
        held += 1;
        if held == 4 {
            let group = bits.to_be_bytes();
            out.extend_from_slice(group.get(1..4_usize.saturating_sub(pads as usize))?);
            (bits, held) = (0, 0);
        }
    }
    (held == 0).then_some(out)
}
