//! Balances that run low: looked for now and then, and told of once until they have been above the mark again.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::time::SchoolYear;
use uuid::Uuid;

use super::{Cause, Kind, lay};
use crate::usecases::{App, Fault};

/// How many are looked at in one transaction.
const BATCH: i64 = 64;

/// Lays a letter for each guardian of each wallet that runs low and was not told of. Of a wallet whose guardians have no address,
/// or don't want to know, nobody is told, so that whoever gives an address later is. Answers how many wallets were told of.
///
/// # Errors
/// A [`Fault`].
pub async fn look(app: &App, creditor: CreditorCode) -> Result<usize, Fault> {
    let now = app.now();
    let today = now.day_in_italy().ok_or(Fault::BadData("the clock is outside the calendar"))?;
    let year = i64::from(SchoolYear::of(today).begins());
    let (mut after, mut told) = (Some(Uuid::nil()), 0usize);
    while let Some(from) = after.filter(|_| !*app.stopping.borrow()) {
        let looked = app.store.write::<_, (), _>("look for low balances", move |tx| {
            Box::pin(async move {
                if from.is_nil() {
                    tx.forget_low_told(&creditor).await?;
                }
                let low = tx.low_wallets(&creditor, year, (from, BATCH)).await?;
                let mut told = 0usize;
                for row in &low {
                    let name = [row.wallet.as_bytes().as_slice(), &row.seq.to_be_bytes()].concat();
                    let mut any = false;
                    for guardian in tx.guardians_of_wallet(&creditor, row.wallet).await? {
                        let about = row.wallet.to_string();
                        let cause =
                            Cause { kind: Kind::LowBalance, about, guardian, name: &name, at: now, again: None };
                        any |= lay(tx, &creditor, cause, now).await?;
                    }
                    if any {
                        // Another node that looks at the same moment comes to nothing here, and is undone.
                        if !tx.insert_low_told(&creditor, row.wallet, now).await? {
                            return Err(borsellino_store::StoreError::Conflict);
                        }
                        told = told.saturating_add(1);
                    }
                }
                Ok(Ok((told, low.last().map(|row| row.wallet))))
            })
        });
        let (more, last) = looked.await?.unwrap_or_default();
        (told, after) = (told.saturating_add(more), last);
    }
    Ok(told)
}
