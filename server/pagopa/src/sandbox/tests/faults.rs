//! Faults: how each is armed, what the creditor sees of it, what the payment says of it, and that what went wrong is
//! sent again by the rules and no other way.

use super::checkout::cart;
use super::*;

/// A payment with one creditor, so that each receipt is one call.
async fn alone() -> World {
    alone_with(|_| {}).await
}

async fn alone_with(adjust: impl FnOnce(&mut Config)) -> World {
    let world = World::with(adjust).await;
    world.fake.on("paGetPaymentV2", [Reply::Xml(activation(NOTICE))]);
    world
}

fn activation(notice: &str) -> String {
    let single = fixture("paGetPaymentV2-res-ok").replace(OTHER, EC).replace(POSTAL, IBAN);
    single.replace(&NOTICE[1..], &notice[1..])
}

impl World {
    async fn arm(&self, fault: Value) -> u64 {
        let (status, armed) = self.post("/api/faults", fault).await;
        assert_eq!(status, 200, "{armed}");
        armed["id"].as_u64().expect("its number")
    }

    /// Pays a notice of its own; answers the receipt's id.
    async fn pay_notice(&self, notice: &str) -> String {
        self.fake.on("paGetPaymentV2", [Reply::Xml(activation(notice))]);
        let paid = self.pay_with(json!({ "notice_number": notice })).await;
        paid["receipt_id"].as_str().unwrap_or_else(|| panic!("{paid}")).to_owned()
    }

    /// The ids of the receipts, in the order in which the creditor got them.
    fn arrived(&self) -> Vec<String> {
        let id = |body: &String| content(body).text_at(&["receipt", "receiptId"]).unwrap().to_owned();
        self.fake.bodies("paSendRTV2").iter().map(id).collect()
    }
}

/// What a payment's first delivery says of its attempts: the result, and the fault in words.
fn attempts(payment: &Value) -> Vec<(&str, &str)> {
    let attempts = payment["deliveries"][0]["attempts"].as_array().expect("a list");
    attempts.iter().map(|a| (a["result"].as_str().unwrap(), a["fault"].as_str().unwrap_or_default())).collect()
}

const GONE: &str = "PPT_STAZIONE_INT_PA_IRRAGGIUNGIBILE";
const SLOW: &str = "PPT_STAZIONE_INT_PA_TIMEOUT";
const ODD: &str = "PPT_STAZIONE_INT_PA_ERRORE_RESPONSE";

/// One fault per receipt: what the first attempt came to, and how often the creditor saw it in all.
#[tokio::test]
async fn a_receipt_that_something_happened_to_is_sent_again_once() {
    for (fault, first, calls) in [
        (json!({ "fault": "lost_request" }), GONE, 1),
        (json!({ "fault": "lost_answer" }), GONE, 2),
        (json!({ "fault": "time_out" }), SLOW, 2),
        (json!({ "fault": "cut" }), GONE, 1),
        // Slower than the Node waits: it never leaves, or its answer is not waited for.
        (json!({ "fault": "slow", "millis": 5_000 }), SLOW, 1),
        (json!({ "fault": "slow_answer", "millis": 5_000 }), SLOW, 2),
    ] {
        let world = alone().await;
        let mut order = json!({ "operation": "receipt", "calls": 1, "creditor": EC, "notice_number": NOTICE });
        order.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        world.arm(order).await;
        let paid = world.pay().await;
        assert_eq!(paid["delivery"], "pending", "{fault}");
        let done = world.until_delivery(paid["receipt_id"].as_str().unwrap(), "acknowledged").await;
        let [(one, why), (two, nothing)] = attempts(&done)[..] else { panic!("{done}") };
        assert_eq!((one, two, nothing), (first, "OK", ""), "{fault}");
        assert!(why.starts_with("guasto 1: "), "{why}");
        assert_eq!(world.fake.count("paSendRTV2"), calls, "{fault}");
        let bodies = world.fake.bodies("paSendRTV2");
        assert!(bodies.iter().all(|body| *body == bodies[0]), "the same receipt each time");
        let faults = world.get("/api/faults").await;
        assert_eq!(faults["armed"], json!([]), "used up");
        assert_eq!(faults["struck"].as_array().unwrap().len(), 1);
        assert!(world.rules().await.is_empty());
    }
}

#[tokio::test]
async fn slow_within_the_time_is_only_slow() {
    let world = alone().await;
    for fault in ["slow", "slow_answer"] {
        world.arm(json!({ "fault": fault, "operation": "receipt", "calls": 1, "millis": 50 })).await;
    }
    let begun = Instant::now();
    let first = world.pay().await;
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert_eq!(first["delivery"], "acknowledged");
    assert!(attempts(&first)[0].1.contains("50 ms"), "{first}");
    // The older one is used up: the next call meets the other.
    let id = world.pay_notice("302202600000012473").await;
    let second = world.get(&format!("/api/payments/{id}")).await;
    assert_eq!(second["delivery"], "acknowledged");
    assert!(attempts(&second)[0].1.contains("risposta letta con 50 ms"), "{second}");
    assert_eq!(world.fake.count("paSendRTV2"), 2);
}

#[tokio::test]
async fn twice_and_again_are_two_calls_and_no_more() {
    let ko = fixture("paSendRTV2-res-ko-system-error").replace("PAA_SYSTEM_ERROR", "PAA_RECEIPT_DUPLICATA");
    for fault in ["twice", "again"] {
        let world = alone().await;
        world.fake.on("paSendRTV2", [xml("paSendRTV2-res-ok"), Reply::Xml(ko.clone())]);
        world.arm(json!({ "fault": fault, "operation": "receipt" })).await;
        let paid = world.pay().await;
        assert_eq!(paid["delivery"], "acknowledged", "one OK is enough: {paid}");
        let mut results: Vec<&str> = attempts(&paid).iter().map(|(result, _)| *result).collect();
        results.sort_unstable();
        assert_eq!(results, ["KO PAA_RECEIPT_DUPLICATA", "OK"], "{fault}");
        assert_eq!(world.fake.count("paSendRTV2"), 2);
    }
    // `again` is for what was acknowledged: a KO stays final.
    let world = alone().await;
    world.fake.on("paSendRTV2", [Reply::Xml(ko)]);
    world.arm(json!({ "fault": "again", "operation": "receipt" })).await;
    assert_eq!(world.pay().await["delivery"], "refused");
    assert_eq!(world.fake.count("paSendRTV2"), 1);
}

#[tokio::test]
async fn out_of_order_receipts_go_in_reverse_one_by_one() {
    let world = alone().await;
    let id = world.arm(json!({ "fault": "out_of_order", "operation": "receipt", "receipts": 2, "calls": 1 })).await;
    let mut ids = Vec::new();
    for notice in [NOTICE, "302202600000012473", "302202600000012574"] {
        let armed = &world.get("/api/faults").await["armed"][0];
        assert_eq!((&armed["id"], &armed["held"]), (&json!(id), &json!(ids.len())));
        assert_eq!(world.fake.count("paSendRTV2"), 0, "none goes before the third is due");
        ids.push(world.pay_notice(notice).await);
    }
    for id in &ids {
        let payment = world.until_delivery(id, "acknowledged").await;
        let held = payment["deliveries"][0]["held"].as_str().expect("in words");
        assert!(held.contains("fino ad altre 2 ricevute"), "{held}");
    }
    ids.reverse();
    assert_eq!(world.arrived(), ids);
    // Used up: the next one goes at once.
    let next = world.pay_notice("302202600000012675").await;
    assert_eq!(world.arrived().last(), Some(&next));
}

#[tokio::test]
async fn a_removed_fault_lets_go_what_it_held() {
    let world = alone().await;
    let id = world.arm(json!({ "fault": "out_of_order", "operation": "receipt", "receipts": 9 })).await;
    let first = world.pay().await;
    assert_eq!(first["delivery"], "held");
    let second = world.pay_notice("302202600000012473").await;
    let (status, removed) = world.delete(&format!("/api/faults/{id}")).await;
    assert_eq!((status, &removed["fault"], &removed["receipts"]), (200, &json!("out_of_order"), &json!(9)));
    let first = first["receipt_id"].as_str().unwrap();
    world.until_delivery(first, "acknowledged").await;
    world.until_delivery(&second, "acknowledged").await;
    assert_eq!(world.arrived(), [second.as_str(), first]);
    assert_eq!(world.delete(&format!("/api/faults/{id}")).await.0, 404);
}

#[tokio::test]
async fn a_late_receipt_waits_for_its_hours() {
    let world = alone_with(|config| config.hour = Duration::from_millis(60)).await;
    world.arm(json!({ "fault": "late", "operation": "receipt", "hours": 3, "calls": 1 })).await;
    let begun = Instant::now();
    let paid = world.pay().await;
    assert_eq!(paid["delivery"], "held");
    assert_eq!(paid["deliveries"][0]["held"], "guasto 1: trattenuta per 3 ore");
    world.until_delivery(paid["receipt_id"].as_str().unwrap(), "acknowledged").await;
    assert!(begun.elapsed() >= Duration::from_millis(180), "{:?}", begun.elapsed());
    assert_eq!(world.fake.count("paSendRTV2"), 1);
}

#[tokio::test]
async fn what_is_never_sent_can_be_asked_for() {
    let world = alone().await;
    world.arm(json!({ "fault": "never", "operation": "receipt", "calls": 1 })).await;
    let paid = world.pay().await;
    assert_eq!((&paid["outcome"], &paid["delivery"]), (&json!("paid"), &json!("held")));
    // Another receipt, tried to the end, gives the first one all the time it would need to go by itself.
    world.fake.on("paSendRTV2", [Reply::Fault]);
    let other = world.pay_notice("302202600000012473").await;
    world.until_delivery(&other, "exhausted").await;
    let id = paid["receipt_id"].as_str().unwrap();
    assert!(!world.arrived().iter().any(|arrived| arrived == id));
    // A redelivery that fails does not start what was never to start.
    let (_, failed) = world.post(&format!("/api/payments/{id}/redeliver"), json!({})).await;
    assert_eq!(failed["results"][0]["outcome"], "pending");
    assert_eq!(world.get(&format!("/api/payments/{id}")).await["delivery"], "held");
    world.fake.on("paSendRTV2", [xml("paSendRTV2-res-ok")]);
    let (_, again) = world.post(&format!("/api/payments/{id}/redeliver"), json!({})).await;
    assert_eq!(again["results"][0]["outcome"], "acknowledged");
    assert_eq!(world.get(&format!("/api/payments/{id}")).await["delivery"], "acknowledged");
}

/// The rules of redelivery (SANP, integration via synchronous APIs): each of the four failures is tried again, an hour
/// later; every well-formed answer is the last.
#[tokio::test]
async fn every_failure_is_tried_again_an_hour_later() {
    let hour = Duration::from_millis(60);
    let ko = fixture("paSendRTV2-res-ko-system-error");
    for (reply, result) in [
        (Reply::Fault, ODD),
        (Reply::Hang, SLOW),
        (Reply::HangUp, GONE),
        (Reply::Xml("<html>manutenzione</html>".to_owned()), ODD),
        (Reply::Xml(String::new()), ODD),
        (Reply::Xml(ko.replace("PAA_SYSTEM_ERROR", "PAA_INVENTATO")), ODD),
    ] {
        for (last, status) in [(fixture("paSendRTV2-res-ok"), "acknowledged"), (ko.clone(), "refused")] {
            let world = alone_with(|config| config.hour = hour).await;
            world.fake.on("paSendRTV2", [reply.clone(), reply.clone(), Reply::Xml(last)]);
            let paid = world.pay().await;
            assert_eq!(paid["delivery"], "pending");
            let done = world.until_delivery(paid["receipt_id"].as_str().unwrap(), status).await;
            let results: Vec<&str> = attempts(&done).iter().map(|(result, _)| *result).collect();
            assert_eq!(results[..2], [result, result]);
            assert_eq!(results.len(), 3);
            // A second payment, acknowledged at once and looked at hours later, shows that the first stays quiet.
            world.fake.on("paSendRTV2", [Reply::Fault, xml("paSendRTV2-res-ok")]);
            let other = world.pay_notice("302202600000012473").await;
            world.until_delivery(&other, "acknowledged").await;
            assert_eq!(world.fake.count("paSendRTV2"), 3 + 2);
            let times = world.fake.times.lock().unwrap().clone();
            // After verify and activate, the three receipts.
            assert!(times[2..5].windows(2).all(|pair| pair[1] - pair[0] >= hour), "an hour between them");
        }
    }
}

#[tokio::test]
async fn after_48_redeliveries_it_stays_where_it_is() {
    let world = alone_with(|config| config.hour = Duration::from_millis(2)).await;
    world.arm(json!({ "fault": "lost_answer", "operation": "receipt", "notice_number": NOTICE })).await;
    let paid = world.pay().await;
    let id = paid["receipt_id"].as_str().unwrap();
    let done = world.until_delivery(id, "exhausted").await;
    assert_eq!(attempts(&done).len(), 49);
    assert_eq!(world.fake.count("paSendRTV2"), 49, "once, and 48 times again");
    let armed = &world.get("/api/faults").await["armed"][0];
    assert_eq!((&armed["struck"], &armed["calls_left"]), (&json!(49), &Value::Null));
    // By hand it still goes, and an answer that is read settles it.
    world.delete("/api/faults").await;
    world.post(&format!("/api/payments/{id}/redeliver"), json!({})).await;
    assert_eq!(world.get(&format!("/api/payments/{id}")).await["delivery"], "acknowledged");
    assert_eq!(world.fake.count("paSendRTV2"), 50);
}

#[tokio::test]
async fn questions_go_wrong_too() {
    for (operation, soap) in [("verify", "paVerifyPaymentNotice"), ("activate", "paGetPaymentV2")] {
        for (fault, code, calls) in [
            (json!({ "fault": "lost_request" }), GONE, 0),
            (json!({ "fault": "lost_answer" }), GONE, 1),
            (json!({ "fault": "time_out" }), SLOW, 1),
            (json!({ "fault": "cut" }), GONE, 0),
            (json!({ "fault": "slow", "millis": 5_000 }), SLOW, 0),
            (json!({ "fault": "slow_answer", "millis": 5_000 }), SLOW, 1),
        ] {
            let world = alone().await;
            let mut order = json!({ "operation": operation, "calls": 1 });
            order.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
            world.arm(order).await;
            let refused = world.pay().await;
            assert_eq!((&refused["outcome"], &refused["fault"]["code"]), (&json!("not_payable"), &json!(code)));
            assert_eq!(world.fake.count(soap), calls, "{operation} {fault}");
            assert_eq!(world.fake.count("paSendRTV2"), 0);
            // Nothing is blocked by it: the PSP tries again.
            assert_eq!(world.pay().await["outcome"], "paid");
        }
        for fault in ["twice", "again"] {
            let world = alone().await;
            world.arm(json!({ "fault": fault, "operation": operation, "calls": 1 })).await;
            assert_eq!(world.pay().await["outcome"], "paid");
            assert_eq!(world.fake.count(soap), 2);
            assert_eq!(world.fake.count("paSendRTV2"), 1);
        }
    }
}

#[tokio::test]
async fn a_fault_hits_what_it_names_and_nothing_else() {
    // A payment with two creditors: only the copy of one is lost.
    let world = World::new().await;
    world.arm(json!({ "fault": "never", "operation": "receipt", "creditor": OTHER })).await;
    world.arm(json!({ "fault": "lost_request", "operation": "receipt", "notice_number": "302202600000012473" })).await;
    let paid = world.pay().await;
    let of = |payment: &Value| {
        let all = payment["deliveries"].as_array().unwrap().clone();
        all.iter().map(|d| (d["creditor"].as_str().unwrap().to_owned(), d["status"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(of(&paid), [(EC.to_owned(), json!("acknowledged")), (OTHER.to_owned(), json!("held"))]);
    assert_eq!(world.arrived().len(), 1);
    let struck = world.get("/api/faults").await["struck"].clone();
    let [one] = &struck.as_array().unwrap()[..] else { panic!("{struck}") };
    assert_eq!((&one["fault"], &one["creditor"], &one["id"]), (&json!("never"), &json!(OTHER), &json!(1)));
}

#[tokio::test]
async fn the_creditors_own_call_goes_wrong_too() {
    let world = World::new().await;
    let send = async || {
        let request = world.http.post(format!("{}/checkout/ec/v2/carts", world.base));
        let request = request.header("Ocp-Apim-Subscription-Key", KEY).json(&cart());
        request.timeout(Duration::from_secs(2)).send().await
    };
    let carts = async || world.get("/api/carts").await.as_array().unwrap().len();
    for (fault, opened) in [("lost_request", 0), ("lost_answer", 1), ("cut", 1), ("time_out", 1)] {
        let before = carts().await;
        world.arm(json!({ "fault": fault, "operation": "cart", "calls": 1, "creditor": EC })).await;
        let failed = send().await.expect_err(fault);
        assert_eq!(failed.is_timeout(), fault == "time_out", "{failed}");
        assert_eq!(carts().await, before + opened, "{fault}");
    }
    for fault in ["slow", "slow_answer"] {
        world.arm(json!({ "fault": fault, "operation": "cart", "calls": 1, "millis": 40 })).await;
        let begun = Instant::now();
        assert_eq!(send().await.unwrap().status(), 302);
        assert!(begun.elapsed() >= Duration::from_millis(40));
    }
}

#[tokio::test]
async fn what_cannot_be_armed_is_refused_in_words() {
    let world = World::new().await;
    for bad in [
        json!({}),
        json!({ "fault": "slow", "operation": "receipt" }),
        json!({ "fault": "slow", "operation": "receipt", "millis": 0 }),
        json!({ "fault": "slow", "operation": "receipt", "millis": 600_001 }),
        json!({ "fault": "slow", "operation": "receipt", "millis": 1, "hours": 1 }),
        json!({ "fault": "cut", "operation": "receipt", "millis": 1 }),
        json!({ "fault": "late", "operation": "receipt" }),
        json!({ "fault": "late", "operation": "verify", "hours": 1 }),
        json!({ "fault": "never", "operation": "cart" }),
        json!({ "fault": "twice", "operation": "cart" }),
        json!({ "fault": "out_of_order", "operation": "receipt", "receipts": 0 }),
        json!({ "fault": "explosion", "operation": "receipt" }),
        json!({ "fault": "cut", "operation": "refund" }),
        json!({ "fault": "cut", "operation": "receipt", "calls": 0 }),
        json!({ "fault": "cut", "operation": "receipt", "creditor": "1" }),
        json!({ "fault": "cut", "operation": "receipt", "notice_number": "1" }),
        json!({ "fault": "cut", "operation": "cart", "notice_number": NOTICE }),
        json!({ "fault": "cut", "operation": "receipt", "other": 1 }),
    ] {
        let (status, problem) = world.post("/api/faults", bad.clone()).await;
        assert_eq!(status, 400, "{bad}");
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
    assert_eq!(world.get("/api/faults").await, json!({ "armed": [], "struck": [] }));
}

#[tokio::test]
async fn the_page_arms_lists_and_removes() {
    let world = alone().await;
    let form = "fault=late&number=2&operation=receipt&calls=&creditor=&notice=";
    let (status, to, _) = world.submit("/faults", form).await;
    assert_eq!((status, to.as_str()), (303, "/faults"));
    let form =
        format!("fault=lost_answer&number=&operation=receipt&calls=1&creditor={EC}&notice=3022+0260+0000+0124+73");
    assert_eq!(world.submit("/faults", &form).await.0, 303);
    let armed = world.get("/api/faults").await["armed"].clone();
    assert_eq!((&armed[0]["hours"], &armed[0]["calls_left"]), (&json!(2), &Value::Null));
    assert_eq!((&armed[1]["notice_number"], &armed[1]["creditor"]), (&json!("302202600000012473"), &json!(EC)));
    let (_, page) = world.page("/faults").await;
    assert!(page.contains("trattenuta per 2 ore") && page.contains("3022 0260 0000 0124 73"), "{page}");
    let (status, _, page) = world.submit("/faults", "fault=slow&number=presto&operation=receipt").await;
    assert_eq!(status, 422);
    assert!(page.contains("Serve un numero"), "{page}");

    assert_eq!(world.pay().await["delivery"], "held");
    let (_, dashboard) = world.page("/").await;
    assert!(dashboard.contains("trattenuta</strong>, guasto 1: trattenuta per 2 ore"), "{dashboard}");
    assert_eq!(world.submit("/faults/1/remove", "").await.0, 303);
    assert_eq!(world.get("/api/faults").await["armed"].as_array().unwrap().len(), 1);
    // What went wrong with a call stands at its attempt.
    let id = world.pay_notice("302202600000012473").await;
    world.until_delivery(&id, "acknowledged").await;
    let (_, dashboard) = world.page("/").await;
    assert!(dashboard.contains(&format!("{GONE}, guasto 2: risposta persa: data, ma non letta")), "{dashboard}");
}
