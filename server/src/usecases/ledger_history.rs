//! What accounts held at any instant, from the postings alone.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::ledger::{Account, AccountKind};
use borsellino_domain::money::Cents;
use borsellino_domain::time::Millis;
use borsellino_store::{Store, StoreError};
use jiff::Timestamp;
use jiff::civil::Date;
use thiserror::Error;

/// An instant that somebody asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// What was booked before this counts.
    pub before: Millis,
}

/// A text is no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an instant is a day in Italy (2026-11-20: as it was at its end) or RFC 3339 (2026-11-20T11:00:00+01:00)")]
pub struct NoInstant;

impl std::str::FromStr for AsOf {
    type Err = NoInstant;

    /// A day of the Italian calendar, with all of it, or an instant, with the millisecond itself.
    fn from_str(text: &str) -> Result<Self, NoInstant> {
        if text.len() == "2026-11-20".len() {
            let day: Date = text.parse().map_err(|_| NoInstant)?;
            return Millis::end_of_day_in_italy(day).map(|before| Self { before }).ok_or(NoInstant);
        }
        let at: Timestamp = text.parse().map_err(|_| NoInstant)?;
        Ok(Self { before: Millis::new(at.as_millisecond()).plus(1) })
    }
}

/// What the accounts of a creditor held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Postings booked by then.
    pub postings: u64,
    /// What the wallets held together.
    pub wallets: Cents,
    /// What the bills held: minus what was owed.
    pub bills: Cents,
    /// What waited for its place.
    pub suspense: Cents,
    /// Minus what pagoPA held or had paid out.
    pub clearing: Cents,
    /// What services had earned.
    pub revenue: Cents,
    /// Minus what the office had taken at its own counter.
    pub counter: Cents,
}

/// What every kind of account held.
///
/// # Errors
/// [`StoreError`].
pub async fn held(store: &Store, creditor: CreditorCode, as_of: AsOf) -> Result<Held, StoreError> {
    let rows = store.read(move |tx| Box::pin(async move { tx.held_before(&creditor, as_of.before).await })).await?;
    let mut held = Held::default();
    for row in rows {
        let kind = AccountKind::try_from(row.kind).map_err(|_| StoreError::Corrupt("a posting's kind of account"))?;
        let place = match kind {
            AccountKind::Wallet => &mut held.wallets,
            AccountKind::Bill => &mut held.bills,
            AccountKind::Suspense => &mut held.suspense,
            AccountKind::Clearing => &mut held.clearing,
            AccountKind::Revenue => &mut held.revenue,
            AccountKind::Counter => &mut held.counter,
        };
        *place = Cents::new(row.cents);
        held.postings = held.postings.saturating_add(u64::try_from(row.postings).unwrap_or(0));
    }
    Ok(held)
}

/// What one wallet or bill held, and after how many postings; `None` where the creditor has no such account.
///
/// # Errors
/// [`StoreError`].
pub async fn account_held(
    store: &Store,
    creditor: CreditorCode,
    account: Account,
    as_of: AsOf,
) -> Result<Option<(Cents, u64)>, StoreError> {
    let read =
        store.read(move |tx| Box::pin(async move { tx.account_held_before(&creditor, account, as_of.before).await }));
    Ok(read.await?.map(|row| (Cents::new(row.cents), u64::try_from(row.postings).unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_whole_italian_day_and_an_instant_its_millisecond() {
        let before = |text: &str| text.parse::<AsOf>().map(|as_of| as_of.before.iso());
        assert_eq!(before("2026-11-20").as_deref(), Ok("2026-11-20T23:00:00.000Z"));
        assert_eq!(before("2026-07-01").as_deref(), Ok("2026-07-01T22:00:00.000Z"), "summer time");
        assert_eq!(before("2026-11-20T11:00:00+01:00").as_deref(), Ok("2026-11-20T10:00:00.001Z"));
        assert_eq!(before("2026-11-20T10:00:00.250Z").as_deref(), Ok("2026-11-20T10:00:00.251Z"));
        for wrong in ["", "yesterday", "2026-11-31", "20/11/2026", "2026-11-20T11:00", "9999-12-31", "2026-11-20 "] {
            assert_eq!(before(wrong), Err(NoInstant), "{wrong}");
        }
    }
}
