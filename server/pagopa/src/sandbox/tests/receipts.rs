//! Activations and receipts: tokens, what a receipt says, when it is sent again.

use super::*;

#[tokio::test]
async fn a_payment_sends_the_receipt_and_its_broadcast_copy() {
    let world = World::new().await;
    let answer = world.pay().await;
    assert_eq!(answer["outcome"], "paid");
    assert_eq!(answer["amount_cents"], 18_000);
    assert_eq!(answer["delivery"], "acknowledged");
    let id = answer["receipt_id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");

    let request = content(&world.fake.bodies("paGetPaymentV2")[0]);
    let names: Vec<&str> = request.children.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["idPA", "idBrokerPA", "idStation", "qrCode", "amount"]);
    assert_eq!(request.text_at(&["amount"]), Some("180.00"));

    let copies: Vec<Element> = world.fake.bodies("paSendRTV2").iter().map(|b| content(b)).collect();
    assert_eq!(copies.len(), 2);
    let owners: std::collections::BTreeSet<_> = copies.iter().filter_map(|c| c.text_at(&["idPA"])).collect();
    assert_eq!(owners, [EC, OTHER].into());
    for copy in &copies {
        let receipt = copy.child("receipt").unwrap();
        assert_eq!(receipt.text_at(&["receiptId"]), Some(id));
        assert_eq!(receipt.text_at(&["fiscalCode"]), Some(EC));
        assert_eq!(receipt.text_at(&["paymentAmount"]), Some("180.00"));
        // Two hours ahead of the clock: it is summer in Italy.
        assert_eq!(receipt.text_at(&["paymentDateTime"]), Some("2026-10-14T09:05:33.250"));
        assert_eq!(receipt.text_at(&["transferDate"]), Some("2026-10-15"));
        assert_eq!(receipt.child("transferList").unwrap().all("transfer").count(), 2);
        let order: Vec<&str> = receipt.children.iter().map(|c| c.name.as_str()).collect();
        let model = content(&fixture("paSendRTV2-req"));
        let model: Vec<&str> = model.child("receipt").unwrap().children.iter().map(|c| c.name.as_str()).collect();
        let known: Vec<&str> = model.into_iter().filter(|n| order.contains(n)).collect();
        assert_eq!(order, known, "elements in the order of the schema");
    }
    assert!(world.rules().await.is_empty());
}

#[tokio::test]
async fn a_version_one_station_gets_the_version_one_pair() {
    let world = World::with(|config| config.creditors[0].v1 = true).await;
    let good = fixture("paGetPayment-res-ok");
    let data = content(&good);
    let reference = data.text_at(&["data", "creditorReferenceId"]).unwrap().to_owned();
    let notice = format!("3{reference}");
    let amount = data.text_at(&["data", "paymentAmount"]).unwrap().to_owned();
    world.fake.on("paVerifyPaymentNotice", [Reply::Xml(verify_ok().replace("180.00", &amount))]);
    let paid = world.pay_with(serde_json::json!({ "notice_number": notice })).await;
    assert_eq!(paid["delivery"], "acknowledged", "{paid} {:?}", world.rules().await);
    assert_eq!(world.fake.count("paGetPaymentV2") + world.fake.count("paSendRTV2"), 0);
    let receipt = content(&world.fake.bodies("paSendRT")[0]);
    assert_eq!(receipt.name, "paSendRTReq");
    assert!(receipt.child("receipt").unwrap().child("paymentNote").is_none());
}

#[tokio::test]
async fn a_paid_notice_is_not_paid_again() {
    let world = World::new().await;
    world.pay().await;
    let again = world.pay().await;
    assert_eq!(again["outcome"], "not_payable");
    assert_eq!(again["fault"]["code"], "PPT_PAGAMENTO_DUPLICATO");
    assert_eq!(world.fake.count("paGetPaymentV2"), 1);
}

#[tokio::test]
async fn simultaneous_activations_of_a_notice_pay_once() {
    let world = World::new().await;
    let both = futures_util::future::join_all((0..8).map(|_| world.pay())).await;
    let paid = both.iter().filter(|a| a["outcome"] == "paid").count();
    assert_eq!(paid, 1, "{both:?}");
    assert_eq!(world.fake.count("paGetPaymentV2"), 1);
    assert_eq!(world.fake.count("paSendRTV2"), 2);
}

#[tokio::test]
async fn a_token_blocks_its_notice_until_it_expires() {
    let world = World::new().await;
    let first = world.pay_with(json!({ "outcome": "unknown" })).await;
    assert_eq!((&first["outcome"], &first["state"]), (&json!("unknown"), &json!("activated")));
    assert_eq!(world.pay().await["fault"]["code"], "PPT_PAGAMENTO_IN_CORSO");
    world.later(29);
    assert_eq!(world.pay().await["fault"]["code"], "PPT_PAGAMENTO_IN_CORSO");
    world.later(1);
    let second = world.pay().await;
    assert_eq!(second["outcome"], "paid");

    // The first PSP reports late: refused by rule, or delivered as a second receipt for the same notice.
    let path = format!("/api/payments/{}/outcome", first["receipt_id"].as_str().unwrap());
    let (status, problem) = world.post(&path, json!({})).await;
    assert_eq!((status, &problem["detail"]), (409, &json!("PPT_TOKEN_SCADUTO")));
    let (status, late) = world.post(&path, json!({ "late": true })).await;
    assert_eq!((status, &late["delivery"]), (200, &json!("acknowledged")));
    assert_ne!(late["receipt_id"], second["receipt_id"]);
    assert_eq!(world.post(&path, json!({ "late": true })).await.0, 409);
}

#[tokio::test]
async fn a_refused_card_sends_no_receipt_and_frees_the_notice() {
    let world = World::new().await;
    assert_eq!(world.pay_with(json!({ "outcome": "refused" })).await["outcome"], "refused");
    assert_eq!(world.fake.count("paSendRTV2"), 0);
    assert_eq!(world.pay().await["outcome"], "paid");
}

#[tokio::test]
async fn a_receipt_is_sent_again_until_it_is_answered() {
    let world = World::new().await;
    let single = fixture("paGetPaymentV2-res-ok").replace(OTHER, EC).replace(POSTAL, IBAN);
    world.fake.on("paGetPaymentV2", [Reply::Xml(single)]);
    let garbage = Reply::Xml("<html>manutenzione</html>".to_owned());
    let mute = Reply::Xml(fixture("paSendRTV2-res-ok").replace("OK", "KO"));
    let ok = xml("paSendRTV2-res-ok");
    world.fake.on("paSendRTV2", [Reply::Fault, Reply::Hang, garbage, mute, ok.clone(), ok]);
    let answer = world.pay().await;
    assert_eq!(answer["delivery"], "pending");
    let id = answer["receipt_id"].as_str().unwrap();
    let done = world.until_delivery(id, "acknowledged").await;
    let results: Vec<&str> =
        done["deliveries"][0]["attempts"].as_array().unwrap().iter().filter_map(|a| a["result"].as_str()).collect();
    let bad = "PPT_STAZIONE_INT_PA_ERRORE_RESPONSE";
    assert_eq!(results, [bad, "PPT_STAZIONE_INT_PA_TIMEOUT", bad, bad, "OK"]);
    assert_eq!(world.rules().await, ["envelope", "ko-without-fault"]);
    let bodies = world.fake.bodies("paSendRTV2");
    assert!(bodies.iter().all(|b| *b == bodies[0]), "the same receipt every time");

    // Asked for by hand it is sent once more, and a KO then takes nothing back.
    world.fake.on(
        "paSendRTV2",
        [Reply::Xml(fixture("paSendRTV2-res-ko-system-error").replace("PAA_SYSTEM_ERROR", "PAA_RECEIPT_DUPLICATA"))],
    );
    let (_, again) = world.post(&format!("/api/payments/{id}/redeliver"), json!({})).await;
    assert_eq!(again["results"][0]["outcome"], "refused");
    assert_eq!(again["results"][0]["fault"], "PAA_RECEIPT_DUPLICATA");
    assert_eq!(world.get(&format!("/api/payments/{id}")).await["delivery"], "acknowledged");
}

#[tokio::test]
async fn a_well_formed_ko_is_final() {
    let world = World::with(|config| config.hour = Duration::from_millis(1)).await;
    let single = fixture("paGetPaymentV2-res-ok").replace(OTHER, EC).replace(POSTAL, IBAN);
    world.fake.on("paGetPaymentV2", [Reply::Xml(single)]);
    world.fake.on("paSendRTV2", [xml("paSendRTV2-res-ko-system-error")]);
    let refused = world.pay().await;
    assert_eq!(refused["delivery"], "refused");

    // A second notice whose receipt is tried to the end gives the first one all the time it needs to come back.
    world.fake.on("paSendRTV2", [Reply::Fault]);
    let other = "302202600000012473";
    let text =
        fixture("paGetPaymentV2-res-ok").replace(OTHER, EC).replace(POSTAL, IBAN).replace(&NOTICE[1..], &other[1..]);
    world.fake.on("paGetPaymentV2", [Reply::Xml(text)]);
    let pending = world.pay_with(json!({ "notice_number": other })).await;
    let id = pending["receipt_id"].as_str().unwrap();
    let done = world.until_delivery(id, "exhausted").await;
    assert_eq!(done["deliveries"][0]["attempts"].as_array().unwrap().len(), 49, "once, and 48 times again");
    let first = refused["receipt_id"].as_str().unwrap();
    let sent = world.fake.bodies("paSendRTV2").iter().filter(|b| b.contains(first)).count();
    assert_eq!(sent, 1);
}
