//! The privacy notice that a creditor has its guardians accept in the portal, once per version (articles 13 and 14 GDPR). That
//! somebody accepted stays as evidence; a notice is set by a signed act of the office, and a version never says two things.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::office::OfficeAction;
use borsellino_domain::time::Millis;
use borsellino_store::Store;
use borsellino_store::rows::{PrivacyAcceptanceRow, PrivacyNoticeRow};
use thiserror::Error;

use super::office::{Act, OfficeRefusal, check};
use super::sessions::{SessionRefusal, standing};
use super::{App, Fault, Stop};
use crate::auth::token::Identity;

/// The longest version, in characters.
const LONGEST_VERSION: usize = 40;

/// The longest address, in bytes.
const LONGEST_LINK: usize = 500;

/// The longest text, in bytes.
const LONGEST_TEXT: usize = 64 << 10;

/// Where a notice is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// At an address.
    At(String),
    /// Here: paragraphs, with an empty line between them.
    Text(String),
}

/// A privacy notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What the office calls it, e.g. `2026-09`.
    pub version: String,
    /// Where it is read.
    pub reading: Reading,
    /// Since when.
    pub at: Millis,
}

/// Why a notice is not set, or not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PrivacyRefusal {
    /// No reason or name.
    #[error(transparent)]
    Office(#[from] OfficeRefusal),
    /// No version.
    #[error("--version names the notice: 1 to {LONGEST_VERSION} characters, e.g. 2026-09")]
    Version,
    /// No address.
    #[error("--link is an address that begins with https://, of at most {LONGEST_LINK} characters without spaces")]
    Link,
    /// No text.
    #[error("the text is empty, or longer than {LONGEST_TEXT} bytes")]
    Text,
    /// Whoever accepted this version accepted other words.
    #[error(
        "version {0} was another text or address: who accepted it did not accept this one, so give it a new version"
    )]
    OtherWords(String),
}

fn notice(row: PrivacyNoticeRow) -> Option<Notice> {
    let reading = row.link.map(Reading::At).or(row.body.map(Reading::Text))?;
    Some(Notice { version: row.version?, reading, at: row.at_ms })
}

/// The notice of today, if there is one.
///
/// # Errors
/// [`Fault`].
pub async fn current(store: &Store, creditor: CreditorCode) -> Result<Option<Notice>, Fault> {
    let row = store.read(move |tx| Box::pin(async move { tx.privacy_notice(&creditor).await })).await?;
    Ok(row.and_then(notice))
}

/// Who accepted what.
///
/// # Errors
/// [`Fault`].
pub async fn accepted(store: &Store, creditor: CreditorCode) -> Result<Vec<PrivacyAcceptanceRow>, Fault> {
    Ok(store.read(move |tx| Box::pin(async move { tx.privacy_acceptances(&creditor).await })).await?)
}

/// Sets the notice, or with `None` asks nothing any more.
///
/// # Errors
/// [`PrivacyRefusal`], or a [`Fault`].
pub async fn set(store: &Store, by: Act, wanted: Option<(String, Reading)>) -> Result<(), Stop<PrivacyRefusal>> {
    check(&by).map_err(|stop| match stop {
        Stop::Refused(refusal) => Stop::Refused(refusal.into()),
        Stop::Fault(fault) => Stop::Fault(fault),
    })?;
    let mut row = PrivacyNoticeRow { id: by.id(), version: None, link: None, body: None, at_ms: by.at() };
    if let Some((version, reading)) = wanted {
        let version = version.trim().to_owned();
        if !(1..=LONGEST_VERSION).contains(&version.chars().count()) || version.contains(char::is_control) {
            return Err(Stop::Refused(PrivacyRefusal::Version));
        }
        row.version = Some(version);
        match reading {
            Reading::At(link) => {
                let plain = link.len() <= LONGEST_LINK && link.chars().all(|c| c.is_ascii_graphic());
                if !plain || link.strip_prefix("https://").is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
                    return Err(Stop::Refused(PrivacyRefusal::Link));
                }
                row.link = Some(link);
            }
            Reading::Text(text) => {
                let text = text.replace("\r\n", "\n").trim().to_owned();
                if text.is_empty() || text.len() > LONGEST_TEXT || text.contains('\0') {
                    return Err(Stop::Refused(PrivacyRefusal::Text));
                }
                row.body = Some(text);
            }
        }
    }
    let creditor = by.creditor();
    let written = store.write("set a privacy notice", move |tx| {
        let (by, row) = (by.clone(), row.clone());
        Box::pin(async move {
            if let Some(version) = &row.version
                && let Some(first) = tx.privacy_version(&creditor, version).await?
                && (&first.link, &first.body) != (&row.link, &row.body)
            {
                return Ok(Err(PrivacyRefusal::OtherWords(version.clone())));
            }
            let subject = row.version.as_deref().unwrap_or_default();
            if by.keep(tx, (OfficeAction::PrivacyChanged, subject), None).await? {
                tx.insert_privacy_notice(&creditor, &row).await?;
            }
            Ok(Ok(()))
        })
    });
    written.await?.map_err(Stop::Refused)
}

/// The notice that `who` has still to accept, if any.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn due(app: &App, who: Identity) -> Result<Option<Notice>, Stop<SessionRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let Some(row) = tx.privacy_due(&who.creditor, who.guardian).await? else { return Ok(Ok(None)) };
            let session = tx.session(&who.creditor, who.session).await?;
            Ok(standing(session.as_ref(), now).map(|()| Some(row)))
        })
    });
    Ok(read.await?.map_err(Stop::Refused)?.and_then(notice))
}

/// Keeps that `who` accepted a version; answers what is still to be accepted, where that was not (or no longer) the one.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn accept(app: &App, who: Identity, version: String) -> Result<Option<Notice>, Stop<SessionRefusal>> {
    let now = app.now();
    let written = app.store.write("accept a privacy notice", move |tx| {
        let version = version.clone();
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            let due = tx.privacy_due(&who.creditor, who.guardian).await?;
            // What was read is what is accepted: nothing else, though it be newer.
            if due.as_ref().is_some_and(|row| row.version.as_ref() == Some(&version)) {
                tx.insert_privacy_acceptance(&who.creditor, (who.guardian, &version), now).await?;
                return Ok(Ok(None));
            }
            Ok(Ok(due))
        })
    });
    Ok(written.await?.map_err(Stop::Refused)?.and_then(notice))
}
