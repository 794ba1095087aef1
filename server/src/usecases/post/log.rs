//! What the operator and the office see of letters: the log, what came back, and how documents go out.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{BouncedGuardianRow, LetterRow, NewDocumentChoice};
use borsellino_store::{Store, StoreError};
use uuid::Uuid;

use super::Documents;
use crate::usecases::office::{Act, OfficeRefusal, check};
use crate::usecases::{Fault, Stop};

/// The newest `count` letters of a creditor.
///
/// # Errors
/// A [`Fault`].
pub async fn letters(store: &Store, creditor: CreditorCode, count: u32) -> Result<Vec<LetterRow>, Fault> {
    Ok(store.read(move |tx| Box::pin(async move { tx.letters(&creditor, i64::from(count)).await })).await?)
}

/// The guardians whose address nobody is at.
///
/// # Errors
/// A [`Fault`].
pub async fn bounced(store: &Store, creditor: CreditorCode) -> Result<Vec<BouncedGuardianRow>, Fault> {
    Ok(store.read(move |tx| Box::pin(async move { tx.bounced_guardians(&creditor).await })).await?)
}

/// How a creditor wants documents to go out.
///
/// # Errors
/// A [`Fault`].
pub async fn documents(store: &Store, creditor: CreditorCode) -> Result<Documents, Fault> {
    let read = store.read(move |tx| Box::pin(async move { tx.document_choice(&creditor).await }));
    Ok(Documents::from_code(read.await?.as_deref()))
}

/// Says how a creditor wants documents to go out, from now on; kept for good.
///
/// # Errors
/// [`OfficeRefusal`], or a [`Fault`].
pub async fn choose(store: &Store, by: Act, documents: Documents) -> Result<(), Stop<OfficeRefusal>> {
    check(&by)?;
    let (reason, operator) = by.signature();
    let row = NewDocumentChoice {
        id: by.id(),
        documents: documents.code(),
        reason: reason.to_owned(),
        operator: operator.to_owned(),
        at: by.at(),
    };
    let creditor = by.creditor();
    let written = store.write::<(), OfficeRefusal, _>("choose how documents go out", move |tx| {
        let row = row.clone();
        Box::pin(async move { tx.insert_document_choice(&creditor, &row).await.map(Ok) })
    });
    written.await?.map_err(Stop::Refused)
}

/// What a letter that came back meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// No letter of this server.
    NotOurs,
    /// It is marked, and so is the address on file where it went there.
    Marked,
    /// It is marked; the address on file is another one by now, or was marked before, or it went elsewhere.
    LetterOnly,
}

/// Says that the letter with this id came back for good. Whose it is, it knows: each creditor is asked.
///
/// # Errors
/// A [`Fault`].
pub async fn came_back(store: &Store, (letter, gone): (Uuid, bool), now: Millis) -> Result<Returned, Fault> {
    let creditors = store.read(|tx| Box::pin(async move { tx.creditors().await })).await?;
    for creditor in creditors.into_iter().map(|row| row.fiscal_code) {
        let marked = store.write::<_, (), _>("mark what came back", move |tx| {
            Box::pin(async move {
                let Some(row) = tx.bounce_post(&creditor, letter, now).await? else { return Ok(Ok(None)) };
                let own = gone && row.elsewhere == 0;
                let news = own && tx.bounce_email(&creditor, row.guardian, (now, row.created_at_ms)).await?;
                Ok::<_, StoreError>(Ok(Some(news)))
            })
        });
        match marked.await?.unwrap_or_default() {
            Some(true) => return Ok(Returned::Marked),
            Some(false) => return Ok(Returned::LetterOnly),
            None => {}
        }
    }
    Ok(Returned::NotOurs)
}
