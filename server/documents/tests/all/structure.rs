//! Standards, tags and reading order, and that the same facts give the same bytes.

use borsellino_documents::{Certificate, RenderError, Renderer, Templates, proof_in, sample};
use borsellino_domain::money::Cents;

use crate::readers::{Pdf, RENDERER, run, text};

/// One of each kind, by name.
fn all() -> Vec<(&'static str, Vec<u8>)> {
    let renderer = &*RENDERER;
    let notices = sample::notices().into_iter().map(|notice| ("notice", renderer.notice(&notice).unwrap()));
    let receipts = sample::receipts().into_iter().map(|receipt| ("receipt", renderer.receipt(&receipt).unwrap()));
    let statements = sample::statements().into_iter().map(|s| ("statement", renderer.statement(&s).unwrap()));
    let certificate = [("certificate", renderer.certificate(&sample::certificate()).unwrap())];
    let short = [sample::short_receipt(), sample::counter_receipt()];
    let short = short.map(|receipt| ("short receipt", renderer.short_receipt(&receipt).unwrap()));
    notices.chain(receipts).chain(short).chain(statements).chain(certificate).collect()
}

#[test]
fn every_document_is_what_the_standards_ask() {
    for (kind, bytes) in all() {
        let pdf = Pdf::new(&bytes);
        let path = pdf.path();
        run("qpdf", ["--check", text(&path)]);
        let plain = String::from_utf8_lossy(&bytes);
        for mark in [
            "<pdfaid:part>2</pdfaid:part>",
            "<pdfaid:conformance>A</pdfaid:conformance>",
            "<pdfuaid:part>1</pdfuaid:part>",
        ] {
            assert!(plain.contains(mark), "{kind}: no {mark}");
        }
        let info = run("pdfinfo", [text(&path)]);
        assert!(info.contains("Tagged:          yes"), "{kind}: {info}");
        assert!(info.contains("JavaScript:      no") && info.contains("Encrypted:       no"), "{kind}: {info}");
        let catalog = run("qpdf", ["--qdf", "--object-streams=disable", text(&path), "-"].map(str::to_owned));
        assert!(catalog.contains("/MarkInfo") && catalog.contains("/DisplayDocTitle true"), "{kind}");
        assert!(catalog.contains("/OutputIntents"), "{kind}");
        // Two lines of headings, then: name, type, encoding, emb sub uni.
        for font in run("pdffonts", [text(&path)]).lines().skip(2) {
            let yes: Vec<&str> = font.split_whitespace().filter(|word| matches!(*word, "yes" | "no")).collect();
            assert_eq!(yes, ["yes", "yes", "yes"], "{kind}: embedded, subset, with Unicode: {font}");
        }
    }
}

#[test]
fn headings_stand_in_order_and_tables_have_headers() {
    for (kind, bytes) in all() {
        let structure = Pdf::new(&bytes).structure();
        let tags: Vec<&str> =
            structure.lines().map(|line| line.trim().split([' ', '(', ':']).next().unwrap()).collect();
        let levels: Vec<u32> = tags.iter().filter_map(|tag| tag.strip_prefix('H')?.parse().ok()).collect();
        assert_eq!(levels.first(), Some(&1), "{kind}: {structure}");
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1, "{kind}");
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{kind}: {levels:?}");
        let count = |name: &str| tags.iter().filter(|tag| **tag == name).count();
        if kind == "notice" {
            assert!(count("Figure") >= 1, "{structure}");
        } else {
            assert!(count("TH") >= 2 && count("Table") >= 1, "{kind}: {structure}");
        }
    }
}

/// `needles` stand in the text in this order.
fn in_order(text: &str, needles: &[&str]) {
    let mut rest = text;
    for needle in needles {
        let Some(at) = rest.find(needle) else { panic!("{needle} does not follow in {text}") };
        rest = &rest[at + needle.len()..];
    }
}

#[test]
fn a_notice_reads_in_the_guide_s_order() {
    let structure = Pdf::new(&RENDERER.notice(&sample::notice(3, true)).unwrap()).structure();
    in_order(
        &structure,
        &[
            "Avviso di pagamento",
            "Refezione scolastica, da settembre",
            "Ente Creditore",
            "99900010010",
            "Comune di Borgo Fantasia",
            "Destinatario",
            "RSSMRA80A01H501U",
            "Maria D'Angelo Rossi",
            "Quanto e quando pagare?",
            "1.020,99",
            "entro il",
            "20/02/2027",
            "oppure in 3 rate",
            "Dove pagare?",
            "Dati per il pagamento",
            "Rata unica",
            "Codice Avviso",
            "Codice Fiscale Ente",
            "Codice CBILL",
            "A0EDT",
            "Rata 1",
            "20/03/2027",
            "340,33",
            "Rata 2",
            "Rata 3",
            "Bollettino Postale PA",
            "Rata unica",
            "12345678",
            "AUT. DB/SSIC/E 12345 DEL 01/02/2026",
            "Rata 1",
            "Rata 3",
        ],
    );
    assert!(structure.contains(&sample::number(0).grouped()), "groups of four");
}

#[test]
fn a_notice_says_only_what_there_is() {
    let mut notice = sample::notice(0, false);
    notice.issuer.cbill = None;
    notice.issuer.logo = None;
    notice.issuer.own_counter = None;
    notice.debtor = None;
    notice.whole.as_mut().unwrap().due = None;
    let text = Pdf::new(&RENDERER.notice(&notice).unwrap()).text();
    for absent in ["CBILL:", "Codice CBILL", "entro il", "Bollettino", "rate", "Anche presso"] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
    assert!(text.contains("non riporta un nome"), "{text}");
}

#[test]
fn german_is_tagged_as_german() {
    let mut notice = sample::notice(0, false);
    notice.wording = borsellino_documents::Wording::ItalianGerman;
    let pdf = Pdf::new(&RENDERER.notice(&notice).unwrap());
    in_order(&pdf.text(), &["Avviso di pagamento / Zahlungsmitteilung", "Dove pagare? / Wo zahlen?"]);
    let objects = run("qpdf", ["--qdf", "--object-streams=disable", text(&pdf.path()), "-"]);
    assert!(objects.contains("/Lang (it)") && objects.matches("/Lang(de)").count() >= 10);
}

#[test]
fn a_receipt_says_all_of_it() {
    let receipt = sample::receipt(5);
    let text = Pdf::new(&RENDERER.receipt(&receipt).unwrap()).text();
    in_order(
        &text,
        &[
            "Ricevuta di pagamento",
            "Sono stati pagati 57,30 € il 20/11/2026, 08:12",
            "1,50 €",
            "58,80 €",
            "20/11/2026",
            "21/11/2026",
            "carta di credito",
            "3010 0000",
            "c110729d258c4ab1b765fe902aae41d6",
            "Banca di Prova",
            "BPPRITXX",
            "00743110157",
            "Giulia Rossi",
            "IT60 X054 2811 1010 0000 0123 456",
            "9/0107101TS/",
            "Marca da bollo",
            "2026/00042",
            "01994d3c-7a10-7cc2-8f53-1b2f0c3d4e5f",
            "4711",
            "9f86d081",
            "borsellino proof check",
        ],
    );
}

#[test]
fn a_receipt_keeps_to_itself_who_else_paid() {
    let mut receipt = sample::receipt(1);
    receipt.payer = borsellino_documents::Payer::Withheld;
    let text = Pdf::new(&RENDERER.receipt(&receipt).unwrap()).text();
    assert!(text.contains("Ha pagato un'altra persona") && !text.contains("D'Angelo"), "{text}");
}

#[test]
fn a_receipt_carries_its_proof() {
    let mut receipt = sample::receipt(1);
    let every_byte: Vec<u8> = (0..=255).cycle().take(4000).collect();
    receipt.proof.as_mut().unwrap().file = every_byte.clone();
    let bytes = RENDERER.receipt(&receipt).unwrap();
    assert_eq!(proof_in(&bytes), Some(every_byte));
    // Another program that writes the file anew leaves it in.
    let pdf = Pdf::new(&bytes);
    let again = pdf.path().with_file_name("again.pdf");
    run("qpdf", [text(&pdf.path()), text(&again)]);
    assert_eq!(proof_in(&std::fs::read(again).unwrap()), proof_in(&bytes));

    receipt.proof.as_mut().unwrap().file = vec![b'x'; 24_001];
    assert!(matches!(RENDERER.receipt(&receipt), Err(RenderError::Field { field: "proof", .. })));
    receipt.proof = None;
    assert_eq!(proof_in(&RENDERER.receipt(&receipt).unwrap()), None);
    assert_eq!(proof_in(b"<pdf:Keywords>borsellino-proof:%%%</pdf:Keywords>"), None);
    assert_eq!(proof_in(b"<pdf:Keywords>"), None);
}

#[test]
fn a_certificate_names_the_law_and_only_the_notes_that_apply() {
    let mut certificate = sample::certificate();
    let read = |certificate: &Certificate| Pdf::new(&RENDERER.certificate(certificate).unwrap()).text();
    let text = read(&certificate);
    in_order(
        &text,
        &[
            "Certificazione delle spese sostenute nell'anno 2026",
            "lett. e-bis)",
            "L. 266/2005",
            "non detraibile",
            "1.502,50 €",
        ],
    );
    in_order(
        &text,
        &["principio di cassa", "c. 679, L. 160/2019", "non tracciabili", "anni precedenti", "imposta di bollo"],
    );
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("7KQM 2XHT 9RPA WD4E") && text.contains("https://pagamenti.comune.example/verifica"));
    certificate.untraceable = Cents::ZERO;
    certificate.refunded_of_earlier_years = Cents::ZERO;
    let text = read(&certificate);
    assert!(!text.contains("non tracciabili") && !text.contains("anni precedenti"), "{text}");
}

#[test]
fn a_statement_describes_its_picture_and_holds_a_thousand_movements() {
    let pdf = Pdf::new(&RENDERER.statement(&sample::statement_of(1000, true)).unwrap());
    let structure = pdf.structure();
    let objects = run("qpdf", ["--qdf", "--object-streams=disable", text(&pdf.path()), "-"]);
    // As a PDF writes text that is not plain: UTF-16 in hexadecimal.
    let said = "Grafico a gradini del saldo dal 01/01/2026 al 31/12/2026. All'inizio 5,00 €. Il più basso -";
    let hexadecimal: String = said.encode_utf16().map(|unit| format!("{unit:04x}")).collect();
    assert!(objects.contains(&format!("/Alt <feff{hexadecimal}")), "no description");
    let tag = |name: &str| {
        structure.lines().filter(|line| line.trim() == name || line.trim().starts_with(&format!("{name} "))).count()
    };
    assert_eq!(tag("TR"), 1000 + 1 + 2, "each movement is a row");
    assert!(structure.contains("Ricarica con pagoPA"));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let field = |result: Result<Vec<u8>, RenderError>| match result {
        Err(RenderError::Field { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let renderer = &*RENDERER;
    let mut notice = sample::notice(0, false);
    notice.whole = None;
    assert_eq!(field(renderer.notice(&notice)), "parts");
    let mut notice = sample::notice(2, false);
    notice.parts.truncate(1);
    assert_eq!(field(renderer.notice(&notice)), "parts");
    let mut notice = sample::notice(0, false);
    notice.subject = " \u{7}".into();
    assert_eq!(field(renderer.notice(&notice)), "subject");
    let mut notice = sample::notice(0, false);
    notice.issuer.name = String::new();
    assert_eq!(field(renderer.notice(&notice)), "issuer.name");
    let mut notice = sample::notice(0, true);
    notice.whole.as_mut().unwrap().amount = sample::amount(10_000_000_000);
    assert_eq!(field(renderer.notice(&notice)), "amount");
    assert_eq!(field(renderer.notices(&[])), "notices");
    let mut statement = sample::statement_of(3, false);
    statement.closing = Cents::new(1);
    assert_eq!(field(renderer.statement(&statement)), "closing");
    std::mem::swap(&mut statement.from, &mut statement.to);
    assert_eq!(field(renderer.statement(&statement)), "to");
    let mut certificate = sample::certificate();
    certificate.lines[0].net = Cents::new(1);
    assert_eq!(field(renderer.certificate(&certificate)), "lines");
}

#[test]
fn the_same_facts_give_the_same_bytes() {
    let first = all();
    assert!(first == all(), "twice");
    let threads: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(|| {
                let another = Renderer::new(&Templates::default()).unwrap();
                (another.notice(&sample::notices()[4]).unwrap(), another.receipt(&sample::receipts()[1]).unwrap())
            })
        })
        .collect();
    for thread in threads {
        let (notice, receipt) = thread.join().unwrap();
        assert!(notice == first[4].1 && receipt == first[6].1, "another renderer on another thread");
    }
}

#[test]
fn a_volume_begins_each_notice_on_a_page_of_its_own() {
    let volume: Vec<_> = [0, 12, 0].into_iter().map(|instalments| sample::notice(instalments, false)).collect();
    let alone: usize = volume.iter().map(|notice| Pdf::new(&RENDERER.notice(notice).unwrap()).pages(20).len()).sum();
    let pdf = Pdf::new(&RENDERER.notices(&volume).unwrap());
    assert_eq!(pdf.pages(20).len(), alone);
    assert_eq!(pdf.text().matches("Pagina 1 di 1").count(), 2, "{}", pdf.text());
    assert_eq!(pdf.text().matches("Pagina 1 di 2").count(), 1);
}
