//! Facts as the templates get them: JSON in which every text is fit for print, every amount and day is as people read it.

use borsellino_domain::language::Language;
use borsellino_domain::money::Cents;
use borsellino_domain::time::Millis;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use serde_json::{Value, json};
use typst::foundations::Bytes;
use typst::syntax::FileId;

use crate::ink::{Ink, breakable};
use crate::logo::Logo;
use crate::model::{Issuer, Person, Wording};
use crate::render::RenderError;
use crate::world::file_id;

/// A name of a person on paper (guide 3.3).
pub(crate) const NAME: usize = 70;
/// An address on paper (guide 3.3).
const ADDRESS: usize = 140;
/// A tax code on paper (guide 3.3).
const CODE: usize = 16;
/// A text that no rule limits; long ones are cut so that no page is filled with one.
pub(crate) const TEXT: usize = 300;

/// The longest word that fits the narrowest column, in capitals.
const LONGEST_RUN: usize = 20;

/// The longest word of what stands in a wide column: an e-mail address that is copied has nothing in it.
const LONGEST_ADDRESS: usize = 40;

/// The longest identifier that fits a column.
const LONGEST_CODE: usize = 48;

/// What a document is made from, as it is gathered.
pub(crate) struct Facts {
    ink: Ink,
    files: Vec<(FileId, Bytes)>,
}

impl Facts {
    pub(crate) fn new(ink: Ink) -> Self {
        Self { ink, files: Vec::new() }
    }

    /// The pictures.
    pub(crate) fn into_files(self) -> Vec<(FileId, Bytes)> {
        self.files
    }

    /// A text that somebody wrote, in one line of at most `limit` characters.
    pub(crate) fn line(&self, text: &str, limit: usize) -> String {
        breakable(&self.ink.line(text, limit), LONGEST_RUN)
    }

    /// The same without places to break: for what is copied or read by a machine.
    pub(crate) fn plain(&self, text: &str) -> String {
        self.ink.line(text, TEXT)
    }

    /// An identifier: without places to break where it fits a line.
    pub(crate) fn code(&self, text: &str) -> String {
        let line = self.plain(text);
        if line.chars().count() <= LONGEST_CODE { line } else { breakable(&line, LONGEST_RUN) }
    }

    /// The same of one that may be missing; an empty one is.
    pub(crate) fn optional(&self, text: Option<&String>, limit: usize) -> Option<String> {
        text.map(|text| self.line(text, limit)).filter(|text| !text.is_empty())
    }

    /// The same of one that must be there.
    pub(crate) fn required(&self, field: &'static str, text: &str, limit: usize) -> Result<String, RenderError> {
        let line = self.line(text, limit);
        if line.is_empty() { Err(RenderError::Field { field, why: "is empty" }) } else { Ok(line) }
    }

    /// The public body. `of_notice` cuts to the lengths of the guide.
    pub(crate) fn issuer(&mut self, issuer: &Issuer, of_notice: bool) -> Result<Value, RenderError> {
        let [name, contacts] = if of_notice { [50, 100] } else { [TEXT, TEXT] };
        Ok(json!({
            "name": self.required("issuer.name", &issuer.name, name)?,
            "name_german": self.optional(issuer.name_german.as_ref(), name),
            "code": issuer.code.as_str(),
            "sector": self.line(&issuer.sector, name),
            "contacts": breakable(&self.ink.line(&issuer.contacts, contacts), LONGEST_ADDRESS),
            "cbill": issuer.cbill.as_ref().map(|cbill| cbill.as_str()),
            "own_counter": self.optional(issuer.own_counter.as_ref(), 50),
            "logo": self.logo(issuer.logo.as_ref()),
        }))
    }

    /// Under which name the template finds a logo; equal ones are the same file.
    fn logo(&mut self, logo: Option<&Logo>) -> Option<String> {
        let logo = logo?;
        let known = self.files.iter().position(|(_, bytes)| bytes == logo.picture());
        let name = format!("logo-{}.{}", known.unwrap_or(self.files.len()), logo.extension());
        if known.is_none() {
            self.files.push((file_id(&name)?, logo.picture().clone()));
        }
        Some(format!("/{name}"))
    }

    /// A person. Where nothing of a name can be printed, something says that there is one.
    pub(crate) fn person(&self, person: &Person) -> Value {
        let name = Some(self.line(&person.name, NAME)).filter(|name| !name.is_empty());
        json!({
            "name": name.unwrap_or_else(|| "?".to_owned()),
            "code": self.optional(person.code.as_ref(), CODE).map(|code| code.to_uppercase()),
            "address": self.optional(person.address.as_ref(), ADDRESS),
        })
    }
}

/// The languages of a document: the first, and what stands beneath.
pub(crate) fn languages(wording: Wording) -> (Language, Option<Language>) {
    match wording {
        Wording::Only(language) => (language, None),
        Wording::ItalianGerman => (Language::Italian, Some(Language::German)),
    }
}

/// `1.020,99`, as the guide writes it in every language.
pub(crate) fn official(cents: Cents) -> String {
    cents.text(Language::Italian).trim_end_matches('€').trim_end().to_owned()
}

/// `20/02/2027`, in German `20.02.2027`.
pub(crate) fn day(day: Date, language: Language) -> String {
    let dot = if language == Language::German { '.' } else { '/' };
    format!("{:02}{dot}{:02}{dot}{:04}", day.day(), day.month(), day.year())
}

/// `20/11/2026, 08:12` in Italy.
pub(crate) fn instant(at: Millis, language: Language) -> String {
    match (at.day_in_italy(), at.clock_in_italy()) {
        (Some(date), Some(clock)) => format!("{}, {clock}", day(date, language)),
        _ => at.iso(),
    }
}

/// A day or an instant as pagoPA wrote it, the way people read it; as it is where it is neither.
pub(crate) fn as_written(text: &str, language: Language) -> String {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return instant(Millis::new(at.as_millisecond()), language);
    }
    if text.contains('T')
        && let Ok(at) = text.parse::<DateTime>()
    {
        return format!("{}, {:02}:{:02}", day(at.date(), language), at.hour(), at.minute());
    }
    text.get(..10).unwrap_or(text).parse::<Date>().map_or_else(|_| text.to_owned(), |date| day(date, language))
}

/// In groups of `size`, with blanks between.
pub(crate) fn grouped(text: &str, size: usize) -> String {
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    for (index, c) in text.chars().filter(|c| !c.is_whitespace()).enumerate() {
        if index > 0 && index % size == 0 {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// What a person adds up.
pub(crate) fn sum(field: &'static str, amounts: impl IntoIterator<Item = Cents>) -> Result<Cents, RenderError> {
    amounts
        .into_iter()
        .try_fold(Cents::ZERO, Cents::plus)
        .map_err(|_| RenderError::Field { field, why: "the sum is too large" })
}

/// A document's day in its metadata, which PDF/A wants. It follows from the facts, as every byte does.
pub(crate) fn metadata_date(day: Date) -> Value {
    json!({ "year": day.year(), "month": day.month(), "day": day.day() })
}

/// The same of an instant.
pub(crate) fn metadata_date_of(at: Millis) -> Value {
    metadata_date(at.day_in_italy().unwrap_or(Date::ZERO))
}
