//! The pages as they were looked at and approved. `UPDATE_APPROVED=1 cargo test -p borsellino-documents pages` writes
//! them anew; on a difference, the new page and what differs are written under `target/documents`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use borsellino_documents::{Certificate, Logo, Notice, Person, Receipt, ShortReceipt, Wording, sample};
use borsellino_domain::language::Language;

use crate::readers::{Pdf, RENDERER};

/// Coarse, so that the approved pages stay small and the hinting of single letters does not show.
const DPI: u32 = 60;

/// A point differs when it is darker or lighter by more than this, of 255: more than smoothing makes of it.
const SHADE: u8 = 96;

/// So many points of 348,000 may differ: see `a_changed_digit_shows`.
const POINTS: usize = 12;

struct Page {
    width: u32,
    height: u32,
    shades: Vec<u8>,
}

fn read(path: &Path) -> Page {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let mut shades: Vec<u8> = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut shades).unwrap();
    assert_eq!(info.bit_depth, png::BitDepth::Eight);
    // Of grey points written as colours, the first.
    let shades = shades.into_iter().step_by(info.color_type.samples()).collect();
    Page { width: info.width, height: info.height, shades }
}

/// Black where the pages differ.
fn difference(a: &Page, b: &Page) -> Vec<u8> {
    a.shades.iter().zip(&b.shades).map(|(a, b)| if a.abs_diff(*b) > SHADE { 0 } else { 255 }).collect()
}

fn points(difference: &[u8]) -> usize {
    difference.iter().filter(|shade| **shade == 0).count()
}

fn write(path: &Path, width: u32, height: u32, shades: &[u8]) {
    let mut encoder = png::Encoder::new(File::create(path).unwrap(), width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_compression(png::Compression::High);
    encoder.write_header().unwrap().write_image_data(shades).unwrap();
}

fn approved(name: &str, pdf: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/approved");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("documents");
    std::fs::create_dir_all(&out).unwrap();
    let pdf = Pdf::new(pdf);
    let pages = pdf.pages(DPI);
    let of_name = |entry: std::io::Result<std::fs::DirEntry>| {
        let path: PathBuf = entry.unwrap().path();
        let stem = path.file_stem()?.to_str()?.rsplit_once('-')?.0.to_owned();
        (stem == name).then_some(path)
    };
    let known: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().filter_map(of_name).collect();
    let update = std::env::var_os("UPDATE_APPROVED").is_some();
    if update {
        known.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    } else {
        assert_eq!(known.len(), pages.len(), "{name} has another number of pages: {}", out.display());
    }
    for (number, page) in (1..).zip(&pages) {
        let (file, new) = (format!("{name}-{number}.png"), read(page));
        if update {
            write(&folder.join(&file), new.width, new.height, &new.shades);
            continue;
        }
        let old = read(&folder.join(&file));
        let differs = difference(&old, &new);
        if (old.width, old.height) != (new.width, new.height) || points(&differs) > POINTS {
            write(&out.join(&file), new.width, new.height, &new.shades);
            write(&out.join(format!("diff-{file}")), new.width, new.height, &differs);
            panic!("{file}: {} points differ; see {}", points(&differs), out.display());
        }
    }
}

fn notice(notice: &Notice) -> Vec<u8> {
    RENDERER.notice(notice).unwrap()
}

/// The longest of everything.
fn longest() -> Notice {
    let mut long = sample::notice(12, true);
    long.issuer.name = "Unione Territoriale Intercomunale delle Valli Alte".into();
    long.issuer.sector = "Area Servizi alla Persona e Diritto allo Studio XX".into();
    long.issuer.contacts =
        "Via della Repubblica Partigiana dell'Ossola 123 · protocollo@pec.unionevallialte.example · 0123 4567".into();
    long.issuer.own_counter = Some("Tesoreria, Via Lunga 1, lun-ven 8.30-12.30, 14-16".into());
    long.subject = "Refezione scolastica scuola dell'infanzia e primaria, anno 2026/2027, mesi di settembre-dic".into();
    long.debtor = Some(Person {
        name: "Massimiliano Alessandro Della Rovere-Castelbarco Visconti di Modrone X".into(),
        code: Some("RSSMRA80A01H501U".into()),
        address: Some("Strada Vicinale della Madonna dell'Acqua Santa 123 bis, scala B, interno 45, frazione Castelnuovo Bormida Superiore, 15017 Castelnuovo (AL)".into()),
    });
    long
}

#[test]
fn pages_of_notices() {
    approved("notice", &notice(&sample::notice(0, false)));
    approved("notice-postal", &notice(&sample::notice(0, true)));
    approved("notice-bare", &notice(&sample::notices()[2]));
    approved("notice-2-postal", &notice(&sample::notice(2, true)));
    approved("notice-3", &notice(&sample::notice(3, false)));
    approved("notice-9-only-parts", &notice(&sample::notices()[3]));
    approved("notice-longest", &notice(&longest()));
    approved("notice-bilingual", &notice(&sample::notices()[4]));
    let bilingual = Notice { wording: Wording::ItalianGerman, ..longest() };
    approved("notice-bilingual-longest", &notice(&bilingual));
}

#[test]
fn pages_of_names() {
    let names = [
        "Ludovica D’Àngelo-De’ Conti",
        "Nguyễn Thị Ánh Tuyết",
        "Дарья Шевченко",
        "王小明",
        "محمد الأمين",
        "שרה לוי",
        "অমৃতা 🦄",
        "김민서 山田はなこ",
    ];
    let notices: Vec<Notice> = names
        .into_iter()
        .map(|name| {
            let mut notice = sample::notice(0, false);
            notice.debtor =
                Some(Person { name: name.into(), code: None, address: Some(format!("c/o {name}, Via Roma 1")) });
            notice
        })
        .collect();
    approved("names", &RENDERER.notices(&notices).unwrap());
}

#[test]
fn pages_of_receipts() {
    let [one, five, bare] = sample::receipts().try_into().unwrap();
    approved("receipt", &RENDERER.receipt(&one).unwrap());
    approved("receipt-german-5", &RENDERER.receipt(&five).unwrap());
    approved("receipt-english-bare", &RENDERER.receipt(&bare).unwrap());
    let short = sample::short_receipt();
    approved("short-receipt", &RENDERER.short_receipt(&short).unwrap());
    approved(
        "short-receipt-german",
        &RENDERER.short_receipt(&ShortReceipt { language: Language::German, ..short }).unwrap(),
    );
    approved("short-receipt-counter", &RENDERER.short_receipt(&sample::counter_receipt()).unwrap());
    let mut plain: Receipt = one;
    plain.issuer.logo = None::<Logo>;
    approved("receipt-no-logo", &RENDERER.receipt(&plain).unwrap());
}

#[test]
fn pages_of_certificates() {
    approved("certificate", &RENDERER.certificate(&sample::certificate_of(3)).unwrap());
    let german = Certificate { language: Language::German, ..sample::certificate_of(60) };
    approved("certificate-german-60", &RENDERER.certificate(&german).unwrap());
}

#[test]
fn pages_of_statements() {
    let [empty, some, below] = sample::statements().try_into().unwrap();
    approved("statement-empty", &RENDERER.statement(&empty).unwrap());
    approved("statement", &RENDERER.statement(&some).unwrap());
    approved("statement-german-below-zero", &RENDERER.statement(&below).unwrap());
    approved("statement-400", &RENDERER.statement(&sample::statement_of(400, false)).unwrap());
}

/// The tolerance is less than the least change that matters.
#[test]
fn a_changed_digit_shows() {
    let page = |cents| {
        let mut notice = sample::notice(0, false);
        notice.whole.as_mut().unwrap().amount = sample::amount(cents);
        let pdf = Pdf::new(&self::notice(&notice));
        let [page] = pdf.pages(DPI).try_into().unwrap();
        read(&page)
    };
    let without_the_code = |page: &Page| {
        let mut shades = page.shades.clone();
        // The QR code, which changes everywhere, is in the left quarter.
        for row in shades.chunks_mut(usize::try_from(page.width).unwrap()) {
            row.iter_mut().take(90).for_each(|shade| *shade = 255);
        }
        Page { width: page.width, height: page.height, shades }
    };
    let [one, other, same] = [page(102_099), page(102_091), page(102_099)].map(|page| without_the_code(&page));
    let changed = points(&difference(&one, &other));
    assert!(changed > POINTS, "a digit changes {changed} points");
    assert_eq!(points(&difference(&one, &same)), 0);
}
