//! Stand-in, second payments, postal accounts, both versions of a receipt, and carts of several notices.

use super::checkout::{cart, notice};
use super::*;

/// Without the blanks between elements.
fn close(mut element: Element) -> Element {
    if !element.children.is_empty() {
        element.text.clear();
    }
    element.children = element.children.into_iter().map(close).collect();
    element
}

async fn on(world: &World, on: bool) -> Value {
    let (status, answer) = world.post("/api/stand_in", json!({ "creditor": EC, "on": on })).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn the_probe_asks_for_nothing_and_expects_unknown() {
    let world = World::with(|config| config.probe = Duration::from_millis(10)).await;
    world.fake.on("paVerifyPaymentNotice", [xml("paVerifyPaymentNotice-res-ko-sconosciuto")]);
    let answer = on(&world, true).await;
    assert_eq!((&answer["on"], &answer["probes"][0]["good"]), (&json!(true), &json!(true)), "{answer}");
    let probe = content(&world.fake.bodies("paVerifyPaymentNotice")[0]);
    assert_eq!(probe, close(content(&fixture("paVerifyPaymentNotice-req-standin-probe"))));
    // It goes on by itself, until it is turned off.
    world.fake.until("paVerifyPaymentNotice", 4).await;
    assert!(world.rules().await.is_empty());
    world.fake.on("paVerifyPaymentNotice", [Reply::Hang]);
    let silent = async {
        while world.get("/api/stand_in").await[0]["probes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|probe| probe["good"] == true)
        {}
    };
    tokio::time::timeout(Duration::from_secs(20), silent).await.expect("a probe without an answer");
    assert!(world.rules().await.is_empty(), "silence is why there is stand-in");
    assert_eq!(on(&world, false).await["on"], false);
    assert_eq!(world.get("/api/stand_in").await[1], json!({ "creditor": OTHER, "on": false, "probes": [] }));
    assert_eq!(world.post("/api/stand_in", json!({ "creditor": "99900060015", "on": true })).await.0, 404);
}

#[tokio::test]
async fn another_answer_to_the_probe_is_a_violation() {
    for reply in [xml("paVerifyPaymentNotice-res-ok"), xml("paVerifyPaymentNotice-res-ko-duplicato")] {
        let world = World::new().await;
        world.fake.on("paVerifyPaymentNotice", [reply]);
        assert_eq!(on(&world, true).await["probes"][0]["good"], false);
        assert_eq!(world.rules().await, ["stand-in-probe"]);
    }
}

#[tokio::test]
async fn in_stand_in_a_notice_is_paid_without_asking() {
    let world = World::new().await;
    world.fake.on("paVerifyPaymentNotice", [xml("paVerifyPaymentNotice-res-ko-sconosciuto")]);
    let wish = json!({ "creditor": EC, "notice_number": NOTICE, "amount_cents": 21_050, "description": "Retta nido" });
    assert_eq!(world.post("/api/stand_in/pay", wish.clone()).await.0, 409, "not while the creditor is there");
    on(&world, true).await;
    let (_, paid) = world.post("/api/stand_in/pay", wish.clone()).await;
    assert_eq!(
        (&paid["outcome"], &paid["delivery"], &paid["stand_in"]),
        (&json!("paid"), &json!("acknowledged"), &json!(true))
    );
    assert_eq!(world.fake.count("paVerifyPaymentNotice"), 1, "the probe");
    assert_eq!(world.fake.count("paGetPaymentV2"), 0);
    let receipt = content(&world.fake.bodies("paSendRTV2")[0]).child("receipt").unwrap().clone();
    assert_eq!(receipt.children.last().map(|last| (last.name.as_str(), last.text.as_str())), Some(("standIn", "true")));
    assert_eq!(receipt.text_at(&["paymentAmount"]), Some("210.50"));
    assert_eq!(receipt.text_at(&["creditorReferenceId"]), Some(&NOTICE[1..]));
    let model = close(content(&fixture("paSendRTV2-req-minimal-standin"))).child("receipt").unwrap().clone();
    let transfer = |receipt: &Element| {
        receipt.child("transferList").unwrap().children[0].children.iter().map(|c| c.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(receipt.child("debtor"), model.child("debtor"));
    assert_eq!(transfer(&receipt), transfer(&model));

    let (_, again) = world.post("/api/stand_in/pay", wish.clone()).await;
    assert_eq!(again["fault"]["code"], "PPT_PAGAMENTO_DUPLICATO");
    for (name, value) in [
        ("amount_cents", json!(0)),
        ("amount_cents", json!(100_000_000_000_i64)),
        ("notice_number", json!("1")),
        ("description", json!("")),
        ("psp", json!("nobody")),
        ("other", json!(1)),
    ] {
        let mut bad = wish.clone();
        bad[name] = value;
        assert_eq!(world.post("/api/stand_in/pay", bad.clone()).await.0, 400, "{bad}");
    }
    assert!(world.rules().await.is_empty());
}

#[tokio::test]
async fn the_page_turns_it_on_pays_and_turns_it_off() {
    let world = World::new().await;
    world.fake.on("paVerifyPaymentNotice", [xml("paVerifyPaymentNotice-res-ko-sconosciuto")]);
    let (_, page) = world.page("/stand-in").await;
    assert!(page.contains("Metti in stand-in") && !page.contains("Paga senza chiedere"), "{page}");
    assert_eq!(world.submit("/stand-in", &format!("creditor={EC}&on=true")).await.0, 303);
    let (_, page) = world.page("/stand-in").await;
    assert!(page.contains("Prove andate bene: 1 su 1") && page.contains("Paga senza chiedere"), "{page}");
    assert!(world.page("/").await.1.contains("Il Nodo risponde al posto di"));
    let (status, _, page) = world.submit("/stand-in/pay", &format!("creditor={EC}&notice={NOTICE}&amount=venti")).await;
    assert!(status == 422 && page.contains("due decimali"), "{page}");
    let (status, _, page) =
        world.submit("/stand-in/pay", &format!("creditor={EC}&notice={NOTICE}&amount=20%2C00")).await;
    assert!(status == 200 && page.contains("Pagati 20,00"), "{page}");
    assert_eq!(world.submit("/stand-in", &format!("creditor={EC}&on=false")).await.0, 303);
    assert!(world.page("/stand-in").await.1.contains("Metti in stand-in"));
    assert_eq!(world.submit("/stand-in/pay", &format!("creditor={EC}&notice={NOTICE}&amount=20%2C00")).await.0, 422);
}

#[tokio::test]
async fn a_paid_notice_can_be_really_paid_again() {
    let world = World::new().await;
    let body = json!({ "creditor": EC, "notice_number": NOTICE, "again": true });
    assert_eq!(world.post("/api/notices/pay", body.clone()).await.0, 409, "there is no first payment");
    let first = world.pay().await;
    let again = world.pay_with(json!({ "again": true, "psp": "ABI99909" })).await;
    assert_eq!((&again["outcome"], &again["delivery"]), (&json!("paid"), &json!("acknowledged")));
    assert_eq!((&again["amount_cents"], &again["fee_cents"]), (&first["amount_cents"], &json!(150)));
    assert_ne!(again["receipt_id"], first["receipt_id"]);
    assert_eq!(world.fake.count("paVerifyPaymentNotice") + world.fake.count("paGetPaymentV2"), 2, "asked only once");
    assert_eq!(world.fake.count("paSendRTV2"), 4, "two payments, two creditors");
    assert_eq!(world.pay().await["fault"]["code"], "PPT_PAGAMENTO_DUPLICATO", "without the word it is refused");
    let refused = json!({ "creditor": EC, "notice_number": NOTICE, "again": true, "outcome": "refused" });
    assert_eq!(world.post("/api/notices/pay", refused).await.0, 400);
}

#[tokio::test]
async fn one_payment_arrives_in_both_versions() {
    let world = World::new().await;
    let paid = world.pay_with(json!({ "also_v1": true })).await;
    let deliveries: Vec<(&str, &str, &str)> = paid["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["creditor"].as_str().unwrap(), d["operation"].as_str().unwrap(), d["status"].as_str().unwrap()))
        .collect();
    let ok = "acknowledged";
    assert_eq!(deliveries, [(EC, "paSendRTV2", ok), (EC, "paSendRT", ok), (OTHER, "paSendRTV2", ok)]);
    let copy = content(&world.fake.bodies("paSendRT")[0]);
    assert_eq!(copy.name, "paSendRTReq");
    assert_eq!(copy.text_at(&["receipt", "receiptId"]), paid["receipt_id"].as_str());
    let transfers = copy.child("receipt").unwrap().child("transferList").unwrap();
    assert!(transfers.all("transfer").all(|transfer| transfer.child("companyName").is_none()));
    let seen: Vec<String> = world.fake.seen.lock().unwrap().iter().map(|(action, _)| action.clone()).collect();
    let of = |name: &str| seen.iter().position(|action| action == name).unwrap();
    assert!(of("\"paSendRTV2\"") < of("\"paSendRT\""), "it follows: {seen:?}");

    let old = World::with(|config| config.creditors[0].v1 = true).await;
    let wish = json!({ "creditor": EC, "notice_number": NOTICE, "also_v1": true });
    assert_eq!(old.post("/api/notices/pay", wish).await.0, 400);
}

#[tokio::test]
async fn postal_accounts_are_named_where_they_were_promised() {
    let one = fixture("paGetPaymentV2-res-ok").replace(OTHER, EC);
    let postal = one.replace(IBAN, POSTAL);
    let mixed = one.clone();
    let support = |iban: &str| {
        format!(
            "</transferCategory><metadata><mapEntry><key>IBANAPPOGGIO</key><value>{iban}</value></mapEntry></metadata>"
        )
    };
    let bank = one.replace(POSTAL, IBAN);
    let strip = |text: &str| {
        let mut text = text.to_owned();
        while let Some(start) = text.find("</transferCategory><metadata>").or_else(|| metadata_after_category(&text)) {
            let end = start + text[start..].find("</metadata>").unwrap() + "</metadata>".len();
            text.replace_range(start + "</transferCategory>".len()..end, "");
        }
        text
    };
    let supported = |iban: &str| strip(&bank).replace("</transferCategory>", &support(iban));
    let bank = strip(&bank);
    for (transfer_type, promised, answer, kept) in [
        ("POSTAL", true, &postal, true),
        ("POSTAL", true, &bank, false),
        ("POSTAL", true, &supported(POSTAL), false),
        ("POSTAL", false, &bank, true),
        ("PAGOPA", true, &postal, true),
        ("PAGOPA", true, &bank, false),
        ("PAGOPA", true, &supported(POSTAL), true),
        ("PAGOPA", true, &supported(IBAN), false),
        ("PAGOPA", true, &strip(&mixed), false),
        ("PAGOPA", false, &bank, true),
    ] {
        let world = World::with(|config| config.creditors[0].ibans = vec![IBAN.to_owned(), POSTAL.to_owned()]).await;
        let verified = verify_ok();
        let said = verified.contains("<allCCP>true</allCCP>").to_string();
        let verified = verified.replace(&format!("<allCCP>{said}"), &format!("<allCCP>{promised}"));
        world.fake.on("paVerifyPaymentNotice", [Reply::Xml(verified)]);
        world.fake.on("paGetPaymentV2", [Reply::Xml(answer.clone())]);
        let paid = world.pay_with(json!({ "transfer_type": transfer_type })).await;
        assert_eq!(paid["outcome"], "paid", "noted, not refused: {paid} {:?}", world.rules().await);
        let request = content(&world.fake.bodies("paGetPaymentV2")[0]);
        assert_eq!(request.text_at(&["transferType"]), Some(transfer_type));
        let rules = world.rules().await;
        assert_eq!(rules.is_empty(), kept, "{transfer_type}, allCCP {promised}: {rules:?}");
        assert!(rules.iter().all(|rule| rule == "postal"));
    }
}

/// Where a category is followed by metadata on another line.
fn metadata_after_category(text: &str) -> Option<usize> {
    text.match_indices("</transferCategory>")
        .map(|(at, _)| at)
        .find(|at| text[at + "</transferCategory>".len()..].trim_start().starts_with("<metadata>"))
}

#[tokio::test]
async fn five_notices_of_a_cart_are_five_receipts() {
    let world = World::new().await;
    let single = fixture("paGetPaymentV2-res-ok").replace(OTHER, EC).replace(POSTAL, IBAN);
    let numbers: Vec<String> = (0..5).map(|i| format!("{:018}", 302_202_600_000_012_372_u64 + 101 * i)).collect();
    let answers: Vec<Reply> = numbers.iter().map(|n| Reply::Xml(single.replace(&NOTICE[1..], &n[1..]))).collect();
    world.fake.on("paGetPaymentV2", answers);
    let mut body = cart();
    let notices = numbers.iter().map(|number| {
        let mut notice = notice();
        notice["noticeNumber"] = json!(number);
        notice
    });
    body["paymentNotices"] = notices.collect();
    let response = world.post_cart(&body).await;
    assert_eq!(response.status(), 302);
    let id = response.headers()["location"].to_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    let (_, paid) = world.post(&format!("/api/carts/{id}/pay"), json!({})).await;
    let payments = paid["payments"].as_array().unwrap();
    assert_eq!(payments.len(), 5, "{paid}");
    let distinct = |values: Vec<&str>| values.into_iter().collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(distinct(payments.iter().map(|p| p["receipt_id"].as_str().unwrap()).collect()), 5);
    let mut fees: Vec<i64> = payments.iter().map(|p| p["fee_cents"].as_i64().unwrap()).collect();
    fees.sort_unstable();
    assert_eq!(fees, [0, 0, 0, 0, 90], "one fee for the cart");
    let receipts: Vec<Element> = world.fake.bodies("paSendRTV2").iter().map(|body| content(body)).collect();
    assert_eq!(receipts.len(), 5);
    let mut paid: Vec<&str> = receipts.iter().map(|r| r.text_at(&["receipt", "noticeNumber"]).unwrap()).collect();
    paid.sort_unstable();
    assert_eq!(paid, numbers);
    assert!(receipts.iter().all(|r| r.text_at(&["receipt", "paymentNote"]) == Some("carrello-1")));
    assert!(world.rules().await.is_empty());
}
