//! Every recorded message decodes to exactly what it says, or is refused for exactly its reason.

use borsellino_pagopa::node::{
    Addressee, Digits11, Malformed, NoticeNumber18, Operation, Outcome, Problem, Refusal, Request, SubjectKind,
    TransferType, Version, decode,
};
use jiff::civil::date;

use super::{altered, fixture, fixture_names};

const V2: &str = "paSendRTV2-req.xml";

fn syntax(element: &'static str, problem: Problem) -> impl Fn(Result<Request, Refusal>) {
    move |result| match result {
        Err(Refusal::Syntax { what, .. }) => {
            assert_eq!((what.element, what.problem), (element, problem))
        }
        other => panic!("expected {element} {problem:?}, got {other:?}"),
    }
}

fn addressee(id_pa: &str) -> Addressee {
    Addressee { id_pa: id_pa.into(), id_broker_pa: "99900020019".into(), id_station: "99900020019_01".into() }
}

fn receipt(body: &[u8]) -> borsellino_pagopa::node::ReceiptRequest {
    match decode(body, None) {
        Ok(Request::Receipt(request)) => request,
        other => panic!("not a receipt: {other:?}"),
    }
}

#[test]
fn the_verify_requests_decode() {
    for (name, notice) in [
        ("paVerifyPaymentNotice-req.xml", "301000000000004285"),
        ("paVerifyPaymentNotice-req-altprefix.xml", "301000000000004285"),
        ("paVerifyPaymentNotice-req-standin-probe.xml", "000000000000000000"),
    ] {
        let request = decode(&fixture(name), Some("\"paVerifyPaymentNotice\"")).unwrap();
        assert_eq!(request.operation(), Operation::VerifyPaymentNotice);
        let Request::Verify(request) = request else { panic!("{name}") };
        assert_eq!(request.addressee, addressee("99900010010"));
        assert_eq!(request.qr_code.fiscal_code.as_str(), "99900010010");
        assert_eq!(request.qr_code.notice_number.as_str(), notice, "{name}");
    }
}

#[test]
fn the_activations_decode() {
    let postal = Some(TransferType::Postal);
    for (name, version, cents, note, kind, due) in [
        ("paGetPayment-req.xml", Version::V1, 4500, None, None, None),
        ("paGetPayment-req-postal.xml", Version::V1, 21050, None, postal, Some(date(2026, 11, 30))),
        ("paGetPaymentV2-req.xml", Version::V2, 4500, None, None, None),
        ("paGetPaymentV2-req-postal.xml", Version::V2, 21050, None, postal, None),
        (
            "paGetPaymentV2-req-checkout.xml",
            Version::V2,
            18000,
            Some("cart-5f1d0a7e-2026"),
            Some(TransferType::PagoPa),
            Some(date(2026, 11, 30)),
        ),
    ] {
        let Ok(Request::Activate(request)) = decode(&fixture(name), None) else { panic!("{name}") };
        assert_eq!(request.version, version, "{name}");
        assert_eq!(request.addressee, addressee("99900010010"));
        assert_eq!(request.amount_cents, Some(cents), "{name}");
        assert_eq!(request.payment_note.as_deref(), note);
        assert_eq!(request.transfer_type, kind);
        assert_eq!(request.due_date.map(|d| d.date), due, "{name}");
    }
}

#[test]
fn the_demand_decodes() {
    let Ok(Request::Demand(request)) = decode(&fixture("paDemandPaymentNotice-req.xml"), None) else {
        panic!("not a demand")
    };
    assert_eq!((request.service_id.as_str(), request.subject_id.as_str()), ("00009", "00035"));
    let data = String::from_utf8(request.service_data.clone()).unwrap();
    assert!(data.starts_with("<?xml") && data.ends_with("</ricaricaMensa>"), "{data}");
    assert!(!format!("{request:?}").contains("BNCLRA"));
}

#[test]
fn a_v2_receipt_decodes_field_by_field() {
    for (name, id_pa) in [(V2, "99900010010"), ("paSendRTV2-req-broadcast-secondary.xml", "99900040017")] {
        let request = receipt(&fixture(name));
        assert_eq!(request.version, Version::V2);
        assert_eq!(request.addressee, addressee(id_pa));
        let r = request.receipt;
        assert_eq!(r.receipt_id, "0a4be1c7d5934b6f8f6c2d1b9e7a3055");
        assert_eq!(r.notice_number, NoticeNumber18::new("302202600000012372").unwrap());
        assert_eq!(r.fiscal_code, Digits11::new("99900010010").unwrap());
        assert_eq!(r.outcome, Outcome::Ok);
        assert_eq!(r.creditor_reference_id, "02202600000012372");
        assert_eq!(r.payment_amount_cents, 18_000);
        assert_eq!(r.description, "Trasporto scolastico 2026/2027 prima rata");
        assert_eq!(r.company_name, "Comune di Valdorso");
        assert_eq!(r.office_name.as_deref(), Some("Ufficio servizi scolastici"));

        let d = &r.debtor;
        assert_eq!((d.kind, d.identifier.as_str()), (SubjectKind::Person, "VRDGLI85M52F205X"));
        assert_eq!(d.full_name, "Giulia Verdi");
        assert_eq!(d.street.as_deref(), Some("Via dei Tigli"));
        assert_eq!(d.civic_number.as_deref(), Some("12/B"));
        assert_eq!(d.postal_code.as_deref(), Some("20100"));
        assert_eq!(d.city.as_deref(), Some("Valdorso"));
        assert_eq!(d.province.as_deref(), Some("MI"));
        assert_eq!(d.country.as_deref(), Some("IT"));
        assert_eq!(d.email.as_deref(), Some("giulia.verdi+scuola@example.org"));

        let [first, second] = r.transfers.as_slice() else { panic!("{} transfers", r.transfers.len()) };
        assert_eq!((first.id, first.amount_cents), (1, 15_000));
        assert_eq!(first.fiscal_code_pa.as_str(), "99900010010");
        assert_eq!(first.company_name.as_deref(), Some("Comune di Valdorso"));
        assert_eq!(first.iban.as_deref(), Some("IT89A9999901001000000112233"));
        assert_eq!(first.mbd_attachment, None);
        assert_eq!(first.remittance_information, "Trasporto scolastico quota comune");
        assert_eq!(first.category, "9/0107102SP/");
        let entry = first.metadata.first().unwrap();
        assert_eq!((entry.key.as_str(), entry.value.as_str()), ("IBANAPPOGGIO", "IT45R0760103200000000001016"));
        assert_eq!((second.id, second.amount_cents), (2, 3_000));
        assert_eq!(second.fiscal_code_pa.as_str(), "99900040017");
        assert!(second.metadata.is_empty());

        assert_eq!((r.psp.id.as_str(), r.psp.company_name.as_str()), ("ABI99998", "Banca di Prova S.p.A."));
        assert_eq!(r.psp.fiscal_code.as_deref(), Some("99900038888"));
        assert_eq!(r.psp.vat_number, None);
        assert_eq!((r.channel.id.as_str(), r.channel.description.as_str()), ("99900038888_02", "app"));
        assert_eq!(r.payer.as_ref().unwrap().identifier, "RSSMRA80A01H501U");
        assert_eq!(r.payment_method.as_deref(), Some("TPAY"));
        assert_eq!(r.payment_note.as_deref(), Some("cart-5f1d0a7e-2026"));
        assert_eq!((r.fee_cents, r.primary_ci_incurred_fee_cents), (Some(150), Some(0)));
        assert_eq!((r.id_bundle.as_deref(), r.id_ci_bundle.as_deref()), (Some("b7c1"), Some("c9d2")));
        let at = r.payment_date_time.as_ref().unwrap();
        assert_eq!(at.text, "2026-10-14T09:05:33.250");
        assert_eq!(at.instant, "2026-10-14T07:05:33.25Z".parse().unwrap(), "Italian summer time");
        assert_eq!(r.application_date.as_ref().unwrap().date, date(2026, 10, 14));
        assert_eq!(r.transfer_date.as_ref().unwrap().date, date(2026, 10, 15));
        assert_eq!(r.metadata.first().unwrap().key, "ANNOSCOLASTICO");
        assert!(!r.stand_in);
    }
}

#[test]
fn the_v1_and_the_minimal_receipt_decode() {
    let request = receipt(&fixture("paSendRT-req.xml"));
    assert_eq!(request.version, Version::V1);
    assert_eq!(request.receipt.payment_amount_cents, 4_500);
    assert_eq!(request.receipt.fee_cents, Some(120));
    assert_eq!(request.receipt.payment_note, None);
    assert!(!request.receipt.stand_in);

    let minimal = receipt(&fixture("paSendRTV2-req-minimal-standin.xml")).receipt;
    assert!(minimal.stand_in);
    assert_eq!(minimal.debtor.identifier, "ANONIMO");
    assert_eq!((minimal.payer, minimal.payment_date_time, minimal.fee_cents), (None, None, None));
}

#[test]
fn every_bad_fixture_is_refused_for_its_reason() {
    use Problem::{BadValue, Misnamed, Misplaced, Missing, TooMany};
    let wrong = [
        ("bad-amount-comma.xml", "amount", BadValue),
        ("bad-amount-one-decimal.xml", "amount", BadValue),
        ("bad-element-order.xml", "qrCode", Misplaced),
        ("bad-fiscalcode-16-chars.xml", "fiscalCode", BadValue),
        ("bad-missing-station.xml", "idStation", Missing),
        ("bad-missing-transfer-category.xml", "transferCategory", Missing),
        ("bad-notice-number-17-digits.xml", "noticeNumber", BadValue),
        ("bad-outcome-value.xml", "outcome", BadValue),
        ("bad-qualified-children.xml", "idPA", Misnamed),
        ("bad-six-transfers.xml", "transfer", TooMany),
        ("bad-standin-lowercase.xml", "standIn", Misnamed),
        ("bad-transfer-type.xml", "transferType", BadValue),
    ];
    for (name, element, problem) in wrong {
        let refusal = decode(&fixture(name), None).expect_err(name);
        assert!(refusal.operation().is_some(), "{name}");
        syntax(element, problem)(Err(refusal));
    }
    let refused = [
        ("bad-not-well-formed.xml", Refusal::Malformed(Malformed::NotXml)),
        ("bad-doctype-xxe.xml", Refusal::Malformed(Malformed::Doctype)),
        ("bad-empty-body.xml", Refusal::Malformed(Malformed::NotOneOperation)),
        ("bad-wrapper-name-from-docs.xml", Refusal::UnknownOperation),
        // Answers are no requests.
        ("bad-response-amount-zero.xml", Refusal::UnknownOperation),
        ("bad-response-no-company.xml", Refusal::UnknownOperation),
    ];
    for (name, refusal) in &refused {
        assert_eq!(decode(&fixture(name), None).expect_err(name), *refusal, "{name}");
    }
    let covered = wrong.len() + refused.len();
    let bad = fixture_names().iter().filter(|name| name.starts_with("bad-")).count();
    assert_eq!(covered, bad, "a bad fixture is not covered");
}

#[test]
fn a_broken_receipt_still_tells_whose_it_is() {
    let Err(Refusal::Syntax { operation, id_pa, .. }) = decode(&fixture("bad-six-transfers.xml"), None) else {
        panic!("accepted")
    };
    assert_eq!(operation, Operation::SendRt(Version::V2));
    assert_eq!(id_pa.unwrap().as_str(), "99900010010");

    let nobody = altered("bad-six-transfers.xml", "<idPA>99900010010<", "<idPA>Valdorso<");
    let Err(Refusal::Syntax { id_pa, .. }) = decode(&nobody, None) else { panic!("accepted") };
    assert_eq!(id_pa, None);
}

#[test]
fn the_soap_action_must_agree_where_there_is_one() {
    let body = fixture(V2);
    for action in [None, Some(""), Some("\"\""), Some("paSendRTV2"), Some(" \"paSendRTV2\" ")] {
        assert!(decode(&body, action).is_ok(), "{action:?}");
    }
    for action in ["paSendRT", "\"paSendRT\"", "pasendrtv2", "\"paSendRTV2"] {
        let operation = Operation::SendRt(Version::V2);
        assert_eq!(decode(&body, Some(action)), Err(Refusal::ActionMismatch { operation }), "{action}");
    }
    for operation in Operation::ALL {
        assert_eq!(Operation::from_soap_action(&format!("\"{operation}\"")), Some(operation));
    }
    assert_eq!(Operation::from_soap_action(""), None);
}

#[test]
fn receipts_tolerate_news_but_not_mistakes() {
    let plain = receipt(&fixture(V2)).receipt;
    for (from, to) in [
        ("<idPSP>", "<newThing a='1'><deep>1</deep></newThing><idPSP>"),
        ("<IBAN>", "<instant>true</instant><IBAN>"),
        ("<fullName>", "<pafn:other>x</pafn:other><fullName>"),
        ("<transferList>", "<transferList><total>2</total>"),
        ("<key>", "<lang>it</lang><key>"),
        ("<receipt>", "<traceId>7</traceId><receipt kind='new'>"),
        ("</receipt>", "<settlementDate>2026-10-15</settlementDate></receipt>"),
    ] {
        assert_eq!(receipt(&altered(V2, from, to)).receipt, plain, "{to}");
    }
    use Problem::{BadValue, Misnamed, Misplaced, Unexpected};
    for (from, to, element, problem) in [
        ("<fee>1.50</fee>", "<FEE>1.50</FEE>", "fee", Misnamed),
        ("<fee>1.50</fee>", "<pafn:fee>1.50</pafn:fee>", "fee", Misnamed),
        ("<fee>1.50</fee>", "<fee>1.50</fee><fee>9.00</fee>", "fee", Misplaced),
        ("<fee>1.50</fee>", "<fee><x/>1.50</fee>", "fee", Unexpected),
        ("<standIn>", "<standIn>true</standIn><standIn>", "standIn", Misplaced),
        ("<standIn>false", "<standIn>no", "standIn", BadValue),
        ("<idTransfer>2", "<idTransfer>6", "idTransfer", BadValue),
        ("<transferAmount>30.00", "<transferAmount>0.00", "transferAmount", BadValue),
        ("<country>IT", "<country>it", "country", BadValue),
        ("@example.org", "@", "e-mail", BadValue),
        ("<paymentDateTime>2026-10-14T", "<paymentDateTime>2026-13-14T", "paymentDateTime", BadValue),
        ("<receipt>", "<receipt>loose text", "receipt", Unexpected),
    ] {
        syntax(element, problem)(decode(&altered(V2, from, to), None));
    }
    syntax("entityUniqueIdentifierValue", BadValue)(decode(&altered(V2, ">RSSMRA80A01H501U<", ">R<"), None));
    let entry = "<mapEntry><key>k</key><value>v</value></mapEntry>";
    let minimal = "paSendRTV2-req-minimal-standin.xml";
    let echoed =
        |n: usize| altered(minimal, "<standIn>", &format!("<metadata>{}</metadata><standIn>", entry.repeat(n)));
    assert_eq!(receipt(&echoed(15)).receipt.metadata.len(), 15);
    syntax("mapEntry", Problem::TooMany)(decode(&echoed(16), None));
    syntax("mapEntry", Problem::Missing)(decode(&echoed(0), None));
    // What V2 added is news to a v1 reader, wherever it stands.
    let v1 = receipt(&fixture("paSendRT-req.xml")).receipt;
    let newer = altered("paSendRT-req.xml", "</receipt>", "<paymentNote>c</paymentNote></receipt>");
    assert_eq!(receipt(&newer).receipt, v1);
}

#[test]
fn a_stamp_takes_the_place_of_the_account() {
    let iban = "<IBAN>IT45R0760103200000000001016</IBAN>";
    let stamped = altered(V2, iban, "<MBDAttachment>\n aGVs\nbG8= </MBDAttachment>");
    let transfer = receipt(&stamped).receipt.transfers.pop().unwrap();
    assert_eq!((transfer.iban, transfer.mbd_attachment.as_deref()), (None, Some(&b"hello"[..])));
    syntax("IBAN", Problem::Missing)(decode(&altered(V2, iban, ""), None));
    for broken in ["aGVsbG8", "aGVsbG8==", "a=Vs", "=AAA", "aGVsbG8=A", "a-_s", "YQ==YQ=="] {
        let to = format!("<MBDAttachment>{broken}</MBDAttachment>");
        syntax("MBDAttachment", Problem::BadValue)(decode(&altered(V2, iban, &to), None));
    }
}

#[test]
fn the_other_requests_are_read_strictly() {
    let verify = "paVerifyPaymentNotice-req.xml";
    use Problem::{Misplaced, Unexpected};
    for (from, to, element, problem) in [
        ("<qrCode>", "<extra/><qrCode>", "paVerifyPaymentNoticeReq", Unexpected),
        ("<qrCode>", "<qrCode lang='it'>", "qrCode", Unexpected),
        ("<qrCode>", "<idStation>x</idStation><qrCode>", "qrCode", Misplaced),
    ] {
        syntax(element, problem)(decode(&altered(verify, from, to), None));
    }
}

#[test]
fn dates_are_read_as_xml_schema_writes_them() {
    let instant = |text: &str| {
        let to = format!("<paymentDateTime>{text}</paymentDateTime>");
        let body = altered(V2, "<paymentDateTime>2026-10-14T09:05:33.250</paymentDateTime>", &to);
        let Ok(Request::Receipt(request)) = decode(&body, None) else {
            return None;
        };
        request.receipt.payment_date_time.map(|at| at.instant.to_string())
    };
    for (text, utc) in [
        ("2026-01-14T09:05:33", "2026-01-14T08:05:33Z"),
        ("2026-07-14T09:05:33Z", "2026-07-14T09:05:33Z"),
        ("2026-07-14T09:05:33.123456789123-05:30", "2026-07-14T14:35:33.123456789Z"),
        ("\n 2026-07-14T24:00:00 ", "2026-07-14T22:00:00Z"),
        // The hour that occurs twice, and the one that does not occur.
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
    ] {
        assert_eq!(instant(text).as_deref(), Some(utc), "{text}");
    }
    for text in [
        "2026-07-14",
        "2026-07-14 09:05:33",
        "2026-07-14T09:05",
        "2026-07-14T09:05:33.",
        "2026-07-14T09:05:60",
        "2026-07-14T24:00:01",
        "2026-07-14T09:05:33+15:00",
        "2026-07-14T09:05:33+01:60",
        "2026-07-14T09:05:33CEST",
        "0000-07-14T09:05:33",
        "9999-12-31T24:00:00",
        "-2026-07-14T09:05:33",
        "2026-02-29T09:05:33",
        "２026-07-14T09:05:33",
    ] {
        assert_eq!(instant(text), None, "{text}");
    }
}

#[test]
fn lengths_are_counted_in_characters() {
    let named = |n: usize| {
        let to = format!("<fullName>{}<", "è".repeat(n));
        decode(&altered(V2, "<fullName>Mario Rossi<", &to), None)
    };
    assert!(named(70).is_ok());
    syntax("fullName", Problem::BadValue)(named(71));
    syntax("fullName", Problem::BadValue)(named(0));
    // Identifiers may be padded; texts keep their white space.
    let padded = altered(V2, "<idStation>99900020019_01<", "<idStation>\n  99900020019_01\t<");
    assert_eq!(receipt(&padded).addressee.id_station, "99900020019_01");
    let spaced = altered(V2, "<fullName>Mario Rossi<", "<fullName> Mario Rossi <");
    assert_eq!(receipt(&spaced).receipt.payer.unwrap().full_name, " Mario Rossi ");
}

#[test]
fn debug_shows_no_person() {
    let shown = format!("{:?}", decode(&fixture(V2), None));
    assert!(shown.contains("302202600000012372") && shown.contains("18000"));
    for secret in ["Verdi", "VRDGLI", "Rossi", "RSSMRA", "Tigli", "giulia", "prima rata", "2026/2027", "quota"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
