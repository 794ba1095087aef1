//! The secret question: a brake that a creditor may have set before a forgotten password is set anew. It proves nothing by itself and
//! takes the place of no proof; it is asked only once two proofs are there, so that nobody learns by it that there is an account.

use borsellino_domain::account::{SecretAnswer, SecretQuestion};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::office::OfficeAction;
use borsellino_store::rows::SecretQuestionRow;
use borsellino_store::{Store, StoreError};

use super::office::{Act, OfficeRefusal, check as signed};
use super::sessions::{SessionRefusal, Tries, account_key, check, hash_text, standing};
use super::{App, Fault, Stop};
use crate::auth::token::Identity;

/// Whether a creditor has secret questions asked.
///
/// # Errors
/// [`Fault`].
pub async fn asks(store: &Store, creditor: CreditorCode) -> Result<bool, Fault> {
    Ok(store.read(move |tx| Box::pin(async move { tx.asks_question(&creditor).await })).await?)
}

/// Has secret questions asked from now on, or not any more; what was chosen stays.
///
/// # Errors
/// [`OfficeRefusal`], or a [`Fault`].
pub async fn set_asks(store: &Store, by: Act, asked: bool) -> Result<(), Stop<OfficeRefusal>> {
    signed(&by)?;
    let written = store.write::<_, (), _>("change whether secret questions are asked", move |tx| {
        let by = by.clone();
        Box::pin(async move {
            let creditor = by.creditor();
            let subject = if asked { "secret_question on" } else { "secret_question off" };
            if by.keep(tx, (OfficeAction::AccessRuleChanged, subject), None).await? {
                tx.put_asks_question(&creditor, asked).await?;
            }
            Ok(Ok(()))
        })
    });
    let _committed = written.await?;
    Ok(())
}

/// How it stands with a guardian's secret question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Their creditor has it asked.
    pub asked: bool,
    /// The one they chose.
    pub chosen: Option<SecretQuestion>,
    /// They have a password, which could be forgotten.
    pub password: bool,
}

/// How it stands with the caller's own.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn settings(app: &App, who: Identity) -> Result<Settings, Stop<SessionRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let code = who.creditor;
            let session = tx.session(&code, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            let holder = tx.holder(&code, who.guardian).await?.ok_or(StoreError::Corrupt("a session's guardian"))?;
            let chosen = tx.secret_question(&code, who.guardian).await?.map(|row| row.question);
            let asked = tx.asks_question(&code).await?;
            Ok(Ok(Settings { asked, chosen, password: holder.password_hash.is_some() }))
        })
    });
    read.await?.map_err(Stop::Refused)
}

/// Why a question is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionRefusal {
    /// The caller's own session.
    Session(SessionRefusal),
    /// Too many tries: wait this many milliseconds.
    TryLater(i64),
    /// The present password is wrong, or there is none.
    WrongPassword,
    /// The creditor asks none.
    NotAsked,
}

/// Keeps the question that the caller chose, or with `None` takes it back. Asks for the password: a phone that was left lying about must
/// not lock its owner out.
///
/// # Errors
/// [`QuestionRefusal`], or a [`Fault`].
pub async fn choose(
    app: &App,
    who: Identity,
    (password, chosen): (String, Option<(SecretQuestion, SecretAnswer)>),
) -> Result<(), Stop<QuestionRefusal>> {
    let (now, code) = (app.now(), who.creditor);
    let read = app.store.write("count a change of the secret question", move |tx| {
        Box::pin(async move {
            let session = tx.session(&code, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(QuestionRefusal::Session(refusal)));
            }
            if !tx.asks_question(&code).await? {
                return Ok(Err(QuestionRefusal::NotAsked));
            }
            let holder = tx.holder(&code, who.guardian).await?.ok_or(StoreError::Corrupt("a session's guardian"))?;
            match Tries::new(account_key(&holder.username), None).count(tx, &code, now).await? {
                Some(wait) => Ok(Err(QuestionRefusal::TryLater(wait))),
                None => Ok(Ok(holder)),
            }
        })
    });
    let holder = read.await?.map_err(Stop::Refused)?;
    let stored = holder.password_hash.as_ref();
    if !check(app, (&password, stored), QuestionRefusal::TryLater).await? {
        return Err(Stop::Refused(QuestionRefusal::WrongPassword));
    }
    let row = match &chosen {
        None => None,
        Some((question, answer)) => {
            let answer_hash = hash_text(app, answer.as_str(), QuestionRefusal::TryLater).await?;
            Some(SecretQuestionRow { question: *question, answer_hash })
        }
    };
    let (account, checked) = (account_key(&holder.username), holder.password_hash.unwrap_or_default());
    let written = app.store.write("keep a secret question", move |tx| {
        let (row, checked) = (row.clone(), checked.clone());
        Box::pin(async move {
            // Looking at passwords takes a while: the session may have ended, the password be another, meanwhile.
            let session = tx.session(&code, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(QuestionRefusal::Session(refusal)));
            }
            if !tx.hold_account(&code, who.guardian, &checked).await? {
                return Ok(Err(QuestionRefusal::WrongPassword));
            }
            tx.put_secret_question(&code, who.guardian, row.as_ref()).await?;
            Ok(Ok(tx.clear_sign_ins(&code, account).await?))
        })
    });
    written.await?.map_err(Stop::Refused)?;
    Ok(())
}
