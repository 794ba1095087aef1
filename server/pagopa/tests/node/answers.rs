//! What we write: equal to golden files (checked against pagoPA's schema when they were made), and equal in content to
//! answers written by somebody else. `GOLDEN=write cargo test` makes the files anew: read the difference.

use std::path::Path;

use borsellino_pagopa::node::{
    ActivationOk, Blame, Code, DemandOk, Digits11, Fault, FaultCode, Metadata, NoticeNumber18, Operation,
    OutgoingTransfer, PositiveCents, Response, Subject, SubjectKind, Text, Transfers, VerifyOk, Version, soap_fault,
};
use jiff::civil::date;

use super::fixture;

fn text<const N: usize>(text: &str) -> Text<N> {
    Text::fit(text).unwrap()
}

fn cents(cents: i64) -> PositiveCents {
    PositiveCents::new(cents).unwrap()
}

fn comune() -> Digits11 {
    Digits11::new("99900010010").unwrap()
}

fn offer() -> VerifyOk {
    VerifyOk {
        amount: cents(4_500),
        due_date: Some(date(2026, 12, 31)),
        detail: Some(text("Ricarica mensa scolastica")),
        all_ccp: false,
        description: text("Ricarica mensa scolastica"),
        fiscal_code_pa: comune(),
        company_name: text("Comune di Valdorso"),
        office_name: Some(text("Ufficio servizi scolastici")),
    }
}

fn debtor() -> Subject {
    let some = |text: &str| Some(text.to_owned());
    Subject {
        kind: SubjectKind::Person,
        identifier: "VRDGLI85M52F205X".into(),
        full_name: "Giulia Verdi".into(),
        street: some("Via dei Tigli"),
        civic_number: some("12/B"),
        postal_code: some("20100"),
        city: some("Valdorso"),
        province: some("MI"),
        country: some("IT"),
        email: some("giulia.verdi+scuola@example.org"),
    }
}

fn part(amount: i64, creditor: &str, name: Option<&str>, iban: &str, reason: &str) -> OutgoingTransfer {
    OutgoingTransfer {
        amount: cents(amount),
        fiscal_code_pa: Digits11::new(creditor).unwrap(),
        company_name: name.map(text),
        iban: Code::new(iban).unwrap(),
        remittance_information: text(reason),
        category: Code::new("9/0107102SP/").unwrap(),
        metadata: Metadata::default(),
    }
}

fn map(key: &str, value: &str) -> Metadata {
    Metadata::new(vec![(text(key), text(value))]).unwrap()
}

fn transport() -> ActivationOk {
    let bank = "IT89A9999901001000000112233";
    let postal = "IT45R0760103200000000001016";
    let comune = Some("Comune di Valdorso");
    let mut first = part(15_000, "99900010010", comune, bank, "Trasporto scolastico quota comune");
    first.metadata = map("IBANAPPOGGIO", postal);
    let unione = Some("Unione dei Comuni della Valle");
    let second = part(3_000, "99900040017", unione, postal, "Trasporto scolastico quota unione");
    ActivationOk {
        creditor_reference_id: Code::new("02202600000012372").unwrap(),
        due_date: date(2026, 11, 30),
        retention_date: None,
        last_payment: Some(false),
        description: text("Trasporto scolastico 2026/2027 prima rata"),
        company_name: text("Comune di Valdorso"),
        office_name: Some(text("Ufficio servizi scolastici")),
        debtor: debtor(),
        transfers: Transfers::new(vec![first, second]).unwrap(),
        metadata: map("ANNOSCOLASTICO", "2026/2027"),
    }
}

fn canteen() -> ActivationOk {
    let reason = "/RFB/01000000000004285/45.00/TXT/Ricarica mensa scolastica";
    let mut only = part(4_500, "99900010010", Some("not in v1"), "IT89A9999901001000000112233", reason);
    only.category = Code::new("9/0107101TS/").unwrap();
    ActivationOk {
        creditor_reference_id: Code::new("01000000000004285").unwrap(),
        due_date: date(2026, 12, 31),
        last_payment: None,
        description: text("Ricarica mensa scolastica"),
        transfers: Transfers::new(vec![only]).unwrap(),
        metadata: Metadata::default(),
        ..transport()
    }
}

/// A payment whose texts are as nasty as they get and whose debtor fits nothing.
fn awkward() -> ActivationOk {
    let parts = (1..=5).map(|i| part(i, "99900010010", None, "IT0", "a & b < c > d \"e\" 'f' ]]> \u{0}\u{1f}\u{ffff}"));
    let blank = Some("  ".to_owned());
    ActivationOk {
        retention_date: Some("2027-01-31T22:59:59Z".parse().unwrap()),
        last_payment: Some(true),
        description: text(&"è€𝄞".repeat(100)),
        company_name: text("  Città di \u{8}Bozen /\nBolzano & C. <1>\u{7}  "),
        office_name: None,
        debtor: Subject {
            kind: SubjectKind::Entity,
            identifier: "RSSMRA80A01H501U-TOO-LONG".into(),
            full_name: " \u{1} ".into(),
            street: Some("x".repeat(200)),
            civic_number: blank.clone(),
            postal_code: Some("\u{2}39100".into()),
            city: blank,
            province: Some(String::new()),
            country: Some("Italy".into()),
            email: Some("no@mail@at.all".into()),
        },
        transfers: Transfers::new(parts.collect()).unwrap(),
        metadata: Metadata::new((0..15).map(|i| (text(&i.to_string()), text("<&>"))).collect()).unwrap(),
        ..transport()
    }
}

fn fault(code: FaultCode, description: &str) -> Fault {
    Fault::new(code, comune()).describe(description)
}

fn demanded() -> Response {
    let notice_number = NoticeNumber18::new("301000000000004285").unwrap();
    Response::Demand(DemandOk { notice_number, offer: VerifyOk { office_name: None, ..offer() } })
}

fn golden(name: &str, written: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("GOLDEN").is_some_and(|mode| mode == "write") {
        std::fs::write(&path, written).unwrap();
    }
    let expected = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (written, expected) = (String::from_utf8_lossy(written), String::from_utf8_lossy(&expected));
    assert_eq!(written, expected, "{name}");
}

#[test]
fn answers_equal_their_golden_files() {
    for (name, response) in [
        ("verify-ok.xml", Response::Verify(offer())),
        (
            "verify-ok-bare.xml",
            Response::Verify(VerifyOk { due_date: None, detail: None, all_ccp: true, office_name: None, ..offer() }),
        ),
        ("activation-v1-ok.xml", Response::Activation(Version::V1, Box::new(canteen()))),
        ("activation-v2-ok.xml", Response::Activation(Version::V2, Box::new(transport()))),
        ("activation-v1-awkward.xml", Response::Activation(Version::V1, Box::new(awkward()))),
        ("activation-v2-awkward.xml", Response::Activation(Version::V2, Box::new(awkward()))),
        ("receipt-v1-ok.xml", Response::Receipt(Version::V1)),
        ("receipt-v2-ok.xml", Response::Receipt(Version::V2)),
        ("demand-ok.xml", demanded()),
    ] {
        golden(name, &response.to_xml());
    }
    for operation in Operation::ALL {
        let described = fault(FaultCode::SintassiExtraXsd, "qrCode: missing & <more>");
        golden(&format!("ko-{operation}.xml"), &Response::Ko(operation, described).to_xml());
    }
    golden("fault-server.xml", &soap_fault(Blame::Server, "busy, try again"));
    golden("fault-client.xml", &soap_fault(Blame::Client, "a < b\u{0}"));
}

#[test]
fn answers_say_what_the_recorded_ones_say() {
    use FaultCode::{PagamentoDuplicato, PagamentoScaduto, PagamentoSconosciuto, ReceiptDuplicata, SystemError};
    use Operation::{GetPayment, SendRt, VerifyPaymentNotice};
    use Version::{V1, V2};
    let ko = |operation, code, description| Response::Ko(operation, fault(code, description));
    for (name, response) in [
        ("paVerifyPaymentNotice-res-ok.xml", Response::Verify(offer())),
        ("paGetPayment-res-ok.xml", Response::Activation(V1, Box::new(canteen()))),
        ("paGetPaymentV2-res-ok.xml", Response::Activation(V2, Box::new(transport()))),
        ("paDemandPaymentNotice-res-ok.xml", demanded()),
        ("paSendRT-res-ok.xml", Response::Receipt(V1)),
        ("paSendRTV2-res-ok.xml", Response::Receipt(V2)),
        (
            "paVerifyPaymentNotice-res-ko-duplicato.xml",
            ko(VerifyPaymentNotice, PagamentoDuplicato, "Posizione gia saldata il 2026-10-02"),
        ),
        (
            "paVerifyPaymentNotice-res-ko-sconosciuto.xml",
            ko(VerifyPaymentNotice, PagamentoSconosciuto, "Nessuna posizione con questo numero avviso"),
        ),
        (
            "paGetPaymentV2-res-ko-scaduto.xml",
            ko(GetPayment(V2), PagamentoScaduto, "Avviso non piu pagabile dal 2026-09-30"),
        ),
        ("paSendRT-res-ko-duplicata.xml", ko(SendRt(V1), ReceiptDuplicata, "receiptId gia presente")),
        ("paSendRTV2-res-ko-system-error.xml", ko(SendRt(V2), SystemError, "Archivio temporaneamente non disponibile")),
    ] {
        let written = String::from_utf8(response.to_xml()).unwrap();
        let recorded = String::from_utf8(fixture(name)).unwrap();
        assert_eq!(outline(&written), outline(&recorded), "{name}");
    }
}

/// Qualified names and texts of the body, without layout.
fn outline(xml: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(xml).unwrap();
    let body = document.descendants().find(|node| node.tag_name().name() == "Body").unwrap();
    let line = |node: roxmltree::Node<'_, '_>| {
        let text = node.text().unwrap_or_default().trim().to_owned();
        let depth = node.ancestors().count();
        format!("{depth} {:?} {} = {text}", node.tag_name().namespace(), node.tag_name().name())
    };
    body.descendants().filter(roxmltree::Node::is_element).map(line).collect()
}

#[test]
fn an_invalid_answer_cannot_be_said() {
    // The bad answers of the fixtures: amount zero, and no company.
    assert_eq!(PositiveCents::new(0), None);
    assert_eq!(Transfers::new(Vec::new()), None);
    for empty in ["", " \n ", "\u{0}\u{1}", " \u{b} "] {
        assert_eq!(Text::<140>::fit(empty), None, "{empty:?}");
    }
    let one = |amount| part(amount, "99900010010", None, "IT0", "x");
    assert!(Transfers::new(vec![one(1); 5]).is_some());
    assert_eq!(Transfers::new(vec![one(1); 6]), None);
    assert_eq!(Transfers::new(vec![one(99_999_999_999), one(1)]), None);
    assert_eq!(Metadata::new(vec![(text("k"), text("v")); 16]), None);
    for code in ["", "IT 00", "è", "a\n", &"9".repeat(36)] {
        assert_eq!(Code::<35>::new(code), None, "{code:?}");
    }
}

#[test]
fn texts_are_cut_between_characters() {
    let cut = text::<140>(&"è€𝄞".repeat(100));
    assert_eq!(cut.as_str().chars().count(), 140);
    assert_eq!(text::<140>(" Città di \u{8}Bozen\n").as_str(), "Città di Bozen");
}

#[test]
fn every_fault_code_has_its_own_text() {
    let mut texts: Vec<_> = FaultCode::ALL.iter().map(|code| code.text()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), FaultCode::ALL.len());
    assert!(FaultCode::ALL.iter().all(|code| code.code().starts_with("PAA_")));
}

#[test]
fn debug_of_an_answer_shows_no_person() {
    let shown = format!("{:?}", Response::Activation(Version::V2, Box::new(transport())));
    assert!(shown.contains("02202600000012372"));
    for secret in ["Verdi", "VRDGLI", "Tigli", "giulia", "2026/2027\""] {
        assert!(!shown.contains(secret), "{secret}");
    }
}
