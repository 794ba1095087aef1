//! Notices a second on every processor, held against bare typst: the same template, the same facts and the same fonts through
//! typst's own `compile` and `pdf`, without anything of ours; in the same run, turn about.
//!
//! ```text
//! cargo bench -p borsellino-documents                          five rounds of 200 notices each
//! cargo bench -p borsellino-documents -- --rounds 9 --count 500
//! ```

// Ratios and rates, never money.
#![allow(clippy::float_arithmetic, missing_docs)]

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use borsellino_documents::{Notice, Renderer, Templates, sample};
use borsellino_domain::notice::NoticeNumber;
use typst::diag::{FileError, FileResult};
use typst::foundations::{Bytes, Datetime, Duration};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Feature, Library, LibraryExt, World};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards};

type Failed = Box<dyn Error + Send + Sync>;

/// What the prototype of this project recommended: sweep typst's cache every 20 documents, and keep what was used in the last 10 sweeps.
const SWEEP_EVERY: usize = 20;
const SWEEPS_SURVIVED: usize = 10;

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

/// What typst needs and no more.
struct Bare {
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
}

struct Page<'a> {
    bare: &'a Bare,
    main: FileId,
    files: HashMap<FileId, Vec<u8>>,
}

impl World for Page<'_> {
    fn library(&self) -> &LazyHash<Library> {
        &self.bare.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &self.bare.book
    }

    fn main(&self) -> FileId {
        self.main
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        let text = self.files.get(&id).and_then(|bytes| String::from_utf8(bytes.clone()).ok());
        Ok(Source::new(id, text.ok_or(FileError::NotSource)?))
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        self.files.get(&id).map(|bytes| Bytes::new(bytes.clone())).ok_or(FileError::NotSource)
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.bare.fonts.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}

fn id(name: &str) -> Result<FileId, Failed> {
    let path = VirtualPath::new(name).map_err(|_| format!("{name} is no path"))?;
    Ok(RootedPath::new(VirtualRoot::Project, path).intern())
}

impl Bare {
    fn print(&self, files: Vec<(String, Vec<u8>)>) -> Result<usize, Failed> {
        let files = files.into_iter().map(|(name, bytes)| Ok((id(&name)?, bytes))).collect::<Result<_, Failed>>()?;
        let page = Page { bare: self, main: id("notice.typ")?, files };
        let pages: PagedDocument = typst::compile(&page).output.map_err(|errors| format!("{errors:?}"))?;
        let standards =
            PdfStandards::new(&[PdfStandard::A_2a, PdfStandard::Ua_1]).map_err(|error| format!("{error:?}"))?;
        let options = PdfOptions { standards, ..PdfOptions::default() };
        Ok(typst_pdf::pdf(&pages, &options).map_err(|errors| format!("{errors:?}"))?.len())
    }
}

/// No two alike.
fn notice(n: usize) -> Result<Notice, Failed> {
    let mut notice = sample::notice(0, true);
    let [.., a, b, c] = n.to_be_bytes();
    if let Some(part) = &mut notice.whole {
        part.number = NoticeNumber::issue("01".parse()?, [a, b, c, 4, 5, 6, 7, 8]);
        part.amount = sample::amount(i64::try_from(n)? + 100);
    }
    if let Some(debtor) = &mut notice.debtor {
        debtor.name = format!("Rossi Maria {n}");
    }
    Ok(notice)
}

/// Notices a second with a thread on each processor.
fn rate(from: usize, count: usize, one: impl Fn(usize) -> Result<usize, Failed> + Sync) -> Result<f64, Failed> {
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let work = || {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return Ok::<(), Failed>(());
                }
                one(from + n)?;
            }
        };
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().try_for_each(|one| one.join().map_err(|_| Failed::from("a thread gave up"))?)
    })?;
    Ok(f64::from(u32::try_from(count)?) / begun.elapsed().as_secs_f64())
}

fn main() -> Result<(), Failed> {
    let (mut rounds, mut count) = (5, 200);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().ok_or("a number is missing")?.parse().map_err(Failed::from);
        match argument.as_str() {
            "--bench" => {}
            "--rounds" => rounds = number()?,
            "--count" => count = number()?,
            other => return Err(format!("{other}? --rounds N, --count N").into()),
        }
    }
    println!("load average before: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let renderer = Renderer::new(&Templates::default())?;
    let fonts: Vec<Font> = FONTS.into_iter().filter_map(|font| Font::new(Bytes::new(font), 0)).collect();
    let bare = Bare {
        library: LazyHash::new(Library::builder().with_features([Feature::A11yExtras].into_iter().collect()).build()),
        book: LazyHash::new(FontBook::from_fonts(&fonts)),
        fonts,
    };
    let swept = AtomicUsize::new(0);
    let (mut from, mut ratios, mut both) = (0, Vec::new(), Vec::new());
    // The first of each warms up.
    for round in 0..=rounds {
        let files = (0..count)
            .map(|n| Ok(renderer.files_of_notice(&notice(from + n)?)?))
            .collect::<Result<Vec<_>, Failed>>()?;
        let theirs = rate(0, count, |n| {
            let printed = bare.print(files.get(n).cloned().unwrap_or_default());
            if swept.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) {
                typst::comemo::evict(SWEEPS_SURVIVED);
            }
            printed
        })?;
        from += count;
        typst::comemo::evict(0);
        let ours = rate(from, count, |n| Ok(renderer.notice(&notice(n)?)?.len()))?;
        from += count;
        typst::comemo::evict(0);
        if round > 0 {
            println!("  round {round}: {ours:.0} notices a second, bare typst {theirs:.0}: {:.2}x", ours / theirs);
            ratios.push(ours / theirs);
            both.push(ours);
        }
    }
    ratios.sort_by(f64::total_cmp);
    both.sort_by(f64::total_cmp);
    let middle = |all: &[f64]| all.get(all.len() / 2).copied().unwrap_or_default();
    println!(
        "notices a second: {:.0}; against bare typst on the same template: {:.2}x (at least 0.8x wanted)",
        middle(&both),
        middle(&ratios)
    );
    println!("load average after: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    Ok(())
}
