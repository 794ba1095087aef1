//! From an activation code to a creditor.

use borsellino_domain::activation::ActivationCode;

use super::views::CreditorView;
use super::{App, Fault};

/// The creditor behind an activation code; `None` for one that nobody gave out.
///
/// # Errors
/// [`Fault`].
pub async fn resolve(app: &App, code: ActivationCode) -> Result<Option<CreditorView>, Fault> {
    let read = app.store.read(move |tx| Box::pin(async move { tx.creditor_of_activation(code.as_str()).await }));
    let Some(creditor) = read.await? else { return Ok(None) };
    if app.directory.listing().creditor(&creditor).is_none() {
        app.directory.reload(&app.store).await?;
    }
    Ok(app.directory.listing().creditor(&creditor).map(CreditorView::from))
}
