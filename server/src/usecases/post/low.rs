//! Balances that run low: looked for now and then, and told of once until they have been above the mark again.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::time::SchoolYear;

use super::{Cause, Kind, lay};
use crate::usecases::{App, Fault};

/// How many are told of in one transaction.
const BATCH: i64 = 64;

/// Lays a letter for each guardian of each wallet that runs low and was not told of. Answers how many wallets there were, at most
/// 64: there may be more.
///
/// # Errors
/// A [`Fault`].
pub async fn look(app: &App, creditor: CreditorCode) -> Result<usize, Fault> {
    let now = app.now();
    let today = now.day_in_italy().ok_or(Fault::BadData("the clock is outside the calendar"))?;
    let year = i64::from(SchoolYear::of(today).begins());
    let looked = app.store.write::<_, (), _>("look for low balances", move |tx| {
        Box::pin(async move {
            tx.forget_low_told(&creditor).await?;
            let low = tx.low_wallets(&creditor, year, BATCH).await?;
            for row in &low {
                // Whoever is first tells.
                if !tx.insert_low_told(&creditor, row.wallet, now).await? {
                    continue;
                }
                let name = [row.wallet.as_bytes().as_slice(), &row.seq.to_be_bytes()].concat();
                for guardian in tx.guardians_of_wallet(&creditor, row.wallet).await? {
                    let about = row.wallet.to_string();
                    let cause = Cause { kind: Kind::LowBalance, about, guardian, name: &name, at: now };
                    lay(tx, &creditor, cause, now).await?;
                }
            }
            Ok(Ok(low.len()))
        })
    });
    Ok(looked.await?.unwrap_or_default())
}
