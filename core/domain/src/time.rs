//! Instants and calendar days. The clock itself is outside: whoever asks for a decision brings the time.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::language::Language;

/// Where the municipalities are: their days and hours are Italy's, wherever the phone or the server is.
static ITALY: TimeZone = jiff::tz::get!("Europe/Rome");

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(i64);

impl Millis {
    /// `millis` since the epoch.
    pub const fn new(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// This instant moved by `millis`, held at the ends of the range.
    pub const fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This instant moved by whole days of 24 hours, held at the ends of the range.
    pub const fn plus_days(self, days: i64) -> Self {
        self.plus(days.saturating_mul(86_400_000))
    }

    /// The day in Italy at this instant; `None` outside the calendar (years -9999 to 9999).
    pub fn day_in_italy(self) -> Option<Date> {
        Some(Timestamp::from_millisecond(self.0).ok()?.to_zoned(ITALY.clone()).date())
    }

    /// The first instant of the day after `day` in Italy: until then whatever is due on `day` is in time. `None` outside
    /// the calendar.
    pub fn end_of_day_in_italy(day: Date) -> Option<Self> {
        let next = day.tomorrow().ok()?.to_zoned(ITALY.clone()).ok()?;
        Some(Self(next.timestamp().as_millisecond()))
    }

    /// `2026-11-20T08:12:03.250Z`, or the bare number outside the calendar.
    pub fn iso(self) -> String {
        Timestamp::from_millisecond(self.0).map_or_else(|_| self.0.to_string(), |at| format!("{at:.3}"))
    }

    /// `08:12` in Italy.
    pub fn clock_in_italy(self) -> Option<String> {
        let at = Timestamp::from_millisecond(self.0).ok()?.to_zoned(ITALY.clone());
        Some(format!("{:02}:{:02}", at.hour(), at.minute()))
    }
}

impl From<i64> for Millis {
    fn from(millis: i64) -> Self {
        Self(millis)
    }
}

/// `novembre`. January is the `Jänner` that South Tyrol's offices write.
fn month_name(day: Date, language: Language) -> &'static str {
    const IT: [&str; 12] = [
        "gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre",
        "novembre", "dicembre",
    ];
    const EN: [&str; 12] = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ];
    const DE: [&str; 12] = [
        "Jänner", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
        "Dezember",
    ];
    let index = usize::from(day.month().unsigned_abs().saturating_sub(1));
    language.choose([IT, EN, DE]).get(index).copied().unwrap_or_default()
}

/// `12 novembre`, with the year only when it is not `today`'s.
pub fn day_text(day: Date, today: Date, language: Language) -> String {
    let dot = language.choose(["", "", "."]);
    let year = if day.year() == today.year() { String::new() } else { format!(" {}", day.year()) };
    format!("{}{dot} {}{year}", day.day(), month_name(day, language))
}

/// `novembre 2026`: the month of a day.
pub fn month_text(day: Date, language: Language) -> String {
    format!("{} {}", month_name(day, language), day.year())
}

/// A school year, named by the calendar year it begins in: 2026 is `2026/2027`, from 1 September to 31 August.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchoolYear(i16);

impl SchoolYear {
    /// The school year that `day` falls in.
    pub fn of(day: Date) -> Self {
        Self(if day.month() >= 9 { day.year() } else { day.year().saturating_sub(1) })
    }

    /// The calendar year it begins in.
    pub const fn begins(self) -> i16 {
        self.0
    }

    /// `2026/2027`.
    pub fn text(self) -> String {
        format!("{}/{}", self.0, self.0.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_day_is_the_italian_day() {
        // 23:30 UTC on 31 December is already the new year in Italy.
        let at: Timestamp = "2026-12-31T23:30:00Z".parse().unwrap();
        assert_eq!(Millis::new(at.as_millisecond()).day_in_italy(), Some(date(2027, 1, 1)));
        assert_eq!(Millis::new(at.as_millisecond()).iso(), "2026-12-31T23:30:00.000Z");
        assert_eq!(Millis::new(i64::MAX).day_in_italy(), None);
    }

    #[test]
    fn a_day_lasts_until_midnight_in_italy() {
        let end = |day| Millis::end_of_day_in_italy(day).map(Millis::iso);
        assert_eq!(end(date(2026, 12, 20)).as_deref(), Some("2026-12-20T23:00:00.000Z"));
        assert_eq!(end(date(2026, 7, 1)).as_deref(), Some("2026-07-01T22:00:00.000Z"), "summer time");
    }

    #[test]
    fn days_read_as_people_say_them() {
        let day = date(2026, 11, 12);
        assert_eq!(day_text(day, date(2026, 1, 1), Language::Italian), "12 novembre");
        assert_eq!(day_text(day, date(2027, 1, 1), Language::English), "12 November 2026");
        assert_eq!(day_text(day, date(2027, 1, 1), Language::German), "12. November 2026");
        let winter = date(2027, 1, 6);
        assert_eq!(day_text(winter, winter, Language::German), "6. Jänner");
        assert_eq!(month_text(winter, Language::German), "Jänner 2027");
        assert_eq!(month_text(day, Language::Italian), "novembre 2026");
        assert_eq!(month_text(date(2026, 12, 31), Language::English), "December 2026");
    }

    #[test]
    fn a_school_year_turns_in_september() {
        assert_eq!(SchoolYear::of(date(2026, 8, 31)).text(), "2025/2026");
        assert_eq!(SchoolYear::of(date(2026, 9, 1)).text(), "2026/2027");
    }
}
