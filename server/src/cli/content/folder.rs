//! The folder of `content import` and `content export`: `content.toml`, and the documents that it names. Read whole before anything
//! is done, with everything that is to be put right; written so that import reads the same again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, ensure};
use borsellino_domain::content::{
    ContentKind, DraftEntry, DraftWords, Entry, Fields, LANGUAGES, LARGEST_FILE, Mistake, Why,
};
use borsellino_domain::time::SchoolYear;
use borsellino_store::rows::ContentRow;
use jiff::civil::date;
use toml::{Table, Value};

/// The file that says what there is.
const NAME: &str = "content.toml";

/// The longest such file, in bytes.
const LONGEST: u64 = 4 << 20;

/// How many entries one folder may hold, and how many bytes their documents.
const MOST_ENTRIES: usize = 500;
const MOST_BYTES: usize = 64 << 20;

/// What is in a folder, or what is to be put right: each with file, entry and field.
///
/// # Errors
/// Where the folder can't be read at all.
pub(super) fn read(folder: &Path) -> anyhow::Result<Result<Vec<Entry>, Vec<String>>> {
    let path = folder.join(NAME);
    let mut text = String::new();
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    file.take(LONGEST + 1).read_to_string(&mut text).with_context(|| path.display().to_string())?;
    ensure!(u64::try_from(text.len()).unwrap_or(u64::MAX) <= LONGEST, "{}: is larger than 4 MiB", path.display());
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return Ok(Err(vec![format!("{NAME}: {error}")])),
    };
    let root = folder.canonicalize().with_context(|| folder.display().to_string())?;
    let mut reader = Reader { root, entries: Vec::new(), mistakes: Vec::new(), ids: BTreeMap::new(), bytes: 0 };
    for (name, value) in table {
        match (ContentKind::ALL.into_iter().find(|kind| kind.code() == name), value) {
            (Some(ContentKind::Help), Value::Table(entry)) => reader.entry(ContentKind::Help, "help".to_owned(), entry),
            (Some(ContentKind::Help), _) => reader.mistake("help", "is one table: [help]"),
            (Some(kind), Value::Array(entries)) => {
                for (place, entry) in (1..).zip(entries) {
                    let place: usize = place;
                    match entry {
                        Value::Table(entry) => reader.entry(kind, format!("{name} {place}"), entry),
                        _ => reader.mistake(&format!("{name} {place}"), "is no table"),
                    }
                }
            }
            (Some(_), _) => reader.mistake(&name, &format!("is a list of tables: [[{name}]]")),
            (None, _) => reader.mistake(&name, "is none of news, event, file, question, help"),
        }
    }
    if reader.entries.len() > MOST_ENTRIES {
        reader.mistakes.push(format!("{NAME}: more than {MOST_ENTRIES} entries: make two folders of it"));
    }
    if reader.bytes > MOST_BYTES {
        reader.mistakes.push(format!("{NAME}: its documents are larger than 64 MiB together: make two folders of it"));
    }
    Ok(if reader.mistakes.is_empty() { Ok(reader.entries) } else { Err(reader.mistakes) })
}

struct Reader {
    root: PathBuf,
    entries: Vec<Entry>,
    mistakes: Vec<String>,
    /// Which entry has an id.
    ids: BTreeMap<String, String>,
    bytes: usize,
}

impl Reader {
    fn mistake(&mut self, place: &str, what: &str) {
        self.mistakes.push(format!("{NAME}: {place}: {what}"));
    }

    fn entry(&mut self, kind: ContentKind, place: String, mut table: Table) {
        let id = table.get("id").and_then(Value::as_str).map(str::to_owned);
        let place = id.as_ref().map_or_else(|| place.clone(), |id| format!("{place} ({})", named(id)));
        let before = self.mistakes.len();
        let fields = kind.fields();
        let mut draft = DraftEntry {
            id: self.text(&place, &mut table, "id"),
            day: self.text(&place, &mut table, "day"),
            until: self.text(&place, &mut table, "until"),
            hour: self.text(&place, &mut table, "hour"),
            school_year: self.text(&place, &mut table, "school_year"),
            order: self.number(&place, &mut table, "order"),
            words: [Some(self.words(&place, &mut table, fields)), None, None],
            file: None,
        };
        for (slot, language) in draft.words.iter_mut().zip(LANGUAGES).skip(1) {
            match table.remove(language.tag()) {
                None => {}
                Some(Value::Table(mut own)) => {
                    let place = format!("{place}: {}", language.tag());
                    *slot = Some(self.words(&place, &mut own, fields));
                    self.strangers(&place, &own);
                }
                Some(_) => self.mistake(&place, &format!("{}: is no table", language.tag())),
            }
        }
        if let Some(path) = self.text(&place, &mut table, "path") {
            draft.file = self.file(&place, &path);
        }
        self.strangers(&place, &table);
        match Entry::parse(kind, draft) {
            Ok(entry) => {
                if let Some(other) = self.ids.insert(entry.id.to_string(), place.clone()) {
                    self.mistake(&place, &format!("id: {other} has it too"));
                }
                self.bytes = self.bytes.saturating_add(entry.file.as_ref().map_or(0, |file| file.bytes.len()));
                self.entries.push(entry);
            }
            Err(mistakes) => {
                for mistake in &mistakes {
                    // What could not be read is not missing besides.
                    let told = self.mistakes.iter().skip(before).any(|told| told.starts_with(&at(&place, mistake)));
                    if !(told && mistake.why == Why::Missing) {
                        self.mistake(&place, &mistake.to_string());
                    }
                }
            }
        }
    }

    fn words(&mut self, place: &str, table: &mut Table, fields: Fields) -> DraftWords {
        DraftWords {
            title: fields.title.and_then(|name| self.text(place, table, name)),
            text: self.text(place, table, fields.text),
            extra: fields.extra.and_then(|name| self.text(place, table, name)),
        }
    }

    /// A text, or a day as TOML writes it too.
    fn text(&mut self, place: &str, table: &mut Table, name: &str) -> Option<String> {
        match table.remove(name)? {
            Value::String(text) => Some(text),
            Value::Datetime(day) => Some(day.to_string()),
            _ => {
                self.mistake(place, &format!("{name}: is no text"));
                None
            }
        }
    }

    fn number(&mut self, place: &str, table: &mut Table, name: &str) -> Option<i64> {
        match table.remove(name)? {
            Value::Integer(number) => Some(number),
            _ => {
                self.mistake(place, &format!("{name}: is no number"));
                None
            }
        }
    }

    /// What nobody knows is a slip of the pen, and not left out.
    fn strangers(&mut self, place: &str, table: &Table) {
        let names: Vec<&String> = table.keys().collect();
        for name in names {
            self.mistake(place, &format!("{}: is no field of it", named(name)));
        }
    }

    /// A document in the folder, and nowhere else.
    fn file(&mut self, place: &str, text: &str) -> Option<(String, Vec<u8>)> {
        let path = Path::new(text);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let (true, Some(name)) = (inside, name) else {
            self.mistake(place, "path: is no path inside the folder");
            return None;
        };
        let read = || -> Result<Vec<u8>, String> {
            let whole = self.root.join(path).canonicalize().map_err(|error| error.to_string())?;
            if !whole.starts_with(&self.root) {
                // By a link.
                return Err("leads out of the folder".to_owned());
            }
            let file = File::open(&whole).map_err(|error| error.to_string())?;
            if !file.metadata().map_err(|error| error.to_string())?.is_file() {
                return Err("is no file".to_owned());
            }
            let limit = u64::try_from(LARGEST_FILE).unwrap_or(u64::MAX).saturating_add(1);
            let mut bytes = Vec::new();
            file.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Some((name, bytes)),
            Err(why) => {
                self.mistake(place, &format!("path: {}: {why}", named(text)));
                None
            }
        }
    }
}

/// How a mistake of a field begins.
fn at(place: &str, mistake: &Mistake) -> String {
    let tongue = mistake.language.map(|language| format!("{}: ", language.tag())).unwrap_or_default();
    format!("{NAME}: {place}: {tongue}{}: ", mistake.field)
}

/// What somebody wrote, for a terminal.
fn named(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Writes a folder.
pub(super) struct Writer {
    folder: PathBuf,
    text: String,
    help: String,
    count: usize,
}

impl Writer {
    /// Into a new folder, or an empty one.
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let empty = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?.next().is_none();
        ensure!(empty, "{}: is not empty: name a new folder", folder.display());
        Ok(Self { folder: folder.to_owned(), text: String::new(), help: String::new(), count: 0 })
    }

    /// An entry in its languages, Italian first, and its document.
    pub(super) fn entry(&mut self, rows: &[ContentRow], file: Option<(String, Vec<u8>)>) -> anyhow::Result<()> {
        let first = rows.iter().find(|row| row.language == "it").context("an entry without Italian")?;
        let (kind, fields) = (first.kind, first.kind.fields());
        let mut text = String::new();
        let header = if kind == ContentKind::Help { "[help]".to_owned() } else { format!("[[{}]]", kind.code()) };
        text.push_str(&format!("\n{header}\n"));
        if kind != ContentKind::Help {
            text.push_str(&line("id", &first.id));
        }
        for (name, value) in [("day", &first.day), ("until", &first.until_day), ("hour", &first.hour)] {
            if let Some(value) = value {
                text.push_str(&line(name, value));
            }
        }
        if let Some(begins) = first.school_year {
            let year = SchoolYear::of(date(i16::try_from(begins).context("a school year")?, 9, 1));
            text.push_str(&line("school_year", &year.text()));
        }
        if first.place != 0 {
            text.push_str(&format!("order = {}\n", first.place));
        }
        if let Some((name, bytes)) = file {
            // Two documents may be called alike.
            let path = format!("{}/{name}", first.id);
            let place = self.folder.join(&first.id);
            std::fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
            let place = place.join(&name);
            File::create_new(&place).and_then(|mut file| file.write_all(&bytes)).with_context(|| path.clone())?;
            text.push_str(&line("path", &path));
        }
        words(&mut text, fields, first);
        for row in rows.iter().filter(|row| row.language != "it") {
            text.push_str(&format!("[{}.{}]\n", kind.code(), row.language));
            words(&mut text, fields, row);
        }
        // A table of its own ends the lists: it stands last, whatever is read first.
        if kind == ContentKind::Help {
            self.help = text
        } else {
            self.text.push_str(&text)
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Writes the file, and says how many entries there are.
    pub(super) fn finish(self) -> anyhow::Result<usize> {
        let path = self.folder.join(NAME);
        let text = format!(
            "# Borsellino: borsellino content import reads this folder (docs/operators.md).\n{}{}",
            self.text, self.help
        );
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(self.count)
    }
}

fn words(text: &mut String, fields: Fields, row: &ContentRow) {
    let all = [(fields.title, &row.title), (Some(fields.text), &row.body), (fields.extra, &row.extra)];
    for (name, value) in all {
        if let (Some(name), false) = (name, value.is_empty()) {
            text.push_str(&line(name, value));
        }
    }
}

/// A text of TOML, over several lines where it has them. Neither holds a control character but the end of a line and the tab.
fn line(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
    if value.contains('\n') { format!("{name} = \"\"\"\n{value}\"\"\"\n") } else { format!("{name} = \"{value}\"\n") }
}
