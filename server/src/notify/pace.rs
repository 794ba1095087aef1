//! How fast messages are sent: a token bucket within FCM's quota, the pauses that FCM asks for, and longer and longer waits
//! after failures. Time and chance are arguments.
//!
//! FCM gives a project 600,000 messages a minute, so 10,000 a second if they are spread evenly; beyond that it answers 429
//! until the minute is over, and asks for a first wait of a minute where it names none
//! (firebase.google.com/docs/cloud-messaging: throttling-and-quotas, scale-fcm; reference: ErrorCode).

use borsellino_domain::time::Millis;
use jiff::fmt::rfc2822::DateTimeParser;

/// How long everybody waits after a 429 that names no time, in milliseconds; twice as long each further time.
const FIRST_PAUSE: i64 = 60_000;

/// The longest pause, in milliseconds, whoever asks for it: an hour. Then it is tried again, whatever was said.
const LONGEST_PAUSE: i64 = 60 * 60_000;

/// The first wait after a failure of one message, in milliseconds; twice as long each further time.
const FIRST_WAIT: i64 = 1_000;

/// The longest wait after a failure of one message, in milliseconds.
const LONGEST_WAIT: i64 = 10 * 60_000;

/// Reads `Retry-After` (RFC 9110, 10.2.3): seconds, or a date. Answers milliseconds from `now`; `None` where it is neither.
pub fn retry_after(header: &str, now: Millis) -> Option<i64> {
    let text = header.trim();
    let millis = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(1_000)
    } else {
        let at = DateTimeParser::new().parse_timestamp(text).ok()?;
        at.as_millisecond().saturating_sub(now.get())
    };
    Some(millis.clamp(0, LONGEST_PAUSE))
}

/// How long one message waits after its `attempts`th failure, in milliseconds: half of it is chance (`random`), so that
/// those that failed together do not come back together.
pub fn wait(attempts: i64, random: u32) -> i64 {
    let doublings = u32::try_from(attempts.saturating_sub(1).clamp(0, 20)).unwrap_or(20);
    spread(FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT), random)
}

/// Between half of `millis` and all of it.
fn spread(millis: i64, random: u32) -> i64 {
    let half = millis / 2;
    half.saturating_add(i64::from(random).checked_rem(half.saturating_add(1)).unwrap_or(0))
}

/// The pace of a node.
#[derive(Debug)]
pub struct Pace {
    per_minute: i64,
    /// What may be sent at once, in sixty-thousandths of a message: one message a minute is one of them a millisecond.
    level: i64,
    filled: Millis,
    paused_until: Millis,
    /// How many pauses in a row had no answer but another refusal.
    pauses: u32,
}

/// A message, in the units of [`Pace::level`].
const ONE: i64 = 60_000;

impl Pace {
    /// At most `per_minute` messages a minute, and at most a second's worth of them at once.
    pub fn new(per_minute: u32, now: Millis) -> Self {
        let per_minute = i64::from(per_minute.max(1));
        Self { per_minute, level: Self::full(per_minute), filled: now, paused_until: Millis::new(i64::MIN), pauses: 0 }
    }

    /// A second's worth, and at least one message.
    fn full(per_minute: i64) -> i64 {
        per_minute.saturating_mul(1_000).max(ONE)
    }

    /// How many of `wanted` messages may be sent now; they count as sent.
    pub fn take(&mut self, wanted: u32, now: Millis) -> u32 {
        let passed = now.get().saturating_sub(self.filled.get()).max(0);
        let gained = passed.saturating_mul(self.per_minute);
        self.level = self.level.saturating_add(gained).min(Self::full(self.per_minute));
        self.filled = now;
        if self.is_paused(now) {
            return 0;
        }
        let there = u32::try_from(self.level / ONE).unwrap_or(u32::MAX);
        let taken = wanted.min(there);
        self.level = self.level.saturating_sub(i64::from(taken).saturating_mul(ONE));
        taken
    }

    /// So many of those taken were not sent.
    pub fn give_back(&mut self, unused: u32) {
        let back = i64::from(unused).saturating_mul(ONE);
        self.level = self.level.saturating_add(back).min(Self::full(self.per_minute));
    }

    /// Whether nobody may send. A clock that was set back makes no pause longer than the longest.
    pub fn is_paused(&self, now: Millis) -> bool {
        now < self.paused_until && self.paused_until <= now.plus(LONGEST_PAUSE)
    }

    /// FCM asks everybody to wait: for `asked` milliseconds where it says so. Answers until when. Of many refusals at once
    /// the first begins the pause; another one makes it longer only where it asks for more.
    pub fn refused(&mut self, asked: Option<i64>, now: Millis, random: u32) -> Millis {
        let until = match asked {
            Some(millis) => now.plus(millis.clamp(1, LONGEST_PAUSE)),
            None if self.is_paused(now) => self.paused_until,
            None => {
                let doubled = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(10));
                // Never less than the minute that FCM asks for.
                now.plus(spread(doubled.saturating_mul(2), random).min(LONGEST_PAUSE))
            }
        };
        if self.is_paused(now) {
            self.paused_until = self.paused_until.max(until);
        } else {
            self.pauses = self.pauses.saturating_add(1);
            self.paused_until = until;
        }
        self.paused_until
    }

    /// A message went through.
    pub fn went_through(&mut self) {
        self.pauses = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis::new(1_795_168_800_000);

    #[test]
    fn both_forms_of_retry_after() {
        for (header, millis) in [
            ("0", Some(0)),
            ("120", Some(120_000)),
            (" 7 ", Some(7_000)),
            ("99999999999999999999", Some(LONGEST_PAUSE)),
            ("Fri, 20 Nov 2026 10:01:30 GMT", Some(90_000)),
            ("Fri, 20 Nov 2026 09:59:00 GMT", Some(0)),
            ("Sat, 21 Nov 2026 10:00:00 GMT", Some(LONGEST_PAUSE)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(header, NOW), millis, "{header}");
        }
    }

    #[test]
    fn waits_grow_and_are_spread() {
        assert_eq!((wait(1, 0), wait(1, 500), wait(1, 501)), (500, 1_000, 500));
        assert_eq!((wait(2, 0), wait(4, 0)), (1_000, 4_000));
        for attempts in [11, 60, i64::MAX] {
            assert_eq!(wait(attempts, 0), LONGEST_WAIT / 2);
            assert!(wait(attempts, u32::MAX) <= LONGEST_WAIT);
        }
        assert_eq!(wait(0, 0), 500);
        assert_eq!(wait(i64::MIN, 0), 500);
    }

    #[test]
    fn no_more_than_the_quota() {
        let mut pace = Pace::new(600_000, NOW);
        assert_eq!(pace.take(u32::MAX, NOW), 10_000, "a second's worth at once");
        assert_eq!(pace.take(1, NOW), 0);
        assert_eq!(pace.take(u32::MAX, NOW.plus(1)), 10);
        pace.give_back(4);
        assert_eq!(pace.take(u32::MAX, NOW.plus(1)), 4);
        assert_eq!(pace.take(u32::MAX, NOW.plus(-60_000)), 0, "a clock set back gives nothing");
        assert_eq!(pace.take(5, NOW.plus_days(1)), 5);
        assert_eq!(pace.take(u32::MAX, NOW.plus_days(1)), 9_995, "what was not used is not saved up");

        let mut sent = 0;
        for millis in 1..=60_000 {
            sent += pace.take(u32::MAX, NOW.plus_days(1).plus(millis));
        }
        assert_eq!(sent, 600_000);
        let mut slow = Pace::new(1, NOW);
        assert_eq!((slow.take(9, NOW), slow.take(9, NOW.plus(59_999)), slow.take(9, NOW.plus(60_000))), (1, 0, 1));
    }

    #[test]
    fn everybody_waits_as_long_as_asked() {
        let mut pace = Pace::new(600_000, NOW);
        assert_eq!(pace.refused(Some(2_000), NOW, 0), NOW.plus(2_000));
        assert_eq!(pace.take(1, NOW.plus(1_999)), 0);
        assert_eq!(pace.refused(Some(1_000), NOW, 0), NOW.plus(2_000), "the longest counts");
        assert_eq!(pace.refused(None, NOW, 0), NOW.plus(2_000), "one that names no time adds none");
        assert_eq!(pace.take(1, NOW.plus(2_000)), 1);
        assert_eq!(pace.refused(Some(0), NOW.plus(9_000), 0), NOW.plus(9_001));
        pace.refused(Some(LONGEST_PAUSE), NOW.plus(9_001), 0);
        assert!(pace.is_paused(NOW.plus(9_001)) && !pace.is_paused(NOW.plus_days(-1)));
    }

    #[test]
    fn without_a_time_it_is_a_minute_then_two() {
        let mut pace = Pace::new(600_000, NOW);
        let mut at = NOW;
        for minutes in [1, 2, 4, 8] {
            let until = pace.refused(None, at, 0);
            assert_eq!(until, at.plus(minutes * 60_000));
            for _ in 0..100 {
                assert_eq!(pace.refused(None, at, u32::MAX), until, "many at once are one");
            }
            at = until;
        }
        pace.went_through();
        assert_eq!(pace.refused(None, at, 0), at.plus(60_000));
        for _ in 0..50 {
            at = at.plus(LONGEST_PAUSE);
            assert!(pace.refused(None, at, u32::MAX) <= at.plus(LONGEST_PAUSE));
        }
    }
}
