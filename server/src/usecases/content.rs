//! What the office tells everybody: put out, taken away, shown. The same id takes the place of what had it; what says the same
//! already stays as it is, so that a folder can be imported again and again.

use std::sync::Arc;

use borsellino_domain::content::{ContentId, ContentKind, Entry, media_type};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::language::Language;
use borsellino_domain::office::OfficeAction;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{ContentRow, NewContent, NewContentText};
use borsellino_store::{Store, StoreError, Tx};
use jiff::civil::Date;
use thiserror::Error;

use super::office::{Act, OfficeRefusal, check};
use super::{App, Fault, Stop};
use crate::auth::token::Identity;

/// How many news stand on a page, and in the feed.
pub const NEWS_PAGE: i64 = 20;

/// How many titles home shows.
const TITLES: i64 = 2;

/// Before nothing: later than every day.
const LAST: (&str, &str) = ("9999", "");

/// What became of a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Entries that nobody had.
    pub new: usize,
    /// Entries that took the place of others.
    pub replaced: usize,
    /// Entries that said the same already.
    pub unchanged: usize,
}

/// Puts entries out, all or none; each that changes something is an act of its own.
///
/// # Errors
/// [`OfficeRefusal::Unsigned`], or a [`Fault`].
pub async fn publish(store: &Store, entries: Vec<(Act, Entry)>) -> Result<Published, Stop<OfficeRefusal>> {
    for (by, _) in &entries {
        check(by)?;
    }
    let entries = Arc::new(entries);
    let written = store.write::<_, (), _>("put content out", move |tx| {
        let entries = Arc::clone(&entries);
        Box::pin(async move {
            let mut published = Published::default();
            for (by, entry) in entries.iter() {
                let count = put(tx, by, entry, &mut published).await?;
                *count = count.saturating_add(1);
            }
            Ok(Ok(published))
        })
    });
    Ok(written.await?.unwrap_or_default())
}

async fn put<'p>(
    tx: &mut Tx,
    by: &Act,
    entry: &Entry,
    published: &'p mut Published,
) -> Result<&'p mut usize, StoreError> {
    let (creditor, id) = (&by.creditor(), entry.id.as_str());
    let before = tx.content_digest(creditor, id).await?;
    if before.as_deref() == Some(&entry.digest().0[..]) {
        return Ok(&mut published.unchanged);
    }
    if before.is_some() {
        drop_whole(tx, creditor, id).await?;
    }
    write_entry(tx, creditor, entry, by.at()).await?;
    by.keep(tx, (OfficeAction::ContentPublished, id), None).await?;
    Ok(if before.is_some() { &mut published.replaced } else { &mut published.new })
}

/// Writes an entry that nobody has.
pub(crate) async fn write_entry(
    tx: &mut Tx,
    creditor: &CreditorCode,
    entry: &Entry,
    at: Millis,
) -> Result<(), StoreError> {
    let id = entry.id.as_str();
    let row = NewContent {
        id: id.to_owned(),
        kind: entry.kind,
        day: entry.day.map(|day| day.to_string()),
        until: entry.until.map(|day| day.to_string()),
        hour: entry.hour.clone(),
        school_year: entry.school_year.map(i64::from),
        place: entry.order,
        digest: entry.digest(),
        changed_at: at,
    };
    tx.insert_content(creditor, &row).await?;
    for words in &entry.words {
        let text = NewContentText {
            content: id.to_owned(),
            language: words.language,
            title: words.title.clone(),
            body: words.text.clone(),
            extra: words.extra.clone(),
        };
        tx.insert_content_text(creditor, &text).await?;
    }
    if let Some(file) = &entry.file {
        tx.insert_content_file(creditor, id, (&file.name, file.media_type, &file.bytes)).await?;
    }
    Ok(())
}

async fn drop_whole(tx: &mut Tx, creditor: &CreditorCode, id: &str) -> Result<bool, StoreError> {
    tx.drop_content_text(creditor, id).await?;
    tx.drop_content_file(creditor, id).await?;
    tx.drop_content(creditor, id).await
}

/// Why an entry can't be taken away.
#[derive(Debug, Error)]
pub enum RemoveRefusal {
    /// Nobody signs.
    #[error(transparent)]
    Office(OfficeRefusal),
    /// There is none.
    #[error("this creditor has nothing with the id {0}")]
    Unknown(ContentId),
}

/// Takes an entry away.
///
/// # Errors
/// [`RemoveRefusal`], or a [`Fault`].
pub async fn remove(store: &Store, by: Act, id: ContentId) -> Result<(), Stop<RemoveRefusal>> {
    check(&by).map_err(|stop| match stop {
        Stop::Refused(refusal) => Stop::Refused(RemoveRefusal::Office(refusal)),
        Stop::Fault(fault) => Stop::Fault(fault),
    })?;
    let written = store.write("take content away", move |tx| {
        let (by, id) = (by.clone(), id.clone());
        Box::pin(async move {
            let creditor = by.creditor();
            let again = tx.action(&creditor, by.id()).await?.is_some();
            if !drop_whole(tx, &creditor, id.as_str()).await? && !again {
                return Ok(Err(RemoveRefusal::Unknown(id)));
            }
            by.keep(tx, (OfficeAction::ContentRemoved, id.as_str()), None).await?;
            Ok(Ok(()))
        })
    });
    written.await?.map_err(Stop::Refused)
}

/// Everything that a creditor tells, a row for each language, Italian first.
///
/// # Errors
/// A [`Fault`].
pub async fn everything(store: &Store, creditor: CreditorCode) -> Result<Vec<ContentRow>, Fault> {
    Ok(store.read(move |tx| Box::pin(async move { tx.all_content(&creditor).await })).await?)
}

/// An entry, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryView {
    /// Its id.
    pub id: String,
    /// ISO date; empty where it has none.
    pub day: String,
    /// `17:30`
    pub hour: Option<String>,
    /// The year it begins in.
    pub school_year: Option<i64>,
    /// When it was put out, or last changed.
    pub changed: Millis,
    /// In which language it stands here.
    pub language: Language,
    /// The line above.
    pub title: String,
    /// What it says.
    pub text: String,
    /// Its place or group.
    pub extra: String,
    /// Its file's name and size in bytes.
    pub file: Option<(String, u64)>,
}

impl From<ContentRow> for EntryView {
    fn from(row: ContentRow) -> Self {
        let size = row.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        Self {
            id: row.id,
            day: row.day.unwrap_or_default(),
            hour: row.hour,
            school_year: row.school_year,
            changed: row.changed_at_ms,
            language: Language::from_tag(&row.language),
            title: row.title,
            text: row.body,
            extra: row.extra,
            file: row.name.map(|name| (name, size)),
        }
    }
}

fn views(rows: Vec<ContentRow>) -> Vec<EntryView> {
    rows.into_iter().map(EntryView::from).collect()
}

/// Today in Italy, as days are kept.
fn today(app: &App) -> Result<Date, Fault> {
    app.now().day_in_italy().ok_or(Fault::BadData("the clock is outside the calendar"))
}

/// The newest news, before another entry (its day and id).
///
/// # Errors
/// A [`Fault`].
pub async fn news(
    app: &App,
    creditor: CreditorCode,
    language: Language,
    before: Option<(String, String)>,
) -> Result<Vec<EntryView>, Fault> {
    let today = today(app)?.to_string();
    let (day, id) = before.unwrap_or_else(|| (LAST.0.to_owned(), LAST.1.to_owned()));
    let read = app
        .store
        .read(move |tx| Box::pin(async move { tx.news(&creditor, (language, &today), (&day, &id), NEWS_PAGE).await }));
    Ok(views(read.await?))
}

/// News that is shown today; `None` where there is none.
///
/// # Errors
/// A [`Fault`].
pub async fn one_news(
    app: &App,
    creditor: CreditorCode,
    language: Language,
    id: ContentId,
) -> Result<Option<EntryView>, Fault> {
    let today = today(app)?.to_string();
    let read =
        app.store.read(move |tx| Box::pin(async move { tx.content_entry(&creditor, language, id.as_str()).await }));
    let shown = |row: &ContentRow| {
        let begun = row.day.as_ref().is_some_and(|day| *day <= today);
        row.kind == ContentKind::News && begun && row.until_day.as_ref().is_none_or(|until| *until >= today)
    };
    Ok(read.await?.filter(shown).map(EntryView::from))
}

/// The events from one day to another, both included.
///
/// # Errors
/// A [`Fault`].
pub async fn events(
    app: &App,
    creditor: CreditorCode,
    language: Language,
    (first, last): (Date, Date),
) -> Result<Vec<EntryView>, Fault> {
    let (first, last) = (first.to_string(), last.to_string());
    let read = app.store.read(move |tx| Box::pin(async move { tx.events(&creditor, language, (&first, &last)).await }));
    Ok(views(read.await?))
}

/// The entries of a kind, as their maker ordered them.
///
/// # Errors
/// A [`Fault`].
pub async fn of_kind(
    app: &App,
    creditor: CreditorCode,
    language: Language,
    kind: ContentKind,
) -> Result<Vec<EntryView>, Fault> {
    let read = app.store.read(move |tx| Box::pin(async move { tx.content_of_kind(&creditor, language, kind).await }));
    Ok(views(read.await?))
}

/// A document: name, media type, bytes.
pub type Document = (String, &'static str, Vec<u8>);

/// A document to download.
///
/// # Errors
/// A [`Fault`].
pub async fn document(store: &Store, creditor: CreditorCode, id: ContentId) -> Result<Option<Document>, Fault> {
    let read = store.read(move |tx| Box::pin(async move { tx.content_file(&creditor, id.as_str()).await }));
    Ok(read.await?.map(|row| (row.name, media_type(&row.media_type), row.bytes)))
}

/// What home tells besides: the newest titles, and how many messages have an answer that was not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// The newest news.
    pub news: Vec<EntryView>,
    /// Messages with an answer that was not seen.
    pub answers: i64,
}

/// The board on home.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn told(tx: &mut Tx, who: Identity, (language, today): (Language, &str)) -> Result<Board, StoreError> {
    let news = tx.news(&who.creditor, (language, today), LAST, TITLES).await?;
    Ok(Board { news: views(news), answers: tx.unread_answers(&who.creditor, who.guardian).await? })
}
