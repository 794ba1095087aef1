//! What the office tells everybody: `Novità` with their feed, `Calendario eventi`, `Documenti disponibili`, `Domande frequenti`, `Help
//! online`. Read without signing in; in the reader's language where the office wrote it, else in Italian.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use borsellino_domain::content::{ContentId, ContentKind};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::{Millis, SchoolYear, month_text};
use jiff::civil::{Date, date};
use serde::Deserialize;

use super::frame::{self, Frame, fault, show};
use super::prose::{Block, Span, blocks};
use super::visit::Visit;
use crate::usecases::content::{self, EntryView, NEWS_PAGE};

/// How long a reader of the feed need not ask again.
const FEED_KEPT: HeaderValue = HeaderValue::from_static("public, max-age=900");

/// The first and last year of the calendar.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2100;

/// The address of a month.
fn month_query(month: Date) -> String {
    format!("{:04}-{:02}", month.year(), month.month())
}

/// An entry on a page.
struct Shown {
    id: String,
    /// In which language, where that is not the page's.
    lang: &'static str,
    title: String,
    day: String,
    /// ISO.
    iso: String,
    hour: String,
    extra: String,
    blocks: Vec<Block>,
}

fn shown(visit: &Visit, entry: EntryView) -> Shown {
    Shown {
        lang: if entry.language == visit.language { "" } else { entry.language.tag() },
        day: visit.words.iso_day(&entry.day),
        hour: entry.hour.unwrap_or_default(),
        blocks: blocks(&entry.text),
        id: entry.id,
        title: entry.title,
        iso: entry.day,
        extra: entry.extra,
    }
}

#[derive(Template)]
#[template(path = "portal/news.html")]
struct News {
    f: Frame,
    entries: Vec<Shown>,
    older: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Before {
    #[serde(default)]
    prima: String,
}

fn news_title(visit: &Visit) -> &'static str {
    visit.words.of(["Novità", "News", "Neuigkeiten"])
}

pub(super) async fn news(visit: Visit, Query(before): Query<Before>) -> Response {
    let before = before.prima.split_once('.').and_then(|(day, id)| {
        let id = ContentId::parse(id).ok()?;
        Some((day.parse::<Date>().ok()?.to_string(), id.to_string()))
    });
    let read = content::news(&visit.app, visit.creditor.fiscal_code, visit.language, before).await;
    let entries = match read {
        Ok(entries) => entries,
        Err(error) => return fault(&visit, &error),
    };
    let full = i64::try_from(entries.len()).is_ok_and(|count| count == NEWS_PAGE);
    let last = entries.last().filter(|_| full);
    let older = last.map(|last| format!("{}/novita?prima={}.{}", visit.base(), last.day, last.id));
    let entries = entries.into_iter().map(|entry| shown(&visit, entry)).collect();
    show(StatusCode::OK, &News { f: visit.frame(news_title(&visit), "-"), entries, older })
}

#[derive(Template)]
#[template(path = "portal/news_item.html")]
struct NewsItem {
    f: Frame,
    entry: Shown,
}

pub(super) async fn news_item(visit: Visit, Path((_, id)): Path<(String, String)>) -> Response {
    let Ok(id) = ContentId::parse(&id) else { return gone(&visit) };
    match content::one_news(&visit.app, visit.creditor.fiscal_code, visit.language, id).await {
        Ok(Some(entry)) => {
            let entry = shown(&visit, entry);
            show(StatusCode::OK, &NewsItem { f: visit.frame(&entry.title, "-"), entry })
        }
        Ok(None) => gone(&visit),
        Err(error) => fault(&visit, &error),
    }
}

/// What was taken away, or is not there yet.
fn gone(visit: &Visit) -> Response {
    let w = visit.words;
    let line = w.of([
        "Il Comune non lo pubblica, o non lo pubblica più.",
        "The municipality does not publish it, or no longer does.",
        "Die Gemeinde veröffentlicht es nicht oder nicht mehr.",
    ]);
    let title = w.of(["Qui non c'è niente", "There is nothing here", "Hier ist nichts"]);
    let next = Some((format!("{}/novita", visit.base()), w.of(["Tutte le novità", "All news", "Alle Neuigkeiten"])));
    frame::say(visit, (StatusCode::NOT_FOUND, "stop"), title, &[line], next)
}

/// The feed (Atom, RFC 4287).
#[derive(Template)]
#[template(path = "portal/feed.xml")]
struct Feed {
    lang: &'static str,
    title: String,
    town: String,
    /// Where it is, and the page that says the same.
    own: String,
    page: String,
    updated: String,
    entries: Vec<FeedEntry>,
}

struct FeedEntry {
    address: String,
    lang: &'static str,
    title: String,
    updated: String,
    published: String,
    text: String,
}

#[derive(Deserialize)]
pub(super) struct Tongue {
    #[serde(default)]
    lingua: String,
}

/// The same for everybody who asks for a language: it is kept by whatever stands between, and by who reads it.
pub(super) async fn feed(visit: Visit, Query(tongue): Query<Tongue>, headers: HeaderMap) -> Response {
    let language = Language::from_tag(&tongue.lingua);
    let entries = match content::news(&visit.app, visit.creditor.fiscal_code, language, None).await {
        Ok(entries) => entries,
        Err(error) => return fault(&visit, &error),
    };
    let page = format!("{}{}/novita", visit.app.public_url, visit.base());
    let suffix = if language == Language::Italian { String::new() } else { format!("?lingua={}", language.tag()) };
    let begun = |entry: &EntryView| {
        let day = entry.day.parse::<Date>().ok().and_then(|day| day.yesterday().ok());
        day.and_then(Millis::end_of_day_in_italy).unwrap_or_default()
    };
    // What was written before its day is news from that day on.
    let updated = |entry: &EntryView| begun(entry).max(entry.changed);
    let newest = entries.iter().map(updated).max().unwrap_or_default();
    let feed = Feed {
        lang: language.tag(),
        title: format!("{} - {}", language.choose(["Novità", "News", "Neuigkeiten"]), visit.creditor.name),
        town: visit.creditor.name.clone(),
        own: format!("{page}/feed{suffix}"),
        updated: newest.iso(),
        entries: entries
            .iter()
            .map(|entry| FeedEntry {
                address: format!("{page}/{}", entry.id),
                lang: entry.language.tag(),
                title: entry.title.clone(),
                updated: updated(entry).iso(),
                published: begun(entry).iso(),
                text: entry.text.clone(),
            })
            .collect(),
        page,
    };
    let Ok(xml) = feed.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mark: String = Hash::of(xml.as_bytes()).to_string().chars().take(32).collect();
    let mark = format!("\"{mark}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut response = if known.split(',').any(|one| one.trim().trim_start_matches("W/") == mark) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        xml.into_response()
    };
    let own = response.headers_mut();
    own.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/atom+xml; charset=utf-8"));
    own.insert(header::CACHE_CONTROL, FEED_KEPT);
    if let Ok(mark) = HeaderValue::try_from(mark) {
        own.insert(header::ETAG, mark);
    }
    response
}

#[derive(Template)]
#[template(path = "portal/events.html")]
struct Events {
    f: Frame,
    month: String,
    /// Address and words.
    previous: Option<(String, String)>,
    next: Option<(String, String)>,
    days: Vec<(String, String, Vec<Shown>)>,
    this_month: bool,
}

#[derive(Deserialize)]
pub(super) struct Month {
    #[serde(default)]
    mese: String,
}

pub(super) async fn events(visit: Visit, Query(asked): Query<Month>) -> Response {
    let today = visit.now.day_in_italy().unwrap_or(date(2026, 1, 1));
    let asked = format!("{}-01", asked.mese).parse::<Date>().ok().filter(|day| YEARS.contains(&day.year()));
    let month = asked.unwrap_or_else(|| today.first_of_month());
    let last = month.last_of_month();
    let read = content::events(&visit.app, visit.creditor.fiscal_code, visit.language, (month, last)).await;
    let entries = match read {
        Ok(entries) => entries,
        Err(error) => return fault(&visit, &error),
    };
    let mut days: Vec<(String, String, Vec<Shown>)> = Vec::new();
    for entry in entries {
        let entry = shown(&visit, entry);
        match days.last_mut() {
            Some((iso, _, of_day)) if *iso == entry.iso => of_day.push(entry),
            _ => days.push((entry.iso.clone(), with_weekday(&visit, &entry), vec![entry])),
        }
    }
    let link = |day: Option<Date>| {
        let day = day.filter(|day| YEARS.contains(&day.year()))?.first_of_month();
        let address = format!("{}/calendario?mese={}", visit.base(), month_query(day));
        Some((address, month_text(day, visit.language)))
    };
    let page = Events {
        f: visit.frame(visit.words.of(["Calendario eventi", "Calendar of events", "Veranstaltungskalender"]), "-"),
        month: month_text(month, visit.language),
        previous: link(month.yesterday().ok()),
        next: link(last.tomorrow().ok()),
        this_month: today.first_of_month() == month,
        days,
    };
    show(StatusCode::OK, &page)
}

/// `venerdì 20 novembre`
fn with_weekday(visit: &Visit, entry: &Shown) -> String {
    const IT: [&str; 7] = ["lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"];
    const EN: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    const DE: [&str; 7] = ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"];
    let day = entry.iso.parse::<Date>().ok();
    let index = day.map_or(0, |day| usize::from(day.weekday().to_monday_zero_offset().unsigned_abs()));
    let name = visit.language.choose([IT, EN, DE]).get(index).copied().unwrap_or_default();
    let comma = if visit.language == Language::German { "," } else { "" };
    format!("{name}{comma} {}", entry.day)
}

#[derive(Template)]
#[template(path = "portal/files.html")]
struct Files {
    f: Frame,
    /// Address, words, whether it is this one.
    years: Vec<(String, String, bool)>,
    files: Vec<Offered>,
}

struct Offered {
    entry: Shown,
    year: String,
    /// `PDF, 120 kB`
    what: String,
}

#[derive(Deserialize)]
pub(super) struct Year {
    #[serde(default)]
    anno: String,
}

fn school_year(begins: i64) -> Option<String> {
    let day = date(i16::try_from(begins).ok()?, 9, 1);
    Some(SchoolYear::of(day).text())
}

pub(super) async fn files(visit: Visit, Query(asked): Query<Year>) -> Response {
    let read = content::of_kind(&visit.app, visit.creditor.fiscal_code, visit.language, ContentKind::File).await;
    let entries = match read {
        Ok(entries) => entries,
        Err(error) => return fault(&visit, &error),
    };
    let mut years: Vec<i64> = entries.iter().filter_map(|entry| entry.school_year).collect();
    years.sort_unstable_by(|a, b| b.cmp(a));
    years.dedup();
    let chosen = asked.anno.parse::<i64>().ok().filter(|year| years.contains(year));
    let base = format!("{}/documenti", visit.base());
    let all = visit.words.of(["Tutti", "All", "Alle"]).to_owned();
    let mut links = vec![(base.clone(), all, chosen.is_none())];
    links.extend(
        years
            .iter()
            .filter_map(|year| Some((format!("{base}?anno={year}"), school_year(*year)?, chosen == Some(*year)))),
    );
    // What belongs to no year is for every year.
    let wanted = |entry: &EntryView| chosen.is_none() || entry.school_year.is_none() || entry.school_year == chosen;
    let files = entries.into_iter().filter(wanted).map(|entry| {
        let (name, size) = entry.file.clone().unwrap_or_default();
        let ending = name.rsplit('.').next().unwrap_or_default().to_uppercase();
        let year = entry.school_year.and_then(school_year).unwrap_or_default();
        Offered { year, what: format!("{ending}, {}", size_text(size, visit.language)), entry: shown(&visit, entry) }
    });
    let title = visit.words.of(["Documenti disponibili", "Documents", "Dokumente"]);
    let years = if links.len() > 1 { links } else { Vec::new() };
    show(StatusCode::OK, &Files { f: visit.frame(title, "-"), years, files: files.collect() })
}

/// `120 kB`, `1,4 MB`
fn size_text(bytes: u64, language: Language) -> String {
    let kilo = bytes.div_ceil(1_000).max(1);
    if kilo < 1_000 {
        return format!("{kilo} kB");
    }
    let tenths = bytes.saturating_add(50_000).div_euclid(100_000);
    let mark = if language == Language::English { '.' } else { ',' };
    format!("{}{mark}{} MB", tenths.div_euclid(10), tenths.rem_euclid(10))
}

/// A document: kept on the reader's device, never shown as a page of ours.
pub(super) async fn file(visit: Visit, Path((_, id)): Path<(String, String)>) -> Response {
    let Ok(id) = ContentId::parse(&id) else { return gone(&visit) };
    let (name, media_type, bytes) = match content::document(&visit.app.store, visit.creditor.fiscal_code, id).await {
        Ok(Some(document)) => document,
        Ok(None) => return gone(&visit),
        Err(error) => return fault(&visit, &error),
    };
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let mut response = bytes.into_response();
    let own = response.headers_mut();
    own.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    own.insert(header::CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    own.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    own.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    response
}

#[derive(Template)]
#[template(path = "portal/questions.html")]
struct Questions {
    f: Frame,
    groups: Vec<(String, Vec<Shown>)>,
}

pub(super) async fn questions(visit: Visit) -> Response {
    let read = content::of_kind(&visit.app, visit.creditor.fiscal_code, visit.language, ContentKind::Question).await;
    let entries = match read {
        Ok(entries) => entries,
        Err(error) => return fault(&visit, &error),
    };
    let mut groups: Vec<(String, Vec<Shown>)> = Vec::new();
    for entry in entries {
        let entry = shown(&visit, entry);
        match groups.iter_mut().find(|(name, _)| *name == entry.extra) {
            Some((_, of_group)) => of_group.push(entry),
            None => groups.push((entry.extra.clone(), vec![entry])),
        }
    }
    let title = visit.words.of(["Domande frequenti", "Frequent questions", "Häufige Fragen"]);
    show(StatusCode::OK, &Questions { f: visit.frame(title, "-"), groups })
}

#[derive(Template)]
#[template(path = "portal/help.html")]
struct Help {
    f: Frame,
    /// The creditor's own text, where it wrote one.
    own: Option<Shown>,
}

pub(super) async fn help(visit: Visit) -> Response {
    let read = content::of_kind(&visit.app, visit.creditor.fiscal_code, visit.language, ContentKind::Help).await;
    match read {
        Ok(mut entries) => {
            let own = entries.pop().map(|entry| shown(&visit, entry));
            show(StatusCode::OK, &Help { f: visit.frame(visit.words.of(["Help online", "Help", "Hilfe"]), "-"), own })
        }
        Err(error) => fault(&visit, &error),
    }
}

#[derive(Template)]
#[template(path = "portal/inquiry.html")]
struct Inquiry {
    f: Frame,
}

/// `Richiesta informazioni`: whom to ask, and how.
pub(super) async fn inquiry(visit: Visit) -> Response {
    let title = visit.words.of(["Richiesta informazioni", "Ask for information", "Auskunft"]);
    show(StatusCode::OK, &Inquiry { f: visit.frame(title, "-") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_say_them() {
        for (bytes, it, en) in [
            (1, "1 kB", "1 kB"),
            (119_001, "120 kB", "120 kB"),
            (999_000, "999 kB", "999 kB"),
            (1_449_999, "1,4 MB", "1.4 MB"),
            (5 << 20, "5,2 MB", "5.2 MB"),
        ] {
            assert_eq!(
                (size_text(bytes, Language::Italian), size_text(bytes, Language::English)),
                (it.to_owned(), en.to_owned())
            );
        }
    }
}
