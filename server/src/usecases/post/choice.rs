//! Who does not want a kind of letters, and says so without signing in: under an address that is sealed, so that it tells
//! nothing, can't be made by anybody else, and stays good.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::GuardianId;
use borsellino_store::StoreError;
use data_encoding::BASE64URL_NOPAD;
use uuid::Uuid;

use super::Kind;
use crate::clock::random;
use crate::usecases::{App, Fault, Stop};

/// What the address is sealed for.
const PURPOSE: &str = "letter.choice";

/// How long what is sealed is: a creditor's code, a guardian's id.
const LENGTH: usize = 11 + 16;

/// The address where a guardian says that they do not want letters of a kind.
pub(super) fn address(
    app: &App,
    (creditor, guardian): (CreditorCode, GuardianId),
    kind: Kind,
) -> Result<String, Fault> {
    let plain = [creditor.as_str().as_bytes(), guardian.uuid().as_bytes(), kind.code().as_bytes()].concat();
    let sealed = app.keys.seal(PURPOSE, &plain, random()?)?;
    Ok(format!("{}/lettere?t={}", app.public_url, BASE64URL_NOPAD.encode(&sealed)))
}

/// It is no address of ours, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownChoice;

/// What somebody chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The creditor's name.
    pub town: String,
    /// They do not want them.
    pub off: bool,
}

fn read(app: &App, token: &str) -> Option<(CreditorCode, GuardianId, Kind)> {
    let sealed = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    let plain = app.keys.open(PURPOSE, &sealed).ok()?;
    let (fixed, kind) = plain.split_at_checked(LENGTH)?;
    let (code, guardian) = fixed.split_at_checked(11)?;
    let creditor = CreditorCode::parse(std::str::from_utf8(code).ok()?).ok()?;
    let kind = Kind::from_code(std::str::from_utf8(kind).ok()?).filter(|kind| kind.is_optional())?;
    Some((creditor, Uuid::from_slice(guardian).ok()?.into(), kind))
}

/// What was chosen so far; with `off`, chooses first. The same again changes nothing.
///
/// # Errors
/// [`UnknownChoice`], or a [`Fault`].
pub async fn choose(app: &App, token: &str, off: Option<bool>) -> Result<Choice, Stop<UnknownChoice>> {
    let unknown = || Stop::Refused(UnknownChoice);
    let (creditor, guardian, kind) = read(app, token).ok_or_else(unknown)?;
    let town = app.directory.listing().creditor(creditor.as_str()).map(|row| row.name.clone()).ok_or_else(unknown)?;
    let now = app.now();
    let target = match off {
        None => {
            let read = app
                .store
                .read(move |tx| Box::pin(async move { tx.mail_target(&creditor, guardian, kind.code()).await }));
            read.await?
        }
        Some(off) => {
            let written = app.store.write::<_, (), _>("choose letters", move |tx| {
                Box::pin(async move {
                    let Some(_) = tx.mail_target(&creditor, guardian, kind.code()).await? else { return Ok(Ok(None)) };
                    tx.put_mail_choice(&creditor, (guardian, kind.code()), (off, now)).await?;
                    Ok::<_, StoreError>(Ok(tx.mail_target(&creditor, guardian, kind.code()).await?))
                })
            });
            written.await?.unwrap_or_default()
        }
    };
    Ok(Choice { town, off: target.ok_or_else(unknown)?.off != 0 })
}
