//! What typst may reach while it sets a page: the templates, the facts, the fonts in the program. No disk, no network, no
//! clock: the same facts give the same bytes.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Duration};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Feature, Library, LibraryExt, World, WorldExt};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards};

use crate::logo::Logo;

/// The fonts, each with its licence beside it. The first three families of a text are asked in this order.
const FONTS: [&[u8]; 8] = [
    include_bytes!("../fonts/TitilliumWeb-regular.ttf"),
    include_bytes!("../fonts/TitilliumWeb-600.ttf"),
    include_bytes!("../fonts/TitilliumWeb-700.ttf"),
    include_bytes!("../fonts/RobotoMono-regular.ttf"),
    include_bytes!("../fonts/RobotoMono-700.ttf"),
    include_bytes!("../fonts/DejaVuSans.ttf"),
    include_bytes!("../fonts/DejaVuSans-Bold.ttf"),
    include_bytes!("../fonts/DroidSansFallbackFull.ttf"),
];

/// How many bytes of documents may pass until typst's cache is swept, and how often an entry may survive without being used: what
/// it holds grows with the size of what was set, not with the number.
const SWEEP_EVERY: usize = 600_000;
const SWEEPS_SURVIVED: usize = 3;

/// What is made once for the process, when the first document is asked for.
struct House {
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
    standards: PdfStandards,
}

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let fonts: Vec<Font> = FONTS.into_iter().filter_map(|font| Font::new(Bytes::new(font), 0)).collect();
    House {
        // `pdf.header-cell`, for tables whose rows have headers.
        library: LazyHash::new(Library::builder().with_features([Feature::A11yExtras].into_iter().collect()).build()),
        book: LazyHash::new(FontBook::from_fonts(&fonts)),
        fonts,
        // Both standards go together: a test sees them in every document.
        standards: PdfStandards::new(&[PdfStandard::A_2a, PdfStandard::Ua_1]).unwrap_or_default(),
    }
});

/// Whether a text in any weight can draw a character.
pub(crate) fn covers(c: char) -> bool {
    let has = |name: &str| {
        let mut of = HOUSE.fonts.iter().filter(|font| font.info().family == name).peekable();
        of.peek().is_some() && of.all(|font| font.info().coverage.contains(u32::from(c)))
    };
    has("Titillium Web") || has("DejaVu Sans") || has("Droid Sans Fallback")
}

/// The name of a file that typst may ask for. Names are kept for ever, so there are few.
pub(crate) fn file_id(name: &str) -> Option<FileId> {
    Some(RootedPath::new(VirtualRoot::Project, VirtualPath::new(name).ok()?).intern())
}

/// Why a document was not made.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The template is wrong, in typst's words.
    Template(String),
    /// The pages were set and could not be written under the standards: a glyph is missing, a picture is not allowed.
    Export(String),
}

/// One document's reach.
pub(crate) struct Sheet<'a> {
    /// The template that typst begins with.
    pub(crate) main: FileId,
    /// All templates.
    pub(crate) sources: &'a [Source],
    /// The facts, and pictures.
    pub(crate) files: Vec<(FileId, Bytes)>,
}

impl Sheet<'_> {
    /// Sets the pages and writes them.
    pub(crate) fn print(&self) -> Result<Vec<u8>, Failure> {
        let printed = self.print_uncounted();
        static PRINTED: AtomicUsize = AtomicUsize::new(0);
        let bytes = printed.as_ref().map_or(SWEEP_EVERY, Vec::len).min(SWEEP_EVERY);
        if PRINTED.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) >= SWEEP_EVERY {
            PRINTED.store(0, Ordering::Relaxed);
            typst::comemo::evict(SWEEPS_SURVIVED);
        }
        printed
    }

    fn print_uncounted(&self) -> Result<Vec<u8>, Failure> {
        let pages: PagedDocument =
            typst::compile(self).output.map_err(|errors| Failure::Template(self.in_words(&errors)))?;
        let options = PdfOptions {
            creator: typst::foundations::Smart::Custom(Some("Borsellino".to_owned())),
            standards: HOUSE.standards.clone(),
            ..PdfOptions::default()
        };
        typst_pdf::pdf(&pages, &options).map_err(|errors| Failure::Export(self.in_words(&errors)))
    }

    /// `notice.typ:12: unknown variable: subjekt`, each on a line.
    fn in_words(&self, errors: &[SourceDiagnostic]) -> String {
        let lines: Vec<String> = errors.iter().map(|error| self.one_in_words(error)).collect();
        lines.join("\n")
    }

    fn one_in_words(&self, error: &SourceDiagnostic) -> String {
        // Where the error is in none of our files (typst's own), where it was called from.
        let mut places = std::iter::once(error.span).chain(error.trace.iter().map(|point| point.span.into()));
        let place = places.find_map(|span| {
            let id = span.id()?;
            let source = self.sources.iter().find(|source| source.id() == id)?;
            let line = source.lines().byte_to_line(self.range(span)?.start)?;
            Some(format!("{}:{}: ", id.vpath().get_without_slash(), line.saturating_add(1)))
        });
        format!("{}{}", place.unwrap_or_default(), error.message)
    }
}

impl World for Sheet<'_> {
    fn library(&self) -> &LazyHash<Library> {
        &HOUSE.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &HOUSE.book
    }

    fn main(&self) -> FileId {
        self.main
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        self.sources.iter().find(|source| source.id() == id).cloned().ok_or_else(|| not_found(id))
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        if let Some((_, bytes)) = self.files.iter().find(|(name, _)| *name == id) {
            return Ok(bytes.clone());
        }
        self.source(id).map(|source| Bytes::from_string(source.text().to_owned()))
    }

    fn font(&self, index: usize) -> Option<Font> {
        HOUSE.fonts.get(index).cloned()
    }

    /// A document says no day but those in its facts.
    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}

fn not_found(id: FileId) -> FileError {
    FileError::NotFound(id.vpath().get_without_slash().into())
}

/// Whether a logo can stand in a document: `None` where typst can't read it, `Some(false)` where a standard forbids it.
pub(crate) fn prints(logo: &Logo) -> Option<bool> {
    let name = format!("logo-0.{}", logo.extension());
    let (main, picture) = (file_id("logo.typ")?, file_id(&name)?);
    let text = format!(
        "#set document(title: \"Logo\", date: datetime(year: 2026, month: 1, day: 1))\n#image(\"{name}\", width: 30mm, height: 30mm, fit: \"contain\", alt: \"Logo\")"
    );
    let sources = [Source::new(main, text)];
    match (Sheet { main, sources: &sources, files: vec![(picture, logo.picture().clone())] }).print() {
        Ok(_) => Some(true),
        Err(Failure::Export(_)) => Some(false),
        Err(Failure::Template(_)) => None,
    }
}
