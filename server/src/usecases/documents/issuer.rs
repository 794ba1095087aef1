//! What is printed about the creditor itself.

use borsellino_documents::{Issuer, Logo, LogoError, Postal, Wording};
use borsellino_domain::creditor::Cbill;
use borsellino_domain::iban::Iban;
use borsellino_domain::language::Language;
use borsellino_domain::notice::PostalAccount;
use borsellino_domain::office::OfficeAction;
use borsellino_store::Store;
use borsellino_store::rows::{CreditorRow, LetterheadRow};
use thiserror::Error;

use super::{DocumentRefusal, Refused};
use crate::usecases::Stop;
use crate::usecases::appearance::{Colour, ColourError, mark};
use crate::usecases::office::{Act, OfficeRefusal, check};

/// What the office may change; what is `None` stays as it is, an empty text takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letterhead {
    /// The name in German.
    pub name_german: Option<String>,
    /// The office in charge: at most 50 characters (guide 3.3).
    pub sector: Option<String>,
    /// Where it is reached: at most 100 characters.
    pub contacts: Option<String>,
    /// Where else one can pay: at most 50 characters.
    pub own_counter: Option<String>,
    /// In whose name the postal account stands: at most 50 characters.
    pub postal_holder: Option<String>,
    /// Poste's authorisation to print.
    pub postal_authorisation: Option<String>,
    /// `it`, `it-de`, `de`, `en`.
    pub wording: Option<String>,
    /// A picture's bytes; none take it away.
    pub logo: Option<Vec<u8>>,
    /// The colour of the creditor's pages, `#rrggbb`.
    pub colour: Option<String>,
}

/// Why a letterhead is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LetterheadError {
    /// Too long for the paper.
    #[error("{0} is longer than the {1} characters that a notice has room for (guide 3.3)")]
    TooLong(&'static str, usize),
    /// No wording.
    #[error("--wording is it, it-de, de or en")]
    Wording,
    /// No logo.
    #[error(transparent)]
    Logo(#[from] LogoError),
    /// No colour for a page.
    #[error(transparent)]
    Colour(#[from] ColourError),
    /// No reason or name.
    #[error(transparent)]
    Office(#[from] OfficeRefusal),
}

pub(super) fn wording(code: &str) -> Option<Wording> {
    Some(match code {
        "it" => Wording::Only(Language::Italian),
        "de" => Wording::Only(Language::German),
        "en" => Wording::Only(Language::English),
        "it-de" => Wording::ItalianGerman,
        _ => return None,
    })
}

/// What is printed about a creditor now.
///
/// # Errors
/// A [`crate::usecases::Fault`].
pub async fn letterhead(store: &Store, creditor: &CreditorRow) -> Result<LetterheadRow, crate::usecases::Fault> {
    let code = creditor.fiscal_code;
    let row = store.read(move |tx| Box::pin(async move { tx.letterhead(&code).await })).await?;
    Ok(row.unwrap_or_else(|| plain(creditor)))
}

fn plain(creditor: &CreditorRow) -> LetterheadRow {
    LetterheadRow { sector: creditor.office_name.clone(), wording: "it".to_owned(), ..LetterheadRow::default() }
}

/// Changes what is printed about a creditor.
///
/// # Errors
/// [`LetterheadError`], or a [`crate::usecases::Fault`].
pub async fn put_letterhead(
    store: &Store,
    creditor: &CreditorRow,
    by: Act,
    change: Letterhead,
) -> Result<(), Stop<LetterheadError>> {
    check(&by).map_err(|stop| match stop {
        Stop::Refused(refusal) => Stop::Refused(LetterheadError::Office(refusal)),
        Stop::Fault(fault) => Stop::Fault(fault),
    })?;
    for (name, text, most) in [
        ("--name-german", &change.name_german, 50),
        ("--sector", &change.sector, 50),
        ("--contacts", &change.contacts, 100),
        ("--own-counter", &change.own_counter, 50),
        ("--postal-holder", &change.postal_holder, 50),
        ("--postal-authorisation", &change.postal_authorisation, 60),
    ] {
        if text.as_ref().is_some_and(|text| text.chars().count() > most) {
            return Err(Stop::Refused(LetterheadError::TooLong(name, most)));
        }
    }
    if change.wording.as_deref().is_some_and(|code| wording(code).is_none()) {
        return Err(Stop::Refused(LetterheadError::Wording));
    }
    if let Some(text) = change.colour.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Colour::parse(text).map_err(|error| Stop::Refused(LetterheadError::Colour(error)))?;
    }
    if let Some(bytes) = change.logo.as_ref().filter(|bytes| !bytes.is_empty()) {
        Logo::parse(bytes.clone()).map_err(|error| Stop::Refused(LetterheadError::Logo(error)))?;
    }
    let (code, before) = (creditor.fiscal_code, plain(creditor));
    let written = store.write::<(), (), _>("change a letterhead", move |tx| {
        let (by, change, before) = (by.clone(), change.clone(), before.clone());
        Box::pin(async move {
            if !by.keep(tx, (OfficeAction::LetterheadChanged, code.as_str()), None).await? {
                return Ok(Ok(()));
            }
            let row = merged(tx.letterhead(&code).await?.unwrap_or(before), change);
            Ok(Ok(tx.put_letterhead(&code, &row).await?))
        })
    });
    let _committed = written.await?;
    Ok(())
}

fn merged(row: LetterheadRow, change: Letterhead) -> LetterheadRow {
    let text = |new: Option<String>, old: Option<String>| match new.map(|text| text.trim().to_owned()) {
        None => old,
        Some(text) => Some(text).filter(|text| !text.is_empty()),
    };
    let (logo, logo_mark) = match change.logo {
        None => (row.logo, row.logo_mark),
        Some(bytes) if bytes.is_empty() => (None, None),
        Some(bytes) => (Some(bytes.clone()), mark(&bytes)),
    };
    LetterheadRow {
        name_german: text(change.name_german, row.name_german),
        sector: text(change.sector, Some(row.sector)).unwrap_or_default(),
        contacts: text(change.contacts, Some(row.contacts)).unwrap_or_default(),
        own_counter: text(change.own_counter, row.own_counter),
        postal_holder: text(change.postal_holder, row.postal_holder),
        postal_authorisation: text(change.postal_authorisation, row.postal_authorisation),
        wording: change.wording.unwrap_or(row.wording),
        logo,
        logo_mark,
        colour: text(change.colour, row.colour),
    }
}

/// The creditor as a document names it.
pub(super) fn issuer(creditor: &CreditorRow, row: LetterheadRow) -> Result<Issuer, Refused> {
    let wrong = |field, why| Stop::Refused(DocumentRefusal::Unprintable(field, why));
    let cbill = match creditor.cbill.as_str() {
        "" => None,
        text => Some(Cbill::parse(text).map_err(|_| wrong("creditor.cbill", "it is no CBILL code"))?),
    };
    // The account's number is the end of its IBAN (ABI 07601 is Poste's).
    let postal = match &creditor.postal_iban {
        None => None,
        Some(text) => {
            let bad = || wrong("creditor.postal_iban", "it is no IBAN of a postal account");
            let iban = Iban::parse(text).ok().filter(Iban::is_postal).ok_or_else(bad)?;
            let number = iban.as_str().get(15..).ok_or_else(bad)?;
            let account = PostalAccount::parse(number).map_err(|_| bad())?;
            let holder = row.postal_holder.unwrap_or_else(|| creditor.name.clone());
            Some(Postal { account, holder, authorisation: row.postal_authorisation })
        }
    };
    let logo = match row.logo {
        None => None,
        Some(bytes) => Some(Logo::parse(bytes).map_err(|_| wrong("letterhead.logo", "it is no picture"))?),
    };
    let contacts = match row.contacts.as_str() {
        "" => creditor.help_phone.clone(),
        text => text.to_owned(),
    };
    Ok(Issuer {
        code: creditor.fiscal_code,
        name: creditor.name.clone(),
        name_german: row.name_german,
        sector: row.sector,
        contacts,
        cbill,
        own_counter: row.own_counter,
        postal,
        logo,
    })
}
