//! What paying costs, as the operator tells it: one table per creditor, replaced as a whole.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fees::FeeTable;
use borsellino_domain::time::Millis;
use borsellino_store::rows::FeeTableRow;
use borsellino_store::{Store, StoreError};

use super::sessions::{SessionRefusal, standing};
use super::{App, Fault, Stop};
use crate::auth::token::Identity;

/// A creditor's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fees {
    /// What it says.
    pub table: FeeTable,
    /// Names what it says.
    pub version: String,
    /// When it was imported.
    pub imported_at: Millis,
}

fn read(row: Option<FeeTableRow>) -> Result<Option<Fees>, StoreError> {
    let parse = |row: FeeTableRow| {
        let table = FeeTable::read(&row.bands).map_err(|_| StoreError::Corrupt("a table of fees"))?;
        Ok(Fees { table, version: row.version, imported_at: row.imported_at_ms })
    };
    row.map(parse).transpose()
}

/// The fees of the creditor that `who` is signed in to; `None` where nobody said.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn of_caller(app: &App, who: Identity) -> Result<Option<Fees>, Stop<SessionRefusal>> {
    let now = app.now();
    let answer = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            Ok(Ok(read(tx.fee_table(&who.creditor).await?)?))
        })
    });
    answer.await?.map_err(Stop::Refused)
}

/// The fees of a creditor, for its operator.
///
/// # Errors
/// A [`Fault`].
pub async fn show(store: &Store, creditor: CreditorCode) -> Result<Option<Fees>, Fault> {
    Ok(store.read(move |tx| Box::pin(async move { read(tx.fee_table(&creditor).await?) })).await?)
}

/// Replaces a creditor's fees; answers the version.
///
/// # Errors
/// A [`Fault`].
pub async fn import(store: &Store, creditor: CreditorCode, table: &FeeTable, at: Millis) -> Result<String, Fault> {
    let row = FeeTableRow { version: table.version(), imported_at_ms: at, bands: table.text() };
    let version = row.version.clone();
    let put = store.write::<(), (), _>("import fees", move |tx| {
        let row = row.clone();
        Box::pin(async move { Ok(Ok(tx.put_fee_table(&creditor, &row).await?)) })
    });
    let _committed = put.await?;
    Ok(version)
}
