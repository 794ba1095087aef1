//! Payments without a notice: the demand, what the creditor may answer, and that its notice is then paid like any.

use data_encoding::BASE64;

use super::super::rules::{self, Asked};
use super::super::schema::{Body, Operation, read_answer};
use super::*;

const MADE: &str = "301000000000004285";
const DATA: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ricaricaMensa>è</ricaricaMensa>";

async fn creditor() -> World {
    let world = World::new().await;
    world.fake.on("paDemandPaymentNotice", [xml("paDemandPaymentNotice-res-ok")]);
    world.fake.on("paVerifyPaymentNotice", [xml("paVerifyPaymentNotice-res-ok")]);
    let data =
        fixture("paGetPaymentV2-res-ok").replace(OTHER, EC).replace(POSTAL, IBAN).replace(&NOTICE[1..], &MADE[1..]);
    // Two transfers that make up what was asked for.
    let data = data.replace("<paymentAmount>180.00", "<paymentAmount>45.00");
    let amounts: Vec<String> =
        data.split("<transferAmount>").skip(1).map(|t| t.split('<').next().unwrap().to_owned()).collect();
    let data = data.replacen(&format!("<transferAmount>{}", amounts[0]), "<transferAmount>40.00", 1);
    let data = data.replacen(&format!("<transferAmount>{}", amounts[1]), "<transferAmount>5.00", 1);
    world.fake.on("paGetPaymentV2", [Reply::Xml(data)]);
    world
}

fn wish() -> Value {
    json!({ "creditor": EC, "service": "00009", "subject": "00035", "data": DATA })
}

#[tokio::test]
async fn the_creditor_makes_a_notice_and_it_is_paid() {
    let world = creditor().await;
    let (status, made) = world.post("/api/spontaneous", wish()).await;
    assert_eq!(status, 200);
    assert_eq!(
        made,
        json!({
            "outcome": "payable", "creditor": EC, "notice_number": MADE, "qr": format!("PAGOPA|002|{MADE}|{EC}|4500"),
            "amount_cents": 4_500, "description": "Ricarica mensa scolastica", "company_name": "Comune di Valdorso",
            "due_date": "2026-12-31", "fault": null,
        })
    );
    let request = content(&world.fake.bodies("paDemandPaymentNotice")[0]);
    let model = content(&fixture("paDemandPaymentNotice-req"));
    let names = |e: &Element| e.children.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    assert_eq!((&request.name, names(&request)), (&model.name, names(&model)));
    assert_eq!(request.text_at(&["idServizio"]), Some("00009"));
    let data = BASE64.decode(request.text_at(&["datiSpecificiServizioRequest"]).unwrap().as_bytes()).unwrap();
    assert_eq!(data, DATA.as_bytes());

    let (_, paid) = world.post("/api/notices/pay", json!({ "qr": made["qr"] })).await;
    assert_eq!((&paid["outcome"], &paid["delivery"]), (&json!("paid"), &json!("acknowledged")), "{paid}");
    assert!(world.rules().await.is_empty());
}

#[tokio::test]
async fn a_refusal_or_a_fault_makes_nothing() {
    let world = creditor().await;
    let ko = fixture("paVerifyPaymentNotice-res-ko-sconosciuto")
        .replace("paVerifyPaymentNoticeRes", "paDemandPaymentNoticeResponse");
    for code in ["PAA_SEMANTICA", "PAA_SINTASSI_XSD"] {
        world.fake.on("paDemandPaymentNotice", [Reply::Xml(ko.replace("PAA_PAGAMENTO_SCONOSCIUTO", code))]);
        let (_, refused) = world.post("/api/spontaneous", wish()).await;
        let fault = json!({ "code": "PPT_ERRORE_EMESSO_DA_PAA", "original_code": code });
        assert_eq!(refused, json!({ "outcome": "not_payable", "fault": fault }));
    }
    assert!(world.rules().await.is_empty());
    world.fake.on("paDemandPaymentNotice", [Reply::Hang]);
    assert_eq!(world.post("/api/spontaneous", wish()).await.1["fault"]["code"], "PPT_STAZIONE_INT_PA_TIMEOUT");
    world.post("/api/faults", json!({ "fault": "lost_request", "operation": "demand" })).await;
    let lost = world.post("/api/spontaneous", wish()).await.1;
    assert_eq!(lost["fault"]["code"], "PPT_STAZIONE_INT_PA_IRRAGGIUNGIBILE");
    assert_eq!(world.fake.count("paDemandPaymentNotice"), 3);

    let changed = |name: &str, value: Value| {
        let mut wish = wish();
        wish[name] = value;
        wish
    };
    for bad in [
        changed("service", json!("0009")),
        changed("subject", json!("000355")),
        changed("more", json!(1)),
        changed("data", Value::Null),
    ] {
        assert_eq!(world.post("/api/spontaneous", bad.clone()).await.0, 400, "{bad}");
    }
    let unknown = world.post("/api/spontaneous", changed("creditor", json!("99900060015"))).await.1;
    assert_eq!(unknown["fault"]["code"], "PPT_DOMINIO_SCONOSCIUTO");
}

#[test]
fn one_change_to_a_good_answer_breaks_one_rule() {
    let good = fixture("paDemandPaymentNotice-res-ok");
    let creditor = Creditor {
        fiscal_code: EC.to_owned(),
        name: String::new(),
        broker: "b".to_owned(),
        station: "s".to_owned(),
        endpoint: "http://127.0.0.1:1/".to_owned(),
        ibans: Vec::new(),
        v1: false,
    };
    let whole = |name: &str| {
        let (start, end) = (good.find(&format!("<{name}>")).unwrap(), good.find(&format!("</{name}>")).unwrap());
        good[start..end + name.len() + 3].to_owned()
    };
    for (from, to, rule) in [
        ("<outcome>", "<outcome>", ""),
        ("<noticeNumber>301", "<noticeNumber>302", "notice-number"),
        ("<noticeNumber>301000000000004285", "<noticeNumber>001000000000004292", "notice-number"),
        ("<noticeNumber>301", "<noticeNumber>30", "type"),
        ("<fiscalCode>99900010010", "<fiscalCode>99900040017", "creditor"),
        ("<fiscalCodePA>99900010010", "<fiscalCodePA>99900040017", "creditor"),
        ("<amount>45.00", "<amount>0.00", "type"),
        ("<options>EQ", "<options>ANY", "options"),
        ("<allCCP>false</allCCP>", "", "missing"),
        ("paDemandPaymentNoticeResponse", "paDemandPaymentNoticeRes", "wrapper"),
        (&whole("qrCode"), "", "required-on-ok"),
        (&whole("paymentList"), "", "required-on-ok"),
        (&whole("companyName"), "", "required-on-ok"),
    ] {
        assert!(good.contains(from), "{from}");
        let times = if rule == "wrapper" { 2 } else { 1 };
        let breaches = match read_answer(Operation::Demand, good.replacen(from, to, times).as_bytes()) {
            Body::Answer(answer) => {
                rules::judge(Operation::Demand, &answer, &creditor, std::slice::from_ref(&creditor), &Asked::about(""))
            }
            Body::SoapFault => panic!("no Fault"),
            Body::Invalid(breaches) => breaches,
        };
        let rules: Vec<&str> = breaches.iter().map(|b| b.rule).collect();
        let expected: Vec<&str> = if rule.is_empty() { vec![] } else { vec![rule] };
        assert_eq!(rules, expected, "{from} -> {to}");
    }
}

#[tokio::test]
async fn the_page_asks_and_leads_to_the_counter() {
    let world = creditor().await;
    let (status, page) = world.page("/spontaneous").await;
    assert!(status == 200 && page.contains("Pagamento spontaneo") && page.contains(EC), "{page}");
    let form = format!("creditor={EC}&service=00009&subject=00035&data=%3Cricarica%2F%3E");
    let (status, _, page) = world.submit("/spontaneous", &form).await;
    assert_eq!(status, 200);
    assert!(page.contains("45,00") && page.contains("3010 0000 0000 0042 85"), "{page}");
    let field = |name: &str| {
        let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let form = format!("creditor={}&notice={}&psp={}", field("creditor"), field("notice"), field("psp"));
    let (_, _, page) = world.submit("/psp/pay", &form).await;
    assert!(page.contains("Hai pagato"), "{page}");
    let (status, _, page) = world.submit("/spontaneous", &format!("creditor={EC}&service=9&subject=00035")).await;
    assert!(status == 422 && page.contains("5 caratteri"), "{page}");
}
