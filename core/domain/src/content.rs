//! What the office tells everybody: news, events, documents, questions and answers, help. Each entry has an id that its maker gave
//! it, says the same in up to three languages (Italian always), and is plain text: how it is shown, the reader decides.

use std::fmt;

use jiff::civil::{Date, Time};
use thiserror::Error;

use crate::language::Language;
use crate::ledger::{Hash, coded};

/// The longest title, group or place, in characters.
pub const LONGEST_TITLE: usize = 200;

/// The longest text, in characters.
pub const LONGEST_TEXT: usize = 20_000;

/// The largest document, in bytes.
pub const LARGEST_FILE: usize = 5 << 20;

/// The languages that an entry may say something in, Italian first.
pub const LANGUAGES: [Language; 3] = [Language::Italian, Language::English, Language::German];

/// Ids that are something else: the help, and the feed's address.
const RESERVED: [&str; 2] = ["help", "feed"];

/// The years that a day or a school year may lie in.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2100;

coded! {
    /// A kind of entry.
    ContentKind, "kind of content" {
        /// News, from its day on.
        News = "news",
        /// Something that happens on a day.
        Event = "event",
        /// A document to download.
        File = "file",
        /// A question that is often asked, and its answer.
        Question = "question",
        /// How the service works; a creditor has one.
        Help = "help",
    }
}

/// What the words of a kind are called by whoever writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The line above; help has none.
    pub title: Option<&'static str>,
    /// What it says.
    pub text: &'static str,
    /// Whether it has to say something.
    pub text_required: bool,
    /// One more line.
    pub extra: Option<&'static str>,
}

impl ContentKind {
    /// Every kind, in the order in which a file lists them.
    pub const ALL: [Self; 5] = [Self::News, Self::Event, Self::File, Self::Question, Self::Help];

    /// The names of its words.
    pub const fn fields(self) -> Fields {
        let (title, text, text_required, extra) = match self {
            Self::News => (Some("title"), "text", true, None),
            Self::Event => (Some("title"), "text", false, Some("place")),
            Self::File => (Some("title"), "description", false, None),
            Self::Question => (Some("question"), "answer", true, Some("group")),
            Self::Help => (None, "text", true, None),
        };
        Fields { title, text, text_required, extra }
    }
}

/// The id of an entry: up to 64 small letters, digits and hyphens, so that it can stand in an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(String);

impl ContentId {
    /// The one entry of a creditor that is help.
    pub fn help() -> Self {
        Self("help".to_owned())
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Why::Id`].
    pub fn parse(text: &str) -> Result<Self, Why> {
        let plain = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if plain && (1..=64).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(Why::Id) }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a field can't be as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// Nothing stands there.
    #[error("is missing")]
    Missing,
    /// It has no place in this kind of entry.
    #[error("does not belong here")]
    Stray,
    /// Too many characters.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    /// Something that no page can show.
    #[error("has a control character, or one that turns the direction of what follows")]
    Unprintable,
    /// A title is one line.
    #[error("is more than one line")]
    Lines,
    /// No id.
    #[error("is no id: 1 to 64 small letters, digits and hyphens")]
    Id,
    /// An id that is something else.
    #[error("is taken by the portal itself: choose another")]
    Reserved,
    /// No day.
    #[error("is no day of this century: write 2026-11-20")]
    Day,
    /// News that ends before it begins.
    #[error("lies before the day")]
    Backwards,
    /// No hour.
    #[error("is no hour: write 17:30")]
    Hour,
    /// No school year.
    #[error("is no school year: write 2026/2027")]
    SchoolYear,
    /// Too large a number.
    #[error("is no number from 0 to 9999")]
    Order,
    /// Nobody can open it.
    #[error("is no PDF, ODT, ODS, DOCX, XLSX, PNG, JPEG or plain text, or is not what its name says")]
    FileKind,
    /// Too large a file.
    #[error("is larger than 5 MiB")]
    TooLarge,
    /// An empty file.
    #[error("is empty")]
    Empty,
}

/// A field that is to be put right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{field}: {why}", prefix(*language))]
pub struct Mistake {
    /// In which language; `None` where it has nothing to do with one, or is Italian.
    pub language: Option<Language>,
    /// As its writer calls it.
    pub field: &'static str,
    /// Why.
    pub why: Why,
}

fn prefix(language: Option<Language>) -> String {
    language.map(|language| format!("{}.", language.tag())).unwrap_or_default()
}

/// The words of an entry as somebody wrote them.
#[derive(Clone, Debug, Default)]
pub struct DraftWords {
    /// The line above.
    pub title: Option<String>,
    /// What it says.
    pub text: Option<String>,
    /// Where it is, or its group.
    pub extra: Option<String>,
}

/// An entry as somebody wrote it.
#[derive(Clone, Debug, Default)]
pub struct DraftEntry {
    /// Its id.
    pub id: Option<String>,
    /// Of news and events.
    pub day: Option<String>,
    /// Of news.
    pub until: Option<String>,
    /// Of events.
    pub hour: Option<String>,
    /// Of documents.
    pub school_year: Option<String>,
    /// Of questions and documents.
    pub order: Option<i64>,
    /// In the order of [`LANGUAGES`].
    pub words: [Option<DraftWords>; 3],
    /// Of documents: the file's name and what is in it.
    pub file: Option<(String, Vec<u8>)>,
}

/// What an entry says in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryWords {
    /// In which.
    pub language: Language,
    /// The line above; empty for help.
    pub title: String,
    /// What it says, in lines; may be empty where the kind allows it.
    pub text: String,
    /// Where it is, or its group; may be empty.
    pub extra: String,
}

/// A document.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryFile {
    /// What it is called where it is downloaded: ASCII letters, digits, `.`, `-`, `_`.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for EntryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryFile({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// An entry that can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: ContentId,
    /// What it is.
    pub kind: ContentKind,
    /// Of news the day it appears, of an event its day.
    pub day: Option<Date>,
    /// The last day that news is shown.
    pub until: Option<Date>,
    /// `17:30`
    pub hour: Option<String>,
    /// Of a document.
    pub school_year: Option<i16>,
    /// Where it stands among others of its kind.
    pub order: i64,
    /// Italian first.
    pub words: Vec<EntryWords>,
    /// Of a document.
    pub file: Option<EntryFile>,
}

impl Entry {
    /// Reads what somebody wrote.
    ///
    /// # Errors
    /// Everything that is to be put right, not only the first of it.
    pub fn parse(kind: ContentKind, draft: DraftEntry) -> Result<Self, Vec<Mistake>> {
        let mut wrong = Wrong::default();
        let of = |kinds: &[ContentKind]| kinds.contains(&kind);
        let id = match kind {
            ContentKind::Help => {
                wrong.stray("id", draft.id.is_some());
                Some(ContentId::help())
            }
            _ => wrong.required("id", draft.id, |text| {
                let id = ContentId::parse(&text)?;
                if RESERVED.contains(&id.as_str()) { Err(Why::Reserved) } else { Ok(id) }
            }),
        };
        let dated = of(&[ContentKind::News, ContentKind::Event]);
        let read =
            if dated { wrong.required("day", draft.day, |text| day(&text)) } else { wrong.none("day", draft.day) };
        let until = if of(&[ContentKind::News]) {
            wrong.optional("until", draft.until, |text| day(&text))
        } else {
            wrong.none("until", draft.until)
        };
        if read.zip(until).is_some_and(|(day, until)| until < day) {
            wrong.say(None, "until", Why::Backwards);
        }
        let hour = if of(&[ContentKind::Event]) {
            wrong.optional("hour", draft.hour, |text| hour(&text))
        } else {
            wrong.none("hour", draft.hour)
        };
        let (school_year, file) = if of(&[ContentKind::File]) {
            let file = wrong.required("path", draft.file, |(name, bytes)| file(&name, bytes));
            (wrong.optional("school_year", draft.school_year, |text| school_year(&text)), file)
        } else {
            (wrong.none("school_year", draft.school_year), wrong.none("path", draft.file))
        };
        let order = if of(&[ContentKind::File, ContentKind::Question]) {
            wrong.optional("order", draft.order, |n| if (0..=9999).contains(&n) { Ok(n) } else { Err(Why::Order) })
        } else {
            wrong.none("order", draft.order)
        };
        let words = words(&mut wrong, kind, draft.words);
        match (id, wrong.0.is_empty()) {
            (Some(id), true) => {
                let order = order.unwrap_or_default();
                Ok(Self { id, kind, day: read, until, hour, school_year, order, words, file })
            }
            _ => Err(wrong.0),
        }
    }

    /// Of all that it says: the same only for the same.
    pub fn digest(&self) -> Hash {
        let optional = |text: Option<String>| text.unwrap_or_default();
        let mut parts: Vec<Vec<u8>> = vec![b"borsellino.content.v1".to_vec()];
        let mut say = |text: String| parts.push(text.into_bytes());
        say(self.id.to_string());
        say(self.kind.code().to_owned());
        say(optional(self.day.map(|day| day.to_string())));
        say(optional(self.until.map(|day| day.to_string())));
        say(optional(self.hour.clone()));
        say(optional(self.school_year.map(|year| year.to_string())));
        say(self.order.to_string());
        for words in &self.words {
            for text in [words.language.tag(), &words.title, &words.text, &words.extra] {
                say(text.to_owned());
            }
        }
        if let Some(file) = &self.file {
            say(file.name.clone());
            say(file.media_type.to_owned());
            parts.push(Hash::of(&file.bytes).0.to_vec());
        }
        let mut whole = Vec::new();
        for part in parts {
            whole.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            whole.extend_from_slice(&part);
        }
        Hash::of(&whole)
    }
}

#[derive(Default)]
struct Wrong(Vec<Mistake>);

impl Wrong {
    fn say(&mut self, language: Option<Language>, field: &'static str, why: Why) {
        self.0.push(Mistake { language, field, why });
    }

    fn stray(&mut self, field: &'static str, there: bool) {
        if there {
            self.say(None, field, Why::Stray);
        }
    }

    fn none<T, U>(&mut self, field: &'static str, value: Option<T>) -> Option<U> {
        self.stray(field, value.is_some());
        None
    }

    fn optional<T, U>(
        &mut self,
        field: &'static str,
        value: Option<T>,
        read: impl FnOnce(T) -> Result<U, Why>,
    ) -> Option<U> {
        read(value?).map_err(|why| self.say(None, field, why)).ok()
    }

    fn required<T, U>(
        &mut self,
        field: &'static str,
        value: Option<T>,
        read: impl FnOnce(T) -> Result<U, Why>,
    ) -> Option<U> {
        if value.is_none() {
            self.say(None, field, Why::Missing);
        }
        self.optional(field, value, read)
    }
}

fn words(wrong: &mut Wrong, kind: ContentKind, drafts: [Option<DraftWords>; 3]) -> Vec<EntryWords> {
    let fields = kind.fields();
    let mut read: Vec<EntryWords> = Vec::new();
    for (language, draft) in LANGUAGES.into_iter().zip(drafts) {
        let italian = language == Language::Italian;
        if draft.is_none() && !italian {
            continue;
        }
        let draft = draft.unwrap_or_default();
        let named = (!italian).then_some(language);
        let mut line = |name: &'static str, text: Option<String>, (most, required): (usize, bool)| {
            let text = plain(text.as_deref().unwrap_or_default());
            let one = most == LONGEST_TITLE;
            let why = if text.is_empty() && required {
                Why::Missing
            } else if text.chars().count() > most {
                Why::TooLong(most)
            } else if one && text.contains('\n') {
                Why::Lines
            } else if !printable(&text) {
                Why::Unprintable
            } else {
                return text;
            };
            wrong.say(named, name, why);
            String::new()
        };
        let title = fields.title.map(|name| line(name, draft.title, (LONGEST_TITLE, true))).unwrap_or_default();
        let text = line(fields.text, draft.text, (LONGEST_TEXT, fields.text_required));
        let extra = fields.extra.map(|name| line(name, draft.extra, (LONGEST_TITLE, false))).unwrap_or_default();
        // A place or a group that nobody translated is called as it is in Italian.
        let extra = if extra.is_empty() { read.first().map_or(extra, |own| own.extra.clone()) } else { extra };
        read.push(EntryWords { language, title, text, extra });
    }
    read
}

/// Text as it is kept: lines end in one way, and nothing but blanks stands around it.
pub fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").trim().to_owned()
}

/// Whether a page, or a feed, can show it and it is what it looks like: no control characters (XML 1.0, 2.2), and nothing that
/// turns the direction of what follows.
pub fn printable(text: &str) -> bool {
    text.chars().all(|c| match c {
        '\n' | '\t' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => false,
        c => !c.is_control(),
    })
}

fn day(text: &str) -> Result<Date, Why> {
    let read = text.trim().parse::<Date>().map_err(|_| Why::Day)?;
    // As it is written again: nothing but the day stood there.
    if YEARS.contains(&read.year()) && read.to_string() == text.trim() { Ok(read) } else { Err(Why::Day) }
}

fn hour(text: &str) -> Result<String, Why> {
    let text = text.trim();
    let (hours, minutes) = text.split_once(':').ok_or(Why::Hour)?;
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit());
    if !digits(hours) || !digits(minutes) || minutes.len() != 2 {
        return Err(Why::Hour);
    }
    let (hours, minutes) = hours.parse().ok().zip(minutes.parse().ok()).ok_or(Why::Hour)?;
    let time = Time::new(hours, minutes, 0, 0).map_err(|_| Why::Hour)?;
    Ok(format!("{:02}:{:02}", time.hour(), time.minute()))
}

fn school_year(text: &str) -> Result<i16, Why> {
    let (first, second) = text.trim().split_once('/').ok_or(Why::SchoolYear)?;
    let (first, second): (i16, i16) = first.parse().ok().zip(second.parse().ok()).ok_or(Why::SchoolYear)?;
    if YEARS.contains(&first) && first.checked_add(1) == Some(second) { Ok(first) } else { Err(Why::SchoolYear) }
}

const PDF: &str = "application/pdf";

/// What may be offered: ending, media type, how it begins.
const FILE_KINDS: [(&str, &str, &[u8]); 9] = [
    ("pdf", PDF, b"%PDF-"),
    ("odt", "application/vnd.oasis.opendocument.text", b"PK\x03\x04"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet", b"PK\x03\x04"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\x03\x04"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK\x03\x04"),
    ("png", "image/png", b"\x89PNG\r\n\x1a\n"),
    ("jpg", "image/jpeg", b"\xff\xd8\xff"),
    ("jpeg", "image/jpeg", b"\xff\xd8\xff"),
    ("txt", "text/plain; charset=utf-8", b""),
];

/// The media type of a kept document, as one of ours.
pub fn media_type(text: &str) -> &'static str {
    FILE_KINDS.iter().find(|(_, its, _)| *its == text).map_or("application/octet-stream", |(_, its, _)| its)
}

fn file(name: &str, bytes: Vec<u8>) -> Result<EntryFile, Why> {
    if bytes.len() > LARGEST_FILE {
        return Err(Why::TooLarge);
    }
    if bytes.is_empty() {
        return Err(Why::Empty);
    }
    let (stem, ending) = name.rsplit_once('.').ok_or(Why::FileKind)?;
    let ending = ending.to_ascii_lowercase();
    let (ending, media_type, begins) =
        FILE_KINDS.iter().find(|(its, _, _)| *its == ending).copied().ok_or(Why::FileKind)?;
    let readable = !begins.is_empty() || std::str::from_utf8(&bytes).is_ok_and(printable_lines);
    if !bytes.starts_with(begins) || !readable {
        return Err(Why::FileKind);
    }
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let stem: String = stem.chars().map(safe).take(80).collect();
    let stem = if stem.is_empty() { "documento".to_owned() } else { stem };
    Ok(EntryFile { name: format!("{stem}.{ending}"), media_type, bytes })
}

fn printable_lines(text: &str) -> bool {
    printable(&text.replace('\r', "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(id: &str) -> DraftEntry {
        let words = |title: &str| {
            Some(DraftWords { title: Some(title.to_owned()), text: Some("due\r\nrighe\n".to_owned()), extra: None })
        };
        DraftEntry {
            id: Some(id.to_owned()),
            day: Some("2026-11-20".to_owned()),
            words: [words("Titolo"), words("Title"), None],
            ..DraftEntry::default()
        }
    }

    fn mistakes(kind: ContentKind, draft: DraftEntry) -> Vec<String> {
        Entry::parse(kind, draft).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_entry_is_read_whole() {
        let entry = Entry::parse(ContentKind::News, draft("mensa-1")).unwrap();
        assert_eq!((entry.words.len(), entry.words[0].text.as_str()), (2, "due\nrighe"));
        assert_eq!(entry.digest(), entry.clone().digest());
        let other = Entry { until: entry.day, ..entry.clone() };
        assert_ne!(entry.digest(), other.digest());
        // What moves from one field to the next is something else.
        let mut moved = entry.clone();
        moved.words[0].title = "Titolodue".to_owned();
        let mut back = entry.clone();
        back.words[0].text = format!("due{}", back.words[0].text);
        assert_ne!(moved.digest(), back.digest());
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let mut bad = draft("Mensa 1");
        bad.day = Some("20/11/2026".to_owned());
        bad.until = Some("2026-11-19".to_owned());
        bad.hour = Some("17:30".to_owned());
        bad.words[1] = Some(DraftWords { title: Some("two\nlines".to_owned()), ..DraftWords::default() });
        let told = mistakes(ContentKind::News, bad);
        assert_eq!(told.len(), 5, "{told:?}");
        for (field, told) in
            ["id: ", "day: ", "hour: does not belong", "en.title: ", "en.text: is missing"].iter().zip(&told)
        {
            assert!(told.starts_with(field), "{field}: {told}");
        }
        let mut early = draft("a");
        early.until = Some("2026-11-19".to_owned());
        assert_eq!(mistakes(ContentKind::News, early), ["until: lies before the day"]);
        let mut loud = draft("a");
        loud.words[0] =
            Some(DraftWords { title: Some("a\u{7}".to_owned()), text: Some("b\u{202e}".to_owned()), extra: None });
        assert_eq!(mistakes(ContentKind::News, loud).len(), 2);
        let mut long = draft("a");
        long.words[0] = Some(DraftWords { title: Some("é".repeat(201)), text: Some("x".repeat(20_001)), extra: None });
        assert_eq!(
            mistakes(ContentKind::News, long),
            ["title: is longer than 200 characters", "text: is longer than 20000 characters"]
        );
        assert_eq!(mistakes(ContentKind::News, draft("help")).len(), 1, "that id is another entry's");
    }

    #[test]
    fn hours_and_years_are_what_they_say() {
        assert_eq!(hour("9:05"), Ok("09:05".to_owned()));
        for bad in ["24:00", "9:5", "9", "-1:00", "9:60", "a:00", "+9:00", ""] {
            assert_eq!(hour(bad), Err(Why::Hour), "{bad}");
        }
        assert_eq!(school_year("2026/2027"), Ok(2026));
        for bad in ["2026", "2026/2028", "2026-2027", "1926/1927", ""] {
            assert_eq!(school_year(bad), Err(Why::SchoolYear), "{bad}");
        }
        for bad in ["2026-02-30", "2026-1-1", "3026-01-01", "2026-11-20T10:00", ""] {
            assert_eq!(day(bad), Err(Why::Day), "{bad}");
        }
    }

    #[test]
    fn a_file_is_what_its_name_says() {
        let read = file("Modulo d'iscrizione (1).PDF", b"%PDF-1.7".to_vec()).unwrap();
        assert_eq!((read.name.as_str(), read.media_type), ("Modulo-d-iscrizione--1-.pdf", PDF));
        assert_eq!(media_type(read.media_type), PDF);
        assert_eq!(media_type("text/html"), "application/octet-stream");
        for (name, bytes) in [
            ("a.pdf", b"<html>".as_slice()),
            ("a.html", b"<html>"),
            ("a.svg", b"<svg>"),
            ("a.txt", b"\xff"),
            ("pdf", b"%PDF-"),
        ] {
            assert_eq!(file(name, bytes.to_vec()), Err(Why::FileKind), "{name}");
        }
        assert_eq!(file("a.txt", Vec::new()), Err(Why::Empty));
        assert_eq!(file("a.pdf", vec![b'%'; LARGEST_FILE + 1]), Err(Why::TooLarge));
    }
}
