//! The cart call, the pages, and the API's own refusals.

use super::*;

pub(super) fn notice() -> Value {
    json!({ "noticeNumber": NOTICE, "fiscalCode": EC, "amount": 18_000, "companyName": "Comune", "description": "Trasporto" })
}

pub(super) fn cart() -> Value {
    json!({
        "emailNotice": "a@example.org",
        "paymentNotices": [notice()],
        "returnUrls": {
            "returnOkUrl": "http://127.0.0.1:1/ok?x=1&y=2", "returnCancelUrl": "http://127.0.0.1:1/cancel",
            "returnErrorUrl": "http://127.0.0.1:1/error", "returnWaitingUrl": "http://127.0.0.1:1/waiting",
        },
        "idCart": "carrello-1",
        "allCCP": false,
    })
}

impl World {
    pub(super) async fn post_cart(&self, body: &Value) -> reqwest::Response {
        let request = self.http.post(format!("{}/checkout/ec/v2/carts", self.base));
        request.header("Ocp-Apim-Subscription-Key", KEY).json(body).send().await.unwrap()
    }

    /// Opens a cart and answers its path.
    pub(super) async fn open_cart(&self) -> String {
        let response = self.post_cart(&cart()).await;
        assert_eq!(response.status(), 302, "{}", response.text().await.unwrap());
        let location = response.headers()["location"].to_str().unwrap();
        location.strip_prefix(&self.base).expect("on the sandbox's own address").to_owned()
    }

    pub(super) async fn page(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Posts a form; answers the status, where it leads, and the page.
    pub(super) async fn submit(&self, path: &str, form: &str) -> (u16, String, String) {
        let request = self.http.post(format!("{}{path}", self.base));
        let kind = "application/x-www-form-urlencoded";
        let response = request.header("content-type", kind).body(form.to_owned()).send().await.unwrap();
        let to = response.headers().get("location").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        (response.status().as_u16(), to, response.text().await.unwrap())
    }

    async fn choose_card(&self, cart: &str) {
        self.submit(&format!("{cart}/method"), "method=card").await;
        let form = "holder=Anna+Rossi&number=4000+0000+0000+0002&expiry=12+%2F+40&cvc=123";
        let (status, to, _) = self.submit(&format!("{cart}/card"), form).await;
        assert_eq!((status, to), (303, format!("{cart}/psp")));
        let (_, to, _) = self.submit(&format!("{cart}/psp"), "psp=ABI99902").await;
        assert_eq!(to, format!("{cart}/confirm"));
    }
}

#[tokio::test]
async fn the_subscription_key_is_asked_for_in_header_or_query() {
    let world = World::new().await;
    let url = format!("{}/checkout/ec/v2/carts", world.base);
    let with = async |query: &str, key: &str| {
        let request = world.http.post(format!("{url}{query}")).header("Ocp-Apim-Subscription-Key", key);
        request.json(&cart()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(with("", "").await, 401);
    assert_eq!(with("", "sbagliata").await, 401);
    assert_eq!(with("?subscription-key=sbagliata", "").await, 401);
    assert_eq!(with("?subscription-key=chiave-di-prova", "").await, 302);
    assert_eq!(with("", KEY).await, 302);
}

#[tokio::test]
async fn a_cart_outside_the_contract_is_a_400_problem() {
    let world = World::new().await;
    let cases: [(&str, Value); 17] = [
        ("/paymentNotices", json!([])),
        ("/paymentNotices", json!(null)),
        ("/paymentNotices/0/noticeNumber", json!("30220260000001237")),
        ("/paymentNotices/0/noticeNumber", json!("30220260000001237X")),
        ("/paymentNotices/0/fiscalCode", json!("RSSMRA80A01")),
        ("/paymentNotices/0/amount", json!(0)),
        ("/paymentNotices/0/amount", json!(-5)),
        ("/paymentNotices/0/amount", json!(180.5)),
        ("/paymentNotices/0/amount", json!("18000")),
        ("/paymentNotices/0/companyName", json!("x".repeat(141))),
        ("/paymentNotices/0/description", json!("a\u{1}b")),
        ("/emailNotice", json!("non un indirizzo")),
        ("/emailNotice", json!(null)),
        ("/allCCP", json!("false")),
        ("/idCart", json!("x".repeat(211))),
        ("/returnUrls/returnOkUrl", json!("javascript:alert(1)")),
        ("/returnUrls/returnWaitingUrl", json!("www.comune.example/waiting")),
    ];
    for (pointer, value) in cases {
        let mut body = cart();
        *body.pointer_mut(pointer).unwrap() = value.clone();
        let response = world.post_cart(&body).await;
        assert_eq!(response.status(), 400, "{pointer} = {value}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    for pointer in ["", "/paymentNotices/0", "/returnUrls"] {
        let mut body = cart();
        body.pointer_mut(pointer).unwrap().as_object_mut().unwrap().insert("altro".to_owned(), json!(1));
        assert_eq!(world.post_cart(&body).await.status(), 400, "unknown member in {pointer:?}");
    }
    let mut without = cart();
    without["returnUrls"].as_object_mut().unwrap().remove("returnWaitingUrl");
    assert_eq!(world.post_cart(&without).await.status(), 400);
    assert_eq!(world.fake.count("paVerifyPaymentNotice"), 0);
}

#[tokio::test]
async fn a_cart_that_cannot_be_paid_is_a_422_problem() {
    let world = World::new().await;
    let notices = |n: &[Value]| {
        let mut body = cart();
        body["paymentNotices"] = json!(n);
        body
    };
    let numbered = |i: usize| {
        let mut n = notice();
        n["noticeNumber"] = json!(format!("{:018}", 302_000_000_000_000_000_u64 + i as u64));
        n
    };
    let six: Vec<Value> = (0..6).map(numbered).collect();
    assert_eq!(world.post_cart(&notices(&six)).await.status(), 422);
    assert_eq!(world.post_cart(&notices(&six[..5])).await.status(), 302);
    assert_eq!(world.post_cart(&notices(&[notice(), notice()])).await.status(), 422);
    let mut unknown = notice();
    unknown["fiscalCode"] = json!("99900060015");
    assert_eq!(world.post_cart(&notices(&[unknown])).await.status(), 422);
    world.fake.on("paVerifyPaymentNotice", [xml("paVerifyPaymentNotice-res-ko-duplicato")]);
    let response = world.post_cart(&cart()).await;
    assert_eq!(response.status(), 422);
    assert!(response.text().await.unwrap().contains("PAA_PAGAMENTO_DUPLICATO"));
}

#[tokio::test]
async fn a_cart_is_paid_through_the_api_with_its_own_note() {
    let world = World::new().await;
    let path = world.open_cart().await;
    let id = path.trim_start_matches("/c/");
    let (status, refused) = world.post(&format!("/api/carts/{id}/pay"), json!({ "outcome": "refused" })).await;
    assert_eq!((status, &refused["return_url"]), (200, &json!("http://127.0.0.1:1/error")));
    let (_, paid) = world.post(&format!("/api/carts/{id}/pay"), json!({ "method": "other", "psp": "PSP99906" })).await;
    assert_eq!(paid["outcome"], "paid", "{paid}");
    assert_eq!(paid["return_url"], "http://127.0.0.1:1/ok?x=1&y=2");
    assert_eq!(paid["payments"][0]["delivery"], "acknowledged");
    assert_eq!(world.get(&format!("/api/carts/{id}")).await["status"], "paid");
    let activation = content(&world.fake.bodies("paGetPaymentV2")[1]);
    assert_eq!(activation.text_at(&["paymentNote"]), Some("carrello-1"));
    assert_eq!(activation.text_at(&["transferType"]), Some("PAGOPA"));
    let receipt = content(&world.fake.bodies("paSendRTV2")[0]);
    assert_eq!(receipt.text_at(&["receipt", "paymentNote"]), Some("carrello-1"));
}

#[tokio::test]
async fn several_notices_are_paid_together_or_not_at_all() {
    let world = World::new().await;
    let mut body = cart();
    let mut second = notice();
    second["noticeNumber"] = json!("302202600000012473");
    body["paymentNotices"] = json!([notice(), second]);
    let other = fixture("paGetPaymentV2-res-ok").replace(&NOTICE[1..], "02202600000012473");
    let ko = xml("paGetPaymentV2-res-ko-scaduto");
    let first = xml("paGetPaymentV2-res-ok");
    world.fake.on("paGetPaymentV2", [first.clone(), ko, first, Reply::Xml(other)]);
    let response = world.post_cart(&body).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let path = format!("/api/carts/{}/pay", location.rsplit('/').next().unwrap());
    let (_, failed) = world.post(&path, json!({})).await;
    assert_eq!(failed["outcome"], "not_payable");
    assert_eq!(failed["fault"]["original_code"], "PAA_PAGAMENTO_SCADUTO");
    assert_eq!(failed["notice_number"], "302202600000012473");
    assert_eq!(world.fake.count("paSendRTV2"), 0);
    let (_, paid) = world.post(&path, json!({})).await;
    let payments = paid["payments"].as_array().unwrap();
    assert_eq!(payments.len(), 2, "{paid}");
    assert_ne!(payments[0]["receipt_id"], payments[1]["receipt_id"]);
    assert_eq!((&payments[0]["fee_cents"], &payments[1]["fee_cents"]), (&json!(90), &json!(0)));
    assert_eq!(world.fake.count("paSendRTV2"), 4);
}

#[tokio::test]
async fn an_amount_that_changed_is_shown_before_it_is_paid() {
    let world = World::new().await;
    world.fake.on("paVerifyPaymentNotice", [Reply::Xml(verify_ok().replace("180.00", "170.00"))]);
    let path = world.open_cart().await;
    assert_eq!(world.rules().await, ["cart-amount"]);
    world.choose_card(&path).await;
    assert!(world.page(&path).await.1.contains("170,00"));
    let (status, _, page) = world.submit(&format!("{path}/pay"), "outcome=ok").await;
    assert_eq!(status, 409);
    assert!(page.contains("importo è cambiato"), "{page}");
    assert!(world.page(&path).await.1.contains("180,00"));
    assert_eq!(world.submit(&format!("{path}/pay"), "outcome=ok").await.0, 303);
}

#[tokio::test]
async fn the_browser_walks_from_the_cart_to_each_way_back() {
    let world = World::new().await;
    let path = world.open_cart().await;
    let (status, page) = world.page(&path).await;
    assert_eq!(status, 200);
    for words in ["Simulatore: nessun denaro vero", "3022 0260 0000 0123 72", "180,00", "Comune di Valdorso"] {
        assert!(page.contains(words), "{words}");
    }
    // Steps cannot be skipped.
    let (status, to, _) = world.submit(&format!("{path}/pay"), "outcome=ok").await;
    assert_eq!((status, to), (303, format!("{path}/method")));
    assert_eq!(world.submit(&format!("{path}/email"), "email=nessuno").await.0, 422);
    assert_eq!(world.submit(&format!("{path}/email"), "email=").await.1, format!("{path}/method"));
    world.choose_card(&path).await;
    let (_, page) = world.page(&format!("{path}/confirm")).await;
    assert!(page.contains("181,20"), "amount and fee: {page}");
    assert_eq!(world.submit(&format!("{path}/cancel"), "").await.1, "http://127.0.0.1:1/cancel");
    assert_eq!(world.submit(&format!("{path}/pay"), "outcome=refused").await.1, "http://127.0.0.1:1/error");
    assert_eq!(world.submit(&format!("{path}/pay"), "outcome=unknown").await.1, "http://127.0.0.1:1/waiting");
    assert!(world.page(&path).await.1.contains("In attesa dell&#39;esito"));
    let payments = world.get("/api/payments").await;
    let waiting = payments.as_array().unwrap().iter().find(|p| p["state"] == "activated").unwrap();
    let (status, to, _) =
        world.submit(&format!("/payments/{}", waiting["receipt_id"].as_str().unwrap()), "outcome=refused").await;
    assert_eq!((status, to.as_str()), (303, "/"));
    assert_eq!(world.submit(&format!("{path}/pay"), "outcome=ok").await.1, "http://127.0.0.1:1/ok?x=1&y=2");
    assert!(world.page(&path).await.1.contains("già stato pagato"));
    world.fake.until("paSendRTV2", 2).await;
}

#[tokio::test]
async fn a_double_click_pays_once_and_leads_back_to_the_cart() {
    let world = World::new().await;
    let path = world.open_cart().await;
    world.choose_card(&path).await;
    let pay = format!("{path}/pay");
    let (a, b) = futures_util::future::join(world.submit(&pay, "outcome=ok"), world.submit(&pay, "outcome=ok")).await;
    let redirects = [&a, &b].iter().filter(|r| r.0 == 303).count();
    assert_eq!(redirects, 1, "{a:?} {b:?}");
    let other = if a.0 == 303 { b } else { a };
    assert!(other.2.contains(&path) || other.2.contains("già stato pagato"), "{other:?}");
    assert_eq!(world.get("/api/payments").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn closing_the_window_pays_without_a_way_back() {
    let world = World::new().await;
    let path = world.open_cart().await;
    world.choose_card(&path).await;
    let (status, to, page) = world.submit(&format!("{path}/pay"), "outcome=ok_close").await;
    assert_eq!((status, to.as_str()), (200, ""));
    assert!(!page.contains("127.0.0.1:1"), "no link back");
    world.fake.until("paSendRTV2", 2).await;
}

#[tokio::test]
async fn carts_expire() {
    let world = World::new().await;
    let path = world.open_cart().await;
    world.later(29);
    assert_eq!(world.page(&path).await.0, 200);
    world.later(1);
    assert_eq!(world.page(&path).await.0, 410);
    let id = path.trim_start_matches("/c/");
    assert_eq!(world.post(&format!("/api/carts/{id}/pay"), json!({})).await.0, 409);
    assert_eq!(world.get(&format!("/api/carts/{id}")).await["status"], "expired");
}

#[tokio::test]
async fn card_data_are_judged_and_never_shown_again() {
    let world = World::new().await;
    let path = world.open_cart().await;
    world.submit(&format!("{path}/method"), "method=card").await;
    let form = "holder=Anna+R0ssi%21&number=4000000000000002777777&expiry=13%2F40&cvc=98765";
    let (status, _, page) = world.submit(&format!("{path}/card"), form).await;
    assert_eq!(status, 422);
    assert!(page.contains("nome e cognome non validi, non ci devono essere caratteri speciali"));
    for secret in ["R0ssi", "4000000000000002777777", "98765"] {
        assert!(!page.contains(secret), "{secret}");
    }
    let (_, _, page) = world
        .submit(&format!("{path}/card"), "holder=Anna+D%27Amè&number=4000000000000002&expiry=09%2F26&cvc=123")
        .await;
    assert!(page.contains("la carta è scaduta") && !page.contains("non validi"), "{page}");
}

#[tokio::test]
async fn the_counter_verifies_and_pays_a_typed_or_scanned_notice() {
    let world = World::new().await;
    let qr = format!("PAGOPA%7C002%7C{NOTICE}%7C{EC}%7C18000");
    let (_, _, page) = world.submit("/psp/verify", &format!("qr={qr}&psp=TAB99908")).await;
    assert!(page.contains("180,00") && page.contains("182,00") && page.contains("Comune di Valdorso"), "{page}");
    assert_eq!(world.fake.count("paGetPaymentV2"), 0);
    let spaced = "creditor=999+000+10010&notice=3022+0260+0000+0123+72&psp=TAB99908";
    let (_, _, page) = world.submit("/psp/pay", spaced).await;
    assert!(page.contains("Hai pagato") && page.contains("accettata"), "{page}");
    let (_, _, page) = world.submit("/psp/verify", spaced).await;
    assert!(page.contains("già stato pagato"), "{page}");
    let (_, _, page) = world.submit("/psp/verify", "qr=PAGOPA%7C001%7Cx&creditor=%3Cscript%3E").await;
    assert!(page.contains("PAGOPA|002|") && !page.contains("<script>"), "{page}");
}

#[tokio::test]
async fn hostile_requests_are_refused_calmly() {
    let world = World::new().await;
    let raw = async |path: &str, kind: &str, body: Vec<u8>| {
        let request = world.http.post(format!("{}{path}", world.base)).header("content-type", kind);
        request.header("Ocp-Apim-Subscription-Key", KEY).body(body).send().await.map(|r| r.status().as_u16())
    };
    let json_kind = "application/json";
    assert_eq!(raw("/checkout/ec/v2/carts", json_kind, b"\xff{".to_vec()).await.unwrap(), 400);
    assert_eq!(raw("/checkout/ec/v2/carts", json_kind, b"[".repeat(30_000)).await.unwrap(), 400);
    assert_eq!(raw("/checkout/ec/v2/carts", "text/plain", cart().to_string().into_bytes()).await.unwrap(), 400);
    // The connection may also be cut before the answer is read.
    assert!(matches!(raw("/checkout/ec/v2/carts", json_kind, vec![b' '; 200_000]).await, Ok(413) | Err(_)));
    for body in ["", "null", "{\"creditor\":1}", "{\"altro\":1}", "{\"qr\":\"x\"}", "{\"qr\":\"PAGOPA|002|1|2|3\"}"] {
        assert_eq!(raw("/api/notices/pay", json_kind, body.into()).await.unwrap(), 400, "{body}");
    }
    let both = json!({ "creditor": EC, "notice_number": NOTICE, "psp": "nessuno" });
    assert_eq!(world.post("/api/notices/pay", both).await.0, 400);
    let form = "application/x-www-form-urlencoded";
    for path in ["/psp/verify", "/psp/pay"] {
        assert_eq!(raw(path, form, b"psp=nessuno".to_vec()).await.unwrap(), 400);
        assert_eq!(raw(path, json_kind, b"{}".to_vec()).await.unwrap(), 400);
    }
    for path in ["/c/nessuno", "/c/%00", "/api/carts/nessuno", "/api/payments/nessuno", "/niente"] {
        assert_eq!(world.page(path).await.0, 404, "{path}");
    }
    assert_eq!(world.post("/api/payments/nessuno/redeliver", json!({})).await.0, 404);
    let (_, page) = world.page("/").await;
    assert!(page.contains("Nessuna: finora"), "nothing of this is the creditor's fault");
}
