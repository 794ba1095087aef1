//! Answers of the creditor: which the sandbox believes, and under which name it refuses the others.

use serde_json::json;

use super::super::schema::{self, Body, Operation, read_answer};
use super::super::{rules, xml::Element};
use super::*;

fn creditors() -> Vec<Creditor> {
    let creditor = |code: &str, iban: &str| Creditor {
        fiscal_code: code.to_owned(),
        name: String::new(),
        broker: "b".to_owned(),
        station: "s".to_owned(),
        endpoint: "http://127.0.0.1:1/".to_owned(),
        ibans: vec![iban.to_owned()],
        v1: false,
    };
    vec![creditor(EC, IBAN), creditor(OTHER, POSTAL)]
}

/// The rules that an answer breaks, and where.
fn judged(operation: Operation, text: &str) -> Vec<(&'static str, String)> {
    let creditors = creditors();
    let breaches = match read_answer(operation, text.as_bytes()) {
        Body::Answer(answer) => {
            rules::judge(operation, &answer, &creditors[0], &creditors, &rules::Asked::about(NOTICE))
        }
        Body::SoapFault => return vec![("soap-fault", String::new())],
        Body::Invalid(breaches) => breaches,
    };
    breaches.into_iter().map(|b| (b.rule, b.path)).collect()
}

fn rule_names(operation: Operation, text: &str) -> Vec<&'static str> {
    judged(operation, text).into_iter().map(|(rule, _)| rule).collect()
}

#[test]
fn every_good_answer_of_the_fixtures_is_good() {
    let good = [
        (Operation::Verify, "paVerifyPaymentNotice-res-ok"),
        (Operation::Verify, "paVerifyPaymentNotice-res-ko-duplicato"),
        (Operation::Verify, "paVerifyPaymentNotice-res-ko-sconosciuto"),
        (Operation::GetPaymentV2, "paGetPaymentV2-res-ok"),
        (Operation::GetPaymentV2, "paGetPaymentV2-res-ko-scaduto"),
        (Operation::SendRtV2, "paSendRTV2-res-ok"),
        (Operation::SendRtV2, "paSendRTV2-res-ko-system-error"),
        (Operation::SendRt, "paSendRT-res-ok"),
        (Operation::SendRt, "paSendRT-res-ko-duplicata"),
        (Operation::Demand, "paDemandPaymentNotice-res-ok"),
    ];
    for (operation, name) in good {
        assert_eq!(judged(operation, &fixture(name)), [], "{name}");
    }
}

#[test]
fn the_bad_answers_of_the_fixtures_are_named() {
    let zero = judged(Operation::GetPaymentV2, &fixture("bad-response-amount-zero"));
    assert_eq!(zero, [("type", "paGetPaymentV2Response/data/paymentAmount".to_owned())]);
    let nameless = judged(Operation::GetPaymentV2, &fixture("bad-response-no-company"));
    assert_eq!(nameless, [("missing", "paGetPaymentV2Response/data/companyName".to_owned())]);
}

#[test]
fn one_change_to_a_good_answer_breaks_one_rule() {
    let cases = [
        ("<outcome>OK", "<outcome>ok", "type"),
        ("<paymentAmount>180.00", "<paymentAmount>180,00", "type"),
        ("<paymentAmount>180.00", "<paymentAmount>180.0", "type"),
        ("<paymentAmount>180.00", "<paymentAmount>1000000000.00", "type"),
        ("<paymentAmount>180.00", "<paymentAmount>180.01", "sum"),
        ("<dueDate>2026-11-30", "<dueDate>2026-11-31", "type"),
        ("<dueDate>2026-11-30", "<dueDate>30/11/2026", "type"),
        ("<lastPayment>false", "<lastPayment>no", "type"),
        ("<officeName>Ufficio servizi scolastici", "<officeName>", "type"),
        ("<country>IT", "<country>it", "type"),
        ("<e-mail>giulia.verdi+scuola@", "<e-mail>giulia verdi@", "type"),
        ("<idTransfer>2", "<idTransfer>6", "type"),
        ("<idTransfer>2", "<idTransfer>1", "transfer-id"),
        ("<fiscalCodePA>99900040017", "<fiscalCodePA>99900040018", "transfer-creditor"),
        ("<IBAN>IT89A", "<IBAN>IT88A", "iban"),
        ("<IBAN>IT89A9999901001000000112233", "<IBAN>IT60X0542811101000000123456", "iban-not-registered"),
        ("<transferCategory>9/0107102SP/", "<transferCategory>0107102SP/", "taxonomy"),
        ("<creditorReferenceId>02202600000012372", "<creditorReferenceId>02202600000012373", "reference"),
        ("<lastPayment>false</lastPayment>", "", ""),
        ("<dueDate>2026-11-30</dueDate>", "", "missing"),
        ("<lastPayment>false</lastPayment>", "<lastPaiment>false</lastPaiment>", "unknown"),
        ("<fullName>Giulia Verdi</fullName>", "", "missing"),
        ("<fullName>Giulia Verdi</fullName>", "<fullName xml:lang=\"it\">Giulia Verdi</fullName>", "attribute"),
        ("<debtor>", "<debtor>ciao", "text"),
        ("<fullName>Giulia Verdi", "<fullName><b/>", "type"),
        ("</outcome>", "</outcome><outcome>OK</outcome>", "occurs"),
        ("<data>", "<fault><faultCode>PAA_SEMANTICA</faultCode><faultString/><id/></fault><data>", "ok-with-fault"),
        ("paGetPaymentV2Response", "paGetPaymentV2Res", "wrapper"),
        ("http://pagopa-api.pagopa.gov.it/pa/paForNode.xsd", "http://pagopa-api.pagopa.gov.it/paForNode", "wrapper"),
        ("xmlns:pafn=", "xmlns=\"http://pagopa-api.pagopa.gov.it/pa/paForNode.xsd\" xmlns:pafn=", "qualified"),
        ("<city>Valdorso</city>", "<citta>Valdorso</citta>", "unknown"),
        ("<soapenv:Body>", "<soapenv:Body><altro/>", "envelope"),
        ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope", "envelope"),
        ("encoding=\"UTF-8\"?>", "encoding=\"UTF-8\"?><!DOCTYPE x [<!ENTITY a \"b\">]>", "xml"),
        ("Giulia Verdi", "&ignota;", "xml"),
        ("Giulia Verdi", "&#1;", "xml"),
        ("</data>", "</dato>", "xml"),
    ];
    let good = fixture("paGetPaymentV2-res-ok");
    for (from, to, rule) in cases {
        assert!(good.contains(from), "{from}");
        // The wrapper's name stands at both its ends; everything else is changed in one place.
        let times = if rule == "wrapper" { 2 } else { 1 };
        let names = rule_names(Operation::GetPaymentV2, &good.replacen(from, to, times));
        let expected: Vec<&str> = if rule.is_empty() { vec![] } else { vec![rule] };
        assert_eq!(names, expected, "{from} -> {to}");
    }
}

#[test]
fn order_and_outcome_rules() {
    let good = fixture("paVerifyPaymentNotice-res-ok");
    let swapped = good
        .replace("<fiscalCodePA>99900010010</fiscalCodePA>", "")
        .replace("</companyName>", "</companyName><fiscalCodePA>99900010010</fiscalCodePA>");
    assert_eq!(rule_names(Operation::Verify, &swapped), ["order"]);
    for name in ["paymentDescription", "companyName"] {
        let start = good.find(&format!("<{name}>")).unwrap();
        let end = good.find(&format!("</{name}>")).unwrap() + name.len() + 3;
        let without = format!("{}{}", &good[..start], &good[end..]);
        let path = format!("paVerifyPaymentNoticeRes/{name}");
        assert_eq!(judged(Operation::Verify, &without), [("required-on-ok", path)]);
    }
    assert_eq!(rule_names(Operation::Verify, &good.replace(">EQ<", ">ANY<")), ["options"]);
    assert_eq!(rule_names(Operation::Verify, &good.replace("<outcome>OK", "<outcome>KO")), ["ko-without-fault"]);
    let ko = fixture("paSendRTV2-res-ko-system-error");
    let wrong_code = ko.replace("PAA_SYSTEM_ERROR", "PAA_PAGAMENTO_SCADUTO");
    assert_eq!(rule_names(Operation::SendRtV2, &wrong_code), ["fault-code"]);
    assert_eq!(rule_names(Operation::SendRtV2, &ko.replace("<id>99900010010</id>", "")), ["missing"]);
}

#[test]
fn hostile_documents_are_refused_without_panic() {
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    let cases: [&[u8]; 10] = [
        b"",
        b"\xff\xfe<\0a\0/\0>\0",
        b"<a><b></a></b>",
        b"<a/><b/>",
        b"<a/>testo",
        b"<x:a/>",
        b"<a b='1' b='2'/>",
        b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
        b"<a>&#xD800;</a>",
        deep.as_bytes(),
    ];
    for case in cases {
        assert!(Element::parse(case).is_err(), "{:?}", String::from_utf8_lossy(&case[..case.len().min(60)]));
    }
    let truncated = fixture("paGetPaymentV2-res-ok");
    for end in (0..truncated.len()).filter(|i| truncated.is_char_boundary(*i)).step_by(7) {
        assert!(!rule_names(Operation::GetPaymentV2, &truncated[..end]).is_empty(), "{end}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let leaf = Element::leaf("a", "è <b> & \"c\" \r\n \u{1f600}");
    let sent = Element { ns: Some(schema::PA.to_owned()), ..Element::node("w", vec![leaf.clone()]) }.envelope();
    assert_eq!(content(&sent).children, [leaf]);
}

#[test]
fn money_and_ibans() {
    assert_eq!(schema::cents("0.00"), Some(0));
    assert_eq!(schema::cents("999999999.99"), Some(99_999_999_999));
    for bad in ["", ".", ".00", "1.", "1.0", "1.000", "-1.00", "+1.00", "1,00", " 1.00", "99999999999999999999.00"] {
        assert_eq!(schema::cents(bad), None, "{bad}");
    }
    assert_eq!(schema::euro(5), "0.05");
    assert_eq!(schema::euro(123_456), "1234.56");
    assert!(schema::is_iban(IBAN) && schema::is_iban(POSTAL) && schema::is_iban("GB82WEST12345698765432"));
    for bad in ["", "IT", "it89a9999901001000000112233", "IT89A9999901001000000112234", "89ITA9999901001000000112233"] {
        assert!(!schema::is_iban(bad), "{bad}");
    }
}

#[tokio::test]
async fn a_bad_answer_stops_the_payment_and_is_listed_in_words() {
    let world = World::new().await;
    world.fake.on("paGetPaymentV2", [xml("bad-response-no-company")]);
    let answer = world.pay().await;
    assert_eq!(answer["outcome"], "not_payable");
    assert_eq!(answer["fault"]["code"], "PPT_STAZIONE_INT_PA_ERRORE_RESPONSE");
    assert_eq!(world.fake.count("paSendRTV2"), 0);
    let all = world.get("/api/violations").await;
    assert_eq!(all[0]["rule"], "missing");
    assert_eq!(all[0]["operation"], "paGetPaymentV2");
    let page = world.http.get(&world.base).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Elemento obbligatorio mancante."), "{page}");
    // The notice is free again.
    world.fake.on("paGetPaymentV2", [xml("paGetPaymentV2-res-ok")]);
    assert_eq!(world.pay().await["outcome"], "paid");
}

#[tokio::test]
async fn faults_of_the_creditor_and_of_the_network_have_their_codes() {
    let world = World::with(|config| {
        let mut unreachable = config.creditors[0].clone();
        unreachable.fiscal_code = "99900050016".to_owned();
        unreachable.endpoint = "http://127.0.0.1:9/".to_owned();
        config.creditors.push(unreachable);
    })
    .await;
    let verify = async |creditor: &str, notice: &str| {
        world.post("/api/notices/verify", json!({ "creditor": creditor, "notice_number": notice })).await.1
    };
    assert_eq!(verify(EC, NOTICE).await["amount_cents"], 18_000);
    assert_eq!(verify("99900060015", NOTICE).await["fault"]["code"], "PPT_DOMINIO_SCONOSCIUTO");
    assert_eq!(verify(EC, "30220260000001237").await["fault"]["code"], "PPT_SINTASSI_EXTRAXSD");
    let down = verify("99900050016", NOTICE).await;
    assert_eq!(down["fault"]["code"], "PPT_STAZIONE_INT_PA_IRRAGGIUNGIBILE");
    world.fake.on("paVerifyPaymentNotice", [xml("paVerifyPaymentNotice-res-ko-sconosciuto")]);
    let ko = verify(EC, NOTICE).await;
    assert_eq!(ko["fault"]["code"], "PPT_ERRORE_EMESSO_DA_PAA");
    assert_eq!(ko["fault"]["original_code"], "PAA_PAGAMENTO_SCONOSCIUTO");
    world.fake.on("paVerifyPaymentNotice", [Reply::Hang]);
    assert_eq!(verify(EC, NOTICE).await["fault"]["code"], "PPT_STAZIONE_INT_PA_TIMEOUT");
    assert!(world.rules().await.is_empty());
    world.fake.on("paVerifyPaymentNotice", [Reply::Fault]);
    assert_eq!(verify(EC, NOTICE).await["fault"]["code"], "PPT_STAZIONE_INT_PA_ERRORE_RESPONSE");
    assert_eq!(world.rules().await, ["soap-fault"]);
}
