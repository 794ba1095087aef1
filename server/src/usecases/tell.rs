//! What lies in the outbox is told: by push and by e-mail, in one transaction.
//!
//! [`tell`] takes rows out of the outbox and lays, in their place, a delivery for each device and a letter to the payer: both or
//! nothing, so that nothing is lost or laid twice, whoever is at it at the same time. The senders of pushes and of letters both
//! call it, so that it is done also where only one of the two is configured.

use borsellino_domain::creditor::CreditorCode;
use borsellino_store::rows::TOGETHER;

use super::post::lay_payment;
use super::push::lay_pushes;
use super::{App, Fault};

/// How many rows are taken at once.
pub const BATCH: usize = TOGETHER;

/// Lays what is to be sent for what lies in the outbox. Answers how many rows it took, at most [`BATCH`].
///
/// # Errors
/// A [`Fault`]: nothing was taken.
pub async fn tell(app: &App, creditor: CreditorCode) -> Result<usize, Fault> {
    let now = app.now();
    let told = app.store.write::<usize, (), _>("tell what happened", move |tx| {
        Box::pin(async move {
            let held = tx.hold_outbox(&creditor, now, i64::try_from(BATCH).unwrap_or(i64::MAX)).await?;
            for row in &held {
                lay_pushes(tx, creditor, row, now).await?;
                lay_payment(tx, creditor, row, now).await?;
            }
            if !held.is_empty() {
                tx.drop_outbox(&creditor, &held.iter().map(|row| row.id).collect::<Vec<_>>()).await?;
            }
            Ok(Ok(held.len()))
        })
    });
    // Nothing refuses here.
    Ok(told.await?.unwrap_or_default())
}
