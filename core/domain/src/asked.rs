//! When a parent asked for something, judged without the phone's clock: by the last instant that the server signed for
//! that phone, and by how long the phone counted since, on a clock that nobody sets.

use crate::ledger::coded;
use crate::time::Millis;

coded! {
    /// How far it is known when something was asked for.
    AskedHow, "way of knowing when" {
        /// The server's own instant and the time counted since.
        Known = "known",
        /// Some time after the server's own instant: the phone was started again in between.
        Unknown = "unknown",
        /// Not an instant that this server signed for this guardian.
        Forged = "forged",
        /// After it arrived here, or before the instant it counts from.
        Impossible = "impossible",
    }
}

/// When something was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How far it is known.
    pub how: AskedHow,
    /// When; `None` unless it is known.
    pub at: Option<Millis>,
    /// Not before this instant, where that much is sure.
    pub after: Option<Millis>,
}

/// How much later than now a claim may be: clocks of the server's nodes differ a little. In milliseconds.
const TOLERANCE_MILLIS: i64 = 60_000;

impl Asked {
    /// Judges what a phone says: `signed` is the instant of the server it counts from, `None` where the signature is not
    /// ours; `since` how many milliseconds it counted; `now` when it arrived. Nothing here is ever a reason to refuse.
    pub fn judge(signed: Option<Millis>, since: Option<i64>, now: Millis) -> Self {
        let nothing = |how| Self { how, at: None, after: None };
        let Some(signed) = signed else { return nothing(AskedHow::Forged) };
        let latest = now.plus(TOLERANCE_MILLIS);
        let Some(since) = since else {
            return match signed <= latest {
                true => Self { how: AskedHow::Unknown, at: None, after: Some(signed) },
                false => nothing(AskedHow::Impossible),
            };
        };
        match signed.get().checked_add(since).map(Millis::new) {
            Some(at) if since >= 0 && at <= latest => {
                Self { how: AskedHow::Known, at: Some(at.min(now)), after: Some(signed) }
            }
            _ => nothing(AskedHow::Impossible),
        }
    }

    /// Whether the claim was not believed.
    pub fn is_disbelieved(&self) -> bool {
        matches!(self.how, AskedHow::Forged | AskedHow::Impossible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(signed: i64, since: Option<i64>, now: i64) -> (AskedHow, Option<i64>) {
        let asked = Asked::judge(Some(Millis::new(signed)), since, Millis::new(now));
        (asked.how, asked.at.map(Millis::get))
    }

    #[test]
    fn what_counts_is_the_servers_instant_and_the_time_since() {
        assert_eq!(judge(1_000_000, Some(500), 2_000_000), (AskedHow::Known, Some(1_000_500)));
        assert_eq!(judge(1_000_000, None, 2_000_000), (AskedHow::Unknown, None));
        // Clocks of two nodes, a second apart.
        assert_eq!(judge(1_000_000, Some(1_000), 1_000_000), (AskedHow::Known, Some(1_000_000)));
        for (signed, since) in
            [(1_000_000, Some(2_000_000)), (1_000_000, Some(-1)), (3_000_000, None), (1, Some(i64::MAX))]
        {
            assert_eq!(judge(signed, since, 2_000_000), (AskedHow::Impossible, None), "{signed} {since:?}");
        }
        let forged = Asked::judge(None, Some(1), Millis::new(5));
        assert!(forged.is_disbelieved() && forged.after.is_none());
    }
}
